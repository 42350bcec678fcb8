package list

import (
	"context"
	"net/netip"
	"testing"

	"exigo/internal/expand"
)

// BenchmarkList matches against lists of each kind whose last item is of the kind named and matches, behind four others that do not.
func BenchmarkList(b *testing.B) {
	e := testEngine(b, nil, nil)
	ip := netip.MustParseAddr("10.0.0.1")
	host := func(s *expand.Scope, list string) (Match, error) { return Host(s, list, "good.host.example", ip) }
	domain := func(subject string) func(*expand.Scope, string) (Match, error) {
		return func(s *expand.Scope, list string) (Match, error) { return Domain(s, list, subject) }
	}
	address := func(subject string) func(*expand.Scope, string) (Match, error) {
		return func(s *expand.Scope, list string) (Match, error) { return Address(s, list, subject) }
	}
	localPart := func(subject string) func(*expand.Scope, string) (Match, error) {
		return func(s *expand.Scope, list string) (Match, error) { return LocalPart(s, list, subject, false) }
	}
	const names, addresses, networks, users = "w.x : *.x.y : !z : y.z : ", "q@w.x : *@x.y : !*@z : y@*.z : ", "192.168.0.1 : 172.16.0.0/12 : !10.9.0.0/16 : 10.1.1.1 : ", "root : a* : !b : *-c : "
	for _, row := range []struct {
		name, list string
		match      func(*expand.Scope, string) (Match, error)
	}{
		{"domain/plain", names + "one.example", domain("one.example")},
		{"domain/wildcard", names + "*.example", domain("one.example")},
		{"domain/regex", names + `^one\\.ex`, domain("one.example")},
		{"domain/lookup", names + "lsearch;/tmp/lt/ls", domain("a.b")},
		{"domain/partial", names + "partial-lsearch;/tmp/lt/ls", domain("x.y.c.d")},
		{"domain/named", names + "+d2", domain("two.d2")},
		{"domain/primary", names + "@", domain("prim.host")},
		{"domain/mx", names + "@mx_any", domain("mx1.example")},
		{"domain/expanded", names + "${lc:ONE.Example}", domain("one.example")},
		{"address/plain", addresses + "joe@one.example", address("joe@one.example")},
		{"address/domain", addresses + "*@one.example", address("joe@one.example")},
		{"address/suffix", addresses + "*@*.example", address("joe@one.example")},
		{"address/regex", addresses + "^joe@", address("joe@one.example")},
		{"address/lookup", addresses + "lsearch;/tmp/lt/ls", address("x@y.z")},
		{"address/locals", addresses + "@@lsearch;/tmp/lt/ls", address("l1@y.z")},
		{"address/named", addresses + "+al", address("foo@bar")},
		{"local_part/plain", users + "joe", localPart("joe")},
		{"local_part/suffix", users + "*oe", localPart("joe")},
		{"local_part/regex", users + "^joe", localPart("joe")},
		{"local_part/lookup", users + "lsearch;/tmp/lt/ls", localPart("a.b")},
		{"local_part/named", users + "+ll", localPart("lp1")},
		{"host/address", networks + "10.0.0.1", host},
		{"host/network", networks + "10.0.0.0/24", host},
		{"host/name", networks + "good.host.example", host},
		{"host/wildcard", networks + "*.host.example", host},
		{"host/regex", networks + `^good\\.`, host},
		{"host/lookup", networks + "net-lsearch;/tmp/lt/ls", host},
		{"host/network lookup", networks + "net24-lsearch;/tmp/lt/ls", host},
		{"host/iplsearch", networks + "net-iplsearch;/tmp/lt/ls", host},
		{"host/named", networks + "+hl", host},
		{"host/own", "192.168.0.1 : 172.16.0.0/12 : !10.9.0.0/16 : @[] : *", host},
	} {
		b.Run(row.name, func(b *testing.B) {
			b.ReportAllocs()
			s := e.NewScope(context.Background(), settings{}, nil, nil)
			for b.Loop() {
				if m, err := row.match(s, row.list); err != nil || !m.Matched {
					b.Fatal(m, err)
				}
			}
		})
	}
}
