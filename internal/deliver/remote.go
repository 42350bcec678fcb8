package deliver

import (
	"slices"
	"strings"
	"sync"

	"exigo/internal/mail"
	"exigo/internal/route"
	"exigo/internal/transport"
)

// deliverRemote runs the remote deliveries, up to remote_max_parallel of them at the same time.
func (a *attempt) deliverRemote() {
	a.sortRemote()
	groups := a.remoteGroups()
	a.remote = nil
	most := max(a.d.Main.RemoteMaxParallel, 1)
	for n := range groups {
		groups[n].apart = len(groups) > 1
	}
	if len(groups) == 1 || most == 1 {
		for n, g := range groups {
			a.runRemote(g, n)
		}
		return
	}
	slots := make(chan struct{}, most)
	var wg sync.WaitGroup
	for n, g := range groups {
		slots <- struct{}{}
		wg.Add(1)
		go func() {
			defer wg.Done()
			defer func() { <-slots }()
			defer a.recoverRun(g.addresses)
			a.runRemote(g, n)
		}()
	}
	wg.Wait()
}

// recoverRun keeps a mistake in one delivery from ending the others.
func (a *attempt) recoverRun(group []*mail.Address) {
	p := recover()
	if p == nil {
		return
	}
	a.d.Log.Panicf(a.msg.ID, "delivery abandoned: %v", p)
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, addr := range group {
		if addr.Outcome.Result != mail.Delivered {
			a.deferAddress(addr, -1, "delivery abandoned")
		}
	}
}

// remoteGroups puts together the addresses that one run of a transport can serve (spec 30.1): same transport, hosts,
// errors address, header changes and user, and one domain unless multi_domain allows several.
func (a *attempt) remoteGroups() []remoteGroup {
	var groups []remoteGroup
next:
	for _, addr := range a.remote {
		limits := a.d.Transports[addr.Transport].Limits(a.routingScope(addr))
		for i, g := range groups {
			first := g.addresses[0]
			if !Together(a.d.Transports[addr.Transport], limits, first, addr) {
				continue
			}
			if limits.MaxRecipients > 0 && len(g.addresses) >= limits.MaxRecipients && !a.d.Main.MUAWrapper {
				groups[i].more = limits.MaxRecipients > 1 // copies for a single recipient each have their own connections in Exim
				continue
			}
			groups[i].addresses = append(g.addresses, addr)
			continue next
		}
		groups = append(groups, remoteGroup{addresses: []*mail.Address{addr}})
	}
	return groups
}

// Together tells whether two addresses, the first one with transport t, can share one run of that remote transport.
func Together(t *transport.Transport, limits transport.Limits, first, next *mail.Address) bool {
	return first.Transport == next.Transport && (limits.MultiDomain || strings.EqualFold(first.Domain, next.Domain)) && sameRemote(first, next) &&
		(!limits.MultiDomain || batchVariables(first, next, t))
}

// remoteGroup is what one run of a transport serves. more says that another run follows that differs from it by nothing but its
// addresses: together they would be too many.
type remoteGroup struct {
	addresses []*mail.Address
	more      bool
	apart     bool // there are others, maybe at the same time
}

func sameRemote(x, y *mail.Address) bool {
	if !sameHosts(x.Hosts, y.Hosts) || len(x.FallbackHosts) != len(y.FallbackHosts) {
		return false
	}
	for i := range x.FallbackHosts {
		if x.FallbackHosts[i].Name != y.FallbackHosts[i].Name {
			return false
		}
	}
	return x.ErrorsTo == y.ErrorsTo && x.ErrorsToSet == y.ErrorsToSet && x.ReturnPath == y.ReturnPath && x.ReturnPathSet == y.ReturnPathSet && x.UID == y.UID && x.GID == y.GID && x.DSNLastHop == y.DSNLastHop &&
		sameStrings(x.ExtraHeaders, y.ExtraHeaders) && sameStrings(x.RemoveHeaders, y.RemoveHeaders)
}

// runRemote makes the n-th remote delivery of the attempt, counted from 0.
func (a *attempt) runRemote(g remoteGroup, n int) {
	group := g.addresses
	r := a.runFor(group)
	r.More = g.more
	if g.apart { // what an ACL sets in an expansion (${acl{...}}) is seen by its own run only
		r.Scope.Message = a.msg.Fork()
		if a.msg.Session != nil {
			r.Scope.Session = a.msg.Session.Fork()
		}
	}
	world := *r.Services.World
	world.Random = world.ForRemoteDelivery(n)
	r.Services.World = &world
	if release, ok := a.parallelRun(r); ok {
		err := a.remote1(r)
		release()
		r.Settle(err)
	} else {
		r.Set(mail.Outcome{Result: mail.Deferred, Errno: mail.ErrnoTransportLimit, Message: "concurrency limit reached for transport"})
	}
	for _, addr := range group {
		if addr.Outcome.ReturnPath == nil {
			addr.Outcome.ReturnPath = &r.ReturnPath
		}
	}
	a.settleAll(group, r.Transport)
}

// sameHosts compares lists of hosts; of hosts in a random order it does not matter which.
func sameHosts(x, y []mail.Host) bool {
	if len(x) != len(y) {
		return false
	}
	same := func(h, k mail.Host) bool {
		return h.Name == k.Name && h.Address == k.Address && h.Port == k.Port && h.MX == k.MX
	}
	for i := range x {
		if !same(x[i], y[i]) && (x[i].MX != route.RandomOrder || !slices.ContainsFunc(y, func(k mail.Host) bool { return same(x[i], k) })) {
			return false
		}
	}
	return true
}

func (a *attempt) remote1(r *transport.Run) error {
	if err := r.Begin(); err != nil {
		return err
	}
	return r.Transport.Driver.Remote(a.ctx, r)
}

// waits notes that the message waits for the hosts of an address, those that its transport would try: another message's connection may
// serve it. So ends the first stage of a two-stage queue run.
func (a *attempt) waits(addr *mail.Address) {
	t := a.d.Transports[addr.Transport]
	if a.d.Waiting == nil || t == nil || t.Driver.Hosts == nil {
		return
	}
	hosts, err := t.Driver.Hosts(a.runFor([]*mail.Address{addr}))
	if err != nil {
		return // the delivery will say so
	}
	names := make([]string, 0, len(hosts))
	for _, h := range hosts {
		names = append(names, h.Name)
	}
	a.d.Waiting(a.ctx, t.Name, names, a.msg.ID)
}
