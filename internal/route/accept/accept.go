// Package accept is the router that takes every address whose preconditions hold (spec chapter 16).
//
// Trust: does nothing with the address but hand it on.
package accept

import "exigo/internal/route"

// Driver returns the accept router.
func Driver() *route.Driver {
	return &route.Driver{
		Name: "accept", Doc: "Accepts the address and assigns it to the transport.",
		Run: run, Transport: route.TransportRequired, LogAsLocal: true,
	}
}

func run(r *route.Run) route.Outcome {
	if ok, outcome := r.Prepare(); !ok {
		return outcome
	}
	t, ok, outcome := r.Transport(string(r.Router.Generic.Transport), "transport")
	if !ok {
		return outcome
	}
	return r.Deliver(t)
}
