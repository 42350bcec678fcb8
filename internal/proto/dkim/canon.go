package dkim

import (
	"bytes"
	"hash"
	"strings"
)

// Canonicalization is one of the two forms in which header or body are signed (RFC 6376 section 3.4).
type Canonicalization uint8

// The canonicalization algorithms.
const (
	Simple Canonicalization = iota
	Relaxed
)

// String returns the word of the c= tag.
func (c Canonicalization) String() string {
	if c == Relaxed {
		return "relaxed"
	}
	return "simple"
}

// ParseCanonicalization reads the value of a c= tag: "relaxed/simple", or "relaxed" alone, which leaves the body simple.
func ParseCanonicalization(text string) (header, body Canonicalization, ok bool) {
	h, b, two := strings.Cut(RemoveSpace(text), "/")
	if !two {
		b = "simple"
	}
	header, okHeader := canonicalization(h)
	body, okBody := canonicalization(b)
	return header, body, okHeader && okBody
}

func canonicalization(word string) (c Canonicalization, ok bool) {
	switch {
	case strings.EqualFold(word, "simple"):
		return Simple, true
	case strings.EqualFold(word, "relaxed"):
		return Relaxed, true
	}
	return Simple, false
}

// AppendHeader appends a header field in its canonical form, with CRLF at its end, to dst (sections 3.4.1 and 3.4.2).
func (c Canonicalization) AppendHeader(dst []byte, field string) []byte {
	if c == Relaxed {
		return appendRelaxed(dst, field)
	}
	for {
		i := strings.IndexByte(field, '\n')
		if i < 0 {
			break
		}
		line := field[:i]
		if i > 0 && field[i-1] == '\r' {
			line = field[:i-1]
		}
		dst = append(append(dst, line...), '\r', '\n')
		field = field[i+1:]
	}
	if field != "" {
		dst = append(append(dst, field...), '\r', '\n')
	}
	return dst
}

// appendRelaxed: name in lower case, unfolded, each run of white space one space, none around the colon and at the end.
func appendRelaxed(dst []byte, field string) []byte {
	name, value, _ := strings.Cut(field, ":")
	for i := range len(name) {
		c := name[i]
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		if strings.IndexByte(space, c) < 0 {
			dst = append(dst, c)
		}
	}
	dst = append(dst, ':')
	pending, start := false, true
	for i := 0; i < len(value); i++ {
		c := value[i]
		switch {
		case c == ' ' || c == '\t':
			pending = true
			continue
		case c == '\n' || c == '\r' && i+1 < len(value) && value[i+1] == '\n':
			continue
		}
		if pending && !start {
			dst = append(dst, ' ')
		}
		pending, start = false, false
		dst = append(dst, c)
	}
	return append(dst, '\r', '\n')
}

// HashHeader hashes what a header signature covers (section 3.7): the fields, then the signature's own field with its b= emptied
// (WithoutSignature is applied here) and without final CRLF. No signature: "".
func HashHeader(h hash.Hash, c Canonicalization, fields []string, signature string) []byte {
	var room [1024]byte
	buf := room[:0]
	for _, f := range fields {
		buf = c.AppendHeader(buf[:0], f)
		h.Write(buf)
	}
	if signature != "" {
		buf = c.AppendHeader(buf[:0], WithoutSignature(signature))
		h.Write(bytes.TrimSuffix(buf, crlf))
	}
	return h.Sum(nil)
}

var crlf = []byte("\r\n")

// Body canonicalises a message body that is written to it in pieces, and hashes it: any number of hashes with limits of their own. Errors do
// not happen.
type Body struct {
	canon  Canonicalization
	lf     bool
	hashes []*BodyHash
	buf    []byte

	lines  int  // line ends held back: they count when something follows
	blank  bool // relaxed: white space held back
	cr     bool // CR held back: it may begin a line end
	any    bool // something was hashed
	closed bool
}

// BodyHash is one hash of a Body.
type BodyHash struct {
	hash   hash.Hash
	limit  int64 // -1: none
	length int64
	sum    []byte
}

