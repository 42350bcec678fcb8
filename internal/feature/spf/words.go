package spf

import (
	"context"
	"fmt"
	"strings"

	"exigo/internal/eventlog"
	"exigo/internal/expand"
	"exigo/internal/mail"
	"exigo/internal/proto/spf"
)

// guessComment marks the verdict of a best guess, which is not SPF.
const guessComment = "best guess record for domain"

// verdicts puts the result in the place of an earlier one, or first: Authentication-Results has SPF before the methods that look at the
// data.
func verdicts(list []mail.Verdict, st *state) []mail.Verdict {
	p := mail.Property{Type: "smtp", Name: "mailfrom", Value: st.outcome.Domain}
	if st.outcome.HELO {
		p.Name = "helo"
	}
	v := mail.Verdict{Method: "spf", Result: string(st.outcome.Result), Properties: []mail.Property{p}}
	if st.guess {
		v.Comment = guessComment
	}
	for i := range list {
		if list[i].Method == "spf" {
			list[i] = v
			return list
		}
	}
	return append([]mail.Verdict{v}, list...)
}

// maxReply is how much of an explanation the client is told.
const maxReply = 1000

// word makes the texts about an outcome.
func (st *state) word(ctx context.Context, s *expand.Scope, options *settings) {
	o, ip := &st.outcome, ""
	if st.query.IP.IsValid() {
		ip = eventlog.Address(st.query.IP)
	}
	st.comment = st.query.Receiver + ": " + outcomeText(o, commentText(o.Domain), ip, st.query.IP.Unmap().IsLoopback())
	st.received = fmt.Sprintf("Received-SPF: %s (%s) client-ip=%s; envelope-from=%s; helo=%s;", o.Result, st.comment, ip, token(o.Sender), token(st.query.HELO))
	st.reply = ""
	switch o.Result {
	case spf.Fail, spf.SoftFail, spf.Neutral:
		reason := "mechanism"
		if o.Mechanism == "default" {
			reason = "default"
		}
		text := o.Explanation
		if text == "" {
			text = st.template(ctx, s, options)
		}
		st.reply = fmt.Sprintf("%.*s : Reason: %s", maxReply, text, reason)
	}
}

// template expands spf_smtp_comment_template: as a string of the configuration, then as a text with SPF macros.
func (st *state) template(ctx context.Context, s *expand.Scope, options *settings) string {
	ask := resolver(s.Engine.World)
	if v, err := s.Engine.Expand(s, string(options.template)); err == nil {
		if text, ok := spf.Expand(ctx, ask, st.query, v.S); ok {
			return text
		}
	}
	text, _ := spf.Expand(ctx, ask, st.query, defaultTemplate)
	return text
}

// outcomeText says what the outcome means, in the words of libspf2.
func outcomeText(o *spf.Outcome, domain, ip string, local bool) string {
	switch o.Result {
	case spf.Pass:
		if local {
			return "localhost is always allowed."
		}
		return fmt.Sprintf("domain of %s designates %s as permitted sender", domain, ip)
	case spf.Fail:
		return fmt.Sprintf("domain of %s does not designate %s as permitted sender", domain, ip)
	case spf.SoftFail:
		return fmt.Sprintf("transitioning domain of %s does not designate %s as permitted sender", domain, ip)
	case spf.Neutral:
		return fmt.Sprintf("%s is neither permitted nor denied by domain of %s", ip, domain)
	case spf.TempError:
		return "encountered temporary error during SPF processing of domain of " + domain
	case spf.PermError:
		return fmt.Sprintf("error in processing during lookup of domain of %s: %s", domain, commentText(o.Problem))
	}
	return fmt.Sprintf("domain of %s does not provide an SPF record", domain)
}

// commentText makes a text that can stand in a comment of a header line (RFC 5322 section 3.2.2).
func commentText(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c < ' ' || c == 0x7f:
			b.WriteByte('?')
			continue
		case c == '(' || c == ')' || c == '\\':
			b.WriteByte('\\')
		}
		b.WriteByte(text[i])
	}
	return b.String()
}

// token makes a value of a header line (RFC 7208 section 9.1): as it is where nothing in it is special, else a quoted string.
func token(text string) string {
	if text != "" && strings.IndexFunc(text, func(r rune) bool { return r <= ' ' || r == 0x7f || strings.ContainsRune("()<>,;\\\"", r) }) < 0 {
		return text
	}
	var b strings.Builder
	b.WriteByte('"')
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c < ' ' || c == 0x7f:
			b.WriteByte('?')
			continue
		case c == '"' || c == '\\':
			b.WriteByte('\\')
		}
		b.WriteByte(text[i])
	}
	b.WriteByte('"')
	return b.String()
}
