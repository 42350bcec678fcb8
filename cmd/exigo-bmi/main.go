// Command exigo-bmi loads Brightmail's client library and does what the program asks of it through standard input and output
// (internal/feature/brightmail/bmiclient). It is a command of its own so that foreign code runs in no process that has other work.
//
//	exigo-bmi VERSION LIBRARY...
//
// VERSION is BMI_VERSION of the library's header file; the libraries are loaded in order, the last one has the calls.
//
// Trust: messages of outsiders pass through it into the library; it runs as the program does and holds no rights of its own.
package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime"

	"exigo/internal/feature/brightmail/bmiclient"

	"golang.org/x/sys/unix"
)

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: exigo-bmi VERSION LIBRARY...")
		os.Exit(64)
	}
	runtime.LockOSThread() // a library may keep state by thread
	out, err := ownOutput()
	if err != nil {
		fmt.Fprintln(os.Stderr, "exigo-bmi:", err)
		os.Exit(71)
	}
	if err := bmiclient.Serve(bufio.NewReader(os.Stdin), out, open(bmiclient.Setup{Version: os.Args[1], Libraries: os.Args[2:]})); err != nil {
		fmt.Fprintln(os.Stderr, "exigo-bmi:", err)
		os.Exit(76)
	}
}

// ownOutput takes the standard output for the answers alone: what the library may print goes nowhere.
func ownOutput() (*os.File, error) {
	fd, err := unix.FcntlInt(1, unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil, err
	}
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	if err := unix.Dup3(int(null.Fd()), 1, 0); err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "answers"), nil
}
