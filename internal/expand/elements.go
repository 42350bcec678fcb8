package expand

import "strings"

// SplitList splits the text of a list (spec 6.21): an optional "<x" at the start sets the separator x, by default a colon;
// space around items is dropped; a doubled separator stands for itself, unless it is a control character.
// It returns the separator and the items.
func SplitList(text string) (separator byte, items []string) {
	l := NewElements(text)
	for {
		item, ok := l.Next()
		if !ok {
			return l.Separator, items
		}
		items = append(items, item)
	}
}

// Elements goes through the items of a list one by one.
type Elements struct {
	rest      string
	Separator byte
}

// NewElements begins with a list.
func NewElements(text string) Elements {
	text = trimLeft(text)
	l := Elements{rest: text, Separator: ':'}
	if text != "" && text[0] == '<' {
		if len(text) == 1 {
			l.rest = ""
		} else if c := text[1]; c < ' ' || c == 0x7f || isPunctuation(c) {
			l.Separator = c
			l.rest = text[2:]
		}
	}
	return l
}

// listSpace is the white space around items.
const listSpace = " \t\n\v\f\r"

func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

// trimLeft and trimRight drop white space; package strings makes a set of it each time.
func trimLeft(text string) string {
	for text != "" && isSpace(text[0]) {
		text = text[1:]
	}
	return text
}

func trimRight(text string) string {
	end := len(text)
	for end > 0 && isSpace(text[end-1]) {
		end--
	}
	if end < len(text) && end > 0 && text[end-1] == '\\' {
		end++ // a backslash keeps the space behind it
	}
	return text[:end]
}

func isPunctuation(c byte) bool {
	return c > ' ' && c < 0x7f && !(c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z')
}

// Next returns the next item. ok is false at the end; what follows the last separator is an item only if it is not empty.
func (l *Elements) Next() (item string, ok bool) {
	for l.rest != "" && l.rest[0] != l.Separator && isSpace(l.rest[0]) {
		l.rest = l.rest[1:]
	}
	if l.rest == "" {
		return "", false
	}
	control := l.Separator < ' ' || l.Separator == 0x7f
	end := strings.IndexByte(l.rest, l.Separator)
	if end < 0 {
		item, l.rest = l.rest, ""
		return trimRight(item), true
	}
	if control || end+1 >= len(l.rest) || l.rest[end+1] != l.Separator {
		item, l.rest = l.rest[:end], l.rest[end+1:]
		return trimRight(item), true
	}
	var b strings.Builder
	i := 0
	for ; i < len(l.rest); i++ {
		if l.rest[i] == l.Separator {
			if i++; i == len(l.rest) || l.rest[i] != l.Separator {
				break
			}
		}
		b.WriteByte(l.rest[i])
	}
	l.rest = l.rest[min(i, len(l.rest)):]
	return trimRight(b.String()), true
}

// Rest is the text behind the items that Next has returned.
func (l *Elements) Rest() string { return l.rest }

// AppendElement adds an item to a list that is being built, in the way map and its like write them: separators in it are
// doubled; one that is empty or begins with the separator, and is not the first, has a space before it.
func AppendElement(list []byte, first bool, separator byte, item string) []byte {
	if !first {
		list = append(list, separator)
		if item == "" || item[0] == separator {
			list = append(list, ' ')
		}
	}
	for i := range len(item) {
		if item[i] == separator {
			list = append(list, separator)
		}
		list = append(list, item[i])
	}
	return list
}
