package hostfind

import (
	"context"
	"errors"
	"net/netip"
	"strings"

	"exigo/internal/expand"
	"exigo/internal/mail"
	"exigo/internal/outside"
)

// Method says how the addresses of a host are looked up (spec 20.7).
type Method int

// The methods.
const (
	// Default asks the DNS, and if the name does not exist there, the system.
	Default Method = iota
	// ByDNS asks the DNS only.
	ByDNS
	// ByName asks the system, which knows its own table of hosts and the DNS.
	ByName
)

// hostsTable is a resolver that also knows the machine's own table of hosts (/etc/hosts).
type hostsTable interface {
	// HostAddresses returns the addresses of a name in the table, none if it is not there.
	HostAddresses(name string) []netip.Addr
}

// Lookup finds the addresses of one host by the method. MX, Service and Addresses of the request are not looked at.
func Lookup(ctx context.Context, s *expand.Scope, r Request, m Method) (Answer, error) {
	r.MX, r.Service, r.Addresses = false, "", true
	if m != ByName {
		a, err := Find(ctx, s, r)
		if m == ByDNS || err != nil || a.Result != NotFound {
			return a, err
		}
	}
	return findByName(ctx, s, r)
}

// findByName asks as the system's getipnodebyname would: the table of hosts first, then the DNS with its search list.
func findByName(ctx context.Context, s *expand.Scope, r Request) (Answer, error) {
	f := newFinder(ctx, s, r)
	a := Answer{FullName: strings.ToLower(r.Name)}
	var err error
	if addr, ok := parseAddress(r.Name); ok {
		a.Hosts, a.Result, err = f.literal(addr)
		return f.finish(a, err)
	}
	f.r.Qualify = true
	v4only, err := f.ipv4Only(r.Name)
	if err != nil {
		return a, err
	}
	addrs, again := f.systemAddresses(v4only)
	ignored := false
	for _, addr := range addrs {
		skip, err := f.ignored(r.Name, addr)
		if err != nil {
			return a, err
		}
		if skip {
			ignored = true
			continue
		}
		name := r.Name
		if f.fullName != "" {
			name = f.fullName
		}
		a.Hosts = append(a.Hosts, mail.Host{Name: name, Address: addr, MX: -1, Port: r.Port})
	}
	switch {
	case len(a.Hosts) > 0:
		a.Result = Found
	case ignored:
		a.Result = Ignored
	case again:
		a.Result = Again
	}
	return f.finish(a, nil)
}

// systemAddresses returns the addresses of the request's name, IPv6 first.
func (f *finder) systemAddresses(v4only bool) (addrs []netip.Addr, again bool) {
	if table, ok := f.world.DNS.(hostsTable); ok {
		for _, addr := range table.HostAddresses(f.r.Name) {
			if addr = addr.Unmap(); addr.Is4() || !v4only {
				addrs = append(addrs, addr)
			}
		}
		if addrs != nil {
			return addrs, false
		}
	}
	for _, t := range []outside.RRType{outside.TypeAAAA, outside.TypeA} {
		if v4only && t == outside.TypeAAAA {
			continue
		}
		answer, err := f.lookup(f.r.Name, t)
		if err != nil {
			again = again || !definite(err) && !errors.Is(err, outside.ErrRefused)
			continue
		}
		f.noteFullName(answer)
		for _, rec := range answer.Records {
			if addr, ok := parseAddress(rec.Data); ok && rec.Type == t {
				addrs = append(addrs, addr)
			}
		}
	}
	return addrs, again
}
