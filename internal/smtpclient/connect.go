package smtpclient

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"strconv"
	"syscall"

	"exigo/internal/mail"
	"exigo/internal/outside"
)

// TLSWish says how much TLS is wanted.
type TLSWish int

// Wishes for TLS.
const (
	// TLSNever: STARTTLS is not used even if offered.
	TLSNever TLSWish = iota
	// TLSTry: used if offered.
	TLSTry
	// TLSRequire: the connection is of no use without.
	TLSRequire
)

// Handshake starts TLS as client on a connection and returns the one to go on with, and what was negotiated.
type Handshake func(ctx context.Context, raw net.Conn) (net.Conn, *mail.TLS, error)

// Settings say how a connection is to be made. Everything is expanded already; the functions are called when what they depend on is known.
type Settings struct {
	World *outside.World
	// Host is for $host; Address and Port are where to connect, Source the local address to bind if valid.
	Host    string
	Address netip.Addr
	Port    int
	Source  netip.Addr
	// LMTP speaks LHLO; OnConnect starts TLS before anything else (smtps).
	LMTP, OnConnect bool
	Timeouts        Timeouts
	Keepalive       bool
	// DSCP is the traffic class to set, -1 for none.
	DSCP int
	// HelloName gives the argument of EHLO once the local address is known.
	HelloName func(local netip.AddrPort) (string, error)
	// NoESMTP sends HELO only; NoPipelining and NoChunking forgo these extensions.
	NoESMTP, NoPipelining, NoChunking bool
	// TLS is the wish; TryClear connects again in clear when a handshake fails, unless it is required.
	TLS       TLSWish
	TryClear  bool
	Handshake Handshake
	// Authenticate runs after EHLO; nil for none. It may leave the connection unauthenticated.
	Authenticate func(ctx context.Context, c *Conn) error
	// Clear are the words for what is done in clear text after TLS failed; "" is "delivering unencrypted to H=".
	Clear string
	// Log takes lines about what was tried ("TLS session failure: delivering unencrypted to H=...").
	Log func(line string)
	// Event, if set, is told of what happens on the connection: "tcp:connect" before there is one, "smtp:connect" with the greeting, "smtp:ehlo"
	// with the reply to EHLO, "tcp:close" when it has ended, "auth:fail" (spec chapter 61). A result that is not empty refuses the first two.
	Event func(name, data string) (result string)
	// InClear, if set, is told of the handshake's failure before another connection is made without TLS.
	InClear func(e *Error)
	// PoolKey names the place for reuse: connections are exchanged only between settings of the same key.
	PoolKey string
	// Owner, if set, is the message that the connection is kept for: no other gets it, unless Pool.Finish hands it on. Transport is
	// the name of the transport that made it.
	Owner, Transport string
	// From is the message that handed the connection to Owner.
	From string
	// Trace, if set, is told every line.
	Trace func(out bool, line string)
}

// Dial opens the connection and nothing more.
func Dial(ctx context.Context, s *Settings) (*Conn, error) {
	dialCtx, cancel := ctx, context.CancelFunc(func() {})
	if s.Timeouts.Connect > 0 {
		dialCtx, cancel = context.WithTimeout(ctx, s.Timeouts.Connect)
	}
	defer cancel()
	if s.Event != nil && s.Event("tcp:connect", "") != "" {
		return nil, &Error{Kind: Vetoed, After: "connect", Written: -1}
	}
	raw, err := s.World.Dial.Dial(dialCtx, "tcp", s.Source, net.JoinHostPort(s.Address.String(), strconv.Itoa(s.Port)))
	if err != nil {
		var call *os.SyscallError
		if errors.As(err, &call) && call.Syscall == "bind" && s.Log != nil {
			s.Log("bind of [" + s.Source.String() + "]:0 failed")
		}
		e := classify(ctx, err, "connect", false, -1)
		if e.Kind != Timeout {
			e.Kind = Connect
		}
		if dialCtx.Err() != nil && ctx.Err() == nil {
			e.Kind, e.Errno = Timeout, syscall.ETIMEDOUT
		}
		e.Connecting = true
		return nil, e
	}
	tune(raw, s)
	c := NewConn(ctx, raw, s.Timeouts, "SMTP")
	c.LMTP, c.Settings, c.trace, c.event = s.LMTP, s, s.Trace, s.Event
	return c, nil
}

// Open connects and goes through greeting, EHLO, STARTTLS and AUTH, so that MAIL may follow. When TLS fails and
// clear text is allowed, it connects again without. The error is an *Error.
func Open(ctx context.Context, s *Settings) (*Conn, error) {
	c, err := open(ctx, s)
	var e *Error
	if err == nil || !errors.As(err, &e) || e.Kind != TLSFailure || s.TLS == TLSRequire || !s.TryClear || s.OnConnect || ctx.Err() != nil {
		return c, err
	}
	if s.InClear != nil {
		s.InClear(e)
	}
	if s.Log != nil {
		words := s.Clear
		if words == "" {
			words = "delivering unencrypted to H="
		}
		s.Log(e.Text + ": " + words + s.Host + " [" + s.Address.String() + "] (not in hosts_require_tls)")
	}
	clear := *s
	clear.TLS = TLSNever
	return open(ctx, &clear)
}

