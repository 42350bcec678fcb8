package expand

import (
	"strings"

	"exigo/internal/expand/syntax"
)

// Text evaluates a text. The result is tainted if any of its parts is; it has a quoting mark if all tainted parts have the same.
func (s *Scope) Text(t *syntax.Text) (Value, error) {
	if s.Debug != nil {
		return s.debugText(t)
	}
	return s.evaluate(t)
}

func (s *Scope) evaluate(t *syntax.Text) (Value, error) {
	switch len(t.Parts) {
	case 0:
		return Value{}, nil
	case 1:
		v, err := s.node(t.Parts[0])
		if s.Debug != nil && err == nil {
			s.debugPart(t.Parts[0], v)
		}
		return v, err
	}
	var taint taint
	start := len(s.text)
	err := s.parts(t, &taint)
	if err != nil {
		s.cutText(start)
		return Value{}, err
	}
	text := string(s.text[start:])
	s.cutText(start)
	return taint.value(text), nil
}

// appendTo evaluates a text of several parts and puts the result behind dst.
func (s *Scope) appendTo(dst []byte, t *syntax.Text) ([]byte, error) {
	var taint taint
	start := len(s.text)
	err := s.parts(t, &taint)
	if err == nil {
		dst = append(dst, s.text[start:]...)
	}
	s.cutText(start)
	return dst, err
}

// parts evaluates the parts of a text and puts their values one behind the other on the scope's buffer.
func (s *Scope) parts(t *syntax.Text, taint *taint) error {
	for _, n := range t.Parts {
		if l, ok := n.(*syntax.Literal); ok {
			if s.Debug != nil {
				s.debugPart(l, Value{S: l.S})
			}
			s.text = append(s.text, l.S...)
			continue
		}
		v, err := s.node(n)
		if err != nil {
			return err
		}
		if s.Debug != nil {
			s.debugPart(n, v)
		}
		taint.add(v)
		if len(s.text)+len(v.S) > maxResult {
			return Fail("the result of the expansion is too large")
		}
		s.text = append(s.text, v.S...)
		s.work(v.S)
	}
	return nil
}

// cutText takes from the buffer what was put there from start on.
func (s *Scope) cutText(start int) {
	if s.text = s.text[:start]; cap(s.text) > maxKept && start == 0 {
		s.text = nil
	}
}

// taint adds the taint of parts up.
type taint struct {
	tainted bool
	quoted  string
}

func (t *taint) add(v Value) {
	switch {
	case !v.Tainted:
	case !t.tainted:
		t.tainted, t.quoted = true, v.Quoted
	case t.quoted != v.Quoted:
		t.quoted = ""
	}
}

func (t *taint) value(text string) Value { return Value{S: text, Tainted: t.tainted, Quoted: t.quoted} }

// Join makes one value of a text and the values it was made from: tainted if one of them is.
func Join(text string, from ...Value) Value {
	v := Value{S: text}
	for _, f := range from {
		v.Tainted = v.Tainted || f.Tainted
	}
	return v
}

// Texts evaluates several texts from left to right.
func (s *Scope) Texts(list []*syntax.Text) ([]Value, error) {
	if len(list) == 0 {
		return nil, nil
	}
	values := make([]Value, len(list))
	for i, t := range list {
		v, err := s.Text(t)
		if err != nil {
			return nil, err
		}
		values[i] = v
	}
	return values, nil
}

// arguments evaluates several texts from left to right and puts them on the scope's stack, from which the caller takes them with drop when
// they are not needed any more. Where there is an error there is nothing to drop.
func (s *Scope) arguments(list []*syntax.Text) ([]Value, error) {
	first := len(s.stack)
	for _, t := range list {
		v, err := s.Text(t)
		if err != nil {
			s.drop(len(s.stack) - first)
			return nil, err
		}
		s.work(v.S)
		s.stack = append(s.stack, v)
	}
	return s.stack[first:len(s.stack):len(s.stack)], nil
}

func (s *Scope) drop(n int) {
	clear(s.stack[len(s.stack)-n:])
	s.stack = s.stack[:len(s.stack)-n]
}

func (s *Scope) node(n syntax.Node) (Value, error) {
	switch n := n.(type) {
	case *syntax.Literal:
		return Value{S: n.S}, nil
	case *syntax.Variable:
		return s.Variable(n)
	case *syntax.Number:
		if n.N < len(s.Numbers) {
			return s.Numbers[n.N], nil
		}
		return Value{}, nil
	case *syntax.Header:
		v, _, err := s.Header(n.Kind, n.Name)
		return v, err
	case *syntax.Operator:
		var subject Value
		if plain, ok := n.Subject.Literal(); ok && s.Debug == nil {
			subject.S = plain
		} else {
			var err error
			if subject, err = s.Text(n.Subject); err != nil {
				return Value{}, err
			}
		}
		if n.Bad != nil {
			return Value{}, &Error{Text: n.Bad.Text}
		}
		s.work(subject.S)
		row := n.Row.(*Operator)
		if row.ApplyTo != nil {
			return row.ApplyTo(s, n, subject)
		}
		return row.Apply(s, n.Argument, subject)
	case *syntax.Item:
		if n.Bad != nil {
			return Value{}, s.badItem(n)
		}
		return n.Row.(*LazyItem).Eval(s, n)
	case *syntax.Bad:
		return Value{}, &Error{Text: n.Text}
	}
	panic("expand: unknown kind of node")
}

