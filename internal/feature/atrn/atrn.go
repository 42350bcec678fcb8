// Package atrn is the room of ATRN, on-demand mail relay (RFC 2645): a customer whose address changes connects to its provider,
// authenticates, and asks for the mail of its domains; then the two change their parts, and the provider sends over that connection.
// The provider's side is the SMTP command; the customer's is the option -atrn of the command line.
//
// Trust: the client is authenticated and says which domains it wants; the ACL decides whether it gets them. What it answers after the
// turn is what any server may answer.
package atrn

import (
	"net/netip"
	"strings"

	"exigo/internal/acl"
	"exigo/internal/expand"
	"exigo/internal/feature"
	"exigo/internal/mail"
	"exigo/internal/option"
	"exigo/internal/smtpclient"
	"exigo/internal/smtpserver"
)

// settings are the room's options in the main section.
type settings struct{ acl option.Expanded }

// state of a message: which side of a turned connection it is on, "P" for the provider or "C" for the customer, and the other side's
// address or name. While the ACL runs, domains are those that it found mail for.
type state struct {
	mode, host string
	domains    []string
}

// word stands in log lines about refusals.
const word = "ATRN"

// Feature is the room.
func Feature() *feature.Feature {
	return &feature.Feature{
		Name: "atrn", Support: "ATRN", Doc: "Mail that a customer fetches by turning the connection around (RFC 2645).",
		Options: []option.Set{option.Table[settings]{Scope: "main", Rows: []option.Row[settings]{
			{Name: "acl_smtp_atrn", Field: func(s *settings) any { return &s.acl },
				Doc: "ACL for ATRN; clients for whom it expands to nothing are not offered the command."},
		}}},
		Variables: []expand.Variable{
			{Name: "atrn_host", Doc: "The other side while a connection is turned around: the customer's address, or the provider's name.",
				Get: func(s *expand.Scope) (expand.Value, error) { return mail.Clean(of(s).host), nil }},
			{Name: "atrn_mode", Doc: "P while mail goes to a customer by ATRN, C while the provider is sought.",
				Get: func(s *expand.Scope) (expand.Value, error) { return mail.Clean(of(s).mode), nil }},
		},
		Conditions: []acl.Condition{{Name: "atrn_domains", Phases: acl.Phases(acl.ETRN), Expand: true, Check: checkDomains,
			Doc: "A list of domains: true if mail for one of them is on the queue that the ACL named. It is what ATRN sends."}},
		Extensions: []*smtpserver.Extension{{
			Name: "ATRN", Order: smtpserver.OrderETRN + 5, Doc: "On-demand mail relay (RFC 2645).", Offer: offer,
			Commands: []smtpserver.Verb{{Name: "ATRN", Run: run, Sync: smtpserver.SyncAlways}},
		}},
	}
}

// of is the state of the scope's message; an empty one where there is none.
func of(s *expand.Scope) state {
	if s.Message != nil {
		if st := mail.Peek[state](&s.Message.Bag); st != nil {
			return *st
		}
	}
	return state{}
}

// Customer marks a message, which stands for none, as the one whose routing finds the provider ($atrn_mode is C).
func Customer(m *mail.Message, host string) {
	*mail.State[state](&m.Bag) = state{mode: "C", host: host}
}

func offer(s *smtpserver.Session) (string, bool) { return "ATRN", offered(s) }

// offered tells whether the ACL for ATRN is there for the client.
func offered(s *smtpserver.Session) bool {
	text := string(option.Of[settings](s.Config().Main).acl)
	if text == "" || s.Noun().Local || !s.Noun().Host.IsValid() {
		return false
	}
	scope := s.Scope()
	v, err := scope.Engine.Expand(scope, text)
	return err == nil && v.S != ""
}

