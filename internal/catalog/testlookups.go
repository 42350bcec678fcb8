//go:build !testworld

package catalog

import "exigo/internal/lookup"

// testLookups are the lookup types that only a program built for the conformance suite has: none here.
func testLookups() []*lookup.Driver { return nil }
