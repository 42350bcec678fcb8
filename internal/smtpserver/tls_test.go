package smtpserver

import (
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"

	"exigo/internal/acl"
	"exigo/internal/expand"
	"exigo/internal/testkit"
	"exigo/internal/tlspolicy"
)

// withTLS gives the fixture TLS with a certificate of its own making.
func withTLS(f *fixture) {
	f.main.TLSAdvertiseHosts = "*"
	f.svc.TLS = &tlspolicy.Policy{World: f.world.World, Expand: f.svc.Engine.Expand}
}

// secure performs the client's side of a handshake. The clock of the tests stands in 1999, so the certificate is not verified.
func secure(t testing.TB, conn net.Conn, config *tls.Config) *tls.Conn {
	t.Helper()
	if config == nil {
		config = &tls.Config{}
	}
	config.InsecureSkipVerify = true
	c := tls.Client(conn, config)
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	return c
}

const plainHello = "S: 220 ...\nC: ehlo foobar\nS: 250-host.test Hello foobar [127.0.0.1]\nS: 250-SIZE 52428800\nS: 250-8BITMIME\nS: 250-PIPELINING\nS: 250-STARTTLS\nS: 250 HELP\n"

func TestStartTLS(t *testing.T) {
	f := newFixture(t, "+smtp_no_mail +tls_sni -tls_certificate_verified")
	withTLS(f)
	f.main.ACLSMTPRcpt = "accept"
	client, wait := f.dial()
	if err := testkit.Converse(client, testkit.Client, plainHello+"C: STARTTLS\nS: 220 TLS go ahead\n"); err != nil {
		t.Fatal(err)
	}
	c := secure(t, client, &tls.Config{ServerName: "mx.test", MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384}})
	if err := testkit.Converse(c, testkit.Client, `
C: MAIL FROM:<a@b>
S: 503 HELO or EHLO required
C: STARTTLS
S: 503 STARTTLS command used when not advertised
C: EHLO foobar
S: 250-host.test Hello foobar [127.0.0.1]
S: 250-SIZE 52428800
S: 250-8BITMIME
S: 250-PIPELINING
S: 250 HELP
C: MAIL FROM:<a@b>
C: RCPT TO:<x@y>
C: DATA
S: 250 OK
S: 250 Accepted
S: 354 ...
C: a: b
C: .
S: 250 OK id=ID1
C: QUIT
S: 221 ...
C: <close>
`); err != nil {
		t.Error(err)
	}
	wait()
	check(t, "received", strings.Join(f.received, ""), "esmtps <a@b> x@y\na: b\n")
	client, wait = f.dial()
	if err := testkit.Converse(client, testkit.Client, plainHello+"C: STARTTLS\nS: 220 TLS go ahead\n"); err != nil {
		t.Fatal(err)
	}
	c = secure(t, client, &tls.Config{ServerName: "mx.test"})
	if err := testkit.Converse(c, testkit.Client, "C: auth plain AHVzZXJ4AHNlY3JldA==\nS: 503 AUTH command used when not advertised\n"); err != nil {
		t.Error(err)
	}
	c.Close()
	wait()
	log := f.logged()
	if want := "no MAIL in SMTP connection from [127.0.0.1] D=0s X=TLS1.3:TLS_AES_128_GCM_SHA256:128 SNI=mx.test C=EHLO,STARTTLS,AUTH\n"; !strings.HasSuffix(log, want) {
		t.Errorf("log:\n%s\nwant at its end:\n%s", log, want)
	}
}

// TestHelpNamesSTARTTLS asks for help before EHLO.
func TestHelpNamesSTARTTLS(t *testing.T) {
	f := newFixture(t, "")
	withTLS(f)
	f.serve("S: 220 ...\nC: HELP\nS: 214-...\nS: 214 AUTH STARTTLS HELO EHLO MAIL RCPT DATA BDAT NOOP QUIT RSET HELP\nC: QUIT\nS: 221 ...\n")
	f.logged()
}

