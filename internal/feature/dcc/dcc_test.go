package dcc

import (
	"context"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"exigo/internal/acl"
	"exigo/internal/config"
	"exigo/internal/expand"
	"exigo/internal/expand/builtin"
	"exigo/internal/mail"
	"exigo/internal/outside"
	"exigo/internal/proto/dccifd"
	"exigo/internal/proto/dccifd/dccifdtest"
	"exigo/internal/scan"
	"exigo/internal/submit"
	"exigo/internal/testkit"
)

// dialer goes to where the test listens.
type dialer struct{}

func (dialer) Dial(ctx context.Context, network string, _ netip.Addr, address string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, network, address)
}

// bench runs the condition for messages.
type bench struct {
	*testing.T
	program *acl.Program
	scope   *expand.Scope
	log     []string
}

func newBench(t *testing.T, text string) *bench {
	t.Helper()
	b := &bench{T: t}
	world := *testkit.NewWorld(t).World
	world.Dial = outside.Dialer(dialer{})
	f := Feature()
	words := builtin.Words()
	words.Variables = append(append(words.Variables, acl.Variables()...), f.Variables...)
	engine, err := expand.New(&world, words, expand.Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "configure")
	if err := os.WriteFile(path, []byte("primary_hostname = mx.example\nexim_user = root\n"+text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Read(config.Request{Path: path, World: &world, SkipChecks: true, Registry: &config.Registry{Sets: append(f.Options, config.MainOptions())}})
	if err != nil {
		t.Fatal(err)
	}
	services := acl.Services{Log: func(_ *expand.Scope, targets acl.LogTargets, line string) {
		if targets == acl.LogMain|acl.LogPanic {
			b.log = append(b.log, line)
		}
	}}
	if b.program, err = acl.Compile(c, acl.Words{Conditions: f.Conditions}, services); err != nil {
		t.Fatal(err)
	}
	b.scope = engine.NewScope(context.Background(), c, &mail.Session{HELO: "helo.example", HostName: "client.example", Host: netip.MustParseAddr("192.0.2.1")}, nil)
	return b
}

// begin begins a message whose body has come.
func (b *bench) begin() *mail.Message {
	m := &mail.Message{ID: "id", Session: b.scope.Session, Sender: "s@a.example", SenderSet: true, Vars: map[string]mail.Value{},
		Recipients: []mail.Recipient{{Address: "x@b.example"}, {Address: "y@b.example"}},
		Headers:    []mail.Header{mail.NewHeader("From: s@a.example\n"), {Type: '*', Text: "Bcc: z@b.example\n"}, mail.NewHeader("Subject: a\n\tb\n")}}
	b.scope.Message, b.log = m, nil
	bring(m)
	return m
}

// bring gives a message its body.
func bring(m *mail.Message) {
	const body = ".line\n"
	submit.WithBody(m, func() (*io.SectionReader, error) {
		return io.NewSectionReader(strings.NewReader(body), 0, int64(len(body))), nil
	})
}

func (b *bench) run(statement string) acl.Outcome {
	return b.program.Run(context.Background(), b.scope, acl.Data, statement)
}

func (b *bench) expand(text string) string {
	b.Helper()
	v, err := b.scope.Engine.Expand(b.scope, text)
	if err != nil {
		b.Errorf("%s: %v", text, err)
	}
	return v.S
}

// live are the header lines of a message after the ACL.
func live(m *mail.Message) string {
	acl.PendingHeaders(m).Apply(m, nil)
	text, _, _ := strings.Cut(headerSection(m), "\n\n")
	return text
}

// TestResults is the seed's table of return values.
func TestResults(t *testing.T) {
	answer := ""
	s := dccifdtest.New(t, "unix", filepath.Join(t.TempDir(), "dccifd"), func(*dccifdtest.Request) string { return answer })
	b := newBench(t, "dccifd_address = "+s.Address+"\n")
	for _, c := range []struct {
		answer, result        string
		plain, deferOK, greys acl.Verdict // accept dcc = *, accept dcc = */defer_ok, defer !dcc = *
	}{
		{"A\nAA\n", "A", acl.OK, acl.OK, acl.OK},
		{"S\nAR\n", "A", acl.OK, acl.OK, acl.OK},
		{"R\nRR\n", "R", acl.Fail, acl.Fail, acl.Defer},
		{"G\nGG\n", "G", acl.Fail, acl.Fail, acl.Defer},
		{"T\nGG\n", "T", acl.Defer, acl.Fail, acl.Defer},
		{"?\nGG\n", "T", acl.Defer, acl.Fail, acl.Defer},
		{"", "", acl.Defer, acl.Fail, acl.Defer},
		{"A\n", "", acl.Defer, acl.Fail, acl.Defer},
	} {
		answer = c.answer
		for statement, want := range map[string]acl.Verdict{"accept dcc = *": c.plain, "accept dcc = */defer_ok": c.deferOK, "defer !dcc = *\naccept": c.greys} {
			b.begin()
			if o := b.run(statement); o.Verdict != want {
				t.Errorf("%q, %s: %+v", c.answer, statement, o)
			}
			if got := b.expand("$dcc_result"); got != c.result || (c.result == "") != (len(b.log) == 1) {
				t.Errorf("%q, %s: $dcc_result is %q; log %q", c.answer, statement, got, b.log)
			}
		}
	}
	n := len(s.Requests())
	for _, statement := range []string{"accept dcc = 0", "accept dcc = false", "accept dcc = ", "accept dcc = /defer_ok"} {
		b.begin()
		if o := b.run(statement); o.Verdict != acl.Fail || len(s.Requests()) != n {
			t.Errorf("%s: %+v", statement, o)
		}
	}
}

// TestRequest: what dccifd is told, over TCP; it is told once a message.
func TestRequest(t *testing.T) {
	s := dccifdtest.New(t, "tcp", "127.0.0.1:0", func(q *dccifdtest.Request) string {
		return dccifdtest.Reply(q, "A", 'A', dccifdtest.Header("bulk\n\tBody=many"))
	})
	host, port, _ := net.SplitHostPort(s.Address)
	for _, c := range []struct {
		direct       bool
		during, then string
	}{
		{false, "", "X-DCC-double-Metrics: mx.example 1480; bulk\n\tBody=many\nX-Virus: none"},
		{true, "mx.example 1480; bulk\n\tBody=many", "X-DCC-double-Metrics: mx.example 1480; bulk\n\tBody=many\nX-Virus: none"},
	} {
		text := "dccifd_address = " + host + " " + port + "\n"
		if c.direct {
			text += "dcc_direct_add_header = true\ndccifd_options = header log\n"
		}
		b := newBench(t, text+`begin acl
check:
  warn    set acl_m_dcc_add_header = X-Virus: none
  accept  dcc = *
          dcc = */defer_ok
          condition = ${if eq{$dcc_result}{A}}
          set acl_m_seen = $h_X-DCC-double-Metrics:
`)
		m := b.begin()
		scanned := func() bool { // what a scanner in the same ACL is shown
			c, ok := scan.Of(&acl.Run{Scope: b.scope, Services: &acl.Services{}}, "test")
			if !ok {
				t.Fatal("no copy")
			}
			text, _ := io.ReadAll(c.Reader())
			return strings.Contains(string(text), "X-DCC-double-Metrics: ") && strings.Contains(string(text), "X-Virus: none")
		}
		scanned()
		if o := b.run("check"); o.Verdict != acl.OK {
			t.Errorf("%+v", o)
		}
		if got := b.expand("$dcc_header"); got != dccifdtest.Header("bulk\n\tBody=many") {
			t.Errorf("$dcc_header: %q", got)
		}
		if scanned() != c.direct {
			t.Errorf("direct %v: a scanner sees the line: %v", c.direct, !c.direct)
		}
		if got := m.Vars["_seen"].S; got != c.during {
			t.Errorf("direct %v: within the ACL the header line is %q", c.direct, got)
		}
		if got, want := live(m), "From: s@a.example\nSubject: a\n\tb\n"+c.then+"\n"; got+"\n" != want {
			t.Errorf("direct %v: %q\nwant %q", c.direct, got, want)
		}
	}
	b := newBench(t, "dccifd_address = "+host+" "+port+"\n")
	m := b.begin()
	if o := b.run("warn set acl_m_dcc_override_client_ip = 82.165.159.12\naccept dcc = *"); o.Verdict != acl.OK {
		t.Errorf("%+v", o)
	}
	m.Vars, m.Sender, m.Session.Host, m.Bag = nil, "", netip.Addr{}, mail.Bag{}
	bring(m)
	b.run("accept dcc = *")
	want := dccifd.Request{Options: "header", Client: "192.0.2.1", Name: "client.example", HELO: "helo.example", Sender: "s@a.example",
		Recipients: []dccifd.Recipient{{Address: "x@b.example"}, {Address: "y@b.example"}}}
	plain := dccifdtest.Request{Request: want, Message: "From: s@a.example\nSubject: a\n\tb\n\n.line\n"}
	direct, override, local := plain, plain, plain
	direct.Options = "header log"
	override.Client, override.Name = "82.165.159.12", ""
	local.Client, local.Name, local.Sender = "127.0.0.1", "", ""
	if got, want := s.Requests(), []*dccifdtest.Request{&plain, &direct, &override, &local}; !reflect.DeepEqual(got, want) {
		for i := range got {
			t.Errorf("request %d: %+v", i, got[i])
		}
	}
}

func TestProblems(t *testing.T) {
	dir := t.TempDir()
	for address, want := range map[string]string{
		"":                  "dccifd_address is not set",
		"relative":          "dccifd_address is neither a path nor an IP address and a port: relative",
		"host.example 1025": "dccifd_address is neither a path nor an IP address and a port: host.example 1025",
		"127.0.0.1 70000":   "dccifd_address is neither a path nor an IP address and a port: 127.0.0.1 70000",
		dir + "/none":       "cannot connect to dccifd at " + dir + "/none: connect: no such file or directory",
	} {
		b := newBench(t, "dccifd_address = "+address+"\n")
		b.begin()
		if o := b.run("accept dcc = *"); o.Verdict != acl.Defer || o.LogMessage != "dcc acl condition: "+want || len(b.log) != 1 || b.log[0] != o.LogMessage {
			t.Errorf("%q: %+v; log %q", address, o, b.log)
		}
	}
	b := newBench(t, "dccifd_address = 127.0.0.1 1\n")
	b.begin().Bag = mail.Bag{}
	if o := b.run("accept dcc = *"); o.Verdict != acl.Defer || !strings.Contains(o.LogMessage, "cannot read the message") {
		t.Errorf("%+v", o)
	}
	if o := b.program.Run(context.Background(), b.scope, acl.Rcpt, "accept dcc = *"); !strings.Contains(o.LogMessage, "cannot test dcc condition in RCPT ACL") {
		t.Errorf("%+v", o)
	}
	for text, want := range map[string]string{"/a b": "unix /a b", "192.0.2.1 10045": "tcp 192.0.2.1:10045", "2001:db8::1 1": "tcp [2001:db8::1]:1", "[::1]  2": "tcp [::1]:2", "1.2.3.4": " ", "1.2.3.4 0": " "} {
		if network, address, _ := parseAddress(text); network+" "+address != want {
			t.Errorf("%s: %s %s", text, network, address)
		}
	}
}
