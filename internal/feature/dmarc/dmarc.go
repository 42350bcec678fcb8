// Package dmarc is the room of Domain-based Message Authentication, Reporting and Conformance (spec 58.6): the ACL condition dmarc_status and
// its variables, the history file that opendmarc-import and exigo dmarc-report read, failure reports, and the verdict for
// Authentication-Results.
//
// Trust: the From: field and the records that it leads to are whoever's; variables with domains from there are tainted. What the DNS is asked is
// bounded by proto/dmarc, its time here. A failure report goes only where the control allows it and the destination wants it, and not often.
package dmarc

import (
	"context"
	"strings"
	"time"

	"exigo/internal/acl"
	"exigo/internal/eventlog"
	"exigo/internal/expand"
	"exigo/internal/feature"
	"exigo/internal/mail"
	"exigo/internal/option"
	"exigo/internal/proto/dmarc"
	"exigo/internal/submit"
)

// settings are the room's options in the main section.
type settings struct {
	suffixFile, historyFile string
	forensicSender          option.Expanded
	treeWalk                bool
}

// builtIn is the value of dmarc_tld_file that stands for the list that the program was built with.
const builtIn = "built-in"

// room is what the messages of one program share.
type room struct {
	suffixes suffixCache
	reports  limiter
}

// statePhases are those of a message before its data: where the controls may stand.
var statePhases = acl.AllPhases &^ acl.Phases(acl.PRDR, acl.Data, acl.DKIM, acl.MIME, acl.Quit, acl.NotQuit, acl.NotSMTP, acl.NotSMTPStart)

// Feature is the room.
func Feature() *feature.Feature {
	r := &room{}
	return &feature.Feature{
		Name: "dmarc", Support: "DMARC", Needs: []string{"spf", "dkim"}, Doc: "DMARC: does the author's domain stand for the message?",
		Options: []option.Set{option.Table[settings]{Scope: "main", Rows: []option.Row[settings]{
			{Name: "dmarc_forensic_sender", Field: func(s *settings) any { return &s.forensicSender }, Doc: "The From: text, and envelope sender, of failure reports; else dsn_from, and no sender."},
			{Name: "dmarc_history_file", Field: func(s *settings) any { return &s.historyFile }, Doc: "File to which results are added, for opendmarc-import and exigo dmarc-report."},
			{Name: "dmarc_tld_file", Default: builtIn, Field: func(s *settings) any { return &s.suffixFile },
				Doc: "The list of public suffixes from publicsuffix.org; built-in: the one the program was built with. Set to nothing, it turns DMARC off."},
			{Name: "dmarc_tree_walk", Default: "false", Field: func(s *settings) any { return &s.treeWalk }, Doc: "Find records and organizational domains by the tree walk of RFC 9989 in place of the list."},
		}}},
		Variables: variables(),
		Conditions: []acl.Condition{{Name: "dmarc_status", Phases: acl.Phases(acl.Data), Expand: true, Check: r.test,
			Doc: "Tests what DMARC recommends for the message against a list."}},
		Controls: []acl.Control{
			{Name: "dmarc_enable_forensic", Phases: statePhases, Apply: enableForensic, Doc: "Allows failure reports about the message."},
			{Name: "dmarc_forensic_enable", Phases: statePhases, Apply: enableForensic, Doc: "An older name of dmarc_enable_forensic."},
		},
		Reception: []submit.Room{{Name: "dmarc", Ended: ended}},
		Tags:      []eventlog.Tag{{Name: "DMARC", Doc: "what DMARC recommends", Place: eventlog.BeforeID, Received: tag}},
	}
}

func enableForensic(r *acl.Run, _ string) acl.Verdict {
	if r.Scope.Message != nil {
		r.Scope.Message.Controls.DMARCForensic = true
	}
	return acl.OK
}

// state is what the condition found for a message.
type state struct {
	done         bool
	status, text string
	outcome      dmarc.Outcome
	// query is what the outcome answers; recorded says that the history is to tell of it, treeWalk how organizations were found.
	query              dmarc.Query
	recorded, treeWalk bool
}

