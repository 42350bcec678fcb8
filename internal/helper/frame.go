package helper

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
)

// kind of a frame on the wire.
type kind byte

const (
	kindExecute  kind = iota + 1 // engine to helper: do a job; the body's descriptor comes along
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
	maxJSON = 8 << 20
	maxBlob = 64 << 20
)

// link is one end of the connection between engine and helper. A frame is kind, length of the JSON part,
// length of the blob (big-endian, 9 bytes), JSON, blob. A descriptor may come with the first byte.
type link struct {
	conn *net.UnixConn
	buf  []byte
}

var errTooLarge = errors.New("helper: frame too large")

// send writes a frame; file may be nil.
func (l *link) send(k kind, v any, blob []byte, file *os.File) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if len(text) > maxJSON || len(blob) > maxBlob {
		return errTooLarge
	}
	l.buf = append(l.buf[:0], byte(k))
	l.buf = binary.BigEndian.AppendUint32(l.buf, uint32(len(text)))
	l.buf = binary.BigEndian.AppendUint32(l.buf, uint32(len(blob)))
	l.buf = append(append(l.buf, text...), blob...)
	var oob []byte
	if file != nil {
		rights, err := file.SyscallConn()
		if err != nil {
			return err
		}
		if err := rights.Control(func(fd uintptr) { oob = syscall.UnixRights(int(fd)) }); err != nil {
			return err
		}
	}
	n, _, err := l.conn.WriteMsgUnix(l.buf, oob, nil)
	for err == nil && n < len(l.buf) {
		var m int
		m, err = l.conn.Write(l.buf[n:])
		n += m
	}
	return err
}

// receive reads a frame. The blob and the file, when there is one, are the caller's to keep.
func (l *link) receive(v func(kind) any) (k kind, blob []byte, file *os.File, err error) {
	var head [9]byte
	oob := make([]byte, syscall.CmsgSpace(4))
	n, oobn, _, _, err := l.conn.ReadMsgUnix(head[:], oob)
	if err == nil && n == 0 {
		err = io.EOF
	}
	if err != nil {
		return 0, nil, nil, err
	}
	if file, err = descriptor(oob[:oobn]); err != nil {
		return 0, nil, nil, err
	}
	defer func() {
		if err != nil && file != nil {
			file.Close()
			file = nil
		}
	}()
	if _, err = io.ReadFull(l.conn, head[n:]); err != nil {
		return 0, nil, file, err
	}
	text, size := binary.BigEndian.Uint32(head[1:]), binary.BigEndian.Uint32(head[5:])
	if text > maxJSON || size > maxBlob {
		return 0, nil, file, errTooLarge
	}
	all := make([]byte, int(text)+int(size))
	if _, err = io.ReadFull(l.conn, all); err != nil {
		return 0, nil, file, err
	}
	k = kind(head[0])
	if into := v(k); into == nil {
		err = fmt.Errorf("helper: unexpected frame %d", k)
	} else {
		err = json.Unmarshal(all[:text], into)
	}
	return k, all[text:], file, err
}

func descriptor(oob []byte) (*os.File, error) {
	if len(oob) == 0 {
		return nil, nil
	}
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
