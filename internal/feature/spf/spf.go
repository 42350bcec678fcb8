// Package spf is the room of the Sender Policy Framework (spec 58.4): the ACL conditions spf and spf_guess, the variables that they set,
// the lookup type spf, and the verdict for Authentication-Results.
//
// Trust: the client chooses sender and HELO name, and so whose policy is evaluated; explanations and comments are those people's words
// and tainted. The number of questions to the DNS is bounded by proto/spf, their time here.
package spf

import (
	"context"
	"errors"
	"net/netip"
	"sort"
	"strings"
	"time"

	"exigo/internal/acl"
	"exigo/internal/eventlog"
	"exigo/internal/expand"
	"exigo/internal/feature"
	"exigo/internal/lookup"
	"exigo/internal/mail"
	"exigo/internal/option"
	"exigo/internal/outside"
	"exigo/internal/proto/spf"
)

// settings are the room's options in the main section.
type settings struct {
	guess    string
	template option.Expanded
}

const defaultTemplate = "Please%_see%_http://www.open-spf.org/Why"

// phases are those in which there is a sender.
var phases = acl.AllPhases &^ acl.Phases(acl.Connect, acl.HELO, acl.StartTLS, acl.Auth, acl.MailAuth, acl.ETRN, acl.EXPN, acl.VRFY,
	acl.NotSMTPStart, acl.NotSMTP)

// Feature is the room.
func Feature() *feature.Feature {
	return &feature.Feature{
		Name: "spf", Support: "SPF", Doc: "Sender Policy Framework: may the client use the sender's domain?",
		Options: []option.Set{option.Table[settings]{Scope: "main", Rows: []option.Row[settings]{
			{Name: "spf_guess", Default: spf.DefaultGuess, Field: func(s *settings) any { return &s.guess },
				Doc: "The SPF record that the spf_guess condition takes for domains that publish none."},
			{Name: "spf_smtp_comment_template", Default: defaultTemplate, Field: func(s *settings) any { return &s.template },
				Doc: "What $spf_smtp_comment says where the domain gives no explanation; SPF macros are expanded in it."},
		}}},
		Variables: []expand.Variable{
			variable("spf_header_comment", "The outcome of the SPF check for people.", func(s *state) expand.Value { return mail.Taint(s.comment) }),
			variable("spf_received", "A Received-SPF: header line about the check.", func(s *state) expand.Value { return mail.Taint(s.received) }),
			variable("spf_result", "The result of the SPF check.", func(s *state) expand.Value { return mail.Clean(string(s.outcome.Result)) }),
			{Name: "spf_result_guessed", Doc: "Whether the result is a guess, as the domain publishes no record: yes or no.", Get: guessed},
			variable("spf_smtp_comment", "The outcome of the SPF check for the client.", func(s *state) expand.Value { return mail.Taint(s.reply) }),
		},
		Lookups: []*lookup.Driver{{Name: "spf", Kind: lookup.SingleKey, Find: find,
			Doc: "Checks whether the host whose address is given in place of the file may use the address that is the key."}},
		Verdicts: []feature.Verifier{{Method: "spf", Ensure: ensure}},
		Tags:     []eventlog.Tag{{Name: "SPF", Doc: "the result of the SPF check", Place: eventlog.BeforeID, Received: tag}},
		Conditions: []acl.Condition{
			{Name: "spf", Phases: phases, Expand: true, Doc: "Tests the result of the SPF check against a list.",
				Check: func(r *acl.Run, a mail.Value) acl.Verdict { return test(r, a, false) }},
			{Name: "spf_guess", Phases: phases, Expand: true, Doc: "As spf; for domains that publish no record, spf_guess is evaluated.",
				Check: func(r *acl.Run, a mail.Value) acl.Verdict { return test(r, a, true) }},
		},
	}
}

// state is what the conditions found for a message.
type state struct {
	// query is what was checked, outcome the result, guess that spf_guess was evaluated for it.
	query                    spf.Query
	done, guess              bool
	outcome                  spf.Outcome
	comment, received, reply string
}

func variable(name, doc string, get func(*state) expand.Value) expand.Variable {
	return expand.Variable{Name: name, Doc: doc, Get: func(s *expand.Scope) (expand.Value, error) {
		if s.Message == nil {
			return expand.Value{}, nil
		}
		if st := mail.Peek[state](&s.Message.Bag); st != nil && st.done {
			return get(st), nil
		}
		return expand.Value{}, nil
	}}
}

func guessed(s *expand.Scope) (expand.Value, error) {
	if s.Message != nil {
		if st := mail.Peek[state](&s.Message.Bag); st != nil && st.guess {
			return mail.Clean("yes"), nil
		}
	}
	return mail.Clean("no"), nil
}

