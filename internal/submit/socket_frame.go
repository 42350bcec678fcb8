package submit

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
)

// What travels on the submission socket: frames of a type, a length and that many bytes. The client sends one 'A', then its
// standard input in 'I' frames and one 'E'; the server answers with 'O' and 'R' frames and one 'X', which ends the call.
const (
	frameArguments = 'A' // JSON of callFacts
	frameInput     = 'I'
	frameInputEnd  = 'E'
	frameOutput    = 'O'
	frameError     = 'R'
	frameExit      = 'X' // one byte: the exit status
)

const (
	frameHeader  = 5
	maxFrame     = 64 << 10
	maxArguments = 1 << 20
)

// callFacts is what a client says about its call. Who it is, the kernel says.
type callFacts struct {
	Argv []string
}

// ErrProtocol is a peer that does not follow the protocol.
var ErrProtocol = errors.New("submission socket: protocol error")

// writeFrame writes one frame in one call.
func writeFrame(w io.Writer, kind byte, data []byte) error {
	b := make([]byte, frameHeader, frameHeader+len(data))
	b[0] = kind
	binary.BigEndian.PutUint32(b[1:], uint32(len(data)))
	_, err := w.Write(append(b, data...))
	return err
}

// readHeader reads the start of a frame. limit bounds its length.
func readHeader(r io.Reader, limit uint32) (kind byte, length uint32, err error) {
	var b [frameHeader]byte
	if _, err = io.ReadFull(r, b[:]); err != nil {
		return 0, 0, err
	}
	length = binary.BigEndian.Uint32(b[1:])
	if length > limit {
		return 0, 0, ErrProtocol
	}
	return b[0], length, nil
}

// frameWriter makes frames of one kind of what is written.
type frameWriter struct {
	mu   *sync.Mutex
	w    io.Writer
	kind byte
}

// Write implements io.Writer.
func (f *frameWriter) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for done := 0; done < len(p); {
		piece := p[done:min(len(p), done+maxFrame)]
		if err := writeFrame(f.w, f.kind, piece); err != nil {
			return done, err
		}
		done += len(piece)
	}
	return len(p), nil
}

// inputReader is the standard input of a call: it reads frames as it is read.
type inputReader struct {
	r    io.Reader
	left uint32
	err  error
}

// Read implements io.Reader.
func (f *inputReader) Read(p []byte) (int, error) {
	for f.left == 0 && f.err == nil {
		kind, length, err := readHeader(f.r, maxFrame)
		switch {
		case err != nil:
			f.err = unexpected(err)
		case kind == frameInputEnd:
			f.err = io.EOF
		case kind != frameInput:
			f.err = ErrProtocol
		default:
			f.left = length
		}
	}
	if f.left == 0 {
		return 0, f.err
	}
	n, err := f.r.Read(p[:min(len(p), int(f.left))])
	f.left -= uint32(n)
	if err != nil {
		f.err = unexpected(err)
	}
	return n, nil
}

// unexpected makes the end of the connection an error: the input ends with its own frame.
func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// readFacts reads the first frame of a call.
func readFacts(r io.Reader) (callFacts, error) {
	var facts callFacts
	kind, length, err := readHeader(r, maxArguments)
	if err != nil {
		return facts, err
	}
	if kind != frameArguments {
		return facts, ErrProtocol
	}
	data := make([]byte, length)
	if _, err := io.ReadFull(r, data); err != nil {
		return facts, err
	}
	if err := json.Unmarshal(data, &facts); err != nil || len(facts.Argv) == 0 {
		return facts, fmt.Errorf("%w: bad arguments", ErrProtocol)
	}
	return facts, nil
}
