package smtpserver

import (
	"context"
	"errors"
	"net/netip"
	"strings"

	"exigo/internal/expand"
	"exigo/internal/mail"
	"exigo/internal/outside"
)

// VerifyHELO checks that the name a client gave with HELO is its own, once a session: an address literal of its address, the name
// that its address has, or a name with its address (spec: helo_try_verify_hosts). It sets Session.HELOVerified and HELOTried;
// an error is temporary. hostName finds the client's name; nil stands for FindHostName. The top gives it to the ACLs too.
func VerifyHELO(ctx context.Context, s *expand.Scope, hostName func(context.Context, *expand.Scope) (found, temporary bool, reason string)) (bool, error) {
	if hostName == nil {
		hostName = FindHostName
	}
	n := s.Session
	if n.HELOTried {
		return n.HELOVerified, nil
	}
	n.HELOTried, n.HELOVerified = true, false
	switch {
	case n.HELO == "":
		return false, nil
	case !n.Host.IsValid():
		n.HELOVerified = true // a local submitter may call itself anything
		return true, nil
	case n.HELO[0] == '[':
		inner := strings.TrimSuffix(n.HELO[1:], "]")
		if len(inner) > 5 && strings.EqualFold(inner[:5], "IPv6:") {
			inner = inner[5:]
		}
		a, err := netip.ParseAddr(inner)
		n.HELOVerified = err == nil && a.Unmap() == n.Host.Unmap()
		return n.HELOVerified, nil
	}
	deferred := false
	if n.HostName == "" {
		_, deferred, _ = hostName(ctx, s)
	}
	for _, name := range append([]string{n.HostName}, n.HostAliases...) {
		if name != "" && strings.EqualFold(name, n.HELO) {
			n.HELOVerified = true
			return true, nil
		}
	}
	addresses, _, err := s.HostAddresses(n.HELO, 0)
	for _, a := range addresses {
		if a == n.Host.Unmap() {
			n.HELOVerified = true
			return true, nil
		}
	}
	if err != nil && !errors.Is(err, outside.ErrNoHost) && !errors.Is(err, outside.ErrNoData) {
		deferred = true
	}
	if deferred {
		n.HELOTried = false
		return false, &expand.Error{Text: "DNS lookup deferred while verifying HELO", Temporary: true}
	}
	return false, nil
}

// FindHostName finds the client's name; reason is what the log says when there is none. The top gives it to the ACLs too.
func FindHostName(_ context.Context, s *expand.Scope) (found, temporary bool, reason string) {
	switch s.FindHostName() {
	case mail.NameFound:
		return true, false, ""
	case mail.NameDeferred:
		return false, true, "host name lookup deferred for IP address " + s.Session.Host.String()
	}
	return false, false, "no host name found for IP address " + s.Session.Host.String()
}
