package dmarc

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"exigo/internal/acl"
	"exigo/internal/expand"
	"exigo/internal/mail"
	"exigo/internal/option"
	"exigo/internal/proto/dmarc"
	"exigo/internal/submit"
)

// Entry is what the history file says about one message: lines "key value", of which the first is "job", in the format of opendmarc (its
// README: job, reporter, received, ipaddr, from, mfrom, spf, dkim, pdomain, policy, rua, pct, adkim, aspf, p, sp, align_dkim, align_spf,
// action, arc, arc_policy).
type Entry struct {
	// Job is the message id, Reporter this host's name, Received the time in seconds of the epoch.
	Job, Reporter string
	Received      int64
	Client        netip.Addr
	// From is the author's domain, MailFrom that of the envelope sender ("" for bounces), PolicyDomain the one with the record.
	From, MailFrom, PolicyDomain string
	// SPF is the result; Signatures those of DKIM.
	SPF        string
	Signatures []Signature
	// Status is the recommendation: "accept", "reject", "quarantine", "none", or "norecord".
	Status string
	// Overruled is set when the message was taken though its status is "reject".
	Overruled bool
	// Aggregate are the record's rua= URIs as published, with limits.
	Aggregate             []string
	Percent               int
	StrictDKIM, StrictSPF bool
	// Policy and Subdomain are the record's p= and sp=, Subdomain "" when absent.
	Policy, Subdomain dmarc.Policy
	// NonExistent is np=, Applied the policy for the author's domain where that is not clear from the others, FailureOptions fo=, each else "".
	// Testing is t=y; TreeWalk says how the record was found.
	NonExistent, Applied    dmarc.Policy
	FailureOptions          string
	Testing, TreeWalk       bool
	DKIMAligned, SPFAligned bool
	// ARC is the result of ARC, "" if it is not known; Seals are those of a chain that passed, the newest first.
	ARC   string
	Seals []seal
}

// Signature is one DKIM signature.
type Signature struct{ Domain, Selector, Result string }

// seal is one of ARC in the form that arc_policy has.
type seal struct {
	Instance int    `json:"i"`
	Domain   string `json:"d"`
	Selector string `json:"s"`
}

// The numbers of the format: results of SPF, DKIM and ARC, and policies.
var (
	resultCodes = map[string]int{"pass": 0, "softfail": 2, "neutral": 3, "temperror": 4, "permerror": 5, "none": 6, "fail": 7, "policy": 8}
	statusCodes = map[string]int{"norecord": 14, "accept": 15, "reject": 16, "quarantine": 17, "none": 18}
	actionCodes = map[string]int{"reject": 0, "quarantine": 4}
)

const (
	unknownResult = 11
	acceptAction  = 2
	aligned       = 4
	notAligned    = 5
)

// code finds the number of a word.
func code(codes map[string]int, word string, unknown int) int {
	if n, ok := codes[word]; ok {
		return n
	}
	return unknown
}

// word finds the word of a number, "" when it has none.
func word(codes map[string]int, number int) string {
	for w, n := range codes {
		if n == number {
			return w
		}
	}
	return ""
}

// letter is how a policy or mode stands in the file: the number of its first letter, 0 for none.
func letter(text string) int {
	if text == "" {
		return 0
	}
	return int(text[0])
}

func mode(strict bool) int {
	if strict {
		return 's'
	}
	return 'r'
}

func alignment(yes bool) int {
	if yes {
		return aligned
	}
	return notAligned
}

// text formats the entry. json stands before what arc_policy has to say of seals.
func (e *Entry) text(json string) string {
	var b strings.Builder
	line := func(key string, value any) { fmt.Fprintf(&b, "%s %v\n", key, value) }
	line("job", e.Job)
	line("reporter", e.Reporter)
	line("received", e.Received)
	line("ipaddr", e.Client)
	line("from", e.From)
	line("mfrom", e.MailFrom)
	line("spf", code(resultCodes, e.SPF, resultCodes["none"]))
	for _, s := range e.Signatures {
		fmt.Fprintf(&b, "dkim %s %s %d\n", s.Domain, s.Selector, code(resultCodes, s.Result, unknownResult))
	}
	line("pdomain", e.PolicyDomain)
	line("policy", code(statusCodes, e.Status, statusCodes["norecord"]))
	if len(e.Aggregate) == 0 {
		line("rua", "-")
	}
	for _, u := range e.Aggregate {
		line("rua", u)
	}
	line("pct", strconv.Itoa(e.Percent)+e.more())
	line("adkim", mode(e.StrictDKIM))
	line("aspf", mode(e.StrictSPF))
	line("p", letter(string(e.Policy)))
	line("sp", letter(string(e.Subdomain)))
	line("align_dkim", alignment(e.DKIMAligned))
	line("align_spf", alignment(e.SPFAligned))
	action := code(actionCodes, e.Status, acceptAction)
	if e.Overruled {
		action = acceptAction
	}
	line("action", action)
	line("arc", code(resultCodes, e.ARC, unknownResult))
	line("arc_policy", e.arcPolicy(json))
	return b.String()
}

