package builtin

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"time"

	"exigo/internal/expand"
	"exigo/internal/expand/syntax"
	"exigo/internal/mail"
	"exigo/internal/outside"
)

// socketRequest is what the first three arguments of readsocket say.
type socketRequest struct {
	target   string
	timeout  time.Duration
	shutdown bool
	tls      bool
	sni      string
	cache    bool
}

// socketAnswers are the answers that the option cache=yes keeps, by connection and request, for the life of a scope.
type socketAnswers map[string]map[string]string

// Answers that are larger, or more, are not kept.
const (
	maxKeptAnswer  = 64 << 10
	maxKeptAnswers = 100
)

// evalReadSocket talks to a socket. The fifth argument is used for every error in doing so.
func evalReadSocket(s *expand.Scope, it *syntax.Item) (expand.Value, error) {
	count := min(len(it.Args), 4)
	args, err := s.Texts(it.Args[:count])
	if err != nil {
		return expand.Value{}, err
	}
	if err := forbidden(s, "readsocket", "socket insertions are not permitted"); err != nil {
		return expand.Value{}, err
	}
	if s.Untrusted(args[0], "Tainted filename for search: '%s'", args[0].S) {
		s.Panic("Tainted filename for search: '%s'", args[0].S)
		if len(it.Args) > 4 {
			return s.Text(it.Args[4])
		}
		return expand.Value{}, expand.Fail("NULL")
	}
	options := ""
	if count > 2 {
		options = args[2].S
	}
	if err := s.Spend(expand.Costly); err != nil {
		return expand.Value{}, err
	}
	r := socketOptions(args[0].S, options)
	kept := mail.State[socketAnswers](&s.Bag)
	answer, known := (*kept)[r.target][args[1].S]
	if !known || !r.cache {
		answer, err = readSocket(s, r, args[1].S)
		kept.keep(r, args[1].S, answer, err)
	}
	if err != nil {
		if len(it.Args) > 4 {
			return s.Text(it.Args[4])
		}
		return expand.Value{}, err
	}
	v := expand.Value{S: upToZero(answer)}
	if count > 3 && args[3].S != "" { // unlike in readfile, an empty string leaves the newlines
		v.S = endLines(v.S, args[3:4])
	}
	return v, nil
}

// keep keeps an answer or, without the option, drops those of the connection.
func (a *socketAnswers) keep(r socketRequest, request, answer string, err error) {
	switch {
	case !r.cache:
		delete(*a, r.target)
	case err == nil && len(answer) <= maxKeptAnswer && len((*a)[r.target]) < maxKeptAnswers && len(*a) < maxKeptAnswers:
		if *a == nil {
			*a = socketAnswers{}
		}
		if (*a)[r.target] == nil {
			(*a)[r.target] = map[string]string{}
		}
		(*a)[r.target][request] = answer
	}
}

func socketOptions(target, options string) socketRequest {
	r := socketRequest{target: target, timeout: 5 * time.Second, shutdown: true}
	list := expand.NewElements(options)
	for first := true; ; first = false {
		item, ok := list.Next()
		if !ok {
			return r
		}
		if first {
			if d, ok := ParseInterval(item); ok {
				r.timeout = d
			}
			continue
		}
		name, value, _ := strings.Cut(item, "=")
		switch trim(name) {
		case "shutdown":
			r.shutdown = trim(value) != "no"
		case "tls":
			r.tls = trim(value) != "no"
		case "sni":
			r.sni = trim(value)
		case "cache":
			r.cache = trim(value) == "yes"
		}
	}
}

func readSocket(s *expand.Scope, r socketRequest, request string) (string, error) {
	ctx, cancel := context.WithTimeout(s.Ctx, r.timeout)
	defer cancel()
	conn, err := dialSocket(ctx, s, r.target)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	deadline := s.Engine.World.Clock.Now().Add(r.timeout)
	_ = conn.SetDeadline(deadline)
	stream := conn
	if r.tls {
		// The specification asks for encryption only: the certificate of the server is not verified.
		client := tls.Client(conn, &tls.Config{InsecureSkipVerify: true, ServerName: r.sni})
		if err := client.HandshakeContext(ctx); err != nil {
			return "", expand.Fail("connect, %s: %s", r.target, err)
		}
		stream = client
	}
	if request != "" {
		if _, err := io.WriteString(stream, request); err != nil {
			return "", expand.Fail("request write to socket failed: %s", reason(err))
		}
	}
	if half, ok := conn.(interface{ CloseWrite() error }); ok && r.shutdown && !r.tls {
		_ = half.CloseWrite()
	}
	data, err := io.ReadAll(io.LimitReader(stream, maxFile))
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return "", expand.Fail("socket read timed out")
	}
	// A server that went away without having read everything has given its answer all the same.
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, syscall.ECONNRESET) && !r.tls {
		return "", expand.Fail("socket read failed: %s", reason(err))
	}
	return string(data), nil
}

// dialSocket connects to a path or to inet:host:port.
func dialSocket(ctx context.Context, s *expand.Scope, target string) (net.Conn, error) {
	world := s.World()
	rest, inet := strings.CutPrefix(target, "inet:")
	if !inet && target == "" {
		return nil, expand.Fail("failed to connect to socket %s: %s", target, reason(syscall.ECONNREFUSED))
	}
	if !inet {
		conn, err := world.Dial.Dial(ctx, "unix", netip.Addr{}, target)
		if err != nil {
			return nil, expand.Fail("failed to connect to socket %s: %s", target, dialReason(err))
		}
		return conn, nil
	}
	at := strings.LastIndexByte(rest, ':')
	if at < 0 {
		return nil, expand.Fail("missing port for readsocket %s", rest)
	}
	host, port := strings.Trim(rest[:at], "[]"), rest[at+1:]
	number, err := net.DefaultResolver.LookupPort(ctx, "tcp", port)
	if err != nil {
		return nil, expand.Fail("TCP port \"%s\" not found", port)
	}
	addresses, err := hostAddresses(ctx, world, host)
	if err != nil {
		s.Log("%s", err)
		return nil, err
	}
	last := error(syscall.ECONNREFUSED)
	for _, a := range addresses {
		conn, err := world.Dial.Dial(ctx, "tcp", netip.Addr{}, netip.AddrPortFrom(a, uint16(number)).String())
		if err == nil {
			return conn, nil
		}
		last = err
	}
	return nil, expand.Fail("failed to connect to any address for %s: %s", host, dialReason(last))
}

func dialReason(err error) string {
	var timeout net.Error
	if errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout() {
		return "Connection timed out"
	}
	return reason(err)
}

// hostAddresses looks a host's addresses up as the system would: in its table of hosts, then in the DNS with its search list.
func hostAddresses(ctx context.Context, world *outside.World, host string) (list []netip.Addr, err error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a}, nil
	}
	if table, ok := world.DNS.(interface {
		HostAddresses(name string) []netip.Addr
	}); ok {
		if list = table.HostAddresses(host); len(list) > 0 {
			return list, nil
		}
	}
	for _, kind := range []outside.RRType{outside.TypeAAAA, outside.TypeA} {
		answer, err := world.DNS.Lookup(ctx, outside.Question{Name: host, Type: kind, Search: true, Qualify: true})
		if err != nil {
			continue
		}
		for _, r := range answer.Records {
			if a, err := netip.ParseAddr(r.Data); err == nil {
				list = append(list, a)
			}
		}
	}
	if len(list) == 0 {
		return nil, expand.Fail("no IP address found for host %s", host)
	}
	return list, nil
}
