package builtin

import (
	"strconv"
	"strings"

	"exigo/internal/expand"
	"exigo/internal/expand/syntax"
)

// branchItems are the items with two branches.
func branchItems() []expand.LazyItem {
	return []expand.LazyItem{
		{
			Name: "if", Doc: "Gives the first string if the condition is true, else the second.",
			Shape: syntax.Shape{Form: syntax.FormIf}, Eval: evalIf,
			Examples: []expand.Example{
				{In: `${if eq{a}{a}{yes}{no}}`, Out: "yes"}, {In: `${if eq {a} {b} {yes}{no} }`, Out: "no"},
				{In: `${if eq{a}{a}}`, Out: "true"}, {In: `${if eq{a}{b}}`}, {In: `${if ! eq{a}{b}{yes}fail}`, Out: "yes"},
				{In: `${if eq{a}{b}{yes} fail }`, Err: `"if" failed and "fail" requested`},
				{In: `${if match{abc}{(b)}{$0-$1}}$1`, Out: "b-b"},
			},
		},
		{
			Name: "lookup", Doc: "Looks a key up in a file, or runs a query; $value is the result.",
			Shape: syntax.Shape{Form: syntax.FormLookup}, Eval: evalLookup,
			Examples: []expand.Example{{In: `${lookup{a}}`, Err: "missing lookup type"}, {In: `${lookup nosuch{a}}`, Err: `unknown lookup type "nosuch"`}},
		},
		{
			Name: "extract", Doc: "Takes a field by name or number out of a string, or an element out of JSON.",
			Shape: syntax.Shape{Form: syntax.FormExtract}, Early: earlyExtract, Eval: evalExtract,
			Examples: []expand.Example{
				{In: `${extract{gid}{uid=1984 gid=2001}}`, Out: "2001"}, {In: `${extract{gid}{uid=1984 gid=2001}{$value}}`, Out: "2001"},
				{In: `${extract{Z}{A=... B=...}{$value} fail }`, Err: `"extract" failed and "fail" requested`},
				{In: `${extract{2}{:}{x:42:99:& Mailer::/bin/bash}}`, Out: "42"},
				{In: `${extract{-4}{:}{x:42:99:& Mailer::/bin/bash}}`, Out: "99"},
				{In: `${extract json{b}{\{"a":1,"b":"x"\}}}`, Out: `"x"`}, {In: `${extract jsons{b}{\{"a":1,"b":"x"\}}}`, Out: `x`},
			},
		},
		{
			Name: "listextract", Doc: "Takes the item of a number out of a list.",
			Shape: syntax.Shape{Form: syntax.FormNamedArgs, Min: 2, ArgNames: []string{"arg 1", "arg 2"}}, Early: earlyListExtract, Eval: evalListExtract,
			Examples: []expand.Example{
				{In: `${listextract{2}{x:42:99}}`, Out: "42"},
				{In: `${listextract{-3}{<, x,42,99,& Mailer,,/bin/bash}{result: $value}}`, Out: "result: 42"},
			},
		},
		{
			Name: "env", Doc: "Gives a variable of the process's environment.",
			Shape: syntax.Shape{Form: syntax.FormNamedArgs, Min: 1, ArgNames: []string{""}}, Eval: evalEnv,
		},
	}
}

func evalIf(s *expand.Scope, it *syntax.Item) (expand.Value, error) {
	numbers, value := s.Numbers, s.Value
	yes, err := s.Condition(it.Test)
	var v expand.Value
	switch {
	case err != nil:
	case it.Yes == nil:
		if yes {
			v.S = "true"
		}
	case yes:
		v, err = s.Text(it.Yes)
	case it.No != nil:
		v, err = s.Text(it.No)
	default:
		err = expand.ForcedFail(it)
	}
	s.Numbers, s.Value = numbers, value
	return v, err
}

func evalLookup(s *expand.Scope, it *syntax.Item) (expand.Value, error) {
	var key expand.Value
	var err error
	if it.Key != nil {
		if key, err = s.Text(it.Key); err != nil {
			return expand.Value{}, err
		}
	}
	file, err := s.Text(it.Args[0])
	if err != nil {
		return expand.Value{}, err
	}
	t, err := s.Engine.LookupType(it.Option)
	if err != nil {
		return expand.Value{}, err
	}
	if it.Key == nil {
		key, file = file, expand.Value{}
	}
	if err := s.Spend(expand.Costly); err != nil {
		return expand.Value{}, err
	}
	found, ok, err := s.Lookup(t, file, key)
	if err != nil {
		return expand.Value{}, err
	}
	numbers := s.Numbers
	if found.Captured {
		s.SetNumbers([]string{"", found.Wild, found.Fixed}, key.Tainted)
	}
	v, err := s.Branches(it, ok, found.Data)
	s.Numbers = numbers
	return v, err
}

// earlyExtract wants a key.
func earlyExtract(n int, argument expand.Value) error {
	if n == 0 && trim(argument.S) == "" {
		return expand.Fail("first argument of \"extract\" must not be empty")
	}
	return nil
}

