package smtp

import (
	"exigo/internal/expand"
	"exigo/internal/mail"
	"exigo/internal/smtpclient"
	"exigo/internal/transport"
)

// connectionEvents makes the settings' hooks that tell of what happens on a connection; there are none when nobody listens.
func connectionEvents(r *transport.Run, set *smtpclient.Settings, p Purpose) {
	if !r.Listened() {
		return
	}
	host := r.Scope.Host
	set.Event = func(name, data string) string {
		old := r.Scope.Host
		r.Scope.Host = host // a callout may be over when its connection ends
		defer func() { r.Scope.Host = old }()
		return r.Raise(expand.Event{Name: name, Data: data}, nil)
	}
	if p == ForCallout {
		return
	}
	set.InClear = func(e *smtpclient.Error) {
		d := &delivery{run: r}
		d.raise("msg:host:defer", r.Addresses[0], e.Outcome())
		r.Scope.Outgoing = nil // what follows has no TLS
	}
}

// tlsEvents is the hook of the handshake.
func tlsEvents(r *transport.Run) func(s *expand.Scope, name, data string) string {
	if !r.Listened() {
		return nil
	}
	return func(_ *expand.Scope, name, data string) string {
		return r.Raise(expand.Event{Name: name, Data: data}, nil)
	}
}

// raise raises an event about an address that could not be delivered: with the outcome's error, or the system's words for it.
func (d *delivery) raise(name string, a *mail.Address, o mail.Outcome) {
	if !d.run.Listened() {
		return
	}
	e := expand.Event{Name: name, Data: o.Message, Errno: o.Errno}
	switch {
	case o.Errno == mail.ErrnoRcpt4xx:
		e.Errno = o.MoreErrno // the host's kind and the reply's code
	case e.Data == "" && o.Errno > 0:
		e.Data = transport.Strerror(o.Errno)
	}
	d.run.Raise(e, a)
}

// about is the address that events about a host tell of: the first one that was to go there.
func (d *delivery) about() *mail.Address {
	if len(d.pending) > 0 {
		return d.pending[0]
	}
	return d.run.Addresses[0]
}

// messageDeferred raises msg:defer when the last host that was tried leaves the message waiting, be it the host's or the message's fault.
func (d *delivery) messageDeferred() {
	if d.failing != nil && len(d.pending) > 0 {
		d.raise("msg:defer", d.pending[0], *d.failing)
	}
}
