package pgsql

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"exigo/internal/lookup"
	"exigo/internal/lookup/lookuptest"
	"exigo/internal/outside"
)

type c = lookuptest.Case

func at(servers string) func(any) any {
	return func(any) any { return &settings{servers: servers} }
}

func world() *outside.World {
	w := lookuptest.Network()
	w.Random = outside.Real().Random
	return w
}

func TestQuote(t *testing.T) { // as exim 4.96 does
	if got, ok := Driver().Quote("a\n\t\r\b'\"\\%_\x1a", ""); got != `a\n\t\r\b''\"\\%_`+"\x1a" || !ok {
		t.Error(got)
	}
	if _, ok := Driver().Quote("", "x"); ok {
		t.Error("an option is taken")
	}
}

// TestExcerpt: what psql shows.
func TestExcerpt(t *testing.T) {
	long := strings.Repeat("x", 100)
	for _, c := range []struct {
		query string
		at    int
		want  string
	}{
		{"selec", 1, "LINE 1: selec\n        ^\n"}, {"select 1;\nselec", 11, "LINE 2: selec\n        ^\n"}, {"a\r\nbc\r\nd", 5, "LINE 2: bc\n         ^\n"}, {"é\tx", 3, "LINE 1: é x\n          ^\n"},
		{"ab", 3, "LINE 1: ab\n          ^\n"}, {"ab", 9, ""}, {"", 0, ""}, {"\xff", 1, ""}, {long, 1, "LINE 1: " + long[:60] + "...\n        ^\n"},
		{long, 100, "LINE 1: ..." + long[:60] + "\n" + strings.Repeat(" ", 8+3+59) + "^\n"}, {long, 61, "LINE 1: ..." + long[:60] + "...\n" + strings.Repeat(" ", 8+3+50) + "^\n"},
	} {
		if got := excerpt(c.query, c.at); got != c.want {
			t.Errorf("%.20q %d:\n%s\nwant\n%s", c.query, c.at, got, c.want)
		}
	}
}

// TestScram has the example of RFC 7677, but for the name, which PostgreSQL leaves out.
func TestScram(t *testing.T) {
	s := &scram{password: "pencil", nonce: "rOprNGfwEbeRWgbNEkqO"}
	const challenge = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
	if got, err := s.next(challenge); err != nil || !strings.HasPrefix(got, "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=") {
		t.Error(got, err)
	}
	if s.end("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=") == nil || s.end("") == nil || s.proven {
		t.Error("a wrong signature is taken")
	}
	for _, bad := range []string{"", "r=x", "r=rOprNGfwEbeRWgbNEkqO,s=YQ==,i=1", "r=rOprNGfwEbeRWgbNEkqOx,s=Y,i=1", "r=rOprNGfwEbeRWgbNEkqOx,s=YQ==,i=0", "r=rOprNGfwEbeRWgbNEkqOx,s=YQ==,i=99999999",
		"r=rOprNGfwEbeRWgbNEkqOx,i=1,s=YQ==", "e=x"} {
		if got, err := s.next(bad); err == nil {
			t.Error(bad, got)
		}
	}
	if _, err := (*scram)(nil).next(challenge); err == nil || (*scram)(nil).end("v=") == nil {
		t.Error("a challenge that was not asked for is answered")
	}
	if _, err := newScram(nil, []string{"SCRAM-SHA-256-PLUS"}, ""); err == nil {
		t.Error("a mechanism is taken")
	}
}

const tables = `create user u; create user ss; create user sc password 'pw'; set password_encryption='md5'; create user md password 'pw';
create table t(a int, b text, f real, g double precision, ts timestamp, bo boolean, bi bytea);
insert into t values(1,'one',1.5,1e20,'2026-01-02 03:04:05',true,'\x0041'),(2,'two words',0.1,1e-7,null,false,null),(3,'',null,null,null,null,null),(4,'a"b\c=',0,0,null,null,null);
grant all on t to public; grant all on schema public to public;`

