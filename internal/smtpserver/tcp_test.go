package smtpserver

import (
	"context"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"exigo/internal/acl"
	"exigo/internal/config"
	"exigo/internal/expand"
	"exigo/internal/mail"
	"exigo/internal/option"
	"exigo/internal/testkit"
)

const greeted = "S: 220 ...\nC: ehlo rhu.barb\nS: 250-host.test Hello rhu.barb [127.0.0.1]\nS: 250-SIZE 52428800\nS: 250-8BITMIME\nS: 250-PIPELINING\nS: 250 HELP\n"

// portless removes the client's port.
func portless(log string, f *fixture) string { return strings.ReplaceAll(log, "127.0.0.1", "IP") }

var conversations = []struct {
	name, selectors string
	set             func(m *config.Main)
	acl             func(s *expand.Scope, phase acl.Phase, text string) acl.Outcome
	script, log     string
	received        string
}{
	{name: "all recipients refused, pipelining", selectors: "+smtp_protocol_error", script: greeted + `
C: mail from:<userx@test.ex>
S: 250 OK
C: rcpt to:<userx@test.ex>
S: 550 Administrative prohibition
C: DATA
S: 503-All RCPT commands were rejected with this error:
S: 503-Administrative prohibition
S: 503 Valid RCPT command must precede DATA
C: QUIT
S: 221 host.test closing connection
C: <close>
`, log: "R:H=(rhu.barb) [IP] F=<userx@test.ex> rejected RCPT <userx@test.ex>\n"},
	{name: "all recipients refused, HELO", selectors: "+smtp_protocol_error", script: `
S: 220 ...
C: helo rhu.barb
S: 250 host.test Hello rhu.barb [127.0.0.1]
C: mail from:<userx@test.ex>
S: 250 OK
C: rcpt to:<userx@test.ex>
S: 550 Administrative prohibition
C: DATA
S: 503-All RCPT commands were rejected with this error:
S: 503-Administrative prohibition
S: 503 valid RCPT command must precede DATA
C: QUIT
S: 221 host.test closing connection
`, log: "R:H=(rhu.barb) [IP] F=<userx@test.ex> rejected RCPT <userx@test.ex>\nSMTP protocol error in \"DATA\" H=(rhu.barb) [IP] valid RCPT command must precede DATA\n"},
	{name: "MAIL refused, pipelining", selectors: "+smtp_protocol_error", set: func(m *config.Main) { m.ACLSMTPMail = "deny" }, script: greeted + `
C: mail from:<deny@test.ex>
C: rcpt to:<userx@test.ex>
C: DATA
S: 550 Administrative prohibition
S: 503 sender not yet given
S: 503-All RCPT commands were rejected with this error:
S: 503-503 sender not yet given
S: 503 Valid RCPT command must precede DATA
C: QUIT
S: 221 host.test closing connection
`, log: "R:H=(rhu.barb) [IP] rejected MAIL <deny@test.ex>\n"},
	{name: "no MAIL at all", selectors: "+smtp_protocol_error", script: greeted + `
C: rcpt to:<userx@test.ex>
S: 503 sender not yet given
C: DATA
S: 503-All RCPT commands were rejected with this error:
S: 503-503 sender not yet given
S: 503 valid RCPT command must precede DATA
C: QUIT
S: 221 host.test closing connection
`, log: "SMTP protocol error in \"rcpt to:<userx@test.ex>\" H=(rhu.barb) [IP] sender not yet given\nSMTP protocol error in \"DATA\" H=(rhu.barb) [IP] valid RCPT command must precede DATA\n"},
	{name: "a message", set: accepting, selectors: "+smtp_connection", script: greeted + `
C: mail from:<a@test.ex> size=100 body=8bitmime
C: rcpt to:<x@test.ex>
C: data
S: 250 OK
S: 250 Accepted
S: 354 Enter message, ending with "." on a line by itself
C: Subject: x
C:
C: ..dot
C: .
S: 250 OK id=ID1
C: QUIT
S: 221 host.test closing connection
C: <close>
`, log: "SMTP connection from [IP] (TCP/IP connection count = 1)\nSMTP connection from (rhu.barb) [IP] D=0s closed by QUIT\n",
		received: "esmtp <a@test.ex> x@test.ex\nSubject: x\n\n.dot\n"},
	{name: "data sent early", set: accepting, script: greeted + `
C: mail from:<a@test.ex>
C: rcpt to:<x@test.ex>
C: data
C: Start: sent early ...
S: 250 OK
S: 250 Accepted
S: 554 SMTP synchronization error
`, log: `R:SMTP protocol synchronization error (next input sent too soon: pipelining was advertised): rejected "data" H=(rhu.barb) [IP] next input="Start: sent early ...\r\n"` + "\n"},
	{name: "no synchronisation", set: func(m *config.Main) { accepting(m); m.SMTPEnforceSync = false }, script: `
S: 220 ...
C: helo rhu.barb
C: mail from:<a@test.ex>
C: rcpt to:<x@test.ex>
C: data
C: a: b
C: .
C: quit
S: 250 host.test Hello rhu.barb [127.0.0.1]
S: 250 OK
S: 250 Accepted
S: 354 ...
S: 250 OK id=ID1
S: 221 ...
`, received: "smtp <a@test.ex> x@test.ex\na: b\n"},
	{name: "pipelining not offered", set: func(m *config.Main) { accepting(m); m.PipeliningAdvertiseHosts = "" }, script: `
S: 220 ...
C: ehlo rhu.barb
S: 250-host.test Hello rhu.barb [127.0.0.1]
S: 250-SIZE 52428800
S: 250-8BITMIME
S: 250 HELP
C: mail from:<a@test.ex>
C: rcpt to:<x@test.ex>
S: 554 SMTP synchronization error
`, log: `R:SMTP protocol synchronization error (next input sent too soon: pipelining was not advertised): rejected "mail from:<a@test.ex>" H=(rhu.barb) [IP] next input="rcpt to:<x@test.ex>\r\n"` + "\n"},
	{name: "chunks", set: chunking, script: strings.Replace(greeted, "S: 250 HELP\n", "S: 250-CHUNKING\nS: 250 HELP\n", 1) + `
C: mail from:<a@test.ex>
C: rcpt to:<x@test.ex>
C: bdat 10
C: a: 12345
C: bdat 5 last
C: xyz
S: 250 OK
S: 250 Accepted
S: 250 10 byte chunk received
S: 250- 5 byte chunk, total 16
S: 250 OK id=ID1
C: mail from:<a@test.ex>
S: 250 OK
C: rcpt to:<x@test.ex>
S: 250 Accepted
C: bdat 4
C: ab
S: 250 4 byte chunk received
C: noop
S: 250 OK
C: data
S: 503 only BDAT permissible after non-LAST BDAT
C: rset
S: 250 Reset OK
C: quit
S: 221 ...
`, received: "esmtp <a@test.ex> x@test.ex\na: 12345\nxyz\n"},
	{name: "chunks, no empty line", set: chunking, script: strings.Replace(greeted, "S: 250 HELP\n", "S: 250-CHUNKING\nS: 250 HELP\n", 1) + `
C: mail from:<a@test.ex>
C: rcpt to:<x@test.ex>
C: bdat 6
C: a: b
C: bdat 4 last
C: ZZ
S: 250 OK
S: 250 Accepted
S: 250 6 byte chunk received
S: 250- 4 byte chunk, total 11
S: 250 OK id=ID1
C: quit
S: 221 ...
`, received: "esmtp <a@test.ex> x@test.ex\na: b\nZZ\n"},
	{name: "chunks without recipients", set: func(m *config.Main) { chunking(m); m.ACLSMTPRcpt = "deny" }, script: strings.Replace(greeted, "S: 250 HELP\n", "S: 250-CHUNKING\nS: 250 HELP\n", 1) + `
C: mail from:<a@test.ex>
C: rcpt to:<x@test.ex>
C: bdat 6
C: abcd
C: bdat 4 last
C: ef
S: 250 OK
S: 550 Administrative prohibition
S: 503-All RCPT commands were rejected with this error:
S: 503-Administrative prohibition
S: 503 Valid RCPT command must precede BDAT
S: 503-All RCPT commands were rejected with this error:
S: 503-Administrative prohibition
S: 503 valid RCPT command must precede BDAT
C: bdat 0
S: 503-All RCPT commands were rejected with this error:
S: 503-Administrative prohibition
S: 503 valid RCPT command must precede BDAT
C: quit
S: 221 ...
`, log: "R:H=(rhu.barb) [IP] F=<a@test.ex> rejected RCPT <x@test.ex>\n"},
	{name: "sizes", set: func(m *config.Main) { m.MessageSizeLimit = "100" }, script: strings.Replace(greeted, "52428800", "100", 1) + `
C: mail from:<a@test.ex> size=101
S: 552 Message size exceeds maximum permitted
C: mail from:<a@test.ex> size=100 foo=bar
S: 501 <a@test.ex> size=100 foo=bar: malformed address: size=100 foo=bar may not follow <a@test.ex> 
C: mail from:<a@test.ex> body=9bit
S: 501 invalid data for BODY
C: quit
S: 221 ...
`, log: "R:rejected MAIL FROM:<a@test.ex> H=(rhu.barb) [IP]: message too big: size=101 max=100\n"},
	{name: "lost while reading", set: accepting, script: greeted + "C: mail from:<a@test.ex>\nC: rcpt to:<x@test.ex>\nC: data\nS: 250 OK\nS: 250 Accepted\nS: 354 ...\nC: a: b\nC: <close>\n",
		log: "SMTP connection from (rhu.barb) [IP] lost while reading message data (after header)\n"},
	{name: "lost in transaction", set: accepting, selectors: "+smtp_incomplete_transaction +received_recipients", script: greeted + "C: mail from:<a@test.ex>\nS: 250 OK\nC: <close>\n",
		log: "H=(rhu.barb) [IP] incomplete transaction (connection lost) from <a@test.ex>\nunexpected disconnection while reading SMTP command from (rhu.barb) [IP] D=0s\n"},
	{name: "rejected connection", set: func(m *config.Main) { m.HostRejectConnection = "127.0.0.1" }, script: "S: 554 SMTP service not available\n",
		log: "R:refused connection from [IP] (host_reject_connection)\n"},
	{name: "load", set: func(m *config.Main) { low := option.Fixed(-1); m.SMTPLoadReserve = &low }, script: "S: 421 Too much load; please try again later.\n",
		log: "Connection from [IP] refused: load average = 0.00\n"},
	{name: "DSN parameters", set: func(m *config.Main) { accepting(m); m.DSNAdvertiseHosts = "*" }, script: strings.Replace(greeted, "S: 250-PIPE", "S: 250-DSN\nS: 250-PIPE", 1) + `
C: mail from:<a@test.ex> ret=x
S: 501 Value for RET is invalid
C: mail from:<a@test.ex> ret=hdrs envid=abc
S: 250 OK
C: rcpt to:<x@test.ex> notify=never,success
S: 501 Invalid value for NOTIFY parameter
C: rcpt to:<x@test.ex> notify=never
S: 250 Accepted
C: rcpt to:<x@test.ex> notify=success,delay orcpt=rfc822;y@test.ex
S: 250 Accepted
C: rcpt to:<x@test.ex> foo
S: 501 <x@test.ex>=foo: malformed address: =foo may not follow <x@test.ex>
C: quit
S: 221 ...
`},
	{name: "sender verification", set: accepting, acl: failedSender, script: greeted + `
C: mail from:<x@y>
S: 250 OK
C: rcpt to:<a@b>
S: 550-Callback setup failed while verifying <x@y>
S: 550-Called:   127.0.0.1
S: 550-The initial connection, or a HELO or MAIL FROM:<> command was
S: 550-rejected. Refusing MAIL FROM:<> does not help fight spam, disregards
S: 550-RFC requirements, and stops you from receiving standard bounce
S: 550-messages. This host does not accept mail from domains whose servers
S: 550-refuse bounces.
S: 550 Sender verify failed
C: quit
S: 221 ...
`, log: "R:H=(rhu.barb) [IP] sender verify fail for <x@y>: IP : 550 no\nR:H=(rhu.barb) [IP] F=<x@y> rejected RCPT <a@b>: Sender verify failed\n"},
}

