package list

import (
	"strings"

	"exigo/internal/expand"
	"exigo/internal/lookup"
	"exigo/internal/mail"
)

// addressSubject is an address taken apart.
type addressSubject struct {
	local, domain string // as given; in small letters
	at            bool   // there is an @
}

func addressScan(s *expand.Scope, address string) scan {
	sub := addressSubject{local: address}
	if at := strings.LastIndexByte(address, '@'); at >= 0 {
		sub.local, sub.domain, sub.at = address[:at], lower(address[at+1:]), true
	}
	return scan{s: s, kind: addresses, subject: address, address: sub}
}

// whole is the address as items match it: the domain in small letters, the local part too unless case matters.
func (sc *scan) whole() string {
	a := &sc.address
	if !a.at {
		return sc.localPart()
	}
	return sc.localPart() + "@" + a.domain
}

func (sc *scan) localPart() string {
	if sc.caseful {
		return sc.address.local
	}
	return lower(sc.address.local)
}

// testAddress tests an item of an address list (spec 10.20).
func (sc *scan) testAddress(item string) (verdict, mail.Value, error) {
	switch {
	case item == "":
		return toVerdict(sc.subject == ""), mail.Value{}, nil
	case !sc.address.at && sc.subject != "":
		sc.s.Panic("no @ found in the subject of an address list match: subject=\"%s\" pattern=\"%s\"", sc.subject, item)
		return no, mail.Value{}, nil
	case strings.HasPrefix(item, "^"):
		_, ok, err := sc.match(item, sc.whole(), sc.caseful)
		return toVerdict(ok), mail.Value{}, err
	case strings.HasPrefix(item, "@@"):
		if sc.subject == "" {
			return no, mail.Value{}, nil
		}
		return sc.byDomain(item)
	case isWholeLookup(item):
		return sc.wholeLookup(item)
	case sc.subject == "":
		return no, mail.Value{}, nil
	}
	return sc.parts(item)
}

// isWholeLookup tells items that begin with a lookup type from those that have one after an @.
func isWholeLookup(item string) bool {
	name, _, ok := strings.Cut(item, ";")
	return ok && !strings.Contains(strings.TrimSuffix(name, "*@"), "@") && !strings.Contains(name, "*@,")
}

// wholeLookup looks the whole address up.
func (sc *scan) wholeLookup(item string) (verdict, mail.Value, error) {
	name, argument, _ := strings.Cut(item, ";")
	t, err := sc.s.Engine.LookupType(name)
	if err != nil {
		return no, mail.Value{}, sc.fail("%s", err)
	}
	if t.Partial >= 0 {
		sc.s.Panic("partial matching is not applicable to whole-address lookups: ignored \"%s\" in \"%s\"", name[:strings.Index(name, t.Driver.Name)], item)
		t.Partial = -1
	}
	found, ok, err := sc.find(t, argument, sc.whole())
	return toVerdict(ok), found.Data, err
}

// parts matches local part and domain on their own; an item without @ is a pattern for the domain.
func (sc *scan) parts(item string) (verdict, mail.Value, error) {
	head := item
	if i := strings.IndexByte(item, ';'); i >= 0 {
		head = strings.TrimSuffix(item[:i], "*@")
	}
	at := strings.LastIndexByte(head, '@')
	local, domain := "", item
	if at >= 0 {
		local, domain = item[:at], item[at+1:]
		if domain == "" || !sc.matchesLocal(local) {
			return no, mail.Value{}, nil
		}
	}
	inner := domainScan(sc.s, sc.address.domain, false)
	inner.depth, inner.tainted, inner.quoted = sc.depth, sc.tainted, sc.quoted
	var v verdict
	var data mail.Value
	var err error
	numbers := sc.s.Numbers
	switch {
	case at < 0:
		v, data, err = inner.pattern(domain, sc.address.domain, false, false)
	case strings.HasPrefix(domain, "+"):
		v, data, err = inner.named(domain)
	default:
		v, data, _, err = inner.testString(domain)
	}
	sc.s.Numbers = numbers
	sc.noCache = sc.noCache || inner.noCache
	if err != nil || v != yes {
		return no, mail.Value{}, err
	}
	data.S = local + "@" + data.S
	return yes, data, nil
}

// matchesLocal compares the local part with a text that may begin with an asterisk.
func (sc *scan) matchesLocal(pattern string) bool {
	if !sc.caseful {
		pattern = lower(pattern)
	}
	if rest, ok := strings.CutPrefix(pattern, "*"); ok {
		return strings.HasSuffix(sc.localPart(), rest)
	}
	return sc.localPart() == pattern
}

// maxChain is how long a chain of lists of local parts may be.
const maxChain = 50

// byDomain obeys an item @@lookup: what the domain's lookup gives is a list of local parts; a last item >key names the next.
func (sc *scan) byDomain(item string) (verdict, mail.Value, error) {
	name, argument, ok := strings.Cut(item[2:], ";")
	if !ok {
		sc.s.Panic("\"%s\" is not a lookup in an address list", item)
		return no, mail.Value{}, nil
	}
	t, err := sc.s.Engine.LookupType(name)
	if err != nil {
		return no, mail.Value{}, sc.fail("%s", err)
	}
	key := sc.address.domain
	for range maxChain {
		found, ok, err := sc.find(t, argument, key)
		if err != nil || !ok {
			return no, mail.Value{}, err
		}
		list, next := found.Data.S, ""
		if at := strings.LastIndexByte(list, ':'); strings.HasPrefix(strings.TrimLeft(list[at+1:], space), ">") {
			next = strings.Trim(list[at+1:], space)[1:]
			list = list[:max(at, 0)]
		}
		numbers := sc.s.Numbers
		inner := scan{s: sc.s, kind: localParts, subject: sc.address.local, caseful: sc.caseful, depth: sc.depth + 1, tainted: found.Data.Tainted}
		m, decided, err := inner.chained(list)
		sc.s.Numbers = numbers
		switch {
		case err != nil:
			return no, mail.Value{}, err
		case decided || next == "":
			return toVerdict(m.Matched), m.Data, nil
		}
		if key = strings.TrimLeft(next, space); t.Driver.Kind&lookup.SingleKey == 0 {
			return no, mail.Value{}, nil
		}
	}
	return no, mail.Value{}, sc.fail("Loop detected in lookup of local part of %s in %s", sc.subject, item)
}

// chained scans a list of local parts and says whether one of its items decided.
func (sc *scan) chained(list string) (Match, bool, error) {
	elements := expand.NewElements(list)
	for {
		item, ok := elements.Next()
		if !ok {
			return Match{}, false, nil
		}
		negated := strings.HasPrefix(item, "!")
		if negated {
			item = strings.TrimLeft(item[1:], space)
		}
		if m, decided, err := sc.item(item, negated); err != nil || decided {
			return m, decided, err
		}
	}
}
