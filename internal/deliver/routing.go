package deliver

import (
	"errors"
	"strings"

	"exigo/internal/expand"
	"exigo/internal/list"
	"exigo/internal/mail"
	"exigo/internal/retry"
	"exigo/internal/route"
)

// uniqueOf is the form of an ordinary address that decides about duplicates: the local part as it is, the domain in
// lower case.
func uniqueOf(address string) string {
	at := strings.LastIndexByte(address, '@')
	if at < 0 {
		return address
	}
	return address[:at] + strings.ToLower(address[at:])
}

// maxGenerations bounds the rounds of redirection; the routers' own loop check ends chains long before it.
const maxGenerations = 200

// routeAll routes every address, and the addresses that redirection makes of them, until none is left.
func (a *attempt) routeAll() {
	for round := 0; len(a.fresh) > 0 && round < maxGenerations; round++ {
		batch := a.fresh
		a.fresh = nil
		for _, addr := range batch {
			if a.ctx.Err() != nil {
				a.deferAddress(addr, -1, "delivery interrupted")
				continue
			}
			a.consider(addr)
		}
	}
	for _, addr := range a.fresh {
		a.deferAddress(addr, -1, "too many generations of redirected addresses")
	}
	a.fresh = nil
}

// consider takes one new address: it drops what is done or doubled, holds what is held, and routes the rest.
func (a *attempt) consider(addr *mail.Address) {
	if a.done[addr.Unique] {
		a.orphan(addr)
		return
	}
	if first, doubled := a.seen[addr.Unique]; doubled {
		a.duplicates = append(a.duplicates, duplicate{addr, first})
		return
	}
	a.seen[addr.Unique] = addr
	if addr.Kind != mail.KindNormal {
		// A pipe, file or automatic reply has its transport already.
		a.assign(addr, true)
		return
	}
	if a.held(addr) || a.notYet(addr) {
		return
	}
	a.route(addr)
}

// orphan finishes an address for which nothing is to be done, and its ancestors if it was their last child.
func (a *attempt) orphan(addr *mail.Address) { a.childDone(addr) }

// held defers an address whose domain is in hold_domains.
func (a *attempt) held(addr *mail.Address) bool {
	if a.d.Main.HoldDomains == "" || a.options.Force {
		return false
	}
	domain := addr.Address[strings.LastIndexByte(addr.Address, '@')+1:]
	m, err := list.Domain(a.scope, string(a.d.Main.HoldDomains), strings.ToLower(domain))
	switch {
	case err != nil:
		a.deferAddress(addr, mail.ErrnoListDefer, "hold_domains lookup deferred")
		return true
	case m.Matched:
		a.deferAddress(addr, mail.ErrnoHeld, "domain is held")
		return true
	}
	return false
}

// notYet defers an address whose retry time for routing has not come. Immediate deliveries always route.
func (a *attempt) notYet(addr *mail.Address) bool {
	if !a.options.QueueRun || a.options.Force {
		return false
	}
	domain := strings.ToLower(addr.Address[strings.LastIndexByte(addr.Address, '@')+1:])
	keys := []string{"R:" + domain, "R:" + addr.Address, "R:" + addr.Address + ":<" + a.msg.Sender + ">"}
	for _, key := range keys {
		r, ok := a.d.Hints.Look(a.ctx, key, a.now)
		if !ok || !a.now.Before(r.Next) {
			continue
		}
		f := retry.Failure{Key: addr.Address, Errno: r.Errno, MoreErrno: r.MoreErrno, Sender: a.msg.Sender, SenderKnown: true}
		if a.d.Rules.MessageCutoff(a.scope, f, a.waited()) {
			continue
		}
		addr.RetrySkipped = true
		a.deferAddress(addr, mail.ErrnoRoutingRetry, "retry time not reached")
		return true
	}
	return false
}

func (a *attempt) deferAddress(addr *mail.Address, errno int, text string) {
	addr.Outcome.Result, addr.Outcome.Errno, addr.Outcome.Message = mail.Deferred, errno, text
	a.deferred = append(a.deferred, addr)
}

