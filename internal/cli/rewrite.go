package cli

import (
	"context"
	"fmt"

	"exigo/internal/eventlog"
)

// rewriteTest is -brw: what the rewriting rules make of an address, at each place where it may stand.
func (p *Program) rewriteTest(ctx context.Context) error {
	if err := p.checksAllowed(); err != nil {
		return err
	}
	if len(p.Arguments.Operands) == 0 {
		return exitf(1, "-brw needs an address argument")
	}
	if err := p.begin(ctx); err != nil {
		return err
	}
	p.logToStderr()
	s := p.Server.Scope(ctx, nil)
	p.showExpansions(s, nil)
	out, err := p.Server.Rewriter().Test(s, p.Arguments.Operands[0])
	fmt.Fprint(p.Stdout, out)
	if err != nil {
		fmt.Fprint(p.Stdout, err)
		return &exitError{status: 1}
	}
	return nil
}

// logToStderr has what would be logged go to the standard error, with a time stamp: the mode only tests.
func (p *Program) logToStderr() {
	p.Server.Divert(func(_ eventlog.Stream, id, text string) {
		if id != "" {
			text = id + " " + text
		}
		fmt.Fprintf(p.Stderr, "%s %s\n", p.World.Clock.Now().Format("2006-01-02 15:04:05"), text)
	})
}
