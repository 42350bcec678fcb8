package cli

import (
	"fmt"
	"os"
	"path/filepath"

	"exigo/internal/catalog"
	"exigo/internal/helper"
	"exigo/internal/outside"
	"exigo/internal/steward"
)

// role runs the parts of the program that are not asked for by an option of Exim's: the helper and steward processes that exigo starts
// itself, the utilities, and our own words ("exigo demo").
func role(argv []string, world *outside.World) (status int, done bool) {
	if status, done := runUtility(argv[0], argv[1:], world, os.Stdout, os.Stderr); done || len(argv) < 2 {
		return status, done
	}
	switch argv[1] {
	case steward.Argument:
		return steward.Main(), true
	case helper.Argument:
		return helper.Main(catalog.Default().Transports, world), true
	}
	if argv[1] != "demo" || filepath.Base(argv[0]) != "exigo" {
		return 0, false
	}
	if err := demo(argv[2:], world, os.Stdout); err != nil {
		fmt.Fprintf(os.Stderr, "exigo demo: %v\n", err)
		return 1, true
	}
	return 0, true
}
