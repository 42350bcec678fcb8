package builtin

import (
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
	if err := s.Spend(expand.Costly); err != nil {
		return expand.Value{}, err
	}
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
		if err := s.Spend(1); err != nil {
			return expand.Value{}, err
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
			if text, err = s.Engine.ExpandValue(s, replacement); err != nil {
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
