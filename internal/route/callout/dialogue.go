package callout

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"exigo/internal/expand"
	"exigo/internal/hints"
	"exigo/internal/mail"
	"exigo/internal/proto/smtp"
	"exigo/internal/route"
	"exigo/internal/smtpclient"
)

// dialogue is what is said on one connection after EHLO.
type dialogue struct {
	*work
	conn *smtpclient.Conn
	h    mail.Host
	// again asks for another connection: the server closed this one over the random address.
	again bool
	// holds says that the commands were those of a delivery: the connection can be held.
	holds bool
}

// run asks for the random address, the address itself and the postmaster, as far as they are wanted. done is false when
// there was no definite answer; failure says why.
func (d *dialogue) run() (r route.CalloutResult, failure string, done bool) {
	if d.random {
		if r, failure, done = d.tryRandom(); done || d.again || failure != "" {
			return r, failure, done
		}
	}
	e := d.ask(d.from, d.to, true)
	switch {
	case e == nil:
		d.address, d.addressKnown = hints.Accepted, true
	case e.Kind == smtpclient.Refused && e.Reply.Permanent():
		what := "recipient"
		if strings.HasPrefix(e.After, "MAIL ") {
			what = "mail"
			if d.from == "" {
				d.domain.Result = hints.RejectedMail
			}
		} else {
			d.address, d.addressKnown = hints.Rejected, true
		}
		r, _ = d.refused(d.h, e, what)
		return r, "", true
	default:
		return r, text(e), false
	}
	if d.postmaster {
		return d.tryPostmaster()
	}
	return route.CalloutResult{Result: mail.Delivered}, "", true
}

// tryRandom asks for a local part that nobody has. A server that takes it takes everything.
func (d *dialogue) tryRandom() (r route.CalloutResult, failure string, done bool) {
	v, err := d.s.Engine.Expand(d.s, string(d.main.CalloutRandomLocalPart))
	if err != nil {
		if !errors.Is(err, expand.ErrForced) && d.Log != nil {
			d.Log(d.s, "failed to expand callout_random_local_part: "+err.Error())
		}
		d.random = false
		return r, "", false
	}
	e := d.ask(d.from, v.S+"@"+d.c.Address.Domain, false)
	now := d.cache.now.Unix()
	switch {
	case e == nil:
		d.domain.Random, d.domain.RandomStamp = hints.Accepted, now
		return route.CalloutResult{Result: mail.Delivered, Failure: "random"}, "", true
	case e.Kind != smtpclient.Refused:
		return r, text(e), false
	case strings.HasPrefix(e.After, "MAIL ") && e.Reply.Permanent():
		if d.from == "" {
			d.domain.Result = hints.RejectedMail
		}
		r, done = d.refused(d.h, e, "mail")
		return r, "", done
	case strings.HasPrefix(e.After, "MAIL "):
		return r, text(e), false
	case e.Reply.Permanent():
		d.domain.Random, d.domain.RandomStamp = hints.Rejected, now
	}
	d.random = false
	if e := d.command("RSET"); e != nil {
		// It did not like the question so much that it hung up.
		d.conn.Broken()
		d.again = e.Kind == smtpclient.Closed || e.Kind == smtpclient.IO || e.Kind == smtpclient.Refused
		if !d.again {
			return r, text(e), false
		}
	}
	return r, "", false
}

