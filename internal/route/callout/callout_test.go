package callout

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"exigo/internal/config"
	"exigo/internal/expand"
	"exigo/internal/expand/builtin"
	"exigo/internal/hints"
	"exigo/internal/mail"
	"exigo/internal/option"
	"exigo/internal/route"
	"exigo/internal/smtpclient"
	"exigo/internal/testkit"
)

type settingsOnly struct{ bag option.Bag }

func (settingsOnly) NamedList(byte, string) (string, bool) { return "", false }
func (s settingsOnly) MainOptions() option.Bag             { return s.bag }

// place of the callouts of one test.
type bench struct {
	world *testkit.Fake
	main  *config.Main
	s     *expand.Scope
	db    *hints.DB
}

func newBench(t *testing.T) *bench {
	b := &bench{world: testkit.NewWorld(t)}
	bag := option.Bag{}
	bag.Add(config.MainOptions())
	b.main = option.Of[config.Main](bag)
	b.main.CalloutRandomLocalPart, b.main.QualifyDomain = "nobody-testing", "test.ex"
	engine, err := expand.New(b.world.World, builtin.Words(), expand.Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	m := &mail.Message{Sender: "me@other.ex", SenderSet: true, Session: &mail.Session{}}
	b.s = engine.NewScope(context.Background(), settingsOnly{bag}, m.Session, m)
	b.db = hints.New(hints.Options{SpoolDirectory: t.TempDir(), Clock: b.world.Clock, UID: -1, GID: -1})
	t.Cleanup(func() { b.db.Close() })
	return b
}

// call makes a callout to servers that say what the dialogues say, and checks that they heard it.
func (b *bench) call(t *testing.T, c route.Callout, dialogues ...string) route.CalloutResult {
	t.Helper()
	address, done := testkit.NewScripted(t, dialogues...)
	at := netip.MustParseAddrPort(address)
	k := &Caller{DB: b.db, Transport: func(context.Context, *expand.Scope, string, *mail.Address) (*Transport, error) {
		return &Transport{Connect: func(ctx context.Context, h *mail.Host, connect, command time.Duration) (*smtpclient.Conn, error) {
			return smtpclient.Open(ctx, &smtpclient.Settings{World: b.world.World, Host: h.Name, Address: at.Addr(), Port: int(at.Port()), DSCP: -1,
				Timeouts:  smtpclient.Timeouts{Connect: connect, Command: command},
				HelloName: func(netip.AddrPort) (string, error) { return "myhost.test.ex", nil }})
		}}, nil
	}}
	if c.Address.Address == "" {
		t.Fatal("no address")
	}
	c.Address.Domain = c.Address.Address[strings.LastIndexByte(c.Address.Address, '@')+1:]
	if c.Options.Timeout == 0 {
		c.Options.Timeout, c.Options.Connect, c.Options.Overall = 20*time.Second, 20*time.Second, time.Minute
	}
	c.Transport = "smtp"
	if c.Hosts == nil {
		c.Hosts = []mail.Host{{Name: "mx.ex", Address: at.Addr(), MX: -1}}
	}
	r := k.Call(context.Background(), b.s, c)
	for range dialogues {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	return r
}

const hello = "S: 220 ready\nC: EHLO myhost.test.ex\nS: 250 OK\n"

func to(address string) *mail.Address {
	return &mail.Address{Address: address, CasefulLocalPart: address}
}

func TestAnswers(t *testing.T) {
	for _, test := range []struct {
		name      string
		c         route.Callout
		dialogues []string
		want      route.CalloutResult
	}{
		{"accepted", route.Callout{Sender: true}, []string{hello + "C: MAIL FROM:<>\nS: 250 OK\nC: RCPT TO:<x@y.ex>\nS: 250 OK\nC: QUIT\nS: 250 OK"},
			route.CalloutResult{Result: mail.Delivered}},
		{"sender refused", route.Callout{Sender: true}, []string{hello + "C: MAIL FROM:<>\nS: 250 OK\nC: RCPT TO:<x@y.ex>\nS: 550 Unknown user\nC: QUIT\nS: 250 OK"},
			route.CalloutResult{Result: mail.Failed, Failure: "recipient",
				UserMessage: "Called:   127.0.0.1\nSent:     RCPT TO:<x@y.ex>\nResponse: 550 Unknown user",
				Message:     "mx.ex [127.0.0.1] : SMTP error from remote mail server after RCPT TO:<x@y.ex>: 550 Unknown user"}},
		{"recipient refused in two lines", route.Callout{}, []string{hello + "C: MAIL FROM:<>\nS: 250 OK\nC: RCPT TO:<x@y.ex>\nS: 550-Not liked\nS: 550 at all\nC: QUIT\nS: 250 OK"},
			route.CalloutResult{Result: mail.Failed, Failure: "recipient", UserMessage: "Callout verification failed:\n550-Not liked\n550 at all",
				Message: "mx.ex [127.0.0.1] : SMTP error from remote mail server after RCPT TO:<x@y.ex>: 550-Not liked\\n550 at all"}},
		{"MAIL refused", route.Callout{Options: route.CalloutOptions{UseSender: true}}, []string{hello + "C: MAIL FROM:<me@other.ex>\nS: 550 NOTOK\nC: QUIT\nS: 250 OK"},
			route.CalloutResult{Result: mail.Failed, Failure: "mail", UserMessage: "Callout verification failed:\n550 NOTOK",
				Message: "mx.ex [127.0.0.1] : response to \"MAIL FROM:<me@other.ex>\" was: 550 NOTOK"}},
		{"greeting refused", route.Callout{Sender: true}, []string{"S: 554 go away\nC: QUIT\nS: 221 bye"},
			route.CalloutResult{Result: mail.Failed, Failure: "mail", UserMessage: "Called:   127.0.0.1\nSent:     initial connection\nResponse: 554 go away",
				Message: "mx.ex [127.0.0.1] : response to \"initial connection\" was: 554 go away"}},
		{"later", route.Callout{}, []string{hello + "C: MAIL FROM:<>\nS: 250 OK\nC: RCPT TO:<x@y.ex>\nS: 451 not right now\nC: QUIT\nS: 250 OK"},
			route.CalloutResult{Result: mail.Deferred, UserMessage: "Could not complete recipient verify callout",
				Message: "Could not complete recipient verify callout: mx.ex [127.0.0.1] : SMTP error from remote mail server after RCPT TO:<x@y.ex>: 451 not right now", Reply: "451 not right now"}},
		{"pipelining", route.Callout{Sender: true}, []string{"S: 220 ready\nC: EHLO myhost.test.ex\nS: 250-hi\nS: 250 PIPELINING\nC: MAIL FROM:<>\nC: RCPT TO:<x@y.ex>\nS: 250 OK\nS: 550 no\nC: QUIT\nS: 250 OK"},
			route.CalloutResult{Result: mail.Failed, Failure: "recipient", UserMessage: "Called:   127.0.0.1\nSent:     RCPT TO:<x@y.ex>\nResponse: 550 no",
				Message: "mx.ex [127.0.0.1] : SMTP error from remote mail server after RCPT TO:<x@y.ex>: 550 no"}},
		{"random accepted", route.Callout{Options: route.CalloutOptions{Random: true, UsePostmaster: true}},
			[]string{hello + "C: MAIL FROM:<postmaster@test.ex>\nS: 250 OK\nC: RCPT TO:<nobody-testing@y.ex>\nS: 250 OK\nC: QUIT\nS: 250 OK"},
			route.CalloutResult{Result: mail.Delivered, Failure: "random"}},
		{"random refused", route.Callout{Options: route.CalloutOptions{Random: true}},
			[]string{hello + "C: MAIL FROM:<>\nS: 250 OK\nC: RCPT TO:<nobody-testing@y.ex>\nS: 550 no\nC: RSET\nS: 250 OK\nC: MAIL FROM:<>\nS: 250 OK\nC: RCPT TO:<x@y.ex>\nS: 250 OK\nC: QUIT\nS: 250 OK"},
			route.CalloutResult{Result: mail.Delivered}},
		{"random refused, connection closed", route.Callout{Options: route.CalloutOptions{Random: true}},
			[]string{hello + "C: MAIL FROM:<>\nS: 250 OK\nC: RCPT TO:<nobody-testing@y.ex>\nS: 550 no\nS: <close>",
				hello + "C: MAIL FROM:<>\nS: 250 OK\nC: RCPT TO:<x@y.ex>\nS: 250 OK\nC: QUIT\nS: 250 OK"},
			route.CalloutResult{Result: mail.Delivered}},
		{"postmaster refused", route.Callout{Sender: true, Options: route.CalloutOptions{Postmaster: true, PostmasterMailFrom: "pm@a.ex"}},
			[]string{hello + "C: MAIL FROM:<>\nS: 250 OK\nC: RCPT TO:<x@y.ex>\nS: 250 OK\nC: RSET\nS: 250 OK\nC: MAIL FROM:<pm@a.ex>\nS: 250 OK\nC: RCPT TO:<postmaster@y.ex>\nS: 550 Don't like postmaster\nC: QUIT\nS: 250 OK"},
			route.CalloutResult{Result: mail.Failed, Failure: "postmaster", UserMessage: "Called:   127.0.0.1\nSent:     RCPT TO:<postmaster@y.ex>\nResponse: 550 Don't like postmaster",
				Message: "mx.ex [127.0.0.1] : SMTP error from remote mail server after RCPT TO:<postmaster@y.ex>: 550 Don't like postmaster"}},
		{"fullpostmaster", route.Callout{Sender: true, Options: route.CalloutOptions{Postmaster: true, FullPostmaster: true}},
			[]string{hello + "C: MAIL FROM:<>\nS: 250 OK\nC: RCPT TO:<x@y.ex>\nS: 250 OK\nC: RSET\nS: 250 OK\nC: MAIL FROM:<>\nS: 250 OK\nC: RCPT TO:<postmaster@y.ex>\nS: 550 no\nC: RCPT TO:<postmaster>\nS: 250 OK\nC: QUIT\nS: 250 OK"},
			route.CalloutResult{Result: mail.Delivered}},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.c.Address = to("x@y.ex")
			if got := newBench(t).call(t, test.c, test.dialogues...); got != test.want {
				t.Errorf("got  %+v\nwant %+v", got, test.want)
			}
		})
	}
}

