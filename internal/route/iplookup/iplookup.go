// Package iplookup is the router that asks a host over UDP or TCP for another address (spec chapter 19).
//
// Trust: the answer comes over the network and is parsed as untrusted text of limited length.
package iplookup

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"exigo/internal/mail"
	"exigo/internal/option"
	"exigo/internal/route"
	"exigo/internal/route/hostfind"
)

type settings struct {
	hosts           []string
	optional        bool
	port            int
	protocol        string
	query           option.Expanded
	reroute         option.Expanded
	responsePattern string
	timeout         time.Duration
}

var options = option.Table[settings]{Scope: "router iplookup", Rows: []option.Row[settings]{
	{Name: "hosts", Field: func(c *settings) any { return &c.hosts }, Doc: "The hosts to ask, in turn."},
	{Name: "optional", Field: func(c *settings) any { return &c.optional }, Doc: "Pass the address on when no host answers."},
	{Name: "port", Field: func(c *settings) any { return &c.port }, Doc: "The port to ask at."},
	{Name: "protocol", Default: "udp", Field: func(c *settings) any { return &c.protocol }, Doc: "udp or tcp."},
	{Name: "query", Field: func(c *settings) any { return &c.query }, Doc: "The question; the address twice unless set."},
	{Name: "reroute", Field: func(c *settings) any { return &c.reroute }, Doc: "Expands to the new address; the first word of the answer unless set."},
	{Name: "response_pattern", Field: func(c *settings) any { return &c.responsePattern }, Doc: "A regular expression that the answer must match."},
	{Name: "timeout", Default: "5s", Field: func(c *settings) any { return &c.timeout }, Doc: "How long to wait for an answer."},
}}

// maxAnswer is the length of the answer that is read.
const maxAnswer = 1023

// Driver returns the iplookup router.
func Driver() *route.Driver {
	return &route.Driver{
		Name: "iplookup", Doc: "Asks a host on the network for another address.",
		Options: options, Check: check, Run: run, Transport: route.TransportForbidden,
	}
}

func check(i *route.Instance) error {
	c := route.Settings[settings](i)
	switch {
	case c.port <= 0:
		return errors.New("a port must be specified")
	case !strings.EqualFold(c.protocol, "udp") && !strings.EqualFold(c.protocol, "tcp"):
		return errors.New("protocol not specified as udp or tcp")
	case len(c.hosts) == 0:
		return errors.New("host(s) must be specified")
	}
	return nil
}

func run(r *route.Run) route.Outcome {
	c := route.Settings[settings](r.Router.Instance)
	a, s := r.Address, r.Scope
	plain := a.LocalPart + "@" + a.Domain
	query := plain + " " + plain
	if c.query != "" {
		v, err := s.Engine.Expand(s, string(c.query))
		if err != nil {
			return r.Postpone(mail.ErrnoExpandFail, "%s router: failed to expand %s: %s", r.Router.Name, c.query, err)
		}
		query = v.S
	}
	answer, err := ask(r, c, query)
	if err != nil {
		if c.optional {
			return route.Pass
		}
		return r.Postpone(0, "%s router: failed to get anything", r.Router.Name)
	}
	first, rest := answer, ""
	if i := strings.IndexAny(answer, " \t\r\n"); i >= 0 {
		first, rest = answer[:i], answer[i:]
	}
	saved := s.Numbers
	defer func() { s.Numbers = saved }()
	s.Numbers = []mail.Value{mail.Taint(answer)}
	if c.responsePattern != "" {
		matched, err := s.Match(c.responsePattern, mail.Taint(answer), 0)
		if err != nil {
			return r.Postpone(0, "%s", err)
		}
		if !matched {
			return route.Decline
		}
	} else if c.query == "" && strings.TrimSpace(rest) != plain {
		return route.Decline
	}
	reroute := first
	if c.reroute != "" {
		v, err := s.Engine.Expand(s, string(c.reroute))
		if err != nil {
			return r.Postpone(mail.ErrnoExpandFail, "%s router: failed to expand %s: %s", r.Router.Name, c.reroute, err)
		}
		reroute = v.S
	}
	if at := strings.LastIndexByte(reroute, '@'); at <= 0 || at == len(reroute)-1 {
		return r.Postpone(0, "%s router: reroute string %s is not of the form user@domain", r.Router.Name, reroute)
	}
	if ok, outcome := r.Prepare(); !ok {
		return outcome
	}
	r.Child(reroute)
	return route.Accepted
}

// ask sends the query to the hosts in turn until one answers.
func ask(r *route.Run, c *settings, query string) (string, error) {
	last := errors.New("no host")
	for _, name := range c.hosts {
		found, err := hostfind.Lookup(r.Ctx, r.Scope, hostfind.Request{Name: name}, hostfind.ByName)
		if err != nil {
			return "", err
		}
		for _, h := range found.Hosts {
			answer, err := exchange(r, c, h.Address, query)
			if err == nil {
				return answer, nil
			}
			last = err
		}
	}
	return "", last
}

// exchange asks one address.
func exchange(r *route.Run, c *settings, host netip.Addr, query string) (string, error) {
	ctx, cancel := context.WithTimeout(r.Ctx, c.timeout)
	defer cancel()
	to := net.JoinHostPort(host.String(), strconv.Itoa(c.port))
	conn, err := r.Scope.Engine.World.Dial.Dial(ctx, strings.ToLower(c.protocol), netip.Addr{}, to)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	if _, err := io.WriteString(conn, query); err != nil {
		return "", err
	}
	buf := make([]byte, maxAnswer)
	n, err := conn.Read(buf)
	if n == 0 {
		return "", errors.Join(err, errors.New("empty answer"))
	}
	return strings.TrimRight(string(buf[:n]), "\r\n\x00 "), nil
}
