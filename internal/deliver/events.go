package deliver

import (
	"strings"

	"exigo/internal/expand"
	"exigo/internal/mail"
)

// raise raises an event of the transport of an address (spec chapter 61), after its run: in the engine, not in the process of a local
// delivery. The event's scope is its own, with copies of session and message for the listener to change.
func (a *attempt) raise(addr *mail.Address, e expand.Event) {
	if t, ok := a.d.Transports[addr.Transport]; ok && t.Raise != nil {
		t.Raise(a.eventScope(addr), e)
	}
}

// raiseMain raises an event of the main program; addr may be nil.
func (a *attempt) raiseMain(addr *mail.Address, e expand.Event) {
	if a.d.Raise != nil {
		a.d.Raise(a.eventScope(addr), e)
	}
}

func (a *attempt) eventScope(addr *mail.Address) *expand.Scope {
	var session *mail.Session
	if a.msg.Session != nil {
		session = a.msg.Session.Fork()
	}
	s := a.d.Engine.NewScope(a.ctx, a.d.Config, session, a.msg.Fork())
	a.mark(s)
	if addr == nil {
		return s
	}
	about := *addr
	about.Hosts = nil // the host of the outcome, or none
	s.Address, s.Host, s.Outgoing = &about, addr.Outcome.Host, addr.Outcome.TLS
	switch {
	case addr.Kind != mail.KindNormal:
		about.LocalPart = addr.Address
	case addr.LocalPart == "": // it has not come to a router
		at := strings.LastIndexByte(addr.Address, '@')
		about.LocalPart, about.Domain = addr.Address[:max(at, 0)], strings.ToLower(addr.Address[at+1:])
	}
	returnPath := a.msg.Sender
	if addr.Outcome.ReturnPath != nil {
		returnPath = *addr.Outcome.ReturnPath
	}
	s.SetExtra("return_path", mail.Taint(returnPath))
	return s
}

// raiseDelivered raises msg:delivery.
func (a *attempt) raiseDelivered(addr *mail.Address) {
	a.raise(addr, expand.Event{Name: "msg:delivery", Data: addr.Outcome.Confirmation})
}

// raiseCancelled raises msg:fail:internal for the addresses of a message that is given up.
func (a *attempt) raiseCancelled(why string) {
	if a.d.Raise == nil {
		return
	}
	for _, addr := range a.failed {
		a.raiseMain(addr, expand.Event{Name: "msg:fail:internal", Data: why})
		a.heardFailure(addr)
	}
}

// raiseFailed raises msg:fail:delivery, or msg:fail:internal when no transport was at work; once for each address.
func (a *attempt) raiseFailed(addr *mail.Address) {
	t := a.d.Transports[addr.Transport]
	if t == nil && a.d.Raise == nil || t != nil && t.Raise == nil || a.heardFailure(addr) {
		return
	}
	if t != nil {
		a.raise(addr, expand.Event{Name: "msg:fail:delivery", Data: addr.Outcome.Message})
	} else {
		a.raiseMain(addr, expand.Event{Name: "msg:fail:internal", Data: addr.Outcome.Message})
	}
}

// heardFailure notes that the event of a failure was raised, and tells whether it had been before.
func (a *attempt) heardFailure(addr *mail.Address) (before bool) {
	before = a.failureHeard[addr]
	if a.failureHeard == nil {
		a.failureHeard = map[*mail.Address]bool{}
	}
	a.failureHeard[addr] = true
	return before
}

// raiseFailing raises the event of a failure that is about to be logged, unless the log will say later that nobody is told of it: then the
// event comes with that line. Exim forgets some events, which its tests count on.
func (a *attempt) raiseFailing(addr *mail.Address, timedOut bool) {
	if a.forgotten(addr) || a.d.World.Quirks.ForgetEvents && (timedOut || addr.Notify&^mail.NotifyFailure != 0) {
		return
	}
	a.raiseFailed(addr)
}

// forgotten tells whether nobody will be told of the failure of an address.
func (a *attempt) forgotten(addr *mail.Address) bool {
	nobody := addr.ErrorsToSet && strings.Trim(addr.ErrorsTo, "<>") == ""
	if a.msg.Sender == "" && (nobody || !addr.ErrorsToSet) {
		return addr.IgnoreError || a.options.GiveUp || a.waited() >= a.d.Main.IgnoreBounceErrorsAfter
	}
	return nobody || addr.IgnoreError || addr.Notify != 0 && addr.Notify&mail.NotifyFailure == 0
}
