// Package arc is the room of the Authenticated Received Chain (RFC 8617): the ACL condition "verify = arc", the variables that it sets, the verdict for
// Authentication-Results, and the smtp transport's option arc_sign, which seals messages.
//
// Trust: chains are the words of whoever sent the message; what they say of domains and selectors is tainted. The work for one message is bounded
// by proto/arc, its time here. A private key is read by the program's own user, and only from a path that nobody else chose.
package arc

import (
	"context"
	"errors"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"exigo/internal/acl"
	"exigo/internal/config"
	"exigo/internal/eventlog"
	"exigo/internal/expand"
	"exigo/internal/feature"
	"exigo/internal/mail"
	"exigo/internal/option"
	"exigo/internal/outside"
	"exigo/internal/proto/arc"
	"exigo/internal/proto/dkim"
	"exigo/internal/submit"
	"exigo/internal/transport"
)

// Feature is the room. It must stand behind that of DKIM, whose signatures a seal covers.
func Feature() *feature.Feature {
	s := &signer{}
	return &feature.Feature{
		Name: "arc", Support: "Experimental_ARC", Macros: []string{"_HAVE_ARC"},
		Doc: "Authenticated Received Chain: what those before us found out about a message that they changed.",
		Options: []option.Set{option.Table[settings]{Scope: "transport smtp", Rows: []option.Row[settings]{
			{Name: "arc_sign", Field: func(s *settings) any { return &s.sign },
				Doc: "Adds a set to the chain of the message: identifier of the domain, selector, private key, and options."},
		}}},
		Variables: []expand.Variable{
			variable("arc_state", "The status of the message's chain: none, pass or fail.", func(s *state) expand.Value { return mail.Clean(string(s.outcome.Result)) }),
			variable("arc_state_reason", "Why the chain has failed.", func(s *state) expand.Value { return mail.Taint(s.outcome.Reason) }),
			variable("arc_domains", "The domains that sealed the chain, oldest first.", func(s *state) expand.Value { return mail.Taint(s.domains()) }),
			{Name: "arc_oldest_pass", Doc: "The lowest instance number from which on the message did not change.", Get: oldest},
		},
		Verify: []acl.Verification{{Name: "arc", Phases: acl.Phases(acl.Data), Check: check,
			Doc: "Tests the status of the message's chain against a list."}},
		Verdicts:  []feature.Verifier{{Method: "arc", Ensure: func(ctx context.Context, s *expand.Scope) { ensure(ctx, s) }}},
		Reception: []submit.Room{{Name: "arc", Body: body}},
		Tags:      []eventlog.Tag{{Name: "ARC", Doc: "the message's chain passed", Place: eventlog.BeforeID, Received: tag}},
		Signers:   []*transport.Signer{{Name: "arc", Doc: "Adds a set to the chain of the message.", Wanted: wanted, Sign: s.sign}},
	}
}

// state is what is known of a message's chain.
type state struct {
	verifier *arc.Verifier
	done     bool
	outcome  arc.Outcome
}

// sessionState is what outlives a message: $arc_oldest_pass is that of the last chain on the connection.
type sessionState struct{ oldest int }

// domains is a list, in which colons of an element are doubled.
func (s *state) domains() string {
	list := make([]string, len(s.outcome.Domains))
	for i, d := range s.outcome.Domains {
		list[i] = strings.ReplaceAll(dkim.RemoveSpace(d), ":", "::")
	}
	return strings.Join(list, ":")
}

func variable(name, doc string, get func(*state) expand.Value) expand.Variable {
	return expand.Variable{Name: name, Doc: doc, Get: func(s *expand.Scope) (expand.Value, error) {
		if s.Message != nil {
			if st := mail.Peek[state](&s.Message.Bag); st != nil && st.done {
				return get(st), nil
			}
		}
		return expand.Value{}, nil
	}}
}

func oldest(s *expand.Scope) (expand.Value, error) {
	n := 0
	if s.Session != nil {
		if st := mail.Peek[sessionState](&s.Session.Bag); st != nil {
			n = st.oldest
		}
	}
	return mail.Clean(strconv.Itoa(n)), nil
}

func tag(m *mail.Message, _ eventlog.Set) string {
	if st := mail.Peek[state](&m.Bag); st != nil && st.outcome.Result == arc.Pass {
		return "ARC"
	}
	return ""
}

// fields are the message's header fields as it came.
func fields(m *mail.Message) []string {
	headers := m.AsArrived
	if headers == nil {
		headers = m.Headers
	}
	list := make([]string, 0, len(headers))
	for _, h := range headers {
		if h.Type != '*' {
			list = append(list, h.Text)
		}
	}
	return list
}

