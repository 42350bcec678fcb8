package dnsdb

import (
	"context"
	"strings"
	"testing"

	"exigo/internal/lookup"
	"exigo/internal/lookup/lookuptest"
	"exigo/internal/outside"
)

// zone answers from "name type" keys; names with "again" fail for now, names with "secure" are secured.
type zone map[string][]outside.Record

// Lookup implements outside.Resolver.
func (z zone) Lookup(_ context.Context, q outside.Question) (outside.Answer, error) {
	name := strings.ToLower(strings.TrimSuffix(q.Name, "."))
	a := outside.Answer{Canonical: name, Secure: q.DNSSEC && strings.Contains(name, "secure")}
	if strings.Contains(name, "again") {
		return a, outside.ErrTryAgain
	}
	for _, r := range z[name] {
		if r.Type == q.Type {
			r.TTL = 60
			a.Records = append(a.Records, r)
		}
	}
	if len(a.Records) == 0 {
		return a, outside.ErrNoData
	}
	return a, nil
}

func testZone() zone {
	text := func(items ...string) outside.Record {
		return outside.Record{Type: outside.TypeTXT, Data: strings.Join(items, ""), Strings: items}
	}
	data := func(t outside.RRType, d string) outside.Record { return outside.Record{Type: t, Data: d} }
	return zone{
		"test.ex": {text("A TXT record for test.ex."), data(outside.TypeNS, "exim.test.ex"), {Type: outside.TypeSOA, Data: "exim.test.ex",
			SOA: outside.SOA{Mailbox: "hostmaster.exim.test.ex", Serial: 1430683638, Refresh: 1200, Retry: 120, Expire: 604800, Minimum: 3000}}},
		"long.test.ex":            {text("one", "two", "three"), text("second")},
		"a.test.ex":               {data(outside.TypeA, "127.0.0.1"), data(outside.TypeAAAA, "::1")},
		"secure.test.ex":          {data(outside.TypeA, "127.0.0.2")},
		"b.test.ex":               {data(outside.TypeA, "127.0.0.3"), data(outside.TypeA, "127.0.0.4")},
		"alias.test.ex":           {data(outside.TypeCNAME, "a.test.ex")},
		"mx.test.ex":              {{Type: outside.TypeMX, Preference: 5, Data: "not.test.ex"}, {Type: outside.TypeMX, Preference: 6, Data: "a.test.ex"}},
		"_smtp._tcp.srv.test.ex":  {{Type: outside.TypeSRV, Port: 25, Data: "a.test.ex"}},
		"_smtp._tcp.no.test.ex":   {{Type: outside.TypeSRV}},
		"_25._tcp.a.test.ex":      {{Type: outside.TypeTLSA, Usage: 3, Selector: 1, Matching: 1, Data: "ABCD"}},
		"1.0.0.127.in-addr.arpa":  {data(outside.TypePTR, "a.test.ex")},
		"_client._smtp.csa1.ex":   {{Type: outside.TypeSRV, Preference: 1, Weight: 2, Data: "csa1.ex"}},
		"_client._smtp.csa2.ex":   {{Type: outside.TypeSRV, Preference: 1, Weight: 1, Port: 1, Data: "csa2.ex"}},
		"_client._smtp.up.csa.ex": {{Type: outside.TypeSRV, Preference: 1, Weight: 3, Port: 0, Data: "up"}, {Type: outside.TypeSRV, Preference: 2}},
		"1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa": {data(outside.TypePTR, "six.test.ex")},
	}
}

