package lookup

import (
	"strings"
	"sync"
	"time"
)

// maxCached and maxCachedBytes bound a Cache, by its results and by their data; a message that finds more starts afresh.
const (
	maxCached      = 2000
	maxCachedBytes = 8 << 20
)

// Cache keeps the results of searches for as long as a message (or another piece of work) is at hand (spec 9.8).
// The zero Cache is ready. It may be shared by goroutines.
type Cache struct {
	mu      sync.Mutex
	results map[cacheKey]cached
	bytes   int // of data, those that have taken the place of others counted again
}

type cacheKey struct {
	driver             *Driver
	file, options, key string
}

type cached struct {
	result  Result
	found   bool
	expires time.Time // zero: never
}

// Clear forgets everything.
func (c *Cache) Clear() {
	if c == nil {
		return
	}
	c.mu.Lock()
	c.results, c.bytes = nil, 0
	c.mu.Unlock()
}

func (c *Cache) get(k cacheKey, r *Request) (cached, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.results[k]
	if ok && !e.expires.IsZero() && !r.Now().Before(e.expires) {
		delete(c.results, k)
		return cached{}, false
	}
	return e, ok
}

func (c *Cache) put(k cacheKey, e cached) {
	c.mu.Lock()
	defer c.mu.Unlock()
	size := len(k.key) + len(e.result.Data)
	switch {
	case size > maxCachedBytes:
		delete(c.results, k)
		return
	case c.results == nil:
		c.results = make(map[cacheKey]cached)
	case len(c.results) >= maxCached || c.bytes+size > maxCachedBytes:
		clear(c.results)
		c.bytes = 0
	}
	c.bytes += size
	c.results[k] = e
}

// driverOptions are the options that the driver itself sees, joined; "cache=" and "ret=key" are Search's.
func driverOptions(options []string) (own []string, noRead, noWrite, retKey bool) {
	for _, o := range options {
		switch {
		case o == "cache=no_rd":
			noRead = true
		case o == "cache=no":
			noRead, noWrite = true, true
		case strings.HasPrefix(o, "cache="):
		case o == "ret=key":
			retKey = true
		default:
			own = append(own, o)
		}
	}
	return own, noRead, noWrite, retKey
}
