package authres

import (
	"errors"
	"strings"
)

// Limits of Parse.
const (
	maxText       = 64 << 10
	maxResults    = 200
	maxProperties = 100
	maxNesting    = 50
)

// The ways in which a field can be wrong.
var (
	ErrTooLong = errors.New("Authentication-Results: too long")
	ErrID      = errors.New("Authentication-Results: no authserv-id")
	ErrVersion = errors.New("Authentication-Results: unknown version")
	ErrSyntax  = errors.New("Authentication-Results: syntax error")
)

// Parse reads the payload of a field (RFC 8601 section 2.2). It takes more than the grammar has: values of properties with any character but
// spaces, semicolons and parentheses; properties without type, or without method; a field without results. A version other than 1 is
// ErrVersion (section 2.5: such a field is to be ignored).
func Parse(payload string) (*Header, error) {
	h := &Header{}
	s, err := head(h, payload)
	if err != nil {
		return nil, err
	}
	for s.skip(); s.more(); s.skip() {
		if !s.byte(';') {
			return nil, ErrSyntax
		}
		s.skip()
		if !s.more() {
			break // a semicolon at the end
		}
		if len(h.Results) == maxResults {
			return nil, ErrTooLong
		}
		r, none, err := s.result()
		if err != nil {
			return nil, err
		}
		if !none {
			h.Results = append(h.Results, r)
		}
	}
	return h, s.err()
}

// Split returns the authserv-id of a payload and the text of its results as it stands, folding included, without the semicolon before it and
// white space around it. It looks no closer at the results.
func Split(payload string) (id, results string, err error) {
	h := &Header{}
	s, err := head(h, payload)
	if err != nil {
		return "", "", err
	}
	if s.skip(); s.more() && !s.byte(';') {
		return "", "", ErrSyntax
	}
	return h.ID, strings.Trim(s.text, " \t\r\n;"), s.err()
}

// head reads authserv-id and version.
func head(h *Header, payload string) (*scanner, error) {
	if len(payload) > maxText {
		return nil, ErrTooLong
	}
	s := &scanner{text: payload}
	s.skip()
	var ok bool
	if h.ID, ok = s.value(); !ok || h.ID == "" {
		return nil, ErrID
	}
	if s.skip(); s.more() && s.text[0] >= '0' && s.text[0] <= '9' {
		h.Version = s.word("0123456789")
		if h.Version != "1" {
			return nil, ErrVersion
		}
	}
	return s, s.err()
}

// scanner reads from the front of a text.
type scanner struct {
	text string
	// comments collects comments that are skipped, when it is set.
	comments *[]string
	bad      error
}

func (s *scanner) more() bool { return s.text != "" && s.bad == nil }

func (s *scanner) err() error { return s.bad }

// byte takes the byte if it is next.
func (s *scanner) byte(c byte) bool {
	if s.text != "" && s.text[0] == c {
		s.text = s.text[1:]
		return true
	}
	return false
}

// skip goes over white space and comments.
func (s *scanner) skip() {
	for s.more() {
		switch s.text[0] {
		case ' ', '\t', '\r', '\n':
			s.text = s.text[1:]
		case '(':
			s.comment()
		default:
			return
		}
	}
}

// comment takes a comment, nested ones within it.
func (s *scanner) comment() {
	depth := 0
	for i := 0; i < len(s.text); i++ {
		switch s.text[i] {
		case '\\':
			i++
		case '(':
			if depth++; depth > maxNesting {
				s.text, s.bad = "", ErrSyntax
				return
			}
		case ')':
			if depth--; depth == 0 {
				if s.comments != nil {
					*s.comments = append(*s.comments, s.text[1:i])
				}
				s.text = s.text[i+1:]
				return
			}
		}
	}
	s.text, s.bad = "", ErrSyntax
}

// word takes the characters that are in the set.
func (s *scanner) word(set string) string {
	n := 0
	for n < len(s.text) && strings.IndexByte(set, s.text[n]) >= 0 {
		n++
	}
	w := s.text[:n]
	s.text = s.text[n:]
	return w
}

const keywordBytes = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"

// keyword takes a Keyword (RFC 5321: Ldh-str; an underscore is let pass), in lower case.
func (s *scanner) keyword() (string, bool) {
	w := s.word(keywordBytes)
	return strings.ToLower(w), w != ""
}

// value takes a quoted string, or what stands up to white space, semicolon or comment.
func (s *scanner) value() (string, bool) {
	if s.byte('"') {
		var b strings.Builder
		for i := 0; i < len(s.text); i++ {
			switch c := s.text[i]; c {
			case '"':
				s.text = s.text[i+1:]
				return b.String(), true
			case '\\':
				if i++; i < len(s.text) {
					b.WriteByte(s.text[i])
				}
			case '\r', '\n': // folding
			default:
				b.WriteByte(c)
			}
		}
		s.text, s.bad = "", ErrSyntax
		return "", false
	}
	n := 0
	for n < len(s.text) && strings.IndexByte(" \t\r\n;()\"", s.text[n]) < 0 {
		n++
	}
	w := s.text[:n]
	s.text = s.text[n:]
	return w, n > 0
}

// result takes method, result, reason and properties, up to a semicolon or the end. none says that it was the word "none".
func (s *scanner) result() (r Result, none bool, err error) {
	var comments []string
	s.comments = &comments
	defer func() {
		s.comments = nil
		r.Comment = strings.Join(comments, ")(")
	}()
	first, ok := s.keyword()
	if !ok {
		return r, false, ErrSyntax
	}
	s.skip()
	if first == "none" && (!s.more() || s.text[0] == ';') {
		return r, true, s.err()
	}
	if s.more() && s.text[0] == '.' {
		if err := s.property(&r, first); err != nil {
			return r, false, err
		}
	} else {
		r.Method = first
		if s.byte('/') {
			s.skip()
			r.Version = s.word("0123456789")
			s.skip()
		}
		if !s.byte('=') {
			return r, false, ErrSyntax
		}
		s.skip()
		if r.Result, ok = s.keyword(); !ok {
			return r, false, ErrSyntax
		}
	}
	return r, false, s.properties(&r)
}

// properties takes reason and properties.
func (s *scanner) properties(r *Result) error {
	for s.skip(); s.more() && s.text[0] != ';'; s.skip() {
		word, ok := s.keyword()
		if !ok {
			return ErrSyntax
		}
		if s.skip(); word == "reason" && s.byte('=') {
			s.skip()
			if r.Reason, ok = s.value(); !ok {
				return ErrSyntax
			}
			continue
		}
		if err := s.property(r, word); err != nil {
			return err
		}
	}
	return s.err()
}

// property takes the rest of a property of which the first word is read.
func (s *scanner) property(r *Result, word string) error {
	if len(r.Properties) == maxProperties {
		return ErrTooLong
	}
	p := Property{Name: word}
	if s.byte('.') {
		s.skip()
		name, ok := s.keyword()
		if !ok {
			return ErrSyntax
		}
		p.Type, p.Name = word, name
		s.skip()
	}
	if !s.byte('=') {
		return ErrSyntax
	}
	s.skip()
	p.Value, _ = s.value() // may be empty
	if strings.HasPrefix(s.text, "@") {
		more, _ := s.value() // "local part"@domain
		p.Value += more
	}
	r.Properties = append(r.Properties, p)
	return s.err()
}
