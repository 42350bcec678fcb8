package smtp

import (
	"bufio"
	"bytes"
	"io"
)

// LineEnds says what a DataReader makes of line ends other than CRLF.
type LineEnds int

// Policies for line ends. In all of them CRLF becomes LF.
const (
	// LineEndsRepair takes CRLF alone as line end and makes bare characters harmless: in the header section both become a
	// newline and a space, so that the field goes on; in the body a bare CR becomes a newline, a bare LF a space. Only CRLF "."
	// CRLF ends the message.
	LineEndsRepair LineEnds = iota
	// LineEndsFirst is LineEndsRepair if the first line ends with CRLF. If it ends with LF alone, LF and CRLF are line ends,
	// also around the dot that ends the message.
	LineEndsFirst
	// LineEndsKeep takes CRLF alone as line end and passes bare CR and LF through. For a caller who looks at the counts
	// afterwards and refuses the message.
	LineEndsKeep
)

// DataOptions are the options of a DataReader.
type DataOptions struct {
	// LineEnds is what to do with bare CR and LF.
	LineEnds LineEnds
	// Dots is true for DATA: the dot at the start of a line is removed, and a line of one dot ends the message (RFC 5321
	// section 4.5.2). It is false for BDAT, where the end of the source ends the message.
	Dots bool
}

// DataReader reads the data of a message as a client sends it and gives it with LF line ends and without dots. It never reads
// past the end of the message. It has the methods of io.Reader and of header.Source. Until EndHeader is called it treats the
// data as header section.
type DataReader struct {
	// BareCR and BareLF count the line-end characters that stood alone.
	BareCR, BareLF int64
	// Octets counts the bytes read from the source, dots and line ends included.
	Octets int64
	// Overlong is true when a line longer than 998 bytes was seen (RFC 5321 section 4.5.3.1.6).
	Overlong bool

	source  *bufio.Reader
	options DataOptions
	body    bool
	lfMode  bool // LF alone ends lines
	decided bool // the first line has been seen
	midLine bool // the last piece did not end a line of the client
	carry   bool // a space is to be given before the next piece
	lineLen int
	heldCR  bool // the last piece ended with a CR that is not yet passed on
	err     error
	out     []byte // converted piece
	pending []byte // part of out not yet given to Read
}

// NewDataReader returns a reader of the message that starts at the next byte of source.
func NewDataReader(source *bufio.Reader, options DataOptions) *DataReader {
	return &DataReader{source: source, options: options}
}

// EndHeader says that the header section is over: what is read from here on is body.
func (d *DataReader) EndHeader() { d.body = true }

// Read gives converted data; io.EOF at the end of the message, io.ErrUnexpectedEOF when the source ended before it.
func (d *DataReader) Read(p []byte) (int, error) {
	for len(d.pending) == 0 {
		piece, _, err := d.piece()
		if len(piece) > 0 {
			d.pending = piece
			break
		}
		if err != nil {
			return 0, err
		}
	}
	n := copy(p, d.pending)
	d.pending = d.pending[n:]
	return n, nil
}

// ReadSlice gives the data up to and with the next line end; with bufio.ErrBufferFull the line goes on. A line of a header section
// may hold newlines in the middle, where bare CRs were. Only '\n' is supported as delimiter. It must not be mixed with Read within
// a line.
func (d *DataReader) ReadSlice(byte) ([]byte, error) {
	if p := d.pending; len(p) > 0 {
		d.pending = nil
		return p, bufio.ErrBufferFull
	}
	for {
		p, whole, err := d.piece()
		if err == nil && !whole {
			err = bufio.ErrBufferFull
		}
		if len(p) > 0 || err != nil && err != bufio.ErrBufferFull {
			return p, err
		}
	}
}

// Peek returns the next byte of the source as it is, dots included; n must be 1.
func (d *DataReader) Peek(n int) ([]byte, error) {
	switch {
	case len(d.pending) > 0:
		return d.pending[:1], nil
	case d.carry:
		return []byte{' '}, nil
	case d.err != nil:
		return nil, d.err
	}
	return d.source.Peek(n)
}

// WriteTo copies the rest of the message to w.
func (d *DataReader) WriteTo(w io.Writer) (int64, error) {
	var total int64
	for {
		p, err := d.ReadSlice('\n')
		if len(p) > 0 {
			n, werr := w.Write(p)
			total += int64(n)
			if werr != nil {
				return total, werr
			}
		}
		if err != nil && err != bufio.ErrBufferFull {
			if err == io.EOF {
				err = nil
			}
			return total, err
		}
	}
}

// Drain reads the rest of the message and throws it away, at most limit bytes of it; it reports whether the end was reached.
func (d *DataReader) Drain(limit int64) (bool, error) {
	for limit > 0 {
		before := d.Octets
		_, err := d.ReadSlice('\n')
		limit -= d.Octets - before
		if err == io.EOF {
			return true, nil
		}
		if err != nil && err != bufio.ErrBufferFull {
			return false, err
		}
	}
	return false, nil
}

// piece reads the next piece of the source, at most one line, and converts it. The result may be empty; whole says that it ends a
// line.
func (d *DataReader) piece() (p []byte, whole bool, err error) {
	if d.err != nil {
		return nil, false, d.err
	}
	in, err := d.source.ReadSlice('\n')
	d.Octets += int64(len(in))
	if err != nil && err != bufio.ErrBufferFull {
		p, err = d.finish(in, err)
		return p, false, err
	}
	startsLine := !d.midLine
	if startsLine && d.options.Dots && len(in) > 0 && in[0] == '.' {
		if d.isEnd(in) {
			d.err = io.EOF
			return nil, false, io.EOF
		}
		in = in[1:]
	}
	p, whole = d.convert(in)
	return p, whole, nil
}

