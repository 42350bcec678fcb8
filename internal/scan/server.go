package scan

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"exigo/internal/expand"
	"exigo/internal/mail"
	"exigo/internal/route/hostfind"
)

// Server is where a daemon listens: a Unix socket, or a host and a range of ports that are tried in order.
type Server struct {
	// Path of the socket, or "".
	Path string
	// Host is a name or an address, First and Last its ports.
	Host        string
	First, Last int
	// Retry is how long to wait for one more try after a failure to connect, 0 for none.
	Retry time.Duration
}

// ParseServer reads "/path", "host port" or "host first-last".
func ParseServer(text string) (Server, error) {
	text = strings.TrimSpace(text)
	if strings.HasPrefix(text, "/") {
		return Server{Path: text}, nil
	}
	wrong := fmt.Errorf("invalid socket '%s'", text)
	words := strings.Fields(text)
	if len(words) != 2 {
		return Server{}, wrong
	}
	first, last, ranged := strings.Cut(words[1], "-")
	if !ranged {
		last = first
	}
	low, err1 := strconv.ParseUint(first, 10, 16)
	high, err2 := strconv.ParseUint(last, 10, 16)
	if err1 != nil || err2 != nil || low == 0 || high < low {
		return Server{}, wrong
	}
	return Server{Host: strings.Trim(words[0], "[]"), First: int(low), Last: int(high)}, nil
}

// Conn is a connection to a daemon. What waits for it ends with the context that it was made with.
type Conn struct {
	net.Conn
	// Address is the path, or "[address]:port".
	Address string
	stop    func() bool
}

// Close ends it.
func (c *Conn) Close() error {
	c.stop()
	return c.Conn.Close()
}

// CloseWrite tells the daemon that nothing more will come.
func (c *Conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// Dial connects to the server, within the context's time; no address takes more than five seconds. $callout_address becomes the address that is tried. The error is worded for logs:
// what could not be connected to, and why.
func (v Server) Dial(ctx context.Context, s *expand.Scope) (*Conn, error) {
	c, err := v.dial(ctx, s)
	if err == nil || v.Retry <= 0 || ctx.Err() != nil {
		return c, err
	}
	if s.Engine.World.Clock.Sleep(ctx, v.Retry) != nil {
		return nil, err
	}
	return v.dial(ctx, s)
}

func (v Server) dial(ctx context.Context, s *expand.Scope) (*Conn, error) {
	if v.Path != "" {
		c, err := dialOne(ctx, s, "unix", v.Path, v.Path)
		if err != nil {
			err = fmt.Errorf("unable to connect to UNIX socket (%s): %s", v.Path, Reason(err))
		}
		return c, err
	}
	answer, err := hostfind.Lookup(ctx, s, hostfind.Request{Name: v.Host}, hostfind.ByName)
	if err != nil {
		return nil, err
	}
	if !hostfind.Usable(answer.Hosts) {
		text := "no IP address found for host " + v.Host
		if s.Engine.Hooks.Log != nil {
			s.Engine.Hooks.Log(s.Message.ID, text)
		}
		return nil, errors.New(text)
	}
	last := error(syscall.ECONNREFUSED)
	for _, h := range answer.Hosts {
		for port := v.First; port <= v.Last && h.Address.IsValid(); port++ {
			c, err := dialOne(ctx, s, "tcp", netip.AddrPortFrom(h.Address, uint16(port)).String(), "["+h.Address.String()+"]:"+strconv.Itoa(port))
			if err == nil {
				return c, nil
			}
			last = err
		}
	}
	return nil, fmt.Errorf("failed to connect to any address for %s: %s", v.Host, Reason(last))
}

// connectTimeout is how long one attempt to connect takes at most, as with Exim: a daemon is near, and there may be another one to ask.
const connectTimeout = 5 * time.Second

func dialOne(ctx context.Context, s *expand.Scope, network, address, shown string) (*Conn, error) {
	s.SetExtra("callout_address", mail.Clean(shown))
	connecting, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	c, err := s.Engine.World.Dial.Dial(connecting, network, netip.Addr{}, address)
	if err != nil {
		return nil, err
	}
	if at, ok := ctx.Deadline(); ok {
		c.SetDeadline(at)
	}
	return &Conn{Conn: c, Address: shown, stop: context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) })}, nil
}

// TimedOut is the Reason of an error for want of time.
const TimedOut = "Connection timed out"

// Reason words an error in the system's words, without names that the reader knows.
func Reason(err error) string {
	var timeout net.Error
	var number syscall.Errno
	var path *os.PathError
	switch {
	case err == nil:
		return "Success"
	case errors.Is(err, io.EOF):
		return "EOF"
	case errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout():
		return TimedOut
	case errors.As(err, &number) && errors.As(err, &path):
		return fmt.Sprintf("failed to %s %s: %s", path.Op, path.Path, capital(number.Error()))
	case errors.As(err, &number):
		return capital(number.Error())
	}
	return err.Error()
}

func capital(text string) string {
	if text == "" {
		return text
	}
	return strings.ToUpper(text[:1]) + text[1:]
}