func accepting(m *config.Main) { m.ACLSMTPRcpt = "accept" }

func chunking(m *config.Main) { m.ACLSMTPRcpt, m.ChunkingAdvertiseHosts = "accept", "*" }

func failedSender(_ *expand.Scope, phase acl.Phase, _ string) acl.Outcome {
	if phase != acl.Rcpt {
		return acl.Outcome{}
	}
	return acl.Outcome{Verdict: acl.Fail, UserMessage: "Sender verify failed", LogMessage: "Sender verify failed", LogTargets: acl.LogMain | acl.LogReject,
		SenderFailure: &acl.Verified{Result: acl.Fail, Address: "x@y", Failure: "mail", UserMessage: "Called:   127.0.0.1", LogMessage: "127.0.0.1 : 550 no"}}
}

func TestConversations(t *testing.T) {
	for _, c := range conversations {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(t, c.selectors)
			f.acl = c.acl
			if c.set != nil {
				c.set(f.main)
			}
			f.serve(c.script)
			check(t, "log", portless(f.logged(), f), c.log)
			check(t, "received", strings.Join(f.received, ""), c.received)
		})
	}
}

// early sends before the banner.
func TestInputBeforeGreeting(t *testing.T) {
	f := newFixture(t, "")
	ours, theirs := pair(t)
	io.WriteString(theirs, "EHLO x\r\n")
	waitForInput(t, ours)
	ended := New(f.svc, f.limiter).Serve(context.Background(), ours, Start{})
	reply, _ := io.ReadAll(theirs)
	check(t, "reply", string(reply), "554 SMTP synchronization error\r\n")
	check(t, "log", portless(f.logged(), f), `R:SMTP protocol synchronization error (input sent without waiting for greeting): rejected connection from H=[IP] input="EHLO x\r\n"`+"\n")
	if !ended.Failed {
		t.Error("session did not fail")
	}
}

