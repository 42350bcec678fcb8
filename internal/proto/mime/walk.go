package mime

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"math"
	"slices"
	"strings"

	"exigo/internal/proto/header"
)

// Limits bound a Walker. Zero stands for the default in brackets.
type Limits struct {
	// Depth is how deep multiparts may nest (50), Parts how many parts a message may have (10000).
	Depth, Parts int
	// Header is the largest header section of a part in bytes (1 MB).
	Header int
}

// Errors of Walker.Next. The walk ends there.
var (
	ErrTooDeep      = errors.New("MIME parts nested too deeply")
	ErrTooManyParts = errors.New("too many MIME parts")
)

// maxBoundary is the longest boundary that is recognised; RFC 2046 section 5.1.1 allows 70.
const maxBoundary = 200

// Part is one part of a message: its header, and how it lies in the message.
type Part struct {
	// Header has the fields of the part's header section.
	Header []header.Field
	// Type is the media type in lower case ("text/plain"), "" without a Content-Type field; Parameters are those of the field.
	Type       string
	Parameters Parameters
	// Disposition is the value of Content-Disposition in lower case, with its parameters.
	Disposition           string
	DispositionParameters Parameters
	// Encoding is the value of Content-Transfer-Encoding in lower case.
	Encoding string
	// Index counts the parts from 0, which is the message itself; Depth is 0 for it, and Sibling counts the parts of a
	// multipart from 0.
	Index, Depth, Sibling int
	// Start is where the body begins, in bytes from the beginning of the message.
	Start int64
	// Parent is the multipart that holds the part, nil for the message itself.
	Parent *Part
}

// Multipart reports whether the part holds other parts.
func (p *Part) Multipart() bool { return strings.HasPrefix(p.Type, "multipart/") }

// Boundary returns the boundary parameter.
func (p *Part) Boundary() string { return p.Parameters.Get("boundary") }

// Filename returns the file name the part suggests, from Content-Disposition or else from Content-Type, in the character set
// wanted. It is the sender's choice and may be anything.
func (p *Part) Filename(charset string) string {
	name, ok := p.DispositionParameters.Find("filename")
	if !ok {
		// Some programs put "name" where "filename" belongs.
		if name, ok = p.DispositionParameters.Find("name"); !ok {
			if name, ok = p.Parameters.Find("name"); !ok {
				return ""
			}
		}
	}
	if name.Charset != "" {
		converted, _, _ := Convert([]byte(name.Value), name.Charset, charset)
		return string(converted)
	}
	decoded, _ := DecodeWords(name.Value, WordOptions{Charset: charset})
	return decoded
}

// CoverLetter reports whether the part is taken to be what the sender wrote, not an attachment: the message itself, the parts of
// multipart/alternative and multipart/related that are cover letters, and the first part of any other multipart that is.
func (p *Part) CoverLetter() bool {
	for ; p.Parent != nil; p = p.Parent {
		if t := p.Parent.Type; t != "multipart/alternative" && t != "multipart/related" && p.Sibling > 0 {
			return false
		}
	}
	return true
}

// Walker goes through the parts of a message in the order of their position. Bodies are streamed: nothing of them is kept.
type Walker struct {
	r        *bufio.Reader
	limits   Limits
	open     []multipart // innermost last
	parts    int
	current  bool  // a part has been given, its body may not have been read
	boundary bool  // a boundary line has been read
	closing  bool  // it was one that ends a multipart
	offset   int64 // of the byte that is read next
	atEnd    error // io.EOF or an error: nothing more can be read
	midLine  bool  // the next byte is not the first of a line
	// boundaryLength is the length of the boundary line that was read last.
	boundaryLength int
	pending        []byte // body not yet given to Read
	newline        []byte // a line end held back: it may belong to the boundary after it
	buffer         []byte
}

// multipart is one that has not ended.
type multipart struct {
	part     *Part
	boundary string
	children int
}

// NewWalker returns a walker over a message, header section first, with LF or CRLF line ends.
func NewWalker(r io.Reader, limits Limits) *Walker {
	if limits.Depth == 0 {
		limits.Depth = 50
	}
	if limits.Parts == 0 {
		limits.Parts = 10000
	}
	if limits.Header == 0 {
		limits.Header = 1 << 20
	}
	return &Walker{r: bufio.NewReaderSize(r, 8192), limits: limits}
}

// Body gives the body of a part as it is encoded, that of a multipart with all its parts, out of the message that a Walker found it in.
func (p *Part) Body(message io.ReaderAt) io.Reader {
	w := &Walker{r: bufio.NewReaderSize(io.NewSectionReader(message, p.Start, math.MaxInt64-p.Start), 8192), current: true}
	for holder := p.Parent; holder != nil; holder = holder.Parent {
		w.open = append(w.open, multipart{part: holder, boundary: holder.Boundary()})
	}
	slices.Reverse(w.open)
	return w
}

