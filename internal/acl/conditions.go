package acl

import (
	"strings"

	"exigo/internal/expand"
	"exigo/internal/expand/syntax"
	"exigo/internal/list"
	"exigo/internal/mail"
)

// Sets of phases.
var (
	messagePhases   = Phases(Mail, Rcpt, Predata, MIME, DKIM, PRDR, Data, NotSMTPStart, NotSMTP, NotSMTPMIME)
	nonSMTPPhases   = Phases(NotSMTPStart, NotSMTP)
	noSenderPhases  = Phases(Connect, HELO, StartTLS, Auth, MailAuth, ETRN, EXPN, VRFY, Quit)
	recipientPhases = Phases(Rcpt, VRFY, PRDR)
	contentPhases   = Phases(PRDR, Data, NotSMTP)
	mimePhases      = Phases(MIME, NotSMTPMIME)
)

// except is all phases but those of the sets.
func except(sets ...PhaseSet) PhaseSet {
	s := AllPhases
	for _, x := range sets {
		s &^= x
	}
	return s
}

// Conditions returns the rows of the conditions and modifiers that this package obeys, and placeholders of those that rooms
// provide.
func Conditions() []Condition {
	return append(append(testRows(), modifierRows()...), placeholderRows()...)
}

func testRows() []Condition {
	return []Condition{
		{Name: "acl", Phases: AllPhases, Check: checkACL, Doc: "Runs another ACL, with up to nine arguments."},
		{Name: "authenticated", Phases: except(nonSMTPPhases, Phases(Connect, HELO)), Check: checkAuthenticated,
			Doc: "Tests the name of the authenticator that the client used against a list."},
		{Name: "condition", Phases: AllPhases, Expand: true, Check: checkCondition, Doc: "Tests an expanded string for truth."},
		{Name: "dnslists", Phases: AllPhases, Expand: true, Check: checkDNSLists, Doc: "Looks the client or other keys up in DNS lists."},
		{Name: "domains", Phases: recipientPhases, Check: checkDomains, Doc: "Tests the recipient's domain against a domain list."},
		{Name: "encrypted", Phases: except(nonSMTPPhases, Phases(HELO)), Check: checkEncrypted, Doc: "Tests the cipher suite of the session against a list."},
		{Name: "hosts", Phases: except(nonSMTPPhases), Check: checkHosts, Doc: "Tests the client against a host list."},
		{Name: "local_parts", Phases: recipientPhases, Check: checkLocalParts, Doc: "Tests the recipient's local part against a list."},
		{Name: "ratelimit", Phases: AllPhases, Expand: true, Check: checkRateLimit, Doc: "Measures a rate and tests it against a limit."},
		{Name: "recipients", Phases: Phases(Rcpt), Check: checkRecipients, Doc: "Tests the recipient's address against an address list."},
		{Name: "seen", Phases: AllPhases, Expand: true, Check: checkSeen, Doc: "Tests whether a key was met before."},
		{Name: "sender_domains", Phases: except(noSenderPhases), Check: checkSenderDomains, Doc: "Tests the sender's domain against a domain list."},
		{Name: "senders", Phases: except(noSenderPhases), Check: checkSenders, Doc: "Tests the sender's address against an address list."},
		{Name: "verify", Phases: AllPhases, Expand: true, Check: checkVerify, Doc: "Verifies an address, a host name, a certificate or header lines."},
	}
}

// placeholderRows are the conditions of rooms. While no room provides them they are refused by name when an ACL is read.
func placeholderRows() []Condition {
	rows := []Condition{
		{Name: "bmi_optin", Phases: Phases(Rcpt)},
		{Name: "dcc", Phases: Phases(Data, NotSMTP)},
		{Name: "decode", Phases: mimePhases},
		{Name: "dkim_signers", Phases: Phases(DKIM)},
		{Name: "dkim_status", Phases: Phases(DKIM, PRDR, Data)},
		{Name: "dmarc_status", Phases: Phases(Data)},
		{Name: "malware", Phases: contentPhases},
		{Name: "mime_regex", Phases: mimePhases},
		{Name: "regex", Phases: contentPhases | mimePhases},
		{Name: "spam", Phases: contentPhases},
		{Name: "spf", Phases: except(noSenderPhases, nonSMTPPhases) | Phases(Quit)},
		{Name: "spf_guess", Phases: except(noSenderPhases, nonSMTPPhases) | Phases(Quit)},
	}
	for i := range rows {
		rows[i].Placeholder = true
		rows[i].Doc = "Belongs to a feature."
	}
	return rows
}

// matched turns the result of a list into a verdict. An error of a list is deferred; a mistake goes to the panic log.
func (r *Run) matched(m Match, err error) Verdict {
	switch {
	case err == nil && m.Matched:
		return OK
	case err == nil:
		return Fail
	case !expand.IsTemporary(err) && err.Error() != "":
		r.log(LogMain|LogPanic, err.Error())
	}
	return Defer
}

func checkDomains(r *Run, argument mail.Value) Verdict {
	a := r.Scope.Address
	if a == nil {
		return Fail
	}
	m, err := r.Services.Lists.Domain(r.Scope, argument.S, a.Domain)
	a.DomainData = m.Data
	return r.matched(m, err)
}

func checkLocalParts(r *Run, argument mail.Value) Verdict {
	a := r.Scope.Address
	if a == nil {
		return Fail
	}
	m, err := r.Services.Lists.LocalPart(r.Scope, argument.S, a.LocalPart, r.caseful())
	a.LocalPartData = m.Data
	return r.matched(m, err)
}

