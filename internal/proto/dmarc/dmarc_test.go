package dmarc

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// zone is a DNS of TXT records: "name text" a line; the text "!" is a temporary failure. Names that are in it exist.
type zone struct {
	records map[string][]string
	asked   []string
}

func newZone(text string) *zone {
	z := &zone{records: make(map[string][]string)}
	for _, l := range strings.Split(text, "\n") {
		if name, value, ok := strings.Cut(strings.TrimSpace(l), " "); ok {
			z.records[name] = append(z.records[name], value)
		}
	}
	return z
}

func (z *zone) resolver() Resolver {
	return Resolver{
		TXT: func(_ context.Context, name string) ([]string, error) {
			z.asked = append(z.asked, name)
			list := z.records[name]
			switch {
			case len(list) == 0:
				return nil, ErrNoRecord
			case list[0] == "!":
				return nil, errors.New("SERVFAIL")
			}
			return list, nil
		},
		Exists: func(_ context.Context, name string) (bool, error) {
			z.asked = append(z.asked, "? "+name)
			if name == "broken.example.com" {
				return false, errors.New("SERVFAIL")
			}
			return z.records[name] != nil, nil
		},
	}
}

func TestParse(t *testing.T) {
	base := Record{Policy: Monitor, Percent: 100, FailureOptions: "0", Interval: 86400, Suffix: 'u'}
	with := func(change func(*Record)) *Record {
		r := base
		change(&r)
		return &r
	}
	for text, want := range map[string]*Record{
		"v=DMARC1; p=none":                      &base,
		" v = DMARC1 ;p = none ;":               &base,
		"v=DMARC1;p=NONE;unknown=x;;=y;rubbish": &base,
		"v=DMARC1; p=reject; sp=quarantine; np=none; adkim=s; aspf=S; t=y; psd=n; fo=1:d:x:s:1": with(func(r *Record) {
			r.Policy, r.Subdomain, r.NonExistent, r.StrictDKIM, r.StrictSPF, r.Testing, r.Suffix, r.FailureOptions = Reject, Quarantine, Monitor, true, true, true, 'n', "1ds"
		}),
		"v=DMARC1; p=none; pct=0; ri=3600; rf=afrf:iodef":               with(func(r *Record) { r.Percent, r.Interval, r.Formats = 0, 3600, []string{"afrf", "iodef"} }),
		"v=DMARC1; p=none; pct=101; ri=x; adkim=q; psd=maybe; t=n; fo=": &base,
		"v=DMARC1; p=none; p=reject":                                    &base,
		"v=DMARC1; p=none; rua=mailto:a@b.example!10m, mailto:c@d.example ,bad,mailto:e@f!1x,https://x.example/y!2K; ruf=mailto:f@b.example": with(func(r *Record) {
			r.Aggregate = []URI{{"mailto:a@b.example", 10 << 20}, {"mailto:c@d.example", 0}, {"https://x.example/y", 2048}}
			r.Failure = []URI{{"mailto:f@b.example", 0}}
		}),
		// RFC 9989 section 4.10.1: without a valid policy, rua= makes it p=none
		"v=DMARC1; rua=mailto:a@b.example":                   with(func(r *Record) { r.Aggregate = []URI{{"mailto:a@b.example", 0}} }),
		"v=DMARC1; p=reject; sp=bad; rua=mailto:a@b.example": with(func(r *Record) { r.Aggregate = []URI{{"mailto:a@b.example", 0}} }),
		"v=DMARC1; p=bad":                                    nil,
		"v=DMARC1":                                           nil,
		"v=DMARC1;":                                          nil,
		"v=DMARC1 p=none":                                    nil,
		"v=DMARC12; p=none":                                  nil,
		"v=dmarc1; p=none":                                   nil,
		"V=DMARC1; p=none":                                   nil,
		"p=none; v=DMARC1":                                   nil,
		"v=spf1 -all":                                        nil,
		"":                                                   nil,
		"v=DMARC1; p=none" + strings.Repeat(" ", maxRecord): nil,
	} {
		got, err := Parse(text)
		if want == nil {
			if err == nil {
				t.Errorf("%.60q: %+v", text, got)
			}
			continue
		}
		expect := *want
		expect.Text = text
		if err != nil || !reflect.DeepEqual(got, &expect) {
			t.Errorf("%q:\n got %+v %v\nwant %+v", text, got, err, &expect)
		}
	}
	if r, err := Parse("v=DMARC1; psd=y; sp=none"); err != ErrPolicy || r.Suffix != 'y' {
		t.Errorf("without policy: %+v %v", r, err)
	}
}

