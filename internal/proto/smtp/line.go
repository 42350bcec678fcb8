package smtp

import (
	"bufio"
	"errors"
	"io"
)

// ErrLineTooLong says that a line was longer than allowed.
var ErrLineTooLong = errors.New("line too long")

// maxDiscard is how much of an overlong command line ReadCommandLine throws away at most before it gives up.
const maxDiscard = 1 << 20

// ReadCommandLine reads one line of a client: up to max bytes without the line end, which is CRLF, or LF alone. Of a longer line
// the rest is read and thrown away, and the error is ErrLineTooLong; so the next line is the next command. At the end of input
// an unfinished line is returned with io.ErrUnexpectedEOF, and io.EOF when there is none.
func ReadCommandLine(r *bufio.Reader, max int) (string, error) {
	return readLine(r, max, maxDiscard)
}

// readLine reads a line of at most max bytes without its line end; of a longer one it throws away the rest, up to discard bytes.
func readLine(r *bufio.Reader, max, discard int) (string, error) {
	var line []byte // what has been read of a line longer than the buffer
	for {
		slice, err := r.ReadSlice('\n')
		if line == nil && err == nil && len(slice) <= max {
			return string(trimLineEnd(slice)), nil
		}
		room := max + 2 - len(line)
		if len(slice) > room {
			line = append(line, slice[:max+2-len(line)]...)
			discard -= len(slice) - room
			if err != bufio.ErrBufferFull || discard < 0 {
				return string(line[:max]), ErrLineTooLong
			}
			continue
		}
		line = append(line, slice...)
		switch {
		case err == bufio.ErrBufferFull:
			continue
		case err == io.EOF && len(line) > 0:
			return string(line), io.ErrUnexpectedEOF
		case err != nil:
			return string(line), err
		}
		if line = trimLineEnd(line); len(line) > max {
			return string(line[:max]), ErrLineTooLong
		}
		return string(line), nil
	}
}

func trimLineEnd(b []byte) []byte {
	if n := len(b); n > 0 && b[n-1] == '\n' {
		b = b[:n-1]
		if n > 1 && b[n-2] == '\r' {
			b = b[:n-2]
		}
	}
	return b
}
