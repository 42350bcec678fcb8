// Package transporttest sets up deliveries for the tests of transports: an engine with the standard words, an instance with options as an
// administrator would write them, a message and its body on disk.
//
// Trust: only tests use it.
package transporttest

import (
	"context"
	"os"
	"path/filepath"
	"reflect"
	"sync"
	"testing"

	"exigo/internal/config"
	"exigo/internal/expand"
	"exigo/internal/expand/builtin"
	"exigo/internal/helper"
	"exigo/internal/list"
	"exigo/internal/mail"
	"exigo/internal/option"
	"exigo/internal/outside"
	"exigo/internal/testkit"
	"exigo/internal/transport"
)

// Fixture is one delivery to be made.
type Fixture struct {
	T      testing.TB
	World  *testkit.Fake
	Main   *config.Main
	Engine *expand.Engine
	// Transports are the instances by name; Run is for the one that New made.
	Transports map[string]*transport.Transport
	Driver     *transport.Driver
	Run        *transport.Run
	Directory  string

	mu sync.Mutex
	// Log and Panic are the lines written, Sent the messages submitted.
	LogLines, PanicLines []string
	Sent                 []transport.Submission
}

// configuration gives the main options to the language.
type configuration struct {
	bag  option.Bag
	main *config.Main
}

func (c configuration) NamedList(byte, string) (string, bool) { return "", false }
func (c configuration) MainOptions() option.Bag               { return c.bag }
func (c configuration) LanguageSettings() *expand.Settings {
	return &expand.Settings{PrimaryHostname: string(c.main.PrimaryHostname), MessageBodyVisible: 500, HeadersCharset: "UTF-8", DisableIPv6: true}
}

