package catalog

import (
	"context"

	"exigo/internal/expand"
	"exigo/internal/hints"
	"exigo/internal/mail"
	"exigo/internal/route"
	"exigo/internal/steward"
	"exigo/internal/transport"
)

// quota asks the local transport of an address whether the mailbox has room for the message at hand (verify = recipient/quota, spec
// 44.49). Answers are kept in the callout hints. Transports without quotas always have room.
func (s *Server) quota(ctx context.Context, sc *expand.Scope, a *mail.Address, o route.VerifyOptions) (ok, temporary bool, text string) {
	t := s.Transports[a.Transport]
	if t == nil || t.Driver.Local == nil || !t.Driver.Local.Quota {
		return true, false, ""
	}
	table, key := hints.CalloutTable(), a.Address+"/quota"
	if r, stamp, found, err := table.Get(s.Hints, key); err == nil && found {
		switch age := s.World.Clock.Now().Sub(stamp); {
		case r.Result == hints.Accepted && age < o.QuotaPositive:
			return true, false, ""
		case r.Result == hints.Rejected && age < o.QuotaNegative:
			return false, false, "Previous (cached) quota verification failure"
		}
	}
	outcome := s.askQuota(ctx, sc, t, *a)
	result, life := hints.Accepted, o.QuotaPositive
	switch {
	case outcome.Result == mail.Delivered:
		ok = true
	case outcome.Errno == mail.ErrnoQuota:
		text, result, life = "Over quota", hints.Rejected, o.QuotaNegative
	default:
		return false, true, outcome.Message
	}
	if life > 0 {
		s.hintFailed(table.Put(s.Hints, key, hints.Callout{Result: result}))
	}
	return ok, false, text
}

// askQuota runs the transport for a question only, as the user that would deliver.
func (s *Server) askQuota(ctx context.Context, sc *expand.Scope, t *transport.Transport, a mail.Address) mail.Outcome {
	m := mail.Message{Session: sc.Session}
	if sc.Message != nil {
		m.Size, m.Sender = max(sc.Message.Size, 0), sc.Message.Sender
	}
	scope := sc.Derive()
	scope.Message = &m
	services := s.transportServices()
	services.Log, services.Panic = func(line string) { s.mainLog(sc, line) }, func(line string) { s.panicLog(sc, line) }
	a.Outcome = mail.Outcome{}
	r := &transport.Run{Transport: t, Message: &m, Addresses: []*mail.Address{&a}, Scope: scope, Sender: m.Sender, Services: services, QuotaOnly: true}
	if err := r.Begin(); err != nil {
		r.Settle(err)
	} else {
		steward.Deliver(ctx, s.Steward, r)
	}
	return a.Outcome
}
