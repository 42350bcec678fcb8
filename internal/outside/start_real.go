//go:build !testworld

package outside

// Start returns the world the program runs in: the real one.
func Start() *World { return Real() }
