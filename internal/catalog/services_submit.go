package catalog

import (
	"context"
	"errors"
	"io"
	"strings"

	"exigo/internal/acl"
	"exigo/internal/deliver"
	"exigo/internal/expand"
	"exigo/internal/mail"
	"exigo/internal/queue"
	"exigo/internal/smtpserver"
	"exigo/internal/spool"
	"exigo/internal/submit"
	"exigo/internal/transport"
)

// submitServices connect reception with spool, ACLs and delivery.
func (s *Server) submitServices() submit.Services {
	services := submit.Services{World: s.World, Engine: s.Engine, Config: s.Config, Main: s.Main, Spool: s.Spool, Log: s.Log,
		Format: s.Format(s.Log.Selectors()), Rewriter: s.Rewriter(), RunACL: s.ACL.Run, MatchAddress: matchAddress,
		MatchHost: func(sc *expand.Scope, text, name string, session *mail.Session) (bool, error) {
			return matchHost(sc, text, name, session.Host)
		},
		Arrived: s.arrived}
	for _, f := range s.Catalog.Features {
		services.Rooms = append(services.Rooms, f.Reception...)
	}
	return services
}

// arrived delivers a message that was just received, or leaves it on the queue.
func (s *Server) arrived(ctx context.Context, m *mail.Message, l *spool.Locked, d submit.Delivery) {
	ctx = context.WithoutCancel(ctx)
	o := deliver.Options{QueueSMTP: d == submit.RouteOnly, DontDeliver: s.DontDeliver}
	switch {
	case d == submit.Queue:
		l.Close()
	case d == submit.DeliverForeground:
		s.Deliverer.Fresh(ctx, l, m, o)
	default:
		id, name := m.ID, m.Queue
		s.Index.Arrived(ctx, queue.Job{
			Start:  func(ctx context.Context) { s.Deliverer.Fresh(ctx, l, m, o) },
			Park:   func() { l.Close() },
			Resume: func(ctx context.Context) { s.Deliverer.Message(ctx, id, name, o) },
		})
	}
}

// receiveSMTP takes a message in that comes in an SMTP session.
func (s *Server) receiveSMTP(ctx context.Context, r *smtpserver.Reception) smtpserver.Received {
	in := &submit.Input{Message: r.Message, Scope: r.Scope, Source: r.Data, SizeLimit: r.SizeLimit, Chunked: r.Chunked, QueueReason: r.QueueReason,
		Alive: r.Alive, Delivery: s.Delivery}
	if r.QueueOnly {
		in.Delivery = submit.Queue
	}
	out := s.Receiver.Receive(ctx, in)
	return smtpserver.Received{ID: out.ID, Accepted: out.Accepted, Reply: out.Reply, Refused: out.Refused, Phase: out.Phase,
		ReadError: out.ReadError, InHeader: out.InHeader}
}

// submitGenerated takes in a message that we make ourselves.
func (s *Server) submitGenerated(ctx context.Context, sender string, to []string, parent *mail.Message, text io.Reader) (id string, err error) {
	session := &mail.Session{Local: true, CallerUID: s.Identity.UID, CallerGID: s.Identity.GID, Login: s.login(), Trusted: true, Admin: true}
	session.Ident = session.Login
	m := &mail.Message{Session: session, Sender: sender, SenderSet: true, LocalError: sender == ""}
	for _, a := range to {
		m.Recipients = append(m.Recipients, mail.Recipient{Address: s.Qualify(a, false), Parent: -1})
	}
	in := &submit.Input{Message: m, Scope: s.Engine.NewScope(ctx, s.Config, session, m), Source: submit.NewLocalReader(text, false), Generated: true,
		Extract: len(to) == 0, Delivery: s.Delivery}
	if s.World.Quirks.ForegroundBounces && !s.Main.QueueOnly {
		in.Delivery = submit.DeliverForeground
	}
	if parent != nil {
		in.Reference = parent.ID
	}
	out := s.Receiver.Receive(ctx, in)
	switch {
	case out.Accepted:
		return out.ID, nil
	case out.Failure != nil:
		return "", out.Failure
	case out.Refused != nil:
		return "", errors.New(refusal(out.Refused))
	case out.ReadError != nil:
		return "", out.ReadError
	}
	return "", errors.New(strings.ReplaceAll(out.Reply, "\n", " "))
}

func refusal(o *acl.Outcome) string {
	if o.LogMessage != "" {
		return o.LogMessage
	}
	return "rejected by non-SMTP ACL: " + o.UserMessage
}

// login is the name of our own user.
func (s *Server) login() string {
	u, found, err := s.World.Users.ByUID(s.Identity.UID)
	if err != nil || !found {
		return string(s.Main.EximUser)
	}
	return u.Name
}

// submitReport sends a bounce, a warning or a report.
func (s *Server) submitReport(ctx context.Context, to []string, parent *mail.Message, text io.Reader) error {
	_, err := s.submitGenerated(ctx, "", to, parent, text)
	return err
}

// submitForTransport sends what an autoreply or a quota warning asks for.
func (s *Server) submitForTransport(ctx context.Context, sub transport.Submission) (string, error) {
	parts := []io.Reader{strings.NewReader(sub.Header), strings.NewReader("\n"), strings.NewReader(sub.Text)}
	if sub.Original != nil {
		parts = append(parts, sub.Original.Reader())
	}
	return s.submitGenerated(ctx, sub.Sender, sub.Recipients, sub.Parent, io.MultiReader(parts...))
}
