package spf

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// version begins every record.
const version = "v=spf1"

// isRecord tells whether a TXT record is an SPF record (RFC 7208 section 4.5).
func isRecord(text string) bool {
	return len(text) >= len(version) && strings.EqualFold(text[:len(version)], version) && (len(text) == len(version) || text[len(version)] == ' ')
}

// record is a policy, parsed.
type record struct {
	terms []term
	// redirect and explain are the domain-specs of those modifiers, "" for none.
	redirect, explain string
}

// term is a directive: a qualifier and a mechanism.
type term struct {
	result Result // of a match
	name   string // of the mechanism, lower case
	// spec is the domain-spec, "" for none.
	spec string
	// prefix4 and prefix6 are the lengths after the slashes.
	prefix4, prefix6 int
	// network is that of ip4 and ip6.
	network netip.Prefix
	// text is the mechanism as written, without qualifier.
	text string
}

// qualifiers are the results of a match.
func qualifier(c byte) (Result, bool) {
	switch c {
	case '+':
		return Pass, true
	case '-':
		return Fail, true
	case '~':
		return SoftFail, true
	case '?':
		return Neutral, true
	}
	return Pass, false
}

// parseRecord reads a record whole, so that mistakes anywhere count (RFC 7208 section 4.6).
func parseRecord(text string) (r record, err error) {
	for word := range strings.SplitSeq(text[len(version):], " ") {
		if word == "" {
			continue
		}
		if name, value, ok := modifier(word); ok {
			err = r.modify(name, value, word)
		} else {
			var t term
			t, err = parseTerm(word)
			r.terms = append(r.terms, t)
		}
		if err != nil {
			return record{}, err
		}
	}
	return r, nil
}

// modifier divides name=value; names are letters, digits, "-", "_" and ".", a letter first.
func modifier(word string) (name, value string, ok bool) {
	for i := 0; i < len(word); i++ {
		switch c := word[i]; {
		case isLetter(c), i > 0 && (isDigit(c) || c == '-' || c == '_' || c == '.'):
		case i > 0 && c == '=':
			return strings.ToLower(word[:i]), word[i+1:], true
		default:
			return "", "", false
		}
	}
	return "", "", false
}

func (r *record) modify(name, value, word string) error {
	target := &r.redirect
	switch name {
	case "exp":
		target = &r.explain
	case "redirect":
	default:
		return checkMacros(value, false)
	}
	if *target != "" {
		return fmt.Errorf("%s= appears twice", name)
	}
	*target = value
	return checkDomainSpec(value, word)
}

// parseTerm reads a directive.
func parseTerm(word string) (t term, err error) {
	result, qualified := qualifier(word[0])
	if qualified {
		word = word[1:]
	}
	end := strings.IndexAny(word, ":/")
	if end < 0 {
		end = len(word)
	}
	t = term{result: result, name: strings.ToLower(word[:end]), prefix4: 32, prefix6: 128, text: word}
	rest := word[end:]
	switch t.name {
	case "all":
		if rest != "" {
			return t, fmt.Errorf("invalid argument of mechanism %q", word)
		}
	case "include", "exists":
		err = t.domain(rest, true)
	case "ptr":
		err = t.domain(rest, false)
	case "a", "mx":
		if rest, err = t.prefixes(rest); err == nil {
			err = t.domain(rest, false)
		}
	case "ip4", "ip6":
		err = t.address(rest)
	default:
		err = fmt.Errorf("unknown mechanism %q", word)
	}
	return t, err
}

// domain reads ":domain-spec".
func (t *term) domain(rest string, required bool) error {
	if rest == "" && !required {
		return nil
	}
	spec, ok := strings.CutPrefix(rest, ":")
	if !ok {
		return fmt.Errorf("invalid domain of mechanism %q", t.text)
	}
	t.spec = spec
	return checkDomainSpec(spec, t.text)
}

// prefixes takes "/n", "//n" or "/n//n" off the end.
func (t *term) prefixes(rest string) (left string, err error) {
	if before, digits, ok := lastPrefix(rest, "//"); ok {
		if t.prefix6, err = prefixLength(digits, 128); err != nil {
			return rest, err
		}
		rest = before
	}
	if before, digits, ok := lastPrefix(rest, "/"); ok && !strings.HasSuffix(before, "/") {
		if t.prefix4, err = prefixLength(digits, 32); err != nil {
			return rest, err
		}
		rest = before
	}
	return rest, nil
}

// lastPrefix divides at the last mark, if only digits follow it.
func lastPrefix(text, mark string) (before, digits string, ok bool) {
	i := strings.LastIndex(text, mark)
	if i < 0 || len(text) == i+len(mark) {
		return text, "", false
	}
	digits = text[i+len(mark):]
	for j := 0; j < len(digits); j++ {
		if !isDigit(digits[j]) {
			return text, "", false
		}
	}
	return text[:i], digits, true
}

func prefixLength(digits string, limit int) (int, error) {
	n, err := strconv.Atoi(digits)
	if err != nil || n > limit || digits[0] == '+' || len(digits) > 1 && digits[0] == '0' {
		return 0, fmt.Errorf("invalid prefix length /%s", digits)
	}
	return n, nil
}

// address reads the network of ip4 and ip6.
func (t *term) address(rest string) error {
	text, ok := strings.CutPrefix(rest, ":")
	bits := 32
	if t.name == "ip6" {
		bits = 128
	}
	if i := strings.IndexByte(text, '/'); i >= 0 {
		var err error
		if text[i+1:] == "" {
			return fmt.Errorf("invalid address of mechanism %q", t.text)
		}
		if bits, err = prefixLength(text[i+1:], bits); err != nil {
			return err
		}
		text = text[:i]
	}
	a, err := netip.ParseAddr(text)
	if !ok || err != nil || a.Zone() != "" || a.Is4() != (t.name == "ip4") {
		return fmt.Errorf("invalid address of mechanism %q", t.text)
	}
	t.network = netip.PrefixFrom(a, bits)
	return nil
}

// checkDomainSpec checks a domain-spec: a macro-string that ends with a macro or with a dot and a top label (RFC 7208 section 7.1).
func checkDomainSpec(spec, term string) error {
	if err := checkMacros(spec, false); err != nil {
		return err
	}
	if endsWithMacro(spec) {
		return nil
	}
	name := strings.TrimSuffix(spec, ".")
	i := strings.LastIndexByte(name, '.')
	if i < 0 || !isTopLabel(name[i+1:]) {
		return fmt.Errorf("invalid domain in %q", term)
	}
	return nil
}

// endsWithMacro tells whether the last thing of a macro-string that is well formed is a macro.
func endsWithMacro(spec string) bool {
	last := false
	for i := 0; i < len(spec); i++ {
		last = spec[i] == '%'
		if !last {
			continue
		}
		if i++; spec[i] == '{' {
			i += strings.IndexByte(spec[i:], '}')
		}
	}
	return last
}

// isTopLabel tells whether a label may be the last: letters, digits and inner hyphens, not digits alone.
func isTopLabel(label string) bool {
	if label == "" || label[0] == '-' || label[len(label)-1] == '-' {
		return false
	}
	other := false
	for i := 0; i < len(label); i++ {
		if c := label[i]; c != '-' && !isLetter(c) && !isDigit(c) {
			return false
		}
		other = other || !isDigit(label[i])
	}
	return other
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
