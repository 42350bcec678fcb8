// Command exigo-pam loads libpam and authenticates users as the program asks it to through standard input and output
// (internal/feature/pam/pamclient). It is a command of its own so that foreign code runs in no process that has other work. It has no options.
//
// Trust: outsiders' user names and passwords pass through it into the modules; it runs as the program does and holds no rights of its own.
package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime"

	"exigo/internal/coprocess"
	"exigo/internal/feature/pam/pamclient"

	"golang.org/x/sys/unix"
)

// libraryName is what the dynamic linker searches for.
const libraryName = "libpam.so.0"

func main() {
	if len(os.Args) != 1 {
		fmt.Fprintln(os.Stderr, "usage: exigo-pam, started by exigo for the condition pam")
		os.Exit(64)
	}
	runtime.LockOSThread() // modules may keep state by thread
	requests, answers, err := coprocess.Streams()
	if err == nil {
		err = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0) // there are passwords in here
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "exigo-pam:", err)
		os.Exit(71)
	}
	if err := pamclient.Serve(bufio.NewReader(requests), answers, open(libraryName)); err != nil {
		fmt.Fprintln(os.Stderr, "exigo-pam:", err)
		os.Exit(76)
	}
}
