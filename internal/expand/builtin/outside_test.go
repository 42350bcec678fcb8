package builtin

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"exigo/internal/expand"
	"exigo/internal/mail"
)

// echo answers each connection with what was sent, in capitals, and a last line.
func echo(t *testing.T, l net.Listener) *atomic.Int32 {
	t.Cleanup(func() { l.Close() })
	var answered atomic.Int32
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			data, _ := io.ReadAll(c)
			io.WriteString(c, strings.ToUpper(string(data))+"\nend\n")
			answered.Add(1)
			c.Close()
		}
	}()
	return &answered
}

func TestReadSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	unix, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	answered := echo(t, unix)
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Skip("no loopback here:", err)
	}
	echo(t, tcp)
	world := testWorld()
	world.Clock = realNow{}
	e, err := expand.New(world, Words(), expand.Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	s := e.NewScope(context.Background(), nil, nil, nil)
	for text, want := range map[string]string{
		"${readsocket{PATH}{abc}}": "ABC\nend\n", "${readsocket{PATH}{abc}{3s}{+}}": "ABC+end+", "${readsocket{inet:ADDR}{abc}{3s:shutdown=yes}{ }}": "ABC end ",
		"${readsocket{PATH}{}{3s}{}{x}}": "\nend\n", "${readsocket{PATHX}{}{3s}{}{x}}": "x",
	} {
		text = strings.NewReplacer("PATH", path, "ADDR", tcp.Addr().String()).Replace(text)
		if v, err := e.Expand(s, text); err != nil || v.S != want {
			t.Errorf("%s: %q %v", text, v.S, err)
		}
	}
	before := answered.Load()
	for i, c := range []struct {
		options string
		asked   int32
	}{{"cache=yes", 1}, {"cache=yes", 1}, {"cache=no", 2}, {"cache=yes", 3}, {"cache=yes", 3}} {
		v, err := e.Expand(s, "${readsocket{"+path+"}{again}{3s:"+c.options+"}}")
		if asked := answered.Load() - before; err != nil || v.S != "AGAIN\nend\n" || asked != c.asked {
			t.Errorf("request %d, %s: %q %v, asked %d times", i, c.options, v.S, err, asked)
		}
	}
}

// realNow is a clock for deadlines of real sockets.
type realNow struct{ stillClock }

