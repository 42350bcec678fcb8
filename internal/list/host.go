package list

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"exigo/internal/expand"
	"exigo/internal/lookup"
	"exigo/internal/mail"
	"exigo/internal/outside"
)

// hostSubject is the host that is checked. Its name is the subject of the scan; where there is none, and without addressOnly, names are found
// when an item needs them.
type hostSubject struct {
	address     netip.Addr
	names       []string
	addressOnly bool
}

// Host checks a host against a host list. An invalid address means that no host is involved (a local submission). name is the
// host's name if it is known; "" has it found by reverse DNS when an item needs it.
func Host(s *expand.Scope, list, name string, addr netip.Addr) (Match, error) {
	sc := hostScan(s, name, addr, false)
	return sc.run(list, true)
}

// FindHostName looks the name of a session's client up (see expand.Scope.FindHostName) for a session that need not be the scope's.
func FindHostName(s *expand.Scope, c *mail.Session) mail.NameLookup {
	d := *s
	d.Session = c
	return d.FindHostName()
}

// hostScan is the scan for a host; with addressOnly (match_ip, lists of addresses) names are not looked up.
func hostScan(s *expand.Scope, name string, addr netip.Addr, addressOnly bool) scan {
	return scan{s: s, kind: hosts, subject: name, host: hostSubject{address: addr.Unmap(), addressOnly: addressOnly}}
}

// testHost tests an item of a host list (spec 10.11 to 10.19).
func (sc *scan) testHost(item string) (verdict, mail.Value, string, error) {
	h := &sc.host
	switch {
	case item == "":
		return toVerdict(!h.address.IsValid()), mail.Value{}, "", nil
	case item == "*":
		return yes, mail.Value{}, "", nil
	case !h.address.IsValid():
		return no, mail.Value{}, "", nil
	case item == "@[]":
		return toVerdict(isLocal(sc.s, h.address)), mail.Value{}, "", nil
	case item == "@":
		item = sc.s.Settings().PrimaryHostname
	}
	if matched, ok := matchesAddress(item, h.address); ok {
		return toVerdict(matched), mail.Value{}, "", nil
	}
	if strings.Trim(item, "0123456789./") == "" {
		return unknown, mail.Value{}, "malformed IPv4 address or address mask", nil
	}
	if strings.IndexByte(item, ';') >= 0 && item[0] != '^' {
		return sc.hostLookup(item)
	}
	if h.addressOnly {
		return unknown, mail.Value{}, "cannot match host name in match_ip list", nil
	}
	if isHostName(item) {
		return sc.forward(item)
	}
	return sc.byName(item, func(name string) (verdict, mail.Value, error) {
		return sc.pattern(item, name, false, false)
	})
}

// matchesAddress compares an address with an item that is an address or a network. ok is false if it is neither.
func matchesAddress(item string, addr netip.Addr) (matched, ok bool) {
	text, bits, masked := strings.Cut(item, "/")
	a, err := netip.ParseAddr(text)
	if err != nil {
		return false, false
	}
	if a.Is4In6() && !masked {
		a = a.Unmap()
	}
	n := a.BitLen()
	if masked {
		if n, err = strconv.Atoi(bits); err != nil || n < 0 {
			return false, false
		}
		if a.Is4In6() && n >= 96 {
			a, n = a.Unmap(), n-96
		}
		n = min(n, a.BitLen())
	}
	return netip.PrefixFrom(a.WithZone(""), n).Contains(addr.WithZone("")), true
}

// isHostName tells names of hosts, whose addresses are looked up, from patterns for names.
func isHostName(item string) bool {
	for i := range len(item) {
		c := item[i]
		if c|0x20 < 'a' || c|0x20 > 'z' {
			if (c < '0' || c > '9') && c != '.' && c != '-' && c != '_' && c < 0x80 {
				return false
			}
		}
	}
	return true
}

// forward looks the addresses of a name up and compares them.
func (sc *scan) forward(name string) (verdict, mail.Value, string, error) {
	sc.noCache = true
	kind := outside.TypeA
	if sc.host.address.Is6() {
		kind = outside.TypeAAAA
	}
	list, _, err := sc.s.HostAddresses(name, kind)
	if err != nil && sc.dnsError(err, name) == nil {
		// There may be an address of the other kind: then the host is known, and it is another one.
		if list, _, err = sc.s.HostAddresses(name, outside.TypeA+outside.TypeAAAA-kind); err == nil {
			return no, mail.Value{}, "", nil
		}
	}
	if err != nil {
		if failure := sc.dnsError(err, name); failure != nil {
			return no, mail.Value{}, "", &expand.Error{Temporary: true}
		}
		sc.s.Log("no IP address found for host %s%s", name, during(sc.s))
		return unknown, mail.Value{}, "failed to find IP address for " + name, nil
	}
	for _, a := range list {
		if a == sc.host.address {
			return yes, mail.Value{}, "", nil
		}
	}
	return no, mail.Value{}, "", nil
}

