package spf

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// Limits of RFC 7208 section 4.6.4.
const (
	maxLookups = 10 // terms that ask the DNS
	maxVoid    = 2  // of them, those that found nothing
	maxMX      = 10
	maxPTR     = 10
)

// check is one evaluation at work.
type check struct {
	ctx      context.Context
	resolver Resolver
	query    Query
	ip       netip.Addr
	// local and senderDomain are the parts of the identity.
	local, senderDomain string

	lookups, voids int
	// names are the client's validated names; found says that they were looked for.
	names []string
	found bool
}

// verdict is the result for one domain.
type verdict struct {
	result             Result
	mechanism, problem string
	// explain is the domain-spec of exp=, to be expanded for the domain.
	explain, domain string
	record          string
}

func problem(result Result, format string, args ...any) verdict {
	return verdict{result: result, problem: fmt.Sprintf(format, args...)}
}

// host is check_host() for a domain; text, if set, is its record.
func (c *check) host(domain, text string) verdict {
	if text == "" {
		var v verdict
		if text, v = c.policy(domain); text == "" {
			return v
		}
	}
	if !isRecord(text) {
		return problem(PermError, "not an SPF record")
	}
	r, err := parseRecord(text)
	if err != nil {
		v := problem(PermError, "%v", err)
		v.record = text
		return v
	}
	v := c.evaluate(r, domain)
	v.record = text
	return v
}

// policy finds a domain's record (RFC 7208 sections 4.4, 4.5); without one the text is "" and the verdict says what follows.
func (c *check) policy(domain string) (text string, v verdict) {
	records, err := c.resolver(c.ctx, domain, TXT)
	switch {
	case errors.Is(err, ErrVoid):
		return "", problem(None, "no SPF record")
	case err != nil:
		return "", problem(TempError, "error in DNS lookup of %s: %v", domain, err)
	}
	for _, t := range records {
		if !isRecord(t) {
			continue
		}
		if text != "" {
			return "", problem(PermError, "Multiple SPF or TXT records for domain.")
		}
		text = t
	}
	if text == "" {
		return "", problem(None, "no SPF record")
	}
	return text, verdict{}
}

// evaluate goes through a record's mechanisms, then its redirect.
func (c *check) evaluate(r record, domain string) verdict {
	for i := range r.terms {
		t := &r.terms[i]
		matched, bad := c.matches(t, domain)
		if bad != nil {
			bad.mechanism = t.text
			return *bad
		}
		if matched {
			return verdict{result: t.result, mechanism: t.text, explain: r.explain, domain: domain}
		}
	}
	if r.redirect == "" {
		return verdict{result: Neutral, mechanism: "default"}
	}
	if bad := c.count(); bad != nil {
		return *bad
	}
	target := c.target(r.redirect, domain)
	if !canAsk(target) {
		return problem(PermError, "invalid domain in redirect=%s", r.redirect)
	}
	v := c.host(target, "")
	if v.result == None {
		return problem(PermError, "Could not find a valid SPF record")
	}
	return v
}

// count counts a term that asks the DNS.
func (c *check) count() *verdict {
	if c.lookups++; c.lookups > maxLookups {
		v := problem(PermError, "more than %d terms with DNS lookups", maxLookups)
		return &v
	}
	return nil
}

// target expands a domain-spec, "" for the domain at hand; long names lose labels on the left (RFC 7208 section 7.3).
func (c *check) target(spec, domain string) string {
	if spec == "" {
		return domain
	}
	name, err := c.expand(spec, domain, false)
	if err != nil {
		return ""
	}
	name = strings.TrimSuffix(name, ".")
	for len(name) > maxName {
		i := strings.IndexByte(name, '.')
		if i < 0 {
			break
		}
		name = name[i+1:]
	}
	return name
}

// matches tests a mechanism (RFC 7208 section 5). A verdict ends the evaluation.
func (c *check) matches(t *term, domain string) (bool, *verdict) {
	switch t.name {
	case "all":
		return true, nil
	case "ip4", "ip6":
		return within(c.ip, t.network), nil
	}
	if bad := c.count(); bad != nil {
		return false, bad
	}
	name := c.target(t.spec, domain)
	if t.name == "ptr" {
		return c.pointer(name), nil
	}
	if !canAsk(name) {
		if t.name == "include" {
			v := problem(PermError, "invalid domain in %q", t.text)
			return false, &v
		}
		return false, c.void()
	}
	switch t.name {
	case "include":
		return c.include(name)
	case "exists":
		addresses, bad := c.ask(name, A)
		return len(addresses) > 0, bad
	case "mx":
		return c.exchangers(name, t)
	}
	addresses, bad := c.ask(name, c.addressType())
	return c.anyWithin(addresses, t), bad
}

