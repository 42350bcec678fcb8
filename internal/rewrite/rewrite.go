// Package rewrite changes addresses by the rules of the "rewrite" section and of headers_rewrite (spec chapter 31), and qualifies
// addresses in header lines (spec 48.3). A rule is a pattern, a replacement and flags.
//
// Trust: rules are the administrator's; the addresses they are applied to come from clients, and what a rule makes of them
// is checked before it is used.
package rewrite

import (
	"errors"
	"fmt"
	"strings"

	"exigo/internal/expand"
	"exigo/internal/list"
	"exigo/internal/mail"
	"exigo/internal/proto/address"
	"exigo/internal/regex"
)

// Place is where an address stands: one bit, or in a rule a set of them.
type Place uint16

// The places, in the order of -brw.
const (
	Sender Place = 1 << iota
	From
	To
	Cc
	Bcc
	ReplyTo
	EnvelopeFrom
	EnvelopeTo
	// SMTPSender and SMTPRecipient are the arguments of MAIL and RCPT before anything else is done with them (flag S).
	SMTPSender
	SMTPRecipient

	allHeaders  = Sender | From | To | Cc | Bcc | ReplyTo
	allEnvelope = EnvelopeFrom | EnvelopeTo
	allSMTP     = SMTPSender | SMTPRecipient
)

// placeNames are the words of -brw and, with a colon for header lines, of the log.
var placeNames = map[Place]string{Sender: "sender", From: "from", To: "to", Cc: "cc", Bcc: "bcc", ReplyTo: "reply-to",
	EnvelopeFrom: "env-from", EnvelopeTo: "env-to", SMTPSender: "smtp sender", SMTPRecipient: "smtp recipient"}

// String names one place as the log does: "from:", "env-to".
func (p Place) String() string {
	if p&allHeaders != 0 {
		return placeNames[p] + ":"
	}
	return placeNames[p]
}

// Rule is one rewriting rule.
type Rule struct {
	Pattern, Replacement string
	// Places are where it applies.
	Places Place
	// Quit (q) ends rewriting with this rule; Repeat (R) applies it again while it changes anything; Whole (w) replaces a
	// whole address in a header line with its phrase and comments; Qualify (Q) allows an unqualified result.
	Quit, Repeat, Whole, Qualify bool
}

// Rules is a compiled list of rules.
type Rules struct {
	rules  []Rule
	places Place // where any rule applies
}

// Any tells whether a rule applies at one of the places.
func (r *Rules) Any(p Place) bool { return r != nil && r.places&p != 0 }

// Len returns the number of rules.
func (r *Rules) Len() int {
	if r == nil {
		return 0
	}
	return len(r.rules)
}

// Hooks are the functions that rewriting needs of the rest of the program.
type Hooks struct {
	// Match tests an address against a pattern, which it expands. Local parts count with their case. It sets $0 and above. What went wrong
	// is logged already if the error has no text.
	Match func(s *expand.Scope, pattern, address string) (bool, error)
	// Log writes to the main log, Panic to main and panic log. LogRewrites tells whether address_rewrite is selected.
	Log, Panic  func(s *expand.Scope, text string)
	LogRewrites func(s *expand.Scope) bool
}

// Rewriter applies rules.
type Rewriter struct {
	Rules *Rules
	Hooks Hooks
	// Settings are those of the main section that concern addresses.
	Settings Settings
}

// Settings are main options.
type Settings struct {
	QualifyDomain, QualifyRecipient string
	HeadersCharset                  string
	PrintTopbitchars                bool
	Address                         address.Options
}

// maxRepeat is how often a rule with flag R is applied again.
const maxRepeat = 10

// qualify completes an address that has no domain.
func (w *Rewriter) qualify(local string, recipient bool) string {
	domain := w.Settings.QualifyDomain
	if recipient && w.Settings.QualifyRecipient != "" {
		domain = w.Settings.QualifyRecipient
	}
	return local + "@" + domain
}

// Address rewrites an envelope address. sender tells the envelope sender, which may become "" when a rule gives "<>", from
// recipients.
func (w *Rewriter) Address(s *expand.Scope, a string, sender bool) string {
	place := EnvelopeTo
	if sender {
		place = EnvelopeFrom
	}
	if !w.Rules.Any(place) || a == "" {
		return a
	}
	c := w.apply(s, a, place)
	return c.working
}

// SMTP applies the rules with flag S to the argument of a MAIL or RCPT command, whatever it is.
func (w *Rewriter) SMTP(s *expand.Scope, text string, sender bool) string {
	place := SMTPRecipient
	if sender {
		place = SMTPSender
	}
	if !w.Rules.Any(place) {
		return text
	}
	return w.apply(s, text, place).text
}

