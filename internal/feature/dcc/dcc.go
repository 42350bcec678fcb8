// Package dcc is the room of the Distributed Checksum Clearinghouses: the ACL condition dcc, which asks dccifd about a message once its data
// is there, and the variables and the header line that come of it.
//
// Trust: message and envelope are outsiders' and go to dccifd as they are; its answer is bounded by proto/dccifd, and what it gives as a
// header line is tainted.
package dcc

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"exigo/internal/acl"
	"exigo/internal/expand"
	"exigo/internal/feature"
	"exigo/internal/mail"
	"exigo/internal/option"
	"exigo/internal/proto/dccifd"
	"exigo/internal/scan"
	"exigo/internal/submit"
)

// settings are the room's options in the main section.
type settings struct {
	address, options string
	direct           bool
}

// Feature is the room.
func Feature() *feature.Feature {
	return &feature.Feature{
		Name: "dcc", Support: "Experimental_DCC", Macros: []string{"_HAVE_DCC"},
		Doc: "Distributed Checksum Clearinghouses: greylisting and refusing of bulk mail by dccifd.",
		Options: []option.Set{option.Table[settings]{Scope: "main", Rows: []option.Row[settings]{
			{Name: "dcc_direct_add_header", Field: func(s *settings) any { return &s.direct },
				Doc: "Adds the X-DCC header line at once, so that scanners that come later see it; otherwise when the ACL is over."},
			{Name: "dccifd_address", Field: func(s *settings) any { return &s.address }, Doc: "Where dccifd listens: a path, or an IP address and a port."},
			{Name: "dccifd_options", Default: "header", Field: func(s *settings) any { return &s.options },
				Doc: "The words that dccifd is told with each message, such as grey-off or log; header asks for the header line."},
		}}},
		Variables: []expand.Variable{
			variable("dcc_header", "The X-DCC header line that dccifd made.", func(s *state) expand.Value { return mail.Taint(s.header) }),
			variable("dcc_result", "What dccifd said of the message: A (accept), G (greylisted), R (reject) or T (temporary failure).",
				func(s *state) expand.Value { return mail.Clean(s.result) }),
		},
		Conditions: []acl.Condition{{Name: "dcc", Phases: acl.Phases(acl.PRDR, acl.Data, acl.NotSMTP), Expand: true, Check: check,
			Doc: "Asks dccifd about the message: true for A and S, false for R and G, deferred for T and problems, which /defer_ok makes false."}},
	}
}

// state is what dccifd said about a message.
type state struct {
	// asked says that it was asked and answered; a problem is no answer.
	asked          bool
	result, header string
}

func variable(name, doc string, get func(*state) expand.Value) expand.Variable {
	return expand.Variable{Name: name, Doc: doc, Get: func(s *expand.Scope) (expand.Value, error) {
		if s.Message != nil {
			if st := mail.Peek[state](&s.Message.Bag); st != nil {
				return get(st), nil
			}
		}
		return expand.Value{}, nil
	}}
}

// timeLimit is how long dccifd may take for a message: it asks servers over the network, several of them one after another.
const timeLimit = 2 * time.Minute

// check is the condition. As with spam, nothing is asked for an argument that says no.
func check(r *acl.Run, argument mail.Value) acl.Verdict {
	items := strings.Split(argument.S, "/")
	deferOK := false
	for _, word := range items[1:] {
		deferOK = deferOK || strings.EqualFold(strings.TrimSpace(word), "defer_ok")
	}
	switch who := strings.TrimSpace(items[0]); {
	case r.Scope.Message == nil, who == "", who == "0", strings.EqualFold(who, "false"):
		return acl.Fail
	}
	st := mail.State[state](&r.Scope.Message.Bag)
	if !st.asked {
		if problem := st.ask(r); problem != "" {
			problem = "dcc acl condition: " + problem
			if r.Services.Log != nil {
				r.Services.Log(r.Scope, acl.LogMain|acl.LogPanic, problem)
			}
			if deferOK {
				return acl.Fail
			}
			return r.Deferred(problem)
		}
	}
	switch st.result {
	case "A":
		return acl.OK
	case "R", "G":
		return acl.Fail
	}
	if deferOK {
		return acl.Fail
	}
	return r.Deferred("dcc acl condition: dccifd reports a temporary failure")
}