// Variable gives the value of a variable of the tree.
func (s *Scope) Variable(n *syntax.Variable) (Value, error) {
	row := n.Row.(*Variable)
	if row.GetNamed == nil {
		return row.Get(s)
	}
	v, known, err := row.GetNamed(s, n.Name)
	if err == nil && !known {
		return Value{}, Fail("unknown variable name \"%s\"", n.Name)
	}
	return v, err
}

// badItem evaluates what stands left of a mistake in an item, and returns the mistake, or the error that came before it.
func (s *Scope) badItem(it *syntax.Item) error {
	if it.Whole && it.Shape.Form != syntax.FormIf {
		if _, err := it.Row.(*LazyItem).Eval(s, it); err != nil {
			return err
		}
		return &Error{Text: it.Bad.Text}
	}
	if it.Key != nil {
		if _, err := s.Text(it.Key); err != nil {
			return err
		}
	}
	if it.Shape.Form != syntax.FormRun {
		early := it.Row.(*LazyItem).Early
		for n, arg := range it.Args {
			if it.Shape.Form == syntax.FormMap && n == it.Shape.Min-1 {
				break // the text for each item is examined first
			}
			if it.Shape.Form == syntax.FormSort && n == 2 {
				break
			}
			v, err := s.Text(arg)
			if err == nil && early != nil {
				err = early(n, v)
			}
			if err != nil {
				return err
			}
		}
	}
	if it.Test != nil && it.Shape.Form == syntax.FormIf {
		yes, err := s.Condition(it.Test)
		if err != nil {
			return err
		}
		if yes && it.Yes != nil {
			if _, err := s.Text(it.Yes); err != nil {
				return err
			}
		}
		if !yes && it.No != nil {
			if _, err := s.Text(it.No); err != nil {
				return err
			}
		}
		if !yes && it.Fail {
			return ForcedFail(it)
		}
	}
	return &Error{Text: it.Bad.Text}
}

// Condition evaluates a condition, its negation included.
func (s *Scope) Condition(c *syntax.Condition) (bool, error) {
	if c.Bad != nil {
		return false, s.badCondition(c)
	}
	yes, err := c.Row.(*LazyCondition).Test(s, c)
	if s.Debug != nil && err == nil {
		s.debugCondition(c, yes != c.Negate)
	}
	return yes != c.Negate, err
}

func (s *Scope) badCondition(c *syntax.Condition) error {
	for n, arg := range c.Args {
		v, err := s.Text(arg)
		if early := c.Row.(*LazyCondition).Early; err == nil && early != nil {
			err = early(n, v)
		}
		if err != nil {
			return err
		}
	}
	if c.Shape.Form == syntax.FormGroup {
		for _, sub := range c.Sub {
			yes, err := s.Condition(sub)
			if err != nil {
				return Inside(err, c.Inside())
			}
			if yes == (c.Name == "or") {
				break // the others are only parsed
			}
		}
	}
	return &Error{Text: c.Bad.Text}
}

// Skip is what becomes of a text that is not evaluated: nothing, unless there is a mistake in it.
func (s *Scope) Skip(t *syntax.Text) error {
	if t != nil && t.Bad != nil {
		return &Error{Text: t.Bad.Text}
	}
	return nil
}

// Branches evaluates the branch that matched selects. In it $value is value; without branches the result is value if
// matched, else nothing. The word fail instead of the second branch forces failure. The caller restores $0 and above.
func (s *Scope) Branches(it *syntax.Item, matched bool, value Value) (Value, error) {
	if it.Yes == nil {
		if matched {
			return value, nil
		}
		return Value{}, nil
	}
	if matched {
		saved := s.Value
		s.Value = value
		v, err := s.Text(it.Yes)
		s.Value = saved
		return v, err
	}
	if it.No != nil {
		return s.Text(it.No)
	}
	return Value{}, ForcedFail(it)
}

// ForcedFail is the error of an item whose second branch is taken, if that is the word fail: the forced failure, or the mistake that stands
// behind the word.
func ForcedFail(it *syntax.Item) error {
	switch {
	case !it.Fail:
		return nil
	case it.Bad != nil:
		return Fail("%s", strings.Replace(it.Bad.Text, "did not close with '}'", "did not close with '}' after forcedfail", 1))
	}
	return Force("\"%s\" failed and \"fail\" requested", it.Name)
}
