package builtin

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"exigo/internal/expand"
	"exigo/internal/expand/syntax"
)

// listItems are the items that go through a list with $item.
func listItems() []expand.LazyItem {
	return []expand.LazyItem{
		{
			Name: "filter", Doc: "Gives the items of a list for which the condition is true.",
			Shape: syntax.Shape{Form: syntax.FormFilter}, Eval: evalFilter,
			Examples: []expand.Example{{In: `${filter{a:b:c}{!eq{$item}{b}}}`, Out: "a:c"}},
		},
		{
			Name: "map", Doc: "Makes a list of what the second string gives for each item.",
			Shape: syntax.Shape{Form: syntax.FormMap, Min: 2}, Eval: evalMap,
			Examples: []expand.Example{{In: `${map{a:b:c}{[$item]}} ${map{<- x-y-z}{($item)}}`, Out: "[a]:[b]:[c] (x)-(y)-(z)"}},
		},
		{
			Name: "reduce", Doc: "Evaluates the third string for each item, with the result so far as $value.",
			Shape: syntax.Shape{Form: syntax.FormMap, Min: 3}, Eval: evalReduce,
			Examples: []expand.Example{
				{In: `${reduce {<, 1,2,3}{0}{${eval:$value+$item}}}`, Out: "6"},
				{In: `${reduce {3:0:9:4:6}{0}{${if >{$item}{$value}{$item}{$value}}}}`, Out: "9"},
			},
		},
		{
			Name: "sort", Doc: "Sorts a list by what the third string gives for each item.",
			Shape: syntax.Shape{Form: syntax.FormSort}, Eval: evalSort,
			Early: func(n int, argument expand.Value) (err error) {
				if n == 1 {
					_, err = comparator(argument.S)
				}
				return err
			},
			Examples: []expand.Example{
				{In: `${sort{3:2:1:4}{<}{$item}}`, Out: "1:2:3:4"},
				{In: `${sort{a1:b1:a1:b0}{lt}{${length_1:$item}}}`, Out: "a1:a1:b1:b0"},
			},
		},
	}
}

// itemLoop goes through the items of a list with $item set to each, and restores it at the end.
type itemLoop struct {
	scope    *expand.Scope
	elements expand.Elements
	tainted  bool
	saved    expand.Value
	item     string
	err      error // why the loop ended early
}

func loopItems(s *expand.Scope, list expand.Value) itemLoop {
	return itemLoop{scope: s, elements: expand.NewElements(list.S), tainted: list.Tainted, saved: s.Item}
}

// next goes to the next item. It is false at the end and when the evaluation is given up.
func (l *itemLoop) next() bool {
	item, ok := l.elements.Next()
	if !ok {
		return false
	}
	if l.err = l.scope.Spend(1); l.err != nil {
		return false
	}
	l.item = item
	l.scope.Item = expand.Value{S: item, Tainted: l.tainted}
	return true
}

func (l *itemLoop) end() { l.scope.Item = l.saved }

func evalFilter(s *expand.Scope, it *syntax.Item) (expand.Value, error) {
	list, err := s.Text(it.Args[0])
	if err != nil {
		return expand.Value{}, err
	}
	var out []byte
	first := true
	numbers := s.Numbers
	loop := loopItems(s, list)
	for err == nil && loop.next() {
		var yes bool
		if yes, err = s.Condition(it.Test); err != nil {
			err = expand.Inside(err, " inside \"filter\" condition")
		} else if yes {
			out = expand.AppendElement(out, first, loop.elements.Separator, loop.item)
			first = false
		}
	}
	loop.end()
	s.Numbers = numbers
	if err == nil {
		err = loop.err
	}
	return expand.Value{S: string(out), Tainted: list.Tainted}, err
}

func evalMap(s *expand.Scope, it *syntax.Item) (expand.Value, error) {
	list, err := s.Text(it.Args[0])
	if err != nil {
		return expand.Value{}, err
	}
	var out []byte
	first, tainted := true, false
	loop := loopItems(s, list)
	for err == nil && loop.next() {
		var v expand.Value
		if v, err = s.Text(it.Args[1]); err == nil {
			out = expand.AppendElement(out, first, loop.elements.Separator, v.S)
			first, tainted = false, tainted || v.Tainted
			if len(out) > maxList {
				err = expand.Fail("the result of the expansion is too large")
			}
		}
		if err != nil {
			err = expand.Inside(err, it.Inside())
		}
	}
	loop.end()
	if err == nil {
		err = loop.err
	}
	return expand.Value{S: string(out), Tainted: tainted}, err
}

