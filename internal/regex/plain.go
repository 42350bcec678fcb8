package regex

import "strings"

// plain is a pattern that is only text, possibly anchored: [^] text [$], where the text has no metacharacter left after
// taking away backslashes before punctuation. For these PCRE2's answer can be had by comparing bytes.
type plain struct {
	text     string
	fold     bool // compare ASCII letters without regard to case
	fromHead bool // begins with ^
	toTail   bool // ends with $: the end of the subject or just before a newline that ends it
}

// parsePlain reports whether the pattern is plain. It errs on the side of no.
func parsePlain(pattern string, options Options) (*plain, bool) {
	p := &plain{}
	rest := pattern
	if rest != "" && rest[0] == '^' {
		p.fromHead = true
		rest = rest[1:]
	}
	text := make([]byte, 0, len(rest))
	for i := 0; i < len(rest); i++ {
		c := rest[i]
		switch {
		case c == '$' && i == len(rest)-1:
			p.toTail = true
			continue
		case c == '\\':
			// A backslash before an ASCII character that is neither letter nor digit always means the character.
			if i++; i == len(rest) || rest[i] >= 0x80 || rest[i] < 0x20 || isWord(rest[i]) && rest[i] != '_' {
				return nil, false
			}
			c = rest[i]
		case c < 0x20 || c >= 0x7f || strings.IndexByte(`^$.[|()?*+{\`, c) >= 0:
			return nil, false
		}
		text = append(text, c)
	}
	p.text = string(text)
	p.fold = options&Caseless != 0 && strings.ContainsFunc(p.text, func(r rune) bool { return lower(byte(r)) >= 'a' && lower(byte(r)) <= 'z' })
	return p, true
}

func isWord(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_'
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// find gives the leftmost match at or after start.
func (p *plain) find(subject string, start int) (from, to int, ok bool) {
	n := len(p.text)
	if p.fromHead {
		if start > 0 || !p.at(subject, 0) || p.toTail && !isTail(subject, n) {
			return 0, 0, false
		}
		return 0, n, true
	}
	if p.toTail {
		if len(subject) > 0 && subject[len(subject)-1] == '\n' {
			if from = len(subject) - 1 - n; from >= start && p.at(subject, from) {
				return from, from + n, true
			}
		}
		if from = len(subject) - n; from >= start && p.at(subject, from) {
			return from, from + n, true
		}
		return 0, 0, false
	}
	if !p.fold {
		if from = strings.Index(subject[start:], p.text); from < 0 {
			return 0, 0, false
		}
		return start + from, start + from + n, true
	}
	for from = start; from+n <= len(subject); from++ {
		if p.at(subject, from) {
			return from, from + n, true
		}
	}
	return 0, 0, false
}

// at reports whether the text stands at byte from of subject.
func (p *plain) at(subject string, from int) bool {
	if from < 0 || from+len(p.text) > len(subject) {
		return false
	}
	part := subject[from : from+len(p.text)]
	if !p.fold {
		return part == p.text
	}
	for i := range len(part) {
		if lower(part[i]) != lower(p.text[i]) {
			return false
		}
	}
	return true
}

// isTail reports whether $ matches at byte i.
func isTail(subject string, i int) bool {
	return i == len(subject) || i == len(subject)-1 && subject[i] == '\n'
}
