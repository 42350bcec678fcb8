package syntax

import (
	"fmt"
	"strings"
)

// maxDepth limits the nesting of braces, so that no string can exhaust the stack.
const maxDepth = 150

// maxCopied is the most memory that is kept for the next literal with escapes.
const maxCopied = 64 << 10

type parser struct {
	words Words
	text  string
	at    int
	depth int
	bad   *Bad // the mistake; when it is set everything returns
	// openHeader says that a header name ran over a closing brace, for the messages about braces that do not fit then.
	openHeader bool
	parts      []Node // of the texts that are being read: those of the innermost are on top
	copied     []byte // room for a literal with escapes
	room
}

// Parse reads the whole text. The result is never nil.
func Parse(text string, words Words) *Text {
	p := &parser{words: words, text: text}
	return p.parseText(false, true)
}

// Mistake returns the message about what is wrong in the text, "" if nothing is.
func Mistake(text string, words Words) string {
	p := &parser{words: words, text: text}
	p.parseText(false, true)
	if p.bad == nil {
		return ""
	}
	return p.bad.Text
}

// fail records the mistake. Where a header name has a closing brace in it, the message about braces that do not fit says so.
func (p *parser) fail(format string, args ...any) *Bad {
	if p.bad != nil {
		return p.bad
	}
	p.bad = &Bad{fmt.Sprintf(format, args...)}
	if p.openHeader {
		for _, start := range [...]string{"Not enough arguments", "missing '", "curly-bracket problem"} {
			if strings.HasPrefix(format, start) {
				p.bad.Text = "missing or misplaced { or }" + couldBeHeader
			}
		}
	}
	return p.bad
}

const couldBeHeader = " - could be header name not terminated by colon"

func (p *parser) more() bool { return p.at < len(p.text) }

// peek returns the next byte, 0 at the end.
func (p *parser) peek() byte {
	if p.at < len(p.text) {
		return p.text[p.at]
	}
	return 0
}

func (p *parser) rest() string { return p.text[p.at:] }

func (p *parser) skipSpace() {
	for p.at < len(p.text) && isSpace(p.text[p.at]) {
		p.at++
	}
}

// accept skips space and then the byte, if it is there.
func (p *parser) accept(c byte) bool {
	p.skipSpace()
	if p.peek() != c {
		return false
	}
	p.at++
	return true
}

func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }
func isDigit(c byte) bool { return c >= '0' && c <= '9' }
func isAlpha(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }
func isAlnum(c byte) bool { return isAlpha(c) || isDigit(c) }

// name reads letters, digits, underscores and the bytes of also.
func (p *parser) name(also string) string {
	start := p.at
	for p.at < len(p.text) && (isAlnum(p.text[p.at]) || p.text[p.at] == '_' || also != "" && strings.IndexByte(also, p.text[p.at]) >= 0) {
		p.at++
	}
	return p.text[start:p.at]
}

// parseText reads up to the end of the text or, if nested, up to and including the closing brace. Without active, dollars
// mean nothing.
func (p *parser) parseText(nested, active bool) *Text {
	t := p.texts.next()
	if nested && p.plain(t) {
		return t
	}
	start, first := p.at, len(p.parts)
	p.depth++
	bad := p.readParts(t, nested, active)
	p.depth--
	switch {
	case bad != nil || t.Bad != nil:
		t.Source = p.text[start:]
	case nested:
		t.Source = p.text[start : p.at-1]
	default:
		t.Source = p.text[start:p.at]
	}
	return p.finish(t, first, bad)
}

// plain reads a text that stands for itself up to its closing brace: most arguments are that simple. It is false if this is not one.
func (p *parser) plain(t *Text) bool {
	for i := p.at; i < len(p.text); i++ {
		switch p.text[i] {
		case '$', '\\':
			return false
		case '}':
			if p.depth >= maxDepth {
				return false
			}
			t.Source = p.text[p.at:i]
			if t.Source != "" {
				l := p.literals.next()
				l.S = t.Source
				t.only[0] = l
				t.Parts = t.only[:]
			}
			p.at = i + 1
			return true
		}
	}
	return false
}

