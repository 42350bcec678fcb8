package smtpclient

import (
	"context"
	"errors"
	"strings"
	"testing"

	"exigo/internal/auth"
	"exigo/internal/expand"
	"exigo/internal/option"
)

// mechanism is an authenticator that sends its name as initial response; how it ends is in its name.
func mechanism(name string) *auth.Authenticator {
	d := &auth.Driver{Name: name, IsClient: func(*auth.Authenticator) bool { return true },
		Client: func(_ context.Context, x *auth.ClientExchange) (auth.Result, error) {
			if strings.HasPrefix(name, "CANCEL") {
				return auth.Cancelled, nil
			}
			code, _, err := x.Send("AUTH " + name + " secret")
			switch {
			case err != nil:
				return auth.Defer, err
			case strings.HasPrefix(name, "DEFER"):
				return auth.Defer, errors.New("a mistake")
			case code == 235:
				return auth.OK, nil
			}
			return auth.Fail, nil
		}}
	return auth.New(name, d, option.Bag{})
}

func TestAuthenticate(t *testing.T) {
	const hello = "S: 220 x\nC: EHLO me.test\nS: 250-h\nS: 250 AUTH ONE TWO CANCEL DEFER\n"
	for _, c := range []struct {
		name, mechanisms, script string
		require                  bool
		err, log, as             string
	}{
		{name: "first", mechanisms: "ONE TWO", script: "C: AUTH ONE secret\nS: 235 ok\nC: QUIT\n", as: "ONE"},
		{name: "second", mechanisms: "ONE TWO", script: "C: AUTH ONE secret\nS: 535 no\nC: AUTH TWO secret\nS: 235 ok\nC: QUIT\n", as: "TWO",
			log: "ONE authenticator failed H=h.test [127.0.0.1] 535 no"},
		{name: "not offered", mechanisms: "THREE", script: "C: QUIT\n"},
		{name: "cancelled", mechanisms: "CANCEL ONE", script: "C: AUTH ONE secret\nS: 235 ok\nC: QUIT\n", as: "ONE"},
		{name: "nothing helps", mechanisms: "ONE", script: "C: AUTH ONE secret\nS: 535 no\nC: QUIT\n", log: "ONE authenticator failed H=h.test [127.0.0.1] 535 no"},
		{name: "required", mechanisms: "ONE", require: true, script: "C: AUTH ONE secret\nS: 535 no\nC: QUIT\n", log: "ONE authenticator failed H=h.test [127.0.0.1] 535 no",
			err: "authentication required but authentication attempt(s) failed"},
		{name: "mistake", mechanisms: "DEFER", script: "C: AUTH DEFER secret\nS: 235 ok\nC: QUIT\n", err: "a mistake"},
		{name: "lost", mechanisms: "ONE", script: "C: AUTH ONE secret\nS: <close>\n", err: "Remote host closed connection in response to AUTH ONE"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, finish := script(t, hello+c.script)
			var lines []string
			a := &Authenticators{Try: true, Require: c.require, Host: "h.test", Address: "127.0.0.1", Scope: &expand.Scope{}, Log: func(line string) { lines = append(lines, line) }}
			for _, m := range strings.Fields(c.mechanisms) {
				a.All = append(a.All, mechanism(m))
			}
			s.Authenticate = a.Authenticate
			conn, err := Open(t.Context(), s)
			got := ""
			if err != nil {
				got = err.Error()
			} else if conn.AuthName != c.as {
				t.Errorf("authenticated as %q", conn.AuthName)
			}
			if got != c.err || strings.Join(lines, "\n") != c.log {
				t.Errorf("error %q, log %q", got, lines)
			}
			if err == nil {
				conn.Quit()
			}
			finish()
		})
	}
}