// isEnd reports whether a line is the one that ends the message.
func (d *DataReader) isEnd(line []byte) bool {
	if len(line) == 3 && line[1] == '\r' && line[2] == '\n' {
		return true
	}
	lfMode := d.lfMode || !d.decided && d.options.LineEnds == LineEndsFirst
	return lfMode && len(line) == 2 && line[1] == '\n'
}

// finish handles the end of the source.
func (d *DataReader) finish(in []byte, err error) ([]byte, error) {
	d.err = err
	if err == io.EOF && d.options.Dots {
		d.err = io.ErrUnexpectedEOF
	}
	if len(in) == 0 && !d.heldCR {
		return nil, d.err
	}
	out, _ := d.convert(in)
	if d.heldCR {
		d.heldCR = false
		out = d.bareCR(out)
	}
	return out, nil
}

// convert turns a piece of the source into what it stands for, and reports whether it ends a line. A piece is at most one line; its
// only LF is at its end.
func (d *DataReader) convert(in []byte) ([]byte, bool) {
	n := len(in)
	if !d.heldCR && !d.carry && n >= 2 && in[n-1] == '\n' && in[n-2] == '\r' && bytes.IndexByte(in[:n-2], '\r') < 0 {
		in[n-2] = '\n' // the usual line, in place: the source is past it
		d.endLine(n - 2)
		return in[:n-1], true
	}
	out := d.out[:0]
	if d.carry {
		d.carry = false
		out = append(out, ' ')
	}
	whole := false
	for _, c := range in {
		if d.heldCR {
			d.heldCR = false
			if c == '\n' {
				out = append(out, '\n')
				d.endLine(len(out))
				whole = true
				break
			}
			out = d.bareCR(out)
		}
		d.midLine = true
		switch c {
		case '\r':
			d.heldCR = true
		case '\n':
			out, whole = d.bareLF(out)
		default:
			out = append(out, c)
		}
	}
	d.lineLength(len(out))
	d.out = out
	return out, whole
}

// endLine notes that a line has ended after n more bytes.
func (d *DataReader) endLine(n int) {
	d.lineLength(n)
	d.lineLen = 0
	d.midLine = false
	d.decided = true
}

func (d *DataReader) lineLength(n int) {
	if d.lineLen += n; d.lineLen > 998 {
		d.Overlong = true
	}
}

// bareCR appends what a CR that stands alone becomes.
func (d *DataReader) bareCR(out []byte) []byte {
	d.BareCR++
	switch {
	case d.options.LineEnds == LineEndsKeep:
		return append(out, '\r')
	case d.body:
		return append(out, '\n')
	}
	return append(out, '\n', ' ')
}

// bareLF appends what an LF that stands alone becomes, and reports whether that ends a line.
func (d *DataReader) bareLF(out []byte) ([]byte, bool) {
	d.BareLF++
	if !d.decided {
		d.decided = true
		d.lfMode = d.options.LineEnds == LineEndsFirst
	}
	switch {
	case d.lfMode:
		d.endLine(len(out))
		return append(out, '\n'), true
	case d.options.LineEnds == LineEndsKeep:
		return append(out, '\n'), true
	case d.body:
		return append(out, ' '), false
	}
	d.carry = true
	return append(out, '\n'), true
}

// DotWriter writes the data of a message to a server: lines that begin with a dot get another one, and Close ends the data
// with CRLF "." CRLF (RFC 5321 section 4.5.2). LF becomes CRLF; a CR before an LF is kept, so that CRLF stays CRLF.
type DotWriter struct {
	w      *bufio.Writer
	inLine bool // the last byte was not LF
	lastCR bool
	dots   bool
}

// NewDotWriter returns a writer that ends up in w. Close flushes w.
func NewDotWriter(w *bufio.Writer) *DotWriter { return &DotWriter{w: w, dots: true} }

// NewCRLFWriter returns a writer that makes CRLF of LF like a DotWriter but adds no dots, as BDAT wants it (RFC 3030). Close
// only flushes w.
func NewCRLFWriter(w *bufio.Writer) *DotWriter { return &DotWriter{w: w} }

// Write adds data.
func (d *DotWriter) Write(p []byte) (int, error) {
	written := 0
	for len(p) > 0 {
		if !d.inLine && p[0] == '.' && d.dots {
			if err := d.w.WriteByte('.'); err != nil {
				return written, err
			}
		}
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			n, err := d.w.Write(p)
			d.inLine = true
			d.lastCR = p[len(p)-1] == '\r'
			return written + n, err
		}
		hasCR := d.lastCR
		if i > 0 {
			hasCR = p[i-1] == '\r'
		}
		if n, err := d.w.Write(p[:i]); err != nil {
			return written + n, err
		}
		end := "\r\n"
		if hasCR {
			end = "\n"
		}
		if _, err := d.w.WriteString(end); err != nil {
			return written + i, err
		}
		d.inLine, d.lastCR = false, false
		written += i + 1
		p = p[i+1:]
	}
	return written, nil
}

// Close ends an unfinished line, writes the final dot, and flushes.
func (d *DotWriter) Close() error {
	if d.inLine {
		end := "\r\n"
		if d.lastCR {
			end = "\n"
		}
		if _, err := d.w.WriteString(end); err != nil {
			return err
		}
		d.inLine = false
	}
	if d.dots {
		if _, err := d.w.WriteString(".\r\n"); err != nil {
			return err
		}
	}
	return d.w.Flush()
}
