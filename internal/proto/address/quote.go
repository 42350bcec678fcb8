package address

import (
	"net/netip"
	"strings"
)

// Split divides an address at its last @ into local part and domain; without one the domain is "".
func Split(address string) (local, domain string) {
	i := strings.LastIndexByte(address, '@')
	if i < 0 {
		return address, ""
	}
	return address[:i], address[i+1:]
}

// FoldDomain returns the address with its domain in lower case (ASCII letters only); the local part keeps its case
// (RFC 5321 section 2.4).
func FoldDomain(address string) string {
	i := strings.LastIndexByte(address, '@')
	if i < 0 {
		return address
	}
	for j := i + 1; j < len(address); j++ {
		if c := address[j]; c >= 'A' && c <= 'Z' {
			return address[:i+1] + lowerASCII(address[i+1:])
		}
	}
	return address
}

func lowerASCII(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// isAtext reports whether c may stand in an unquoted local part (atext of RFC 5322 section 3.2.3).
func isAtext(c byte) bool {
	return isAlnum(c) || strings.IndexByte("!#$%&'*+-/=?^_`{|}~", c) >= 0
}

// QuoteLocalPart returns local in the form it must have in an address: unchanged when it is a dot-atom of RFC 5322, with
// dots inside only, and as a quoted string otherwise.
func QuoteLocalPart(local string) string {
	plain := local != ""
	for i := 0; i < len(local) && plain; i++ {
		plain = isAtext(local[i]) || local[i] == '.' && i > 0 && i < len(local)-1
	}
	if plain {
		return local
	}
	b := make([]byte, 0, len(local)+4)
	b = append(b, '"')
	for i := 0; i < len(local); i++ {
		switch c := local[i]; c {
		case '\n':
			b = append(b, '\\', 'n')
		case '"', '\\':
			b = append(b, '\\', c)
		default:
			b = append(b, c)
		}
	}
	return string(append(b, '"'))
}

// UnquoteLocalPart removes the double quotes and the backslashes of quoted pairs from a local part as Extract returns it.
func UnquoteLocalPart(local string) string {
	if strings.IndexByte(local, '"') < 0 && strings.IndexByte(local, '\\') < 0 {
		return local
	}
	b := make([]byte, 0, len(local))
	for i := 0; i < len(local); i++ {
		switch c := local[i]; {
		case c == '"':
		case c == '\\' && i+1 < len(local):
			i++
			b = append(b, local[i])
		case c != '\\':
			b = append(b, c)
		}
	}
	return string(b)
}

// ParseLiteral reads a domain literal, "[192.0.2.1]" or "[IPv6:2001:db8::1]" (RFC 5321 section 4.1.3; the tag may be in
// any case). An IPv6 address without the tag is accepted too. Zones are refused.
func ParseLiteral(domain string) (netip.Addr, bool) {
	if len(domain) < 2 || domain[0] != '[' || domain[len(domain)-1] != ']' {
		return netip.Addr{}, false
	}
	s := domain[1 : len(domain)-1]
	tagged := len(s) >= 5 && strings.EqualFold(s[:5], "IPv6:")
	if tagged {
		s = s[5:]
	}
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" || tagged && !a.Is6() {
		return netip.Addr{}, false
	}
	return a, true
}

// ValidDomain reports whether s is a domain name as addresses may have it: labels of letters, digits and hyphens, not
// beginning with a hyphen, separated by single dots (RFC 5321 section 4.1.2, more tolerant about a hyphen at the end).
// With allowUTF8 labels may also hold UTF-8 (RFC 6531 section 3.3).
func ValidDomain(s string, allowUTF8 bool) bool {
	p := parser{text: s, options: Options{AllowUTF8: allowUTF8}}
	for {
		if p.label() != nil {
			return false
		}
		if p.pos == len(s) {
			return true
		}
		if !p.at('.') {
			return false
		}
		p.pos++
	}
}
