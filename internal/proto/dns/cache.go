package dns

import (
	"strconv"
	"sync"
	"time"
)

// key is what an answer depends on. name is lower case without final dot.
type key struct {
	name   string
	rrtype uint16
	do     bool
}

// String returns the key as one text.
func (k key) String() string {
	s := strconv.Itoa(int(k.rrtype)) + " " + k.name
	if k.do {
		s = "+" + s
	}
	return s
}

// The bounds of the cache.
const (
	maxEntries = 20000
	maxBytes   = 16 << 20
)

// entryOverhead is what an entry takes beside the reply.
const entryOverhead = 200

// cache holds answers, and failures for a moment. The zero value is empty.
type cache struct {
	mu      sync.Mutex
	entries map[key]entry
	bytes   int
}

type entry struct {
	answer Answer
	err    error
	until  time.Time
	size   int
}

func (c *cache) get(k key, now time.Time) (Answer, error, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.entries[k]
	if !ok || !now.Before(e.until) {
		return Answer{}, nil, false
	}
	return e.answer, e.err, true
}

func (c *cache) put(k key, a Answer, err error, size int, now time.Time, ttl time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.entries == nil {
		c.entries = make(map[key]entry)
	}
	c.drop(k)
	size += entryOverhead + len(k.name)
	if len(c.entries) >= maxEntries || c.bytes+size > maxBytes {
		c.shrink(now)
	}
	c.entries[k] = entry{answer: a, err: err, until: now.Add(ttl), size: size}
	c.bytes += size
}

func (c *cache) drop(k key) {
	if e, ok := c.entries[k]; ok {
		c.bytes -= e.size
		delete(c.entries, k)
	}
}

// shrink drops what is out of date, and then any entries until a quarter is free. Which ones does not matter much.
func (c *cache) shrink(now time.Time) {
	for k, e := range c.entries {
		if !now.Before(e.until) {
			c.drop(k)
		}
	}
	for k := range c.entries {
		if len(c.entries) <= maxEntries*3/4 && c.bytes <= maxBytes*3/4 {
			return
		}
		c.drop(k)
	}
}
