package list

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"

	"exigo/internal/expand"
	"exigo/internal/expand/builtin"
	"exigo/internal/lookup"
	"exigo/internal/mail"
	"exigo/internal/option"
	"exigo/internal/outside"
)

// files are what the tests' lists and lookups read.
var files = map[string]string{
	"/tmp/lt/file":  "# comment\nfile.a\n!neg.a\n*.star.a # trailing\n^re(gex)?\\.a$\n\nlsearch;/tmp/lt/ls\n",
	"/tmp/lt/afile": "loc#al@x  # c\n!no@x\n*@y\n",
}

// data is the file /tmp/lt/ls that lookups search.
var data = map[string]string{
	"a.b": "data a.b", "*.c.d": "data wild", "*": "star", "x@y.z": "addr data", "*@q.r": "starat", "empty": "", "y.z": "l1 : !l2 : *l3 : >next",
	"next": "chained : ^re.*", "loop": ">loop", "10.0.0.1": "hostdata", "10.0.0.0/24": "netdata", "good.host.example": "by name",
	"2001.0db8.0000.0000.0000.0000.0000.0001": "six",
}

// settings is a configuration with a few named lists.
type settings struct{}

var named = map[string]string{
	"d:d1": "one.d1 : *.wild.d1", "d:d2": "+d1 : two.d2", "d:neg": "!not.this", "d:refneg": "+neg : zzz", "d:exp": "${lc:EXP.D}", "d:rec": "+rec2",
	"d:rec2": "lsearch;/tmp/lt/ls", "a:al": "foo@bar : *@+d1", "l:ll": "lp1 : lp2*", "h:hl": "10.0.0.0/8 : 192.168.1.1", "d:frc": "${if eq{1}{2}{x}fail}",
	"d:bad": "${nosuch:x}", "d:count": "lsearch;/tmp/lt/ls", "d:self": "+self", "h:names": "*.zz : 1.2.3.4", "d:dollar": "$domain",
}

func (settings) NamedList(kind byte, name string) (string, bool) {
	text, ok := named[string(kind)+":"+name]
	return text, ok
}
func (settings) MainOptions() option.Bag { return option.Bag{} }
func (settings) LanguageSettings() *expand.Settings {
	return &expand.Settings{PrimaryHostname: "prim.host", HostsTreatAsLocal: "treated.example", DNSAgainMeansNonexist: "known.again"}
}

// zone is the DNS of the tests: "name type" to data; "!" is a temporary failure.
var zone = map[string]string{
	"1.0.0.10.in-addr.arpa 12": "good.host.example,other.name.example", "good.host.example 1": "10.0.0.1", "other.name.example 1": "10.9.9.9",
	"9.0.0.10.in-addr.arpa 12": "liar.example", "liar.example 1": "10.1.1.1", "8.0.0.10.in-addr.arpa 12": "!", "again.example 1": "!", "known.again 1": "!",
	"mx1.example 15": "10 local.example,20 far.example", "mx2.example 15": "10 far.example,20 local.example", "mx3.example 15": "10 far.example",
	"mx4.example 15": "5 treated.example,10 far.example", "again.mx 15": "!", "local.example 1": "192.0.2.1", "far.example 1": "198.51.100.1",
}

type resolver struct{}

func (resolver) Lookup(_ context.Context, q outside.Question) (a outside.Answer, err error) {
	text, ok := zone[fmt.Sprintf("%s %d", q.Name, q.Type)]
	switch {
	case text == "!":
		return a, outside.ErrTryAgain
	case !ok:
		return a, outside.ErrNoHost
	}
	for _, item := range strings.Split(text, ",") {
		r := outside.Record{Name: q.Name, Type: q.Type, Data: item}
		if q.Type == outside.TypeMX {
			fmt.Sscanf(item, "%d %s", &r.Preference, &r.Data)
		}
		a.Records = append(a.Records, r)
	}
	return a, nil
}

