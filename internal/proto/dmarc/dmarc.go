// Package dmarc is Domain-based Message Authentication, Reporting and Conformance (RFC 9989, and RFC 7489 where records still follow it):
// records and their discovery, organizational domains by public suffix list or by tree walk, alignment, the policy that applies to a message,
// the check of report destinations, and the formats of reports (RFC 9990, RFC 6591 with RFC 9991).
//
// Trust: authors choose the From: field, owners of domains their records, and receivers of reports theirs. Fields, records, domains and
// questions to the DNS are limited in number and length; report texts are made safe for headers, XML and lines.
package dmarc

import (
	"context"
	"errors"
	"strings"
)

// ErrNoRecord is what a TXT function returns for a name that does not exist, or has no record of the type.
var ErrNoRecord = errors.New("no such record")

// TXT returns the TXT records of a name, the strings of each joined. The error is ErrNoRecord, or else temporary.
type TXT func(ctx context.Context, name string) ([]string, error)

// Exists tells whether a domain has an address or mail exchanger: false means NXDOMAIN or no data for A, AAAA and MX (RFC 9989 section 3.2.13).
type Exists func(ctx context.Context, name string) (bool, error)

// Resolver asks the DNS. Exists may be nil: all domains are taken to exist then.
type Resolver struct {
	TXT    TXT
	Exists Exists
}

// Result of an evaluation, in the words of RFC 8601 section 2.7.4.
type Result string

// The results.
const (
	None      Result = "none"
	Pass      Result = "pass"
	Fail      Result = "fail"
	TempError Result = "temperror"
	PermError Result = "permerror"
)

// Policy is what a domain owner wants done with messages that fail.
type Policy string

// The policies. The empty one stands for a tag that is not there.
const (
	NoPolicy   Policy = ""
	Monitor    Policy = "none"
	Quarantine Policy = "quarantine"
	Reject     Policy = "reject"
)

// Severity orders the policies, from 0 for none.
func (p Policy) Severity() int {
	switch p {
	case Quarantine:
		return 1
	case Reject:
		return 2
	}
	return 0
}

// lighter is one step down, for sampling and for test mode (RFC 7489 section 6.6.4, RFC 9989 section 4.7 on t=).
func (p Policy) lighter() Policy {
	if p == Reject {
		return Quarantine
	}
	return Monitor
}

// Identifier is a domain that another method authenticated, or failed to: Result is that method's, in the words of RFC 8601.
type Identifier struct{ Domain, Result string }

// Query is what is to be evaluated.
type Query struct {
	// From holds the bodies of all From: fields.
	From []string
	// SPF is the domain of MAIL FROM (or of HELO where that is empty), DKIM those of the signatures (d=).
	SPF  Identifier
	DKIM []Identifier
	// Suffixes is the list of public suffixes; nil stands for the tree walk of RFC 9989, by which pct= is ignored.
	Suffixes *Suffixes
	// Sample yields a number from 0 to 99 for pct=; nil: no message is left out.
	Sample func() int
}

// Outcome of an evaluation.
type Outcome struct {
	Result Result
	// Domain is the author's (RFC 5322 From), "" when there is none to be used; PolicyDomain is where Record was found.
	Domain, PolicyDomain string
	Record               *Record
	// Policy is what the record asks for in the case of this domain; Disposition what is left of that after sampling and test mode. Both
	// are set when there is a record, and of Disposition only messages that fail take notice.
	Policy, Disposition Policy
	// SPFAligned and DKIMAligned tell of which method a pass counts.
	SPFAligned, DKIMAligned bool
	// Problem says what is wrong, for people.
	Problem string
}

// maxAuthors bounds the domains in a From: field, maxIdentifiers the signatures that are looked at.
const (
	maxAuthors     = 10
	maxIdentifiers = 50
)

