package catalog

import (
	"context"
	"strconv"
	"strings"
	"time"

	"exigo/internal/acl"
	"exigo/internal/eventlog"
	"exigo/internal/expand"
	"exigo/internal/mail"
	"exigo/internal/route"
	"exigo/internal/route/callout"
	"exigo/internal/smtpclient"
	"exigo/internal/smtpserver"
	"exigo/internal/submit"
	"exigo/internal/transport"
	"exigo/internal/transport/smtp"
)

// Cutthrough delivery (spec 44.23) joins four packages: a callout opens and holds the connection, the SMTP session says when a recipient is
// accepted and when the transaction is over, the reception lends the body, and the smtp transport speaks.

// onward is the SMTP session's door.
func (s *Server) onward() *smtpserver.Onward {
	return &smtpserver.Onward{Recipient: s.onwardRecipient, Drop: callout.Drop,
		Settle: func(m *mail.Message) {
			if callout.Count(m) != len(m.Recipients) || m.Controls.Discarded {
				callout.Drop(m)
			}
		}}
}

// onwardTimeout bounds each command, and four times of it all hosts, when a connection is opened after the ACL.
const onwardTimeout = 30 * time.Second

// onwardRecipient sees to it that the connection onward has a recipient that the ACL accepted.
func (s *Server) onwardRecipient(ctx context.Context, sc *expand.Scope, r *mail.Recipient) acl.Outcome {
	ok := acl.Outcome{Verdict: acl.OK}
	m := sc.Message
	n := len(m.Recipients)
	if !m.Controls.Cutthrough || callout.Count(m) == n+1 {
		return ok
	}
	if callout.Count(m) != n || !s.mayPassOn(sc, m) {
		m.Controls.Cutthrough = false
		return ok
	}
	v := s.Routes.Verify(ctx, sc, r.Address, route.VerifyOptions{Callout: &route.CalloutOptions{
		Timeout: onwardTimeout, Connect: onwardTimeout, Overall: 4 * onwardTimeout, NoCache: true, UseSender: true, Hold: true}})
	switch {
	case v.Result == mail.Delivered && callout.Count(m) == n+1:
		return ok
	case v.Result == mail.Failed && v.Failure != "route" && v.Failure != "qualify":
		return acl.Outcome{Verdict: acl.Fail, LogTargets: acl.LogMain | acl.LogReject}
	case v.Result == mail.Deferred && m.Controls.CutthroughDefer == "pass" && v.Failure != "route":
		return acl.Outcome{Verdict: acl.Defer, UserMessage: v.Reply, LogTargets: acl.LogMain | acl.LogReject}
	}
	m.Controls.Cutthrough = false
	return ok
}

// mayPassOn tells whether the message may be delivered while it comes in, as far as that is known.
func (s *Server) mayPassOn(sc *expand.Scope, m *mail.Message) bool {
	c := &m.Controls
	if s.DontDeliver || c.Freeze || c.QueueOnly || c.QueueRouted || c.Fakereject != "" || c.Fakedefer != "" || c.Discarded || m.SMTPUTF8 {
		return false
	}
	prdr, err := s.Engine.Expand(sc, "$prdr_requested")
	return err != nil || prdr.S != "yes"
}

// onwardParameters are the parameters of MAIL and RCPT on a connection that is held; ok is false where a delivery would have another
// sender than the callout. An empty errors_to or return_path counts for nothing here, as in Exim.
func (s *Server) onwardParameters(ctx context.Context, run *transport.Run, sc *expand.Scope, h *mail.Host, c *smtpclient.Conn) (string, string, bool) {
	trial := *run
	trial.Scope, trial.Sender = sc.Derive(), sc.Message.Sender
	a := trial.Addresses[0]
	if to := strings.Trim(a.ErrorsTo, "<>"); a.ErrorsToSet && to != "" {
		trial.Sender = to
	}
	if err := trial.Begin(); err != nil || trial.ReturnPath != sc.Message.Sender && trial.ReturnPath != "" {
		return "", "", false
	}
	trial.ReturnPath = sc.Message.Sender
	if r := sc.Recipient; r != nil {
		a.Notify, a.ORCPT = r.Notify, r.ORCPT
	}
	return smtp.Parameters(ctx, &trial, h, c)
}

