package smtpserver

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"exigo/internal/mail"
)

// batches are inputs of -bS with what goes to the standard output and error, as Exim's own tests have them.
var batches = []struct{ name, input, output, errors, received string }{
	{"good", "HELO some.domain\nmail from:a@b\nrcpt to:x@y\nRSET\nmail from:<a@b>\nrcpt to:<x@y>\ndata\nfrom: me\n\n..dot\n.\n", "", "", "local-bsmtp <a@b> x@y\nfrom: me\n\n.dot\n"},
	{"malformed sender", "mail from:someone@some.where<\nrcpt to:x@y\n",
		"501 malformed address: < may not follow someone@some.where\nTransaction started in line 0\nError detected in line 1\nmail from:someone@some.where<\n", `
An error was detected while processing a file of BSMTP input.
The error message was:

  501 malformed address: < may not follow someone@some.where

The SMTP transaction started in line 0.
The error was detected in line 1.
The SMTP command at fault was:

   mail from:someone@some.where<

0 previous messages were successfully processed.
The rest of the batch was abandoned.
`, ""},
	{"malformed recipient", "mail from:a@b\nrcpt to:x@y\ndata\nfrom: a@b\n\nx\n.\nmail from:a@b\nrcpt to:<x@y\n",
		"501 '>' missing at end of address\nTransaction started in line 7\nError detected in line 9\nrcpt to:<x@y\n", `
An error was detected while processing a file of BSMTP input.
The error message was:

  501 '>' missing at end of address

The SMTP transaction started in line 7.
The error was detected in line 9.
The SMTP command at fault was:

   rcpt to:<x@y

1 previous message was successfully processed.
The rest of the batch was abandoned.
`, "local-bsmtp <a@b> x@y\nfrom: a@b\n\nx\n"},
	{"no final dot", "mail from:a@b\nrcpt to:x@y\ndata\nfrom: a@b\n\nx\n", "421 Lost incoming connection\nTransaction started in line 0\nError detected in line 7\n", `
An error was detected while processing a file of BSMTP input.
The error message was:

  421 Lost incoming connection

The SMTP transaction started in line 0.
The error was detected in line 7.
0 previous messages were successfully processed.
The rest of the batch was abandoned.
`, ""},
}

func TestBatch(t *testing.T) {
	for _, c := range batches {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(t, "")
			f.main.ACLSMTPRcpt = "deny" // is not asked
			var out, errors bytes.Buffer
			ended := New(f.svc, nil).ServeStream(context.Background(), stream{strings.NewReader(c.input), &out},
				Start{Local: true, NotSocket: true, Batch: true, Noun: &mail.Session{Login: "CALLER", Ident: "CALLER"}, Error: &errors})
			check(t, "output", out.String(), c.output)
			check(t, "errors", errors.String(), c.errors)
			check(t, "received", strings.Join(f.received, ""), c.received)
			if ended.Failed != (c.output != "") {
				t.Errorf("failed: %v", ended.Failed)
			}
		})
	}
}

// TestFold has lines that exim 4.96 divided in the same way.
func TestFold(t *testing.T) {
	x := func(n int) string { return strings.Repeat("x", n) }
	for text, want := range map[string]string{
		x(40) + ": " + x(20) + " " + x(30):                x(40) + ":\n" + x(20) + " " + x(30),
		x(20) + ": " + x(20) + " " + x(20) + " " + x(30):  x(20) + ": " + x(20) + " " + x(20) + "\n" + x(30),
		x(34) + ": " + x(20) + " " + x(10) + " " + x(30):  x(34) + ": " + x(20) + " " + x(10) + "\n" + x(30),
		x(35) + ": " + x(20) + " " + x(10) + " " + x(30):  x(35) + ":\n" + x(20) + " " + x(10) + " " + x(30),
		x(38) + ": " + x(10) + ": " + x(15) + " " + x(30): x(38) + ":\n" + x(10) + ": " + x(15) + " " + x(30),
		x(75) + " " + x(30):                               x(75) + "\n" + x(30),
		x(76) + " " + x(30):                               x(76) + "\n" + x(30),
		x(10) + " " + x(100) + " " + x(10):                x(10) + " " + x(100) + "\n" + x(10),
		x(35) + " " + x(39):                               x(35) + " " + x(39),
		x(35) + " " + x(40):                               x(35) + " " + x(40),
		x(60) + "   " + x(30):                             x(60) + "  \n" + x(30),
		x(80):                                             x(80),
		"short\n" + x(60) + " " + x(30):                   "short\n" + x(60) + "\n" + x(30),
	} {
		check(t, text, foldMessage(text), want)
	}
}

func TestRateLimit(t *testing.T) {
	for text, want := range map[string]rateLimit{
		"2,0.5s,1.05,4m":        {true, 2, 500 * time.Millisecond, 1.05, 4 * time.Minute},
		"1, 0.25s, 1.05, 1s":    {true, 1, 250 * time.Millisecond, 1.05, time.Second},
		"1,1s,5":                {},
		"x,1s,5,2s":             {},
		"1,1,5,2s":              {},
		"1,-0.5s,5,2s":          {},
		"1,0.5x,5,2s":           {},
		"1,9999999999.5w,5,1.s": {},
	} {
		if got := parseRateLimit(text); got != want {
			t.Errorf("%s: %+v", text, got)
		}
	}
	f := newFixture(t, "")
	f.main.SMTPRateLimitHosts, f.main.SMTPRateLimitMail, f.main.SMTPRateLimitRcpt, f.main.ACLSMTPRcpt = ":", "1,1s,5,2s", "1,0.25s,2,1s", "accept"
	clock := &sleeper{now: f.world.Clock.Now()}
	f.world.World.Clock = clock
	f.local("helo test\nmail from:<x@y>\n" + strings.Repeat("rcpt to:<a@z>\n", 5) + "rset\nmail from:<x@y>\nrset\nmail from:<x@y>\nrcpt to:<a@z>\nrcpt to:<a@z>\nquit\n")
	check(t, "delays", clock.slept, "250ms 500ms 1s 1s 1s 2s 250ms ")
}