// pair makes a loopback connection; both ends are closed at the end of the test.
func pair(t testing.TB) (server, client net.Conn) {
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
	t.Cleanup(func() { server.Close(); client.Close() })
	return server, client
}

// waitForInput waits until the connection has something to read.
func waitForInput(t testing.TB, c net.Conn) {
	t.Helper()
	io := channel{conn: c, base: c}
	for {
		if input, _ := io.ahead(); len(input) > 0 {
			return
		}
		c.SetReadDeadline(time.Now().Add(time.Millisecond))
		c.Read(nil)
	}
}

func TestLimits(t *testing.T) {
	f := newFixture(t, "")
	f.main.SMTPAcceptMaxPerHost, f.main.SMTPAcceptMax = "1", 2
	first, wait := f.dial()
	read(t, first, "220 ")
	f.serve("S: 421 Too many concurrent SMTP connections from this IP address; please try again later.\n")
	f.main.SMTPAcceptMaxPerHost = ""
	second, wait2 := f.dial()
	read(t, second, "220 ")
	f.serve("S: 421 Too many concurrent SMTP connections; please try again later.\n")
	first.Close()
	wait()
	second.Close()
	wait2()
	f.main.SMTPAcceptReserve, f.main.SMTPReserveHosts = 2, ""
	f.serve("S: 421 host.test: Too many concurrent SMTP connections; please try again later\n")
	f.main.SMTPReserveHosts = "127.0.0.1"
	f.serve("S: 220 ...\nC: quit\nS: 221 ...\n")
	if n := f.limiter.Connections(); n != 0 {
		t.Errorf("%d connections left", n)
	}
	check(t, "log", portless(f.logged(), f), `
Connection from [IP] refused: too many connections from that IP address
Connection from [IP] refused: too many connections
R:temporarily refused connection from [IP]: not in reserve list: connected=0 max=2 reserve=2
`)
}

