package tlspolicy

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"exigo/internal/config"
	"exigo/internal/expand"
	"exigo/internal/mail"
	"exigo/internal/option"
	"exigo/internal/testkit"
)

// authority is a CA that a test makes.
type authority struct {
	t    testing.TB
	dir  string
	now  time.Time
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t testing.TB, now time.Time) *authority {
	a := &authority{t: t, dir: t.TempDir(), now: now}
	a.cert, a.key = a.issue("ca", &x509.Certificate{Subject: pkix.Name{Organization: []string{"example.com"}, CommonName: "test CA"}, IsCA: true,
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign})
	return a
}

var serial int64

// issue makes a certificate and writes DIR/name.pem and DIR/name.key.
func (a *authority) issue(name string, template *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	serial++
	template.SerialNumber = big.NewInt(serial)
	template.NotBefore, template.NotAfter = a.now.Add(-time.Hour), a.now.Add(time.Hour)
	parent, signer := template, key
	if a.cert != nil {
		parent, signer = a.cert, a.key
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		a.t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	a.write(name+".pem", "CERTIFICATE", raw)
	a.write(name+".key", "PRIVATE KEY", der)
	cert, err := x509.ParseCertificate(raw)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert, key
}

func (a *authority) path(name string) string { return filepath.Join(a.dir, name) }

func (a *authority) write(name, kind string, der []byte) {
	if err := os.WriteFile(a.path(name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		a.t.Fatal(err)
	}
}

func (a *authority) leaf(name string) { // for host names of the same name
	a.issue(name, &x509.Certificate{Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}})
}

// revoke writes DIR/crl.pem with the certificate's number.
func (a *authority) revoke(cert *x509.Certificate) {
	list := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: a.now, NextUpdate: a.now.Add(time.Hour),
		RevokedCertificateEntries: []x509.RevocationListEntry{{SerialNumber: cert.SerialNumber, RevocationTime: a.now}}}
	raw, err := x509.CreateRevocationList(rand.Reader, list, a.cert, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	a.write("crl.pem", "X509 CRL", raw)
}

// bench is a policy with the options of a server.
type bench struct {
	policy *Policy
	main   *config.Main
	config *config.Config
	log    strings.Builder
	ca     *authority
}

func newBench(t testing.TB) *bench {
	world := testkit.NewWorld(t)
	bag := option.Bag{}
	bag.Add(config.MainOptions())
	b := &bench{main: option.Of[config.Main](bag), config: &config.Config{Main: bag}, ca: newAuthority(t, testkit.Epoch())}
	b.main.PrimaryHostname = "host.test"
	b.policy = &Policy{World: world.World, Log: func(_, line string) { b.log.WriteString(line + "\n") },
		Expand: func(s *expand.Scope, text string) (mail.Value, error) {
			if strings.Contains(text, "fail") {
				return mail.Value{}, expand.ErrForced
			}
			sni := ""
			if s.Session != nil && s.Session.TLS != nil {
				sni = s.Session.TLS.SNI
			}
			if sni == "" {
				sni = "default.test"
			}
			return mail.Clean(strings.ReplaceAll(text, "$tls_in_sni", sni)), nil
		},
		MatchHost: func(_ *expand.Scope, list string) (bool, error) { return false, nil }}
	return b
}

// connect performs a handshake between a server with the bench's options and a client with o.
func (b *bench) connect(t testing.TB, o ClientOptions) (server, client *mail.TLS, serverErr, clientErr error) {
	t.Helper()
	left, right := loopback(t)
	defer left.Close()
	defer right.Close()
	sh, err := b.policy.Server(&expand.Scope{Config: b.config, Session: &mail.Session{}, Ctx: context.Background()})
	if err != nil {
		return nil, nil, err, nil
	}
	ch, err := b.policy.Client(&expand.Scope{Config: b.config, Session: &mail.Session{}, Host: &mail.Host{Name: o.HostName}}, o)
	if err != nil {
		return nil, nil, nil, err
	}
	done := make(chan error, 1)
	sc := tls.Server(left, sh.Config)
	go func() {
		err := sc.Handshake()
		if err == nil {
			_, err = sc.Write([]byte("x"))
		}
		done <- err
		left.Close()
	}()
	cc := tls.Client(right, ch.Config)
	if clientErr = cc.Handshake(); clientErr == nil {
		_, clientErr = cc.Read(make([]byte, 1))
	}
	right.Close()
	serverErr = <-done
	if serverErr == nil {
		server, serverErr = sh.Finish(sc.ConnectionState())
	}
	if clientErr == nil {
		client, clientErr = ch.Finish(cc.ConnectionState())
	}
	return server, client, serverErr, clientErr
}

// loopback makes two ends of a TCP connection.
func loopback(t testing.TB) (server, client net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if client, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if server, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	return server, client
}

func TestHandshakes(t *testing.T) {
	b := newBench(t)
	for _, name := range []string{"default.test", "other.test", "client.test"} {
		b.ca.leaf(name)
	}
	dir := b.ca.dir
	b.main.TLSCertificate = option.Expanded(dir + "/$tls_in_sni.pem")
	b.main.TLSPrivateKey = option.Expanded(dir + "/$tls_in_sni.key")
	b.main.TLSVerifyCertificates = option.Expanded(dir + "/ca.pem")
	verify := ClientOptions{VerifyCertificates: dir + "/ca.pem", VerifyHosts: "*", VerifyCertHostnames: "*", HostName: "default.test"}
	with := func(o ClientOptions, change func(*ClientOptions)) ClientOptions { change(&o); return o }

	server, client, err, cerr := b.connect(t, verify)
	if err != nil || cerr != nil {
		t.Fatal(err, cerr)
	}
	if !client.Verified || client.PeerDN != "/CN=default.test" || server.Peer != nil || server.Ours.Subject.CommonName != "default.test" {
		t.Errorf("client %+v\nserver %+v", client, server)
	}
	if string(server.Binding("tls-exporter")) != string(client.Binding("tls-exporter")) || len(client.Binding("tls-server-end-point")) != 32 ||
		string(server.Binding("tls-server-end-point")) != string(client.Binding("tls-server-end-point")) {
		t.Error("channel bindings differ")
	}

	server, client, err, cerr = b.connect(t, with(verify, func(o *ClientOptions) { o.SNI, o.HostName = "other.test", "other.test" }))
	if err != nil || cerr != nil || client.PeerDN != "/CN=other.test" || server.SNI != "other.test" || server.Ours.Subject.CommonName != "other.test" {
		t.Error("SNI:", server, client, err, cerr)
	}
	if _, _, _, cerr = b.connect(t, with(verify, func(o *ClientOptions) { o.HostName = "wrong.test" })); cerr == nil {
		t.Error("wrong name accepted")
	}
	if !strings.Contains(b.log.String(), `SSL verify error: certificate name mismatch: DN="/CN=default.test" H="wrong.test"`) {
		t.Error(b.log.String())
	}
	_, client, _, cerr = b.connect(t, with(verify, func(o *ClientOptions) { o.HostName, o.VerifyHosts, o.TryVerifyHosts = "wrong.test", "", "*" }))
	if cerr != nil || client.Verified {
		t.Error("try_verify:", client, cerr)
	}

	b.main.TLSVerifyHosts = "*"
	if _, _, err, _ = b.connect(t, verify); err == nil {
		t.Error("client without certificate accepted")
	}
	own := with(verify, func(o *ClientOptions) {
		o.Certificate, o.PrivateKey = dir+"/client.test.pem", dir+"/client.test.key"
	})
	if server, _, err, cerr = b.connect(t, own); err != nil || cerr != nil || !server.Verified || server.PeerDN != "/CN=client.test" {
		t.Error("client certificate:", server, err, cerr)
	}
	cert, err := b.policy.files.pair(dir+"/client.test.pem", dir+"/client.test.key")
	if err != nil {
		t.Fatal(err)
	}
	b.ca.revoke(cert.Leaf)
	b.main.TLSCRL = option.Expanded(dir + "/crl.pem")
	if _, _, err, _ = b.connect(t, own); err == nil || err.Error() != "certificate revoked" {
		t.Error("revoked:", err)
	}
	b.main.TLSVerifyHosts, b.main.TLSTryVerifyHosts = "", "*"
	if server, _, err, _ = b.connect(t, own); err != nil || server.Verified {
		t.Error("revoked, try:", server, err)
	}
}

func TestServerErrors(t *testing.T) {
	b := newBench(t)
	b.ca.leaf("one.test")
	b.ca.leaf("two.test")
	one, two := b.ca.path("one.test.pem"), b.ca.path("two.test.key")
	os.WriteFile(b.ca.path("empty"), nil, 0o600)
	for _, c := range []struct {
		set  func(m *config.Main)
		want string
	}{
		{func(m *config.Main) { m.TLSCertificate = "/non/exist" }, "(SSL_CTX_use_certificate_chain_file file=/non/exist): error:80000002:system library::No such file or directory"},
		{func(m *config.Main) { m.TLSCertificate = option.Expanded(b.ca.path("empty")) }, "(SSL_CTX_use_certificate_chain_file file=" + b.ca.path("empty") + "): error:0480006C:PEM routines::no start line"},
		{func(m *config.Main) { m.TLSCertificate, m.TLSPrivateKey = option.Expanded(one), option.Expanded(two) },
			"(SSL_CTX_use_PrivateKey_file file=" + two + "): error:05800074:x509 certificate routines::key values mismatch"},
		{func(m *config.Main) { m.TLSECCurve = "bogus" }, "Unknown curve name in tls_eccurve 'bogus'"},
		{func(m *config.Main) { m.TLSRequireCiphers = "NOSUCH" }, "(SSL_CTX_set_cipher_list): error:0A0000B9:SSL routines::no cipher match"},
		{func(m *config.Main) { m.OpenSSLOptions = "no_sslv2" }, `malformed openssl_options setting: +/- expected but found "no_sslv2"`},
		{func(m *config.Main) { m.TLSDHParam = "nosuch" }, "(No standard prime named): nosuch"},
		{func(m *config.Main) { m.TLSDHParam = "/no/such" }, "(could not read dhparams file /no/such): no such file or directory"},
		{func(m *config.Main) { m.TLSDHParam = "ike24" }, ""},
		{func(m *config.Main) { m.TLSCertificate = "$fail" }, ""}, // as if unset: a certificate of our own making
	} {
		old := *b.main
		c.set(b.main)
		_, err := b.policy.Server(&expand.Scope{Config: b.config, Session: &mail.Session{}})
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
		*b.main = old
	}
}

func TestALPN(t *testing.T) {
	b := newBench(t)
	for alpn, want := range map[string]bool{"": true, "smtp": true, "h2": false, "smtp:h2": false} {
		_, _, err, _ := b.connect(t, ClientOptions{ALPN: alpn})
		if (err == nil) != want {
			t.Errorf("%q: %v", alpn, err)
		}
	}
}

func TestCipherList(t *testing.T) {
	for text, want := range map[string]string{
		"AES128-SHA":                        "AES128-SHA",
		"kRSA+AESGCM":                       "AES256-GCM-SHA384 AES128-GCM-SHA256",
		"ECDHE+AESGCM:!aECDSA":              "ECDHE-RSA-AES256-GCM-SHA384 ECDHE-RSA-AES128-GCM-SHA256",
		"AES128-SHA:AES256-SHA:+AES128-SHA": "AES256-SHA AES128-SHA",
		"!AES128-SHA:AES128-SHA":            "",
		"AES128-SHA:-AES128-SHA:AES128-SHA": "AES128-SHA",
		"NOSUCH":                            "",
		"DES_CBC3_SHA":                      "DES-CBC3-SHA",
		"3DES:@STRENGTH":                    "ECDHE-RSA-DES-CBC3-SHA DES-CBC3-SHA",
	} {
		var names []string
		for _, id := range cipherList(text) {
			name, _ := cipherName(id)
			names = append(names, name)
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
	c := &tls.Config{}
	ids := priority("NORMAL:-VERS-TLS1.3:-AES-128-CBC:-AES-256-CBC:-RSA", c)
	if c.MinVersion != tls.VersionTLS12 || c.MaxVersion != tls.VersionTLS12 || len(ids) != 6 {
		t.Errorf("priority: %x to %x, %d suites", c.MinVersion, c.MaxVersion, len(ids))
	}
	for options, want := range map[string][2]uint16{
		"+no_sslv2 +no_ticket": {tls.VersionTLS12, tls.VersionTLS13}, "+no_tlsv1_3": {tls.VersionTLS12, tls.VersionTLS12}, "-no_tlsv1": {tls.VersionTLS10, tls.VersionTLS13},
	} {
		c := &tls.Config{}
		if err := versions(c, options); err != nil || c.MinVersion != want[0] || c.MaxVersion != want[1] {
			t.Errorf("%s: %v %x %x", options, err, c.MinVersion, c.MaxVersion)
		}
	}
}

func FuzzCipherList(f *testing.F) {
	f.Add("HIGH:!aNULL:+RSA:-MD5:@STRENGTH")
	f.Add("NORMAL:%COMPAT:-VERS-ALL:+VERS-TLS1.2")
	f.Fuzz(func(t *testing.T, text string) {
		cipherList(text)
		priority(text, &tls.Config{})
		versions(&tls.Config{}, text)
	})
}
