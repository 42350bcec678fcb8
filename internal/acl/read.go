package acl

import (
	"fmt"
	"strings"

	"exigo/internal/config"
	"exigo/internal/mail"
)

// SyntaxError is a mistake in the text of an ACL. Text is Exim's wording without "error in ACL: ".
type SyntaxError struct {
	Text string
	File string
	Line int
}

// Error returns the text that stands in the configuration error, after the line with file and number.
func (e *SyntaxError) Error() string { return "error in ACL: " + e.Text }

// Verb is what a statement does when its conditions hold.
type Verb int

// The verbs (spec 44.18).
const (
	Accept Verb = iota
	DeferVerb
	Deny
	DiscardVerb
	Drop
	Require
	Warn
)

var verbNames = [...]string{"accept", "defer", "deny", "discard", "drop", "require", "warn"}

// String returns the verb as written.
func (v Verb) String() string { return verbNames[v] }

// clause is one condition or modifier of a statement.
type clause struct {
	row      *Condition
	negated  bool
	variable string // "set": the variable's name, "acl_c_x"
	setting  *Setting
	argument string
	shape    shape
}

// statement is a verb with its conditions and modifiers.
type statement struct {
	verb    Verb
	clauses []clause
	file    string
	line    int
}

// accessList is one ACL.
type accessList struct {
	name       string // as messages call it: ACL "name" or inline ACL
	statements []statement
}

// read makes statements of lines.
func (w *words) read(lines []config.Line) ([]statement, error) {
	var out []statement
	for _, line := range lines {
		text := strings.TrimLeft(line.Text, " \t\n\r\v\f")
		if text == "" {
			continue
		}
		if err := w.readLine(&out, text, line); err != nil {
			return nil, &SyntaxError{Text: err.Error(), File: line.File, Line: line.Line}
		}
	}
	return out, nil
}

// readLine reads "verb", "verb condition = ..." or "condition = ...".
func (w *words) readLine(out *[]statement, text string, line config.Line) error {
	rest := text
	name, after := word(rest)
	if !strings.HasPrefix(rest, "!") {
		if verb, ok := findVerb(name, after); ok {
			*out = append(*out, statement{verb: verb, file: line.File, line: line.Line})
			rest = strings.TrimLeft(after, " \t\n")
			if rest == "" {
				return nil
			}
			name, after = word(rest)
		}
	}
	if len(*out) == 0 {
		if strings.HasPrefix(rest, "!") {
			name = "!" + firstWord(rest[1:])
		}
		return fmt.Errorf("unknown ACL verb \"%s\" in \"%s\"", name, text)
	}
	last := &(*out)[len(*out)-1]
	negated := false
	if strings.HasPrefix(rest, "!") {
		negated = true
		name, after = word(strings.TrimLeft(rest[1:], " \t\n"))
	}
	row := w.conditions[name]
	if row == nil {
		return fmt.Errorf("unknown ACL condition/modifier in \"%s\"", text)
	}
	if row.Placeholder {
		return fmt.Errorf("ACL condition \"%s\" is not supported yet", name)
	}
	return w.readClause(last, row, negated, after, text)
}

// readClause reads what follows the name of a condition or modifier.
func (w *words) readClause(last *statement, row *Condition, negated bool, after, text string) error {
	if row.Modifier && negated {
		return fmt.Errorf("ACL error: negation is not allowed with \"%s\"", row.Name)
	}
	if row.Name == "endpass" && last.verb != Accept && last.verb != DiscardVerb {
		return fmt.Errorf("ACL error: \"endpass\" is not allowed with \"%s\"", last.verb)
	}
	c := clause{row: row, negated: negated}
	if row.Name == "set" {
		var err error
		if c.setting, after = w.setting(strings.TrimLeft(after, " \t\n")); c.setting == nil {
			if c.variable, after, err = readVariable(strings.TrimLeft(after, " \t\n"), text); err != nil {
				return err
			}
		}
	}
	if row.Name != "endpass" {
		after = strings.TrimLeft(after, " \t\n")
		if !strings.HasPrefix(after, "=") {
			kind := "condition"
			if row.Modifier {
				kind = "modifier"
			}
			return fmt.Errorf("\"=\" missing after ACL \"%s\" %s", row.Name, kind)
		}
		c.argument = strings.TrimLeft(after[1:], " \t\n")
	}
	c.shape = shapeOf(c.argument)
	last.clauses = append(last.clauses, c)
	return nil
}

// setting finds the room's variable whose name stands after "set"; nil when it is none of a room's.
func (w *words) setting(rest string) (*Setting, string) {
	name, after := word(rest)
	for i := range w.settings {
		if w.settings[i].Name == name {
			return &w.settings[i], after
		}
	}
	return nil, rest
}

