package catalog

import (
	"context"
	"io"
	"os"
	"strconv"
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
		Format: s.Format(s.Log.Selectors()), Rewriter: s.Rewriter(), RunACL: s.runACL, MatchAddress: matchAddress,
		MatchHost: func(sc *expand.Scope, text, name string, session *mail.Session) (bool, error) {
			return matchHost(sc, text, name, session.Host)
		},
		LogSpace: s.logSpace, Arrived: s.arrived, Onward: s.sendOn, NoDelivery: func() bool { return s.DontDeliver }}
	for _, f := range s.Catalog.Features {
		services.Rooms = append(services.Rooms, f.Reception...)
	}
	return services
}

// ScratchReceiver is reception into a directory of its own, for modes that only test: nothing is delivered. remove takes it away.
func (s *Server) ScratchReceiver() (r *submit.Receiver, remove func(), err error) {
	dir, err := os.MkdirTemp("", "exigo-")
	if err != nil {
		return nil, nil, err
	}
	services := s.submitServices()
	services.Spool = spool.Open(dir, spool.Options{LocalhostNumber: s.Main.LocalhostID, ShortIDs: s.Main.ShortMessageIDs, UID: -1, GID: -1})
	services.Arrived, services.Onward = nil, nil
	return submit.New(services), func() { os.RemoveAll(dir) }, nil
}

// arrived delivers a message that was just received, or leaves it on the queue.
func (s *Server) arrived(ctx context.Context, m *mail.Message, l *spool.Locked, d submit.Delivery) {
	ctx = context.WithoutCancel(ctx)
	o := deliver.Options{QueueSMTP: d == submit.RouteOnly}
	switch {
	case d == submit.Queue:
		l.Close()
	case d == submit.DeliverForeground:
		o.Failed = func(why string) { s.NotDelivered = why }
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
	m := r.Message
	if m.OriginatorLogin == "" {
		m.OriginatorLogin, m.OriginatorUID, m.OriginatorGID = s.login(), s.Identity.UID, s.Identity.GID
		if n := m.Session; n.Local && n.Login != "" {
			m.OriginatorLogin, m.OriginatorUID, m.OriginatorGID = n.Login, n.CallerUID, n.CallerGID
			m.SenderLocal = m.SenderLocal || !n.Host.IsValid()
		}
	}
	in := &submit.Input{Message: r.Message, Scope: r.Scope, Source: r.Data, SizeLimit: r.SizeLimit, Chunked: r.Chunked, QueueReason: r.QueueReason,
		Pipelining: r.Pipelining, Discarded: r.Discarded,
		Alive: r.Alive, Delivery: s.Delivery, FromLine: s.ignoresFromLine(r.Scope, m.Session)}
	if in.Delivery == submit.Queue {
		in.QueueReason = "" // no reason is needed
	}
	if r.QueueOnly {
		in.Delivery = submit.Queue
	}
	out := s.Receiver.Receive(ctx, in)
	return smtpserver.Received{ID: out.ID, Accepted: out.Accepted, Reply: out.Reply, Refused: out.Refused, Phase: out.Phase,
		ReadError: out.ReadError, InHeader: out.InHeader}
}

// ignoresFromLine tells whether a "From " line in front of a message that comes by SMTP is dropped (ignore_fromline_hosts,
// ignore_fromline_local).
func (s *Server) ignoresFromLine(sc *expand.Scope, session *mail.Session) bool {
	if session.Local || !session.Host.IsValid() {
		return s.Main.IgnoreFromLineLocal
	}
	if s.Main.IgnoreFromLineHosts == "" {
		return false
	}
	yes, err := matchHost(sc, string(s.Main.IgnoreFromLineHosts), "", session.Host)
	if err != nil {
		s.panicLog(sc, "ignore_fromline_hosts: "+err.Error())
	}
	return yes
}

// submitReport sends a bounce, a warning or a report.
func (s *Server) submitReport(ctx context.Context, to []string, parent *mail.Message, text io.Reader) error {
	g := submit.Generated{Recipients: to, Text: text, Delivery: s.Delivery, Parent: parent}
	if parent != nil {
		g.Reference = parent.ID
	}
	g.AuthSender = s.Main.BounceSenderAuthentication
	_, err := s.Receiver.Generate(ctx, g)
	return err
}

// sendACLReport sends what a condition of an ACL wants to report.
func (s *Server) sendACLReport(ctx context.Context, sc *expand.Scope, r acl.Report) error {
	g := submit.Generated{Sender: r.Sender, Recipients: r.Recipients, Text: strings.NewReader(r.Text), Delivery: s.Delivery}
	if sc.Message != nil {
		g.Reference = sc.Message.ID
	}
	_, err := s.Receiver.Generate(context.WithoutCancel(ctx), g)
	return err
}

// submitForTransport sends what an autoreply or a quota warning asks for.
func (s *Server) submitForTransport(ctx context.Context, sub transport.Submission) (string, error) {
	g := submit.Generated{Sender: sub.Sender, Recipients: sub.Recipients, Delivery: s.Delivery, Parent: sub.Parent, UID: sub.As.UID, GID: sub.As.GID}
	if sub.Parent != nil {
		g.Reference = sub.Parent.ID
	}
	g.Login = strconv.Itoa(g.UID)
	if u, found, err := s.World.Users.ByUID(g.UID); err == nil && found {
		g.Login = u.Name
	}
	head := strings.NewReader(sub.Header + "\n" + sub.Text)
	if sub.Original == nil {
		g.Text = head
		return s.Receiver.Generate(ctx, g)
	}
	original, writer := io.Pipe()
	go func() {
		_, err := sub.Original.WriteTo(ctx, writer, transport.WriteOptions{})
		writer.CloseWithError(err)
	}()
	defer original.Close()
	g.Text = io.MultiReader(head, original)
	return s.Receiver.Generate(ctx, g)
}

// reportSkipped sends the message of syntax_errors_to.
func (s *Server) reportSkipped(sc *expand.Scope, to, text string) {
	if sc.Message == nil {
		return
	}
	to = strings.NewReplacer("\n", " ", "\r", " ", "\x00", " ").Replace(to)
	head := "Auto-Submitted: auto-replied\n" + s.Receiver.DSNFrom(sc.Ctx) + "To: " + to + "\nSubject: error(s) in forwarding or filtering\n"
	// Exim has the reference behind the empty line.
	text = "References: <E" + sc.Message.ID + "@" + s.Main.PrimaryHostname + ">\n" + text
	if _, err := s.submitForTransport(sc.Ctx, transport.Submission{Header: head, Text: text, Parent: sc.Message}); err != nil {
		s.panicLog(sc, "Failed to send the message about skipped syntax errors: "+err.Error())
	}
}
