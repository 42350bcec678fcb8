package smtpclient

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"exigo/internal/mail"
	"exigo/internal/outside"
	"exigo/internal/proto/smtp"
	"exigo/internal/testkit"
)

// settings are for a scripted server.
func settings(t *testing.T, address string) *Settings {
	t.Helper()
	at := netip.MustParseAddrPort(address)
	return &Settings{World: testkit.NewWorld(t).World, Host: "h.test", Address: at.Addr(), Port: int(at.Port()), DSCP: -1, PoolKey: "k",
		HelloName: func(netip.AddrPort) (string, error) { return "me.test", nil },
		Timeouts:  Timeouts{Connect: 5 * time.Second, Command: 5 * time.Second, Data: 5 * time.Second, Final: 5 * time.Second}}
}

func script(t *testing.T, dialogues ...string) (*Settings, func()) {
	t.Helper()
	address, done := testkit.NewScripted(t, dialogues...)
	return settings(t, address), func() {
		t.Helper()
		for range dialogues {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	}
}

func TestErrorTexts(t *testing.T) {
	for _, c := range []struct {
		e       Error
		want    string
		outcome mail.Outcome
	}{
		{Error{Kind: Refused, After: "RCPT TO:<x>", Reply: smtp.Reply{Code: 550, Lines: []string{"no", "never"}}, Written: -1},
			`SMTP error from remote mail server after RCPT TO:<x>: 550-no\n550 never`, mail.Outcome{Result: mail.Failed}},
		{Error{Kind: Refused, After: "DATA", Pipelined: true, Reply: smtp.Reply{Code: 403, Lines: []string{"a\x07b"}}, Written: -1},
			`SMTP error from remote mail server after pipelined DATA: 403 a\007b`, mail.Outcome{Result: mail.Deferred}},
		{Error{Kind: Refused, After: "end of data", Protocol: "LMTP", Reply: smtp.Reply{Code: 450, Lines: []string{"x"}}, Written: -1},
			"LMTP error after end of data: 450 x", mail.Outcome{Result: mail.Deferred}},
		{Error{Kind: Closed, After: "HELO me", Text: " (EHLO response was: 550 no)", Written: -1}, "Remote host closed connection in response to HELO me (EHLO response was: 550 no)",
			mail.Outcome{Result: mail.Deferred, Errno: mail.ErrnoSMTPClosed}},
		{Error{Kind: Timeout, After: "end of data", Written: 123}, "SMTP timeout after end of data (123 bytes written)", mail.Outcome{Result: mail.Deferred, Errno: int(syscall.ETIMEDOUT)}},
		{Error{Kind: Timeout, Connecting: true, Written: -1}, "", mail.Outcome{Result: mail.Deferred, Errno: int(syscall.ETIMEDOUT), MoreErrno: mail.MoreConnectTimeout}},
		{Error{Kind: Malformed, After: "DATA", Text: "what", Written: -1}, "Malformed SMTP reply in response to DATA: what", mail.Outcome{Result: mail.Deferred, Errno: mail.ErrnoSMTPFormat}},
		{Error{Kind: Malformed, After: "DATA", Written: -1}, "Malformed SMTP reply (an empty line) in response to DATA", mail.Outcome{Result: mail.Deferred, Errno: mail.ErrnoSMTPFormat}},
		{Error{Kind: Connect, Errno: syscall.ECONNREFUSED, Written: -1}, "", mail.Outcome{Result: mail.Deferred, Errno: int(syscall.ECONNREFUSED)}},
	} {
		o := c.e.Outcome()
		if c.e.Error() != c.want || o.Result != c.outcome.Result || o.Errno != c.outcome.Errno || o.MoreErrno != c.outcome.MoreErrno || o.Message != c.want {
			t.Errorf("%q %+v", c.e.Error(), o)
		}
	}
}

func TestOpen(t *testing.T) {
	for _, c := range []struct {
		name, script, err string
		change            func(s *Settings)
		check             func(c *Conn) bool
	}{
		{name: "esmtp", script: "S: 220-two\nS: 220 lines\nC: EHLO me.test\nS: 250-h hello\nS: 250-PIPELINING\nS: 250-CHUNKING\nS: 250 SIZE 10\nC: QUIT\n",
			check: func(c *Conn) bool {
				return c.Pipelining && c.Chunking && c.Extensions.SizeLimit() == 10 && len(c.Banner.Lines) == 2
			}},
		{name: "helo", script: "S: 220 x\nC: EHLO me.test\nS: 502 no\nC: HELO me.test\nS: 250 ok\nC: QUIT\n", check: func(c *Conn) bool { return !c.ESMTP && !c.Pipelining }},
		{name: "lf only", script: "S: 220 x\nC: EHLO me.test\nS: 250 h\nC: QUIT\n", check: func(c *Conn) bool { return c.ESMTP }},
		{name: "not offered", script: "S: 220 x\nC: EHLO me.test\nS: 250 h\nC: QUIT\n", change: func(s *Settings) { s.TLS, s.Handshake = TLSRequire, noHandshake },
			err: "a TLS session is required, but the server did not offer TLS support"},
		{name: "refused", script: "S: 220 x\nC: EHLO me.test\nS: 250-h\nS: 250 STARTTLS\nC: STARTTLS\nS: 454 later\nC: QUIT\n", change: func(s *Settings) { s.TLS, s.Handshake = TLSRequire, noHandshake },
			err: "a TLS session is required, but an attempt to start TLS failed"},
		{name: "in clear", script: "S: 220 x\nC: EHLO me.test\nS: 250-h\nS: 250 STARTTLS\nC: STARTTLS\nS: 454 later\nC: QUIT\n", change: func(s *Settings) { s.TLS, s.Handshake, s.TryClear = TLSTry, noHandshake, true },
			check: func(c *Conn) bool { return c.TLS == nil }},
		{name: "not in clear", script: "S: 220 x\nC: EHLO me.test\nS: 250-h\nS: 250 STARTTLS\nC: STARTTLS\nS: 454 later\nC: QUIT\n", change: func(s *Settings) { s.TLS, s.Handshake = TLSTry, noHandshake },
			err: "SMTP error from remote mail server after STARTTLS: 454 later"},
		{name: "injected before TLS", script: "S: 220 x\nC: EHLO me.test\nS: 250-h\nS: 250 STARTTLS\nC: STARTTLS\nS: 220 go\nS: 250 injected\nC: <close>\n",
			change: func(s *Settings) { s.TLS, s.Handshake = TLSTry, noHandshake }, err: "unexpected data after STARTTLS response"},
		{name: "endless reply", script: "S: 220 x\nC: EHLO me.test\n" + strings.Repeat("S: 250-h\n", 300) + "C: <close>\n", err: "Malformed SMTP reply in response to EHLO me.test: h"},
		{name: "bad name", script: "C: QUIT\n", change: func(s *Settings) {
			s.HelloName = func(netip.AddrPort) (string, error) { return "", errors.New("no name") }
		}, err: "no name"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, finish := script(t, c.script)
			if c.change != nil {
				c.change(s)
			}
			conn, err := Open(t.Context(), s)
			if c.err != "" {
				if err == nil || err.Error() != c.err {
					t.Errorf("%v", err)
				}
			} else if err != nil || !c.check(conn) {
				t.Errorf("%v %+v", err, conn)
			} else {
				conn.Quit()
			}
			finish()
		})
	}
}