// tryPostmaster asks for the domain's postmaster after the address was accepted.
func (d *dialogue) tryPostmaster() (r route.CalloutResult, failure string, done bool) {
	if e := d.command("RSET"); e != nil {
		return r, text(e), false
	}
	e := d.ask(d.c.Options.PostmasterMailFrom, "postmaster@"+d.c.Address.Domain, false)
	if e != nil && d.c.Options.FullPostmaster && e.Kind == smtpclient.Refused && strings.HasPrefix(e.After, "RCPT ") {
		if again := d.command("RCPT TO:<postmaster>"); again == nil {
			e = nil
		}
	}
	now := d.cache.now.Unix()
	switch {
	case e == nil:
		d.domain.Postmaster, d.domain.PostmasterStamp = hints.Accepted, now
		return route.CalloutResult{Result: mail.Delivered}, "", true
	case e.Kind == smtpclient.Refused && e.Reply.Permanent():
		d.domain.Postmaster, d.domain.PostmasterStamp = hints.Rejected, now
		r, done = d.refused(d.h, e, "postmaster")
		if strings.HasPrefix(e.After, "MAIL ") {
			r.Message = place(d.h) + "response to \"" + e.After + "\" was: " + smtpclient.ReplyText(e.Reply)
		}
		return r, "", done
	}
	return r, text(e), false
}

// ask sends MAIL and RCPT; both at once if the server can do that. nil: both were accepted.
func (d *dialogue) ask(from, to string, sized bool) *smtpclient.Error {
	mailCommand := "MAIL FROM:<" + from + ">"
	sent := mailCommand
	if sized && !d.c.Sender && d.s.Message != nil && d.s.Message.Size > 0 && d.conn.Extensions.Has("SIZE") {
		sent += " SIZE=" + strconv.FormatInt(d.s.Message.Size+1024, 10)
	}
	if !isASCII(from + to) {
		sent += " SMTPUTF8"
	}
	rcptCommand := "RCPT TO:<" + to + ">"
	rcptSent := rcptCommand
	if sized && d.hold && d.t.Parameters != nil {
		if m, r, ok := d.t.Parameters(d.ctx, &d.h, d.conn); ok {
			sent, rcptSent, d.holds = sent+m, rcptCommand+r, true
		}
	}
	if !d.conn.Pipelining {
		if e := d.commandAs(sent, mailCommand); e != nil {
			return e
		}
		return d.commandAs(rcptSent, rcptCommand)
	}
	return d.timed(func() error {
		if err := d.conn.Put(sent); err != nil {
			return err
		}
		if err := d.conn.Put(rcptSent); err != nil {
			return err
		}
		first, err := d.conn.Reply(mailCommand, false)
		if err != nil {
			return err
		}
		second, err := d.conn.Reply(rcptCommand, false)
		if e := d.judge(first, mailCommand); e != nil {
			return e
		}
		if err != nil {
			return err
		}
		return d.judge(second, rcptCommand)
	})
}

// judge makes an error of a reply that is not positive.
func (d *dialogue) judge(r smtp.Reply, after string) error {
	if r.Code/100 == 2 {
		return nil
	}
	e := &smtpclient.Error{Kind: smtpclient.Refused, After: after, Reply: r, Written: -1}
	if d.conn.LMTP {
		e.Protocol = "SMTP"
	}
	d.note(e)
	return e
}

// command sends one command and waits for its reply; nil for a positive one.
func (d *dialogue) command(line string) *smtpclient.Error { return d.commandAs(line, line) }

// commandAs is command with another name for the command in error texts.
func (d *dialogue) commandAs(line, name string) *smtpclient.Error {
	return d.timed(func() error {
		if err := d.conn.Put(line); err != nil {
			return err
		}
		r, err := d.conn.Reply(name, false)
		if err != nil {
			return err
		}
		return d.judge(r, name)
	})
}

// timed runs an exchange within the timeout for a command.
func (d *dialogue) timed(exchange func() error) *smtpclient.Error {
	ctx, cancel := context.WithTimeout(d.ctx, d.timeout())
	d.conn.Bind(ctx)
	defer func() {
		d.conn.Bind(d.ctx)
		cancel()
	}()
	err := exchange()
	if err == nil {
		return nil
	}
	e := asError(err)
	if ctx.Err() != nil && d.ctx.Err() == nil && e.Kind != smtpclient.Refused {
		timedOut(e)
		d.conn.Broken()
	}
	return e
}
