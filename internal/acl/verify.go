package acl

import (
	"strings"
	"time"

	"exigo/internal/mail"
	"exigo/internal/option"
)

// verifyItem is one thing that can be verified (spec 44.26).
type verifyItem struct {
	name    string
	phases  PhaseSet
	options bool // may be followed by /options
	value   bool // may be followed by =value
	// check does it; text is the condition's whole argument, value what followed "=", options the parts after slashes.
	check func(r *Run, text, value string, options []string) Verdict
}

// Verification is a thing that a room can verify: "verify = NAME/options".
type Verification struct {
	// Name is the word; Doc one sentence for the reference.
	Name, Doc string
	// Phases are the ACLs in which it may be used.
	Phases PhaseSet
	// Check does it; options are the parts after the slashes, without white space at their ends.
	Check func(r *Run, options []string) Verdict
}

// afterHeaders are the phases in which the message's header lines are there.
var afterHeaders = Phases(MIME, DKIM, PRDR, Data, Quit, NotQuit, NotSMTP, NotSMTPMIME)

func verifyItems() []verifyItem {
	return []verifyItem{
		{name: "certificate", phases: AllPhases, check: verifyCertificate},
		{name: "csa", phases: AllPhases, options: true, check: verifyCSA},
		{name: "header_names_ascii", phases: afterHeaders, check: verifyHeaderNames},
		{name: "header_sender", phases: afterHeaders, options: true, check: verifyHeaderSender},
		{name: "header_syntax", phases: afterHeaders, check: verifyHeaderSyntax},
		{name: "helo", phases: AllPhases, check: verifyHELO},
		{name: "not_blind", phases: afterHeaders, options: true, check: verifyNotBlind},
		{name: "recipient", phases: Phases(Rcpt), options: true, check: verifyRecipient},
		{name: "reverse_host_lookup", phases: AllPhases, options: true, check: verifyReverse},
		{name: "sender", phases: Phases(Mail, Rcpt, Predata, Data, NotSMTP), options: true, value: true, check: verifySender},
	}
}

// checkVerify is the verify condition: an item, then perhaps "=value" and options between slashes.
func checkVerify(r *Run, argument mail.Value) Verdict {
	parts := slashList(argument.S)
	name, value := "", ""
	if len(parts) > 0 {
		name = parts[0]
	}
	hasValue := false
	if before, after, ok := strings.Cut(name, "="); ok {
		name, value, hasValue = strings.TrimSpace(before), strings.TrimSpace(after), true
	}
	for _, item := range r.program.words.verify {
		if !strings.EqualFold(item.name, name) || hasValue && !item.value {
			continue
		}
		if strings.Contains(argument.S, "/") && !item.options {
			return r.Mistake("unexpected '/' found in \"" + argument.S + "\" (this verify item has no options)")
		}
		if !item.phases.Has(r.Phase) && r.Phase != Expansion {
			return r.Mistake("cannot verify " + item.name + " in ACL for " + r.Phase.String())
		}
		return item.check(r, argument.S, value, parts[1:])
	}
	return r.Mistake("expected \"sender[=address]\", \"recipient\", \"helo\", \"header_syntax\", \"header_sender\", " +
		"\"header_names_ascii\" or \"reverse_host_lookup\" at start of ACL condition \"verify " + argument.S + "\"")
}

func verifyCertificate(r *Run, _, _ string, _ []string) Verdict {
	if t := r.Scope.Session.TLS; t != nil && t.Verified {
		return OK
	}
	r.UserMessage = "no verified certificate"
	r.LogMessage = r.UserMessage
	return Fail
}

// verifyHELO is true for sessions that are not on TCP.
func verifyHELO(r *Run, _, _ string, _ []string) Verdict {
	s := r.Scope.Session
	if !s.Host.IsValid() {
		return OK
	}
	if !s.HELOVerified && !s.HELOTried {
		if r.Services.VerifyHELO == nil {
			return r.Mistake("verify = helo is not supported yet")
		}
		r.Services.VerifyHELO(r.Ctx, r.Scope)
		s.HELOTried = true
	}
	if s.HELOVerified {
		return OK
	}
	return Fail
}

// verifyReverse is true where there is no host, or its name was found and leads back to it.
func verifyReverse(r *Run, _, _ string, options []string) Verdict {
	s := r.Scope.Session
	if !s.Host.IsValid() || s.HostName != "" {
		return OK
	}
	if r.Services.HostName == nil {
		return r.Mistake("verify = reverse_host_lookup is not supported yet")
	}
	found, temporary, why := r.Services.HostName(r.Ctx, r.Scope)
	if found {
		return OK
	}
	if temporary {
		for _, o := range options {
			if o == "defer_ok" {
				return OK
			}
		}
	}
	word := "failed"
	verdict := Fail
	if temporary {
		word, verdict = "deferred", Defer
	}
	if why == "" {
		why = "failed to find host name from IP address"
	}
	r.LogMessage = "host lookup " + word + " for reverse lookup check (" + why + ")"
	return verdict
}

