// Package lookuptest is the suite that every lookup type passes: found and not found, options, defaults, caching, tainted file
// names, files that cannot be read. Each type's test names its cases.
//
// Trust: test code; reads nothing from outside.
package lookuptest

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"exigo/internal/lookup"
	"exigo/internal/outside"
)

// Case is one search.
type Case struct {
	// Type is what the configuration would say: "partial-lsearch*,ret=full". File and Key are the search's; in both and in Data and
	// Err the word DIR stands for the suite's directory.
	Type, File, Key string
	// Data is what is found. Missing says that nothing is.
	Data    string
	Missing bool
	// Err is the error's text; Defer says that it is temporary.
	Err   string
	Defer bool
	// Captured says that $1 and $2 are set, to Wild and Fixed.
	Captured    bool
	Wild, Fixed string
	// Authenticated is $lookup_dnssec_authenticated.
	Authenticated string
}

// Suite is a lookup type with what its cases need.
type Suite struct {
	// Drivers are the types that the cases name.
	Drivers []*lookup.Driver
	// Dir holds the files of the cases.
	Dir string
	// World is the world to search in; nil has a clock only.
	World *outside.World
	// Scope is given to the searches.
	Scope any
	// Settings finds the options of the main section; nil: none are set.
	Settings func(t any) any
	Cases    []Case
}

// Run runs the cases, and those that every type must pass.
func (s Suite) Run(t *testing.T) {
	t.Helper()
	world := s.World
	if world == nil {
		world = World()
	}
	types := make(map[string]*lookup.Driver, len(s.Drivers))
	for _, d := range s.Drivers {
		types[d.Name] = d
		s.check(t, d, world)
	}
	for _, c := range s.Cases {
		typ, err := lookup.ParseType(types, c.Type)
		if err != nil {
			t.Errorf("%s: %v", c.Type, err)
			continue
		}
		request := &lookup.Request{World: world, File: s.expand(c.File), Key: s.expand(c.Key), Scope: s.Scope, Settings: s.Settings}
		cache := &lookup.Cache{}
		for _, how := range []string{"first", "again"} { // the second time from the cache
			found, ok, err := lookup.Search(context.Background(), cache, typ, request)
			s.compare(t, c, how, found, ok, err)
		}
	}
}

func (s Suite) expand(text string) string { return strings.ReplaceAll(text, "DIR", s.Dir) }

func (s Suite) compare(t *testing.T, c Case, how string, found lookup.Found, ok bool, err error) {
	t.Helper()
	name := c.Type + " " + c.File + " " + c.Key + " (" + how + ")"
	text := ""
	if err != nil {
		text = strings.TrimSuffix(err.Error(), ": "+lookup.ErrDefer.Error())
	}
	want := Case{Data: s.expand(c.Data), Missing: c.Missing, Err: s.expand(c.Err), Defer: c.Defer, Captured: c.Captured, Wild: c.Wild, Fixed: c.Fixed, Authenticated: c.Authenticated}
	got := Case{Data: found.Data, Missing: err == nil && !ok, Err: text, Defer: errors.Is(err, lookup.ErrDefer), Captured: found.Captured, Wild: found.Wild, Fixed: found.Fixed,
		Authenticated: found.Authenticated}
	if got != want {
		t.Errorf("%s:\n got %+v\nwant %+v", name, got, want)
	}
}

// check tries what holds for all types.
func (s Suite) check(t *testing.T, d *lookup.Driver, world *outside.World) {
	t.Helper()
	if d.Name == "" || !strings.HasSuffix(d.Doc, ".") || d.Find == nil {
		t.Errorf("type %q is not complete", d.Name)
	}
	single := d.Kind&lookup.SingleKey != 0
	if single == (d.Kind&lookup.Query != 0) {
		t.Errorf("type %s must be of one kind", d.Name)
	}
	typ := lookup.Type{Driver: d, Partial: -1}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if single {
		_, ok, err := lookup.Search(ctx, nil, typ, &lookup.Request{World: world, File: filepath.Join(s.Dir, "absent.file"), Key: "x", Scope: s.Scope})
		if ok || err == nil || errors.Is(err, lookup.ErrDefer) {
			t.Errorf("%s: a file that is not there: %v, %v", d.Name, ok, err)
		}
		var taint *lookup.TaintError
		_, _, err = lookup.Search(ctx, nil, typ, &lookup.Request{World: world, File: "/x", FileTainted: true, Key: "x"})
		if !errors.As(err, &taint) || taint.LogLine() != "Tainted filename for search: '/x'" {
			t.Errorf("%s: a tainted file name: %v", d.Name, err)
		}
		_, ok, err = lookup.Search(ctx, nil, typ, &lookup.Request{World: world, File: filepath.Join(s.Dir, "absent.file"), Key: "", Scope: s.Scope})
		if ok || err == nil {
			t.Errorf("%s: an empty key and a file that is not there: %v, %v", d.Name, ok, err)
		}
	}
}

// World is a world that has a clock and nothing else.
func World() *outside.World { return &outside.World{Clock: clock{}} }

type clock struct{}

// Now implements outside.Clock: a moment long after any file of a test was written.
func (clock) Now() time.Time { return time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC) }

// Sleep implements outside.Clock.
func (clock) Sleep(ctx context.Context, _ time.Duration) error { return ctx.Err() }

// After implements outside.Clock.
func (clock) After(time.Duration) <-chan time.Time { return make(chan time.Time) }