func TestAuthors(t *testing.T) {
	for from, want := range map[string]string{
		"a@Example.COM": "example.com", `"b@c" <a@example.com>`: "example.com", "Joe (x@y) <a@example.com> (z@w)": "example.com", "a@example.com, b@example.com": "example.com",
		"a@x.example,\n b@y.example": "x.example y.example", "G: a@x.example;": "x.example", "a@bücher.example": "xn--bcher-kva.example", "a@example.com.": "example.com",
		"=?utf-8?q?x=40evil.example?= <a@example.com>": "example.com", "": "!no address in the From: header field", "undisclosed:;": "!no address in the From: header field",
		"a": "!an address in the From: header field has no domain", "<>": "!an address in the From: header field has no domain", "a@[192.0.2.1]": "!an address in the From: header field has no valid domain",
		"a@b..c": "!an address in the From: header field has no domain", "a@x.example <b@y.example>": "!an address in the From: header field has no domain", "a@b c@d": "!an address in the From: header field has no domain",
		"a@1,a@2,a@3,a@4,a@5,a@6,a@7,a@8,a@9,a@10,a@11": "!too many domains in the From: header field",
	} {
		domains, problem := Authors([]string{" " + from + "\n"})
		got := strings.Join(domains, " ")
		if problem != "" {
			got = "!" + problem
		}
		if got != want {
			t.Errorf("%q: %s, want %s", from, got, want)
		}
	}
	if _, p := Authors(nil); p != "no From: header field" {
		t.Error(p)
	}
	if _, p := Authors([]string{"a@b", "c@d"}); p != "several From: header fields" {
		t.Error(p)
	}
}

const records = `
_dmarc.example.com v=DMARC1; p=reject; sp=quarantine; np=reject; rua=mailto:r@example.com
_dmarc.none.example v=DMARC1; p=none
_dmarc.strict.example v=DMARC1; p=quarantine; adkim=s; aspf=s
_dmarc.test.example v=DMARC1; p=reject; t=y
_dmarc.half.example v=DMARC1; p=reject; pct=50
_dmarc.two.example v=DMARC1; p=reject
_dmarc.two.example v=DMARC1; p=none
_dmarc.other.example v=spf1 -all
_dmarc.other.example v=DMARC1; p=quarantine
_dmarc.temp.example !
_dmarc.bad.example v=DMARC1; p=nonsense
_dmarc.rua.example v=DMARC1; p=nonsense; rua=mailto:r@rua.example
_dmarc.own.example.com v=DMARC1; p=none
_dmarc.gov.example v=DMARC1; p=reject; sp=quarantine; np=reject; psd=y
_dmarc.sub.dept.gov.example v=DMARC1; p=none
_dmarc.bank v=DMARC1; p=reject; psd=y
_dmarc.mail.corp.example v=DMARC1; p=quarantine; psd=n
_dmarc.corp.example v=DMARC1; p=reject
www.example.com x
dept.gov.example x
`

