package spf

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// rfcZone is the data of RFC 7208 appendix A, with more of our own.
func rfcZone() *zone {
	z := &zone{records: map[string]map[Type][]string{}, cnames: map[string]string{}, timeout: map[string]bool{"broken.example": true}}
	add := func(name string, kind Type, data ...string) {
		if z.records[name] == nil {
			z.records[name] = map[Type][]string{}
		}
		z.records[name][kind] = append(z.records[name][kind], data...)
	}
	add("example.com", A, "192.0.2.10", "192.0.2.11")
	add("example.com", MX, "mail-a.example.com.", "mail-b.example.com.")
	add("mail-a.example.com", A, "192.0.2.129")
	add("mail-b.example.com", A, "192.0.2.130")
	add("example.org", MX, "mail-c.example.org.")
	add("mail-c.example.org", A, "192.0.2.140")
	add("amy.example.com", A, "192.0.2.65")
	add("bob.example.com", A, "192.0.2.66")
	add("10.2.0.192.in-addr.arpa", PTR, "example.com.")
	add("65.2.0.192.in-addr.arpa", PTR, "amy.example.com.")
	add("140.2.0.192.in-addr.arpa", PTR, "mail-c.example.org.")
	add("4.0.0.10.in-addr.arpa", PTR, "bob.example.com.")
	add("explain.example", TXT, "v=spf1 -all exp=why.explain.example")
	add("why.explain.example", TXT, "%{s} from %{c} at %{t} by %{r}: see http://x.example/%{S}")
	add("odd.example", TXT, "v=spf1 exists:%{i}.x.example mx:broken.example -all")
	add("nomail.example", TXT, "v=spf1 a:nomail.example mx:nomail.example a:none.example a:nothing.example -all")
	return z
}

func TestCheck(t *testing.T) {
	z := rfcZone()
	for _, row := range []struct {
		record, ip, helo, sender string
		want                     Result
		mechanism                string
	}{
		// RFC 7208 appendix A.1
		{"v=spf1 +all", "10.0.0.1", "h.example", "x@example.com", Pass, "all"},
		{"v=spf1 a -all", "192.0.2.10", "", "x@example.com", Pass, "a"},
		{"v=spf1 a -all", "192.0.2.12", "", "x@example.com", Fail, "all"},
		{"v=spf1 a:example.org -all", "192.0.2.10", "", "x@example.com", Fail, "all"},
		{"v=spf1 mx -all", "192.0.2.129", "", "x@example.com", Pass, "mx"},
		{"v=spf1 mx:example.org -all", "192.0.2.140", "", "x@example.com", Pass, "mx:example.org"},
		{"v=spf1 mx mx:example.org -all", "192.0.2.140", "", "x@example.com", Pass, "mx:example.org"},
		{"v=spf1 mx/30 mx:example.org/30 -all", "192.0.2.131", "", "x@example.com", Pass, "mx/30"},
		{"v=spf1 mx/30 mx:example.org/30 -all", "192.0.2.143", "", "x@example.com", Pass, "mx:example.org/30"},
		{"v=spf1 ptr -all", "192.0.2.10", "", "x@example.com", Pass, "ptr"},
		{"v=spf1 ptr -all", "192.0.2.65", "", "x@example.com", Pass, "ptr"},
		{"v=spf1 ptr -all", "192.0.2.140", "", "x@example.com", Fail, "all"},
		{"v=spf1 ptr -all", "10.0.0.4", "", "x@example.com", Fail, "all"},
		{"v=spf1 ip4:192.0.2.128/28 -all", "192.0.2.129", "", "x@example.com", Pass, "ip4:192.0.2.128/28"},
		// identity, results, best guess
		{DefaultGuess, "192.0.2.99", "", "x@example.com", Pass, "a/24"},
		{DefaultGuess, "198.51.100.1", "", "x@example.com", Neutral, "all"},
		{"v=spf1 exists:%{l}.%{h} -all", "10.0.0.1", "amy.example.com", "", Fail, "all"},
		{"v=spf1 ip6:2001:db8::/32 ~all", "2001:db8::5", "", "x@example.com", Pass, "ip6:2001:db8::/32"},
		{"v=spf1 ip4:192.0.2.0/24 ~all", "::ffff:192.0.2.5", "", "x@example.com", Pass, "ip4:192.0.2.0/24"},
		{"v=spf1 ip4:192.0.2.0/24", "10.0.0.1", "", "x@example.com", Neutral, "default"},
		{"v=spf1 a:broken.example -all", "10.0.0.1", "", "x@example.com", TempError, "a:broken.example"},
		{"v=spf1 include:odd.example -all", "10.0.0.1", "", "x@example.com", TempError, "include:odd.example"},
		{"v=spf1 redirect=explain.example", "10.0.0.1", "", "x@example.com", Fail, "all"},
		{"v=spf1 include:nomail.example", "10.0.0.1", "", "x@example.com", PermError, "include:nomail.example"},
		{"", "10.0.0.1", "", "x@nosuch.example", None, ""},
		{"", "10.0.0.1", "", "x@localhost", None, ""},
		{"", "10.0.0.1", "[10.0.0.1]", "", None, ""},
		{"v=spf1 %", "10.0.0.1", "", "x@example.com", PermError, ""},
		{"v=spf1 a/33", "10.0.0.1", "", "x@example.com", PermError, ""},
		{"v=spf1 a//129", "10.0.0.1", "", "x@example.com", PermError, ""},
		{"v=spf1 a:x.example///3", "10.0.0.1", "", "x@example.com", PermError, ""},
		{"v=spf1 ip4:1.2.3.4/", "10.0.0.1", "", "x@example.com", PermError, ""},
		{"v=spf1 a:%{d0}", "10.0.0.1", "", "x@example.com", PermError, ""},
		{"v=spf1 a:%{d99999999999999999999}", "192.0.2.11", "", "x@example.com", Pass, "a:%{d99999999999999999999}"},
		{"v=spf1 all all=x +", "10.0.0.1", "", "x@example.com", PermError, ""},
		{"spf2.0/pra all", "10.0.0.1", "", "x@example.com", PermError, ""},
	} {
		got := Check(context.Background(), z.lookup, Query{IP: netip.MustParseAddr(row.ip), HELO: row.helo, Sender: row.sender, Record: row.record})
		if row.sender == "" && row.record != "" && got.Sender != "postmaster@"+row.helo {
			t.Errorf("%q: sender %q", row.record, got.Sender)
		}
		if got.Result != row.want || got.Mechanism != row.mechanism {
			t.Errorf("%q for %s %s: %s by %q (%s), want %s by %q", row.record, row.ip, row.sender, got.Result, got.Mechanism, got.Problem, row.want, row.mechanism)
		}
	}
	if got := Check(context.Background(), z.lookup, Query{Sender: "x@example.com"}); got.Result != None {
		t.Errorf("no address: %+v", got)
	}
}

