package submit

import (
	"bufio"
	"context"
	"errors"
	"io"
	"slices"

	"exigo/internal/acl"
	"exigo/internal/eventlog"
	"exigo/internal/expand"
	"exigo/internal/mail"
	"exigo/internal/proto/header"
	"exigo/internal/spool"
)

// reception is one message on its way in.
type reception struct {
	r   *Receiver
	ctx context.Context
	in  *Input
	m   *mail.Message
	s   *expand.Scope

	header   header.Result
	resent   bool
	created  bool // we made the Message-ID
	received int  // index of our Received: line, -1 for none
	incoming *spool.Incoming
	limit    int64
	read     int64 // bytes of the message so far
	longest  int   // longest line
	writers  []io.WriteCloser
	onward   Onward
	ended    bool // the rooms know of the end
	// spoolOnly says that a room wants the message routed from the spool.
	spoolOnly bool
	result    Result
	// bad are recipients of -t that could not be read.
	bad        []BadAddress
	suppressed bool
}

// Receive reads one message and deals with it. When it returns with Result.Accepted the message is safe on disk.
func (r *Receiver) Receive(ctx context.Context, in *Input) Result {
	x := &reception{r: r, ctx: ctx, in: in, m: in.Message, s: in.Scope, received: -1, limit: in.SizeLimit}
	if x.m.Received.IsZero() {
		x.m.Received = r.now()
	}
	x.origin()
	x.start()
	defer x.cleanup()
	switch {
	case !x.readHeader() || !x.complete() || !x.readBody():
	case in.Probe:
		x.keepProbe()
	case x.check():
		x.keep()
	}
	return x.result
}

// origin settles who the submitter of a local message is. In SMTP, one who is not trusted cannot say who he is, unless
// untrusted_set_sender lets him; not even the null sender counts.
func (x *reception) origin() {
	s := x.m.Session
	mail.State[latch](&s.Bag)
	if s.SMTP && len(x.m.Recipients) == 0 && x.in.Discarded == "" {
		x.in.Discarded = "RCPT ACL" // there were some, but an ACL threw them away
	}
	if !x.local() {
		main := x.r.s.Main
		x.m.AllowUnqualifiedSender = x.m.AllowUnqualifiedSender || x.matchesHost(string(main.SenderUnqualifiedHosts))
		x.m.AllowUnqualifiedRecipient = x.m.AllowUnqualifiedRecipient || x.matchesHost(string(main.RecipientUnqualifiedHosts))
		return
	}
	if x.in.OwnAddress == "" && s.Login != "" {
		x.in.OwnAddress = x.r.OwnAddress(Caller{Login: s.Login})
	}
	if s.SMTP && !s.Trusted && x.in.OwnAddress != "" && !x.r.maySet(x.s, x.m.Sender) {
		x.m.Sender = x.in.OwnAddress
	}
}

// matchesHost tests the client against a host list.
func (x *reception) matchesHost(list string) bool {
	if list == "" || x.r.s.MatchHost == nil {
		return false
	}
	ok, err := x.r.s.MatchHost(x.s, list, x.m.Session.HostName, x.m.Session)
	return ok && err == nil
}

// start runs the ACL for the start of messages that do not come in a real SMTP session; it cannot refuse anything.
func (x *reception) start() {
	if text := string(x.r.s.Main.ACLNotSMTPStart); text != "" && (!x.m.Session.SMTP || x.m.Session.Batch) {
		x.r.s.RunACL(x.ctx, x.s, acl.NotSMTPStart, text)
	}
}

// end tells the rooms how the reception ended. A message that was handed on is another goroutine's: for it this comes before.
func (x *reception) end() {
	if x.ended {
		return
	}
	x.ended = true
	for _, room := range x.r.s.Rooms {
		if room.Ended != nil {
			room.Ended(x.s, x.m, &x.result)
		}
	}
	x.m.AsArrived = nil
}

// cleanup throws away what is not kept.
func (x *reception) cleanup() {
	x.end()
	for _, w := range x.writers {
		w.Close()
	}
	if x.onward != nil {
		x.onward.Close()
	}
	if x.incoming != nil {
		x.incoming.Abort()
	}
}

