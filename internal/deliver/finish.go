package deliver

import (
	"os"
	"slices"
	"strings"
	"time"

	"exigo/internal/bounce"
	"exigo/internal/mail"
	"exigo/internal/route"
)

// succeed takes an address (and every ancestor of which it was the last child) as done.
func (a *attempt) succeed(addr *mail.Address) {
	a.delivered = append(a.delivered, addr)
	a.finishUnique(doneKey(addr))
	a.childDone(addr)
}

// doneKey is what the spool remembers of a delivered address. One with an ancestor of the same name would be taken for that ancestor:
// it is known by its transport.
func doneKey(addr *mail.Address) string {
	if addr.Transport != "" && route.Homonym(addr) {
		return plainUnique(addr) + "/" + addr.Transport
	}
	return addr.Unique
}

// plainUnique is the unique form of an address without the mark of those that have an ancestor of the same name.
func plainUnique(addr *mail.Address) string {
	if route.Homonym(addr) {
		return addr.Unique[3:]
	}
	return addr.Unique
}

// finishUnique adds an address to those that need no delivery any more.
func (a *attempt) finishUnique(unique string) {
	if !a.done[unique] {
		a.done[unique] = true
		a.msg.NonRecipients = append(a.msg.NonRecipients, unique)
		a.changed = true
	}
}

// childDone counts a finished child; an ancestor without unfinished children is finished itself.
func (a *attempt) childDone(addr *mail.Address) {
	if addr.Parent == nil {
		a.finishUnique(addr.Unique)
		return
	}
	for p := addr.Parent; p != nil; p = p.Parent {
		p.Children--
		if p.Children > 0 {
			return
		}
		a.finishUnique(p.Unique)
		if p.Parent == nil || p.Parent.Address != p.Address { // not the half of an "unseen" router
			a.note(p.Address + ": children all complete")
		}
	}
}

// finish settles everything after the last delivery: duplicates, retry hints, bounces, warnings, and the spool.
func (a *attempt) finish() Status {
	a.shareFates()
	if a.d.Main.MUAWrapper {
		defer a.dropOutput()
		return a.finishWrapped()
	}
	a.updateRetry()
	a.bounces()
	a.dropOutput()
	a.successReports()
	if len(a.deferred) == 0 && !a.leftOut {
		return a.complete()
	}
	if len(a.deferred) > 0 {
		a.warn()
		a.freezeIfAsked()
	}
	a.oneTime()
	return a.keep()
}

// dropOutput removes the files with what commands wrote, now that it was returned.
func (a *attempt) dropOutput() {
	for _, list := range [][]*mail.Address{a.delivered, a.failed, a.deferred} {
		for _, addr := range list {
			if f := addr.Outcome.ReturnFile; f != "" {
				os.Remove(f)
			}
		}
	}
}

// shareFates gives duplicates the outcome of the address that was tried in their place.
func (a *attempt) shareFates() {
	for _, d := range a.duplicates {
		switch {
		case a.done[d.of.Unique], a.done[doneKey(d.of)]:
			a.childDone(d.address)
		case d.of.Outcome.Result == mail.Failed:
			a.childDone(d.address)
		}
	}
	a.duplicates = nil
}

