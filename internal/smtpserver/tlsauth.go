package smtpserver

import "exigo/internal/auth"

// runTLSAuthenticator runs the tls authenticator, where one is configured, after a handshake (spec 42): it has no exchange.
func (s *Session) runTLSAuthenticator() {
	for _, a := range s.svc.Authenticators {
		if a.Driver.Name != "tls" || a.Driver.Server == nil {
			continue
		}
		scope := s.Scope()
		x := &auth.ServerExchange{Authenticator: a, World: s.svc.World, Engine: s.svc.Engine, Scope: scope, Hostname: s.main.PrimaryHostname}
		x.SetValues()
		result, _ := a.Driver.Server(s.ctx, x)
		id := s.authID(a, result)
		auth.ClearValues(scope)
		if result == auth.OK {
			s.Authenticated(a, id)
		} else {
			s.noun.FailedID = id
		}
		return
	}
}
