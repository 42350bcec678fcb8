package catalog

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"exigo/internal/deliver"
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
// queue run, "queue -qf" one of that kind (-qff when there is no word); "freeze", "thaw", "remove" and "giveup" do so to all messages. Clients connect from 127.0.0.1; with the option hosts_proxy they can say where they come from.
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
		Run:     func(words []string) error { return s.scriptCommand(ctx, words) },
		Stop:    func() { l.Close(); sessions.Wait(); cancel(); s.Close() },
	}
}

func (s *Server) scriptCommand(ctx context.Context, words []string) error {
	if words[0] == "queue" {
		sel := queue.Selection{Words: "-qff"}
		if len(words) > 1 {
			sel.Words = words[1]
		}
		sel.Force, sel.ForceFrozen = strings.Contains(sel.Words, "f"), strings.Contains(sel.Words, "ff")
		s.Runner.Workers = 1
		s.Main.QueueRunInOrder = true
		s.RunQueue(ctx, sel)
		return nil
	}
	action, known := map[string]queue.Action{"freeze": queue.Freeze, "thaw": queue.Thaw, "remove": queue.Remove}[words[0]]
	if !known && words[0] != "giveup" {
		return fmt.Errorf("unknown command")
	}
	entries, err := s.Spool.List("")
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !known {
			s.Deliverer.Message(ctx, e.ID, "", deliver.Options{Force: true, GiveUp: true, Caller: "root"})
			continue
		}
		c := &queue.Commander{Spool: s.Spool, Log: s.Log, Now: s.World.Clock.Now, Caller: "root", Out: io.Discard}
		if err := c.Do(action, e.ID, "", nil); err != nil && !errors.Is(err, queue.ErrFailed) {
			return err
		}
	}
	return nil
}
