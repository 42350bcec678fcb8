package dkim

import (
	"fmt"
	"strings"

	"exigo/internal/eventlog"
	"exigo/internal/mail"
	"exigo/internal/proto/dkim"
)

// words are Exim's for a reason: the values of $dkim_verify_status and $dkim_verify_reason, the text of the log line, and the comment in
// Authentication-Results.
type words struct{ status, reason, log, comment string }

func wordsFor(r dkim.Reason) words {
	switch r {
	case dkim.Good:
		return words{"pass", "", "verification succeeded", ""}
	case dkim.NotVerified:
		return words{"none", "", "not verified", ""}
	case dkim.BadVersion:
		return words{"invalid", "", "invalid - unsupported DKIM version", "unsupported DKIM version"}
	case dkim.BadSyntax:
		return words{"invalid", "", "invalid - signature tag missing or invalid", "signature tag missing or invalid"}
	case dkim.KeyTemporary, dkim.NoKey:
		return words{"invalid", "pubkey_unavailable", "invalid - public key record (currently?) unavailable", "pubkey unavailable"}
	case dkim.BadRecord:
		return words{"invalid", "pubkey_dns_syntax", "invalid - syntax error in public key record", "public key record import problem"}
	case dkim.BadKey:
		return words{"invalid", "pubkey_der_syntax", "invalid - syntax error in public key record", "public key record import problem"}
	case dkim.KeyTooShort:
		return words{"fail", "pubkey_too_short", "verification failed - signature invalid (key too short)", "public key too short: %d bits"}
	case dkim.BodyChanged:
		return words{"fail", "bodyhash_mismatch", "verification failed - body hash mismatch (body probably modified in transit)", "body hash mismatch; body probably modified in transit"}
	case dkim.HeaderChanged:
		return words{"fail", "signature_incorrect", "verification failed - signature did not verify (headers probably modified in transit)",
			"signature did not verify; headers probably modified in transit"}
	}
	return words{"fail", "", "verification failed - unspecified reason", "unspecified reason"}
}

// orUnset is a tag's value for the log.
func orUnset(s string) string {
	if s == "" {
		return "<UNSET>"
	}
	return s
}

// line is the log line of the selector dkim_verbose.
func (j *judged) line() string {
	var b strings.Builder
	fmt.Fprintf(&b, "DKIM: d=%s s=%s c=%s/%s a=%s b=%d", orUnset(j.Domain), orUnset(j.Selector), j.Header, j.Body, j.Algorithm, j.Bits())
	if j.Identity != "" {
		b.WriteString(" i=" + j.Identity)
	}
	for _, n := range []struct {
		tag   string
		value int64
	}{{"t", j.Created}, {"x", j.Expires}, {"l", j.Limit}} {
		if n.value >= 0 {
			fmt.Fprintf(&b, " %s=%d", n.tag, n.value)
		}
	}
	if j.replaced {
		fmt.Fprintf(&b, " [%s - %s]", j.status, j.reason)
	} else {
		b.WriteString(" [" + wordsFor(j.Reason).log + "]")
	}
	return b.String()
}

// verdict is the result in the words of RFC 8601. A good signature that does not cover From: says nothing about the author (RFC 6376 section 5.4
// forbids it), so that nobody is to build on it, though $dkim_verify_status calls it good as Exim does.
func (j *judged) verdict() mail.Verdict {
	v := mail.Verdict{Method: "dkim", Result: j.Status(), Comment: wordsFor(j.Reason).comment}
	switch {
	case j.replaced:
		v.Result, v.Comment = "policy", j.status+" - "+j.reason
	case j.Reason == dkim.KeyTooShort:
		v.Comment = fmt.Sprintf(v.Comment, j.Key.Public.Bits())
	case j.Reason == dkim.Good && !j.SignsFrom():
		v.Result, v.Comment = "policy", "From: is not signed"
	}
	for _, p := range []struct{ name, value string }{{"d", j.Domain}, {"i", j.Identity}, {"s", j.Selector}, {"a", j.Algorithm.String()}} {
		if p.value != "" {
			v.Properties = append(v.Properties, mail.Property{Type: "header", Name: p.name, Value: p.value})
		}
	}
	return v
}

// received is the field of reception lines.
func received(m *mail.Message, on eventlog.Set) string {
	if st := mail.Peek[state](&m.Bag); st != nil && st.domain != "" && on.Has(eventlog.DKIM) {
		return "DKIM=" + st.domain
	}
	return ""
}

// delivered is the field of delivery lines.
func delivered(_ *mail.Message, a *mail.Address, on eventlog.Set) string {
	if s := mail.Peek[signed](&a.Bag); s != nil && s.by != "" && on.Has(eventlog.DKIMVerbose) {
		return "DKIM=" + s.by
	}
	return ""
}
