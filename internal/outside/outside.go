// Package outside holds the outside world as one value: clock, DNS, randomness, users, dialling, the
// machine's load and the identity of the caller. The program reads the world through it alone, so that a
// test (or the conformance build) can put another world in its place. There is no other test mode.
//
// Trust: reads the operating system's answers; DNS answers are untrusted input.
package outside

import (
	"context"
	"net"
	"net/netip"
	"time"
)

// World is everything that exigo asks of the machine and the network. Every field is set; Real fills all.
type World struct {
	// Clock tells the time and sleeps.
	Clock Clock
	// DNS answers queries for resource records.
	DNS Resolver
	// Random gives numbers; see Randomness.
	Random Randomness
	// Users finds accounts.
	Users Users
	// Dial opens outgoing connections, from a local address when one is given.
	Dial Dialer
	// LoadAverage returns the one-minute load average in thousandths; ok is false where the system has none.
	LoadAverage func() (thousandths int, ok bool)
	// Hostname returns the machine's name as uname(2) gives it.
	Hostname func() string
	// Interfaces returns the machine's own addresses, loopback included.
	Interfaces func() ([]netip.Addr, error)
	// Caller is who started this process (real uid and gid); see Caller.
	Caller Caller
	// Version is the text after "Exim version"/"Exim" in banner, Received: header, log and -bV ("4.99" form).
	Version string
	// Environment returns the variable of the process's environment as it was at start.
	Environment func(name string) (value string, set bool)
	// PID is the process's number as it stands in logs and message ids.
	PID int
	// Thread returns the number of the calling goroutine's thread, to which it is locked: like a process's, no other process or thread has it. nil:
	// there is only PID.
	Thread func() int
	// Quirks are the conformance world's deviations; all zero in the real world.
	Quirks Quirks
}

// Clock is the source of time.
type Clock interface {
	// Now returns the current time with the local zone.
	Now() time.Time
	// Sleep waits for d or until ctx ends, and returns ctx's error in the second case.
	Sleep(ctx context.Context, d time.Duration) error
	// After returns a channel that delivers once, after d.
	After(d time.Duration) <-chan time.Time
}

// Randomness is the source of random numbers.
type Randomness interface {
	// Intn returns a number from 0 to n-1; n must be positive.
	Intn(n int) int
	// Read fills p with unpredictable bytes.
	Read(p []byte) (int, error)
}

// User is an account of the password file.
type User struct {
	Name  string
	UID   int
	GID   int
	Gecos string
	Home  string
	Shell string
}

// Group is an entry of the group file.
type Group struct {
	Name    string
	GID     int
	Members []string
}

// Users looks accounts up. found is false with a nil error when the account does not exist;
// an error is temporary.
type Users interface {
	ByName(name string) (u User, found bool, err error)
	ByUID(uid int) (u User, found bool, err error)
	GroupByName(name string) (g Group, found bool, err error)
	GroupByGID(gid int) (g Group, found bool, err error)
	// GroupsOf returns the ids of all groups the user is in, the primary one first.
	GroupsOf(u User) ([]int, error)
}

// Dialer opens a connection to address ("192.0.2.1:25", "[2001:db8::1]:25" for tcp, a path for unix).
// source, if valid, is the local address to bind.
type Dialer interface {
	Dial(ctx context.Context, network string, source netip.Addr, address string) (net.Conn, error)
}

// Caller is the identity of the process that started this one.
type Caller struct {
	UID, GID int
	// Groups are the supplementary groups.
	Groups []int
	// Effective is the effective user id.
	Effective int
}

// Quirks are the deviations that the conformance world asks for. In the real world all are zero.
type Quirks struct {
	// On says that this is the conformance world: any caller may use -C, -D, -d, -oP and -N.
	On bool
	// QueueTimes are the pretended times on the queue (option -Tqt), one for each queue run.
	QueueTimes []time.Duration
	// CRAMChallenge replaces the random challenge of CRAM-MD5.
	CRAMChallenge string
	// NoSMTPUTF8 keeps the default of smtputf8_advertise_hosts empty.
	NoSMTPUTF8 bool
	// NoREQUIRETLS keeps the default of tls_advertise_requiretls empty: the tests come from a time before the extension.
	NoREQUIRETLS bool
	// HeadersCharset replaces the default of headers_charset, which with Exim depends on the build.
	HeadersCharset string
	// RefusedIsTimeout reports a refused connection as a timeout for a connect timeout of 999999s.
	RefusedIsTimeout bool
	// SyslogToStderr sends syslog lines to the standard error as SYSLOG: 'text'.
	SyslogToStderr bool
	// ForegroundBounces submits messages that the program makes itself with -odi.
	ForegroundBounces bool
	// ForgetEvents raises no event for failures for which Exim forgets it: retry timeouts, and recipients with wishes beyond NOTIFY=FAILURE.
	ForgetEvents bool
	// TLSTicketLife and SelfSignedLife shorten the lives of tickets and of the self-signed certificate.
	TLSTicketLife, SelfSignedLife time.Duration
}