// updateRetry writes the retry hints; an address all of whose hints say that their time is over fails.
func (a *attempt) updateRetry() {
	if a.options.DontDeliver {
		return
	}
	// Addresses of one delivery share the hints of their hosts, which change once.
	over := map[string]bool{}
	update := func(u mail.RetryUpdate, domain string) bool {
		is, done := over[u.Key]
		if !done {
			is = a.d.Rules.Update(a.ctx, a.scope, a.d.Hints, u, domain, a.msg.Sender, a.received())
			if !u.Delete {
				over[u.Key] = is
			}
		}
		return is
	}
	for _, list := range [][]*mail.Address{a.delivered, a.failed} {
		for _, addr := range list {
			for _, u := range addr.Outcome.RetryKeys {
				update(u, addr.Domain)
			}
		}
	}
	var still []*mail.Address
	for _, addr := range slices.Backward(a.deferred) {
		tried, timedOut := 0, 0
		for _, u := range addr.Outcome.RetryKeys {
			out := update(u, domainOf(addr))
			if u.Delete {
				continue
			}
			tried++
			if out {
				timedOut++
			}
		}
		if tried == 0 || timedOut < tried || addr.HostSkipped || addr.Outcome.Freeze {
			still = append(still, addr)
			continue
		}
		addr.Outcome.Result = mail.Failed
		if addr.Outcome.Message == "" {
			addr.Outcome.Message = "retry timeout exceeded"
		} else {
			addr.Outcome.Message += ": retry timeout exceeded"
		}
		if addr.Outcome.Diagnosis != "" {
			addr.Outcome.Diagnosis += ": retry timeout exceeded"
		}
		switch {
		case addr.Outcome.UserMessage != "":
			addr.Outcome.UserMessage += ": retry timeout exceeded"
		case addr.Outcome.LogOnly:
			addr.Outcome.UserMessage = "retry timeout exceeded"
		}
		a.failed = append(a.failed, addr)
		if a.timedOut == nil {
			a.timedOut = map[*mail.Address]bool{}
		}
		a.timedOut[addr] = true
		a.raiseFailing(addr, true)
		if !a.silent(addr) {
			text := a.format().AncestryAsGiven(addr) + ": retry timeout exceeded"
			a.d.Log.Mainf(a.msg.ID, "** %s", text)
			a.note(text)
		}
	}
	slices.Reverse(still)
	a.deferred = still
}

// received is when the message arrived, moved back by a pretended time on the queue.
func (a *attempt) received() time.Time { return a.now.Add(-a.waited()) }

func domainOf(addr *mail.Address) string {
	if addr.Domain != "" {
		return addr.Domain
	}
	return strings.ToLower(addr.Address[strings.LastIndexByte(addr.Address, '@')+1:])
}

// bounces reports the failed addresses, one message for each address that errors go to. Failed addresses whose bounce
// cannot be made stay deferred; those of a message without sender freeze it.
func (a *attempt) bounces() {
	groups := map[string][]*mail.Address{}
	var order []string
	for _, addr := range a.failed {
		unwanted := addr.Notify != 0 && addr.Notify&mail.NotifyFailure == 0
		to := a.msg.Sender
		if addr.ErrorsToSet {
			to = strings.Trim(addr.ErrorsTo, "<>")
		}
		switch {
		case a.msg.Sender != "" && addr.ErrorsToSet && to == "", addr.IgnoreError:
			a.ignored(addr, "")
			a.giveUp(addr)
			continue
		case unwanted:
			a.ignored(addr, "RFC 3461 DSN, failure notify not requested")
			a.giveUp(addr)
			continue
		}
		if to == "" {
			a.freezeBounce(addr)
			continue
		}
		if groups[to] == nil {
			order = append(order, to)
		}
		groups[to] = append(groups[to], addr)
	}
	for _, to := range order {
		a.sendBounce(to, groups[to])
	}
}

// freezeBounce keeps a bounce that cannot be delivered itself on the queue, frozen, or drops it when
// ignore_bounce_errors_after says so or it was tried for long enough.
func (a *attempt) freezeBounce(addr *mail.Address) {
	after := a.d.Main.IgnoreBounceErrorsAfter
	if a.waited() >= after || a.options.GiveUp || a.timedOut[addr] {
		if !a.options.GiveUp {
			a.ignored(addr, "")
		}
		a.giveUp(addr)
		return
	}
	addr.Outcome.Freeze = true
	if a.msg.Frozen.IsZero() {
		a.frozenLine = "Frozen (delivery error message)"
	}
	a.deferred = append(a.deferred, addr)
}