const maxList = 64 << 20

func evalReduce(s *expand.Scope, it *syntax.Item) (expand.Value, error) {
	args, err := s.Texts(it.Args[:2])
	if err != nil {
		return expand.Value{}, err
	}
	saved := s.Value
	s.Value = args[1]
	loop := loopItems(s, args[0])
	for err == nil && loop.next() {
		if s.Value, err = s.Text(it.Args[2]); err != nil {
			err = expand.Inside(err, it.Inside())
		}
	}
	loop.end()
	if err == nil {
		err = loop.err
	}
	result := s.Value
	s.Value = saved
	return result, err
}

func evalSort(s *expand.Scope, it *syntax.Item) (expand.Value, error) {
	args, err := s.Texts(it.Args[:2])
	if err != nil {
		return expand.Value{}, err
	}
	before, err := comparator(args[1].S)
	if err != nil {
		return expand.Value{}, err
	}
	var elements []element
	separator := byte(':')
	tainted := args[0].Tainted
	loop := loopItems(s, args[0])
	for err == nil && loop.next() {
		separator = loop.elements.Separator
		if err = s.Spend(sortSteps); err != nil {
			break
		}
		var key expand.Value
		key, err = s.Text(it.Args[2])
		elements = append(elements, element{loop.item, key.S})
		if e := (*expand.Error)(nil); errors.As(err, &e) && s.Spend(0) == nil {
			inner := *e
			inner.Text = "field-extract in sort: \"" + it.Args[2].Source + "\""
			err = &inner
		}
	}
	loop.end()
	if err == nil {
		err = loop.err
	}
	if err != nil {
		return expand.Value{}, err
	}
	elements = sorted(elements, before)
	var out []byte
	for i, e := range elements {
		out = expand.AppendElement(out, i == 0, separator, e.item)
	}
	return expand.Value{S: string(out), Tainted: tainted}, nil
}

// sortSteps is how many steps it takes to bring an item into its place.
const sortSteps = 8

// element is an item of a list and what it is sorted by.
type element struct{ item, key string }

// quickly is how many elements are sorted in the plain way.
const quickly = 64

// sorted puts each element before the first that it is to stand before, as Exim does: what that is with a comparison that is also true
// of equal keys, or with keys that cannot be compared, may be seen. Halves of long lists are sorted first, then merged to the same effect.
func sorted(list []element, before func(a, b string) bool) []element {
	out := make([]element, 0, len(list))
	if len(list) <= quickly {
		for _, e := range list {
			at := 0
			for at < len(out) && !before(e.key, out[at].key) {
				at++
			}
			out = slices.Insert(out, at, e)
		}
		return out
	}
	left, right := sorted(list[:len(list)/2], before), sorted(list[len(list)/2:], before)
	for len(left) > 0 && len(right) > 0 {
		if before(right[0].key, left[0].key) {
			out, right = append(out, right[0]), right[1:]
		} else {
			out, left = append(out, left[0]), left[1:]
		}
	}
	return append(append(out, left...), right...)
}

