package smtpserver

import (
	"exigo/internal/acl"
	"exigo/internal/eventlog"
	"exigo/internal/expand"
	"exigo/internal/mail"
)

// The methods below are for rooms that deal with a message after its data was read, before the reply.

// RunACL runs an ACL that a main option names, text being the option's value, in the scope of the message. recipient is the one whom
// the ACL is about, nil for none.
func (s *Session) RunACL(scope *expand.Scope, phase acl.Phase, text string, recipient *mail.Recipient) acl.Outcome {
	if s.svc.RunACL == nil || text == "" {
		return acl.Outcome{Verdict: acl.OK}
	}
	old := scope.Recipient
	scope.Recipient = recipient
	defer func() { scope.Recipient = old }()
	outcome, err := s.svc.RunACL(s.ctx, scope, phase, text)
	if err != nil {
		outcome.Verdict = acl.Error
	}
	return outcome
}

// SplitCode takes the reply code off a text for the client; without one, or with one of another class, the code is the fallback. An enhanced
// code stands in code after a space.
func (s *Session) SplitCode(fallback, message string) (code, text string) {
	return s.splitCode(fallback, message, true)
}

// Flush sends what is pending to the client.
func (s *Session) Flush() { s.io.flush() }

// LogMessage writes a line about a message to the main log; control characters are made visible.
func (s *Session) LogMessage(m *mail.Message, text string) {
	s.svc.Log.Write(eventlog.Entry{To: eventlog.Main, ID: m.ID, Text: s.printable(text)})
}

// Discard is a recipient that an ACL threw away, though the client was told that it is accepted.
type Discard struct {
	Address string
	// Before is the number of recipients that had been taken before it.
	Before int
}

// Discards are the message's discarded recipients, in order.
func (s *Session) Discards() []Discard { return s.discards }