func noHandshake(context.Context, net.Conn) (net.Conn, *mail.TLS, error) {
	return nil, nil, errors.New("TLS session: (SSL_connect): error: x")
}

// A handshake that fails is followed by another connection, in clear, where that is allowed.
func TestClearAfterFailedHandshake(t *testing.T) {
	first := "S: 220 x\nC: EHLO me.test\nS: 250-h\nS: 250 STARTTLS\nC: STARTTLS\nS: 220 go\nC: <close>\n"
	s, finish := script(t, first, "S: 220 x\nC: EHLO me.test\nS: 250-h\nS: 250 STARTTLS\nC: QUIT\n")
	s.TLS, s.Handshake, s.TryClear = TLSTry, noHandshake, true
	var lines []string
	s.Log = func(line string) { lines = append(lines, line) }
	c, err := Open(t.Context(), s)
	if err != nil || c.TLS != nil || len(lines) != 1 {
		t.Fatalf("%v %q", err, lines)
	}
	c.Quit()
	finish()
	s, finish = script(t, first)
	s.TLS, s.Handshake, s.TryClear = TLSRequire, noHandshake, true
	var e *Error
	if _, err := Open(t.Context(), s); !errors.As(err, &e) || e.Kind != TLSFailure {
		t.Errorf("%v", err)
	}
	finish()
}

func certificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	x := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, x, x, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func TestTLS(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	done := make(chan error, 1)
	cert := certificate(t)
	go func() {
		raw, err := l.Accept()
		if err == nil {
			err = testkit.Converse(raw, testkit.Server, "S: 220 x\nC: EHLO me.test\nS: 250-h\nS: 250 STARTTLS\nC: STARTTLS\nS: 220 go\n")
		}
		if err == nil {
			err = testkit.Converse(tls.Server(raw, &tls.Config{Certificates: []tls.Certificate{cert}}), testkit.Server, "C: EHLO me.test\nS: 250-h\nS: 250 PIPELINING\nC: QUIT\n")
		}
		done <- err
	}()
	s := settings(t, l.Addr().String())
	s.TLS = TLSRequire
	s.Handshake = func(ctx context.Context, raw net.Conn) (net.Conn, *mail.TLS, error) {
		c := tls.Client(raw, &tls.Config{InsecureSkipVerify: true})
		return c, &mail.TLS{Version: "x"}, c.HandshakeContext(ctx)
	}
	c, err := Open(t.Context(), s)
	if err != nil || c.TLS == nil || c.TLS.Version != "x" || !c.Pipelining || !c.Usable() {
		t.Fatalf("%v", err)
	}
	c.Quit()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestPool(t *testing.T) {
	hello := "S: 220 x\nC: EHLO me.test\nS: 250 h\n"
	s, finish := script(t, hello+"C: NOOP\nS: 250 ok\nC: QUIT\n", hello+"S: <close>\n", hello+"S: 421 bye\n", hello+"C: QUIT\n", hello+"C: QUIT\n")
	open := func() *Conn {
		t.Helper()
		c, err := Open(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		c.Settings = s
		return c
	}
	p := NewPool(time.Hour, 2)
	var nobody *Pool
	if nobody.Take(t.Context(), s) != nil || p.Take(t.Context(), s) != nil {
		t.Error("a connection out of nothing")
	}
	c := open()
	p.Give(c)
	other := *s
	other.PoolKey = "other"
	if p.Take(t.Context(), &other) != nil {
		t.Error("the wrong connection")
	}
	if p.Take(t.Context(), s) != c {
		t.Fatal("the connection is gone")
	}
	if _, err := c.Command("NOOP", 2); err != nil {
		t.Error(err)
	}
	c.Quit()
	for range 2 { // closed by the server, and spoken to by it
		c := open()
		waitReadable(t, c)
		p.Give(c)
		if p.Take(t.Context(), s) != nil {
			t.Error("a connection that is of no use")
		}
	}
	// A connection of a message is handed on when it has delivered something.
	mine := *s
	mine.Owner, mine.Transport = "m1", "t1"
	for _, delivered := range []bool{false, true} {
		c := open()
		c.Settings, c.Progress = &mine, delivered
		p.Give(c)
		if p.Take(t.Context(), s) != nil {
			t.Error("somebody else's connection")
		}
		heirs := p.Finish("m1", func(transport, host, asking string) string { return transport + host })
		if got := fmt.Sprint(heirs); delivered && got != "[t1h.test]" || !delivered && got != "[]" {
			t.Errorf("heirs %s", got)
		}
	}
	mine.Owner = "t1h.test"
	if p.Len() != 1 || p.Take(t.Context(), &mine) == nil {
		t.Error("the heir got nothing")
	} else {
		p.Close()
	}
	_ = finish
}

// waitReadable waits until the server has said or done something.
func waitReadable(t *testing.T, c *Conn) {
	t.Helper()
	for i := 0; outside.Quiet(c.raw); i++ {
		if i > 1000 {
			t.Fatal("the server is silent")
		}
		time.Sleep(time.Millisecond)
	}
}

func TestCancelled(t *testing.T) {
	address, _ := testkit.NewScripted(t, "S: 220 x\nC: EHLO me.test\nC: never\n")
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	if _, err := Open(ctx, settings(t, address)); err == nil || err.Error() != "delivery interrupted" {
		t.Errorf("%v", err)
	}
}

func TestTimeout(t *testing.T) {
	address, _ := testkit.NewScripted(t, "S: 220 x\nC: EHLO me.test\nC: never\n")
	s := settings(t, address)
	s.Timeouts.Command = 20 * time.Millisecond
	var e *Error
	if _, err := Open(t.Context(), s); !errors.As(err, &e) || e.Kind != Timeout || e.Error() != "SMTP timeout after EHLO me.test" {
		t.Errorf("%v", err)
	}
}

func TestDSCP(t *testing.T) {
	for text, want := range map[string]int{"ef": 46, "AF41": 34, "throughput": 2, "0x3F": 63, "10": 10, "64": -1, "what": -1} {
		if n, ok := DSCP(text); ok != (want >= 0) || ok && n != want {
			t.Errorf("%s: %d %v", text, n, ok)
		}
	}
}

func FuzzReplyText(f *testing.F) {
	f.Add("550 no\r\n")
	f.Fuzz(func(t *testing.T, s string) {
		if got := ReplyText(smtp.Reply{Code: 550, Lines: strings.Split(s, "\n")}); strings.ContainsAny(got, "\r\n\x00\x1b") {
			t.Errorf("%q", got)
		}
	})
}