// ignored logs that nobody is told of a failure, and why where that is not plain.
func (a *attempt) ignored(addr *mail.Address, why string) {
	a.raiseFailed(addr)
	if a.silent(addr) || a.options.GiveUp {
		return
	}
	text := a.format().AncestryAsGiven(addr) + ": error ignored"
	if why != "" {
		text += ": " + why
	}
	a.d.Log.Mainf(a.msg.ID, "%s", text)
}

// giveUp ends a failed address about which nobody is told.
func (a *attempt) giveUp(addr *mail.Address) {
	a.finishUnique(addr.Unique)
	a.childDone(addr)
}

func (a *attempt) sendBounce(to string, addrs []*mail.Address) {
	err := a.d.Bouncer.Failure(a.ctx, bounce.Report{Message: a.msg, Body: a.body, BodySize: a.body.Size(), Scope: a.scope, To: to, Addresses: addrs})
	if err != nil {
		a.d.Log.Panicf(a.msg.ID, "Process failed (%v) when writing error message to %s", err, to)
		for _, addr := range addrs {
			addr.Outcome.Result = mail.Deferred
			a.deferred = append(a.deferred, addr)
		}
		return
	}
	for _, addr := range addrs {
		a.giveUpSilently(addr)
	}
}

func (a *attempt) giveUpSilently(addr *mail.Address) {
	a.finishUnique(addr.Unique)
	a.childDone(addr)
}

// successReports sends the delivery reports that NOTIFY=SUCCESS asks for, where the next host will not.
func (a *attempt) successReports() {
	if a.msg.Sender == "" || a.options.DontDeliver {
		return
	}
	var addrs []*mail.Address
	for _, addr := range a.delivered {
		if addr.Notify&mail.NotifySuccess != 0 && addr.DSNAware != mail.DSNYes {
			addrs = append(addrs, addr)
		}
	}
	if len(addrs) == 0 {
		return
	}
	err := a.d.Bouncer.Success(a.ctx, bounce.Report{Message: a.msg, Body: a.body, BodySize: a.body.Size(), Scope: a.scope, To: a.msg.Sender, Addresses: addrs})
	if err != nil {
		a.d.Log.Panicf(a.msg.ID, "failed to send success report: %v", err)
	}
}

// warn tells the sender of a delay when one of the times of delay_warning has passed (spec 14, delay_warning) and something was tried,
// or routing would have been next: only then is there a reason to tell.
func (a *attempt) warn() {
	times := a.d.Main.DelayWarning
	if len(times) == 0 || a.msg.Sender == "" || a.options.DontDeliver || !a.msg.Frozen.IsZero() {
		return
	}
	waited := a.waited()
	count := warningsDue(times, waited)
	tried := func(addr *mail.Address) bool { return addr.Outcome.Errno > mail.ErrnoLocalRetry }
	if count <= a.msg.Warnings || !slices.ContainsFunc(a.deferred, tried) {
		return
	}
	var addrs []*mail.Address
	for _, addr := range a.deferred {
		if addr.Notify == 0 || addr.Notify&mail.NotifyDelay != 0 {
			addrs = append(addrs, addr)
		}
	}
	if len(addrs) == 0 || !a.warningWanted() {
		return
	}
	groups := map[string][]*mail.Address{}
	var order []string
	for _, addr := range addrs {
		to := a.msg.Sender
		if addr.ErrorsToSet {
			to = strings.Trim(addr.ErrorsTo, "<>")
		}
		if to == "" {
			continue
		}
		if groups[to] == nil {
			order = append(order, to)
		}
		groups[to] = append(groups[to], addr)
	}
	for _, to := range order {
		err := a.d.Bouncer.Warning(a.ctx, bounce.Report{Message: a.msg, Body: a.body, BodySize: a.body.Size(), Scope: a.scope, To: to, Addresses: groups[to], Waited: waited})
		if err != nil {
			a.d.Log.Panicf(a.msg.ID, "failed to send delay warning to %s: %v", to, err)
			return
		}
	}
	a.msg.Warnings = count
	a.changed = true
}

