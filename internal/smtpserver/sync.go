package smtpserver

import (
	"strconv"

	"exigo/internal/eventlog"
)

// syncDue tells whether the client may have sent nothing beyond a command with the rule.
func (s *Session) syncDue(rule Sync) bool {
	if !s.enforceSync || s.start.NotSocket || s.silent || s.earlyPipelining {
		return false
	}
	return rule == SyncAlways || rule == SyncUnlessPipelining && !s.pipelining
}

// synchronised checks that nothing follows a command that was just read, as far as our own buffer shows.
func (s *Session) synchronised(rule Sync) bool {
	if !s.syncDue(rule) {
		return true
	}
	if input := s.io.pending(); len(input) > 0 {
		s.syncError(input)
		return false
	}
	return true
}

// lateSync checks before the reply leaves that nothing has arrived meanwhile; mark is where in the output the reply begins.
func (s *Session) lateSync(mark int) {
	input, _ := s.io.ahead()
	if len(input) == 0 {
		return
	}
	if mark <= len(s.io.out) {
		s.io.out = s.io.out[:mark]
	}
	s.syncErrorLate(input)
}

// syncErrorLate is syncError for input that arrived after the command: the log gives its length too.
func (s *Session) syncErrorLate(input []byte) {
	s.refuseInput(input, " ("+strconv.Itoa(len(input))+" bytes)")
}

// syncError refuses a client that sends before it may, and ends the session.
func (s *Session) syncError(input []byte) { s.refuseInput(input, "") }

func (s *Session) refuseInput(input []byte, size string) {
	advertised := "was not"
	if s.pipelining {
		advertised = "was"
	}
	shown := input
	if len(shown) > 150 {
		shown = shown[:150]
	}
	text := "SMTP protocol synchronization error (next input sent too soon: pipelining " + advertised + " advertised): rejected \"" +
		s.printable(s.lastCommand) + "\" " + s.who(true) + " next input=\"" + s.printable(string(shown)) + "\""
	if len(input) > len(shown) {
		text += "..."
	}
	text += size
	s.incomplete("sync failure")
	s.logReject(text)
	s.drop("synchronization-error", "554", "SMTP synchronization error")
}

// greetingSync checks that the client waits for the banner (smtp_enforce_sync).
func (s *Session) greetingSync() bool {
	if !s.syncDue(SyncAlways) {
		return true
	}
	input, _ := s.io.ahead()
	if len(input) == 0 {
		return true
	}
	shown := input
	if len(shown) > 150 {
		shown = shown[:150]
	}
	s.logReject("SMTP protocol synchronization error (input sent without waiting for greeting): rejected connection from " +
		s.who(true) + " input=\"" + s.printable(string(shown)) + "\"")
	s.drop("synchronization-error", "554", "SMTP synchronization error")
	return false
}

// tooManyNonmail counts a command that is none of a mail transaction (spec 49.6), and ends the session when there are too many.
func (s *Session) tooManyNonmail(verb string) bool {
	free := func(uncounted *bool) bool {
		was := *uncounted
		*uncounted = false
		return was
	}
	switch verb {
	case "RSET":
		if free(&s.rsetUncounted) {
			return false
		}
	case "HELO", "EHLO":
		if free(&s.heloUncounted) {
			return false
		}
	case "AUTH":
		if free(&s.authUncounted) {
			return false
		}
	case "STARTTLS":
		if free(&s.tlsUncounted) {
			return false
		}
	}
	s.nonmail++
	if s.nonmail <= s.main.SMTPAcceptMaxNonMail || s.silent {
		return false
	}
	if s.nonmailLimited == 0 {
		s.nonmailLimited = -1
		if s.matches(string(s.main.SMTPAcceptMaxNonMailHosts)) {
			s.nonmailLimited = 1
		}
	}
	if s.nonmailLimited < 0 {
		return false
	}
	s.incomplete("too many non-mail commands")
	s.logReject("SMTP call from " + s.who(false) + " dropped: too many nonmail commands (last was \"" + s.printable(firstWord(s.lastCommand)) + "\")")
	s.dropped = true
	s.drop("bad-commands", "554", "Too many nonmail commands")
	return true
}

func firstWord(line string) string {
	for i := 0; i < len(line); i++ {
		if line[i] == ' ' || line[i] == '\t' {
			return line[:i]
		}
	}
	return line
}

// noMailLog writes the line of selector smtp_no_mail for a session without MAIL.
func (s *Session) noMailLog() {
	if s.mailSeen || !s.svc.Log.Has(eventlog.SMTPNoMail) || s.start.HostChecking {
		return
	}
	text := "no MAIL in SMTP connection from " + s.who(false) + " D=" + s.elapsed()
	if s.noun.Authenticator != "" {
		text += " A=" + s.noun.Authenticator
		if s.noun.AuthID != "" {
			text += ":" + s.printable(s.noun.AuthID)
		}
	}
	text += s.tlsItems()
	s.logMain(text + s.history())
}

// tlsItems are the X=, CV=, DN= and SNI= items of lines about the session.
func (s *Session) tlsItems() string {
	t := s.noun.TLS
	if t == nil {
		return ""
	}
	text := ""
	log := s.svc.Log
	if log.Has(eventlog.TLSCipher) && t.Cipher != "" {
		text += " X=" + t.Cipher
		if log.Has(eventlog.TLSResumption) && t.Resumption&resumed != 0 {
			text += "*"
		}
	}
	if log.Has(eventlog.TLSCertificateVerified) && t.Verified {
		text += " CV=yes"
	}
	if log.Has(eventlog.TLSPeerDN) && t.PeerDN != "" {
		text += " DN=" + strconv.Quote(s.printable(t.PeerDN))
	}
	if log.Has(eventlog.TLSSNI) && t.SNI != "" {
		text += " SNI=" + s.printable(t.SNI)
	}
	return text
}

// resumed is the bit of $tls_in_resumption for a session that was resumed.
const resumed = 1 << 4
