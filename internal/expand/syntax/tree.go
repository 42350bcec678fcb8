// Package syntax turns the text of an expandable string (spec chapter 11) into a tree. It knows how words of the language
// are written, not what they mean: which words there are it asks a [Words].
//
// Parsing never fails. A mistake becomes a [Bad] node with Exim's text, and nothing after it is read: evaluation obeys
// what stands left of the mistake, then fails with it. That is also so when the mistake is in a branch that is not taken,
// hence each node on the way to it has it in its field Bad.
//
// Trust: reads text of the administrator's configuration, and what lookups return for a second expansion; depth is limited.
package syntax

// Text is a string to be expanded: its parts in order.
type Text struct {
	Parts []Node
	// Bad, if set, is the mistake that is in here; the last part is then the Bad itself or the node that holds it.
	Bad *Bad
	// Source is the text it was parsed from, without the closing brace.
	Source string

	only [1]Node // room for Parts when there is one
}

// Literal returns the text if it has no active part.
func (t *Text) Literal() (string, bool) {
	switch len(t.Parts) {
	case 0:
		return "", true
	case 1:
		l, ok := t.Parts[0].(*Literal)
		if ok {
			return l.S, true
		}
	}
	return "", false
}

// Node is a part of a Text: *Literal, *Variable, *Number, *Header, *Item, *Operator or *Bad.
type Node interface{ node() }

// Literal is text that stands for itself, its escapes resolved.
type Literal struct{ S string }

// Variable is $name or ${name}. Row is what Words.Variable gave for it.
type Variable struct {
	Name string
	Row  any
}

// Number is $0, $1, ${12}.
type Number struct{ N int }

// Header is $h_name: and its sisters. Kind is 'h', 'b', 'l' or 'r'; Name is as written, without the colon.
type Header struct {
	Kind byte
	Name string
}

// Operator is ${name:subject} or ${name_argument:subject}. Row is what Words.Operator gave.
type Operator struct {
	Name, Argument string
	Row            any
	Subject        *Text
	// Bad, if set, is the mistake in or after the subject (an unknown operator is found out after it).
	Bad *Bad
}

// Item is ${name...} with arguments in braces. Row is what Words.Item gave.
type Item struct {
	Name  string
	Row   any
	Shape Shape
	// Option is what stands between the name and the first brace or, for lookups, before the file or query: "json",
	// ",preexpand", the lookup type.
	Option string
	// Key is the key of a single-key lookup, nil for a query.
	Key  *Text
	Args []*Text
	// Rest holds, for an item of FormExtract, what follows after each argument.
	Rest []string
	// Test is the condition of if and filter.
	Test *Condition
	// Yes and No are the branches, nil if not given; Fail stands for the word "fail" instead of No.
	Yes, No *Text
	Fail    bool
	// Whole is set when nothing is wrong with what stands before the branches.
	Whole bool
	// Bad, if set, is the mistake in one of the parts or after those that are there.
	Bad *Bad

	few [3]*Text // room for Args
}

// Inside is what messages about the condition of filter, and the text of map and reduce, end in.
func (it *Item) Inside() string { return " inside \"" + it.Name + "\" item" }

// Condition is one test of an if. Row is what Words.Condition gave.
type Condition struct {
	Name   string
	Row    any
	Shape  Shape
	Negate bool
	// Args are the arguments; for the list conditions forany and forall the list.
	Args []*Text
	// Sub are the members of and and or, or the one condition of forany and forall.
	Sub []*Condition
	// Variable or Header is what def: asks for.
	Variable *Variable
	Header   *Header
	// Bad, if set, is the mistake in or after the parts that are there.
	Bad *Bad

	few [2]*Text // room for Args
}

// Inside is what messages about the members of a group and the condition of forany and its like end in.
func (c *Condition) Inside() string {
	if c.Shape.Form == FormGroup {
		return " inside \"" + c.Name + "{...}\" condition"
	}
	return " inside \"" + c.Name + "\" condition"
}

// Bad is a mistake. Text is Exim's message.
type Bad struct{ Text string }

func (*Literal) node()  {}
func (*Variable) node() {}
func (*Number) node()   {}
func (*Header) node()   {}
func (*Operator) node() {}
func (*Item) node()     {}
func (*Bad) node()      {}

// Form is the way a word's arguments are written.
type Form uint8

// Forms of items.
const (
	// FormArgs: {arg}{arg}..., from Min to Max of them, then the branches if the shape has YesNo.
	FormArgs Form = iota
	// FormIf: a condition, then branches.
	FormIf
	// FormLookup: {key} type {file} or type {query}, then branches.
	FormLookup
	// FormExtract: an optional word, a key, a separator list if the key turns out to be a number, the subject, branches.
	FormExtract
	// FormRun: options after a comma, the command (not expanded as a whole unless an option says so), branches.
	FormRun
	// FormFilter: {list}{condition}.
	FormFilter
	// FormMap: {list}{text}; with Min 3 (reduce) {list}{start}{text}.
	FormMap
	// FormSort: {list}{comparator}{text}.
	FormSort
	// FormNamedArgs: like FormArgs with YesNo, but a missing argument is complained about by its name (ArgNames).
	FormNamedArgs
	// FormSocket: {name}{request}, and up to three more.
	FormSocket
)

// Forms of conditions.
const (
	// FormPair: {string1}{string2}; Min = 1 has only the first.
	FormPair Form = 64 + iota
	// FormBare: no argument.
	FormBare
	// FormDef: def:name.
	FormDef
	// FormGroup: and, or.
	FormGroup
	// FormForEach: {list}{condition}.
	FormForEach
	// FormWrapped: {{arg}{arg}...}.
	FormWrapped
	// FormList: {string}{list}, where the list is not expanded.
	FormList
	// FormArguments: {arg}{arg}..., the complaint about a missing one is that of the wrapped form.
	FormArguments
	// FormCounted: like FormPair, with that complaint.
	FormCounted
)

// Shape says how a word is written.
type Shape struct {
	Form     Form
	Min, Max int
	// Before says how many of the arguments are read before the others, and not counted in messages about too few or too many.
	Before int
	// YesNo: the item may have branches. (Forms that always have them do not need it.)
	YesNo bool
	// ArgNames are the words with which messages name the arguments of FormNamedArgs.
	ArgNames []string
}

// Words tells the parser which words there are. What it returns as row is put into the tree.
type Words interface {
	// Variable knows the variable of this name. If there is none, note is added to the message, such as
	// " (user-defined ACL variables must start acl_c or acl_m)".
	Variable(name string) (row any, note string)
	// Item knows the item ${name{...}}.
	Item(name string) (row any, shape Shape, ok bool)
	// Operator knows the operator of the whole text between ${ and the colon, and splits an argument off.
	Operator(text string) (row any, name, argument string, ok bool)
	// Condition knows the condition of this name; "=" and its like are names as well.
	Condition(name string) (row any, shape Shape, ok bool)
}