// more is what the format has no lines for: words behind the percentage, where opendmarc-import does not look.
func (e *Entry) more() (text string) {
	for _, x := range []struct{ name, value string }{{"np", string(e.NonExistent)}, {"applied", string(e.Applied)}, {"fo", e.FailureOptions}} {
		if x.value != "" {
			text += " " + x.name + "=" + x.value
		}
	}
	if e.Testing {
		text += " t=y"
	}
	if e.TreeWalk {
		text += " discovery=treewalk"
	}
	return text
}

// setMore reads what more wrote.
func (e *Entry) setMore(words []string) {
	for _, w := range words {
		name, value, _ := strings.Cut(w, "=")
		switch name {
		case "np":
			e.NonExistent = knownPolicy(value)
		case "applied":
			e.Applied = knownPolicy(value)
		case "fo":
			if strings.Trim(value, "01ds:") == "" {
				e.FailureOptions = value
			}
		case "discovery":
			e.TreeWalk = value == "treewalk"
		case "t":
			e.Testing = value == "y"
		}
	}
}

// knownPolicy is the policy that a word names, "" for none.
func knownPolicy(word string) dmarc.Policy {
	if p := dmarc.Policy(word); p == dmarc.Monitor || p == dmarc.Quarantine || p == dmarc.Reject {
		return p
	}
	return dmarc.NoPolicy
}

// arcPolicy is "0" for a chain that passes, "2" for one that fails, "1" otherwise, and the seals.
func (e *Entry) arcPolicy(start string) string {
	n := 1
	switch e.ARC {
	case "pass":
		n = 0
	case "fail":
		n = 2
	}
	seals, err := json.Marshal(e.Seals)
	if err != nil || len(e.Seals) == 0 {
		seals = []byte("[ ]")
	}
	return fmt.Sprintf("%d %s%s", n, start, seals)
}

// ended adds the message to the history file when its fate is known. One that was deferred comes again, and is not counted now.
func ended(s *expand.Scope, m *mail.Message, result *submit.Result) {
	st := mail.Peek[state](&m.Bag)
	if st == nil || !st.recorded || st.outcome.Domain == "" || st.outcome.Result == dmarc.TempError {
		return
	}
	options := option.Of[settings](s.Config.MainOptions())
	if options.historyFile == "" || !result.Accepted && (result.Refused == nil || result.Refused.Verdict == acl.Defer) {
		return
	}
	e, start := entry(s, st, st.query), "json:"
	e.Overruled = result.Accepted && st.status == "reject" && len(m.Recipients) > 0
	if s.Engine.World.Quirks.On {
		start = "json" // as Exim writes it; opendmarc-import stops there
	}
	text := e.text(start)
	file, err := os.OpenFile(options.historyFile, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o640)
	if err == nil {
		_, err = file.WriteString(text) // one write: entries of several processes do not mix
		if closeErr := file.Close(); err == nil {
			err = closeErr
		}
	}
	if err != nil {
		s.Panic("failure to write DMARC history file: %v", err)
	}
}

// entry collects what there is to say.
func entry(s *expand.Scope, st *state, q dmarc.Query) *Entry {
	m, o := s.Message, &st.outcome
	e := &Entry{Job: m.ID, Reporter: s.Settings().PrimaryHostname, Received: s.Engine.World.Clock.Now().Unix(), Client: s.Session.Host.Unmap().WithZone(""),
		From: o.Domain, PolicyDomain: o.PolicyDomain, SPF: q.SPF.Result, Status: st.status, Percent: 100, DKIMAligned: o.DKIMAligned, SPFAligned: o.SPFAligned}
	e.MailFrom = dmarc.Domain(m.Sender[strings.LastIndexByte(m.Sender, '@')+1:])
	if e.PolicyDomain == "" {
		e.PolicyDomain = e.From
	}
	if rec := o.Record; rec != nil {
		e.Percent, e.StrictDKIM, e.StrictSPF, e.Policy, e.Subdomain = rec.Percent, rec.StrictDKIM, rec.StrictSPF, rec.Policy, rec.Subdomain
		e.NonExistent, e.Testing = rec.NonExistent, rec.Testing
		if o.Policy != e.wanted() {
			e.Applied = o.Policy
		}
		e.TreeWalk = st.treeWalk
		if rec.FailureOptions != "0" {
			e.FailureOptions = rec.FailureOptions
		}
		for _, u := range rec.Aggregate {
			e.Aggregate = append(e.Aggregate, u.String())
		}
	}
	for _, v := range m.Verdicts {
		switch v.Method {
		case "dkim":
			sig := Signature{Domain: dmarc.Domain(property(v, "d")), Selector: dmarc.Domain(property(v, "s")), Result: v.Result}
			if sig.Domain != "" && sig.Selector != "" { // a line without selector would stop opendmarc-import
				e.Signatures = append(e.Signatures, sig)
			}
		case "arc":
			if e.ARC = v.Result; v.Result == "pass" {
				e.Seals = seals(m)
			}
		}
	}
	return e
}