const access = `local all postgres trust
local all all trust
hostnossl all ss all reject
host all sc 127.0.0.1/32 scram-sha-256
host all md 127.0.0.1/32 md5
host all all 127.0.0.1/32 trust
`

// start makes a server with its tables; stop ends it.
func start(t *testing.T) (d *lookuptest.Daemon, socket string, stop func()) {
	d = lookuptest.NewDaemon(t, "postgres", "initdb", "postgres", "psql", "openssl")
	d.End = syscall.SIGINT // does not wait for sessions
	data := d.Dir + "/data"
	d.Run(t, "", "initdb", "-D", data, "-A", "trust", "-U", "postgres", "--no-sync", "--no-instructions")
	if err := os.WriteFile(data+"/pg_hba.conf", []byte(access), 0o644); err != nil {
		t.Fatal(err)
	}
	d.Run(t, "", "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj", "/CN=x", "-keyout", data+"/server.key", "-out", data+"/server.crt")
	stop = d.Start(t, "database system is ready to accept connections", "postgres", "-D", data, "-k", d.Dir, "-p", strconv.Itoa(d.Port), "-h", "127.0.0.1", "-c", "fsync=off", "-c", "ssl=on",
		"-c", "shared_buffers=1MB")
	d.Run(t, tables, "psql", "-q", "-h", d.Dir, "-p", strconv.Itoa(d.Port), "-U", "postgres", "-v", "ON_ERROR_STOP=1")
	return d, fmt.Sprintf("%s/.s.PGSQL.%d", d.Dir, d.Port), stop
}

