package acl

import (
	"errors"
	"net/netip"
	"strings"
	"time"

	"exigo/internal/mail"
	"exigo/internal/option"
	"exigo/internal/outside"
)

// dnsListItem is one item of a dnslists condition (spec 44.27 to 44.37):
//
//	[domain2,]domain[[!]=|&|==|=&addresses][/keys]
type dnsListItem struct {
	domain    string   // where the lookup is done, with the addresses as restriction
	reported  string   // where the text comes from; the same unless two domains were given
	addresses []string // nil: any address will do
	mask      bool     // & : the addresses are bit masks
	all       bool     // == and =& : every record must match
	negate    bool     // !
	keys      string   // what stood after the slash
	hasKeys   bool
}

// dnsListCache holds the results of a session, as long as their records live.
type dnsListCache struct{ entries map[string]*dnsListResult }

type dnsListResult struct {
	addresses []string
	err       error
	expires   time.Time
	text      string
	textKnown bool
}

// unknown is what to do when a lookup is not decided.
type unknown int

const (
	excludeUnknown unknown = iota
	includeUnknown
	deferUnknown
)

// checkDNSLists tests the client's address, or other keys, in DNS lists.
func checkDNSLists(r *Run, argument mail.Value) Verdict {
	policy := excludeUnknown
	for _, text := range option.SplitList(argument.S) {
		r.debug("dnslists check: %s", text)
		if strings.HasPrefix(text, "+") {
			switch strings.ToLower(text) {
			case "+include_unknown":
				policy = includeUnknown
			case "+exclude_unknown":
				policy = excludeUnknown
			case "+defer_unknown":
				policy = deferUnknown
			default:
				r.log(LogMain|LogPanic, "unknown item in dnslist (ignored): "+text)
			}
			continue
		}
		item := parseDNSListItem(text)
		for _, domain := range []string{item.domain, item.reported} {
			if !plainDomain(domain) {
				r.log(LogMain, "dnslists domain \""+domain+"\" contains strange characters - is this right?")
			}
		}
		if verdict := r.dnsListItem(item, policy); verdict != Fail {
			return verdict
		}
	}
	return Fail
}

// parseDNSListItem takes an item apart.
func parseDNSListItem(text string) dnsListItem {
	var item dnsListItem
	text, item.keys, item.hasKeys = strings.Cut(text, "/")
	if i := strings.IndexAny(text, "=&"); i >= 0 {
		addresses := text[i+1:]
		item.mask = text[i] == '&'
		if !item.mask && addresses != "" && (addresses[0] == '=' || addresses[0] == '&') {
			item.all, item.mask = true, addresses[0] == '&'
			addresses = addresses[1:]
		}
		text = text[:i]
		if strings.HasSuffix(text, "!") {
			item.negate = true
			text = text[:len(text)-1]
		}
		item.addresses = []string{}
		for _, a := range strings.Split(addresses, ",") {
			item.addresses = append(item.addresses, strings.TrimSpace(a))
		}
	}
	item.domain, item.reported = text, text
	if first, second, ok := strings.Cut(text, ","); ok {
		item.reported, item.domain = strings.TrimSpace(first), strings.TrimSpace(second)
	}
	return item
}

func plainDomain(domain string) bool {
	for i := range len(domain) {
		if c := domain[i]; !isWordByte(c) && c != '-' && c != '.' {
			return false
		}
	}
	return true
}

// dnsListItem tests the keys of one item, one after the other.
func (r *Run) dnsListItem(item dnsListItem, policy unknown) Verdict {
	if !item.hasKeys {
		if nonSMTPPhases.Has(r.Phase) {
			return r.Mistake("cannot test auto-keyed dnslists condition in " + r.Phase.String() + " ACL")
		}
		if !r.Scope.Session.Host.IsValid() {
			return Fail
		}
		return r.dnsListKey(item, addressText(r.Scope.Session), policy)
	}
	deferred := false
	for _, key := range option.SplitList(item.keys) {
		switch verdict := r.dnsListKey(item, key, policy); verdict {
		case Defer:
			deferred = true
		case OK, Error:
			return verdict
		}
	}
	if deferred {
		return r.Deferred("")
	}
	return Fail
}

// dnsListKey tests one key.
func (r *Run) dnsListKey(item dnsListItem, key string, policy unknown) Verdict {
	verdict := r.lookupDNSList(item, item.domain, key, item.addresses, policy)
	if verdict != OK || item.reported == item.domain {
		return verdict
	}
	item.negate = false
	return r.lookupDNSList(item, item.reported, key, nil, policy)
}

