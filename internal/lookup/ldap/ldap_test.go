package ldap

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	ldapv3 "github.com/go-ldap/ldap/v3"

	"exigo/internal/expand"
	"exigo/internal/lookup"
	"exigo/internal/lookup/lookuptest"
)

type c = lookuptest.Case

func drivers() map[string]*lookup.Driver {
	types := map[string]*lookup.Driver{}
	for _, d := range Feature().Lookups {
		types[d.Name] = d
	}
	return types
}

// TestQuote has the specification's examples and answers of exim 4.96.
func TestQuote(t *testing.T) {
	for _, c := range []struct{ in, option, want string }{
		{" a(bc)*, a<yz>; ", "", `%20a%5C28bc%5C29%5C2A%2C%20a%3Cyz%3E%3B%20`}, {" a(bc)*, a<yz>; ", "dn", `%5C%20a(bc)*%5C%2C%20a%5C%3Cyz%5C%3E%5C%3B%5C%20`},
		{"two * two", "", "two%20%5C2A%20two"}, {"a\n\tb\r\\*()#;<>,=+\"'!$-._~/@%é\x01 ", "", `a%0A%09b%0D%5C5C%5C2A%5C28%5C29%23%3B%3C%3E%2C%3D+%22'!$-._%7E%2F%40%25%C3%A9%01%20`},
		{"  #a\n\tb\r\\*()#;<>,=+\"'!$-._~/@%é\x01  ", "dn", `%5C%20%5C%20%5C%23a%0A%09b%0D%5C%5C*()%23%5C%3B%5C%3C%5C%3E%5C%2C%3D%5C+%5C%22'!$-._%7E%2F%40%25%C3%A9%01%5C%20%5C%20`},
		{" #  b", "dn", `%5C%20%5C%23%5C%20%5C%20b`}, {"", "dn", ""}, {" ", "dn", "%5C%20"}, {"  ", "dn", "%5C%20%5C%20"}, {"#", "dn", "%5C%23"}, {"a*", "", "a%5C2A"},
	} {
		if got, ok := quote(c.in, c.option); got != c.want || !ok {
			t.Errorf("%q %s: %s", c.in, c.option, got)
		}
	}
	if _, ok := quote("", "xx"); ok {
		t.Error("an option is taken")
	}
}