func (realNow) Now() time.Time { return time.Now() }

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	if err := os.WriteFile(path, []byte("a\nb\n"), 0o640); err != nil {
		t.Fatal(err)
	}
	os.Chmod(path, 0o640|os.ModeSetuid)
	s := testEngine(t).NewScope(context.Background(), nil, nil, nil)
	for text, want := range map[string]string{
		"${readfile{PATH}}": "a\nb\n", "${readfile{PATH}{, }}": "a, b, ", "${if exists{PATH}{y}{n}}": "y", "${extract{mode}{${stat:PATH}}} ${extract{smode}{${stat:PATH}}}": "4640 -rwSr-----",
		"${extract{size}{${stat:PATH}}}": "4", "${run{/bin/cat PATH}{$value}}": "a\nb\n", "${readfile{DIR}}": "",
	} {
		text = strings.NewReplacer("PATH", path, "DIR", dir).Replace(text)
		if v, err := s.Engine.Expand(s, text); err != nil || v.S != want {
			t.Errorf("%s: %q %v", text, v.S, err)
		}
	}
	for _, word := range []string{"run", "readfile", "readsocket", "exists"} {
		s.SetExtra("forbid_"+word, expand.Value{S: "1"})
	}
	for text, want := range map[string]string{
		"${run{/bin/cat}}": "running a command is not permitted", "${readfile{/x}}": "file insertions are not permitted", "${readsocket{/x}{y}}": "socket insertions are not permitted",
		"${if exists{/x}}": "File existence tests are not permitted", "${stat:/x}": "Use of the stat() expansion is not permitted",
	} {
		if _, err := s.Engine.Expand(s, text); err == nil || err.Error() != want {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestCertificate(t *testing.T) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(0x1234), Subject: pkix.Name{CommonName: "mx.example", Organization: []string{"Acme", "Sons"}}, NotBefore: time.Unix(1000000000, 0), NotAfter: time.Unix(2000000000, 0),
		DNSNames: []string{"mx.example", "mail.example"}, EmailAddresses: []string{"a@b"}, OCSPServer: []string{"http://ocsp.example/"},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		t.Fatal(err)
	}
	c, _ := x509.ParseCertificate(der)
	s := testEngine(t).NewScope(context.Background(), nil, &mail.Session{TLS: &mail.TLS{Peer: c}}, nil)
	for text, want := range map[string]string{
		"${certextract{version}{$tls_in_peercert}} ${certextract{serial_number}{$tls_in_peercert}}":                          "2 1234",
		"${certextract{subject}{$tls_in_peercert}} ${certextract{subject,O,>/}{$tls_in_peercert}}":                           "CN=mx.example,O=Acme+O=Sons Acme/Sons",
		"${certextract{subject,>;}{$tls_in_peercert}}":                                                                       "CN=mx.example;O=Acme+O=Sons",
		"${certextract{notbefore}{$tls_in_peercert}} ${certextract{notafter,int}{$tls_in_peercert}}":                         "Sep  9 01:46:40 2001 +0000 2000000000",
		"${certextract{subj_altname,>;}{$tls_in_peercert}} ${certextract{subj_altname,dns,>;}{$tls_in_peercert}}":            "MAIL=a@b;DNS=mail.example;DNS=mx.example mail.example;mx.example",
		"${certextract{ocsp_uri,>;}{$tls_in_peercert}{<$value>}{n}}${certextract{crl_uri}{$tls_in_peercert}{<$value>}{n}}":   "<http://ocsp.example/>n",
		"${certextract{version}{$tls_out_peercert}{y}{n}} ${strlen:${sha256:$tls_in_peercert}} ${if def:tls_in_peercert{y}}": "n 64 y",
	} {
		if v, err := s.Engine.Expand(s, text); err != nil || v.S != want {
			t.Errorf("%s: %q %v", text, v.S, err)
		}
	}
}

// TestAuthResults has the forms of exim 4.96 and of the conformance tests.
func TestAuthResults(t *testing.T) {
	host := netip.MustParseAddr("127.0.0.1")
	dkim := mail.Verdict{Method: "dkim", Result: "fail", Comment: "body hash mismatch", Properties: []mail.Property{{Type: "header", Name: "d", Value: "test.ex"}}}
	e := testEngine(t)
	primary := e.NewScope(context.Background(), nil, nil, nil).Settings().PrimaryHostname
	for _, x := range []struct {
		session  mail.Session
		message  mail.Message
		verdicts []mail.Verdict
		want     string
	}{
		{session: mail.Session{Host: host, HostName: "localhost", NameLookup: mail.NameFound, Authenticator: "x", AuthPublicName: "tls", AuthID: "server2.example.org", SMTP: true},
			verdicts: []mail.Verdict{{Method: "arc", Result: "none"}, dkim, {Method: "spf", Result: "none", Properties: []mail.Property{{Type: "smtp", Name: "helo", Value: "a;b"}}}},
			want: ";\n\tiprev=pass (localhost) smtp.remote-ip=127.0.0.1;\n\tauth=pass (tls) x509.auth=server2.example.org;\n\tspf=none smtp.helo=\"a;b\";" +
				"\n\tdkim=fail (body hash mismatch)\n\t\t header.d=test.ex;\n\tarc=none"},
		{session: mail.Session{Host: host, NameLookup: mail.NameFailed, Authenticator: "plain", AuthPublicName: "PLAIN", AuthID: "jo e", SMTP: true},
			want: ";\n\tiprev=fail smtp.remote-ip=127.0.0.1;\n\tauth=pass (PLAIN) smtp.auth=\"jo e\""},
		{session: mail.Session{Host: host, NameLookup: mail.NameDeferred, SMTP: true}, want: ";\n\tiprev=temperror smtp.remote-ip=127.0.0.1"},
		{session: mail.Session{Host: host, SMTP: true}, want: ""},
		{session: mail.Session{Local: true}, message: mail.Message{Protocol: "local"}, want: ";\n\tlocal=pass (non-smtp, " + primary + ")"},
		{session: mail.Session{Local: true, AuthID: "root"}, message: mail.Message{Protocol: "local"}, want: ";\n\tlocal=pass (non-smtp, " + primary + ") u=root"},
		{session: mail.Session{Local: true, SMTP: true, AuthID: "root"}, want: ""}, {session: mail.Session{Local: true}, message: mail.Message{Protocol: "local-esmtp"}, want: ""},
	} {
		m := x.message
		m.Session, m.Verdicts = &x.session, x.verdicts
		if v, err := e.Expand(e.NewScope(context.Background(), nil, nil, &m), "${authresults{h}}"); err != nil || v.S != "Authentication-Results: h"+x.want {
			t.Errorf("\n got %q %v\nwant %q", v.S, err, x.want)
		}
	}
}

