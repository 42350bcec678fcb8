package smtpserver

import (
	"strconv"
	"strings"
	"time"

	"exigo/internal/eventlog"
)

// who identifies the client in log lines: "H=name (helo) [192.0.2.1] U=ident", or with flag false without the "H=" or "U=" at
// its beginning, as in "connection from (helo) [192.0.2.1] U=ident".
func (s *Session) who(flag bool) string {
	text := s.svc.Format.HostAndIdent(s.noun)
	if !flag {
		text = strings.TrimPrefix(strings.TrimPrefix(text, "H="), "U=")
	}
	return text
}

// rejecter is who with the connection's id, as in lines about rejections by ACLs.
func (s *Session) rejecter() string {
	text := s.who(true)
	if s.svc.Log.Has(eventlog.ConnectionID) && s.noun.ConnectionID != "" {
		text += " Ci=" + s.noun.ConnectionID
	}
	return text
}

// connectionInfo is how lines about the connection as a whole name it (selector smtp_connection): "SMTP connection from ...".
func (s *Session) connectionInfo() string {
	var b strings.Builder
	b.WriteString("SMTP connection ")
	id := ""
	if s.svc.Log.Has(eventlog.ConnectionID) && s.noun.ConnectionID != "" {
		id = "Ci=" + s.noun.ConnectionID + " "
	}
	b.WriteString(id)
	b.WriteString("from ")
	switch {
	case s.start.HostChecking:
		b.WriteString(s.who(false))
	case s.start.NotSocket || !s.noun.Host.IsValid():
		ident := s.noun.Ident
		if ident == "" {
			ident = s.noun.Login
		}
		b.WriteString(s.printable(ident))
	default:
		b.WriteString(s.who(false))
		if s.svc.Log.Has(eventlog.IncomingInterface) && s.noun.Interface.IsValid() && !strings.Contains(s.who(false), " I=[") {
			b.WriteString(" I=[" + eventlog.Address(s.noun.Interface) + "]:" + strconv.Itoa(s.noun.InterfacePort))
		}
	}
	return b.String()
}

// elapsed is the D= field's value: how long the session has lasted.
func (s *Session) elapsed() string {
	return s.svc.Format.Duration(s.svc.World.Clock.Now().Sub(s.noun.Started).Truncate(time.Millisecond))
}

// history is the list of commands of the session for log lines: " C=EHLO,MAIL,QUIT", with "..." for those that were forgotten; "" for none.
func (s *Session) history() string {
	if len(s.noun.History) == 0 {
		return ""
	}
	start := " C="
	if s.historyLost {
		start = " C=...,"
	}
	return start + strings.Join(s.noun.History, ",")
}

// main, reject and panic write log lines of the session: without message id.
func (s *Session) logMain(text string) {
	s.svc.Log.Write(eventlog.Entry{To: eventlog.Main, Text: text})
}
func (s *Session) logReject(text string) {
	s.svc.Log.Write(eventlog.Entry{To: eventlog.Main | eventlog.Reject, Text: text})
}
func (s *Session) logPanic(text string) {
	s.svc.Log.Write(eventlog.Entry{To: eventlog.Main | eventlog.Panic, Text: text})
}

// logSelected writes a line to the reject log, and to the main log if the selector is on.
func (s *Session) logSelected(selector eventlog.Selector, text string) {
	to := eventlog.Reject
	if s.svc.Log.Has(selector) {
		to |= eventlog.Main
	}
	s.svc.Log.Write(eventlog.Entry{To: to, Text: text})
}

// log3 is the debugging trace.
func (s *Session) log3(direction, text string) {
	if s.start.Debug != nil {
		s.start.Debug(direction, text)
	}
}
