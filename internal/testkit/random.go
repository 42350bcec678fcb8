package testkit

import "sync"

// Random gives the same numbers in every run.
type Random struct {
	mu sync.Mutex
	x  uint32
}

// NewRandom makes a generator with the seed.
func NewRandom(seed uint32) *Random { return &Random{x: seed} }

func (r *Random) next() uint32 {
	r.x = r.x*1103515245 + 12345
	return r.x >> 16
}

// Intn implements outside.Randomness.
func (r *Random) Intn(n int) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return int(r.next() % uint32(n))
}

// Read implements outside.Randomness.
func (r *Random) Read(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range p {
		p[i] = byte(r.next())
	}
	return len(p), nil
}
