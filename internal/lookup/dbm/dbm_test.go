package dbm

import (
	"os"
	"strings"
	"testing"

	"exigo/internal/lookup/lookuptest"
)

func TestSuite(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("../../proto/berkeleydb/testdata")); err != nil {
		t.Fatal(err)
	}
	os.WriteFile(dir+"/text", []byte(strings.Repeat("no database\n", 400)), 0o600)
	data, err := os.ReadFile(dir + "/btree.db")
	if err != nil {
		t.Fatal(err)
	}
	os.WriteFile(dir+"/cut", data[:1024], 0o600)
	type c = lookuptest.Case
	lookuptest.Suite{Drivers: Drivers(), Dir: dir, Cases: []c{
		{Type: "dbm", File: "DIR/hash.db", Key: "key7", Data: "value 7\x00"},
		{Type: "dbm", File: "DIR/hash.db", Key: "KEY7", Missing: true},
		{Type: "dbmnz", File: "DIR/hash.db", Key: "key7", Missing: true},
		{Type: "dbmnz", File: "DIR/btree.db", Key: "key77", Data: "value 77"},
		{Type: "dbm", File: "DIR/btree.db", Key: "key77", Missing: true},
		{Type: "dbmjz", File: "DIR/btree.db", Key: "u:v:w", Data: "joined"},
		{Type: "dbmjz", File: "DIR/hash.db", Key: "<; u; v; w", Data: "joined"},
		{Type: "dbm,ret=key", File: "DIR/hash.db", Key: "key7", Data: "key7"},
		{Type: "dbm", File: "/nonexist", Key: "a", Err: "failed to open /nonexist as a db (v4.1+) file: No such file or directory"},
		{Type: "dbm", File: "DIR/text", Key: "a", Err: "failed to open DIR/text as a db (v4.1+) file: No such file or directory"},
		{Type: "dbm", File: "DIR", Key: "a", Err: "failed to open DIR as a db (v4.1+) file: Is a directory"},
		{Type: "dbmnz", File: "DIR/cut", Key: "key77", Err: "DIR/cut: berkeleydb: damaged database: a page outside the file", Defer: true},
	}}.Run(t)
}
