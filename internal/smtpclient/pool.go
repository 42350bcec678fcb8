package smtpclient

import (
	"context"
	"sync"
	"time"
)

// Pool keeps connections for a short while after a delivery, so that the next message to the same place need not
// connect again. The zero Pool is not ready; use NewPool. It is safe for concurrent use.
type Pool struct {
	idle time.Duration
	most int

	mu    sync.Mutex
	conns map[string][]*parked
	count int
	done  bool
}

type parked struct {
	c     *Conn
	timer *time.Timer
}

// NewPool makes a pool that keeps a connection at most idle long, and at most most connections altogether.
func NewPool(idle time.Duration, most int) *Pool {
	return &Pool{idle: idle, most: most, conns: make(map[string][]*parked)}
}

// key is what a connection is parked under.
func (s *Settings) key() string { return s.PoolKey + "\x00" + s.Owner }

// Take returns a usable connection that fits the settings, bound to ctx, or nil.
func (p *Pool) Take(ctx context.Context, s *Settings) *Conn {
	if p == nil || s.PoolKey == "" {
		return nil
	}
	for {
		c := p.take(s.key())
		if c == nil {
			return nil
		}
		if c.Usable() {
			c.Bind(ctx)
			return c
		}
		c.Close()
	}
}

// take removes the connection of the key that was parked last.
func (p *Pool) take(key string) *Conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := p.conns[key]
	if len(list) == 0 {
		return nil
	}
	k := list[len(list)-1]
	p.remove(key, k)
	k.timer.Stop()
	return k.c
}

// remove takes k out of the key's list; the lock is held. It reports whether k was there.
func (p *Pool) remove(key string, k *parked) bool {
	list := p.conns[key]
	for i, other := range list {
		if other != k {
			continue
		}
		list = append(list[:i], list[i+1:]...)
		if len(list) == 0 {
			delete(p.conns, key)
		} else {
			p.conns[key] = list
		}
		p.count--
		return true
	}
	return false
}

// Give parks a connection. One that cannot be kept is ended with QUIT.
func (p *Pool) Give(c *Conn) {
	if p == nil || c.Settings == nil || c.Settings.PoolKey == "" || !c.Usable() {
		c.Quit()
		return
	}
	c.Bind(context.Background())
	key := c.Settings.key()
	k := &parked{c: c}
	p.mu.Lock()
	if p.done || p.count >= p.most {
		p.mu.Unlock()
		c.Quit()
		return
	}
	p.conns[key] = append(p.conns[key], k)
	p.count++
	k.timer = time.AfterFunc(p.idle, func() { p.expire(key, k) })
	p.mu.Unlock()
}

func (p *Pool) expire(key string, k *parked) {
	p.mu.Lock()
	mine := p.remove(key, k)
	p.mu.Unlock()
	if mine {
		k.c.Quit()
	}
}

// Finish says that the owner, a message, has been dealt with: connections kept for it are handed to the message that next names
// for their transport and host (those of the wait hints), or ended when it names none. It returns the messages that got one; they
// are to be delivered now. Only a connection that just settled a recipient is handed on (spec 30.1).
func (p *Pool) Finish(owner string, next func(transport, host, asking string) (id string)) []string {
	if p == nil || owner == "" {
		return nil
	}
	var mine []*Conn
	var heirs []string
	p.mu.Lock()
	for key, list := range p.conns {
		for _, k := range append([]*parked(nil), list...) {
			if k.c.Settings.From == owner {
				heirs = append(heirs, k.c.Settings.Owner)
				continue
			}
			if k.c.Settings.Owner == owner {
				k.timer.Stop()
				p.remove(key, k)
				mine = append(mine, k.c)
			}
		}
	}
	p.mu.Unlock()
	for _, c := range mine {
		if c.Settings.From != "" {
			c.Close() // inherited, and of no use
			continue
		}
		id := ""
		if c.Progress && next != nil {
			id = next(c.Settings.Transport, c.Settings.Host, owner)
		}
		if id == "" {
			c.Quit()
			continue
		}
		s := *c.Settings
		s.Owner = id
		c.Settings = &s
		p.Give(c)
		heirs = append(heirs, id)
	}
	return heirs
}

// Len is the number of parked connections.
func (p *Pool) Len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.count
}

// Close ends all parked connections; later ones are not kept.
func (p *Pool) Close() {
	p.mu.Lock()
	p.done = true
	all := p.conns
	p.conns, p.count = make(map[string][]*parked), 0
	p.mu.Unlock()
	for _, list := range all {
		for _, k := range list {
			k.timer.Stop()
			k.c.Quit()
		}
	}
}
