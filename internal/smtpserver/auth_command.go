package smtpserver

import (
	"errors"
	"strings"

	"exigo/internal/acl"
	"exigo/internal/auth"
	"exigo/internal/expand"
	"exigo/internal/proto/sasl"
)

// authAdvertised is the state of authenticators in a session: which were offered after the last EHLO.
type authAdvertised struct{ names map[*auth.Authenticator]bool }

// offerAuth is the AUTH line of the EHLO reply: the mechanisms that this client may use (spec 33.3).
func (s *Session) offerAuth() (string, bool) {
	s.advertised = authAdvertised{}
	if len(s.svc.Authenticators) == 0 || s.noun.Authenticator != "" && s.authenticatedByTLS() || !s.matches(string(s.main.AuthAdvertiseHosts)) {
		return "", false
	}
	var line strings.Builder
	for _, a := range s.svc.Authenticators {
		if !a.Server || !s.mayAdvertise(a) {
			continue
		}
		if line.Len() == 0 {
			line.WriteString("AUTH")
			s.advertised.names = make(map[*auth.Authenticator]bool)
		}
		s.advertised.names[a] = true
		line.WriteString(" " + strings.ToUpper(a.PublicName))
	}
	s.authOffered = line.Len() > 0
	return line.String(), s.authOffered
}

// authenticatedByTLS tells whether the tls authenticator has authenticated the client: AUTH is not offered then (spec 42).
func (s *Session) authenticatedByTLS() bool {
	return s.authenticator != nil && s.authenticator.Driver.Name == "tls"
}

// mayAdvertise expands server_advertise_condition.
func (s *Session) mayAdvertise(a *auth.Authenticator) bool {
	condition := string(a.Generic.ServerAdvertiseCondition)
	if condition == "" {
		return true
	}
	v, err := s.svc.Engine.Expand(s.Scope(), condition)
	if err != nil {
		if !isForced(err) && !expand.IsTemporary(err) {
			s.logPanic("failed to expand condition \"" + s.printable(condition) + "\" for " + a.Name + " authenticator: " + s.printable(err.Error()))
		}
		return false
	}
	switch strings.ToLower(strings.TrimSpace(v.S)) {
	case "", "0", "no", "false":
		return false
	}
	return true
}

// authCommand obeys AUTH (RFC 4954, spec 33.3).
func (s *Session) authCommand(argument string) {
	if !s.authAllowed() {
		return
	}
	if s.main.ACLSMTPAuth != "" {
		outcome := s.runACL(acl.Auth, string(s.main.ACLSMTPAuth))
		if outcome.Verdict != acl.OK && outcome.Verdict != acl.Discard {
			s.refuse(acl.Auth, outcome, argument)
			return
		}
	}
	name, initial, _ := strings.Cut(argument, " ")
	for i := 0; i < len(name); i++ {
		c := name[i]
		if c|0x20 < 'a' || c|0x20 > 'z' {
			if (c < '0' || c > '9') && c != '-' && c != '_' {
				s.synprot(true, 501, "invalid character in authentication mechanism name")
				return
			}
		}
	}
	for _, a := range s.svc.Authenticators {
		if a.Server && strings.EqualFold(a.PublicName, name) && (s.advertised.names[a] || s.msg.Controls.AllowAuthUnadvertised) {
			s.authenticate(a, strings.TrimSpace(initial))
			return
		}
	}
	s.synprot(false, 504, name+" authentication mechanism not supported")
}

// authAllowed checks that AUTH may be given now.
func (s *Session) authAllowed() bool {
	switch {
	case !s.authOffered && !s.msg.Controls.AllowAuthUnadvertised:
		s.synprot(false, 503, "AUTH command used when not advertised")
	case s.noun.Authenticator != "":
		s.synprot(false, 503, "already authenticated")
	case s.msg.SenderSet:
		s.synprot(false, 503, "not permitted in mail transaction")
	default:
		return true
	}
	return false
}

// authDebug obeys server_debug_print.
func (s *Session) authDebug(a *auth.Authenticator) {
	scope, text := s.Scope(), string(a.Generic.ServerDebugPrint)
	if text == "" || scope.Debug == nil {
		return
	}
	v, err := s.svc.Engine.Expand(scope, text)
	if err != nil {
		scope.Debug("failed to expand server_debug_print for %s: %v", a.Name, err)
		return
	}
	scope.Debug("%s", v.S)
}