// Most cases are those of Exim's documentation and of its behaviour with the same records.
func TestSuite(t *testing.T) {
	world := lookuptest.World()
	world.DNS = testZone()
	var cases []lookuptest.Case
	for query, want := range map[string]string{
		"test.ex": "A TXT record for test.ex.", "txt=test.ex": "A TXT record for test.ex.", "  TXT = test.ex": "A TXT record for test.ex.",
		"txt=long.test.ex": "one\nsecond", ">X   txt=long.test.ex": "oneXsecond", ">X;  txt=long.test.ex": "onetwothreeXsecond", ">X,  txt=long.test.ex": "one two threeXsecond",
		">X,Z txt=long.test.ex": "oneZtwoZthreeXsecond", "spf=long.test.ex": "onetwothree\nsecond",
		"a=a.test.ex": "127.0.0.1", "aaaa=a.test.ex": "::1", "a+=a.test.ex": "::1\n127.0.0.1", ">; a+=a.test.ex": "::1;127.0.0.1", "cname=alias.test.ex": "a.test.ex",
		"ns=test.ex": "exim.test.ex", "zns=x.y.z.test.ex": "exim.test.ex", "mx=mx.test.ex": "5 not.test.ex\n6 a.test.ex", "mxh=mx.test.ex": "not.test.ex\na.test.ex",
		">|,:mx=<;mx.test.ex;none.test.ex": "5:not.test.ex|6:a.test.ex", "srv=_smtp._tcp.srv.test.ex": "0 0 25 a.test.ex", "srv=_smtp._tcp.no.test.ex": "0 0 0 ",
		"tlsa=_25._tcp.a.test.ex": "3 1 1 abcd", "soa=test.ex": "exim.test.ex", "soa=a.b.test.ex": "exim.test.ex",
		">:, soa=test.ex":     "exim.test.ex hostmaster.exim.test.ex 1430683638 1200 120 604800 3000",
		">:,; soa=x.test.ex":  "exim.test.ex;hostmaster.exim.test.ex;1430683638;1200;120;604800;3000",
		"ptr=127.0.0.1":       "a.test.ex",
		"ptr=::1":             "six.test.ex",
		"ptr=<;::1;127.0.0.1": "six.test.ex\na.test.ex",
		"csa=csa1.ex":         "Y csa1.ex", "csa=csa2.ex": "N csa2.ex", "csa=sub.csa2.ex": "X csa2.ex", "csa=a.b.up.csa.ex": "? up", "csa=up.csa.ex": "? up",
		"a=a.test.ex:b.test.ex": "127.0.0.1\n127.0.0.3\n127.0.0.4", "> a=<|a.test.ex|b.test.ex": "127.0.0.1 127.0.0.3 127.0.0.4", " a = a.test.ex:bad.test.ex": "127.0.0.1",
		"a=again.ex:a.test.ex": "127.0.0.1", "defer_lax,a=again.ex:a.test.ex": "127.0.0.1", "defer_never,a=again.ex:a.test.ex": "127.0.0.1",
		"retrans_1s,retry_2,a=a.test.ex": "127.0.0.1", "DEFER_LAX, dnssec_never, a=a.test.ex": "127.0.0.1",
	} {
		cases = append(cases, lookuptest.Case{Type: "dnsdb", Key: query, Data: want, Authenticated: "no"})
	}
	for query, text := range map[string]string{
		"xxx=test.ex": "unsupported DNS record type", "=x": "unsupported DNS record type", "foo_bar,a=x": "unsupported DNS record type",
		"defer_foo,a=x": "unsupported dnsdb defer behaviour", "dnssec_foo,a=x": "unsupported dnsdb dnssec behaviour", "retrans_foo,a=x": "unsupported dnsdb timeout value",
		"retry_foo,a=x": "dnsdb modifier syntax error", "retry_3 a=x": "dnsdb modifier syntax error", "a=again.ex:again.ex": "", "defer_strict,a=again.ex:a.test.ex": "",
		"dnssec_strict,a=a.test.ex": "", "zns=x.again.ex": "",
	} {
		cases = append(cases, lookuptest.Case{Type: "dnsdb", Key: query, Err: text, Defer: true})
	}
	for _, query := range []string{"", ">", "a=none.test.ex", " a = <; bad.test.ex ; bad.test.ex", "defer_never,a=again.ex", "csa=ex", "a=" + strings.Repeat("a", 300)} {
		cases = append(cases, lookuptest.Case{Type: "dnsdb", Key: query, Missing: true})
	}
	cases = append(cases, lookuptest.Case{Type: "dnsdb", Key: "dnssec_strict,a=secure.test.ex", Data: "127.0.0.2", Authenticated: "yes"},
		lookuptest.Case{Type: "dnsdb", Key: "a=secure.test.ex:a.test.ex", Data: "127.0.0.2\n127.0.0.1", Authenticated: "no"})
	lookuptest.Suite{Drivers: []*lookup.Driver{Driver()}, World: world, Cases: cases}.Run(t)
}

func FuzzQuery(f *testing.F) {
	f.Add(">X,Z defer_lax, mx=<;a;b")
	f.Add("retrans_1s,retry_2,a=[1.2.3.4]")
	world := lookuptest.World()
	world.DNS = testZone()
	f.Fuzz(func(t *testing.T, query string) {
		find(context.Background(), &lookup.Request{World: world, Key: query})
	})
}
