// Package smtpclient is an outgoing SMTP or LMTP connection (RFC 5321, 2033): connecting, greeting, TLS, authentication,
// commands with and without pipelining, message data, and the reuse of connections. It knows nothing of routing or retrying;
// the smtp transport, callouts and the lmtp transport use it.
//
// Trust: everything a server says is untrusted: replies are bounded in length and count, and made printable before they
// travel into logs or messages.
package smtpclient

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"time"

	"exigo/internal/mail"
	"exigo/internal/outside"
	"exigo/internal/proto/smtp"
)

// Timeouts of a connection; 0 is none.
type Timeouts struct{ Connect, Command, Data, Final time.Duration }

// Conn is a connection that is open.
type Conn struct {
	// Extensions is what the server announced last; empty after HELO. ESMTP says that EHLO (or LHLO) was accepted.
	Extensions smtp.Extensions
	ESMTP      bool
	// Banner is the greeting, Hello the reply to EHLO.
	Banner, Hello smtp.Reply
	// HelloName is the argument of our EHLO.
	HelloName string
	// Local and Remote are the ends.
	Local, Remote netip.AddrPort
	// TLS is nil in clear.
	TLS *mail.TLS
	// AuthName and AuthID are the authenticator that succeeded and its client_set_id.
	AuthName, AuthID string
	// Steps are the letters of what was done before the first MAIL, in order: e for EHLO, s for TLS, a for AUTH (log selector
	// protocol_detail).
	Steps string
	// LMTP says that the protocol is LMTP: a reply for each recipient follows the data.
	LMTP bool
	// Messages counts the transactions begun on the connection.
	Messages int
	// Pipelining is whether commands may be sent ahead of replies; Chunking whether BDAT is used.
	Pipelining, Chunking bool
	// Progress says that the last transaction settled a recipient: delivered or refused for good.
	Progress bool
	// NeedsReset says that a transaction was left unfinished: RSET must come before the next MAIL.
	NeedsReset bool
	// Settings are those the connection was made with.
	Settings *Settings

	raw      net.Conn
	r        *bufio.Reader
	w        *bufio.Writer
	timeouts Timeouts
	protocol string
	ctx      context.Context
	stop     func() bool
	pending  int // replies that are still to come
	dead     bool
	born     time.Time
	trace    func(out bool, line string)
	event    func(name, data string) (result string)
}

// NewConn makes a Conn of an open connection; the greeting is still to be read. Protocol is "SMTP" or "LMTP" and stands in
// error texts only.
func NewConn(ctx context.Context, raw net.Conn, t Timeouts, protocol string) *Conn {
	c := &Conn{raw: raw, r: bufio.NewReaderSize(raw, 4096), w: bufio.NewWriterSize(raw, 8192), timeouts: t, protocol: protocol, born: time.Now()}
	if a, ok := raw.LocalAddr().(*net.TCPAddr); ok {
		c.Local = unmapped(a.AddrPort())
	}
	if a, ok := raw.RemoteAddr().(*net.TCPAddr); ok {
		c.Remote = unmapped(a.AddrPort())
	}
	c.Bind(ctx)
	return c
}

func unmapped(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }

// Bind makes the connection obey another context: one that is reused serves deliveries of different contexts.
func (c *Conn) Bind(ctx context.Context) {
	if c.stop != nil {
		c.stop()
	}
	c.ctx = ctx
	c.stop = context.AfterFunc(ctx, func() { c.raw.SetDeadline(time.Unix(1, 0)) })
}

// SetTimeouts gives the connection other timeouts from here on.
func (c *Conn) SetTimeouts(t Timeouts) { c.timeouts = t }

// Put queues a command without its line end; After flushes with the next Reply.
func (c *Conn) Put(command string) error {
	if c.trace != nil {
		c.trace(true, command)
	}
	c.pending++
	if c.w.Available() < len(command)+2 {
		c.writeDeadline(c.timeouts.Command)
	}
	c.w.WriteString(command)
	_, err := c.w.WriteString("\r\n")
	return c.check(err, command, -1)
}

func (c *Conn) check(err error, after string, written int64) error {
	if err == nil {
		return nil
	}
	c.dead = true
	e := classify(c.ctx, err, after, false, written)
	e.Protocol = c.protocol
	return e
}

