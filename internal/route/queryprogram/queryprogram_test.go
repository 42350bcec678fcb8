package queryprogram

import (
	"maps"
	"testing"
)

func TestKeyed(t *testing.T) {
	for in, want := range map[string]map[string]string{
		`hosts=x1.y.example:x2.y.example data="rule1"`: {"hosts": "x1.y.example:x2.y.example", "data": "rule1"},
		`TRANSPORT = t1  DATA="a \"b\""`:               {"transport": "t1", "data": `a "b"`},
		`data="open`:                                   {"data": "open"},
		``:                                             {},
		`word`:                                         {},
	} {
		if got := keyed(in); !maps.Equal(got, want) {
			t.Errorf("%s: %v, want %v", in, got, want)
		}
	}
}

func FuzzKeyed(f *testing.F) {
	f.Add(`a=b c="d\"`)
	f.Fuzz(func(t *testing.T, text string) { keyed(text) })
}
