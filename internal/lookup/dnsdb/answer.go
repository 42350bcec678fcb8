package dnsdb

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"exigo/internal/outside"
)

// all looks one domain up and adds what there is to the output. temporary says that a lookup deferred.
func (q *query) all(ctx context.Context, dns outside.Resolver, domain string) (temporary bool) {
	if q.kind.name == "a+" {
		six := q.lookup(ctx, dns, domain, outside.TypeAAAA)
		four := q.lookup(ctx, dns, domain, outside.TypeA)
		return six || four
	}
	if q.kind.name == "ptr" || q.kind.name == "csa" && q.useReverse {
		if a, err := netip.ParseAddr(strings.Trim(domain, "[]")); err == nil {
			domain = reverse(a)
		}
	}
	switch q.kind.name {
	case "csa":
		return q.authorization(ctx, dns, domain)
	case "zns", "soa":
		return q.climb(ctx, dns, domain)
	}
	return q.lookup(ctx, dns, domain, q.kind.rr)
}

// reverse is the name of an address in the reverse DNS.
func reverse(a netip.Addr) string {
	var b strings.Builder
	if a = a.Unmap(); a.Is4() {
		o := a.As4()
		return fmt.Sprintf("%d.%d.%d.%d.in-addr.arpa", o[3], o[2], o[1], o[0])
	}
	o := a.As16()
	for i := 15; i >= 0; i-- {
		fmt.Fprintf(&b, "%x.%x.", o[i]&15, o[i]>>4)
	}
	return b.String() + "ip6.arpa"
}

// ask makes one query. temporary is set for failures that may go away and, with dnssec_strict, for answers that are not secured.
func (q *query) ask(ctx context.Context, dns outside.Resolver, name string, t outside.RRType) (a outside.Answer, found, temporary bool) {
	if name == "" || len(name) > 255 {
		return a, false, false
	}
	a, err := dns.Lookup(ctx, outside.Question{Name: name, Type: t, DNSSEC: q.dnssec != never})
	switch {
	case errors.Is(err, outside.ErrNoHost), errors.Is(err, outside.ErrNoData):
		return a, false, false
	case err != nil:
		return a, false, true
	case q.dnssec == strict && !a.Secure:
		return a, false, true
	}
	return a, len(a.Records) > 0, false
}

func (q *query) lookup(ctx context.Context, dns outside.Resolver, name string, t outside.RRType) (temporary bool) {
	a, found, temporary := q.ask(ctx, dns, name, t)
	if found {
		q.answer(a)
	}
	return temporary
}

// climb asks for the domain and, while it has no such record, for its parents: zns never asks for the root, soa neither.
func (q *query) climb(ctx context.Context, dns outside.Resolver, name string) (temporary bool) {
	for name = strings.TrimSuffix(name, "."); name != ""; {
		a, found, temporary := q.ask(ctx, dns, name, q.kind.rr)
		if found {
			q.answer(a)
			return false
		}
		if temporary {
			return true
		}
		_, name, _ = strings.Cut(name, ".")
	}
	return false
}

// answer adds the records of an answer.
func (q *query) answer(a outside.Answer) {
	q.secure = q.secure && a.Secure
	for i := range a.Records {
		r := &a.Records[i]
		q.life = min(q.life, r.TTL)
		q.add(q.format(r))
	}
}

func (q *query) add(text string) {
	if q.records > 0 {
		q.out.WriteString(q.separator)
	}
	q.records++
	q.out.WriteString(text)
}

// format writes one record as the type of the query wants it.
func (q *query) format(r *outside.Record) string {
	number := func(n uint16) string { return strconv.Itoa(int(n)) }
	switch q.kind.name {
	case "txt":
		return q.text(r, "")
	case "spf":
		return q.text(r, "spf")
	case "mx":
		return number(r.Preference) + q.fields + r.Data
	case "srv":
		return number(r.Preference) + q.fields + number(r.Weight) + q.fields + number(r.Port) + q.fields + r.Data
	case "tlsa":
		return number(uint16(r.Usage)) + q.fields + number(uint16(r.Selector)) + q.fields + number(uint16(r.Matching)) + q.fields + strings.ToLower(r.Data)
	case "soa":
		if !q.fieldsGiven {
			return r.Data
		}
		out := r.Data + q.fields + r.SOA.Mailbox
		for _, n := range [...]uint32{r.SOA.Serial, r.SOA.Refresh, r.SOA.Retry, r.SOA.Expire, r.SOA.Minimum} {
			out += q.fields + strconv.FormatUint(uint64(n), 10)
		}
		return out
	}
	return r.Data
}

// text gives the strings of a TXT record: the first one only, all of them with the separator given, or for SPF all without any.
func (q *query) text(r *outside.Record, kind string) string {
	items := r.Strings
	if len(items) == 0 {
		items = []string{r.Data}
	}
	switch {
	case q.fieldsGiven:
		return strings.Join(items, q.fields)
	case kind == "spf":
		return strings.Join(items, "")
	}
	return items[0]
}

// authorization finds a CSA record (spec 44.52; draft-ietf-marid-csv-csa): at the domain itself, else at a parent, where it can
// but say that subdomains need authorization of their own.
func (q *query) authorization(ctx context.Context, dns outside.Resolver, domain string) (temporary bool) {
	domain = strings.TrimSuffix(domain, ".")
	name := domain
	for level := 0; level <= q.searchLimit && name != ""; level++ {
		a, found, temporary := q.ask(ctx, dns, "_client._smtp."+name, outside.TypeSRV)
		if temporary {
			return true
		}
		if found {
			q.authorize(a, name == domain)
			return false
		}
		_, parent, _ := strings.Cut(name, ".")
		if !strings.Contains(parent, ".") {
			return false // top-level domains have no CSA records
		}
		name = parent
	}
	return false
}

const csaVersion = 1

// authorize adds the meaning of CSA records. direct says that they stand at the domain itself.
func (q *query) authorize(a outside.Answer, direct bool) {
	q.secure = q.secure && a.Secure
	for _, r := range a.Records {
		if r.Preference != csaVersion {
			continue
		}
		q.life = min(q.life, r.TTL)
		code := "?"
		switch {
		case !direct && r.Port&1 != 0:
			code = "X"
		case direct && r.Weight&3 == 1:
			code = "N"
		case direct && r.Weight&3 == 2:
			code = "Y"
		}
		q.add(code + " " + r.Data)
	}
}
