//go:build testworld

package outside

import "testing"

func TestConformanceWorld(t *testing.T) {
	w := conformance(Real())
	for i, want := range []int{0, 10, 20} {
		if load, ok := w.LoadAverage(); !ok || load != want {
			t.Errorf("load %d: %d", i, load)
		}
	}
	x := uint32(42)
	for range 5 {
		x = x*1103515245 + 12345
		if got := w.Random.Intn(100); got != int((x>>16)%100) {
			t.Errorf("random number %d", got)
		}
	}
	first, second := w.ForRemoteDelivery(1), w.ForRemoteDelivery(1)
	if first.Intn(1<<16) != second.Intn(1<<16) {
		t.Error("two first remote deliveries differ")
	}
	if _, err := w.DNS.Lookup(t.Context(), Question{Name: "99.99.99.99.in-addr.arpa", Type: TypePTR}); err != ErrTryAgain {
		t.Error(err)
	}
	if w.Version != "x.yz" || !w.Quirks.On {
		t.Errorf("%+v", w.Quirks)
	}
}