// TestServer is the suite with a real server. The answers are those of exim 4.96.
func TestServer(t *testing.T) {
	d, socket, stop := start(t)
	tcp := fmt.Sprintf("127.0.0.1::%d", d.Port)
	q := func(key, data string) c { return c{Type: "pgsql", Key: key, Data: data} }
	none := func(key string) c { return c{Type: "pgsql", Key: key, Missing: true} }
	fail := func(typ, key, text string) c { return c{Type: typ, Key: key, Err: text, Defer: true} }
	wrong := func(key, text string) c { return fail("pgsql", key, "PGSQL: query failed: "+text+" ("+key+")\n") }
	closed := lookuptest.Closed(t)
	driver := Driver()
	suite := lookuptest.Suite{Drivers: []*lookup.Driver{driver}, World: world(), Settings: at("(" + socket + ")/postgres/u/"), Cases: []c{
		q("select a from t", "1\n2\n3\n4"), q("select a,b from t", "a=1 b=one \na=2 b=\"two words\" \na=3 b=\"\" \na=4 b=a\"b\\c= "),
		q("select * from t where a=1", `a=1 b=one f=1.5 g=1e+20 ts="2026-01-02 03:04:05" bo=t bi=\x0041 `), q("select * from t where a=2", `a=2 b="two words" f=0.1 g=1e-07 ts="" bo=f bi="" `),
		none("select b from t where a=9"), q("select b from t where a=3", ""), q("select ts from t where a=3", ""), q("select ts,a from t where a=3", `ts="" a=3 `),
		q("update t set b=b", "4"), q("update t set b=1 where a=9", "0"), none("create table if not exists xx(a int)"), none("drop table if exists xx"), q("select 1;", "1"), q("select 1; select 2", "2"),
		q("select 1; update t set b=b", "4"), q(" select 1", "1"), none(""), none(";"), none("--"), none("begin; select 1; commit"), q(`select 1 as "a b", 2 as "c=d"`, "a b=1 c=d=2 "),
		q("select 'a\nb', 2", "?column?=\"a\nb\" ?column?=2 "), q("begin; insert into t(a) values(77); delete from t where a=77 returning a", "77"), none("begin"), none("listen x"),
		none("do $$begin raise notice 'hello'; end$$"), q(`select '"x', 'a=b'`, `?column?="\"x" ?column?=a=b `), q("select from t", "\n\n\n"), none("select from t where a=9"), q("select '' from t", "\n\n\n"), q("select true, null", `?column?=t ?column?="" `),
		wrong("selec", "ERROR:  syntax error at or near \"selec\"\nLINE 1: selec\n        ^\n (PGRES_FATAL_ERROR)"),
		wrong("select 1; selec", "ERROR:  syntax error at or near \"selec\"\nLINE 1: select 1; selec\n                  ^\n (PGRES_FATAL_ERROR)"),
		wrong("select * from nosuch", "ERROR:  relation \"nosuch\" does not exist\nLINE 1: select * from nosuch\n                      ^\n (PGRES_FATAL_ERROR)"),
		wrong("fetch all from x", "ERROR:  cursor \"x\" does not exist\n (PGRES_FATAL_ERROR)"), wrong("copy t to stdout", " (PGRES_COPY_OUT)"), wrong("copy t from stdin", " (PGRES_COPY_IN)"),
		wrong("do $$begin raise exception 'x' using detail='d', hint='h'; end$$", "ERROR:  x\nDETAIL:  d\nHINT:  h\nCONTEXT:  PL/pgSQL function inline_code_block line 1 at RAISE\n (PGRES_FATAL_ERROR)"),
		fail("pgsql", "select repeat('x', 17000000)", "PGSQL: query failed: the result is too large"), fail("pgsql", "select repeat('x', 100000) from generate_series(1,200)", "PGSQL: query failed: the result is too large"),
		{Type: "pgsql,servers=" + tcp + "/postgres/sc/pw", Key: "select current_user", Data: "sc"}, {Type: "pgsql,servers=" + tcp + "/postgres/md/pw", Key: "select current_user", Data: "md"},
		{Type: "pgsql,servers=localhost::" + strconv.Itoa(d.Port) + "/postgres/u/", Key: "select current_user", Data: "u"}, q("servers=("+socket+"); select 1", "1"), q("servers=("+socket+")/postgres/u/x; select 1", "1"),
		{Type: fmt.Sprintf("pgsql,servers=127.0.0.1::%d/d/u/:nosuch.example/d/u/:%s/postgres/sc/pw", closed, tcp), Key: "select 1", Data: "1"},
		{Type: "pgsql,servers=" + tcp + "/postgres/ss/", Key: "select ssl from pg_stat_ssl where pid=pg_backend_pid()", Data: "t"},
		{Type: "pgsql,foo=bar", Key: "select 1", Data: "1"},
		fail("pgsql,servers="+tcp+"/postgres/sc/bad", "select 1", fmt.Sprintf("PGSQL connection failed: connection to server at \"127.0.0.1\", port %d failed: FATAL:  password authentication failed for user \"sc\"\n", d.Port)),
		fail("pgsql,servers="+tcp+"/postgres/sc/", "select 1", fmt.Sprintf("PGSQL connection failed: connection to server at \"127.0.0.1\", port %d failed: fe_sendauth: no password supplied\n", d.Port)),
		fail("pgsql,servers="+tcp+"/nodb/u/pw", "select 1", fmt.Sprintf("PGSQL connection failed: connection to server at \"127.0.0.1\", port %d failed: FATAL:  database \"nodb\" does not exist\n", d.Port)),
		fail("pgsql,servers=("+socket+")//u/", "select 1", "PGSQL connection failed: connection to server on socket \""+socket+"\" failed: FATAL:  database \"u\" does not exist\n"),
		fail(fmt.Sprintf("pgsql,servers=127.0.0.1::%d/d/u/pw", closed), "select 1", fmt.Sprintf("PGSQL connection failed: connection to server at \"127.0.0.1\", port %d failed: Connection refused\n\tIs the server running on that host and accepting TCP/IP connections?\n", closed)),
		fail("pgsql,servers=(/nosuch/.s.PGSQL.5)/d/u/pw", "select 1", "PGSQL connection failed: connection to server on socket \"/nosuch/.s.PGSQL.5\" failed: No such file or directory\n\tIs the server running locally and accepting connections on that socket?\n"),
		fail("pgsql,servers=(/nosuch)/d/u/pw", "select 1", "PGSQL invalid filename for socket: /nosuch"), fail("pgsql,servers=localhost/d", "select 1", "incomplete pgSQL server data: localhost"),
		fail("pgsql,servers=a/b/c/d/e/f", "select 1", "unexpected slash in pgSQL server hostname: a/b/c"), fail("pgsql,servers=x", "select 1", `PostgreSQL server "x" not found in pgsql_servers`),
		fail("pgsql,servers=nosuch.example/d/u/pw", "select 1", "PGSQL connection failed: could not translate host name \"nosuch.example\" to address: Name or service not known\n"),
		fail("pgsql,servers=127.0.0.1::abc/d/u/pw", "select 1", "PGSQL connection failed: invalid integer value \"abc\" for connection option \"port\"\n"),
		fail("pgsql,servers=127.0.0.1::70000/d/u/pw", "select 1", "PGSQL connection failed: invalid port number: \"70000\"\n"),
		fail("pgsql", "servers=x select 1", `missing ; after "servers=" in PostgreSQL lookup`),
	}}
	suite.Run(t)
	connections(t, driver, suite.Settings, stop)
}

