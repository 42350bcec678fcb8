package deliver

import (
	"errors"
	"slices"
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
		var batch []*mail.Address
		for _, addr := range a.fresh {
			if a.consider(addr) {
				batch = append(batch, addr)
			}
		}
		a.fresh = nil
		// The last one is routed first, and what is routed last is delivered first: deliveries are in the order of the
		// recipients, the copies behind "unseen" routers ahead of the rest.
		for i := len(batch) - 1; i >= 0; i-- {
			if a.ctx.Err() != nil {
				a.deferAddress(batch[i], -1, "delivery interrupted")
				a.logDeferral(batch[i])
				continue
			}
			if a.queued(batch[i]) {
				a.logDeferralIn(batch[i], true)
				continue
			}
			a.route(batch[i])
		}
	}
	for _, addr := range a.fresh {
		a.deferAddress(addr, -1, "too many generations of redirected addresses")
		a.logDeferral(addr)
	}
	a.fresh = nil
	slices.Reverse(a.local)
	slices.Reverse(a.remote)
	again := func(addr *mail.Address) bool { return addr.Kind == mail.KindNormal && a.doubled(addr) }
	a.local, a.remote = slices.DeleteFunc(a.local, again), slices.DeleteFunc(a.remote, again)
	a.remote = slices.DeleteFunc(a.remote, func(addr *mail.Address) bool {
		wait := a.queueDomain(addr)
		if wait {
			a.logDeferral(addr)
		}
		return wait
	})
}

// consider takes one new address: it drops what is done or doubled, and holds what is held. It tells whether the address is to be
// routed.
func (a *attempt) consider(addr *mail.Address) bool {
	if a.done[addr.Unique] {
		a.orphan(addr)
		return false
	}
	if a.considered++; a.considered > maxConsidered {
		a.deferAddress(addr, -1, "too many redirected addresses")
		a.logDeferral(addr)
		return false
	}
	if addr.Kind != mail.KindNormal && a.doubled(addr) {
		return false
	}
	if addr.Outcome.Result == mail.Failed { // a file, pipe or reply that the router forbids
		a.failed = append(a.failed, addr)
		a.logFailure(addr)
		return false
	}
	if addr.Kind == mail.KindFile && addr.Address == devNull {
		addr.Transport = bypassed
		a.discarded(addr)
		return false
	}
	if addr.Kind != mail.KindNormal {
		// A pipe, file or automatic reply has its transport already.
		a.assign(addr, true)
		return false
	}
	if a.held(addr) || a.notYet(addr) {
		a.logDeferral(addr)
		return false
	}
	return true
}

// maxConsidered bounds the addresses of one attempt. Routing depends on an address's ancestors, so that ordinary duplicates show only
// when they have been routed; but lists that name one another must not go on without end.
const maxConsidered = 200000

// doubled drops an address of which there is one already, and notes it otherwise.
func (a *attempt) doubled(addr *mail.Address) bool {
	first, is := a.seen[addr.Unique]
	if is {
		a.duplicates = append(a.duplicates, duplicate{addr, first})
		first.Duplicates = append(first.Duplicates, addr)
		return true
	}
	a.seen[addr.Unique] = addr
	return false
}

// devNull is a file to which nothing need be written; the log shows bypassed in place of the transport.
const devNull, bypassed = "/dev/null", "**bypassed**"

// orphan finishes an address for which nothing is to be done, and its ancestors if it was their last child.
func (a *attempt) orphan(addr *mail.Address) { a.childDone(addr) }

// held defers an address whose domain is in hold_domains.
func (a *attempt) held(addr *mail.Address) bool {
	return !a.options.Force && a.listed(addr, string(a.d.Main.HoldDomains), "hold_domains", mail.ErrnoHeld, "domain is held")
}

// queued defers an address whose domain is in queue_domains until there is a queue run.
func (a *attempt) queued(addr *mail.Address) bool {
	return !a.options.Force && !a.options.QueueRun &&
		a.listed(addr, string(a.d.Main.QueueDomains), "queue_domains", mail.ErrnoQueueDomain, "domain is in queue_domains")
}

// listed defers an address whose domain is in a list; option is the list's name, errno and reason say why.
func (a *attempt) listed(addr *mail.Address, domains, option string, errno int, reason string) bool {
	if domains == "" {
		return false
	}
	domain := addr.Address[strings.LastIndexByte(addr.Address, '@')+1:]
	m, err := list.Domain(a.scope, domains, strings.ToLower(domain))
	switch {
	case err != nil:
		a.deferAddress(addr, mail.ErrnoListDefer, option+" lookup deferred")
		return true
	case m.Matched:
		a.deferAddress(addr, errno, reason)
		return true
	}
	return false
}

