package submit

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"exigo/internal/acl"
	"exigo/internal/config"
	"exigo/internal/eventlog"
	"exigo/internal/expand"
	"exigo/internal/mail"
	"exigo/internal/option"
	"exigo/internal/spool"
)

// TestQueueing: who says whether a message waits (spec 14 and 44.22).
func TestQueueing(t *testing.T) {
	there := filepath.Join(t.TempDir(), "q")
	if err := os.WriteFile(there, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	limit := option.Fixed(2000)
	for _, x := range []struct {
		name string
		set  func(b *bench, in *Input)
		want Delivery
		log  string
	}{
		{"nothing", func(*bench, *Input) {}, Deliver, ""},
		{"foreground", func(_ *bench, in *Input) { in.Delivery = DeliverForeground }, DeliverForeground, ""},
		{"freeze", func(_ *bench, in *Input) { in.Message.Controls.Freeze = true }, Queue, "ID frozen by ACL"},
		{"queue", func(_ *bench, in *Input) { in.Message.Controls.QueueOnly = true }, Queue, "ID no immediate delivery: queued by ACL"},
		{"first_pass_route", func(_ *bench, in *Input) { in.Message.Controls.QueueRouted = true }, RouteOnly, "ID no immediate delivery: queued by ACL"},
		{"reason", func(_ *bench, in *Input) { in.Delivery, in.QueueReason = Queue, "too many connections" }, Queue, "ID no immediate delivery: too many connections"},
		{"-odq", func(_ *bench, in *Input) { in.Delivery = Queue }, Queue, ""},
		{"queue_only", func(b *bench, _ *Input) { b.main.QueueOnly = true }, Queue, ""},
		{"queue_only -odi", func(b *bench, in *Input) { b.main.QueueOnly, in.Delivery = true, DeliverForeground }, DeliverForeground, ""},
		{"queue_only -odb", func(b *bench, in *Input) { b.main.QueueOnly, in.Background = true, true }, Deliver, ""},
		{"no_queue_only_override", func(b *bench, in *Input) {
			b.main.QueueOnly, b.main.QueueOnlyOverride, in.Background = true, false, true
		}, Queue, ""},
		{"file", func(b *bench, _ *Input) { b.main.QueueOnlyFile = "/none : " + there }, Queue, ""},
		{"smtp file", func(b *bench, _ *Input) { b.main.QueueOnlyFile = "smtp" + there }, RouteOnly, ""},
		{"no file", func(b *bench, _ *Input) { b.main.QueueOnlyFile = there + "x" }, Deliver, ""},
		{"load", func(b *bench, _ *Input) {
			b.main.QueueOnlyLoad = &limit
			b.world.LoadAverage = func() (int, bool) { return 2510, true }
		}, Queue, "ID no immediate delivery: load average 2.51"},
		{"low load", func(b *bench, _ *Input) {
			b.main.QueueOnlyLoad = &limit
			b.world.LoadAverage = func() (int, bool) { return 2000, true }
		}, Deliver, ""},
		{"latch", func(b *bench, in *Input) {
			b.main.QueueOnlyLoad, b.main.QueueOnlyLoadLatch = &limit, true
			b.world.LoadAverage = func() (int, bool) { return 3000, true }
			first := b.smtpInput(short)
			first.Message.Session = in.Message.Session
			b.Receive(context.Background(), first)
			b.arrived, b.bodies, b.how, b.log = nil, nil, nil, nil
			b.world.LoadAverage = func() (int, bool) { return 0, true }
		}, Queue, "ID no immediate delivery: load average 3.00"},
	} {
		b := newBench(t)
		in := b.smtpInput(short)
		x.set(b, in)
		b.Receive(context.Background(), in)
		got := strings.Join(b.log[1:], "|")
		if len(b.how) != 1 || b.how[0] != x.want || got != x.log {
			t.Errorf("%s: %v %q", x.name, b.how, got)
		}
	}
}

// TestRooms: features see the body, may refuse the message, and word the reply.
func TestRooms(t *testing.T) {
	b := newBench(t)
	var seen bytes.Buffer
	var ended []bool
	last := ""
	outcome := acl.Outcome{}
	b.s.Rooms = []Room{{}, {Name: "r",
		Body: func(context.Context, *expand.Scope, *mail.Message) io.WriteCloser { return nopCloser{&seen} },
		Check: func(_ context.Context, _ *expand.Scope, _ *mail.Message, body *io.SectionReader) (acl.Phase, acl.Outcome) {
			text, err := io.ReadAll(body)
			if err != nil || !bytes.Equal(text, seen.Bytes()) {
				t.Errorf("body: %v %q, and in passing %q", err, text, &seen)
			}
			return acl.DKIM, outcome
		},
		Reply:   func(_ *mail.Message, reply string) string { return reply + " r" },
		Inherit: func(m, parent *mail.Message) { m.Queue = parent.ID },
		Ended: func(_ *expand.Scope, m *mail.Message, r *Result) {
			ended, last = append(ended, m.ID == r.ID && r.Accepted), m.ID
		},
	}}
	arrived := b.s.Arrived
	b.s.Arrived = func(ctx context.Context, m *mail.Message, l *spool.Locked, d Delivery) {
		if m.AsArrived != nil || m.ID != last {
			t.Error("a message is handed on before its reception has ended") // who delivers it has it alone
		}
		arrived(ctx, m, l, d)
	}
	if r := b.Receive(context.Background(), b.smtpInput("A: b\n\none\ntwo\n")); !r.Accepted || r.Reply != "250 OK id="+r.ID+" r" || seen.String() != "one\ntwo\n" {
		t.Errorf("%+v %q", r, &seen)
	}
	for _, x := range []struct {
		outcome acl.Outcome
		refused bool
		log     string
	}{
		{acl.Outcome{Verdict: acl.Fail}, true, ""},
		{acl.Outcome{Verdict: acl.Discard, LogMessage: "bad"}, false, "ID => blackhole (DKIM ACL discarded recipients): bad"},
	} {
		seen.Reset()
		b.log, outcome = nil, x.outcome
		r := b.Receive(context.Background(), b.smtpInput(short))
		if (r.Refused != nil) != x.refused || r.Refused != nil && r.Phase != acl.DKIM || !strings.Contains(strings.Join(b.log, "|"), x.log) {
			t.Errorf("%+v %q", r, b.log)
		}
	}
	if want := []bool{true, false, true}; !slices.Equal(ended, want) {
		t.Errorf("ended: %v, want %v", ended, want)
	}
	outcome = acl.Outcome{}
	seen.Reset()
	if _, err := b.Generate(context.Background(), Generated{Parent: &mail.Message{ID: "q1"}, Text: strings.NewReader("To: a@b\n\nx\n")}); err != nil || b.arrived[1].Queue != "q1" {
		t.Errorf("%v", err)
	}
}

// TestAccepted: what features look at before a message is kept, and that they can have it spooled.
func TestAccepted(t *testing.T) {
	b := newBench(t)
	b.main.ACLSMTPData = "x"
	var seen []string
	spooled := false
	b.s.Rooms = []Room{{Accepted: func(_ context.Context, _ *expand.Scope, m *mail.Message, body *io.SectionReader) bool {
		text, _ := io.ReadAll(body)
		seen = append(seen, m.Recipients[0].Address+" "+string(text))
		m.Protocol = "seen"
		return spooled
	}}}
	passed := &passage{}
	b.s.Onward = func(context.Context, *expand.Scope, *mail.Message) Onward { return passed }
	for _, x := range []struct {
		verdict       acl.Verdict
		spool, onward bool
	}{{acl.OK, false, true}, {acl.OK, true, false}, {acl.Fail, false, false}, {acl.Discard, false, false}} {
		b.arrived, seen, *passed = nil, nil, passage{}
		b.outcome[acl.Data], spooled = acl.Outcome{Verdict: x.verdict}, x.spool
		in := b.smtpInput("A: b\n\nbody\n")
		to := in.Message.Recipients[0].Address
		b.Receive(context.Background(), in)
		if ok := x.verdict == acl.OK; ok != (len(seen) == 1 && seen[0] == to+" body\n") || passed.ended != x.onward || x.spool && (len(b.arrived) != 1 || b.arrived[0].Protocol != "seen") {
			t.Errorf("%+v: %q, %+v, %v", x, seen, passed, b.arrived)
		}
	}
}

// passage is a way onward on which everything is delivered.
type passage struct{ ended bool }

func (p *passage) Write(b []byte) (int, error) { return len(b), nil }
func (p *passage) End(context.Context) Sent    { p.ended = true; return Sent{Delivered: true} }
func (p *passage) Close()                      {}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

// TestProbe: a message that is only looked at (-bem).
func TestProbe(t *testing.T) {
	b := newBench(t)
	b.main.ACLNotSMTP = "x"
	b.outcome[acl.NotSMTP] = acl.Outcome{Verdict: acl.Fail}
	m, err := b.Probe(context.Background(), &Call{Extract: true, Stdin: strings.NewReader("To: a@b\nSubject: s\n\nx\ny\n"), Timeout: -1})
	if err != nil || len(b.log) != 0 || len(b.arrived) != 0 || len(m.Recipients) != 1 || m.Headers[0].Text != "To: a@b\n" {
		t.Errorf("%v %q %+v", err, b.log, m)
	}
	if _, err = b.Probe(context.Background(), &Call{SenderGiven: true, Sender: "a@@b", Stdin: strings.NewReader("\n")}); err == nil {
		t.Error("bad sender")
	}
	if _, err = b.Probe(context.Background(), &Call{Extract: true, Stdin: broken{}}); !errors.Is(err, errBroken) {
		t.Error(err)
	}
}

var errBroken = errors.New("broken")

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errBroken }

