package smtpserver

import (
	"bufio"
	"errors"
	"io"
	"strings"

	"exigo/internal/acl"
	"exigo/internal/eventlog"
	"exigo/internal/proto/smtp"
)

// data obeys DATA (RFC 5321 section 4.1.1.4).
func (s *Session) data(string) {
	s.earlyPipelining = false
	if s.recipients() == 0 {
		s.noRecipients("DATA")
		return
	}
	if !s.dataAllowed() {
		return
	}
	if s.main.ACLSMTPPredata != "" && !s.silent {
		outcome := s.runACL(acl.Predata, string(s.main.ACLSMTPPredata))
		s.applyControls()
		if outcome.Verdict != acl.OK && outcome.Verdict != acl.Discard {
			s.refuse(acl.Predata, outcome, "")
			return
		}
	}
	if s.syncDue(SyncAlways) {
		if input, _ := s.io.ahead(); len(input) > 0 {
			s.syncErrorLate(input)
			return
		}
	}
	s.line(`354 Enter message, ending with "." on a line by itself`)
	s.receive(smtp.NewDataReader(s.io.buffered(), smtp.DataOptions{LineEnds: smtp.LineEndsFirst, Dots: true}), false)
}

// noRecipients answers DATA or BDAT without recipients (spec 49.5: after pipelined RCPT commands that failed this is expected).
func (s *Session) noRecipients(verb string) {
	if s.rcptReplySame && s.rcptReply != "" && !s.noMultiline {
		s.respond("503", "All RCPT commands were rejected with this error:", true)
		s.respond("503", s.rcptReply, true)
	}
	if s.pipelining && s.lastWasRcpt {
		s.line("503 Valid RCPT command must precede " + verb)
		return
	}
	s.synprot(false, 503, "valid RCPT command must precede "+verb)
}

// dataAllowed refuses a message that had too many recipients, with recipients_max_reject.
func (s *Session) dataAllowed() bool {
	if s.recipientsOver && s.main.RecipientsMaxReject {
		s.newMessage()
		s.line("554 Too many recipients")
		return false
	}
	return true
}

// receive hands the message over to the reception and words the reply. The transaction is over afterwards.
func (s *Session) receive(data *smtp.DataReader, chunked bool) {
	s.ownSender()
	r := &Reception{Session: s.noun, Message: s.msg, Scope: s.Scope(), Data: data, Chunked: chunked, SizeLimit: s.sizeLimit}
	s.setProtocol()
	switch {
	case s.pipelined:
		r.Pipelining = "L"
	case s.pipelining:
		r.Pipelining = "L-"
	}
	r.Discarded = s.discardedBy
	r.QueueOnly, r.QueueReason = s.queueOnly()
	r.Alive = func() bool {
		if !s.alive(chunked) {
			return false
		}
		s.leaveNoun()
		return true
	}
	result := s.svc.Receive(s.ctx, r)
	s.msgTaken = result.Accepted
	if result.ReadError != nil {
		s.dataSeen = data.Octets
		s.receptionEnded(result)
		return
	}
	if !s.drain(data, result) {
		return
	}
	switch {
	case result.Refused != nil:
		s.refuseMessage(r.Message, result)
	case result.Reply != "":
		if chunked && strings.HasPrefix(result.Reply, "250 OK") {
			s.line(s.chunks.note())
		}
		s.rawReply(result.Reply)
	}
	if result.Accepted && s.start.HostChecking {
		s.io.out = append(s.io.out, "\n**** SMTP testing: that is not a real message id!\n\n"...)
	}
	if result.Accepted {
		s.noun.Messages++
		if s.svc.Accepted != nil {
			s.svc.Accepted(s.noun)
		}
	}
	s.afterMessage()
	if result.Close {
		s.drop("acl-drop", "", "")
	}
}

// drainLimit bounds how much of a message that was refused early is read to its end.
const drainLimit = 1 << 40

// drain reads what the reception left of a message, so that the session can go on.
func (s *Session) drain(data *smtp.DataReader, result Received) bool {
	if _, err := data.Drain(drainLimit); err != nil {
		result.ReadError = err
		s.receptionEnded(result)
		return false
	}
	return true
}

// rawReply gives a reply whose lines have their codes.
func (s *Session) rawReply(text string) {
	for {
		first, rest, more := strings.Cut(text, "\n")
		s.line(first)
		if !more {
			return
		}
		text = rest
	}
}

// afterMessage readies the session for the next transaction.
func (s *Session) afterMessage() {
	s.newMessage()
	s.freeAfterMail()
	if s.start.Batch {
		s.batchStart = s.io.line()
	}
}

// setProtocol sets $received_protocol (spec 11.9).
func (s *Session) setProtocol() {
	if s.msg.Protocol != "" {
		return
	}
	if s.msg.Protocol = s.start.Protocol; s.msg.Protocol == "" {
		s.msg.Protocol = s.protocol()
		for _, x := range s.srv.extensions {
			if x.Protocol != nil {
				s.msg.Protocol = x.Protocol(s, s.msg.Protocol)
			}
		}
	}
}

func (s *Session) protocol() string {
	n := s.noun
	name := "smtp"
	if s.silent {
		name = "bsmtp"
	} else if n.ESMTP {
		name = "esmtp"
	}
	if n.TLS != nil && !s.silent {
		switch {
		case !n.TLS.OnConnect || !n.ESMTP:
			name += "s"
		case s.svc.Log.Has(eventlog.TLSOnConnect):
			name = "essmtp" // the selector is about the name of the protocol wherever it stands
		default:
			name = "esmtps"
		}
	}
	if n.Authenticator != "" && !s.silent {
		name += "a"
	}
	if s.msg.SMTPUTF8 && n.ESMTP {
		name = "utf8" + name
	}
	if !n.Host.IsValid() {
		name = "local-" + name
	}
	return name
}

