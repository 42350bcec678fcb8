package deliver

import (
	"strings"

	"exigo/internal/eventlog"
	"exigo/internal/list"
	"exigo/internal/mail"
	"exigo/internal/retry"
	"exigo/internal/steward"
	"exigo/internal/transport"
)

// deliverLocal runs the local deliveries one after the other, several addresses in one run where the transport batches.
func (a *attempt) deliverLocal() {
	pending := a.local
	a.local = nil
	for len(pending) > 0 {
		group, rest := a.batch(pending)
		pending = rest
		group = a.localReady(group)
		if len(group) == 0 {
			continue
		}
		if a.ctx.Err() != nil {
			for _, addr := range group {
				a.deferAddress(addr, -1, "delivery interrupted")
			}
			continue
		}
		a.runLocal(group)
	}
}

// batch takes the first address and those that can go with it (spec 25).
func (a *attempt) batch(pending []*mail.Address) (group, rest []*mail.Address) {
	first := pending[0]
	t := a.d.Transports[first.Transport]
	group = pending[:1:1]
	if t.Driver.Batch == nil || first.Kind != mail.KindNormal {
		return group, pending[1:]
	}
	most, id := t.Driver.Batch(t.Instance)
	firstID, ok := a.batchID(first, string(id))
	if most <= 1 || !ok {
		return group, pending[1:]
	}
	for _, addr := range pending[1:] {
		other, ok := a.batchID(addr, string(id))
		if len(group) < most && ok && other == firstID && sameBatch(first, addr, t, a.msg) {
			group = append(group, addr)
		} else {
			rest = append(rest, addr)
		}
	}
	return group, rest
}

func (a *attempt) batchID(addr *mail.Address, id string) (string, bool) {
	if id == "" {
		return "", true
	}
	s := a.routingScope(addr)
	v, err := a.d.Engine.Expand(s, id)
	return v.S, err == nil
}

// sameBatch tells whether two addresses may share one run of a transport.
func sameBatch(x, y *mail.Address, t *transport.Transport, m *mail.Message) bool {
	return x.Transport == y.Transport && y.Kind == mail.KindNormal && x.ErrorsTo == y.ErrorsTo && x.ErrorsToSet == y.ErrorsToSet &&
		x.ReturnPath == y.ReturnPath && x.ReturnPathSet == y.ReturnPathSet &&
		x.UID == y.UID && x.GID == y.GID && x.UIDSet == y.UIDSet && x.GIDSet == y.GIDSet &&
		x.HomeDirectory == y.HomeDirectory && x.CurrentDirectory == y.CurrentDirectory && len(x.Hosts) == len(y.Hosts) &&
		sameStrings(x.ExtraHeaders, y.ExtraHeaders) && sameStrings(x.RemoveHeaders, y.RemoveHeaders) && batchVariables(x, y, t)
}

// batchVariables refuses batches whose option text depends on a part of the address that differs.
func batchVariables(x, y *mail.Address, t *transport.Transport) bool {
	local, domain := x.LocalPart == y.LocalPart, x.Domain == y.Domain
	for _, text := range t.Texts() {
		if !local && mentions(text, "local_part") || !domain && mentions(text, "domain") {
			return false
		}
	}
	return true
}

// mentions tells whether a text has a word that begins with name, as it is or with one of the prefixes of variables about the same address.
func mentions(text, name string) bool {
	for from := 0; ; {
		i := strings.Index(text[from:], name)
		if i < 0 {
			return false
		}
		before := strings.TrimSuffix(strings.TrimSuffix(text[:from+i], "original_"), "parent_")
		if n := len(before); n == 0 || !wordByte(before[n-1]) {
			return true
		}
		from += i + len(name)
	}
}

