package expand

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"exigo/internal/lookup"
)

// LookupType is a lookup type as it is written in the configuration: [partial[N]-|partial[N](affix)]name[*|*@][,option...].
type LookupType struct {
	Driver  *lookup.Driver
	Options []string
	// Partial is the least number of components that are not wild, -1 without partial matching; Affix stands for the wild
	// ones, "*." by default.
	Partial int
	Affix   string
	// Star and StarAt ask for the defaults * and *@domain.
	Star, StarAt bool
}

// LookupType reads the text of a lookup type (spec 9.6, 9.7). The error is Exim's message.
func (e *Engine) LookupType(text string) (LookupType, error) { return lookupType(e.Lookups, text) }

func lookupType(drivers map[string]*lookup.Driver, text string) (t LookupType, err error) {
	t.Partial = -1
	name := text
	if i := strings.IndexByte(name, ','); i >= 0 {
		t.Options = strings.Split(name[i+1:], ",")
		name = name[:i]
	}
	text = name
	if rest, ok := strings.CutPrefix(name, "partial"); ok {
		if name, ok = t.readPartial(rest); !ok {
			return t, Fail("format error in lookup type \"%s\"", text)
		}
	}
	switch {
	case strings.HasSuffix(name, "*@"):
		t.StarAt, name = true, name[:len(name)-2]
	case strings.HasSuffix(name, "*"):
		t.Star, name = true, strings.TrimRight(name, "*")
	}
	t.Driver = drivers[name]
	switch {
	case t.Driver == nil && knownLookup(name):
		return t, Fail("lookup type \"%s\" is not available (not in the binary - check buildtime LOOKUP configuration)", name)
	case t.Driver == nil:
		return t, Fail("unknown lookup type \"%s\"", name)
	case t.Driver.Kind&lookup.SingleKey != 0:
	case t.Partial >= 0:
		return t, Fail("\"partial\" is not permitted for lookup type \"%s\"", name)
	case t.Star || t.StarAt:
		return t, Fail("defaults using \"*\" or \"*@\" are not permitted for lookup type \"%s\"", text)
	}
	return t, nil
}

// readPartial reads what follows "partial" and returns the rest.
func (t *LookupType) readPartial(rest string) (name string, ok bool) {
	t.Partial, t.Affix = 2, "*."
	digits := 0
	for digits < len(rest) && rest[digits] >= '0' && rest[digits] <= '9' {
		digits++
	}
	if digits > 0 {
		n, err := strconv.Atoi(rest[:digits])
		if err != nil || n > 127 {
			return "", false
		}
		t.Partial = n
	}
	rest = rest[digits:]
	if name, ok = strings.CutPrefix(rest, "-"); ok {
		return name, true
	}
	if rest, ok = strings.CutPrefix(rest, "("); !ok {
		return "", false
	}
	t.Affix, name, ok = strings.Cut(rest, ")")
	return name, ok && !strings.ContainsFunc(t.Affix, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || r >= '0' && r <= '9' || r|0x20 >= 'a' && r|0x20 <= 'z'
	})
}

// knownLookup tells the names of lookup types that the specification has but that cannot be had.
func knownLookup(name string) bool {
	switch name {
	case "cdb", "dbm", "dbmjz", "dbmnz", "dnsdb", "dsearch", "ibase", "iplsearch", "json", "ldap", "ldapdn", "ldapm", "lmdb",
		"lsearch", "mysql", "nis", "nis0", "nisplus", "nwildlsearch", "oracle", "passwd", "pgsql", "redis", "spf", "sqlite", "testdb",
		"whoson", "wildlsearch":
		return true
	}
	return false
}

// Found is the result of a lookup. Wild and Fixed are the parts of the key after a partial match ($1 and $2): what the affix
// stood for, and the rest. Partial says that there was one.
type Found struct {
	Data        Value
	Partial     bool
	Wild, Fixed string
}

// Lookup runs a lookup of any type: for single-key types file and key, for query types the query as key. ok is false if nothing was
// found. The error is an [*Error]; it is temporary if the lookup deferred. Results are kept for the life of the scope's message.
func (s *Scope) Lookup(t LookupType, file, key Value) (found Found, ok bool, err error) {
	if t.Driver.Kind&lookup.SingleKey != 0 {
		if file.Tainted {
			s.Panic("Tainted filename for search: '%s'", file.S)
			return found, false, Fail("Tainted filename for search: '%s'", file.S)
		}
		if key.S == "" {
			return found, false, nil
		}
	} else if key.Tainted && t.Driver.Quote != nil && key.Quoted != t.Driver.Name && !sharesQuoting(t.Driver.Name, key.Quoted) {
		s.Panic("tainted search query is not properly quoted: %s", key.S)
	}
	for _, try := range t.keys(key.S) {
		data, ok, err := s.find(t, file.S, try.key)
		if err != nil {
			return found, false, s.lookupError(t, key.S, err)
		}
		if ok {
			if len(try.wild) > 0 || try.partial {
				found.Partial, found.Wild, found.Fixed = true, try.wild, try.fixed
			}
			if hasOption(t.Options, "ret=key") && t.Driver.Kind&lookup.SingleKey != 0 {
				data = Value{S: key.S}
			}
			found.Data = data
			return found, true, nil
		}
	}
	return found, false, nil
}