// TestEvaluate: F is the From: domain, S and D are passing or failing identifiers.
func TestEvaluate(t *testing.T) {
	for _, x := range []struct {
		from, spf, dkim string // "domain result"
		want, byWalk    string // "" as want
	}{
		{"a@example.com", "example.com pass", "", "pass example.com p=reject d=reject spf", ""},
		{"a@example.com", "bounce.example.com pass", "", "pass example.com p=reject d=reject spf", ""},
		{"a@example.com", "example.com fail", "mail.example.com pass", "pass example.com p=reject d=reject dkim", ""},
		{"a@example.com", "example.com softfail", "example.com fail", "fail example.com p=reject d=reject", ""},
		{"a@example.com", "example.org pass", "notexample.com pass", "fail example.com p=reject d=reject", ""},
		{"a@example.com", "example.com temperror", "", "temperror example.com p=reject d=reject", ""},
		{"a@example.com", "example.org temperror", "", "fail example.com p=reject d=reject", ""},
		{"a@example.com", "example.org pass", "example.com temperror", "temperror example.com p=reject d=reject", ""},
		{"a@example.com", "example.com temperror", "example.com pass", "pass example.com p=reject d=reject dkim", ""},
		{"a@EXAMPLE.com", "EXAMPLE.com. pass", "", "pass example.com p=reject d=reject spf", ""},
		{"a@www.example.com", "", "", "fail example.com p=quarantine d=quarantine", ""},
		{"a@nx.example.com", "", "", "fail example.com p=reject d=reject", ""},
		{"a@broken.example.com", "", "", "temperror example.com p=quarantine d=quarantine", ""},
		{"a@broken.example.com", "example.com pass", "", "pass example.com p=quarantine d=quarantine spf", ""},
		{"a@own.example.com", "example.com pass", "", "pass own.example.com p=none d=none spf", ""},
		{"a@none.example", "", "", "fail none.example p=none d=none", ""},
		{"a@strict.example", "x.strict.example pass", "strict.example pass", "pass strict.example p=quarantine d=quarantine dkim", ""},
		{"a@strict.example", "strict.example pass", "x.strict.example pass", "pass strict.example p=quarantine d=quarantine spf", ""},
		{"a@strict.example", "x.strict.example pass", "x.strict.example pass", "fail strict.example p=quarantine d=quarantine", ""},
		{"a@test.example", "", "", "fail test.example p=reject d=quarantine", ""},
		{"a@half.example", "", "", "fail half.example p=reject d=quarantine", "fail half.example p=reject d=reject"},
		{"a@two.example", "", "", "none", ""},
		{"a@other.example", "", "", "fail other.example p=quarantine d=quarantine", ""},
		{"a@temp.example", "temp.example pass", "", "temperror", ""},
		{"a@bad.example", "", "", "none", ""},
		{"a@rua.example", "", "", "fail rua.example p=none d=none", ""},
		{"a@missing.example", "missing.example pass", "", "none", ""},
		{"a@example", "", "", "none", ""},
		// the public suffix list of the test has com, example and gov.example
		{"a@dept.gov.example", "x.dept.gov.example pass", "", "none", "pass gov.example p=quarantine d=quarantine spf"},
		{"a@nx.gov.example", "gov.example pass", "", "none", "fail gov.example p=reject d=reject"},
		{"a@sub.dept.gov.example", "dept.gov.example pass", "", "pass sub.dept.gov.example p=none d=none spf", ""},
		{"a@x.bank", "y.bank pass", "x.bank pass", "none", "pass bank p=reject d=reject dkim"},
		{"a@x.bank", "y.bank pass", "bank pass", "none", "fail bank p=reject d=reject"},
		{"a@mail.corp.example", "a.mail.corp.example pass", "", "pass mail.corp.example p=quarantine d=quarantine spf", ""},
		{"a@mail.corp.example", "corp.example pass", "", "pass mail.corp.example p=quarantine d=quarantine spf", "fail mail.corp.example p=quarantine d=quarantine"},
		{"a@a.b.c.d.e.f.g.h.i.example.com", "", "", "fail example.com p=reject d=reject", ""},
		// several authors: the strictest
		{"a@none.example, b@example.com", "none.example pass", "", "fail example.com p=reject d=reject", ""},
		{"a@none.example, b@example.com", "none.example pass", "example.com pass", "pass none.example p=none d=none spf", ""},
		{"a@missing.example, b@example.com", "", "example.com pass", "none", ""},
		{"", "", "", "permerror", ""},
	} {
		suffixes, err := ReadSuffixes(strings.NewReader("com\nexample\ngov.example\nbank\n"))
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range []*Suffixes{suffixes, nil} {
			want := x.want
			if s == nil && x.byWalk != "" {
				want = x.byWalk
			}
			z := newZone(records)
			q := Query{From: []string{x.from}, SPF: identifier(x.spf), Suffixes: s, Sample: func() int { return 50 }}
			if x.dkim != "" {
				q.DKIM = []Identifier{{"unrelated.example", "pass"}, identifier(x.dkim)}
			}
			o := Evaluate(context.Background(), z.resolver(), q)
			got := string(o.Result)
			if o.Record != nil {
				got += fmt.Sprintf(" %s p=%s d=%s", o.PolicyDomain, o.Policy, o.Disposition)
			}
			if o.SPFAligned {
				got += " spf"
			}
			if o.DKIMAligned {
				got += " dkim"
			}
			if got != want {
				t.Errorf("%s spf=%s dkim=%s walk=%v: %s (%s), want %s", x.from, x.spf, x.dkim, s == nil, got, o.Problem, want)
			}
		}
	}
}

