package coprocess

import (
	"os"

	"golang.org/x/sys/unix"
)

// Streams takes standard input and output of the process for requests and answers alone: what a library prints goes nowhere, what it reads
// is empty, and no process that it starts inherits them.
func Streams() (requests, answers *os.File, err error) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, nil, err
	}
	defer null.Close()
	var own [2]*os.File
	for fd, name := range []string{"requests", "answers"} {
		moved, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
		if err != nil {
			return nil, nil, err
		}
		if err := unix.Dup3(int(null.Fd()), fd, 0); err != nil {
			return nil, nil, err
		}
		own[fd] = os.NewFile(uintptr(moved), name)
	}
	return own[0], own[1], nil
}