func wordByte(c byte) bool {
	return c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

func sameStrings(x, y []string) bool {
	if len(x) != len(y) {
		return false
	}
	for i := range x {
		if x[i] != y[i] {
			return false
		}
	}
	return true
}

// localKey is the retry key of a local delivery.
func localKey(addr *mail.Address, t *transport.Transport) string {
	if t.Generic.RetryUseLocalPart == nil || *t.Generic.RetryUseLocalPart {
		return "T:" + addr.Address
	}
	return "T:" + addr.Domain
}

// localReady leaves out addresses whose retry time has not come. Deliveries that are not part of a queue run are always tried.
func (a *attempt) localReady(group []*mail.Address) []*mail.Address {
	if !a.options.QueueRun || a.options.Force {
		return group
	}
	var ready []*mail.Address
	for _, addr := range group {
		r, known := a.d.Hints.Look(a.ctx, localKey(addr, a.d.Transports[addr.Transport]), a.now)
		if !known || !a.now.Before(r.Next) || r.Expired || a.pastCutoff(addr, r) {
			ready = append(ready, addr)
			continue
		}
		addr.RetrySkipped = true
		a.deferAddress(addr, mail.ErrnoLocalRetry, "Retry time not yet reached")
		a.logDeferral(addr)
	}
	return ready
}

func (a *attempt) pastCutoff(addr *mail.Address, r retry.Record) bool {
	return a.d.Rules.MessageCutoff(a.scope, retry.Failure{Key: addr.Address, Errno: r.Errno, MoreErrno: r.MoreErrno,
		Sender: a.msg.Sender, SenderKnown: true}, a.waited())
}

// runFor makes the transport's run for a group of addresses.
func (a *attempt) runFor(group []*mail.Address) *transport.Run {
	first := group[0]
	s := a.routingScope(first)
	sender := a.msg.Sender
	if first.ErrorsToSet {
		sender = strings.Trim(first.ErrorsTo, "<>")
	}
	return &transport.Run{
		Transport: a.d.Transports[first.Transport], Message: a.msg, Body: a.transportBody(), Addresses: group, Scope: s,
		Sender: sender, ReturnPath: sender, Force: a.options.Force, AllOrNone: a.d.Main.MUAWrapper, Continue: a.options.Continue, DontDeliver: a.options.DontDeliver, Services: a.servicesFor(),
	}
}

// servicesFor are the deliverer's services with logs that carry the message's id.
func (a *attempt) servicesFor() *transport.Services {
	s := *a.d.Services
	s.Log = func(line string) {
		a.d.Log.Mainf(a.msg.ID, "%s", line)
		a.mu.Lock()
		defer a.mu.Unlock()
		a.note(line)
	}
	s.Panic = func(line string) { a.d.Log.Panicf(a.msg.ID, "%s", line) }
	return &s
}

func (a *attempt) runLocal(group []*mail.Address) {
	r := a.runFor(group)
	if a.options.DontDeliver {
		r.Set(mail.Outcome{Result: mail.Delivered})
	} else if release, ok := a.parallelRun(r); !ok {
		r.Set(mail.Outcome{Result: mail.Deferred, Errno: mail.ErrnoTransportLimit, Message: "concurrency limit reached for transport"})
	} else {
		a.execute(r)
		release()
	}
	key := ""
	for _, addr := range group {
		key = localKey(addr, r.Transport)
		if !r.NoRetry {
			a.localRetry(addr, key)
		}
		if addr.Outcome.Result == mail.Delivered {
			a.shadow(r, addr)
		}
	}
	a.settleAll(group, r.Transport)
}

// execute runs a local transport as the user that the run asks for.
func (a *attempt) execute(r *transport.Run) {
	if err := r.Begin(); err != nil {
		r.Settle(err)
		return
	}
	steward.Deliver(a.ctx, a.d.Steward, r)
}

// transportBody is the message's body as transports read it.
func (a *attempt) transportBody() transport.Body {
	return transport.Body{File: a.locked.File(), Offset: a.msg.DataOffset, Size: a.body.Size(), Lines: a.msg.BodyLines,
		LongestLine: a.msg.MaxReceivedLine}
}

// localRetry asks for the hint of a deferral, or for the removal of an old one.
func (a *attempt) localRetry(addr *mail.Address, key string) {
	o := &addr.Outcome
	if o.Result == mail.Panicked {
		return // a mistake of ours says nothing about the destination
	}
	if o.Result == mail.Deferred {
		o.RetryKeys = append(o.RetryKeys, mail.RetryUpdate{Key: key, Errno: o.Errno, MoreErrno: o.MoreErrno, Message: o.Message})
		return
	}
	if _, known := a.d.Hints.Look(a.ctx, key, a.now); known {
		o.RetryKeys = append(o.RetryKeys, mail.RetryUpdate{Key: key, Delete: true})
	}
}

// settleAll sorts the addresses of a finished run by outcome; successes are journalled and logged first.
func (a *attempt) settleAll(group []*mail.Address, t *transport.Transport) {
	var good []*mail.Address
	for _, addr := range group {
		if addr.Outcome.Result == mail.Delivered {
			good = append(good, addr)
		}
	}
	if len(good) > 0 && !a.options.DontDeliver {
		a.journal(good...)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, addr := range group {
		if a.d.Main.MUAWrapper && addr.Outcome.Result != mail.Delivered {
			addr.Outcome.Result = mail.Failed
		}
		switch addr.Outcome.Result {
		case mail.Delivered:
			a.logDelivery(addr, t)
			a.succeed(addr)
		case mail.Failed:
			a.failed = append(a.failed, addr)
			a.logFailure(addr)
		default:
			if addr.Outcome.Result != mail.Panicked {
				addr.Outcome.Result = mail.Deferred
			}
			a.deferred = append(a.deferred, addr)
			a.logDeferral(addr)
		}
	}
}

// parallelRun obeys the transport's max_parallel.
func (a *attempt) parallelRun(r *transport.Run) (release func(), ok bool) {
	text := strings.TrimSpace(string(r.Transport.Generic.MaxParallel))
	if text == "" {
		return func() {}, true
	}
	n, err := a.d.Engine.ExpandInt(r.Scope, text)
	if err != nil || n <= 0 {
		return func() {}, err == nil
	}
	return a.d.parallel.enter(r.Transport.Name, int(n))
}

// shadow runs the shadow transport of a successful delivery (spec 24); its failure is noted in the log line only.
func (a *attempt) shadow(r *transport.Run, addr *mail.Address) {
	g := r.Transport.Generic
	if g.ShadowTransport == "" || r.Shadow {
		return
	}
	t, ok := a.d.Transports[g.ShadowTransport]
	if !ok || t.Driver.Local == nil {
		addr.Outcome.ShadowError = noTransport(g.ShadowTransport)
		return
	}
	if g.ShadowCondition != "" {
		s := a.routingScope(addr)
		yes, err := a.d.Engine.ExpandBool(s, string(g.ShadowCondition))
		if err != nil || !yes {
			return
		}
	}
	copied := *addr
	copied.Outcome = mail.Outcome{}
	sr := a.runFor([]*mail.Address{&copied})
	sr.Transport, sr.Shadow = t, true
	a.execute(sr)
	addr.Outcome.Shadow = t.Name
	if copied.Outcome.Result != mail.Delivered {
		addr.Outcome.ShadowError = copied.Outcome.Message
	}
}

// sortRemote orders remote deliveries by remote_sort_domains: the first item that matches wins.
func (a *attempt) sortRemote() {
	if a.d.Main.RemoteSortDomains == "" || len(a.remote) < 2 {
		return
	}
	items, err := list.Items(a.scope, string(a.d.Main.RemoteSortDomains))
	if err != nil {
		a.d.Log.Panicf(a.msg.ID, "failed to expand remote_sort_domains: %v", err)
		return
	}
	var sorted []*mail.Address
	rest := a.remote
	for _, item := range items {
		var keep []*mail.Address
		for _, addr := range rest {
			if m, err := list.Domain(a.scope, item.S, addr.Domain); err == nil && m.Matched {
				sorted = append(sorted, addr)
			} else {
				keep = append(keep, addr)
			}
		}
		rest = keep
	}
	a.remote = append(sorted, rest...)
}

func (a *attempt) skipped(addr *mail.Address) bool {
	return addr.RetrySkipped && !a.d.Log.Has(eventlog.RetryDefer)
}
