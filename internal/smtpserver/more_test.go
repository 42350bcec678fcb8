package smtpserver

import (
	"bytes"
	"context"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"exigo/internal/acl"
	"exigo/internal/auth"
	"exigo/internal/expand"
	"exigo/internal/mail"
	"exigo/internal/option"
	"exigo/internal/testkit"
)

// TestReplyCodes has messages with codes of their own (spec 44.21), as Exim's test 0536 has them.
func TestReplyCodes(t *testing.T) {
	for _, c := range []struct{ acl, reply, log string }{
		{"deny No code", "550 No code\n", "R:U=CALLER F=<> rejected RCPT <u@test.ex>: No code\n"},
		{"deny 599 Main code", "599 Main code\n", "R:U=CALLER F=<> rejected RCPT <u@test.ex>: 599 Main code\n"},
		{"deny 599 Main code\non two lines", "599-Main code\n599 on two lines\n", "R:U=CALLER F=<> rejected RCPT <u@test.ex>: 599 Main code\n"},
		{"deny indented\n   lines\n\n\tof text", "550-indented\n550-lines\n550 of text\n", "R:U=CALLER F=<> rejected RCPT <u@test.ex>: indented\n"},
		{"deny 599 5.12.3 Main and extended code\non two lines", "599-5.12.3 Main and extended code\n599 5.12.3 on two lines\n",
			"R:U=CALLER F=<> rejected RCPT <u@test.ex>: 599 5.12.3 Main and extended code\n"},
		{"deny 299 Wrong code", "550 Wrong code\n", "P:configured error code starts with incorrect digit (expected 5) in \"299 Wrong code\"\nR:U=CALLER F=<> rejected RCPT <u@test.ex>: 550 Wrong code\n"},
		{"defer 499 4.1234.343 Main and extended code\non two lines", "499-4.1234.343 Main and extended code\n499 on two lines\n",
			"R:U=CALLER F=<> temporarily rejected RCPT <u@test.ex>: 499 4.1234.343 Main and extended code\n"},
		{"defer 399 Wrong code", "451 Wrong code\n", "P:configured error code starts with incorrect digit (expected 4) in \"399 Wrong code\"\nR:U=CALLER F=<> temporarily rejected RCPT <u@test.ex>: 451 Wrong code\n"},
		{"defer", "451 Temporary local problem - please try later\n", "R:U=CALLER F=<> temporarily rejected RCPT <u@test.ex>\n"},
		{"accept 250 2.1.5 fine", "250 2.1.5 fine\n", ""},
	} {
		f := newFixture(t, "")
		f.main.ACLSMTPRcpt = option.Expanded(c.acl)
		got := f.local("helo x\nmail from:<>\nrcpt to:<u@test.ex>\nquit\n")
		check(t, c.acl, got, banner+"250 host.test Hello CALLER at x\n250 OK\n"+c.reply+"221 host.test closing connection\n")
		check(t, c.acl, f.logged(), c.log)
	}
}

// mailAuths are the cases of spec 33.2: what becomes of AUTH= of MAIL.
func TestMailAuth(t *testing.T) {
	condition := func(text string) *auth.Authenticator {
		return &auth.Authenticator{Name: "it", Driver: &auth.Driver{}, Generic: &auth.Generic{ServerMailAuthCond: option.Expanded(text)}}
	}
	for _, c := range []struct {
		name, acl     string
		authenticator *auth.Authenticator
		parameter     string
		sender, reply string
		log           string
	}{
		{"not authenticated", "", nil, "a@b", "", "250 OK", "ignoring AUTH=a@b from U=CALLER (client not authenticated)\n"},
		{"null", "", nil, "<>", "", "250 OK", ""},
		{"xtext", "", condition(""), "a+2Bb@c", "a+b@c", "250 OK", ""},
		{"condition", "", condition("no"), "a@b", "", "250 OK", "ignoring AUTH=a@b from U=CALLER (server_mail_auth_condition failed)\n"},
		{"good condition", "", condition("$authenticated_sender"), "a@b", "a@b", "250 OK", ""},
		{"accepted", "accept", nil, "a@b", "a@b", "250 OK", ""},
		{"accepted, condition", "accept", condition("0"), "a@b", "", "250 OK", "ignoring AUTH=a@b from U=CALLER (server_mail_auth_condition failed)\n"},
		{"denied", "deny", condition(""), "a@b", "", "250 OK", "ignoring AUTH=a@b from U=CALLER (rejected by ACL)\n"},
		{"deferred", "defer", nil, "a@b", "", "451 Temporary local problem - please try later", "R:U=CALLER temporarily rejected MAILAUTH\n"},
		{"malformed", "", nil, "a+", "", "501 invalid data for AUTH", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(t, "")
			f.main.ACLSMTPMailAuth = option.Expanded(c.acl)
			var out bytes.Buffer
			s := New(f.svc, nil).newSession(context.Background(), stream{strings.NewReader(""), &out}, Start{NotSocket: true, Noun: &mail.Session{Ident: "CALLER"}})
			if !s.connectionOptions() {
				t.Fatal("no session")
			}
			s.noun.ESMTP, s.helloGiven = true, true
			if s.authenticator = c.authenticator; s.authenticator != nil {
				s.noun.Authenticator = "it"
			}
			s.command("MAIL FROM:<x@y> AUTH=" + c.parameter)
			s.io.flush()
			check(t, "reply", strings.TrimSpace(out.String()), c.reply)
			check(t, "sender", s.noun.AuthSender, c.sender)
			if c.authenticator == nil { // with one the line has A=
				check(t, "log", f.logged(), c.log)
			}
		})
	}
}

