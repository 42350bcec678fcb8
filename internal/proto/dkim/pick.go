package dkim

import (
	"strings"
)

// Section is a header section from which signatures pick the fields that they cover.
type Section struct {
	fields []string
	// last is the last field of a name (lower case), previous[i] the one of the same name before field i, -1 for none.
	last     map[string]int
	previous []int
}

// NewSection takes the fields of a section, from top to bottom.
func NewSection(fields []string) *Section {
	s := &Section{fields: fields, last: make(map[string]int, len(fields)), previous: make([]int, len(fields))}
	for i, f := range fields {
		s.previous[i] = -1
		name, _, ok := strings.Cut(f, ":")
		if !ok {
			continue
		}
		name = strings.ToLower(strings.TrimRight(name, " \t"))
		if at, ok := s.last[name]; ok {
			s.previous[i] = at
		}
		s.last[name] = i
	}
	return s
}

// Fields returns the section's fields.
func (s *Section) Fields() []string { return s.fields }

// Count tells how many fields of the name there are.
func (s *Section) Count(name string) int {
	n := 0
	at, ok := s.last[strings.ToLower(name)]
	for ; ok && at >= 0; at = s.previous[at] {
		n++
	}
	return n
}

// Pick returns the fields that a list of names such as the h= tag stands for (RFC 6376 section 5.4.2): each name takes the lowest field of that
// name that was not taken yet, and nothing where there is none (left) - so a name too many seals its absence.
func (s *Section) Pick(names []string) []string {
	next := make(map[string]int, len(names))
	out := make([]string, 0, min(len(names), len(s.fields)))
	for _, name := range names {
		name = strings.ToLower(trim(name))
		at, seen := next[name]
		if !seen {
			var ok bool
			if at, ok = s.last[name]; !ok {
				at = -1
			}
		}
		if at >= 0 {
			out = append(out, s.fields[at])
			at = s.previous[at]
		}
		next[name] = at
	}
	return out
}
