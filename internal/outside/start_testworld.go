//go:build testworld

package outside

import (
	"context"
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
	w.DNS = testResolver{w.DNS}
	w.Quirks = Quirks{
		On:                true,
		CRAMChallenge:     "<1896.697170952@postoffice.reston.mci.net>",
		NoSMTPUTF8:        true,
		NoREQUIRETLS:      true,
		HeadersCharset:    "ISO-8859-1",
		RefusedIsTimeout:  true,
		SyslogToStderr:    true,
		ForegroundBounces: true,
		TLSTicketLife:     10 * time.Second,
		SelfSignedLife:    2 * time.Second,
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

// Fork implements ForRemoteDelivery: the n-th remote delivery process starts from 42+2n.
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

// testResolver defers the reverse look-up of 99.99.99.99.
type testResolver struct{ Resolver }

// Lookup implements Resolver.
func (r testResolver) Lookup(ctx context.Context, q Question) (Answer, error) {
	if q.Type == TypePTR && q.Name == "99.99.99.99.in-addr.arpa" {
		return Answer{}, ErrTryAgain
	}
	return r.Resolver.Lookup(ctx, q)
}

// Configure implements ConfigureDNS.
func (r testResolver) Configure(o DNSOptions) { ConfigureDNS(&World{DNS: r.Resolver}, o) }
