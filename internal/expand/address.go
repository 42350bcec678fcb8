package expand

import (
	"net/netip"
	"strings"
)

// ParseAddress reads an IP address in the form that the language takes for one (isip, match_ip and the operators for addresses). Behind an
// IPv6 address may stand a percent sign and a zone, also an empty one, without white space and slash; it is dropped.
func ParseAddress(text string) (netip.Addr, bool) {
	if at := strings.IndexByte(text, '%'); at >= 0 && !strings.ContainsAny(text[at:], " \t\n\v\f\r/") {
		a, err := netip.ParseAddr(text[:at])
		return a, err == nil && a.Is6()
	}
	a, err := netip.ParseAddr(text)
	return a, err == nil && a.Zone() == ""
}