func identifier(text string) Identifier {
	d, r, _ := strings.Cut(text, " ")
	return Identifier{d, r}
}

// TestQuestions: a walk asks at most eight times (RFC 9989 section 4.10, its own example), a hostile message a bounded number of times.
func TestQuestions(t *testing.T) {
	z := newZone("")
	Evaluate(context.Background(), z.resolver(), Query{From: []string{"x@a.b.c.d.e.f.g.h.i.j.mail.example.com"}})
	want := "_dmarc.a.b.c.d.e.f.g.h.i.j.mail.example.com _dmarc.g.h.i.j.mail.example.com _dmarc.h.i.j.mail.example.com _dmarc.i.j.mail.example.com " +
		"_dmarc.j.mail.example.com _dmarc.mail.example.com _dmarc.example.com _dmarc.com"
	if got := strings.Join(z.asked, " "); got != want {
		t.Errorf("asked %s", got)
	}
	z = newZone(records)
	q := Query{From: []string{"x@example.com"}}
	for i := range 1000 {
		q.DKIM = append(q.DKIM, Identifier{fmt.Sprintf("a%d.b.c.d.e.f.g.h.example.com", i), "pass"})
	}
	if o := Evaluate(context.Background(), z.resolver(), q); o.Result != Pass {
		t.Errorf("%+v", o)
	}
	for i := range q.DKIM { // every one of them claims to be an organization of its own
		z.records["_dmarc."+q.DKIM[i].Domain] = []string{"v=DMARC1; p=none; psd=n"}
	}
	z.asked = nil
	if o := Evaluate(context.Background(), z.resolver(), q); o.Result == Pass || len(z.asked) > maxWalks*8 {
		t.Errorf("%d questions, %+v", len(z.asked), o.Result)
	}
}

