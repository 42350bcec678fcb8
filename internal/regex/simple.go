package regex

import "strings"

// simple is a pattern of the kind that most configurations are made of: an optional ^, then characters, classes and dots, each with an
// optional quantifier, some of them in capturing groups that have no quantifier themselves, and an optional $. There is only one order in
// which PCRE2 tries the possibilities of those, so the first that fits is PCRE2's answer (see the fuzz test). Matching takes few steps
// for nearly all subjects; where it does not, PCRE2 decides, with its limits.
type simple struct {
	steps    []step
	groups   int
	fromHead bool // begins with ^
	toTail   bool // ends with $: the end of the subject or just before a newline that ends it
}

// step is one element: a character out of a set, min to max times, or the begin or end of a group.
type step struct {
	set      *[256]bool // nil: a group's bound
	min, max int
	lazy     bool
	single   bool // min and max are 1
	bound    int  // index into the pairs of offsets
}

const (
	simpleSteps = 20_000   // tries before PCRE2 is asked
	simpleMax   = 1 << 30  // "any number"
	simpleGroup = 20       // more groups are PCRE2's
	simpleText  = 64 << 10 // so are longer subjects
)

// parseSimple reports whether the pattern is simple. It errs on the side of no; what it takes PCRE2 takes too.
func parseSimple(pattern string, options Options) (*simple, bool) {
	p := simpleParser{rest: pattern, caseless: options&Caseless != 0}
	s := &p.result
	if strings.HasPrefix(p.rest, "^") {
		s.fromHead, p.rest = true, p.rest[1:]
	}
	for p.rest != "" {
		if p.rest == "$" {
			s.toTail, p.rest = true, ""
			break
		}
		if !p.element() {
			return nil, false
		}
	}
	return s, len(p.open) == 0
}

type simpleParser struct {
	rest     string
	caseless bool
	open     []int // groups that are not closed
	result   simple
}

// element reads a bound of a group, or an atom with its quantifier.
func (p *simpleParser) element() bool {
	s := &p.result
	switch p.rest[0] {
	case '(':
		if len(p.rest) < 2 || strings.IndexByte("?*)", p.rest[1]) >= 0 || s.groups == simpleGroup {
			return false
		}
		s.groups++
		p.open = append(p.open, s.groups)
		s.steps = append(s.steps, step{bound: 2 * s.groups})
		p.rest = p.rest[1:]
		return true
	case ')':
		n := len(p.open) - 1
		if n < 0 || len(p.rest) > 1 && strings.IndexByte("*+?{", p.rest[1]) >= 0 {
			return false
		}
		s.steps = append(s.steps, step{bound: 2*p.open[n] + 1})
		p.open, p.rest = p.open[:n], p.rest[1:]
		return true
	}
	set, ok := p.atom()
	if !ok {
		return false
	}
	if p.caseless {
		for c := 'a'; c <= 'z'; c++ {
			either := set[c] || set[c-'a'+'A']
			set[c], set[c-'a'+'A'] = either, either
		}
	}
	e := step{set: set, min: 1, max: 1}
	if !p.quantifier(&e) {
		return false
	}
	e.single = e.min == 1 && e.max == 1
	s.steps = append(s.steps, e)
	return true
}

// atom reads a character, a dot, an escape or a class.
func (p *simpleParser) atom() (*[256]bool, bool) {
	set := &[256]bool{}
	c := p.rest[0]
	switch {
	case c == '.':
		for i := range set {
			set[i] = i != '\n'
		}
	case c == '\\':
		if len(p.rest) < 2 || !addEscape(set, p.rest[1]) {
			return nil, false
		}
		p.rest = p.rest[2:]
		return set, true
	case c == '[':
		return set, p.class(set)
	case c == 0 || strings.IndexByte("^$|*+?{", c) >= 0:
		return nil, false
	default:
		set[c] = true
	}
	p.rest = p.rest[1:]
	return set, true
}

// addEscape adds what a backslash and c stand for: a class of characters, or c itself if it is punctuation.
func addEscape(set *[256]bool, c byte) bool {
	in := func(test func(c byte) bool, want bool) bool {
		for i := range set {
			if test(byte(i)) == want {
				set[i] = true
			}
		}
		return true
	}
	digit := func(c byte) bool { return c >= '0' && c <= '9' }
	space := func(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }
	switch c {
	case 'd', 'D':
		return in(digit, c == 'd')
	case 'w', 'W':
		return in(isWord, c == 'w')
	case 's', 'S':
		return in(space, c == 's')
	}
	if c < 0x20 || c >= 0x7f || isWord(c) && c != '_' {
		return false
	}
	set[c] = true
	return true
}