// Next returns the next part, after skipping what has not been read of the current one; io.EOF after the last. Other errors are
// ErrTooDeep, ErrTooManyParts, those of header.Read and those of the source.
func (w *Walker) Next() (*Part, error) {
	if err := w.skip(); err != nil {
		return nil, err
	}
	if w.parts >= w.limits.Parts {
		return nil, ErrTooManyParts
	}
	part := &Part{Index: w.parts, Depth: len(w.open)}
	if n := len(w.open); n > 0 {
		m := &w.open[n-1]
		part.Parent, part.Sibling = m.part, m.children
		m.children++
	}
	w.parts++
	w.current, w.boundary = true, false
	if err := w.readHeader(part); err != nil {
		return nil, err
	}
	if b := part.Boundary(); part.Multipart() && b != "" && len(b) <= maxBoundary {
		if len(w.open) >= w.limits.Depth {
			return nil, ErrTooDeep
		}
		w.open = append(w.open, multipart{part: part, boundary: b})
	}
	return part, nil
}

// skip reads up to the start of the next part.
func (w *Walker) skip() error {
	if !w.current {
		return w.atEnd
	}
	w.pending = nil
	for {
		for !w.boundary {
			if _, err := w.ReadSlice('\n'); err != nil && err != bufio.ErrBufferFull && !w.boundary {
				return err
			}
		}
		if !w.closing {
			return nil
		}
		w.boundary = false
	}
}

// readHeader reads the header section of a part.
func (w *Walker) readHeader(part *Part) error {
	result, err := header.Read(w, header.Limits{Total: w.limits.Header})
	if err != nil {
		return err
	}
	part.Header = result.Fields
	w.pending = result.Rest
	part.Start = w.offset - int64(len(result.Rest))
	if w.boundary { // the header section ended with a boundary, which belongs to no part
		part.Start = w.offset - int64(w.boundaryLength)
	}
	w.newline = w.newline[:0]
	for _, f := range part.Header {
		switch body := f.Body(); {
		case part.Type == "" && f.Is("content-type"):
			part.Type, part.Parameters = ParseParameters(body)
		case part.Disposition == "" && f.Is("content-disposition"):
			part.Disposition, part.DispositionParameters = ParseParameters(body)
		case part.Encoding == "" && f.Is("content-transfer-encoding"):
			part.Encoding, _ = ParseParameters(body)
		}
	}
	return nil
}

// ReadSlice gives lines of the current part, header section included, for header.Read; io.EOF at its end.
func (w *Walker) ReadSlice(byte) ([]byte, error) {
	if w.boundary {
		return nil, io.EOF
	}
	if w.atEnd != nil {
		return nil, w.atEnd
	}
	line, err := w.r.ReadSlice('\n')
	if err != nil && err != bufio.ErrBufferFull {
		w.atEnd = err
	}
	start := !w.midLine
	w.midLine = err == bufio.ErrBufferFull
	if start && len(line) > 2 && line[0] == '-' && line[1] == '-' && w.isBoundary(line) {
		w.boundary, w.boundaryLength = true, len(line)
		w.offset += int64(len(line))
		return nil, io.EOF
	}
	w.offset += int64(len(line))
	return line, err
}

// Peek looks ahead in the current part, for header.Read.
func (w *Walker) Peek(n int) ([]byte, error) {
	if w.boundary || w.atEnd != nil {
		return nil, io.EOF
	}
	return w.r.Peek(n)
}

// isBoundary reports whether a line is a boundary of an open multipart, and closes those it ends.
func (w *Walker) isBoundary(line []byte) bool {
	line = bytes.TrimRight(line[2:], " \t\r\n")
	for i := len(w.open) - 1; i >= 0; i-- {
		rest, ok := bytes.CutPrefix(line, []byte(w.open[i].boundary))
		if !ok || len(rest) != 0 && string(rest) != "--" {
			continue
		}
		if w.closing = len(rest) != 0; w.closing {
			w.open = w.open[:i]
		} else {
			w.open = w.open[:i+1]
		}
		return true
	}
	return false
}

// Read gives the body of the current part as it is encoded, without the line end before the boundary; of a multipart what stands
// before its first part. io.EOF comes at the end of the part.
func (w *Walker) Read(p []byte) (int, error) {
	for len(w.pending) == 0 {
		line, err := w.ReadSlice('\n')
		if len(line) == 0 {
			if w.atEnd != nil && !w.boundary && len(w.newline) > 0 {
				w.pending = append(w.buffer[:0], w.newline...)
				w.newline = w.newline[:0]
				break
			}
			if err == nil {
				err = io.ErrNoProgress
			}
			return 0, err
		}
		content := bytes.TrimSuffix(line, []byte("\n"))
		if len(content) < len(line) {
			content = bytes.TrimSuffix(content, []byte("\r"))
		}
		w.buffer = append(append(w.buffer[:0], w.newline...), content...)
		w.newline = append(w.newline[:0], line[len(content):]...)
		w.pending = w.buffer
	}
	n := copy(p, w.pending)
	w.pending = w.pending[n:]
	return n, nil
}
