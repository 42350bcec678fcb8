package deliver

import (
	"exigo/internal/eventlog"
	"exigo/internal/mail"
)

// oneTransaction makes sure that a message can go out in a single transaction, as mua_wrapper demands (spec 52); otherwise all its
// addresses fail.
func (a *attempt) oneTransaction() {
	if !a.d.Main.MUAWrapper {
		return
	}
	why := ""
	switch {
	case len(a.failed) > 0:
		why = "routing failed for another recipient"
	case len(a.deferred) > 0:
		why = "routing was deferred for a recipient"
	case len(a.local) > 0:
		why = "mua_wrapper is set: local deliveries are not possible"
	case len(a.remoteGroups()) > 1:
		why = "mua_wrapper is set: the recipients need more than one transaction"
	default:
		return
	}
	for _, addr := range a.deferred {
		addr.Outcome.Result = mail.Failed
		a.failed = append(a.failed, addr)
	}
	for _, addr := range append(a.local, a.remote...) {
		addr.Outcome = mail.Outcome{Result: mail.Failed, Message: why}
		a.failed = append(a.failed, addr)
		a.logFailure(addr)
	}
	a.local, a.remote, a.deferred = nil, nil, nil
}

// finishWrapped ends an attempt under mua_wrapper: there are no bounces, no retries and no queue; the caller is told.
func (a *attempt) finishWrapped() Status {
	a.failed, a.deferred = append(a.failed, a.deferred...), nil
	if len(a.failed) > 0 && a.options.Failed != nil {
		o := a.failed[0].Outcome
		switch {
		case o.UserMessage != "":
			a.options.Failed(o.UserMessage)
		case o.Message != "":
			a.options.Failed(o.Message)
		default:
			a.options.Failed(eventlog.ErrorText(o.Errno))
		}
	}
	for _, addr := range a.failed {
		a.raiseFailed(addr)
		a.giveUp(addr)
	}
	return a.complete()
}
