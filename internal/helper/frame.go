package helper

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"

	"exigo/internal/wire"
)

// kind of a frame on the wire.
type kind byte

const (
	kindExecute  kind = iota + 1 // engine to helper: do a job; the descriptor of a long body comes along
	kindRead                     // engine to helper: read a file
	kindStat                     // engine to helper: look at a file
	kindAnswer                   // engine to helper: what was asked for
	kindAsk                      // helper to engine: a question of the driver
	kindLog                      // helper to engine: a line for a log
	kindOutcomes                 // helper to engine: the job is done
	kindFile                     // helper to engine: contents or description of a file
)

// The limits of a frame: neither side can make the other hold more.
const (
	maxValue = 8 << 20
	maxBlob  = 64 << 20
)

// keepBuffer is how large a buffer stays with a connection between frames.
const keepBuffer = 128 << 10

// stream is a connected Unix socket: a *net.UnixConn in the engine, a blocking socket in the helper.
type stream interface {
	io.ReadWriteCloser
	ReadMsgUnix(b, oob []byte) (n, oobn, flags int, addr *net.UnixAddr, err error)
	WriteMsgUnix(b, oob []byte, addr *net.UnixAddr) (n, oobn int, err error)
}

// link is one end of the connection between engine and helper. A frame is kind, length of the value, length of the blob
// (big-endian, 9 bytes), value, blob; it is written with one system call, and mostly read with one. A descriptor may come with a frame.
type link struct {
	conn stream
	// accepts says that this is the helper's end: it takes descriptors, and needs a blob no longer than until the next one.
	accepts bool
	blob    []byte
	out     []byte
	in      []byte // in[at:] was read and belongs to the next frame
	at      int
	file    *os.File // came with what is in in
}

const frameHead = 9

var errTooLarge = errors.New("helper: frame too large")

// begin starts a frame in the output buffer: its head, without the blob's length, and the value.
func (l *link) begin(k kind, v any) error {
	var err error
	l.out = append(l.out[:0], byte(k), 0, 0, 0, 0, 0, 0, 0, 0)
	if l.out, err = wire.Append(l.out, v); err != nil {
		return err
	}
	if len(l.out)-frameHead > maxValue {
		return errTooLarge
	}
	binary.BigEndian.PutUint32(l.out[1:], uint32(len(l.out)-frameHead))
	return nil
}

// send writes a frame without a descriptor.
func (l *link) send(k kind, v any, blob []byte) error {
	if err := l.begin(k, v); err != nil {
		return err
	}
	l.out = append(l.out, blob...)
	return l.flush(nil)
}

// flush writes the frame that begin started, everything after the value being its blob. file may be nil.
func (l *link) flush(file *os.File) error {
	blob := len(l.out) - frameHead - int(binary.BigEndian.Uint32(l.out[1:]))
	if blob > maxBlob {
		return errTooLarge
	}
	binary.BigEndian.PutUint32(l.out[5:], uint32(blob))
	sent, err := 0, error(nil)
	if file != nil {
		rights, err := file.SyscallConn()
		if err != nil {
			return err
		}
		var oob []byte
		if err := rights.Control(func(fd uintptr) { oob = syscall.UnixRights(int(fd)) }); err != nil {
			return err
		}
		if sent, _, err = l.conn.WriteMsgUnix(l.out, oob, nil); err != nil {
			return err
		}
	}
	if sent < len(l.out) {
		_, err = l.conn.Write(l.out[sent:])
	}
	if cap(l.out) > keepBuffer {
		l.out = nil
	}
	return err
}

// receive reads a frame. The file, when there is one, is the caller's, and so is the blob in the engine; in the helper it is valid until
// another blob comes.
func (l *link) receive(v func(kind) any) (k kind, blob []byte, file *os.File, err error) {
	defer func() {
		file, l.file = l.file, nil
		if err != nil && file != nil {
			file.Close()
			file = nil
		}
	}()
	if err := l.fill(frameHead); err != nil {
		return 0, nil, nil, err
	}
	head := l.in[l.at:]
	k = kind(head[0])
	value, size := binary.BigEndian.Uint32(head[1:]), binary.BigEndian.Uint32(head[5:])
	if value > maxValue || size > maxBlob {
		return 0, nil, nil, errTooLarge
	}
	into := v(k)
	if into == nil {
		return 0, nil, nil, fmt.Errorf("helper: unexpected frame %d", k)
	}
	if err := l.fill(frameHead + int(value) + int(size)); err != nil {
		return 0, nil, nil, unexpected(err)
	}
	all := l.in[l.at+frameHead:][:value+size]
	if err := wire.Decode(all[:value], into); err != nil {
		return 0, nil, nil, err
	}
	blob = l.take(all[value:])
	l.at += frameHead + len(all)
	if l.at == len(l.in) && cap(l.in) > keepBuffer {
		l.in, l.at = nil, 0
	}
	return k, blob, nil, nil
}

// take copies a blob out of the input buffer.
func (l *link) take(b []byte) []byte {
	if !l.accepts || len(b) == 0 || len(b) > keepBuffer {
		return append([]byte(nil), b...)
	}
	l.blob = append(l.blob[:0], b...)
	return l.blob
}

func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// fill has n bytes at least in the input buffer; io.EOF means that the connection ended between two frames. The buffer grows with what
// really arrives, whatever lengths a frame claims.
func (l *link) fill(n int) error {
	const first = 16 << 10
	for len(l.in)-l.at < n {
		if l.at > 0 {
			l.in = l.in[:copy(l.in, l.in[l.at:])]
			l.at = 0
		}
		if len(l.in) == cap(l.in) {
			l.in = append(make([]byte, 0, max(2*cap(l.in), first)), l.in...)
		}
		m, err := l.read(l.in[len(l.in):cap(l.in)])
		l.in = l.in[:len(l.in)+m]
		if err == io.EOF && len(l.in) > 0 {
			return io.ErrUnexpectedEOF
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// read reads once, and keeps a descriptor that comes along.
func (l *link) read(b []byte) (int, error) {
	if !l.accepts {
		return l.conn.Read(b)
	}
	var oob [24]byte // room for one descriptor; the system drops more
	n, oobn, _, _, err := l.conn.ReadMsgUnix(b, oob[:])
	if err != nil {
		return n, err
	}
	if oobn > 0 {
		file, err := descriptor(oob[:oobn])
		if err != nil {
			return n, err
		}
		if l.file != nil {
			l.file.Close()
		}
		l.file = file
	}
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

func descriptor(oob []byte) (*os.File, error) {
	messages, err := syscall.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, err
	}
	for _, m := range messages {
		fds, err := syscall.ParseUnixRights(&m)
		if err != nil || len(fds) == 0 {
			continue
		}
		for _, fd := range fds[1:] {
			syscall.Close(fd)
		}
		return os.NewFile(uintptr(fds[0]), "passed"), nil
	}
	return nil, nil
}