// variables are those of the state.
func variables() []expand.Variable {
	variable := func(name, doc string, get func(s *expand.Scope, st *state) expand.Value) expand.Variable {
		return expand.Variable{Name: name, Doc: doc, Get: func(s *expand.Scope) (expand.Value, error) {
			if s.Message == nil {
				return expand.Value{}, nil
			}
			if st := mail.Peek[state](&s.Message.Bag); st != nil && st.done {
				return get(s, st), nil
			}
			return expand.Value{}, nil
		}}
	}
	used := func(_ *expand.Scope, st *state) expand.Value {
		if st.outcome.PolicyDomain != "" {
			return mail.Taint(st.outcome.PolicyDomain)
		}
		return mail.Taint(st.outcome.Domain)
	}
	return []expand.Variable{
		variable("dmarc_alignment_dkim", "Whether a good DKIM signature is aligned with the author's domain: yes or no.",
			func(_ *expand.Scope, st *state) expand.Value { return yesNo(st, st.outcome.DKIMAligned) }),
		variable("dmarc_alignment_spf", "Whether an SPF pass is aligned with the author's domain: yes or no.",
			func(_ *expand.Scope, st *state) expand.Value { return yesNo(st, st.outcome.SPFAligned) }),
		variable("dmarc_ar_header", "An Authentication-Results: header line with the result of DMARC alone; ${authresults} has them all.", resultsHeader),
		variable("dmarc_domain_policy", "The policy that the domain declares for such mail: none, quarantine or reject.",
			func(_ *expand.Scope, st *state) expand.Value { return mail.Clean(string(st.outcome.Policy)) }),
		variable("dmarc_status", "What DMARC recommends: a word that the condition dmarc_status knows.",
			func(_ *expand.Scope, st *state) expand.Value { return mail.Clean(st.status) }),
		variable("dmarc_status_text", "What DMARC recommends, for people.", func(_ *expand.Scope, st *state) expand.Value { return mail.Clean(st.text) }),
		variable("dmarc_used_domain", "The domain whose record was used.", used),
		variable("dmarc_used_domains", "As $dmarc_used_domain.", used),
	}
}

func yesNo(st *state, yes bool) expand.Value {
	switch {
	case st.status == "off":
		return expand.Value{}
	case yes:
		return mail.Clean("yes")
	}
	return mail.Clean("no")
}

func resultsHeader(s *expand.Scope, st *state) expand.Value {
	v := st.verdict()
	if v == nil {
		return expand.Value{}
	}
	text := "Authentication-Results: " + s.Settings().PrimaryHostname + "; dmarc=" + v.Result
	for _, p := range v.Properties {
		text += " " + p.Type + "." + p.Name + "=" + p.Value
	}
	return mail.Taint(text)
}

// tag is the status on the line of the reception, with the selectors dmarc and dmarc_verbose.
func tag(m *mail.Message, on eventlog.Set) string {
	st := mail.Peek[state](&m.Bag)
	if st == nil || !st.done || st.status == "off" || !on.Has(eventlog.DMARC) && !on.Has(eventlog.DMARCVerbose) {
		return ""
	}
	return "DMARC=" + st.status
}

// test evaluates the message, if that was not done, and tests the status against the list.
func (r *room) test(run *acl.Run, argument mail.Value) acl.Verdict {
	if run.Scope.Message == nil || run.Scope.Session == nil {
		return acl.Fail
	}
	st := mail.State[state](&run.Scope.Message.Bag)
	if !st.done {
		r.evaluate(run, st)
	}
	if matches(argument.S, st.status) {
		return acl.OK
	}
	return acl.Fail
}

// matches goes through a list of words, of which an item may be negated, until one holds.
func matches(list, status string) bool {
	_, items := expand.SplitList(list)
	for _, item := range items {
		word, negated := strings.CutPrefix(strings.TrimSpace(item), "!")
		if word = strings.TrimSpace(word); word != "" && (word == "*" || word == status) != negated {
			return true
		}
	}
	return false
}