// readParts puts the parts of a text on the stack. The mistake that it returns is not in any of them.
func (p *parser) readParts(t *Text, nested, active bool) *Bad {
	if p.depth > maxDepth {
		return p.fail("expansion is nested too deeply")
	}
	for p.at < len(p.text) {
		switch c := p.text[p.at]; {
		case c == '}' && nested:
			p.at++
			return nil
		case c == '$' && active:
			p.at++
			p.parts = append(p.parts, p.dollar())
			if t.Bad = p.bad; p.bad != nil {
				return nil
			}
		default:
			if p.literal(nested, active); p.bad != nil {
				return p.bad
			}
		}
	}
	if !nested {
		return nil
	}
	hint := ""
	if p.openHeader {
		hint = couldBeHeader
	}
	return p.fail("missing } at end of string%s", hint)
}

// finish gives a text its parts, which lie on the stack from first on, and the mistake that ends them, if there is one.
func (p *parser) finish(t *Text, first int, bad *Bad) *Text {
	if bad != nil {
		p.parts = append(p.parts, bad)
		t.Bad = bad
	}
	switch parts := p.parts[first:]; len(parts) {
	case 0:
	case 1:
		t.only[0] = parts[0]
		t.Parts = t.only[:]
	default:
		t.Parts = p.nodes.take(len(parts))
		copy(t.Parts, parts)
	}
	p.parts = p.parts[:first]
	return t
}

// literal reads text up to the next thing that means something. Where no backslash is in it, it is not copied.
func (p *parser) literal(nested, active bool) {
	start := p.at
	p.toSpecial(nested, active)
	text := p.text[start:p.at]
	if p.peek() == '\\' {
		copied := append(p.copied[:0], text...)
		for ok := true; ok && p.peek() == '\\'; {
			if copied, ok = p.escape(copied); !ok {
				p.fail(`\ at end of string`)
				break
			}
			start = p.at
			p.toSpecial(nested, active)
			copied = append(copied, p.text[start:p.at]...)
		}
		text = string(copied)
		if p.copied = copied; cap(copied) > maxCopied {
			p.copied = nil
		}
	}
	if text != "" {
		l := p.literals.next()
		l.S = text
		p.parts = append(p.parts, l)
	}
}

// toSpecial goes on to the next byte that may mean something.
func (p *parser) toSpecial(nested, active bool) {
	for p.at < len(p.text) {
		switch p.text[p.at] {
		case '\\':
			return
		case '$':
			if active {
				return
			}
		case '}':
			if nested {
				return
			}
		}
		p.at++
	}
}

// escape reads what a backslash begins and adds what it stands for.
func (p *parser) escape(literal []byte) ([]byte, bool) {
	p.at++
	if !p.more() {
		return literal, false
	}
	c := p.text[p.at]
	if c == 'N' {
		p.at++
		end := strings.Index(p.rest(), `\N`)
		if end < 0 {
			literal = append(literal, p.rest()...)
			p.at = len(p.text)
			return literal, true
		}
		literal = append(literal, p.rest()[:end]...)
		p.at += end + 2
		return literal, true
	}
	c, n := Unescape(p.rest())
	p.at += n
	if c == 0 { // a string of Exim's ends at a zero byte; the byte itself must not travel
		return literal, true
	}
	return append(literal, c), true
}

// Unescape gives the byte that the text after a backslash stands for (spec 11.2) and how many bytes of it that took:
// \n \r \t \b \f \v, up to three octal digits, x and up to two hexadecimal digits, or the byte itself. text must not be empty.
func Unescape(text string) (c byte, n int) {
	c = text[0]
	switch {
	case c >= '0' && c <= '7':
		value := 0
		for n < 3 && n < len(text) && text[n] >= '0' && text[n] <= '7' {
			value = value*8 + int(text[n]-'0')
			n++
		}
		return byte(value), n
	case c == 'x':
		value := 0
		for n = 1; n < 3 && n < len(text) && hexDigit(text[n]) >= 0; n++ {
			value = value*16 + hexDigit(text[n])
		}
		return byte(value), n
	case c == 'n':
		return '\n', 1
	case c == 'r':
		return '\r', 1
	case c == 't':
		return '\t', 1
	case c == 'b':
		return '\b', 1
	case c == 'f':
		return '\f', 1
	case c == 'v':
		return '\v', 1
	}
	return c, 1
}

