package submit

import (
	"context"
	"errors"
	"io"
	"strings"

	"exigo/internal/eventlog"
	"exigo/internal/mail"
)

// Generated is a message that the program sends itself: a bounce, a warning, an autoreply.
type Generated struct {
	// Sender is the envelope sender, "" for reports.
	Sender string
	// Recipients are the envelope's; none means that they are taken from the header, as with -t.
	Recipients []string
	// Reference is the id of the message that caused it, for the log.
	Reference string
	// Parent is that message, nil for none.
	Parent *mail.Message
	// Text is header, empty line and body with LF line ends.
	Text io.Reader
	// AuthID and AuthSender are kept with the message (bounce_sender_authentication).
	AuthID, AuthSender string
	Queue              string
	Delivery           Delivery
	// UID, GID and Login say as whom it is submitted; Login "" stands for the program's own user.
	UID, GID int
	Login    string
}

// Generate receives a message from ourselves and returns its id.
func (r *Receiver) Generate(ctx context.Context, g Generated) (string, error) {
	main := r.s.Main
	if g.Login == "" {
		g.UID = userID(r.s.World.Users, string(main.EximUser))
		if g.UID < 0 {
			g.UID = r.s.World.Caller.UID
		}
		g.Login = "exim"
		if u, found, err := r.s.World.Users.ByUID(g.UID); found && err == nil {
			g.Login, g.GID = u.Name, u.GID
		}
	}
	c := Caller{UID: g.UID, GID: g.GID, Login: g.Login, Trusted: true}
	session := &mail.Session{Started: r.now(), ConnectionID: r.connectionID(), Local: true, CallerUID: c.UID, CallerGID: c.GID, Login: c.Login, Ident: c.Login, Trusted: true,
		AuthID: c.Login, AuthSender: r.OwnAddress(c)}
	if g.AuthID != "" {
		session.AuthID = g.AuthID
	}
	if g.AuthSender != "" {
		session.AuthSender = g.AuthSender
	}
	m := &mail.Message{Session: session, Received: r.now(), Protocol: "local", Sender: g.Sender, RawSender: g.Sender, SenderSet: true, SenderLocal: true,
		OriginatorUID: c.UID, OriginatorGID: c.GID, OriginatorLogin: c.Login, Queue: g.Queue,
		AllowUnqualifiedSender: true, AllowUnqualifiedRecipient: true}
	if g.Parent != nil {
		for _, room := range r.s.Rooms {
			if room.Inherit != nil {
				room.Inherit(m, g.Parent)
			}
		}
	}
	for _, a := range g.Recipients {
		if !strings.Contains(a, "@") {
			a = (&reception{r: r, m: m}).qualifyRecipient(a)
		}
		m.Recipients = append(m.Recipients, mail.Recipient{Address: a, Parent: -1})
	}
	d := g.Delivery
	if d == Deliver && r.s.World.Quirks.ForegroundBounces && !main.QueueOnly {
		d = DeliverForeground
	}
	in := &Input{Message: m, Scope: r.s.Engine.NewScope(ctx, r.s.Config, session, m), Source: NewLocalReader(g.Text, false),
		Delivery: d, OwnAddress: r.OwnAddress(c), Reference: g.Reference, Generated: true,
		Extract: len(g.Recipients) == 0}
	result := r.Receive(ctx, in)
	switch {
	case result.Accepted:
		return result.ID, nil
	case result.ReadError != nil:
		return "", result.ReadError
	case result.Failure != nil && result.Failure.Err != nil:
		return "", result.Failure.Err
	case result.Refused != nil:
		r.noSender(result.ID, g.Reference, rejectedText(*result.Refused))
		return "", ErrRefused
	}
	return "", errors.New("message was not accepted")
}

// ErrRefused says that the ACL for messages that come without SMTP refused one of our own; the log has the reason.
var ErrRefused = errors.New("message was not accepted")

// DSNFrom is the From: line of our own messages, with newline (dsn_from).
func (r *Receiver) DSNFrom(ctx context.Context) string {
	s := r.s.Engine.NewScope(ctx, r.s.Config, nil, nil)
	v, err := r.s.Engine.Expand(s, string(r.s.Main.DSNFrom))
	if err != nil {
		r.s.Log.Write(eventlog.Entry{To: eventlog.Main | eventlog.Panic, Text: "Failed to expand dsn_from (using default): " + err.Error()})
		v.S = "Mail Delivery System <Mailer-Daemon@" + r.s.Main.QualifyDomain + ">"
	}
	return "From: " + oneLine(v.S) + "\n"
}
