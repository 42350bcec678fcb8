// Package requiretls is the room of REQUIRETLS (RFC 8689): a message whose sender asks for it travels over verified TLS only, to
// servers that promise the same, or comes back.
//
// Trust: the MAIL parameter and EHLO replies are peers' words; the obligation is kept in our own spool.
package requiretls

import (
	"context"
	"io"
	"strings"

	"exigo/internal/acl"
	"exigo/internal/expand"
	"exigo/internal/feature"
	"exigo/internal/mail"
	"exigo/internal/option"
	"exigo/internal/smtpclient"
	"exigo/internal/smtpserver"
	"exigo/internal/spool"
	"exigo/internal/submit"
)

// settings are the room's options in the main section.
type settings struct{ advertise option.HostList }

// state of a message.
type state struct{ required bool }

func required(m *mail.Message) bool {
	s := mail.Peek[state](&m.Bag)
	return s != nil && s.required
}

// require puts the obligation on the message. The protocol of its arrival shows it, if it came by TLS: "esmtpS".
func require(m *mail.Message) {
	mail.State[state](&m.Bag).required = true
	m.Protocol = protocol(m.Protocol)
}

func protocol(name string) string { return strings.Replace(name, "smtps", "smtpS", 1) }

// phases are those in which control = requiretls may stand.
var phases = acl.Phases(acl.Mail, acl.Rcpt, acl.Predata, acl.MIME, acl.DKIM, acl.PRDR, acl.Data, acl.NotSMTPStart, acl.NotSMTP, acl.NotSMTPMIME)

// Feature is the room.
func Feature() *feature.Feature {
	return &feature.Feature{
		Name: "requiretls", Support: "REQUIRETLS", Doc: "Mail that is sent over verified TLS or not at all (RFC 8689).",
		Options: []option.Set{option.Table[settings]{Scope: "main", Rows: []option.Row[settings]{
			{Name: "tls_advertise_requiretls", Default: "*", Field: func(s *settings) any { return &s.advertise },
				Doc: "Hosts that are offered REQUIRETLS, once TLS is in use."},
		}}},
		Variables: []expand.Variable{{Name: "requiretls", Doc: "Whether the message must travel over TLS only: yes or no.", Get: variable}},
		Controls: []acl.Control{{Name: "requiretls", Phases: phases,
			Doc: "The message must travel over verified TLS only.", Apply: control}},
		Extensions: []*smtpserver.Extension{{
			Name: "REQUIRETLS", Order: smtpserver.OrderRoom, Doc: "RFC 8689", Offer: offer,
			Mail: []smtpserver.Parameter{{Name: "REQUIRETLS", Offered: offered, Set: set}},
			Protocol: func(s *smtpserver.Session, name string) string {
				if required(s.Message()) {
					return protocol(name)
				}
				return name
			},
		}},
		Outgoing: []*smtpclient.Extension{{Name: "REQUIRETLS", Doc: "RFC 8689", Check: check, Mail: parameter}},
		Fields: []spool.Field{{Name: "requiretls", Doc: "the message must travel over TLS only",
			Write: func(m *mail.Message) (string, bool) { return "", required(m) },
			Read:  func(m *mail.Message, _ string) error { mail.State[state](&m.Bag).required = true; return nil }}},
		Reception: []submit.Room{{Name: "requiretls", Check: headersOnly, Inherit: inherit}},
	}
}

func variable(s *expand.Scope) (expand.Value, error) {
	if s.Message != nil && required(s.Message) {
		return mail.Clean("yes"), nil
	}
	return mail.Clean("no"), nil
}

func control(r *acl.Run, _ string) acl.Verdict {
	if r.Scope.Message != nil {
		require(r.Scope.Message)
		r.Scope.Message.Ret = headers
	}
	return acl.OK
}

// inherit: what we say because of a message, above all that it was not delivered, is as secret as the message was (RFC 8689 section 5).
func inherit(m, parent *mail.Message) {
	if required(parent) {
		require(m)
		m.Ret = headers
	}
}

// headers is the RET of a message with the obligation: its body does not travel back (RFC 8689 section 5).
const headers = "HDRS"

// headersOnly takes care of RET once MAIL, which may give it too, is over.
func headersOnly(_ context.Context, _ *expand.Scope, m *mail.Message, _ *io.SectionReader) (acl.Phase, acl.Outcome) {
	if required(m) {
		m.Ret = headers
	}
	return acl.Data, acl.Outcome{}
}

// offered tells whether the client may ask: inside TLS only, and where tls_advertise_requiretls says so.
func offered(s *smtpserver.Session) bool {
	if s.World().Quirks.NoREQUIRETLS && !s.Config().IsSet("tls_advertise_requiretls") {
		return false
	}
	return s.Noun().TLS != nil && s.Matches(string(option.Of[settings](s.Config().Main).advertise))
}

func offer(s *smtpserver.Session) (string, bool) { return "REQUIRETLS", offered(s) }

func set(s *smtpserver.Session, value string, hasValue bool) *smtpserver.Refusal {
	if hasValue {
		return &smtpserver.Refusal{Code: 501, Text: "REQUIRETLS takes no value"}
	}
	require(s.Message())
	return nil
}

// check refuses a host over which the message may not go (RFC 8689 section 4.2.1).
func check(x *smtpclient.Exchange) *mail.Outcome {
	if !required(x.Message) || x.Conn.LMTP { // LMTP is delivery, not transmission
		return nil
	}
	text := ""
	switch {
	case x.TLS == nil:
		text = "REQUIRETLS needed but the connection is not encrypted"
	case !x.TLS.Verified:
		text = "REQUIRETLS needed but the server's certificate is not verified"
	case !x.Conn.Extensions.Has("REQUIRETLS"):
		text = "REQUIRETLS support is required from the server but it was not offered"
	default:
		return nil
	}
	return &mail.Outcome{Result: mail.Failed, Errno: mail.ErrnoTLSRequired, Message: text, Diagnosis: "550 5.7.30 REQUIRETLS support required", Status: "5.7.30"}
}

func parameter(x *smtpclient.Exchange) string {
	if required(x.Message) && !x.Conn.LMTP {
		return "REQUIRETLS"
	}
	return ""
}