// read reads a line that begins with the prefix.
func read(t testing.TB, c net.Conn, prefix string) string {
	t.Helper()
	var line []byte
	one := make([]byte, 1)
	for len(line) == 0 || line[len(line)-1] != '\n' {
		if _, err := c.Read(one); err != nil {
			t.Fatalf("%v after %q", err, line)
		}
		line = append(line, one[0])
	}
	if !strings.HasPrefix(string(line), prefix) {
		t.Errorf("read %q, want %q", line, prefix)
	}
	return string(line)
}

func TestTimeout(t *testing.T) {
	f := newFixture(t, "")
	f.main.SMTPReceiveTimeout = option.ExpandedTime{Value: time.Millisecond}
	f.serve("S: 220 ...\nS: 421 host.test: SMTP command timeout - closing connection\n")
	check(t, "log", portless(f.logged(), f), "SMTP command timeout on connection from [IP] D=0s\n")
}

func TestPanic(t *testing.T) {
	f := newFixture(t, "")
	f.main.ACLSMTPHELO = "accept"
	f.acl = func(*expand.Scope, acl.Phase, string) acl.Outcome { panic("boom") }
	f.serve("S: 220 ...\nC: helo x\nS: 421 host.test internal error - closing connection\n")
	if log := f.logged(); !strings.HasPrefix(log, "P:internal error in SMTP session with (x) [127.0.0.1]: boom") {
		t.Errorf("log: %s", log)
	}
}

