package submit

import (
	"bufio"
	"bytes"
	"io"
)

// LocalReader is a Source of a message on the standard input: line ends are LF, CRLF or CR as spec 48.2 says, and a line that
// holds a dot alone ends the message when Dots is set.
type LocalReader struct {
	// Dots says that a line of one dot ends the message (without -i).
	Dots bool

	in      *bufio.Reader
	out     []byte
	body    bool
	crlf    bool // the first line ended with CRLF
	decided bool
	start   bool // at the start of a line
	ended   bool
	held    []byte // what Read has not given yet
	err     error
}

// NewLocalReader reads a message from in.
func NewLocalReader(in io.Reader, dots bool) *LocalReader {
	return &LocalReader{Dots: dots, in: bufio.NewReaderSize(in, 32<<10), start: true}
}

// EndHeader implements Source.
func (l *LocalReader) EndHeader() { l.body = true }

// ReadSlice gives the next line, or with bufio.ErrBufferFull part of one. Only '\n' is supported as delimiter.
func (l *LocalReader) ReadSlice(byte) ([]byte, error) {
	if l.ended {
		return nil, l.err
	}
	if l.start && l.Dots && l.dot() {
		return nil, io.EOF
	}
	l.out = l.out[:0]
	p, err := l.in.ReadSlice('\n')
	if err == bufio.ErrBufferFull {
		// A CR at the very end waits for what follows it.
		if n := len(p); p[n-1] == '\r' {
			l.in.UnreadByte()
			p = p[:n-1]
		}
		return l.convert(p, true), err
	}
	if err != nil {
		l.ended, l.err = true, err
		if len(p) == 0 {
			return nil, err
		}
		return l.convert(p, false), err
	}
	if p = l.convert(p, false); !l.start {
		return p, bufio.ErrBufferFull // the newline was none
	}
	return p, nil
}

// dot tells whether the message ends here, and takes the line off.
func (l *LocalReader) dot() bool {
	p, _ := l.in.Peek(3)
	switch {
	case len(p) == 0 || p[0] != '.':
		return false
	case len(p) >= 2 && p[1] == '\n':
		l.in.Discard(2)
	case len(p) == 3 && p[1] == '\r' && p[2] == '\n':
		l.in.Discard(3)
	default:
		return false
	}
	l.ended, l.err = true, io.EOF
	return true
}

// convert makes the line ends of a piece newlines.
func (l *LocalReader) convert(p []byte, more bool) []byte {
	l.start = !more && len(p) > 0 && p[len(p)-1] == '\n'
	if bytes.IndexByte(p, '\r') < 0 && (!l.crlf || l.body || !l.start) {
		if l.start {
			l.decided = true
		}
		return p
	}
	n := len(p)
	for i := 0; i < n; i++ {
		switch c := p[i]; {
		case c == '\r' && i+1 < n && p[i+1] == '\n':
			if !l.decided {
				l.decided, l.crlf = true, true
			}
			l.out = append(l.out, '\n')
			i++
		case c == '\r':
			l.out = append(l.out, '\n')
			if !l.body && i+1 < n {
				l.out = append(l.out, ' ')
			}
		case c == '\n' && l.crlf && !l.body:
			l.out = append(l.out, '\n', ' ')
			l.start = false
		default:
			l.out = append(l.out, c)
		}
	}
	if l.start {
		l.decided = true
	}
	return l.out
}

// WriteTo implements Source.
func (l *LocalReader) WriteTo(w io.Writer) (int64, error) {
	var total int64
	for {
		p, err := l.ReadSlice('\n')
		if len(p) > 0 {
			n, writeErr := w.Write(p)
			total += int64(n)
			if writeErr != nil {
				return total, writeErr
			}
		}
		if err == io.EOF {
			return total, nil
		}
		if err != nil && err != bufio.ErrBufferFull {
			return total, err
		}
	}
}

// Peek returns the next byte as it is; n must be 1.
func (l *LocalReader) Peek(n int) ([]byte, error) {
	if l.ended {
		return nil, l.err
	}
	if l.start && l.Dots && l.dot() {
		return nil, io.EOF
	}
	return l.in.Peek(n)
}