// readVariable reads the name after "set": acl_c or acl_m, then a digit or an underscore, then letters, digits and underscores. A dollar sign
// before it is left out: examples in circulation have it, though Exim refuses it.
func readVariable(rest, text string) (name, after string, err error) {
	rest = strings.TrimPrefix(rest, "$")
	in := text[strings.Index(text, "set"):]
	if !strings.HasPrefix(rest, "acl_c") && !strings.HasPrefix(rest, "acl_m") {
		return "", "", fmt.Errorf("invalid variable name after \"set\" in ACL modifier \"%s\" (must start \"acl_c\" or \"acl_m\")", in)
	}
	if len(rest) == 5 || rest[5] != '_' && (rest[5] < '0' || rest[5] > '9') {
		return "", "", fmt.Errorf("invalid variable name after \"set\" in ACL modifier \"%s\" (digit or underscore must follow acl_c or acl_m)", in)
	}
	i := 5
	for i < len(rest) && rest[i] != '=' && !isSpace(rest[i]) {
		if !isWordByte(rest[i]) {
			return "", "", fmt.Errorf("invalid character \"%c\" in variable name in ACL modifier \"%s\"", rest[i], in)
		}
		i++
	}
	return rest[:i], rest[i:], nil
}

// findVerb looks a verb up. A colon or equals sign after it makes the word something else.
func findVerb(name, after string) (Verb, bool) {
	for i, n := range verbNames {
		if n == name {
			return Verb(i), !strings.HasPrefix(strings.TrimLeft(after, " \t"), "=")
		}
	}
	return 0, false
}

// word splits the leading word of letters, digits and underscores off.
func word(s string) (name, rest string) {
	i := 0
	for i < len(s) && isWordByte(s[i]) {
		i++
	}
	return s[:i], s[i:]
}

func firstWord(s string) string {
	name, _ := word(strings.TrimLeft(s, " \t"))
	return name
}

func isWordByte(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

func trimSpaceLeft(text string) string {
	for text != "" && isSpace(text[0]) {
		text = text[1:]
	}
	return text
}

// shape says how an argument is to be expanded: most arguments of ACLs hold no dollar or backslash and are their own
// expansion.
type shape uint8

const (
	needsExpansion shape = iota
	constant
)

func shapeOf(argument string) shape {
	if strings.IndexByte(argument, '$') >= 0 || strings.IndexByte(argument, '\\') >= 0 {
		return needsExpansion
	}
	return constant
}

// words is the dictionary of conditions and controls of one catalog.
type words struct {
	conditions map[string]*Condition
	controls   []*Control
	verify     []verifyItem
	settings   []Setting
}

// Words are the conditions, controls, things to verify and settings that rooms add.
type Words struct {
	Conditions []Condition
	Controls   []Control
	Verify     []Verification
	Settings   []Setting
}

// Setting is a variable of a room's that the modifier "set" changes.
type Setting struct {
	Name, Doc string
	// Set takes the expanded value. It returns OK, or Defer or Error after having set r.LogMessage.
	Set func(r *Run, value mail.Value) Verdict
}

// newWords merges the package's own rows with those of rooms. A name declared twice is a programmer's mistake.
func newWords(more Words) *words {
	w := &words{conditions: make(map[string]*Condition), verify: verifyItems(), settings: more.Settings}
	for _, rows := range [][]Condition{Conditions(), more.Conditions} {
		for i := range rows {
			if old := w.conditions[rows[i].Name]; old != nil && !old.Placeholder {
				panic("acl: condition declared twice: " + rows[i].Name)
			}
			w.conditions[rows[i].Name] = &rows[i]
		}
	}
	for _, v := range more.Verify {
		w.verify = append(w.verify, verifyItem{name: v.Name, phases: v.Phases, options: true,
			check: func(r *Run, _, _ string, options []string) Verdict { return v.Check(r, options) }})
	}
	for _, rows := range [][]Control{Controls(), more.Controls} {
		for i := range rows {
			w.controls = append(w.controls, &rows[i])
		}
	}
	return w
}

// logicalLines makes lines of the text of an ACL file or an inline ACL: lines whose first character other than white space
// is # are dropped, and a backslash at the end joins a line with the next (spec 6.2).
func logicalLines(text, file string, number int) []config.Line {
	var out []config.Line
	var current strings.Builder
	start, joined := number, false
	flush := func() {
		if t := strings.TrimLeft(current.String(), " \t\r\n"); t != "" {
			out = append(out, config.Line{Text: t, File: file, Line: start})
		}
		current.Reset()
		joined = false
	}
	lines := strings.Split(text, "\n")
	for i, raw := range lines {
		t := strings.TrimLeft(raw, " \t")
		if strings.HasPrefix(t, "#") {
			continue
		}
		if !joined {
			start = number + i
			t = raw
		}
		trimmed := strings.TrimRight(t, " \t\r")
		if strings.HasSuffix(trimmed, "\\") {
			current.WriteString(trimmed[:len(trimmed)-1])
			joined = true
			continue
		}
		if i == len(lines)-1 {
			trimmed = t // what an option expanded to ends as it does
		}
		current.WriteString(trimmed)
		flush()
	}
	flush()
	return out
}
