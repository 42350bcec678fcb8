package spf

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"exigo/internal/proto/address"
)

// macro is one "%{...}".
type macro struct {
	letter  byte // lower case
	escape  bool // it was upper case: escape as in URLs
	parts   int  // how many on the right are kept, 0 for all
	reverse bool
	// delimiters divide the value into parts.
	delimiters string
}

// parseMacro reads the macro at the beginning of text, whose first character is "%", and returns its length. A literal ("%%", "%_", "%-")
// has letter 0. c, r and t may stand in explanations only.
func parseMacro(text string, explanation bool) (m macro, literal string, n int, err error) {
	bad := func() (macro, string, int, error) { return macro{}, "", 0, fmt.Errorf("invalid macro in %q", text) }
	if len(text) < 2 {
		return bad()
	}
	switch text[1] {
	case '%':
		return m, "%", 2, nil
	case '_':
		return m, " ", 2, nil
	case '-':
		return m, "%20", 2, nil
	case '{':
	default:
		return bad()
	}
	end := strings.IndexByte(text, '}')
	if end < 3 {
		return bad()
	}
	letter, body := text[2], text[3:end]
	m.letter, m.escape = letter|0x20, letter < 'a'
	letters := "slodiphv"
	if explanation {
		letters = "slodiphvcrt"
	}
	if !isLetter(letter) || strings.IndexByte(letters, m.letter) < 0 {
		return bad()
	}
	digits := 0
	for digits < len(body) && isDigit(body[digits]) {
		digits++
	}
	if digits > 0 {
		m.parts, err = strconv.Atoi(body[:digits])
		if err != nil {
			m.parts = maxName // as many as there can be
		} else if m.parts == 0 {
			return bad()
		}
	}
	body = body[digits:]
	if body != "" && body[0]|0x20 == 'r' {
		m.reverse, body = true, body[1:]
	}
	if strings.Trim(body, ".-+,/_=") != "" {
		return bad()
	}
	if m.delimiters = body; body == "" {
		m.delimiters = "."
	}
	return m, "", end + 1, nil
}

// checkMacros checks a macro-string; spaces may stand in explanations only.
func checkMacros(text string, explanation bool) error {
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '%':
			_, _, n, err := parseMacro(text[i:], explanation)
			if err != nil {
				return err
			}
			i += n - 1
		case c == ' ' && explanation:
		case c <= ' ' || c >= 0x7f:
			return fmt.Errorf("invalid character in %q", text)
		}
	}
	return nil
}

// expand expands a macro-string for the domain at hand.
func (c *check) expand(text, domain string, explanation bool) (string, error) {
	if err := checkMacros(text, explanation); err != nil {
		return "", err
	}
	if strings.IndexByte(text, '%') < 0 {
		return text, nil
	}
	var b strings.Builder
	for i := 0; i < len(text); {
		if text[i] != '%' {
			b.WriteByte(text[i])
			i++
			continue
		}
		m, literal, n, _ := parseMacro(text[i:], explanation)
		i += n
		if m.letter == 0 {
			b.WriteString(literal)
			continue
		}
		value := m.transform(c.value(m.letter, domain))
		if m.escape {
			value = escapeURL(value)
		}
		b.WriteString(value)
	}
	return b.String(), nil
}

// transform divides a value, keeps parts on the right, and joins with dots.
func (m macro) transform(value string) string {
	if m.parts == 0 && !m.reverse && m.delimiters == "." {
		return value
	}
	var parts []string
	start := 0
	for i := 0; i <= len(value); i++ {
		if i == len(value) || strings.IndexByte(m.delimiters, value[i]) >= 0 {
			parts = append(parts, value[start:i])
			start = i + 1
		}
	}
	if m.reverse {
		slices.Reverse(parts)
	}
	if m.parts > 0 && m.parts < len(parts) {
		parts = parts[len(parts)-m.parts:]
	}
	return strings.Join(parts, ".")
}

// value is what a macro letter stands for (RFC 7208 section 7.2).
func (c *check) value(letter byte, domain string) string {
	switch letter {
	case 's':
		return c.local + "@" + c.senderDomain
	case 'l': // quotes are no part of it (RFC 5321 section 4.1.2)
		return address.UnquoteLocalPart(c.local)
	case 'o':
		return c.senderDomain
	case 'd':
		return domain
	case 'i':
		return dotted(c.ip)
	case 'p':
		return c.validated(domain)
	case 'v':
		if c.ip.Is4() {
			return "in-addr"
		}
		return "ip6"
	case 'h':
		return c.query.HELO
	case 'c':
		return c.ip.String()
	case 'r':
		if c.query.Receiver == "" {
			return "unknown"
		}
		return c.query.Receiver
	}
	return strconv.FormatInt(c.query.Now.Unix(), 10) // t
}

// dotted is an address as dotted numbers: an IPv6 address by its 32 hexadecimal digits.
func dotted(a netip.Addr) string {
	if a.Is4() {
		return a.String()
	}
	const digits = "0123456789ABCDEF"
	b := make([]byte, 0, 63)
	for i, x := range a.As16() {
		if i > 0 {
			b = append(b, '.')
		}
		b = append(b, digits[x>>4], '.', digits[x&15])
	}
	return string(b)
}

// reverseName is the name under which the address has PTR records.
func reverseName(a netip.Addr) string {
	parts := strings.Split(dotted(a), ".")
	slices.Reverse(parts)
	if a.Is4() {
		return strings.Join(parts, ".") + ".in-addr.arpa"
	}
	return strings.ToLower(strings.Join(parts, ".")) + ".ip6.arpa"
}

// escapeURL escapes what is not unreserved in RFC 3986.
func escapeURL(text string) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if c := text[i]; isLetter(c) || isDigit(c) || strings.IndexByte("-._~", c) >= 0 {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'%', digits[c>>4], digits[c&15]})
		}
	}
	return b.String()
}
