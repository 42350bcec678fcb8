// Package passwd is the lookup type passwd: accounts of the machine by name (spec 9.4).
//
// Trust: names may be anybody's; the answer is the machine's.
package passwd

import (
	"context"
	"fmt"

	"exigo/internal/lookup"
)

// Driver returns the lookup type.
func Driver() *lookup.Driver {
	return &lookup.Driver{Name: "passwd", Kind: lookup.Query, Doc: "Looks an account up by its name.", Find: find}
}

func find(_ context.Context, r *lookup.Request) (lookup.Result, bool, error) {
	u, found, err := r.World.Users.ByName(r.Key)
	if err != nil {
		return lookup.Result{}, false, lookup.Defer(err.Error())
	}
	if !found {
		return lookup.Result{}, false, nil
	}
	return lookup.Result{Data: fmt.Sprintf("*:%d:%d:%s:%s:%s", u.UID, u.GID, u.Gecos, u.Home, u.Shell)}, true, nil
}
