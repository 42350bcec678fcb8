package smtpserver

import (
	"crypto/tls"
	"strconv"
	"strings"
	"time"

	"exigo/internal/acl"
	"exigo/internal/eventlog"
	"exigo/internal/option"
)

// begin does everything until the client may give its first command: options for this client, identification, the connect
// ACL, the banner. It reports whether there is a session.
func (s *Session) begin() bool {
	s.freeCommands()
	if !s.connectionOptions() {
		return false
	}
	if s.start.Batch {
		return true
	}
	s.accept()
	s.onConnect = s.tlsOnConnect()
	if s.noun.Host.IsValid() && !s.identify() {
		return s.noReply()
	}
	for _, x := range s.srv.extensions {
		if x.Begin != nil {
			x.Begin(s)
		}
	}
	if s.main.ACLSMTPConnect != "" && !s.connectACL() {
		return s.noReply()
	}
	if s.done || !s.onConnect && !s.greetingSync() {
		return false
	}
	text, ok := s.banner()
	if !ok {
		return s.noReply()
	}
	if s.onConnect && !s.handshake() {
		return false
	}
	s.greet(text)
	return true
}

// greet puts out the banner, its lines as the configuration has them.
func (s *Session) greet(text string) {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	for i, line := range lines {
		separator := "-"
		if i == len(lines)-1 {
			separator = " "
		}
		s.line("220" + separator + line)
	}
}

// noReply ends a session before its banner. Where TLS begins with the connection, the client gets no word in clear text.
func (s *Session) noReply() bool {
	if s.onConnect {
		s.io.out = s.io.out[:0]
	}
	return false
}

// freeCommands resets which commands do not count as nonmail (spec 49.6).
func (s *Session) freeCommands() {
	s.rsetUncounted, s.heloUncounted, s.authUncounted, s.tlsUncounted = true, true, true, true
}

// connectionOptions expands the options that hold for the whole connection.
func (s *Session) connectionOptions() bool {
	s.io.timeout = s.receiveTimeout()
	if text := string(s.main.SMTPActiveHostname); text != "" {
		v, err := s.svc.Engine.Expand(s.Scope(), text)
		switch {
		case err == nil:
			if v.S != "" {
				s.hostname = v.S
				s.describe()
			}
		case !isForced(err):
			s.logPanic("failed to expand \"" + s.printable(text) + "\" (smtp_active_hostname): " + s.printable(err.Error()))
			s.line("451 Temporary local problem - please try later")
			return false
		}
	}
	limit, err := s.expandInt(string(s.main.MessageSizeLimit))
	if err != nil {
		s.logPanic("unable to expand message_size_limit: " + s.printable(err.Error()))
		s.line("421 " + s.hostname + ": Temporary local problem - please try later")
		return false
	}
	s.sizeLimit = limit
	free := s.start.Unqualified
	s.unqualifiedSender = free || s.matches(string(s.main.SenderUnqualifiedHosts))
	s.unqualifiedRecipient = free || s.matches(string(s.main.RecipientUnqualifiedHosts))
	s.msg.AllowUnqualifiedSender, s.msg.AllowUnqualifiedRecipient = s.unqualifiedSender, s.unqualifiedRecipient
	s.rateLimited = s.main.SMTPRateLimitHosts != "" && s.matches(string(s.main.SMTPRateLimitHosts))
	if s.rateLimited {
		s.mailDelay, s.rcptDelay = parseRateLimit(s.main.SMTPRateLimitMail), parseRateLimit(s.main.SMTPRateLimitRcpt)
	}
	return true
}

// receiveTimeout is smtp_receive_timeout for this client.
func (s *Session) receiveTimeout() time.Duration {
	switch {
	case s.start.Timeout < 0:
		return 0
	case s.start.Timeout > 0:
		return s.start.Timeout
	}
	text := string(s.main.SMTPReceiveTimeout.Text)
	if text == "" {
		return s.main.SMTPReceiveTimeout.Value
	}
	if v, err := s.svc.Engine.Expand(s.Scope(), text); err == nil {
		if d, ok := option.ParseTime(v.S); ok {
			return d
		}
	}
	return 5 * time.Minute
}

