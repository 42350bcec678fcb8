// Package list matches domains, hosts, addresses and local parts against the lists of spec chapter 10: expansion, separators,
// negation, files, named lists, and all kinds of patterns. What a list yields ($domain_data and its like) is untainted
// unless the list itself is tainted.
//
// Trust: lists are the administrator's; the subjects and the DNS are anybody's.
package list

import (
	"errors"
	"strings"
	"syscall"

	"exigo/internal/expand"
	"exigo/internal/mail"
)

// Match is the result of checking a list.
type Match struct {
	Matched bool
	// Data is the value of the match (spec 10.5): what a lookup found, or the item that matched.
	Data mail.Value
}

// kind tells the sorts of lists apart; the letters are those of named lists.
type kind byte

const (
	domains    kind = 'd'
	hosts      kind = 'h'
	addresses  kind = 'a'
	localParts kind = 'l'
	plain      kind = 's' // other lists of strings: no named lists
)

// noun is the word for the kind in messages.
func (k kind) noun() string {
	switch k {
	case domains:
		return "domain"
	case hosts:
		return "host"
	case addresses:
		return "address"
	}
	return "local part"
}

// verdict is what an item says of the subject.
type verdict int

const (
	no verdict = iota
	yes
	unknown // needs information that cannot be found: the item decides neither way (spec 10.15)
)

// scan is the check of one subject against one list; lists referred to in it have scans of their own.
type scan struct {
	s    *expand.Scope
	kind kind
	// subject is what is looked for, for the cache and in messages; caseful compares local parts with regard to case.
	subject   string
	caseful   bool
	setDomain bool // while a list of domains is expanded, $domain is the subject
	// parts of addresses, the host at hand
	address addressSubject
	host    hostSubject

	single  bool   // there is one item, whatever is in it
	tainted bool   // the list is
	quoted  string // the lookup type that all of the taint is quoted for
	// noCache: the result depends on more than the subject, because something was expanded.
	noCache                       bool
	includeUnknown, skipUnknown   bool
	includeDeferred, skipDeferred bool
	depth                         int
}

const maxDepth = 30 // of named lists in named lists

// Domain checks a domain against a domain list. While the list is expanded, $domain is the subject. The error is an
// [*expand.Error]: temporary if something deferred or the list is wrong (Exim defers then, too). Its text may be empty when the
// reason was written to the panic log. $0 and above are set by wildcards, regular expressions and partial lookups.
func Domain(s *expand.Scope, list, domain string) (Match, error) {
	sc := domainScan(s, domain, true)
	return sc.run(list, true)
}

// SenderDomain is Domain for sender_domains: $domain stays as it is.
func SenderDomain(s *expand.Scope, list, domain string) (Match, error) {
	sc := domainScan(s, domain, false)
	return sc.run(list, true)
}

func domainScan(s *expand.Scope, domain string, setDomain bool) scan {
	return scan{s: s, kind: domains, subject: lower(domain), setDomain: setDomain}
}

// LocalPart checks a local part against a local part list.
func LocalPart(s *expand.Scope, list, localPart string, caseful bool) (Match, error) {
	sc := scan{s: s, kind: localParts, subject: localPart, caseful: caseful}
	return sc.run(list, true)
}

// String checks a string against a list of strings with wildcards, regular expressions and lookups, without regard to case.
func String(s *expand.Scope, list, subject string) (Match, error) {
	sc := scan{s: s, kind: plain, subject: subject}
	return sc.run(list, true)
}

// Address checks an address ("" is a bounce's sender) against an address list.
func Address(s *expand.Scope, list, address string) (Match, error) {
	sc := addressScan(s, address)
	return sc.run(list, true)
}

// AddressPattern tests an address against a single pattern of an address list, expanded, with regard to the case of local parts.
func AddressPattern(s *expand.Scope, pattern, address string) (Match, error) {
	sc := addressScan(s, address)
	sc.caseful, sc.single = true, true
	return sc.run(pattern, true)
}

// Items expands a list and splits it.
func Items(s *expand.Scope, list string) ([]mail.Value, error) {
	v, err := s.Engine.Expand(s, list)
	if err != nil {
		return nil, err
	}
	_, texts := expand.SplitList(v.S)
	items := make([]mail.Value, len(texts))
	for i, text := range texts {
		items[i] = mail.Value{S: text, Tainted: v.Tainted}
	}
	return items, nil
}

// fail logs what is wrong with a list and gives the error that makes the caller defer. Exim gives no other reason.
func (sc *scan) fail(format string, args ...any) error {
	sc.s.Panic(format, args...)
	return &expand.Error{Temporary: true}
}

