package builtin

import (
	"fmt"
	"strings"

	"exigo/internal/expand"
)

// quoteOperators put strings into quotes.
func quoteOperators() []expand.Operator {
	return []expand.Operator{
		{
			Name: "quote", Doc: "Puts a string into double quotes if it needs them; with the name of a lookup type, quotes for its queries.",
			Underscore: true, Apply: applyQuote,
			Examples: []expand.Example{
				{In: `${quote:ab"*"cd}`, Out: `"ab\"*\"cd"`}, {In: `${quote:}`, Out: `""`}, {In: `${quote:a-b_c.d}`, Out: "a-b_c.d"},
				{In: `${quote_nosuch:a}`, Err: `unknown lookup type "nosuch"`},
			},
		},
		{
			Name: "quote_local_part", Doc: "Puts a local part into double quotes if RFC 2822 asks for them.",
			Apply: func(s *expand.Scope, _ string, subject expand.Value) (expand.Value, error) {
				subject.S = quoteLocalPart(subject.S)
				return subject, nil
			},
			Examples: []expand.Example{
				{In: `${quote_local_part:a+b}`, Out: "a+b"}, {In: `${quote_local_part:a b}`, Out: `"a b"`}, {In: `${quote_local_part:a.}`, Out: `"a."`},
			},
		},
		{
			Name: "rxquote", Doc: "Puts a backslash before everything that is not a letter or digit.",
			Apply: func(s *expand.Scope, _ string, subject expand.Value) (expand.Value, error) {
				var b strings.Builder
				for i := range len(subject.S) {
					if c := subject.S[i]; !isAlnum(c) {
						b.WriteByte('\\')
					}
					b.WriteByte(subject.S[i])
				}
				subject.S = b.String()
				return subject, nil
			},
			Examples: []expand.Example{{In: `${rxquote:a.b+c_d}`, Out: `a\.b\+c\_d`}},
		},
	}
}

func isAlnum(c byte) bool { return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z' }

func applyQuote(s *expand.Scope, argument string, subject expand.Value) (expand.Value, error) {
	if argument != "" {
		return quoteForLookup(s, argument, subject)
	}
	needs := subject.S == ""
	for i := range len(subject.S) {
		c := subject.S[i]
		needs = needs || !isAlnum(c) && c != '_' && c != '-' && c != '.'
	}
	if needs {
		subject.S = `"` + quoter.Replace(subject.S) + `"`
	}
	return subject, nil
}

var quoter = strings.NewReplacer("\n", `\n`, "\r", `\r`, `\`, `\\`, `"`, `\"`)

// quoteForLookup quotes for a lookup type; what stands after a further underscore is its option (ldap_dn).
func quoteForLookup(s *expand.Scope, argument string, subject expand.Value) (expand.Value, error) {
	name, option := argument, ""
	driver := s.Engine.Lookups[name]
	if driver == nil {
		name, option, _ = strings.Cut(argument, "_")
		driver = s.Engine.Lookups[name]
	}
	if driver == nil {
		return expand.Value{}, expand.Fail("unknown lookup type \"%s\"", name)
	}
	if driver.Quote != nil {
		text, ok := driver.Quote(subject.S, option)
		if !ok {
			return expand.Value{}, expand.Fail("\"%s\" unrecognized after \"${quote_%s\"", option, name)
		}
		subject.S = text
		subject.Quoted = driver.Name
	} else if option != "" {
		return expand.Value{}, expand.Fail("\"%s\" unrecognized after \"${quote_%s\"", option, name)
	}
	return subject, nil
}

// quoteLocalPart quotes when there is a character that is neither atext nor a dot inside.
func quoteLocalPart(text string) string {
	needs := text == ""
	for i := range len(text) {
		c := text[i]
		needs = needs || !isAlnum(c) && strings.IndexByte("!#$%&'*+-/=?^_`{|}~", c) < 0 && (c != '.' || i == 0 || i == len(text)-1)
	}
	if !needs {
		return text
	}
	return `"` + quoter.Replace(text) + `"`
}

// escape writes bytes that are not printable, but for tabs, as \n, \r, \b, \v, \f or as a backslash and three octal digits.
func escape(text string, topBit bool) string {
	var b strings.Builder
	for i := range len(text) {
		switch c := text[i]; {
		case c >= ' ' && c < 0x7f || c >= 0x80 && topBit:
			b.WriteByte(c)
		case c == '\t':
			b.WriteByte(c)
		case c >= '\b' && c <= '\r':
			b.WriteByte('\\')
			b.WriteByte("btnvfr"[c-'\b'])
		default:
			fmt.Fprintf(&b, `\%03o`, c)
		}
	}
	return b.String()
}

func escape8bit(text string) string {
	var b strings.Builder
	for i := range len(text) {
		if c := text[i]; c >= 0x7f || c == '\\' {
			fmt.Fprintf(&b, `\%03o`, c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

func hexQuote(text string) string {
	var b strings.Builder
	for i := range len(text) {
		if c := text[i]; c > ' ' && c < 0x7f {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, `\x%02x`, c)
		}
	}
	return b.String()
}