// TestReplyLines: replies are split where Exim splits them, and may be longer than that where there is no place to.
func TestReplyLines(t *testing.T) {
	words := strings.Repeat("1234567 ", 12)
	for _, x := range []struct{ text, want string }{
		{"short", "550 short"},
		{"a\r\nb", "550-a\n550 b"},
		{words + "end", "550-" + words[:71] + "\n550 " + words[72:] + "end"},
		{strings.Repeat("x", 90) + " y", "550-" + strings.Repeat("x", 90) + "\n550 y"},
		{strings.Repeat("x", 90), "550 " + strings.Repeat("x", 90)},
		{strings.Repeat("x", 50) + ": " + words, "550-" + strings.Repeat("x", 50) + ":\n550-" + words[:71] + "\n550 " + words[72:]},
	} {
		if got := multiline("550", x.text); got != x.want {
			t.Errorf("%q:\n got  %q\n want %q", x.text, got, x.want)
		}
	}
	b := newBench(t)
	b.s.Format.Selectors = b.s.Format.Selectors.With(eventlog.Subject)
	b.Receive(context.Background(), b.smtpInput("Subject: =?us-ascii?Q?cafe?=\n\tau \"lait\"\n\nb\n"))
	if !strings.HasSuffix(b.log[0], ` T="cafe\n`+"\t"+`au \"lait\""`) && !strings.HasSuffix(b.log[0], ` T="cafe\\n`+"\t"+`au \"lait\""`) {
		t.Error(b.log)
	}
}

