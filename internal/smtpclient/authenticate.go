package smtpclient

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"exigo/internal/auth"
	"exigo/internal/expand"
	"exigo/internal/outside"
)

// Authenticators is how a client authenticates itself (spec 33.5).
type Authenticators struct {
	World *outside.World
	// All are the configured authenticators in order; those without client settings are skipped.
	All []*auth.Authenticator
	// Scope has $host and $host_address of the server.
	Scope *expand.Scope
	// Try and Require are whether the host matches hosts_try_auth and hosts_require_auth.
	Try, Require bool
	// Hostname is $primary_hostname, Host and Address name the server in log lines.
	Hostname, Host, Address string
	// Event, if set, hears of an authenticator that failed and the server's reply; its result, if any, stands in the log in place of the line.
	Event func(authenticator, reply string) (instead string)
	// Log takes a line for the main log.
	Log func(line string)
}

// Authenticate tries the authenticators that the server offers, until one succeeds or the server is of no use. It is
// meant for Settings.Authenticate.
func (a *Authenticators) Authenticate(ctx context.Context, c *Conn) error {
	if !a.Try && !a.Require {
		return nil
	}
	if !c.ESMTP || !c.Extensions.Has("AUTH") {
		return a.required("server did not advertise AUTH support")
	}
	for _, one := range a.All {
		if !one.Client || !c.Extensions.Lists("AUTH", one.PublicName) {
			continue
		}
		done, err := a.try(ctx, c, one)
		if done || err != nil {
			return err
		}
	}
	return a.required("authentication attempt(s) failed")
}

func (a *Authenticators) required(why string) error {
	if !a.Require {
		return nil
	}
	return &Error{Kind: AuthFailure, Text: "authentication required but " + why, Written: -1}
}

// try runs one authenticator; done says that it succeeded.
func (a *Authenticators) try(ctx context.Context, c *Conn, one *auth.Authenticator) (done bool, err error) {
	var last error
	reply := ""
	x := &auth.ClientExchange{Authenticator: one, World: a.World, Engine: a.Scope.Engine, Scope: a.Scope, Hostname: a.Hostname}
	first := "AUTH " + one.PublicName
	x.Send = func(line string) (int, string, error) {
		if !strings.HasSuffix(c.Steps, "a") {
			c.Steps += "a"
		}
		r, err := c.CommandAs(line, first)
		if err != nil {
			last = err
			return 0, "", err
		}
		reply = ReplyText(r)
		text := ""
		if n := len(r.Lines); n > 0 {
			text = r.Lines[n-1]
		}
		return r.Code, text, nil
	}
	usable, err := x.Usable()
	if err != nil {
		return false, &Error{Kind: AuthFailure, Text: err.Error(), Written: -1}
	}
	if !usable {
		return false, nil
	}
	result, err := one.Driver.Client(ctx, x)
	if last != nil {
		return false, last
	}
	if x.Reply != "" {
		reply = x.Reply
	}
	switch {
	case err != nil:
		return false, &Error{Kind: AuthFailure, Text: Printable(err.Error()), Written: -1, err: err}
	case result == auth.OK:
		c.AuthName, c.AuthID = one.Name, x.ClientID()
		return true, nil
	case result == auth.Cancelled:
		if reply != "" {
			a.log("%s authenticator cancelled authentication H=%s [%s] %s", one.Name, a.Host, a.Address, reply)
		}
	default:
		if a.Event != nil {
			if instead := a.Event(one.Name, reply); instead != "" {
				a.log("%s", Printable(instead))
				return false, nil
			}
		}
		a.log("%s authenticator failed H=%s [%s] %s", one.Name, a.Host, a.Address, reply)
	}
	return false, nil
}

func (a *Authenticators) log(format string, args ...any) {
	if a.Log != nil {
		a.Log(fmt.Sprintf(format, args...))
	}
}

// ErrNotAuthenticated is matched by errors of kind AuthFailure.
var ErrNotAuthenticated = errors.New("not authenticated")

// Is implements errors.Is for ErrNotAuthenticated.
func (e *Error) Is(target error) bool { return target == ErrNotAuthenticated && e.Kind == AuthFailure }
