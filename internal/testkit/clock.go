package testkit

import (
	"context"
	"sync"
	"time"
)

// Clock is a clock that stands still until it is told to go on.
type Clock struct {
	mu      sync.Mutex
	now     time.Time
	sleeper []sleeper
	changed chan struct{} // closed and replaced when someone begins to wait
}

type sleeper struct {
	at time.Time
	ch chan time.Time
}

// NewClock makes a clock that shows the time.
func NewClock(now time.Time) *Clock { return &Clock{now: now, changed: make(chan struct{})} }

// Now implements outside.Clock.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// After implements outside.Clock: the channel delivers when Advance passes the time.
func (c *Clock) After(d time.Duration) <-chan time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	ch := make(chan time.Time, 1)
	if d <= 0 {
		ch <- c.now
		return ch
	}
	c.sleeper = append(c.sleeper, sleeper{c.now.Add(d), ch})
	close(c.changed)
	c.changed = make(chan struct{})
	return ch
}

// Sleep implements outside.Clock.
func (c *Clock) Sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-c.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Advance turns the clock and wakes those whose time has come.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	kept := c.sleeper[:0]
	for _, s := range c.sleeper {
		if s.at.After(c.now) {
			kept = append(kept, s)
		} else {
			s.ch <- c.now
		}
	}
	c.sleeper = kept
}

// WaitForSleepers returns when at least n wait on the clock, so that a test can turn it without racing them.
func (c *Clock) WaitForSleepers(ctx context.Context, n int) error {
	for {
		c.mu.Lock()
		waiting, changed := len(c.sleeper), c.changed
		c.mu.Unlock()
		if waiting >= n {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
