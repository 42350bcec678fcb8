package smtpserver

import (
	"strings"

	"exigo/internal/acl"
)

// quitCommand ends the session as the client wants. The ACL for QUIT may word the reply, and nothing else.
func (s *Session) quitCommand(string) {
	s.quit, s.done = true, true
	s.incomplete("QUIT")
	text := s.hostname + " closing connection"
	if s.main.ACLSMTPQuit != "" {
		outcome := s.runACL(acl.Quit, string(s.main.ACLSMTPQuit))
		if outcome.Verdict == acl.Error {
			s.logPanic("ACL for QUIT returned ERROR: " + s.printable(outcome.LogMessage))
		}
		if outcome.UserMessage != "" {
			_, text = s.splitCode("221", outcome.UserMessage, false)
		}
	}
	s.respond("221", text, false)
	if s.logsConnection() {
		s.logMain(s.connectionInfo() + " D=" + s.elapsed() + " closed by QUIT")
	}
}

// notQuit ends a session that the client does not end with QUIT: it runs the ACL for that and sends the reply with the code, of which the ACL may word
// the text. reason is $smtp_notquit_reason (spec 44.11). With code "" the reply was sent before.
func (s *Session) notQuit(reason, code, text string) {
	if s.noun.NotQuitReason == "" && !s.silent {
		s.noun.NotQuitReason = reason
		if s.main.ACLSMTPNotQuit != "" && reason != "tls-failed" {
			outcome := s.runACL(acl.NotQuit, string(s.main.ACLSMTPNotQuit))
			if outcome.Verdict == acl.Error {
				s.logPanic("ACL for not-QUIT returned ERROR: " + s.printable(outcome.LogMessage))
			}
			if outcome.UserMessage != "" {
				text = outcome.UserMessage
			}
		}
	}
	if code != "" {
		s.respond(code, text, false)
	}
}

// rset abandons the transaction.
func (s *Session) rset(string) {
	s.incomplete("RSET")
	s.newMessage()
	s.line("250 Reset OK")
}

func (s *Session) noop(string) { s.line("250 OK") }

// help names the commands. Those of rooms are not listed, nor those that nobody may use.
func (s *Session) help(string) {
	order := []string{"AUTH", "STARTTLS", "HELO", "EHLO", "MAIL FROM:", "RCPT TO:", "DATA", "BDAT", "NOOP", "QUIT", "RSET", "HELP", "ETRN", "EXPN", "VRFY"}
	var words []string
	for _, name := range order {
		for i := range s.srv.verbs.all {
			if v := &s.srv.verbs.all[i]; v.Name == name && v.Help != nil && v.Help(s) {
				word, _, _ := strings.Cut(name, " ")
				words = append(words, word)
			}
		}
	}
	s.respond("214", "Commands supported:\n"+strings.Join(words, " "), false)
}