// during is what log lines about lookups say of the session.
func during(s *expand.Scope) string {
	if v, ok := s.Extra["host_and_ident"]; ok && v.S != "" {
		return " (during SMTP connection from " + v.S + ")"
	}
	if c := s.Session; c != nil && c.Host.IsValid() {
		name := ""
		if c.HostName != "" {
			name = c.HostName + " "
		}
		if c.HELO != "" && !strings.EqualFold(c.HELO, c.HostName) {
			name += "(" + c.HELO + ") "
		}
		return " (during SMTP connection from " + name + "[" + c.Host.Unmap().String() + "])"
	}
	return ""
}

// hostLookup obeys an item type;file or type;query: with net- or net<bits>- the key is the address, else the name.
func (sc *scan) hostLookup(item string) (verdict, mail.Value, string, error) {
	name, argument, _ := strings.Cut(item, ";")
	bits, net := -1, false
	typeName := name
	if rest, ok := strings.CutPrefix(name, "net"); ok {
		digits := len(rest) - len(strings.TrimLeft(rest, "0123456789"))
		if after, ok := strings.CutPrefix(rest[digits:], "-"); ok {
			net, typeName = true, after
			if digits > 0 {
				bits, _ = strconv.Atoi(rest[:digits])
			}
		}
	}
	t, err := sc.s.Engine.LookupType(typeName)
	if err != nil {
		sc.s.Panic("%s in host list item \"%s\"", err, item)
		return no, mail.Value{}, "", &expand.Error{Text: err.Error(), Temporary: true}
	}
	if t.Driver.Kind&lookup.SingleKey == 0 || net || sc.host.addressOnly {
		found, ok, err := sc.find(t, argument, addressKey(sc.host.address, bits, t.Driver.Name == "iplsearch"))
		return toVerdict(ok), found.Data, "", err
	}
	return sc.byName(item, func(name string) (verdict, mail.Value, error) {
		found, ok, err := sc.find(t, argument, name)
		return toVerdict(ok), found.Data, err
	})
}

// addressKey is an address as a lookup key: IPv6 in full, with dots for colons except where the type wants colons; masked if
// there is a number of bits.
func addressKey(a netip.Addr, bits int, colons bool) string {
	suffix := ""
	if bits >= 0 {
		bits = min(bits, a.BitLen())
		if p, err := a.WithZone("").Prefix(bits); err == nil {
			a = p.Addr()
		}
		suffix = "/" + strconv.Itoa(bits)
	}
	if a.Is4() {
		return a.String() + suffix
	}
	b := a.As16()
	groups := make([]string, 8)
	for i := range groups {
		groups[i] = fmt.Sprintf("%02x%02x", b[2*i], b[2*i+1])
	}
	if colons {
		return strings.Join(groups, ":") + suffix
	}
	return strings.Join(groups, ".") + suffix
}

// byName tests all names of the host, which are looked up if they are not known.
func (sc *scan) byName(item string, test func(name string) (verdict, mail.Value, error)) (verdict, mail.Value, string, error) {
	names, state := sc.hostNames()
	switch state {
	case mail.NameDeferred:
		return no, mail.Value{}, "", &expand.Error{Text: "host lookup deferred for reverse lookup of " + sc.host.address.String(), Temporary: true}
	case mail.NameFailed:
		return unknown, mail.Value{}, "failed to find host name for " + sc.host.address.String(), nil
	}
	for _, name := range names {
		if v, data, err := test(lower(name)); err != nil || v == yes {
			return v, data, "", err
		}
	}
	return no, mail.Value{}, "", nil
}

// hostNames gives the names of the host: the one that was given, the client's, or what a reverse lookup finds.
func (sc *scan) hostNames() ([]string, mail.NameLookup) {
	h := &sc.host
	if len(h.names) == 0 && sc.subject != "" {
		h.names = []string{lower(sc.subject)}
	}
	if len(h.names) > 0 {
		return h.names, mail.NameFound
	}
	sc.noCache = true
	s := sc.s
	if s.Session == nil || s.Session.Host.Unmap() != h.address {
		d := *s
		d.Session = &mail.Session{Host: h.address}
		s = &d
	}
	failedBefore := s.Session.NameLookup == mail.NameFailed
	state := s.FindHostName()
	if state == mail.NameFailed && !failedBefore {
		s.LogSelected("host_lookup_failed", "no host name found for IP address %s", h.address)
	}
	if state != mail.NameFound {
		return nil, state
	}
	h.names = append([]string{s.Session.HostName}, s.Session.HostAliases...)
	return h.names, state
}
