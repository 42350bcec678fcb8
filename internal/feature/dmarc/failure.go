package dmarc

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"exigo/internal/acl"
	"exigo/internal/config"
	"exigo/internal/expand"
	"exigo/internal/mail"
	"exigo/internal/option"
	"exigo/internal/proto/address"
	"exigo/internal/proto/dmarc"
)

// Limits on failure reports: for one domain, and in all, in an hour. Whoever sends forged mail decides how many are due.
const (
	reportsForDomain = 50
	reportsInAll     = 1000
	reportRecipients = 5
)

// limiter counts reports of the present hour.
type limiter struct {
	mu     sync.Mutex
	hour   int64
	total  int
	counts map[string]int
}

// allow tells whether one more report about the domain may be sent, and counts it.
func (l *limiter) allow(domain string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if hour := now.Unix() / 3600; hour != l.hour || l.counts == nil {
		l.hour, l.total, l.counts = hour, 0, make(map[string]int)
	}
	if l.total >= reportsInAll || l.counts[domain] >= reportsForDomain {
		return false
	}
	l.total++
	l.counts[domain]++
	return true
}

// kind tells what a failure report would be about ("dmarc", "signature" or "spf"), "" when the domain does not want one (RFC 7489 section 6.3 on fo=).
func kind(o *dmarc.Outcome, q dmarc.Query) string {
	wants := func(letter string) bool { return strings.Contains(o.Record.FailureOptions, letter) }
	failed := func(id dmarc.Identifier) bool { return id.Result == "fail" || id.Result == "softfail" }
	switch {
	case wants("0") && o.Result == dmarc.Fail, wants("1") && !(o.SPFAligned && o.DKIMAligned) && (o.Result == dmarc.Fail || o.Result == dmarc.Pass):
		return "dmarc"
	case wants("s") && failed(q.SPF):
		return "spf"
	case wants("d"):
		for _, id := range q.DKIM {
			if failed(id) {
				return "signature"
			}
		}
	}
	return ""
}

// report sends a failure report if the control allows it, the domain asks for one, and the destinations want it.
func (r *room) report(ctx context.Context, run *acl.Run, st *state, options *settings, q dmarc.Query) {
	s, o := run.Scope, &st.outcome
	if !s.Message.Controls.DMARCForensic || run.Services.SendReport == nil || o.Record == nil || len(o.Record.Failure) == 0 || isReport(s.Message) {
		return
	}
	what := kind(o, q)
	if what == "" {
		return
	}
	if !r.reports.allow(o.PolicyDomain, s.Engine.World.Clock.Now()) {
		s.LogSelected("dmarc_verbose", "DMARC: too many failure reports for %s, none sent", o.PolicyDomain)
		return
	}
	allowed, err := dmarc.Destinations(ctx, Resolver(s.Engine.World), q.Suffixes, o.PolicyDomain, o.Record.Failure, true)
	if err != nil {
		s.LogSelected("dmarc_verbose", "DMARC: failure report: %v", err)
	}
	var to []string
	for _, u := range allowed {
		if len(to) < reportRecipients {
			to = append(to, u.Mailbox())
		}
	}
	if len(to) == 0 {
		return
	}
	sender, from := author(s, options)
	f := failure(ctx, s, st, q, what)
	f.From, f.To = from, strings.Join(to, ",\n\t")
	if err := run.Services.SendReport(ctx, s, acl.Report{Sender: sender, Recipients: to, Text: f.Text(boundary(s))}); err != nil {
		s.Panic("DMARC: failure report could not be sent: %v", err)
	}
}

// isReport tells whether the message is a failure report itself: about those none is sent, lest two hosts write to each other for ever.
func isReport(m *mail.Message) bool {
	for _, h := range m.Headers {
		if h.Type != '*' && h.Is("content-type") {
			v := strings.ToLower(h.Value())
			return strings.Contains(v, "multipart/report") || strings.Contains(v, "message/feedback-report")
		}
	}
	return false
}

