package route

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"exigo/internal/expand"
	"exigo/internal/mail"
	"exigo/internal/option"
)

// unrouteable is the error text when no router handles an address.
const unrouteable = "Unrouteable address"

// Engine holds the compiled routers of one configuration. It is immutable and may be used by many goroutines.
type Engine struct {
	routers  []*Router
	byName   map[string]*Router
	services Services
}

// Router returns the router of that name.
func (e *Engine) Router(name string) (*Router, bool) {
	r, ok := e.byName[name]
	return r, ok
}

// verdict says whether a router is to be run, after its preconditions or options were looked at.
type verdict int

const (
	proceed verdict = iota
	skip
	decline
	postpone // defer, or fail with the given text
	refuse
)

// Route offers the address to the routers, beginning at Address.StartRouter or the first one, until one takes it. Address.Address is
// complete, with a domain; the reason for routing is Address.Mode. The scope's Address and its variables of the
// moment are as before when Route returns.
func (e *Engine) Route(ctx context.Context, s *expand.Scope, a *mail.Address) Routed {
	oldAddress, oldCtx := s.Address, s.Ctx
	s.Address, s.Ctx = a, ctx
	restore := s.SetExtra("self_hostname", mail.Clean(a.SelfHostname))
	defer func() {
		restore()
		s.Address, s.Ctx = oldAddress, oldCtx
	}()
	a.Outcome = mail.Outcome{}
	Split(a)
	hacked, err := PercentHack(s, a)
	if err != nil {
		return e.deferred(a, mail.ErrnoListDefer, "percent_hack_domains lookup deferred")
	}
	if hacked != "" {
		return Routed{Outcome: Rerouted, Address: a, Children: []*mail.Address{newChild(a, hacked)}}
	}
	e.traceStart(a)
	start := 0
	if a.StartRouter != "" {
		if r, ok := e.byName[a.StartRouter]; ok {
			start = r.Index
		}
	}
	return e.from(ctx, s, a, start)
}

// from goes through the routers from the one of that index on.
func (e *Engine) from(ctx context.Context, s *expand.Scope, a *mail.Address, start int) Routed {
	var last *Router
	run := &Run{}
	for i := start; i < len(e.routers); {
		r := e.routers[i]
		i++
		last, a.Router = r, r.Name
		if ctx.Err() != nil {
			return e.deferred(a, -1, "routing was interrupted")
		}
		if looped(r, a) {
			continue
		}
		*run = Run{Ctx: ctx, Scope: s, Router: r, Address: a, Engine: e, Mode: a.Mode, before: propertiesOf(a)}
		outcome := Decline
		e.traceRouter(r, a)
		switch run.prepare() {
		case skip:
			continue
		case postpone:
			outcome = Defer
		case refuse:
			outcome = Fail
		case proceed:
			outcome = run.call()
		}
		run.traceOutcome(outcome)
		if outcome == Pass || outcome == Decline {
			run.before.restore(a)
		}
		switch outcome {
		case Pass:
			if r.pass != nil {
				i = r.pass.Index
			}
			continue
		case Decline:
			more, err := run.flag("more", r.Generic.More, true)
			if err != nil {
				return e.deferred(a, mail.ErrnoExpandFail, err.Error())
			}
			if more {
				continue
			}
			return e.unrouteable(s, a, r)
		}
		return e.settle(run, outcome)
	}
	e.trace("no more routers")
	return e.unrouteable(s, a, last)
}

// looped tells whether the router has already handled an ancestor of the same name (or any, without repeat_use).
func looped(r *Router, a *mail.Address) bool {
	once := r.Driver.Once != nil && r.Driver.Once(r.Instance)
	for p := a.Parent; p != nil; p = p.Parent {
		if p.Router == r.Name && (once || strings.EqualFold(p.Address, a.Address)) {
			return true
		}
	}
	return false
}

// deferred ends routing with a temporary error.
func (e *Engine) deferred(a *mail.Address, errno int, text string) Routed {
	a.Outcome.Result, a.Outcome.Errno, a.Outcome.Message = mail.Deferred, errno, text
	return Routed{Outcome: Defer, Address: a}
}

// unrouteable ends routing when no router is left. last is the last one that was considered.
func (e *Engine) unrouteable(s *expand.Scope, a *mail.Address, last *Router) Routed {
	text := a.Outcome.Message == "" // otherwise a router that declined left one, which is not for the sender
	if text {
		a.Outcome.Message = unrouteable
		if last != nil && last.Generic.CannotRouteMessage != "" {
			v, err := s.Engine.Expand(s, string(last.Generic.CannotRouteMessage))
			switch {
			case err == nil:
				a.Outcome.Message = v.S
			case !errors.Is(err, expand.ErrForced):
				e.panic(s, fmt.Sprintf("failed to expand cannot_route_message in %s router: %s", last.Name, err))
			}
		}
	}
	if a.Outcome.UserMessage == "" && text {
		a.Outcome.UserMessage = a.Outcome.Message
	}
	a.Router = ""
	a.Outcome.Result, a.Outcome.LogOnly = mail.Failed, !text
	return Routed{Outcome: Fail, Address: a}
}

