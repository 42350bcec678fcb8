package queue

import (
	"context"
	"sync"
)

// Index hands messages to deliveries in the daemon: what arrives is delivered at once, as long as not too many deliveries
// are under way; the rest waits in memory, in order. The spool is the truth: what an index forgets, a queue run finds.
type Index struct {
	limit int
	// keep is how many of those that wait stay open.
	keep int

	mu      sync.Mutex
	waiting []waiting
	running int
	idle    chan struct{} // closed and renewed when nothing runs
	closed  bool
}

// Job is a message that is to be tried. Exactly one of Start, Resume and nothing is called, in a goroutine of its own; where it is not Start,
// Park is called first.
type Job struct {
	// Start makes the attempt at once, while the message is still open and locked.
	Start func(ctx context.Context)
	// Park closes what is open: the message must wait, or is left to a queue run.
	Park func()
	// Resume makes the attempt after Park.
	Resume func(ctx context.Context)
}

// waiting is a job that begins when there is room: Start if it is open still, else Resume.
type waiting struct {
	job  Job
	open bool
}

// NewIndex makes an index that runs at most limit deliveries at the same time.
func NewIndex(limit int) *Index {
	return &Index{limit: max(limit, 1), keep: maxOpen, idle: make(chan struct{})}
}

// maxWaiting bounds the memory of what waits for a delivery; the others are found by the next queue run.
const maxWaiting = 100000

// maxOpen is how many of those that wait stay open and locked: it saves to open, lock and read them again, and costs a descriptor each.
const maxOpen = 200

// Arrived starts a delivery, now or when there is room.
func (x *Index) Arrived(ctx context.Context, j Job) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.closed || x.running >= x.limit && len(x.waiting) >= maxWaiting {
		j.Park()
		return
	}
	if x.running >= x.limit {
		w := waiting{j, len(x.waiting) < x.keep}
		if !w.open {
			j.Park()
		}
		x.waiting = append(x.waiting, w)
		return
	}
	x.running++
	go x.work(ctx, j.Start)
}

// work runs jobs until none waits.
func (x *Index) work(ctx context.Context, run func(ctx context.Context)) {
	for {
		run(ctx)
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
		if run = x.waiting[0].job.Resume; x.waiting[0].open {
			run = x.waiting[0].job.Start
		}
		x.waiting[0] = waiting{}
		x.waiting = x.waiting[1:]
		x.mu.Unlock()
	}
}

// Close takes no more jobs and waits until those under way have ended or ctx has.
func (x *Index) Close(ctx context.Context) {
	x.mu.Lock()
	x.closed = true
	for _, w := range x.waiting {
		if w.open {
			w.job.Park()
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