// test checks the message's sender, if that was not done, and tests the result against the list.
func test(r *acl.Run, argument mail.Value, guess bool) acl.Verdict {
	if r.Scope.Message == nil || r.Scope.Session == nil {
		return acl.Fail
	}
	st := mail.State[state](&r.Scope.Message.Bag)
	st.check(r.Ctx, r.Scope, guess)
	if matches(argument.S, st.outcome.Result) {
		return acl.OK
	}
	return acl.Fail
}

// ensure checks the message's sender where no condition did. What spf_guess found stays: its verdict says that it is a guess.
func ensure(ctx context.Context, s *expand.Scope) {
	if s.Message == nil || s.Session == nil {
		return
	}
	if st := mail.State[state](&s.Message.Bag); !st.done {
		st.check(ctx, s, false)
	}
}

// tag is the result on the line of the reception, with the selectors spf and spf_verbose.
func tag(m *mail.Message, on eventlog.Set) string {
	st := mail.Peek[state](&m.Bag)
	if st == nil || !st.done || !on.Has(eventlog.SPF) && !on.Has(eventlog.SPFVerbose) {
		return ""
	}
	if st.guess {
		return "SPF-guess=" + string(st.outcome.Result)
	}
	return "SPF=" + string(st.outcome.Result)
}

// deprecated are older words for results.
func deprecated(word string) spf.Result {
	switch word {
	case "err_perm":
		return spf.PermError
	case "err_temp":
		return spf.TempError
	}
	return spf.Result(word)
}

// matches goes through a list of results, of which an item may be negated, until one holds.
func matches(list string, result spf.Result) bool {
	_, items := expand.SplitList(list)
	for _, item := range items {
		word, negated := strings.CutPrefix(strings.TrimSpace(item), "!")
		if word = strings.TrimSpace(word); word != "" && (word == "*" || deprecated(word) == result) != negated {
			return true
		}
	}
	return false
}

// check evaluates the policy for the scope's session and message, once for the same sender, HELO name and host.
func (st *state) check(ctx context.Context, s *expand.Scope, guess bool) {
	options := option.Of[settings](s.Config.MainOptions())
	q := spf.Query{IP: s.Session.Host, HELO: s.Session.HELO, Sender: s.Message.Sender, Receiver: receiver(s), Now: s.Engine.World.Clock.Now()}
	same := st.done && st.query.IP == q.IP && st.query.HELO == q.HELO && st.query.Sender == q.Sender
	if !same || st.guess && !guess {
		*st = state{query: q, done: true, outcome: evaluate(ctx, s.World(), q)}
		st.word(ctx, s, options)
	}
	if guess && !st.guess && st.outcome.Result == spf.None && q.IP.IsValid() {
		q.Record = options.guess
		st.guess, st.outcome = true, evaluate(ctx, s.World(), q)
		st.word(ctx, s, options)
	}
	s.Message.Verdicts = verdicts(s.Message.Verdicts, st)
}

// receiver is the name of this host, for %{r} and comments.
func receiver(s *expand.Scope) string {
	if name := s.ExtraValue("smtp_active_hostname").S; name != "" {
		return name
	}
	return s.Settings().PrimaryHostname
}

// timeLimit is how long a check may take (RFC 7208 section 4.6.4: at least 20 seconds).
const timeLimit = time.Minute

// evaluate runs a check. The own host may always send.
func evaluate(ctx context.Context, world *outside.World, q spf.Query) spf.Outcome {
	ctx, cancel := context.WithTimeout(ctx, timeLimit)
	defer cancel()
	if q.IP.Unmap().IsLoopback() {
		q.Record = "v=spf1 all"
		out := spf.Check(ctx, resolver(world), q)
		out.Result = spf.Pass // even where there is no domain
		return out
	}
	return spf.Check(ctx, resolver(world), q)
}

// resolver asks the world's DNS.
func resolver(world *outside.World) spf.Resolver {
	return func(ctx context.Context, name string, kind spf.Type) ([]string, error) {
		a, err := world.DNS.Lookup(ctx, outside.Question{Name: name, Type: outside.RRType(kind)})
		if errors.Is(err, outside.ErrNoHost) || errors.Is(err, outside.ErrNoData) {
			return nil, spf.ErrVoid
		}
		if err != nil {
			return nil, err
		}
		records := append([]outside.Record(nil), a.Records...)
		if kind == spf.MX {
			sort.SliceStable(records, func(i, j int) bool { return records[i].Preference < records[j].Preference })
		}
		data := make([]string, 0, len(records))
		for _, r := range records {
			data = append(data, r.Data)
		}
		return data, nil
	}
}

// find is the lookup: the key is the sender's address, the file the client's.
func find(ctx context.Context, r *lookup.Request) (lookup.Result, bool, error) {
	ip, err := netip.ParseAddr(r.File)
	if err != nil {
		return lookup.Result{}, false, nil
	}
	out := evaluate(ctx, r.World, spf.Query{IP: ip, Sender: r.Key, Now: r.World.Clock.Now()})
	return lookup.Result{Data: string(out.Result), NoCache: out.Result == spf.TempError}, true, nil
}
