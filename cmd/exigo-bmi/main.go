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

	"exigo/internal/coprocess"
	"exigo/internal/feature/brightmail/bmiclient"
)

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: exigo-bmi VERSION LIBRARY...")
		os.Exit(64)
	}
	runtime.LockOSThread() // a library may keep state by thread
	requests, answers, err := coprocess.Streams()
	if err != nil {
		fmt.Fprintln(os.Stderr, "exigo-bmi:", err)
		os.Exit(71)
	}
	if err := bmiclient.Serve(bufio.NewReader(requests), answers, open(bmiclient.Setup{Version: os.Args[1], Libraries: os.Args[2:]})); err != nil {
		fmt.Fprintln(os.Stderr, "exigo-bmi:", err)
		os.Exit(76)
	}
}
