package config

import (
	"errors"
	"fmt"
	"strings"
)

// maxMacroName is the longest name of a macro.
const maxMacroName = 63

// macroTable holds the macros: the predefined ones, then those of -D and of the file in the order of their definition, in which they
// are applied to each line (spec 6.5).
type macroTable struct {
	predefined func() []Macro    // a thousand of them: asked for when a line may name one
	values     map[string]string // of the predefined ones, once they were needed
	defined    []Macro
	used       func(name, value string) // told of each macro that is replaced; may be nil
	first      byteSet                  // the first bytes of the names of defined, as far as they were looked at
	looked     int
}

// byteSet is a set of bytes.
type byteSet [256]bool

// mayBeDefined tells whether the name of a defined macro may stand in s: most lines hold none, and there may be hundreds of macros.
func (t *macroTable) mayBeDefined(s string) bool {
	if len(t.defined) == 0 {
		return false
	}
	for ; t.looked < len(t.defined); t.looked++ {
		if name := t.defined[t.looked].Name; name != "" {
			t.first[name[0]] = true
		}
	}
	for i := range len(s) {
		if !t.first[s[i]] {
			continue
		}
		for j := range t.defined {
			if strings.HasPrefix(s[i:], t.defined[j].Name) {
				return true
			}
		}
	}
	return false
}

func newMacroTable(predefined func() []Macro, commandLine []Macro) macroTable {
	t := macroTable{predefined: predefined}
	for _, m := range commandLine {
		m.CommandLine = true
		t.defined = append(t.defined, m)
	}
	return t
}

// builtin gives the values of the predefined macros.
func (t *macroTable) builtin() map[string]string {
	if t.values == nil && t.predefined != nil {
		all := t.predefined()
		t.values = make(map[string]string, len(all))
		for _, m := range all {
			if _, there := t.values[m.Name]; !there {
				t.values[m.Name] = m.Value
			}
		}
	}
	return t.values
}

// expand replaces the macros in a line. The name in a definition is left alone; continued lines are no definitions.
func (t *macroTable) expand(line string, continued bool) (out string, replaced bool) {
	head := 0
	if !continued {
		head = definitionHead(line)
	}
	rest, replaced := t.expandBuiltin(line[head:])
	defined := t.defined
	if !t.mayBeDefined(rest) {
		defined = nil
	}
	for _, m := range defined {
		if strings.Contains(rest, m.Name) {
			if t.used != nil {
				t.used(m.Name, m.Value)
			}
			rest = strings.ReplaceAll(rest, m.Name, m.Value)
			replaced = true
		}
	}
	if !replaced {
		return line, false
	}
	return line[:head] + rest, true
}

// expandBuiltin replaces predefined macros; of several that fit at a place the longest name wins.
func (t *macroTable) expandBuiltin(s string) (string, bool) {
	var b strings.Builder
	start := 0
	for i := 0; i < len(s); i++ {
		next := strings.IndexByte(s[i:], '_')
		if next < 0 {
			break
		}
		if i += next; !mayBePredefined(s[i:]) {
			continue
		}
		end := i + 1
		for end < min(len(s), i+maxMacroName) && isNameByte(s[end]) {
			end++
		}
		for ; end > i+1; end-- {
			v, ok := t.builtin()[s[i:end]]
			if !ok {
				continue
			}
			b.WriteString(s[start:i])
			b.WriteString(v)
			start = end
			i = end - 1
			break
		}
	}
	if start == 0 {
		return s, false
	}
	b.WriteString(s[start:])
	return b.String(), true
}

// predefinedPrefixes are what the names of all predefined macros begin with.
var predefinedPrefixes = [...]string{"_HAVE_", "_OPT_", "_DRIVER_", "_LOG_", "_EXP_", "_ACL_", "_DKIM_", "_CRYPTO_"}

func mayBePredefined(s string) bool {
	if len(s) < 2 || s[1] < 'A' || s[1] > 'Z' {
		return false
	}
	for _, p := range predefinedPrefixes {
		if strings.HasPrefix(s, p) {
			return true
		}
	}
	return false
}

// definitionHead is the length of "NAME =" when the line looks like a macro definition, else 0.
func definitionHead(line string) int {
	if line == "" || line[0] < 'A' || line[0] > 'Z' {
		return 0
	}
	i := len(takeName(line))
	for i < len(line) && strings.IndexByte(spaces, line[i]) >= 0 {
		i++
	}
	if i < len(line) && line[i] == '=' {
		return i
	}
	return 0
}

// define obeys a line "NAME = value" or "NAME == value" (spec 6.4, 6.6). fail makes the errors that have a place.
func (t *macroTable) define(line string, fail func(string) error) error {
	name, value, redefine, err := splitDefinition(line)
	if err != nil {
		return fail(err.Error())
	}
	if strings.Contains(name, "_") && t.predefined != nil { // what predefined ones begin with
		for _, m := range t.predefined() {
			if strings.Contains(name, m.Name) {
				return substringError(name, m.Name)
			}
		}
	}
	for i := range t.defined {
		m := &t.defined[i]
		if m.Name == name {
			switch {
			case m.CommandLine:
			case redefine:
				m.Value = value
			default:
				return &Error{Text: fmt.Sprintf("macro \"%s\" is already defined (use \"==\" if you want to redefine it)", name)}
			}
			return nil
		}
		if strings.Contains(name, m.Name) {
			return substringError(name, m.Name)
		}
	}
	if redefine {
		return &Error{Text: fmt.Sprintf("can't redefine an undefined macro \"%s\"", name)}
	}
	t.defined = append(t.defined, Macro{Name: name, Value: value})
	return nil
}

func substringError(name, earlier string) error {
	return &Error{Text: fmt.Sprintf("\"%s\" cannot be defined as a macro because previously defined macro \"%s\" is a substring", name, earlier)}
}

func splitDefinition(line string) (name, value string, redefine bool, err error) {
	name = takeName(line)
	if len(name) > maxMacroName {
		return "", "", false, fmt.Errorf("macro name too long (maximum is %d characters)", maxMacroName)
	}
	rest := strings.TrimLeft(line[len(name):], spaces)
	rest, ok := strings.CutPrefix(rest, "=")
	if !ok {
		return "", "", false, errors.New("malformed macro definition")
	}
	rest, redefine = strings.CutPrefix(rest, "=")
	return name, strings.Trim(rest, spaces), redefine, nil
}

// takeName returns the leading letters, digits and underscores.
func takeName(s string) string {
	i := 0
	for i < len(s) && isNameByte(s[i]) {
		i++
	}
	return s[:i]
}

func isNameByte(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

// AllMacros returns the macros in the order in which -bP lists them: the predefined ones first.
func (c *Config) AllMacros() []Macro {
	var predefined []Macro
	if c.predefined != nil {
		predefined = c.predefined()
	}
	all := make([]Macro, 0, len(predefined)+len(c.Macros))
	there := make(map[string]bool, len(predefined))
	for _, m := range predefined {
		if !there[m.Name] {
			m.Builtin = true
			all = append(all, m)
			there[m.Name] = true
		}
	}
	return append(all, c.Macros...)
}