// TestInjection sends a command with STARTTLS, outside of TLS.
func TestInjection(t *testing.T) {
	f := newFixture(t, "")
	withTLS(f)
	f.serve(plainHello + "C: STARTTLS\nC: RSET\nS: 554 SMTP synchronization error\n")
	f.main.SMTPEnforceSync = false
	f.serve(plainHello + "C: STARTTLS\nC: RSET\nS: 554 SMTP synchronization error\n")
	f.logged()
}

func TestTLSFailures(t *testing.T) {
	f := newFixture(t, "+smtp_connection")
	withTLS(f)
	f.main.TLSCertificate = "/non/exist"
	f.serve(plainHello + "C: STARTTLS\nS: 454 TLS currently unavailable\nC: QUIT\nS: 221 ...\n")
	check(t, "log", portless(f.logged(), f), `
SMTP connection from [IP] (TCP/IP connection count = 1)
TLS error on connection from (foobar) [IP] (SSL_CTX_use_certificate_chain_file file=/non/exist): error:80000002:system library::No such file or directory
SMTP connection from (foobar) [IP] D=0s closed by QUIT
`)
	f.main.TLSCertificate = ""
	f.serve(plainHello + "C: STARTTLS\nS: 220 TLS go ahead\nC: <close>\n")
	check(t, "log", portless(f.logged(), f), `
SMTP connection from [IP] (TCP/IP connection count = 1)
TLS error on connection from (foobar) [IP] (tls lib accept fn): TCP connection closed by peer
SMTP connection from (foobar) [IP] D=0s closed by EOF
`)
	f.main.ACLSMTPSTARTTLS = "deny"
	f.serve(plainHello + "C: STARTTLS\nS: 550 Administrative prohibition\nC: QUIT\nS: 221 ...\n")
	check(t, "log", portless(f.logged(), f), `
SMTP connection from [IP] (TCP/IP connection count = 1)
R:H=(foobar) [IP] rejected STARTTLS 
SMTP connection from (foobar) [IP] D=0s closed by QUIT
`)
}

// TestRestOfTLS: what a client sends that believes in TLS, where the handshake failed, is refused and is not a mistake of SMTP.
func TestRestOfTLS(t *testing.T) {
	f := newFixture(t, "+smtp_syntax_error +smtp_protocol_error")
	withTLS(f)
	client, wait := f.dial()
	if err := testkit.Converse(client, testkit.Client, plainHello+"C: STARTTLS\nS: 220 TLS go ahead\n"); err != nil {
		t.Fatal(err)
	}
	if err := tls.Client(client, &tls.Config{ServerName: "mx.test", MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS10}).Handshake(); err == nil {
		t.Fatal("TLS 1.0 is taken")
	}
	if _, err := client.Write([]byte("\x17\x03\x00\r\nQUIT\r\n")); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(client)
	client.Close()
	wait()
	if text := string(answer); !strings.Contains(text, "554 Security failure\r\n") || strings.Contains(text, "501") || !strings.HasSuffix(text, "closing connection\r\n") {
		t.Errorf("answer %q, %v", text, err)
	}
	if log := f.logged(); strings.Contains(log, "SMTP protocol") || strings.Contains(log, "SMTP syntax") {
		t.Errorf("log:\n%s", log)
	}
}

func TestTLSOnConnect(t *testing.T) {
	f := newFixture(t, "")
	withTLS(f)
	onConnect := func(s *Start) { s.TLSOnConnect = true }
	client, wait := f.dial(onConnect)
	c := secure(t, client, nil)
	if err := testkit.Converse(c, testkit.Client, "S: 220 ...\nC: QUIT\nS: 221 ...\nC: <close>\n"); err != nil {
		t.Error(err)
	}
	wait()
	f.main.ACLSMTPConnect = "deny"
	f.acl = func(_ *expand.Scope, phase acl.Phase, _ string) acl.Outcome {
		return acl.Outcome{Verdict: acl.Fail, LogMessage: "we dislike you", LogTargets: acl.LogMain | acl.LogReject}
	}
	client, wait = f.dial(onConnect)
	if b, _ := io.ReadAll(client); len(b) != 0 {
		t.Errorf("read %q in clear text", b)
	}
	wait()
	check(t, "log", portless(f.logged(), f), "R:H=[IP] dropped by 'connect' ACL: we dislike you\n")
}