// sendOn begins to pass on a message whose header is complete, when a connection is held for exactly its recipients.
func (s *Server) sendOn(ctx context.Context, sc *expand.Scope, m *mail.Message) submit.Onward {
	h := callout.Take(m)
	if h == nil {
		return nil
	}
	t := s.Transports[h.Transport]
	if !m.Controls.Cutthrough || len(h.Addresses) != len(m.Recipients) || t == nil || !s.mayPassOn(sc, m) {
		h.Conn.Quit()
		return nil
	}
	services := s.transportServices()
	services.Log, services.Panic = func(line string) { s.mainLog(sc, line) }, func(line string) { s.panicLog(sc, line) }
	run := &transport.Run{Transport: t, Message: m, Addresses: h.Addresses, Scope: sc.Derive(), Sender: h.Sender, Services: services}
	if err := run.Begin(); err != nil {
		h.Conn.Quit()
		return nil
	}
	run.ReturnPath = h.Sender
	o, err := smtp.StartOnward(ctx, run, &h.Host, h.Conn)
	if err != nil {
		return nil
	}
	return &passage{Onward: o, s: s, run: run}
}

// passage is a message that is passed on.
type passage struct {
	*smtp.Onward
	s   *Server
	run *transport.Run
}

// End implements submit.Onward.
func (p *passage) End(context.Context) submit.Sent {
	p.Onward.End()
	m, reply := p.run.Message, p.Reply
	pass := m.Controls.CutthroughDefer == "pass"
	switch reply.Code / 100 {
	case 2:
		p.log(eventlog.Main, "")
		return submit.Sent{Delivered: true}
	case 5:
		p.log(eventlog.Main|eventlog.Reject, "rejected after DATA")
		return submit.Sent{Reply: replyLines(reply.Code, reply.Enhanced, reply.Lines)}
	case 4:
		p.log(eventlog.Main, "tmp-reject from cutthrough after DATA")
		if pass {
			return submit.Sent{Reply: replyLines(reply.Code, reply.Enhanced, reply.Lines)}
		}
	default:
		if pass {
			return submit.Sent{Reply: "450 Onward transmission not accepted"}
		}
	}
	return submit.Sent{}
}

// log writes a line for each address, the last one first as Exim does.
func (p *passage) log(to eventlog.Stream, verdict string) {
	m := p.run.Message
	f := p.s.Format(p.s.Log.Selectors())
	for i := len(p.run.Addresses) - 1; i >= 0; i-- {
		a := p.run.Addresses[i]
		if rt, ok := p.s.Routes.Router(a.Router); p.run.Transport.Generic.DisableLogging || ok && rt.Generic.DisableLogging {
			continue
		}
		d := eventlog.Delivery{Flag: ">>", Message: m, Address: a, ReturnPath: p.run.ReturnPath, ReturnPathKnown: true, Size: a.Outcome.Size,
			QueueTime: p.s.World.Clock.Now().Sub(m.Received), DeliverTime: a.Outcome.DeliveryTime}
		e := eventlog.Entry{To: to, ID: m.ID}
		if verdict == "" {
			e.Text = f.Delivered(d)
		} else {
			e.Text = f.Onward(d, verdict)
			e.Rejected = m
		}
		p.s.Log.Write(e)
		if verdict == "" {
			p.run.Raise(expand.Event{Name: "msg:delivery", Data: a.Outcome.Confirmation}, a)
		}
	}
}

// replyLines writes a server's reply for our client. Its text is printable ASCII.
func replyLines(code int, enhanced string, lines []string) string {
	if enhanced != "" {
		enhanced += " "
	}
	if len(lines) == 0 {
		lines = []string{""}
	}
	var b strings.Builder
	for i, l := range lines {
		separator := "-"
		if i == len(lines)-1 {
			separator = " "
		}
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(strconv.Itoa(callout.ClientCode(code)) + separator + enhanced + callout.Plain(l))
	}
	return b.String()
}