// New makes a delivery of a small message from sender@s.test to userx@test.ex by the transport "t1" with the options, which are pairs of
// name and value.
func New(t testing.TB, driver *transport.Driver, options ...string) *Fixture {
	t.Helper()
	f := &Fixture{T: t, World: testkit.NewWorld(t), Driver: driver, Directory: t.TempDir(), Transports: make(map[string]*transport.Transport)}
	words := builtin.Words()
	more := list.Words()
	words.Variables = append(words.Variables, more.Variables...)
	words.Items = append(words.Items, more.Items...)
	words.Operators = append(words.Operators, more.Operators...)
	words.Conditions = append(words.Conditions, more.Conditions...)
	engine, err := expand.New(f.World.World, words, expand.Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	f.Engine = engine
	bag := option.Bag{}
	f.Main = option.Of[config.Main](bag)
	f.Main.PrimaryHostname, f.Main.QualifyDomain = "host.test", "q.test"
	f.Main.DSNFrom = "Mail Delivery System <Mailer-Daemon@q.test>"
	bag[reflect.TypeFor[config.Main]()] = f.Main
	cfg := configuration{bag, f.Main}
	f.Instance("t1", options...)
	m := &mail.Message{ID: "10HmaX-000000005vi-0000", Sender: "sender@s.test", SenderSet: true, Received: testkit.Epoch(), DeliverFirst: true,
		Session: &mail.Session{Local: true}, Recipients: []mail.Recipient{{Address: "userx@test.ex", Parent: -1}}}
	for _, h := range []string{"Received: by host.test\n", "Message-Id: <m1@s.test>\n", "From: Some One <sender@s.test>\n", "Subject: hello\n"} {
		m.Headers = append(m.Headers, mail.NewHeader(h))
	}
	scope := engine.NewScope(context.Background(), cfg, m.Session, m)
	f.Run = &transport.Run{Transport: f.Transports["t1"], Message: m, Scope: scope, Sender: m.Sender, ReturnPath: m.Sender,
		Addresses: []*mail.Address{Address("userx", "test.ex")}, Services: f.services()}
	f.Body("From the body\n.dot\nlast line\n")
	return f
}

// Address makes a recipient as a router leaves it.
func Address(local, domain string) *mail.Address {
	return &mail.Address{Address: local + "@" + domain, Unique: local + "@" + domain, LocalPart: local, CasefulLocalPart: local, Domain: domain,
		LocalPartData: mail.Clean(local), Router: "r1", Transport: "t1", UID: os.Getuid(), GID: os.Getgid(), UIDSet: true, GIDSet: true}
}

func (f *Fixture) services() *transport.Services {
	return &transport.Services{
		World: f.World.World, Identity: transport.Identity{UID: os.Getuid(), GID: os.Getgid()},
		Log:   func(line string) { f.note(&f.LogLines, line) },
		Panic: func(line string) { f.note(&f.PanicLines, line) },
		Find:  func(name string) *transport.Transport { return f.Transports[name] },
		Submit: func(_ context.Context, s transport.Submission) (string, error) {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.Sent = append(f.Sent, s)
			return "10HmaY-000000005vi-0000", nil
		},
		KeepOutput: func(id string, text []byte) (string, error) {
			name := filepath.Join(f.Directory, "output")
			return name, os.WriteFile(name, text, 0o600)
		},
	}
}

func (f *Fixture) note(to *[]string, line string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	*to = append(*to, line)
}

// Instance makes another transport of the fixture's driver.
func (f *Fixture) Instance(name string, options ...string) *transport.Transport {
	f.T.Helper()
	inst := &config.Instance{Name: name, Driver: f.Driver.Name, Options: option.Bag{}, Set: make(map[string]bool)}
	sets := []option.Set{transport.Options, f.Driver.Options}
	for _, set := range sets {
		inst.Options.Add(set)
	}
	for i := 0; i+1 < len(options); i += 2 {
		f.set(inst, sets, options[i], options[i+1])
	}
	if f.Driver.Check != nil {
		if err := f.Driver.Check(inst); err != nil {
			f.T.Fatal(err)
		}
	}
	all, err := transport.Compile([]*config.Instance{inst}, []*transport.Driver{f.Driver})
	if err != nil {
		f.T.Fatal(err)
	}
	f.Transports[name] = all[name]
	return all[name]
}

func (f *Fixture) set(inst *config.Instance, sets []option.Set, name, text string) {
	f.T.Helper()
	for _, set := range sets {
		field, ok := set.Field(inst.Options[set.Type()], name)
		if !ok {
			continue
		}
		if err := option.Parse(field, text); err != nil {
			f.T.Fatalf("option %s: %v", name, err)
		}
		inst.Set[name] = true
		return
	}
	f.T.Fatalf("no option %s", name)
}

// Body replaces the message's body.
func (f *Fixture) Body(text string) {
	f.T.Helper()
	const first = "10HmaX-000000005vi-0000-D\n"
	name := filepath.Join(f.Directory, "D")
	if err := os.WriteFile(name, []byte(first+text), 0o600); err != nil {
		f.T.Fatal(err)
	}
	file, err := os.Open(name)
	if err != nil {
		f.T.Fatal(err)
	}
	f.T.Cleanup(func() { file.Close() })
	f.Run.Body = transport.Body{File: file, Offset: int64(len(first)), Size: int64(len(text))}
	m := f.Run.Message
	m.BodySize, m.Size = int64(len(text)), int64(len(text))+1
	for _, h := range m.Headers {
		m.Size += int64(len(h.Text))
	}
}

// Deliver makes the delivery, a local one in this process, and returns the first address's outcome.
func (f *Fixture) Deliver(ctx context.Context) mail.Outcome {
	f.T.Helper()
	err := f.Run.Begin()
	if err == nil && f.Driver.Remote != nil {
		err = f.Driver.Remote(ctx, f.Run)
	} else if err == nil {
		err = helper.NewLocal([]*transport.Driver{f.Driver}, f.World.World).Deliver(ctx, f.Run)
	}
	f.Run.Settle(err)
	return f.Run.Addresses[0].Outcome
}

// Again prepares the fixture for another delivery of the same message.
func (f *Fixture) Again() {
	for _, a := range f.Run.Addresses {
		a.Outcome = mail.Outcome{}
	}
}

// World is the fake world's plain form.
func (f *Fixture) Outside() *outside.World { return f.World.World }