// settle makes the result of a router's final outcome.
func (e *Engine) settle(run *Run, outcome Outcome) Routed {
	a, r := run.Address, run.Router
	out := Routed{Outcome: outcome, Address: a}
	switch outcome {
	case Fail:
		a.Outcome.Result, out.Children = mail.Failed, run.children
		return out
	case Defer, Error:
		a.Outcome.Result = mail.Deferred
		if a.Outcome.Errno == 0 {
			a.Outcome.Errno = mail.ErrnoUnknown
		}
		return out
	}
	if r.failsVerify(a.Mode) && outcome != Rerouted {
		a.Outcome.Result, a.Outcome.Message = mail.Failed, r.Name+" router forced verify failure"
		return Routed{Outcome: Fail, Address: a}
	}
	a.Outcome.Message, a.Outcome.UserMessage = "", ""
	out.Children, out.Assigned, out.Local = run.children, run.assigned, run.local
	if outcome == Rerouted {
		return out
	}
	unseen, err := run.flag("unseen", r.Generic.Unseen, false)
	if err != nil {
		a.Transport, a.Hosts = "", nil
		return e.deferred(a, mail.ErrnoExpandFail, err.Error())
	}
	if unseen && r.Index+1 < len(e.routers) {
		if e.tracing() {
			e.trace("\"unseen\" set: replicated %s", a.Address)
		}
		out.Children = append([]*mail.Address{e.clone(a, r, run.before)}, out.Children...)
		if outcome == Discard {
			out.Outcome = Accepted
		}
	}
	return out
}

// properties are what a router may change in an address although it does not take it in the end.
type properties struct {
	errorsTo                    string
	errorsToSet, ignoreError    bool
	returnPath                  string
	returnPathSet               bool
	extraHeaders, removeHeaders []string
}

func propertiesOf(a *mail.Address) properties {
	return properties{a.ErrorsTo, a.ErrorsToSet, a.IgnoreError, a.ReturnPath, a.ReturnPathSet, a.ExtraHeaders, a.RemoveHeaders}
}

// restore undoes what a router did that declined or passed after all.
func (p properties) restore(a *mail.Address) {
	a.ErrorsTo, a.ErrorsToSet, a.IgnoreError = p.errorsTo, p.errorsToSet, p.ignoreError
	a.ReturnPath, a.ReturnPathSet = p.returnPath, p.returnPathSet
	a.ExtraHeaders, a.RemoveHeaders = p.extraHeaders, p.removeHeaders
	a.Hosts, a.HostsFromRouter = nil, false
}

// clone makes the copy of an address that goes on behind a router with "unseen". The address itself becomes, like the
// clone, a child of what it was.
func (e *Engine) clone(a *mail.Address, r *Router, was properties) *mail.Address {
	parent := *a
	parent.Children = 1 // a itself; whoever queues the clone counts it
	parent.Transport, parent.Hosts, parent.Outcome = "", nil, mail.Outcome{}
	a.Parent = &parent
	a.Unique += "/" + r.Name
	c := newChild(&parent, a.Address)
	c.ErrorsTo, c.ErrorsToSet, c.IgnoreError = was.errorsTo, was.errorsToSet, was.ignoreError
	c.ReturnPath, c.ReturnPathSet = was.returnPath, was.returnPathSet
	c.ExtraHeaders, c.RemoveHeaders = nil, nil // spec 15, "unseen": the clone starts without any
	c.StartRouter = e.routers[r.Index+1].Name
	return c
}

// flag evaluates an option that may be an expansion; a forced failure gives the default.
func (r *Run) flag(name string, o option.ExpandedBool, byDefault bool) (bool, error) {
	if o.Text == "" {
		return o.Value, nil
	}
	v, err := r.expand(string(o.Text))
	if err != nil {
		if errors.Is(err, expand.ErrForced) {
			return byDefault, nil
		}
		return false, fmt.Errorf("failed to expand \"%s\" in %s router: %s", name, r.Router.Name, err)
	}
	switch strings.ToLower(v.S) {
	case "yes", "true":
		return true, nil
	case "no", "false":
		return false, nil
	}
	return false, fmt.Errorf("\"%s\" is not a valid value for the \"%s\" option in the %s router", v.S, name, r.Router.Name)
}

func (r *Run) expand(text string) (mail.Value, error) { return r.Scope.Engine.Expand(r.Scope, text) }

// failsVerify tells whether what the router accepts is refused in verification.
func (r *Router) failsVerify(mode mail.VerifyMode) bool {
	g := r.Generic
	switch mode {
	case mail.ForVerifyRecipient:
		return g.FailVerify || g.FailVerifyRcpt
	case mail.ForVerifySender:
		return g.FailVerify || g.FailVerifySender
	}
	return false
}

func (e *Engine) panic(s *expand.Scope, line string) {
	if e.services.Panic != nil {
		e.services.Panic(s, line)
	}
}

func (e *Engine) log(s *expand.Scope, line string) {
	if e.services.Log != nil {
		e.services.Log(s, line)
	}
}
