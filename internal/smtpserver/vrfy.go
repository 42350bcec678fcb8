package smtpserver

import (
	"strings"

	"exigo/internal/acl"
	"exigo/internal/eventlog"
	"exigo/internal/mail"
)

// vrfy obeys VRFY (spec 49.7). The address is read first: the ACL can test it.
func (s *Session) vrfy(argument string) {
	text := argument
	if s.svc.RewriteSMTP != nil {
		text = s.svc.RewriteSMTP(s.Scope(), text, false)
	}
	m, problem := s.extract(text, false)
	if problem != "" {
		s.line("501 " + problem)
		return
	}
	address := m.Address
	if m.Domain == 0 {
		domain, ok := s.qualified(address, "verify", argument)
		if !ok {
			return
		}
		address += "@" + domain
	}
	outcome := acl.Outcome{Verdict: acl.Fail, LogTargets: acl.LogMain | acl.LogReject}
	if s.main.ACLSMTPVRFY != "" {
		scope := s.Scope()
		scope.Recipient = &mail.Recipient{Address: address, Parent: -1}
		outcome = s.runACL(acl.VRFY, string(s.main.ACLSMTPVRFY))
		scope.Recipient = nil
	}
	if outcome.Verdict != acl.OK && outcome.Verdict != acl.Discard {
		s.refuse(acl.VRFY, outcome, argument)
		return
	}
	if s.svc.Verify == nil {
		s.line("252 Cannot verify addresses")
		return
	}
	result := s.svc.Verify(s.ctx, s.Scope(), address)
	switch result.Result {
	case acl.OK:
		s.line("250 <" + address + "> is deliverable")
	case acl.Defer, acl.Error:
		text := "Cannot resolve <" + address + "> at this time"
		if result.UserMessage != "" {
			text = "<" + address + "> " + result.UserMessage
		}
		s.line("451 " + text)
	default:
		text := "<" + address + "> is not deliverable"
		if result.UserMessage != "" {
			text = "<" + address + "> " + result.UserMessage
		}
		s.line("550 " + text)
		s.logMain("VRFY failed for " + s.printable(argument) + " " + s.who(true))
	}
}

// expn obeys EXPN (spec 49.7).
func (s *Session) expn(argument string) {
	outcome := acl.Outcome{Verdict: acl.Fail, LogTargets: acl.LogMain | acl.LogReject}
	if s.main.ACLSMTPEXPN != "" {
		outcome = s.runACL(acl.EXPN, string(s.main.ACLSMTPEXPN))
	}
	if outcome.Verdict != acl.OK && outcome.Verdict != acl.Discard {
		s.refuse(acl.EXPN, outcome, argument)
		return
	}
	if s.svc.List == nil {
		s.line("550 EXPN not available")
		return
	}
	address := argument
	if !strings.Contains(address, "@") {
		address += "@" + s.main.QualifyDomain
	}
	s.rawReply(s.svc.List(s.ctx, s.Scope(), address))
}

// etrn obeys ETRN (spec 49.8).
func (s *Session) etrn(argument string) {
	if s.msg.SenderSet {
		s.synprot(false, 503, "ETRN is not permitted inside a transaction")
		return
	}
	if s.svc.Log.Has(eventlog.ETRN) {
		s.logMain("ETRN " + s.printable(argument) + " received from " + s.who(false))
	}
	outcome := acl.Outcome{Verdict: acl.Fail, LogTargets: acl.LogMain | acl.LogReject}
	if s.main.ACLSMTPETRN != "" {
		outcome = s.runACL(acl.ETRN, string(s.main.ACLSMTPETRN))
	}
	if outcome.Verdict != acl.OK && outcome.Verdict != acl.Discard {
		s.refuse(acl.ETRN, outcome, argument)
		return
	}
	if s.main.SMTPETRNCommand != "" {
		s.etrnCommand(argument)
		return
	}
	if !strings.HasPrefix(argument, "#") {
		s.synprot(true, 501, "argument must begin with #")
		return
	}
	release, ok := s.etrnLock("etrn-#" + argument[1:])
	if !ok {
		return
	}
	if s.start.HostChecking {
		release()
		s.line("250 OK")
		return
	}
	if s.svc.StartQueueRun == nil {
		release()
		s.line("458 Unable to start process")
		return
	}
	if err := s.svc.StartQueueRun(argument[1:], s.msg.Queue, release); err != nil {
		release()
		s.logPanic("failed to start queue run for ETRN: " + s.printable(err.Error()))
		s.line("458 Unable to start process")
		return
	}
	s.line("250 OK")
}

// etrnLock obeys smtp_etrn_serialize; when another run holds the lock it answers the client.
func (s *Session) etrnLock(key string) (release func(), ok bool) {
	if !s.main.SMTPETRNSerialize || s.svc.ETRNLock == nil || s.start.HostChecking {
		return func() {}, true
	}
	busy, release := s.svc.ETRNLock(key)
	if busy {
		s.line("458 Already processing " + s.noun.Argument)
		return nil, false
	}
	return release, true
}

// etrnCommand runs smtp_etrn_command. Its failure is the administrator's concern, not the client's.
func (s *Session) etrnCommand(argument string) {
	scope := s.Scope()
	words, err := splitCommand(string(s.main.SMTPETRNCommand))
	scope.Extra["domain"] = taint(argument)
	for i := range words {
		if err != nil {
			break
		}
		var v value
		if v, err = s.svc.Engine.Expand(scope, words[i]); err == nil {
			words[i] = v.S
		}
	}
	delete(scope.Extra, "domain")
	if err != nil {
		s.logPanic("failed to set up ETRN command: " + s.printable(err.Error()))
		s.line("458 Internal failure")
		return
	}
	release, ok := s.etrnLock("etrn-" + strings.Join(words, " "))
	if !ok {
		return
	}
	if s.start.HostChecking || s.svc.StartCommand == nil {
		release()
		s.line("250 OK")
		return
	}
	if err := s.svc.StartCommand(words, release); err != nil {
		release()
		s.logPanic("exec of \"" + s.printable(strings.Join(words, " ")) + "\" (smtp_etrn_command) failed: " + s.printable(err.Error()))
	}
	s.line("250 OK")
}

// splitCommand divides a command into words as for pipes: quoted strings are one word.
func splitCommand(text string) ([]string, error) {
	var words []string
	for {
		text = strings.TrimLeft(text, " \t\n")
		if text == "" {
			return words, nil
		}
		var word strings.Builder
		depth := 0
		for text != "" && (depth > 0 || !strings.ContainsRune(" \t\n", rune(text[0]))) {
			c := text[0]
			text = text[1:]
			switch {
			case c == '{':
				depth++
			case c == '}' && depth > 0:
				depth--
			case (c == '"' || c == '\'') && depth == 0 && word.Len() == 0:
				end := strings.IndexByte(text, c)
				if end < 0 {
					return nil, errUnterminated
				}
				word.WriteString(text[:end])
				text = text[end+1:]
				continue
			}
			word.WriteByte(c)
		}
		words = append(words, word.String())
	}
}
