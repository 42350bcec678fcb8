package builtin

import (
	"net/netip"
	"os"
	"strings"

	"exigo/internal/expand"
	"exigo/internal/expand/syntax"
)

// plainConditions are the conditions whose arguments are all evaluated.
func plainConditions() []expand.Condition {
	rows := []expand.Condition{
		{
			Name: "bool", Doc: "True for true, yes and numbers other than zero; an error for what is not a truth value.",
			Min: 1, Max: 1, Test: testBool,
			Examples: []expand.Example{
				{In: `${if bool{ Yes }{y}{n}}`, Out: "y"}, {In: `${if bool{00}{y}{n}}`, Out: "n"}, {In: `${if bool{-1}{y}{n}}`, Out: "y"},
				{In: `${if bool{}{y}{n}}`, Out: "n"}, {In: `${if bool{zz}{y}{n}}`, Err: `unrecognised boolean value "zz"`},
			},
		},
		{
			Name: "bool_lax", Doc: "False for the empty string, false, no and 0; true for everything else.", Min: 1, Max: 1,
			Test: func(s *expand.Scope, args []expand.Value) (bool, error) {
				return expand.LaxBool(args[0].S) && trim(args[0].S) != "-", nil
			},
			Examples: []expand.Example{
				{In: `${if bool_lax{00}{y}{n}}`, Out: "y"}, {In: `${if bool_lax{ no }{y}{n}}`, Out: "n"},
			},
		},
		{
			Name: "exists", Doc: "True if there is a file or directory of this name.", Min: 1, Max: 1, Test: testExists,
			Examples: []expand.Example{{In: `${if exists{/}{y}{n}}`, Out: "y"}, {In: `${if exists{/no/such}{y}{n}}`, Out: "n"}},
		},
		{
			Name: "first_delivery", Doc: "True during a message's first delivery attempt.",
			Test: func(s *expand.Scope, args []expand.Value) (bool, error) {
				return s.Message != nil && s.Message.DeliverFirst, nil
			},
		},
		{
			Name: "queue_running", Doc: "True during deliveries that a queue run started.",
			Test: func(s *expand.Scope, args []expand.Value) (bool, error) { return s.Extra["queue_running"].S != "", nil },
		},
		{
			Name: "inlist", Doc: "True if the first string is an item of the list; $value is then the item.", Min: 2, Max: 2,
			Test: func(s *expand.Scope, args []expand.Value) (bool, error) { return inList(s, args, false) },
			Examples: []expand.Example{
				{In: `${if inlist{needle}{foo:needle:bar}{y}{n}}`, Out: "y"}, {In: `${if inlist{a}{b:A}{y}{n}}`, Out: "n"},
			},
		},
		{
			Name: "inlisti", Doc: "Like inlist, without regard to case.", Min: 2, Max: 2,
			Test:     func(s *expand.Scope, args []expand.Value) (bool, error) { return inList(s, args, true) },
			Examples: []expand.Example{{In: `${if inlisti{Needle}{fOo:NeeDLE:bAr}{$value}{n}}`, Out: "NeeDLE"}},
		},
		{
			Name: "match", Doc: "True if the regular expression matches somewhere in the first string; sets $0 and above.", Min: 2, Max: 2,
			Test: func(s *expand.Scope, args []expand.Value) (bool, error) { return s.Match(args[1].S, args[0], 0) },
			Examples: []expand.Example{
				{In: `${if match{123abc}{\N^\d{3}\N}{$0}{n}}`, Out: "123"},
				{In: `${if match{x}{(}}`, Err: `regular expression error in "(": missing closing parenthesis at offset 1`},
			},
		},
	}
	for _, kind := range []struct {
		name  string
		wants func(a netip.Addr) bool
	}{
		{"isip", func(netip.Addr) bool { return true }}, {"isip4", netip.Addr.Is4}, {"isip6", netip.Addr.Is6},
	} {
		rows = append(rows, expand.Condition{
			Name: kind.name, Doc: "True for the text of an IP address (of that version).", Min: 1, Max: 1,
			Test: func(s *expand.Scope, args []expand.Value) (bool, error) {
				a, ok := expand.ParseAddress(args[0].S)
				return ok && kind.wants(a), nil
			},
		})
	}
	rows = append(rows, textComparisons()...)
	return append(rows, numberComparisons()...)
}

