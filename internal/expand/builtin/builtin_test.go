package builtin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"exigo/internal/expand"
	"exigo/internal/lookup"
	"exigo/internal/mail"
	"exigo/internal/outside"
)

// stillClock stands at one moment.
type stillClock struct{ now time.Time }

func (c stillClock) Now() time.Time                                   { return c.now }
func (c stillClock) Sleep(ctx context.Context, d time.Duration) error { return ctx.Err() }
func (c stillClock) After(d time.Duration) <-chan time.Time           { return nil }

// noNames is a DNS without any name.
type noNames struct{}

func (noNames) Lookup(context.Context, outside.Question) (outside.Answer, error) {
	return outside.Answer{}, outside.ErrNoHost
}

// fixedNumbers is a source of not very random numbers.
type fixedNumbers struct{}

func (fixedNumbers) Intn(n int) int             { return n - 1 }
func (fixedNumbers) Read(p []byte) (int, error) { return len(p), nil }

type realDialer struct{}

func (realDialer) Dial(ctx context.Context, network string, _ netip.Addr, address string) (net.Conn, error) {
	return (&net.Dialer{}).DialContext(ctx, network, address)
}

func testWorld() *outside.World {
	return &outside.World{
		Clock: stillClock{time.Date(2026, 11, 22, 6, 21, 16, 5000, time.UTC)}, DNS: noNames{}, Random: fixedNumbers{}, Dial: realDialer{},
		LoadAverage: func() (int, bool) { return 210, true }, Version: "4.99", PID: 4711,
		Environment: func(name string) (string, bool) { return "root", name == "USER" },
	}
}

// accounts is the content of the one file that test lookups know, and of the password file.
var accounts = map[string]string{"root": "x:0:0:root:/root:/bin/bash", "daemon": "x:1:1:daemon:/usr/sbin:/usr/sbin/nologin"}