// sharesQuoting tells whether text quoted for one type may be used in a query of another.
func sharesQuoting(name, quoted string) bool {
	return strings.HasPrefix(name, "ldap") && strings.HasPrefix(quoted, "ldap")
}

func hasOption(options []string, option string) bool {
	for _, o := range options {
		if o == option {
			return true
		}
	}
	return false
}

// lookupError gives the message of a lookup that went wrong.
func (s *Scope) lookupError(t LookupType, key string, err error) error {
	text := strings.TrimSuffix(err.Error(), ": "+lookup.ErrDefer.Error())
	if errors.Is(err, lookup.ErrDefer) {
		return Defer("lookup of \"%s\" gave DEFER: %s", key, text)
	}
	if s.Ctx != nil && s.Ctx.Err() != nil {
		return Defer("lookup of \"%s\" gave DEFER: %s", key, s.Ctx.Err())
	}
	return &Error{Text: text}
}

// attempt is one key of the sequence that partial matching and defaults make of the key.
type attempt struct {
	key, wild, fixed string
	partial          bool
}

// keys gives the keys to try, in order (spec 9.6 and 9.7).
func (t LookupType) keys(key string) []attempt {
	list := []attempt{{key: key}}
	if t.Partial >= 0 {
		list = t.partialKeys(list, key)
	}
	if t.StarAt {
		if at := strings.LastIndexByte(key, '@'); at > 0 {
			list = append(list, attempt{key: "*" + key[at:]})
		}
	}
	if (t.Star || t.StarAt) && key != "*" {
		list = append(list, attempt{key: "*"})
	}
	return list
}

func (t LookupType) partialKeys(list []attempt, key string) []attempt {
	dots := strings.Count(key, ".")
	if t.Affix != "" && dots+1 >= max(t.Partial, 1) {
		list = append(list, attempt{key: t.Affix + key, fixed: key, partial: true})
	}
	rest := key
	for left := dots; left >= max(t.Partial, 1); left-- {
		rest = rest[strings.IndexByte(rest, '.')+1:]
		list = append(list, attempt{t.Affix + rest, key[:len(key)-len(rest)-1], rest, true})
	}
	if t.Partial == 0 && t.Affix != "" {
		last := t.Affix
		if len(last) > 1 {
			last = strings.TrimSuffix(last, ".")
		}
		list = append(list, attempt{last, key, "", true})
	}
	return list
}

// scopeCache keeps results for the life of a scope and those derived from it.
type scopeCache struct {
	lookups map[lookupKey]lookupResult
	lists   map[any]any
}

type lookupKey struct{ name, options, file, key string }

type lookupResult struct {
	data Value
	ok   bool
}

const maxCached = 2000 // results kept; beyond that the cache begins anew

// find runs one search, or takes its result from the cache.
func (s *Scope) find(t LookupType, file, key string) (Value, bool, error) {
	k := lookupKey{t.Driver.Name, strings.Join(t.Options, ","), file, key}
	c := s.caches()
	if r, ok := c.lookups[k]; ok && !hasOption(t.Options, "cache=no_rd") {
		return r.data, r.ok, nil
	}
	if s.Debug != nil {
		s.Debug("lookup %s %s: key %q", t.Driver.Name, file, key)
	}
	result, ok, err := t.Driver.Find(s.Ctx, &lookup.Request{
		World: s.Engine.World, File: file, Key: key, Options: t.Options, Message: s.Message, Settings: s.lookupSettings(),
	})
	if err != nil {
		return Value{}, false, err
	}
	r := lookupResult{Value{S: result.Data, Tainted: result.Tainted}, ok}
	if !result.NoCache {
		if len(c.lookups) >= maxCached {
			clear(c.lookups)
		}
		c.lookups[k] = r
	}
	return r.data, ok, nil
}

// caches returns the scope's cache, made on first use.
func (s *Scope) caches() *scopeCache {
	if s.cache == nil {
		s.cache = &scopeCache{lookups: map[lookupKey]lookupResult{}, lists: map[any]any{}}
	}
	return s.cache
}

// ListCache is where package list keeps what it knows of named lists. It lives as long as the scope and those derived from it.
func (s *Scope) ListCache() map[any]any {
	c := s.caches()
	if len(c.lists) >= maxCached {
		clear(c.lists)
	}
	return c.lists
}

// Forget empties the caches: results of lookups and of named lists (spec 9.8: at strategic points during delivery).
func (s *Scope) Forget() {
	if s.cache != nil {
		clear(s.cache.lookups)
		clear(s.cache.lists)
	}
}

// lookupSettings gives drivers their main-section settings.
func (s *Scope) lookupSettings() func(t any) any {
	if finder, ok := s.Config.(interface{ SettingsFor(t any) any }); ok {
		return finder.SettingsFor
	}
	return nil
}

// Panic writes to the main and the panic log, if there is one.
func (s *Scope) Panic(format string, args ...any) {
	if s.Engine.Hooks.Panic != nil {
		s.Engine.Hooks.Panic(fmt.Sprintf(format, args...))
	}
}
