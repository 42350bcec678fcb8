package outside

import (
	"context"
	crand "crypto/rand"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// EximVersion is the version of Exim whose language and formats the program follows.
const EximVersion = "4.99"

// Real returns the world of this machine. It opens nothing until it is asked.
func Real() *World {
	environment := os.Environ()
	return &World{
		Clock:       realClock{},
		DNS:         newRealResolver("/etc/resolv.conf"),
		Random:      realRandom{},
		Users:       newUsers("/etc/passwd", "/etc/group", "/etc/nsswitch.conf", "/usr/bin/getent"),
		Dial:        realDialer{},
		LoadAverage: func() (int, bool) { return loadAverage("/proc/loadavg") },
		Hostname:    hostname,
		Interfaces:  interfaces,
		Caller:      caller(),
		Version:     EximVersion,
		PID:         os.Getpid(),
		Thread:      syscall.Gettid,
		Environment: func(name string) (string, bool) { return lookupEnvironment(environment, name) },
	}
}

type realClock struct{}

// Now implements Clock.
func (realClock) Now() time.Time { return time.Now() }

// Sleep implements Clock.
func (realClock) Sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// After implements Clock.
func (realClock) After(d time.Duration) <-chan time.Time { return time.After(d) }

type realRandom struct{}

// Intn implements Randomness.
func (realRandom) Intn(n int) int { return rand.IntN(n) }

// Read implements Randomness.
func (realRandom) Read(p []byte) (int, error) { return crand.Read(p) }

type realDialer struct{}

// Dial implements Dialer. A host name is refused: names are looked up by the caller, never by the system's resolver.
func (realDialer) Dial(ctx context.Context, network string, source netip.Addr, address string) (net.Conn, error) {
	d := net.Dialer{KeepAlive: -1}
	if network != "unix" {
		if _, err := netip.ParseAddrPort(address); err != nil {
			return nil, fmt.Errorf("dial %s: not an IP address and port", address)
		}
		if source.IsValid() {
			switch {
			case strings.HasPrefix(network, "udp"):
				d.LocalAddr = net.UDPAddrFromAddrPort(netip.AddrPortFrom(source, 0))
			default:
				d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(source, 0))
			}
		}
	}
	return d.DialContext(ctx, network, address)
}

// loadAverage reads the first number of a file in the form of /proc/loadavg.
func loadAverage(path string) (thousandths int, ok bool) {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, false
	}
	first, _, _ := strings.Cut(string(b), " ")
	v, err := strconv.ParseFloat(first, 64)
	if err != nil || v < 0 || v > 1e6 {
		return 0, false
	}
	return int(v*1000 + 0.5), true
}

func hostname() string {
	name, err := os.Hostname()
	if err != nil {
		return "localhost"
	}
	return name
}

func interfaces() ([]netip.Addr, error) {
	list, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	out := make([]netip.Addr, 0, len(list))
	for _, a := range list {
		if n, ok := a.(*net.IPNet); ok {
			if addr, ok := netip.AddrFromSlice(n.IP); ok {
				out = append(out, addr.Unmap())
			}
		}
	}
	return out, nil
}

func caller() Caller {
	groups, err := os.Getgroups()
	if err != nil {
		groups = nil
	}
	return Caller{UID: os.Getuid(), GID: os.Getgid(), Groups: groups, Effective: os.Geteuid()}
}

func lookupEnvironment(environment []string, name string) (string, bool) {
	for _, e := range environment {
		if len(e) > len(name) && e[len(name)] == '=' && e[:len(name)] == name {
			return e[len(name)+1:], true
		}
	}
	return "", false
}
