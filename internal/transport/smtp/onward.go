package smtp

import (
	"context"
	"errors"
	"io"
	"strings"

	"exigo/internal/mail"
	"exigo/internal/proto/smtp"
	"exigo/internal/smtpclient"
	"exigo/internal/transport"
)

// Cutthrough delivery (spec 44.23): the message goes to the server while it comes in. MAIL and RCPT are a callout's, which asks
// Parameters what they must carry; Onward does the rest.

// Parameters returns what MAIL and RCPT carry beside the addresses (and SIZE) for the run's first address; ok is false when the message cannot
// go to the server while it comes in: because the transport changes or signs it as a whole, because it must be converted, or because a
// room or RFC 3461 asks for more than the server offers.
func Parameters(ctx context.Context, r *transport.Run, h *mail.Host, c *smtpclient.Conn) (mailText, rcptText string, ok bool) {
	g, m, a := r.Transport.Generic, r.Message, r.Addresses[0]
	if c.LMTP || m.SMTPUTF8 || g.TransportFilter != "" || g.HeadersOnly || g.BodyOnly || a.ReturnPathSet ||
		g.MessageSizeLimit != "" && g.MessageSizeLimit != "0" || a.Notify&mail.NotifySuccess != 0 && (a.DSNLastHop || !c.Extensions.Has("DSN")) {
		return "", "", false
	}
	t := onwardTransaction(ctx, r, h, c)
	for _, s := range t.d.services.Signers {
		if s.Wanted(r) {
			return "", "", false
		}
	}
	if t.askRooms(r.Addresses) {
		return "", "", false
	}
	text, err := t.mailParameters()
	return text, t.rcptParameters(a), err == nil
}

func onwardTransaction(ctx context.Context, r *transport.Run, h *mail.Host, c *smtpclient.Conn) *transaction {
	d := &delivery{ctx: ctx, run: r, settings: Of(r.Transport.Instance), services: servicesOf(r), started: r.Now(), settled: make(map[*mail.Address]bool, len(r.Addresses))}
	return &transaction{d: d, c: c, h: h, ok: r.Addresses}
}

// Onward is a message on its way to a server before it has come in completely. Its writer takes the body, LF line ends. It is not safe for
// concurrent use.
type Onward struct {
	t     *transaction
	lines *transport.LineWriter
	data  *smtpclient.DataWriter
	err   error
	// Reply is the server's reply to the message, after End; its code is 0 when there was none.
	Reply smtp.Reply
}

// StartOnward says DATA on a connection where the run's addresses were accepted, and sends the header section. The run has
// been through Begin. When it fails the connection is closed; nothing was delivered then.
func StartOnward(ctx context.Context, r *transport.Run, h *mail.Host, c *smtpclient.Conn) (*Onward, error) {
	t := onwardTransaction(ctx, r, h, c)
	c.Bind(ctx)
	header, err := r.Header()
	if err == nil && t.askRooms(r.Addresses) {
		err = errors.New("a room refuses the server")
	}
	if err == nil {
		_, err = c.Command("DATA", 3)
	}
	if err != nil {
		c.Quit()
		return nil, err
	}
	o := &Onward{t: t, data: c.Data()}
	o.lines = transport.NewLineWriter(o.data, transport.DotStuff)
	o.Write(header)
	o.Write([]byte{'\n'})
	return o, nil
}

// Write implements io.Writer. It never fails: a connection that broke is found out at the end.
func (o *Onward) Write(p []byte) (int, error) {
	if o.err == nil {
		if _, o.err = o.lines.Write(p); o.err != nil {
			o.Close()
		}
	}
	return len(p), nil
}

// errAbandoned is the error of a message that was given up.
var errAbandoned = errors.New("delivery abandoned")

// Close gives the message up: without the end of the data the server must throw away what it has (RFC 5321 section 4.1.1.4). After End it
// does nothing.
func (o *Onward) Close() {
	if o.lines == nil {
		return
	}
	o.lines.Abandon()
	o.lines = nil
	if o.err == nil {
		o.err = errAbandoned
	}
	o.t.c.Close()
}

// End ends the data and waits for the reply. It leaves outcomes in the run's addresses: all have the same. A message that has lines
// too long for the transport is given up.
func (o *Onward) End() {
	t := o.t
	d := t.d
	if limit := d.settings.MessageLineLengthLimit; limit > 0 && d.run.Message.MaxReceivedLine > limit {
		o.Close()
	}
	if o.lines != nil {
		if o.err = o.lines.Finish(); o.err == nil {
			_, o.err = io.WriteString(o.data, ".\r\n")
		}
		o.lines = nil
	}
	t.size = o.data.Written
	if o.err != nil {
		t.dataFailed(o.err)
		t.c.Close()
		return
	}
	r, err := o.data.EndReply("end of data", false)
	o.Reply = r
	t.ended(r, err, false)
	t.c.Quit()
	for _, a := range d.run.Addresses {
		a.Outcome.Cutthrough = true
		a.Outcome.Further = false
		t.decorate(&a.Outcome)
		if err == nil {
			a.Outcome.Confirmation = smtpclient.ReplyText(r)
		}
	}
}

// mailParameters is parameters as text.
func (t *transaction) mailParameters() (string, error) {
	var b strings.Builder
	err := t.parameters(&b)
	return b.String(), err
}
