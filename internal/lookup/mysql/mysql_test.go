package mysql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"exigo/internal/lookup"
	"exigo/internal/lookup/lookuptest"
)

type c = lookuptest.Case

func at(servers string) func(any) any {
	return func(any) any { return &settings{servers: servers} }
}

func TestQuote(t *testing.T) { // as exim 4.96 does
	if got, ok := Driver().Quote("a\n\t\r\b'\"\\%_\x1a", ""); got != `a\n\t\r\b\'\"\\%_`+"\x1a" || !ok {
		t.Error(got)
	}
	if _, ok := Driver().Quote("", "x"); ok {
		t.Error("an option is taken")
	}
}

func TestOptionFiles(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"my.cnf":    "# comment\n; another\nuser = nobody\n[mysqld]\nport=1\n[client]\nport = 3307 # c\nhost = \"db.example\"\n!includedir " + dir + "/d\n!include " + dir + "/my.cnf\n",
		"d/one.cnf": "[exim]\nuser='mail user'\npassword=a\\\\b\\s\nssl\nconnect_timeout=3\n[other]\nuser=x\n", "d/two.txt": "[exim]\nuser=y\n",
	} {
		path := filepath.Join(dir, name)
		os.MkdirAll(filepath.Dir(path), 0o700)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	options := readOptions([]string{dir + "/none", dir + "/my.cnf"}, "exim")
	if got := fmt.Sprint(options); got != `map[connect-timeout:3 host:db.example password:a\b  port:3307 ssl:1 user:mail user]` {
		t.Error(got)
	}
	if got := readOptions([]string{dir + "/my.cnf"}, "other"); got["user"] != "x" {
		t.Error(got)
	}
	for in, want := range map[lookup.Server]string{
		{}: "db.example:3307()/mail user", {Host: "h", User: "u"}: "h:3307()/u", {Host: "localhost", Port: "1"}: ":0(/run/mysqld/mysqld.sock)/mail user",
		{Host: "h", Socket: "/s"}: ":0(/s)/mail user", {Host: "::1", Port: "5"}: "::1:5()/mail user",
	} {
		if p, err := placeOf(in, options); err != nil || fmt.Sprintf("%s:%d(%s)/%s", p.host, p.port, p.socket, p.user) != want || p.timeout != 3*time.Second || p.tls.use == (p.host == "") {
			t.Errorf("%+v: %+v, %v", in, p, err)
		}
	}
	if _, err := placeOf(lookup.Server{Port: "x"}, nil); err == nil {
		t.Error("a malformed port is taken")
	}
	for _, e := range []encryption{{ca: dir + "/none"}, {ca: dir + "/my.cnf"}, {cert: dir + "/none"}} {
		if _, err := e.config("h"); err == nil {
			t.Errorf("%+v: no error", e)
		}
	}
	if cfg, err := (encryption{verify: true}).config("h"); err != nil || cfg.InsecureSkipVerify || cfg.ServerName != "h" {
		t.Error(cfg, err)
	}
}

func FuzzOptions(f *testing.F) {
	f.Add("[exim]\nuser='a\\\\' #\n!include x\n[")
	f.Fuzz(func(t *testing.T, text string) {
		r := optionReader{groups: []string{"exim"}, options: map[string]string{}}
		r.read(strings.NewReader(text), func(string, string) {})
	})
}

// start makes a server with its tables.
func start(t *testing.T) (d *lookuptest.Daemon, socket string, stop func()) {
	d = lookuptest.NewDaemon(t, "mysql", "mariadbd", "mariadb-install-db", "mariadb")
	socket = d.Dir + "/sock"
	d.Run(t, "", "mariadb-install-db", "--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db", "--datadir="+d.Dir+"/data")
	stop = d.Start(t, "ready for connections", "mariadbd", "--no-defaults", "--datadir="+d.Dir+"/data", "--socket="+socket, "--bind-address=127.0.0.1", "--port="+strconv.Itoa(d.Port),
		"--innodb-buffer-pool-size=8M", "--performance-schema=off", "--pid-file="+d.Dir+"/pid", "--skip-name-resolve")
	d.Run(t, `create database d; use d; create table t(a int, b varchar(50), f float, g double, h float(7,2), y year, dt datetime, bl blob, de decimal(9,3), u bigint unsigned);
insert into t values(1,'one',1.5,1e20,1.5,0,'2026-01-02 03:04:05','x\0y',1.500,18446744073709551615),(2,'two words',1.23456789,1e-7,2,2026,null,'',0,0),(3,'','3','4',5,1999,null,null,null,null),(4,'a"b\\c=',0,0,0,0,null,null,null,null);
delimiter //
create procedure two() begin select 1; select 2; end//
create user u@'%' identified by 'pw'// grant all on d.* to u@'%'//`, "mariadb", "--no-defaults", "-S", socket, "-uroot")
	return d, socket, stop
}

