package lsearch

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"exigo/internal/lookup/lookuptest"
)

const small = `# comment
 continuation of nothing
*.b.c: wild
exact.b.c: full
*.self.d.e: self
*@dom.x: atd
*: star
"quoted key\x41" : q data
key2 data without colon
key3:multi
  line  
# comment in middle

	end
key4: :fail:
key5 : spaced
empty:
key6
KEY2: second
"unterminated: x
last: no newline`

const one = "*.c: onec\n*.: dot\n.x.y: dotxy\n*..q.r: dd\n"

const wild = `*.a.b.c: end
*fish: fishy
^\d+\.a\.b: digits
"^x y:": quoted
^(?-i)CASE: case
cdb;/none: never
Plain: literal
*: default
`

// What Exim 4.96 finds in the same files.
func TestSuite(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"small": small, "one": one, "wild": wild, "big": big(), "bad": "^(: x\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	type c = lookuptest.Case
	suite := lookuptest.Suite{Drivers: Drivers(), Dir: dir, Cases: []c{
		{Type: "partial-lsearch", File: "DIR/small", Key: "a.b.c", Data: "wild", Captured: true, Wild: "a", Fixed: "b.c"},
		{Type: "partial-lsearch", File: "DIR/small", Key: "self.d.e", Data: "self", Captured: true, Fixed: "self.d.e"},
		{Type: "partial-lsearch", File: "DIR/small", Key: "exact.b.c", Data: "full", Captured: true, Fixed: "exact.b.c"},
		{Type: "lsearch", File: "DIR/small", Key: "EXACT.b.c", Data: "full"},
		{Type: "lsearch*", File: "DIR/small", Key: "exact.b.c", Data: "full"},
		{Type: "lsearch*", File: "DIR/small", Key: "zz", Data: "star", Captured: true, Wild: "zz"},
		{Type: "lsearch*", File: "DIR/small", Key: "", Data: "star", Captured: true},
		{Type: "lsearch", File: "DIR/small", Key: "zz", Missing: true},
		{Type: "partial-lsearch*@", File: "DIR/small", Key: "no.pe", Data: "star", Captured: true, Wild: "no.pe"},
		{Type: "partial-lsearch*@", File: "DIR/small", Key: "no@dom.x", Data: "atd", Captured: true, Wild: "no"},
		{Type: "lsearch*@", File: "DIR/small", Key: "u@v@dom.x", Data: "atd", Captured: true, Wild: "u@v"},
		{Type: "lsearch*@", File: "DIR/small", Key: "@dom.x", Data: "star", Captured: true, Wild: "@dom.x"},
		{Type: "partial0-lsearch", File: "DIR/small", Key: "no.pe", Data: "star", Captured: true, Wild: "no.p"},
		{Type: "partial0(*)lsearch", File: "DIR/small", Key: "no.pe", Data: "star", Captured: true, Wild: "no.p"},
		{Type: "partial0(*..)lsearch", File: "DIR/one", Key: "y", Data: "dot", Captured: true},
		{Type: "partial0()lsearch", File: "DIR/small", Key: "no.pe", Missing: true},
		{Type: "partial()lsearch", File: "DIR/small", Key: "x.exact.b.c", Data: "full", Captured: true, Wild: "x", Fixed: "exact.b.c"},
		{Type: "partial(.)lsearch", File: "DIR/one", Key: "x.y", Data: "dotxy", Captured: true, Fixed: "x.y"},
		{Type: "partial-lsearch", File: "DIR/one", Key: "c", Data: "onec", Captured: true, Fixed: "c"},
		{Type: "partial-lsearch", File: "DIR/one", Key: "b.c", Missing: true},
		{Type: "partial1-lsearch", File: "DIR/one", Key: "b.c", Data: "onec", Captured: true, Wild: "b", Fixed: "c"},
		{Type: "partial-lsearch", File: "DIR/one", Key: ".q.r", Data: "dd", Captured: true, Fixed: ".q.r"},
		{Type: "partial-lsearch", File: "DIR/small", Key: "a..b.c", Data: "wild", Captured: true, Wild: "a.", Fixed: "b.c"},
		{Type: "partial-lsearch", File: "DIR/small", Key: ".b.c", Data: "wild", Captured: true, Fixed: "b.c"},
		{Type: "partial3-lsearch", File: "DIR/small", Key: "a.b.c", Missing: true},
		{Type: "lsearch", File: "DIR/small", Key: "quoted keya", Data: "q data"},
		{Type: "lsearch,ret=full", File: "DIR/small", Key: "quoted keya", Data: "quoted keyA : q data"},
		{Type: "lsearch", File: "DIR/small", Key: "key2", Data: "data without colon"},
		{Type: "lsearch", File: "DIR/small", Key: "KEY3", Data: "multi line end"},
		{Type: "lsearch,ret=full", File: "DIR/small", Key: "key3", Data: "key3:multi line end"},
		{Type: "lsearch,ret=key", File: "DIR/small", Key: "KEY3", Data: "KEY3"},
		{Type: "partial-lsearch,ret=key", File: "DIR/small", Key: "x.b.c", Data: "x.b.c", Captured: true, Wild: "x", Fixed: "b.c"},
		{Type: "lsearch,foo=bar,cache=no_rd", File: "DIR/small", Key: "key4", Data: ":fail:"},
		{Type: "lsearch", File: "DIR/small", Key: "key5", Data: "spaced"},
		{Type: "lsearch", File: "DIR/small", Key: "empty", Data: ""},
		{Type: "lsearch", File: "DIR/small", Key: "key6", Data: ""},
		{Type: "lsearch", File: "DIR/small", Key: "unterminated: x", Data: ""},
		{Type: "lsearch", File: "DIR/small", Key: "last", Data: "no newline"},
		{Type: "lsearch", File: "DIR/small", Key: "continuation", Missing: true},
		{Type: "lsearch", File: "DIR/small", Key: "# comment", Missing: true},
		{Type: "lsearch", File: "DIR/big", Key: "KEY17@x", Data: "data of 17 and more"},
		{Type: "lsearch,ret=full", File: "DIR/big", Key: "key1999@x", Data: "key1999@x: data of 1999 and more"},
		{Type: "lsearch", File: "DIR/big", Key: "key2000@x", Missing: true},
		{Type: "lsearch", File: "/nonexist", Key: "a", Err: "failed to open /nonexist for linear search: No such file or directory"},
		{Type: "lsearch", File: "DIR", Key: "a", Err: "DIR is not a regular file (lsearch lookup)"},
		{Type: "nwildlsearch", File: "DIR/small/x", Key: "a", Err: "failed to open DIR/small/x for linear search: Not a directory"},
		{Type: "nwildlsearch", File: "DIR/wild", Key: "any.A.b.c", Data: "end"},
		{Type: "nwildlsearch", File: "DIR/wild", Key: "bigfish", Data: "fishy"},
		{Type: "nwildlsearch", File: "DIR/wild", Key: "12.A.B", Data: "digits"},
		{Type: "nwildlsearch,ret=full", File: "DIR/wild", Key: "x y:", Data: "^x y:: quoted"},
		{Type: "nwildlsearch", File: "DIR/wild", Key: "CASE", Data: "case"},
		{Type: "nwildlsearch", File: "DIR/wild", Key: "case", Data: "default"},
		{Type: "nwildlsearch", File: "DIR/wild", Key: "plain", Data: "literal"},
		{Type: "wildlsearch", File: "DIR/small", Key: "q.self.d.e", Data: "self"},
		{Type: "nwildlsearch", File: "DIR/bad", Key: "x", Err: `regular expression error in "^(": missing closing parenthesis at offset 2`},
		{Type: "wildlsearch", File: "DIR/wild", Key: "12.a.b", Err: "wildlsearch: keys cannot be expanded here"},
	}}
	suite.Run(t)
}

// big is a file that gets an index.
func big() string {
	var b strings.Builder
	for i := range 2000 {
		fmt.Fprintf(&b, "key%d@x: data of %d\n\tand more\n# comment\n\nkey%d@x: second\n", i, i, i)
	}
	return b.String()
}
