package manualroute

import "testing"

func TestWord(t *testing.T) {
	for _, test := range []struct{ in, first, rest string }{
		{"a b c", "a", " b c"}, {" a", "a", ""}, {"\"a b\" c", "a b", " c"}, {"\"a\\\"b\\x41\\101\\n\" c", "a\"bAA\n", " c"}, {"\"xy", "xy", ""}, {"", "", ""},
		{"${x y}", "${x", " y}"},
	} {
		if first, rest := word(test.in); first != test.first || rest != test.rest {
			t.Errorf("%q: %q %q", test.in, first, rest)
		}
	}
}

func FuzzWord(f *testing.F) {
	f.Add("\"a\\x4\" b")
	f.Fuzz(func(t *testing.T, text string) {
		first, rest := word(text)
		if len(first)+len(rest) > len(text) {
			t.Errorf("%q: %q %q", text, first, rest)
		}
	})
}