func TestNotQuit(t *testing.T) {
	f := newFixture(t, "")
	f.main.ACLSMTPNotQuit = "accept"
	var reason string
	f.acl = func(s *expand.Scope, phase acl.Phase, _ string) acl.Outcome {
		if phase == acl.NotQuit {
			reason = s.Session.NotQuitReason
		}
		return acl.Outcome{}
	}
	f.serve("S: 220 ...\nC: <close>\n")
	check(t, "reason", reason, "connection-lost")
}

func TestParseIdent(t *testing.T) {
	for answer, want := range map[string]string{
		"6193, 25 : USERID : UNIX : stjohns\r\n":     "stjohns",
		"6193,25:USERID:OTHER: a b \r\n":             "a b",
		"6193, 23 : USERID : UNIX :stjohns\r\n":      "",
		"6193, 25 : ERROR : HIDDEN-USER\r\n":         "",
		"6193, 25 : USERID : UNIX : a\x00b\x1bc\r\n": "abc",
	} {
		check(t, answer, parseIdent(answer, 6193, 25), want)
	}
}

func TestVerifyHELO(t *testing.T) {
	f := newFixture(t, "")
	f.world.Zones.Add("mail.example. A 192.0.2.7\n7.2.0.192.in-addr.arpa. PTR rev.example.\nrev.example. A 192.0.2.7\n")
	for helo, want := range map[string]bool{"[192.0.2.7]": true, "[192.0.2.8]": false, "mail.example": true, "REV.example": true, "other.example": false, "": false} {
		s := f.svc.Engine.NewScope(context.Background(), f.svc.Config, &mail.Session{Host: netip.MustParseAddr("192.0.2.7"), HELO: helo}, nil)
		if got, err := VerifyHELO(context.Background(), s, nil); got != want || err != nil {
			t.Errorf("%s: %v %v", helo, got, err)
		}
	}
}

// TestGoneAfterDot closes the connection while the message is being looked at: it must not be kept.
func TestGoneAfterDot(t *testing.T) {
	f := newFixture(t, "")
	accepting(f.main)
	gate := make(chan struct{})
	receive := f.svc.Receive
	f.svc.Receive = func(ctx context.Context, r *Reception) Received {
		alive := r.Alive
		r.Alive = func() bool { <-gate; return alive() }
		return receive(ctx, r)
	}
	client, wait := f.dial()
	if err := testkit.Converse(client, testkit.Client, greeted+"C: mail from:<a@b>\nC: rcpt to:<x@y>\nC: data\nS: 250 OK\nS: 250 Accepted\nS: 354 ...\nC: a: b\nC: .\n"); err != nil {
		t.Fatal(err)
	}
	client.Close() // on loopback the other end knows when Close returns
	close(gate)
	wait()
	check(t, "log", portless(f.logged(), f), "ID1 SMTP connection lost after final dot H=(rhu.barb) [IP] P=esmtp\n")
	if len(f.received) != 0 {
		t.Errorf("received %q", f.received)
	}
}

// TestChunkLineEnds refuses a header whose lines end with LF alone; in the body they may.
func TestChunkLineEnds(t *testing.T) {
	f := newFixture(t, "")
	chunking(f.main)
	client, wait := f.dial()
	converse := func(script string) {
		t.Helper()
		if err := testkit.Converse(client, testkit.Client, script); err != nil {
			t.Fatal(err)
		}
	}
	converse(strings.Replace(greeted, "S: 250 HELP\n", "S: 250-CHUNKING\nS: 250 HELP\n", 1) + "C: mail from:<a@b>\nS: 250 OK\nC: rcpt to:<x@y>\nS: 250 Accepted\n")
	io.WriteString(client, "BDAT 17 LAST\r\nTo: x\nFrom: y\r\n\r\n")
	converse("S: 552 Message header not CRLF terminated\nC: mail from:<a@b>\nS: 250 OK\nC: rcpt to:<x@y>\nS: 250 Accepted\n")
	io.WriteString(client, "BDAT 16 LAST\r\nTo: x\r\n\r\nbody\n\r\n")
	converse("S: 250- 16 byte chunk, total 16\nS: 250 OK id=ID1\nC: quit\nS: 221 ...\n")
	client.Close()
	wait()
	check(t, "log", portless(f.logged(), f), "R:rejected from <a@b> H=(rhu.barb) [IP]: Non-CRLF-terminated header, under CHUNKING: message abandoned\n")
}
