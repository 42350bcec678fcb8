package address

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// parser reads a text from left to right; pos is the next byte.
type parser struct {
	text    string
	pos     int
	options Options
	out     []byte
	last    int // after the last byte that went into out
	// bare says that the address stands outside angle brackets, where domain literals have always been taken: existing
	// alias files rely on it.
	bare bool
	// bracket says that an angle bracket is open.
	bracket bool
}

// peek returns the next byte, 0 at the end. (A NUL in the text counts as its end.)
func (p *parser) peek() byte {
	if p.pos < len(p.text) {
		return p.text[p.pos]
	}
	return 0
}

func (p *parser) at(c byte) bool { return p.pos < len(p.text) && p.text[p.pos] == c }

func fail(format string, args ...any) *SyntaxError {
	return &SyntaxError{Text: fmt.Sprintf(format, args...)}
}

// skipComments moves over white space and comments. A comment that is not closed ends with the text.
func (p *parser) skipComments() { p.pos = skipCommentsFrom(p.text, p.pos) }

func skipCommentsFrom(s string, i int) int {
	for i < len(s) {
		switch {
		case isSpace(s[i]):
			i++
		case s[i] == '(':
			i = skipComment(s, i)
		default:
			return i
		}
	}
	return i
}

// skipComment returns the offset after the comment that opens at i, or the length of s when it is not closed.
func skipComment(s string, i int) int {
	end, _ := scanComment(s, i)
	return end
}

// scanComment is skipComment that also reports whether the comment is closed. Comments nest and hold quoted pairs.
func scanComment(s string, i int) (int, bool) {
	level := 0
	for i < len(s) {
		c := s[i]
		i++
		switch c {
		case '\\':
			if i < len(s) {
				i++
			}
		case '(':
			level++
		case ')':
			if level--; level == 0 {
				return i, true
			}
		}
	}
	return i, false
}

func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

