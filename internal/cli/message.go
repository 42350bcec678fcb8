package cli

import (
	"context"
	"os"
	"strings"

	"exigo/internal/mail"
)

// expansionMessage is the message that -be shows the variables of: one on the queue (-Mset), a file read as if it were
// submitted (-bem), or none. done must be called when the message is not needed any more.
func (p *Program) expansionMessage(ctx context.Context) (m *mail.Message, done func(), err error) {
	a := p.Arguments
	switch {
	case a.MessageSet != "":
		if !p.admin() {
			return nil, nil, exitf(1, "exim: permission denied")
		}
		if m, err = p.Server.Spool.Read(a.MessageSet, a.Queue.Name); err != nil {
			return nil, nil, exitf(1, "exim: failed to read message %s from spool: %v", a.MessageSet, err)
		}
		return m, func() {}, nil
	case a.ExpandMessage != "":
		return p.messageOfFile(ctx, a.ExpandMessage)
	}
	return nil, func() {}, nil
}

// callersMessage is a message of the caller's that is still empty: its sender and session are known.
func (p *Program) callersMessage() (*mail.Message, error) {
	call, err := p.call()
	if err != nil {
		return nil, err
	}
	m := &mail.Message{Session: p.Server.Receiver.LocalSession(call), Sender: p.Server.Receiver.OwnAddress(call.Caller)}
	m.Session.Local = false // nothing was received
	if call.SenderGiven {
		m.Sender, m.SenderSet = strings.Trim(call.Sender, "<>"), true
		if m.Sender != "" {
			m.Sender = p.Server.Qualify(m.Sender, true)
		}
		if call.Caller.Trusted {
			m.Session.AuthID, m.Session.AuthSender = call.AuthID, call.AuthSender
		}
	}
	return m, nil
}

// messageOfFile reads a file as a message that the caller submits.
func (p *Program) messageOfFile(ctx context.Context, path string) (*mail.Message, func(), error) {
	in, err := os.Open(path)
	if err != nil {
		return nil, nil, exitf(1, "exim: failed to open %s: %v", path, err)
	}
	defer in.Close()
	call, err := p.call()
	if err != nil {
		return nil, nil, err
	}
	call.Recipients, call.Stdin, call.Dots = nil, in, false
	receiver, remove, err := p.Server.ScratchReceiver()
	if err != nil {
		return nil, nil, err
	}
	m, err := receiver.Probe(ctx, call)
	if err != nil {
		remove()
		return nil, nil, exitf(1, "exim: %v", err)
	}
	return m, remove, nil
}