func TestExplanation(t *testing.T) {
	z := rfcZone()
	q := Query{IP: netip.MustParseAddr("2001:DB8::1"), HELO: "h.example", Sender: "a b\x01@explain.example", Now: time.Unix(1e9, 0)}
	want := "a b?@explain.example from 2001:db8::1 at 1000000000 by unknown: see http://x.example/a%20b%01%40explain.example"
	if got := Check(context.Background(), z.lookup, q); got.Result != Fail || got.Explanation != want {
		t.Errorf("%+v", got)
	}
	text, ok := Expand(context.Background(), z.lookup, q, "http://x.example/?%{o}%_%{D}")
	if !ok || text != "http://x.example/?explain.example explain.example" {
		t.Errorf("%q %v", text, ok)
	}
	if text, ok := Expand(context.Background(), z.lookup, q, "%{"); ok {
		t.Errorf("%q", text)
	}
}

// TestExpansion has the examples of RFC 7208 section 7.4.
func TestExpansion(t *testing.T) {
	z := rfcZone()
	for _, row := range []struct{ text, ip, want string }{
		{"%{s}", "192.0.2.3", "strong-bad@email.example.com"},
		{"%{o}", "192.0.2.3", "email.example.com"},
		{"%{d}", "192.0.2.3", "email.example.com"},
		{"%{d4}", "192.0.2.3", "email.example.com"},
		{"%{d3}", "192.0.2.3", "email.example.com"},
		{"%{d2}", "192.0.2.3", "example.com"},
		{"%{d1}", "192.0.2.3", "com"},
		{"%{dr}", "192.0.2.3", "com.example.email"},
		{"%{d2r}", "192.0.2.3", "example.email"},
		{"%{l}", "192.0.2.3", "strong-bad"},
		{"%{l-}", "192.0.2.3", "strong.bad"},
		{"%{lr}", "192.0.2.3", "strong-bad"},
		{"%{lr-}", "192.0.2.3", "bad.strong"},
		{"%{l1r-}", "192.0.2.3", "strong"},
		{"%{ir}.%{v}._spf.%{d2}", "192.0.2.3", "3.2.0.192.in-addr._spf.example.com"},
		{"%{lr-}.lp._spf.%{d2}", "192.0.2.3", "bad.strong.lp._spf.example.com"},
		{"%{lr-}.lp.%{ir}.%{v}._spf.%{d2}", "192.0.2.3", "bad.strong.lp.3.2.0.192.in-addr._spf.example.com"},
		{"%{ir}.%{v}.%{l1r-}.lp._spf.%{d2}", "192.0.2.3", "3.2.0.192.in-addr.strong.lp._spf.example.com"},
		{"%{d2}.trusted-domains.example.net", "192.0.2.3", "example.com.trusted-domains.example.net"},
		{"%{ir}.%{v}._spf.%{d2}", "2001:db8::cb01", "1.0.B.C.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.B.D.0.1.0.0.2.ip6._spf.example.com"},
		{"%{p}", "192.0.2.65", "amy.example.com"},
		{"%{p}", "10.0.0.4", "unknown"},
		{"%{h}%%%-%_", "10.0.0.4", "h.example%%20 "},
	} {
		q := Query{IP: netip.MustParseAddr(row.ip), HELO: "h.example", Sender: "strong-bad@email.example.com"}
		if got, ok := Expand(context.Background(), z.lookup, q, row.text); !ok || got != row.want {
			t.Errorf("%s for %s: %q, want %q", row.text, row.ip, got, row.want)
		}
	}
}

