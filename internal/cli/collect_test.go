package cli

import (
	"runtime"
	"runtime/debug"
	"testing"
)

func TestPaceCollector(t *testing.T) {
	for live, want := range map[uint64]int{0: 1600, 4 << 20: 400, 16 << 20: 100, 1 << 30: 100} {
		if got := growthPercent(live); got != want {
			t.Errorf("%d bytes: %d, want %d", live, got, want)
		}
	}
	before := debug.SetGCPercent(77)
	defer debug.SetGCPercent(before)
	paceCollector(t.Context())
	now := func() int {
		n := debug.SetGCPercent(99)
		debug.SetGCPercent(n)
		return n
	}
	debug.SetGCPercent(55)
	for now() == 55 { // the test's time limit ends this if need be
		runtime.GC()
		runtime.Gosched()
	}
	if n := now(); n < 100 {
		t.Errorf("after a collection: %d", n)
	}
}