// TestNames: who the caller is and what he is called (spec 5.2, 48.18).
func TestNames(t *testing.T) {
	b := newBench(t)
	if c := b.Identify(Caller{UID: 777}); c.Login != "uid777" || c.Trusted {
		t.Errorf("%+v", c)
	}
	b.main.UnknownLogin, b.main.UnknownUsername = "nobody${caller_uid}", "No Body"
	if c := b.Identify(Caller{UID: 777}); !strings.HasPrefix(c.Login, "nobody") {
		t.Errorf("%+v", c)
	}
	if name := b.gecosName(777, ""); name != "No Body" {
		t.Error(name)
	}
	b.main.UnknownUsername = "${foo"
	if name := b.gecosName(777, ""); name != "" {
		t.Error(name)
	}
	if name := b.gecosName(4321, ""); name != "Philip Ph10 H" {
		t.Error(name)
	}
	for name, want := range map[string]int{"12": 12, "": -1, "ph10": 4321, "nobody-at-all": -1, "9999999999": -1} {
		if got := userID(b.world.World.Users, name); got != want {
			t.Errorf("%s: %d", name, got)
		}
	}
}

// TestShortage: nothing is taken in when there is no room (spec 14, check_spool_space).
func TestShortage(t *testing.T) {
	for _, x := range []struct {
		spool, inodes, log int64
		want               string
	}{
		{10 << 20, 100, 10 << 20, ""},
		{-1, -1, -1, ""},
		{10<<20 - 1, 100, 10 << 20, "spool directory space check failed: space=10239 inodes=100"},
		{10 << 20, 99, 10 << 20, "spool directory space check failed: space=10240 inodes=99"},
		{10 << 20, 100, 1 << 10, "log directory space check failed: space=1 inodes=500"},
	} {
		b := newBench(t)
		b.s.SpoolSpace = func() (int64, int64) { return x.spool, x.inodes }
		b.s.LogSpace = func() (int64, int64) { return x.log, 500 }
		_, status, stderr := b.call(0, short, to("x@y"))
		if x.want == "" && (status != 0 || len(b.arrived) != 1) || x.want != "" && (status != 1 || stderr != "exim: insufficient disk space\n" || b.log[0] != x.want) {
			t.Errorf("%+v: %d %q %q", x, status, stderr, b.log)
		}
	}
	b := newBench(t)
	b.main.CheckSpoolSpace, b.main.CheckSpoolInodes, b.main.CheckLogSpace, b.main.CheckLogInodes = 0, 0, 0, 0
	b.s.SpoolSpace = func() (int64, int64) { t.Error("asked for nothing"); return 0, 0 }
	if !b.spaceLeft() {
		t.Error("no limits")
	}
	if space, _ := freeSpace("/none/such"); space != -1 {
		t.Error(space)
	}
}

