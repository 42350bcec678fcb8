// Command exigo-drop leaves a submission in the drop directory when no daemon answers. It is installed setgid to the group
// that may write there, and does nothing else: the owner of the file it makes is the proof of who submitted.
//
//	exigo-drop DIRECTORY WORD... <message
//
// DIRECTORY must be named in /etc/exigo/drop-directory, or be /var/spool/exim4/drop or /var/spool/exim/drop; the words are the
// call's, from argv[0] on.
//
// Trust: called by any local user, with the group's rights; it opens one new file in one directory and parses nothing.
package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"exigo/internal/submit"
)

// limit bounds a submission.
const limit = 100 << 20

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: exigo-drop DIRECTORY WORD... <message")
		os.Exit(64)
	}
	dirs := []string{"/var/spool/exim4/drop", "/var/spool/exim/drop"}
	if text, err := os.ReadFile("/etc/exigo/drop-directory"); err == nil {
		dirs = append(dirs, strings.TrimSpace(string(text)))
	}
	if !slices.Contains(dirs, os.Args[1]) {
		fmt.Fprintf(os.Stderr, "exigo-drop: %s is not a drop directory; name it in /etc/exigo/drop-directory\n", os.Args[1])
		os.Exit(64)
	}
	if err := submit.WriteDrop(os.Args[1], os.Args[2:], os.Stdin, limit); err != nil {
		fmt.Fprintf(os.Stderr, "exigo-drop: %v\n", err)
		os.Exit(75)
	}
}