// ask asks dccifd and keeps what it says; otherwise it returns what the problem was.
func (st *state) ask(r *acl.Run) (problem string) {
	options := option.Of[settings](r.Scope.Config.MainOptions())
	network, address, ok := parseAddress(options.address)
	if !ok {
		if options.address == "" {
			return "dccifd_address is not set"
		}
		return "dccifd_address is neither a path nor an IP address and a port: " + options.address
	}
	m := r.Scope.Message
	body, err := submit.Body(m)
	if err != nil {
		return "cannot read the message: " + err.Error()
	}
	ctx, cancel := context.WithTimeout(r.Ctx, timeLimit)
	defer cancel()
	c, err := r.Scope.Engine.World.Dial.Dial(ctx, network, netip.Addr{}, address)
	if err != nil {
		return "cannot connect to dccifd at " + options.address + ": " + cause(err)
	}
	defer c.Close()
	answer, err := dccifd.Ask(ctx, c, request(m, options.options), io.MultiReader(strings.NewReader(headerSection(m)), body))
	switch {
	case errors.Is(err, dccifd.ErrProtocol):
		answer = dccifd.Answer{Result: dccifd.Trouble}
	case err != nil:
		return "no answer from dccifd at " + options.address + ": " + cause(err)
	}
	st.keep(m, answer, options.direct)
	return ""
}

// cause is an error of the network without addresses that the reader knows.
func cause(err error) string {
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	return err.Error()
}

// parseAddress reads dccifd_address.
func parseAddress(text string) (network, address string, ok bool) {
	if strings.HasPrefix(text, "/") {
		return "unix", text, true
	}
	fields := strings.Fields(text)
	if len(fields) != 2 {
		return "", "", false
	}
	ip, err := netip.ParseAddr(strings.Trim(fields[0], "[]"))
	port, portErr := strconv.ParseUint(fields[1], 10, 16)
	if err != nil || portErr != nil || port == 0 {
		return "", "", false
	}
	return "tcp", netip.AddrPortFrom(ip, uint16(port)).String(), true
}

// request is what dccifd is told about the message.
func request(m *mail.Message, options string) *dccifd.Request {
	q := &dccifd.Request{Options: options, Client: "127.0.0.1", HELO: m.Session.HELO, Sender: m.Sender}
	if m.Session.Host.IsValid() {
		q.Client, q.Name = m.Session.Host.Unmap().String(), m.Session.HostName
	}
	if other, err := netip.ParseAddr(strings.TrimSpace(m.Vars["_dcc_override_client_ip"].S)); err == nil {
		q.Client, q.Name = other.String(), ""
	}
	q.Recipients = make([]dccifd.Recipient, len(m.Recipients))
	for i, rcpt := range m.Recipients {
		q.Recipients[i].Address = rcpt.Address
	}
	return q
}

// headerSection is the header section as it stands, with the empty line.
func headerSection(m *mail.Message) string {
	var b strings.Builder
	for _, h := range m.Headers {
		if h.Type != '*' {
			b.WriteString(h.Text)
		}
	}
	b.WriteByte('\n')
	return b.String()
}

// keep notes the answer and adds the header line, and what $acl_m_dcc_add_header holds.
func (st *state) keep(m *mail.Message, a dccifd.Answer, direct bool) {
	st.asked, st.result, st.header = true, string(a.Result), a.Header
	if a.Result == dccifd.Some {
		st.result = string(dccifd.Accept) // what becomes of the message is one thing for all recipients
	}
	to := acl.PendingHeaders(m)
	if direct {
		to = &acl.Pending{}
	}
	if field := firstField(a.Header); len(field) > 5 && strings.EqualFold(field[:5], "X-DCC") { // other options bring other text
		to.Add(field)
	}
	to.Add(m.Vars["_dcc_add_header"].S)
	if direct {
		to.Apply(m, nil)
		scan.HeaderChanged(m)
	}
}

// firstField is the first header field of a text, folding included.
func firstField(text string) string {
	for i := 0; i < len(text); i++ {
		if text[i] == '\n' && (i+1 == len(text) || text[i+1] != ' ' && text[i+1] != '\t') {
			return text[:i]
		}
	}
	return text
}