func TestSpoolSpace(t *testing.T) {
	f := newFixture(t, "")
	f.main.CheckSpoolSpace, f.main.CheckSpoolInodes = 10<<20, 100
	space, inodes := int64(11<<20), int64(1000)
	f.svc.SpoolSpace = func() (int64, int64) { return space, inodes }
	dialogue := func(parameter string) string {
		lines := strings.Split(strings.TrimSpace(f.local("ehlo x\nmail from:<a@b>"+parameter+"\nquit\n")), "\n")
		return lines[len(lines)-2]
	}
	check(t, "enough", dialogue(""), "250 OK")
	check(t, "too little for this size", dialogue(" size=2000000"), "452 Space shortage, please try later")
	f.main.SMTPCheckSpoolSpace = false
	check(t, "no check of sizes", dialogue(" size=2000000"), "250 OK")
	inodes = 99
	check(t, "inodes", dialogue(""), "452 Space shortage, please try later")
	check(t, "log", f.logged(), "spool directory space check failed: space=11264 inodes=1000\nspool directory space check failed: space=11264 inodes=99\n")
	space, inodes = -1, -1
	check(t, "unknown", dialogue(""), "250 OK")
}

func TestTooManyRecipients(t *testing.T) {
	f := newFixture(t, "")
	f.main.ACLSMTPRcpt, f.main.RecipientsMax, f.main.RecipientsMaxReject = "accept", "${if eq{a}{a}{1}}", true
	check(t, "output", f.local("helo x\nmail from:<a@b>\nrcpt to:<x@y>\nrcpt to:<z@y>\nrcpt to:<z@y>\ndata\nquit\n"), banner+`250 host.test Hello CALLER at x
250 OK
250 Accepted
552 too many recipients
552 too many recipients
554 Too many recipients
221 host.test closing connection
`)
	check(t, "log", f.logged(), "R:too many recipients: message rejected: sender=<a@b> U=CALLER\n")
}

func TestVRFY(t *testing.T) {
	f := newFixture(t, "")
	f.main.ACLSMTPVRFY, f.main.ACLSMTPEXPN, f.main.SMTPAcceptMaxNonMail = "accept", "accept", 100
	f.acl = func(s *expand.Scope, phase acl.Phase, _ string) acl.Outcome {
		if phase == acl.VRFY && s.Recipient != nil && strings.HasPrefix(s.Recipient.Address, "hard@") {
			return acl.Outcome{Verdict: acl.Fail, UserMessage: "599 custom reject", LogTargets: acl.LogMain}
		}
		if phase == acl.VRFY && strings.HasPrefix(s.Recipient.Address, "soft@") {
			return acl.Outcome{Verdict: acl.Fail, UserMessage: "say nothing", LogTargets: acl.LogMain}
		}
		return acl.Outcome{}
	}
	f.svc.Verify = func(_ context.Context, _ *expand.Scope, address string) acl.Verified {
		switch {
		case strings.HasPrefix(address, "good"), strings.HasPrefix(address, "postmaster"):
			return acl.Verified{Result: acl.OK}
		case strings.HasPrefix(address, "defer"):
			return acl.Verified{Result: acl.Defer, UserMessage: "later"}
		}
		return acl.Verified{Result: acl.Fail, UserMessage: "Unrouteable address"}
	}
	f.svc.List = func(_ context.Context, _ *expand.Scope, address string) string {
		return "250-<a@" + address + ">\n250 <b>"
	}
	check(t, "output", f.local("vrfy\nvrfy x\nvrfy <x\nvrfy postmaster\nvrfy hard@b\nvrfy soft@b\nvrfy good@b\nvrfy <defer@b>\nvrfy bad@b\nexpn list\nexpn list@b\nquit\n"), banner+`501 empty address
501 x: recipient address must contain a domain
501 "@" or "." expected after "x"
250 <postmaster@host.test> is deliverable
599 custom reject
252 say nothing
250 <good@b> is deliverable
451 <defer@b> later
550 <bad@b> Unrouteable address
250-<a@list@host.test>
250 <b>
250-<a@list@b>
250 <b>
221 host.test closing connection
`)
	check(t, "log", f.logged(), `
R:unqualified verify rejected: <x> U=CALLER
U=CALLER rejected VRFY hard@b
U=CALLER rejected VRFY soft@b
VRFY failed for bad@b U=CALLER
`)
}