// Evaluate finds the record for the author's domain and applies it. With several domains in the From: field each is evaluated, and the strictest
// outcome counts (RFC 9989 section 5.3.1). The DNS is asked at most some eight times for each domain in the field and for each signer.
func Evaluate(ctx context.Context, r Resolver, q Query) Outcome {
	domains, problem := Authors(q.From)
	if problem != "" {
		return Outcome{Result: PermError, Problem: problem}
	}
	e := evaluation{ctx: ctx, r: r, q: q, walks: make(map[string]walk)}
	if len(e.q.DKIM) > maxIdentifiers {
		e.q.DKIM = e.q.DKIM[:maxIdentifiers]
	}
	out := e.author(domains[0])
	for _, d := range domains[1:] {
		if next := e.author(d); next.weight() > out.weight() {
			out = next
		}
	}
	return out
}

// weight orders outcomes for several authors: what is to be done with the message, then what is known about it.
func (o *Outcome) weight() int {
	switch o.Result {
	case Fail:
		return 10 + o.Disposition.Severity()
	case TempError:
		return 9
	case None, PermError:
		return 5
	}
	return 1
}

// evaluation of one message.
type evaluation struct {
	ctx   context.Context
	r     Resolver
	q     Query
	walks map[string]walk
}

// author evaluates one domain of the From: field.
func (e *evaluation) author(domain string) Outcome {
	out := Outcome{Result: None, Domain: domain}
	found, err := e.discover(domain)
	switch {
	case err != nil:
		out.Result, out.Problem = TempError, err.Error()
		return out
	case found.record == nil:
		out.Problem = "no DMARC record"
		return out
	}
	out.PolicyDomain, out.Record = found.domain, found.record
	out.Policy, err = e.policy(domain, found)
	out.Disposition = e.disposition(found.record, out.Policy)
	if e.align(&out, found); err != nil && out.Result == Fail {
		out.Result, out.Problem = TempError, err.Error()
	}
	return out
}

// policy is p=, or for subdomains sp= and np= (RFC 9989 section 4.7).
func (e *evaluation) policy(domain string, found discovery) (Policy, error) {
	record := found.record
	if domain == found.domain {
		return record.Policy, nil
	}
	policy := record.Policy
	if record.Subdomain != NoPolicy {
		policy = record.Subdomain
	}
	if record.NonExistent == NoPolicy || record.NonExistent == policy || e.r.Exists == nil {
		return policy, nil
	}
	exists, err := e.r.Exists(e.ctx, domain)
	if err == nil && !exists {
		policy = record.NonExistent
	}
	return policy, err
}

// disposition takes test mode and sampling into account.
func (e *evaluation) disposition(r *Record, p Policy) Policy {
	if r.Testing {
		p = p.lighter()
	}
	if e.q.Suffixes != nil && r.Percent < 100 && e.q.Sample != nil && e.q.Sample() >= r.Percent {
		p = p.lighter()
	}
	return p
}

// align finds an authenticated identifier that is aligned with the author's domain. Where the only thing that speaks for the message could not be
// checked for now, the outcome is a temporary error.
func (e *evaluation) align(out *Outcome, found discovery) {
	temporary := ""
	check := func(id Identifier, strict bool) bool {
		domain := Domain(id.Domain)
		if domain == "" || id.Result != "pass" && id.Result != "temperror" {
			return false
		}
		aligned, err := e.aligned(out.Domain, domain, strict)
		if err != nil {
			temporary = err.Error()
		} else if aligned && id.Result == "temperror" {
			temporary = "temporary error of an aligned identifier"
		}
		return aligned && err == nil && id.Result == "pass"
	}
	out.SPFAligned = check(e.q.SPF, found.record.StrictSPF)
	for _, id := range e.q.DKIM {
		if out.DKIMAligned = check(id, found.record.StrictDKIM); out.DKIMAligned {
			break
		}
	}
	switch {
	case out.SPFAligned || out.DKIMAligned:
		out.Result = Pass
	case temporary != "":
		out.Result, out.Problem = TempError, temporary
	default:
		out.Result, out.Problem = Fail, "no aligned identifier is authenticated"
	}
}

// aligned compares a domain with the author's (RFC 9989 section 4.4): the same, or in relaxed mode of the same organization.
func (e *evaluation) aligned(author, domain string, strict bool) (bool, error) {
	if author == domain || strict {
		return author == domain, nil
	}
	organization, err := e.organization(author)
	if err != nil || domain != organization && !strings.HasSuffix(domain, "."+organization) {
		return false, err
	}
	other, err := e.organization(domain)
	return err == nil && other == organization, err
}