func TestParse(t *testing.T) {
	for in, want := range map[string]string{
		`user="cn=a b" pass="x\"\\y" size=3 TIME=5 connect=2 dereference=always referrals=nofollow servers=a:b ldap://h:5/o=x%20y?cn,sn?sub?(a=%2A)?e=1`: `cn=a b|x"\y|3|5|2s|3|false|a:b|ldap|h|5|o=x y|[cn sn]|2|(a=*)`,
		`user=cn=ad%6din ldapi://%2Ftmp%2Fs`:           `cn=admin||0|0|0s|0|true||ldapi|/tmp/s|||[]|0|(objectClass=*)`,
		` user=100% size= time=x LDAPS://[::1]:636/?*`: `100%||0|0|0s|0|true||ldaps|::1|636||[*]|0|(objectClass=*)`,
		"ldap://h?o": `||0|0|0s|0|true||ldap|h|||[]|0|(objectClass=*)`, "ldap:///??one": `||0|0|0s|0|true||ldap||||[]|1|(objectClass=*)`, "ldap:///o=b?x%zz?subtree?": `||0|0|0s|0|true||ldap|||o=b|[]|2|(objectClass=*)`,
		"x": errMalformed.Error(), "": errMalformed.Error(), "http://a/": errMalformed.Error(), "foo ldap://a/o=b": errMalformed.Error(), "size=1ldap://a/o=b?o": errMalformed.Error(), `pass="a`: errMalformed.Error(),
		"foo=2 ldap://a/": `unknown parameter "foo=" precedes LDAP URL`, `user ="a" ldap://a/`: `unknown parameter "user =" precedes LDAP URL`, "referrals=bad ldap://a/": `LDAP option REFERRALS is not "follow" or "nofollow"`,
		"size=1 ldapt://a/b/c/d/e/f/g": `LDAP URL does not start with "ldap://", "ldaps://", or "ldapi://" (it starts with "ldapt://a/b/c/d/...")`,
		"ldap://h:abc/":                "ldap_url_parse: (error 5) parsing \"ldap://h:abc/\"\n", "ldap://h/?a?bad": "ldap_url_parse: (error 8) parsing \"ldap://h/?a?bad\"\n", "ldap:///?a?sub?(a=b)?": "ldap_url_parse: (error 10) parsing \"ldap:///?a?sub?(a=b)?\"\n",
		"ldap:///?a?sub?f?x?y": "ldap_url_parse: (error 5) parsing \"ldap:///?a?sub?f?x?y\"\n",
	} {
		q, err := parse(in)
		u := q.url
		got := strings.TrimSpace(fmt.Sprint(q.user, "|", q.password, "|", q.size, "|", q.time, "|", q.nettime, "|", q.dereference, "|", q.follow, "|", q.servers, "|", u.scheme, "|", u.host, "|", u.port, "|", u.base, "|", u.attributes, "|", u.scope, "|", u.filter))
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s:\n got %s\nwant %s", in, got, want)
		}
	}
	for in, want := range map[string]string{`user=a pass="x y" ldap://h/`: `user=a pass=*** ldap://h/`, "PASS=secret": "PASS=***", "ldap://h/pass=x": "ldap://h/pass=x", "pass= ldap:///": "pass= ldap:///", "passwd=x ldap:///": "passwd=*** ldap:///", `user="pass=x" pass=x ldap://h/`: `user="pass=x" pass=*** ldap://h/`} {
		if got := conceal(in); got != want {
			t.Errorf("%s: %s", in, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(`user="a\"b" pass=x ldap://[::1]:1/o=b?a,b?sub?(x=y)?e`)
	f.Fuzz(func(t *testing.T, text string) { parse(text); conceal(text) })
}

const configuration = `include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
TLSCertificateFile DIR/cert.pem
TLSCertificateKeyFile DIR/key.pem
database mdb
suffix "o=base"
rootdn "cn=admin,o=base"
rootpw secret
directory DIR/db
database mdb
suffix "o=two"
directory DIR/two
`

const entries = `dn: o=base
objectClass: organization
o: base

dn: uid=fred,o=base
objectClass: inetOrgPerson
uid: fred
cn: Fred One
cn: One, Fred
sn: One
mail: fred@x
mail: f"q\\z@y
description:: YQpiDWMJZA==
userPassword: pw

dn: uid=joe,o=base
objectClass: inetOrgPerson
uid: joe
cn: Joe
sn: One
userPassword: pw two
jpegPhoto:: /9gAQQ==

dn: cn=a\, b+sn=x,o=base
objectClass: inetOrgPerson
cn: a, b
sn: x

`

const others = `dn: o=two
objectClass: organization
o: two

dn: ou=far,o=two
objectClass: referral
objectClass: extensibleObject
ou: far
ref: ldap://127.0.0.1:PORT/uid=joe,o=base??base
`

// start makes a directory; its certificate is for localhost.
func start(t *testing.T) (d *lookuptest.Daemon, socket string, stop func()) {
	d = lookuptest.NewDaemon(t, "openldap", "slapd", "slapadd", "openssl")
	socket = d.Dir + "/sock"
	d.Run(t, "", "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
		"-keyout", d.Dir+"/key.pem", "-out", d.Dir+"/cert.pem")
	d.Run(t, "", "mkdir", d.Dir+"/db", d.Dir+"/two", d.Dir+"/ca")
	d.Run(t, "", "cp", d.Dir+"/cert.pem", d.Dir+"/ca/one")
	if err := os.WriteFile(d.Dir+"/slapd.conf", []byte(strings.ReplaceAll(configuration, "DIR", d.Dir)), 0o644); err != nil {
		t.Fatal(err)
	}
	d.Run(t, entries, "slapadd", "-q", "-f", d.Dir+"/slapd.conf")
	d.Run(t, strings.ReplaceAll(others, "PORT", fmt.Sprint(d.Port)), "slapadd", "-q", "-n", "2", "-f", d.Dir+"/slapd.conf")
	stop = d.Start(t, "slapd starting", "slapd", "-d", "256", "-f", d.Dir+"/slapd.conf", "-h", fmt.Sprintf("ldap://127.0.0.1:%d/ ldapi://%s", d.Port, strings.ReplaceAll(socket, "/", "%2F")))
	lookuptest.Await(t, "tcp", fmt.Sprintf("127.0.0.1:%d", d.Port))
	lookuptest.Await(t, "unix", socket)
	return d, socket, stop
}

// TestServer is the suite with a real server. The answers are those of exim 4.96.
func TestServer(t *testing.T) {
	d, socket, stop := start(t)
	at := fmt.Sprintf("ldap://127.0.0.1:%d/", d.Port)
	u, path := at+"o=base", strings.ReplaceAll(socket, "/", "%2F")
	q := func(key, data string) c { return c{Type: "ldap", Key: key, Data: data} }
	m := func(key, data string) c { return c{Type: "ldapm", Key: key, Data: data} }
	n := func(key, data string) c { return c{Type: "ldapdn", Key: key, Data: data} }
	none := func(typ, key string) c { return c{Type: typ, Key: key, Missing: true} }
	fail := func(typ, key, text string) c { return c{Type: typ, Key: key, Err: text, Defer: true} }
	more := func(n int) string {
		return fmt.Sprintf("LDAP search: more than one entry (%d) was returned (filter not specific enough?)", n)
	}
	unbound := func(where, reason string) string {
		return "failed to bind the LDAP connection to server " + where + " - " + reason
	}
	closed := lookuptest.Closed(t)
	here, nobody := fmt.Sprintf("127.0.0.1:%d", d.Port), fmt.Sprintf("127.0.0.1:%d", closed)
	list := []*lookup.Driver{}
	for _, name := range []string{"ldap", "ldapdn", "ldapm"} {
		list = append(list, drivers()[name])
	}
	main := &settings{version: -1}
	suite := lookuptest.Suite{Drivers: list, World: lookuptest.Network(), Settings: func(any) any { return main }, Cases: []c{
		q(u+"?cn?sub?(uid=fred)", "Fred One,One,, Fred"), q(u+"?mail?sub?(uid=fred)", `fred@x,f"q\\z@y`), q(u+"?cn,mail?sub?(uid=fred)", `cn="Fred One,One,, Fred" mail="fred@x,f\"q\\\\z@y"`),
		q(u+"??sub?(uid=joe)", `objectClass="inetOrgPerson" uid="joe" cn="Joe" sn="One" userPassword="pw two"`), q(u+"?*?sub?(uid=joe)", "inetOrgPerson,joe,Joe,One,pw two"),
		none("ldap", u+"?cn?sub?(uid=nobody)"), none("ldap", u+"?title?sub?(uid=fred)"), none("ldap", u+"?jpegPhoto?sub?(uid=joe)"), q(u+"?title,cn?sub?(uid=fred)", `cn="Fred One,One,, Fred"`), q(u+"?description?sub?(uid=fred)", "a\nb\rc\td"),
		q(u+"?description,sn?sub?(uid=fred)", "sn=\"One\" description=\"a\\nb\rc\td\""), fail("ldap", u+"?cn?sub?(sn=One)", more(2)), fail("ldap", u+"?cn?sub", more(4)),
		q(u+"?o", "base"), q(u, `objectClass="organization" o="base"`), none("ldap", at+"uid=fred,o=base?cn?base?(sn=Two)"), q(u+"?CN?sub?(uid=joe)", "Joe"), q(u+"?name?sub?(uid=fred)", "Fred One,One,, Fred,One"),
		q(u+"?name,sn?sub?(uid=joe)", `cn="Joe" sn="One"`), none("ldap", u+"?1.1?sub?(uid=fred)"), none("ldap", at+"o=nosuch?cn"), none("ldap", at+"rubbish?cn"), q(u+"?cn?sub?uid=joe", "Joe"),
		q(at, `objectClass="top,OpenLDAProotDSE"`), q(u+"?cn?sub?(uid=joe)?!ext", "Joe"), none("ldap", u+"?cn;lang-de?sub?(uid=fred)"), q(u+"?cn,cn?sub?(uid=joe)", `cn="Joe"`), none("ldap", ""),
		fail("ldap", u+"?cn?sub?(uid=fred", "ldap_search failed: -7, Bad search filter"), fail("ldap", u+"?cn?sub?%26(uid=joe)(cn=Joe)", "ldap_search failed: -7, Bad search filter"), fail("ldap", u+"?cn?sub?%zz", "ldap_search failed: -7, Bad search filter"), fail("ldap", "ldap://127.0.0.1:99999/", unbound("127.0.0.1:99999", "ldap_bind() returned -1")), fail("ldap", u+"?cn?sub?()", "ldap_search failed: -7, Bad search filter"), fail("ldap", "x", errMalformed.Error()),
		fail("ldap", u+"?cn?bad", "ldap_url_parse: (error 8) parsing \""+u+"?cn?bad\"\n"), q(u+"?cn?one?(uid=joe)", "Joe"), q(u+"?cn?children?(uid=joe)", "Joe"),
		m(u+"?cn?sub?(sn=One)", "Fred One,One,, Fred\nJoe"), m(u+"?cn,mail?sub?(sn=One)", "cn=\"Fred One,One,, Fred\" mail=\"fred@x,f\\\"q\\\\\\\\z@y\"\ncn=\"Joe\""), m(u+"?mail?sub?(sn=One)", "fred@x,f\"q\\\\z@y\n"),
		m(u+"?userPassword?sub?(|(o=base)(uid=joe))", "pw two"), none("ldapm", u+"?title?sub?(sn=One)"), none("ldapm", u+"?cn?sub?(sn=Two)"), m("size=1 "+u+"?cn?sub?(sn=One)", "Fred One,One,, Fred"),
		q("size=1 "+u+"?cn?sub?(sn=One)", "Fred One,One,, Fred"), n(u+"?cn?sub?(uid=fred)", "uid=fred,o=base"), fail("ldapdn", u+"?cn?sub?(sn=One)", more(2)), n(u+"?cn?sub?(sn=x)", `cn=a\2C b+sn=x,o=base`),
		none("ldapdn", u+"?cn?sub?(sn=none)"), n(u+"?title?sub?(uid=fred)", "uid=fred,o=base"), n(u+"?1.1?sub?(uid=fred)", "uid=fred,o=base"),
		m(at+"ou=far,o=two?cn", "Joe"), none("ldapm", "referrals=nofollow "+at+"o=two?cn?sub?(uid=joe)"), m(at+"o=two?cn?sub?(uid=joe)", "Joe"), fail("ldap", "referrals=nofollow "+at+"ou=far,o=two?cn", "LDAP search failed - error 10: Referral"),
		q(`user="cn=admin,o=base" pass=secret `+u+"?o", "base"), q("user=cn=ad%6din,o=base PASS=\"secret\" time=5 nettime=2 dereference=always "+u+"?o", "base"),
		fail("ldap", `user="cn=admin,o=base" pass=bad `+u+"?o", unbound(here, "LDAP error 49: Invalid credentials")), fail("ldap", "user=cn=admin,o=base "+u+"?o", unbound(here, "LDAP error 53: Server is unwilling to perform")),
		fail("ldap", "pass=x "+u+"?o", unbound(here, "LDAP error 49: Invalid credentials")), fail("ldap", "user=x pass=y "+u+"?o", unbound(here, "LDAP error 34: Invalid DN syntax")),
		fail("ldap", "ldap://"+nobody+"/o=base", unbound(nobody, "ldap_bind() returned -1")), fail("ldap", "ldap://nosuch.example/", unbound("nosuch.example:389", "ldap_bind() returned -1")),
		q("ldapi://"+path+"/o=base?o", "base"), q("ldap://"+path+"/o=base?o", "base"), q("ldaps://"+path+"/o=base?o", "base"), fail("ldap", "ldapi://localhost/o=base?o", `ldapi requires an absolute path ("localhost" given)`),
		fail("ldap", "ldapi://%2Fnosuch/o=base?o", unbound("/nosuch", "ldap_bind() returned -1")), q("servers="+strings.ReplaceAll(here, ":", "::")+" ldap:///o=base?o", "base"),
		q(`servers="<; `+nobody+";"+here+`" ldap:///o=base?o`, "base"), q("servers=x "+u+"?o", "base"), fail("ldap", `servers="<; `+here+";"+nobody+`" ldap:///o=base?cn?sub?(sn=One)`, more(2)),
		fail("ldap", `servers="<; `+here+";"+nobody+`" ldapi:///o=base?o`, `ldapi requires an absolute path ("127.0.0.1" given)`), q("servers="+socket+" ldapi:///o=base?o", "base"),
	}}
	suite.Run(t)
	main.servers = "<; " + nobody + " ; " + here
	lookuptest.Suite{Drivers: list, World: suite.World, Settings: suite.Settings, Cases: []c{q("ldap:///o=base?o", "base")}}.Run(t)
	encryption(t, d, list, main)
	authentication(t, at, here, nobody)
	main.servers, main.version = "", 2
	lookuptest.Suite{Drivers: Feature().Lookups, World: suite.World, Settings: suite.Settings, Cases: []c{fail("ldap", u, "failed to initialize for LDAP server "+here+" - version 2 is not supported")}}.Run(t)
	main.version = 3
	connections(t, main, u, stop)
}

// encryption: StartTLS, with the server's certificate known and unknown.
func encryption(t *testing.T, d *lookuptest.Daemon, list []*lookup.Driver, main *settings) {
	try := func(s settings, query, data, failure string) {
		t.Helper()
		s.version, s.startTLS = -1, true
		want := c{Type: "ldap", Key: query, Data: data, Err: failure, Defer: failure != ""}
		lookuptest.Suite{Drivers: Feature().Lookups, World: lookuptest.Network(), Settings: func(any) any { return &s }, Cases: []c{want}}.Run(t)
	}
	u := fmt.Sprintf("ldap://localhost:%d/o=base?o", d.Port)
	refused := fmt.Sprintf("failed to initiate TLS processing on an LDAP session to server localhost:%d - ldap_start_tls_s() returned -11: Connect error", d.Port)
	try(settings{caFile: d.Dir + "/cert.pem"}, u, "base", "")
	try(settings{caDir: d.Dir + "/ca", ciphers: "ECDHE-ECDSA-AES128-GCM-SHA256", certFile: d.Dir + "/cert.pem", certKey: d.Dir + "/key.pem"}, u, "base", "")
	try(settings{requireCert: "never"}, u, "base", "")
	try(settings{requireCert: "allow", caDir: filepath.Join(d.Dir, "db")}, u, "base", "")
	try(settings{}, u, "", refused)
	try(settings{caFile: d.Dir + "/cert.pem", requireCert: "hard"}, strings.Replace(u, "localhost", "127.0.0.1", 1), "", strings.Replace(refused, "localhost", "127.0.0.1", 1))
	try(settings{caFile: d.Dir + "/none"}, u, "", fmt.Sprintf("failed to initialize for LDAP server localhost:%d - failed to open %s/none for LDAP certificates: No such file or directory", d.Port, d.Dir))
	try(settings{caFile: d.Dir + "/cert.pem"}, "ldapi://"+strings.ReplaceAll(d.Dir+"/sock", "/", "%2F")+"/o=base?o", "base", "")
}

func authentication(t *testing.T, at, here, nobody string) {
	client := &client{}
	for in, want := range map[string]string{
		`user="uid=fred,o=base" pass=pw ` + at: "true", `user="uid=fred,o=base" pass=bad ` + at: "false", `user="uid=fred,o=base" pass= ` + at: "false", `user="uid=nosuch,o=base" pass=x ` + at: "false",
		`user=uid%3Djoe,o=base pass="pw two" ` + at + "o=base?cn?sub?(uid=x)": "true", `user="" pass=pw ` + at: "false",
		`user="uid=fred,o=base" ` + at: "ldapauth lookups must specify the username and password", "pass=x " + at: "ldapauth lookups must specify the username and password", `user="x=y" pass=pw`: errMalformed.Error(), "": errMalformed.Error(),
		`user=rubbish pass=x ` + at:                                                         "failed to bind the LDAP connection to server " + here + " - LDAP error 34: Invalid DN syntax",
		`user="x=y" pass=pw ldap://` + nobody + "/":                                         "failed to bind the LDAP connection to server " + nobody + " - ldap_bind() returned -1",
		`user="x=y" pass=pw ` + at + "?a?b?":                                                "ldap_url_parse: (error 8) parsing \"" + at + "?a?b?\"\n",
		`user=x pass=y servers="<; ` + nobody + `" ldap:///`:                                "failed to bind the LDAP connection to server " + nobody + " - ldap_bind() returned -1",
		`user="uid=fred,o=base" pass=pw servers="<; ` + nobody + "; " + here + `" ldap:///`: "true",
	} {
		yes, err := client.authenticate(t.Context(), lookuptest.Network(), &settings{version: -1}, in)
		got := fmt.Sprint(yes)
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: %s", in, got)
		}
	}
}

// connections are used again, also after the server has closed them; ldap_dn is set.
func connections(t *testing.T, main *settings, u string, stop func()) {
	d, scope := drivers()["ldap"], &expand.Scope{}
	ask := func(ctx context.Context, query string) error {
		_, _, err := d.Find(ctx, &lookup.Request{World: lookuptest.Network(), Settings: func(any) any { return main }, Key: query, Scope: scope})
		return err
	}
	if err := ask(t.Context(), u+"?cn?sub?(uid=joe)"); err != nil || scope.Extra["ldap_dn"].S != "uid=joe,o=base" {
		t.Error(err, scope.Extra)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := ask(ctx, "user=cn=admin,o=base pass=secret "+u); !errors.Is(err, lookup.ErrDefer) {
		t.Error(err)
	}
	stop()
	if err := ask(t.Context(), u); err == nil || !strings.Contains(err.Error(), "ldap_bind() returned -1") {
		t.Error(err)
	}
}

// TestTooLarge: what a server sends has bounds, and one that says nothing is left when the context ends.
func TestTooLarge(t *testing.T) {
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	m := &metered{Conn: near}
	m.left.Store(3)
	go far.Write([]byte("abcd"))
	if n, err := m.Read(make([]byte, 2)); n != 2 || err != nil {
		t.Error(n, err)
	}
	if _, err := m.Read(make([]byte, 2)); !errors.Is(err, errTooLarge) {
		t.Error(err)
	}
	near.SetReadDeadline(time.Unix(1, 0))
	if _, err := m.Read(make([]byte, 2)); err == nil || !m.late.Load() {
		t.Error(err)
	}
	// Each referral leads nowhere; there are too many of them.
	f := &found{}
	err := (&client{}).refer(t.Context(), lookuptest.Network(), &settings{version: -1}, query{}, slices.Repeat([]string{"ldap://nosuch.example/"}, maxFollowed+1), &ldapv3.SearchRequest{Filter: "(a=b)"}, f, 0)
	if !isSerious(err) || err.Error() != "LDAP search failed: too many referrals" {
		t.Error(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		if conn, err := l.Accept(); err == nil {
			conn.Read(make([]byte, 1)) // the bind request
			cancel()
		}
	}()
	_, _, err = drivers()["ldap"].Find(ctx, &lookup.Request{World: lookuptest.Network(), Key: "ldap://" + l.Addr().String() + "/"})
	if !errors.Is(err, lookup.ErrDefer) {
		t.Error(err)
	}
	if got := referralsOf(&ldapv3.Error{}); got != nil {
		t.Error(got)
	}
}
