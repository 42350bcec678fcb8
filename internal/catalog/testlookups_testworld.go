//go:build testworld

package catalog

import (
	"exigo/internal/lookup"
	"exigo/internal/lookup/testdb"
)

// testLookups are the lookup types that only a program built for the conformance suite has.
func testLookups() []*lookup.Driver { return testdb.Drivers() }