// expandInt expands an integer; "" is 0.
func (s *Session) expandInt(text string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	if n, err := option.ParseInt(text); err == nil {
		return n, nil
	}
	v, err := s.svc.Engine.Expand(s.Scope(), text)
	if err != nil {
		return 0, err
	}
	if strings.TrimSpace(v.S) == "" {
		return 0, nil
	}
	return option.ParseInt(v.S)
}

// identify refuses clients of host_reject_connection, finds the client's name if host_lookup wants it, and asks its identity
// server.
func (s *Session) identify() bool {
	if s.main.HostLookup != "" && s.matches(string(s.main.HostLookup)) {
		s.lookupName()
	}
	if list := s.main.HostRejectConnection; list != "" && s.matches(string(list)) {
		s.logSelected(eventlog.ConnectionReject, "refused connection from "+s.who(false)+" (host_reject_connection)")
		s.line("554 SMTP service not available")
		return false
	}
	if !s.start.HostChecking && !s.start.Local {
		s.askIdent()
	}
	return true
}

// lookupName finds the client's name, once.
func (s *Session) lookupName() {
	if s.noun.NameLookup != 0 || s.noun.HostName != "" {
		return
	}
	find := s.svc.HostName
	if find == nil {
		find = FindHostName
	}
	if found, temporary, reason := find(s.ctx, s.Scope()); !found && !temporary && reason != "" && s.svc.Log.Has(eventlog.HostLookupFailed) {
		s.logMain(s.printable(reason))
	}
}

// tlsOnConnect tells whether TLS begins with the connection.
func (s *Session) tlsOnConnect() bool {
	if s.start.TLSOnConnect {
		return true
	}
	if s.io.base == nil {
		return false
	}
	port := strconv.Itoa(s.noun.InterfacePort)
	for _, p := range s.main.TLSOnConnectPorts {
		if p == port {
			return true
		}
	}
	return false
}

// connectACL runs the ACL for connections.
func (s *Session) connectACL() bool {
	outcome := s.runACL(acl.Connect, string(s.main.ACLSMTPConnect))
	s.applyControls()
	if outcome.Verdict == acl.OK || outcome.Verdict == acl.Discard {
		return true
	}
	if s.onConnect {
		text := s.who(true) + " dropped by 'connect' ACL"
		if outcome.LogMessage != "" {
			text += ": " + s.printable(outcome.LogMessage)
		}
		s.svc.Log.Write(eventlog.Entry{To: logStream(outcome.LogTargets), Text: text})
		return false
	}
	s.refuse(acl.Connect, outcome, "")
	return false
}

// banner expands the text that greets the client.
func (s *Session) banner() (text string, ok bool) {
	if s.main.SMTPBanner != "" {
		v, err := s.svc.Engine.Expand(s.Scope(), string(s.main.SMTPBanner))
		if err != nil {
			log := s.logPanic
			if isForced(err) {
				log = s.logMain
			}
			log("Expansion of \"" + s.printable(string(s.main.SMTPBanner)) + "\" (smtp_banner) failed: " + s.printable(err.Error()))
			s.line("421 " + s.hostname + ": Temporary local problem - please try later")
			return "", false
		}
		text = v.S
	}
	return text, true
}

// finish writes what is to be written about a session that is over.
func (s *Session) finish() {
	s.noMailLog()
	s.io.flush()
	if c, ok := s.io.conn.(*tls.Conn); ok {
		c.SetWriteDeadline(time.Now().Add(time.Second))
		c.CloseWrite()
	}
}

// close gives back what the session holds.
func (s *Session) close() {
	s.detach()
	s.dropOnward()
	if s.io.reader != nil {
		s.io.reader.Discard(s.io.reader.Buffered())
		s.io.release()
	}
}
