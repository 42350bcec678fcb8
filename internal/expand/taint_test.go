package expand_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"exigo/internal/expand"
	"exigo/internal/mail"
	"exigo/internal/option"
)

// lenient is a configuration with allow_insecure_tainted_data.
type lenient struct{}

func (lenient) NamedList(byte, string) (string, bool) { return "", false }
func (lenient) MainOptions() option.Bag               { return option.Bag{} }
func (lenient) LanguageSettings() *expand.Settings {
	return &expand.Settings{AllowInsecureTaintedData: true, HeadersCharset: "UTF-8"}
}

// TestUntrusted has each use of tainted data refused, with advice, and allowed with a warning.
func TestUntrusted(t *testing.T) {
	var notes, panics, logged, advice []string
	e := language(t, &notes, &panics, expand.Hooks{
		Log:    func(_, line string) { logged = append(logged, line) },
		Advise: func(text string) { advice = append(advice, text) },
		ACL: func(_ *expand.Scope, name string, _ []expand.Value) (bool, expand.Value, error) {
			return true, expand.Value{S: "acl " + name}, nil
		},
	})
	m := &mail.Message{Session: &mail.Session{}, Headers: []mail.Header{mail.NewHeader("X: /no/such\n")}}
	for _, test := range []struct{ text, line, refused, allowed string }{
		{"${expand:$h_x:}", "attempt to expand tainted string '/no/such'", `internal expansion of "/no/such" failed: attempt to expand tainted string '/no/such'`, "/no/such"},
		{"${lookup{k}file{$h_x:}}", "Tainted filename for search: '/no/such'", "NULL", "found k"},
		{"${run{$h_x: x}}$runrc", "Attempt to exec tainted path: '/no/such'", "couldn't create child process: Operation not permitted", "127"},
		{"${readfile{$h_x:}}", "Tainted filename '/no/such'", "failed to open /no/such: Permission denied", "failed to open /no/such: No such file or directory"},
		{"${readsocket{$h_x:}{x}{}{}{f}}", "Tainted filename for search: '/no/such'", "f", ""},
		{"${readsocket{$h_x:}{x}}", "Tainted filename for search: '/no/such'", "NULL", ""},
		{"${acl{$h_x:}}", "attempt to use tainted ACL text \"/no/such\"", "ERROR from acl \"/no/such\"", "acl /no/such"},
	} {
		for _, c := range []struct {
			config                expand.Configuration
			want                  string
			panics, logged, tells []string
		}{
			{nil, test.refused, []string{test.line}, nil, []string{"'/no/such' comes from outside (it is tainted). What the configuration"}},
			{lenient{}, test.allowed, nil, []string{"Warning: " + test.line}, nil},
		} {
			if c.want == "" {
				continue // the world of the test has no sockets
			}
			panics, logged, advice = nil, nil, nil
			v, err := e.Expand(e.NewScope(context.Background(), c.config, nil, m), test.text)
			got := v.S
			if err != nil {
				got, _, _ = strings.Cut(err.Error(), " (euid")
			}
			for i := range advice {
				advice[i], _, _ = strings.Cut(advice[i], " itself")
			}
			if got != c.want || !slices.Equal(panics, c.panics) || !slices.Equal(logged, c.logged) || !slices.Equal(advice, c.tells) {
				t.Errorf("%s: %q, panic log %q, log %q, advice %q", test.text, got, panics, logged, advice)
			}
		}
	}
	advice = nil
	if e.Expand(e.NewScope(context.Background(), nil, nil, m), "${lookup sql{q $h_x:}}"); len(advice) != 1 || !strings.Contains(advice[0], "${quote_sql:...}") {
		t.Errorf("advice for queries: %q", advice)
	}
}
