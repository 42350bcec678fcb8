// Package spf evaluates the Sender Policy Framework, version 1 (RFC 7208): may a host use a domain in HELO or MAIL FROM?
//
// Trust: policies, explanations and reverse names come from the DNS of whoever owns them, HELO and sender from the client. Questions to
// the DNS are limited in number (RFC 7208 section 4.6.4), names in length; explanations are one line of printable ASCII.
package spf

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"time"
)

// Result of a check (RFC 7208 section 2.6).
type Result string

// The results.
const (
	None      Result = "none"
	Neutral   Result = "neutral"
	Pass      Result = "pass"
	Fail      Result = "fail"
	SoftFail  Result = "softfail"
	TempError Result = "temperror"
	PermError Result = "permerror"
)

// DefaultGuess is the record that "best guess" takes in place of a missing one, by convention.
const DefaultGuess = "v=spf1 a/24 mx/24 ptr ?all"

// Type is the type of a DNS record, by its number.
type Type uint16

// The types that SPF asks for.
const (
	A    Type = 1
	PTR  Type = 12
	MX   Type = 15
	TXT  Type = 16
	AAAA Type = 28
)

// ErrVoid is the error of a Resolver for a name that does not exist, or has no record of the type.
var ErrVoid = errors.New("no such record")

// Resolver answers a question of the DNS: addresses in text form, host names for PTR and MX (in order of preference), and for TXT each
// record's strings joined. The error is ErrVoid, or else temporary.
type Resolver func(ctx context.Context, name string, kind Type) (data []string, err error)

// Query is what is to be checked.
type Query struct {
	// IP is the client's address; an IPv4-mapped one is IPv4.
	IP netip.Addr
	// HELO is the argument of HELO or EHLO. Sender is the envelope sender, "" for a bounce: postmaster at the HELO name is checked then.
	HELO, Sender string
	// Receiver is the name of the checking host, for %{r}; "" is unknown.
	Receiver string
	// Record, if set, is evaluated in place of the one that the domain publishes.
	Record string
	// Now is the time, for %{t}.
	Now time.Time
}

// Outcome is what a check found.
type Outcome struct {
	Result Result
	// Domain is the domain that was checked, Sender the address that stands for the identity: local part "postmaster" where there was
	// none. HELO says that the identity is that of HELO.
	Domain, Sender string
	HELO           bool
	// Mechanism is the term that decided, without its qualifier, as the record has it; "" where none did. "default" when the record's end
	// was reached.
	Mechanism string
	// Problem says what is wrong, for temperror, permerror and some nones.
	Problem string
	// Explanation is the text that the domain's owner gives for a fail, expanded; "" for none.
	Explanation string
	// Record is the policy that was evaluated first, "" for none.
	Record string
}

// Check evaluates the policy for a client (check_host() of RFC 7208 section 4). When ctx ends the result is temperror.
func Check(ctx context.Context, resolver Resolver, q Query) Outcome {
	c := newCheck(ctx, resolver, q)
	out := Outcome{Domain: c.senderDomain, Sender: c.local + "@" + c.senderDomain, HELO: q.Sender == ""}
	if !c.ip.IsValid() {
		out.Result, out.Problem = None, "no client address"
		return out
	}
	if !isDomain(c.senderDomain) {
		out.Result, out.Problem = None, "no domain to check"
		return out
	}
	v := c.host(c.senderDomain, q.Record)
	out.Result, out.Mechanism, out.Problem, out.Record = v.result, v.mechanism, v.problem, v.record
	if v.result == Fail && v.explain != "" {
		out.Explanation = c.explanation(v.explain, v.domain)
	}
	return out
}

// Expand expands a text of the administrator's in which the macros of explanations may stand (RFC 7208 section 7). ok is false when it is
// malformed.
func Expand(ctx context.Context, resolver Resolver, q Query, text string) (expanded string, ok bool) {
	c := newCheck(ctx, resolver, q)
	out, err := c.expand(text, c.senderDomain, true)
	return out, err == nil
}

func newCheck(ctx context.Context, resolver Resolver, q Query) *check {
	c := &check{ctx: ctx, resolver: resolver, query: q, ip: q.IP.Unmap().WithZone("")}
	c.local, c.senderDomain = "postmaster", q.HELO
	if q.Sender != "" {
		c.senderDomain = q.Sender
		if i := strings.LastIndexByte(q.Sender, '@'); i >= 0 {
			c.senderDomain = q.Sender[i+1:]
			if i > 0 {
				c.local = q.Sender[:i]
			}
		}
	}
	c.senderDomain = strings.TrimSuffix(c.senderDomain, ".")
	return c
}

// isDomain tells whether a check makes sense for the name: several labels, none empty or too long (RFC 7208 section 4.3).
func isDomain(name string) bool {
	return strings.Contains(name, ".") && canAsk(name) && !strings.HasPrefix(name, "[")
}

// canAsk tells whether the DNS can have the name.
func canAsk(name string) bool {
	if name == "" || len(name) > maxName {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 {
			return false
		}
	}
	return true
}

// maxName is the longest name (RFC 7208 section 7.3).
const maxName = 253
