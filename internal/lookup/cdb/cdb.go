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
	"runtime"
	"runtime/debug"
	"syscall"

	"exigo/internal/lookup"
	"exigo/internal/proto/cdb"
)

const headerSize = 2048

// Driver returns the lookup type.
func Driver() *lookup.Driver {
	files := &lookup.OpenFiles[*database]{Open: open}
	return &lookup.Driver{Name: "cdb", Kind: lookup.SingleKey | lookup.AbsoluteFile, Quick: true, Doc: "Looks a key up in a constant database.",
		Find: func(_ context.Context, r *lookup.Request) (lookup.Result, bool, error) {
			db, err := files.Get(r.File, r.Now())
			if err != nil {
				return lookup.Result{}, false, openError(r.File, err)
			}
			value, found, err := db.get(r.Key)
			if err != nil {
				return lookup.Result{}, false, lookup.Defer(r.File + ": " + err.Error())
			}
			return lookup.Result{Data: value}, found, nil
		}}
}

// database is a mapped file.
type database struct {
	mapping *lookup.Mapping
	reader  *cdb.Reader
}

func open(file *os.File, size int64) (*database, error) {
	if info, err := file.Stat(); err == nil && info.IsDir() {
		return nil, &fs.PathError{Op: "read", Path: file.Name(), Err: syscall.EISDIR}
	}
	m, err := lookup.Map(file, size)
	if err != nil {
		return nil, err
	}
	r, err := cdb.NewMemoryReader(m.Data)
	return &database{m, r}, err
}

// errCut is what becomes of a file that was cut short after it had been mapped.
var errCut = errors.New("the file was cut short while it was in use")

func (d *database) get(key string) (text string, found bool, err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		switch p := recover().(type) {
		case nil:
		case interface{ Addr() uintptr }:
			text, found, err = "", false, errCut
		default:
			panic(p)
		}
	}()
	value, found, err := d.reader.Get([]byte(key))
	runtime.KeepAlive(d.mapping)
	return string(value), found, err
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