// TestCache follows the answers through the hints: no second connection is made while a record lives.
func TestCache(t *testing.T) {
	b := newBench(t)
	good := hello + "C: MAIL FROM:<>\nS: 250 OK\nC: RCPT TO:<r1@test.ex>\nS: 250 OK\nC: QUIT\nS: 250 OK"
	c := route.Callout{Address: to("r1@test.ex")}
	if r := b.call(t, c, good); r.Result != mail.Delivered {
		t.Fatalf("%+v", r)
	}
	if r := b.call(t, c); r.Result != mail.Delivered {
		t.Errorf("not cached: %+v", r)
	}
	b.world.Clock.Advance(25 * time.Hour)
	if r := b.call(t, c, good); r.Result != mail.Delivered {
		t.Errorf("after a day: %+v", r)
	}
	// A refusal; for another sender it is another record.
	bad := route.Callout{Address: to("r9@test.ex")}
	b.call(t, bad, hello+"C: MAIL FROM:<>\nS: 250 OK\nC: RCPT TO:<r9@test.ex>\nS: 550 NO\nC: QUIT\nS: 250 OK")
	want := route.CalloutResult{Result: mail.Failed, Failure: "recipient", UserMessage: "Previous (cached) callout verification failure",
		Message: "Previous (cached) callout verification failure"}
	if r := b.call(t, bad); r != want {
		t.Errorf("%+v", r)
	}
	bad.Options.UseSender = true
	if r := b.call(t, bad, hello+"C: MAIL FROM:<me@other.ex>\nS: 250 OK\nC: RCPT TO:<r9@test.ex>\nS: 250 OK\nC: QUIT\nS: 250 OK"); r.Result != mail.Delivered {
		t.Errorf("with another sender: %+v", r)
	}
	// A domain that refuses the empty sender fails for all its addresses, but not with a sender.
	mfnull := route.Callout{Sender: true, Address: to("a@null.ex")}
	b.call(t, mfnull, hello+"C: MAIL FROM:<>\nS: 550 REJECT mail from\nC: QUIT\nS: 250 OK")
	want = route.CalloutResult{Result: mail.Failed, Failure: "mail", UserMessage: "(result of an earlier callout reused)."}
	if r := b.call(t, route.Callout{Sender: true, Address: to("b@null.ex")}); r != want {
		t.Errorf("%+v", r)
	}
	withSender := route.Callout{Address: to("b@null.ex"), Options: route.CalloutOptions{UseSender: true}}
	if r := b.call(t, withSender, hello+"C: MAIL FROM:<me@other.ex>\nS: 250 OK\nC: RCPT TO:<b@null.ex>\nS: 250 OK\nC: QUIT\nS: 250 OK"); r.Result != mail.Delivered {
		t.Errorf("%+v", r)
	}
	// The answer about postmaster is the domain's.
	pm := route.Callout{Sender: true, Address: to("a@pm.ex"), Options: route.CalloutOptions{Postmaster: true}}
	b.call(t, pm, hello+"C: MAIL FROM:<>\nS: 250 OK\nC: RCPT TO:<a@pm.ex>\nS: 250 OK\nC: RSET\nS: 250 OK\nC: MAIL FROM:<>\nS: 250 OK\nC: RCPT TO:<postmaster@pm.ex>\nS: 550 no\nC: QUIT\nS: 250 OK")
	pm.Address = to("b@pm.ex")
	want = route.CalloutResult{Result: mail.Failed, Failure: "postmaster", UserMessage: "(result of earlier verification reused)."}
	if r := b.call(t, pm); r != want {
		t.Errorf("%+v", r)
	}
	// Nothing is kept of a callout that came to nothing, nor with no_cache.
	pm = route.Callout{Address: to("a@nocache.ex"), Options: route.CalloutOptions{NoCache: true}}
	once := hello + "C: MAIL FROM:<>\nS: 250 OK\nC: RCPT TO:<a@nocache.ex>\nS: 550 no\nC: QUIT\nS: 250 OK"
	b.call(t, pm, once)
	if r := b.call(t, pm, once); r.Failure != "recipient" {
		t.Errorf("%+v", r)
	}
}

func TestNoHost(t *testing.T) {
	b := newBench(t)
	k := &Caller{}
	c := route.Callout{Sender: true, Address: to("x@y.ex"), Hosts: []mail.Host{{Name: "h"}}}
	want := route.CalloutResult{Result: mail.Deferred, UserMessage: "Could not complete sender verify callout", Message: "Could not complete sender verify callout"}
	if r := k.Call(context.Background(), b.s, c); r != want {
		t.Errorf("%+v", r)
	}
}

func TestRecipient(t *testing.T) {
	a := &mail.Address{Address: "p+abc-s@d.ex", Prefix: "p+", Suffix: "-s"}
	if got := recipient(a, false); got != "abc@d.ex" {
		t.Error(got)
	}
	if got := recipient(a, true); got != "p+abc-s@d.ex" {
		t.Error(got)
	}
}
