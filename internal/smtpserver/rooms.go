package smtpserver

import (
	"context"
	"net"
	"strconv"

	"exigo/internal/acl"
	"exigo/internal/config"
	"exigo/internal/eventlog"
	"exigo/internal/expand"
	"exigo/internal/mail"
	"exigo/internal/outside"
)

// The exported methods are what rooms use.

// Noun returns the session's noun.
func (s *Session) Noun() *mail.Session { return s.noun }

// Message returns the message of the transaction at hand; it changes with each transaction.
func (s *Session) Message() *mail.Message { return s.msg }

// Main returns the main options in force.
func (s *Session) Main() *config.Main { return s.main }

// Config returns the configuration in force.
func (s *Session) Config() *config.Config { return s.svc.Config }

// World returns the world the session lives in.
func (s *Session) World() *outside.World { return s.svc.World }

// Context ends with the session.
func (s *Session) Context() context.Context { return s.ctx }

// Scope returns the scope for expansions about this session and its message.
func (s *Session) Scope() *expand.Scope {
	if s.scope == nil {
		s.scope = s.svc.Engine.NewScope(s.ctx, s.svc.Config, s.noun, s.msg)
		s.describe()
	}
	s.scope.Message = s.msg
	return s.scope
}

// describe tells the scope, if there is one, what of the session is neither in its noun nor in the message.
func (s *Session) describe() {
	if s.scope == nil {
		return
	}
	if s.scope.Extra == nil {
		s.scope.Extra = make(map[string]mail.Value, 2)
	}
	s.scope.Extra["smtp_active_hostname"] = mail.Clean(s.hostname)
	if s.connections > 0 {
		s.scope.Extra["smtp_count_at_connection_start"] = mail.Clean(strconv.Itoa(s.connections))
	}
}

// Reply gives the client a reply of one or more lines, separated by \n.
func (s *Session) Reply(code, text string) { s.respond(code, text, false) }

// Who names the client as log lines do: "H=name (helo) [192.0.2.1] U=ident"; without flag the first name tag is left away.
func (s *Session) Who(flag bool) string { return s.who(flag) }

// InTransaction tells whether a MAIL command is in force.
func (s *Session) InTransaction() bool { return s.msg.SenderSet }

// Matches tests the client against a host list. An error that is no temporary one is logged, and counts as no match.
func (s *Session) Matches(list string) bool { return s.matches(list) }

// AllowEarlyPipelining stops the checks of synchronisation until the first message's data.
func (s *Session) AllowEarlyPipelining() { s.earlyPipelining = true }

// RefuseAll makes the reply ("503 text") the answer to every command but QUIT from now on.
func (s *Session) RefuseAll(reply string) { s.refuseAll = reply }

// SyntaxError and ProtocolError answer a malformed command, or one that may not come now; such errors are counted, logged as the
// selectors smtp_syntax_error and smtp_protocol_error want, and too many of them end the session.
func (s *Session) SyntaxError(code int, text string) { s.synprot(true, code, text) }

// ProtocolError is SyntaxError for commands out of order.
func (s *Session) ProtocolError(code int, text string) { s.synprot(false, code, text) }

// Refuse answers a command that an ACL did not accept, and logs it: word is what the log calls the command, code the reply code of
// a denial, what the argument.
func (s *Session) Refuse(word, code string, outcome acl.Outcome, what string) {
	temporary := outcome.Verdict == acl.Defer || outcome.Verdict == acl.Error
	if temporary {
		code = "451"
	}
	s.refuseAs(refusal{word: word, phase: acl.ETRN, outcome: outcome, what: what, code: code, temporary: temporary})
}

// Log writes a line to the main log, Reject to the main and the reject log; control characters are made visible.
func (s *Session) Log(text string) { s.logMain(s.printable(text)) }

// Reject writes a line to the main and the reject log.
func (s *Session) Reject(text string) { s.logReject(s.printable(text)) }

// StartOver makes the session one whose client has just connected: HELO, authentication and transaction are forgotten; the client
// is who the noun says now (XCLIENT).
func (s *Session) StartOver() {
	n := s.noun
	n.HELO, n.ESMTP, n.HELOVerified, n.HELOTried = "", false, false, false
	n.Authenticator, n.AuthPublicName, n.AuthID, n.AuthSender, s.authenticator = "", "", "", "", nil
	s.helloGiven = false
	s.resetForHello()
	s.freeCommands()
}

// Banner returns the text that greets clients, without code; ok is false when smtp_banner cannot be expanded.
func (s *Session) Banner() (text string, ok bool) { return s.banner() }

// Conn returns the client's connection, the one inside TLS if that is in use, after what is pending was written to it; what the client has
// sent beyond the current command is lost. The session must end afterwards (End).
func (s *Session) Conn() net.Conn {
	s.io.flush()
	if c, ok := s.io.conn.(net.Conn); ok {
		return c
	}
	return s.netConn()
}

// RunQueue makes a queue run and returns when it is over; done is false where none can be made: in a session that only tests (-bh).
func (s *Session) RunQueue(r QueueRun) (done bool) {
	if s.svc.RunQueue == nil || s.start.HostChecking {
		return false
	}
	s.svc.RunQueue(s.ctx, r)
	return true
}

// LogsETRN tells whether requests for queue runs are logged (log selector etrn).
func (s *Session) LogsETRN() bool { return s.svc.Log.Has(eventlog.ETRN) }

// End ends the session as after QUIT, without a reply.
func (s *Session) End() { s.quit, s.done = true, true }
