// Package scantest lets the rooms of content scanning run their conditions in tests: on a message whose body is at hand, against doubles of
// daemons.
//
// Trust: only tests use it.
package scantest

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"exigo/internal/acl"
	"exigo/internal/config"
	"exigo/internal/expand"
	"exigo/internal/expand/builtin"
	"exigo/internal/feature"
	"exigo/internal/mail"
	"exigo/internal/scan"
	"exigo/internal/submit"
	"exigo/internal/testkit"
)

// Bench is a message that ACLs look at.
type Bench struct {
	testing.TB
	Scope   *expand.Scope
	Message *mail.Message
	World   *testkit.Fake
	// Dir is the spool directory.
	Dir string
	// Log has the lines that were logged, with "main: " or "panic: " before them.
	Log     []string
	program *acl.Program
	engine  *expand.Engine
}

// Body is the body of the message.
const Body = "first line\n.second line\n\nlast line\n"

// New makes a bench with the words of a room and main options. The message has the id "id".
func New(t testing.TB, f *feature.Feature, main string) *Bench {
	t.Helper()
	b := &Bench{TB: t, World: testkit.NewWorld(t), Dir: t.TempDir()}
	words := builtin.Words()
	words.Variables = append(append(words.Variables, acl.Variables()...), f.Variables...)
	var err error
	if b.engine, err = expand.New(b.World.World, words, expand.Hooks{}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(b.Dir, "configure")
	text := "primary_hostname = mx.example\nexim_user = root\nspool_directory = " + b.Dir + "\n" + main
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Read(config.Request{Path: path, World: b.World.World, SkipChecks: true,
		Registry: &config.Registry{Sets: append(f.Options, config.MainOptions())}})
	if err != nil {
		t.Fatal(err)
	}
	services := acl.Services{Log: func(_ *expand.Scope, targets acl.LogTargets, line string) {
		stream := "main: "
		if targets&acl.LogPanic != 0 {
			stream = "panic: "
		}
		b.Log = append(b.Log, stream+line)
	}}
	if b.program, err = acl.Compile(c, acl.Words{Conditions: f.Conditions}, services); err != nil {
		t.Fatal(err)
	}
	session := &mail.Session{SMTP: true, HELO: "helo.example", HostName: "client.example", Host: netip.MustParseAddr("192.0.2.1"), AuthID: "user"}
	b.Message = &mail.Message{ID: "id", Session: session, Sender: "s@a.example", SenderSet: true, Vars: map[string]mail.Value{},
		Recipients: []mail.Recipient{{Address: "x@b.example"}, {Address: "y@b.example"}},
		Headers:    []mail.Header{mail.NewHeader("From: s@a.example\n"), {Type: '*', Text: "Bcc: z@b.example\n"}, mail.NewHeader("Subject: a\n\tb\n")}}
	b.Scope = b.engine.NewScope(context.Background(), c, session, b.Message)
	end := submit.WithBody(b.Message, func() (*io.SectionReader, error) {
		return io.NewSectionReader(strings.NewReader(Body), 0, int64(len(Body))), nil
	})
	t.Cleanup(func() {
		b.End()
		end()
	})
	return b
}

// Copy is the message as scanners get it.
const Copy = "From MAILER-DAEMON Tue Mar 02 09:44:33 1999\nX-Envelope-From: <s@a.example>\nX-Envelope-To: x@b.example, y@b.example\n" +
	"From: s@a.example\nSubject: a\n\tb\n\n" + Body

// File is where the copy is when a scanner wants a file.
func (b *Bench) File() string { return b.Dir + "/scan/id/id.eml" }

// End ends the reception of the message, which was refused.
func (b *Bench) End() { scan.Room().Ended(b.Scope, b.Message, nil) }

// Accept ends the reception of the message, which was accepted.
func (b *Bench) Accept() {
	scan.Room().Accepted(context.Background(), b.Scope, b.Message, nil)
	scan.Room().Ended(b.Scope, b.Message, &submit.Result{Accepted: true})
}

// Run runs a statement of the ACL for DATA and says how its condition came out: OK, Fail, Defer or Error.
func (b *Bench) Run(statement string) acl.Outcome { return b.RunIn(acl.Data, statement) }

// RunIn is Run for another ACL.
func (b *Bench) RunIn(phase acl.Phase, statement string) acl.Outcome {
	return b.program.Run(context.Background(), b.Scope, phase, statement)
}

// Expand expands a text in the scope of the message.
func (b *Bench) Expand(text string) string {
	b.Helper()
	v, err := b.engine.Expand(b.Scope, text)
	if err != nil {
		b.Fatal(err)
	}
	return v.S
}

// TakeLog returns the log as one text and empties it. DIR stands for the spool directory.
func (b *Bench) TakeLog() string {
	text := strings.ReplaceAll(strings.Join(b.Log, "\n"), b.Dir, "DIR")
	b.Log = nil
	return text
}

// Daemon is a double that listens until the test ends.
type Daemon struct {
	// Address is a path, or host and port with a space between them.
	Address  string
	listener net.Listener
	sessions chan string
}

// Unix and TCP make doubles that serve each connection; what serve returns is for Heard.
func Unix(t testing.TB, serve func(c net.Conn, in *bufio.Reader) string) *Daemon {
	dir, err := os.MkdirTemp("", "scan") // short, as paths of sockets must be
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return listen(t, "unix", dir+"/socket", serve)
}

// TCP is Unix for a TCP port of the loopback interface.
func TCP(t testing.TB, serve func(c net.Conn, in *bufio.Reader) string) *Daemon {
	return listen(t, "tcp", "127.0.0.1:0", serve)
}

func listen(t testing.TB, network, address string, serve func(c net.Conn, in *bufio.Reader) string) *Daemon {
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	d := &Daemon{Address: strings.Replace(l.Addr().String(), ":", " ", 1), listener: l, sessions: make(chan string, 100)}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				d.sessions <- serve(c, bufio.NewReader(c))
			}()
		}
	}()
	return d
}

// Heard returns what the next session returned.
func (d *Daemon) Heard() string { return <-d.sessions }

// Sessions is how many sessions were served that Heard has not returned.
func (d *Daemon) Sessions() int { return len(d.sessions) }

// Script serves a session: "<" reads a line, "<<" all to the end, "<N" with a number of spaces N bytes, ">" sends the rest of the text. It
// returns what was read.
func Script(steps ...string) func(c net.Conn, in *bufio.Reader) string {
	return func(c net.Conn, in *bufio.Reader) string {
		var heard strings.Builder
		for _, step := range steps {
			switch {
			case step == "<<":
				io.Copy(&heard, in)
			case strings.HasPrefix(step, "<"):
				if n := len(step) - 1; n > 0 {
					io.CopyN(&heard, in, int64(n))
					continue
				}
				line, _ := in.ReadString('\n')
				heard.WriteString(line)
			default:
				io.WriteString(c, step[1:])
			}
		}
		return heard.String()
	}
}
