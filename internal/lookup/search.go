package lookup

import (
	"context"
	"strings"
	"time"
)

// Found is the outcome of a search that found something.
type Found struct {
	Result
	// Key is the key that was there: the subject's own, a partial one or a default.
	Key string
	// Captured says that $1 and $2 are to be set to Wild and Fixed: the part of the subject that the wildcard
	// stands for and the part that was there literally. It is set when the type asks for partial matching or a default.
	Captured    bool
	Wild, Fixed string
}

// TaintError refuses a tainted file name. Its text is Exim's, which says nothing; LogLine goes to main and panic log.
type TaintError struct{ File string }

// Error implements error.
func (e *TaintError) Error() string { return "NULL" }

// LogLine is what Exim logs.
func (e *TaintError) LogLine() string { return "Tainted filename for search: '" + e.File + "'" }

// Search looks r.Key up with the type t: cache, the key itself, then partial keys and defaults. r.Options is taken from t; drivers get
// r itself, with the key that is tried.
// cache may be nil. found is false with a nil error when nothing is there; errors are the driver's (see Driver.Find),
// or a *TaintError.
func Search(ctx context.Context, cache *Cache, t Type, r *Request) (found Found, ok bool, err error) {
	if r.FileTainted && t.Driver.Kind&SingleKey != 0 {
		return Found{}, false, &TaintError{File: r.File}
	}
	own, noRead, noWrite, retKey := driverOptions(t.Options)
	s := searcher{ctx: ctx, cache: cache, driver: t.Driver, request: r, options: strings.Join(own, ","), noRead: noRead, noWrite: noWrite}
	if t.Driver.Quick {
		s.cache = nil
	}
	r.Options = own
	subject := r.Key
	if t.Driver.Kind&SingleKey == 0 {
		if r.Key == "" {
			return Found{}, false, nil // an empty query finds nothing
		}
		found.Result, ok, err = s.one(subject)
		found.Key = subject
	} else {
		found, ok, err = s.keys(t)
	}
	r.Key = subject
	if !ok || err != nil {
		return Found{}, false, err
	}
	if retKey && t.Driver.Kind&SingleKey != 0 {
		found.Data, found.Tainted = subject, false
	}
	return found, true, nil
}

type searcher struct {
	ctx             context.Context
	cache           *Cache
	driver          *Driver
	request         *Request
	options         string
	noRead, noWrite bool
}

// one looks up a single key, through the cache. The empty key of a single-key type is never there, but the file must be.
func (s *searcher) one(key string) (Result, bool, error) {
	r := s.request
	r.Key = key
	if key == "" && s.driver.Kind&SingleKey != 0 {
		_, _, err := s.driver.Find(s.ctx, r)
		return Result{}, false, err
	}
	k := cacheKey{s.driver, r.File, s.options, key}
	if s.cache != nil && !s.noRead {
		if e, ok := s.cache.get(k, r); ok {
			return e.result, e.found, nil
		}
	}
	if r.Asking != nil {
		r.Asking()
	}
	result, found, err := s.driver.Find(s.ctx, r)
	if err != nil {
		return Result{}, false, err
	}
	if s.cache != nil && !s.noWrite && !result.NoCache {
		e := cached{result: result, found: found}
		if result.Life > 0 {
			e.expires = r.Now().Add(result.Life)
		}
		s.cache.put(k, e)
	}
	return result, found, nil
}

// Now is the time of the request's world.
func (r *Request) Now() time.Time {
	if r.World == nil {
		return time.Time{}
	}
	return r.World.Clock.Now()
}

// keys tries the keys of a single-key search in the order of spec 9.6 and 9.7.
func (s *searcher) keys(t Type) (Found, bool, error) {
	subject := s.request.Key
	result, ok, err := s.one(subject)
	if ok || err != nil {
		return Found{Result: result, Key: subject, Captured: t.Partial >= 0, Fixed: fixedOf(t, subject)}, ok, err
	}
	if t.Partial >= 0 {
		if f, ok, err := s.partial(t, subject); ok || err != nil {
			return f, ok, err
		}
	}
	if at := strings.LastIndexByte(subject, '@'); t.Default == StarAt && at > 0 {
		key := "*" + subject[at:]
		if result, ok, err = s.one(key); ok || err != nil {
			return Found{Result: result, Key: key, Captured: true, Wild: subject[:at]}, ok, err
		}
	}
	if t.Default != NoDefault {
		if result, ok, err = s.one("*"); ok || err != nil {
			return Found{Result: result, Key: "*", Captured: true, Wild: subject}, ok, err
		}
	}
	return Found{}, false, nil
}

func fixedOf(t Type, subject string) string {
	if t.Partial < 0 {
		return ""
	}
	return subject
}

// partial tries the affix before the subject, then before ever fewer of its components.
func (s *searcher) partial(t Type, subject string) (Found, bool, error) {
	rest := subject
	components := strings.Count(rest, ".") + 1
	if t.Affix != "" {
		if result, ok, err := s.one(t.Affix + rest); ok || err != nil {
			return Found{Result: result, Key: t.Affix + rest, Captured: true, Wild: wildOf(subject, rest), Fixed: rest}, ok, err
		}
	}
	for {
		_, after, ok := strings.Cut(rest, ".")
		if !ok {
			break
		}
		rest = after
		if components--; components < t.Partial {
			return Found{}, false, nil
		}
		result, ok, err := s.one(t.Affix + rest)
		if ok || err != nil {
			return Found{Result: result, Key: t.Affix + rest, Captured: true, Wild: wildOf(subject, rest), Fixed: rest}, ok, err
		}
	}
	if t.Partial > 0 || t.Affix == "" {
		return Found{}, false, nil
	}
	key := t.Affix
	if len(key) > 1 {
		key = strings.TrimSuffix(key, ".")
	}
	result, ok, err := s.one(key)
	return Found{Result: result, Key: key, Captured: true, Wild: wildOf(subject, "")}, ok, err
}

// wildOf is the subject without the fixed part and the dot before it.
func wildOf(subject, fixed string) string {
	wild := subject[:len(subject)-len(fixed)]
	if wild == "" {
		return ""
	}
	return wild[:len(wild)-1]
}
