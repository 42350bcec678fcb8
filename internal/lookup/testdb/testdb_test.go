package testdb

import (
	"testing"

	"exigo/internal/lookup/lookuptest"
)

func TestSuite(t *testing.T) {
	type c = lookuptest.Case
	lookuptest.Suite{Drivers: Drivers(), Cases: []c{
		{Type: "testdb", Key: "something", Data: "something"},
		{Type: "testdb_nq", Key: "nocache", Data: "nocache"},
		{Type: "testdb2", Key: "fail", Missing: true},
		{Type: "testdb", Key: "defer", Err: "testdb lookup forced DEFER", Defer: true},
		{Type: "testdb", Key: "error", Err: "testdb lookup forced an error"},
	}}.Run(t)
}
