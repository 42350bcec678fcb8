package catalog

import (
	"context"
	"slices"
	"time"

	"exigo/internal/deliver"
	"exigo/internal/eventlog"
	"exigo/internal/hints"
	"exigo/internal/transport/smtp"
)

// remoteServices are what the smtp transport asks of the program.
func (s *Server) remoteServices() *smtp.Services {
	r := &smtp.Services{Pool: s.Pool, PerMessage: s.World.Quirks.On, TLS: s.TLS, Authenticators: s.Authenticators, Retry: s.retryHints(),
		Rules: s.Rules, LogPort: s.Log.Has(eventlog.OutgoingPort)}
	if s.World.Quirks.On {
		r.Wait, r.Next = s.waitForHosts, s.nextWaiting
	}
	for _, f := range s.Catalog.Features {
		r.Extensions = append(r.Extensions, f.Outgoing...)
		r.Signers = append(r.Signers, f.Signers...)
	}
	return r
}

// waitForHosts notes that a message waits for hosts of a transport.
func (s *Server) waitForHosts(_ context.Context, transport string, hosts []string, id string) {
	table := hints.WaitTable(transport)
	for _, host := range hosts {
		s.hintFailed(table.Update(s.Hints, host, func(w hints.Wait, _ time.Time, _ bool) (hints.Wait, hints.Action) {
			if slices.Contains(w.IDs, id) {
				return w, hints.Keep
			}
			w.IDs = append(w.IDs, id)
			return w, hints.Write
		}))
	}
}

// nextWaiting takes a message that waits for a host off the list, other than the one that asks; those that are gone, and the one
// that asks, go with it.
func (s *Server) nextWaiting(transport, host, asking string) (next string) {
	s.hintFailed(hints.WaitTable(transport).Update(s.Hints, host, func(w hints.Wait, _ time.Time, found bool) (hints.Wait, hints.Action) {
		if !found {
			return w, hints.Keep
		}
		for len(w.IDs) > 0 && next == "" {
			if id := w.IDs[0]; id != asking && s.Spool.Exists(id, "") {
				next = id
			}
			w.IDs = w.IDs[1:]
		}
		if len(w.IDs) == 0 {
			return w, hints.Remove
		}
		return w, hints.Write
	}))
	return next
}

// handOn gives the connections that a message leaves to messages that wait for the same hosts, and delivers those. In the
// ordinary world connections belong to nobody and the next queue run finds them; the conformance world has one process a message.
func (s *Server) handOn(ctx context.Context, id string) {
	if !s.World.Quirks.On {
		return
	}
	for _, heir := range s.Pool.Finish(id, s.nextWaiting) {
		s.Deliverer.Message(ctx, heir, "", deliver.Options{Continue: true})
	}
}
