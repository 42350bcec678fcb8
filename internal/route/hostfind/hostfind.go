// Package hostfind finds the hosts behind a name as mail routing needs them (spec 13.8, 17 and 20.6): SRV, MX and
// address records in the order in which they are to be tried, without hosts that are to be ignored, and cut where this
// machine stands in the list. Routers, the smtp transport's hosts option and callouts use it.
//
// Trust: DNS answers are untrusted; names may come from senders. What is found is only a list of addresses to connect to.
package hostfind

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"exigo/internal/config"
	"exigo/internal/expand"
	"exigo/internal/mail"
	"exigo/internal/option"
	"exigo/internal/outside"
)

// Result says how a search ended.
type Result int

// The ends of a search.
const (
	// NotFound: there is no such host, or no mail service at it.
	NotFound Result = iota
	// Again: the DNS could not tell; try later.
	Again
	// Insecure: an answer without DNSSEC was not accepted (dnssec_require_domains).
	Insecure
	// Ignored: all addresses match ignore_target_hosts.
	Ignored
	// Found: Answer.Hosts has at least one host.
	Found
	// Local: as Found, and the first of the hosts is this machine.
	Local
)

// Request is what to look for.
type Request struct {
	// Name is the host or domain.
	Name string
	// Port is given to every host that is found, 0 for none (SRV records bring their own).
	Port int
	// Service is the name of an SRV service to look for first ("smtp"), "" for none.
	Service string
	// MX asks for MX records, Addresses for address records when there are none of the others.
	MX, Addresses bool
	// MXDomains is a list of domains whose address records do not count; it is looked at when there are no other records.
	MXDomains string
	// IgnoreHosts is a host list; matching addresses count as absent.
	IgnoreHosts string
	// SRVFail and MXFail are lists of domains for which a DNS error in that step counts as "no such record".
	SRVFail, MXFail string
	// DNSSECRequest and DNSSECRequire are lists of domains.
	DNSSECRequest, DNSSECRequire string
	// Qualify and Search let the resolver complete the name.
	Qualify, Search bool
	// IPv4Only leaves AAAA records out, IPv4Prefer sorts A records first.
	IPv4Only, IPv4Prefer bool
}

// Answer is what was found.
type Answer struct {
	Result Result
	// Hosts in the order of trial. With MX records some may be unusable (no Address; Status and Why say so).
	Hosts []mail.Host
	// FullName is the name as the DNS completed it, and in its spelling if that has capitals; the name asked for in lower case
	// when it was complete.
	FullName string
	// Removed says that this machine was in the list and was removed with what stood behind it.
	Removed bool
	// AddressMX says that an MX record held an address instead of a name and was not used; Insecure that the
	// addresses of a host were not used for want of DNSSEC.
	AddressMX, Insecure bool
	// NoService says that a record with the name "." declares that there is no mail service (RFC 7505, RFC 2782).
	NoService bool
}

// Usable tells whether one of the hosts has an address.
func Usable(hosts []mail.Host) bool {
	for _, h := range hosts {
		if h.Address.IsValid() {
			return true
		}
	}
	return false
}

// Deferred tells whether the DNS failed temporarily for one of the hosts.
func Deferred(hosts []mail.Host) bool {
	for _, h := range hosts {
		if h.Why == mail.WhyDeferred {
			return true
		}
	}
	return false
}

// finder is one search.
type finder struct {
	ctx   context.Context
	s     *expand.Scope
	world *outside.World
	main  *config.Main
	r     Request
	// ask and require tell whether DNSSEC is asked for and insisted on, by the lists and the name of the request.
	ask, require bool
	fullName     string
	// addressMX and insecure are those of the Answer.
	addressMX, insecure, noService bool
	// insecureNames says that the names of hosts came from records without DNSSEC, so that no host counts as secured.
	insecureNames bool
}

