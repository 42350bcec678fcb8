// Package header holds a message's header section as RFC 5322 section 2.2 describes it: fields in order, each with its text
// exactly as it arrived. It reads a section from a stream, finds, adds and removes fields, unfolds them, and formats dates.
//
// Lines end with LF alone inside the program.
//
// Trust: fields come from message senders; limits bound what is kept of them, NULs are replaced.
package header

import (
	"iter"
	"strings"
)

// Field is one header field. It has the shape of mail.Header, so that the one converts to the other.
type Field struct {
	// Type is a letter for the fields a mail transfer agent looks at: one of the Type constants.
	Type byte
	// Text is the whole field: name, colon, body with its folding, final newline.
	Text string
}

// Letters for Field.Type.
const (
	TypeOther     = ' '
	TypeBcc       = 'B'
	TypeCc        = 'C'
	TypeFrom      = 'F'
	TypeMessageID = 'I'
	TypeReceived  = 'P'
	TypeReplyTo   = 'R'
	TypeSender    = 'S'
	TypeTo        = 'T'
	TypeDeleted   = '*'
)

// typeRows gives the letter of each field name that has one, by length and first letter to keep look-ups cheap.
var typeRows = [...]struct {
	name   string
	letter byte
}{
	{"to", TypeTo}, {"cc", TypeCc}, {"bcc", TypeBcc}, {"from", TypeFrom}, {"sender", TypeSender},
	{"received", TypeReceived}, {"reply-to", TypeReplyTo}, {"message-id", TypeMessageID},
}

// TypeFor returns the letter of a field name, TypeOther for most.
func TypeFor(name string) byte {
	for _, row := range typeRows {
		if len(row.name) == len(name) && strings.EqualFold(row.name, name) {
			return row.letter
		}
	}
	return TypeOther
}

// NewField makes a field of a complete text. A missing final newline is added.
func NewField(text string) Field {
	if !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	f := Field{Text: text}
	f.Type = TypeFor(f.Name())
	return f
}

// Deleted reports whether the field has been removed or replaced.
func (f Field) Deleted() bool { return f.Type == TypeDeleted }

// Name returns the field's name as written, without the white space that may stand before the colon.
func (f Field) Name() string {
	i := strings.IndexByte(f.Text, ':')
	if i < 0 {
		return ""
	}
	return strings.TrimRight(f.Text[:i], " \t\r\n\v\f")
}

// Is reports whether the field has the name, without regard to the case of ASCII letters.
func (f Field) Is(name string) bool {
	n := len(name)
	if len(f.Text) <= n || !strings.EqualFold(f.Text[:n], name) {
		return false
	}
	for i := n; i < len(f.Text); i++ {
		switch f.Text[i] {
		case ':':
			return true
		case ' ', '\t', '\n', '\r', '\v', '\f':
		default:
			return false
		}
	}
	return false
}

// Body returns what follows the colon: leading white space, folding and the final newline included.
func (f Field) Body() string {
	i := strings.IndexByte(f.Text, ':')
	return f.Text[i+1:]
}

// Value returns the body on one line: unfolded, without white space around it.
func (f Field) Value() string { return strings.Trim(Unfold(f.Body()), " \t\r\n") }

// Unfold removes the newlines of folding and keeps the white space after them (RFC 5322 section 2.2.3). A newline at the
// end is removed as well.
func Unfold(s string) string {
	if strings.IndexByte(s, '\n') < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '\n' {
			if n := len(b); n > 0 && b[n-1] == '\r' {
				b = b[:n-1]
			}
			continue
		}
		b = append(b, s[i])
	}
	return string(b)
}

// HasName reports whether text begins like a header field: a name of printable characters without colon, perhaps white
// space, and a colon. It returns the offset of the colon. Names with 8-bit characters, and empty ones, are accepted, as
// messages have them.
func HasName(text string) (int, bool) {
	i := 0
	for i < len(text) && text[i] > ' ' && text[i] != 0x7f && text[i] != ':' {
		i++
	}
	for i < len(text) && (text[i] == ' ' || text[i] >= '\t' && text[i] <= '\r') {
		if i == 0 {
			return 0, false
		}
		i++
	}
	return i, i < len(text) && text[i] == ':'
}

