package cli

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"exigo/internal/eventlog"
	"exigo/internal/smtpserver"
	"exigo/internal/submit"
)

// stream joins standard input and output.
type stream struct {
	io.Reader
	io.Writer
}

// call is what the command line says about a submission.
func (p *Program) call() (*submit.Call, error) {
	a, c := &p.Arguments.Submission, p.World.Caller
	call := &submit.Call{Caller: submit.Caller{UID: c.UID, GID: c.GID, Groups: c.Groups, Admin: p.admin()},
		Sender: a.Sender, SenderGiven: a.SenderGiven, FullName: a.FullName, Extract: a.ExtractRecipients, Dots: a.DotEnds, NoQualify: a.NoQualify,
		ErrorMode: a.ErrorMode, Delivery: p.delivery(), Timeout: a.ReceiveTimeout, HostName: a.HostName, Ident: a.Ident,
		Protocol: a.Protocol, AuthName: a.AuthName, AuthID: a.AuthID, AuthSender: a.AuthSender, Reference: a.MessageReference,
		Recipients: p.Arguments.Operands, Stdin: p.Stdin, Stderr: p.Stderr}
	if call.Timeout == 0 {
		call.Timeout = -1
	}
	call.Caller = p.Server.Receiver.Identify(call.Caller)
	if call.QueueName = a.QueueName; call.QueueName != "" {
		if !call.Caller.Admin && !call.Caller.Trusted {
			return nil, exitf(1, "exim: permission denied")
		}
		if strings.Contains(call.QueueName, "/") || call.QueueName == "." || call.QueueName == ".." {
			return nil, exitf(1, "Directory separator not permitted in queue name: '%s'", call.QueueName)
		}
	}
	var err error
	if a.Host != "" {
		if call.Host, call.Port, err = hostAndPort(a.Host); err != nil {
			return nil, err
		}
	}
	if a.Interface != "" {
		if call.Interface, call.InterfacePort, err = hostAndPort(a.Interface); err != nil {
			return nil, err
		}
	}
	return call, nil
}

// notDelivered tells the caller under mua_wrapper that delivery failed (spec 52).
func (p *Program) notDelivered() error {
	if p.Server.NotDelivered == "" {
		return nil
	}
	return exitf(1, "Delivery failed: %s", strings.ReplaceAll(p.Server.NotDelivered, "\n", " "))
}

// submit is -bm and -t: one message on the standard input.
func (p *Program) submit(ctx context.Context) error {
	call, err := p.call()
	if err != nil {
		return err
	}
	if len(call.Recipients) == 0 && !call.Extract {
		return exitf(1, "exim: no recipients were given")
	}
	if err := p.prepare(ctx); err != nil {
		return err
	}
	defer p.finish(ctx)
	status := p.Server.Receiver.Submit(ctx, call)
	if status != 0 {
		return &exitError{status: status}
	}
	return p.notDelivered()
}

// hostAndPort reads "address", "address.port" or "[address]:port", as -bh and -oMa take them.
func hostAndPort(text string) (netip.Addr, int, error) {
	if inner, ok := strings.CutPrefix(text, "["); ok {
		host, rest, _ := strings.Cut(inner, "]")
		addr, err := netip.ParseAddr(host)
		port, _ := strconv.Atoi(strings.TrimPrefix(rest, ":"))
		if err != nil {
			return addr, 0, exitf(1, "exim abandoned: \"%s\" is not an IP address", text)
		}
		return addr, port, nil
	}
	if addr, err := netip.ParseAddr(text); err == nil {
		return addr, 0, nil
	}
	if i := strings.LastIndexByte(text, '.'); i > 0 {
		if port, err := strconv.Atoi(text[i+1:]); err == nil {
			if addr, err := netip.ParseAddr(text[:i]); err == nil {
				return addr, port, nil
			}
		}
	}
	return netip.Addr{}, 0, exitf(1, "exim abandoned: \"%s\" is not an IP address", text)
}

// delivery says what -od asks for.
func (p *Program) delivery() submit.Delivery {
	switch p.Arguments.Submission.Delivery {
	case DeliverForeground:
		return submit.DeliverForeground
	case DeliverQueue:
		return submit.Queue
	case DeliverQueueSMTP:
		return submit.RouteOnly
	}
	return submit.Deliver
}