// class reads [...] without POSIX names.
func (p *simpleParser) class(set *[256]bool) bool {
	rest := p.rest[1:]
	rest, negated := strings.CutPrefix(rest, "^")
	if rest == "" || rest[0] == ']' {
		return false
	}
	for first := true; ; first = false {
		if rest == "" {
			return false
		}
		c := rest[0]
		rest = rest[1:]
		switch {
		case c == ']':
			if negated {
				// a caseless class is made complete before it is turned round
				for l := 'a'; p.caseless && l <= 'z'; l++ {
					either := set[l] || set[l-'a'+'A']
					set[l], set[l-'a'+'A'] = either, either
				}
				for i := range set {
					set[i] = !set[i]
				}
			}
			p.rest = rest
			return true
		case c == '[' && rest != "" && strings.IndexByte(":.=", rest[0]) >= 0, c == 0:
			return false
		case c == '-' && !first && rest != "" && rest[0] != ']':
			return false // only a range has it in the middle
		}
		if c == '\\' {
			if rest == "" || !addEscape(set, rest[0]) {
				return false
			}
			letter := isWord(rest[0]) && rest[0] != '_'
			c, rest = rest[0], rest[1:]
			if letter {
				if strings.HasPrefix(rest, "-") {
					return false
				}
				continue
			}
		}
		set[c] = true
		if len(rest) >= 2 && rest[0] == '-' && rest[1] != ']' {
			last := rest[1]
			if last == '\\' || last == '[' || last < c {
				return false
			}
			for i := int(c); i <= int(last); i++ {
				set[i] = true
			}
			rest = rest[2:]
		}
	}
}

// quantifier reads what may follow an atom.
func (p *simpleParser) quantifier(e *step) bool {
	if p.rest == "" {
		return true
	}
	switch p.rest[0] {
	case '*':
		e.min, e.max = 0, simpleMax
	case '+':
		e.min, e.max = 1, simpleMax
	case '?':
		e.min, e.max = 0, 1
	case '{':
		end := strings.IndexByte(p.rest, '}')
		if end < 0 {
			return false
		}
		from, to, two := strings.Cut(p.rest[1:end], ",")
		var ok bool
		if e.min, ok = repeatCount(from); !ok {
			return false
		}
		switch {
		case !two:
			e.max = e.min
		case to == "":
			e.max = simpleMax
		default:
			if e.max, ok = repeatCount(to); !ok || e.max < e.min {
				return false
			}
		}
		p.rest = p.rest[end:]
	default:
		return true
	}
	p.rest = p.rest[1:]
	if p.rest != "" && strings.IndexByte("+*{", p.rest[0]) >= 0 {
		return false
	}
	if p.rest != "" && p.rest[0] == '?' {
		e.lazy, p.rest = true, p.rest[1:]
		if p.rest != "" && strings.IndexByte("+*?{", p.rest[0]) >= 0 {
			return false
		}
	}
	return true
}

func repeatCount(text string) (n int, ok bool) {
	if text == "" || len(text) > 4 {
		return 0, false
	}
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' {
			return 0, false
		}
		n = n*10 + int(text[i]-'0')
	}
	return n, true
}

// search is one match.
type search struct {
	simple  *simple
	subject string
	left    int // steps
	pairs   [2*simpleGroup + 2]int
}

// find looks for the leftmost match at or after start. decided is false if PCRE2 must be asked.
func (s *simple) find(m *search, subject string, start int) (ok, decided bool) {
	if len(subject) > simpleText || start > 0 && s.fromHead {
		return false, start > 0 && s.fromHead
	}
	m.simple, m.subject, m.left = s, subject, simpleSteps
	last := len(subject)
	if s.fromHead {
		last = start
	}
	first := m.after(0)
	for at := start; at <= last; at++ {
		if first != nil && (at == len(subject) || !first[subject[at]]) {
			continue
		}
		if end := m.run(0, at); end >= 0 {
			m.pairs[0], m.pairs[1] = at, end
			return true, true
		}
		if m.left <= 0 {
			return false, false
		}
	}
	return false, true
}

// run matches the steps from number n on at a place, and returns where the match ends, or -1.
func (m *search) run(n, at int) int {
	for ; n < len(m.simple.steps); n++ {
		e := &m.simple.steps[n]
		switch {
		case e.set == nil:
			m.pairs[e.bound] = at
		case e.single:
			if at == len(m.subject) || !e.set[m.subject[at]] {
				return -1
			}
			at++
		default:
			return m.repeat(e, n, at)
		}
	}
	if m.simple.toTail && !isTail(m.subject, at) {
		return -1
	}
	return at
}

// repeat tries the numbers of times that a step fits, in order of preference.
func (m *search) repeat(e *step, n, at int) int {
	most := 0
	for most < e.max && at+most < len(m.subject) && e.set[m.subject[at+most]] {
		most++
	}
	m.left -= most>>4 + 1
	if most < e.min {
		return -1
	}
	times, last, by := most, e.min-1, -1
	if e.lazy {
		times, last, by = e.min, most+1, 1
	}
	next := m.after(n + 1)
	for ; times != last; times += by {
		if m.left--; m.left <= 0 {
			return -1
		}
		if next != nil && (at+times == len(m.subject) || !next[m.subject[at+times]]) {
			continue
		}
		if end := m.run(n+1, at+times); end >= 0 {
			return end
		}
	}
	return -1
}

// after returns the set that the next character must be of if the steps from number n on are to match, nil if there need not be one.
func (m *search) after(n int) *[256]bool {
	for ; n < len(m.simple.steps); n++ {
		if e := &m.simple.steps[n]; e.set != nil {
			if e.min > 0 {
				return e.set
			}
			return nil
		}
	}
	return nil
}
