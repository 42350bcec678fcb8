// Package testkit is the outside world for tests: DNS from zone text, a clock that is turned by hand, random numbers that repeat,
// accounts, a network of fake addresses, SMTP peers, a disk that stops, and a runner of scripts.
//
// Trust: only tests use it.
package testkit

import (
	"net/netip"
	"os"
	"testing"
	"time"

	"exigo/internal/outside"
)

// Fake is a world of which every part can be set.
type Fake struct {
	*outside.World
	Zones   *Zones
	Clock   *Clock
	Users   *Users
	Network *Network
}

// Epoch is when a fake clock starts: 2 March 1999, 09:44:33 UTC.
func Epoch() time.Time { return time.Date(1999, 3, 2, 9, 44, 33, 0, time.UTC) }

// NewWorld makes a world with an empty DNS, the clock at Epoch, the users root and exim, a network where every
// connection is refused, the host name "host.test", load 0, and process id 1234.
func NewWorld(t testing.TB) *Fake {
	f := &Fake{Zones: NewZones(t, ""), Clock: NewClock(Epoch()), Users: NewUsers(), Network: NewNetwork()}
	f.World = &outside.World{
		Clock:       f.Clock,
		DNS:         f.Zones,
		Random:      NewRandom(42),
		Users:       f.Users,
		Dial:        f.Network,
		LoadAverage: func() (int, bool) { return 0, true },
		Hostname:    func() string { return "host.test" },
		Interfaces: func() ([]netip.Addr, error) {
			return []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::1"), netip.MustParseAddr("192.0.2.1")}, nil
		},
		Caller:      outside.Caller{UID: os.Getuid(), GID: os.Getgid(), Effective: os.Geteuid()},
		Version:     "x.yz",
		Environment: func(string) (string, bool) { return "", false },
		PID:         1234,
	}
	return f
}
