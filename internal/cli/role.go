package cli

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"exigo/internal/catalog"
	"exigo/internal/helper"
	"exigo/internal/outside"
	"exigo/internal/steward"
)

// ownWords are the words of ours that may follow the program's name.
var ownWords = map[string]func(words []string, world *outside.World, out io.Writer) error{"demo": demo, "check-mail": checkMail, "dmarc-report": dmarcReport}

// role runs the parts of the program that are not asked for by an option of Exim's: the helper and steward processes that exigo starts
// itself, the utilities, and our own words ("exigo demo").
func role(argv []string, world *outside.World) (status int, done bool) {
	if status, done := runUtility(argv[0], argv[1:], world, os.Stdout, os.Stderr); done || len(argv) < 2 {
		return status, done
	}
	switch argv[1] {
	case steward.Argument:
		return steward.Main(world.Users), true
	case helper.Argument:
		return helper.Main(catalog.Default().Transports, world), true
	}
	run := ownWords[argv[1]]
	if run == nil || filepath.Base(argv[0]) != "exigo" {
		return 0, false
	}
	if err := run(argv[2:], world, os.Stdout); err != nil {
		fmt.Fprintf(os.Stderr, "exigo %s: %v\n", argv[1], err)
		return 1, true
	}
	return 0, true
}
