package steward

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
)

// request is what the engine asks; exactly one field is set.
type request struct {
	Policy *Policy   `json:",omitempty"`
	Listen *listen   `json:",omitempty"`
	Helper *Identity `json:",omitempty"`
}

type listen struct{ Network, Address string }

// reply answers a request; a descriptor comes along with success, where there is one.
type reply struct {
	Error string `json:",omitempty"`
	Errno int    `json:",omitempty"`
	// Refused says that the policy forbids it.
	Refused bool `json:",omitempty"`
}

// maxPacket bounds a request and a reply; the socket keeps packets apart.
const maxPacket = 64 << 10

func send(c *net.UnixConn, v any, fd int) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if len(data) > maxPacket {
		return errors.New("steward: packet too large")
	}
	var oob []byte
	if fd >= 0 {
		oob = syscall.UnixRights(fd)
	}
	_, _, err = c.WriteMsgUnix(data, oob, nil)
	return err
}

// receive reads one packet; file is the descriptor that came along, nil for none.
func receive(c *net.UnixConn, v any) (file *os.File, err error) {
	data := make([]byte, maxPacket)
	oob := make([]byte, syscall.CmsgSpace(4))
	n, oobn, flags, _, err := c.ReadMsgUnix(data, oob)
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return nil, io.EOF
	}
	if messages, err := syscall.ParseSocketControlMessage(oob[:oobn]); err == nil && len(messages) > 0 {
		if fds, err := syscall.ParseUnixRights(&messages[0]); err == nil && len(fds) > 0 {
			file = os.NewFile(uintptr(fds[0]), "passed")
		}
	}
	if flags&syscall.MSG_TRUNC != 0 {
		err = errors.New("steward: packet too large")
	} else {
		err = json.Unmarshal(data[:n], v)
	}
	if err != nil && file != nil {
		file.Close()
		file = nil
	}
	return file, err
}

// sockets makes a connected pair: ours as a connection, theirs as a file to be inherited.
func sockets(kind int) (ours *net.UnixConn, theirs *os.File, err error) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, kind|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	mine := os.NewFile(uintptr(fds[0]), "ours")
	theirs = os.NewFile(uintptr(fds[1]), "theirs")
	c, err := net.FileConn(mine)
	mine.Close()
	if err == nil {
		if u, ok := c.(*net.UnixConn); ok {
			return u, theirs, nil
		}
		err = errors.New("steward: no Unix socket")
	}
	theirs.Close()
	return nil, nil, err
}
