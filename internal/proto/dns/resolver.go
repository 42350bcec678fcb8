// Package dns is a stub resolver (RFC 1034, 1035): it asks the servers of /etc/resolv.conf, with EDNS0 (RFC 6891), the AD bit
// (RFC 4035, 6840), TCP after truncation, CNAME following, search lists and a cache of positive and negative answers (RFC 2308).
//
// Trust: parses replies from the network; every name and text in them is untrusted.
package dns

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"time"

	mdns "github.com/miekg/dns"
	"golang.org/x/sync/singleflight"
)

// The ways a query can fail, told apart with errors.Is.
var (
	// ErrNoHost: the name does not exist (NXDOMAIN).
	ErrNoHost = errors.New("host not found")
	// ErrNoData: the name exists but has no record of the type.
	ErrNoData = errors.New("no data")
	// ErrTryAgain: a temporary failure: SERVFAIL, timeout, no server answers.
	ErrTryAgain = errors.New("DNS lookup: temporary failure, try again")
	// ErrRefused: REFUSED, FORMERR or NOTIMP, or a name that cannot be asked for.
	ErrRefused = errors.New("DNS lookup: non-recoverable failure")
)

// Question is one query.
type Question struct {
	// Name may end in a dot, which keeps it from being searched. Type is the record type's number.
	Name string
	Type uint16
	// Search also tries the names of the search list; Qualify appends the default domain to a name of one component.
	Search, Qualify bool
	// DNSSEC sets the DO bit, so that a validating server sets AD.
	DNSSEC bool
}

// Answer is what a query found. It is shared by all who asked and must not be changed.
type Answer struct {
	// Records are the records of the type asked for, at the end of the CNAME chain.
	Records []mdns.RR
	// Name is the name that was found, completed if need be, as the server spells it and without final dot; "" when there is none.
	Name string
	// Canonical is the owner of Records, lower case without final dot.
	Canonical string
	// Secure is the AD bit, Authoritative the AA bit.
	Secure, Authoritative bool
	// Authority is the owner of the first NS record of the authority section, or of the first SOA record in an empty answer.
	Authority string
}

// Options are parameters that a configuration may change. Zero values mean what resolv.conf or the default says.
type Options struct {
	// Retrans is the time to wait for one reply, Retry how often all servers are asked.
	Retrans time.Duration
	Retry   int
	// EDNS0 and DNSSEC are 1 to use, 0 not to use, -1 for the default: EDNS0 always, DNSSEC where a question asks for it.
	EDNS0, DNSSEC int
	// CNAMELoops is how many CNAMEs may be followed by further queries; those inside one reply are not counted.
	CNAMELoops int
}

// Resolver answers questions. Make one with New; it is safe for concurrent use.
type Resolver struct {
	// Dial opens connections to servers ("udp", "tcp"; "address:port"). nil uses the net package.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Now tells the time for the cache. nil uses time.Now.
	Now func() time.Time

	mu      sync.Mutex
	options Options
	path    string
	system  System
	stamp   fileStamp
	checked time.Time

	cache  cache
	flight singleflight.Group
}

// New makes a resolver that follows the file, normally /etc/resolv.conf, also when it changes.
func New(path string) *Resolver {
	return &Resolver{path: path, options: Options{EDNS0: -1, DNSSEC: -1, CNAMELoops: 1}}
}

// Configure changes the options for queries to come.
func (r *Resolver) Configure(o Options) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.options = o
}

func (r *Resolver) now() time.Time {
	if r.Now != nil {
		return r.Now()
	}
	return time.Now()
}

// maxName is the longest name in presentation form, without final dot (RFC 1035, 2.3.4).
const maxName = 253

// Lookup answers a question, from the cache if it can. It returns one of the errors of this package or ctx's; with ErrNoData and
// ErrNoHost the answer's flags are valid.
func (r *Resolver) Lookup(ctx context.Context, q Question) (Answer, error) {
	system, options := r.parameters()
	name := strings.ToLower(q.Name)
	if options.DNSSEC >= 0 {
		q.DNSSEC = options.DNSSEC > 0
	}
	rooted := strings.HasSuffix(name, ".")
	name = strings.TrimSuffix(name, ".")
	var first error
	var firstAnswer Answer
	for _, candidate := range candidates(name, rooted, q, system) {
		a, err := r.lookupOne(ctx, key{name: candidate, rrtype: q.Type, do: q.DNSSEC}, system, options)
		if err == nil || !errors.Is(err, ErrNoHost) && !errors.Is(err, ErrNoData) {
			return a, err
		}
		if first == nil || errors.Is(first, ErrNoHost) && errors.Is(err, ErrNoData) {
			first, firstAnswer = err, a
		}
	}
	if first == nil {
		return Answer{Canonical: name}, ErrRefused
	}
	if len(firstAnswer.Records) == 0 && (q.Search || q.Qualify) && errors.Is(first, ErrNoHost) {
		firstAnswer.Canonical = name
	}
	return firstAnswer, first
}