// TestServer is the suite with a real server. The answers are those of exim 4.96.
func TestServer(t *testing.T) {
	d, socket, stop := start(t)
	tcp := fmt.Sprintf("127.0.0.1::%d", d.Port)
	q := func(key, data string) c { return c{Type: "mysql", Key: key, Data: data} }
	none := func(key string) c { return c{Type: "mysql", Key: key, Missing: true} }
	fail := func(typ, key, text string) c { return c{Type: typ, Key: key, Err: text, Defer: true} }
	closed := lookuptest.Closed(t)
	driver := Driver()
	suite := lookuptest.Suite{Drivers: []*lookup.Driver{driver}, World: lookuptest.Network(), Settings: at("(" + socket + ")/d/root/"), Cases: []c{
		q("select a from t", "1\n2\n3\n4"), q("select a,b from t", "a=1 b=one \na=2 b=\"two words\" \na=3 b=\"\" \na=4 b=a\"b\\c= "),
		q("select * from t where a=1", `a=1 b=one f=1.5 g=1e20 h=1.50 y=0000 dt="2026-01-02 03:04:05" bl=x`+"\x00"+`y de=1.500 u=18446744073709551615 `),
		q("select * from t where a=2", `a=2 b="two words" f=1.23457 g=0.0000001 h=2.00 y=2026 dt="" bl="" de=0.000 u=0 `),
		none("select b from t where a=9"), q("select b from t where a=3", ""), none("select dt from t where a=3"), q("select dt,a from t where a=3", `dt="" a=3 `),
		none("select dt from t where a>1"), q("select dt from t where a=1 or a=2 order by a", "2026-01-02 03:04:05\n"), q("select dt from t where a=1 or a=2 order by a desc", "2026-01-02 03:04:05"),
		q("update t set b=b", "0"), q("update t set b=1 where a=9", "0"), q("create table if not exists xx(a int)", "0"), q("drop table if exists xx", "0"), q("do 1", "0"), q("select 1;", "1"), q(" select 1", "1"),
		q("call two()", "1"), none(""), q("select 1 as `a b`, 2 as `c=d`", "a b=1 c=d=2 "), q("select 'a\nb', 2", "a\nb=\"a\nb\" 2=2 "), q("show tables", "t"), q("select -5, 1.50, true", "-5=-5 1.50=1.50 TRUE=1 "),
		fail("mysql", "selec", "MYSQL: query failed: You have an error in your SQL syntax; check the manual that corresponds to your MariaDB server version for the right syntax to use near 'selec' at line 1\n"),
		fail("mysql", "select * from nosuch", "MYSQL: query failed: Table 'd.nosuch' doesn't exist\n"),
		fail("mysql", "select repeat('x', 1000000) from seq_1_to_20", "MYSQL: query failed: the result is too large\n"),
		{Type: "mysql,servers=" + tcp + "/d/u/pw", Key: "select substring_index(user(),'@',1)", Data: "u"}, q("servers=("+socket+"); select 1", "1"), {Type: "mysql,servers=localhost(" + socket + ")[x]/d/root/", Key: "select 1", Data: "1"},
		{Type: fmt.Sprintf("mysql,servers=127.0.0.1::%d/d/u/pw:nosuch.example/d/u/pw:%s/d/u/pw", closed, tcp), Key: "select 1", Data: "1"}, {Type: "mysql,foo=bar", Key: "select 1", Data: "1"},
		fail("mysql,servers="+tcp+"/d/u/bad", "select 1", "MYSQL connection failed: Access denied for user 'u'@'127.0.0.1' (using password: YES)"),
		fail("mysql,servers="+tcp+"/nodb/u/pw", "select 1", "MYSQL connection failed: Access denied for user 'u'@'%' to database 'nodb'"),
		fail("mysql,servers=("+socket+")//root/", "select * from t", "MYSQL: query failed: No database selected\n"),
		fail(fmt.Sprintf("mysql,servers=127.0.0.1::%d/d/u/pw", closed), "select 1", "MYSQL connection failed: Can't connect to server on '127.0.0.1' (111)"),
		fail("mysql,servers=(/nosuch)/d/u/pw", "select 1", "MYSQL connection failed: Can't connect to local server through socket '/nosuch' (2)"),
		fail("mysql,servers=nosuch.example/d/u/pw", "select 1", "MYSQL connection failed: Unknown server host 'nosuch.example' (-2)"), fail("mysql,servers=again.example/d/u/pw", "select 1", "MYSQL connection failed: Unknown server host 'again.example' (-3)"),
		fail("mysql,servers=localhost/d", "select 1", "incomplete MySQL server data: localhost"), fail("mysql,servers=a/b/c/d/e/f", "select 1", "unexpected slash in MySQL server hostname: a/b/c"),
		fail("mysql,servers=x", "select 1", `MySQL server "x" not found in mysql_servers`), fail("mysql", "servers=x select 1", `missing ; after "servers=" in MySQL lookup`), fail("mysql,servers=h::x/d/u/", "select 1", `malformed port in MySQL server data: "x"`),
	}}
	suite.Run(t)
	ask := func(ctx context.Context, query string) (string, error) {
		r, _, err := driver.Find(ctx, &lookup.Request{World: lookuptest.Network(), Settings: suite.Settings, Key: query})
		return r.Data, err
	}
	if got, err := ask(t.Context(), "update t set b='zwei' where a=2 or a=3"); got != "2" || err != nil {
		t.Error(got, err)
	}
	numbers(t, d, socket, ask)
	connections(t, ask, stop)
}

