package expand

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"strconv"
	"strings"

	"exigo/internal/expand/syntax"
	"exigo/internal/lookup"
	"exigo/internal/mail"
	"exigo/internal/outside"
	"exigo/internal/regex"
)

// Limits of an evaluation, so that no input can exhaust stack or memory.
const (
	maxDepth  = 60       // of expansions within expansions: ${expand:...}, lists, ACLs
	maxResult = 64 << 20 // bytes of one result
	maxKept   = 64 << 10 // bytes of memory that a scope keeps for the next text
)

// New makes an engine of the words that the catalog collected. A word declared twice is an error.
func New(world *outside.World, w Words, hooks Hooks) (*Engine, error) {
	e := &Engine{World: world, Lookups: map[string]*lookup.Driver{}, Hooks: hooks, Regex: regex.NewCache(512)}
	for _, d := range w.Lookups {
		if e.Lookups[d.Name] != nil {
			return nil, fmt.Errorf("lookup type %q is declared twice", d.Name)
		}
		e.Lookups[d.Name] = d
	}
	if err := e.words.fill(w); err != nil {
		return nil, err
	}
	e.words.lookups = e.Lookups
	e.trees.words, e.trees.seed = &e.words, maphash.MakeSeed()
	return e, nil
}

// NewScope makes a scope for one evaluation or a series of them. config, session and message may be nil; a message
// brings its session with it.
func (e *Engine) NewScope(ctx context.Context, config Configuration, session *mail.Session, message *mail.Message) *Scope {
	if session == nil && message != nil {
		session = message.Session
	}
	return &Scope{Engine: e, Config: config, Session: session, Message: message, Ctx: ctx, Extra: map[string]Value{}}
}

// Expand expands text as it stands in the configuration: it is taken to be untainted. The error is an [*Error];
// errors.Is(err, ErrForced) and IsTemporary tell the kinds apart.
func (e *Engine) Expand(s *Scope, text string) (Value, error) {
	if isPlain(text) {
		return Value{S: text}, nil
	}
	v, _, err := e.expandTree(s, text, nil, false)
	return v, err
}

// AppendExpand is Expand for those who write the result down: it is put behind dst, and nothing is kept of it.
func (e *Engine) AppendExpand(dst []byte, s *Scope, text string) ([]byte, error) {
	if isPlain(text) {
		return append(dst, text...), nil
	}
	v, dst, err := e.expandTree(s, text, dst, true)
	return append(dst, v.S...), err
}

// isPlain tells whether nothing in a text has a meaning.
func isPlain(text string) bool {
	return strings.IndexByte(text, '$') < 0 && strings.IndexByte(text, '\\') < 0
}

// expandTree parses and evaluates a text. With behind set, the result may be put behind dst instead of into the value.
func (e *Engine) expandTree(s *Scope, text string, dst []byte, behind bool) (v Value, out []byte, err error) {
	if s.depth >= maxDepth {
		return Value{}, dst, Fail("expansions are nested too deeply")
	}
	if s.depth == 0 {
		s.budget = budget{}
	}
	s.depth++
	tree, parser := e.trees.get(text)
	if behind && s.Debug == nil && len(tree.Parts) > 1 {
		dst, err = s.appendTo(dst, tree)
	} else {
		v, err = s.Text(tree)
	}
	if parser != nil {
		e.trees.parsers.Put(parser)
	}
	s.depth--
	return v, dst, err
}

// ExpandValue expands a text that has a taint: a tainted one is refused, and logged.
func (e *Engine) ExpandValue(s *Scope, text Value) (Value, error) {
	if s.Untrusted(text, "attempt to expand tainted string '%s'", text.S) {
		s.Panic("attempt to expand tainted string '%s'", text.S)
		return Value{}, Fail("attempt to expand tainted string '%s'", text.S)
	}
	return e.Expand(s, text.S)
}

// ExpandString is Expand for those who do not look at the taint.
func (e *Engine) ExpandString(s *Scope, text string) (string, error) {
	v, err := e.Expand(s, text)
	return v.S, err
}