// Flush sends what Put queued.
func (c *Conn) Flush() error {
	if c.w.Buffered() == 0 {
		return nil
	}
	c.writeDeadline(c.timeouts.Command)
	return c.check(c.w.Flush(), "sending commands", -1)
}

func (c *Conn) writeDeadline(d time.Duration) {
	if d > 0 {
		c.raw.SetWriteDeadline(time.Now().Add(d))
	}
	c.recheck()
}

func (c *Conn) readDeadline(d time.Duration) {
	if d > 0 {
		c.raw.SetReadDeadline(time.Now().Add(d))
	} else {
		c.raw.SetReadDeadline(time.Time{})
	}
	c.recheck()
}

// recheck keeps a deadline just set from undoing the one of a context that has ended meanwhile.
func (c *Conn) recheck() {
	if c.ctx.Err() != nil {
		c.raw.SetDeadline(time.Unix(1, 0))
	}
}

// replyLimits bound what a server may answer to one command.
var replyLimits = smtp.ReplyLimits{LineLength: 4093, Lines: 100}

// Reply flushes and reads the next reply. after names the command in errors; any reply that is well-formed is returned
// without error, whatever its code.
func (c *Conn) Reply(after string, pipelined bool) (smtp.Reply, error) {
	return c.reply(after, pipelined, c.timeouts.Command, -1)
}

func (c *Conn) reply(after string, pipelined bool, timeout time.Duration, written int64) (smtp.Reply, error) {
	if err := c.Flush(); err != nil {
		var e *Error
		if !errors.As(err, &e) || e.Kind != Closed {
			return smtp.Reply{}, c.renamed(err, after, pipelined)
		}
		timeout = lastWords // the server may have said why before it closed
	}
	if c.r.Buffered() == 0 {
		c.readDeadline(timeout)
	}
	r, err := smtp.ReadReply(c.r, replyLimits)
	if c.pending > 0 {
		c.pending--
	}
	if err == nil {
		if c.trace != nil {
			c.trace(false, r.String())
		}
		if r.Code == 421 {
			c.dead = true
		}
		return r, nil
	}
	c.dead = true
	if errors.Is(err, smtp.ErrReplySyntax) || errors.Is(err, smtp.ErrReplyTooLong) {
		e := &Error{Kind: Malformed, After: after, Pipelined: pipelined, Reply: r, Written: -1, Protocol: c.protocol}
		if n := len(r.Lines); n > 0 {
			e.Text = r.Lines[n-1]
		}
		return r, e
	}
	e := classify(c.ctx, err, after, pipelined, written)
	e.Protocol = c.protocol
	return r, e
}

func (c *Conn) renamed(err error, after string, pipelined bool) error {
	var e *Error
	if errors.As(err, &e) {
		e.After, e.Pipelined = after, pipelined
	}
	return err
}

// lastWords is how long a server that has closed the connection is listened to.
const lastWords = time.Second

// Command sends a command and reads its reply. A reply that is not of the expected class (2 or 3, the first digit; 0 for
// any) is an *Error of kind Refused.
func (c *Conn) Command(command string, class int) (smtp.Reply, error) {
	if err := c.Put(command); err != nil {
		return smtp.Reply{}, err
	}
	r, err := c.Reply(command, false)
	if err != nil {
		return r, err
	}
	return r, c.Expect(r, class, command, false)
}

// CommandAs sends a line that errors and traces name otherwise, since it holds a secret.
func (c *Conn) CommandAs(line, name string) (smtp.Reply, error) {
	trace := c.trace
	if trace != nil {
		trace(true, name)
		c.trace = nil
	}
	err := c.Put(line)
	c.trace = trace
	if err != nil {
		return smtp.Reply{}, c.renamed(err, name, false)
	}
	return c.Reply(name, false)
}

// Expect makes an error of a reply that is not of the class.
func (c *Conn) Expect(r smtp.Reply, class int, after string, pipelined bool) error {
	if class == 0 || r.Code/100 == class {
		return nil
	}
	return &Error{Kind: Refused, After: after, Pipelined: pipelined, Reply: r, Written: -1, Protocol: c.protocol}
}

// Data returns a writer for message data: buffered, each write bounded by the data timeout. Written counts what it took.
func (c *Conn) Data() *DataWriter { return &DataWriter{c: c} }

