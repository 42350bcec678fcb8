package builtin

import (
	"fmt"
	"strconv"
	"strings"

	"exigo/internal/expand"
	"exigo/internal/expand/syntax"
)

// textItems are the items that cut and change strings.
func textItems() []expand.Item {
	return []expand.Item{
		{
			Name: "sg", Doc: "Replaces what a regular expression matches, everywhere.", Min: 3, Max: 3, Eval: evalSubstitute,
			Examples: []expand.Example{
				{In: `${sg{abcdefabcdef}{abc}{xyz}}`, Out: "xyzdefxyzdef"}, {In: `${sg{abcdef}{^(...)(...)\$}{\$2\$1}}`, Out: "defabc"},
				{In: `${sg{1=A 4=D 3=C}{\N(\d+)=\N}{K\$1=}}`, Out: "K1=A K4=D K3=C"}, {In: `${sg{abc}{x*}{-}}`, Out: "-a-b-c-"},
				{In: `${sg{abc}{}{x}}`, Out: "xaxbxcx"}, {In: `${sg{}{^}{x}}`, Out: "x"},
			},
		},
		{
			Name: "tr", Doc: "Replaces single characters.", Min: 3, Max: 3, Eval: evalTranslate,
			Examples: []expand.Example{
				{In: `${tr{abcdea}{ac}{13}}`, Out: "1b3de1"}, {In: `${tr{abcdea}{abc}{1}}`, Out: "111de1"}, {In: `${tr{abcdea}{aa}{12}}`, Out: "2bcde2"},
				{In: `${tr{abcdea}{ac}{}}`, Out: "abcdea"},
			},
		},
		{
			Name: "length", Doc: "Gives the beginning of a string.", Min: 2, Max: 2,
			Eval: func(s *expand.Scope, args []expand.Value) (expand.Value, error) {
				return cut("length", args[1], args[0].S)
			},
			Examples: []expand.Example{{In: `${length{1}{abc}}`, Out: "a"}, {In: `${length}`, Err: "Not enough arguments for 'length' (min is 2)"}},
		},
		{
			Name: "substr", Doc: "Gives a part of a string.", Min: 2, Max: 3,
			Eval: func(s *expand.Scope, args []expand.Value) (expand.Value, error) {
				return cut("substr", args[len(args)-1], texts(args[:len(args)-1])...)
			},
			Examples: []expand.Example{
				{In: `${substr{-5}{2}{1234567}}`, Out: "34"}, {In: `${substr{-5}{2}{12}}`}, {In: `${substr{-3}{2}{12}}`, Out: "1"},
				{In: `${substr{-1}{abcde}}`, Out: "abcd"}, {In: `${substr{x}{2}{a}}`, Err: `"x" is not a number (in "substr" expansion)`},
				{In: `${substr{1}{1 }{abc}}`, Err: `"1 " is not a positive number (in "substr" expansion)`},
			},
		},
		{
			Name: "listquote", Doc: "Makes a string safe as an item of a list.", Min: 2, Max: 2,
			Eval: func(s *expand.Scope, args []expand.Value) (expand.Value, error) {
				out := args[1]
				if args[0].S != "" {
					out.S = strings.ReplaceAll(out.S, args[0].S[:1], args[0].S[:1]+args[0].S[:1])
				}
				if out.S == "" {
					out.S = " "
				}
				return out, nil
			},
			Examples: []expand.Example{{In: `${listquote{:}{a:b}}`, Out: "a::b"}, {In: `${listquote{:}{}}`, Out: " "}},
		},
	}
}

func texts(values []expand.Value) []string {
	list := make([]string, len(values))
	for i, v := range values {
		list[i] = v.S
	}
	return list
}

// evalSubstitute replaces as Perl's s///g does. The replacement is expanded once more for each match, with $0 and above set.
func evalSubstitute(s *expand.Scope, args []expand.Value) (expand.Value, error) {
	subject, replacement := args[0], args[2]
	re, err := s.Engine.Regex.Compile(args[1].S, 0)
	if err != nil {
		return expand.Value{}, expand.Fail("%s", err)
	}
	numbers := s.Numbers
	defer func() { s.Numbers = numbers }()
	var out []byte
	var space [24]int
	start, copied, notEmpty := 0, 0, false
	for start <= len(subject.S) {
		pairs, err := re.MatchIndex(space[:0], subject.S, start, notEmpty)
		if err != nil {
			s.Panic("%s", err)
			return expand.Value{}, expand.Defer("%s", err)
		}
		if pairs == nil {
			if !notEmpty {
				break
			}
			start, notEmpty = start+1, false
			continue
		}
		text := replacement
		if strings.ContainsAny(text.S, "$\\") {
			captures := make([]string, len(pairs)/2)
			for n := range captures {
				if pairs[2*n] >= 0 {
					captures[n] = subject.S[pairs[2*n]:pairs[2*n+1]]
				}
			}
			s.SetNumbers(captures, subject.Tainted)
			if text, err = s.Engine.Expand(s, replacement.S); err != nil {
				return expand.Value{}, err
			}
		}
		out = append(out, subject.S[copied:pairs[0]]...)
		out = append(out, text.S...)
		start, copied, notEmpty = pairs[1], pairs[1], pairs[0] == pairs[1]
		if len(out) > maxList {
			return expand.Value{}, expand.Fail("the result of the expansion is too large")
		}
	}
	out = append(out, subject.S[copied:]...)
	return expand.Join(string(out), subject, replacement), nil
}