// evalExtract sorts out the arguments where the parser could not: what they are depends on the key.
func evalExtract(s *expand.Scope, it *syntax.Item) (expand.Value, error) {
	key, err := s.Text(it.Args[0])
	if err != nil {
		return expand.Value{}, err
	}
	if err := earlyExtract(0, key); err != nil {
		return expand.Value{}, err
	}
	key.S = trim(key.S)
	number := syntax.IsFieldNumber(key.S)
	wanted := 2
	if number && it.Option == "" {
		wanted = 3
	}
	if it.Rest != nil {
		if it, err = closeExtract(it, wanted); err != nil {
			return expand.Value{}, err
		}
	}
	args, err := s.Texts(it.Args[1:wanted])
	if err != nil {
		return expand.Value{}, err
	}
	subject := args[len(args)-1]
	var field string
	var ok bool
	switch {
	case it.Option != "":
		field, ok, err = extractJSON(key.S, number, subject.S, it.Option == "jsons")
	case number:
		n, _ := strconv.Atoi(key.S)
		field, ok = extractNumbered(n, args[0].S, subject.S)
	default:
		field, ok = extractNamed(key.S, subject.S)
	}
	if err != nil {
		return expand.Value{}, err
	}
	return s.Branches(it, ok, expand.Value{S: field, Tainted: subject.Tainted, Quoted: subject.Quoted})
}

// closeExtract gives the item with arguments and branches told apart, now that it is known how many arguments there are.
func closeExtract(it *syntax.Item, wanted int) (*syntax.Item, error) {
	groups := it.Args
	if len(groups) < wanted {
		return nil, expand.Fail("missing '{' for arg %d of extract", len(groups)+1)
	}
	closed := *it
	closed.Args, closed.Rest = groups[:wanted], nil
	branches := groups[wanted:]
	problem := func(what string, after int) error {
		return expand.Fail("curly-bracket problem in conditional yes/no parsing: %s\n remaining string is '%s'", what, strings.TrimLeft(it.Rest[after-1], " \t\n"))
	}
	switch {
	case len(branches) > 2:
		return nil, problem("did not close with '}'", wanted+2)
	case it.Fail && len(branches) == 0:
		return nil, problem("'yes' part did not start with '{'", wanted)
	case it.Fail && len(branches) == 2:
		return nil, problem("did not close with '}'", wanted+2)
	}
	if len(branches) > 0 {
		closed.Yes = branches[0]
	}
	if len(branches) > 1 {
		closed.No = branches[1]
	}
	return &closed, nil
}

// extractNumbered gives the nth field of subject, whose fields are separated by any byte of separators; negative numbers count
// from the end, 0 is all of it.
func extractNumbered(n int, separators, subject string) (string, bool) {
	if n == 0 {
		return subject, true
	}
	if n < 0 {
		fields := 1
		for i := range len(subject) {
			if strings.IndexByte(separators, subject[i]) >= 0 {
				fields++
			}
		}
		if n += fields + 1; n < 1 {
			return "", false
		}
	}
	for ; ; n-- {
		end := 0
		for end < len(subject) && strings.IndexByte(separators, subject[end]) < 0 {
			end++
		}
		if n == 1 {
			return subject[:end], true
		}
		if end == len(subject) {
			return "", false
		}
		subject = subject[end+1:]
	}
}

// extractNamed gives the value of key in subject: key = value key value key="quoted value" ...
func extractNamed(key, subject string) (string, bool) {
	for {
		subject = strings.TrimLeft(subject, space)
		if subject == "" {
			return "", false
		}
		end := strings.IndexAny(subject, "="+space)
		if end < 0 {
			end = len(subject)
		}
		name := subject[:end]
		subject = strings.TrimLeft(subject[end:], space)
		if strings.HasPrefix(subject, "=") {
			subject = strings.TrimLeft(subject[1:], space)
		}
		var value string
		if strings.HasPrefix(subject, `"`) {
			value, subject = readQuoted(subject)
		} else {
			if end = strings.IndexAny(subject, space); end < 0 {
				end = len(subject)
			}
			value, subject = subject[:end], subject[end:]
		}
		if lower(name) == lower(key) {
			return value, true
		}
	}
}

// readQuoted reads a string in double quotes with backslash escapes (spec 6.17) and returns what follows it.
func readQuoted(text string) (value, rest string) {
	var b strings.Builder
	for i := 1; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			return b.String(), text[i+1:]
		case c == '\\' && i+1 < len(text):
			u, n := syntax.Unescape(text[i+1:])
			b.WriteByte(u)
			i += n
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), ""
}

// earlyListExtract wants a number.
func earlyListExtract(n int, argument expand.Value) error {
	number := trim(argument.S)
	switch {
	case n > 0:
	case number == "":
		return expand.Fail("first argument of \"listextract\" must not be empty")
	case !syntax.IsFieldNumber(number):
		return expand.Fail("first argument of \"listextract\" must be numeric")
	}
	return nil
}

func evalListExtract(s *expand.Scope, it *syntax.Item) (expand.Value, error) {
	number, err := s.Text(it.Args[0])
	if err == nil {
		err = earlyListExtract(0, number)
	}
	if err != nil {
		return expand.Value{}, err
	}
	list, err := s.Text(it.Args[1])
	if err != nil {
		return expand.Value{}, err
	}
	n, err := strconv.Atoi(trim(number.S))
	if err != nil {
		return s.Branches(it, false, expand.Value{}) // larger than any list
	}
	if n < 0 {
		n += countItems(list.S) + 1
	}
	elements := expand.NewElements(list.S)
	for ; n > 0; n-- {
		item, ok := elements.Next()
		if !ok {
			break
		}
		if n == 1 {
			return s.Branches(it, true, expand.Value{S: item, Tainted: list.Tainted})
		}
	}
	return s.Branches(it, false, expand.Value{})
}

func evalEnv(s *expand.Scope, it *syntax.Item) (expand.Value, error) {
	key, err := s.Text(it.Args[0])
	if err != nil {
		return expand.Value{}, err
	}
	value, ok := "", false
	if name := trim(key.S); name != "" && s.Engine.World != nil {
		value, ok = s.Engine.World.Environment(name)
	}
	return s.Branches(it, ok, expand.Value{S: value})
}

const space = " \t\n\v\f\r"

func trim(text string) string { return strings.Trim(text, space) }
