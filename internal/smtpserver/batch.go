package smtpserver

import (
	"io"
	"strconv"
	"strings"
)

// batchEnd is the end of batch input: a good one unless a message is unfinished.
func (s *Session) batchEnd() {
	s.quit = true
	if s.msg.SenderSet {
		s.batchError("421", "Lost incoming connection", "")
	}
}

// batchCommand obeys a command of batch input (spec 49.11): HELO, EHLO and RSET begin anew, commands that ask something are ignored,
// and an error ends the input.
func (s *Session) batchCommand(verb *Verb, argument string) {
	switch verb.Name {
	case "HELO", "EHLO", "RSET":
		s.newMessage()
		if verb.Name != "RSET" {
			s.noun.HELO = argument
		}
		s.batchStart = s.io.line()
		return
	case "VRFY", "EXPN", "ETRN", "HELP", "NOOP":
		return
	case "QUIT":
		s.quit, s.done = true, true
		return
	case "MAIL FROM:":
		if s.msg.SenderSet {
			s.batchError("503", "Sender already given", s.lastCommand)
			return
		}
	}
	verb.Run(s, argument)
	s.batchCheck()
}

// batchCheck looks at the reply to a command of batch input: an error ends the input.
func (s *Session) batchCheck() {
	reply := s.lastReply
	s.lastReply = ""
	if len(reply) >= 4 && (reply[0] == '4' || reply[0] == '5') && !s.failed {
		text := reply[4:]
		if s.addressProblem != "" {
			text, s.addressProblem = s.addressProblem, ""
		}
		s.batchError(reply[:3], text, s.lastCommand)
	}
}

// batchError reports an error in batch input: stylized on the output, at length on the error output. command is the one at fault,
// "" for none.
func (s *Session) batchError(code, text, command string) {
	s.done, s.failed, s.quit = true, true, false
	line := s.io.line()
	if command == "" && s.bodyLost {
		line++ // the line that was not there
	}
	short := code + " " + text + "\nTransaction started in line " + strconv.Itoa(s.batchStart) + "\nError detected in line " + strconv.Itoa(line) + "\n"
	if command != "" {
		short += s.printable(command) + "\n"
	}
	s.io.out = append(s.io.out, short...)
	s.io.flush()
	var b strings.Builder
	b.WriteString("An error was detected while processing a file of BSMTP input.\nThe error message was:\n\n  " + code + " " + text + "\n\n")
	b.WriteString("The SMTP transaction started in line " + strconv.Itoa(s.batchStart) + ".\n")
	b.WriteString("The error was detected in line " + strconv.Itoa(line) + ".\n")
	if command != "" {
		b.WriteString("The SMTP command at fault was:\n\n   " + s.printable(command) + "\n\n")
	}
	b.WriteString(strconv.Itoa(s.noun.Messages) + " previous message")
	if s.noun.Messages == 1 {
		b.WriteString(" was")
	} else {
		b.WriteString("s were")
	}
	b.WriteString(" successfully processed.\nThe rest of the batch was abandoned.\n")
	if s.start.Error != nil {
		io.WriteString(s.start.Error, b.String())
	}
	if s.svc.BatchError != nil {
		s.svc.BatchError(b.String())
	}
}
