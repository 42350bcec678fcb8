package expand

import (
	"errors"
	"net/netip"
	"strings"

	"exigo/internal/mail"
	"exigo/internal/outside"
)

// FindHostName looks the client's name up, as hosts_lookup and references to $sender_host_name ask for (spec 10.14): names that the
// reverse lookup of its address gives count only if one of their own addresses is that address. The result stands in the
// session: HostName and HostAliases, or NameLookup tells why there is none. A lookup that failed for good is not repeated.
func (s *Scope) FindHostName() mail.NameLookup {
	c := s.Session
	if c == nil || !c.Host.IsValid() || c.NameLookup == mail.NameFailed {
		return mail.NameFailed
	}
	if c.HostName != "" {
		return mail.NameFound
	}
	c.NameLookup = s.findHostName(c)
	return c.NameLookup
}

func (s *Scope) findHostName(c *mail.Session) mail.NameLookup {
	host := c.Host.Unmap()
	answer, err := s.DNS().Lookup(s.Ctx, outside.Question{Name: reverseName(host), Type: outside.TypePTR, DNSSEC: true})
	if err != nil {
		if temporaryDNS(err) {
			return mail.NameDeferred
		}
		return mail.NameFailed
	}
	secure, deferred := answer.Secure, false
	var names []string
	for _, r := range answer.Records {
		name := strings.ToLower(strings.TrimSuffix(r.Data, "."))
		if name == "" || strings.ContainsAny(name, " \t\r\n\x00") {
			continue
		}
		addresses, forwardSecure, err := s.HostAddresses(name, kindOf(host))
		if err != nil {
			deferred = deferred || temporaryDNS(err)
			continue
		}
		for _, a := range addresses {
			if a == host {
				names = append(names, name)
				secure = secure && forwardSecure
				break
			}
		}
	}
	switch {
	case len(names) > 0:
		c.HostName, c.HostAliases, c.NameSecure = names[0], names[1:], secure
		return mail.NameFound
	case deferred:
		return mail.NameDeferred
	}
	return mail.NameFailed
}

func kindOf(a netip.Addr) outside.RRType {
	if a.Is4() {
		return outside.TypeA
	}
	return outside.TypeAAAA
}

// temporaryDNS tells failures that may go away from a definite no.
func temporaryDNS(err error) bool {
	return !errors.Is(err, outside.ErrNoHost) && !errors.Is(err, outside.ErrNoData)
}

// HostAddresses looks a host's addresses up in the DNS; kind is A or AAAA, 0 for both. The error is the resolver's if there is no address.
func (s *Scope) HostAddresses(name string, kind outside.RRType) (list []netip.Addr, secure bool, err error) {
	kinds := []outside.RRType{kind}
	if kind == 0 {
		kinds = []outside.RRType{outside.TypeAAAA, outside.TypeA}
		if s.Settings().DisableIPv6 {
			kinds = kinds[1:]
		}
	}
	secure = true
	var temporary, failed error
	for _, kind := range kinds {
		answer, err := s.DNS().Lookup(s.Ctx, outside.Question{Name: name, Type: kind, DNSSEC: true})
		if err != nil {
			if failed = err; temporaryDNS(err) {
				temporary = err
			}
			continue
		}
		secure = secure && answer.Secure
		for _, r := range answer.Records {
			if a, err := netip.ParseAddr(r.Data); err == nil {
				list = append(list, a.Unmap())
			}
		}
	}
	switch {
	case len(list) > 0:
		return list, secure, nil
	case temporary != nil:
		return nil, false, temporary
	case failed != nil:
		return nil, false, failed
	}
	return nil, false, outside.ErrNoData
}

// reverseName is the domain under which the DNS keeps names of an address (RFC 1035 section 3.5, RFC 3596 section 2.5).
func reverseName(a netip.Addr) string {
	const digits = "0123456789abcdef"
	if a.Is4() {
		b := a.As4()
		parts := []string{decimal(b[3]), decimal(b[2]), decimal(b[1]), decimal(b[0]), "in-addr.arpa"}
		return strings.Join(parts, ".")
	}
	b := a.As16()
	var out []byte
	for i := 15; i >= 0; i-- {
		out = append(out, digits[b[i]&15], '.', digits[b[i]>>4], '.')
	}
	return string(out) + "ip6.arpa"
}

func decimal(b byte) string {
	switch {
	case b >= 100:
		return string([]byte{'0' + b/100, '0' + b/10%10, '0' + b%10})
	case b >= 10:
		return string([]byte{'0' + b/10, '0' + b%10})
	}
	return string([]byte{'0' + b})
}