// numbers compares what we make of floating-point numbers with what the server writes.
func numbers(t *testing.T, d *lookuptest.Daemon, socket string, ask func(context.Context, string) (string, error)) {
	var statements []string
	for _, v := range strings.Fields(`0.1 1.0 100000 1e14 1e15 1e16 123456789012345 1234567890123456 12345678901234567 0.0001 1e-5 1.5e-10 1e-14 1e-15 1.234567890123e-15 1e-16 1.2345e-20 -1.5 999999999999999
		9999999999999999 123456.789e3 1.5e21 0.30000000000000004 1234567890123456e-10 123e13 -1e-7 -1e20 3.4e37`) {
		statements = append(statements, "("+v+","+v+")")
	}
	d.Run(t, "create table d.n(i int auto_increment primary key, d double, f float); insert into d.n(d,f) values"+strings.Join(statements, ","), "mariadb", "--no-defaults", "-S", socket, "-uroot")
	for _, column := range []string{"d", "f"} {
		query := "select " + column + " from d.n order by i"
		want := d.Run(t, query, "mariadb", "--no-defaults", "-S", socket, "-uroot", "-N", "-B")
		if got, err := ask(t.Context(), query); got+"\n" != want || err != nil {
			t.Errorf("%s, %v; want %s", got, err, want)
		}
	}
}

// connections are used again, but not after a statement that changes them, nor when the server has closed them.
func connections(t *testing.T, ask func(context.Context, string) (string, error), stop func()) {
	id := func() string {
		text, err := ask(t.Context(), "select connection_id()")
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	first := id()
	if first != id() {
		t.Error("the connection is not used again")
	}
	for _, query := range []string{"begin", "set @a=1", "/* x */ set sql_mode=''", "create or replace temporary table x(a int)"} {
		first = id()
		if _, err := ask(t.Context(), query); err != nil || first == id() {
			t.Error("a connection is used again after", query, err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := ask(ctx, "select sleep(100)"); !errors.Is(err, lookup.ErrDefer) || !strings.HasPrefix(err.Error(), "MYSQL: query failed: Connection timed out") {
		t.Error(err)
	}
	if _, err := ask(ctx, "select 1"); !errors.Is(err, lookup.ErrDefer) {
		t.Error(err)
	}
	ask(t.Context(), "kill connection_id()")
	id()
	stop()
	if _, err := ask(t.Context(), "select 1"); err == nil || !strings.Contains(err.Error(), "Can't connect to local server through socket") {
		t.Error(err)
	}
}

func TestManyDatabases(t *testing.T) {
	c := &client{open: map[place]*sql.DB{}}
	for i := range maxOpen + 3 {
		if _, err := c.get(lookuptest.Network(), place{host: "h", port: uint16(i)}); err != nil || len(c.open) > maxOpen {
			t.Fatal(len(c.open), err)
		}
	}
}