// notYet defers an address whose retry time for routing has not come. Immediate deliveries always route; those over a connection that
// is open already route no domain that could not be routed before.
func (a *attempt) notYet(addr *mail.Address) bool {
	if !a.options.QueueRun && !a.options.Continue || a.options.Force {
		return false
	}
	domain := strings.ToLower(addr.Address[strings.LastIndexByte(addr.Address, '@')+1:])
	keys := []string{"R:" + domain, "R:" + addr.Address, "R:" + addr.Address + ":<" + a.msg.Sender + ">"}
	for i, key := range keys {
		r, ok := a.d.Hints.Look(a.ctx, key, a.now)
		if ok && i == 0 && a.options.Continue {
			addr.RetrySkipped = true
			a.deferAddress(addr, mail.ErrnoRoutingRetry, "reusing SMTP connection skips previous routing defer")
			return true
		}
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

// looping tells whether the message has more Received: lines than received_headers_max allows.
func (a *attempt) looping() bool {
	count := 0
	for _, h := range a.msg.Headers {
		if h.Type != '*' && h.Is("received") {
			count++
		}
	}
	return count > a.d.Main.ReceivedHeadersMax
}

// failLoop fails every address of a message that goes round in circles.
func (a *attempt) failLoop() {
	for _, addr := range a.fresh {
		addr.Outcome = mail.Outcome{Result: mail.Failed, Errno: mail.ErrnoUnknown, Message: `Too many "Received" headers - suspected mail loop`}
		a.failed = append(a.failed, addr)
		a.logFailure(addr)
	}
	a.fresh = nil
}

// route runs the routers for one address and sorts the outcome.
func (a *attempt) route(addr *mail.Address) {
	if len(a.sameDomain) > 0 && addr.Kind == mail.KindNormal && a.copyRouting(addr) {
		a.assign(addr, false)
		a.addRoutingRetry(addr, true)
		return
	}
	s := a.routingScope(addr)
	asGiven := addr.Address
	r := a.d.Routes.Route(a.ctx, s, addr)
	addr = r.Address
	switch r.Outcome {
	case route.Accepted, route.Rerouted:
		for _, c := range r.Children {
			c.Parent.Children++
		}
		a.fresh = append(r.Children[:len(r.Children):len(r.Children)], a.fresh...)
		if addr.Transport != "" && (a.done[addr.Unique] || a.done[plainUnique(addr)+"/"+addr.Transport]) {
			a.orphan(addr) // an "unseen" delivery that an earlier attempt made
		} else if addr.Transport != "" {
			a.assign(addr, r.Local)
			a.maySetExample(addr, r, asGiven)
		} else if len(r.Children) == 0 {
			a.discarded(addr)
		}
	case route.Discard:
		a.discarded(addr)
	case route.Fail:
		addr.Outcome.Result = mail.Failed
		a.failed = append(a.failed, addr)
		a.logFailure(addr)
	default:
		if addr.Outcome.Result != mail.Panicked {
			addr.Outcome.Result = mail.Deferred
		}
		if len(addr.Outcome.RetryKeys) == 0 {
			a.addRoutingRetry(addr, false)
		}
		a.deferred = append(a.deferred, addr)
		a.logDeferral(addr)
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
	a.mark(s)
	return s
}

// mark tells the expansions of a scope what kind of attempt this is.
func (a *attempt) mark(s *expand.Scope) {
	if a.options.QueueRun {
		s.SetExtra("queue_running", mail.Clean("yes"))
	}
}

// assign puts an address with a transport on the list of local or remote deliveries.
func (a *attempt) assign(addr *mail.Address, local bool) {
	t, ok := a.d.Transports[addr.Transport]
	if !ok {
		addr.Outcome = mail.Outcome{Result: mail.Panicked, Errno: mail.ErrnoBadTransport, Message: noTransport(addr.Transport)}
		a.deferred = append(a.deferred, addr)
		a.logDeferral(addr)
		return
	}
	if t.Driver.Local != nil {
		a.local = append(a.local, addr)
		return
	}
	a.remote = append(a.remote, addr)
}

// explicitlyQueued is the reason of deferral for -odqs and control = queue/first_pass_route, queuedDomain for queue_smtp_domains.
const (
	explicitlyQueued = "SMTP delivery explicitly queued"
	queuedDomain     = "first-pass only routing due to -odqs, queue_smtp_domains or control=queue"
)

// queueDomain defers remote deliveries that wait for a queue run: -odqs, queue_smtp_domains, and the control queue with
// first_pass_route; and those that are left out of a local queue run or of the first stage of a run with two.
func (a *attempt) queueDomain(addr *mail.Address) bool {
	if a.options.LocalOnly || a.options.RouteOnly {
		a.deferAddress(addr, 0, "")
		addr.RetrySkipped = true
		if a.options.RouteOnly {
			a.waits(addr)
		}
		return true
	}
	if a.options.QueueRun || a.options.Force {
		return false
	}
	if a.options.QueueSMTP {
		a.deferAddress(addr, 0, explicitlyQueued)
		a.waits(addr)
		return true
	}
	if a.d.Main.QueueSMTPDomains == "" {
		return false
	}
	m, err := list.Domain(a.scope, string(a.d.Main.QueueSMTPDomains), addr.Domain)
	if err != nil && !errors.Is(err, expand.ErrForced) {
		a.deferAddress(addr, mail.ErrnoListDefer, "queue_smtp_domains lookup deferred")
		return true
	}
	if m.Matched {
		a.deferAddress(addr, -1, queuedDomain)
		a.waits(addr)
	}
	return m.Matched
}

// discarded ends an address that leads nowhere on purpose.
func (a *attempt) discarded(addr *mail.Address) {
	addr.Outcome.Result = mail.Discarded
	a.logDiscard(addr)
	a.succeed(addr)
}