// comparator gives the comparing condition of the name; what follows the name does not matter. With what is no number it is false.
func comparator(text string) (before func(a, b string) bool, err error) {
	numbers := func(holds func(a, b int64) bool) func(a, b string) bool {
		return func(a, b string) bool {
			x, wrongX := expand.Integer(a)
			y, wrongY := expand.Integer(b)
			return wrongX == nil && wrongY == nil && holds(x, y)
		}
	}
	texts := func(holds func(order int) bool, change func(string) string) func(a, b string) bool {
		return func(a, b string) bool { return holds(strings.Compare(change(a), change(b))) }
	}
	same := func(text string) string { return text }
	less, lessEqual := func(order int) bool { return order < 0 }, func(order int) bool { return order <= 0 }
	more, moreEqual := func(order int) bool { return order > 0 }, func(order int) bool { return order >= 0 }
	symbol := len(text) - len(strings.TrimLeft(text, "<=>"))
	for symbol < len(text) && strings.TrimLeft(text, "<=>") == text && (text[symbol] == '_' || isAlnum(text[symbol])) {
		symbol++
	}
	switch text[:symbol] {
	case "<":
		return numbers(func(a, b int64) bool { return a < b }), nil
	case "<=":
		return numbers(func(a, b int64) bool { return a <= b }), nil
	case ">":
		return numbers(func(a, b int64) bool { return a > b }), nil
	case ">=":
		return numbers(func(a, b int64) bool { return a >= b }), nil
	case "lt":
		return texts(less, same), nil
	case "le":
		return texts(lessEqual, same), nil
	case "gt":
		return texts(more, same), nil
	case "ge":
		return texts(moreEqual, same), nil
	case "lti":
		return texts(less, lower), nil
	case "lei":
		return texts(lessEqual, lower), nil
	case "gti":
		return texts(more, lower), nil
	case "gei":
		return texts(moreEqual, lower), nil
	case "":
		return nil, expand.Fail("condition name expected, but found \"%s\"", text[:min(16, len(text))])
	}
	return nil, expand.Fail("comparator not handled for sort")
}

// listOperators work on lists.
func listOperators() []expand.Operator {
	return []expand.Operator{
		{
			Name: "listcount", Doc: "Counts the items of a list.",
			Apply: func(s *expand.Scope, _ string, subject expand.Value) (expand.Value, error) {
				return expand.Value{S: strconv.Itoa(countItems(subject.S))}, nil
			},
			Examples: []expand.Example{{In: `${listcount:a:b:c}`, Out: "3"}, {In: `${listcount:}`, Out: "0"}, {In: `${listcount:<,a,b}`, Out: "2"}},
		},
		{
			Name: "listnamed", Doc: "Gives the content of a named list, lists referred to in it included.", Underscore: true, Apply: applyListNamed,
			Examples: []expand.Example{
				{In: `${listnamed:nope}`, Err: `"nope" is not a named list`}, {In: `${listnamed_d:nope}`, Err: `"nope" is not a domain named list`},
				{In: `${listnamed_x:nope}`, Err: `bad suffix on "list" operator`},
			},
		},
	}
}

func countItems(list string) (n int) {
	for elements := expand.NewElements(list); ; n++ {
		if _, ok := elements.Next(); !ok {
			return n
		}
	}
}

func applyListNamed(s *expand.Scope, argument string, subject expand.Value) (expand.Value, error) {
	kinds, what := "dahl", ""
	switch argument = argument[:min(1, len(argument))]; argument { // the first letter counts
	case "":
	case "a":
		kinds, what = argument, "address "
	case "d":
		kinds, what = argument, "domain "
	case "h":
		kinds, what = argument, "host "
	case "l":
		kinds, what = argument, "localpart "
	default:
		return expand.Value{}, expand.Fail("bad suffix on \"list\" operator")
	}
	name := strings.TrimPrefix(subject.S, "+")
	text, ok := namedList(s, kinds, name, 0)
	if !ok {
		return expand.Value{}, expand.Fail("\"%s\" is not a %snamed list", name, what)
	}
	return expand.Value{S: text}, nil
}

// namedList finds a named list and replaces the references in it by what they refer to. The items are separated by " : ".
func namedList(s *expand.Scope, kinds, name string, depth int) (string, bool) {
	if s.Config == nil || depth > 20 {
		return "", false
	}
	for i := range len(kinds) {
		text, ok := s.Config.NamedList(kinds[i], name)
		if !ok {
			continue
		}
		_, items := expand.SplitList(text)
		var out []string
		for _, item := range items {
			if sub, ok := strings.CutPrefix(item, "+"); ok {
				if list, ok := namedList(s, kinds[i:i+1], sub, depth+1); ok {
					out = append(out, list)
					continue
				}
			}
			out = append(out, strings.ReplaceAll(item, ":", "::"))
		}
		return strings.Join(out, " : "), true
	}
	return "", false
}