// sleeper is a clock that notes for how long somebody wants to sleep, and does not.
type sleeper struct {
	now   time.Time
	slept string
}

func (s *sleeper) Now() time.Time { return s.now }
func (s *sleeper) Sleep(_ context.Context, d time.Duration) error {
	s.slept += d.String() + " "
	return nil
}
func (s *sleeper) After(time.Duration) <-chan time.Time { return nil }

func TestSplitCommand(t *testing.T) {
	for text, want := range map[string]string{
		"/etc/cmd $domain x":               "/etc/cmd|$domain|x",
		`/etc/cmd "a b" 'c $d'`:            "/etc/cmd|a b|c $d",
		"/etc/cmd ${if eq {a}{b} {c}} end": "/etc/cmd|${if eq {a}{b} {c}}|end",
		`/etc/cmd "a`:                      "error",
		"":                                 "",
	} {
		words, err := splitCommand(text)
		got := strings.Join(words, "|")
		if err != nil {
			got = "error"
		}
		check(t, text, got, want)
	}
}

func TestETRN(t *testing.T) {
	f := newFixture(t, "")
	f.main.ACLSMTPETRN = "accept"
	var runs []string
	held := map[string]bool{}
	f.svc.ETRNLock = func(key string) (bool, func()) {
		if held[key] {
			return true, nil
		}
		held[key] = true
		return false, func() { delete(held, key) }
	}
	f.svc.StartQueueRun = func(text, queue string, done func()) error { runs = append(runs, "-R "+text); return nil }
	f.svc.StartCommand = func(argv []string, done func()) error {
		runs = append(runs, strings.Join(argv, "|"))
		done()
		return nil
	}
	check(t, "output", f.local("etrn #x\netrn #x\netrn #y\nquit\n"), banner+"250 OK\n458 Already processing #x\n250 OK\n221 host.test closing connection\n")
	f.main.SMTPETRNCommand = `/etc/cmd $domain "two words"`
	check(t, "output", f.local("etrn free form\nquit\n"), banner+"250 OK\n221 host.test closing connection\n")
	check(t, "runs", strings.Join(runs, "\n"), "-R x\n-R y\n/etc/cmd|free form|two words")
	f.main.ACLSMTPETRN = "deny"
	check(t, "output", f.local("etrn #x\nquit\n"), banner+"458 Administrative prohibition\n221 host.test closing connection\n")
}

func TestValidHELO(t *testing.T) {
	for name, want := range map[string]bool{
		"a.b": true, "A-1": true, "foo_bar": false, "(x)": false, "": false, "[1.2.3.4]": true, "[1.2.3]": false, "[1.2.3.4": false,
		"[IPv6:2001:db8::1]": true, "[ipv6:::1]": true, "[2001:db8::1]": true, "[fe80::1%eth0]": false, "2001:db8::1": false, "a b": false,
	} {
		if validHELO(name, "") != want {
			t.Errorf("%q: not %v", name, want)
		}
	}
	if !validHELO("foo_bar", "_") {
		t.Error("helo_allow_chars is not obeyed")
	}
}

// TestLongLines sends lines longer than any buffer.
func TestLongLines(t *testing.T) {
	f := newFixture(t, "")
	f.main.SMTPMaxSynProtErrors = 10
	check(t, "output", f.local("noop "+strings.Repeat("x", 16000)+"\nnoop "+strings.Repeat("x", 17000)+"\nnoop "+strings.Repeat("x", 100000)+"\nquit\n"),
		banner+"250 OK\n500 line too long\n500 line too long\n221 host.test closing connection\n")
	f.logged()
}

// FuzzSession feeds arbitrary input to a session: it must end, and every line it answers must be a reply.
func FuzzSession(f *testing.F) {
	for _, seed := range []string{"ehlo x\nmail from:<a@b> size=10\nrcpt to:<x@y> notify=never\ndata\na: b\n\n.\nquit\n", "ehlo x\nmail from:<a@b>\nrcpt to:<x@y>\nbdat 5\nabcdebdat 0 last\nvrfy x\n",
		"helo [1.2.3.4]\nauth plain x\nstarttls\nhelp\nexpn x\netrn #x\n\x00\n"} {
		f.Add(seed)
	}
	fix := newFixture(f, "+smtp_syntax_error")
	fix.main.ACLSMTPRcpt, fix.main.ChunkingAdvertiseHosts, fix.main.DSNAdvertiseHosts = "accept", "*", "*"
	fix.f(f)
}

// f runs the fuzz target.
func (f *fixture) f(fuzz *testing.F) {
	srv := New(f.svc, f.limiter)
	fuzz.Fuzz(func(t *testing.T, input string) {
		var out bytes.Buffer
		srv.ServeStream(context.Background(), stream{strings.NewReader(strings.ReplaceAll(input, "\n", "\r\n")), &out}, Start{Local: true, NotSocket: true, Noun: &mail.Session{Login: "CALLER"}})
		for {
			line, err := out.ReadString('\n')
			if err == io.EOF {
				break
			}
			if len(line) < 6 || line[0] < '2' || line[0] > '5' || line[3] != ' ' && line[3] != '-' || !strings.HasSuffix(line, "\r\n") {
				t.Fatalf("%q is no reply", line)
			}
		}
		if log := f.logged(); strings.ContainsAny(log, "\x00\r") || strings.Contains(log, "internal error") {
			t.Fatalf("log: %q", log)
		}
		f.received = nil
	})
}