// current is an address on its way through the rules.
type current struct {
	text       string // as it would stand in a header line
	working    string // the address alone
	start, end int    // of the working part in text
	whole      bool   // a rule replaced the whole address
	changed    bool
}

// apply takes an address through all rules for the place.
func (w *Rewriter) apply(s *expand.Scope, a string, place Place) current {
	c := current{text: a, working: a, end: len(a)}
	for i := range w.Rules.rules {
		rule := &w.Rules.rules[i]
		if rule.Places&place == 0 {
			continue
		}
		for count := 0; ; count++ {
			if count > maxRepeat {
				w.Hooks.Log(s, "rewrite rule repeat ignored after 10 times")
				break
			}
			done, matched := w.once(s, &c, rule, i+1, place)
			if done {
				return c
			}
			if !matched && count == 0 {
				break
			}
			if !matched || !rule.Repeat {
				if rule.Quit {
					return c
				}
				break
			}
		}
	}
	return c
}

// once applies one rule. done ends all rewriting; matched says that the rule changed the address.
func (w *Rewriter) once(s *expand.Scope, c *current, rule *Rule, number int, place Place) (done, matched bool) {
	saved := *s
	defer func() { s.Numbers, s.Address, s.Recipient = saved.Numbers, saved.Address, saved.Recipient }()
	if ok := w.match(s, c.working, rule, place); !ok {
		return false, false
	}
	if rule.Replacement == "*" && place&allSMTP == 0 {
		return true, false
	}
	if place&allSMTP == 0 {
		local, domain := address.Split(c.working)
		s.Address = &mail.Address{Address: c.working, LocalPart: local, CasefulLocalPart: local, Domain: domain, Original: -1}
	}
	v, err := s.Engine.Expand(s, rule.Replacement)
	switch {
	case errors.Is(err, expand.ErrForced):
		return rule.Quit, false
	case err != nil:
		w.Hooks.Panic(s, fmt.Sprintf("Expansion of %s failed while rewriting: %s", rule.Replacement, err))
		return true, false
	}
	return !w.take(s, c, v.S, rule, number, place), true
}

// match tests the pattern.
func (w *Rewriter) match(s *expand.Scope, subject string, rule *Rule, place Place) bool {
	if place&allSMTP == 0 {
		ok, err := w.Hooks.Match(s, rule.Pattern, subject)
		if err != nil && err.Error() != "" {
			w.Hooks.Panic(s, err.Error())
		}
		if err != nil {
			return false
		}
		if ok {
			w.numbers(s, rule.Pattern, subject)
		}
		return ok
	}
	pattern, err := s.Engine.Expand(s, rule.Pattern)
	if err != nil {
		if !errors.Is(err, expand.ErrForced) {
			w.Hooks.Panic(s, fmt.Sprintf("failed to expand \"%s\" while checking for SMTP rewriting: %s", rule.Pattern, err))
		}
		return false
	}
	ok, err := s.Match(pattern.S, mail.Taint(subject), regex.Caseless)
	if err != nil {
		w.Hooks.Panic(s, err.Error())
	}
	return ok && err == nil
}

// numbers sets $0 and above after a match (spec 31.5): the whole address, what an asterisk at the start of the local part
// stands for, and what wildcards or partial lookups found in the domain; or what a regular expression captures.
func (w *Rewriter) numbers(s *expand.Scope, pattern, subject string) {
	v, err := s.Engine.Expand(s, pattern)
	if err != nil {
		return
	}
	pattern = v.S
	if strings.HasPrefix(pattern, "^") {
		if local, domain := address.Split(subject); domain != "" {
			subject = local + "@" + strings.ToLower(domain) // as lists match it
		}
		s.Match(pattern, mail.Taint(subject), 0)
		return
	}
	local, domain := address.Split(subject)
	captured := []string{subject}
	head, _, _ := strings.Cut(pattern, ";")
	at := strings.LastIndexByte(head, '@')
	if at >= 0 {
		if rest, wild := strings.CutPrefix(pattern[:at], "*"); wild {
			captured = append(captured, local[:len(local)-len(rest)])
		}
	}
	if domainPattern := pattern[at+1:]; domain != "" && strings.ContainsAny(domainPattern, "*;^") {
		s.Numbers = nil
		if m, err := list.Domain(s, "<\x01 "+domainPattern, domain); err == nil && m.Matched {
			for i := 1; i < len(s.Numbers); i++ {
				captured = append(captured, s.Numbers[i].S)
			}
		}
	}
	s.SetNumbers(captured, true)
}

