package catalog

import (
	"context"
	"flag"
	"net"
	"sync"
	"testing"

	"exigo/internal/queue"
	"exigo/internal/submit"
	"exigo/internal/testkit"
)

var update = testkit.UpdateFlag(flag.CommandLine)

// TestScripts plays the scripts of test/scripts: the whole program but for the command line.
func TestScripts(t *testing.T) {
	testkit.RunScripts(t, "../../test/scripts/*/*.txtar", *update, startScript)
}

// startScript starts a server that delivers what comes in before it answers, so that its logs have one order. The command "queue" makes a
// queue run. Clients connect from 127.0.0.1; with the option hosts_proxy they can say where they come from.
func startScript(t testing.TB, e *testkit.Environment) *testkit.Instance {
	ctx, cancel := context.WithCancel(context.Background())
	s, err := Load(ctx, Request{World: e.World.World, Path: e.Configuration, Alternate: true, Unprivileged: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Delivery = submit.DeliverForeground
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var sessions sync.WaitGroup
	sessions.Go(func() { // one after the other: what a session logs at its end comes before the next one's lines
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.ServeSMTP(ctx, c, false)
		}
	})
	return &testkit.Instance{
		Connect: func() (net.Conn, error) { return net.Dial("tcp", l.Addr().String()) },
		Settle:  func() error { return nil },
		Run: func(words []string) error {
			s.RunQueue(ctx, queue.Selection{Words: "-qff", Force: true})
			return nil
		},
		Stop: func() { l.Close(); sessions.Wait(); cancel(); s.Close() },
	}
}