// fail ends the reception with a failure.
func (x *reception) fail(f Failure, reply string) bool {
	x.result.Failure = &f
	x.result.Reply = reply
	return false
}

// local tells whether the message came from this machine without TCP.
func (x *reception) local() bool { return !x.m.Session.Host.IsValid() }

func (x *reception) log(to eventlog.Stream, text string, rejected bool) {
	e := eventlog.Entry{To: to, ID: x.m.ID, Text: text}
	if rejected {
		e.Rejected = x.m
	}
	x.r.s.Log.Write(e)
}

// readHeader reads the header section.
func (x *reception) readHeader() bool {
	if x.limit < 0 {
		x.limit = x.r.sizeLimit(x.s)
	}
	main := x.r.s.Main
	source := header.Source(x.in.Source)
	var first []byte
	if x.in.FromLine {
		var err error
		if first, err = x.fromLines(); err != nil && err != io.EOF && err != bufio.ErrBufferFull {
			return x.readError(err, true)
		}
		source = &pushback{Source: source, first: first, err: err}
	}
	var err error
	x.header, err = header.Read(&measuring{Source: source, x: x}, header.Limits{Line: main.HeaderLineMaxSize, Total: main.HeaderMaxSize})
	switch {
	case err == nil:
		for _, f := range x.header.Fields {
			x.m.Headers = append(x.m.Headers, mail.Header(f))
		}
		x.m.AsArrived = slices.Clone(x.m.Headers)
		x.m.CountLines()
		x.in.Source.EndHeader()
		return true
	case errors.Is(err, header.ErrLineTooLong):
		return x.overlong("overlong message header line received from ", main.HeaderLineMaxSize, HeaderLineTooLong, "552 A message header line is too long")
	case errors.Is(err, header.ErrTooLong):
		return x.overlong("ridiculously long message header received from ", main.HeaderMaxSize, HeaderTooLong, "552 Message header is ridiculously long")
	}
	return x.readError(err, true)
}

func (x *reception) overlong(text string, limit int, kind FailureKind, reply string) bool {
	for _, f := range x.header.Fields {
		x.m.Headers = append(x.m.Headers, mail.Header(f))
	}
	who := x.m.Session.Ident
	if !x.local() {
		who = x.r.s.Format.FullHost(x.m.Session)
	}
	x.log(eventlog.Main, text+who+" (more than "+itoa(limit)+" characters): message abandoned", false)
	return x.fail(Failure{Kind: kind, Limit: int64(limit)}, reply)
}

func (x *reception) readError(err error, inHeader bool) bool {
	x.result.ReadError, x.result.InHeader = err, inHeader
	return false
}

// measuring counts bytes and finds the longest line on the way from the source.
type measuring struct {
	header.Source
	x    *reception
	line int
}

// ReadSlice implements header.Source.
func (c *measuring) ReadSlice(delim byte) ([]byte, error) {
	p, err := c.Source.ReadSlice(delim)
	c.x.read += int64(len(p))
	c.line += len(p)
	if len(p) > 0 && p[len(p)-1] == '\n' {
		c.x.longest = max(c.x.longest, c.line-1)
		c.line = 0
	}
	return p, err
}

// pushback gives back a piece that was read to look at it.
type pushback struct {
	header.Source
	first []byte
	err   error // that came with it
}

// ReadSlice implements header.Source.
func (p *pushback) ReadSlice(delim byte) ([]byte, error) {
	if p.first != nil {
		first := p.first
		p.first = nil
		return first, p.err
	}
	return p.Source.ReadSlice(delim)
}

// Peek implements header.Source.
func (p *pushback) Peek(n int) ([]byte, error) {
	if p.first != nil {
		return p.first[:min(n, len(p.first))], nil
	}
	return p.Source.Peek(n)
}

// sizeLimit expands message_size_limit: 0 for no limit.
func (r *Receiver) sizeLimit(s *expand.Scope) int64 {
	n, err := r.s.Engine.ExpandInt(s, string(r.s.Main.MessageSizeLimit))
	if err != nil {
		r.s.Log.Panicf("", "unable to expand message_size_limit: %s", err)
		return 0
	}
	return n
}