// testLookups stand for the drivers of the real ones.
func testLookups() []*lookup.Driver {
	return []*lookup.Driver{
		{Name: "lsearch", Kind: lookup.SingleKey, Find: func(_ context.Context, r *lookup.Request) (lookup.Result, bool, error) {
			if r.File != "/etc/passwd" {
				return lookup.Result{}, false, fmt.Errorf("failed to open %s for linear search: No such file or directory", r.File)
			}
			data, ok := accounts[r.Key]
			if len(r.Options) > 0 && r.Options[0] == "ret=full" {
				data = r.Key + ":" + data
			}
			return lookup.Result{Data: data}, ok, nil
		}},
		{Name: "dsearch", Kind: lookup.SingleKey, Find: func(_ context.Context, r *lookup.Request) (lookup.Result, bool, error) {
			data := r.Key
			if len(r.Options) > 0 && r.Options[0] == "ret=full" {
				data = r.File + "/" + r.Key
			}
			return lookup.Result{Data: data}, r.Key == "passwd", nil
		}},
		{Name: "passwd", Kind: lookup.Query, Find: func(_ context.Context, r *lookup.Request) (lookup.Result, bool, error) {
			data, ok := accounts[r.Key]
			return lookup.Result{Data: strings.Replace(data, "x", "*", 1)}, ok, nil
		}},
		{Name: "mysql", Kind: lookup.Query, Quote: quoteSQL(strings.NewReplacer("'", `\'`, `"`, `\"`, `\`, `\\`, "\n", `\n`)), Find: func(context.Context, *lookup.Request) (lookup.Result, bool, error) {
			return lookup.Result{}, false, fmt.Errorf("no MySQL servers defined (mysql_servers option): %w", lookup.ErrDefer)
		}},
		{Name: "pgsql", Kind: lookup.Query, Quote: quoteSQL(strings.NewReplacer("'", "''", `"`, `\"`, `\`, `\\`, "\n", `\n`))},
		{Name: "sqlite", Kind: lookup.Query, Quote: quoteSQL(strings.NewReplacer("'", "''"))},
	}
}

func quoteSQL(r *strings.Replacer) func(string, string) (string, bool) {
	return func(text, option string) (string, bool) { return r.Replace(text), option == "" }
}

func testEngine(t testing.TB) *expand.Engine {
	t.Helper()
	words := Words()
	words.Lookups = testLookups()
	e, err := expand.New(testWorld(), words, expand.Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func check(t *testing.T, s *expand.Scope, word string, example expand.Example) {
	t.Helper()
	v, err := s.Engine.Expand(s, example.In)
	switch {
	case err != nil && example.Err == "":
		t.Errorf("%s: %s failed: %v", word, example.In, err)
	case err != nil && err.Error() != example.Err:
		t.Errorf("%s: %s failed with\n %s\nwanted\n %s", word, example.In, err, example.Err)
	case err == nil && example.Err != "":
		t.Errorf("%s: %s gave %q, wanted the error %s", word, example.In, v.S, example.Err)
	case err == nil && v.S != example.Out:
		t.Errorf("%s: %s gave\n %q\nwanted\n %q", word, example.In, v.S, example.Out)
	}
}

// TestExamples runs the examples of all words.
func TestExamples(t *testing.T) {
	e := testEngine(t)
	w := Words()
	run := func(word string, list []expand.Example) {
		for _, example := range list {
			check(t, e.NewScope(context.Background(), nil, nil, nil), word, example)
		}
	}
	for _, row := range w.Items {
		run(row.Name, row.Examples)
	}
	for _, row := range w.LazyItems {
		run(row.Name, row.Examples)
	}
	for _, row := range w.Operators {
		run(row.Name, row.Examples)
	}
	for _, row := range w.Conditions {
		run(row.Name, row.Examples)
	}
	for _, row := range w.LazyConditions {
		run(row.Name, row.Examples)
	}
	for _, row := range w.Variables {
		run(row.Name, row.Examples)
	}
}

// TestRows looks at the tables as a whole.
func TestRows(t *testing.T) {
	w := Words()
	e := testEngine(t)
	for _, row := range w.Variables {
		if row.Doc == "" || row.Get == nil && row.GetNamed == nil {
			t.Errorf("$%s lacks documentation or a getter", row.Name)
		}
		if row.GetNamed != nil || row.Name == "load_average" || row.Name == "tls_in_ourcert" {
			continue
		}
		if _, err := row.Get(e.NewScope(context.Background(), nil, nil, nil)); err != nil {
			t.Errorf("$%s in an empty scope: %v", row.Name, err)
		}
	}
	for _, row := range w.Operators {
		if row.Doc == "" || row.Apply == nil && row.ApplyTo == nil {
			t.Errorf("${%s: lacks documentation or a function", row.Name)
		}
	}
}

func TestForced(t *testing.T) {
	s := testEngine(t).NewScope(context.Background(), nil, nil, nil)
	for _, text := range []string{`a${if eq{1}{2}{x}fail}`, `${expand:\$\{if eq\{1\}\{2\}\{x\}fail\}}`, `${lc:${env{NO}{$value}fail}}`} {
		if _, err := s.Engine.Expand(s, text); !errors.Is(err, expand.ErrForced) || expand.IsTemporary(err) {
			t.Errorf("%s: %v", text, err)
		}
	}
	if _, err := s.Engine.Expand(s, "$nosuch"); err == nil || errors.Is(err, expand.ErrForced) {
		t.Error(err)
	}
}

// TestTaintedText: what came from outside is never expanded.
func TestTaintedText(t *testing.T) {
	e := testEngine(t)
	for text, want := range map[string]string{
		`${expand:$acl_m_bad}`: "", `${sg{a}{a}{$acl_m_bad}}`: "", `${sg{a}{a}{\$1$acl_m_bad}}`: "", `${map{a}{${expand:$acl_m_bad}}}`: "", `${sg{a}{a}{$acl_m_plain}}`: "plain",
		`${sg{b}{a}{$acl_m_bad}}`: "b", `${sg{$acl_m_bad}{[^a-z]}{}}`: "lcx", `${if eq{$acl_m_bad}{x}{y}{n}}`: "n", `${map{$acl_m_bad}{$item}}`: "${lc::x}",
	} {
		s := e.NewScope(context.Background(), nil, nil, &mail.Message{Session: &mail.Session{}, Vars: map[string]mail.Value{"_bad": mail.Taint("${lc::x}"), "_plain": mail.Taint("plain")}})
		v, err := e.Expand(s, text)
		if want == "" && (err == nil || !strings.Contains(err.Error(), "attempt to expand tainted string")) || want != "" && (err != nil || v.S != want) {
			t.Errorf("%s: %q %v", text, v.S, err)
		}
	}
}
