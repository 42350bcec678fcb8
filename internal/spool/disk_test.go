package spool

import (
	"errors"
	"sync"
	"testing"
)

// Whoever comes while a sync is under way is served by one that begins later; all who wait share it.
func TestSharedSyncs(t *testing.T) {
	var g directorySyncs
	var begun, waiting sync.WaitGroup
	begun.Add(1)
	proceed := make(chan struct{})
	first := make(chan error, 1)
	go func() {
		first <- g.share("d", func() error { begun.Done(); <-proceed; return nil })
	}()
	begun.Wait()
	calls := 0
	later := errors.New("later")
	for range 5 {
		waiting.Add(1)
		go func() {
			defer waiting.Done()
			if err := g.share("d", func() error { calls++; return later }); err != later {
				t.Errorf("%v", err)
			}
		}()
	}
	for users := 0; users < 6; {
		g.mu.Lock()
		users = g.of["d"].users
		g.mu.Unlock()
	}
	if err := g.share("other", func() error { return nil }); err != nil {
		t.Error(err)
	}
	close(proceed)
	waiting.Wait()
	if err := <-first; err != nil || calls != 1 || len(g.of) != 0 {
		t.Errorf("%v, %d calls, %d directories left", err, calls, len(g.of))
	}
}
