package catalog

import (
	"sync"
	"time"
)

// quiet remembers for a moment that there is nothing to find: on a machine where all is well no message asks the retry database
// about each of its hosts and addresses. What another process writes is seen a moment later, which is soon enough for a hint.
type quiet struct {
	mu    sync.Mutex
	until time.Time
	empty bool
}

// What was found is believed for a moment when there was nothing, and longer when there was something: asking then costs more.
const (
	quietTime = time.Second
	busyTime  = 20 * time.Second
)

// holds tells whether there is nothing; empty is asked when the last answer is too old.
func (q *quiet) holds(now time.Time, empty func() bool) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if now.Before(q.until) {
		return q.empty
	}
	q.empty, q.until = empty(), now.Add(busyTime)
	if q.empty {
		q.until = now.Add(quietTime)
	}
	return q.empty
}

// end says that something was written.
func (q *quiet) end() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.until = time.Time{}
}