// authenticate runs the exchange of an authenticator and answers.
func (s *Session) authenticate(a *auth.Authenticator, initial string) {
	scope := s.Scope()
	x := &auth.ServerExchange{Authenticator: a, World: s.svc.World, Engine: s.svc.Engine, Scope: scope, Initial: initial,
		Hostname: s.main.PrimaryHostname, Challenge: s.challenge}
	x.SetValues()
	result, text := a.Driver.Server(s.ctx, x)
	if s.done {
		return
	}
	s.authDebug(a)
	id := s.authID(a, result)
	auth.ClearValues(scope)
	reply := s.authReply(a, result, id)
	if reply == "" {
		return
	}
	if result != auth.Defer {
		text = ""
	}
	s.authFailed(a, reply, x.Public, text, id)
}

// authID expands server_set_id.
func (s *Session) authID(a *auth.Authenticator, result auth.Result) string {
	if a.Generic.ServerSetID == "" || result == auth.Cancelled || result == auth.BadBase64 || result == auth.Lost {
		return ""
	}
	v, err := s.svc.Engine.Expand(s.Scope(), string(a.Generic.ServerSetID))
	if err != nil {
		return ""
	}
	return v.S
}

// authReply answers a success, and returns the reply for anything else: "535 Incorrect authentication data".
func (s *Session) authReply(a *auth.Authenticator, result auth.Result, id string) string {
	switch result {
	case auth.OK:
		s.Authenticated(a, id)
		s.line("235 Authentication succeeded")
	case auth.Defer:
		return "435 Unable to authenticate at present"
	case auth.BadBase64:
		return "501 Invalid base64 data"
	case auth.Cancelled:
		return "501 Authentication cancelled"
	case auth.Unexpected:
		return "553 Initial data not expected"
	case auth.Fail:
		return "535 Incorrect authentication data"
	}
	return ""
}

// Authenticated records that the authenticator has authenticated the client, with the id of server_set_id.
func (s *Session) Authenticated(a *auth.Authenticator, id string) {
	s.authenticator = a
	s.noun.Authenticator, s.noun.AuthPublicName, s.noun.AuthID, s.noun.FailedID = a.Name, a.PublicName, id, ""
}

// authFailed answers and logs a failed authentication: public is further text for the client, private for the log.
func (s *Session) authFailed(a *auth.Authenticator, reply, public, private, id string) {
	setID := ""
	if id != "" {
		setID = " (set_id=" + s.printable(id) + ")"
	}
	line := a.Name + " authenticator failed for " + s.who(true) + ": " + reply + setID
	if private != "" {
		line += ": " + s.printable(private)
	}
	s.noun.Authenticator, s.noun.FailedID = a.Name, setID
	if instead := s.event("auth:fail", reply); instead != "" {
		line = s.printable(instead)
	}
	s.noun.Authenticator, s.noun.FailedID = "", id
	if public != "" {
		reply += ": " + public
	}
	s.line(reply)
	s.logReject(line)
}

// challenge sends a challenge and reads the client's line.
func (s *Session) challenge(text []byte) (string, error) {
	s.line("334 " + sasl.Encode(text))
	line, nul, tooLong, err := s.io.readLine()
	switch {
	case err == nil && (nul || tooLong):
		return "\x00", nil // no base64
	case err == nil:
		s.log3(">>", "(authentication data)")
		return line, nil
	}
	s.inputEnded(err)
	if errors.Is(err, errTimeout) {
		return "", auth.ErrTimeout
	}
	return "", auth.ErrLost
}

// mailAuthCondition expands server_mail_auth_condition of the authenticator in force; "" lets AUTH= of MAIL stand, anything else is why not.
func (s *Session) mailAuthCondition() string {
	if s.authenticator == nil || s.authenticator.Generic.ServerMailAuthCond == "" {
		return ""
	}
	v, err := s.svc.Engine.Expand(s.Scope(), string(s.authenticator.Generic.ServerMailAuthCond))
	if err == nil {
		switch strings.ToLower(strings.TrimSpace(v.S)) {
		case "", "0", "no", "false":
		default:
			return ""
		}
	}
	return "server_mail_auth_condition failed"
}
