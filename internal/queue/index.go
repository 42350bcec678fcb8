package queue

import (
	"context"
	"sync"
)

// Index hands messages to deliveries in the daemon: what arrives is delivered at once, as long as not too many deliveries
// are under way; the rest waits in memory, in order. The spool is the truth: what an index forgets, a queue run finds.
type Index struct {
	limit int

	mu      sync.Mutex
	waiting []Job
	running int
	idle    chan struct{} // closed and renewed when nothing runs
	closed  bool
}

// Job is a message that is to be tried. Start is called in a goroutine of its own.
type Job struct {
	ID, Queue string
	// Start makes the attempt.
	Start func(ctx context.Context)
	// Abandon is called in place of Start when there is no room to wait; it may be nil.
	Abandon func()
}

// NewIndex makes an index that runs at most limit deliveries at the same time.
func NewIndex(limit int) *Index {
	return &Index{limit: max(limit, 1), idle: make(chan struct{})}
}

// maxWaiting bounds the memory of what waits for a delivery; the others are found by the next queue run.
const maxWaiting = 100000

// Arrived starts a delivery, now or when there is room.
func (x *Index) Arrived(ctx context.Context, j Job) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.closed || x.running >= x.limit && len(x.waiting) >= maxWaiting {
		if j.Abandon != nil {
			j.Abandon()
		}
		return
	}
	if x.running >= x.limit {
		x.waiting = append(x.waiting, j)
		return
	}
	x.running++
	go x.work(ctx, j)
}

// work runs jobs until none waits.
func (x *Index) work(ctx context.Context, j Job) {
	for {
		j.Start(ctx)
		x.mu.Lock()
		if len(x.waiting) == 0 || x.closed {
			x.running--
			if x.running == 0 {
				close(x.idle)
				x.idle = make(chan struct{})
			}
			x.mu.Unlock()
			return
		}
		j = x.waiting[0]
		x.waiting[0] = Job{}
		x.waiting = x.waiting[1:]
		x.mu.Unlock()
	}
}

// Close takes no more jobs and waits until those under way have ended or ctx has.
func (x *Index) Close(ctx context.Context) {
	x.mu.Lock()
	x.closed = true
	for _, j := range x.waiting {
		if j.Abandon != nil {
			j.Abandon()
		}
	}
	x.waiting = nil
	for x.running > 0 {
		idle := x.idle
		x.mu.Unlock()
		select {
		case <-idle:
		case <-ctx.Done():
			return
		}
		x.mu.Lock()
	}
	x.mu.Unlock()
}
