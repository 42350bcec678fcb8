package transport

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"time"
)

// FromLine is what mbox files begin a message with unless message_prefix says otherwise (spec chapters 26 and 29).
const FromLine = "From ${if def:return_path{$return_path}{MAILER-DAEMON}} ${tod_bsdinbox}\n"

// Message is one copy of a message, ready to be written: the header block of this delivery and the spooled body.
type Message struct {
	// Header is the header block, LF line ends, without the empty line.
	Header []byte
	Body   Body
	// HeadersOnly and BodyOnly leave the other part out; the empty line goes with the header.
	HeadersOnly, BodyOnly bool
	// Filter, if set, is a command through which everything passes.
	Filter *Filter
}

// Filter is an expanded transport_filter.
type Filter struct {
	Argv    []string
	Timeout time.Duration
}

// WriteOptions say how a message's lines are to be written.
type WriteOptions struct {
	// CRLF writes every line end as CRLF; a CR before an LF in the message is kept as it is.
	CRLF bool
	// Check is looked for at the start of every line of the body (and of what a filter makes of the message), and replaced there by
	// Escape. Dot-stuffing is ".", "..", and looks at the header section as well.
	Check, Escape string
	// FinalNewline supplies a line end where the message does not end with one.
	FinalNewline bool
}

// DotStuff is the option set of SMTP's DATA (RFC 5321 4.5.2), without the final dot.
var DotStuff = WriteOptions{CRLF: true, Check: ".", Escape: "..", FinalNewline: true}

// ErrSpool wraps a failure to read the spooled body, which says nothing of the destination.
var ErrSpool = errors.New("spool file read error")

const chunk = 64 << 10

var buffers = sync.Pool{New: func() any { b := make([]byte, chunk); return &b }}

// Size is the number of bytes of the message with LF line ends and without a filter.
func (m *Message) Size() int64 {
	switch {
	case m.HeadersOnly:
		return int64(len(m.Header)) + 1
	case m.BodyOnly:
		return m.Body.Size
	}
	return int64(len(m.Header)) + 1 + m.Body.Size
}

// WriteTo writes the message to w and returns how many bytes went there. Errors of w are returned as they are;
// those of the filter are *FilterError, those of the spool wrap ErrSpool.
func (m *Message) WriteTo(ctx context.Context, w io.Writer, o WriteOptions) (int64, error) {
	lw := newLineWriter(w, o)
	defer lw.release()
	if m.Filter != nil {
		if err := m.filtered(ctx, lw); err != nil {
			return lw.written, err
		}
		return lw.written, lw.finish()
	}
	if err := m.copyTo(ctx, lw); err != nil {
		return lw.written, err
	}
	return lw.written, lw.finish()
}

// copyTo writes the parts of the message, lines ending in LF.
func (m *Message) copyTo(ctx context.Context, w io.Writer) error {
	if !m.BodyOnly {
		if l, ok := w.(*lineWriter); ok {
			l.inHeader = l.o.Check != "."
		}
		if _, err := w.Write(m.Header); err != nil {
			return err
		}
		if _, err := w.Write(newline); err != nil {
			return err
		}
		if l, ok := w.(*lineWriter); ok {
			l.inHeader = false
		}
	}
	if m.HeadersOnly {
		return nil
	}
	return m.Body.copyTo(ctx, w)
}

var newline = []byte{'\n'}

// copyTo reads the body with pread, so that deliveries sharing the descriptor do not disturb each other.
func (b *Body) copyTo(ctx context.Context, w io.Writer) error {
	if len(b.Text) > 0 {
		_, err := w.Write(b.Text)
		return err
	}
	if b.File == nil || b.Size == 0 {
		return nil
	}
	held := buffers.Get().(*[]byte)
	defer buffers.Put(held)
	buf := *held
	for at, end := b.Offset, b.Offset+b.Size; at < end; {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := b.File.ReadAt(buf[:min(int64(len(buf)), end-at)], at)
		if n == 0 {
			if err == nil || err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return errors.Join(ErrSpool, err)
		}
		if _, err := w.Write(buf[:n]); err != nil {
			return err
		}
		at += int64(n)
	}
	return nil
}

// lineWriter transforms line ends and line starts on the way to w.
type lineWriter struct {
	w       io.Writer
	o       WriteOptions
	held    *[]byte
	out     []byte // transformed, not yet written
	pending []byte // start of a line that may become Check
	start   bool   // the next byte begins a line
	last    byte
	any     bool
	written int64
	plain   bool // no transformation at all
	// inHeader: what comes now is the header section, which is not checked.
	inHeader bool
}

