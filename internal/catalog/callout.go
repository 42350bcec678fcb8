package catalog

import (
	"context"
	"time"

	"exigo/internal/deliver"
	"exigo/internal/expand"
	"exigo/internal/mail"
	"exigo/internal/route"
	"exigo/internal/route/callout"
	"exigo/internal/smtpclient"
	"exigo/internal/transport"
	"exigo/internal/transport/smtp"
)

// callout asks the hosts of an address about it, for verify = .../callout.
func (s *Server) callout(ctx context.Context, sc *expand.Scope, c route.Callout) route.CalloutResult {
	if s.NoCallouts {
		return route.CalloutResult{Result: mail.Delivered}
	}
	k := &callout.Caller{DB: s.Hints, Transport: s.calloutTransport, Log: s.mainLog, Panic: s.panicLog}
	return k.Call(ctx, sc, c)
}

// calloutTransport tells a callout what the smtp transport that would deliver is like.
func (s *Server) calloutTransport(_ context.Context, sc *expand.Scope, name string, a *mail.Address) (*callout.Transport, error) {
	t := s.Transports[name]
	own := smtp.Of(t.Instance)
	hosts := ""
	if own.Hosts != "" {
		v, err := s.Engine.Expand(sc, string(own.Hosts))
		if err != nil {
			return nil, err
		}
		hosts = v.S
	}
	services := s.transportServices()
	services.Log, services.Panic = func(line string) { s.mainLog(sc, line) }, func(line string) { s.panicLog(sc, line) }
	run := &transport.Run{Transport: t, Message: sc.Message, Addresses: []*mail.Address{a}, Scope: sc, Services: services}
	return &callout.Transport{
		Hosts: hosts, Override: own.HostsOverride, ByName: own.GetHostByName, IncludeAffixes: t.Generic.RcptIncludeAffixes,
		Parameters: func(ctx context.Context, h *mail.Host, c *smtpclient.Conn) (string, string, bool) {
			return s.onwardParameters(ctx, run, sc, h, c)
		},
		Together: func(have []*mail.Address, next *mail.Address) bool {
			limits := t.Limits(sc)
			return deliver.Together(t, limits, have[0], next) && (limits.MaxRecipients <= 0 || len(have) < limits.MaxRecipients)
		},
		Connect: func(ctx context.Context, h *mail.Host, connect, command time.Duration) (*smtpclient.Conn, error) {
			return smtp.ConnectToAsk(ctx, run, h, connect, command)
		},
	}, nil
}
