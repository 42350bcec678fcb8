package list

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"exigo/internal/expand"
)

// FuzzMatch matches anything against any list, in each of the kinds.
func FuzzMatch(f *testing.F) {
	for _, list := range []string{"a.b : !c : *.d", "+d1 : ^re.*", "<; 10.0.0.0/8 ; ::1", "lsearch;/tmp/lt/ls", "partial2(.)lsearch*@;/tmp/lt/ls", "net24-lsearch;/tmp/lt/ls",
		"@@lsearch;/tmp/lt/ls", "*@+d1 : @[] : @", "/tmp/lt/file : +self", "+include_unknown : +ignore_unknown : again.example", "@mx_any/ignore=10.0.0.0/8", "+caseful : ${if eq{a}{b}}"} {
		f.Add(list, "Joe@x.wild.d1")
		f.Add(list, "10.0.0.1")
	}
	e := testEngine(f, nil, nil)
	f.Fuzz(func(t *testing.T, list, subject string) {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		s := e.NewScope(ctx, settings{}, nil, nil)
		for _, word := range []string{"run", "readfile", "readsocket", "exists", "perl"} {
			s.Extra["forbid_"+word] = expand.Value{S: "1"}
		}
		_, _ = Domain(s, list, subject)
		_, _ = Address(s, list, subject)
		_, _ = LocalPart(s, list, subject, false)
		_, _ = String(s, list, subject)
		address, _ := netip.ParseAddr(subject)
		_, _ = Host(s, list, "host.example", address)
	})
}
