package helper

import (
	"errors"
	"io"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// socket is the helper's end of its connection, on which it waits in the system call itself. The helper has nothing else to do
// meanwhile, and the runtime's poller would cost it three more calls and two wake-ups a job.
type socket struct{ fd int }

// Read implements io.Reader.
func (s socket) Read(b []byte) (int, error) {
	n, _, _, _, err := s.ReadMsgUnix(b, nil)
	if err == nil && n == 0 {
		err = io.EOF
	}
	return n, err
}

// ReadMsgUnix is what it is for a net.UnixConn; the address is always nil.
func (s socket) ReadMsgUnix(b, oob []byte) (n, oobn, flags int, addr *net.UnixAddr, err error) {
	for {
		n, oobn, flags, _, err = unix.Recvmsg(s.fd, b, oob, unix.MSG_CMSG_CLOEXEC)
		if !errors.Is(err, syscall.EINTR) {
			return max(n, 0), oobn, flags, nil, err
		}
	}
}

// Write implements io.Writer.
func (s socket) Write(b []byte) (int, error) {
	n, _, err := s.WriteMsgUnix(b, nil, nil)
	return n, err
}

// WriteMsgUnix writes all of b.
func (s socket) WriteMsgUnix(b, oob []byte, _ *net.UnixAddr) (n, oobn int, err error) {
	for n < len(b) {
		m, err := unix.SendmsgN(s.fd, b[n:], oob, nil, unix.MSG_NOSIGNAL)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil {
			return n, oobn, err
		}
		n, oobn, oob = n+m, oobn+len(oob), nil
	}
	return n, oobn, nil
}

// Close implements io.Closer.
func (s socket) Close() error { return unix.Close(s.fd) }
