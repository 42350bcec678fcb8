package cli

import (
	"fmt"
	"os"

	"exigo/internal/eventlog"
	"exigo/internal/steward"
)

// logToCaller makes the testing modes (-be, -bt, -bv) write what would be logged to the standard error, with a time stamp: a test
// leaves no trace in the logs.
func (p *Program) logToCaller() {
	p.Server.Divert(func(_ eventlog.Stream, id, text string) {
		if id != "" {
			id += " "
		}
		fmt.Fprintf(p.Stderr, "%s %s%s\n", p.World.Clock.Now().Format("2006-01-02 15:04:05"), id, text)
	})
}

// becomeCaller gives up root for good in favour of who called the program, so that what a caller has expanded is read and run with
// the caller's own rights.
func (p *Program) becomeCaller() error {
	c := p.World.Caller
	if !p.OwnProcess || os.Geteuid() != 0 || c.UID == 0 {
		return nil
	}
	return steward.Become(steward.Policy{UID: c.UID, GID: c.GID, Groups: c.Groups})
}
