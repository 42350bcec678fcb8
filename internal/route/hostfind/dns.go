package hostfind

import (
	"errors"
	"net/netip"
	"strings"

	"exigo/internal/list"
	"exigo/internal/mail"
	"exigo/internal/outside"
)

// matches tests a domain list; an empty list matches nothing.
func (f *finder) matches(domains, name string) (bool, error) {
	switch domains {
	case "":
		return false, nil
	case "*":
		return true, nil
	}
	m, err := list.Domain(f.s, domains, name)
	return m.Matched, err
}

// ignored tests an address against ignore_target_hosts, with $host_address set to it.
func (f *finder) ignored(name string, addr netip.Addr) (bool, error) {
	if f.r.IgnoreHosts == "" {
		return false, nil
	}
	saved := f.s.Host
	f.s.Host = &mail.Host{Name: name, Address: addr}
	m, err := list.Host(f.s, f.r.IgnoreHosts, "", addr)
	f.s.Host = saved
	return m.Matched, err
}

// lookup asks one question under the rules of the main options: names that dns_check_names_pattern refuses do not exist,
// and dns_again_means_nonexist turns a temporary failure into a definite one.
func (f *finder) lookup(name string, t outside.RRType) (outside.Answer, error) {
	if p := f.main.DNSCheckNamesPattern; p != "" && t != outside.TypePTR {
		subject := strings.TrimSuffix(name, ".")
		if t == outside.TypeSRV { // the leading labels of the service have underscores by definition
			if _, after, ok := strings.Cut(subject, "._tcp."); ok {
				subject = after
			}
		}
		if re, err := f.s.Engine.Regex.Compile(p, 0); err == nil {
			if ok, err := re.Test(subject); err == nil && !ok {
				return outside.Answer{}, outside.ErrNoHost
			}
		}
	}
	q := outside.Question{Name: name, Type: t, Search: f.r.Search, Qualify: f.r.Qualify, DNSSEC: f.ask || f.require}
	a, err := f.s.DNS().Lookup(f.ctx, q)
	if err == nil && len(a.Records) == 0 {
		err = outside.ErrNoData
	}
	if err != nil && !definite(err) && f.ctx.Err() == nil {
		again, lerr := f.matches(string(f.main.DNSAgainMeansNonExist), name)
		if lerr == nil && again {
			return a, outside.ErrNoHost
		}
	}
	err = f.judgeSecurity(&a, err)
	return a, err
}

// judgeSecurity leaves Secure set only where it was asked for, and sets it for authoritative answers of dns_trust_aa.
func (f *finder) judgeSecurity(a *outside.Answer, err error) error {
	if err != nil {
		return err
	}
	if a.Authoritative && !a.Secure && f.main.DNSTrustAA != "" {
		trusted, err := f.matches(string(f.main.DNSTrustAA), strings.TrimSuffix(a.Canonical, "."))
		if err != nil {
			return err
		}
		a.Secure = trusted
	}
	a.Secure = a.Secure && (f.ask || f.require)
	return nil
}

// definite tells whether an error says that there is no such record.
func definite(err error) bool {
	return errors.Is(err, outside.ErrNoHost) || errors.Is(err, outside.ErrNoData)
}

// noteFullName keeps the name that the resolver made of an incomplete one.
func (f *finder) noteFullName(a outside.Answer) {
	if f.fullName != "" || len(a.Records) == 0 || !f.r.Qualify && !f.r.Search {
		return
	}
	asked := strings.ToLower(strings.TrimSuffix(f.r.Name, "."))
	spelled := a.Name
	if spelled == "" {
		spelled = strings.TrimSuffix(a.Canonical, ".")
	}
	full := strings.ToLower(spelled)
	switch {
	case strings.HasPrefix(full, "*"):
	case strings.HasPrefix(full, asked+"."):
		f.fullName = full
	case full == asked && spelled != full:
		f.fullName = spelled
	}
}

// addresses finds the addresses of one host, in order, each a host of its own. top is set for the name of the request.
func (f *finder) addresses(h mail.Host, top bool) ([]mail.Host, Result, error) {
	types := []outside.RRType{outside.TypeAAAA, outside.TypeA}
	if only, err := f.ipv4Only(h.Name); err != nil {
		return nil, NotFound, err
	} else if only {
		types = types[1:]
	}
	var found []mail.Host
	seenIgnored, insecure, again := false, false, false
	for _, t := range types {
		a, err := f.lookup(h.Name, t)
		if err != nil {
			again = again || !definite(err)
			continue
		}
		if f.require && !a.Secure {
			insecure = true
			continue
		}
		if top {
			f.noteFullName(a)
		}
		for _, rec := range a.Records {
			addr, ok := parseAddress(rec.Data)
			if rec.Type != t || !ok {
				continue
			}
			skip, err := f.ignored(h.Name, addr)
			if err != nil {
				return nil, NotFound, err
			}
			if skip {
				seenIgnored = true
				continue
			}
			n := f.named(h, a)
			n.Address, n.Secure = addr, a.Secure && !f.insecureNames
			n.Sort = f.sortKey(h.MX, addr)
			found = insert(found, n)
		}
	}
	switch {
	case len(found) > 0:
		return found, Found, nil
	case again:
		return nil, Again, nil
	case insecure:
		return nil, Insecure, nil
	case seenIgnored:
		return nil, Ignored, nil
	}
	return nil, NotFound, nil
}

// named gives a host its name: the one at the end of a chain of aliases. Certificates are checked for the name that was asked for.
func (f *finder) named(h mail.Host, a outside.Answer) mail.Host {
	full := strings.ToLower(strings.TrimSuffix(a.Canonical, "."))
	if full == "" || strings.EqualFold(full, h.Name) || strings.HasPrefix(full, "*") {
		return h
	}
	if h.CertName == "" {
		h.CertName = h.Name
	}
	h.Name = full
	return h
}

// ipv4Only tells whether AAAA records are left out for a name.
func (f *finder) ipv4Only(name string) (bool, error) {
	if f.main.DisableIPv6 || f.r.IPv4Only {
		return true, nil
	}
	return f.matches(string(f.main.DNSIPv4Lookup), name)
}

// sortKey orders the addresses of hosts of one preference: at random, but one family before the other.
func (f *finder) sortKey(mx int, addr netip.Addr) int {
	key := f.world.Random.Intn(500)
	if addr.Is4() != f.r.IPv4Prefer {
		key += 500
	}
	return max(mx, 0)*1000 + key
}

// insert puts a host into a list that is ordered by Sort, behind its equals.
func insert(hosts []mail.Host, h mail.Host) []mail.Host {
	i := len(hosts)
	for i > 0 && h.Sort < hosts[i-1].Sort {
		i--
	}
	hosts = append(hosts, mail.Host{})
	copy(hosts[i+1:], hosts[i:])
	hosts[i] = h
	return hosts
}
