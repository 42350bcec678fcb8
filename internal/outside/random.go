package outside

// ForRemoteDelivery returns the randomness of the n-th remote delivery of a message, counted from 0. In the real world it is the world's own;
// the conformance world gives each a generator with a seed of its own.
func (w *World) ForRemoteDelivery(n int) Randomness {
	if f, ok := w.Random.(interface{ Fork(n int) Randomness }); ok {
		return f.Fork(n)
	}
	return w.Random
}
