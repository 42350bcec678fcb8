package smtpserver

import (
	"context"
	"errors"
	"syscall"
	"time"

	"exigo/internal/expand"
	"exigo/internal/mail"
)

// live is how functions that get only a scope find the session it belongs to.
type live struct{ session *Session }

// sessionOf returns the session of a scope, nil when it belongs to no SMTP session.
func sessionOf(s *expand.Scope) *Session {
	if s == nil || s.Session == nil {
		return nil
	}
	if l := mail.Peek[live](&s.Session.Bag); l != nil {
		return l.session
	}
	return nil
}

// Flush sends the pending replies of the scope's session, before a callout.
func Flush(s *expand.Scope) {
	if session := sessionOf(s); session != nil && !session.msg.Controls.NoCalloutFlush {
		session.io.flush()
	}
}

// Delay obeys the delay modifier of ACLs: pending replies go out (unless control = no_delay_flush), then it waits; in sessions that
// only test (-bh) it does not. A client that goes away ends the delay early: errors are ctx's alone.
func Delay(ctx context.Context, s *expand.Scope, d time.Duration) error {
	session := sessionOf(s)
	if session == nil {
		return s.Engine.World.Clock.Sleep(ctx, d)
	}
	if !session.msg.Controls.NoDelayFlush {
		session.io.flush()
	}
	if session.start.HostChecking {
		return nil
	}
	return s.Engine.World.Clock.Sleep(ctx, d)
}

// Pretended tells whether the scope belongs to a session that only tests (-bh): nothing is to be kept or sent because of it.
func Pretended(s *expand.Scope) bool {
	session := sessionOf(s)
	return session != nil && session.start.HostChecking
}

// SetDSCP sets the differentiated-services field of the packets to the scope's client (control = dscp): value is 0 to 63.
func SetDSCP(s *expand.Scope, value int) error {
	session := sessionOf(s)
	if session == nil || session.io.base == nil {
		return nil
	}
	raw, ok := session.io.base.(syscall.Conn)
	if !ok {
		return errors.New("connection has no socket")
	}
	rc, err := raw.SyscallConn()
	if err != nil {
		return err
	}
	level, option := syscall.IPPROTO_IP, syscall.IP_TOS
	if a := session.noun.Host; a.Is6() && !a.Is4In6() {
		level, option = syscall.IPPROTO_IPV6, syscall.IPV6_TCLASS
	}
	var failed error
	if err := rc.Control(func(fd uintptr) { failed = syscall.SetsockoptInt(int(fd), level, option, value<<2) }); err != nil {
		return err
	}
	return failed
}

// attach lets functions that get only a scope find the session.
func (s *Session) attach() { mail.State[live](&s.noun.Bag).session = s }

// detach makes the noun forget its session: the noun lives on with messages that were received.
func (s *Session) detach() {
	if l := mail.Peek[live](&s.noun.Bag); l != nil {
		l.session = nil
	}
}

// leaveNoun leaves the noun to the message that is about to be taken in and delivered; the session goes on with a copy.
func (s *Session) leaveNoun() {
	s.detach()
	s.noun = s.noun.Fork()
	mail.Drop[live](&s.noun.Bag)
	s.attach()
	s.scope = nil
}
