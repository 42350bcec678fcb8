package iplsearch

import (
	"os"
	"testing"

	"exigo/internal/lookup"
	"exigo/internal/lookup/lookuptest"
)

const file = `1.2.3.4:           data for 1.2.3.4
192.168.0.0/16:    data for 192.168.0.0/16
"abcd::cdab":      data for abcd::cdab
"abcd:abcd::/32"   data for abcd:abcd::/32
*: star
foo: notip
10.0.0.0/33: bad
10.0.0.0/8: ten
`

const invalid = " is not a valid iplsearch key (an IP address, with optional CIDR mask, is wanted): in a host list, use net-iplsearch as the search type"

func TestSuite(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/f", []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	type c = lookuptest.Case
	lookuptest.Suite{Drivers: []*lookup.Driver{Driver()}, Dir: dir, Cases: []c{
		{Type: "iplsearch", File: "DIR/f", Key: "1.2.3.4", Data: "data for 1.2.3.4"},
		{Type: "iplsearch", File: "DIR/f", Key: "::ffff:1.2.3.4", Data: "data for 1.2.3.4"},
		{Type: "iplsearch", File: "DIR/f", Key: "192.168.3.4", Data: "data for 192.168.0.0/16"},
		{Type: "iplsearch,ret=full", File: "DIR/f", Key: "192.168.3.4", Data: "192.168.0.0/16:    data for 192.168.0.0/16"},
		{Type: "iplsearch,ret=full", File: "DIR/f", Key: "abcd:abcd::1", Data: "abcd:abcd::/32   data for abcd:abcd::/32"},
		{Type: "iplsearch", File: "DIR/f", Key: "ABCD:0::cdab", Data: "data for abcd::cdab"},
		{Type: "iplsearch", File: "DIR/f", Key: "10.2.3.4", Data: "ten"},
		{Type: "iplsearch", File: "DIR/f", Key: "9.2.3.4", Missing: true},
		{Type: "iplsearch*", File: "DIR/f", Key: "9.2.3.4", Data: "star", Captured: true, Wild: "9.2.3.4"},
		{Type: "iplsearch", File: "DIR/f", Key: "10.2.3.4/32", Err: `"10.2.3.4/32"` + invalid, Defer: true},
		{Type: "partial-iplsearch", File: "DIR/f", Key: "9.2.3.4", Err: `"*.9.2.3.4"` + invalid, Defer: true},
		{Type: "iplsearch", File: "/nonexist", Key: "1.2.3.4", Err: "failed to open /nonexist for linear search: No such file or directory"},
		{Type: "iplsearch", File: "DIR", Key: "1.2.3.4", Err: "DIR is not a regular file (lsearch lookup)"},
	}}.Run(t)
}