// TestDropEnds: a dropped submission is taken in, or its sender hears why not by mail, or it stays where it is.
func TestDropEnds(t *testing.T) {
	for _, x := range []struct {
		name   string
		set    func(b *bench, c *Call)
		left   string // names of files afterwards
		letter string // subject of the mail about it
		panic  string
	}{
		{"good", func(*bench, *Call) {}, "", "", ""},
		{"refused", func(b *bench, _ *Call) {
			b.main.ACLNotSMTP = "x"
			b.s.RunACL = func(_ context.Context, s *expand.Scope, _ acl.Phase, _ string) acl.Outcome {
				if s.Message.Sender == "" {
					return acl.Outcome{}
				}
				return acl.Outcome{Verdict: acl.Fail, UserMessage: "no"}
			}
		}, "", "Mail failure - rejected by local scanning code", ""},
		{"all refused", func(b *bench, _ *Call) {
			b.main.ACLNotSMTP = "x"
			b.outcome[acl.NotSMTP] = acl.Outcome{Verdict: acl.Fail, UserMessage: "no"}
		}, "msg.", "", "exim: message rejected by non-SMTP ACL: no"},
		{"bad recipient", func(_ *bench, c *Call) { c.ErrorMode, c.Recipients = 'p', []string{"a@@b"} }, "", "Mail failure - malformed recipient address", ""},
		{"bad sender", func(_ *bench, c *Call) { c.SenderGiven, c.Sender = true, "a@@b" }, "failed.", "", `exim: bad -f address "a@@b": domain missing or malformed`},
		{"nobody to tell", func(_ *bench, c *Call) { c.SenderGiven, c.Sender, c.Recipients = true, "", []string{"a@@b"} }, "", "", ""},
		{"no room", func(b *bench, _ *Call) { b.s.SpoolSpace = func() (int64, int64) { return 0, 0 } }, "msg.", "", "exim: insufficient disk space"},
		{"no spool", func(b *bench, _ *Call) {
			dir := b.s.Spool.Directory
			os.RemoveAll(dir)
			os.WriteFile(dir, nil, 0o600)
		}, "msg.", "", "exim: "},
		{"crash", func(*bench, *Call) { panic("oh") }, "failed.", "", "oh"},
	} {
		b := newBench(t)
		dir := t.TempDir()
		if err := WriteDrop(dir, []string{"exim"}, strings.NewReader(short), 0); err != nil {
			t.Fatal(err)
		}
		var said []string
		run := func(ctx context.Context, call *Invocation) int {
			c := &Call{Caller: Caller{UID: 4321}, Timeout: -1, Stdin: call.Stdin, Stderr: call.Stderr, Recipients: []string{"x@y"}}
			x.set(b, c)
			return b.Submit(ctx, c)
		}
		_, err := ReadDrops(context.Background(), dir, run, func(text string) { said = append(said, text) })
		left, letter := "", ""
		entries, _ := os.ReadDir(dir)
		for _, e := range entries {
			left += e.Name()[:strings.IndexByte(e.Name(), '.')+1]
		}
		for _, m := range b.arrived {
			for _, h := range m.Headers {
				if h.Is("subject") && strings.Contains(h.Text, "failure") {
					letter = strings.TrimSpace(h.Value())
				}
			}
		}
		if text := strings.Join(said, "|"); err != nil || left != x.left || letter != x.letter || !strings.Contains(text, x.panic) || (text != "") != (x.panic != "") {
			t.Errorf("%s: %v left %q, letter %q, panic log %q, log %q", x.name, err, left, letter, text, b.log)
		}
	}
}