// room is an extension with a keyword, parameters and commands, as rooms have them.
func room(seen *[]string) *Extension {
	note := func(text string) { *seen = append(*seen, text) }
	return &Extension{Name: "XROOM", Order: OrderPRDR, Offer: func(*Session) (string, bool) { return "XROOM yes", true },
		Begin: func(s *Session) { note("begin " + s.Who(false)) },
		Mail: []Parameter{{Name: "XP", Set: func(s *Session, value string, hasValue bool) *Refusal {
			if value == "bad" {
				return &Refusal{Code: 555, Text: "bad XP"}
			}
			s.NoteMail(", XP")
			return nil
		}}, {Name: "XHIDDEN", Offered: func(*Session) bool { return false }}},
		Commands: []Verb{
			{Name: "XCMD", Run: func(s *Session, argument string) {
				if s.InTransaction() {
					s.ProtocolError(503, "in transaction")
					return
				}
				s.Reply("250", "first\n"+argument)
			}},
			{Name: "XOVER", Run: func(s *Session, argument string) {
				s.Noun().Host = netip.MustParseAddr(argument)
				s.StartOver()
				text, _ := s.Banner()
				s.Reply("220", text)
			}},
			{Name: "XDENY", Run: func(s *Session, argument string) {
				s.Refuse("XDENY", "558", acl.Outcome{Verdict: acl.Fail, LogTargets: acl.LogMain}, argument)
			}},
			{Name: "XEND", Run: func(s *Session, _ string) { s.Log("over\n"); s.End() }},
		}}
}

func TestRoom(t *testing.T) {
	f := newFixture(t, "")
	var seen []string
	f.svc.Extensions = []*Extension{room(&seen)}
	check(t, "output", f.local("ehlo x\nmail from:<a@b> xp=bad\nmail from:<a@b> xhidden\nmail from:<a@b> xp=1\nxcmd\nrset\nxcmd arg\nxover 192.0.2.1\nmail from:<a@b>\nxdeny what\nxcmdx\nxend\nquit\n"), banner+`250-host.test Hello CALLER at x
250-SIZE 52428800
250-8BITMIME
250-PIPELINING
250-XROOM yes
250 HELP
555 bad XP
501 <a@b> xhidden: malformed address: xhidden may not follow <a@b> 
250 OK, XP
503 in transaction
250 Reset OK
250-first
250 arg
220 host.test ESMTP Exim x.yz Tue, 02 Mar 1999 09:44:33 +0000
503 HELO or EHLO required
558 Administrative prohibition
500-unrecognized command
500 Too many syntax or protocol errors
`)
	check(t, "seen", strings.Join(seen, "\n"), "begin CALLER")
}

func TestAskIdent(t *testing.T) {
	f := newFixture(t, "")
	f.main.RFC1413QueryTimeout, f.main.RFC1413Hosts = time.Minute, "127.0.0.1"
	f.world.World.Dial = identServer{}
	f.serve("S: 220 ...\nC: HELO x\nS: 250 host.test Hello ph10 at x [127.0.0.1]\nC: QUIT\nS: 221 ...\n")
}

// identServer answers RFC 1413 questions in the place of the network.
type identServer struct{}

func (identServer) Dial(_ context.Context, _ string, _ netip.Addr, address string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	go func() {
		defer theirs.Close()
		question := make([]byte, 64)
		n, _ := theirs.Read(question)
		theirs.Write([]byte(strings.TrimSpace(string(question[:n])) + " : USERID : UNIX : ph10\r\n"))
	}()
	return ours, nil
}