// checkDomains is the condition atrn_domains.
func checkDomains(r *acl.Run, argument mail.Value) acl.Verdict {
	if r.Scope.Message == nil || r.Services.Queued == nil {
		return acl.Fail
	}
	domains := split(argument.S)
	found, err := r.Services.Queued(r.Ctx, r.Scope.Message.Queue, within(domains))
	switch {
	case err != nil:
		return r.Deferred("cannot look for messages: " + err.Error())
	case !found:
		return acl.Fail
	}
	mail.State[state](&r.Scope.Message.Bag).domains = domains
	return acl.OK
}

// split divides a list of domains, in lower case.
func split(list string) (domains []string) {
	_, items := expand.SplitList(list)
	for _, d := range items {
		if d != "" {
			domains = append(domains, strings.ToLower(d))
		}
	}
	return domains
}

// within makes the test whether an address is in one of the domains.
func within(domains []string) func(address string) bool {
	set := make(map[string]bool, len(domains))
	for _, d := range domains {
		set[d] = true
	}
	return func(address string) bool {
		return set[strings.ToLower(address[strings.LastIndexByte(address, '@')+1:])]
	}
}

// run obeys ATRN (RFC 2645 section 5.2.1).
func run(s *smtpserver.Session, argument string) {
	switch {
	case !offered(s):
		s.ProtocolError(502, "ATRN command used when not advertised")
		return
	case s.Noun().Authenticator == "":
		s.ProtocolError(530, "ATRN is not permitted without authentication")
		return
	case s.InTransaction():
		s.ProtocolError(503, "ATRN is not permitted inside a transaction")
		return
	}
	if s.LogsETRN() {
		s.Log("ATRN '" + argument + "' received from " + s.Who(false))
	}
	m := s.Message()
	mail.State[state](&m.Bag).domains = nil
	m.Queue = ""
	outcome := s.RunACL(s.Scope(), acl.ETRN, string(option.Of[settings](s.Config().Main).acl), nil)
	if outcome.Verdict != acl.OK {
		s.Refuse(word, "450", outcome, argument)
		return
	}
	domains := mail.State[state](&m.Bag).domains
	if len(domains) == 0 {
		s.Reply("453", "You have no mail")
		return
	}
	s.Reply("250", "ODMR provider turning line around")
	turn(s, domains, m.Queue)
}

// turn sends the mail of the domains over the client's connection, which ends with it.
func turn(s *smtpserver.Session, domains []string, queue string) {
	customer := s.Noun().Host
	line := smtpclient.Turn(s.Conn(), customer)
	line.TLS = s.Noun().TLS
	done := s.RunQueue(smtpserver.QueueRun{
		Kind: "ODMR", Words: "-qq -Rr @(" + strings.Join(domains, "|") + ")", Queue: queue, Only: within(domains),
		Begin: func(m *mail.Message) { provider(m, line, customer) }, Over: line.Lost})
	if !done { // a session that only tests goes on
		return
	}
	line.Finish(s.Context())
	s.End()
}

// provider prepares a message for the way to the customer.
func provider(m *mail.Message, line *smtpclient.Turned, customer netip.Addr) {
	*mail.State[state](&m.Bag) = state{mode: "P", host: customer.String()}
	mail.State[smtpclient.Line](&m.Bag).Turned = line
}

// Refused is the provider's answer to ATRN, other than that it turns the line around.
type Refused struct {
	Code int
	Text string
}

// Error implements error.
func (e *Refused) Error() string { return e.Text }

// Ask asks the provider for the mail of the domains, all that are the customer's if there are none, on a connection that is ready for MAIL. The
// provider is the client from there on; its first command waits for our greeting. The error is a *Refused or one of the connection.
func Ask(c *smtpclient.Conn, domains string) error {
	command := "ATRN"
	if domains = strings.Join(strings.FieldsFunc(domains, func(r rune) bool { return r == ' ' || r == ',' || r < ' ' }), ","); domains != "" {
		command += " " + domains
	}
	r, err := c.Command(command, 0)
	if err == nil && r.Code != 250 {
		err = &Refused{Code: r.Code, Text: smtpclient.ReplyText(r)}
	}
	return err
}