// Section is an ordered list of fields. The zero value is an empty section.
type Section struct {
	fields []Field
}

// NewSection returns a section of the given fields, which it takes over.
func NewSection(fields []Field) *Section { return &Section{fields: fields} }

// Fields returns the fields in order, removed ones included. The slice belongs to the section.
func (s *Section) Fields() []Field { return s.fields }

// Live goes through the fields that are not removed, with their index in Fields.
func (s *Section) Live() iter.Seq2[int, Field] {
	return func(yield func(int, Field) bool) {
		for i, f := range s.fields {
			if f.Type != TypeDeleted && !yield(i, f) {
				return
			}
		}
	}
}

// All goes through the fields of that name that are not removed, with their index in Fields.
func (s *Section) All(name string) iter.Seq2[int, Field] {
	return func(yield func(int, Field) bool) {
		for i, f := range s.fields {
			if f.Type != TypeDeleted && f.Is(name) && !yield(i, f) {
				return
			}
		}
	}
}

// Find returns the first field of that name that is not removed.
func (s *Section) Find(name string) (Field, bool) {
	for _, f := range s.All(name) {
		return f, true
	}
	return Field{}, false
}

// Append adds a field at the end.
func (s *Section) Append(f Field) { s.fields = append(s.fields, f) }

// Prepend adds a field at the top.
func (s *Section) Prepend(f Field) { s.Insert(0, f) }

// Insert adds a field before the one with that index in Fields.
func (s *Section) Insert(at int, f Field) {
	s.fields = append(s.fields, Field{})
	copy(s.fields[at+1:], s.fields[at:])
	s.fields[at] = f
}

// InsertAfterReceived adds a field after the Received: fields the section begins with.
func (s *Section) InsertAfterReceived(f Field) { s.Insert(s.afterTrace(false), f) }

// InsertAfterTrace adds a field after the Received: and Resent- fields the section begins with, that is where RFC 5322
// section 3.6 puts new ones: after the trace information.
func (s *Section) InsertAfterTrace(f Field) { s.Insert(s.afterTrace(true), f) }

// afterTrace returns the index after the leading block of trace fields; removed fields inside it belong to it.
func (s *Section) afterTrace(resent bool) int {
	after := 0
	for i, f := range s.fields {
		switch {
		case f.Type == TypeDeleted:
		case f.Type == TypeReceived || f.Is("received"), resent && isResent(f):
			after = i + 1
		default:
			return after
		}
	}
	return after
}

func isResent(f Field) bool {
	const prefix = "resent-"
	return len(f.Text) > len(prefix) && strings.EqualFold(f.Text[:len(prefix)], prefix)
}

// InsertBefore adds a field before the first one of that name, or at the top when there is none.
func (s *Section) InsertBefore(name string, f Field) {
	for i := range s.All(name) {
		s.Insert(i, f)
		return
	}
	s.Prepend(f)
}

// InsertAfter adds a field after the last one of that name, or at the end when there is none.
func (s *Section) InsertAfter(name string, f Field) {
	at := len(s.fields)
	for i := range s.All(name) {
		at = i + 1
	}
	s.Insert(at, f)
}

// Delete marks the field with that index in Fields as removed.
func (s *Section) Delete(at int) { s.fields[at].Type = TypeDeleted }

// DeleteAll marks every field of that name as removed and returns how many there were.
func (s *Section) DeleteAll(name string) int {
	n := 0
	for i := range s.All(name) {
		s.fields[i].Type = TypeDeleted
		n++
	}
	return n
}

// Replace marks the field with that index as removed and puts f in its place; the old one stays behind it.
func (s *Section) Replace(at int, f Field) {
	s.fields[at].Type = TypeDeleted
	s.Insert(at, f)
}

// Size returns the number of bytes of the fields that are not removed.
func (s *Section) Size() int {
	n := 0
	for _, f := range s.Live() {
		n += len(f.Text)
	}
	return n
}

// Append to dst the text of all fields that are not removed, without the empty line that ends a section.
func (s *Section) AppendTo(dst []byte) []byte {
	for _, f := range s.Live() {
		dst = append(dst, f.Text...)
	}
	return dst
}
