package dmarc

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"exigo/internal/proto/dmarc"
)

// Period is a choice of entries of the history for reports, and who reports.
type Period struct {
	// Begin and End bound the time of reception, End excluded; the zero times stand for no bound.
	Begin, End time.Time
	// Domain, if set, is the only one to be reported to.
	Domain string
	// Organization and Email are the reporter's, Receiver the domain that received the mail, Generator the software.
	Organization, Email, Receiver, Generator string
}

// Report is an aggregate report and where the domain wants it sent.
type Report struct {
	Feedback     *dmarc.Feedback
	Destinations []dmarc.URI
}

// collector adds entries up.
type collector struct {
	period  Period
	domains map[string]*tally
}

// tally is what is known of one policy domain.
type tally struct {
	latest      *Entry
	first, last int64
	rows        map[string]*dmarc.Row
}

// Reports reads a history and makes a report for each domain that asks for some, in the order of their names (RFC 9990).
func Reports(history io.Reader, p Period) ([]Report, error) {
	c := &collector{period: p, domains: make(map[string]*tally)}
	if err := ReadHistory(history, c.add); err != nil {
		return nil, err
	}
	names := make([]string, 0, len(c.domains))
	for name := range c.domains {
		names = append(names, name)
	}
	slices.Sort(names)
	var list []Report
	for _, name := range names {
		if r, ok := c.report(name, c.domains[name]); ok {
			list = append(list, r)
		}
	}
	return list, nil
}

// add counts one message. Those without a record, or outside the period, do not count.
func (c *collector) add(e *Entry) error {
	p, at := &c.period, e.Time()
	if e.PolicyDomain == "" || e.From == "" || e.Policy == dmarc.NoPolicy || !e.Client.IsValid() || e.Status == "norecord" || e.Status == "" ||
		!p.Begin.IsZero() && at.Before(p.Begin) || !p.End.IsZero() && !at.Before(p.End) || p.Domain != "" && e.PolicyDomain != p.Domain {
		return nil
	}
	t := c.domains[e.PolicyDomain]
	if t == nil {
		t = &tally{first: e.Received, last: e.Received, rows: make(map[string]*dmarc.Row)}
		c.domains[e.PolicyDomain] = t
	}
	if t.latest == nil || e.Received >= t.latest.Received {
		t.latest = e
	}
	t.first, t.last = min(t.first, e.Received), max(t.last, e.Received)
	row := e.row()
	key := fmt.Sprintf("%+v", row)
	if t.rows[key] == nil {
		t.rows[key] = &row
	}
	t.rows[key].Count++
	return nil
}

// row is the entry without what differs from message to message; its count is 0.
func (e *Entry) row() dmarc.Row {
	word := func(pass bool) string {
		if pass {
			return "pass"
		}
		return "fail"
	}
	r := dmarc.Row{Source: e.Client, Identifiers: dmarc.Identifiers{From: e.From, EnvelopeFrom: e.MailFrom},
		Evaluated: dmarc.Evaluated{Disposition: e.Status, DKIM: word(e.DKIMAligned), SPF: word(e.SPFAligned)}}
	if e.Status == "accept" {
		r.Evaluated.Disposition = "pass"
	}
	r.Evaluated.Reasons = e.reasons()
	if e.Overruled {
		r.Evaluated.Disposition = "none"
	}
	for _, s := range e.Signatures {
		if s.Result == "" || s.Domain == "" || s.Selector == "" {
			continue
		}
		r.Results.DKIM = append(r.Results.DKIM, dmarc.DKIMResult{Domain: s.Domain, Selector: s.Selector, Result: s.Result})
	}
	if e.MailFrom != "" && e.SPF != "" {
		r.Results.SPF = []dmarc.SPFResult{{Domain: e.MailFrom, Scope: "mfrom", Result: e.SPF}}
	}
	return r
}

// reasons say why the disposition is not the policy for the author's domain (RFC 9990 section 3.1.1.10; with ARC, RFC 8617 section 7.2.2).
func (e *Entry) reasons() (list []dmarc.Reason) {
	if e.Status != "accept" && e.wanted().Severity() > dmarc.Policy(e.Status).Severity() {
		switch {
		case e.Testing:
			list = append(list, dmarc.Reason{Type: "policy_test_mode"})
		case e.Percent < 100:
			list = append(list, dmarc.Reason{Type: "other", Comment: "sampled out"})
		}
	}
	if e.Overruled {
		one := dmarc.Reason{Type: "local_policy"}
		if e.ARC == "pass" {
			one.Comment = "arc=pass"
			for _, s := range e.Seals {
				one.Comment += fmt.Sprintf(" as[%[1]d].d=%[2]s as[%[1]d].s=%[3]s", s.Instance, dmarc.Domain(s.Domain), dmarc.Domain(s.Selector))
			}
		}
		list = append(list, one)
	}
	return list
}

// wanted is the policy for the author's domain.
func (e *Entry) wanted() dmarc.Policy {
	if e.Applied != dmarc.NoPolicy {
		return e.Applied
	}
	if e.From != e.PolicyDomain && e.Subdomain != dmarc.NoPolicy {
		return e.Subdomain
	}
	return e.Policy
}

// report makes the report for one domain; ok is false when it does not want any.
func (c *collector) report(name string, t *tally) (Report, bool) {
	e, p := t.latest, &c.period
	record, err := dmarc.Parse("v=DMARC1; p=none; rua=" + strings.Join(e.Aggregate, ","))
	if err != nil || len(record.Aggregate) == 0 {
		return Report{}, false
	}
	begin, end := t.first, t.last
	if !p.Begin.IsZero() {
		begin = p.Begin.Unix()
	}
	if !p.End.IsZero() {
		end = p.End.Unix() - 1
	}
	mode := func(strict bool) string {
		if strict {
			return "s"
		}
		return "r"
	}
	f := &dmarc.Feedback{
		Metadata: dmarc.ReportMetadata{Organization: p.Organization, Email: p.Email, Generator: p.Generator,
			ID: fmt.Sprintf("%d.%d.%s@%s", begin, end, name, p.Receiver), Range: dmarc.Range{Begin: begin, End: end}},
		Policy: dmarc.PolicyPublished{Domain: name, Discovery: "psl", Policy: e.Policy, Subdomain: e.Subdomain, NonExistent: e.NonExistent,
			DKIM: mode(e.StrictDKIM), SPF: mode(e.StrictSPF), Failure: strings.Join(strings.Split(strings.ReplaceAll(e.FailureOptions, ":", ""), ""), ":")},
	}
	if e.TreeWalk {
		f.Policy.Discovery = "treewalk"
	}
	if e.Testing {
		f.Policy.Testing = "y"
	}
	for _, row := range t.rows {
		f.Records = append(f.Records, *row)
	}
	slices.SortFunc(f.Records, func(a, b dmarc.Row) int {
		return cmp.Or(a.Source.Compare(b.Source), cmp.Compare(a.Identifiers.From, b.Identifiers.From), cmp.Compare(fmt.Sprintf("%+v", a), fmt.Sprintf("%+v", b)))
	})
	return Report{Feedback: f, Destinations: record.Aggregate}, true
}
