package catalog

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"exigo/internal/expand"
	"exigo/internal/mail"
	"exigo/internal/outside"
	"exigo/internal/transport"
)

// listen finds out who listens to events (spec chapter 61). Where nobody does, the doors for them stay nil.
func (s *Server) listen() error {
	s.Raise = s.listener(nil)
	for _, i := range s.Config.Transports { // in the order of the file
		t := s.Transports[i.Name]
		if t.Raise = s.listener(t); t.Raise == nil && t.Generic.EventAction != "" {
			return transport.Mistake("option \"event_action\" of the %s transport is not supported yet", t.Name)
		}
	}
	return nil
}

// listener puts the rooms' listeners together: of several results the first one that is not empty counts.
func (s *Server) listener(t *transport.Transport) expand.Raise {
	var all []expand.Raise
	for _, f := range s.Catalog.Features {
		if f.Events != nil {
			if raise := f.Events(s.Config, t, s.panicLog); raise != nil {
				all = append(all, raise)
			}
		}
	}
	switch len(all) {
	case 0:
		return nil
	case 1:
		return all[0]
	}
	return func(sc *expand.Scope, e expand.Event) (result string) {
		for _, raise := range all {
			if r := raise(sc, e); result == "" {
				result = r
			}
		}
		return result
	}
}

// raiseInSession is the door for events of SMTP sessions, and of certificates in them; nil where nobody listens.
func (s *Server) raiseInSession() func(ctx context.Context, sc *expand.Scope, name, data string) string {
	if s.Raise == nil {
		return nil
	}
	return func(_ context.Context, sc *expand.Scope, name, data string) string {
		return s.Raise(sc.Derive(), expand.Event{Name: name, Data: data})
	}
}

// Removed raises the events of a message that an administrator has removed: its recipients were not served, and it is complete.
func (s *Server) Removed(m *mail.Message, caller string) {
	if s.Raise == nil {
		return
	}
	scope := func() *expand.Scope { return s.Engine.NewScope(context.Background(), s.Config, m.Session, m) }
	for _, r := range m.Recipients {
		if slices.Contains(m.NonRecipients, r.Address) {
			continue
		}
		sc := scope()
		at := strings.LastIndexByte(r.Address, '@')
		sc.Address = &mail.Address{Address: r.Address, LocalPart: r.Address[:max(at, 0)], Domain: strings.ToLower(r.Address[at+1:])}
		s.Raise(sc, expand.Event{Name: "msg:fail:internal", Data: "message removed by " + caller})
	}
	s.Raise(scope(), expand.Event{Name: "msg:complete"})
}

// resolver is the resolver for look-ups in a scope. Where somebody listens it raises dns:fail, for the transport when one is at work.
func (s *Server) resolver(sc *expand.Scope) outside.Resolver {
	raise := s.Raise
	if name, ok := sc.Extra["transport_name"]; ok && s.Transports[name.S] != nil {
		raise = s.Transports[name.S].Raise
	}
	if raise == nil {
		return nil
	}
	return &heardResolver{Resolver: s.World.DNS, scope: sc, raise: raise}
}

// heardResolver raises an event for each look-up that fails.
type heardResolver struct {
	outside.Resolver
	mu    sync.Mutex // a room may look up several names at the same time
	scope *expand.Scope
	raise expand.Raise
}

// dnsFailures are the words for the ways in which a look-up fails.
var dnsFailures = []struct {
	err  error
	word string
}{{outside.ErrNoHost, "DNS_NOMATCH"}, {outside.ErrNoData, "DNS_NODATA"}, {outside.ErrTryAgain, "DNS_AGAIN"}, {outside.ErrRefused, "DNS_FAIL"}}

// Lookup implements outside.Resolver.
func (r *heardResolver) Lookup(ctx context.Context, q outside.Question) (outside.Answer, error) {
	a, err := r.Resolver.Lookup(ctx, q)
	for _, f := range dnsFailures {
		if !errors.Is(err, f.err) {
			continue
		}
		name := q.Name
		if a.Canonical != "" {
			name = a.Canonical // where the chain of aliases ends
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.raise(r.scope.Derive(), expand.Event{Name: "dns:fail", Data: f.word + ":" + name + ":" + q.Type.String()})
		break
	}
	return a, err
}
