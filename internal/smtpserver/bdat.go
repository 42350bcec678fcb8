package smtpserver

import (
	"io"
	"strconv"
	"strings"

	"exigo/internal/eventlog"
	"exigo/internal/proto/smtp"
)

func itoa(n int) string     { return strconv.Itoa(n) }
func itoa64(n int64) string { return strconv.FormatInt(n, 10) }

// bdat obeys BDAT (RFC 3030): the first chunk of a message. Further chunks are read by nextChunk while the message is received. The ACL for the
// beginning of data is not run (spec 44.6).
func (s *Session) bdat(argument string) {
	s.earlyPipelining = false
	if !s.chunking {
		s.synprot(false, 503, "BDAT command used when CHUNKING not advertised")
		return
	}
	size, last, ok := s.chunkSize(argument)
	if !ok {
		return
	}
	if s.recipients() == 0 {
		s.skipChunk(size)
		if !s.done {
			s.noRecipients("BDAT")
		}
		return
	}
	if size == 0 && !last {
		s.synprot(false, 504, "zero size for BDAT command")
		return
	}
	if !s.dataAllowed() {
		s.skipChunk(size)
		return
	}
	s.chunks = &chunkState{session: s, left: size, size: size, last: last}
	chunks := s.chunks
	s.receiveChunks(chunks)
}

// receiveChunks receives a message and gives the size of its last chunk with the reply.
func (s *Session) receiveChunks(c *chunkState) {
	reader := smtp.NewDataReader(newChunkReader(c), smtp.DataOptions{LineEnds: smtp.LineEndsRepair})
	s.receive(reader, true)
}

// chunkSize reads the argument of BDAT.
func (s *Session) chunkSize(argument string) (size int64, last, ok bool) {
	word, rest, _ := strings.Cut(argument, " ")
	size, err := smtp.ParseSize(word)
	if err != nil {
		s.synprot(false, 501, "missing size for BDAT command")
		return 0, false, false
	}
	return size, strings.EqualFold(strings.TrimSpace(rest), "LAST"), true
}

// skipChunk throws a chunk away.
func (s *Session) skipChunk(size int64) {
	for size > 0 {
		r, err := s.io.input()
		if err == nil {
			_, err = r.Peek(1) // what input waited for need not be in the buffer yet
		}
		if err != nil {
			s.inputEnded(err)
			return
		}
		n := int64(r.Buffered())
		if n > size {
			n = size
		}
		r.Discard(int(n))
		size -= n
	}
}

// nextChunk obeys commands between chunks until there is another one; an error ends the message.
func (s *Session) nextChunk(c *chunkState) error {
	for {
		line, nul, tooLong, err := s.io.readLine()
		if err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
		if nul || tooLong {
			s.badLine(line, nul)
		} else if more, err := s.betweenChunks(c, line); more || err != nil {
			return err
		}
		if s.done {
			return &abortError{end: true, failed: true}
		}
	}
}

// betweenChunks obeys one command between chunks; next says that there is another chunk. After a wrong command nothing but RSET (or
// QUIT) leads on.
func (s *Session) betweenChunks(c *chunkState, line string) (next bool, err error) {
	s.log3(">>", line)
	s.lastCommand = line
	verb, argument := s.srv.verbs.find(line)
	name := ""
	if verb != nil {
		name = verb.Name
		s.remember(name)
	}
	switch {
	case name == "RSET":
		s.incomplete("RSET")
		s.line("250 Reset OK")
		return false, &abortError{}
	case name == "QUIT":
		s.quitCommand(argument)
		return false, &abortError{end: true, lost: true}
	case c.broken:
		s.synprot(false, 503, "only RSET accepted now")
	case name == "NOOP":
		s.line("250 OK")
	case name == "BDAT":
		size, last, ok := s.chunkSize(argument)
		if ok && (size > 0 || last) {
			c.left, c.size, c.last = size, size, last
			return true, nil
		}
		if ok {
			s.synprot(false, 504, "zero size for BDAT command")
		}
		c.broken = true
	default:
		s.synprot(false, 503, "only BDAT permissible after non-LAST BDAT")
		c.broken = true
	}
	return false, nil
}

// refuseBareLF answers a message in chunks whose header has lines that end with LF alone.
func (s *Session) refuseBareLF() {
	c := s.chunks
	s.skipChunk(c.left)
	if s.done {
		return
	}
	s.msg.Headers = c.header.headers()
	s.svc.Log.Write(eventlog.Entry{To: eventlog.Main | eventlog.Reject, Rejected: s.msg, Text: "rejected from <" + s.printable(s.msg.Sender) + "> " +
		s.who(true) + ": Non-CRLF-terminated header, under CHUNKING: message abandoned"})
	s.line("552 Message header not CRLF terminated")
}
