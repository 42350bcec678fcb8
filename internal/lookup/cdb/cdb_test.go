package cdb

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"exigo/internal/lookup"
	"exigo/internal/lookup/lookuptest"
	"exigo/internal/proto/cdb"
	"exigo/internal/testkit"
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

// TestChange: a file that is replaced is noticed, one that is cut short while it is mapped does no harm.
func TestChange(t *testing.T) {
	path := t.TempDir() + "/f.cdb"
	old := time.Unix(1e9, 0)
	write := func(value string) {
		f, err := os.Create(path + ".new")
		if err != nil {
			t.Fatal(err)
		}
		w, err := cdb.NewWriter(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range []string{"k", strings.Repeat("long", 5000)} {
			if err := w.Add([]byte(key), []byte(value)); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		f.Close()
		os.Chtimes(path+".new", old, old)
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
	d := Driver()
	world := testkit.NewWorld(t)
	find := func() (string, error) {
		world.Clock.Advance(time.Second)
		r, _, err := d.Find(context.Background(), &lookup.Request{World: world.World, File: path, Key: "k"})
		return r.Data, err
	}
	for _, want := range []string{"first", "second"} {
		write(want)
		for range 2 {
			if got, err := find(); got != want || err != nil {
				t.Errorf("got %q, %v, want %q", got, err, want)
			}
		}
	}
	f, _ := os.Open(path)
	info, _ := f.Stat()
	db, err := open(f, info.Size())
	if err != nil {
		t.Fatal(err)
	}
	os.Truncate(path, 1)
	if got, _, err := db.get("k"); !errors.Is(err, errCut) {
		t.Errorf("got %q, %v from a file cut short", got, err)
	}
}
