package hostfind

import (
	"net/netip"
	"strings"

	"exigo/internal/config"
	"exigo/internal/expand"
	"exigo/internal/list"
	"exigo/internal/mail"
	"exigo/internal/option"
)

// CutAtLocal looks for this machine in a list of hosts (spec 13.8). If it stands first, or all hosts before it have the same
// preference, the result is Local; elsewhere it is cut off with all hosts of its preference and behind, and removed is true.
func CutAtLocal(s *expand.Scope, hosts []mail.Host) (kept []mail.Host, result Result, removed bool, err error) {
	local, err := localAddresses(s)
	if err != nil {
		return hosts, Found, false, err
	}
	first := 0 // start of the hosts of the present preference
	for i, h := range hosts {
		if i == 0 || h.MX != hosts[i-1].MX {
			first = i
		}
		is, err := isLocal(s, local, h)
		if err != nil {
			return hosts, Found, false, err
		}
		if !is {
			continue
		}
		if first == 0 {
			return hosts, Local, false, nil
		}
		return hosts[:first], Found, true, nil
	}
	return hosts, Found, false, nil
}

// isLocal tells whether a host is this machine, by its address or because its name is to be treated so.
func isLocal(s *expand.Scope, local []netip.Addr, h mail.Host) (bool, error) {
	main := option.Of[config.Main](s.Config.MainOptions())
	if names := string(main.HostsTreatAsLocal); names != "" {
		m, err := list.Domain(s, names, h.Name)
		if err != nil || m.Matched {
			return m.Matched, err
		}
	}
	if !h.Address.IsValid() {
		return false, nil
	}
	addr := h.Address.Unmap().WithZone("")
	if addr.IsUnspecified() {
		return true, nil
	}
	for _, a := range local {
		if a == addr {
			return true, nil
		}
	}
	return false, nil
}

// localAddresses lists the addresses of local_interfaces and extra_local_interfaces, wildcards replaced by all
// addresses of the machine.
func localAddresses(s *expand.Scope) ([]netip.Addr, error) {
	main := option.Of[config.Main](s.Config.MainOptions())
	var out []netip.Addr
	for _, items := range [][]string{main.LocalInterfaces, main.ExtraLocalInterfaces} {
		for _, item := range items {
			addr, ok := interfaceAddress(item)
			if !ok {
				continue
			}
			if !addr.IsUnspecified() {
				out = append(out, addr.Unmap().WithZone(""))
				continue
			}
			all, err := s.Engine.World.Interfaces()
			if err != nil {
				return nil, err
			}
			for _, a := range all {
				a = a.Unmap().WithZone("")
				if a.Is4() == addr.Is4() {
					out = append(out, a)
				}
			}
		}
	}
	return out, nil
}

// interfaceAddress reads an item of local_interfaces: an address, "address.port" or "[address]:port" (spec 13.4).
func interfaceAddress(item string) (netip.Addr, bool) {
	name, _ := Item(item)
	if addr, ok := parseAddress(name); ok {
		return addr, true
	}
	if i := strings.LastIndexByte(item, '.'); i > 0 {
		return parseAddress(item[:i])
	}
	return netip.Addr{}, false
}