// lookupDNSList looks a key up in a domain, and sets the variables when it is there and the restriction holds.
func (r *Run) lookupDNSList(item dnsListItem, domain, key string, restriction []string, policy unknown) Verdict {
	name := reversed(key) + "." + domain
	if len(name) > 253 {
		r.log(LogMain, "dnslist query is too long (ignored): "+name[:200]+"...")
		return Fail
	}
	found := r.dnsListRecords(name, key, domain)
	switch {
	case found.err == nil && len(found.addresses) > 0:
	case found.err == nil, errors.Is(found.err, outside.ErrNoHost), errors.Is(found.err, outside.ErrNoData):
		r.debug("=> that means %s is not listed at %s", key, domain)
		return Fail
	case policy == excludeUnknown:
		r.log(LogMain, "DNS list lookup defer (probably timeout) for "+name+": assumed not in list")
		return Fail
	case policy == deferUnknown:
		r.log(LogMain, "DNS list lookup defer (probably timeout) for "+name+": returned DEFER")
		return r.Deferred("")
	default:
		r.log(LogMain, "DNS list lookup defer (probably timeout) for "+name+": assumed in list")
		r.setDNSList(domain, key, "", "")
		return OK
	}
	if restriction != nil && item.holds(found.addresses) == item.negate {
		r.debug("=> but we are not accepting this block class")
		return Fail
	}
	if !found.textKnown {
		found.textKnown = true
		if answer, err := r.dns(name, outside.TypeTXT); err == nil && len(answer.Records) > 0 {
			found.text = clean(answer.Records[0].Data)
		}
	}
	r.debug("=> that means %s is listed at %s", key, domain)
	r.setDNSList(domain, key, strings.Join(found.addresses, ", "), found.text)
	return OK
}

func (r *Run) setDNSList(domain, key, value, text string) {
	r.setExtra("dnslist_domain", mail.Value{S: domain})
	r.setExtra("dnslist_matched", mail.Taint(key))
	r.setExtra("dnslist_value", mail.Taint(value))
	r.setExtra("dnslist_text", mail.Taint(text))
}

func (r *Run) dns(name string, t outside.RRType) (outside.Answer, error) {
	return r.Scope.DNS().Lookup(r.Ctx, outside.Question{Name: name, Type: t})
}

// dnsListRecords returns the addresses at a name; those outside 127.0.0.0/8 do not count (spec 44.31).
func (r *Run) dnsListRecords(name, key, domain string) *dnsListResult {
	cache := mail.State[dnsListCache](&r.Scope.Session.Bag)
	now := r.Scope.Engine.World.Clock.Now()
	if old := cache.entries[name]; old != nil && now.Before(old.expires) {
		r.debug("dnslists: using result of previous lookup")
		return old
	}
	answer, err := r.dns(name, outside.TypeA)
	result := &dnsListResult{err: err}
	life := uint32(3600)
	for _, record := range answer.Records {
		a, parseErr := netip.ParseAddr(record.Data)
		if parseErr != nil {
			continue
		}
		if !a.Is4() || a.As4()[0] != 127 {
			r.log(LogMain, "DNS list lookup for "+key+" at "+domain+" returned "+record.Data+"; not in 127.0/8 and discarded")
			continue
		}
		result.addresses = append(result.addresses, record.Data)
		life = min(life, record.TTL)
	}
	if err != nil && !errors.Is(err, outside.ErrNoHost) && !errors.Is(err, outside.ErrNoData) {
		life = 0
	}
	result.expires = now.Add(time.Duration(life) * time.Second)
	if cache.entries == nil {
		cache.entries = make(map[string]*dnsListResult)
	}
	cache.entries[name] = result
	return result
}

// holds tells whether the records match the listed addresses: any of them, or all.
func (item *dnsListItem) holds(found []string) bool {
	for _, f := range found {
		if item.listed(f) != item.all {
			return !item.all
		}
	}
	return item.all
}

// listed tells whether an address is one of the item's, or has all bits of one of its masks.
func (item *dnsListItem) listed(address string) bool {
	for _, want := range item.addresses {
		if !item.mask {
			if want == address {
				return true
			}
			continue
		}
		a, errA := netip.ParseAddr(address)
		m, errM := netip.ParseAddr(want)
		if errA == nil && errM == nil && a.Is4() && m.Is4() && masked(a.As4(), m.As4(), item.negate && !item.all) {
			return true
		}
	}
	return false
}

// masked tells whether the address has all bits of the mask; for the negated form, whether it has any (spec 44.34).
func masked(address, mask [4]byte, any bool) bool {
	none := true
	for i := range mask {
		bits := address[i] & mask[i]
		if bits != 0 {
			none = false
		}
		if bits != mask[i] && !any {
			return false
		}
	}
	return !any || !none
}

// reversed turns an address round for a lookup: by bytes, or by nibbles for IPv6. Other keys stay as they are.
func reversed(key string) string {
	a, err := netip.ParseAddr(key)
	if err != nil {
		return key
	}
	a = a.Unmap()
	if a.Is4() {
		b := a.As4()
		return netip.AddrFrom4([4]byte{b[3], b[2], b[1], b[0]}).String()
	}
	const hex = "0123456789abcdef"
	out := make([]byte, 0, 63)
	b := a.As16()
	for i := 15; i >= 0; i-- {
		if len(out) > 0 {
			out = append(out, '.')
		}
		out = append(out, hex[b[i]&15], '.', hex[b[i]>>4])
	}
	return string(out)
}
