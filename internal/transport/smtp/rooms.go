package smtp

import (
	"strings"

	"exigo/internal/mail"
	"exigo/internal/option"
	"exigo/internal/proto/smtp"
	"exigo/internal/smtpclient"
)

// askRooms shows the connection to the rooms, before MAIL. It reports that one of them will have nothing sent to this host: the addresses have
// its outcome then, which stands unless another host does better.
func (t *transaction) askRooms(addrs []*mail.Address) (refused bool) {
	d := t.d
	if len(d.services.Extensions) == 0 {
		return false
	}
	t.x = &smtpclient.Exchange{Conn: t.c, Message: d.run.Message, Addresses: addrs, Host: t.h, TLS: t.c.TLS, Options: d.run.Transport.Instance.Options,
		Matches: func(list string) bool {
			yes, err := d.in(option.HostList(list), t.h, "host list of a room")
			return yes && err == nil
		}}
	for _, e := range d.services.Extensions {
		if e.Check == nil {
			continue
		}
		o := e.Check(t.x)
		if o == nil {
			continue
		}
		t.c.Messages--
		t.roomRefused(addrs, *o)
		return true
	}
	return false
}

// roomRefused gives the addresses a room's outcome. A deferral by an earlier host stays: that host may do better another time.
func (t *transaction) roomRefused(addrs []*mail.Address, o mail.Outcome) {
	t.decorate(&o)
	if t.more && t.d.run.Services.Log != nil && !t.d.run.Transport.Generic.DisableLogging {
		t.d.run.Services.Log("H=" + t.d.label(t.h) + ": " + o.Message)
	}
	for _, a := range addrs {
		if o.Result == mail.Deferred || a.Outcome.Result != mail.Deferred {
			t.d.set(a, o)
		}
	}
}

// roomsMail adds the rooms' parameters to MAIL, roomsRcpt to RCPT.
func (t *transaction) roomsMail(b *strings.Builder) {
	for _, e := range t.d.services.Extensions {
		if e.Mail != nil {
			if text := e.Mail(t.x); text != "" {
				b.WriteByte(' ')
				b.WriteString(wire(text))
			}
		}
	}
}

func (t *transaction) roomsRcpt(a *mail.Address) (parameters string) {
	for _, e := range t.d.services.Extensions {
		if e.Rcpt != nil {
			if text := e.Rcpt(t.x, a); text != "" {
				parameters += " " + wire(text)
			}
		}
	}
	return parameters
}

// roomsResponses returns the name of the room that knows the reply to the data as the announcement of replies for each recipient.
func (t *transaction) roomsResponses(first smtp.Reply) string {
	for _, e := range t.d.services.Extensions {
		if e.Responses != nil && e.Responses(t.x, first) {
			return e.Name
		}
	}
	return ""
}

// endedResponses settles the addresses by a reply for each and the last one, which must be positive for any of them to count.
func (t *transaction) endedResponses(name string, pipelined bool) problem {
	replies := make([]smtp.Reply, len(t.ok)+1)
	for i := range replies {
		var err error
		if replies[i], err = t.c.FinalReply("end of data", false, t.size); err != nil {
			t.c.Broken()
			return t.broken(err, aboutMessage)
		}
	}
	last := replies[len(t.ok)]
	if last.Code/100 != 2 && anyAccepted(replies[:len(t.ok)]) {
		return t.refused(t.ok, &smtpclient.Error{Kind: smtpclient.Refused, After: "end of data", Pipelined: pipelined, Reply: last, Written: -1}, mail.ErrnoData4xx)
	}
	further := false
	for i, a := range t.ok {
		if r := replies[i]; r.Code/100 == 2 {
			t.delivered(a, smtpclient.ReplyText(r)+`\n`+smtpclient.ReplyText(last), further)
			a.Outcome.PRDR = true
			further = true
		} else {
			t.refusedOne(a, name, r)
		}
	}
	return problem{about: aboutRecipients}
}

// anyAccepted tells whether the last reply matters: when all recipients were refused, each has his own reply.
func anyAccepted(replies []smtp.Reply) bool {
	for _, r := range replies {
		if r.Code/100 == 2 {
			return true
		}
	}
	return false
}