// run expands a list, unless it is to be taken as it stands, and scans it.
func (sc *scan) run(list string, expanded bool) (Match, error) {
	if expanded && (strings.IndexByte(list, '$') >= 0 || strings.IndexByte(list, '\\') >= 0) {
		v, err := sc.expand(list)
		if errors.Is(err, expand.ErrForced) {
			return Match{}, nil // assume that the subject is not in the list
		}
		if err != nil {
			return Match{}, sc.fail("failed to expand \"%s\" while checking a list: %s", list, err)
		}
		if sc.tainted = sc.tainted || v.Tainted; v.Tainted {
			sc.quoted = v.Quoted
		}
		list = v.S
	}
	if sc.single {
		list = "<\x01 " + list
	}
	return sc.items(list)
}

func (sc *scan) expand(list string) (mail.Value, error) {
	if strings.IndexByte(list, '$') >= 0 {
		sc.noCache = true
		if sc.setDomain {
			defer sc.s.SetExtra("domain", mail.Taint(sc.subject))()
		}
	}
	return sc.s.Engine.Expand(sc.s, list)
}

// items scans the items from left to right. The first that matches decides; if none does, the last one's sign does.
func (sc *scan) items(list string) (Match, error) {
	elements := expand.NewElements(list)
	negated := false
	for {
		item, ok := elements.Next()
		if !ok {
			return Match{Matched: negated}, nil
		}
		if err := sc.s.Spend(1); err != nil {
			return Match{}, err
		}
		if sc.directive(item) {
			negated = false
			continue
		}
		if negated = strings.HasPrefix(item, "!"); negated {
			item = strings.TrimLeft(item[1:], space)
		}
		m, decided, err := sc.item(item, negated)
		if err != nil || decided {
			return m, err
		}
	}
}

const space = " \t\n\v\f\r"

// directive obeys the items that change how the following are matched.
func (sc *scan) directive(item string) bool {
	if !strings.HasPrefix(item, "+") {
		return false
	}
	switch {
	case item == "+caseful" && (sc.kind == addresses || sc.kind == localParts):
		sc.caseful = true
	case sc.kind != hosts:
		return false
	case item == "+include_unknown":
		sc.includeUnknown, sc.skipUnknown = true, false
	case item == "+ignore_unknown":
		sc.includeUnknown, sc.skipUnknown = false, true
	case item == "+include_defer":
		sc.includeDeferred, sc.skipDeferred = true, false
	case item == "+ignore_defer":
		sc.includeDeferred, sc.skipDeferred = false, true
	default:
		return false
	}
	return true
}

// item checks one item and says whether it decides.
func (sc *scan) item(item string, negated bool) (m Match, decided bool, err error) {
	var v verdict
	var data mail.Value
	var reason string
	switch {
	case strings.HasPrefix(item, "+") && sc.kind != plain:
		v, data, err = sc.named(item)
	case strings.HasPrefix(item, "/"):
		v, data, reason, err = sc.file(item)
		if v == no && err == nil && reason == "!" { // a negative line of the file matched
			return Match{Matched: negated, Data: data}, true, nil
		}
	default:
		if v, data, reason, err = sc.test(item); sc.tainted {
			data.Tainted = true
		}
	}
	switch {
	case err != nil:
		return sc.deferred(err)
	case v == unknown:
		return sc.unknown(reason)
	case v == no:
		return Match{}, false, nil
	}
	return Match{Matched: !negated, Data: data}, true, nil
}

// test tests an item that is not one of the general forms. The string is the reason for unknown.
func (sc *scan) test(item string) (verdict, mail.Value, string, error) {
	switch sc.kind {
	case hosts:
		return sc.testHost(item)
	case addresses:
		v, data, err := sc.testAddress(item)
		return v, data, "", err
	}
	return sc.testString(item)
}

// deferred obeys +include_defer and +ignore_defer.
func (sc *scan) deferred(err error) (Match, bool, error) {
	sc.noCache = true
	switch {
	case sc.includeDeferred && expand.IsTemporary(err):
		return Match{Matched: true}, true, nil
	case sc.skipDeferred && expand.IsTemporary(err):
		return Match{}, false, nil
	}
	return Match{}, true, err
}

// unknown obeys +include_unknown and +ignore_unknown; without them the whole list fails.
func (sc *scan) unknown(reason string) (Match, bool, error) {
	switch {
	case sc.includeUnknown:
		sc.s.LogSelected("unknown_in_list", "%s: accepted by +include_unknown", reason)
		return Match{Matched: true}, true, nil
	case sc.skipUnknown:
		return Match{}, false, nil
	}
	sc.s.LogSelected("unknown_in_list", "list matching forced to fail: %s", reason)
	return Match{}, true, nil
}

