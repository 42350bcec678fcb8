package smtp

import (
	"errors"
	"slices"
	"syscall"

	"exigo/internal/mail"
	"exigo/internal/smtpclient"
	"exigo/internal/transport"
)

// session connects to a host, or takes a connection that waits for work, and sends the message. It leaves outcomes in the addresses.
func (d *delivery) session(h *mail.Host, more bool) problem {
	set, err := clientSettings(d.ctx, d.run, h, ForDelivery)
	if err != nil {
		return d.setupFailed(err, h)
	}
	if line := mail.Peek[smtpclient.Line](&d.run.Message.Bag); line != nil && line.Turned != nil && line.Turned.Address == h.Address {
		return d.turned(line.Turned, set, h, more)
	}
	if d.services.Pool != nil {
		set.PoolKey, set.Transport = d.poolKey(set), d.run.Transport.Name
		if d.services.PerMessage {
			set.Owner = d.run.Message.ID
		}
	}
	c := d.parked(set)
	reused := c != nil
	if !reused && d.run.Continue {
		return problem{about: aboutNothing} // the connection that waits is for another source or manner; the host's retry time holds
	}
	if reused {
		c.SetEvent(set.Event)
	} else if c, err = d.connect(set); err != nil {
		return d.setupFailed(err, h)
	}
	p, answered, rest := d.copies(c, h, more, d.unsettled())
	if reused && p.bad() && p.err.Kind == smtpclient.Closed && !answered {
		// The server had lost patience while the connection waited: that says nothing of the message.
		c.Close()
		if c, err = d.connect(set); err != nil {
			return d.setupFailed(err, h)
		}
		p, _, rest = d.copies(c, h, more, d.unsettled())
	}
	for len(rest) > 0 && d.ctx.Err() == nil { // the server takes no more messages on one connection
		c.Quit()
		if c, err = d.connect(set); err != nil {
			return d.setupFailed(err, h)
		}
		var next problem
		if next, _, rest = d.copies(c, h, more, rest); next.about != noError {
			p = next
		}
	}
	d.logMessageProblem(h, p)
	d.part(c)
	return p
}

// logMessageProblem writes the line about a host's refusal of the message before the connection ends; those about the host itself come after that.
func (d *delivery) logMessageProblem(h *mail.Host, p problem) {
	if p.about == aboutMessage && p.err != nil && d.ctx.Err() == nil {
		d.logHost(h, p.err)
	}
}

// turned sends the message over a connection that its peer has turned around. When it breaks that says nothing of the next one: there are no
// retry hints, and the message waits until it is asked for again.
func (d *delivery) turned(t *smtpclient.Turned, set *smtpclient.Settings, h *mail.Host, more bool) problem {
	c, release, err := t.Take(d.ctx, set)
	if err != nil {
		p := d.setupFailed(err, h)
		p.about = aboutNothing
		return p
	}
	defer release()
	p, _, rest := d.copies(c, h, more, d.unsettled())
	if len(rest) > 0 {
		d.setAll(rest, mail.Outcome{Result: mail.Deferred, Errno: mail.ErrnoUnknown, Message: "the server takes no more messages on this connection"})
	}
	d.logMessageProblem(h, p)
	if p.about == aboutHost {
		p.about = aboutNothing
	}
	return p
}

func (d *delivery) connect(set *smtpclient.Settings) (*smtpclient.Conn, error) {
	c, err := smtpclient.Open(d.ctx, set)
	if err == nil {
		c.Settings = set
	}
	return c, err
}

