package catalog

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"exigo/internal/expand"
	"exigo/internal/lookup"
	"exigo/internal/lookup/lookuptest"
	"exigo/internal/proto/berkeleydb"
	"exigo/internal/proto/cdb"
)

// lookupRows is how many lines the files have that the lookups search.
const lookupRows = 10_000

// lookupFiles makes a file for each type of lookup.
func lookupFiles(b *testing.B) (dir string) {
	b.Helper()
	dir = b.TempDir()
	must := func(err error) {
		b.Helper()
		if err != nil {
			b.Fatal(err)
		}
	}
	var lines, wild, nets, object strings.Builder
	var zero, plain []berkeleydb.Pair
	constant, err := os.Create(filepath.Join(dir, "cdb"))
	must(err)
	w, err := cdb.NewWriter(constant)
	must(err)
	object.WriteString("{")
	for i := range lookupRows {
		key, value := fmt.Sprintf("user%d@example.com", i), fmt.Sprintf("value %d", i)
		fmt.Fprintf(&lines, "%s: %s\n", key, value)
		fmt.Fprintf(&wild, "*.domain%d.example: %s\n", i, value)
		fmt.Fprintf(&nets, "10.%d.%d.0/24: %s\n", i/200, i%200, value)
		fmt.Fprintf(&object, "%q: %q,", key, value)
		zero = append(zero, berkeleydb.Pair{Key: []byte(key + "\x00"), Value: []byte(value + "\x00")})
		plain = append(plain, berkeleydb.Pair{Key: []byte(key), Value: []byte(value)})
		must(w.Add([]byte(key), []byte(value)))
	}
	object.WriteString(`"end": 1}`)
	must(w.Close())
	must(constant.Close())
	for name, text := range map[string]string{"lines": lines.String(), "wild": wild.String(), "nets": nets.String(), "json": object.String()} {
		must(os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	for name, pairs := range map[string][]berkeleydb.Pair{"dbm": zero, "dbmnz": plain} {
		f, err := os.Create(filepath.Join(dir, name))
		must(err)
		must(berkeleydb.WriteHash(f, pairs))
		must(f.Close())
	}
	packed, err := os.Open("../proto/lmdb/testdata/small.mdb.gz")
	must(err)
	defer packed.Close()
	z, err := gzip.NewReader(packed)
	must(err)
	data, err := io.ReadAll(z)
	must(err)
	must(os.WriteFile(filepath.Join(dir, "lmdb"), data, 0o600))
	return dir
}

// BenchmarkLookup looks keys up in a file of each type, of 10,000 lines (lmdb: 120), each time in a new scope: nothing is known of the result.
func BenchmarkLookup(b *testing.B) {
	dir := lookupFiles(b)
	words := Default().words()
	e, err := expand.New(lookuptest.World(), words, expand.Hooks{})
	if err != nil {
		b.Fatal(err)
	}
	for _, d := range words.Lookups {
		if d.Name != "sqlite" {
			continue
		}
		for _, statement := range []string{"create table t(k text primary key, v text)",
			fmt.Sprintf("with recursive n(i) as (select 0 union all select i+1 from n where i < %d) insert into t select 'user' || i, i from n", lookupRows-1)} {
			if _, _, err := d.Find(context.Background(), &lookup.Request{World: e.World, Key: dir + "/sqlite " + statement}); err != nil {
				b.Fatal(err)
			}
		}
	}
	for name, text := range map[string]string{
		"lsearch":         "${lookup{user7777@example.com}lsearch{DIR/lines}{$value}fail}",
		"lsearch, absent": "${if !eq{${lookup{nobody@example.com}lsearch{DIR/lines}{x}}}{x}{y}fail}",
		"lsearch*@":       "${lookup{user7777@example.com}lsearch*@{DIR/lines}{$value}fail}",
		"wildlsearch":     "${lookup{a.domain7777.example}wildlsearch{DIR/wild}{$value}fail}",
		"nwildlsearch":    "${lookup{a.domain7777.example}nwildlsearch{DIR/wild}{$value}fail}",
		"partial-lsearch": "${lookup{a.b.domain7777.example}partial-lsearch{DIR/wild}{$value}fail}",
		"iplsearch":       "${lookup{10.38.177.9}iplsearch{DIR/nets}{$value}fail}",
		"cdb":             "${lookup{user7777@example.com}cdb{DIR/cdb}{$value}fail}",
		"dbm":             "${lookup{user7777@example.com}dbm{DIR/dbm}{$value}fail}",
		"dbmnz":           "${lookup{user7777@example.com}dbmnz{DIR/dbmnz}{$value}fail}",
		"dbmjz":           "${lookup{user7777@example.com}dbmjz{DIR/dbmnz}{$value}fail}",
		"lmdb":            "${lookup{key057}lmdb{DIR/lmdb}{$value}fail}",
		"dsearch":         "${lookup{lines}dsearch{DIR}{$value}fail}",
		"json":            "${lookup{user7777@example.com}json{DIR/json}{$value}fail}",
		"sqlite":          "${lookup sqlite,file=DIR/sqlite{select v from t where k='user7777'}{$value}fail}",
	} {
		text = strings.ReplaceAll(text, "DIR", dir)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s := e.NewScope(context.Background(), nil, nil, nil)
				if v, err := e.Expand(s, text); err != nil || v.S == "" {
					b.Fatal(v, err)
				}
			}
		})
	}
}
