package config

import (
	"slices"
	"strings"

	"exigo/internal/option"
)

// builtinMacros are the predefined macros (spec 6.9): those of the registry and those that follow from its options, drivers and
// log selectors. Their values are "y" where only their being defined says something.
func builtinMacros(registry *Registry) []Macro {
	m := macroList{}
	var words MacroWords
	if registry.Words != nil {
		words = registry.Words()
	}
	have, others := partition(registry.Macros)
	m.list = append(m.list, others...)
	m.add("_EXP_VAR_", words.Variables)
	m.add("_EXP_OP_", words.Operators)
	m.add("_LOG_", words.LogSelectors)
	for k := kinds - 1; k >= 0; k-- {
		upper := strings.ToUpper(k.String())
		for _, d := range registry.Drivers {
			if d.Kind != k {
				continue
			}
			prefix := "_OPT_" + upper + "_" + strings.ToUpper(d.Name) + "_"
			m.addSets(prefix, d.Options)
			m.addScope(prefix, registry.Sets, k.PrivateScope(d.Name))
			m.add("_DRIVER_"+upper+"_", []string{d.Name})
		}
		m.addScope("_OPT_"+upper+"S_", registry.Sets, k.GenericScope(), "driver")
	}
	m.addScope("_OPT_MAIN_", registry.Sets, ScopeMain)
	m.add("_ACL_MOD_", words.Modifiers)
	m.add("_ACL_COND_", words.Conditions)
	m.list = append(m.list, have...)
	return m.list
}

// partition takes the _HAVE_ macros out, which come last.
func partition(macros []Macro) (have, others []Macro) {
	for _, m := range macros {
		if strings.HasPrefix(m.Name, "_HAVE_") {
			have = append(have, m)
		} else {
			others = append(others, m)
		}
	}
	return have, others
}

type macroList struct{ list []Macro }

// add appends macros named by the words, in reverse alphabetical order, so that no name comes before a longer one that begins
// with it.
func (m *macroList) add(prefix string, words []string) {
	words = slices.Clone(words)
	slices.Sort(words)
	slices.Reverse(words)
	for _, w := range slices.Compact(words) {
		m.list = append(m.list, Macro{Name: prefix + strings.ToUpper(w), Value: "y"})
	}
}

func (m *macroList) addSets(prefix string, sets []option.Set, names ...string) {
	for _, s := range sets {
		if s == nil {
			continue
		}
		for _, d := range s.Describe() {
			if s.At() == ScopeMain || !slices.Contains(rare, d.Name) {
				names = append(names, d.Name)
			}
		}
	}
	m.add(prefix, names)
}

func (m *macroList) addScope(prefix string, sets []option.Set, scope option.Scope, names ...string) {
	var at []option.Set
	for _, s := range sets {
		if s.At() == scope {
			at = append(at, s)
		}
	}
	m.addSets(prefix, at, names...)
}

// ParseMacro reads the argument of -D: a name, then perhaps an equals sign and a value (spec 5, "-D"). Errors are worded as Exim
// prints them after "exim: ".
func ParseMacro(text string) (Macro, error) {
	text = strings.TrimLeft(text, spaces)
	if text == "" || text[0] < 'A' || text[0] > 'Z' {
		return Macro{}, errBadMacro
	}
	name := takeName(text)
	value := strings.TrimLeft(text[len(name):], spaces)
	if value != "" {
		after, ok := strings.CutPrefix(value, "=")
		if !ok {
			return Macro{}, errMacroSyntax
		}
		value = strings.TrimLeft(after, spaces)
	}
	if len(name) > maxCommandMacro {
		name = name[:maxCommandMacro]
	}
	return Macro{Name: name, Value: value, CommandLine: true}, nil
}

// maxCommandMacro is how much of a macro's name -D keeps.
const maxCommandMacro = 23

type constError string

// Error implements error.
func (e constError) Error() string { return string(e) }

const (
	errBadMacro    = constError("macro name set by -D must start with an upper case letter")
	errMacroSyntax = constError("unknown, malformed, or incomplete option")
)