func TestDestinations(t *testing.T) {
	z := newZone(`
_dmarc.example.com v=DMARC1; p=none
example.com._report._dmarc.yes.example v=DMARC1
example.com._report._dmarc.moved.example v=DMARC1; rua=mailto:agg@moved.example; ruf=mailto:fail@moved.example
example.com._report._dmarc.evil.example v=DMARC1; rua=mailto:victim@victim.example
example.com._report._dmarc.other.example v=spf1 -all
example.com._report._dmarc.temp.example !
`)
	list := destinations("mailto:a@example.com,mailto:b@sub.example.com,mailto:c@yes.example!1m,mailto:d@moved.example,mailto:e@evil.example,mailto:f@other.example,mailto:g@temp.example," +
		"mailto:h@no.example,https://example.com/x,mailto:i%40yes.example@yes.example")
	for failure, want := range map[bool]string{
		false: "mailto:a@example.com mailto:b@sub.example.com mailto:c@yes.example mailto:agg@moved.example mailto:e@evil.example",
		true:  "mailto:a@example.com mailto:b@sub.example.com mailto:c@yes.example mailto:fail@moved.example mailto:e@evil.example",
	} {
		for _, s := range []*Suffixes{BuiltIn(), nil} {
			var got []string
			allowed, err := Destinations(context.Background(), z.resolver(), s, "example.com", list, failure)
			for _, u := range allowed {
				got = append(got, u.Text)
			}
			if strings.Join(got, " ") != want || err == nil || !strings.Contains(err.Error(), "temp.example") {
				t.Errorf("%v: %v %v", failure, got, err)
			}
		}
	}
	for text, want := range map[string]string{"mailto:a@b.example": "a@b.example", "MAILTO:a%2Cb@b.example?subject=x": "a,b@b.example!", "mailto:a%0ab@b.example": "", "mailto:@b.example": "", "mailto:a": "",
		"mailto:a%2bb@b.example": "a+b@b.example", "mailto:a@b@c.example": "", "mailto:a%4": "", "http://b.example": "", "mailto:a@[1.2.3.4]": "", `mailto:"a"@b.example`: ""} {
		want = strings.TrimSuffix(map[bool]string{true: "", false: want}[strings.HasSuffix(want, "!")], "!") // a comma has no place in an address that is not quoted
		if got := (URI{Text: text}).Mailbox(); got != want {
			t.Errorf("%s: %q", text, got)
		}
	}
}

func FuzzRecord(f *testing.F) {
	for _, s := range []string{"v=DMARC1; p=none; rua=mailto:a@b!1m; fo=1:d", "v=DMARC1;p=reject;pct=5;;=", "v = DMARC1"} {
		f.Add(s, "a@b.example, G: c@d;", "*.b\n!c.b\nb")
	}
	f.Fuzz(func(t *testing.T, record, from, list string) {
		r, err := Parse(record)
		if err == nil && (r.Policy == NoPolicy || r.Percent < 0 || r.Percent > 100 || len(r.Aggregate) > maxURIs) {
			t.Errorf("%q: %+v", record, r)
		}
		if r != nil {
			for _, u := range append(r.Aggregate, r.Failure...) {
				if m := u.Mailbox(); strings.ContainsAny(m, "\r\n <>,") {
					t.Errorf("mailbox %q", m)
				}
			}
		}
		domains, _ := Authors([]string{from})
		suffixes, err := ReadSuffixes(strings.NewReader(list))
		for _, d := range domains {
			if Domain(d) != d {
				t.Errorf("domain %q", d)
			}
			for _, s := range []*Suffixes{suffixes, BuiltIn()} {
				if s == nil || err != nil {
					continue
				}
				if o := s.Organizational(d); o != d && !strings.HasSuffix(d, "."+o) || s.Organizational(o) != o {
					t.Errorf("%s: organization %s of %q", d, o, list)
				}
			}
			z := newZone("_dmarc." + d + " " + strings.ReplaceAll(record, "\n", " "))
			Evaluate(context.Background(), z.resolver(), Query{From: []string{from}, SPF: Identifier{d, "pass"}})
		}
	})
}

func BenchmarkEvaluate(b *testing.B) {
	r := Resolver{TXT: func(_ context.Context, name string) ([]string, error) {
		if name == "_dmarc.example.com" {
			return []string{"v=DMARC1; p=reject; rua=mailto:r@example.com"}, nil
		}
		return nil, ErrNoRecord
	}}
	for name, s := range map[string]*Suffixes{"list": BuiltIn(), "walk": nil} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				o := Evaluate(context.Background(), r, Query{From: []string{" A Person <a@mail.example.com>\n"}, SPF: Identifier{"bounce.example.com", "pass"}, Suffixes: s})
				if o.Result != Pass {
					b.Fatal(o)
				}
			}
		})
	}
}