func TestPrvs(t *testing.T) {
	s := testEngine(t).NewScope(context.Background(), nil, nil, nil) // the clock says day 779 of the count
	for text, want := range map[string]string{
		"${prvs{a@b}{secret}}": "prvs=0786e7d359=a@b", "${prvs{a@b}{secret}{5}}": "prvs=5786eb99a3=a@b",
		"${prvscheck{prvs=0786e7d359=a@b}{secret}}-$prvscheck_result": "a@b-1", "${prvscheck{prvs=0786e7d359=a@b}{secret}{x}}-$prvscheck_result": "x-1",
		"${prvscheck{prvs=0786E7D359=a@b}{secret}{x}}-$prvscheck_result": "x-", "${prvscheck{prvs=0786e7d358=a@b}{secret}{r$prvscheck_result}}": "r",
		"${prvscheck{PRVS=0786e7d359=a@b}{secret}{x}}-$prvscheck_result": "x-1",
	} {
		if v, err := s.Engine.Expand(s, text); err != nil || v.S != want {
			t.Errorf("%s: %q %v", text, v.S, err)
		}
	}
}

func TestCrypt(t *testing.T) {
	for encrypted, want := range map[string]bool{
		"abgOeLfPimXQo": true, "abgOeLfPimXQp": false, "{crypt}abgOeLfPimXQo": true, "{crypt16}abgOeLfPimXQo": true, "": false, "a": false, "!!": false, "*": false,
		"$1$abc$BXBqpb9BZcZhXLgbee.0s/": false, "$1$saltsalt$zhCP8lcFZS9UVShVSYZSZ0": false,
		"0xLB//bc7gxcg": true, "$1$nk0omPAn$7Ebo27u1hfRipcJV4nU5S/": true, "$5$ywCmOiyrzvhwYVFo$uz6YYyMoRzkRCIbP1k.iFwHPei90pmw2BMcgAh9z/SA": true,
		"$6$kcNuDYEaiClCYifH$it/xd8GI7x6YMvp6HD5IdL2LwH1V8cxP6RRC2TiZzmv4HiwU0bcHR/9PzSID4tSxB9cg.Wuci9KWg7xk8K7LC1": true,
		"$2b$04$Ut/mC/ghRGsi46rn0i0Gg.RvT99VVQogDNyF87php13nDAFe9.UXO":                                               true, "$y$j9T$abcdefgh$4aYJlpUYBQ/CwvNaNZWyJ8iEiOSOhXhXiF4pD9oU0p6": true,
		"$5$saltstring$KzoPxCGvoeq8pk1ic8k42zGFVxb/hVAW2bjNv9RxFE5": false, "$y$j9T$x": false, "$2b$x": false, "{md5}CY9rzUYh03PK3k6DJie09g==": true, "{md5}x": false,
	} {
		if got, err := CryptEqual("test", encrypted); got != want || err != nil {
			t.Errorf("%s: %v %v", encrypted, got, err)
		}
	}
}