// copies sends the message, in as many copies as max_rcpt and the server's own limits (LIMITS, or 452 after some recipients were
// accepted) ask for. answered tells whether the server said anything at all; rest are those for whom another connection is needed.
func (d *delivery) copies(c *smtpclient.Conn, h *mail.Host, more bool, addrs []*mail.Address) (p problem, answered bool, rest []*mail.Address) {
	d.run.Scope.Outgoing = c.TLS
	p = problem{about: noError}
	limits := limitsOf(c)
	if d.run.AllOrNone {
		limits = serverLimits{} // the server may refuse, but one copy it is
	}
	for rest = addrs; len(rest) > 0; {
		if limits.exhausted(c) {
			return p, answered, rest
		}
		if c.NeedsReset {
			if _, err := c.Command("RSET", 2); err != nil {
				t := &transaction{d: d, c: c, h: h, reused: c.Messages > 0}
				return t.broken(err, aboutHost), answered, nil
			}
			c.NeedsReset = false
		}
		batch := rest[:limits.batch(rest, d.maxRcpt)]
		t := &transaction{d: d, c: c, h: h, more: more, reused: c.Messages > 0}
		one := t.run(batch)
		answered = answered || t.answered
		if one.bad() || one.about == aboutNothing || !c.Usable() {
			return one, answered, nil
		}
		if one.about == aboutRecipients {
			p = one
		}
		rest = append(t.excess, rest[len(batch):]...)
	}
	return p, answered, nil
}

// parked takes a connection from the pool, reset if the message before left it in the middle of something.
func (d *delivery) parked(set *smtpclient.Settings) *smtpclient.Conn {
	for {
		c := d.services.Pool.Take(d.ctx, set)
		if c == nil || !c.NeedsReset {
			return c
		}
		if _, err := c.Command("RSET", 2); err == nil {
			c.NeedsReset = false
			return c
		}
		c.Close()
	}
}

// part gives the connection to the pool, or ends it. In the conformance world only a message that waits for the host gets it.
func (d *delivery) part(c *smtpclient.Conn) {
	limit := d.settings.ConnectionMaxMessages
	if !c.Usable() || limit > 0 && c.Messages >= limit || limitsOf(c).exhausted(c) || d.keepsNone(c) {
		c.Quit()
		return
	}
	if !d.services.PerMessage && !d.run.More && d.run.Listened() {
		c.Quit() // whoever listens hears of the end with the message
		return
	}
	if d.services.PerMessage && d.services.Next != nil && !d.run.More {
		next := ""
		if c.Progress {
			next = d.services.Next(c.Settings.Transport, c.Settings.Host, d.run.Message.ID)
		}
		if next == "" {
			c.Quit()
			return
		}
		set := *c.Settings
		set.From, set.Owner = d.run.Message.ID, next
		c.Settings = &set
	}
	d.services.Pool.Give(c)
}

// keepsNone tells whether connections like this one serve one message only.
func (d *delivery) keepsNone(c *smtpclient.Conn) bool {
	if d.services.Pool == nil {
		return true
	}
	if c.TLS == nil {
		return false
	}
	no, err := d.in(d.settings.NoPassTLS, d.run.Scope.Host, "hosts_nopass_tls")
	return no || err != nil
}

// setupFailed gives all pending addresses the outcome of a connection that did not come to be.
func (d *delivery) setupFailed(err error, h *mail.Host) problem {
	var te *transport.Error
	if errors.As(err, &te) {
		for _, a := range d.unsettled() {
			d.set(a, te.Outcome)
			d.settled[a] = te.Outcome.Result == mail.Panicked
		}
		return problem{about: aboutNothing}
	}
	var e *smtpclient.Error
	if !errors.As(err, &e) {
		e = &smtpclient.Error{Kind: smtpclient.IO, Text: err.Error(), Written: -1}
	}
	if d.run.Services.World.Quirks.RefusedIsTimeout && e.Errno == syscall.ECONNREFUSED && d.settings.ConnectTimeout.Seconds() == 999999 {
		e.Errno = syscall.ETIMEDOUT
	}
	o := d.outcome(e, h)
	d.setAll(d.unsettled(), o)
	return problem{aboutHost, e, o}
}

// setAll gives addresses an outcome that other hosts may better.
func (d *delivery) setAll(addrs []*mail.Address, o mail.Outcome) {
	for _, a := range addrs {
		d.set(a, o)
	}
}

// settle gives addresses an outcome that stands.
func (d *delivery) settle(addrs []*mail.Address, o mail.Outcome) {
	for _, a := range addrs {
		d.set(a, o)
		d.settled[a] = true
	}
}

// unsettled are the pending addresses that have no final outcome yet.
func (d *delivery) unsettled() []*mail.Address {
	return slices.DeleteFunc(slices.Clone(d.pending), func(a *mail.Address) bool { return d.settled[a] })
}
