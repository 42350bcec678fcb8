package route

import (
	"fmt"
	"strings"

	"exigo/internal/mail"
)

// tracing tells whether somebody wants to see how addresses are routed (-d+route).
func (e *Engine) tracing() bool { return e.services.Trace != nil }

// trace shows a line of the routing, with Exim's words.
func (e *Engine) trace(format string, args ...any) {
	if e.services.Trace != nil {
		e.services.Trace(fmt.Sprintf(format, args...))
	}
}

// skipped is the verdict of a precondition that does not hold; what is wrong and how goes to the trace.
func (r *Run) skipped(what, how string) verdict {
	if r.Engine.tracing() {
		r.Engine.trace("%s router skipped: %s%s", r.Router.Name, what, how)
	}
	return skip
}

// checking shows that a precondition is looked at.
func (r *Run) checking(what string) {
	if r.Engine.tracing() {
		r.Engine.trace("checking %s", what)
	}
}

// traceStripped shows what was taken off the local part.
func (r *Run) traceStripped(kind, text string) {
	if r.Engine.tracing() {
		r.Engine.trace("stripped %s %s", kind, text)
	}
}

// TraceExpanded shows what an option of a driver gave.
func (r *Run) TraceExpanded(text string) {
	if r.Engine.tracing() {
		r.Engine.trace("expanded: '%s'", text)
	}
}

// traceStart shows that an address is going to be routed.
func (e *Engine) traceStart(a *mail.Address) {
	if e.tracing() {
		e.trace(">>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>")
		e.trace("routing %s", a.Address)
	}
}

// traceRouter shows which router's turn it is.
func (e *Engine) traceRouter(r *Router, a *mail.Address) {
	if e.tracing() {
		e.trace("--------> %s router <--------", r.Name)
		e.trace("local_part=%s domain=%s", a.CasefulLocalPart, a.Domain)
	}
}

// traceOutcome shows what came of a router that ran.
func (r *Run) traceOutcome(outcome Outcome) {
	e, a, name := r.Engine, r.Address, r.Router.Name
	if !e.tracing() {
		return
	}
	switch outcome {
	case Pass:
		e.trace("%s router passed for %s", name, a.Address)
		return
	case Decline:
		e.trace("%s router declined for %s", name, a.Address)
		return
	case Defer, Error, Fail:
		e.trace("%s router: %s for %s", name, map[Outcome]string{Defer: "defer", Error: "error", Fail: "fail"}[outcome], a.Address)
		e.trace("  message: %s", strings.TrimSuffix(a.Outcome.Message, "\n"))
		return
	}
	for _, c := range r.children {
		e.trace("%s router generated %s", name, c.Address)
	}
	e.trace("routed by %s router", name)
	e.trace("  envelope to: %s", a.Address)
	transport := a.Transport
	if transport == "" {
		transport = "<none>"
	}
	e.trace("  transport: %s", transport)
	for _, h := range a.Hosts {
		e.trace("  host %s [%s]", h.Name, h.Address)
	}
}
