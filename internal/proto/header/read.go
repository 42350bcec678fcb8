package header

import (
	"bufio"
	"errors"
	"io"
	"strings"
)

// Source is what a section is read from: *bufio.Reader has the method. Lines end with LF.
type Source interface {
	// ReadSlice returns bytes up to and with the delimiter; with bufio.ErrBufferFull the start of a longer line; with io.EOF
	// the last, unfinished line. The bytes are valid until the next call.
	ReadSlice(delim byte) ([]byte, error)
	// Peek returns the next n bytes without reading them; only 1 is asked for.
	Peek(n int) ([]byte, error)
}

// Limits bound a header section. Zero means no limit.
type Limits struct {
	// Line is the longest field, in bytes, continuations joined, without the final newline.
	Line int
	// Total is the largest section, in bytes.
	Total int
}

// Errors of Read. After either the rest of the message has not been read.
var (
	ErrLineTooLong = errors.New("header line too long")
	ErrTooLong     = errors.New("header section too long")
)

// Result is what Read found.
type Result struct {
	// Fields are the fields in order.
	Fields []Field
	// Rest holds bytes of the body that had to be read to see that they are no header field; the body starts with them.
	Rest []byte
	// Blank says that an empty line ended the section; it is neither in Fields nor in Rest.
	Blank bool
	// EOF says that the source ended within or right after the section.
	EOF bool
	// Size is the number of bytes read for Fields.
	Size int
}

// reading is the state of one Read.
type reading struct {
	source Source
	limits Limits
	result Result
	field  []byte // the field being collected
	line   []byte // a line longer than the source's buffer
}

// Read reads a header section: fields up to the first empty line, or up to the first line that neither is a field nor
// continues one. Lines that hold nothing but white space and end a field are dropped from it; NULs become question marks.
// Errors are ErrLineTooLong, ErrTooLong and those of the source other than io.EOF.
func Read(source Source, limits Limits) (Result, error) {
	r := reading{source: source, limits: limits}
	for {
		line, err := r.next()
		if err != nil && err != io.EOF {
			return r.result, err
		}
		r.result.EOF = err == io.EOF
		if len(line) == 0 {
			r.flush()
			return r.result, nil
		}
		if done, err := r.take(line); done || err != nil {
			return r.result, err
		}
		if r.result.EOF {
			r.flush()
			return r.result, nil
		}
	}
}

// take adds one line to the section and reports whether the section is over. A field is complete when the next line does not begin
// with white space; that is looked at in the source, where it may still bear the dot of SMTP.
func (r *reading) take(line []byte) (bool, error) {
	if len(line) == 1 && line[0] == '\n' || len(line) == 2 && line[0] == '\r' && line[1] == '\n' {
		r.result.Blank = true
		return true, nil
	}
	if len(r.field) == 0 && !mayStart(line) {
		r.result.Rest = append(r.result.Rest, line...) // before Peek, which may move what line stands in
		if _, err := r.source.Peek(1); err != nil && err != io.EOF {
			return true, err // as with a field, whose end shows only then
		}
		return true, nil
	}
	if err := r.add(line); err != nil || r.result.EOF {
		return false, err
	}
	if next, _ := r.source.Peek(1); len(next) == 1 && (next[0] == ' ' || next[0] == '\t') {
		return false, nil
	}
	r.flush()
	return len(r.result.Rest) > 0, nil
}

// mayStart reports whether a line can be the first of a field; the colon may still follow on a continuation line.
func mayStart(line []byte) bool {
	i := 0
	for i < len(line) && line[i] > ' ' && line[i] != 0x7f && line[i] != ':' {
		i++
	}
	if i == 0 {
		return line[0] == ':'
	}
	for i < len(line) && (line[i] == ' ' || line[i] >= '\t' && line[i] <= '\r') {
		i++
	}
	return i == len(line) || line[i] == ':'
}

// add appends a line to the field being collected.
func (r *reading) add(line []byte) error {
	r.result.Size += len(line)
	if r.limits.Total > 0 && r.result.Size > r.limits.Total {
		return ErrTooLong
	}
	if r.limits.Line > 0 && len(r.field)+len(line) > r.limits.Line+1 {
		return ErrLineTooLong
	}
	r.field = append(r.field, line...)
	return nil
}

// flush ends the field being collected. One that turned out to have no colon is the start of the body.
func (r *reading) flush() {
	if len(r.field) == 0 {
		return
	}
	text := string(r.field)
	r.field = r.field[:0]
	if _, ok := HasName(text); !ok {
		r.result.Rest = []byte(text)
		r.result.Size -= len(text)
		return
	}
	if strings.IndexByte(text, 0) >= 0 {
		text = strings.ReplaceAll(text, "\x00", "?")
	}
	if text[len(text)-1] != '\n' {
		text += "\n"
	}
	r.result.Fields = append(r.result.Fields, NewField(trimBlankLines(text)))
}

// trimBlankLines removes lines of nothing but white space from the end of a field.
func trimBlankLines(text string) string {
	for {
		i := len(text) - 2
		for i >= 0 && (text[i] == ' ' || text[i] == '\t') {
			i--
		}
		if i < 0 || text[i] != '\n' {
			return text
		}
		text = text[:i+1]
	}
}

// next returns the next whole line, with what limits allow of it. An empty line with io.EOF is the end.
func (r *reading) next() ([]byte, error) {
	line, err := r.source.ReadSlice('\n')
	if !errors.Is(err, bufio.ErrBufferFull) {
		return line, err
	}
	r.line = append(r.line[:0], line...)
	for errors.Is(err, bufio.ErrBufferFull) {
		if r.limits.Total > 0 && r.result.Size+len(r.line) > r.limits.Total {
			return nil, ErrTooLong
		}
		line, err = r.source.ReadSlice('\n')
		r.line = append(r.line, line...)
	}
	return r.line, err
}
