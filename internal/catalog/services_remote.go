package catalog

import (
	"exigo/internal/eventlog"
	"exigo/internal/transport/smtp"
)

// remoteServices are what the smtp transport asks of the program. The conformance world keeps no connections: its
// expectations are those of one process a message.
func (s *Server) remoteServices() *smtp.Services {
	r := &smtp.Services{Pool: s.Pool, TLS: s.TLS, Authenticators: s.Authenticators, Retry: s.retryHints(), Rules: s.Rules,
		LogPort: s.Log.Has(eventlog.OutgoingPort)}
	for _, f := range s.Catalog.Features {
		r.Extensions = append(r.Extensions, f.Outgoing...)
	}
	if s.World.Quirks.On {
		r.Pool = nil
	}
	return r
}
