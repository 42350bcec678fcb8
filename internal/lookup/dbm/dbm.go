// Package dbm is the lookup types dbm, dbmnz and dbmjz: files of Berkeley DB (spec 9.3).
//
// Trust: the files belong to the administrator; keys looked up may be anybody's.
package dbm

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	"exigo/internal/expand"
	"exigo/internal/lookup"
	"exigo/internal/proto/berkeleydb"
)

// Drivers returns the lookup types.
func Drivers() []*lookup.Driver {
	row := func(name, doc string, key func(text string) string) *lookup.Driver {
		return &lookup.Driver{Name: name, Kind: lookup.SingleKey | lookup.AbsoluteFile, Doc: doc,
			Find: func(_ context.Context, r *lookup.Request) (lookup.Result, bool, error) { return find(r, key(r.Key)) }}
	}
	return []*lookup.Driver{
		row("dbm", "Looks a key up in a Berkeley DB file whose keys end in a zero byte.", func(text string) string { return text + "\x00" }),
		row("dbmjz", "Like dbmnz; the key is a list whose items are joined by zero bytes.", func(text string) string {
			_, items := expand.SplitList(text)
			return strings.Join(items, "\x00")
		}),
		row("dbmnz", "Looks a key up in a Berkeley DB file whose keys do not end in a zero byte.", func(text string) string { return text }),
	}
}

func find(r *lookup.Request, key string) (lookup.Result, bool, error) {
	db, err := berkeleydb.Open(r.File)
	if err != nil {
		return lookup.Result{}, false, openError(r.File, err)
	}
	defer db.Close()
	value, found, err := db.Get([]byte(key))
	if err != nil {
		return lookup.Result{}, false, lookup.Defer(r.File + ": " + err.Error())
	}
	return lookup.Result{Data: string(value)}, found, nil
}

// openError words an error of opening as Exim does, to whom a file of another format is as good as none.
func openError(path string, err error) error {
	var at *fs.PathError
	switch {
	case errors.Is(err, berkeleydb.ErrFormat):
		err = syscall.ENOENT
	case !errors.As(err, &at):
		return fmt.Errorf("failed to open %s as a db (v4.1+) file: %w", path, err)
	}
	return lookup.OpenErrorAs(path, "as a db (v4.1+) file", err)
}
