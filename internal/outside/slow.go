package outside

import (
	"context"
	"strconv"
	"time"
)

// String is the type's name, "TYPE257" for those without one here (RFC 3597).
func (t RRType) String() string {
	names := map[RRType]string{TypeA: "A", TypeNS: "NS", TypeCNAME: "CNAME", TypeSOA: "SOA", TypePTR: "PTR", TypeMX: "MX", TypeTXT: "TXT", TypeAAAA: "AAAA",
		TypeSRV: "SRV", TypeTLSA: "TLSA"}
	if name, ok := names[t]; ok {
		return name
	}
	return "TYPE" + strconv.Itoa(int(t))
}

// WatchedResolver tells report of look-ups that took longer than limit (slow_lookup_log).
func WatchedResolver(r Resolver, clock Clock, limit time.Duration, report func(q Question, took time.Duration)) Resolver {
	return watchedResolver{r, clock, limit, report}
}

type watchedResolver struct {
	Resolver
	clock  Clock
	limit  time.Duration
	report func(q Question, took time.Duration)
}

// Lookup implements Resolver.
func (w watchedResolver) Lookup(ctx context.Context, q Question) (Answer, error) {
	start := w.clock.Now()
	a, err := w.Resolver.Lookup(ctx, q)
	if took := w.clock.Now().Sub(start); took > w.limit {
		w.report(q, took)
	}
	return a, err
}
