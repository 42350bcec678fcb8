package expand

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"exigo/internal/lookup"
)

// LookupType reads the text of a lookup type: "partial-lsearch*,ret=key" (spec 9.6, 9.7). The error is Exim's message.
func (e *Engine) LookupType(text string) (lookup.Type, error) {
	t, err := lookup.ParseType(e.Lookups, text)
	if err != nil {
		return t, &Error{Text: err.Error()}
	}
	return t, nil
}

// Found is the result of a lookup. If Captured is set, $1 and $2 are to be set to Wild and Fixed (spec 9.7).
type Found struct {
	Data        Value
	Captured    bool
	Wild, Fixed string
}

// Lookup runs a lookup of any type: for single-key types file and key, for query types the query as key. ok is false if nothing was
// found. The error is an [*Error]; it is temporary if the lookup deferred. Results are kept for the life of the scope and of those
// derived from it.
func (s *Scope) Lookup(t lookup.Type, file, key Value) (found Found, ok bool, err error) {
	var asking func()
	if t.Driver.Kind&lookup.SingleKey == 0 {
		key.S = strings.TrimLeft(key.S, " \t\n\v\f\r")
		if key.Tainted && t.Driver.Quote != nil && !sameQuoting(t.Driver.Name, key.Quoted) {
			asking = s.complaint(t.Driver, key.S)
		}
	}
	if file.Tainted && t.Driver.Kind&lookup.SingleKey != 0 {
		file.Tainted = s.Untrusted(file, "Tainted filename for search: '%s'", file.S)
	}
	var warn func(string)
	if key.Tainted && s.Settings().AllowInsecureTaintedData {
		warn = s.warning()
	}
	if s.Debug != nil {
		s.Debug("lookup %s %s: key %q", t.Driver.Name, file.S, t.Driver.Shown(key.S))
	}
	result, ok, err := lookup.Search(s.Ctx, &s.caches().lookups, t, &lookup.Request{
		World: s.World(), File: file.S, FileTainted: file.Tainted, Key: key.S, KeyTainted: key.Tainted, Message: s.Message, Settings: s.lookupSettings(),
		Asking: asking, Warn: warn, Scope: s,
	})
	if err != nil {
		return Found{}, false, s.lookupError(t.Driver.Shown(key.S), err)
	}
	if ok && result.Authenticated != "" {
		s.SetExtra("lookup_dnssec_authenticated", Value{S: result.Authenticated})
	}
	data, _, _ := strings.Cut(result.Data, "\x00")
	return Found{Value{S: data, Tainted: result.Tainted}, result.Captured, result.Wild, result.Fixed}, ok, nil
}

// complaint makes the function that logs an unsafe query, in a function of its own: what a closure holds is on the heap.
func (s *Scope) complaint(d *lookup.Driver, query string) func() {
	return func() {
		s.Panic("tainted search query is not properly quoted: %s", d.Shown(query))
		s.advise(d.Shown(query), "Use ${quote_"+d.Name+":...} around what is put into the query")
	}
}

// warning makes the function that logs what would be refused without allow_insecure_tainted_data.
func (s *Scope) warning() func(line string) {
	return func(line string) { s.Log("Warning: %s", line) }
}

// sameQuoting tells whether text quoted for one type may be used in a query of another: all of LDAP's share their rules, and testdb2
// takes testdb's.
func sameQuoting(name, quoted string) bool {
	return name == quoted || strings.HasPrefix(name, "ldap") && strings.HasPrefix(quoted, "ldap") || name == "testdb2" && quoted == "testdb"
}

// lookupError gives the message of a lookup that went wrong. key is as it may be shown.
func (s *Scope) lookupError(key string, err error) error {
	var taint *lookup.TaintError
	if errors.As(err, &taint) {
		s.Panic("%s", taint.LogLine())
		return &Error{Text: taint.Error()}
	}
	text := strings.TrimSuffix(err.Error(), ": "+lookup.ErrDefer.Error())
	if errors.Is(err, lookup.ErrDefer) {
		return Defer("lookup of \"%s\" gave DEFER: \"%s\"", key, text)
	}
	if s.Ctx.Err() != nil {
		return Defer("lookup of \"%s\" gave DEFER: \"%s\"", key, s.Ctx.Err())
	}
	return &Error{Text: text}
}

// scopeCache keeps results for the life of a scope and those derived from it.
type scopeCache struct {
	lookups lookup.Cache
	lists   ListCache
}

const maxLists = 2000 // results of named lists kept; beyond that the cache begins anew

// caches returns the scope's cache, made on first use.
func (s *Scope) caches() *scopeCache {
	if s.cache == nil {
		s.cache = &scopeCache{}
	}
	return s.cache
}

// ListCache has the results of checks of named lists: those of hosts, and all others. The maps are nil until there is something to keep.
type ListCache struct {
	Names map[ListKey]*ListResult
	Hosts map[HostKey]*ListResult
}

// ListKey says which named list was checked for what.
type ListKey struct {
	Kind          byte // the letter of the kind of list
	Caseful       bool
	Name, Subject string
}

// HostKey is the key of a list of hosts: the list's name, and the host's.
type HostKey struct {
	Name, HostName string
	Address        netip.Addr
}

// ListResult is the result of a check.
type ListResult struct {
	Matched bool
	Data    Value
	// Numbers are $0 and above where the check set them, else nil.
	Numbers []Value
}

// Lists is where package list keeps what it knows of named lists. It lives as long as the scope and those derived from it.
func (s *Scope) Lists() *ListCache {
	c := &s.caches().lists
	if len(c.Names)+len(c.Hosts) >= maxLists {
		c.clear()
	}
	return c
}

func (c *ListCache) clear() {
	clear(c.Names)
	clear(c.Hosts)
}

// ShareCaches makes s use the caches of another scope, so that what was found for a message is known to the next evaluation about it.
func (s *Scope) ShareCaches(with *Scope) { s.cache = with.caches() }

// Forget empties the caches: results of lookups and of named lists (spec 9.8: at strategic points during delivery).
func (s *Scope) Forget() {
	if s.cache != nil {
		s.cache.lookups.Clear()
		s.cache.lists.clear()
	}
}

// lookupSettings gives drivers their main-section settings: the Config of the scope finds them by type, if it can.
func (s *Scope) lookupSettings() func(t any) any {
	if finder, ok := s.Config.(interface{ SettingsFor(t any) any }); ok {
		return finder.SettingsFor
	}
	return nil
}

func (s *Scope) messageID() string {
	if s.Message == nil {
		return ""
	}
	return s.Message.ID
}

// Panic writes to the main and the panic log, if there is one.
func (s *Scope) Panic(format string, args ...any) {
	if s.Engine.Hooks.Panic != nil {
		s.Engine.Hooks.Panic(s.messageID(), fmt.Sprintf(format, args...))
	}
}

// Log writes to the main log, if there is one.
func (s *Scope) Log(format string, args ...any) {
	if s.Engine.Hooks.Log != nil {
		s.Engine.Hooks.Log(s.messageID(), fmt.Sprintf(format, args...))
	}
}

// LogSelected writes to the main log if log_selector has the selector.
func (s *Scope) LogSelected(selector, format string, args ...any) {
	if s.Engine.Hooks.LogSelected != nil {
		s.Engine.Hooks.LogSelected(selector, s.messageID(), fmt.Sprintf(format, args...))
	}
}
