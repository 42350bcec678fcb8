package json

import (
	"os"
	"testing"

	"exigo/internal/lookup"
	"exigo/internal/lookup/lookuptest"
)

func TestSuite(t *testing.T) {
	dir := t.TempDir()
	os.WriteFile(dir+"/f", []byte(`{"b":{"z":[1,"two",{"x":null,"a":true}],"s":"a\n\"b\u00fc\u0001,"},"n":-1.50e3,"":"empty","5":"five","a":[]}`), 0o600)
	os.WriteFile(dir+"/bad", []byte(`{"b":`), 0o600)
	os.WriteFile(dir+"/array", []byte(`[0,[1,2]]`), 0o600)
	type c = lookuptest.Case
	find := func(key, data string) c { return c{Type: "json", File: "DIR/f", Key: key, Data: data} }
	none := func(key string) c { return c{Type: "json", File: "DIR/f", Key: key, Missing: true} }
	lookuptest.Suite{Drivers: []*lookup.Driver{Driver()}, Dir: dir, Cases: []c{
		find("b : z : 1", "two"), find("<; b;z;2;a", "true"), find("b:z:2:x", "null"), find("b:z", `[1, "two", {"x": null, "a": true}]`), find("b:s", "a\n\"bü\x01,"),
		find("b", `{"z": [1, "two", {"x": null, "a": true}], "s": "a\n\"bü\u0001,"}`), find("n", "-1.50e3"), find("a", "[]"),
		none("x"), none("b:z:3"), none("b:z:x"), none("5"), none("n:x"), none("B"),
		{Type: "json", File: "DIR/array", Key: "1:0", Data: "1"},
		{Type: "json", File: "DIR/bad", Key: "b", Err: "json error on open: DIR/bad: unexpected EOF", Defer: true},
		{Type: "json", File: "/nonexist", Key: "b", Err: "failed to open /nonexist for json search: No such file or directory"},
	}}.Run(t)
}
