package deliver

import "sync"

// parallel counts the runs of each transport that are under way in this process.
type parallel struct {
	mu      sync.Mutex
	running map[string]int
}

// enter starts a run unless limit runs of the transport are under way; release ends it.
func (p *parallel) enter(transport string, limit int) (release func(), ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running == nil {
		p.running = make(map[string]int)
	}
	if p.running[transport] >= limit {
		return nil, false
	}
	p.running[transport]++
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.running[transport]--
	}, true
}
