// Package testdb is the lookup types testdb, testdb2 and testdb_nq: queries that say themselves what becomes of them. They are
// for testing (spec 9.4).
//
// Trust: queries may be anybody's; the answer to a query is the query.
package testdb

import (
	"context"
	"errors"

	"exigo/internal/lookup"
)

// Drivers returns the types. testdb2 shares testdb's quoting, testdb_nq has none.
func Drivers() []*lookup.Driver {
	quote := func(text, option string) (string, bool) { return text, option == "" }
	return []*lookup.Driver{
		{Name: "testdb", Kind: lookup.Query, Doc: "Returns the query, or fails or defers if the query says so.", Find: find, Quote: quote},
		{Name: "testdb2", Kind: lookup.Query, Doc: "As testdb, with the same quoting.", Find: find, Quote: quote},
		{Name: "testdb_nq", Kind: lookup.Query, Doc: "As testdb, without quoting.", Find: find},
	}
}

func find(_ context.Context, r *lookup.Request) (lookup.Result, bool, error) {
	switch r.Key {
	case "fail":
		return lookup.Result{}, false, nil
	case "defer":
		return lookup.Result{}, false, lookup.Defer("testdb lookup forced DEFER")
	case "error":
		return lookup.Result{}, false, errors.New("testdb lookup forced an error")
	}
	return lookup.Result{Data: r.Key, NoCache: r.Key == "nocache"}, true, nil
}
