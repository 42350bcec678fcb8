// Package prdr is the room of per-recipient data responses (draft-hall-prdr-00): after the data of a message the server says for each
// recipient whether it takes the message for him.
//
// Trust: the MAIL parameter, and the replies of servers to our messages, are peers' words. A recipient counts as delivered only after a positive
// reply of his own and one for the message.
package prdr

import (
	"context"
	"io"

	"exigo/internal/acl"
	"exigo/internal/config"
	"exigo/internal/eventlog"
	"exigo/internal/expand"
	"exigo/internal/feature"
	"exigo/internal/mail"
	"exigo/internal/option"
	"exigo/internal/proto/smtp"
	"exigo/internal/smtpclient"
	"exigo/internal/smtpserver"
	"exigo/internal/submit"
)

// settings are the room's options in the main section, clientSettings those of the smtp transport.
type (
	settings       struct{ enable bool }
	clientSettings struct{ try option.HostList }
)

// state of a message that comes in.
type state struct {
	session *smtpserver.Session
	// requested: the client asked for it; used: there were recipients enough, and it got its responses.
	requested, used bool
	// some: not all recipients were accepted.
	some bool
}

// Feature is the room. It must stand behind rooms that check messages before the ACL for DATA.
func Feature() *feature.Feature {
	return &feature.Feature{
		Name: "prdr", Support: "PRDR", Doc: "Per-recipient data responses.",
		Options: []option.Set{
			option.Table[settings]{Scope: "main", Rows: []option.Row[settings]{
				{Name: "prdr_enable", Default: "false", Field: func(s *settings) any { return &s.enable }, Doc: "Offer PRDR to clients."},
			}},
			option.Table[clientSettings]{Scope: "transport smtp", Rows: []option.Row[clientSettings]{
				{Name: "hosts_try_prdr", Default: "*", Field: func(s *clientSettings) any { return &s.try },
					Doc: "Hosts that are asked for a response for each recipient, if they offer it and there are several."},
			}},
		},
		Variables: []expand.Variable{{Name: "prdr_requested", Doc: "Whether the client asked for PRDR: yes or no.", Get: requested}},
		Extensions: []*smtpserver.Extension{{
			Name: "PRDR", Order: smtpserver.OrderPRDR, Doc: "Per-recipient data responses (draft-hall-prdr-00).",
			Offer: func(s *smtpserver.Session) (string, bool) { return "PRDR", enabled(s) },
			Mail:  []smtpserver.Parameter{{Name: "PRDR", Set: set}},
		}},
		Outgoing:  []*smtpclient.Extension{{Name: "PRDR", Doc: "draft-hall-prdr-00", Mail: parameter, Responses: responses}},
		Reception: []submit.Room{{Name: "prdr", Check: check, Reply: reply}},
		Tags:      []eventlog.Tag{{Name: "PRDR", Doc: "the message had a response for each recipient", Place: eventlog.AfterHost, Received: tag}},
	}
}

func enabled(s *smtpserver.Session) bool { return option.Of[settings](s.Config().Main).enable }

// set obeys MAIL's parameter. As with Exim it is known, and means nothing, where PRDR is not offered.
func set(s *smtpserver.Session, _ string, _ bool) *smtpserver.Refusal {
	st := mail.State[state](&s.Message().Bag)
	if enabled(s) && !st.requested {
		st.session, st.requested = s, true
		s.NoteMail(", PRDR Requested")
	}
	return nil
}

func requested(s *expand.Scope) (expand.Value, error) {
	if s.Message != nil {
		if st := mail.Peek[state](&s.Message.Bag); st != nil && st.requested {
			return mail.Clean("yes"), nil
		}
	}
	return mail.Clean("no"), nil
}

func tag(m *mail.Message, _ eventlog.Set) string {
	if st := mail.Peek[state](&m.Bag); st != nil && st.used {
		return "PRDR"
	}
	return ""
}

func reply(m *mail.Message, reply string) string {
	st := mail.Peek[state](&m.Bag)
	if st == nil || !st.used {
		return reply
	}
	text := "250 id=" + m.ID + " message accepted"
	if st.some {
		text += " for some recipients"
	}
	return text
}

