package address

import "strings"

// FindEnd returns the offset in text of the end of its first address: that of the comma after it, or the length of text.
// Commas in quoted strings, comments, angle brackets and source routes do not count (RFC 5322 section 3.4). A
// source route is seen only at the very start of text. With newlineEnds a newline outside quotes and comments ends an address as well, as it does in alias files.
func FindEnd(text string, newlineEnds bool) int {
	i := 0
	routed := strings.HasPrefix(text, "@")
	for i < len(text) {
		c := text[i]
		switch {
		case c == ',' && !routed, c == '\n' && newlineEnds:
			return i
		case c == ':':
			routed = false
			i++
		case c == '\\':
			i = min(i+2, len(text))
		case c == '"':
			i = skipQuoted(text, i)
		case c == '(':
			i = skipComment(text, i)
		case c == '<':
			i = skipAngle(text, i)
		default:
			i++
		}
	}
	return i
}

// skipQuoted returns the offset after the quoted string that opens at i, or the length of s when it is not closed.
func skipQuoted(s string, i int) int {
	end, _ := scanQuoted(s, i)
	return end
}

// scanQuoted is skipQuoted that also reports whether the string is closed.
func scanQuoted(s string, i int) (int, bool) {
	for i++; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i + 1, true
		}
	}
	return len(s), false
}

// skipAngle returns the offset after the bracket that closes the one at i, or the length of s.
func skipAngle(s string, i int) int {
	for i++; i < len(s); {
		switch s[i] {
		case '\\':
			i += 2
		case '"':
			i = skipQuoted(s, i)
		case '(':
			i = skipComment(s, i)
		case '>':
			return i + 1
		default:
			i++
		}
	}
	return len(s)
}

// List goes through a comma-separated address list, such as the body of a To: field, one item at a time, and keeps the
// state of groups between items. The zero value of the unexported fields is right; make one with NewList.
type List struct {
	text    string
	pos     int
	options Options
}

// NewList returns a List over text whose items are read with options; groups are allowed.
func NewList(text string, options Options) *List {
	options.AllowGroup = true
	return &List{text: text, options: options}
}

// Item is one element of an address list.
type Item struct {
	// Text is the element as it stands in the list, without the comma.
	Text string
	// Offset is where Text begins in the list.
	Offset int
	// Mailbox is the address; its offsets count from the start of Text.
	Mailbox Mailbox
	// Err is a *SyntaxError if the element is no address, and nil otherwise.
	Err error
}

// Next returns the next item that is not empty, and false at the end of the list. The end of an empty group is no item.
func (l *List) Next() (Item, bool) {
	for {
		for l.pos < len(l.text) && (isSpace(l.text[l.pos]) || l.text[l.pos] == ',') {
			l.pos++
		}
		if l.pos >= len(l.text) {
			return Item{}, false
		}
		item := Item{Offset: l.pos, Text: l.text[l.pos : l.pos+FindEnd(l.text[l.pos:], false)]}
		l.pos += len(item.Text)
		before := l.options.InGroup
		item.Mailbox, item.Err = Extract(item.Text, l.options)
		l.options.InGroup = item.Mailbox.InGroup
		if item.Err != nil && emptyGroup(item.Text, before) {
			continue
		}
		return item, true
	}
}

// emptyGroup reports whether an element holds the start of a group, its end or both, and no address between them.
func emptyGroup(text string, inGroup bool) bool {
	s := strings.TrimSpace(text)
	if inGroup {
		return skipCommentsFrom(s, 0) == len(s) || s[skipCommentsFrom(s, 0)] == ';'
	}
	p := parser{text: s, options: Options{AllowGroup: true}}
	again, err := p.addressOrPhrase(&Mailbox{})
	if err != nil || !again {
		return false
	}
	p.skipComments()
	return p.pos == len(s) || s[p.pos] == ';'
}
