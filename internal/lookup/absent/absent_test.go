package absent

import (
	"strings"
	"testing"

	"exigo/internal/lookup"
)

func TestAbsent(t *testing.T) {
	types := map[string]*lookup.Driver{}
	for _, d := range Drivers() {
		types[d.Name] = d
		_, err := lookup.ParseType(map[string]*lookup.Driver{d.Name: d}, d.Name)
		if want := `lookup type "` + d.Name + `" is not available (not in the binary - check buildtime LOOKUP configuration)`; err == nil || err.Error() != want {
			t.Errorf("%s: %v", d.Name, err)
		}
		if !strings.HasSuffix(d.Doc, ".") || d.Kind != lookup.SingleKey && d.Kind != lookup.Query {
			t.Errorf("%s is not complete", d.Name)
		}
	}
	for _, c := range [][3]string{{"nisplus", `a"b`, `a""b`}, {"oracle", "a'\"\\\n\t\r\b%", `a\'\"\\\n\t\r\b%`}} {
		if got, ok := types[c[0]].Quote(c[1], ""); got != c[2] || !ok {
			t.Errorf("%s: %s", c[0], got)
		}
		if _, ok := types[c[0]].Quote("", "x"); ok {
			t.Errorf("%s takes an option", c[0])
		}
	}
}