func evalTranslate(s *expand.Scope, args []expand.Value) (expand.Value, error) {
	from, to := args[1].S, args[2].S
	if to == "" {
		return args[0], nil
	}
	out := []byte(args[0].S)
	for i, c := range out {
		if at := strings.LastIndexByte(from, c); at >= 0 {
			out[i] = to[min(at, len(to)-1)]
		}
	}
	return expand.Join(string(out), args[0], args[2]), nil
}

// cut is length and substr, also as operators: the numbers are the first arguments.
func cut(name string, subject expand.Value, numbers ...string) (expand.Value, error) {
	first, second := 0, -1
	var err error
	if name == "length" {
		second, err = number(name, numbers[0], false)
	} else if first, err = number(name, numbers[0], true); err == nil && len(numbers) > 1 {
		second, err = number(name, numbers[1], false)
	}
	if err != nil {
		return expand.Value{}, err
	}
	subject.S = substring(subject.S, first, second)
	return subject, nil
}

// substring gives length bytes from the offset start; a negative start counts from the end. Without a length (-1) it gives what
// follows the offset or, if that is negative, what stands before it.
func substring(text string, start, length int) string {
	if start < 0 {
		if length < 0 {
			return text[:max(0, len(text)+start)]
		}
		if start += len(text); start < 0 {
			length = max(0, length+start)
			start = 0
		}
	}
	start = min(start, len(text))
	if length < 0 || length > len(text)-start {
		length = len(text) - start
	}
	return text[start : start+length]
}

// number reads an argument of length, substr, hash or nhash. The empty string is 0.
func number(name, text string, signed bool) (int, error) {
	if text == "" {
		return 0, nil
	}
	digits := strings.TrimLeft(text, space)
	if len(digits) > 1 && (digits[0] == '-' || digits[0] == '+') {
		digits = digits[1:]
	}
	bad := digits == "" || strings.Trim(digits, "0123456789") != ""
	long, _ := strconv.ParseInt(strings.TrimLeft(text, space), 10, 64) // beyond the largest number: the largest number
	n := int(int32(long))                                              // Exim keeps the low 32 bits
	if signed && bad {
		return 0, expand.Fail("\"%s\" is not a number (in \"%s\" expansion)", text, name)
	}
	if !signed && (bad || n < 0) {
		return 0, expand.Fail("\"%s\" is not a positive number (in \"%s\" expansion)", text, name)
	}
	return n, nil
}

// underscoreNumbers splits the argument of length_3 or substr_1_2 and checks it.
func underscoreNumbers(name, argument string, limit int, signed bool) ([]string, error) {
	parts := strings.Split(argument, "_")
	for i, p := range parts {
		if i == 0 && signed {
			p = strings.TrimPrefix(p, "-")
		}
		if strings.Trim(p, "0123456789") != "" || len(parts) > limit || i < len(parts)-1 && p == "" || i > 0 && p == "" {
			return nil, expand.Fail("non-digit after underscore in \"%s_%s\"", name, argument)
		}
		if parts[i] == "-" {
			parts[i] = "0"
		}
		if len(p) > 9 { // Exim keeps the low 32 bits, which is not what it does to the item's arguments
			n := int32(0)
			for _, digit := range []byte(p) {
				n = n*10 + int32(digit-'0')
			}
			parts[i] = strings.TrimSuffix(parts[i], p) + strconv.Itoa(int(max(n, 0)))
		}
	}
	return parts, nil
}

// smallNumber reads up to four digits.
func smallNumber(text string) (n int, ok bool) {
	if text == "" || len(text) > 4 {
		return 0, false
	}
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' {
			return 0, false
		}
		n = n*10 + int(text[i]-'0')
	}
	return n, true
}

