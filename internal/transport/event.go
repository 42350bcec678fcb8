package transport

import (
	"exigo/internal/expand"
	"exigo/internal/mail"
)

// Listened tells whether somebody listens to the events of the run's transport. Where nobody does, nothing is to be put together for them.
func (r *Run) Listened() bool { return r.Transport.Raise != nil }

// Raise raises an event of the run (spec chapter 61). It is about an address; nil is the connection or the whole of the run, of which the scope knows
// what its addresses have in common. The variables that the listener sets are seen by later events of the run and by nobody else.
func (r *Run) Raise(e expand.Event, about *mail.Address) (result string) {
	if r.Transport.Raise == nil {
		return ""
	}
	if r.heard == nil {
		r.heard = &heard{}
		if r.Scope.Session != nil {
			r.heard.session = r.Scope.Session.Fork()
		}
		if r.Scope.Message != nil {
			r.heard.message = r.Scope.Message.Fork()
		}
	}
	s := r.Scope.Derive()
	s.Session, s.Message = r.heard.session, r.heard.message
	if about == nil {
		about = s.Address
	}
	if about == nil && len(r.Addresses) > 0 { // a callout
		about = r.Addresses[0]
	}
	s.Address = about
	if e.Authenticator != "" && s.Session != nil {
		old := s.Session.Authenticator
		s.Session.Authenticator = e.Authenticator
		defer func() { s.Session.Authenticator = old }()
	}
	return r.Transport.Raise(s, e)
}

// heard is what the listener of a run may change: copies, since several runs of a message go on at the same time.
type heard struct {
	session *mail.Session
	message *mail.Message
}
