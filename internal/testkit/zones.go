package testkit

import (
	"context"
	"strings"
	"sync"
	"testing"

	"exigo/internal/outside"

	mdns "github.com/miekg/dns"
)

// Zones answers DNS questions from zone text (RFC 1035, 5). It is an outside.Resolver and the data of DNSServer.
type Zones struct {
	t       testing.TB
	mu      sync.Mutex
	records []mdns.RR
	failing map[string]error
	secure  map[string]bool
	asked   []outside.Question
}

// NewZones reads the text; names without final dot are relative to the root unless $ORIGIN says otherwise. The TTL is 3600 where none is given.
func NewZones(t testing.TB, text string) *Zones {
	z := &Zones{t: t, failing: make(map[string]error), secure: make(map[string]bool)}
	return z.Add(text)
}

// Add adds zone text.
func (z *Zones) Add(text string) *Zones {
	z.t.Helper()
	p := mdns.NewZoneParser(strings.NewReader(text), ".", "")
	p.SetDefaultTTL(3600)
	z.mu.Lock()
	defer z.mu.Unlock()
	for rr, ok := p.Next(); ok; rr, ok = p.Next() {
		z.records = append(z.records, rr)
	}
	if err := p.Err(); err != nil {
		z.t.Fatalf("zone text: %v", err)
	}
	return z
}

// Fail makes every question for the name and all below it fail with err: outside.ErrTryAgain or outside.ErrRefused.
func (z *Zones) Fail(name string, err error) *Zones {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.failing[fold(name)] = err
	return z
}

// Secure sets the AD bit of answers for the name and all below it.
func (z *Zones) Secure(name string) *Zones {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.secure[fold(name)] = true
	return z
}

// Asked returns the questions so far.
func (z *Zones) Asked() []outside.Question {
	z.mu.Lock()
	defer z.mu.Unlock()
	return append([]outside.Question(nil), z.asked...)
}

func fold(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }

// Lookup implements outside.Resolver.
func (z *Zones) Lookup(ctx context.Context, q outside.Question) (outside.Answer, error) {
	if err := ctx.Err(); err != nil {
		return outside.Answer{}, err
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	z.asked = append(z.asked, q)
	if a, ok := outside.Localhost(q); ok {
		return a, nil
	}
	_, rrs, canonical, exists, err := z.find(fold(q.Name), uint16(q.Type))
	a := outside.Answer{Canonical: canonical, Secure: z.isSecure(canonical)}
	if err != nil {
		return a, err
	}
	for _, rr := range rrs {
		a.Records = append(a.Records, outside.FromRR(rr))
	}
	switch {
	case len(rrs) > 0:
		return a, nil
	case exists:
		return a, outside.ErrNoData
	}
	return a, outside.ErrNoHost
}

// find follows CNAMEs; chain holds them in order.
func (z *Zones) find(name string, rrtype uint16) (chain, rrs []mdns.RR, canonical string, exists bool, err error) {
	for range 10 {
		if err := under(z.failing, name); err != nil {
			return chain, nil, name, false, err
		}
		var next string
		for _, rr := range z.records {
			owner := fold(rr.Header().Name)
			if owner == name || strings.HasSuffix(owner, "."+name) {
				exists = true
			}
			if owner != name && !wildcard(owner, name) {
				continue
			}
			exists = true
			if rr.Header().Rrtype == rrtype {
				rr = mdns.Copy(rr)
				rr.Header().Name = mdns.Fqdn(name)
				rrs = append(rrs, rr)
			} else if c, ok := rr.(*mdns.CNAME); ok {
				chain, next = append(chain, rr), fold(c.Target)
			}
		}
		if len(rrs) > 0 || next == "" {
			return chain, rrs, name, exists, nil
		}
		name, exists = next, false
	}
	return chain, nil, name, true, nil
}

func wildcard(owner, name string) bool {
	parent, ok := strings.CutPrefix(owner, "*.")
	return ok && strings.HasSuffix(name, "."+parent)
}

func (z *Zones) isSecure(name string) bool { return under(z.secure, name) }

// under returns the value for the name or the nearest parent that has one.
func under[V any](m map[string]V, name string) (v V) {
	for {
		if found, ok := m[name]; ok {
			return found
		}
		dot := strings.IndexByte(name, '.')
		if dot < 0 {
			return v
		}
		name = name[dot+1:]
	}
}
