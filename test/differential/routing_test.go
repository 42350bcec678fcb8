package differential

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"exigo/test/blackbox"
)

// testAddresses are routed by both programs with testdata/files/routing: redirections of all kinds, suffixes, routes by name and pattern,
// addresses that are refused, deferred, unknown or malformed.
var testAddresses = strings.Fields(`joe sue nobody postmaster list file pipe fails defers hole loop self empty joe@a.example JOE@A.EXAMPLE x@remote.example
	x@h.list.example x@x12.example x@unknown.example list-x@a.example @x joe@ joe@mail.example.com "joe"@a.example "a b"@a.example a@b@a.example x@[10.0.0.1] <joe>`)

// rewritten are addresses for the rewriting rules of the same file.
var rewritten = strings.Fields(`a@b.old.example A@B.C.OLD.example root@x x12@y X13@Y u@only.from u@quit.example v@repeat.example lower@case.example LOWER@case.example
	bad@syntax plain plain@dom @ one@stop.example x@ "q"@x root@b.old.example`)

var stamp = regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d `)

// say runs a program and returns what it says, time stamps left out.
func say(t *testing.T, program string, arguments ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), blackbox.Patience)
	defer cancel()
	var out bytes.Buffer
	command := exec.CommandContext(ctx, program, arguments...)
	command.Dir, command.Stdout, command.Stderr = "/", &out, &out
	if err := command.Run(); ctx.Err() != nil {
		t.Fatalf("%s %q does not end: %v", program, arguments, err)
	}
	return stamp.ReplaceAllString(out.String(), "")
}

// TestRouting compares -bt and -brw.
func TestRouting(t *testing.T) {
	exim := oracle(t)
	if os.Geteuid() != 0 {
		t.Skip("Exim takes configurations from root only")
	}
	place := blackbox.New(t)
	dir := fixtures(t)
	configuration := filepath.Join(dir, "routing")
	for _, c := range []struct {
		option    string
		addresses []string
	}{{"-bt", testAddresses}, {"-brw", rewritten}} {
		for _, a := range c.addresses {
			theirs, ours := say(t, exim, "-C", configuration, c.option, a), say(t, place.Binary, "-C", configuration, c.option, a)
			if ours != theirs {
				t.Errorf("%s %s\n  we:   %q\n  exim: %q", c.option, a, ours, theirs)
			}
		}
	}
}