// readBody streams the rest of the message into the spool.
func (x *reception) readBody() bool {
	s := x.r.s
	incoming, err := s.Spool.Create(x.m.ID, x.m.Queue)
	if err != nil {
		return x.spoolFailure(err)
	}
	x.incoming = incoming
	for _, room := range s.Rooms {
		if room.Body == nil {
			continue
		}
		if w := room.Body(x.ctx, x.s, x.m); w != nil {
			x.writers = append(x.writers, w)
		}
	}
	x.startOnward()
	b := &body{x: x, limit: x.limit}
	if len(x.header.Rest) > 0 {
		x.read -= int64(len(x.header.Rest)) // it was counted when it was taken for a header line
		b.Write(x.header.Rest)
	}
	if !x.header.EOF {
		if _, err := x.in.Source.WriteTo(b); err != nil && b.err == nil {
			if errors.Is(err, errTooBig) {
				return x.tooBig()
			}
			return x.readError(err, false)
		}
	}
	b.finish()
	if b.err != nil {
		return x.spoolFailure(b.err)
	}
	x.m.BodySize, x.m.BodyLines, x.m.BodyZeros = incoming.Size(), incoming.Lines(), incoming.Zeros()
	x.m.Lines += 1 + x.m.BodyLines
	x.m.MaxReceivedLine = x.longest
	x.m.DataPath, x.m.DataOffset = incoming.Path(), incoming.Offset()
	if x.limit > 0 && x.read > x.limit {
		return x.tooBig()
	}
	for _, w := range x.writers {
		w.Close()
	}
	x.writers = nil
	return true
}

// tooBig refuses a message that exceeds message_size_limit.
func (x *reception) tooBig() bool {
	if x.received >= 0 {
		// What is sent back and shown in the reject log is the message as it was before it had come in.
		x.m.Headers = append(x.m.Headers[:x.received], x.m.Headers[x.received+1:]...)
		x.received = -1
	}
	who := x.r.s.Format.HostAndIdent(x.m.Session)
	text := "rejected from <" + x.m.Sender + ">"
	if who != "" {
		text += " " + who
	}
	x.log(eventlog.Main|eventlog.Reject, text+": message too big: read="+itoa(int(x.read))+" max="+itoa(int(x.limit)), true)
	return x.fail(Failure{Kind: TooBig, Limit: x.limit}, "552 Message size exceeds maximum permitted")
}

func (x *reception) spoolFailure(err error) bool {
	x.log(eventlog.Main|eventlog.Panic, err.Error(), false)
	return x.fail(Failure{Kind: SpoolFailure, Err: err}, "421 Service temporarily unavailable, closing connection")
}

var errTooBig = errors.New("message too big")

// body takes the body of a message: it writes to the spool and to rooms, counts, and stops writing at the size limit.
type body struct {
	x     *reception
	limit int64
	line  int
	ended bool // the last byte was a newline
	any   bool
	err   error // of the spool
}

// Write implements io.Writer. Bytes beyond the limit are counted and thrown away; from local sources reading stops.
func (b *body) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	b.x.read += int64(len(p))
	if b.limit > 0 && b.x.read > b.limit {
		if !b.x.m.Session.SMTP {
			b.x.read = b.limit + 1
			return 0, errTooBig
		}
		return len(p), nil
	}
	b.measure(p)
	b.any, b.ended = true, p[len(p)-1] == '\n'
	if b.err == nil {
		if _, b.err = b.x.incoming.Write(p); b.err != nil {
			return len(p), nil // the rest is read to keep the session in step
		}
	}
	for _, w := range b.x.writers {
		w.Write(p)
	}
	if b.x.onward != nil {
		b.x.onward.Write(p)
	}
	return len(p), nil
}

// measure finds the longest line.
func (b *body) measure(p []byte) {
	for len(p) > 0 {
		i := indexNewline(p)
		if i < 0 {
			b.line += len(p)
			return
		}
		b.x.longest = max(b.x.longest, b.line+i)
		b.line = 0
		p = p[i+1:]
	}
}

// finish ends an unfinished last line.
func (b *body) finish() {
	if b.any && !b.ended {
		b.Write([]byte{'\n'})
	}
}

// refuse ends the reception with the outcome of an ACL.
func (x *reception) refuse(phase acl.Phase, o acl.Outcome) bool {
	x.result.Refused, x.result.Phase = &o, phase
	return false
}
