package steward

import (
	"context"
	"testing"
	"time"

	"exigo/internal/helper"
)

// TestPool: an identity gets a few helpers at once; then jobs share them, and the one that waits gets what is given back.
func TestPool(t *testing.T) {
	p := newPool()
	ctx := context.Background()
	for range enoughHelpers {
		if c, err := p.take(ctx, "a"); c != nil || err != nil {
			t.Fatalf("take = %v, %v; want permission to start", c, err)
		}
	}
	mine := &helper.Client{}
	got := make(chan *helper.Client)
	go func() {
		c, _ := p.take(ctx, "a")
		got <- c
	}()
	for waiting := 0; waiting == 0; {
		p.mu.Lock()
		waiting = len(p.queue["a"])
		p.mu.Unlock()
	}
	p.give("a", mine, false)
	if c := <-got; c != mine {
		t.Fatalf("the waiting job got %v", c)
	}
	p.give("a", mine, false)
	if c, _ := p.take(ctx, "a"); c != mine {
		t.Fatal("a resting helper was not taken")
	}
	if c, err := p.take(ctx, "b"); c != nil || err != nil {
		t.Fatal("another identity must not wait")
	}
	stopped, cancel := context.WithTimeout(ctx, time.Hour)
	cancel()
	if _, err := p.take(stopped, "a"); err == nil {
		t.Fatal("a job that is over got a helper")
	}
}
