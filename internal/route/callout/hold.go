package callout

import (
	"strconv"
	"strings"

	"exigo/internal/hints"
	"exigo/internal/mail"
	"exigo/internal/route"
	"exigo/internal/smtpclient"
)

// Held is a connection that a recipient callout left open for the message at hand: MAIL and a RCPT for each of the addresses were
// accepted on it, in the words of a delivery. It belongs to the message; who takes it must close it, and Drop closes what nobody took.
type Held struct {
	Conn *smtpclient.Conn
	// Host is the server, with its port.
	Host mail.Host
	// Transport is the name of the smtp transport, Sender the address of MAIL.
	Transport, Sender string
	// Addresses are the routed recipients, in order.
	Addresses []*mail.Address
}

// shelf is where a message keeps its connection.
type shelf struct{ held *Held }

func held(m *mail.Message) *Held {
	if m == nil {
		return nil
	}
	if s := mail.Peek[shelf](&m.Bag); s != nil {
		return s.held
	}
	return nil
}

// Count is the number of recipients that the connection held for a message has; 0 without one.
func Count(m *mail.Message) int {
	if h := held(m); h != nil {
		return len(h.Addresses)
	}
	return 0
}

// Take gives the connection held for a message away; nil when there is none.
func Take(m *mail.Message) *Held {
	h := held(m)
	if h != nil {
		mail.State[shelf](&m.Bag).held = nil
	}
	return h
}

// Drop ends the connection held for a message, if there is one.
func Drop(m *mail.Message) {
	if h := Take(m); h != nil {
		h.Conn.Quit()
	}
}

// holdable tells whether the callout is one whose connection may be held (spec 44.47, hold): the MAIL and RCPT of it are the delivery's.
func (w *work) holdable() bool {
	o := w.c.Options
	return w.s.Message != nil && !w.c.Sender && o.UseSender && !o.Random && !o.Postmaster && w.c.Transport != "" && w.Transport != nil &&
		(o.Hold || w.s.Message.Controls.Cutthrough)
}

// retain puts the connection on the shelf.
func (w *work) retain(c *smtpclient.Conn, h mail.Host) {
	h.Port = int(c.Remote.Port())
	mail.State[shelf](&w.s.Message.Bag).held = &Held{Conn: c, Host: h, Transport: w.c.Transport, Sender: w.from, Addresses: []*mail.Address{w.c.Address}}
}

// further adds the address to a connection that is held. done is false when it cannot be added there. Whatever is not accepted ends the
// connection.
func (w *work) further(h *Held) (r route.CalloutResult, done bool) {
	if h.Transport != w.c.Transport || h.Sender != w.from || !h.Conn.Usable() {
		return r, false
	}
	var err error
	if w.t, err = w.Transport(w.ctx, w.s, w.c.Transport, w.c.Address); err != nil || w.t.Together == nil || w.t.Parameters == nil {
		return r, false
	}
	if !w.t.Together(h.Addresses, w.c.Address) {
		return r, false
	}
	_, parameters, ok := w.t.Parameters(w.ctx, &h.Host, h.Conn)
	if !ok {
		return r, false
	}
	w.to = recipient(w.c.Address, w.t.IncludeAffixes)
	if !isASCII(w.to) {
		return r, false
	}
	d := &dialogue{work: w, conn: h.Conn, h: h.Host}
	command := "RCPT TO:<" + w.to + ">"
	e := d.commandAs(command+parameters, command)
	switch {
	case e == nil:
		h.Addresses = append(h.Addresses, w.c.Address)
		w.address, w.addressKnown = hints.Accepted, true
		r = route.CalloutResult{Result: mail.Delivered}
	case e.Kind == smtpclient.Refused && e.Reply.Permanent():
		Drop(w.s.Message)
		w.address, w.addressKnown = hints.Rejected, true
		r, _ = w.refused(h.Host, e, "recipient")
	default:
		Drop(w.s.Message)
		r = w.incomplete(place(h.Host) + text(e))
	}
	w.keep()
	return r, true
}

// ClientCode is the code with which a server's reply goes to our client: 421 would say that we close the connection (RFC 5321 section 4.2.2).
func ClientCode(code int) int {
	if code == 421 {
		return 451
	}
	return code
}

// note keeps the words of a server's refusal.
func (w *work) note(e *smtpclient.Error) {
	if e.Kind != smtpclient.Refused {
		return
	}
	lines := make([]string, len(e.Reply.Lines))
	for i, l := range e.Reply.Lines {
		lines[i] = Plain(l)
	}
	w.reply = strconv.Itoa(ClientCode(e.Reply.Code)) + " "
	if e.Reply.Enhanced != "" {
		w.reply += e.Reply.Enhanced + " "
	}
	w.reply += strings.Join(lines, "\n")
}
