package smtpserver

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"exigo/internal/acl"
	"exigo/internal/auth"
	"exigo/internal/config"
	"exigo/internal/eventlog"
	"exigo/internal/expand"
	"exigo/internal/expand/builtin"
	"exigo/internal/mail"
	"exigo/internal/option"
	"exigo/internal/testkit"
)

// fixture is a server with faked services.
type fixture struct {
	t     testing.TB
	world *testkit.Fake
	main  *config.Main
	svc   Services
	mu    sync.Mutex
	log   strings.Builder
	// acl answers ACLs: by the option's value; "" accepts.
	acl      func(s *expand.Scope, phase acl.Phase, text string) acl.Outcome
	received []string // messages, sender and recipients first
	limiter  *Limiter
	// one is the server of all connections; nil: a new one for each.
	one *Server
}

// newFixture makes a fixture. selectors is log_selector.
func newFixture(t testing.TB, selectors string) *fixture {
	f := &fixture{t: t, world: testkit.NewWorld(t), limiter: NewLimiter()}
	path := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(path, []byte("primary_hostname = host.test\nkeep_environment =\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	read, err := config.Read(config.Request{Path: path, SkipChecks: true, World: f.world.World, Users: []string{"root"},
		Registry: &config.Registry{Sets: []option.Set{config.MainOptions()}}})
	if err != nil {
		t.Fatal(err)
	}
	f.main = option.Of[config.Main](read.Main)
	f.main.PrimaryHostname, f.main.QualifyDomain = "host.test", "host.test"
	f.main.LimitsAdvertiseHosts, f.main.ChunkingAdvertiseHosts, f.main.SMTPUTF8AdvertiseHosts = "", "", ""
	f.main.TLSAdvertiseHosts = ""
	set, err := eventlog.ParseSet(selectors)
	if err != nil {
		t.Fatal(err)
	}
	log := eventlog.Open(f.world.World, eventlog.Settings{Selectors: set, Divert: func(to eventlog.Stream, id, text string) {
		f.mu.Lock()
		defer f.mu.Unlock()
		if id != "" {
			text = id + " " + text
		}
		marks := ""
		if to&eventlog.Reject != 0 {
			marks += "R"
		}
		if to&eventlog.Panic != 0 {
			marks += "P"
		}
		if marks != "" {
			marks += ":"
		}
		f.log.WriteString(marks + text + "\n")
	}})
	engine, err := expand.New(f.world.World, builtin.Words(), expand.Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	f.svc = Services{World: f.world.World, Engine: engine, Config: read, Log: log, Format: eventlog.Format{Selectors: set},
		RunACL: f.runACL, MatchHost: matchHost, MatchDomain: func(*expand.Scope, string, string) (bool, error) { return false, nil }, Receive: f.receive}
	return f
}

// matchHost knows "*", "", ":" (no host) and lists of addresses, negated ones first.
func matchHost(s *expand.Scope, list, name string, address netip.Addr) (bool, error) {
	for _, item := range strings.Split(list, ":") {
		item = strings.TrimSpace(item)
		negated := strings.HasPrefix(item, "!")
		item = strings.TrimPrefix(item, "!")
		if item == "*" || item == "" && !address.IsValid() || item != "" && item == address.String() {
			return !negated, nil
		}
	}
	return false, nil
}

// runACL understands "accept", "deny", "deny TEXT", "defer TEXT", "drop TEXT", "discard" and what f.acl adds.
func (f *fixture) runACL(_ context.Context, s *expand.Scope, phase acl.Phase, text string) (acl.Outcome, error) {
	if f.acl != nil {
		if o := f.acl(s, phase, text); o.Verdict != acl.OK || o.UserMessage != "" {
			return o, nil
		}
	}
	verb, message, _ := strings.Cut(text, " ")
	o := acl.Outcome{UserMessage: message, LogMessage: message, LogTargets: acl.LogMain | acl.LogReject}
	switch verb {
	case "deny":
		o.Verdict = acl.Fail
	case "drop":
		o.Verdict = acl.FailDrop
	case "defer":
		o.Verdict = acl.Defer
	case "discard":
		o.Verdict = acl.Discard
	}
	return o, nil
}

// receive keeps the message.
func (f *fixture) receive(_ context.Context, r *Reception) Received {
	var text bytes.Buffer
	if _, err := r.Data.WriteTo(&text); err != nil {
		return Received{ReadError: err, InHeader: !strings.Contains(text.String(), "\n\n")}
	}
	if !r.Alive() {
		return Received{ID: "ID1", ReadError: io.ErrUnexpectedEOF}
	}
	var b strings.Builder
	b.WriteString(r.Message.Protocol + " <" + r.Message.Sender + ">")
	for _, rcpt := range r.Message.Recipients {
		b.WriteString(" " + rcpt.Address)
	}
	f.mu.Lock()
	f.received = append(f.received, b.String()+"\n"+text.String())
	f.mu.Unlock()
	return Received{ID: "ID1", Accepted: true, Reply: "250 OK id=ID1"}
}

// stream is standard input and output.
type stream struct {
	io.Reader
	io.Writer
}

// local runs a session on a stream, as -bs does, and returns what the client sees, with LF.
func (f *fixture) local(input string, change ...func(*Start)) string {
	f.t.Helper()
	start := Start{Local: true, NotSocket: true, Noun: &mail.Session{Login: "CALLER", Ident: "CALLER"}}
	for _, c := range change {
		c(&start)
	}
	var out bytes.Buffer
	in := strings.ReplaceAll(strings.TrimPrefix(input, "\n"), "\n", "\r\n")
	New(f.svc, f.limiter).ServeStream(context.Background(), stream{strings.NewReader(in), &out}, start)
	return strings.ReplaceAll(out.String(), "\r\n", "\n")
}

// logged returns the log and empties it.
func (f *fixture) logged() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	text := f.log.String()
	f.log.Reset()
	return text
}

// serve runs a session on a loopback connection of address 127.0.0.1 and plays the client's side of the dialogue against it.
func (f *fixture) serve(script string, change ...func(*Start)) Ended {
	f.t.Helper()
	client, wait := f.dial(change...)
	defer client.Close()
	if err := testkit.Converse(client, testkit.Client, script); err != nil {
		f.t.Errorf("%v\nlog:\n%s", err, f.logged())
	}
	client.Close()
	return wait()
}

// dial opens a loopback connection to a session.
func (f *fixture) dial(change ...func(*Start)) (net.Conn, func() Ended) {
	f.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		f.t.Fatal(err)
	}
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		f.t.Fatal(err)
	}
	conn, err := l.Accept()
	if err != nil {
		f.t.Fatal(err)
	}
	start := Start{}
	for _, c := range change {
		c(&start)
	}
	done := make(chan Ended, 1)
	srv := f.one
	if srv == nil {
		srv = New(f.svc, f.limiter)
	}
	go func() { done <- srv.Serve(context.Background(), conn, start) }()
	return client, func() Ended { return <-done }
}

// check compares, line by line in the message.
func check(t testing.TB, what, got, want string) {
	t.Helper()
	want = strings.TrimPrefix(want, "\n")
	if got == want {
		return
	}
	t.Errorf("%s:\ngot:\n%s\nwant:\n%s", what, got, want)
}

const banner = "220 host.test ESMTP Exim x.yz Tue, 02 Mar 1999 09:44:33 +0000\n"

// authenticators for tests of AUTH.
func (f *fixture) authenticate(list ...*auth.Authenticator) { f.svc.Authenticators = list }