// route runs the routers for one address and sorts the outcome.
func (a *attempt) route(addr *mail.Address) {
	s := a.routingScope(addr)
	r := a.d.Routes.Route(a.ctx, s, addr)
	addr = r.Address
	switch r.Outcome {
	case route.Accepted, route.Rerouted:
		addr.Children += len(r.Children)
		a.fresh = append(a.fresh, r.Children...)
		if addr.Transport != "" {
			if len(r.Children) > 0 {
				addr.Children++ // an unseen delivery is a child of its own
			}
			a.assign(addr, r.Local)
		} else if len(r.Children) == 0 {
			a.discarded(addr)
		}
	case route.Discard:
		a.discarded(addr)
	case route.Fail:
		addr.Outcome.Result = mail.Failed
		a.failed = append(a.failed, addr)
	default:
		if addr.Outcome.Result != mail.Panicked {
			addr.Outcome.Result = mail.Deferred
		}
		if len(addr.Outcome.RetryKeys) == 0 {
			a.addRoutingRetry(addr, false)
		}
		a.deferred = append(a.deferred, addr)
		return
	}
	a.addRoutingRetry(addr, true)
}

// addRoutingRetry asks for the hint of a routing failure, or for its removal after a success.
func (a *attempt) addRoutingRetry(addr *mail.Address, success bool) {
	domain := strings.ToLower(addr.Address[strings.LastIndexByte(addr.Address, '@')+1:])
	key := "R:" + domain
	if rt, ok := a.d.Routes.Router(addr.Router); ok && rt.RetryByAddress {
		key = "R:" + addr.Address
	}
	if success {
		for _, k := range []string{"R:" + domain, "R:" + addr.Address} {
			if _, known := a.d.Hints.Look(a.ctx, k, a.now); known {
				addr.Outcome.RetryKeys = append(addr.Outcome.RetryKeys, mail.RetryUpdate{Key: k, Delete: true})
			}
		}
		return
	}
	addr.Outcome.RetryKeys = append(addr.Outcome.RetryKeys, mail.RetryUpdate{
		Key: key, Errno: addr.Outcome.Errno, MoreErrno: addr.Outcome.MoreErrno, Message: addr.Outcome.Message,
	})
}

// routingScope is the scope in which routers expand for an address.
func (a *attempt) routingScope(addr *mail.Address) *expand.Scope {
	s := a.d.Engine.NewScope(a.ctx, a.d.Config, a.msg.Session, a.msg)
	s.Address = addr
	return s
}

// assign puts an address with a transport on the list of local or remote deliveries.
func (a *attempt) assign(addr *mail.Address, local bool) {
	t, ok := a.d.Transports[addr.Transport]
	if !ok {
		addr.Outcome = mail.Outcome{Result: mail.Panicked, Errno: mail.ErrnoBadTransport, Message: noTransport(addr.Transport)}
		a.deferred = append(a.deferred, addr)
		return
	}
	if t.Driver.Local != nil {
		a.local = append(a.local, addr)
		return
	}
	if a.queueDomain(addr) {
		return
	}
	a.remote = append(a.remote, addr)
}

// queueDomain defers remote deliveries that wait for a queue run: -odqs, queue_smtp_domains, queue_domains and the
// control of the same name; and those that are left out of a local queue run.
func (a *attempt) queueDomain(addr *mail.Address) bool {
	if a.options.LocalOnly {
		a.deferAddress(addr, 0, "")
		addr.RetrySkipped = true
		return true
	}
	if a.options.QueueRun || a.options.Force {
		return false
	}
	wait := a.options.QueueSMTP
	if !wait && a.d.Main.QueueSMTPDomains != "" {
		m, err := list.Domain(a.scope, string(a.d.Main.QueueSMTPDomains), addr.Domain)
		if err != nil && !errors.Is(err, expand.ErrForced) {
			a.deferAddress(addr, mail.ErrnoListDefer, "queue_smtp_domains lookup deferred")
			return true
		}
		wait = m.Matched
	}
	if wait {
		a.deferAddress(addr, -1, "first-pass only routing due to -odqs, queue_smtp_domains or control=queue")
	}
	return wait
}

// discarded ends an address that leads nowhere on purpose.
func (a *attempt) discarded(addr *mail.Address) {
	addr.Outcome.Result = mail.Discarded
	a.logDiscard(addr)
	a.succeed(addr)
}