// Find looks for the hosts of a name in the DNS. The error is of an expansion of a list of the request.
func Find(ctx context.Context, s *expand.Scope, r Request) (Answer, error) {
	f := newFinder(ctx, s, r)
	a := Answer{FullName: strings.ToLower(strings.TrimSuffix(r.Name, "."))}
	var err error
	if f.ask, err = f.matches(r.DNSSECRequest, r.Name); err != nil {
		return a, err
	}
	if f.require, err = f.matches(r.DNSSECRequire, r.Name); err != nil {
		return a, err
	}
	if addr, ok := parseAddress(r.Name); ok {
		a.Hosts, a.Result, err = f.literal(addr)
		return f.finish(a, err)
	}
	a.Result, a.Hosts, err = f.search()
	if f.fullName != "" {
		a.FullName = f.fullName
	}
	return f.finish(a, err)
}

func newFinder(ctx context.Context, s *expand.Scope, r Request) *finder {
	return &finder{ctx: ctx, s: s, world: s.Engine.World, main: option.Of[config.Main](s.Config.MainOptions()), r: r}
}

// finish cuts the list where this machine stands.
func (f *finder) finish(a Answer, err error) (Answer, error) {
	a.AddressMX, a.Insecure, a.NoService = f.addressMX, f.insecure, f.noService
	if err != nil || a.Result != Found {
		return a, err
	}
	a.Hosts, a.Result, a.Removed, err = CutAtLocal(f.s, a.Hosts)
	return a, err
}

// ErrMXDomains is the error of a request whose MXDomains cannot be looked at now.
var ErrMXDomains = errors.New("lookup defer for mx_domains")

// search asks for SRV, MX and address records in turn.
func (f *finder) search() (Result, []mail.Host, error) {
	if f.r.Service != "" {
		result, hosts, done, err := f.service()
		if done || err != nil {
			return result, hosts, err
		}
	}
	if f.r.MX {
		result, hosts, done, err := f.exchangers()
		if done || err != nil {
			return result, hosts, err
		}
	}
	if !f.r.Addresses {
		return NotFound, nil, nil
	}
	if matched, err := f.matches(f.r.MXDomains, f.r.Name); err != nil {
		return Again, nil, fmt.Errorf("%w: %w", ErrMXDomains, err)
	} else if matched {
		return NotFound, nil, nil
	}
	hosts, result, err := f.addresses(mail.Host{Name: f.r.Name, MX: -1, Port: f.r.Port}, true)
	return result, hosts, err
}

// literal makes a host of a name that is an address.
func (f *finder) literal(addr netip.Addr) ([]mail.Host, Result, error) {
	ignored, err := f.ignored(f.r.Name, addr)
	if err != nil || ignored {
		return nil, Ignored, err
	}
	if addr.Is6() && f.main.DisableIPv6 {
		return nil, NotFound, nil
	}
	return []mail.Host{{Name: f.r.Name, Address: addr, MX: -1, Port: f.r.Port}}, Found, nil
}

// parseAddress reads an IP address, with or without a zone, as Exim's string_is_ip_address does.
func parseAddress(text string) (netip.Addr, bool) {
	a, err := netip.ParseAddr(text)
	return a, err == nil
}

// Item splits an item of a host list with an optional port, as in "name", "name:25", "[address]:25" and "address"
// (spec 20.5). The brackets of an address are removed. Port 0 stands for none.
func Item(text string) (name string, port int) {
	if _, ok := parseAddress(text); ok {
		return text, 0
	}
	if strings.HasPrefix(text, "[") {
		if end := strings.IndexByte(text, ']'); end > 0 {
			if _, ok := parseAddress(text[1:end]); ok {
				if rest := text[end+1:]; rest == "" {
					return text[1:end], 0
				} else if p, ok := parsePort(rest); ok {
					return text[1:end], p
				}
			}
		}
		return text, 0
	}
	if i := strings.LastIndexByte(text, ':'); i > 0 {
		if p, ok := parsePort(text[i:]); ok {
			return text[:i], p
		}
	}
	return text, 0
}

// parsePort reads ":25".
func parsePort(text string) (int, bool) {
	if len(text) < 2 || len(text) > 6 || text[0] != ':' {
		return 0, false
	}
	n := 0
	for _, c := range []byte(text[1:]) {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, n > 0 && n < 65536
}
