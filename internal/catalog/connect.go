package catalog

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"exigo/internal/mail"
	"exigo/internal/route"
	"exigo/internal/smtpclient"
	"exigo/internal/transport"
	"exigo/internal/transport/smtp"
)

// ConnectTo routes an address, as of the message m, and connects to the first of its hosts that answers, as its transport is configured:
// TLS and authentication are done. The host has its address. It is for connections that carry no message of ours. The address is the
// administrator's own: its domain is not tainted.
func (s *Server) ConnectTo(ctx context.Context, m *mail.Message, address string) (*smtpclient.Conn, *mail.Host, error) {
	sc := s.Scope(ctx, m)
	_, domain, _ := strings.Cut(address, "@")
	defer sc.SetExtra("domain", mail.Clean(domain))()
	a := &mail.Address{Address: address, Unique: address, Original: -1, Mode: mail.ForDelivery}
	routed := s.Routes.Route(ctx, sc, a)
	t := s.Transports[a.Transport]
	switch {
	case routed.Outcome != route.Accepted || t == nil:
		return nil, nil, errors.New(problemOf(a))
	case t.Driver.Remote == nil || t.Driver.Name != "smtp":
		return nil, nil, fmt.Errorf("the %s transport does not speak SMTP", t.Name)
	case len(a.Hosts) == 0:
		return nil, nil, errors.New("the router gave no hosts")
	}
	sc.Address = a
	run := &transport.Run{Transport: t, Message: m, Addresses: []*mail.Address{a}, Scope: sc, Services: s.transportServices()}
	var last error
	for i := range a.Hosts {
		h := a.Hosts[i]
		if !h.Address.IsValid() {
			continue
		}
		c, err := smtp.Connect(ctx, run, &h)
		if err == nil {
			return c, &h, nil
		}
		last = fmt.Errorf("%s [%s]: %w", h.Name, h.Address, err)
	}
	if last == nil {
		last = errors.New("no host has an address")
	}
	return nil, nil, last
}

// problemOf says why an address was not routed.
func problemOf(a *mail.Address) string {
	if a.Outcome.Message != "" {
		return a.Outcome.Message
	}
	return "Unrouteable address"
}