// take checks what a rule yielded and makes it the current address; false ends rewriting.
func (w *Rewriter) take(s *expand.Scope, c *current, text string, rule *Rule, number int, place Place) bool {
	o := w.Settings.Address
	o.AllowLiterals = true
	o.AllowNull = place == EnvelopeFrom || place == SMTPSender
	m, err := address.Extract(text, o)
	if err != nil {
		w.Hooks.Panic(s, fmt.Sprintf("Rewrite of %s yielded unparseable address: %s in address %s", c.working, err, text))
		return false
	}
	working := m.Address
	start, end := m.Start, m.End
	if m.Domain == 0 && !(o.AllowNull && working == "") {
		if !rule.Qualify {
			w.Hooks.Panic(s, fmt.Sprintf("Rewrite of %s yielded unqualified address \"%s\"", c.working, text))
			return false
		}
		working = w.qualify(working, true)
		text = text[:start] + working + text[end:]
		end = start + len(working)
	}
	if w.Hooks.LogRewrites != nil && w.Hooks.LogRewrites(s) {
		w.Hooks.Log(s, fmt.Sprintf("\"%s\" from %s rewritten as \"%s\" by rule %d", c.text, place, text, number))
	}
	c.changed = true
	switch {
	case place&allHeaders == 0:
		c.text, c.start, c.end = text, start, end
	case rule.Whole:
		c.text, c.start, c.end = w.fixWhole(text, start, end)
		c.whole = true
	default:
		c.text = c.text[:c.start] + working + c.text[c.end:]
		c.end = c.start + len(working)
	}
	if place&allHeaders == 0 && place&allSMTP == 0 {
		c.text, c.start, c.end = working, 0, len(working)
	}
	c.working = working
	return true
}

// fixWhole makes what stands around the working part of a replacement fit for a header line.
func (w *Rewriter) fixWhole(text string, start, end int) (fixed string, newStart, newEnd int) {
	before := text[:start]
	bracket := ""
	if trimmed := strings.TrimRight(before, " \t"); strings.HasSuffix(trimmed, "<") {
		before, bracket = trimmed[:len(trimmed)-1], "<"
	}
	phrase := strings.TrimRight(before, " \t")
	gap := before[len(phrase):]
	after := text[end:]
	closing := ""
	if strings.HasPrefix(after, ">") {
		after, closing = after[1:], ">"
	}
	comment := strings.TrimLeft(after, " \t")
	left := Phrase(phrase, w.Settings.HeadersCharset, w.Settings.PrintTopbitchars) + gap + bracket
	fixed = left + text[start:end] + closing + after[:len(after)-len(comment)] +
		Phrase(comment, w.Settings.HeadersCharset, w.Settings.PrintTopbitchars)
	return fixed, len(left), len(left) + end - start
}

// Test is the output of -brw for an address as it may stand in a header line. An address that cannot be read gives an error with the
// text to print.
func (w *Rewriter) Test(s *expand.Scope, text string) (string, error) {
	if w.Rules.Len() == 0 {
		return "No rewrite rules are defined\n", nil
	}
	var b strings.Builder
	if w.Rules.Any(allSMTP) {
		if c := w.apply(s, text, SMTPSender); c.changed {
			fmt.Fprintf(&b, "    SMTP: %s\n", c.text)
		}
	}
	if !w.Rules.Any(allHeaders | allEnvelope) {
		return b.String(), nil
	}
	if !strings.Contains(text, "@") {
		text = w.qualify(text, false)
	}
	m, err := address.Extract(text, w.Settings.Address)
	if err != nil {
		return b.String(), fmt.Errorf("Syntax error in %s\n%s\n", text, strings.ToUpper(err.Error()[:1])+err.Error()[1:])
	}
	for place := Sender; place <= EnvelopeTo; place <<= 1 {
		result := text
		if w.Rules.Any(place) {
			c := w.apply(s, m.Address, place)
			switch {
			case place&allEnvelope != 0:
				result = c.working
			case c.whole:
				result = c.text
			case c.changed:
				result = text[:routeStart(text, m.Start)] + c.text + text[m.End:]
			}
		} else if place&allEnvelope != 0 {
			result = m.Address
		}
		fmt.Fprintf(&b, "%8s: %s\n", placeNames[place], result)
	}
	return b.String(), nil
}

// routeStart takes a source route before an address along: it does not survive rewriting.
func routeStart(text string, start int) int {
	before := strings.TrimRight(text[:start], " \t")
	open := strings.LastIndexByte(before, '<')
	if strings.HasSuffix(before, ":") && open >= 0 && strings.HasPrefix(strings.TrimLeft(before[open+1:], " \t"), "@") {
		return open + 1
	}
	return start
}
