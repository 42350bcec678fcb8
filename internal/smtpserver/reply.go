package smtpserver

import (
	"strings"

	"exigo/internal/eventlog"
)

// line puts one reply line with its code into the output: s.line("250 OK").
func (s *Session) line(text string) {
	if s.noteRcpt {
		s.noteReply(text)
	}
	s.log3("<<", text)
	if s.silent {
		s.lastReply = text
		return
	}
	s.io.out = appendClean(s.io.out, text)
	s.io.out = append(s.io.out, '\r', '\n')
}

// appendClean appends a reply line without control characters.
func appendClean(dst []byte, text string) []byte {
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c < ' ' && c != '\t' || c == 0x7f {
			c = '?'
		}
		dst = append(dst, c)
	}
	return dst
}

// respond puts a reply of one or more lines into the output. code is the reply code, with an enhanced code after a space if
// there is one ("599 5.2.3"). more says that further lines of the reply follow. Space at the beginning of further lines, and empty ones, are left out.
func (s *Session) respond(code, text string, more bool) {
	if s.noteRcpt {
		if !more {
			s.noteReply(text)
		}
		s.noteRcpt = false
		defer func() { s.noteRcpt = true }()
	}
	text = strings.TrimRight(text, "\n")
	digits, enhanced := code[:3], code[3:]
	if enhanced != "" {
		enhanced = enhanced[1:] + " "
	}
	for {
		first, rest, found := strings.Cut(text, "\n")
		if !found && !more {
			s.line(digits + " " + enhanced + first)
			return
		}
		s.line(digits + "-" + enhanced + first)
		if !found {
			return
		}
		text = strings.TrimLeft(rest, " \t\n")
	}
}

// noteReply remembers a reply to RCPT, for the text after DATA when all recipients were refused (spec: "All RCPT commands were
// rejected with this error").
func (s *Session) noteReply(text string) {
	switch {
	case s.rcptReply == "":
		s.rcptReply = text
		s.rcptReplySame = true
	case s.rcptReply != text:
		s.rcptReplySame = false
	}
}

// printable makes text of the client fit for a log line.
func (s *Session) printable(text string) string {
	return eventlog.Printable(text, s.svc.Format.TopBit)
}