func hexDigit(c byte) int {
	switch {
	case isDigit(c):
		return int(c - '0')
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}

// dollar reads what a dollar sign begins; the dollar itself is already read.
func (p *parser) dollar() Node {
	c := p.peek()
	switch {
	case isAlpha(c):
		start := p.at
		name := p.name("")
		if kind := headerKind(name); kind != 0 {
			p.at = start
			return p.header(kind)
		}
		row, note := p.words.Variable(name)
		if row == nil {
			return p.fail("unknown variable name \"%s\"%s", name, note)
		}
		return p.variable(name, row)
	case isDigit(c):
		return p.numbered(p.number())
	case c == '{':
		p.at++
		return p.braced()
	}
	return p.fail("$ not followed by letter, digit, or {")
}

// number reads digits; a number out of all proportion is as good as a large one.
func (p *parser) number() int {
	n := 0
	for isDigit(p.peek()) {
		n = min(n*10+int(p.text[p.at]-'0'), 1<<20)
		p.at++
	}
	return n
}

// headerKind tells whether a name after a dollar is that of a header, and in which form it is wanted.
func headerKind(name string) byte {
	for _, prefix := range [...]string{"h_", "header_", "bh_", "bheader_", "lh_", "lheader_", "rh_", "rheader_"} {
		if strings.HasPrefix(name, prefix) {
			return prefix[0]
		}
	}
	return 0
}

// header reads h_NAME: where the name ends at a colon, which belongs to it, or before white space or the end.
func (p *parser) header(kind byte) *Header {
	p.at += strings.IndexByte(p.rest(), '_') + 1
	start := p.at
	for p.at < len(p.text) && p.text[p.at] > ' ' && p.text[p.at] < 0x7f && p.text[p.at] != ':' {
		p.at++
	}
	h := &Header{kind, p.text[start:p.at]}
	if p.peek() == ':' && p.more() {
		p.at++
	}
	if strings.IndexByte(h.Name, '}') >= 0 {
		p.openHeader = true
	}
	return h
}

// braced reads what ${ begins.
func (p *parser) braced() Node {
	c := p.peek()
	if isDigit(c) {
		n := p.number()
		if p.peek() != '}' {
			return p.fail("} expected after number")
		}
		p.at++
		return p.numbered(n)
	}
	if !isAlpha(c) {
		return p.fail("letter or digit expected after ${")
	}
	name := p.name("-") // with negative numbers, as in substr_-1
	if row, shape, ok := p.words.Item(name); ok {
		it := p.items.next()
		it.Name, it.Row, it.Shape = name, row, shape
		it.Args = it.few[:0]
		return p.item(it)
	}
	switch p.peek() {
	case ':':
		p.at++
		return p.operator(name)
	case '}':
		p.at++
		row, note := p.words.Variable(name)
		if row == nil {
			return p.fail("unknown variable in \"${%s}\"%s", name, note)
		}
		return p.variable(name, row)
	}
	return p.fail("\"${%s\" is not a known operator (or a } is missing in a variable reference)", name)
}

// operator reads the subject of ${name: .
func (p *parser) operator(text string) Node {
	row, name, argument, ok := p.words.Operator(text)
	o := p.operators.next()
	o.Name, o.Argument, o.Row = name, argument, row
	o.Subject = p.parseText(true, true)
	if p.bad == nil && !ok {
		o.Name = text
		p.fail("unknown expansion operator \"%s\"", text)
	}
	o.Bad = p.bad
	return o
}
