package route_test

import (
	"context"
	"slices"
	"testing"

	"exigo/internal/mail"
	"exigo/internal/route"
)

// TestExtensions: preconditions of features, for all routers or those of a kind, are tested after all others; what they do comes after them.
func TestExtensions(t *testing.T) {
	f, err := newFixture(t, `exim_user = root
begin routers
skipped:
  driver = redirect
  data = x@y.example
condition:
  driver = accept
  condition = no
  transport = t
taken:
  driver = accept
  transport = t
begin transports
t:
  driver = appendfile
`)
	if err != nil {
		t.Fatal(err)
	}
	var asked []string
	note := func(what string, result bool) func(*route.Run) bool {
		return func(r *route.Run) bool {
			asked = append(asked, what+" "+r.Router.Name)
			return result
		}
	}
	services := f.services()
	services.Extensions = []route.Extension{
		{Driver: "accept", Before: func(r *route.Run) (route.Outcome, bool) { return 0, note("before", true)(r) }},
		{Wanted: note("all", true)},
		{Driver: "redirect", Wanted: note("redirect", false)},
	}
	routes, err := route.Compile(f.config.Routers, drivers, services)
	if err != nil {
		t.Fatal(err)
	}
	a := &mail.Address{Address: "a@b.example", Unique: "a@b.example", Original: -1}
	out := routes.Route(context.Background(), f.scope("s@a.example"), a)
	want := []string{"all skipped", "redirect skipped", "all taken", "before taken"}
	if out.Outcome != route.Accepted || a.Transport != "t" || !slices.Equal(asked, want) {
		t.Errorf("%+v, transport %q: %q", out, a.Transport, asked)
	}
}
