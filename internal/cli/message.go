package cli

import (
	"context"
	"fmt"
	"os"
	"strings"

	"exigo/internal/lookup"
	"exigo/internal/mail"
	"exigo/internal/spool"
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
		if !spool.IsID(a.MessageSet) {
			return nil, nil, exitf(1, "exim: malformed message id %s after -Mset option", a.MessageSet)
		}
		if m, err = p.Server.Spool.Read(a.MessageSet, a.Queue.Name); err != nil { // the expansions go on without it, as in Exim
			fmt.Fprintf(p.Stdout, "Failed to load message datafile %s\nFailed to load message %[1]s\n", a.MessageSet)
			if m, err = p.callersMessage(); err == nil {
				m.ID = a.MessageSet
			}
		}
		return m, func() {}, err
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
	if call.Caller.Trusted {
		m.Protocol = call.Protocol
	}
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
		return nil, nil, exitf(1, "exim: failed to open %s: %s", path, lookup.SystemText(err))
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