// caseful tells whether control = caseful_local_part is in force for the recipient.
func (r *Run) caseful() bool {
	return r.Scope.Message != nil && r.Scope.Message.Controls.CaseFulLocalPart
}

func checkRecipients(r *Run, argument mail.Value) Verdict {
	a := r.Scope.Address
	if a == nil {
		return Fail
	}
	m, err := r.Services.Lists.Address(r.Scope, argument.S, a.Address)
	r.setExtra("recipient_data", m.Data)
	return r.matched(m, err)
}

func checkSenders(r *Run, argument mail.Value) Verdict {
	m, err := r.Services.Lists.Address(r.Scope, argument.S, r.sender())
	r.setExtra("sender_data", m.Data)
	return r.matched(m, err)
}

func checkSenderDomains(r *Run, argument mail.Value) Verdict {
	sender := r.sender()
	domain := ""
	if i := strings.LastIndexByte(sender, '@'); i >= 0 {
		domain = sender[i+1:]
	}
	m, err := list.SenderDomain(r.Scope, argument.S, domain) // $domain is the recipient's
	return r.matched(Match(m), err)
}

func (r *Run) sender() string {
	if r.Scope.Message == nil {
		return ""
	}
	return r.Scope.Message.Sender
}

func checkHosts(r *Run, argument mail.Value) Verdict {
	s := r.Scope.Session
	m, err := r.Services.Lists.Host(r.Scope, argument.S, s.HostName, s.Host)
	r.setExtra("host_data", m.Data)
	return r.matched(m, err)
}

// setExtra sets a variable of the moment.
func (r *Run) setExtra(name string, v mail.Value) {
	if r.Scope.Extra == nil {
		r.Scope.Extra = make(map[string]mail.Value)
	}
	r.Scope.Extra[name] = v
}

func checkAuthenticated(r *Run, argument mail.Value) Verdict {
	if r.Scope.Session.Authenticator == "" {
		return Fail
	}
	return r.matched(r.Services.Lists.String(r.Scope, argument.S, r.Scope.Session.Authenticator))
}

// checkEncrypted tests the cipher suite. Of a cipher in three parts, protocol, suite and bits with colons between, the suite counts.
func checkEncrypted(r *Run, argument mail.Value) Verdict {
	t := r.Scope.Session.TLS
	if t == nil {
		return Fail
	}
	cipher := t.Cipher
	if _, after, ok := strings.Cut(cipher, ":"); ok {
		cipher = after
	}
	if before, _, ok := strings.Cut(cipher, ":"); ok {
		cipher = before
	}
	return r.matched(r.Services.Lists.String(r.Scope, argument.S, cipher))
}

// checkCondition is true for non-zero numbers, yes and true; anything but those and their opposites is an error, which the
// specification calls a defer.
func checkCondition(r *Run, argument mail.Value) Verdict {
	text := argument.S
	switch {
	case text == "" || strings.EqualFold(text, "no") || strings.EqualFold(text, "false"):
		return Fail
	case strings.EqualFold(text, "yes") || strings.EqualFold(text, "true"):
		return OK
	case isInteger(text):
		if strings.Trim(text, "+-0") == "" {
			return Fail
		}
		return OK
	}
	return r.Deferred("invalid \"condition\" value \"" + text + "\"")
}

func isInteger(text string) bool {
	digits := strings.TrimLeft(text[:1], "+-") + text[1:]
	return digits != "" && strings.Trim(digits, "0123456789") == ""
}

// splitWords splits at white space; a word in double quotes may hold some, and has the escapes of spec 6.17.
func splitWords(text string) []string {
	var words []string
	for {
		text = strings.TrimLeft(text, " \t\n")
		if text == "" {
			return words
		}
		if text[0] != '"' {
			end := strings.IndexAny(text, " \t\n")
			if end < 0 {
				end = len(text)
			}
			words, text = append(words, text[:end]), text[end:]
			continue
		}
		var b strings.Builder
		i := 1
		for ; i < len(text) && text[i] != '"'; i++ {
			c := text[i]
			if c == '\\' && i+1 < len(text) {
				var n int
				c, n = syntax.Unescape(text[i+1:])
				i += n
			}
			b.WriteByte(c)
		}
		words, text = append(words, b.String()), text[min(i+1, len(text)):]
	}
}

// checkACL runs another ACL. The name and the arguments are split first and expanded one by one.
func checkACL(r *Run, argument mail.Value) Verdict {
	words := splitWords(argument.S)
	if len(words) == 0 {
		return r.Mistake("missing name of nested ACL")
	}
	var arguments []mail.Value
	for i := 1; i < len(words) && i <= 9; i++ {
		v, err := r.Scope.Engine.Expand(r.Scope, words[i])
		if err != nil {
			return r.Mistake("failed to expand ACL string \"" + words[0] + "\": " + err.Error())
		}
		arguments = append(arguments, v)
	}
	verb := r.Verb
	user, log := r.UserMessage, r.LogMessage
	verdict := r.withArguments(words[0], arguments)
	r.Verb = verb
	if verdict == Discard && verb != Accept && verb != DiscardVerb {
		return r.Mistake("nested ACL returned \"discard\" for \"" + verb.String() + "\" command (only allowed with \"accept\" or \"discard\")")
	}
	if verdict == OK {
		// What a nested ACL says when it accepts is not ours.
		r.UserMessage, r.LogMessage = user, log
	}
	return verdict
}