// textComparisons are eq, lt and their sisters; the C locale compares bytes.
func textComparisons() (rows []expand.Condition) {
	for _, kind := range []struct {
		name string
		doc  string
		want func(order int) bool
	}{
		{"eq", "equal", func(o int) bool { return o == 0 }}, {"lt", "less", func(o int) bool { return o < 0 }},
		{"le", "less or equal", func(o int) bool { return o <= 0 }}, {"gt", "greater", func(o int) bool { return o > 0 }},
		{"ge", "greater or equal", func(o int) bool { return o >= 0 }},
	} {
		rows = append(rows, expand.Condition{
			Name: kind.name, Doc: "True if the first string is " + kind.doc + ".", Min: 2, Max: 2,
			Test: func(s *expand.Scope, args []expand.Value) (bool, error) {
				return kind.want(strings.Compare(args[0].S, args[1].S)), nil
			},
		}, expand.Condition{
			Name: kind.name + "i", Doc: "True if the first string is " + kind.doc + ", without regard to case.", Min: 2, Max: 2,
			Test: func(s *expand.Scope, args []expand.Value) (bool, error) {
				return kind.want(strings.Compare(lower(args[0].S), lower(args[1].S))), nil
			},
		})
	}
	return rows
}

// numberComparisons are the symbols.
func numberComparisons() (rows []expand.Condition) {
	for _, kind := range []struct {
		name string
		want func(a, b int64) bool
	}{
		{"=", func(a, b int64) bool { return a == b }}, {"==", func(a, b int64) bool { return a == b }},
		{"<", func(a, b int64) bool { return a < b }}, {"<=", func(a, b int64) bool { return a <= b }},
		{">", func(a, b int64) bool { return a > b }}, {">=", func(a, b int64) bool { return a >= b }},
	} {
		rows = append(rows, expand.Condition{
			Name: kind.name, Doc: "Compares two integers.", Min: 2, Max: 2,
			Early: func(_ int, argument expand.Value) error {
				_, err := expand.Integer(argument.S)
				return err
			},
			Test: func(s *expand.Scope, args []expand.Value) (bool, error) {
				a, err := expand.Integer(args[0].S)
				if err != nil {
					return false, err
				}
				b, err := expand.Integer(args[1].S)
				return err == nil && kind.want(a, b), err
			},
		})
	}
	return rows
}

func testBool(s *expand.Scope, args []expand.Value) (bool, error) {
	text := trim(args[0].S)
	number := strings.TrimPrefix(text, "-")
	if text == "" || text == "-" {
		return false, nil
	}
	if number != "" && strings.Trim(number, "0123456789") == "" {
		return strings.Trim(number, "0") != "", nil
	}
	switch lower(text) {
	case "true", "yes":
		return true, nil
	case "false", "no":
		return false, nil
	}
	return false, expand.Fail("unrecognised boolean value \"%s\"", text)
}

func testExists(s *expand.Scope, args []expand.Value) (bool, error) {
	if v := s.Extra["forbid_exists"]; v.S != "" {
		return false, expand.Fail("File existence tests are not permitted")
	}
	_, err := os.Stat(args[0].S)
	return err == nil, nil
}

// inList tests membership and sets $value to the item, with the list's taint.
func inList(s *expand.Scope, args []expand.Value, caseless bool) (bool, error) {
	list := expand.NewElements(args[1].S)
	for {
		item, ok := list.Next()
		if !ok {
			return false, nil
		}
		if err := s.Spend(1); err != nil {
			return false, err
		}
		if item == args[0].S || caseless && lower(item) == lower(args[0].S) {
			s.Value = expand.Value{S: item, Tainted: args[1].Tainted}
			return true, nil
		}
	}
}

// lower makes ASCII letters small: the C locale knows no others.
func lower(text string) string {
	for i := range len(text) {
		if text[i] >= 'A' && text[i] <= 'Z' {
			var space [128]byte
			b := append(space[:0], text...)
			for ; i < len(b); i++ {
				if b[i] >= 'A' && b[i] <= 'Z' {
					b[i] += 'a' - 'A'
				}
			}
			return string(b)
		}
	}
	return text
}

