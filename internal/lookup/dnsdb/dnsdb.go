// Package dnsdb is the lookup type dnsdb: DNS records as data (spec 9.10 to 9.13).
//
// Trust: queries may be anybody's, answers are untrusted; the results are tainted.
package dnsdb

import (
	"context"
	"errors"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"exigo/internal/config"
	"exigo/internal/lookup"
	"exigo/internal/option"
	"exigo/internal/outside"
)

// Driver returns the lookup type.
func Driver() *lookup.Driver {
	return &lookup.Driver{Name: "dnsdb", Kind: lookup.Query, Doc: "Looks DNS records up.", Find: find}
}

// policy says what a temporary error, or an answer without DNSSEC, does to the whole lookup.
type policy int

const (
	lax policy = iota
	strict
	never
)

// kind is a record type of the query language.
type kind struct {
	name string
	rr   outside.RRType
}

var kinds = [...]kind{
	{"a", outside.TypeA}, {"a+", outside.TypeA}, {"aaaa", outside.TypeAAAA}, {"cname", outside.TypeCNAME}, {"csa", outside.TypeSRV},
	{"mx", outside.TypeMX}, {"mxh", outside.TypeMX}, {"ns", outside.TypeNS}, {"ptr", outside.TypePTR}, {"soa", outside.TypeSOA},
	{"spf", outside.TypeTXT}, {"srv", outside.TypeSRV}, {"tlsa", outside.TypeTLSA}, {"txt", outside.TypeTXT}, {"zns", outside.TypeNS},
}

// query is a parsed query.
type query struct {
	kind        kind
	domains     []string
	separator   string
	fields      string // between the fields of a record
	fieldsGiven bool
	deferral    policy
	dnssec      policy
	retrans     time.Duration
	retry       int
	searchLimit int
	useReverse  bool
	records     int
	life        uint32
	secure      bool
	out         strings.Builder
}

const spaces = " \t\r\n\v\f"

func find(ctx context.Context, r *lookup.Request) (lookup.Result, bool, error) {
	q := &query{separator: "\n", fields: " ", searchLimit: 5, useReverse: true, secure: true, life: ^uint32(0)}
	if r.Settings != nil {
		if m, ok := r.Settings((*config.Main)(nil)).(*config.Main); ok {
			q.searchLimit, q.useReverse = m.DNSCSASearchLimit, m.DNSCSAUseReverse
		}
	}
	if err := q.parse(r.Key); err != nil {
		return lookup.Result{}, false, err
	}
	if q.retrans > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, q.patience())
		defer cancel()
	}
	deferred := false
	for _, domain := range q.domains {
		temporary := q.all(ctx, r.World.DNS, domain)
		if temporary && q.deferral == strict {
			return lookup.Result{}, false, lookup.Defer("")
		}
		deferred = deferred || temporary && q.deferral == lax
	}
	if q.records == 0 {
		if deferred {
			return lookup.Result{}, false, lookup.Defer("")
		}
		return lookup.Result{}, false, nil
	}
	result := lookup.Result{Data: q.out.String(), Tainted: true, Life: time.Duration(q.life) * time.Second, NoCache: q.life == 0, Authenticated: "no"}
	if q.secure {
		result.Authenticated = "yes"
	}
	return result, true, nil
}

// patience is how long all tries of one query take when each waits twice as long as the one before.
func (q *query) patience() time.Duration {
	tries := min(max(q.retry, 1), 8)
	return q.retrans * time.Duration(1<<tries-1)
}

// parse reads separators, modifiers, type and domains.
func (q *query) parse(text string) error {
	text = strings.TrimLeft(text, spaces)
	if strings.HasPrefix(text, ">") && len(text) > 1 {
		q.separator, text = text[1:2], text[2:]
		if text != "" && text[0] == ';' {
			q.fields, q.fieldsGiven, text = "", true, text[1:]
		} else if len(text) > 1 && text[0] == ',' {
			q.fields, q.fieldsGiven, text = text[1:2], true, text[2:]
		}
		text = strings.TrimLeft(text, spaces)
	}
	for {
		rest, used, err := q.modifier(text)
		if err != nil {
			return lookup.Defer(err.Error())
		}
		if !used {
			break
		}
		text = strings.TrimLeft(rest, spaces)
	}
	q.kind = kind{"txt", outside.TypeTXT}
	if name, rest, ok := strings.Cut(text, "="); ok {
		q.kind = kind{}
		for _, k := range kinds {
			if strings.EqualFold(k.name, strings.TrimRight(name, spaces)) {
				q.kind = k
			}
		}
		if q.kind.name == "" {
			return lookup.Defer("unsupported DNS record type")
		}
		text = strings.TrimLeft(rest, spaces)
	}
	// One IPv6 address is one item, although it has colons.
	if a, err := netip.ParseAddr(text); err == nil && a.Is6() && (q.kind.name == "ptr" || q.kind.name == "csa") {
		q.domains = []string{text}
		return nil
	}
	q.domains = option.SplitList(text)
	return nil
}

// modifier reads one keyword and its comma (spec 9.11).
func (q *query) modifier(text string) (rest string, used bool, err error) {
	for _, m := range [...]struct {
		prefix string
		set    func(value string) error
	}{{"defer_", q.setDefer}, {"dnssec_", q.setDNSSEC}, {"retrans_", q.setRetrans}, {"retry_", q.setRetry}} {
		if len(text) < len(m.prefix) || !strings.EqualFold(text[:len(m.prefix)], m.prefix) {
			continue
		}
		value, rest, ok := strings.Cut(text[len(m.prefix):], ",")
		if err := m.set(strings.TrimRight(value, spaces)); err != nil {
			return "", false, err
		}
		if !ok {
			return "", false, errors.New("dnsdb modifier syntax error")
		}
		return rest, true, nil
	}
	return text, false, nil
}

func parsePolicy(value string) (policy, bool) {
	switch strings.ToLower(value) {
	case "strict":
		return strict, true
	case "lax":
		return lax, true
	case "never":
		return never, true
	}
	return 0, false
}

func (q *query) setDefer(value string) (err error) {
	var ok bool
	if q.deferral, ok = parsePolicy(value); !ok {
		err = errors.New("unsupported dnsdb defer behaviour")
	}
	return err
}

func (q *query) setDNSSEC(value string) (err error) {
	var ok bool
	if q.dnssec, ok = parsePolicy(value); !ok {
		err = errors.New("unsupported dnsdb dnssec behaviour")
	}
	return err
}

func (q *query) setRetrans(value string) error {
	d, ok := option.ParseTime(value)
	if !ok {
		return errors.New("unsupported dnsdb timeout value")
	}
	q.retrans = min(d, 10*time.Minute)
	return nil
}

func (q *query) setRetry(value string) error {
	n, err := strconv.Atoi(value)
	if err != nil {
		return errors.New("dnsdb modifier syntax error")
	}
	q.retry = n
	return nil
}
