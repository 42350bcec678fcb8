// Package iplsearch is the lookup type iplsearch: a text file whose keys are IP addresses and networks (spec 9.3).
//
// Trust: the files belong to the administrator; keys looked up may be anybody's.
package iplsearch

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	"exigo/internal/lookup"
)

// Driver returns the lookup type.
func Driver() *lookup.Driver {
	files := lookup.NewLineFiles()
	return &lookup.Driver{Name: "iplsearch", Kind: lookup.SingleKey, Doc: "Searches a text file for a network that holds the IP address.",
		Find: func(_ context.Context, r *lookup.Request) (lookup.Result, bool, error) {
			f, err := files.Open(r.File, r.World.Clock.Now())
			if err != nil {
				return lookup.Result{}, false, err
			}
			return search(f, r)
		}}
}

func search(f *lookup.LineFile, r *lookup.Request) (found lookup.Result, ok bool, err error) {
	address, err := netip.ParseAddr(r.Key)
	if r.Key == "" {
		return lookup.Result{}, false, nil
	}
	if err != nil && r.Key != "*" {
		return lookup.Result{}, false, lookup.Defer("\"" + r.Key + "\" is not a valid iplsearch key (an IP address, with optional CIDR mask, is wanted): " +
			"in a host list, use net-iplsearch as the search type")
	}
	address = address.Unmap()
	f.Each(func(e lookup.LineEntry) bool {
		if ok = holds(e.Key, r.Key, address); ok {
			found.Data = e.Data()
			if slices.Contains(r.Options, "ret=full") {
				found.Data = e.Full()
			}
		}
		return !ok
	})
	return found, ok, nil
}

// holds tells whether a key of the file, an address or network, holds the address. The key * is the default only.
func holds(key, wanted string, address netip.Addr) bool {
	if wanted == "*" || key == "*" {
		return key == wanted
	}
	if !strings.Contains(key, "/") {
		a, err := netip.ParseAddr(key)
		return err == nil && a.Unmap() == address
	}
	p, err := netip.ParsePrefix(key)
	return err == nil && p.Contains(address)
}
