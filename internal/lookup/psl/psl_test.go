package psl

import (
	"os"
	"testing"

	"exigo/internal/lookup/lookuptest"
)

func TestSuite(t *testing.T) {
	dir := t.TempDir()
	os.WriteFile(dir+"/list", []byte("// rules\ncom\nuk\nco.uk\n*.ck\n!www.ck\n"), 0o600)
	type c = lookuptest.Case
	find := func(kind, key, data string) c {
		return c{Type: kind, File: "DIR/list", Key: key, Data: data, Missing: data == ""}
	}
	lookuptest.Suite{Drivers: Drivers(), Dir: dir, Cases: []c{
		find("psl", "a.b.co.uk", "co.uk"), find("psl", "A.COM.", "com"), find("psl", "com", "com"), find("psl", "x.y.ck", "y.ck"), find("psl", "www.ck", "ck"), find("psl", "a.nosuch", "nosuch"),
		find("psl", "a..b", ""), find("regdom", "a.b.co.uk", "b.co.uk"), find("regdom", "b.co.uk", "b.co.uk"), find("regdom", "co.uk", ""), find("regdom", "x.www.ck", "www.ck"),
		find("regdom", "x.y.z.ck", "y.z.ck"), find("regdom", "com", ""),
		{Type: "psl", File: "/nonexist", Key: "a.b", Err: "failed to open /nonexist for public suffix lookup: No such file or directory"},
	}}.Run(t)
}
