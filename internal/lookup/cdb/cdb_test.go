package cdb

import (
	"os"
	"strings"
	"testing"

	"exigo/internal/lookup"
	"exigo/internal/lookup/lookuptest"
	"exigo/internal/proto/cdb"
)

func TestSuite(t *testing.T) {
	dir := t.TempDir()
	f, err := os.Create(dir + "/f.cdb")
	if err != nil {
		t.Fatal(err)
	}
	w, err := cdb.NewWriter(f)
	if err != nil {
		t.Fatal(err)
	}
	for _, kv := range [][2]string{{"one", "1"}, {"*.b.c", "wild"}, {"one", "second"}, {"empty", ""}} {
		if err := w.Add([]byte(kv[0]), []byte(kv[1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	f.Close()
	os.WriteFile(dir+"/short", []byte("x"), 0o600)
	os.WriteFile(dir+"/text", []byte(strings.Repeat("no database\n", 400)), 0o600)
	type c = lookuptest.Case
	lookuptest.Suite{Drivers: []*lookup.Driver{Driver()}, Dir: dir, Cases: []c{
		{Type: "cdb", File: "DIR/f.cdb", Key: "one", Data: "1"},
		{Type: "cdb", File: "DIR/f.cdb", Key: "empty", Data: ""},
		{Type: "cdb", File: "DIR/f.cdb", Key: "ONE", Missing: true},
		{Type: "partial-cdb", File: "DIR/f.cdb", Key: "a.b.c", Data: "wild", Captured: true, Wild: "a", Fixed: "b.c"},
		{Type: "cdb,ret=key", File: "DIR/f.cdb", Key: "one", Data: "one"},
		{Type: "cdb", File: "/nonexist", Key: "a", Err: "failed to open /nonexist for cdb lookup: No such file or directory"},
		{Type: "cdb", File: "DIR/short", Key: "a", Err: "failed to open DIR/short too short for cdb lookup: Success"},
		{Type: "cdb", File: "DIR", Key: "a", Err: "failed to open cannot read header from DIR for cdb lookup: Is a directory"},
		{Type: "cdb", File: "DIR/text", Key: "a", Err: "DIR/text: cdb: corrupt database: table outside the file", Defer: true},
	}}.Run(t)
}
