package cli

import (
	"context"
	"fmt"
)

// rewriteTest is -brw: what the rewriting rules make of an address, at each place where it may stand.
func (p *Program) rewriteTest(ctx context.Context) error {
	if err := p.checksAllowed(); err != nil {
		return err
	}
	if len(p.Arguments.Operands) == 0 {
		return exitf(1, "-brw needs an address argument")
	}
	s := p.Server.Scope(ctx, nil)
	failed := false
	for _, text := range p.Arguments.Operands {
		out, err := p.Server.Rewriter().Test(s, text)
		fmt.Fprint(p.Stdout, out)
		if err != nil {
			fmt.Fprint(p.Stdout, err)
			failed = true
		}
	}
	if failed {
		return &exitError{status: 1}
	}
	return nil
}