// named checks a named list, with the result of an earlier check if that was the same for certain.
func (sc *scan) named(item string) (verdict, mail.Value, error) {
	name := item[1:]
	if e := sc.known(name); e != nil {
		if e.Numbers != nil {
			sc.s.Numbers = e.Numbers
		}
		return toVerdict(e.Matched), e.Data, nil
	}
	text, ok := "", false
	if sc.s.Config != nil {
		text, ok = sc.s.Config.NamedList(byte(sc.kind), name)
	}
	if !ok {
		return no, mail.Value{}, sc.fail("unknown named %s list \"%s\"", sc.kind.noun(), item)
	}
	if sc.depth >= maxDepth {
		return no, mail.Value{}, sc.fail("named lists are nested too deeply at \"%s\"", item)
	}
	inner := scan{s: sc.s, kind: sc.kind, subject: sc.subject, caseful: sc.caseful, setDomain: sc.setDomain, address: sc.address, host: sc.host, depth: sc.depth + 1}
	before := sc.s.Numbers
	m, err := inner.run(text, true)
	sc.host.names = inner.host.names
	if err != nil {
		return no, mail.Value{}, err
	}
	if asked, ok := sc.s.Config.(interface {
		NamedListCached(kind byte, name string) bool
	}); ok && asked.NamedListCached(byte(sc.kind), name) {
		inner.noCache = false
	}
	if inner.noCache {
		sc.noCache = true
		return toVerdict(m.Matched), m.Data, nil
	}
	e := &expand.ListResult{Matched: m.Matched, Data: m.Data}
	if m.Matched && !sameNumbers(before, sc.s.Numbers) {
		e.Numbers = sc.s.Numbers
	}
	sc.keep(name, e)
	return toVerdict(m.Matched), m.Data, nil
}

// known gives the result of an earlier check of a named list, or nil; keep keeps one.
func (sc *scan) known(name string) *expand.ListResult {
	if sc.kind == hosts {
		return sc.s.Lists().Hosts[expand.HostKey{Name: name, HostName: sc.subject, Address: sc.host.address}]
	}
	return sc.s.Lists().Names[expand.ListKey{Kind: byte(sc.kind), Name: name, Subject: sc.subject, Caseful: sc.caseful}]
}

func (sc *scan) keep(name string, e *expand.ListResult) {
	c := sc.s.Lists()
	if sc.kind == hosts {
		if c.Hosts == nil {
			c.Hosts = make(map[expand.HostKey]*expand.ListResult)
		}
		c.Hosts[expand.HostKey{Name: name, HostName: sc.subject, Address: sc.host.address}] = e
		return
	}
	if c.Names == nil {
		c.Names = make(map[expand.ListKey]*expand.ListResult)
	}
	c.Names[expand.ListKey{Kind: byte(sc.kind), Name: name, Subject: sc.subject, Caseful: sc.caseful}] = e
}

func toVerdict(matched bool) verdict {
	if matched {
		return yes
	}
	return no
}

func sameNumbers(a, b []mail.Value) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

// file checks each line of a file. If a negative line matches, the verdict is no and the reason "!".
func (sc *scan) file(path string) (verdict, mail.Value, string, error) {
	if sc.s.Untrusted(mail.Value{S: path, Tainted: sc.tainted}, "Tainted filename '%s'", path) {
		return no, mail.Value{}, "", sc.fail("Tainted filename '%s'", path)
	}
	data, err := sc.s.ReadFile(sc.s.Ctx, path)
	if err != nil && !errors.Is(err, syscall.EISDIR) { // a folder has no lines
		return no, mail.Value{}, "", sc.fail("failed to open %s when checking \"%s\": %s", path, path, systemText(err))
	}
	sc.noCache = true
	for line := range strings.Lines(string(data)) {
		line = sc.uncomment(line)
		negated := strings.HasPrefix(line, "!")
		if negated {
			line = strings.TrimLeft(line[1:], space)
		}
		if line == "" {
			continue
		}
		v, _, reason, err := sc.test(line)
		switch {
		case err != nil || v == unknown:
			return v, mail.Value{}, reason, err
		case v == yes && negated:
			return no, mail.Value{S: line}, "!", nil
		case v == yes:
			return yes, mail.Value{S: line}, "", nil
		}
	}
	return no, mail.Value{}, "", nil
}

// uncomment takes comment and space off a line. In lists of addresses and local parts a # begins a comment only at the start of
// the line or after space.
func (sc *scan) uncomment(line string) string {
	for i := range len(line) {
		if line[i] == '#' && (sc.kind == domains || sc.kind == hosts || i == 0 || strings.IndexByte(space, line[i-1]) >= 0) {
			line = line[:i]
			break
		}
	}
	return strings.Trim(line, space)
}