func TestHELOVerifyHosts(t *testing.T) {
	f := newFixture(t, "")
	f.world.Zones.Add("1.0.0.127.in-addr.arpa. PTR rev.example.\nrev.example. A 127.0.0.1\n")
	f.main.HELOVerifyHosts = "127.0.0.1"
	f.serve("S: 220 ...\nC: EHLO other.example\nS: 550 EHLO argument does not match calling host\nC: HELO rev.example\nS: 250 host.test Hello rev.example [127.0.0.1]\nC: QUIT\nS: 221 ...\n")
	check(t, "log", portless(f.logged(), f), "R:rejected \"EHLO other.example\" from rev.example (other.example) [IP]\n")
	f.main.HELOVerifyHosts, f.main.HostLookup = "", "*"
	f.serve("S: 220 ...\nC: EHLO other.example\nS: 250-host.test Hello rev.example [127.0.0.1]\nS: 250-SIZE...\nS: 250-8BITMIME\nS: 250-PIPELINING\nS: 250 HELP\nC: QUIT\nS: 221 ...\n")
}

// TestDelay shows that what was answered leaves before an ACL's delay, and that other scopes have no session.
func TestDelay(t *testing.T) {
	f := newFixture(t, "")
	f.main.ACLSMTPRcpt = "accept"
	clock := &sleeper{now: f.world.Clock.Now()}
	f.world.World.Clock = clock
	gate := make(chan struct{})
	f.acl = func(s *expand.Scope, phase acl.Phase, _ string) acl.Outcome {
		if phase == acl.Rcpt {
			if err := Delay(context.Background(), s, 5*time.Second); err != nil {
				t.Error(err)
			}
			<-gate // until the client has read the reply to MAIL
			Flush(s)
			if err := SetDSCP(s, 8); err != nil {
				t.Error(err)
			}
		}
		return acl.Outcome{}
	}
	client, wait := f.dial()
	if err := testkit.Converse(client, testkit.Client, greeted+"C: MAIL FROM:<a@b>\nC: RCPT TO:<x@y>\nS: 250 OK\n"); err != nil {
		t.Fatal(err)
	}
	close(gate)
	if err := testkit.Converse(client, testkit.Client, "S: 250 Accepted\nC: QUIT\nS: 221 ...\n"); err != nil {
		t.Error(err)
	}
	client.Close()
	wait()
	stranger := f.svc.Engine.NewScope(context.Background(), f.svc.Config, &mail.Session{}, nil)
	Flush(stranger)
	if err := SetDSCP(stranger, 8); err != nil {
		t.Error(err)
	}
	if err := Delay(context.Background(), stranger, time.Second); err != nil {
		t.Error(err)
	}
	check(t, "slept", clock.slept, "5s 1s ")
}

// TestControls are effects of ACL controls on the session.
func TestControls(t *testing.T) {
	f := newFixture(t, "")
	f.main.ACLSMTPHELO, f.main.ACLSMTPRcpt = "accept", "deny one\ntwo"
	f.acl = func(s *expand.Scope, phase acl.Phase, _ string) acl.Outcome {
		if phase == acl.HELO {
			s.Message.Controls.NoMultilineReply, s.Message.Controls.NoPipelining = true, true
		}
		return acl.Outcome{}
	}
	f.serve("S: 220 ...\nC: EHLO x\nS: 250-host.test Hello x [127.0.0.1]\nS: 250-SIZE...\nS: 250-8BITMIME\nS: 250 HELP\nC: MAIL FROM:<a@b>\nS: 250 OK\nC: RCPT TO:<x@y>\nS: 550 one\nC: QUIT\nS: 221 ...\n")
	f.logged()
}

// TestTLSAuthenticator authenticates a client by its handshake (spec 42).
func TestTLSAuthenticator(t *testing.T) {
	f := newFixture(t, "")
	withTLS(f)
	f.main.ACLSMTPRcpt = "accept"
	f.authenticate(&auth.Authenticator{Name: "bycert", Driver: &auth.Driver{Name: "tls", Server: func(_ context.Context, x *auth.ServerExchange) (auth.Result, string) {
		x.SetValues("me")
		return auth.OK, ""
	}}, Generic: &auth.Generic{ServerSetID: "$auth1"}, Options: option.Bag{}})
	client, wait := f.dial(func(s *Start) { s.TLSOnConnect = true })
	c := secure(t, client, nil)
	if err := testkit.Converse(c, testkit.Client, "S: 220 ...\nC: EHLO x\nS: 250-...\nS: 250-SIZE...\nS: 250-8BITMIME\nS: 250-PIPELINING\nS: 250 HELP\nC: MAIL FROM:<a@b>\nS: 250 OK\nC: RCPT TO:<x@y>\nS: 250 Accepted\nC: DATA\nS: 354 ...\nC: .\nS: 250 OK...\nC: QUIT\nS: 221 ...\nC: <close>\n"); err != nil {
		t.Error(err)
	}
	wait()
	check(t, "received", strings.Join(f.received, ""), "esmtpsa <a@b> x@y\n")
}