// include evaluates another domain's record.
func (c *check) include(name string) (bool, *verdict) {
	v := c.host(name, "")
	switch v.result {
	case Pass:
		return true, nil
	case TempError:
		return false, &v
	case None:
		v = problem(PermError, "Could not find a valid SPF record")
		return false, &v
	case PermError:
		return false, &v
	}
	return false, nil
}

// exchangers tests the addresses of a domain's mail exchangers.
func (c *check) exchangers(name string, t *term) (bool, *verdict) {
	hosts, bad := c.ask(name, MX)
	if bad != nil {
		return false, bad
	}
	if len(hosts) > maxMX {
		v := problem(PermError, "more than %d MX records of %s", maxMX, name)
		return false, &v
	}
	for _, host := range hosts {
		host = strings.TrimSuffix(host, ".")
		if !canAsk(host) {
			continue
		}
		addresses, err := c.resolver(c.ctx, host, c.addressType())
		if err != nil && !errors.Is(err, ErrVoid) {
			v := problem(TempError, "error in DNS lookup of %s: %v", host, err)
			return false, &v
		}
		if c.anyWithin(addresses, t) {
			return true, nil
		}
	}
	return false, nil
}

// ask asks for a term; what is not there counts as a void lookup.
func (c *check) ask(name string, kind Type) ([]string, *verdict) {
	data, err := c.resolver(c.ctx, name, kind)
	switch {
	case errors.Is(err, ErrVoid) || err == nil && len(data) == 0:
		return nil, c.void()
	case err != nil:
		v := problem(TempError, "error in DNS lookup of %s: %v", name, err)
		return nil, &v
	}
	return data, nil
}

func (c *check) void() *verdict {
	if c.voids++; c.voids > maxVoid {
		v := problem(PermError, "more than %d void DNS lookups", maxVoid)
		return &v
	}
	return nil
}

func (c *check) addressType() Type {
	if c.ip.Is4() {
		return A
	}
	return AAAA
}

// anyWithin tells whether the client is in the network of one of the addresses.
func (c *check) anyWithin(addresses []string, t *term) bool {
	bits := t.prefix6
	if c.ip.Is4() {
		bits = t.prefix4
	}
	for _, text := range addresses {
		if a, err := netip.ParseAddr(text); err == nil && within(c.ip, netip.PrefixFrom(a, bits)) {
			return true
		}
	}
	return false
}

func within(ip netip.Addr, network netip.Prefix) bool {
	return network.IsValid() && network.Contains(ip)
}

// pointer is the ptr mechanism: one of the client's validated names is the domain or below it.
func (c *check) pointer(domain string) bool {
	for _, name := range c.clientNames() {
		if isBelow(name, domain) {
			return true
		}
	}
	return false
}

// clientNames are the names of the client's PTR records, of the first ten, that have its address (RFC 7208 section 5.5). Errors
// leave names out.
func (c *check) clientNames() []string {
	if c.found {
		return c.names
	}
	c.found = true
	names, err := c.resolver(c.ctx, reverseName(c.ip), PTR)
	if err != nil { // not a void lookup: the domain cannot help what the client's owner publishes
		return nil
	}
	for _, name := range names[:min(len(names), maxPTR)] {
		name = strings.TrimSuffix(name, ".")
		if !canAsk(name) {
			continue
		}
		addresses, err := c.resolver(c.ctx, name, c.addressType())
		if err == nil && c.anyWithin(addresses, &term{prefix4: 32, prefix6: 128}) {
			c.names = append(c.names, name)
		}
	}
	return c.names
}

// validated is %{p}: the name that is the domain, else one below it, else any.
func (c *check) validated(domain string) string {
	best, rank := "unknown", 0
	for _, name := range c.clientNames() {
		r := 1
		switch {
		case strings.EqualFold(name, domain):
			r = 3
		case isBelow(name, domain):
			r = 2
		}
		if r > rank {
			best, rank = name, r
		}
	}
	return best
}

// isBelow tells whether a name is the domain or a subdomain of it.
func isBelow(name, domain string) bool {
	cut := len(name) - len(domain)
	return cut == 0 && strings.EqualFold(name, domain) || cut > 0 && name[cut-1] == '.' && strings.EqualFold(name[cut:], domain)
}

// explanation fetches and expands the text that exp= names; whatever goes wrong, there is none (RFC 7208 section 6.2).
func (c *check) explanation(spec, domain string) string {
	name := c.target(spec, domain)
	if !canAsk(name) {
		return ""
	}
	texts, err := c.resolver(c.ctx, name, TXT)
	if err != nil || len(texts) != 1 {
		return ""
	}
	text, err := c.expand(texts[0], domain, true)
	if err != nil {
		return ""
	}
	return printable(text)
}

// printable makes one line of printable ASCII: what senders put into macros is not bound by the record's alphabet.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f {
			return '?'
		}
		return r
	}, text)
}