// LineWriter transforms a message, LF line ends and whole with its header, on its way to another writer.
type LineWriter struct{ l *lineWriter }

// NewLineWriter makes a LineWriter, which ends with Finish or Abandon.
func NewLineWriter(w io.Writer, o WriteOptions) *LineWriter { return &LineWriter{newLineWriter(w, o)} }

// Write implements io.Writer.
func (w *LineWriter) Write(p []byte) (int, error) { return w.l.Write(p) }

// Finish writes what is left.
func (w *LineWriter) Finish() error {
	defer w.Abandon()
	return w.l.finish()
}

// Abandon ends without writing what is left.
func (w *LineWriter) Abandon() {
	if w.l.out != nil {
		w.l.release()
	}
}

func newLineWriter(w io.Writer, o WriteOptions) *lineWriter {
	l := &lineWriter{w: w, o: o, start: true, plain: !o.CRLF && o.Check == ""}
	l.held = buffers.Get().(*[]byte)
	l.out = (*l.held)[:0]
	return l
}

func (l *lineWriter) release() {
	buffers.Put(l.held)
	l.out = nil
}

// Write takes text with LF line ends.
func (l *lineWriter) Write(p []byte) (int, error) {
	total := len(p)
	if total == 0 {
		return 0, nil
	}
	l.any, l.last = true, p[total-1]
	if l.plain {
		return total, l.emit(p)
	}
	if len(l.pending) > 0 {
		p = append(l.pending, p...)
		l.pending = nil
	}
	for len(p) > 0 {
		if l.start && l.o.Check != "" && !l.inHeader {
			rest, wait, err := l.check(p)
			if err != nil || wait {
				return total, err
			}
			if p = rest; len(p) == 0 {
				break
			}
		}
		n := bytes.IndexByte(p, '\n')
		if n < 0 {
			l.start = false
			return total, l.emit(p)
		}
		if err := l.line(p[:n]); err != nil {
			return total, err
		}
		p = p[n+1:]
		l.start = true
	}
	return total, nil
}

// check looks at the start of a line: it returns what follows, or keeps p when more is needed to decide.
func (l *lineWriter) check(p []byte) (rest []byte, wait bool, err error) {
	c := l.o.Check
	if len(p) < len(c) {
		if c[:len(p)] == string(p) {
			l.pending = append([]byte(nil), p...)
			return nil, true, nil
		}
		return p, false, nil
	}
	if string(p[:len(c)]) != c {
		return p, false, nil
	}
	l.start = c[len(c)-1] == '\n'
	if err := l.literal(l.o.Escape); err != nil {
		return nil, false, err
	}
	rest = p[len(c):]
	if l.start && len(rest) > 0 {
		return l.check(rest)
	}
	return rest, false, nil
}

// literal emits text of the administrator's, its line ends converted.
func (l *lineWriter) literal(s string) error {
	if l.o.CRLF {
		s = string(bytes.ReplaceAll([]byte(s), newline, []byte("\r\n")))
	}
	return l.emit([]byte(s))
}

var crlf = []byte("\r\n")

// line emits one line without its LF, and a line end.
func (l *lineWriter) line(p []byte) error {
	end := newline
	if l.o.CRLF {
		end = crlf
	}
	if len(l.out)+len(p)+2 <= cap(l.out) {
		l.out = append(append(l.out, p...), end...)
		return nil
	}
	if err := l.emit(p); err != nil {
		return err
	}
	return l.emit(end)
}

// emit gathers small pieces and writes large ones.
func (l *lineWriter) emit(p []byte) error {
	if len(l.out)+len(p) > cap(l.out) {
		if err := l.flush(); err != nil {
			return err
		}
	}
	if len(p) >= cap(l.out) {
		n, err := l.w.Write(p)
		l.written += int64(n)
		return err
	}
	l.out = append(l.out, p...)
	return nil
}

func (l *lineWriter) flush() error {
	if len(l.out) == 0 {
		return nil
	}
	n, err := l.w.Write(l.out)
	l.written += int64(n)
	l.out = l.out[:0]
	return err
}

// finish writes what is left.
func (l *lineWriter) finish() error {
	if len(l.pending) > 0 {
		p := l.pending
		l.pending = nil
		if err := l.emit(p); err != nil {
			return err
		}
	}
	if l.o.FinalNewline && l.any && l.last != '\n' {
		if err := l.line(nil); err != nil {
			return err
		}
	}
	return l.flush()
}
