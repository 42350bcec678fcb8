package smtpserver

import (
	"strconv"
	"strings"

	"exigo/internal/acl"
	"exigo/internal/eventlog"
	"exigo/internal/proto/address"
	"exigo/internal/proto/smtp"
)

// mailCommand obeys MAIL FROM: a transaction begins (RFC 5321 section 4.1.1.2).
func (s *Session) mailCommand(argument string) {
	s.mailSeen = true
	s.wasRejectedMail = true // until it is accepted
	if !s.mailAllowed(argument) {
		return
	}
	s.noun.RcptCount, s.noun.Recipients, s.rcptReply, s.rcptReplySame = 0, 0, "", false
	defer s.slowMail()
	text, refusal := s.parameters(argument, s.srv.mailParams, false)
	if refusal != nil {
		s.refuseParameter(refusal)
		return
	}
	sender, ok := s.senderAddress(text)
	if !ok || !s.sizeAllowed(sender) || !s.spaceLeft(sender) {
		return
	}
	s.msg.RawSender, s.msg.Sender, s.msg.SenderSet = sender, sender, true
	if s.declaredSize > 0 {
		s.msg.Size = s.declaredSize
	}
	s.msg.Received = s.svc.World.Clock.Now()
	reply := "OK"
	if s.main.ACLSMTPMail != "" && !s.silent {
		outcome := s.runACL(acl.Mail, string(s.main.ACLSMTPMail))
		if outcome.Verdict != acl.OK && outcome.Verdict != acl.Discard {
			s.refuse(acl.Mail, outcome, text)
			s.forgetSender()
			return
		}
		s.discarding = outcome.Verdict == acl.Discard
		if outcome.UserMessage != "" {
			reply = outcome.UserMessage
		}
	}
	s.mailAccepted(reply)
}

// mailAllowed checks that a transaction may begin.
func (s *Session) mailAllowed(argument string) bool {
	s.mails++
	switch {
	case s.maxPerConnection > 0 && s.mails > s.maxPerConnection:
		s.line("421 too many messages in this connection")
		s.logReject("rejected MAIL command " + s.who(true) + ": too many messages in one connection")
		return false
	case s.msg.SenderSet:
		s.synprot(false, 503, "sender already given")
		return false
	case argument == "":
		s.synprot(false, 501, s.word()+" must have an address operand")
		return false
	case !s.helloGiven && !s.silent && s.main.HostsRequireHELO != "" && s.helloRequired():
		s.line("503 HELO or EHLO required")
		s.logReject("rejected MAIL from " + s.who(false) + ": no HELO/EHLO given")
		return false
	}
	return true
}

// helloRequired tests hosts_require_helo.
func (s *Session) helloRequired() bool { return s.matches(string(s.main.HostsRequireHELO)) }

// word is the command word of the line at hand in upper case.
func (s *Session) word() string { return strings.ToUpper(s.lastCommand[:4]) }

// parameters takes ESMTP parameters off the end of an argument, the last one first, until one is not known; what is left is the
// address.
func (s *Session) parameters(argument string, known map[string]*Parameter, rcpt bool) (string, *Refusal) {
	if !s.noun.ESMTP && !s.silent {
		return argument, nil
	}
	for {
		rest, p, ok := smtp.CutParameter(argument)
		if !ok {
			return argument, nil
		}
		row := known[p.Name]
		if row == nil || row.Offered != nil && !row.Offered(s) {
			return unknownParameter(argument, rest, p, rcpt), nil
		}
		refusal := row.Set(s, p.Value, p.HasValue)
		if refusal != nil {
			if refusal.Unknown {
				return unknownParameter(argument, rest, p, rcpt), nil
			}
			return argument, refusal
		}
		argument = rest
	}
}

// unknownParameter is the text left when a parameter is not known. Exim, after RCPT, puts an equals sign before one without a value.
func unknownParameter(argument, rest string, p smtp.Parameter, rcpt bool) string {
	if !rcpt || p.HasValue {
		return argument
	}
	return rest + "=" + argument[len(argument)-len(p.Name):]
}

// refuseParameter answers a parameter that cannot be obeyed.
func (s *Session) refuseParameter(r *Refusal) {
	if r.Logged {
		return
	}
	s.synprot(!r.Protocol, r.Code, r.Text)
}

// addressOptions are what addresses in commands may look like.
func (s *Session) addressOptions(null bool) address.Options {
	return address.Options{AllowNull: null, AllowLiterals: true, StripTrailingDot: s.main.StripTrailingDot,
		StripExcessAngles: s.main.StripExcessAngleBrackets, AllowUTF8: s.msg.SMTPUTF8 || s.main.AllowUTF8Domains}
}

// extract reads the address of a command. problem is Exim's text for one that is malformed.
func (s *Session) extract(text string, null bool) (m address.Mailbox, problem string) {
	m, err := address.Extract(text, s.addressOptions(null))
	if err != nil {
		return m, err.Error()
	}
	if d := m.DomainPart(); strings.HasPrefix(d, "[") && !s.main.AllowDomainLiterals {
		return m, "domain literals not allowed"
	}
	return m, ""
}

