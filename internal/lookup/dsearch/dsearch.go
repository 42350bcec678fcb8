// Package dsearch is the lookup type dsearch: the entries of a directory (spec 9.3). What it returns is clean, for the
// administrator has put it there; that is what the type is mostly used for.
//
// Trust: keys may be anybody's: they are refused when they are paths, unless the option key=path permits it, and never climb.
package dsearch

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"

	"exigo/internal/lookup"
)

// Driver returns the lookup type.
func Driver() *lookup.Driver {
	return &lookup.Driver{Name: "dsearch", Kind: lookup.SingleKey | lookup.AbsoluteFile, Doc: "Looks for an entry of a directory.", Find: find}
}

func find(_ context.Context, r *lookup.Request) (lookup.Result, bool, error) {
	if !strings.HasPrefix(r.File, "/") {
		return lookup.Result{}, false, fmt.Errorf("dirname '%s' for dsearch is not absolute", r.File)
	}
	if err := checkDirectory(r.File); err != nil {
		return lookup.Result{}, false, err
	}
	if strings.Contains(r.Key, "/") {
		if !slices.Contains(r.Options, "key=path") {
			return lookup.Result{}, false, lookup.Defer("key for dsearch lookup contains a slash: " + r.Key)
		}
		if climbs(r.Key) {
			return lookup.Result{}, false, lookup.Defer("key for dsearch lookup has bad component: " + r.Key)
		}
	}
	path := r.File + "/" + r.Key
	info, err := os.Lstat(path)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.ENAMETOOLONG) || errors.Is(err, syscall.EINVAL) {
			return lookup.Result{}, false, nil
		}
		return lookup.Result{}, false, lookup.Defer(path + ": lstat: " + lookup.SystemText(err))
	}
	if !wanted(r, info.Mode()) {
		return lookup.Result{}, false, nil
	}
	if slices.Contains(r.Options, "ret=full") {
		return lookup.Result{Data: path}, true, nil
	}
	return lookup.Result{Data: r.Key}, true, nil
}

// checkDirectory tells why the directory cannot be searched.
func checkDirectory(path string) error {
	d, err := os.OpenFile(path, os.O_RDONLY|syscall.O_DIRECTORY, 0)
	if err != nil {
		return lookup.OpenError(path, "directory search", err)
	}
	return d.Close()
}

// climbs tells whether a path has a component that leads upwards, or an empty one.
func climbs(key string) bool {
	for c := range strings.SplitSeq(key, "/") {
		if c == "" || c == "." || c == ".." {
			return true
		}
	}
	return false
}

// wanted obeys the option filter.
func wanted(r *lookup.Request, mode fs.FileMode) bool {
	for _, o := range r.Options {
		switch o {
		case "filter=file":
			return mode.IsRegular()
		case "filter=dir":
			return mode.IsDir()
		case "filter=subdir":
			return mode.IsDir() && r.Key != "." && r.Key != ".."
		}
	}
	return true
}
