package smtpclient

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"time"

	"exigo/internal/mail"
)

// Turned is a connection whose ends have changed their parts: the client that made it has asked for its mail and is the server now
// (ATRN, RFC 2645). Deliveries to its address go over it, and over no other, one after another. It is safe for concurrent use.
type Turned struct {
	// Address is the peer's. TLS is what was negotiated before the turn, nil in clear.
	Address netip.Addr
	TLS     *mail.TLS

	mu    sync.Mutex
	raw   net.Conn
	conn  *Conn
	ended bool
}

// Line is a message's state: the connection that its deliveries to the connection's peer use. Turned is nil where there is none.
type Line struct{ Turned *Turned }

// Turn takes a connection over. Nothing was read from it since the reply that turned it around: the peer's greeting comes next.
func Turn(raw net.Conn, address netip.Addr) *Turned { return &Turned{Address: address, raw: raw} }

// Take waits until the connection is free and returns it ready for MAIL; what is in the settings about TLS and authentication does not
// matter, as both were settled before the turn. release gives it back. One that is lost gives an *Error, as a closed connection does.
func (t *Turned) Take(ctx context.Context, s *Settings) (c *Conn, release func(), err error) {
	t.mu.Lock()
	defer func() {
		if err != nil {
			t.mu.Unlock()
		}
	}()
	if t.conn == nil && !t.ended {
		err = t.begin(ctx, s)
		return t.conn, t.mu.Unlock, err
	}
	if t.ended || !t.conn.Usable() {
		return nil, nil, &Error{Kind: Closed, After: "ATRN", Written: -1, Protocol: "SMTP"}
	}
	t.conn.Bind(ctx)
	t.conn.Settings = s
	if t.conn.NeedsReset {
		if _, err = t.conn.Command("RSET", 2); err != nil {
			return nil, nil, err
		}
		t.conn.NeedsReset = false
	}
	return t.conn, t.mu.Unlock, nil
}

// begin reads the greeting and says EHLO.
func (t *Turned) begin(ctx context.Context, s *Settings) error {
	c := NewConn(ctx, t.raw, s.Timeouts, "SMTP")
	c.Settings, c.trace, c.TLS, t.conn = s, s.Trace, t.TLS, c
	name := ""
	if s.HelloName != nil {
		var err error
		if name, err = s.HelloName(c.Local); err != nil {
			return &Error{Kind: Setup, Text: err.Error(), Written: -1, err: err}
		}
	}
	c.HelloName = name
	err := c.Greeting()
	if err == nil {
		err = c.SayHello(s)
	}
	if err != nil {
		t.ended = true
		return err
	}
	c.settle(s)
	c.Pipelining = false // the customer's program has been a client until now
	return nil
}

// Lost tells whether the connection is of no use any more.
func (t *Turned) Lost() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.ended || t.conn != nil && t.conn.dead
}

// Finish ends the connection with QUIT and waits a little for the reply. ctx bounds the wait.
func (t *Turned) Finish(ctx context.Context) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.conn
	if c == nil { // nothing was sent: the greeting is still to be read
		c = NewConn(ctx, t.raw, Timeouts{Command: turnedPatience}, "SMTP")
		if c.Greeting() != nil {
			c.dead = true
		}
	}
	c.Bind(ctx)
	c.timeouts.Command = turnedPatience
	if !c.dead && !t.ended {
		_, _ = c.Command("QUIT", 0)
	}
	t.ended = true
	c.Close()
}

// turnedPatience is how long the peer may take for the end of the connection.
const turnedPatience = 10 * time.Second

// Detach gives the connection up to somebody else, who uses the raw one from here on. It fails if the server has sent more than was asked for.
func (c *Conn) Detach() (net.Conn, error) {
	if c.dead || c.pending != 0 || c.r.Buffered() != 0 {
		return nil, &Error{Kind: Malformed, Text: "unexpected data before the connection was turned around", Written: -1, Protocol: c.protocol}
	}
	if c.stop != nil {
		c.stop()
		c.stop = nil
	}
	c.dead = true
	return c.raw, c.raw.SetDeadline(time.Time{})
}