// parseVerify reads the options of address verifications. header says that they belong to header_sender.
func (r *Run) parseVerify(text string, o *VerifyOptions, options []string) Verdict {
	for _, item := range options {
		name, value, hasValue := strings.Cut(item, "=")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		switch {
		case item == "":
		case item == "defer_ok":
			o.DeferOK = true
		case item == "no_details":
			o.NoDetails = true
		case item == "success_on_redirect":
			o.SuccessOnRedirect = true
		case item == "callout_defer_ok":
			o.callout().DeferOK = true
		case item == "check_postmaster":
			o.callout().Postmaster = true
		case strings.HasPrefix(item, "check_postmaster="):
			o.callout().Postmaster, o.Callout.PostmasterMailFrom = true, value
		case name == "callout":
			o.callout()
			if hasValue {
				if verdict := r.parseCallout(text, o, value); verdict != OK {
					return verdict
				}
			}
		case name == "quota":
			if verdict := r.parseQuota(text, o, value); verdict != OK {
				return verdict
			}
		default:
			return r.Mistake("unknown option \"" + item + "\" in ACL condition \"verify " + text + "\"")
		}
	}
	return r.checkCallout(text, o)
}

// callout returns the callout parameters, made on first use.
func (o *VerifyOptions) callout() *Callout {
	if o.Callout == nil {
		o.Callout = &Callout{}
	}
	return o.Callout
}

// badTime is the answer to a time that is none, and to a word that is not known where a time may stand.
func (r *Run) badTime(text string) Verdict {
	return r.Mistake("bad time value in ACL condition \"verify " + text + "\"")
}

// parseCallout reads the parameters after "callout=" (spec 44.47).
func (r *Run) parseCallout(text string, o *VerifyOptions, list string) Verdict {
	c := o.callout()
	flags := map[string]*bool{"defer_ok": &c.DeferOK, "no_cache": &c.NoCache, "random": &c.Random, "use_sender": &c.UseSender,
		"use_postmaster": &c.UsePostmaster, "hold": &c.Hold, "postmaster": &c.Postmaster, "fullpostmaster": &c.FullPostmaster}
	for _, item := range option.SplitList("<," + list) {
		name, value, hasValue := strings.Cut(item, "=")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		switch {
		case flags[item] != nil:
			*flags[item] = true
			if item == "postmaster" {
				c.PostmasterMailFrom = ""
			}
		case name == "mailfrom" && hasValue:
			if !o.HeaderSender {
				return r.Mistake("\"mailfrom\" is allowed as a callout option only for verify=header_sender (detected in ACL condition \"" + text + "\")")
			}
			c.MailFrom = value
		case name == "postmaster_mailfrom" && hasValue:
			c.Postmaster, c.PostmasterMailFrom = true, value
		case (name == "connect" || name == "maxwait") && hasValue:
			d, ok := option.ParseTime(value)
			if !ok {
				return r.badTime(text)
			}
			if name == "connect" {
				c.Connect = d
			} else {
				c.Overall = d
			}
		default:
			d, ok := option.ParseTime(item)
			if !ok {
				return r.badTime(text)
			}
			c.Timeout = d
		}
	}
	return OK
}

// parseQuota reads the parameters after "quota=" (spec 44.49); words that are not known are ignored.
func (r *Run) parseQuota(text string, o *VerifyOptions, list string) Verdict {
	o.Quota, o.QuotaPositive, o.QuotaNegative = true, 5*time.Minute, time.Hour
	for _, item := range option.SplitList("<," + list) {
		name, value, hasValue := strings.Cut(item, "=")
		switch {
		case item == "no_cache":
			o.QuotaPositive, o.QuotaNegative = 0, 0
		case hasValue && (name == "cachepos" || name == "cacheneg"):
			d, ok := option.ParseTime(value)
			if !ok {
				return r.badTime(text)
			}
			if name == "cachepos" {
				o.QuotaPositive = d
			} else {
				o.QuotaNegative = d
			}
		}
	}
	return OK
}

// checkCallout refuses combinations that make no sense and fills the timeouts.
func (r *Run) checkCallout(text string, o *VerifyOptions) Verdict {
	if o.Quota && o.Sender {
		return r.Mistake("can only verify quota of recipient")
	}
	if o.Quota && o.Callout != nil {
		return r.Mistake("cannot verify quota with callout in ACL condition \"verify " + text + "\"")
	}
	c := o.Callout
	if c == nil {
		return OK
	}
	if o.Sender && !o.HeaderSender && (c.UseSender || c.UsePostmaster) {
		return r.Mistake("use_sender or use_postmaster cannot be used for a sender verify callout")
	}
	if c.FullPostmaster {
		c.Postmaster = true
	}
	if c.Timeout == 0 {
		c.Timeout = 30 * time.Second
	}
	if c.Connect == 0 {
		c.Connect = c.Timeout
	}
	if c.Overall == 0 {
		c.Overall = 4 * c.Timeout
	}
	return OK
}