// queueOnly tells whether the message only goes to the queue because of limits on connections, and why.
func (s *Session) queueOnly() (bool, string) {
	if s.start.QueueOnly {
		return true, ""
	}
	if limit := s.main.SMTPAcceptQueuePerConnection; limit > 0 && s.noun.Messages >= limit {
		return true, "more than " + itoa(limit) + " messages received in one connection"
	}
	return false, ""
}

// alive is asked before a message is kept: whether the client is still there, and has not sent before its time.
func (s *Session) alive(chunked bool) bool {
	if s.silent || s.start.NotSocket || chunked {
		return true
	}
	input, gone := s.io.ahead()
	if gone {
		s.clientGone = true
		return false
	}
	if len(input) > 0 && s.syncDue(SyncAlways) && !s.pipelining {
		s.syncErrorLate(input)
		return false
	}
	return true
}

// receptionEnded answers a message that could not be read to its end.
func (s *Session) receptionEnded(r Received) {
	s.done, s.failed = true, true
	if r.InHeader { // Exim gives a message its id after the header section
		r.ID, s.msg.ID = "", ""
	}
	var aborted *abortError
	switch {
	case errors.As(r.ReadError, &aborted):
		s.done, s.failed = aborted.end, aborted.failed
		switch {
		case aborted.lost:
			s.logLost(r)
		case aborted.bareLF:
			s.refuseBareLF()
		}
		s.afterMessage()
		return
	case errors.Is(r.ReadError, errTimeout):
		if s.svc.Log.Has(eventlog.LostIncomingConnection) {
			id := r.ID
			if r.InHeader {
				id = ""
			}
			s.svc.Log.Write(eventlog.Entry{To: eventlog.Main, ID: id, Text: "SMTP data timeout (message abandoned) on " + s.transportName() +
				"connection from " + s.who(false) + " F=<" + s.printable(s.msg.Sender) + "> D=" + s.elapsed()})
		}
		s.notQuit("data-timeout", "421", s.hostname+" SMTP incoming data timeout - closing connection.")
	case s.ctx.Err() != nil:
		s.svc.Log.Write(eventlog.Entry{To: eventlog.Main, ID: r.ID, Text: "SMTP connection from " + s.who(false) + " closed after SIGTERM"})
		s.notQuit("signal-exit", "421", s.hostname+" Service not available - closing connection")
	case s.clientGone:
		if s.svc.Log.Has(eventlog.LostIncomingConnection) {
			s.svc.Log.Write(eventlog.Entry{To: eventlog.Main, ID: r.ID, Text: "SMTP connection lost after final dot " + s.who(true) + " P=" + s.msg.Protocol})
		}
		s.notQuit("connection-lost", "", "")
	case s.failed && s.noun.NotQuitReason != "": // the synchronisation error is answered and logged
	default:
		s.logLost(r)
		if s.start.Batch {
			s.bodyLost = !r.InHeader
			s.batchError("421", "Lost incoming connection", "")
			return
		}
		s.notQuit("connection-lost", "421", "Lost incoming connection")
	}
	s.io.flush()
}

// logLost logs that the input ended within a message: in its header section, after a line of it, or in the body.
func (s *Session) logLost(r Received) {
	if !s.svc.Log.Has(eventlog.LostIncomingConnection) {
		return
	}
	where := ""
	if r.InHeader {
		where = " (header)"
		if s.dataSeen > 0 && s.io.lastByte == '\n' {
			where = " (after header)"
		}
	}
	s.svc.Log.Write(eventlog.Entry{To: eventlog.Main, ID: r.ID, Text: s.connectionInfo() + " lost while reading message data" + where})
}

// abortError ends the reading of a message in chunks because of a command between them.
type abortError struct {
	end, failed bool // the session is over too
	lost        bool // it is logged like a lost connection
	bareLF      bool // not the client has ended the message but we: its header is malformed
}

func (*abortError) Error() string { return "message abandoned by the client" }

// chunkState is a message that arrives by BDAT.
type chunkState struct {
	session *Session
	left    int64 // of the current chunk
	last    bool
	size    int64 // of the current chunk
	total   int64
	aborted error
	// unfinished: the last byte ends no line.
	unfinished bool
	// broken: a command that may not come between chunks was given.
	broken bool
	header headerWatch
}

// note is the line before the final reply of a message in chunks.
func (c *chunkState) note() string {
	total := c.total
	if c.unfinished {
		total += 2
	}
	if c.header.inserted {
		total++
	}
	return "250- " + itoa64(c.size) + " byte chunk, total " + itoa64(total)
}

// Read implements io.Reader: the bytes of the chunks, one after the other, commands between them obeyed.
func (c *chunkState) Read(p []byte) (int, error) {
	for c.left == 0 {
		if c.aborted != nil {
			return 0, c.aborted
		}
		if c.last {
			return 0, io.EOF
		}
		c.session.line("250 " + itoa64(c.size) + " byte chunk received")
		if c.aborted = c.session.nextChunk(c); c.aborted != nil {
			return 0, c.aborted
		}
	}
	if int64(len(p)) > c.left {
		p = p[:c.left]
	}
	n, err := c.session.io.take(p)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	if n > 0 {
		c.left -= int64(n)
		c.total += int64(n)
		c.unfinished = p[n-1] != '\n'
		if !c.header.see(p[:n]) {
			c.aborted = &abortError{bareLF: true}
			return 0, c.aborted
		}
	}
	c.aborted = err
	return n, err
}

// chunkReaders are the buffers between chunks and the reader of the message.
func newChunkReader(c *chunkState) *bufio.Reader { return bufio.NewReaderSize(c, readBuffer) }
