package outside

import (
	"context"
	"errors"
	"strings"
	"time"

	"exigo/internal/proto/dns"

	mdns "github.com/miekg/dns"
)

// DNSOptions are the main options that change how names are looked up. Zero times and counts mean the system's.
type DNSOptions struct {
	// Retrans is dns_retrans, Retry dns_retry.
	Retrans time.Duration
	Retry   int
	// EDNS0 is dns_use_edns0, DNSSEC dns_dnssec_ok: 1, 0, or -1 for the default.
	EDNS0, DNSSEC int
	// CNAMELoops is dns_cname_loops.
	CNAMELoops int
}

// ConfigureDNS puts options in force for the world's resolver. A resolver that has none (a test's) is left alone.
func ConfigureDNS(w *World, o DNSOptions) {
	if c, ok := w.DNS.(interface{ Configure(DNSOptions) }); ok {
		c.Configure(o)
	}
}

// realResolver looks names up with proto/dns. localhost is fixed; /etc/hosts is read only for HostAddresses.
type realResolver struct {
	dns   *dns.Resolver
	hosts hostsTable
}

func newRealResolver(path string) *realResolver {
	return &realResolver{dns: dns.New(path), hosts: hostsTable{path: "/etc/hosts"}}
}

// Configure implements ConfigureDNS.
func (r *realResolver) Configure(o DNSOptions) {
	r.dns.Configure(dns.Options{Retrans: o.Retrans, Retry: o.Retry, EDNS0: o.EDNS0, DNSSEC: o.DNSSEC, CNAMELoops: o.CNAMELoops})
}

// Lookup implements Resolver.
func (r *realResolver) Lookup(ctx context.Context, q Question) (Answer, error) {
	if a, ok := Localhost(q); ok {
		return a, nil
	}
	found, err := r.dns.Lookup(ctx, dns.Question{Name: q.Name, Type: uint16(q.Type), Search: q.Search, Qualify: q.Qualify, DNSSEC: q.DNSSEC})
	a := Answer{Name: found.Name, Canonical: found.Canonical, Secure: found.Secure, Authoritative: found.Authoritative, Authority: found.Authority}
	if len(found.Records) > 0 {
		a.Records = make([]Record, 0, len(found.Records))
		for _, rr := range found.Records {
			a.Records = append(a.Records, FromRR(rr))
		}
	}
	return a, translate(err)
}

// Localhost answers for the name localhost, which is 127.0.0.1 and ::1 whatever the DNS says (RFC 6761, 6.3).
func Localhost(q Question) (Answer, bool) {
	name := strings.TrimSuffix(q.Name, ".")
	if !strings.EqualFold(name, "localhost") {
		return Answer{}, false
	}
	address := map[RRType]string{TypeA: "127.0.0.1", TypeAAAA: "::1"}[q.Type]
	if address == "" {
		return Answer{}, false
	}
	return Answer{Canonical: "localhost", Records: []Record{{Name: "localhost", Type: q.Type, TTL: 3600, Data: address}}}, true
}

func translate(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, dns.ErrNoHost):
		return ErrNoHost
	case errors.Is(err, dns.ErrNoData):
		return ErrNoData
	case errors.Is(err, dns.ErrTryAgain):
		return ErrTryAgain
	case errors.Is(err, dns.ErrRefused):
		return ErrRefused
	}
	return err
}

// FromRR makes a Record of a resource record of the DNS library. A type without fields of its own has its text form in Data.
func FromRR(rr mdns.RR) Record {
	h := rr.Header()
	r := Record{Name: dns.Name(h.Name), Type: RRType(h.Rrtype), TTL: h.Ttl}
	switch v := rr.(type) {
	case *mdns.A:
		r.Data = v.A.String()
	case *mdns.AAAA:
		r.Data = v.AAAA.String()
	case *mdns.NS:
		r.Data = dns.Name(v.Ns)
	case *mdns.CNAME:
		r.Data = dns.Name(v.Target)
	case *mdns.PTR:
		r.Data = dns.Name(v.Ptr)
	case *mdns.MX:
		r.Data, r.Preference = dns.Name(v.Mx), v.Preference
	case *mdns.SRV:
		r.Data, r.Preference, r.Weight, r.Port = dns.Name(v.Target), v.Priority, v.Weight, v.Port
	case *mdns.TXT:
		r.Strings, r.Data = texts(v.Txt)
	case *mdns.SPF:
		r.Strings, r.Data = texts(v.Txt)
	case *mdns.TLSA:
		r.Data, r.Usage, r.Selector, r.Matching = strings.ToLower(v.Certificate), v.Usage, v.Selector, v.MatchingType
	case *mdns.SOA:
		r.Data = dns.Name(v.Ns)
		r.SOA = SOA{Mailbox: dns.Name(v.Mbox), Serial: v.Serial, Refresh: v.Refresh, Retry: v.Retry, Expire: v.Expire, Minimum: v.Minttl}
	default:
		r.Data = strings.TrimPrefix(rr.String(), h.String())
	}
	return r
}

func texts(list []string) ([]string, string) {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = dns.Text(s)
	}
	return out, strings.Join(out, "")
}