// NewBody makes a canonicaliser for a body (sections 3.4.3 and 3.4.4). Line ends are LF and CRLF; with onlyLF, as in a spool whose lines end
// with LF, a CR is data even before an LF.
func NewBody(c Canonicalization, onlyLF bool) *Body {
	return &Body{canon: c, lf: onlyLF, buf: make([]byte, 0, 4096)}
}

// Hash adds a hash that covers the first limit bytes of the canonical body, all when limit is negative (the l= tag). Call it before Write.
func (b *Body) Hash(h hash.Hash, limit int64) *BodyHash {
	one := &BodyHash{hash: h, limit: limit}
	b.hashes = append(b.hashes, one)
	return one
}

// Sum returns the hash. It is valid after Close of the Body.
func (h *BodyHash) Sum() []byte { return h.sum }

// Length is how many bytes the hash covers; a limit that is larger says that part of what was signed is missing.
func (h *BodyHash) Length() int64 { return h.length }

// Write takes the next piece of the body.
func (b *Body) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			b.piece(p)
			break
		}
		b.piece(p[:i])
		b.endLine()
		p = p[i+1:]
	}
	return n, nil
}

// endLine ends a line.
func (b *Body) endLine() {
	b.cr = false // it was part of the line end
	b.blank = false
	b.lines++
}

// piece takes a piece of a line, without the LF.
func (b *Body) piece(p []byte) {
	if len(p) == 0 {
		return
	}
	if !b.lf {
		if b.cr {
			b.cr = false
			b.text(cr)
		}
		if p[len(p)-1] == '\r' {
			b.cr = true
			p = p[:len(p)-1]
		}
	}
	b.text(p)
}

var cr = []byte{'\r'}

// text takes content of a line.
func (b *Body) text(p []byte) {
	if len(p) == 0 {
		return
	}
	if b.canon == Simple {
		b.release()
		b.emit(p)
		return
	}
	for len(p) > 0 {
		if p[0] == ' ' || p[0] == '\t' {
			b.blank = true
			p = p[1:]
			continue
		}
		b.release()
		part := p[:min(len(p), cap(b.buf)/4)]
		if len(b.buf)+len(part)+1 > cap(b.buf) {
			b.flush()
		}
		b.words(part)
		p = p[len(part):]
	}
}

// words appends text of which the first byte is no white space; there is room for it.
func (b *Body) words(p []byte) {
	buf, blank := b.buf, b.blank
	b.any = true
	for i := 0; i < len(p); {
		if blank {
			buf, blank = append(buf, ' '), false
		}
		start := i
		for i < len(p) && p[i] != ' ' && p[i] != '\t' {
			i++
		}
		buf = append(buf, p[start:i]...)
		for ; i < len(p) && (p[i] == ' ' || p[i] == '\t'); i++ {
			blank = true
		}
	}
	b.buf, b.blank = buf, blank
}

// release lets out the line ends that were held back, as content follows.
func (b *Body) release() {
	for ; b.lines > 0; b.lines-- {
		b.emit(crlf)
	}
}

// emit gathers canonical text.
func (b *Body) emit(p []byte) {
	b.any = true
	if len(b.buf)+len(p) > cap(b.buf) {
		b.flush()
		if len(p) >= cap(b.buf) {
			b.hash(p)
			return
		}
	}
	b.buf = append(b.buf, p...)
}

func (b *Body) flush() {
	b.hash(b.buf)
	b.buf = b.buf[:0]
}

func (b *Body) hash(p []byte) {
	for _, h := range b.hashes {
		q := p
		if h.limit >= 0 {
			q = p[:min(int64(len(p)), h.limit-h.length)]
		}
		h.length += int64(len(q))
		h.hash.Write(q)
	}
}

// Close ends the body: empty lines at its end do not count; a body that is not empty ends with one CRLF, and the empty body is one CRLF in the
// simple form. The sums are valid afterwards.
func (b *Body) Close() error {
	if b.closed {
		return nil
	}
	b.closed = true
	if b.cr {
		b.text(cr)
	}
	if b.any || b.canon == Simple {
		b.emit(crlf)
	}
	b.flush()
	for _, h := range b.hashes {
		h.sum = h.hash.Sum(nil)
	}
	return nil
}
