// Package lsearch is the lookup types lsearch, wildlsearch and nwildlsearch: linear searches of text files (spec 9.3).
//
// Trust: the files belong to the administrator; keys looked up may be anybody's.
package lsearch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"exigo/internal/expand"
	"exigo/internal/lookup"
	"exigo/internal/regex"
)

// Drivers returns the three lookup types. They share the files they keep in memory.
func Drivers() []*lookup.Driver {
	s := &searches{files: lookup.NewLineFiles(), patterns: regex.NewCache(256)}
	return []*lookup.Driver{
		{Name: "lsearch", Kind: lookup.SingleKey, Doc: "Searches a text file for a line that begins with the key.", Find: s.literal},
		{Name: "wildlsearch", Kind: lookup.SingleKey, Doc: "Searches a text file whose keys are patterns, expanded before use.",
			Find: func(ctx context.Context, r *lookup.Request) (lookup.Result, bool, error) { return s.wild(ctx, r, true) }},
		{Name: "nwildlsearch", Kind: lookup.SingleKey, Doc: "Searches a text file whose keys are patterns, not expanded.",
			Find: func(ctx context.Context, r *lookup.Request) (lookup.Result, bool, error) {
				return s.wild(ctx, r, false)
			}},
	}
}

type searches struct {
	files    *lookup.LineFiles
	patterns *regex.Cache
}

// result is an entry's data, or the whole of it for ret=full.
func result(r *lookup.Request, e lookup.LineEntry) lookup.Result {
	if slices.Contains(r.Options, "ret=full") {
		return lookup.Result{Data: e.Full()}
	}
	return lookup.Result{Data: e.Data()}
}

func (s *searches) literal(_ context.Context, r *lookup.Request) (lookup.Result, bool, error) {
	f, err := s.files.Open(r.File, r.World.Clock.Now())
	if err != nil {
		return lookup.Result{}, false, err
	}
	e, ok := f.Find(r.Key)
	if !ok {
		return lookup.Result{}, false, nil
	}
	return result(r, e), true, nil
}

func (s *searches) wild(ctx context.Context, r *lookup.Request, expanded bool) (found lookup.Result, ok bool, err error) {
	f, err := s.files.Open(r.File, r.World.Clock.Now())
	if err != nil {
		return lookup.Result{}, false, err
	}
	scope, _ := r.Scope.(*expand.Scope)
	if r.Key == "" {
		return lookup.Result{}, false, nil
	}
	f.Each(func(e lookup.LineEntry) bool {
		if err = ctx.Err(); err != nil {
			err = lookup.Defer(err.Error())
			return false
		}
		pattern := e.Key
		if expanded && strings.ContainsAny(pattern, "$\\") {
			if pattern, err = expandKey(scope, pattern); err != nil {
				return false
			}
		}
		if ok, err = s.match(scope, pattern, r.Key); ok {
			found = result(r, e)
		}
		return !ok && err == nil
	})
	return found, ok && err == nil, err
}

// expandKey expands a key of the file.
func expandKey(scope *expand.Scope, key string) (string, error) {
	if scope == nil {
		return "", errors.New("wildlsearch: keys cannot be expanded here")
	}
	v, err := scope.Engine.Expand(scope, key)
	switch {
	case errors.Is(err, expand.ErrForced):
		return "", nil // never matches
	case expand.IsTemporary(err):
		return "", lookup.Defer(err.Error())
	case err != nil: // a mistake in the file is no reason to fail for good
		return "", lookup.Defer(fmt.Sprintf("failed to expand \"%s\": %s", key, err))
	}
	return v.S, nil
}

// match compares the subject with a pattern: "*" and an end, "^" and a regular expression, a lookup "type;file", or the subject
// itself. Case does not matter.
func (s *searches) match(scope *expand.Scope, pattern, subject string) (bool, error) {
	switch {
	case strings.HasPrefix(pattern, "^"):
		re, err := s.patterns.Compile(pattern, regex.Caseless)
		if err != nil {
			return false, err
		}
		ok, err := re.Test(subject)
		if err != nil {
			return false, lookup.Defer(err.Error())
		}
		return ok, nil
	case strings.HasPrefix(pattern, "*"):
		end := pattern[1:]
		return len(subject) >= len(end) && strings.EqualFold(subject[len(subject)-len(end):], end), nil
	}
	if name, file, ok := strings.Cut(pattern, ";"); ok && scope != nil {
		if t, err := scope.Engine.LookupType(name); err == nil {
			return nested(scope, t, file, subject)
		}
	}
	return strings.EqualFold(pattern, subject), nil
}

// nested searches with the lookup that a key of the file names; the data is dropped.
func nested(scope *expand.Scope, t lookup.Type, file, subject string) (bool, error) {
	key := expand.Value{S: subject, Tainted: true}
	if t.Driver.Kind&lookup.SingleKey == 0 {
		key, file = expand.Value{S: file}, ""
	}
	_, ok, err := scope.Lookup(t, expand.Value{S: file}, key)
	if expand.IsTemporary(err) {
		return false, lookup.Defer(err.Error())
	}
	return ok, err
}