// textOperators change strings.
func textOperators() []expand.Operator {
	plain := func(name, doc string, change func(string) string, examples ...expand.Example) expand.Operator {
		return expand.Operator{Name: name, Doc: doc, Examples: examples, Apply: func(s *expand.Scope, _ string, subject expand.Value) (expand.Value, error) {
			subject.S = change(subject.S)
			return subject, nil
		}}
	}
	rows := []expand.Operator{
		plain("lc", "Makes letters small.", lower, expand.Example{In: `${lc:A\}B}`, Out: "a}b"}),
		plain("uc", "Makes letters large.", upper, expand.Example{In: `${uc:lc:Ab}`, Out: "LC:AB"}),
		plain("escape8bit", "Writes bytes with the top bit, backslashes and DEL as octal escapes.", escape8bit,
			expand.Example{In: `${escape8bit:a\\b\x7f\xe9}`, Out: `a\134b\177\351`}),
		plain("hexquote", "Writes bytes that are not printable, and spaces, as \\xNN.", hexQuote,
			expand.Example{In: `${hexquote:a b\x7f~}`, Out: `a\x20b\x7f~`}),
		{
			Name: "escape", Doc: "Writes bytes that are not printable as escapes.",
			Apply: func(s *expand.Scope, _ string, subject expand.Value) (expand.Value, error) {
				subject.S = escape(subject.S, s.Settings().PrintTopbitchars)
				return subject, nil
			},
			Examples: []expand.Example{{In: `${escape:a\x01b\n\\c\xe9}`, Out: `a\001b\n\c\351`}},
		},
		{
			Name: "strlen", Doc: "Gives the length in bytes.",
			Apply: func(s *expand.Scope, _ string, subject expand.Value) (expand.Value, error) {
				return expand.Value{S: strconv.Itoa(len(subject.S))}, nil
			},
			Examples: []expand.Example{{In: `${strlen:abc}`, Out: "3"}},
		},
		{
			Name: "expand", Doc: "Expands a string once more.", Apply: applyExpand,
			Examples: []expand.Example{
				{In: `${expand:\$\{lc:A\}}`, Out: "a"},
				{In: `${expand:\$nosuch}`, Err: `internal expansion of "$nosuch" failed: unknown variable name "nosuch"`},
			},
		},
		{
			Name: "headerwrap", Doc: "Folds a string for a header field.", Underscore: true, Apply: applyHeaderwrap,
			Examples: []expand.Example{{In: `${headerwrap_20_100:abc def ghi jkl mno pqr stu}`, Out: "abc def ghi jkl mno\n\tpqr stu"}},
		},
	}
	for _, name := range []string{"length", "l", "substr", "s"} {
		rows = append(rows, expand.Operator{
			Name: name, Doc: "Gives a part of a string; the numbers stand after underscores.", Underscore: true,
			ApplyTo: func(s *expand.Scope, o *syntax.Operator, subject expand.Value) (expand.Value, error) {
				limit, item := 1, "length"
				if name[0] == 's' {
					limit, item = 2, "substr"
				}
				if o.Name == name {
					return expand.Value{}, expand.Fail("missing values after %s", name)
				}
				if n, ok := smallNumber(o.Argument); ok { // most are that simple
					if limit == 1 {
						subject.S = subject.S[:min(n, len(subject.S))]
					} else {
						subject.S = substring(subject.S, n, -1)
					}
					return subject, nil
				}
				numbers, err := underscoreNumbers(name, o.Argument, limit, name[0] == 's')
				if err != nil {
					return expand.Value{}, err
				}
				return cut(item, subject, numbers...)
			},
		})
	}
	return rows
}

func applyExpand(s *expand.Scope, _ string, subject expand.Value) (expand.Value, error) {
	v, err := s.Engine.ExpandValue(s, subject)
	if err == nil {
		return v, nil
	}
	wrapped := &expand.Error{Temporary: expand.IsTemporary(err), Text: "internal expansion of \"" + subject.S + "\" failed: " + err.Error()}
	if e, ok := err.(*expand.Error); ok {
		wrapped.Forced = e.Forced
	}
	return expand.Value{}, wrapped
}

// applyHeaderwrap is ${headerwrap_<columns>_<limit>:...}: lines of at most 80 (or so many) columns, folded with a newline and a
// tab where there is space, 998 (or so many) bytes at most.
func applyHeaderwrap(s *expand.Scope, argument string, subject expand.Value) (expand.Value, error) {
	columns, limit := 80, 998
	for i, part := range strings.Split(argument, "_") {
		if part == "" {
			continue
		}
		n, err := strconv.Atoi(part)
		if err != nil || i > 1 {
			return expand.Value{}, expand.Fail("non-digit after underscore in \"headerwrap_%s\"", argument)
		}
		if i == 0 {
			columns = n
		} else {
			limit = n
		}
	}
	subject.S = wrapHeader(subject.S, max(columns, 1), max(limit, 1))
	return subject, nil
}

func wrapHeader(text string, columns, limit int) string {
	text = text[:min(len(text), limit)]
	var b strings.Builder
	for indent := 0; ; indent = 8 {
		width := max(columns-indent, 0)
		if len(text) <= width || strings.IndexByte(text, '\n') >= 0 && strings.IndexByte(text, '\n') < width {
			b.WriteString(text)
			return b.String()
		}
		end := strings.LastIndexAny(text[:min(max(width, 1)+1, len(text))], " \t")
		if end <= 0 {
			if end = strings.IndexAny(text[1:], " \t") + 1; end == 0 {
				b.WriteString(text)
				return b.String()
			}
		}
		b.WriteString(text[:end])
		b.WriteString("\n\t")
		text = strings.TrimLeft(text[end:], " \t")
	}
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
