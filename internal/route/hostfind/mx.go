package hostfind

import (
	"strings"

	"exigo/internal/mail"
	"exigo/internal/outside"
)

// exchangers looks for MX records and the addresses of their hosts (RFC 5321 section 5.1). done is false when there are
// none and address records are to be tried.
func (f *finder) exchangers() (result Result, hosts []mail.Host, done bool, err error) {
	a, lookupErr := f.lookup(f.r.Name, outside.TypeMX)
	if lookupErr != nil {
		if definite(lookupErr) {
			return NotFound, nil, false, nil
		}
		forgiven, err := f.matches(f.r.MXFail, f.r.Name)
		return Again, nil, !forgiven, err
	}
	if f.require && !a.Secure {
		return Insecure, nil, true, nil
	}
	f.noteFullName(a)
	f.insecureNames = !a.Secure
	for _, rec := range a.Records {
		if rec.Type != outside.TypeMX {
			continue
		}
		name := strings.TrimSuffix(rec.Data, ".")
		if name == "" && len(a.Records) == 1 { // the null MX of RFC 7505
			f.noService = true
			return NotFound, nil, true, nil
		}
		sort := int(rec.Preference)*1000 + f.world.Random.Intn(500)
		h := mail.Host{Name: name, MX: int(rec.Preference), Sort: sort, Port: f.r.Port}
		hosts = insertName(hosts, h)
	}
	result, hosts, err = f.resolve(hosts)
	return result, hosts, true, err
}

// insertName puts an MX host into its place; of two records with one name the one with the lower preference stays.
func insertName(hosts []mail.Host, h mail.Host) []mail.Host {
	for i := range hosts {
		if strings.EqualFold(hosts[i].Name, h.Name) && hosts[i].Port == h.Port {
			if hosts[i].MX <= h.MX {
				return hosts
			}
			hosts = append(hosts[:i], hosts[i+1:]...)
			break
		}
	}
	return insert(hosts, h)
}

// resolve replaces the hosts of an MX or SRV list by their addresses. Hosts without one stay in the list as unusable, unless all
// their addresses are to be ignored; those that stand for an address that came before are dropped.
func (f *finder) resolve(names []mail.Host) (Result, []mail.Host, error) {
	var out []mail.Host
	anyIgnored := false
	for _, h := range names {
		if _, isIP := parseAddress(h.Name); isIP && !f.main.AllowMXToIP {
			f.addressMX = true
			h.Status, h.Why = mail.HostUnusable, mail.WhyFailed
			out = append(out, h)
			continue
		}
		found, result, err := f.one(h)
		if err != nil {
			return NotFound, nil, err
		}
		switch result {
		case Found:
			out = append(out, found...)
		case Ignored:
			anyIgnored = true
		case Again:
			h.Status, h.Why = mail.HostUnusable, mail.WhyDeferred
			out = append(out, h)
		case Insecure:
			f.insecure = true
			h.Status, h.Why = mail.HostUnusable, mail.WhyFailed
			out = append(out, h)
		default:
			h.Status, h.Why = mail.HostUnusable, mail.WhyFailed
			out = append(out, h)
		}
	}
	if len(out) == 0 && anyIgnored {
		return Ignored, nil, nil
	}
	return Found, removeDuplicates(familiesFirst(out, f.r.IPv4Prefer)), nil
}

// one finds the addresses of one host of an MX or SRV list.
func (f *finder) one(h mail.Host) ([]mail.Host, Result, error) {
	if addr, ok := parseAddress(h.Name); ok {
		skip, err := f.ignored(h.Name, addr)
		if err != nil || skip {
			return nil, Ignored, err
		}
		h.Address = addr
		return []mail.Host{h}, Found, nil
	}
	search, qualify := f.r.Search, f.r.Qualify
	f.r.Search, f.r.Qualify = false, false // the names in records are complete
	defer func() { f.r.Search, f.r.Qualify = search, qualify }()
	return f.addresses(h, false)
}

// familiesFirst orders the hosts of each preference so that one address family comes before the other, and otherwise
// leaves the order as it is.
func familiesFirst(hosts []mail.Host, ipv4 bool) []mail.Host {
	out := make([]mail.Host, 0, len(hosts))
	for start := 0; start < len(hosts); {
		end := start
		for end < len(hosts) && hosts[end].MX == hosts[start].MX {
			end++
		}
		for _, want := range []bool{true, false} {
			for _, h := range hosts[start:end] {
				second := !h.Address.IsValid() || h.Address.Is4() != ipv4
				if second != want {
					out = append(out, h)
				}
			}
		}
		start = end
	}
	return out
}

// removeDuplicates drops hosts whose address and port stand earlier in the list.
func removeDuplicates(hosts []mail.Host) []mail.Host {
	out := hosts[:0]
next:
	for _, h := range hosts {
		if h.Address.IsValid() {
			for _, o := range out {
				if o.Address == h.Address && o.Port == h.Port {
					continue next
				}
			}
		}
		out = append(out, h)
	}
	return out
}

// service looks for SRV records (RFC 2782). done is false when there are none.
func (f *finder) service() (result Result, hosts []mail.Host, done bool, err error) {
	a, lookupErr := f.lookup("_"+f.r.Service+"._tcp."+f.r.Name, outside.TypeSRV)
	if lookupErr != nil {
		if definite(lookupErr) {
			return NotFound, nil, false, nil
		}
		forgiven, err := f.matches(f.r.SRVFail, f.r.Name)
		return Again, nil, !forgiven, err
	}
	if f.require && !a.Secure {
		return Insecure, nil, true, nil
	}
	f.insecureNames = !a.Secure
	records := make([]outside.Record, 0, len(a.Records))
	for _, rec := range a.Records {
		if rec.Type == outside.TypeSRV {
			records = append(records, rec)
		}
	}
	if len(records) == 1 && strings.TrimSuffix(records[0].Data, ".") == "" {
		f.noService = true
		return NotFound, nil, true, nil
	}
	for _, rec := range f.byWeight(records) {
		hosts = append(hosts, mail.Host{Name: strings.TrimSuffix(rec.Data, "."), MX: int(rec.Preference), Sort: len(hosts), Port: int(rec.Port)})
	}
	result, hosts, err = f.resolve(hosts)
	return result, hosts, true, err
}

// byWeight orders SRV records by priority, and within one priority at random by weight, as RFC 2782 says.
func (f *finder) byWeight(records []outside.Record) []outside.Record {
	out := make([]outside.Record, 0, len(records))
	for len(records) > 0 {
		lowest, sum := records[0].Preference, 0
		for _, r := range records {
			if r.Preference < lowest {
				lowest, sum = r.Preference, 0
			}
			if r.Preference == lowest {
				sum += int(r.Weight)
			}
		}
		pick := f.world.Random.Intn(sum + 1)
		chosen := -1
		for _, zero := range []bool{true, false} { // records of weight 0 come first in the running sum
			for i, r := range records {
				if chosen >= 0 || r.Preference != lowest || (r.Weight == 0) != zero {
					continue
				}
				if pick -= int(r.Weight); pick <= 0 {
					chosen = i
				}
			}
		}
		out = append(out, records[chosen])
		records = append(records[:chosen], records[chosen+1:]...)
	}
	return out
}
