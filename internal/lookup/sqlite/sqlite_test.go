package sqlite

import (
	"context"
	"errors"
	"testing"

	"exigo/internal/lookup"
	"exigo/internal/lookup/lookuptest"
)

func TestSuite(t *testing.T) {
	dir := t.TempDir()
	type c = lookuptest.Case
	q := func(key, data string) c { return c{Type: "sqlite,file=" + dir + "/db", Key: key, Data: data} }
	none := func(key string) c { return c{Type: "sqlite,file=" + dir + "/db", Key: key, Missing: true} }
	d := Driver()
	for _, statement := range []string{"create table t(a,b,c date)", "insert into t values(1,'one','2026-01-02'); insert into t values(2,'two words',null)", "insert into t values(3,'','x')"} {
		if _, found, err := d.Find(context.Background(), &lookup.Request{Key: dir + "/db " + statement}); found || err != nil {
			t.Fatal(statement, found, err)
		}
	}
	lookuptest.Suite{Drivers: []*lookup.Driver{d}, Dir: dir, Cases: []c{
		q("select a from t", "1\n2\n3"), q("select a,b from t where a<3", "a=1 b=one \na=2 b=\"two words\" "), q("select b from t where a=2;", "two words"),
		q("select b as x, a from t where a=3", "x=\"\" a=3 "), q("select null, 1.5, 2.0, x'41'", "null=<NULL> 1.5=1.5 2.0=2.0 x'41'=A "), q("select c from t where a=1", "2026-01-02"),
		q("select c from t where a=2", "<NULL>"), q("select 1; select ';' -- ;\n; /* ; */", "1\n;"), q("select ''", ""), q("select 'it''s;'", "it's;"),
		none("select a from t where a=9"), none("selec"), none("select * from nosuch"), none(""), none("update t set b='x' where a=9"),
		{Type: "sqlite", Key: "DIR/db select a from t where a=1", Data: "1"}, {Type: "sqlite", Key: "DIR/none/db select 1", Err: "unable to open database file (14)", Defer: true},
		{Type: "sqlite", Key: "select 1", Err: "absolute file name expected for \"sqlite\" lookup"},
		{Type: "sqlite,file=db", Key: "select 1", Err: "absolute file name expected for \"sqlite\" lookup"},
	}}.Run(t)
	var taint *lookup.TaintError
	if _, _, err := d.Find(context.Background(), &lookup.Request{Key: dir + "/db select 1", KeyTainted: true}); !errors.As(err, &taint) {
		t.Error("a tainted query names its file:", err)
	}
	if text, ok := d.Quote("o'neill", ""); text != "o''neill" || !ok {
		t.Error(text, ok)
	}
}

func TestStatements(t *testing.T) {
	for query, want := range map[string]int{"": 0, ";;": 0, "a;b": 2, "a';'b": 1, `"x;`: 1, "[;]`;`": 1, "a--;\nb": 1, "/*;": 1, "a;--": 2, "create trigger x; y": 1} {
		if got := statements(query); len(got) != want {
			t.Errorf("%q: %q", query, got)
		}
	}
}
