package expand

import (
	"fmt"
	"strings"

	"exigo/internal/expand/syntax"
	"exigo/internal/lookup"
)

// LazyItem is an item that evaluates its parts itself, because not all of them are evaluated, or not once.
type LazyItem struct {
	Name, Doc string
	Shape     syntax.Shape
	// Early, if set, looks at the value of an argument as soon as it is known, before the rest is even read.
	Early func(n int, argument Value) error
	// Eval gets an item without mistakes.
	Eval     func(s *Scope, it *syntax.Item) (Value, error)
	Examples []Example
}

// LazyCondition is a condition that evaluates its parts itself.
type LazyCondition struct {
	Name, Doc string
	Shape     syntax.Shape
	// Early, if set, looks at the value of an argument as soon as it is known, before the rest is even read.
	Early func(n int, argument Value) error
	// Test gets a condition without mistakes. Negation is not its business.
	Test     func(s *Scope, c *syntax.Condition) (bool, error)
	Examples []Example
}

// words finds the rows of a name; it is what the parser asks.
type words struct {
	variables  map[string]*Variable
	prefixes   []*Variable
	items      map[string]*LazyItem
	operators  map[string]*Operator
	conditions map[string]*LazyCondition
	lookups    map[string]*lookup.Driver

	itemNames, operatorNames names
}

// names tells quickly that there is no name: for each first byte it has the lengths of those that there are.
type names [128]uint64

func (n *names) add(name string) { n[name[0]%128] |= 1 << min(len(name), 63) }

func (n *names) maybe(name string) bool {
	return name != "" && n[name[0]%128]&(1<<min(len(name), 63)) != 0
}

// fill puts all rows into the maps. Items and conditions of the simple kind are wrapped as lazy ones.
func (w *words) fill(rows Words) error {
	w.variables = make(map[string]*Variable, len(rows.Variables))
	w.items = make(map[string]*LazyItem, len(rows.Items)+len(rows.LazyItems))
	w.operators = make(map[string]*Operator, len(rows.Operators))
	w.conditions = make(map[string]*LazyCondition, len(rows.Conditions)+len(rows.LazyConditions))
	var twice []string
	for i := range rows.Variables {
		v := &rows.Variables[i]
		if v.Prefix {
			w.prefixes = append(w.prefixes, v)
			continue
		}
		if w.variables[v.Name] != nil {
			twice = append(twice, "$"+v.Name)
		}
		w.variables[v.Name] = v
	}
	items := rows.LazyItems
	for i := range rows.Items {
		items = append(items, lazyItem(&rows.Items[i]))
	}
	for i := range items {
		if w.items[items[i].Name] != nil {
			twice = append(twice, "${"+items[i].Name+"...}")
		}
		w.items[items[i].Name] = &items[i]
		w.itemNames.add(items[i].Name)
	}
	for i := range rows.Operators {
		if w.operators[rows.Operators[i].Name] != nil {
			twice = append(twice, "${"+rows.Operators[i].Name+":...}")
		}
		w.operators[rows.Operators[i].Name] = &rows.Operators[i]
		w.operatorNames.add(rows.Operators[i].Name)
	}
	conditions := rows.LazyConditions
	for i := range rows.Conditions {
		conditions = append(conditions, lazyCondition(&rows.Conditions[i]))
	}
	for i := range conditions {
		if w.conditions[conditions[i].Name] != nil {
			twice = append(twice, conditions[i].Name)
		}
		w.conditions[conditions[i].Name] = &conditions[i]
	}
	if len(twice) > 0 {
		return fmt.Errorf("declared twice in the expansion language: %s", strings.Join(twice, ", "))
	}
	return nil
}

// lazyItem wraps a row of the simple kind.
func lazyItem(row *Item) LazyItem {
	return LazyItem{
		Name: row.Name, Doc: row.Doc, Examples: row.Examples,
		Shape: syntax.Shape{Form: syntax.FormArgs, Min: row.Min, Max: row.Max, YesNo: row.YesNo},
		Eval: func(s *Scope, it *syntax.Item) (Value, error) {
			args, err := s.arguments(it.Args)
			if err != nil {
				return Value{}, err
			}
			v, err := row.Eval(s, args)
			s.drop(len(args))
			if !row.YesNo {
				return v, err
			}
			if err != nil && err != ErrNoMatch {
				return Value{}, err
			}
			return s.Branches(it, err == nil, v)
		},
	}
}

// lazyCondition wraps a row of the simple kind.
func lazyCondition(row *Condition) LazyCondition {
	form := syntax.FormPair
	switch {
	case row.Max == 0:
		form = syntax.FormBare
	case row.Wrapped:
		form = syntax.FormWrapped
	case row.Max > 2:
		form = syntax.FormArguments
	case row.Counted:
		form = syntax.FormCounted
	}
	return LazyCondition{
		Name: row.Name, Doc: row.Doc, Examples: row.Examples, Early: row.Early,
		Shape: syntax.Shape{Form: form, Min: row.Min, Max: row.Max},
		Test: func(s *Scope, c *syntax.Condition) (bool, error) {
			args, err := s.arguments(c.Args)
			if err != nil {
				return false, err
			}
			yes, err := row.Test(s, args)
			s.drop(len(args))
			return yes, err
		},
	}
}

// Variable implements syntax.Words.
func (w *words) Variable(name string) (row any, note string) {
	if v := w.variables[name]; v != nil {
		return v, ""
	}
	for _, v := range w.prefixes {
		if strings.HasPrefix(name, v.Name) && (v.Fits == nil || v.Fits(name)) {
			return v, ""
		}
	}
	return nil, syntax.UnknownACLVariable(name)
}

// Item implements syntax.Words.
func (w *words) Item(name string) (row any, shape syntax.Shape, ok bool) {
	if !w.itemNames.maybe(name) {
		return nil, syntax.Shape{}, false
	}
	if it := w.items[name]; it != nil {
		return it, it.Shape, true
	}
	return nil, syntax.Shape{}, false
}

// Operator implements syntax.Words: the longest name wins, the rest after an underscore is the argument.
func (w *words) Operator(text string) (row any, name, argument string, ok bool) {
	if w.operatorNames.maybe(text) {
		if o := w.operators[text]; o != nil {
			return o, text, "", true
		}
	}
	name, argument, ok = strings.Cut(text, "_")
	if o := w.operators[name]; ok && o != nil {
		return o, text, argument, true
	}
	return nil, text, "", false
}

// Condition implements syntax.Words.
func (w *words) Condition(name string) (row any, shape syntax.Shape, ok bool) {
	if c := w.conditions[name]; c != nil {
		return c, c.Shape, true
	}
	return nil, syntax.Shape{}, false
}

// LookupProblem implements syntax.LookupChecker.
func (w *words) LookupProblem(text string, haveKey bool) string {
	t, err := lookup.ParseType(w.lookups, text)
	switch {
	case err != nil:
		return err.Error()
	case haveKey && t.Driver.Kind&lookup.SingleKey == 0:
		return fmt.Sprintf("a single key was given for lookup type \"%s\", which is not a single-key lookup type", text)
	case !haveKey && t.Driver.Kind&lookup.SingleKey != 0:
		return fmt.Sprintf("missing {key} for single-key \"%s\" lookup", text)
	}
	return ""
}
