// Package regex compiles and matches regular expressions with the semantics of PCRE2, as the specification demands in
// chapter 8: no PCRE2 options but, on request, caselessness; bytes, not runes.
//
// The default build translates to the pure Go transpilation of PCRE2 10.40. Patterns that are nothing but literal text,
// possibly anchored, are matched without it; the two ways give the same answers (see plain.go and the fuzz test).
//
// A match that reaches PCRE2's limits is an error ([*LimitError]), never "no match": the caller defers.
//
// Trust: patterns are the administrator's, or built by him from anything; subjects come from anybody.
package regex

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
)

// Options change how a pattern is compiled.
type Options uint8

// Caseless makes letters match either case; only ASCII letters have one (the C locale).
const Caseless Options = 1

// SyntaxError is a pattern that does not compile. Offset counts bytes of the pattern.
type SyntaxError struct {
	Pattern string
	Message string
	Offset  int
}

// Error gives Exim's text: regular expression error in "PATTERN": MESSAGE at offset N.
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("regular expression error in \"%s\": %s at offset %d", e.Pattern, e.Message, e.Offset)
}

// LimitError is a match that was given up: too many steps, too much memory. It says nothing about whether the subject
// matches, so it must be treated as a temporary error.
type LimitError struct {
	Pattern string
	Message string
}

// Error names the pattern and the limit that was reached.
func (e *LimitError) Error() string {
	return fmt.Sprintf("regular expression \"%s\" could not be matched: %s", e.Pattern, e.Message)
}

// Temporary says that another time (another subject, a simpler pattern) the test may succeed.
func (e *LimitError) Temporary() bool { return true }

// IsLimit reports whether err is, or wraps, a [*LimitError].
func IsLimit(err error) bool {
	var limit *LimitError
	return errors.As(err, &limit)
}

// Regexp is a compiled pattern. It is safe for concurrent use.
type Regexp struct {
	pattern string
	options Options
	plain   *plain  // not nil: literal text, no need of PCRE2
	simple  *simple // not nil: PCRE2 is needed for some subjects only
	compile sync.Once
	code    *code // of compiled
	failed  error // to compile
	pool    *pool
}

// compiled returns PCRE2's code for the pattern.
func (re *Regexp) compiled() (*code, error) {
	re.compile.Do(func() { re.code, re.failed = compileCode(re.pattern, re.options) })
	return re.code, re.failed
}

// Compile compiles a pattern by itself; most callers want [Cache.Compile]. The error is a [*SyntaxError].
func Compile(pattern string, options Options) (*Regexp, error) {
	return compile(pattern, options, &pool{})
}

func compile(pattern string, options Options, workers *pool) (*Regexp, error) {
	re := &Regexp{pattern: pattern, options: options, pool: workers}
	if p, ok := parsePlain(pattern, options); ok {
		re.plain = p
		return re, nil
	}
	if s, ok := parseSimple(pattern, options); ok {
		re.simple = s
		return re, nil
	}
	if _, err := re.compiled(); err != nil {
		return nil, err
	}
	return re, nil
}

// Pattern returns the text the expression was compiled from.
func (re *Regexp) Pattern() string { return re.pattern }

// Captures returns the number of capturing groups of the pattern.
func (re *Regexp) Captures() int {
	if re.plain != nil {
		return 0
	}
	if re.simple != nil {
		return re.simple.groups
	}
	return re.code.captures
}

// Match looks for the leftmost match in subject. captures[0] is the matched text and captures[n] that of group n, up to
// the last group that took part; a group that did not is empty. They are parts of subject, not copies.
// The error is a [*LimitError]; ok is then meaningless.
func (re *Regexp) Match(subject string) (captures []string, ok bool, err error) {
	if re.plain != nil {
		from, to, found := re.plain.find(subject, 0)
		if !found {
			return nil, false, nil
		}
		return []string{subject[from:to]}, true, nil
	}
	var space [24]int
	pairs, err := re.MatchIndex(space[:0], subject, 0, false)
	if err != nil || pairs == nil {
		return nil, false, err
	}
	captures = make([]string, len(pairs)/2)
	for n := range captures {
		if pairs[2*n] >= 0 && pairs[2*n] <= pairs[2*n+1] {
			captures[n] = subject[pairs[2*n]:pairs[2*n+1]]
		}
	}
	return captures, true, nil
}