// senderAddress reads and completes the sender's address.
func (s *Session) senderAddress(text string) (string, bool) {
	given := text
	if s.svc.RewriteSMTP != nil {
		text = s.svc.RewriteSMTP(s.Scope(), text, true)
	}
	m, problem := s.extract(text, true)
	if problem != "" {
		s.addressError(given, problem)
		return "", false
	}
	sender := m.Address
	if m.Domain == 0 && sender != "" {
		if !s.mayBeUnqualified(true) {
			s.unqualified("sender", "sender", given, sender)
			return "", false
		}
		sender += "@" + s.main.QualifyDomain
	}
	return sender, true
}

// addressError answers a malformed address: "501 <x@y: '>' missing at end of address".
func (s *Session) addressError(given, problem string) {
	s.addressProblem = problem
	if s.svc.Log.Has(eventlog.SMTPSyntaxError) {
		s.logMain("SMTP syntax error in \"" + s.printable(s.lastCommand) + "\" " + s.who(true) + " " + s.printable(problem))
	}
	s.event("smtp:fail:syntax", problem)
	s.synprotErrors++
	over := s.synprotErrors > s.main.SMTPMaxSynProtErrors
	s.line(replyCode(501, over) + given + ": " + problem)
	if over {
		s.tooManyErrors(501)
	}
}

// mayBeUnqualified tells whether an address may come without domain.
func (s *Session) mayBeUnqualified(sender bool) bool {
	if sender {
		return s.unqualifiedSender
	}
	return s.unqualifiedRecipient
}

// sizeAllowed refuses messages that the client says are too big.
func (s *Session) sizeAllowed(sender string) bool {
	if s.sizeLimit <= 0 || s.declaredSize <= s.sizeLimit {
		return true
	}
	s.line("552 Message size exceeds maximum permitted")
	s.logSelected(eventlog.SizeReject, "rejected MAIL FROM:<"+s.printable(sender)+"> "+s.who(true)+": message too big: size"+sizeText(s.declaredSize)+
		" max="+strconv.FormatInt(s.sizeLimit, 10))
	return false
}

// sizeText is "=12" or, for sizes that Exim cannot hold, ">=2147483647".
func sizeText(n int64) string {
	if n >= 1<<31-1 {
		return ">=2147483647"
	}
	return "=" + strconv.FormatInt(n, 10)
}

// spaceLeft checks that the disk has room (check_spool_space and its like).
func (s *Session) spaceLeft(sender string) bool {
	size := int64(0)
	if s.main.SMTPCheckSpoolSpace && s.declaredSize > 0 {
		size = s.declaredSize + 5000
	}
	if s.enough(s.svc.SpoolSpace, int64(s.main.CheckSpoolSpace), size, s.main.CheckSpoolInodes, "spool") &&
		s.enough(s.svc.LogSpace, int64(s.main.CheckLogSpace), 0, s.main.CheckLogInodes, "log") {
		return true
	}
	s.line("452 Space shortage, please try later")
	return false
}

// enough checks one file system.
func (s *Session) enough(measure func() (int64, int64), minimum, size int64, minimumInodes int, name string) bool {
	if measure == nil || minimum <= 0 && size <= 0 && minimumInodes <= 0 {
		return true
	}
	space, inodes := measure()
	if (minimum > 0 || size > 0) && space >= 0 && space < minimum+size || minimumInodes > 0 && inodes >= 0 && inodes < int64(minimumInodes) {
		s.logMain(name + " directory space check failed: space=" + strconv.FormatInt(space/1024, 10) + " inodes=" + strconv.FormatInt(inodes, 10))
		return false
	}
	return true
}

// ownSender puts an untrusted local submitter's own address in the place of the sender that it gave, when the message is read.
func (s *Session) ownSender() {
	if s.start.Untrusted && s.msg.Sender != "" && !s.untrustedMay() {
		s.msg.Sender = s.start.Sender
	}
}

// untrustedMay tests untrusted_set_sender.
func (s *Session) untrustedMay() bool {
	list := s.main.UntrustedSetSender
	if list == "" || s.svc.MatchAddress == nil {
		return false
	}
	ok, err := s.svc.MatchAddress(s.Scope(), string(list), s.msg.Sender)
	return err == nil && ok
}

// forgetSender undoes a MAIL that was refused.
func (s *Session) forgetSender() {
	s.noun.AuthSender = ""
	rejected := s.wasRejectedMail
	s.newMessage()
	s.wasRejectedMail = rejected
}

// mailAccepted answers MAIL and readies the session for RCPT.
func (s *Session) mailAccepted(reply string) {
	s.wasRejectedMail = false
	s.freeAfterMail()
	if n, err := s.expandInt(string(s.main.RecipientsMax)); err == nil {
		s.recipientsMax = int(n)
	}
	code, text := s.splitCode("250", reply, true)
	s.respond(code, text+s.mailNote, false)
	s.mailNote = ""
}

// NoteMail adds text to the reply that accepts MAIL (", PRDR Requested").
func (s *Session) NoteMail(text string) { s.mailNote += text }

// freeAfterMail makes one RSET, HELO and STARTTLS free again: they may come between messages.
func (s *Session) freeAfterMail() {
	s.rsetUncounted, s.heloUncounted, s.tlsUncounted = true, true, true
}