// localSMTP is -bs: an SMTP session on standard input and output, or on the socket that inetd accepted.
func (p *Program) localSMTP(ctx context.Context) error {
	return p.streamSession(ctx, smtpserver.Start{})
}

// batchSMTP is -bS: SMTP commands without replies.
func (p *Program) batchSMTP(ctx context.Context) error {
	return p.streamSession(ctx, smtpserver.Start{Batch: true, Error: p.Stderr})
}

func (p *Program) streamSession(ctx context.Context, start smtpserver.Start) error {
	call, err := p.call()
	if err != nil {
		return err
	}
	if p.Server.Main.MUAWrapper && isSocket(p.Stdin) {
		return exitf(1, "exim: input from inetd is not supported when mua_wrapper is set")
	}
	start.Noun = p.Server.Receiver.LocalSession(call)
	if p.Arguments.Submission.AuthSender == "" {
		start.Noun.AuthSender = "" // MAIL's AUTH= says it
	}
	if err := p.prepare(ctx); err != nil {
		return err
	}
	defer p.finish(ctx)
	a := &p.Arguments.Submission
	start.Local, start.TLSOnConnect, start.Timeout = true, p.Arguments.TLSOnConnect, a.SMTPTimeout
	start.NotSocket = !isSocket(p.Stdin)
	start.Untrusted, start.Unqualified = !start.Noun.Trusted, !a.NoQualify
	if start.Noun.Trusted {
		start.Protocol = a.Protocol
	}
	start.Sender = p.Server.Receiver.OwnAddress(call.Caller)
	ended := p.Server.SMTP.ServeStream(ctx, stream{p.Stdin, p.Stdout}, start)
	if start.Batch && ended.Failed {
		if ended.Messages > 0 {
			return &exitError{status: 1}
		}
		return &exitError{status: 2}
	}
	if ended.Dropped {
		return &exitError{status: 1}
	}
	return p.notDelivered()
}

func isSocket(r io.Reader) bool {
	f, ok := r.(*os.File)
	if !ok {
		return false
	}
	st, err := f.Stat()
	return err == nil && st.Mode()&os.ModeSocket != 0
}

// hostTest is -bh: a session as if from the given address. Nothing is kept; what would be logged goes to the standard error.
func (p *Program) hostTest(ctx context.Context) error {
	if err := p.checksAllowed(); err != nil {
		return err
	}
	host, port, err := hostAndPort(p.Arguments.HostAddress)
	if err != nil {
		return err
	}
	call, err := p.call()
	if err != nil {
		return err
	}
	if err := p.prepare(ctx); err != nil {
		return err
	}
	defer p.finish(ctx)
	call.Caller.Trusted = true
	noun := p.Server.Receiver.LocalSession(call)
	noun.Host, noun.Port, noun.Local = host, port, false
	if p.Arguments.Submission.Ident == "" {
		noun.Ident = ""
	}
	fmt.Fprintf(p.Stdout, "\n**** SMTP testing session as if from host %s\n**** but without any ident (RFC 1413) callback.\n**** This is not for real!\n\n", host)
	p.Server.Divert(func(to eventlog.Stream, id, text string) {
		names := []struct {
			s eventlog.Stream
			n string
		}{{eventlog.Main, "LOG: "}, {eventlog.Panic, "PANIC LOG: "}}
		if id != "" {
			id += " "
		}
		for _, l := range names {
			if to&l.s != 0 {
				fmt.Fprintf(p.Stderr, "%s%s%s\n", l.n, id, text)
				return
			}
		}
	})
	p.Server.NoCallouts = p.Arguments.Sub != "c"
	receiver, remove, err := p.Server.ScratchReceiver()
	if err != nil {
		return err
	}
	defer remove()
	p.Server.Receiver = receiver
	p.Server.SMTP.ServeStream(ctx, stream{p.Stdin, p.Stdout}, smtpserver.Start{Noun: noun, HostChecking: true, NotSocket: !isSocket(p.Stdin),
		TLSOnConnect: p.Arguments.TLSOnConnect, Timeout: p.Arguments.Submission.SMTPTimeout})
	return nil
}
