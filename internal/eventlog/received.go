package eventlog

import (
	"cmp"
	"strconv"

	"exigo/internal/mail"
)

// Reception is what a line of a message's arrival says beyond the message itself.
type Reception struct {
	Message *mail.Message
	// Fake marks a message that was taken and pretended to be refused: "(=" in place of "<=".
	Fake bool
	// Reference is the id of the message that a locally made bounce refers to (R=).
	Reference string
	// MessageID is the value of the Message-ID: header without angle brackets; Created says that we made it.
	MessageID string
	Created   bool
	// Subject is the decoded subject, printable characters not yet checked; HasSubject tells "" from none.
	Subject    string
	HasSubject bool
	// Pipelining is "", or the field as it is logged: "L", "L-", "L." or "L*".
	Pipelining     string
	PRDR, Chunking bool
	// NoEnvelope leaves sender and recipients out, whatever the selectors say: the message log has them elsewhere.
	NoEnvelope bool
}

// Received builds a "<=" line without time stamp and id (spec 53.6).
func (f Format) Received(r Reception) string {
	m, s := r.Message, r.Message.Session
	flag := "<="
	if r.Fake {
		flag = "(="
	}
	l := f.NewLine(flag)
	if m.Sender == "" {
		l.Word("<>")
	} else {
		l.Word(m.Sender)
	}
	if r.Reference != "" {
		l.Field("R", r.Reference)
	}
	f.origin(l, s)
	if m.Protocol != "" {
		l.Field("P", m.Protocol)
	}
	if f.Selectors.Has(Pipelining) && r.Pipelining != "" {
		l.Word(r.Pipelining)
	}
	f.tls(l, s.TLS, true)
	if s.Authenticator != "" {
		l.Field("A", f.authField(s.Authenticator, s.AuthID, s.AuthSender))
	}
	get := func(t *Tag) string {
		if t.Received == nil {
			return ""
		}
		return t.Received(m, f.Selectors)
	}
	f.tags(l, AfterHost, get)
	if r.PRDR {
		l.Word("PRDR")
	}
	if r.Chunking {
		l.Word("K")
	}
	f.tags(l, AfterTLS, get)
	l.Field("S", strconv.FormatInt(m.Size, 10))
	if f.Selectors.Has(EightBitMIME) {
		l.Field("M8S", strconv.Itoa(m.BodyType))
	}
	if f.Selectors.Has(ReceiveTime) {
		l.Field("RT", f.Duration(m.Completed))
	}
	if m.Queue != "" {
		l.Field("Q", m.Queue)
	}
	f.tags(l, BeforeID, get)
	f.identity(l, r)
	return l.String()
}

// origin appends H=, I=, U= and Ci= of the sender's side.
func (f Format) origin(l *Line, s *mail.Session) {
	if text := f.HostAndIdent(s); text != "" {
		l.Raw(" ").Raw(text)
	}
	if f.Selectors.Has(DNSSEC) && s.NameSecure && s.HostName != "" {
		l.Word("DS")
	}
	if f.Selectors.Has(ConnectionID) && s.ConnectionID != "" {
		l.Field("Ci", s.ConnectionID)
	}
}

// identity appends id=, T=, from and for.
func (f Format) identity(l *Line, r Reception) {
	m := r.Message
	if r.MessageID != "" {
		switch {
		case r.Created && f.Selectors.Has(MsgIDCreated):
			l.Field("id*", Printable(r.MessageID, f.TopBit))
		case !r.Created && f.Selectors.Has(MsgID):
			l.Field("id", Printable(r.MessageID, f.TopBit))
		}
	}
	if f.Selectors.Has(Subject) && r.HasSubject {
		l.Quoted("T", r.Subject, f.TopBit)
	}
	if r.NoEnvelope {
		return
	}
	if f.Selectors.Has(ReceivedSender) {
		l.Word("from <" + m.RawSender + ">")
	}
	if f.Selectors.Has(ReceivedRecipients) && len(m.Recipients) > 0 {
		l.Raw(" for")
		for _, rcpt := range m.Recipients {
			l.Word(cmp.Or(rcpt.Given, rcpt.Address))
		}
	}
}
