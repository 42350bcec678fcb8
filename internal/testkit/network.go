package testkit

import (
	"context"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
)

// Network is an outside.Dialer of fake addresses: what is not mapped is refused.
type Network struct {
	mu     sync.Mutex
	routes map[string]route
	dialed []string
}

type route struct {
	address string
	err     error
}

// NewNetwork makes a network without hosts.
func NewNetwork() *Network { return &Network{routes: make(map[string]route)} }

// Map makes connections to the fake address ("192.0.2.1:25") go to the real one.
func (n *Network) Map(fake, real string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.routes[fake] = route{address: real}
}

// Fail makes connections to the address fail, for instance with syscall.ETIMEDOUT.
func (n *Network) Fail(fake string, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.routes[fake] = route{err: err}
}

// Dialed returns the addresses that were dialled, in order.
func (n *Network) Dialed() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]string(nil), n.dialed...)
}

// Dial implements outside.Dialer. Loopback addresses and unix sockets are reached as they are.
func (n *Network) Dial(ctx context.Context, network string, source netip.Addr, address string) (net.Conn, error) {
	n.mu.Lock()
	n.dialed = append(n.dialed, address)
	r, known := n.routes[address]
	n.mu.Unlock()
	if !known {
		if a, err := netip.ParseAddrPort(address); network == "unix" || err == nil && a.Addr().IsLoopback() {
			r.address = address
		} else {
			r.err = os.NewSyscallError("connect", syscall.ECONNREFUSED)
		}
	}
	if r.err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: r.err}
	}
	return (&net.Dialer{}).DialContext(ctx, network, r.address)
}
