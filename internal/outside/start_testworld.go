//go:build testworld

package outside

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// Start returns the world the program runs in. This build honours EXIGO_TEST_WORLD and must not be installed: it lets any caller
// choose the configuration.
func Start() *World {
	w := Real()
	if on, _ := w.Environment("EXIGO_TEST_WORLD"); on == "" {
		return w
	}
	return conformance(w)
}

// conformance changes the real world into the one that the conformance tests describe.
func conformance(w *World) *World {
	environment := w.Environment
	w.Environment = func(name string) (string, bool) {
		if strings.HasPrefix(name, "EXIGO_TEST_") {
			return "", false // they stay in the process's environment, for the processes it starts
		}
		return environment(name)
	}
	w.Version = "x.yz"
	w.Random = &seededRandom{Randomness: w.Random, x: testSeed}
	w.LoadAverage = risingLoad()
	dir, _ := environment("EXIGO_TEST_DIR")
	w.DNS = testResolver{w.DNS, dir}
	w.Quirks = Quirks{
		On:                true,
		CRAMChallenge:     "<1896.697170952@postoffice.reston.mci.net>",
		NoSMTPUTF8:        true,
		NoREQUIRETLS:      true,
		HeadersCharset:    "ISO-8859-1",
		RefusedIsTimeout:  true,
		SyslogToStderr:    true,
		ForegroundBounces: true, ForgetEvents: true,
		TLSTicketLife:  10 * time.Second,
		SelfSignedLife: 2 * time.Second,
	}
	return w
}

const testSeed = 42

// seededRandom is the generator x = x*1103515245+12345, value (x>>16) % limit. What must be unpredictable still is.
type seededRandom struct {
	Randomness
	mu sync.Mutex
	x  uint32
}

// Intn implements Randomness.
func (r *seededRandom) Intn(n int) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.x = r.x*1103515245 + 12345
	return int((r.x >> 16) % uint32(n))
}

// Fork implements ForRemoteDelivery: the n-th remote delivery process, counted from 0, starts from 42+2n.
func (r *seededRandom) Fork(n int) Randomness {
	return &seededRandom{Randomness: r.Randomness, x: testSeed + 2*uint32(n)}
}

// risingLoad is a load average that is 0.01 more each time. Exim asks for it once when it starts, while it is root.
func risingLoad() func() (int, bool) {
	var mu sync.Mutex
	load := 0
	return func() (int, bool) {
		mu.Lock()
		defer mu.Unlock()
		load += 10
		return load, true
	}
}

// testResolver defers the reverse look-up of 99.99.99.99, and has the default domain that the zone files name.
type testResolver struct {
	Resolver
	dir string // of the tests
}

// Lookup implements Resolver.
func (r testResolver) Lookup(ctx context.Context, q Question) (Answer, error) {
	if q.Type == TypePTR && q.Name == "99.99.99.99.in-addr.arpa" {
		return Answer{}, ErrTryAgain
	}
	if q.Qualify && !strings.Contains(q.Name, ".") {
		for _, domain := range r.defaultDomains() {
			full := q
			full.Name, full.Qualify, full.Search = q.Name+"."+domain, false, false
			if a, err := r.Resolver.Lookup(ctx, full); !errors.Is(err, ErrNoHost) {
				return a, err
			}
		}
	}
	return r.Resolver.Lookup(ctx, q)
}

// defaultDomains are the domains for names of one word: a file qualify.DOMAIN beside the zones gives one.
func (r testResolver) defaultDomains() (domains []string) {
	files, _ := filepath.Glob(filepath.Join(r.dir, "dnszones", "qualify.*"))
	for _, f := range files {
		domains = append(domains, strings.TrimPrefix(filepath.Base(f), "qualify."))
	}
	return domains
}

// Configure implements ConfigureDNS.
func (r testResolver) Configure(o DNSOptions) { ConfigureDNS(&World{DNS: r.Resolver}, o) }