func open(ctx context.Context, s *Settings) (*Conn, error) {
	c, err := Dial(ctx, s)
	if err != nil {
		return nil, err
	}
	if err := c.setUp(ctx, s); err != nil {
		var e *Error
		if errors.As(err, &e) && e.Kind == Refused {
			c.Quit()
		} else if errors.As(err, &e) && (e.Kind == AuthFailure || e.Kind == TLSRequired || e.Kind == Setup) {
			c.Quit()
		} else {
			c.Close()
		}
		return nil, err
	}
	return c, nil
}

func (c *Conn) setUp(ctx context.Context, s *Settings) error {
	name := ""
	if s.HelloName != nil {
		var err error
		if name, err = s.HelloName(c.Local); err != nil {
			return &Error{Kind: Setup, Text: err.Error(), Written: -1, err: err}
		}
	}
	c.HelloName = name
	if s.OnConnect {
		if err := c.handshake(ctx, s); err != nil {
			return err
		}
	}
	if err := c.Greeting(); err != nil {
		return err
	}
	if err := c.SayHello(s); err != nil {
		return err
	}
	if c.TLS == nil {
		if err := c.startTLS(ctx, s); err != nil {
			return err
		}
	}
	c.settle(s)
	if s.Authenticate != nil {
		return s.Authenticate(ctx, c)
	}
	return nil
}

// settle works out which extensions are used.
func (c *Conn) settle(s *Settings) {
	c.Pipelining = c.ESMTP && !s.NoPipelining && c.Extensions.Has("PIPELINING")
	c.Chunking = c.ESMTP && !s.NoChunking && c.Extensions.Has("CHUNKING")
}

// Greeting reads the server's greeting.
func (c *Conn) Greeting() error {
	r, err := c.Reply("initial connection", false)
	if err != nil {
		return err
	}
	c.Banner = r
	if err := c.Expect(r, 2, "initial connection", false); err != nil || c.event == nil {
		return err
	}
	if why := c.event("smtp:connect", ReplyText(r)); why != "" {
		return &Error{Kind: Setup, Text: "deferred by smtp:connect event expansion: " + Printable(why), Written: -1}
	}
	return nil
}

// SayHello sends EHLO, and HELO if that is refused (RFC 5321 section 3.2); LHLO in LMTP.
func (c *Conn) SayHello(s *Settings) error {
	verb := "EHLO "
	if c.LMTP {
		verb = "LHLO "
	}
	addition := ""
	if !s.NoESMTP || c.LMTP {
		r, err := c.Command(verb+c.HelloName, 0)
		if err != nil {
			return err
		}
		if c.event != nil {
			c.event("smtp:ehlo", ReplyText(r))
		}
		if r.Code/100 == 2 {
			c.Hello, c.ESMTP = r, true
			c.Steps += "e"
			c.Extensions = parseExtensions(r)
			return nil
		}
		if c.LMTP || r.Code == 421 {
			return c.Expect(r, 2, verb+c.HelloName, false)
		}
		addition = " (EHLO response was: " + ReplyText(r) + ")"
	}
	c.ESMTP = false
	c.Extensions = parseExtensions(c.Banner)
	r, err := c.Command("HELO "+c.HelloName, 2)
	c.Hello = r
	var e *Error
	if errors.As(err, &e) && e.Kind == Closed {
		e.Text = addition
	}
	return err
}

// startTLS uses STARTTLS if it is offered and wanted (RFC 3207).
func (c *Conn) startTLS(ctx context.Context, s *Settings) error {
	offered := c.ESMTP && c.Extensions.Has("STARTTLS")
	if s.TLS == TLSNever || s.Handshake == nil {
		return nil
	}
	if !offered {
		return c.tlsMissing(s, "the server did not offer TLS support")
	}
	r, err := c.Command("STARTTLS", 0)
	if err != nil {
		return err
	}
	if r.Code/100 != 2 {
		if s.TLS == TLSRequire {
			return c.tlsMissing(s, "an attempt to start TLS failed")
		}
		if r.Permanent() || s.TryClear {
			return nil
		}
		return c.Expect(r, 2, "STARTTLS", false)
	}
	if err := c.handshake(ctx, s); err != nil {
		return err
	}
	return c.SayHello(s)
}

func (c *Conn) tlsMissing(s *Settings, why string) error {
	if s.TLS != TLSRequire {
		return nil
	}
	return &Error{Kind: TLSRequired, Text: "a TLS session is required, but " + why, Written: -1}
}

func (c *Conn) handshake(ctx context.Context, s *Settings) error {
	if s.Handshake == nil {
		return &Error{Kind: TLSRequired, Text: "TLS is not available", Written: -1}
	}
	if c.r.Buffered() != 0 {
		return c.Replace(c.raw)
	}
	limited, cancel := context.WithCancel(ctx)
	if c.timeouts.Command > 0 {
		limited, cancel = context.WithTimeout(ctx, c.timeouts.Command)
	}
	defer cancel()
	c.readDeadline(c.timeouts.Command)
	c.writeDeadline(c.timeouts.Command)
	raw, info, err := s.Handshake(limited, c.raw)
	if err != nil {
		c.dead = true
		e := &Error{Kind: TLSFailure, Text: err.Error(), Written: -1, err: err}
		var own *Error
		if errors.As(err, &own) {
			e = own
		}
		return e
	}
	if err := c.Replace(raw); err != nil {
		return err
	}
	c.TLS = info
	c.Steps += "s"
	if c.TLS == nil {
		c.TLS = &mail.TLS{}
	}
	c.TLS.OnConnect = s.OnConnect
	return nil
}