// TestBounds: whatever a domain publishes, the number of questions is bounded, and the end of the context is obeyed.
func TestBounds(t *testing.T) {
	z := rfcZone()
	z.records["loop.example"] = map[Type][]string{TXT: {"v=spf1 " + strings.Repeat("include:loop.example ", 100)}}
	wide := make([]string, 500)
	for i := range wide {
		wide[i] = "mail-a.example.com"
	}
	z.records["wide.example"] = map[Type][]string{TXT: {"v=spf1 mx ptr ?exists:%{p}.x.example -all"}, MX: wide}
	z.records["1.1.0.10.in-addr.arpa"] = map[Type][]string{PTR: wide}
	for _, row := range []struct {
		domain string
		want   Result
		most   int
	}{{"loop.example", PermError, 11}, {"wide.example", PermError, 2}} {
		z.asked = 0
		got := Check(context.Background(), z.lookup, Query{IP: netip.MustParseAddr("10.0.1.1"), Sender: "x@" + row.domain})
		if got.Result != row.want || z.asked > row.most {
			t.Errorf("%s: %+v after %d questions", row.domain, got, z.asked)
		}
	}
	z.asked = 0
	Expand(context.Background(), z.lookup, Query{IP: netip.MustParseAddr("10.0.1.1")}, strings.Repeat("%{p}", 50))
	if z.asked > 11 {
		t.Errorf("%d questions for %%{p}", z.asked)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	ended := func(ctx context.Context, _ string, _ Type) ([]string, error) { return nil, ctx.Err() }
	if got := Check(ctx, ended, Query{IP: netip.MustParseAddr("10.0.1.1"), Sender: "x@y.example"}); got.Result != TempError {
		t.Errorf("%+v", got)
	}
}

func FuzzCheck(f *testing.F) {
	f.Add("v=spf1 a:%{d2r-}/24//64 mx ptr:x.example exists:%{ir}.y.example -all exp=why.explain.example", "a@b.example", "h.example")
	f.Add("v=spf1 redirect=%{h}", "x@explain.example", "odd.example")
	z := rfcZone()
	f.Fuzz(func(t *testing.T, record, sender, helo string) {
		known := map[Result]bool{None: true, Neutral: true, Pass: true, Fail: true, SoftFail: true, TempError: true, PermError: true}
		names := func(ctx context.Context, name string, kind Type) ([]string, error) {
			if name == "" || len(name) > maxName {
				return nil, errors.New("a name that cannot be asked for: " + name)
			}
			return z.lookup(ctx, name, kind)
		}
		q := Query{IP: netip.MustParseAddr("192.0.2.10"), HELO: helo, Sender: sender, Record: record}
		got := Check(context.Background(), names, q)
		if !known[got.Result] || strings.Contains(got.Problem, "cannot be asked") || strings.ContainsAny(got.Explanation, "\r\n\x00") {
			t.Errorf("%q %q %q: %+v", record, sender, helo, got)
		}
	})
}