// body has the body of a message with a chain hashed as it comes in. Where no ACL can ask for the result, nothing is done.
func body(_ context.Context, s *expand.Scope, m *mail.Message) io.WriteCloser {
	if !m.Session.SMTP || option.Of[config.Main](s.Config.MainOptions()).ACLSMTPData == "" {
		return nil
	}
	list := fields(m)
	if !arc.HasChain(list) {
		return nil
	}
	st := mail.State[state](&m.Bag)
	if st.verifier = arc.NewVerifier(list, true); !st.verifier.NeedsBody() {
		return nil
	}
	return st.verifier
}

// timeLimit is how long the DNS may take for all keys of a chain.
const timeLimit = 30 * time.Second

// ensure validates the chain of the scope's message, once, and puts the verdict among those of the message.
func ensure(ctx context.Context, s *expand.Scope) *state {
	m := s.Message
	st := mail.State[state](&m.Bag)
	if st.done {
		return st
	}
	st.done = true
	if st.verifier == nil {
		st.verifier = arc.NewVerifier(fields(m), true)
		if err := readBody(st.verifier, m); err != nil {
			st.outcome = arc.Outcome{Result: arc.TempError, Reason: "message body cannot be read"}
		}
	}
	if st.outcome.Result == "" {
		ctx, cancel := context.WithTimeout(ctx, timeLimit)
		defer cancel()
		st.outcome = st.verifier.Verify(ctx, txt(s.World()), s.Engine.World.Clock.Now())
	}
	if st.outcome.Result != arc.None && s.Session != nil {
		mail.State[sessionState](&s.Session.Bag).oldest = st.outcome.OldestPass
	}
	st.verifier = nil
	m.Verdicts = append(m.Verdicts, st.verdict(s.Session))
	return st
}

// readBody reads the body from the spool, for messages that did not stream by.
func readBody(v *arc.Verifier, m *mail.Message) error {
	if !v.NeedsBody() {
		return nil
	}
	f, err := os.Open(m.DataPath)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err = f.Seek(m.DataOffset, io.SeekStart); err == nil {
		_, err = io.Copy(v, f)
	}
	v.Close()
	return err
}

// txt asks the world's DNS.
func txt(world *outside.World) dkim.TXT {
	return func(ctx context.Context, name string) ([]string, error) {
		texts, err := world.Texts(ctx, name)
		if errors.Is(err, outside.ErrNoData) {
			err = dkim.ErrNoRecord
		}
		return texts, err
	}
}

// verdict is the result for Authentication-Results, as Exim writes it.
func (st *state) verdict(c *mail.Session) mail.Verdict {
	o := &st.outcome
	v := mail.Verdict{Method: "arc", Result: string(o.Result)}
	if o.Result == arc.None {
		return v
	}
	v.Comment = "i=" + strconv.Itoa(o.Instances)
	if o.Reason != "" {
		v.Comment += ")(" + strings.NewReplacer("(", "- ", ")", "", `\`, "?").Replace(o.Reason)
	}
	if o.Selector != "" {
		v.Properties = append(v.Properties, mail.Property{Type: "header", Name: "s", Value: o.Selector})
	}
	v.Properties = append(v.Properties, mail.Property{Type: "arc", Name: "oldest-pass", Value: strconv.Itoa(o.OldestPass)})
	if c != nil && c.Host.IsValid() {
		v.Properties = append(v.Properties, mail.Property{Type: "smtp", Name: "remote-ip", Value: c.Host.Unmap().String()})
	}
	return v
}

// defaultList is what satisfies "verify = arc" without a list: no chain, or one that is whole.
const defaultList = "none:pass"

// check is "verify = arc/list". A chain of which nothing can be told now defers, unless the list has "temperror".
func check(r *acl.Run, options []string) acl.Verdict {
	if r.Scope.Message == nil {
		return acl.Fail
	}
	list := defaultList
	if len(options) > 0 {
		list = strings.Join(options, "/")
	}
	st := ensure(r.Ctx, r.Scope)
	if matches(list, string(st.outcome.Result)) {
		return acl.OK
	}
	if st.outcome.Result == arc.TempError {
		r.LogMessage = "ARC: " + st.outcome.Reason
		return acl.Defer
	}
	return acl.Fail
}

// matches goes through a list of results, of which an item may be negated, until one holds.
func matches(list, result string) bool {
	_, items := expand.SplitList(list)
	for _, item := range items {
		word, negated := strings.CutPrefix(strings.TrimSpace(item), "!")
		if word = strings.TrimSpace(word); word != "" && (word == "*" || strings.EqualFold(word, result)) != negated {
			return true
		}
	}
	return false
}