// TestFromLine: the pattern of "From " lines is the configuration's, and may be wrong (spec 48.4).
func TestFromLine(t *testing.T) {
	text := "From a@b Fri Jan  5 12:35:00 1996\n" + short
	for _, x := range []struct {
		set    func(m *config.Main)
		sender string
	}{
		{func(*config.Main) {}, "a@b"},
		{func(m *config.Main) { m.UUCPFromSender = "loc" }, "loc@h.ex"},
		{func(m *config.Main) { m.UUCPFromSender = "${foo" }, "root@h.ex"},
		{func(m *config.Main) { m.UUCPFromSender = "@@" }, "root@h.ex"},
	} {
		b := newBench(t)
		x.set(b.main)
		b.call(0, text, to("x@y"))
		if len(b.arrived) != 1 || b.arrived[0].Sender != x.sender {
			t.Errorf("%s: %q", x.sender, b.log)
		}
	}
}

// TestNoLog: a message that cannot be logged is not accepted, and leaves nothing in the spool; when the log is there again, the next one is.
func TestNoLog(t *testing.T) {
	b := newBench(t)
	dir := t.TempDir()
	var stderr, panics bytes.Buffer
	b.s.Log = eventlog.Open(b.world.World, eventlog.Settings{Path: dir + "/log/%s", Stderr: &panics, UID: -1})
	submit := func() int {
		stderr.Reset()
		return b.Submit(context.Background(), &Call{Caller: Caller{UID: 4321}, Timeout: -1, Stdin: strings.NewReader(short), Stderr: &stderr, Recipients: []string{"x@y"}})
	}
	if status := submit(); status != 0 || len(b.arrived) != 1 {
		t.Fatalf("with a log: %d %s", status, &stderr)
	}
	before, _ := b.s.Spool.List("")
	os.RemoveAll(dir + "/log")
	os.WriteFile(dir+"/log", nil, 0o600) // nobody can make it again, not even root
	if status := submit(); status != 1 || len(b.arrived) != 1 || !strings.HasPrefix(stderr.String(), "exim: Cannot open main log file") || !strings.Contains(panics.String(), "<= ") {
		t.Errorf("without a log: %d %s %s", status, &stderr, &panics)
	}
	if after, err := b.s.Spool.List(""); err != nil || len(after) != len(before) {
		t.Errorf("the spool has %v, %v", after, err)
	}
	os.Remove(dir + "/log")
	if status := submit(); status != 0 || len(b.arrived) != 2 {
		t.Errorf("with a log again: %d %s", status, &stderr)
	}
}
