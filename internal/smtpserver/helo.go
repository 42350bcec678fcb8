package smtpserver

import (
	"context"
	"errors"
	"net/netip"
	"strings"

	"exigo/internal/acl"
	"exigo/internal/expand"
)

// isForced tells whether an expansion failed on purpose.
func isForced(err error) bool { return errors.Is(err, expand.ErrForced) }

func (s *Session) helo(argument string) { s.hello("HELO", argument, false) }

func (s *Session) ehlo(argument string) { s.hello("EHLO", argument, true) }

// hello obeys HELO and EHLO (RFC 5321 section 4.1.1.1). A refused name leaves the session as it was.
func (s *Session) hello(verb, argument string, extended bool) {
	junk := s.main.HELOAcceptJunkHosts != "" && s.matches(string(s.main.HELOAcceptJunkHosts))
	if !junk && !validHELO(argument, s.main.HELOAllowChars) {
		s.line("501 Syntactically invalid " + verb + " argument(s)")
		shown := argument
		if shown == "" {
			shown = "(no argument given)"
		}
		s.logReject("rejected " + verb + " from " + s.who(false) + ": syntactically invalid argument(s): " + s.printable(shown))
		s.countSynprot()
		return
	}
	s.noun.HELO, s.noun.ESMTP = argument, extended
	s.noun.HELOVerified, s.noun.HELOTried = false, false
	s.lookupForHELO()
	if s.noun.Host.IsValid() && !s.verifyHELO(verb) {
		return
	}
	greeting := ""
	if s.main.ACLSMTPHELO != "" {
		outcome := s.runACL(acl.HELO, string(s.main.ACLSMTPHELO))
		s.applyControls()
		if outcome.Verdict != acl.OK && outcome.Verdict != acl.Discard {
			name := argument
			s.refuse(acl.HELO, outcome, name)
			s.noun.HELO = ""
			return
		}
		greeting = outcome.UserMessage
	}
	s.resetForHello()
	s.helloGiven = true
	if greeting == "" {
		greeting = s.greeting()
	}
	if !extended {
		s.respond("250", greeting, false)
		return
	}
	s.respond("250", greeting, true)
	s.offerExtensions()
}

// countSynprot counts an error that has been answered and logged.
func (s *Session) countSynprot() {
	if s.synprotErrors++; s.synprotErrors > s.main.SMTPMaxSynProtErrors {
		s.tooManyErrors(0)
	}
}

// resetForHello forgets the transaction and what an earlier EHLO offered; but for CHUNKING, as there are clients that go on with HELO and BDAT.
func (s *Session) resetForHello() {
	s.newMessage()
	s.pipelining, s.dsn, s.authOffered, s.startTLSOffered, s.utf8 = false, false, false, false, false
	s.offered = nil
	if n, err := s.expandInt(string(s.main.SMTPAcceptMaxPerConnection)); err == nil {
		s.maxPerConnection = int(n)
	}
}

// greeting is the text of the first line: "host Hello name [192.0.2.1]", with the client's identity if it is known.
func (s *Session) greeting() string {
	var b strings.Builder
	b.WriteString(s.hostname)
	b.WriteString(" Hello ")
	ident := s.noun.Ident
	if ident == "" && !s.noun.Host.IsValid() {
		ident = s.noun.Login
	}
	if ident != "" {
		b.WriteString(ident + " at ")
	}
	name := s.noun.HostName
	if name == "" {
		name = s.noun.HELO
	}
	b.WriteString(name)
	if s.noun.Host.IsValid() {
		b.WriteString(" [" + s.noun.Host.String() + "]")
	}
	return b.String()
}

// offerExtensions adds the lines of the EHLO reply below the greeting.
func (s *Session) offerExtensions() {
	s.offered = make(map[string]bool, 8)
	for _, x := range s.srv.extensions {
		if x.Offer == nil {
			continue
		}
		if text, ok := x.Offer(s); ok {
			s.offered[x.Name] = true
			s.line("250-" + text)
		}
	}
	s.line("250 HELP")
}

// lookupForHELO finds the client's true name when it calls itself by a name of helo_lookup_domains.
func (s *Session) lookupForHELO() {
	if !s.noun.Host.IsValid() || s.main.HELOLookupDomains == "" || s.svc.MatchDomain == nil || s.noun.NameLookup != 0 {
		return
	}
	ok, err := s.svc.MatchDomain(s.Scope(), string(s.main.HELOLookupDomains), s.noun.HELO)
	if err == nil && ok {
		s.lookupName()
	}
}

// verifyHELO obeys helo_verify_hosts and helo_try_verify_hosts.
func (s *Session) verifyHELO(verb string) bool {
	must := s.main.HELOVerifyHosts != "" && s.matches(string(s.main.HELOVerifyHosts))
	try := !must && s.main.HELOTryVerifyHosts != "" && s.matches(string(s.main.HELOTryVerifyHosts))
	if !must && !try {
		return true
	}
	verify := s.svc.VerifyHELO
	if verify == nil {
		verify = func(ctx context.Context, scope *expand.Scope) (bool, error) {
			return VerifyHELO(ctx, scope, s.svc.HostName)
		}
	}
	ok, err := verify(s.ctx, s.Scope())
	if ok || !must {
		return true
	}
	if err != nil && expand.IsTemporary(err) {
		s.line("450 Temporary DNS failure - please try later")
		s.logReject(s.who(true) + " temporarily rejected \"" + verb + " " + s.printable(s.noun.HELO) + "\": DNS failure while verifying HELO")
		return false
	}
	s.line("550 " + verb + " argument does not match calling host")
	s.logReject("rejected \"" + verb + " " + s.printable(s.noun.HELO) + "\" from " + s.who(false))
	return false
}

// validHELO checks the syntax of the argument of HELO and EHLO: an address literal, or letters, digits, dots, hyphens and the
// characters of helo_allow_chars (spec: helo_accept_junk_hosts).
func validHELO(name, allowed string) bool {
	if name == "" {
		return false
	}
	if name[0] == '[' {
		if name[len(name)-1] != ']' {
			return false
		}
		inner := name[1 : len(name)-1]
		if len(inner) > 5 && strings.EqualFold(inner[:5], "IPv6:") {
			inner = inner[5:]
		}
		_, err := netip.ParseAddr(inner)
		return err == nil && !strings.Contains(inner, "%")
	}
	if _, err := netip.ParseAddr(name); err == nil && strings.Contains(name, ":") {
		return false
	}
	for i := 0; i < len(name); i++ {
		c := name[i]
		if c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z' || c == '.' || c == '-' || strings.IndexByte(allowed, c) >= 0 {
			continue
		}
		return false
	}
	return true
}