// warningsDue counts the times of the list that have passed; after the last one the interval between the last two repeats.
func warningsDue(times []time.Duration, waited time.Duration) int {
	count := 0
	for _, t := range times {
		if waited < t {
			return count
		}
		count++
	}
	last := times[len(times)-1]
	step := last
	if len(times) > 1 {
		step = last - times[len(times)-2]
	}
	if step > 0 {
		count += int((waited - last) / step)
	}
	return count
}

func (a *attempt) warningWanted() bool {
	text := string(a.d.Main.DelayWarningCondition)
	if text == "" {
		return true
	}
	v, err := a.d.Engine.Expand(a.scope, text)
	if err != nil {
		a.d.Log.Panicf(a.msg.ID, "failed to expand delay_warning_condition: %v", err)
		return true
	}
	switch strings.ToLower(strings.TrimSpace(v.S)) {
	case "", "0", "no", "false":
		return false
	}
	return true
}

// freezeIfAsked freezes the message when a deferral demands it.
func (a *attempt) freezeIfAsked() {
	if !a.msg.Frozen.IsZero() {
		return
	}
	for _, addr := range a.deferred {
		if !addr.Outcome.Freeze {
			continue
		}
		if a.options.DontDeliver {
			return
		}
		a.msg.Frozen = a.now
		a.changed = true
		line := a.frozenLine
		if line == "" {
			line = "Frozen"
			if addr.Outcome.FreezeText != "" {
				line += " " + addr.Outcome.FreezeText
			}
		}
		a.d.Log.Mainf(a.msg.ID, "%s", line)
		a.noteBare("*** " + line)
		a.d.Bouncer.TellFrozen(a.ctx, bounce.Report{Message: a.msg, Scope: a.scope, Addresses: a.deferred, Frozen: strings.TrimPrefix(a.frozenLine, "Frozen")})
		return
	}
}

// oneTime replaces recipients that a one_time redirection expanded by those of its children that are not delivered yet.
func (a *attempt) oneTime() {
	for _, addr := range a.deferred {
		if !addr.OneTime || addr.Parent == nil || addr.Kind != mail.KindNormal {
			continue
		}
		top := addr
		for top.Parent != nil {
			top = top.Parent
		}
		r := mail.Recipient{Address: addr.Address, Parent: top.Original, Notify: addr.Notify, ORCPT: addr.ORCPT}
		if addr.ErrorsToSet {
			r.ErrorsTo = addr.ErrorsTo
		}
		a.msg.Recipients = append(a.msg.Recipients, r)
		a.finishUnique(top.Unique)
		a.changed = true
	}
}

// complete removes a message of which nothing is left.
func (a *attempt) complete() Status {
	if a.options.DontDeliver {
		// As with a real delivery, the message ends here.
		a.changed = false
	}
	if err := a.locked.Remove(a.d.Main.PreserveMessageLogs); err != nil {
		a.d.Log.Panicf(a.msg.ID, "failed to remove spool files: %v", err)
		return Waiting
	}
	a.completed()
	return Completed
}

// keep writes the message back for the next attempt.
func (a *attempt) keep() Status {
	a.flushLog()
	first := a.msg.DeliverFirst
	if first && !onlyWaiting(a.deferred) {
		a.msg.DeliverFirst = false
		a.changed = true
	}
	if a.changed {
		if err := a.locked.WriteHeader(a.msg); err != nil {
			a.d.Log.Panicf(a.msg.ID, "failed to update spool header: %v", err)
			return Waiting
		}
	}
	if !a.msg.Frozen.IsZero() {
		return Frozen
	}
	return Waiting
}

// onlyWaiting tells whether nothing was tried: every address waits for a queue run.
func onlyWaiting(addrs []*mail.Address) bool {
	for _, addr := range addrs {
		if addr.Outcome.Message != explicitlyQueued && addr.Outcome.Message != queuedDomain {
			return false
		}
	}
	return true
}
