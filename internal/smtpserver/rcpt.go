package smtpserver

import (
	"strings"

	"exigo/internal/acl"
	"exigo/internal/eventlog"
	"exigo/internal/mail"
)

// rcptCommand obeys RCPT TO: one more recipient (RFC 5321 section 4.1.1.3).
func (s *Session) rcptCommand(argument string) {
	s.noun.RcptCount++
	s.noun.Recipients++
	s.wasRcpt, s.noteRcpt = true, true
	defer func() { s.noteRcpt = false }()
	if !s.rcptAllowed(argument) {
		return
	}
	s.rcptORCPT, s.rcptNotify, s.rcptNotifySet = "", 0, false
	text, refusal := s.parameters(argument, s.srv.rcptParams, true)
	if refusal != nil {
		s.noun.RcptFail++
		s.refuseParameter(refusal)
		return
	}
	recipient, ok := s.recipientAddress(text)
	if !ok || !s.roomForRecipient() {
		return
	}
	s.slowRcpt()
	s.decideRecipient(recipient, text)
}

// rcptAllowed checks that there is a transaction and an argument.
func (s *Session) rcptAllowed(argument string) bool {
	if !s.msg.SenderSet {
		if s.pipelining && s.lastWasRejectedMail {
			s.line("503 sender not yet given")
			s.wasRejectedMail = true
			return false
		}
		s.synprot(false, 503, "sender not yet given")
		s.wasRcpt = false // a DATA that follows is an error of its own
		return false
	}
	if argument == "" {
		s.noun.RcptFail++
		s.synprot(true, 501, s.word()+" must have an address operand")
		return false
	}
	return true
}

// recipientAddress reads and completes the recipient's address.
func (s *Session) recipientAddress(text string) (string, bool) {
	given := text
	if s.svc.RewriteSMTP != nil {
		text = s.svc.RewriteSMTP(s.Scope(), text, false)
	}
	m, problem := s.extract(text, false)
	if problem != "" {
		s.noun.RcptFail++
		s.addressError(given, problem)
		return "", false
	}
	if m.Domain != 0 {
		return m.Address, true
	}
	if domain, ok := s.qualified(m.Address, "recipient", given); ok {
		return m.Address + "@" + domain, true
	}
	s.noun.RcptFail++
	return "", false
}

// qualified says with which domain an address without one is completed; postmaster may always come without domain. role is
// "recipient" or "verify", for the log; given is the text of the reply.
func (s *Session) qualified(local, role, given string) (domain string, ok bool) {
	if s.mayBeUnqualified(false) || strings.EqualFold(local, "postmaster") {
		return s.qualifyRecipient(), true
	}
	s.unqualified("recipient", role, given, local)
	return "", false
}

// unqualified refuses an address without domain; only the reject log hears of it, and not of those in batch input.
func (s *Session) unqualified(kind, role, given, local string) {
	s.addressProblem = kind + " address must contain a domain"
	s.line("501 " + given + ": " + s.addressProblem)
	if !s.silent {
		s.svc.Log.Write(eventlog.Entry{To: eventlog.Reject, Text: "unqualified " + role + " rejected: <" + s.printable(local) + "> " + s.who(true)})
	}
}

func (s *Session) qualifyRecipient() string {
	if s.main.QualifyRecipient != "" {
		return s.main.QualifyRecipient
	}
	return s.main.QualifyDomain
}

// roomForRecipient obeys recipients_max and recipients_max_reject.
func (s *Session) roomForRecipient() bool {
	if s.recipientsMax <= 0 || s.noun.RcptCount <= s.recipientsMax {
		return true
	}
	how, code := "temporarily ", "452"
	if s.main.RecipientsMaxReject {
		how, code = "", "552"
		s.noun.RcptFail++
	} else {
		s.noun.RcptDefer++
	}
	s.line(code + " too many recipients")
	if !s.recipientsOver {
		what := "excess " + how + "rejected"
		if s.main.RecipientsMaxReject {
			what = "message rejected"
		}
		s.logReject("too many recipients: " + what + ": sender=<" + s.printable(s.msg.Sender) + "> " + s.who(true))
	}
	s.recipientsOver = true
	return false
}

// decideRecipient asks the ACL about a recipient and takes it, or not. A refusal is logged with the address as it was given.
func (s *Session) decideRecipient(address, given string) {
	r := mail.Recipient{Address: address, Parent: -1, ORCPT: s.rcptORCPT, Notify: s.rcptNotify}
	outcome := acl.Outcome{Verdict: acl.OK}
	switch {
	case s.silent:
	case s.main.ACLSMTPRcpt == "":
		outcome = acl.Outcome{Verdict: acl.Fail, LogTargets: acl.LogMain | acl.LogReject}
	default:
		scope := s.Scope()
		scope.Recipient = &r
		outcome = s.runACL(acl.Rcpt, string(s.main.ACLSMTPRcpt))
		if outcome.Verdict == acl.OK && s.svc.Onward != nil && !s.start.HostChecking {
			if onward := s.svc.Onward.Recipient(s.ctx, scope, &r); onward.Verdict != acl.OK {
				outcome = onward
			}
		}
		scope.Recipient = nil
	}
	switch outcome.Verdict {
	case acl.OK, acl.Discard:
		s.takeRecipient(r, outcome.Verdict == acl.Discard || s.discarding, outcome)
	case acl.Fail, acl.FailDrop:
		s.noun.RcptFail++
		s.refuse(acl.Rcpt, outcome, given)
	default:
		s.noun.RcptDefer++
		s.refuse(acl.Rcpt, outcome, given)
	}
	switch {
	case s.svc.Onward == nil:
	case s.start.HostChecking:
		s.dropOnward()
	default:
		s.svc.Onward.Settle(s.msg)
	}
}

// takeRecipient accepts a recipient. A discarded one is accepted and gets nothing.
func (s *Session) takeRecipient(r mail.Recipient, discard bool, outcome acl.Outcome) {
	if !discard {
		s.msg.Recipients = append(s.msg.Recipients, r)
		s.answerRecipient(outcome.UserMessage)
		return
	}
	s.msg.Controls.Discarded = true
	s.discarded++
	s.discards = append(s.discards, Discard{Address: r.Address, Before: len(s.msg.Recipients)})
	which := "RCPT"
	if s.discarding {
		which = "MAIL"
	}
	s.discardedBy = which + " ACL"
	text := s.who(true) + " F=<" + s.printable(s.msg.Sender) + "> RCPT <" + s.printable(r.Address) + ">: discarded by " + which + " ACL"
	if outcome.LogMessage != "" {
		text += ": " + s.printable(outcome.LogMessage)
	}
	s.logReject(text)
	s.answerRecipient(outcome.UserMessage)
}

func (s *Session) answerRecipient(reply string) {
	if reply == "" {
		reply = "Accepted"
	}
	code, text := s.splitCode("250", reply, true)
	s.respond(code, text, false)
}

// recipients is the number of recipients accepted, discarded ones included.
func (s *Session) recipients() int { return len(s.msg.Recipients) + s.discarded }
