package smtpserver

import (
	"io"
	"os"
	"time"
)

// Accept is what a room does with a fresh connection: before it is told from its client's names, before TLS, ACLs and banner, but
// after the connection was counted.
type Accept struct {
	// Name is the room's; Doc one sentence for the reference.
	Name, Doc string
	// Begin may read from the client what comes before SMTP, no byte more, and change what Noun says about the client's addresses. A
	// refusal answers every command but QUIT; nil goes on.
	Begin func(s *Session, client Client) *Refusal
}

// Client is a connection's input before SMTP begins.
type Client interface {
	io.Reader
	// SetReadDeadline bounds reads that come after it; the zero time takes the bound away.
	SetReadDeadline(t time.Time) error
}

// accept lets the rooms have a fresh connection from a host: a real one, or one that -bh pretends.
func (s *Session) accept() {
	if len(s.svc.Accept) == 0 || !s.noun.Host.IsValid() {
		return
	}
	client, ok := s.io.conn.(Client)
	switch {
	case s.io.base != nil:
		client = s.io.base
	case !s.start.HostChecking:
		return
	case !ok || client.SetReadDeadline(time.Time{}) != nil:
		p := &pump{stream: s.io.conn}
		s.io.conn, client = p, p
	}
	for _, a := range s.svc.Accept {
		if r := a.Begin(s, client); r != nil {
			s.refuseAll = replyCode(r.Code, false) + r.Text
			return
		}
	}
}

// pump gives deadlines to a stream that has none, such as standard input. A read that came too late is what the next one gets.
type pump struct {
	stream   io.ReadWriter
	deadline time.Time
	pending  chan pumped // of a read that is under way
	rest     []byte
	err      error // that came with the rest
}

// pumped is what a read of the stream gave.
type pumped struct {
	data []byte
	err  error
}

func (p *pump) SetReadDeadline(t time.Time) error { p.deadline = t; return nil }

func (p *pump) Write(b []byte) (int, error) { return p.stream.Write(b) }

func (p *pump) Read(b []byte) (int, error) {
	if len(p.rest) == 0 && p.err == nil {
		if err := p.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(b, p.rest)
	p.rest = p.rest[n:]
	if n == 0 {
		err := p.err
		p.err = nil
		return 0, err
	}
	return n, nil
}

// fill waits for input until the deadline.
func (p *pump) fill() error {
	if p.pending == nil {
		p.pending = make(chan pumped, 1)
		go func(stream io.Reader, to chan<- pumped) {
			b := make([]byte, readBuffer)
			n, err := stream.Read(b)
			to <- pumped{b[:n], err}
		}(p.stream, p.pending)
	}
	var late <-chan time.Time
	if !p.deadline.IsZero() {
		t := time.NewTimer(time.Until(p.deadline))
		defer t.Stop()
		late = t.C
	}
	select {
	case got := <-p.pending:
		p.pending, p.rest, p.err = nil, got.data, got.err
		return nil
	case <-late:
		return os.ErrDeadlineExceeded
	}
}
