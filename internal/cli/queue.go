package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"exigo/internal/deliver"
	"exigo/internal/queue"
	"exigo/internal/spool"
)

// listQueue is -bp and its variants.
func (p *Program) listQueue(ctx context.Context) error {
	if p.Server.Main.QueueListRequiresAdmin && !p.admin() {
		return exitf(1, "exim: permission denied")
	}
	if p.Arguments.Sub == "c" {
		entries, err := p.Server.Spool.List(p.Arguments.Queue.Name)
		if err != nil {
			return err
		}
		fmt.Fprintln(p.Stdout, len(entries))
		return nil
	}
	o := queue.ParseListOptions(p.Arguments.Sub)
	o.IDs = p.Arguments.Operands
	return queue.List(p.Stdout, p.Server.Spool, p.Arguments.Queue.Name, o, p.World.Clock.Now())
}

// queueRun is -q, -R and -S without a daemon: one run, now.
func (p *Program) queueRun(ctx context.Context) error {
	if p.Server.Main.ProdRequiresAdmin && !p.admin() {
		return exitf(1, "exim: permission denied")
	}
	q := p.Arguments.Queue
	if q.Interval > 0 {
		return p.daemon(ctx)
	}
	if err := p.prepare(ctx); err != nil {
		return err
	}
	defer p.finish(ctx)
	sel := queueSelection(q)
	sel.Force, sel.ForceFrozen = q.Force || q.SelectForce, q.ForceFrozen || q.SelectFrozen
	sel.DontDeliver, sel.Pretend = p.Arguments.NoDelivery, p.Arguments.QueueTimes
	if q.Recipient != "" || q.Sender != "" {
		sel.Words = ""
		if q.Recipient != "" {
			sel.Words += "-R " + q.Recipient
		}
		if q.Sender != "" {
			sel.Words += "-S " + q.Sender
		}
	}
	return p.Server.Runner.Run(ctx, sel)
}

// messageCommand is -M and its variants.
func (p *Program) messageCommand(ctx context.Context) error {
	a := p.Arguments
	if err := p.messageAllowed(); err != nil {
		return err
	}
	if len(a.Operands) == 0 {
		return exitf(1, "exim: no message ids given after -M%s option", a.Sub)
	}
	ids, rest := a.Operands, []string(nil)
	switch a.Sub {
	case "ar", "md", "es":
		ids, rest = a.Operands[:1], a.Operands[1:]
		if len(rest) == 0 {
			return exitf(1, "exim: no address given after -M%s option", a.Sub)
		}
	}
	for _, id := range ids {
		if !spool.IsID(id) {
			return exitf(1, "exim: malformed message id %s after -M%s option", id, a.Sub)
		}
	}
	switch a.Sub {
	case "", "c", "g":
		return p.deliverMessages(ctx, ids)
	}
	if a.Sub == "G" {
		rest = []string{a.MoveTo}
	}
	c := &queue.Commander{Spool: p.Server.Spool, Log: p.Server.Log, Now: p.World.Clock.Now, Caller: p.login(), Out: p.Stdout,
		Qualify: p.Server.Qualify, Removed: p.Server.Removed}
	failed := false
	for _, id := range ids {
		switch err := c.Do(queue.Action(a.Sub), id, a.Queue.Name, rest); {
		case errors.Is(err, queue.ErrFailed):
			failed = true
		case err != nil:
			fmt.Fprintln(p.Stderr, err)
			failed = true
		}
	}
	if a.Sub == "G" {
		fmt.Fprintln(p.Stdout)
	}
	if failed {
		return &exitError{status: 1}
	}
	return nil
}

// messageAllowed tells who may use a -M option: what shows or changes a message is the administrators'; delivery may be anyone's
// when prod_requires_admin is off.
func (p *Program) messageAllowed() error {
	if p.admin() {
		return nil
	}
	switch p.Arguments.Sub {
	case "", "c":
		if !p.Server.Main.ProdRequiresAdmin {
			return nil
		}
	}
	return exitf(1, "exim: permission denied")
}

// deliverMessages is -M, -Mc and -Mg.
func (p *Program) deliverMessages(ctx context.Context, ids []string) error {
	if err := p.prepare(ctx); err != nil {
		return err
	}
	defer p.finish(ctx)
	o := deliver.Options{Force: true, Thaw: true, DontDeliver: p.Arguments.NoDelivery}
	switch p.Arguments.Sub {
	case "c":
		o = deliver.Options{DontDeliver: p.Arguments.NoDelivery}
	case "g":
		o.GiveUp, o.Caller = true, p.login()
	}
	for _, id := range ids {
		switch p.Server.Deliverer.Message(ctx, id, p.Arguments.Queue.Name, o) {
		case deliver.Gone:
			fmt.Fprintf(p.Stderr, "exim: message %s is not in the queue\n", id)
		case deliver.Locked:
			fmt.Fprintf(p.Stderr, "Message %s is locked\n", id)
		}
	}
	return nil
}

// login is the caller's login name, for the log.
func (p *Program) login() string {
	u, found, err := p.World.Users.ByUID(p.World.Caller.UID)
	if err != nil || !found {
		return fmt.Sprintf("uid %d", p.World.Caller.UID)
	}
	return u.Name
}

// runAsCaller runs a command with the caller's identity.
func (p *Program) runAsCaller(ctx context.Context, command, argument string) error {
	args := []string{}
	if argument != "" {
		args = append(args, argument)
	}
	cmd := exec.CommandContext(ctx, command, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = p.Stdin, p.Stdout, p.Stderr
	if c := p.World.Caller; os.Geteuid() == 0 && c.UID != 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(c.UID), Gid: uint32(c.GID)}}
	}
	if err := cmd.Run(); err != nil {
		return exitf(1, "exim: exec of %s failed: %v", command, err)
	}
	return nil
}