// seals takes what is recorded of them from the header; it is asked when their chain was found good.
func seals(m *mail.Message) (list []seal) {
	for _, h := range m.Headers {
		if h.Type == '*' || !h.Is("arc-seal") {
			continue
		}
		var one seal
		for _, tag := range strings.Split(h.Value(), ";") {
			name, value, _ := strings.Cut(tag, "=")
			value = strings.TrimSpace(value)
			switch strings.TrimSpace(name) {
			case "i":
				one.Instance, _ = strconv.Atoi(value)
			case "d":
				one.Domain = dmarc.Domain(value)
			case "s":
				one.Selector = dmarc.Domain(value)
			}
		}
		list = append(list, one)
	}
	slices.SortFunc(list, func(a, b seal) int { return b.Instance - a.Instance })
	return list
}

// maxHistoryLine bounds a line of the file, maxSeals the seals of an entry.
const (
	maxHistoryLine = 64 * 1024
	maxSeals       = 50
)

// ReadHistory reads entries and gives each to do, until do returns an error. Lines that are not known, or malformed, are left out.
func ReadHistory(r io.Reader, do func(*Entry) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxHistoryLine)
	var e *Entry
	for lines.Scan() {
		key, value, _ := strings.Cut(lines.Text(), " ")
		if key == "job" {
			if e != nil {
				if err := do(e); err != nil {
					return err
				}
			}
			e = &Entry{Job: value, Percent: 100}
		}
		if e != nil {
			e.set(key, strings.TrimSpace(value))
		}
	}
	if e != nil {
		if err := do(e); err != nil {
			return err
		}
	}
	return lines.Err()
}

// set takes over one line.
func (e *Entry) set(key, value string) {
	n, _ := strconv.ParseInt(value, 10, 64)
	policy := map[int64]dmarc.Policy{'n': dmarc.Monitor, 'q': dmarc.Quarantine, 'r': dmarc.Reject}[n]
	switch key {
	case "reporter":
		e.Reporter = value
	case "received":
		e.Received = n
	case "ipaddr":
		e.Client, _ = netip.ParseAddr(value)
		e.Client = e.Client.WithZone("")
	case "from":
		e.From = dmarc.Domain(value)
	case "mfrom":
		e.MailFrom = dmarc.Domain(value)
	case "pdomain":
		e.PolicyDomain = dmarc.Domain(value)
	case "spf":
		e.SPF = word(resultCodes, int(n))
	case "dkim":
		if words := strings.Fields(value); len(words) == 3 {
			n, _ := strconv.Atoi(words[2])
			e.Signatures = append(e.Signatures, Signature{Domain: dmarc.Domain(words[0]), Selector: dmarc.Domain(words[1]), Result: word(resultCodes, n)})
		}
	case "policy":
		e.Status = word(statusCodes, int(n))
	case "rua":
		if value != "-" {
			e.Aggregate = append(e.Aggregate, value)
		}
	case "pct":
		if words := strings.Fields(value); len(words) > 0 {
			e.Percent, _ = strconv.Atoi(words[0])
			e.setMore(words[1:])
		}
	case "action":
		e.Overruled = e.Status == "reject" && n == acceptAction
	case "adkim":
		e.StrictDKIM = n == 's'
	case "aspf":
		e.StrictSPF = n == 's'
	case "p":
		e.Policy = policy
	case "sp":
		e.Subdomain = policy
	case "align_dkim":
		e.DKIMAligned = n == aligned
	case "align_spf":
		e.SPFAligned = n == aligned
	case "arc":
		e.ARC = word(resultCodes, int(n))
	case "arc_policy":
		_, text, _ := strings.Cut(value, "json")
		var list []seal
		if json.Unmarshal([]byte(strings.TrimPrefix(text, ":")), &list) == nil && len(list) > 0 && len(list) <= maxSeals {
			e.Seals = list
		}
	}
}

// Time returns when the message was received.
func (e *Entry) Time() time.Time { return time.Unix(e.Received, 0) }