func isAlnum(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// endsWord reports whether c cannot stand unquoted in a word of a local part or phrase: the specials of RFC 5322 section
// 3.2.3 (the dot is handled apart), white space and control characters.
func endsWord(c byte) bool {
	if c <= ' ' || c == 0x7f {
		return true
	}
	switch c {
	case '(', ')', '<', '>', '@', ',', ';', ':', '"', '[', ']', '.':
		return true
	}
	return false
}

const (
	errLocalPart     = "missing or malformed local part"
	errDoubleQuote   = "unmatched doublequote in local part"
	errExpectedWord  = " (expected word or \"<\")"
	errDomain        = "domain missing or malformed"
	errInvalidUTF8   = "invalid UTF-8 byte sequence"
	errNoLiterals    = "domain literals not allowed"
	errLiteral       = "malformed domain literal"
	errTooLong       = "address is ridiculously long: %.64s..."
	errMayNotFollow  = "malformed address: %s may not follow %s"
	errEmpty         = "empty address"
	errWordOrAt      = "\"@\" or \".\" expected after \"%s\""
	errNoBracket     = "'>' missing at end of address"
	errRouteColon    = "colon expected after route list"
	errRouteNoLocal  = "no local part"
	errRouteNoDomain = "domain missing in source-routed address"
)

// mailbox reads the whole text as one address.
func (p *parser) mailbox() (Mailbox, *SyntaxError) {
	var m Mailbox
	again, err := p.addressOrPhrase(&m)
	if err == nil && again {
		p.options.InGroup = true
		_, err = p.addressOrPhrase(&m)
	}
	if err != nil {
		return m, err
	}
	m.Address = string(p.out)
	if len(m.Address) > MaxLength {
		return m, fail(errTooLong, m.Address)
	}
	p.skipComments()
	if p.options.InGroup && p.at(';') {
		p.options.InGroup = false
		return m, nil
	}
	if p.peek() != 0 {
		return m, fail(errMayNotFollow, truncate(p.text[p.pos:], 32), p.text[:p.pos])
	}
	return m, nil
}

// addressOrPhrase reads an address that starts with a word: a bare address, a display name and a bracketed one, or, where
// groups are allowed, the name of a group; then it reports true, and an address is to be read after it.
func (p *parser) addressOrPhrase(m *Mailbox) (bool, *SyntaxError) {
	p.skipComments()
	m.Start = p.pos
	p.out = p.out[:0]
	switch {
	case p.at('@'):
		return false, p.routed(m)
	case p.at('<'):
		return false, p.bracketed(m)
	}
	if err := p.localPart(true); err != nil {
		return false, err
	}
	switch c := p.peek(); {
	case c == '@':
		p.bare = true
		return false, p.atDomain(m)
	case c == 0 || c == ';':
		if len(p.out) == 0 {
			p.emptyGroup()
			return false, fail(errEmpty)
		}
		m.End = p.end()
		return false, nil
	}
	return p.phrase(m)
}

// emptyGroup notes the end of a group that stands alone, as in "undisclosed-recipients:;".
func (p *parser) emptyGroup() {
	if p.options.InGroup && p.at(';') {
		p.options.InGroup = false
	}
}

// phrase reads what follows the first word of a display name, up to and with the bracketed address, or up to the colon
// that makes it the name of a group.
func (p *parser) phrase(m *Mailbox) (bool, *SyntaxError) {
	for !p.at('<') {
		if p.options.AllowGroup && !p.options.InGroup && p.at(':') {
			p.pos++
			return true, nil
		}
		before := p.pos
		if err := p.localPart(false); err != nil {
			err.Text += errExpectedWord
			return false, err
		}
		if p.pos == before {
			return false, fail(errLocalPart + errExpectedWord)
		}
	}
	p.out = p.out[:0]
	return false, p.bracketed(m)
}

// bracketed reads "<" route, local part, domain ">".
func (p *parser) bracketed(m *Mailbox) *SyntaxError {
	open := 1
	p.bracket = true
	p.pos++
	if p.options.StripExcessAngles {
		for p.at('<') {
			open++
			p.pos++
		}
	}
	m.Start = p.pos
	p.skipComments()
	if p.at('@') {
		if err := p.routed(m); err != nil {
			return err
		}
	} else {
		if err := p.plain(m); err != nil {
			return err
		}
	}
	p.skipComments()
	for ; open > 0; open-- {
		if !p.at('>') {
			if p.pos >= len(p.text) || p.peek() == 0 {
				return fail(errNoBracket)
			}
			return fail(errMayNotFollow, truncate(p.text[p.pos:], 32), p.text[:p.pos])
		}
		p.pos++
	}
	return nil
}

// plain reads a local part and its domain inside brackets.
func (p *parser) plain(m *Mailbox) *SyntaxError {
	if p.at('>') && p.options.AllowNull {
		m.End = p.pos
		return nil
	}
	if err := p.localPart(false); err != nil {
		return err
	}
	if p.at('@') {
		return p.atDomain(m)
	}
	if p.at('>') {
		m.End = p.end()
		return nil
	}
	return fail(errWordOrAt, p.out)
}

// routed reads a source route, which is thrown away, and the address after it, which must have a domain.
func (p *parser) routed(m *Mailbox) *SyntaxError {
	if err := p.route(); err != nil {
		return err
	}
	p.out = p.out[:0]
	if err := p.localPart(false); err != nil {
		return err
	}
	switch c := p.peek(); c {
	case '@':
		return p.atDomain(m)
	case 0, ';':
		return fail(errRouteNoDomain)
	case '>':
		if p.bracket {
			return fail(errRouteNoDomain)
		}
	}
	return fail(errWordOrAt, p.out)
}

// route reads "@a,@b:" (RFC 5322 section 4.4).
func (p *parser) route() *SyntaxError {
	comma := false
	for p.at('@') {
		p.pos++
		p.out = p.out[:0]
		if err := p.domain(); err != nil {
			return err
		}
		if !p.at(',') {
			if p.at(':') {
				p.pos++
				return nil
			}
			if comma {
				return fail(errRouteColon)
			}
			return fail(errRouteNoLocal)
		}
		comma = true
		p.pos++
		p.skipComments()
	}
	if p.at(':') {
		p.pos++
		return nil
	}
	return fail(errRouteColon)
}

// atDomain reads "@" and the domain, and notes where they are.
func (p *parser) atDomain(m *Mailbox) *SyntaxError {
	p.out = append(p.out, '@')
	p.pos++
	m.Domain = len(p.out)
	if err := p.domain(); err != nil {
		return err
	}
	m.End = p.end()
	return nil
}

// localPart reads words and dots into out. Dots may stand in any number anywhere; nothing at all is an error unless
// allowNone.
func (p *parser) localPart(allowNone bool) *SyntaxError {
	p.skipComments()
	begin := len(p.out)
	for {
		if p.at('"') {
			if !p.quoted() {
				return fail(errDoubleQuote)
			}
		} else {
			p.word()
		}
		p.skipComments()
		if !p.at('.') {
			break
		}
		for p.at('.') {
			p.out = append(p.out, '.')
			p.pos++
			p.last = p.pos
			p.skipComments()
		}
	}
	if len(p.out) == begin && !allowNone {
		return fail(errLocalPart)
	}
	return nil
}

// quoted copies a quoted string, quotes and quoted pairs as they are, and reports whether it was closed.
func (p *parser) quoted() bool {
	end, closed := scanQuoted(p.text, p.pos)
	if closed {
		p.out = append(p.out, p.text[p.pos:end]...)
		p.last = end
	}
	p.pos = end
	return closed
}

// word copies an unquoted word; a backslash takes any character with it.
func (p *parser) word() {
	begin := p.pos
	for p.pos < len(p.text) && !endsWord(p.text[p.pos]) {
		if p.text[p.pos] == '\\' && p.pos+1 < len(p.text) {
			p.pos++
		}
		p.pos++
	}
	if p.pos > begin {
		p.out = append(p.out, p.text[begin:p.pos]...)
		p.last = p.pos
	}
}

// domain reads a domain or domain literal into out, with comments and white space around its dots.
func (p *parser) domain() *SyntaxError {
	p.skipComments()
	if p.at('[') {
		return p.literal()
	}
	for {
		if err := p.label(); err != nil {
			return err
		}
		p.last = p.pos
		p.skipComments()
		if !p.at('.') {
			return nil
		}
		p.out = append(p.out, '.')
		p.pos++
		p.last = p.pos
		p.skipComments()
		if p.options.StripTrailingDot && !p.startsLabel() && !p.at('.') {
			p.out = p.out[:len(p.out)-1]
			return nil
		}
	}
}

// startsLabel reports whether the next byte can begin a label.
func (p *parser) startsLabel() bool {
	c := p.peek()
	return isAlnum(c) || p.options.AllowUTF8 && c >= utf8.RuneSelf
}

// label reads one label of a domain.
func (p *parser) label() *SyntaxError {
	if !p.startsLabel() {
		return fail(errDomain)
	}
	for p.pos < len(p.text) {
		c := p.text[p.pos]
		switch {
		case isAlnum(c) || c == '-':
			p.out = append(p.out, c)
			p.pos++
		case p.options.AllowUTF8 && c >= utf8.RuneSelf:
			r, n := utf8.DecodeRuneInString(p.text[p.pos:])
			if r == utf8.RuneError && n == 1 {
				return fail(errInvalidUTF8)
			}
			p.out = append(p.out, p.text[p.pos:p.pos+n]...)
			p.pos += n
		default:
			return nil
		}
	}
	return nil
}

// literal reads a domain literal, brackets included.
func (p *parser) literal() *SyntaxError {
	if !p.options.AllowLiterals && !p.bare {
		return fail(errNoLiterals)
	}
	begin := p.pos
	p.pos++
	for p.pos < len(p.text) && isLiteralText(p.text[p.pos]) {
		p.pos++
	}
	if !p.at(']') {
		return fail(errLiteral)
	}
	p.pos++
	p.out = append(p.out, p.text[begin:p.pos]...)
	p.last = p.pos
	p.skipComments()
	return nil
}

// isLiteralText is dtext of RFC 5321 section 4.1.2: printable ASCII without brackets and backslash.
func isLiteralText(c byte) bool {
	return c > ' ' && c < 0x7f && c != '[' && c != ']' && c != '\\'
}

// end returns where the address that has just been read ends: inside angle brackets comments after it belong to it, white space
// does not.
func (p *parser) end() int {
	if !p.bracket {
		return p.last
	}
	i := p.pos
	for i > 0 && isSpace(p.text[i-1]) {
		i--
	}
	return i
}

// truncate cuts s to at most n bytes.
func truncate(s string, n int) string {
	if i := strings.IndexByte(s, 0); i >= 0 {
		s = s[:i]
	}
	if len(s) > n {
		return s[:n]
	}
	return s
}