// tally counts what became of the recipients.
type tally struct{ accepted, discarded, deferred, refused int }

// check gives the client a response for each recipient, as the ACL says, and drops those that it refuses. A single recipient has no response of
// his own.
func check(ctx context.Context, s *expand.Scope, m *mail.Message, _ *io.SectionReader) (acl.Phase, acl.Outcome) {
	st := mail.Peek[state](&m.Bag)
	if st == nil || !st.requested {
		return acl.PRDR, acl.Outcome{}
	}
	if len(m.Recipients) < 2 {
		st.requested = false
		return acl.PRDR, acl.Outcome{}
	}
	st.used = true
	st.session.Reply("353", "PRDR content analysis beginning")
	st.session.Flush()
	var n tally
	text := string(option.Of[config.Main](st.session.Config().Main).ACLSMTPDataPRDR)
	discards := st.session.Discards()
	all := m.Recipients
	m.Recipients = append([]mail.Recipient(nil), all...)
	for i := range all {
		for len(discards) > 0 && discards[0].Before <= i {
			st.respond(m, discards[0].Address, acl.Outcome{})
			discards = discards[1:]
		}
		outcome := st.session.RunACL(s, acl.PRDR, text, &all[i])
		st.respond(m, all[i].Address, outcome)
		if n.count(outcome.Verdict) {
			continue
		}
		at := len(m.Recipients) - (len(all) - i)
		m.Recipients = append(m.Recipients[:at], m.Recipients[at+1:]...)
	}
	for _, d := range discards {
		st.respond(m, d.Address, acl.Outcome{})
	}
	st.some = n.accepted < len(all)
	return acl.PRDR, n.outcome(m.ID)
}

// count counts a verdict and tells whether the recipient stays.
func (n *tally) count(v acl.Verdict) bool {
	switch v {
	case acl.OK:
		n.accepted++
	case acl.Discard:
		n.discarded++
	case acl.Defer, acl.Error:
		n.deferred++
	default:
		n.refused++
	}
	return v == acl.OK
}

// outcome is what becomes of the message as a whole. The lines about the recipients are in the log already.
func (n *tally) outcome(id string) acl.Outcome {
	switch {
	case n.accepted > 0:
		return acl.Outcome{}
	case n.discarded > 0:
		return acl.Outcome{Verdict: acl.Discard}
	case n.deferred > 0:
		return acl.Outcome{Verdict: acl.Defer, UserMessage: "450 id=" + id + " message temporarily rejected for all recipients"}
	}
	return acl.Outcome{Verdict: acl.Fail, UserMessage: "550 id=" + id + " message rejected for all recipients"}
}

// respond gives the response for a recipient, in the ACL's words if it has some, and logs it.
func (st *state) respond(m *mail.Message, address string, o acl.Outcome) {
	code, what := "250", "acceptance"
	switch o.Verdict {
	case acl.OK, acl.Discard:
	case acl.Defer, acl.Error:
		code, what = "450", "temporary refusal"
	default:
		code, what = "550", "refusal"
	}
	line := "PRDR R=<" + address + "> " + what
	text := line
	if o.UserMessage != "" && o.Verdict != acl.Error {
		code, text = st.session.SplitCode(code, o.UserMessage)
	}
	st.session.Reply(code, text)
	st.session.Flush()
	if o.LogMessage != "" {
		line = "PRDR " + address + " " + o.LogMessage
	}
	st.session.LogMessage(m, line)
}

// asked remembers that the parameter went out with MAIL.
type asked struct{ asked bool }

// parameter asks for responses when there are several recipients.
func parameter(x *smtpclient.Exchange) string {
	if len(x.Addresses) < 2 || x.Conn.LMTP || !x.Conn.Extensions.Has("PRDR") || !x.Matches(string(option.Of[clientSettings](x.Options).try)) {
		return ""
	}
	mail.State[asked](&x.Bag).asked = true
	return "PRDR"
}

// responses tells whether the server makes use of what was asked for.
func responses(x *smtpclient.Exchange, first smtp.Reply) bool {
	s := mail.Peek[asked](&x.Bag)
	return s != nil && s.asked && first.Code == 353
}