// DataWriter writes message data to a connection.
type DataWriter struct {
	c       *Conn
	Written int64
}

// Write implements io.Writer; errors are *Error.
func (d *DataWriter) Write(p []byte) (int, error) {
	c := d.c
	if len(p) <= c.w.Available() {
		n, err := c.w.Write(p)
		d.Written += int64(n)
		return n, err
	}
	c.writeDeadline(c.timeouts.Data)
	n, err := c.w.Write(p)
	d.Written += int64(n)
	if err != nil {
		return n, c.check(err, "sending data block", d.Written)
	}
	return n, nil
}

// EndReply flushes the data and reads the reply to it within the final timeout. after is "end of data" or its like.
func (d *DataWriter) EndReply(after string, pipelined bool) (smtp.Reply, error) {
	c := d.c
	c.writeDeadline(c.timeouts.Data)
	if err := c.w.Flush(); err != nil && c.r.Buffered() == 0 {
		return smtp.Reply{}, c.check(err, "sending data block", d.Written)
	}
	return c.reply(after, pipelined, c.timeouts.Final, d.Written)
}

// FinalReply flushes and reads a reply to message data, within the final timeout. written is the size for the text of a timeout.
func (c *Conn) FinalReply(after string, pipelined bool, written int64) (smtp.Reply, error) {
	return c.reply(after, pipelined, c.timeouts.Final, written)
}

// Usable tells whether the connection can serve another transaction: nothing went wrong, no reply is outstanding, and the
// server has neither said anything unasked nor closed the connection.
func (c *Conn) Usable() bool {
	if c.dead || c.pending != 0 || c.r.Buffered() != 0 {
		return false
	}
	return outside.Quiet(c.raw)
}

// SetEvent makes another delivery hear of the connection's end: one that took it over.
func (c *Conn) SetEvent(f func(name, data string) (result string)) { c.event = f }

// ended raises the event of the connection's end, once.
func (c *Conn) ended() {
	if f := c.event; f != nil {
		c.event = nil
		f("tcp:close", "")
	}
}

// Broken marks the connection as not to be reused.
func (c *Conn) Broken() { c.dead = true }

// Quit says QUIT, unless the connection is broken, and closes it. It does not wait
// for the reply.
func (c *Conn) Quit() {
	if !c.dead {
		c.w.WriteString("QUIT\r\n")
		c.raw.SetWriteDeadline(time.Now().Add(min(max(c.timeouts.Command, time.Second), 10*time.Second)))
		if c.w.Flush() == nil {
			if c.stop != nil {
				c.stop()
			}
			c.dead = true
			go c.linger()
			c.ended()
			return
		}
	}
	c.Close()
}

// linger lets the server take the QUIT before the connection closes: a close with its reply unread would reset it. Nobody
// waits for it.
func (c *Conn) linger() {
	defer c.raw.Close()
	if t, ok := c.raw.(interface{ CloseWrite() error }); ok && c.TLS == nil {
		t.CloseWrite()
	}
	c.raw.SetReadDeadline(time.Now().Add(quitWait))
	io.Copy(io.Discard, io.LimitReader(c.r, 4096))
}

// quitWait is how long Quit waits for the server to close.
const quitWait = 200 * time.Millisecond

// Close closes the connection at once.
func (c *Conn) Close() {
	c.dead = true
	if c.stop != nil {
		c.stop()
	}
	c.raw.Close()
	c.ended()
}

// Raw is the connection beneath, for those who replace it (TLS).
func (c *Conn) Raw() net.Conn { return c.raw }

// Replace puts another connection, made of the raw one, in its place. What the server sent ahead in clear is dropped with an
// error (RFC 3207 section 6: nothing said before the handshake counts).
func (c *Conn) Replace(raw net.Conn) error {
	if c.r.Buffered() != 0 {
		c.dead = true
		return &Error{Kind: TLSFailure, Text: "unexpected data after STARTTLS response", Written: -1}
	}
	c.raw = raw
	c.r.Reset(raw)
	c.w.Reset(raw)
	c.Bind(c.ctx)
	return nil
}

// SetTrace has every line sent and received told to f (debugging).
func (c *Conn) SetTrace(f func(out bool, line string)) { c.trace = f }