// author is whom reports are from: the envelope sender, and the text of From:. With dmarc_forensic_sender it is that and its address; without, or
// if it cannot be used, no sender and dsn_from.
func author(s *expand.Scope, options *settings) (sender, from string) {
	main := option.Of[config.Main](s.Config.MainOptions())
	if options.forensicSender != "" {
		v, err := s.Engine.Expand(s, string(options.forensicSender))
		if err == nil {
			var m address.Mailbox
			if m, err = address.Extract(v.S, address.Options{AllowLiterals: main.AllowDomainLiterals, AllowUTF8: true}); err == nil && m.Address != "" {
				return m.Address, v.S
			}
		}
		s.Panic("failed to use dmarc_forensic_sender (using dsn_from): %v", err)
	}
	v, err := s.Engine.Expand(s, string(main.DSNFrom))
	if err != nil {
		s.Panic("Failed to expand dsn_from (using default): %v", err)
		v.S = "Mail Delivery System <Mailer-Daemon@" + string(main.QualifyDomain) + ">"
	}
	return "", v.S
}

// failure collects what the report says.
func failure(ctx context.Context, s *expand.Scope, st *state, q dmarc.Query, what string) *dmarc.Failure {
	m, o := s.Message, &st.outcome
	f := &dmarc.Failure{Subject: "DMARC failure report for " + o.Domain + " from " + eventAddress(s), UserAgent: "Exim " + s.Engine.World.Version + " (exigo)",
		ReportingMTA: s.Settings().PrimaryHostname, Arrival: m.Received, Source: s.Session.Host.Unmap().WithZone(""), MailFrom: m.Sender, Domain: o.Domain, Kind: what,
		SPFAligned: o.SPFAligned, DKIMAligned: o.DKIMAligned}
	if f.Arrival.IsZero() {
		f.Arrival = s.Engine.World.Clock.Now()
	}
	if v, err := s.Engine.Expand(s, "${authresults {$primary_hostname}}"); err == nil {
		_, f.Result, _ = strings.Cut(v.S, ": ")
	} else {
		f.Result = fmt.Sprintf("%s; dmarc=%s header.from=%s", f.ReportingMTA, o.Result, o.Domain)
	}
	evidence(ctx, s, f, q)
	var header strings.Builder
	for _, h := range m.Headers {
		if h.Type != '*' && !(h.Type == 'P' && m.ID != "" && strings.Contains(h.Text, "id "+m.ID)) { // ours may name the recipient
			header.WriteString(h.Text)
		}
	}
	f.Header = header.String()
	return f
}

// evidence adds the signature, a failing one rather than another, and the SPF record (RFC 6591 sections 3.2 and 3.3).
func evidence(ctx context.Context, s *expand.Scope, f *dmarc.Failure, q dmarc.Query) {
	for _, failing := range []bool{true, false} {
		for _, v := range s.Message.Verdicts {
			if v.Method == "dkim" && property(v, "d") != "" && f.SignatureDomain == "" && (v.Result == "fail" || !failing) {
				f.SignatureDomain, f.Identity, f.Selector = property(v, "d"), property(v, "i"), property(v, "s")
			}
		}
	}
	f.SPFDomain = dmarc.Domain(q.SPF.Domain)
	if f.SPFDomain == "" || q.SPF.Result == "none" {
		return
	}
	texts, err := Resolver(s.Engine.World).TXT(ctx, f.SPFDomain)
	if err != nil {
		return
	}
	for _, text := range texts {
		if len(text) >= 6 && len(text) <= maxSPFRecord && strings.EqualFold(text[:6], "v=spf1") {
			f.SPFRecord = text
		}
	}
}

// maxSPFRecord bounds the record that is quoted, which is one line.
const maxSPFRecord = 900

func eventAddress(s *expand.Scope) string { return s.Session.Host.Unmap().WithZone("").String() }

// boundary is a word that no sender can foresee.
func boundary(s *expand.Scope) string {
	var b [12]byte
	if _, err := s.Engine.World.Random.Read(b[:]); err != nil {
		return fmt.Sprintf("exigo%d", s.Engine.World.Clock.Now().UnixNano())
	}
	return fmt.Sprintf("exigo%x", b)
}