// timeLimit is how long an evaluation may take.
const timeLimit = time.Minute

// evaluate evaluates the message, and has everything done that follows from it.
func (r *room) evaluate(run *acl.Run, st *state) {
	s := run.Scope
	m, session := s.Message, s.Session
	options := option.Of[settings](s.Config.MainOptions())
	st.done = true
	if m.Controls.DMARCDisable || options.suffixFile == "" && !options.treeWalk || !session.Host.IsValid() || session.Authenticator != "" {
		st.status, st.text = "off", "Verification is off"
		return
	}
	ctx, cancel := context.WithTimeout(run.Ctx, timeLimit)
	defer cancel()
	if run.Services.EnsureVerdict != nil {
		run.Services.EnsureVerdict(ctx, s, "spf")
	}
	q := query(m)
	q.Sample = func() int { return s.Engine.World.Random.Intn(100) }
	if !options.treeWalk {
		var err error
		if q.Suffixes, err = r.suffixes.get(options.suffixFile); err != nil {
			s.Panic("DMARC failure to load tld list %s: %v", options.suffixFile, err)
			st.outcome = dmarc.Outcome{Result: dmarc.TempError}
		}
	}
	if st.outcome.Result == "" {
		st.outcome = dmarc.Evaluate(ctx, Resolver(s.Engine.World), q)
	}
	st.word()
	if v := st.verdict(); v != nil {
		m.Verdicts = append(m.Verdicts, *v)
	}
	if s.Engine.World != nil && !pretended(s) {
		st.recorded, st.query, st.treeWalk = true, q, options.treeWalk
		r.report(ctx, run, st, options, q)
	}
}

// query collects what the other methods found.
func query(m *mail.Message) (q dmarc.Query) {
	for _, h := range m.Headers {
		if h.Type != '*' && h.Is("from") {
			q.From = append(q.From, h.Value())
		}
	}
	for _, v := range m.Verdicts {
		switch v.Method {
		case "spf":
			q.SPF = dmarc.Identifier{Domain: property(v, "mailfrom"), Result: v.Result}
			if q.SPF.Domain == "" {
				q.SPF.Domain = property(v, "helo")
			}
			if strings.HasPrefix(v.Comment, "best guess") { // for domains without a record
				q.SPF.Result = "none"
			}
		case "dkim":
			if d := property(v, "d"); d != "" {
				q.DKIM = append(q.DKIM, dmarc.Identifier{Domain: d, Result: v.Result})
			}
		}
	}
	return q
}

func property(v mail.Verdict, name string) string {
	for _, p := range v.Properties {
		if p.Name == name {
			return p.Value
		}
	}
	return ""
}

// word chooses status and text.
func (st *state) word() {
	o := &st.outcome
	switch {
	case o.Result == dmarc.Pass:
		st.status, st.text = "accept", "Accept"
	case o.Result == dmarc.TempError:
		st.status, st.text = "temperror", "Temporary error"
	case o.Result == dmarc.PermError:
		st.status, st.text = "nofrom", "No From: domain found"
	case o.Result == dmarc.None:
		st.status, st.text = "norecord", "No policy record"
	case o.Disposition == dmarc.Reject:
		st.status, st.text = "reject", "Reject"
	case o.Disposition == dmarc.Quarantine:
		st.status, st.text = "quarantine", "Quarantine"
	default:
		st.status, st.text = "none", "None, Accept"
	}
}

// verdict is the result for Authentication-Results, nil when there is none. A failure that nothing is to be done about is told as none, as Exim does.
func (st *state) verdict() *mail.Verdict {
	if st.status == "off" {
		return nil
	}
	v := &mail.Verdict{Method: "dmarc", Result: string(st.outcome.Result)}
	if st.status == "none" {
		v.Result = "none"
	}
	if st.outcome.Domain != "" {
		v.Properties = []mail.Property{{Type: "header", Name: "from", Value: st.outcome.Domain}}
	}
	return v
}
