package lmdb

import (
	"compress/gzip"
	"io"
	"os"
	"strings"
	"testing"

	"exigo/internal/lookup"
	"exigo/internal/lookup/lookuptest"
)

func TestSuite(t *testing.T) {
	dir := t.TempDir()
	packed, err := os.Open("../../proto/lmdb/testdata/small.mdb.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer packed.Close()
	z, err := gzip.NewReader(packed)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	os.Mkdir(dir+"/env", 0o700)
	for name, text := range map[string]string{"/f.mdb": string(data), "/env/data.mdb": string(data), "/bad": strings.Repeat("no database\n", 4000)} {
		if err := os.WriteFile(dir+name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	type c = lookuptest.Case
	lookuptest.Suite{Drivers: []*lookup.Driver{Driver()}, Dir: dir, Cases: []c{
		{Type: "lmdb", File: "DIR/f.mdb", Key: "key000", Data: "value 0 value 0 value 0 "},
		{Type: "lmdb", File: "DIR/env", Key: "key057", Data: strings.Repeat("value 57 ", 900)},
		{Type: "lmdb,ret=key", File: "DIR/f.mdb", Key: "key119", Data: "key119"},
		{Type: "lmdb", File: "DIR/f.mdb", Key: "KEY000", Missing: true},
		{Type: "lmdb*", File: "DIR/f.mdb", Key: "zz", Missing: true},
		{Type: "lmdb", File: "/nonexist", Key: "a", Err: "failed to open /nonexist for LMDB lookup: No such file or directory"},
		{Type: "lmdb", File: "DIR/bad", Key: "a", Err: "failed to open DIR/bad for LMDB lookup: lmdb: corrupt environment: wrong magic number"},
	}}.Run(t)
}
