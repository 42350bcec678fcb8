// Package cdb is the lookup type cdb: constant databases (spec 9.3).
//
// Trust: the files belong to the administrator; keys looked up may be anybody's.
package cdb

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"exigo/internal/lookup"
	"exigo/internal/proto/cdb"
)

const headerSize = 2048

// Driver returns the lookup type.
func Driver() *lookup.Driver {
	return &lookup.Driver{Name: "cdb", Kind: lookup.SingleKey | lookup.AbsoluteFile, Doc: "Looks a key up in a constant database.", Find: find}
}

func find(_ context.Context, r *lookup.Request) (lookup.Result, bool, error) {
	db, err := cdb.Open(r.File)
	if err != nil {
		return lookup.Result{}, false, openError(r.File, err)
	}
	defer db.Close()
	value, found, err := db.Get([]byte(r.Key))
	if err != nil {
		return lookup.Result{}, false, lookup.Defer(r.File + ": " + err.Error())
	}
	return lookup.Result{Data: string(value)}, found, nil
}

// openError words an error of opening as Exim does.
func openError(path string, err error) error {
	var at *fs.PathError
	if !errors.As(err, &at) {
		if info, statErr := os.Stat(path); statErr == nil && info.Size() < headerSize && !info.IsDir() {
			return fmt.Errorf("failed to open %s too short for cdb lookup: Success", path)
		}
		return fmt.Errorf("failed to open %s for cdb lookup: %w", path, err)
	}
	if at.Op == "read" {
		return lookup.OpenError("cannot read header from "+path, "cdb lookup", err)
	}
	return lookup.OpenError(path, "cdb lookup", err)
}