// candidates lists the names to try, in order: the name itself first when it has a dot, else last.
func candidates(name string, rooted bool, q Question, s System) []string {
	if name == "" {
		return []string{""}
	}
	if rooted || !q.Search && !q.Qualify {
		return []string{name}
	}
	dots := strings.Count(name, ".")
	var suffixes []string
	switch {
	case q.Search && (dots > 0 || q.Qualify):
		suffixes = s.Search
	case q.Qualify && dots == 0 && len(s.Search) > 0:
		suffixes = s.Search[:1]
	}
	list := make([]string, 0, len(suffixes)+1)
	if dots >= s.Ndots {
		list = append(list, name)
	}
	for _, suffix := range suffixes {
		list = append(list, name+"."+suffix)
	}
	if dots < s.Ndots {
		list = append(list, name)
	}
	return list
}

// lookupOne answers for one full name. Several callers with the same question share one query, which goes on when
// the first of them gives up.
func (r *Resolver) lookupOne(ctx context.Context, k key, system System, options Options) (Answer, error) {
	if a, err, ok := r.cache.get(k, r.now()); ok {
		return a, err
	}
	type result struct {
		answer Answer
		err    error
	}
	ch := r.flight.DoChan(k.String(), func() (any, error) {
		limit := time.Duration(options.attempts(system)*len(system.Servers)+1) * options.timeout(system) * 2
		work, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
		defer cancel()
		a, ttl, size, err := r.resolve(work, k, system, options)
		r.cache.put(k, a, err, size, r.now(), ttl)
		return result{a, err}, nil
	})
	select {
	case <-ctx.Done():
		return Answer{}, ctx.Err()
	case res := <-ch:
		out := res.Val.(result)
		return out.answer, out.err
	}
}

func (o Options) attempts(s System) int {
	if o.Retry > 0 {
		return min(o.Retry, 20)
	}
	return s.Attempts
}

func (o Options) timeout(s System) time.Duration {
	if o.Retrans > 0 {
		return o.Retrans
	}
	return s.Timeout
}

// resolve asks the servers and follows CNAMEs that a reply leaves open.
func (r *Resolver) resolve(ctx context.Context, k key, system System, options Options) (a Answer, ttl time.Duration, size int, err error) {
	wire, ok := wireName(k.name)
	if !ok {
		return Answer{Canonical: k.name}, failureTTL, 0, ErrRefused
	}
	ttl = maxTTL
	secure := true
	found := ""
	for loops := 0; ; loops++ {
		reply, err := r.ask(ctx, wire, k, system, options)
		if err != nil {
			return Answer{Canonical: k.name}, failureTTL, 0, err
		}
		size += reply.Len()
		var open string
		var t time.Duration
		a, open, t, err = interpret(reply, wire, k.rrtype)
		secure = secure && a.Secure
		if loops == 0 {
			found = a.Name
		}
		a.Name = found // before the aliases
		a.Secure = secure
		ttl = min(ttl, t)
		if open == "" || loops >= options.CNAMELoops {
			return a, ttl, size, err
		}
		wire = open
	}
}

// ask sends one question to the servers until one gives an answer that settles it.
func (r *Resolver) ask(ctx context.Context, wire string, k key, system System, options Options) (*mdns.Msg, error) {
	failure := ErrTryAgain
	servers := system.Servers
	start := 0
	if system.Rotate && len(servers) > 1 {
		start = rand.IntN(len(servers))
	}
	edns := options.EDNS0 != 0
	for range options.attempts(system) {
		for i := range servers {
			reply, err := r.exchange(ctx, servers[(start+i)%len(servers)], wire, k, edns, options.timeout(system))
			if ctx.Err() != nil {
				return nil, ErrTryAgain
			}
			if err != nil {
				failure = ErrTryAgain
				continue
			}
			switch reply.Rcode {
			case mdns.RcodeSuccess, mdns.RcodeNameError:
				return reply, nil
			case mdns.RcodeRefused, mdns.RcodeFormatError, mdns.RcodeNotImplemented, mdns.RcodeBadVers:
				failure = ErrRefused
				if edns && reply.Rcode != mdns.RcodeRefused && options.EDNS0 < 0 && !k.do {
					edns = false
				}
			default:
				failure = ErrTryAgain
			}
		}
		if failure == ErrRefused && edns == (options.EDNS0 != 0) {
			break // asking again would get the same
		}
	}
	return nil, failure
}
