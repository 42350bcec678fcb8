package steward

import (
	"context"
	"strconv"
	"sync"
	"time"

	"exigo/internal/helper"
)

// Helpers rest in the pool for a while after a job, and only so many of them.
const (
	restTime = 20 * time.Second
	restMost = 24
)

// A process costs more than many deliveries: once an identity has enoughHelpers, a job waits a little for one of them to be free
// before another is started. Slow jobs (pipes) thus get more helpers, quick ones do not.
const (
	enoughHelpers = 3
	waitForHelper = 200 * time.Millisecond
)

// pool keeps helpers by identity.
type pool struct {
	mu     sync.Mutex
	idle   map[string][]*resting
	alive  map[string]int                   // helpers by identity, at work or at rest
	queue  map[string][]chan *helper.Client // who waits for one
	count  int
	closed bool
}

type resting struct {
	c     *helper.Client
	timer *time.Timer
}

func keyOf(id Identity) string {
	b := strconv.AppendInt(nil, int64(id.UID), 10)
	for _, n := range append([]int{id.GID}, id.Groups...) {
		b = strconv.AppendInt(append(b, ' '), int64(n), 10)
	}
	return string(b)
}

func newPool() pool {
	return pool{idle: make(map[string][]*resting), alive: make(map[string]int), queue: make(map[string][]chan *helper.Client)}
}

// take returns a helper that is free, or nil when the caller is to start one; it is counted as alive already.
func (p *pool) take(ctx context.Context, key string) (*helper.Client, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	p.mu.Lock()
	if list := p.idle[key]; len(list) > 0 {
		r := list[len(list)-1]
		r.timer.Stop()
		p.remove(key, r)
		p.mu.Unlock()
		return r.c, nil
	}
	if p.alive[key] < enoughHelpers {
		p.alive[key]++
		p.mu.Unlock()
		return nil, nil
	}
	turn := make(chan *helper.Client, 1)
	p.queue[key] = append(p.queue[key], turn)
	p.mu.Unlock()
	patience := time.NewTimer(waitForHelper)
	defer patience.Stop()
	select {
	case c := <-turn:
		return c, nil
	case <-patience.C:
	case <-ctx.Done():
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case c := <-turn: // it came at the last moment
		return c, nil
	default:
	}
	p.leave(key, turn)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	p.alive[key]++
	return nil, nil
}

// leave takes a turn out of the queue; the lock is held.
func (p *pool) leave(key string, turn chan *helper.Client) {
	list := p.queue[key]
	for i := range list {
		if list[i] == turn {
			p.queue[key] = append(list[:i], list[i+1:]...)
			return
		}
	}
}

// gone counts a helper that ended or could not be started.
func (p *pool) gone(key string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lost(key)
}

func (p *pool) lost(key string) {
	if p.alive[key]--; p.alive[key] <= 0 {
		delete(p.alive, key)
	}
}

// remove takes r out; the lock is held.
func (p *pool) remove(key string, r *resting) bool {
	list := p.idle[key]
	for i := range list {
		if list[i] != r {
			continue
		}
		list = append(list[:i], list[i+1:]...)
		if len(list) == 0 {
			delete(p.idle, key)
		} else {
			p.idle[key] = list
		}
		p.count--
		return true
	}
	return false
}

// give takes a helper back after a job: for the first that waits, or for a rest.
func (p *pool) give(key string, c *helper.Client, broken bool) {
	p.mu.Lock()
	if !broken && !p.closed && len(p.queue[key]) > 0 {
		turn := p.queue[key][0]
		p.queue[key] = p.queue[key][1:]
		if len(p.queue[key]) == 0 {
			delete(p.queue, key)
		}
		turn <- c
		p.mu.Unlock()
		return
	}
	if broken || p.closed || p.count >= restMost {
		p.lost(key)
		p.mu.Unlock()
		c.Close()
		return
	}
	defer p.mu.Unlock()
	r := &resting{c: c}
	r.timer = time.AfterFunc(restTime, func() {
		p.mu.Lock()
		mine := p.remove(key, r)
		if mine {
			p.lost(key)
		}
		p.mu.Unlock()
		if mine {
			c.Close()
		}
	})
	p.idle[key] = append(p.idle[key], r)
	p.count++
}

func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for _, list := range p.idle {
		for _, r := range list {
			r.timer.Stop()
			r.c.Close()
		}
	}
	p.idle, p.count = make(map[string][]*resting), 0
}
