package lmtp

import (
	"net"
	"os"
	"syscall"
)

// pair makes two connected sockets: one for us, one for a command.
func pair() (ours net.Conn, theirs *os.File, err error) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	file := os.NewFile(uintptr(fds[0]), "lmtp")
	ours, err = net.FileConn(file)
	file.Close()
	if err != nil {
		syscall.Close(fds[1])
		return nil, nil, err
	}
	return ours, os.NewFile(uintptr(fds[1]), "command"), nil
}