// connections are used again, but not in the middle of a transaction or with other settings, nor when the server is gone.
func connections(t *testing.T, driver *lookup.Driver, settings func(any) any, stop func()) {
	ask := func(ctx context.Context, query string) (string, error) {
		r, _, err := driver.Find(ctx, &lookup.Request{World: world(), Settings: settings, Key: query})
		return r.Data, err
	}
	pid := func() string {
		text, err := ask(t.Context(), "select pg_backend_pid()")
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	first := pid()
	if first != pid() {
		t.Error("the connection is not used again")
	}
	for _, query := range []string{"begin", "set search_path to nowhere", "select set_config('application_name', 'x', false)", "create temporary table t(a int)"} {
		first = pid()
		if _, err := ask(t.Context(), query); err != nil || first == pid() {
			t.Error("a connection is used again after", query, err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := ask(ctx, "select pg_sleep(100)"); !errors.Is(err, lookup.ErrDefer) || !strings.HasPrefix(err.Error(), "PGSQL: query failed: Connection timed out") {
		t.Error(err)
	}
	for n := "1"; n != "0"; { // the server hears of it too
		var err error
		if n, err = ask(t.Context(), "select count(*) from pg_stat_activity where state='active' and query like '%pg_sleep%' and pid<>pg_backend_pid()"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := ask(ctx, "select 1"); !errors.Is(err, lookup.ErrDefer) {
		t.Error(err)
	}
	if _, err := ask(t.Context(), "select pg_terminate_backend(pg_backend_pid())"); !errors.Is(err, lookup.ErrDefer) {
		t.Error(err)
	}
	if got := pid(); got == "" {
		t.Error("no connection after one was ended")
	}
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if got, err := ask(t.Context(), "select a from t where a=2"); got != "2" || err != nil {
				t.Error(got, err)
			}
		})
	}
	all.Wait()
	stop()
	if _, err := ask(t.Context(), "select 1"); err == nil || !strings.Contains(err.Error(), "connection to server on socket") {
		t.Error(err)
	}
}

func FuzzScram(f *testing.F) {
	f.Add("r=abcx,s=YQ==,i=1", "v=YQ==")
	f.Fuzz(func(t *testing.T, challenge, end string) {
		if strings.Contains(challenge, "i=") && len(challenge) > 40 {
			return // work without end
		}
		s := &scram{password: "x", nonce: "abc"}
		if _, err := s.next(challenge); err == nil && s.end(end) == nil {
			t.Error("a signature is taken")
		}
	})
}

func FuzzExcerpt(f *testing.F) {
	f.Add("select\r\nx", 3)
	f.Fuzz(func(t *testing.T, query string, at int) { excerpt(query, at) })
}
