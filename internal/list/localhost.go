package list

import (
	"errors"
	"net/netip"
	"strings"

	"exigo/internal/expand"
	"exigo/internal/outside"
)

// LocalAddresses gives the addresses that are this host's for routing: those of local_interfaces and extra_local_interfaces, where
// an unspecified address stands for all interfaces; without these options all interfaces.
func LocalAddresses(s *expand.Scope) []netip.Addr {
	var list []netip.Addr
	all := true
	if text := s.Settings().LocalInterfaces; text != "" {
		all = false
		_, items := expand.SplitList(text)
		for _, item := range items {
			a, ok := interfaceAddress(item)
			switch {
			case !ok:
			case a.IsUnspecified():
				all = true
			default:
				list = append(list, a)
			}
		}
	}
	if all {
		if more, err := s.Engine.World.Interfaces(); err == nil {
			list = append(list, more...)
		}
	}
	return list
}

// interfaceAddress reads address, address.port or [address]:port.
func interfaceAddress(item string) (netip.Addr, bool) {
	if rest, ok := strings.CutPrefix(item, "["); ok {
		item, _, _ = strings.Cut(rest, "]")
	}
	if a, err := netip.ParseAddr(item); err == nil {
		return a.Unmap(), true
	}
	if at := strings.LastIndexByte(item, '.'); at > 0 {
		if a, err := netip.ParseAddr(item[:at]); err == nil {
			return a.Unmap(), true
		}
	}
	return netip.Addr{}, false
}

// IsLocal tells whether an address is one of this host's. Loopback addresses always are.
func IsLocal(s *expand.Scope, a netip.Addr) bool { return isLocal(s, a) }

func isLocal(s *expand.Scope, a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	for _, own := range LocalAddresses(s) {
		if own.Unmap().WithZone("") == a {
			return true
		}
	}
	return false
}

// treats checks a name against a domain list among the main options, without touching $0 and above.
func (sc *scan) treats(list, name string) (bool, error) {
	numbers := sc.s.Numbers
	m, err := SenderDomain(sc.s, list, name)
	sc.s.Numbers = numbers
	return m.Matched, err
}

// exchangers says whether this host is among the mail exchangers of the subject: among those of lowest preference, among the
// others. Hosts of hosts_treat_as_local count; addresses in the list ignore do not.
func (sc *scan) exchangers(ignore string) (primary, secondary bool, err error) {
	sc.noCache = true
	answer, err := sc.s.DNS().Lookup(sc.s.Ctx, outside.Question{Name: sc.subject, Type: outside.TypeMX})
	if err != nil {
		return false, false, sc.dnsError(err, sc.subject)
	}
	lowest := uint16(1<<16 - 1)
	for _, r := range answer.Records {
		lowest = min(lowest, r.Preference)
	}
	for _, r := range answer.Records {
		local, err := sc.isLocalHost(r.Data, ignore)
		if err != nil {
			return false, false, err
		}
		if local && r.Preference == lowest {
			primary = true
		} else if local {
			secondary = true
		}
	}
	return primary, secondary, nil
}

// isLocalHost tells whether a host of an MX record is this host.
func (sc *scan) isLocalHost(name, ignore string) (bool, error) {
	if treat := sc.s.Settings().HostsTreatAsLocal; treat != "" {
		if matched, err := sc.treats(treat, name); err != nil || matched {
			return matched, err
		}
	}
	list, _, err := sc.s.HostAddresses(name, 0)
	if err != nil {
		return false, sc.dnsError(err, name)
	}
	for _, a := range list {
		if ignore != "" {
			ignored := hostScan(sc.s, "", a, true)
			m, err := ignored.run(ignore, false)
			if err != nil {
				return false, err
			}
			if m.Matched {
				continue
			}
		}
		if isLocal(sc.s, a) {
			return true, nil
		}
	}
	return false, nil
}

// asking marks the scope while dns_again_means_nonexist is looked at: that list may ask the DNS itself.
const asking = "dns_again_means_nonexist"

// dnsError makes an error of a failed DNS lookup, nil if the answer was a definite no or dns_again_means_nonexist makes it one.
func (sc *scan) dnsError(err error, name string) error {
	if errors.Is(err, outside.ErrNoHost) || errors.Is(err, outside.ErrNoData) {
		return nil
	}
	again := sc.s.Settings().DNSAgainMeansNonexist
	if again != "" && sc.s.ExtraValue(asking).S == "" {
		defer sc.s.SetExtra(asking, expand.Value{S: "1"})()
		if matched, listErr := sc.treats(again, name); listErr == nil && matched {
			return nil
		}
	}
	return &expand.Error{Text: "host lookup for " + name + " did not complete (DNS timeout?)", Temporary: true}
}
