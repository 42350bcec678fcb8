package cli

import (
	"context"
	"strings"

	"exigo/internal/mail"
	"exigo/internal/route"
)

// addressTest is -bt: where addresses would be delivered.
func (p *Program) addressTest(ctx context.Context) error {
	return p.testAddresses(ctx, route.TestOptions{Reasons: p.admin()})
}

// verify is -bv and -bvs: whether addresses verify, as recipients or as senders.
func (p *Program) verify(ctx context.Context) error {
	return p.testAddresses(ctx, route.TestOptions{Verify: true, Sender: p.Arguments.Sub == "s", Full: p.Arguments.Verbose || p.Arguments.Debug, Reasons: p.admin()})
}

func (p *Program) testAddresses(ctx context.Context, o route.TestOptions) error {
	if err := p.checksAllowed(); err != nil {
		return err
	}
	if err := p.begin(ctx); err != nil {
		return err
	}
	p.logToCaller()
	call, err := p.call()
	if err != nil {
		return err
	}
	p.logToStderr()
	session := p.Server.Receiver.LocalSession(call)
	m := &mail.Message{Session: session, SenderSet: true}
	if !o.Sender {
		m.Sender = p.Server.Receiver.OwnAddress(call.Caller)
	}
	if a := p.Arguments.Submission; a.SenderGiven {
		m.Sender = strings.Trim(a.Sender, "<>")
		if m.Sender != "" {
			m.Sender = p.Server.Qualify(m.Sender, true)
		}
	}
	s := p.Server.Engine.NewScope(ctx, p.Server.Config, session, m)
	console, done := p.openConsole()
	defer done()
	p.showExpansions(s, console.out)
	if debug := p.Server.DebugPrint; debug != nil {
		p.Server.DebugPrint = func(text string) {
			console.out.Flush()
			debug(text)
		}
	}
	t := &route.Tester{Engine: p.Server.Routes, Out: console.out, Options: o}
	status := 0
	if err := p.eachLine(console, false, func(text string) { status = max(status, t.Test(ctx, s, text)) }); err != nil {
		return err
	}
	if status != 0 {
		return &exitError{status: status}
	}
	return nil
}
