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
		s.batchError("554", "Unexpected end of file")
	}
}

// batchCheck looks at the reply to a command of batch input: an error ends the input (spec 49.11).
func (s *Session) batchCheck() {
	reply := s.lastReply
	s.lastReply = ""
	if len(reply) >= 4 && (reply[0] == '4' || reply[0] == '5') {
		s.batchError(reply[:3], reply[4:])
	}
}

// batchError reports an error in batch input as spec 49.11 has it: stylized on the output, at length on the error output.
func (s *Session) batchError(code, text string) {
	s.done, s.failed, s.quit = true, true, false
	var b strings.Builder
	b.WriteString(code + " " + text + "\n")
	if s.batchStart > 0 {
		b.WriteString("Transaction started in line " + strconv.Itoa(s.batchStart) + "\n")
	}
	b.WriteString("Error detected in line " + strconv.Itoa(s.batchLine) + "\n")
	s.silent = false
	s.io.out = append(s.io.out, b.String()...)
	s.io.flush()
	s.silent = true
	long := "An error was detected while processing a file of BSMTP input.\nThe error message was:\n\n  " + code + " " + text + "\n\n"
	if s.batchStart > 0 {
		long += "The SMTP transaction started in line " + strconv.Itoa(s.batchStart) + ".\n"
	}
	long += "The error was detected in line " + strconv.Itoa(s.batchLine) + ".\n"
	if s.lastCommand != "" {
		long += "The SMTP command at fault was:\n\n   " + s.printable(s.lastCommand) + "\n\n"
	}
	switch n := s.noun.Messages; n {
	case 0:
		long += "0 previous messages were successfully processed.\n"
	case 1:
		long += "1 previous message was successfully processed.\n"
	default:
		long += strconv.Itoa(n) + " previous messages were successfully processed.\n"
	}
	long += "The rest of the batch was abandoned.\n"
	if s.start.Error != nil {
		io.WriteString(s.start.Error, long)
	}
	if s.svc.BatchError != nil {
		s.svc.BatchError(long)
	}
}
