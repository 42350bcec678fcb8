package deliver

import (
	"time"

	"exigo/internal/eventlog"
	"exigo/internal/expand"
	"exigo/internal/mail"
	"exigo/internal/route"
	"exigo/internal/transport"
)

func (a *attempt) format() eventlog.Format { return a.d.Format(a.d.Log.Selectors()) }

// silent tells whether the router or transport of the address has disable_logging.
func (a *attempt) silent(addr *mail.Address) bool {
	if rt, ok := a.d.Routes.Router(addr.Router); ok && rt.Generic.DisableLogging {
		return true
	}
	t, ok := a.d.Transports[addr.Transport]
	return ok && t.Generic.DisableLogging
}

// line collects what the lines about an address say.
func (a *attempt) line(flag string, addr *mail.Address) eventlog.Delivery {
	d := eventlog.Delivery{Flag: flag, Message: a.msg, Address: addr,
		QueueTime: a.d.World.Clock.Now().Sub(a.msg.Received), DeliverTime: addr.Outcome.DeliveryTime}
	if t, ok := a.d.Transports[addr.Transport]; ok {
		d.ReturnPathKnown = true
		d.ReturnPath = a.msg.Sender
		if addr.Outcome.ReturnPath != nil {
			d.ReturnPath = *addr.Outcome.ReturnPath
		}
		d.AsLocal = t.Driver.Local != nil && a.logAsLocal(addr)
	}
	return d
}

func (a *attempt) logAsLocal(addr *mail.Address) bool {
	rt, ok := a.d.Routes.Router(addr.Router)
	if !ok {
		return false
	}
	if rt.Generic.LogAsLocal != nil {
		return *rt.Generic.LogAsLocal
	}
	return rt.Driver.LogAsLocal
}

// logDelivery writes the line of a success: "=>", "->" for further addresses of one delivery, "*>" when -N pretends.
func (a *attempt) logDelivery(addr *mail.Address, t *transport.Transport) {
	a.noteSuccess(addr)
	defer a.raiseDelivered(addr)
	if a.silent(addr) {
		return
	}
	flag := "=>"
	switch {
	case a.options.DontDeliver:
		flag = "*>"
	case addr.Outcome.Further:
		flag = "->"
	case addr.Outcome.Cutthrough:
		flag = ">>"
	}
	d := a.line(flag, addr)
	d.Size, d.Shadow = addr.Outcome.Size, addr.Outcome.Shadow
	a.d.Log.Mainf(a.msg.ID, "%s", a.format().Delivered(d))
}

// logDiscard writes the line of an address that was sent to :blackhole: or to /dev/null.
func (a *attempt) logDiscard(addr *mail.Address) {
	if a.silent(addr) {
		return
	}
	name := ":blackhole:"
	if addr.Kind == mail.KindFile {
		name = a.format().Ancestry(addr, false)
	} else {
		name += " <" + addr.Address + ">"
	}
	if addr.Router != "" {
		name += " R=" + addr.Router
	}
	if addr.Transport != "" {
		name += " T=" + addr.Transport
	}
	a.d.Log.Mainf(a.msg.ID, "=> %s", name)
}

func (a *attempt) logFailure(addr *mail.Address) {
	a.raiseFailing(addr, false)
	if a.silent(addr) {
		return
	}
	text := a.format().Failed(a.line("**", addr))
	a.d.Log.Mainf(a.msg.ID, "%s", text)
	text = text[len("** "):]
	if addr.Transport == "" {
		text = "routing failed for " + text
	}
	a.note(text)
}

// logDeferral writes a "==" line; what was merely not due is shown by +retry_defer only.
func (a *attempt) logDeferral(addr *mail.Address) { a.logDeferralIn(addr, false) }

// logDeferralIn is logDeferral; routing says that the routers would have been next.
func (a *attempt) logDeferralIn(addr *mail.Address, routing bool) {
	if a.silent(addr) || a.skipped(addr) && !a.d.Log.Has(eventlog.RetryDefer) {
		return
	}
	if addr.RetrySkipped && addr.Outcome.Errno == 0 {
		return
	}
	if addr.Kind == mail.KindNormal && addr.Domain == "" {
		route.Split(addr) // it has not come to the routers
	}
	d := a.line("==", addr)
	d.Routing = routing || addr.Outcome.Errno == mail.ErrnoRoutingRetry
	text := a.format().Deferred(d)
	to := eventlog.Main
	if addr.Outcome.Result == mail.Panicked {
		to |= eventlog.Panic
	}
	a.d.Log.Write(eventlog.Entry{To: to, ID: a.msg.ID, Text: text})
	if !d.Routing { // nothing was tried
		a.note(text[len("== "):])
	}
}

// completed writes the last line of a message.
func (a *attempt) completed() {
	text := "Completed"
	if a.d.Log.Has(eventlog.QueueTimeOverall) {
		text += " QT=" + a.format().Duration(a.d.World.Clock.Now().Sub(a.msg.Received).Truncate(time.Millisecond))
	}
	a.d.Log.Mainf(a.msg.ID, "%s", text)
	a.raiseMain(nil, expand.Event{Name: "msg:complete"})
}
