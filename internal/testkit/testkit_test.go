package testkit_test

import (
	"context"
	"errors"
	"flag"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"exigo/internal/outside"
	"exigo/internal/testkit"
)

func TestZones(t *testing.T) {
	z := testkit.NewZones(t, `
$ORIGIN example.
a     A     192.0.2.1
a     MX    10 b
w.a   CNAME a
*.any TXT   "one" "two \"q\""
`).Fail("broken.example", outside.ErrTryAgain).Secure("any.example")
	for _, c := range []struct {
		name   string
		rrtype outside.RRType
		data   string
		err    error
		secure bool
	}{
		{"a.example", outside.TypeA, "192.0.2.1", nil, false},
		{"A.Example.", outside.TypeMX, "b.example", nil, false},
		{"w.a.example", outside.TypeA, "192.0.2.1", nil, false},
		{"x.any.example", outside.TypeTXT, `onetwo "q"`, nil, true},
		{"a.example", outside.TypeAAAA, "", outside.ErrNoData, false},
		{"example", outside.TypeA, "", outside.ErrNoData, false},
		{"nothing.example", outside.TypeA, "", outside.ErrNoHost, false},
		{"x.broken.example", outside.TypeA, "", outside.ErrTryAgain, false},
		{"localhost", outside.TypeAAAA, "::1", nil, false},
	} {
		a, err := z.Lookup(t.Context(), outside.Question{Name: c.name, Type: c.rrtype})
		if !errors.Is(err, c.err) || a.Secure != c.secure || (err == nil && a.Records[0].Data != c.data) {
			t.Errorf("%s %d: %+v %v", c.name, c.rrtype, a, err)
		}
	}
}

func TestClock(t *testing.T) {
	c := testkit.NewClock(testkit.Epoch())
	done := make(chan error)
	go func() { done <- c.Sleep(t.Context(), time.Hour) }()
	if err := c.WaitForSleepers(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	c.Advance(59 * time.Minute)
	select {
	case <-done:
		t.Error("woke too early")
	default:
	}
	c.Advance(time.Minute)
	if err := <-done; err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Sleep(ctx, time.Hour); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestSinkAndDialogue(t *testing.T) {
	sink := testkit.NewSink(t)
	sink.Extensions = []string{"SIZE", "PIPELINING"}
	w := testkit.NewWorld(t)
	w.Network.Map("192.0.2.7:25", sink.Address)
	conn, err := w.Dial.Dial(t.Context(), "tcp", netip.Addr{}, "192.0.2.7:25")
	if err != nil {
		t.Fatal(err)
	}
	err = testkit.Converse(conn, testkit.Client, `
S: 220...
C: EHLO me
S: 250-sink
S: 250-SIZE
S: 250 PIPELINING
C: MAIL FROM:<a@b>
C: RCPT TO:<c@d>
C: DATA
S: 250 OK
S: 250 OK
S: 354...
C: Subject: x
C:
C: ..dot
C: .
S: 250...
C: QUIT
S: 221...
S: <close>
`)
	if err != nil {
		t.Fatal(err)
	}
	<-sink.Arrived()
	m := sink.Messages()[0]
	if m.From != "<a@b>" || m.To[0] != "<c@d>" || m.Data != "Subject: x\n\n.dot\n" || m.Helo != "me" {
		t.Errorf("%+v", m)
	}
	if _, err := w.Dial.Dial(t.Context(), "tcp", netip.Addr{}, "192.0.2.8:25"); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Error(err)
	}
}

// TestScripts runs the runner on a server that writes its configuration into its main log.
func TestScripts(t *testing.T) {
	update := testkit.UpdateFlag(flag.NewFlagSet("", flag.ContinueOnError))
	testkit.RunScripts(t, "testdata/*.txtar", *update, func(t testing.TB, e *testkit.Environment) *testkit.Instance {
		config, err := os.ReadFile(e.Configuration)
		if err != nil {
			t.Fatal(err)
		}
		log, err := os.Create(filepath.Join(e.Directory, "log", "mainlog"))
		if err != nil {
			t.Fatal(err)
		}
		return &testkit.Instance{
			Connect: func() (net.Conn, error) {
				ours, theirs := net.Pipe()
				go func() {
					io.WriteString(theirs, "220 hello\r\n")
					io.WriteString(log, e.World.Clock.Now().Format(time.TimeOnly)+" "+string(config))
					theirs.Close()
				}()
				return ours, nil
			},
			Settle: func() error { return nil },
			Stop:   func() { log.Close() },
		}
	})
}