// searches counts how often the driver was asked.
func testEngine(t testing.TB, searches *int, log *[]string) *expand.Engine {
	t.Helper()
	find := func(_ context.Context, r *lookup.Request) (lookup.Result, bool, error) {
		if searches != nil {
			*searches++
		}
		text, ok := data[strings.ToLower(r.Key)]
		return lookup.Result{Data: text}, ok, nil
	}
	ipl := func(ctx context.Context, r *lookup.Request) (lookup.Result, bool, error) {
		return lookup.Result{Data: "netdata"}, strings.HasPrefix(r.Key, "10.0.0."), nil
	}
	passwd := func(ctx context.Context, r *lookup.Request) (lookup.Result, bool, error) {
		return lookup.Result{Data: "*:0:0:root:/root:/bin/bash"}, r.Key == "root", nil
	}
	sick := func(context.Context, *lookup.Request) (lookup.Result, bool, error) {
		return lookup.Result{}, false, fmt.Errorf("no servers: %w", lookup.ErrDefer)
	}
	words := builtin.Words()
	words.LazyConditions = append(words.LazyConditions, Words().LazyConditions...)
	words.Lookups = []*lookup.Driver{
		{Name: "lsearch", Kind: lookup.SingleKey, Find: find}, {Name: "iplsearch", Kind: lookup.SingleKey, Find: ipl},
		{Name: "passwd", Kind: lookup.Query, Find: passwd}, {Name: "sick", Kind: lookup.Query, Find: sick},
	}
	keep := func(_, line string) {
		if log != nil {
			*log = append(*log, line)
		}
	}
	world := &outside.World{DNS: resolver{}, Interfaces: func() ([]netip.Addr, error) {
		return []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::1"), netip.MustParseAddr("192.0.2.1")}, nil
	}}
	e, err := expand.New(world, words, expand.Hooks{
		Panic: keep, Log: keep, LogSelected: func(selector, _, line string) { keep("", selector+": "+line) },
		ReadFile: func(_ context.Context, path string) ([]byte, error) {
			if text, ok := files[path]; ok {
				return []byte(text), nil
			}
			return nil, os.ErrNotExist
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// TestOracle compares with answers of exim 4.96 to the same lists.
func TestOracle(t *testing.T) {
	f, err := os.Open("testdata/oracle.tsv")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	e := testEngine(t, nil, nil)
	for lines := bufio.NewScanner(f); lines.Scan(); {
		in, out, _ := strings.Cut(lines.Text(), "\t")
		var text, want string
		if json.Unmarshal([]byte(in), &text) != nil || json.Unmarshal([]byte(out), &want) != nil {
			t.Fatal(lines.Text())
		}
		v, err := e.Expand(e.NewScope(context.Background(), settings{}, nil, nil), text)
		got := v.S
		if err != nil {
			got = "Failed: " + err.Error()
		}
		if got != want {
			t.Errorf("%s\n  we:   %q\n  exim: %q", text, got, want)
		}
	}
}

func TestHost(t *testing.T) {
	for _, test := range []struct{ address, name, list, want string }{ // want: y, n, defer or the data
		{"10.0.0.1", "", "10.0.0.1", "y"}, {"10.0.0.1", "", "!10.0.0.1", "n"}, {"10.0.0.2", "", "!10.0.0.1", "y"},
		{"10.0.0.1", "", "10.0.0.0/8", "y"}, {"11.0.0.1", "", "10.0.0.0/8", "n"}, {"::ffff:10.0.0.1", "", "10.0.0.0/8", "y"},
		{"2001:db8::1", "", "<; 2001:db8::/32", "y"}, {"2001:db8::1", "", "2001::db8::::1", "y"},
		{"", "", "", "n"}, {"", "", ":", "y"}, {"", "", "*", "y"}, {"", "", "10.0.0.1", "n"}, {"10.0.0.1", "", ":", "n"}, {"10.0.0.1", "", "*", "y"},
		{"192.0.2.1", "", "@[]", "y"}, {"10.0.0.1", "", "@[]", "n"},
		{"10.0.0.1", "", "*.host.example", "*.host.example"}, {"10.0.0.1", "", "^good", "^good"}, {"10.0.0.1", "", "other.name.example", "n"},
		{"10.0.0.1", "", "good.host.example", "y"}, {"10.0.0.2", "", "good.host.example", "n"}, {"10.0.0.1", "", "lsearch;/tmp/lt/ls", "by name"},
		{"10.0.0.1", "given.example", "given.*:*.example", "*.example"},
		{"10.0.0.9", "", "*.example", "n"}, {"10.0.0.9", "", "+include_unknown : *.example", "y"}, {"10.0.0.9", "", "+ignore_unknown : *.x : 10.0.0.9", "y"},
		{"10.0.0.9", "", "!*.example", "n"}, {"10.0.0.9", "", "!+names", "y"}, {"10.0.0.9", "", "*.example : 10.0.0.9", "n"},
		{"10.0.0.8", "", "*.example", "defer"}, {"10.0.0.8", "", "+include_defer:*.example", "y"}, {"10.0.0.8", "", "+ignore_defer:*.x:10.0.0.8", "y"},
		{"10.0.0.1", "", "nosuch.example : 10.0.0.1", "n"}, {"10.0.0.1", "", "again.example", "defer"}, {"10.0.0.1", "", "known.again", "n"},
		{"10.0.0.1", "", "net-lsearch;/tmp/lt/ls", "hostdata"}, {"10.0.0.7", "", "net24-lsearch;/tmp/lt/ls", "netdata"},
		{"2001:db8::1", "", "net-lsearch;/tmp/lt/ls", "six"}, {"10.0.0.1", "", "+nosuch", "defer"}, {"10.0.0.1", "", "foo;bar", "defer"},
		{"10.0.0.1", "", "passwd;root", "*:0:0:root:/root:/bin/bash"}, {"10.0.0.1", "", "sick;x", "defer"}, {"10.0.0.1", "", "1.2.3/24", "n"},
		{"10.0.0.1", "", "+include_unknown:1.2.3/24", "y"}, {"10.0.0.1", "", "/nosuch", "defer"}, {"10.0.0.1", "", "${nosuch}", "defer"},
		{"10.0.0.1", "", "${if eq{1}{2}{x}fail}", "n"},
	} {
		e := testEngine(t, nil, nil)
		var a netip.Addr
		session := &mail.Session{}
		if test.address != "" {
			a = netip.MustParseAddr(test.address)
			session.Host = a
		}
		m, err := Host(e.NewScope(context.Background(), settings{}, session, nil), test.list, test.name, a)
		got := "n"
		switch {
		case expand.IsTemporary(err):
			got = "defer"
		case err != nil:
			got = err.Error()
		case m.Matched && m.Data.S != "":
			got = m.Data.S
		case m.Matched:
			got = "y"
		}
		if got != test.want {
			t.Errorf("[%s] %s in %q: %s, want %s", test.address, test.name, test.list, got, test.want)
		}
	}
}

func TestExchangers(t *testing.T) {
	for _, test := range []struct{ domain, list, want string }{
		{"mx1.example", "@mx_any", "@mx_any"}, {"mx1.example", "@mx_primary", "@mx_primary"}, {"mx1.example", "@mx_secondary", "n"},
		{"mx2.example", "@mx_any", "@mx_any"}, {"mx2.example", "@mx_primary", "n"}, {"mx2.example", "@mx_secondary", "@mx_secondary"},
		{"mx3.example", "@mx_any", "n"}, {"mx4.example", "@mx_primary", "@mx_primary"}, {"nomx.example", "@mx_any", "n"}, {"again.mx", "@mx_any", "defer"},
		{"mx1.example", "@mx_any/ignore=192.0.2.1", "n"}, {"mx1.example", "<+ @mx_any/ignore=<;10.0.0.1;127.0.0.0/8", "@mx_any/ignore=<;10.0.0.1;127.0.0.0/8"},
	} {
		e := testEngine(t, nil, nil)
		m, err := Domain(e.NewScope(context.Background(), settings{}, nil, nil), test.list, test.domain)
		got := "n"
		if expand.IsTemporary(err) {
			got = "defer"
		} else if m.Matched {
			got = m.Data.S
		}
		if got != test.want {
			t.Errorf("%s in %q: %s, want %s (%v)", test.domain, test.list, got, test.want, err)
		}
	}
}

func TestLogs(t *testing.T) {
	session := &mail.Session{Host: netip.MustParseAddr("10.0.0.9"), HELO: "foo.bar"}
	for list, want := range map[string]string{
		"*.foo":                  "host_lookup_failed: no host name found for IP address 10.0.0.9|unknown_in_list: list matching forced to fail: failed to find host name for 10.0.0.9",
		"+include_unknown:*.foo": "host_lookup_failed: no host name found for IP address 10.0.0.9|unknown_in_list: failed to find host name for 10.0.0.9: accepted by +include_unknown",
		"nosuch.invalid":         "no IP address found for host nosuch.invalid (during SMTP connection from (foo.bar) [10.0.0.9])|unknown_in_list: list matching forced to fail: failed to find IP address for nosuch.invalid",
		"+nosuch":                `unknown named host list "+nosuch"`,
		"foo;bar":                `unknown lookup type "foo" in host list item "foo;bar"`,
		"${nosuch}":              `failed to expand "${nosuch}" while checking a list: unknown variable in "${nosuch}"`,
	} {
		var log []string
		e := testEngine(t, nil, &log)
		c := *session
		Host(e.NewScope(context.Background(), settings{}, &c, nil), list, "", c.Host)
		if got := strings.Join(log, "|"); got != want {
			t.Errorf("%s logs\n %s\nwant\n %s", list, got, want)
		}
	}
}

func TestNamedListCache(t *testing.T) {
	searches := 0
	e := testEngine(t, &searches, nil)
	s := e.NewScope(context.Background(), settings{}, nil, nil)
	for range 3 {
		m, err := Domain(s, "+count", "A.B")
		if err != nil || !m.Matched || m.Data.S != "data a.b" {
			t.Fatal(m, err)
		}
	}
	if searches != 1 {
		t.Errorf("%d searches", searches)
	}
	s.Address = &mail.Address{Domain: "other.domain"}
	for _, domain := range []string{"x.y", "z.y", "x.y"} {
		if m, err := Domain(s, "+dollar", domain); err != nil || !m.Matched || !m.Data.Tainted {
			t.Error("$domain is not the subject, or the result is not tainted", m, err)
		}
	}
	if _, err := Domain(s, "+self", "x"); !expand.IsTemporary(err) {
		t.Error("a list that refers to itself:", err)
	}
}

func TestTaint(t *testing.T) {
	e := testEngine(t, nil, nil)
	s := e.NewScope(context.Background(), settings{}, nil, nil)
	s.Extra = map[string]mail.Value{"local_part": mail.Taint("alice")}
	m, err := LocalPart(s, "$local_part", "alice", false)
	if err != nil || !m.Matched || !m.Data.Tainted {
		t.Error(m, err)
	}
	m, err = LocalPart(s, "bob:alice", "Alice", false)
	if err != nil || !m.Matched || m.Data != mail.Clean("alice") {
		t.Error(m, err)
	}
	if m, _ = LocalPart(s, "bob:alice", "Alice", true); m.Matched {
		t.Error("case")
	}
	s.Extra["local_part"] = mail.Taint("/tmp/lt/file")
	if _, err = Domain(s, "$local_part", "file.a"); !expand.IsTemporary(err) {
		t.Error("a tainted file name was opened")
	}
	if m, err = String(s, "plain : ^esmtp", "ESMTPS"); err != nil || !m.Matched {
		t.Error(m, err)
	}
	items, err := Items(s, "a : ${lc:B} : $local_part")
	if err != nil || len(items) != 3 || items[1].S != "b" || !items[0].Tainted {
		t.Error(items, err)
	}
}