// ExpandBool expands the text of a boolean option (spec 6.8, "expanded boolean" and the bool_lax rule of conditions):
// yes, true and no, false in any case. Anything else is an error.
func (e *Engine) ExpandBool(s *Scope, text string) (bool, error) {
	v, err := e.Expand(s, text)
	if err != nil {
		return false, err
	}
	switch strings.ToLower(v.S) {
	case "true", "yes":
		return true, nil
	case "false", "no":
		return false, nil
	}
	return false, Fail("\"%s\" is not a valid value for a boolean", v.S)
}

// ExpandCondition expands the text of a "condition" option or ACL condition: empty, "0", "no" and "false" are false,
// everything else is true (the rule of bool_lax).
func (e *Engine) ExpandCondition(s *Scope, text string) (bool, error) {
	v, err := e.Expand(s, text)
	return err == nil && LaxBool(v.S), err
}

// LaxBool is the rule of bool_lax: empty, "0", "no" and "false" are false, everything else is true.
func LaxBool(text string) bool {
	text = strings.Trim(text, " \t\n\v\f\r")
	return text != "" && text != "0" && !strings.EqualFold(text, "no") && !strings.EqualFold(text, "false")
}

// ExpandInt expands the text of an integer: decimal, sign, K, M or G behind it. The error says what is wrong as Exim does.
func (e *Engine) ExpandInt(s *Scope, text string) (int64, error) {
	v, err := e.Expand(s, text)
	if err != nil {
		return 0, err
	}
	return Integer(v.S)
}

// Mistake returns Exim's message about what is wrong in the syntax of text, "" if nothing is. Option readers may use it to
// warn early; Exim itself finds mistakes when the text is used.
func (e *Engine) Mistake(text string) string { return syntax.Mistake(text, &e.words) }

// Integer reads an integer as conditions and integer options do (spec 11.7): white space around, a sign, decimal digits, and K, M or
// G. The empty string is zero.
func Integer(text string) (int64, error) {
	trimmed := strings.TrimLeft(text, " \t\n\v\f\r")
	if trimmed == "" {
		return 0, nil
	}
	end := 0
	if trimmed[0] == '+' || trimmed[0] == '-' {
		end++
	}
	digits := end
	for end < len(trimmed) && trimmed[end] >= '0' && trimmed[end] <= '9' {
		end++
	}
	if end == digits {
		return 0, Fail("integer expected but \"%s\" found", text)
	}
	tooLarge := func() error { return Fail("absolute value of integer \"%s\" is too large (overflow)", text) }
	n, err := strconv.ParseInt(trimmed[:end], 10, 64)
	if err != nil {
		return 0, tooLarge()
	}
	rest := trimmed[end:]
	factor := int64(1)
	if rest != "" {
		switch rest[0] {
		case 'k', 'K':
			factor = 1 << 10
		case 'm', 'M':
			factor = 1 << 20
		case 'g', 'G':
			factor = 1 << 30
		}
		if factor > 1 {
			rest = rest[1:]
		}
	}
	if product := n * factor; product/factor != n {
		return 0, tooLarge()
	}
	if strings.Trim(rest, " \t\n\v\f\r") != "" {
		return 0, Fail("invalid integer \"%s\"", text)
	}
	return n * factor, nil
}

// Inside adds to the text of an error in which word it came up: ` inside "filter" item`. Other errors, and nil, stay.
func Inside(err error, where string) error {
	var e *Error
	if !errors.As(err, &e) {
		return err
	}
	inner := *e
	inner.Text += where
	return &inner
}

// Fail makes the error of a failed expansion.
func Fail(format string, args ...any) error { return &Error{Text: fmt.Sprintf(format, args...)} }

// Defer makes the error of an expansion that could not be completed now.
func Defer(format string, args ...any) error {
	return &Error{Text: fmt.Sprintf(format, args...), Temporary: true}
}

// Force makes the error of a forced failure with a text for the log.
func Force(format string, args ...any) error {
	return &Error{Text: fmt.Sprintf(format, args...), Forced: true}
}
