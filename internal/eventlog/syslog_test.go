package eventlog

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSplitSyslog(t *testing.T) {
	long := strings.Repeat("x", maxSyslog)
	for text, want := range map[string][]string{
		"short":                  {"short"},
		"a\nb":                   {`[1\2] a`, "[2/2] b"},
		long:                     {long},
		long + "tail":            {"[1/2] " + long, "[2/2] tail"},
		long + long + "\nsecond": {"[1/3] " + long, `[2\3] ` + long, "[3/3] second"},
	} {
		if d := cmp.Diff(want, splitSyslog(text)); d != "" {
			t.Errorf("%.20q: %s", text, d)
		}
	}
	for name, want := range map[string]int{"": 2, "mail": 2, "LOG_LOCAL3": 19, "local3": 19, "nonsense": -1} {
		if n, err := Facility(name); (err == nil) != (want >= 0) || err == nil && n != want {
			t.Errorf("%s: %d %v", name, n, err)
		}
	}
}

func FuzzPrintable(f *testing.F) {
	f.Add("a\nb\x00\xff", true)
	f.Fuzz(func(t *testing.T, s string, topBit bool) {
		if got := Printable(s, topBit); strings.ContainsAny(got, "\r\n\x00\x1b") {
			t.Errorf("%q: %q", s, got)
		}
		if got := string(appendPrintable(nil, s, topBit, true)); strings.ContainsAny(got, "\r\x00") {
			t.Errorf("%q: %q", s, got)
		}
	})
}