// upper makes ASCII letters large.
func upper(text string) string {
	b := []byte(text)
	for i := range b {
		if b[i] >= 'a' && b[i] <= 'z' {
			b[i] -= 'a' - 'A'
		}
	}
	return string(b)
}

// lazyConditions are those that do not evaluate all their parts, or evaluate them more than once.
func lazyConditions() []expand.LazyCondition {
	rows := []expand.LazyCondition{
		{
			Name: "and", Doc: "True if all conditions are; those after a false one are not evaluated.",
			Shape: syntax.Shape{Form: syntax.FormGroup}, Test: testAnd,
			Examples: []expand.Example{{In: `${if and{{eq{a}{a}}{match{abc}{(b)}}}{$1}{n}}`, Out: "b"}, {In: `${if and{}{y}{n}}`, Out: "y"}},
		},
		{
			Name: "or", Doc: "True if one of the conditions is; those after it are not evaluated.",
			Shape: syntax.Shape{Form: syntax.FormGroup}, Test: testOr,
			Examples: []expand.Example{{In: `${if or {{eq{a}{spqr}}{eq{b}{b}}}{y}{n}}`, Out: "y"}},
		},
		{
			Name: "def", Doc: "True if the variable is not empty, or the header field exists.",
			Shape: syntax.Shape{Form: syntax.FormDef}, Test: testDef,
			Examples: []expand.Example{{In: `${if def:sender_address {y}{n}}`, Out: "n"}, {In: `${if def:h_subject:{y}{n}}`, Out: "n"}},
		},
	}
	for _, suffix := range []string{"", "_json", "_jsons"} {
		for _, name := range []string{"forall", "forany"} {
			rows = append(rows, expand.LazyCondition{
				Name: name + suffix, Doc: "Tests a condition for the items of a list, one by one as $item.",
				Shape: syntax.Shape{Form: syntax.FormForEach},
				Test: func(s *expand.Scope, c *syntax.Condition) (bool, error) {
					return testForEach(s, c, name == "forany", suffix)
				},
			})
		}
	}
	return rows
}

func testAnd(s *expand.Scope, c *syntax.Condition) (bool, error) {
	for _, sub := range c.Sub {
		if yes, err := s.Condition(sub); err != nil || !yes {
			return false, expand.Inside(err, c.Inside())
		}
	}
	return true, nil
}

func testOr(s *expand.Scope, c *syntax.Condition) (bool, error) {
	for _, sub := range c.Sub {
		if yes, err := s.Condition(sub); err != nil || yes {
			return yes, expand.Inside(err, c.Inside())
		}
	}
	return false, nil
}

func testDef(s *expand.Scope, c *syntax.Condition) (bool, error) {
	if c.Header != nil {
		_, found, err := s.Header(c.Header.Kind, c.Header.Name)
		return found, err
	}
	v, err := s.Variable(c.Variable)
	return v.S != "", err
}

// testForEach tests for each item until one decides. An empty list is false either way.
func testForEach(s *expand.Scope, c *syntax.Condition, any bool, suffix string) (bool, error) {
	list, err := s.Text(c.Args[0])
	if err != nil {
		return false, err
	}
	elements := expand.NewElements(list.S)
	next := elements.Next
	if suffix != "" {
		items, err := jsonArray(list.S, suffix[1:])
		if err == nil {
			err = s.Spend(len(items))
		}
		if err != nil {
			return false, err
		}
		next = func() (item string, ok bool) {
			if len(items) > 0 {
				item, items, ok = items[0], items[1:], true
			}
			return item, ok
		}
	}
	saved := s.Item
	defer func() { s.Item = saved }()
	empty := true
	for item, ok := next(); ok; item, ok = next() {
		empty = false
		if suffix == "_jsons" {
			item = trim(item)
			if len(item) < 2 || item[0] != '"' || item[len(item)-1] != '"' {
				return false, expand.Fail("missing '\"' wrapping string result for extract jsons")
			}
			item = item[1 : len(item)-1]
		}
		s.Item = expand.Value{S: item, Tainted: list.Tainted}
		yes, err := s.Condition(c.Sub[0])
		if err != nil {
			return false, expand.Inside(err, c.Inside())
		}
		if yes == any {
			return any, nil
		}
		if err := s.Spend(1); err != nil {
			return false, err
		}
	}
	return !any && !empty, nil
}
