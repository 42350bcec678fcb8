package lookup

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"exigo/internal/outside"
)

// ConnectTimeout bounds how long a connection to a server takes that is told nothing else; QueryTimeout bounds a question and its answer.
const (
	ConnectTimeout = 30 * time.Second
	QueryTimeout   = 5 * time.Minute
)

// ErrUnknownHost says that a host has no address; ErrHostAgain that nobody knows at the moment.
var (
	ErrUnknownHost = errors.New("Name or service not known")
	ErrHostAgain   = errors.New("Temporary failure in name resolution")
)

// Dial connects to a host by name or address, trying its addresses in turn; each has its share of the time that ctx leaves. The error is that
// of the last one, or [ErrUnknownHost], or [ErrHostAgain]; at is the address it is about, if there is one.
func Dial(ctx context.Context, w *outside.World, host string, port uint16) (conn net.Conn, at netip.Addr, err error) {
	addresses, err := addresses(ctx, w, host)
	if err != nil {
		return nil, at, err
	}
	for i := range addresses {
		at = addresses[i]
		dialling, cancel := context.WithCancel(ctx)
		if end, ok := ctx.Deadline(); ok {
			cancel()
			dialling, cancel = context.WithTimeout(ctx, time.Until(end)/time.Duration(len(addresses)-i))
		}
		conn, err = w.Dial.Dial(dialling, "tcp", netip.Addr{}, netip.AddrPortFrom(at, port).String())
		cancel()
		if err == nil {
			return conn, at, nil
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, at, err
}

// ParsePort reads a port; "" is the usual one.
func ParsePort(text string, usual uint16) (uint16, error) {
	if text == "" {
		return usual, nil
	}
	n, err := strconv.ParseUint(text, 10, 16)
	return uint16(n), err
}

func addresses(ctx context.Context, w *outside.World, host string) (list []netip.Addr, err error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a.Unmap()}, nil
	}
	if table, ok := w.DNS.(interface {
		HostAddresses(name string) []netip.Addr
	}); ok {
		if list = table.HostAddresses(host); len(list) > 0 {
			return list, nil
		}
	}
	again := false
	for _, kind := range []outside.RRType{outside.TypeAAAA, outside.TypeA} {
		answer, err := w.DNS.Lookup(ctx, outside.Question{Name: host, Type: kind, Search: true, Qualify: true})
		if err != nil {
			again = again || !errors.Is(err, outside.ErrNoHost) && !errors.Is(err, outside.ErrNoData)
			continue
		}
		for _, r := range answer.Records {
			if a, err := netip.ParseAddr(r.Data); err == nil {
				list = append(list, a)
			}
		}
	}
	switch {
	case len(list) > 0:
		return list, nil
	case again:
		return nil, ErrHostAgain
	}
	return nil, ErrUnknownHost
}

// Connections keeps connections that are not in use, for the next search. The zero value is ready. It may be used by several goroutines.
type Connections[C io.Closer] struct {
	mutex sync.Mutex
	idle  []idle[C] // the longest idle first
}

type idle[C io.Closer] struct {
	key        string
	connection C
	since      time.Time
}

// At most maxIdle connections of a type are kept, each as long as maxIdleTime.
const (
	maxIdle     = 16
	maxIdleTime = time.Minute
)

// Take gives the connection with the key that was used last, if there is one.
func (p *Connections[C]) Take(key string, now time.Time) (c C, ok bool) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.sweep(now)
	for i := len(p.idle) - 1; i >= 0; i-- {
		if p.idle[i].key == key {
			c = p.idle[i].connection
			p.idle = append(p.idle[:i], p.idle[i+1:]...)
			return c, true
		}
	}
	return c, false
}

// Keep keeps a connection that is in order.
func (p *Connections[C]) Keep(key string, c C, now time.Time) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.idle = append(p.idle, idle[C]{key, c, now})
	p.sweep(now)
}

// sweep closes what was idle for too long, and what is too many.
func (p *Connections[C]) sweep(now time.Time) {
	for len(p.idle) > maxIdle || len(p.idle) > 0 && now.Sub(p.idle[0].since) > maxIdleTime {
		go p.idle[0].connection.Close() // may have to say good-bye
		p.idle = p.idle[1:]
	}
}

// Close closes all that is idle.
func (p *Connections[C]) Close() {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	for _, i := range p.idle {
		i.connection.Close()
	}
	p.idle = nil
}

// Until makes the end of ctx, and the passing of limit, end what is done with conn: its deadline is set. stop must be called when it is
// done; it gives ctx's error if that was the end.
func Until(ctx context.Context, conn net.Conn, limit time.Duration) (stop func() error) {
	conn.SetDeadline(time.Now().Add(limit))
	cancel := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	return func() error {
		if !cancel() {
			return ctx.Err()
		}
		conn.SetDeadline(time.Time{})
		return nil
	}
}

// Reason is the text of an error of a connection, as the system words it, without operation and addresses.
func Reason(err error) string {
	var timeout net.Error
	switch {
	case errors.Is(err, context.Canceled):
		return "cancelled"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "Connection timed out"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the server closed the connection"
	}
	return SystemText(err)
}
