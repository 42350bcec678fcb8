package smtpclient

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"

	"exigo/internal/mail"
	"exigo/internal/proto/smtp"
)

// Kind tells the ways in which a dialogue goes wrong.
type Kind int

// Kinds of errors.
const (
	// Refused: the server gave an error reply (Reply).
	Refused Kind = iota
	// Connect: there is no connection; Errno says why.
	Connect
	// Closed: the server closed the connection.
	Closed
	// Timeout: the server did not answer in time.
	Timeout
	// Malformed: the reply is none.
	Malformed
	// IO: reading or writing failed; Errno says why.
	IO
	// TLSFailure: the handshake failed; TLSRequired: no TLS although it must be. AuthFailure: authentication is required and did not succeed.
	TLSFailure
	TLSRequired
	AuthFailure
	// Vetoed: the event tcp:connect was answered with a refusal; Outcome knows the number.
	Vetoed
	// Setup: the transport's own options are at fault (an expansion failed).
	Setup
)

// Error is what went wrong on an outgoing connection. Its text is Exim's.
type Error struct {
	Kind Kind
	// After is the command, or "initial connection", "end of data", "sending data block".
	After string
	// Pipelined says that the command was sent before earlier replies had been read.
	Pipelined bool
	Reply     smtp.Reply
	// Errno is the system's errno for Connect, Timeout and IO.
	Errno syscall.Errno
	// Written is the number of bytes of the message sent before a timeout, -1 where it says nothing.
	Written int64
	// Text is the whole text of kinds without a form of their own, or an addition.
	Text string
	// Connecting says that a Timeout happened while connecting.
	Connecting bool
	// Protocol is "SMTP", or "LMTP" on the lmtp transport's own connections.
	Protocol string
	err      error
}

// Unwrap implements errors.Unwrap.
func (e *Error) Unwrap() error { return e.err }

// Temporary tells whether a reply was 4xx, or the kind of error is one that may go away.
func (e *Error) Temporary() bool { return e.Kind != Refused || !e.Reply.Permanent() }

func (e *Error) pipelined() string {
	if e.Pipelined {
		return "pipelined "
	}
	return ""
}

func (e *Error) protocol() string {
	if e.Protocol == "" {
		return "SMTP"
	}
	return e.Protocol
}

// Error implements error: the text for log and bounce, "" where the errno's own text is all there is to say.
func (e *Error) Error() string {
	switch e.Kind {
	case Refused:
		remote := " from remote mail server"
		if e.Protocol == "LMTP" {
			remote = ""
		}
		return e.protocol() + " error" + remote + " after " + e.pipelined() + e.After + ": " + ReplyText(e.Reply)
	case Closed:
		return "Remote host closed connection in response to " + e.pipelined() + e.After + e.Text
	case Timeout:
		if e.Connecting {
			return ""
		}
		s := e.protocol() + " timeout after " + e.pipelined() + e.After
		if e.Written >= 0 {
			s += " (" + strconv.FormatInt(e.Written, 10) + " bytes written)"
		}
		return s
	case Malformed:
		s := "Malformed " + e.protocol() + " reply"
		if e.Text == "" {
			return s + " (an empty line) in response to " + e.pipelined() + e.After
		}
		return s + " in response to " + e.pipelined() + e.After + ": " + Printable(e.Text)
	}
	return e.Text
}

// maxMessage bounds the message of an address, whatever a server says.
const maxMessage = 1024

// Outcome makes the outcome of an address that the error concerns, without host and address.
func (e *Error) Outcome() mail.Outcome {
	o := mail.Outcome{Result: mail.Deferred, Message: e.Error(), Errno: int(e.Errno)}
	o.Message = o.Message[:min(len(o.Message), maxMessage)]
	switch e.Kind {
	case Refused:
		o.Errno = 0
		o.Diagnosis = ReplyText(e.Reply)
		if e.Reply.Permanent() {
			o.Result = mail.Failed
		}
	case Closed:
		o.Errno = mail.ErrnoSMTPClosed
	case Malformed:
		o.Errno = mail.ErrnoSMTPFormat
	case Timeout:
		o.Errno = int(syscall.ETIMEDOUT)
		if e.Connecting {
			o.MoreErrno = mail.MoreConnectTimeout
		}
	case TLSFailure:
		o.Errno = mail.ErrnoTLSFailure
	case TLSRequired:
		o.Errno = mail.ErrnoTLSRequired
	case AuthFailure:
		o.Errno = mail.ErrnoAuthFail
	case Vetoed:
		o.Errno = mail.ErrnoEvent
	case Setup:
		o.Errno = mail.ErrnoExpandFail
	}
	return o
}

// ReplyText writes a reply as logs and bounces show it: every line with its code, lines separated by \n in two characters,
// control characters escaped.
func ReplyText(r smtp.Reply) string {
	code := strconv.Itoa(r.Code)
	var b strings.Builder
	for i, line := range r.Lines {
		sep := "-"
		if i == len(r.Lines)-1 {
			sep = " "
		} else if i > 0 {
			sep = "-"
		}
		if i > 0 {
			b.WriteString(`\n`)
		}
		b.WriteString(code)
		if line != "" || sep == "-" {
			b.WriteString(sep)
		}
		b.WriteString(Printable(line))
	}
	if len(r.Lines) == 0 {
		return code
	}
	return b.String()
}

// Printable makes control characters visible: \n, \t and their like as letters, others in octal. Bytes above 127 stay.
func Printable(s string) string {
	clean := true
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' && s[i] != '\t' || s[i] == 0x7f {
			clean = false
			break
		}
	}
	if clean {
		return s
	}
	b := make([]byte, 0, len(s)+8)
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= ' ' && c != 0x7f || c == '\t' {
			b = append(b, c)
			continue
		}
		if k := strings.IndexByte("\n\r\b\v\f", c); k >= 0 {
			b = append(b, '\\', "nrbvf"[k])
		} else {
			b = append(b, '\\', '0'+c>>6, '0'+c>>3&7, '0'+c&7)
		}
	}
	return string(b)
}

// classify makes an *Error of an error of the network.
func classify(ctx context.Context, err error, after string, pipelined bool, written int64) *Error {
	e := &Error{Kind: IO, After: after, Pipelined: pipelined, Written: written, err: err}
	var errno syscall.Errno
	var ne net.Error
	switch {
	case ctx.Err() != nil:
		e.Text = "delivery interrupted"
	case errors.As(err, &ne) && ne.Timeout(), errors.Is(err, os.ErrDeadlineExceeded):
		e.Kind, e.Errno = Timeout, syscall.ETIMEDOUT
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed):
		e.Kind = Closed
	case errors.As(err, &errno):
		if errno == syscall.ECONNRESET || errno == syscall.EPIPE {
			e.Kind = Closed
		}
		e.Errno = errno
	default:
		e.Text = Printable(err.Error())
	}
	return e
}