// Test is Match for those who do not want the captured text.
func (re *Regexp) Test(subject string) (ok bool, err error) {
	if re.plain != nil {
		_, _, ok = re.plain.find(subject, 0)
		return ok, nil
	}
	var space [24]int
	pairs, err := re.MatchIndex(space[:0], subject, 0, false)
	return pairs != nil, err
}

// MatchIndex looks for the leftmost match at or after byte start of subject and appends to space, for the whole match and
// each group, the offsets where it begins and ends (-1 -1 for a group that took no part). nil means no match.
// With notEmptyHere only a match that begins at start and is not empty counts: that is how one goes on after an empty
// match when replacing all of them (pcre2demo).
func (re *Regexp) MatchIndex(space []int, subject string, start int, notEmptyHere bool) (pairs []int, err error) {
	if re.plain != nil {
		from, to, ok := re.plain.find(subject, start)
		if !ok || notEmptyHere && (from != start || to == from) {
			return nil, nil
		}
		return append(space, from, to), nil
	}
	if re.simple != nil && !notEmptyHere {
		var m search
		if ok, decided := re.simple.find(&m, subject, start); decided {
			if !ok {
				return nil, nil
			}
			return append(space, m.pairs[:2*re.simple.groups+2]...), nil
		}
	}
	code, err := re.compiled()
	if err != nil {
		return nil, &LimitError{re.pattern, err.Error()}
	}
	w, err := re.pool.take(code.captures)
	if err != nil {
		return nil, &LimitError{re.pattern, err.Error()}
	}
	pairs, message := w.match(code, space, subject, start, notEmptyHere)
	runtime.KeepAlive(code)
	re.pool.give(w)
	if message != "" {
		return nil, &LimitError{re.pattern, message}
	}
	return pairs, nil
}

// Cache keeps the most recently used patterns compiled. It is safe for concurrent use; its expressions share the memory
// they match in.
type Cache struct {
	mutex   sync.Mutex
	size    int
	entries map[key]*entry
	newest  entry // ring: newest.next is the most, newest.previous the least recently used
	workers pool
}

type key struct {
	pattern string
	options Options
}

type entry struct {
	key            key
	re             *Regexp
	next, previous *entry
}

// NewCache makes a cache of at most size patterns (at least one).
func NewCache(size int) *Cache {
	c := &Cache{size: max(size, 1), entries: map[key]*entry{}}
	c.newest.next, c.newest.previous = &c.newest, &c.newest
	return c
}

// Compile returns the compiled pattern, from the cache if it is there. The error is a [*SyntaxError].
func (c *Cache) Compile(pattern string, options Options) (*Regexp, error) {
	k := key{pattern, options}
	c.mutex.Lock()
	if e := c.entries[k]; e != nil {
		if c.newest.next != e {
			e.unlink()
			c.link(e)
		}
		c.mutex.Unlock()
		return e.re, nil
	}
	c.mutex.Unlock()
	re, err := compile(pattern, options, &c.workers)
	if err != nil {
		return nil, err
	}
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if e := c.entries[k]; e != nil { // somebody else was faster
		return e.re, nil
	}
	if len(c.entries) >= c.size {
		oldest := c.newest.previous
		oldest.unlink()
		delete(c.entries, oldest.key)
	}
	e := &entry{key: k, re: re}
	c.entries[k] = e
	c.link(e)
	return re, nil
}

func (c *Cache) link(e *entry) {
	e.next, e.previous = c.newest.next, &c.newest
	e.next.previous, c.newest.next = e, e
}

func (e *entry) unlink() { e.next.previous, e.previous.next = e.previous, e.next }
