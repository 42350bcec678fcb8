package smtpserver

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"exigo/internal/acl"
	"exigo/internal/mail"
	"exigo/internal/tlspolicy"
)

// tlsPossible tells whether the client could use STARTTLS, or could after EHLO.
func (s *Session) tlsPossible() bool {
	return s.noun.TLS == nil && s.svc.TLS != nil && s.matches(string(s.main.TLSAdvertiseHosts))
}

// offerTLS is the STARTTLS line of the EHLO reply.
func (s *Session) offerTLS() (string, bool) {
	s.startTLSOffered = s.tlsPossible()
	return "STARTTLS", s.startTLSOffered
}

// netConn is the connection that TLS can be put on.
func (s *Session) netConn() net.Conn {
	if s.io.base != nil {
		return s.io.base
	}
	return streamConn{s.io.conn}
}

// startTLS obeys STARTTLS (RFC 3207). Nothing the client said before holds afterwards.
func (s *Session) startTLS(string) {
	if !s.startTLSOffered {
		s.synprot(false, 503, "STARTTLS command used when not advertised")
		return
	}
	if s.main.ACLSMTPSTARTTLS != "" {
		outcome := s.runACL(acl.StartTLS, string(s.main.ACLSMTPSTARTTLS))
		s.applyControls()
		if outcome.Verdict != acl.OK && outcome.Verdict != acl.Discard {
			s.refuse(acl.StartTLS, outcome, "")
			return
		}
	}
	s.incomplete("STARTTLS")
	s.newMessage()
	if !s.main.TLSRememberEsmtp {
		s.noun.ESMTP = false
	}
	shake, err := s.svc.TLS.Server(s.Scope())
	if err != nil {
		s.tlsError(err)
		s.line("454 TLS currently unavailable")
		return
	}
	// Input that came with STARTTLS in one packet is no TLS: whoever injected it must not be heard inside (CVE-2011-0411).
	if input := s.io.pending(); len(input) > 0 {
		s.syncError(input)
		return
	}
	s.line("220 TLS go ahead")
	if err := s.io.flush(); err != nil {
		s.inputEnded(err)
		return
	}
	s.io.release()
	if !s.negotiate(shake, false) {
		return
	}
	s.afterTLS()
}

// afterTLS forgets what the client said in clear text.
func (s *Session) afterTLS() {
	if !s.main.TLSRememberEsmtp {
		s.noun.HELO, s.helloGiven = "", false
		s.noun.HELOVerified, s.noun.HELOTried = false, false
		s.pipelining, s.dsn, s.authOffered, s.utf8 = false, false, false, false
		s.offered = nil
		s.advertised = authAdvertised{}
	}
	s.startTLSOffered = false
	s.heloUncounted, s.authUncounted, s.tlsUncounted = true, true, true
	s.noun.Authenticator, s.noun.AuthPublicName, s.noun.AuthID, s.noun.AuthSender, s.authenticator = "", "", "", "", nil
	s.runTLSAuthenticator()
}

// handshake begins TLS with the connection.
func (s *Session) handshake() bool {
	if s.svc.TLS == nil {
		s.logMain("TLS error on connection from " + s.who(false) + " TLS is not available")
		return s.noReply()
	}
	shake, err := s.svc.TLS.Server(s.Scope())
	if err != nil {
		s.tlsError(err)
		s.done, s.failed = true, true
		return false
	}
	if !s.negotiate(shake, true) {
		return false
	}
	s.runTLSAuthenticator()
	return true
}

// negotiate performs the handshake. When it fails the session goes on in clear text, and anything but QUIT is refused; with TLS on
// connect there is no session.
func (s *Session) negotiate(shake *tlspolicy.Handshake, onConnect bool) bool {
	base := s.netConn()
	conn := tls.Server(base, shake.Config)
	if s.io.timeout > 0 {
		base.SetDeadline(time.Now().Add(s.io.timeout))
	}
	err := conn.HandshakeContext(s.ctx)
	base.SetDeadline(time.Time{})
	var negotiated *mail.TLS
	if err == nil {
		negotiated, err = shake.Finish(conn.ConnectionState())
	}
	if err != nil {
		s.tlsFailed, s.refuseAll = true, "554 Security failure"
		s.startTLSOffered = false
		s.tlsError(handshakeError(err))
		s.noun.TLS = nil
		if onConnect {
			s.done, s.failed = true, true
			s.io.out = s.io.out[:0]
		}
		return false
	}
	s.io.conn = conn
	s.noun.TLS = negotiated
	s.noun.TLS.OnConnect = onConnect
	return true
}

// handshakeError words the common failures as Exim with OpenSSL does.
func handshakeError(err error) error {
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("(tls lib accept fn): TCP connection closed by peer")
	case errors.Is(err, os.ErrDeadlineExceeded):
		return errors.New("(tls lib accept fn): timed out")
	}
	return errors.New("(SSL_accept): error: " + err.Error())
}

// tlsError logs a failure of TLS. The event comes before the line.
func (s *Session) tlsError(err error) {
	s.event("tls:fail:connect", strings.Replace(err.Error(), "(tls lib accept fn)", "SSL_accept", 1))
	s.logMain("TLS error on connection from " + s.who(false) + " " + s.printable(err.Error()))
}

// streamConn lets TLS run on standard input and output.
type streamConn struct{ io.ReadWriter }

func (streamConn) Close() error                     { return nil }
func (streamConn) LocalAddr() net.Addr              { return nil }
func (streamConn) RemoteAddr() net.Addr             { return nil }
func (streamConn) SetDeadline(time.Time) error      { return nil }
func (streamConn) SetReadDeadline(time.Time) error  { return nil }
func (streamConn) SetWriteDeadline(time.Time) error { return nil }
