// Package lmdb is the lookup type lmdb: LMDB environments, which a writer may be changing (spec 9.3).
//
// Trust: the files belong to the administrator; keys looked up may be anybody's.
package lmdb

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"exigo/internal/lookup"
	"exigo/internal/proto/lmdb"
)

// Driver returns the lookup type.
func Driver() *lookup.Driver {
	return &lookup.Driver{Name: "lmdb", Kind: lookup.SingleKey | lookup.AbsoluteFile, Doc: "Looks a key up in an LMDB file.", Find: find}
}

func find(_ context.Context, r *lookup.Request) (lookup.Result, bool, error) {
	env, err := lmdb.Open(r.File)
	if err != nil {
		var at *fs.PathError
		if errors.As(err, &at) {
			return lookup.Result{}, false, lookup.OpenError(r.File, "LMDB lookup", err)
		}
		return lookup.Result{}, false, fmt.Errorf("failed to open %s for LMDB lookup: %w", r.File, err)
	}
	defer env.Close()
	value, found, err := env.Get("", []byte(r.Key))
	if err != nil {
		return lookup.Result{}, false, lookup.Defer(r.File + ": " + err.Error())
	}
	return lookup.Result{Data: string(value)}, found, nil
}
