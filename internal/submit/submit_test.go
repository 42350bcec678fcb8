package submit

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"exigo/internal/acl"
	"exigo/internal/config"
	"exigo/internal/eventlog"
	"exigo/internal/expand"
	"exigo/internal/expand/builtin"
	"exigo/internal/list"
	"exigo/internal/mail"
	"exigo/internal/option"
	"exigo/internal/outside"
	"exigo/internal/rewrite"
	"exigo/internal/spool"
	"exigo/internal/testkit"
)

// bench is a Receiver with everything around it.
type bench struct {
	*Receiver
	world   *testkit.Fake
	main    *config.Main
	log     []string
	arrived []*mail.Message
	bodies  []string
	how     []Delivery
	outcome map[acl.Phase]acl.Outcome
}

func newBench(t testing.TB) *bench {
	t.Helper()
	b := &bench{world: testkit.NewWorld(t), outcome: map[acl.Phase]acl.Outcome{}}
	b.world.Users.Add(outside.User{Name: "ph10", UID: 4321, GID: 4321, Gecos: "Philip & H, room 2"})
	words := builtin.Words()
	words.Variables = append(words.Variables, acl.Variables()...)
	engine, err := expand.New(b.world.World, words, expand.Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "conf")
	if err := os.WriteFile(path, []byte("primary_hostname = h.ex\nexim_user = exim\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	c, err := config.Read(config.Request{Path: path, World: b.world.World, SkipChecks: true, Registry: &config.Registry{Sets: []option.Set{config.MainOptions()}}})
	if err != nil {
		t.Fatal(err)
	}
	b.main = option.Of[config.Main](c.Main)
	b.main.QualifyDomain = "h.ex"
	rules, err := rewrite.Compile(nil)
	if err != nil {
		t.Fatal(err)
	}
	keep := func(_ *expand.Scope, text string) { b.log = append(b.log, text) }
	log := eventlog.Open(b.world.World, eventlog.Settings{Divert: func(to eventlog.Stream, id, text string) {
		if id != "" {
			text = "ID " + strings.ReplaceAll(text, id, "ID")
		}
		b.log = append(b.log, text)
	}})
	b.Receiver = New(Services{World: b.world.World, Engine: engine, Config: c, Main: b.main, Spool: spool.Open(t.TempDir(), spool.Options{UID: -1, GID: -1, NoSync: true}),
		Log: log, Format: eventlog.Format{},
		Rewriter: &rewrite.Rewriter{Rules: rules, Settings: rewrite.Settings{QualifyDomain: "h.ex"}, Hooks: rewrite.Hooks{Log: keep, Panic: keep,
			Match: func(s *expand.Scope, l, a string) (bool, error) {
				m, err := list.Address(s, l, a)
				return m.Matched, err
			}}},
		MatchAddress: func(s *expand.Scope, l, a string) (bool, error) {
			m, err := list.Address(s, l, a)
			return m.Matched, err
		},
		RunACL: func(_ context.Context, s *expand.Scope, phase acl.Phase, text string) acl.Outcome {
			return b.outcome[phase]
		},
		Arrived: func(_ context.Context, m *mail.Message, l *spool.Locked, d Delivery) {
			body, err := l.Body()
			if err != nil {
				t.Error(err)
			}
			text, _ := io.ReadAll(body)
			b.arrived, b.bodies, b.how = append(b.arrived, m), append(b.bodies, string(text)), append(b.how, d)
			l.Close()
		}})
	return b
}

// show is a message in short: sender, recipients, header lines (deleted ones with *) without our Received: and Date:, and body.
func (b *bench) show(i int) string {
	m := b.arrived[i]
	var out strings.Builder
	fmt.Fprintf(&out, "<%s>", m.Sender)
	for _, r := range m.Recipients {
		out.WriteString(" " + r.Address)
	}
	for _, h := range m.Headers {
		text := strings.ReplaceAll(strings.TrimSuffix(h.Text, "\n"), m.ID, "ID")
		switch {
		case strings.HasPrefix(text, "Received: from") && strings.Contains(text, "\n"), strings.HasSuffix(text, "Date: Tue, 02 Mar 1999 09:44:33 +0000"):
			continue
		case strings.HasSuffix(text, "Date: Tue, 2 Mar 1999 09:44:33 +0000"):
			continue
		case h.Type == '*':
			text = "*" + text
		}
		out.WriteString("|" + text)
	}
	return out.String() + "||" + strings.TrimSuffix(b.bodies[i], "\n")
}

func (b *bench) call(uid int, text string, options func(c *Call)) (*Call, int, string) {
	var stderr bytes.Buffer
	c := &Call{Caller: Caller{UID: uid, GID: uid}, Dots: true, Timeout: -1, Delivery: Queue, Stdin: strings.NewReader(text), Stderr: &stderr}
	if options != nil {
		options(c)
	}
	status := b.Submit(context.Background(), c)
	return c, status, stderr.String()
}

func to(recipients ...string) func(*Call) { return func(c *Call) { c.Recipients = recipients } }

func from(sender string, more func(*Call)) func(*Call) {
	return func(c *Call) {
		c.Sender, c.SenderGiven = sender, true
		c.Recipients = []string{"x@y"}
		if more != nil {
			more(c)
		}
	}
}

const short = "Subject: x\n\nb\n"

// TestFixups: headers as exim 4.96 writes them, for root, who is trusted, and for an ordinary user.
func TestFixups(t *testing.T) {
	id := "|Message-Id: <EID@h.ex>"
	for _, x := range []struct {
		uid     int
		options func(*Call)
		text    string
		want    string
	}{
		{0, to("x@y"), short, "<root@h.ex> x@y|Subject: x" + id + "|From: Charlie Root <root@h.ex>||b"},
		{0, from("", nil), short, "<> x@y|Subject: x" + id + "||b"},
		{0, from("a@b", func(c *Call) { c.FullName = "A. Nam" }), short, "<a@b> x@y|Subject: x" + id + "|From: \"A. Nam\" <a@b>||b"},
		{0, from("a@b", nil), short, "<a@b> x@y|Subject: x" + id + "|From: a@b||b"},
		{0, from("x", nil), short, "<x@h.ex> x@y|Subject: x" + id + "|From: x@h.ex||b"},
		{0, to("x@y"), "From: ROOT\n" + short, "<root@h.ex> x@y|*From: ROOT|Subject: x|From: Charlie Root <root@h.ex>" + id + "||b"},
		{0, to("x@y"), "From: root (c)\n" + short, "<root@h.ex> x@y|*From: root (c)|From: root@h.ex (c)|Subject: x" + id + "||b"},
		{0, to("x@y"), "From: root\nResent-From: root\n" + short, "<root@h.ex> x@y|Resent-Message-Id: <EID@h.ex>|*From: root|From: root@h.ex|*Resent-From: root|Subject: x|Resent-From: Charlie Root <root@h.ex>||b"},
		{0, to("x@y"), "Resent-To: a@b\n" + short, "<root@h.ex> x@y|Resent-Message-Id: <EID@h.ex>|Resent-To: a@b|Subject: x|Resent-From: Charlie Root <root@h.ex>||b"},
		{0, func(c *Call) { c.Extract = true }, "To: a@b\nBcc: c@d\nCc: \nResent-bcc: z@z\n" + short,
			"<root@h.ex> z@z|Resent-Message-Id: <EID@h.ex>|To: a@b|Bcc: c@d|Cc: |*Resent-bcc: z@z|Subject: x|Resent-From: Charlie Root <root@h.ex>||b"},
		{0, func(c *Call) { c.Extract = true }, "To: a@b, A@b\nBcc: c@d, e\n" + short, "<root@h.ex> a@b c@d e@h.ex|To: a@b, A@b|*Bcc: c@d, e|Subject: x" + id + "|From: Charlie Root <root@h.ex>||b"},
		{0, func(c *Call) { c.Extract, c.Recipients = true, []string{"A@B"} }, "To: a@b, c@d\n" + short, "<root@h.ex> c@d|To: a@b, c@d|Subject: x" + id + "|From: Charlie Root <root@h.ex>||b"},
		{0, to("x@y"), "Return-path: x\nEnvelope-to: y\nDelivery-date: z\nSender: q@q\n" + short,
			"<root@h.ex> x@y|*Return-path: x|*Envelope-to: y|*Delivery-date: z|Sender: q@q|Subject: x" + id + "|From: Charlie Root <root@h.ex>||b"},
		{0, to("x@y"), "Message-ID: abc\nDate: q\nFrom: a@b\n\n", "<root@h.ex> x@y|Message-ID: abc|Date: q|From: a@b||"},
		{0, to("x@y"), "From a@b Fri Jan  5 12:35:00 1996\nFrom c@b Fri Jan  5 12:35:00 1996\nFrom: z\n" + short, "<c@b> x@y|*From: z|From: z@h.ex|Subject: x" + id + "||b"},
		{0, from("q@q", nil), "From a@b Fri Jan  5 12:35:00 1996\n" + short, "<q@q> x@y|Subject: x" + id + "|From: q@q||b"},
		{0, to("x@y"), " cont\nSubject: x\n", "<root@h.ex> x@y" + id + "|From: Charlie Root <root@h.ex>|| cont\nSubject: x"},
		{0, to("x@y"), "Subject: x\n.\nmore\n", "<root@h.ex> x@y|Subject: x" + id + "|From: Charlie Root <root@h.ex>||"},
		{0, func(c *Call) { c.Dots = false; c.Recipients = []string{"x@y"} }, "Subject: x\n\n.\n..more\n", "<root@h.ex> x@y|Subject: x" + id + "|From: Charlie Root <root@h.ex>||.\n..more"},
		{0, to("x@y"), "Subject: x\nNot a header\nmore\n", "<root@h.ex> x@y|Subject: x" + id + "|From: Charlie Root <root@h.ex>||Not a header\nmore"},
		{0, to("x@y"), "", "<root@h.ex> x@y" + id + "|From: Charlie Root <root@h.ex>||"},
		{0, to("x@y"), "Subject: x\r\nY: a\rb\nc\r\n\r\none\ntwo\rthree\r\nfour", "<root@h.ex> x@y|Subject: x|Y: a\n b\n c" + id + "|From: Charlie Root <root@h.ex>||one\ntwo\nthree\nfour"},
		{4321, to("x@y"), "Sender: q@q\n" + short, "<ph10@h.ex> x@y|*Sender: q@q|Subject: x" + id + "|From: Philip Ph10 H <ph10@h.ex>||b"},
		{4321, from("q@q", nil), "From: f@g\n" + short, "<ph10@h.ex> x@y|From: f@g|Subject: x" + id + "|Sender: Philip Ph10 H <ph10@h.ex>||b"},
		{4321, from("<>", nil), "From: Ph10@H.EX\n" + short, "<> x@y|From: Ph10@H.EX|Subject: x" + id + "|Sender: Philip Ph10 H <ph10@h.ex>||b"},
		{4321, to("x@y"), "From: ph10@H.EX\n" + short, "<ph10@h.ex> x@y|From: ph10@H.EX|Subject: x" + id + "||b"},
		{4321, to("x@y"), "From a@b Fri Jan  5 12:35:00 1996\n" + short, "<ph10@h.ex> x@y|Subject: x" + id + "|From: Philip Ph10 H <ph10@h.ex>||b"},
		{4321, func(c *Call) { c.NoQualify = true; c.Recipients = []string{"x@y"} }, "From: philip\nTo: x\n" + short, "<ph10@h.ex> x@y|From: philip|To: x|Subject: x" + id + "|Sender: Philip Ph10 H <ph10@h.ex>||b"},
	} {
		b := newBench(t)
		_, status, stderr := b.call(x.uid, x.text, x.options)
		if status != 0 || len(b.arrived) != 1 {
			t.Errorf("%q: status %d, %s %q", x.text, status, stderr, b.log)
			continue
		}
		if got := b.show(0); got != x.want {
			t.Errorf("%q\n got  %s\n want %s", x.text, got, x.want)
		}
	}
}

// TestOptions: local_from_prefix and its like.
func TestOptions(t *testing.T) {
	for _, x := range []struct {
		set  func(m *config.Main)
		from string
		want bool // a Sender: line
	}{
		{func(m *config.Main) {}, "other@h.ex", true},
		{func(m *config.Main) { m.LocalFromCheck = false }, "other@h.ex", false},
		{func(m *config.Main) { m.LocalFromPrefix = "*-" }, "any-thing-ph10@h.ex", false},
		{func(m *config.Main) { m.LocalFromPrefix = "x-" }, "x-ph10@h.ex", false},
		{func(m *config.Main) { m.LocalFromSuffix = "+*" }, "ph10+list@h.ex", false},
		{func(m *config.Main) { m.LocalFromPrefix, m.LocalFromSuffix = "*-", "-x" }, "a-ph10-x@h.ex", false},
		{func(m *config.Main) { m.LocalFromSuffix = "+*" }, "ph11+list@h.ex", true},
	} {
		b := newBench(t)
		x.set(b.main)
		b.call(4321, "From: "+x.from+"\n\n", to("x@y"))
		if got := strings.Contains(b.show(0), "|Sender: "); got != x.want {
			t.Errorf("%s: %v", x.from, got)
		}
	}
	b := newBench(t)
	b.main.UntrustedSetSender = "*@ok.ex"
	b.main.ReceivedHeaderText, b.main.MessageIDHeaderText, b.main.MessageIDHeaderDomain = "", "a b$caller_uid", "x_y.z"
	b.call(4321, short, from("a@ok.ex", nil))
	if got := b.show(0); got != "<a@ok.ex> x@y|Subject: x|Message-Id: <EID.a-b4321@x-y.z>|From: a@ok.ex||b" {
		t.Error(got)
	}
}

// TestComplaints: what is said, where, and the exit status (spec 5.3, texts of exim 4.96).
func TestComplaints(t *testing.T) {
	bad := func(mode byte, extract bool, recipients ...string) func(*Call) {
		return func(c *Call) { c.ErrorMode, c.Extract, c.Recipients = mode, extract, recipients }
	}
	for _, x := range []struct {
		options func(*Call)
		text    string
		status  int
		stderr  string
		letter  string // part of the mail, "" for none
	}{
		{bad('p', false, "a@b", "bad@@addr"), short, 1, "exim: bad recipient address \"bad@@addr\": domain missing or malformed\n", ""},
		{bad('m', false, "bad@@addr"), short, 1, "", "Subject: Mail failure - malformed recipient address\n\nA message that you sent contained a recipient address that was incorrectly\nconstructed:\n\n" +
			"  bad@@addr  domain missing or malformed\n\nThe message has not been delivered to any recipients.\n\n------ This is a copy of your message, including all the headers. ------\n\n\nSubject: x\n\nb\n"},
		{bad('e', false, "bad@@addr"), short, 0, "", "malformed"},
		{bad('p', true), short, 1, "exim: no recipients in message\n", ""},
		{bad('p', true), "To: x@@y, z@@z\nCc: @@\n\n", 1, "exim: invalid addresses:\n  x@@y, z@@z: domain missing or malformed\n  z@@z: domain missing or malformed\n  @@: domain missing or malformed\n", ""},
		{bad('p', true, "a@b"), "To: a@b\n\n", 1, "exim: all -t recipients overridden by command line\n", ""},
		{bad('m', true, "a@b"), "To: a@b\n\nz\n", 1, "", "A message that you sent using the -t command line option contained no\naddresses that were not also"},
		{bad('p', false, "a@b"), "Subject: " + strings.Repeat("x", 600) + "\n\n", 1, "exim: message header line longer than 500 characters received: message not accepted\n", ""},
		{bad('p', false, "a@b"), strings.Repeat("Subject: "+strings.Repeat("x", 400)+"\n", 8) + "\n", 1, "exim: message header longer than 2000 characters received: message not accepted\n", ""},
		{bad('p', false, "a@b"), "S: x\n\n" + strings.Repeat("x", 5000), 1, "exim: message rejected: message too big (max=3000)\n", ""},
		{bad('m', false, "a@b"), "S: x\n\n" + strings.Repeat("x", 5000), 1, "", "------ This is a copy of your message, including all the headers.\n------ No more than 3000 characters of the body are included.\n\nS: x\n"},
		{bad('p', false, "a@b", "b@b", "c@b", "d@b", "e@b", "f@b"), short, 1, "exim: too many recipients\n", ""},
		{from("x@@y", nil), short, 1, "exim: bad -f address \"x@@y\": domain missing or malformed\n", ""},
		{func(c *Call) { c.NoQualify, c.ErrorMode, c.Recipients = true, 'p', []string{"a"} }, short, 1, "exim: bad recipient address \"a\": unqualified recipient address not allowed\n", ""},
	} {
		b := newBench(t)
		b.main.HeaderLineMaxSize, b.main.HeaderMaxSize, b.main.MessageSizeLimit, b.main.RecipientsMax = 500, 2000, "3000", "5"
		_, status, stderr := b.call(0, x.text, x.options)
		if status != x.status || stderr != x.stderr {
			t.Errorf("%q: status %d, stderr %q, log %q", x.text[:min(len(x.text), 60)], status, stderr, b.log)
		}
		letter := ""
		if len(b.arrived) == 1 {
			letter = b.show(0)
			for _, h := range b.arrived[0].Headers {
				if h.Type == ' ' && strings.HasPrefix(h.Text, "Subject") {
					letter = h.Text + "\n" + b.bodies[0]
				}
			}
		}
		if !strings.Contains(letter, x.letter) || x.letter == "" && letter != "" {
			t.Errorf("%q: letter\n%s", x.text[:min(len(x.text), 60)], letter)
		}
	}
}

// TestACL: refusals, discards, controls and log lines.
func TestACL(t *testing.T) {
	for _, x := range []struct {
		outcome acl.Outcome
		status  int
		stderr  string
		log     string
	}{
		{acl.Outcome{}, 0, "", "ID <= root@h.ex U=root P=local S=%d"},
		{acl.Outcome{Verdict: acl.Fail, UserMessage: "go away", LogMessage: "go away", LogTargets: acl.LogMain | acl.LogReject}, 1, "exim: message rejected by non-SMTP ACL: go away\n", "ID F=<root@h.ex> rejected by non-SMTP ACL: go away"},
		{acl.Outcome{Verdict: acl.Error, LogMessage: "oops =\tx", LogTargets: acl.LogMain}, 1, "exim: message rejected by non-SMTP ACL: local configuration problem\n", "ID F=<root@h.ex> rejected by non-SMTP ACL: oops =\\tx"},
		{acl.Outcome{Verdict: acl.Discard, LogMessage: "why"}, 1, "", "ID <= root@h.ex U=root P=local S=%d // ID => blackhole (non-SMTP ACL discarded recipients): why // ID Completed"},
	} {
		b := newBench(t)
		b.main.ACLNotSMTP = "x"
		b.outcome[acl.NotSMTP] = x.outcome
		_, status, stderr := b.call(0, short, func(c *Call) { c.ErrorMode, c.Recipients = 'p', []string{"a@b"} })
		want := x.log
		if strings.Contains(want, "%d") {
			size := int64(0)
			if len(b.arrived) > 0 {
				size = b.arrived[0].Size
			} else {
				fmt.Sscanf(b.log[0][strings.Index(b.log[0], "S=")+2:], "%d", &size)
			}
			want = fmt.Sprintf(want, size)
		}
		if got := strings.Join(b.log, " // "); status != x.status || stderr != x.stderr || got != want {
			t.Errorf("%+v: %d %q %q", x.outcome, status, stderr, got)
		}
	}
}

// smtpInput is a message as the SMTP server hands it over.
func (b *bench) smtpInput(text string) *Input {
	s := &mail.Session{Host: netip.MustParseAddr("1.2.3.4"), SMTP: true, HELO: "a.b", ESMTP: true}
	m := &mail.Message{Session: s, Sender: "a@b.c", RawSender: "a@b.c", SenderSet: true, Protocol: "esmtp", Recipients: []mail.Recipient{{Address: "x@y", Parent: -1}}}
	return &Input{Message: m, Scope: b.s.Engine.NewScope(context.Background(), b.s.Config, s, m), Source: NewLocalReader(strings.NewReader(text), false), SizeLimit: -1}
}

func TestSMTP(t *testing.T) {
	b := newBench(t)
	in := b.smtpInput("Subject: x\nFrom: unq\nSender: s@s\n\nb\n")
	r := b.Receive(context.Background(), in)
	if !r.Accepted || r.Reply != "250 OK id="+r.ID || b.show(0) != "<a@b.c> x@y|Subject: x|From: unq|Sender: s@s||b" || b.how[0] != Deliver {
		t.Errorf("%+v %q", r, b.show(0))
	}
	if !strings.HasPrefix(b.arrived[0].Headers[0].Text, "Received: from [1.2.3.4] (helo=a.b)\n\tby h.ex with esmtp (Exim x.yz)\n\t(envelope-from <a@b.c>)\n\tid "+r.ID+"\n\tfor x@y;\n\t") {
		t.Errorf("%q", b.arrived[0].Headers[0].Text)
	}
	b.main.MessageSizeLimit = "100"
	in = b.smtpInput("Subject: x\n\n" + strings.Repeat("0123456789\n", 20))
	if r = b.Receive(context.Background(), in); r.Failure == nil || r.Reply != "552 Message size exceeds maximum permitted" {
		t.Errorf("%+v", r)
	}
	if got := b.log[len(b.log)-1]; got != "ID rejected from <a@b.c> H=(a.b) [1.2.3.4]: message too big: read=232 max=100" {
		t.Error(got)
	}
	b.main.MessageSizeLimit = ""
	in = b.smtpInput(short)
	in.Message.Controls.Fakereject = "one\ntwo"
	in.Message.Recipients[0].Notify = mail.NotifySuccess
	in.Message.Controls.QueueOnly = true
	acl.PendingHeaders(in.Message).Added = []acl.AddedHeader{{Text: "X-A: 1\n"}}
	if r = b.Receive(context.Background(), in); r.Reply != "550-one\n550 two" || b.how[1] != Queue || !strings.HasSuffix(b.show(1), "|X-A: 1||b") {
		t.Errorf("%+v %v %q", r, b.how, b.show(1))
	}
	if n := in.Message.Recipients[0].Notify; n != mail.NotifyNever { // the client has been told of a failure
		t.Errorf("notify %d", n)
	}
	b.main.ACLSMTPData = "x"
	b.outcome[acl.Data] = acl.Outcome{Verdict: acl.Defer, UserMessage: "later"}
	if r = b.Receive(context.Background(), b.smtpInput(short)); r.Refused == nil || r.Phase != acl.Data || r.Accepted {
		t.Errorf("%+v", r)
	}
	b.outcome[acl.Data] = acl.Outcome{}
	in = b.smtpInput(short)
	in.Alive = func() bool { return false }
	if r = b.Receive(context.Background(), in); r.Accepted || r.ReadError == nil {
		t.Errorf("%+v", r)
	}
	if left, _ := b.s.Spool.List(""); len(left) != 2 {
		t.Errorf("spool: %v", left)
	}
}

// TestSubmissionMode follows spec 48.1, 48.11 and 48.16.
func TestSubmissionMode(t *testing.T) {
	for _, x := range []struct{ control, header, want string }{
		{"/", "", "<ph10@h.ex> x@y|Message-Id: <EID@h.ex>|From: a@b.c||b"},
		{"/", "From: z@z\nSender: s@s\n", "<ph10@h.ex> x@y|From: z@z|*Sender: s@s|Message-Id: <EID@h.ex>|Sender: ph10@h.ex||b"},
		{"/sender_retain", "From: z@z\nSender: s@s\n", "<a@b.c> x@y|From: z@z|Sender: s@s|Message-Id: <EID@h.ex>||b"},
		{"/domain=w.ex/name=A. Name", "From: z@z\n", "<ph10@w.ex> x@y|From: z@z|Message-Id: <EID@h.ex>|Sender: \"A. Name\" <ph10@w.ex>||b"},
		{"/domain=w.ex", "From: ph10@w.ex\n", "<ph10@w.ex> x@y|From: ph10@w.ex|Message-Id: <EID@h.ex>||b"},
	} {
		b := newBench(t)
		in := b.smtpInput(x.header + "\nb\n")
		in.Message.Session.Authenticator, in.Message.Session.AuthID = "plain", "ph10"
		program, err := acl.Compile(&config.Config{}, acl.Words{}, acl.Services{})
		if err != nil {
			t.Fatal(err)
		}
		if o := program.Run(context.Background(), in.Scope, acl.Mail, "accept control = submission"+strings.TrimSuffix(x.control, "/")); o.Verdict != acl.OK {
			t.Fatal(o)
		}
		b.Receive(context.Background(), in)
		if got := b.show(0); got != x.want {
			t.Errorf("%s\n got  %s\n want %s", x.control, got, x.want)
		}
	}
}

func TestGenerate(t *testing.T) {
	b := newBench(t)
	id, err := b.Generate(context.Background(), Generated{Recipients: []string{"a@b", "c"}, Reference: "REF", Text: strings.NewReader("From: x@y\nTo: a@b\n\nhello\n")})
	if err != nil || id == "" || b.show(0) != "<> a@b c@h.ex|From: x@y|To: a@b|Message-Id: <EID@h.ex>||hello" || !strings.HasPrefix(b.log[0], "ID <= <> R=REF U=") {
		t.Errorf("%v %q %q", err, b.log, b.show(0))
	}
}

// slowReader gives its text and then waits for ever.
type slowReader struct {
	text         string
	asleep, wait chan struct{}
}

func (s *slowReader) Read(p []byte) (int, error) {
	if s.text == "" {
		close(s.asleep)
		<-s.wait
		return 0, io.EOF
	}
	n := copy(p, s.text)
	s.text = s.text[n:]
	return n, nil
}

func TestTimeout(t *testing.T) {
	b := newBench(t)
	slow := &slowReader{text: "Subject: x\n\nfoo\n", asleep: make(chan struct{}), wait: make(chan struct{})}
	defer close(slow.wait)
	done := make(chan int)
	var stderr bytes.Buffer
	go func() {
		c := &Call{Caller: Caller{UID: 0}, Timeout: 1e9, Recipients: []string{"x@y"}, Stdin: slow, Stderr: &stderr, Dots: true}
		done <- b.Submit(context.Background(), c)
	}()
	<-slow.asleep // what it gave has been taken
	b.world.Clock.Advance(2e9)
	if status := <-done; status != 1 || stderr.String() != "exim: timed out while reading - message abandoned\n" || b.log[0] != "ID timed out while reading local message" {
		t.Errorf("%d %q %q", status, stderr.String(), b.log)
	}
}

func FuzzLocalReader(f *testing.F) {
	for _, s := range []string{"a\r\nb\rc\n.\n", ".\r\n", "a\n.", "\r\r\n\n"} {
		f.Add(s, true)
	}
	f.Fuzz(func(t *testing.T, text string, dots bool) {
		r := NewLocalReader(strings.NewReader(text), dots)
		var header, body bytes.Buffer
		if p, err := r.ReadSlice('\n'); err == nil {
			header.Write(p)
			r.EndHeader()
			if _, err := r.WriteTo(&body); err != nil {
				t.Error(err)
			}
		}
		if bytes.ContainsRune(append(header.Bytes(), body.Bytes()...), '\r') {
			t.Errorf("%q: CR got through", text)
		}
	})
}

func BenchmarkReceive(b *testing.B) {
	x := newBench(b)
	x.s.Arrived = nil
	text := "From: a@b.c\nTo: x@y\nSubject: test\nMessage-ID: <a@b>\nDate: Tue, 2 Mar 1999 09:44:33 +0000\n\n" + strings.Repeat(strings.Repeat("x", 71)+"\n", 55)
	for b.Loop() {
		x.log = nil
		if r := x.Receive(context.Background(), x.smtpInput(text)); !r.Accepted {
			b.Fatal(r)
		}
	}
}
