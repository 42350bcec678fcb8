package expand

import (
	"strings"

	"exigo/internal/expand/syntax"
)

// debugText evaluates a text and tells Debug about it as a tree, in the form of Exim's -d+expand: what is looked at, each part with its value,
// and the result.
func (s *Scope) debugText(t *syntax.Text) (Value, error) {
	s.trace("╭considering: ", t.Source)
	s.nesting++
	v, err := s.evaluate(t)
	s.nesting--
	if err != nil {
		s.trace("├failed to expand: ", t.Source)
		s.trace("╰───error message: ", err.Error())
		return v, err
	}
	s.trace("├──expanding: ", t.Source)
	s.trace("╰─────result: ", v.S)
	if v.Tainted {
		s.trace("   ╰──(tainted)", "")
	}
	return v, nil
}

// debugPart tells Debug the value of a part.
func (s *Scope) debugPart(n syntax.Node, v Value) {
	switch n.(type) {
	case *syntax.Literal:
		s.tracePart("├───────text: ", v.S)
	case *syntax.Operator:
		s.tracePart("├─────op-res: ", v.S)
	case *syntax.Item:
		s.tracePart("├───item-res: ", v.S)
	default:
		s.tracePart("├──────value: ", v.S)
	}
}

// debugCondition tells Debug what a condition is worth.
func (s *Scope) debugCondition(c *syntax.Condition, yes bool) {
	s.tracePart("├──condition: ", c.Name)
	s.tracePart("├─────result: ", map[bool]string{true: "true", false: "false"}[yes])
}

func (s *Scope) tracePart(label, text string) {
	s.nesting--
	s.trace(label, text)
	s.nesting++
}

func (s *Scope) trace(label, text string) {
	s.Debug("%s%s%s", strings.Repeat(" ", s.nesting+1), label, text)
}
