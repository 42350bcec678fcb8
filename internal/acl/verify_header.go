package acl

import (
	"fmt"
	"strings"

	"exigo/internal/config"
	"exigo/internal/mail"
	"exigo/internal/option"
	"exigo/internal/proto/address"
)

// maxShown is how much of a bad address is shown.
const maxShown = 1024

// rejectedAfterData gives the client the reason when smtp_return_error_details asks for that.
func (r *Run) rejectedAfterData(log string) Verdict {
	r.LogMessage = log
	if r.UserMessage == "" && r.returnsDetails() {
		r.UserMessage = "Rejected after DATA: " + log
	}
	r.setVerifyMessage(r.UserMessage)
	return Fail
}

func (r *Run) main() *config.Main { return option.Of[config.Main](config.Of(r.Scope).Main) }

func (r *Run) returnsDetails() bool { return r.main().SMTPReturnErrorDetails }

// addressOptions are those with which addresses in header lines are read.
func (r *Run) addressOptions() address.Options {
	m := r.main()
	return address.Options{AllowNull: true, AllowLiterals: m.AllowDomainLiterals, StripTrailingDot: m.StripTrailingDot,
		StripExcessAngles: m.StripExcessAngleBrackets, AllowUTF8: m.AllowUTF8Domains || r.Scope.Message.SMTPUTF8}
}

// headerKind tells what a header line holds: 's' addresses of senders, 'r' of recipients, 0 something else. Resent- fields count as
// those without.
func headerKind(h mail.Header) byte {
	if h.Type == '*' {
		return 0
	}
	name := strings.ToLower(h.Name())
	switch strings.TrimPrefix(name, "resent-") {
	case "from", "sender", "reply-to":
		return 's'
	case "to", "cc", "bcc":
		return 'r'
	}
	return 0
}

// verifyHeaderSyntax checks that all addresses in header lines can be read, and are complete unless the source of the
// message may send incomplete ones.
func verifyHeaderSyntax(r *Run, _, _ string, _ []string) Verdict {
	m := r.Scope.Message
	for _, h := range m.Headers {
		kind := headerKind(h)
		if kind == 0 {
			continue
		}
		unqualifiedOK := kind == 's' && m.AllowUnqualifiedSender || kind == 'r' && m.AllowUnqualifiedRecipient
		items := address.NewList(h.Value(), r.addressOptions())
		for {
			item, ok := items.Next()
			if !ok {
				break
			}
			reason := ""
			switch {
			case item.Err != nil:
				reason = item.Err.Error()
			case item.Mailbox.Address != "" && item.Mailbox.Domain == 0 && !unqualifiedOK:
				reason = "unqualified address not permitted"
			default:
				continue
			}
			shown, verb := strings.TrimSpace(item.Text), "is"
			if len(shown) > maxShown {
				shown, verb = shown[:maxShown], "begins"
			}
			return r.rejectedAfterData(fmt.Sprintf("%s: failing address in \"%s:\" header %s: %s", reason, h.Name(), verb, shown))
		}
	}
	return OK
}

// verifyHeaderNames checks that names of header lines are printable ASCII.
func verifyHeaderNames(r *Run, _, _ string, _ []string) Verdict {
	for _, h := range r.Scope.Message.Headers {
		if h.Type == '*' {
			continue
		}
		name, _, _ := strings.Cut(h.Text, ":")
		for i := range len(name) {
			if name[i] < 33 || name[i] > 126 {
				r.LogMessage = "Invalid character in header \"" + name + "\" found"
				return Fail
			}
		}
	}
	return OK
}

// verifyHeaderSender looks for one address in Sender:, Reply-To: or From: that verifies as a sender.
func verifyHeaderSender(r *Run, text, _ string, options []string) Verdict {
	o := VerifyOptions{Sender: true, HeaderSender: true}
	if verdict := r.parseVerify(text, &o, options); verdict != OK {
		return verdict
	}
	if r.Services.VerifyAddress == nil {
		return r.Mistake("verify = header_sender is not supported yet")
	}
	verdict := Fail
	for _, name := range []string{"sender", "reply-to", "from"} {
		for _, h := range r.Scope.Message.Headers {
			if h.Type == '*' || !h.Is(name) {
				continue
			}
			switch r.verifyHeader(h, o) {
			case OK:
				r.UserMessage, r.LogMessage = "", ""
				return OK
			case Defer:
				verdict = Defer
			}
		}
	}
	if verdict == Defer {
		return r.Deferred("all attempts to verify a sender in a header line deferred")
	}
	if r.LogMessage == "" {
		r.LogMessage = "there is no valid sender in any header line"
	}
	if r.UserMessage == "" && r.returnsDetails() {
		r.UserMessage = "Rejected after DATA: " + r.LogMessage
	}
	r.setVerifyMessage(r.UserMessage)
	return Fail
}

// verifyHeader verifies the addresses of one header line until one is good.
func (r *Run) verifyHeader(h mail.Header, o VerifyOptions) Verdict {
	verdict := Fail
	items := address.NewList(h.Value(), r.addressOptions())
	for {
		item, ok := items.Next()
		if !ok {
			return verdict
		}
		if item.Err != nil {
			r.LogMessage = fmt.Sprintf("syntax error in '%s:' header when scanning for sender: %s in \"%s\"", h.Name(), item.Err.Error(), strings.TrimSpace(item.Text))
			return verdict
		}
		if item.Mailbox.Address == "" {
			continue
		}
		r.flush(o)
		result := r.Services.VerifyAddress(r.Ctx, r.Scope, item.Mailbox.Address, o)
		switch {
		case result.Result == OK || result.Result == Defer && o.DeferOK:
			return OK
		case result.Result == Defer:
			verdict = Defer
		}
		if r.returnsDetails() {
			why := result.LogMessage
			if result.UserMessage != "" {
				why = result.UserMessage
			}
			r.UserMessage = fmt.Sprintf("Rejected after DATA: could not verify \"%s:\" header address\n%s: %s", h.Name(), result.Address, why)
		}
	}
}

// verifyNotBlind checks that every recipient stands in To: or Cc: (or, resent, in Resent-To: or Resent-Cc:).
func verifyNotBlind(r *Run, text, _ string, options []string) Verdict {
	caseInsensitive := false
	for _, o := range options {
		switch o {
		case "case_insensitive":
			caseInsensitive = true
		case "":
		default:
			return r.Mistake("unknown option \"" + o + "\" in ACL condition \"verify " + text + "\"")
		}
	}
	named := make(map[string]bool)
	for _, h := range r.Scope.Message.Headers {
		if h.Type == '*' || !h.Is("to") && !h.Is("cc") && !h.Is("resent-to") && !h.Is("resent-cc") {
			continue
		}
		items := address.NewList(h.Value(), r.addressOptions())
		for {
			item, ok := items.Next()
			if !ok {
				break
			}
			if item.Err == nil && item.Mailbox.Domain > 0 {
				named[folded(item.Mailbox.Address, caseInsensitive)] = true
			}
		}
	}
	for _, recipient := range r.Scope.Message.Recipients {
		if !named[folded(recipient.Address, caseInsensitive)] {
			return r.rejectedAfterData("bcc recipient detected")
		}
	}
	return OK
}

// folded gives addresses that are the same one form: the domain in lower case, and with all the local part too.
func folded(a string, all bool) string {
	i := strings.LastIndexByte(a, '@')
	if all || i < 0 {
		return strings.ToLower(a)
	}
	return a[:i] + strings.ToLower(a[i:])
}
