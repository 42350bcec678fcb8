package lmtp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"syscall"
	"time"

	"exigo/internal/mail"
	"exigo/internal/proto/smtp"
	"exigo/internal/smtpclient"
	"exigo/internal/transport"
)

// delivery is one execution in the helper.
type delivery struct {
	job
	ctx  context.Context
	e    *transport.Execution
	c    *smtpclient.Conn
	outs []mail.Outcome
	ok   []int // indexes of accepted recipients
	// dataBegun says that DATA was accepted: what the server said of single recipients stands from then on.
	dataBegun bool
}

// execute has the conversation.
func execute(ctx context.Context, e *transport.Execution) []mail.Outcome {
	d := &delivery{ctx: ctx, e: e, outs: make([]mail.Outcome, len(e.Recipients))}
	if err := e.Decode(&d.job); err != nil {
		return e.All(transport.Panic(mail.ErrnoUnknown, "lmtp: %v", err).Outcome)
	}
	raw, end, te := d.connect()
	if te != nil {
		return e.All(te.Outcome)
	}
	d.c = smtpclient.NewConn(ctx, raw, smtpclient.Timeouts{Command: d.Timeout, Data: d.Timeout, Final: d.Timeout}, "LMTP")
	d.c.LMTP = true
	if err := d.talk(); err != nil {
		d.failRest(err)
	}
	if d.c.Usable() {
		d.c.Command("QUIT", 0)
		d.c.Close()
		end(false)
	} else {
		end(true)
		d.c.Close()
	}
	return d.outs
}

// connect opens the socket or starts the command; end cleans up after the conversation, at once if it broke off.
func (d *delivery) connect() (conn net.Conn, end func(broken bool), te *transport.Error) {
	if d.Socket != "" {
		dialer := net.Dialer{Timeout: d.Timeout}
		c, err := dialer.DialContext(d.ctx, "unix", d.Socket)
		if err != nil {
			var n syscall.Errno
			errors.As(err, &n)
			return nil, nil, transport.Defer(mail.ErrnoUnknown, "Failed to connect to socket %s for %s transport: %s", d.Socket, d.e.Transport, transport.Strerror(int(n)))
		}
		return c, func(bool) {}, nil
	}
	c, cmd, err := d.start()
	if err != nil {
		// As with a command that ends at once: the conversation never begins.
		return nil, nil, transport.Defer(mail.ErrnoUnknown, "LMTP connection closed after initial connection")
	}
	return c, func(broken bool) { d.reap(cmd, broken) }, nil
}

// start runs the command with a socket as its standard input and output.
func (d *delivery) start() (net.Conn, *exec.Cmd, error) {
	ours, theirs, err := pair()
	if err != nil {
		return nil, nil, err
	}
	defer theirs.Close()
	cmd := &exec.Cmd{Path: d.Argv[0], Args: d.Argv, Dir: d.e.Current, Stdin: theirs, Stdout: theirs, Env: []string{"PATH=/bin:/usr/bin"},
		SysProcAttr: &syscall.SysProcAttr{Setpgid: true}}
	if err := cmd.Start(); err != nil {
		ours.Close()
		return nil, nil, err
	}
	return ours, cmd, nil
}

// patience is how long a command may take to end after the conversation.
const patience = 5 * time.Second

func (d *delivery) reap(cmd *exec.Cmd, broken bool) {
	wait := patience
	if broken {
		wait = 0
	}
	timer := time.AfterFunc(wait, func() { syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	cmd.Wait()
	timer.Stop()
}

// talk goes through the conversation; outcomes of single recipients are set on the way, an error concerns all others.
func (d *delivery) talk() error {
	if err := d.c.Greeting(); err != nil {
		return err
	}
	d.c.HelloName = d.Hostname
	if err := d.c.SayHello(&smtpclient.Settings{LMTP: true}); err != nil {
		return err
	}
	if _, err := d.c.Command("MAIL FROM:<"+d.e.Sender+">", 2); err != nil {
		return with(err, mail.ErrnoMail4xx)
	}
	suffix := ""
	if d.IgnoreQuota && d.c.Extensions.Has("IGNOREQUOTA") {
		suffix = " IGNOREQUOTA"
	}
	for i, rcpt := range d.e.Recipients {
		if _, err := d.c.Command("RCPT TO:<"+rcpt+">"+suffix, 2); err == nil {
			d.ok = append(d.ok, i)
		} else if !d.single(i, err, mail.ErrnoRcpt4xx) {
			return err
		}
	}
	if len(d.ok) == 0 {
		return nil
	}
	if _, err := d.c.Command("DATA", 3); err != nil {
		return with(err, mail.ErrnoData4xx)
	}
	d.dataBegun = true
	w := d.c.Data()
	if _, err := d.e.Message.WriteTo(d.ctx, w, transport.DotStuff); err != nil {
		d.c.Broken()
		return err
	}
	if _, err := io.WriteString(w, ".\r\n"); err != nil {
		return err
	}
	for n, i := range d.ok {
		r, err := d.final(w, n)
		if err != nil {
			return err
		}
		if err := d.c.Expect(r, 2, "end of data", false); err != nil {
			d.single(i, err, mail.ErrnoData4xx)
			continue
		}
		d.outs[i] = mail.Outcome{Result: mail.Delivered, Confirmation: smtpclient.ReplyText(r), Size: w.Written}
	}
	return nil
}

func (d *delivery) final(w *smtpclient.DataWriter, n int) (smtp.Reply, error) {
	if n == 0 {
		return w.EndReply("end of data", false)
	}
	return d.c.FinalReply("end of data", false, w.Written)
}

// numbered carries the error number of a 4xx reply.
type numbered struct {
	error
	errno int
}

func (n numbered) Unwrap() error { return n.error }

func with(err error, errno int) error { return numbered{err, errno} }

// single records a refusal of one recipient; it reports false for errors of the connection.
func (d *delivery) single(i int, err error, errno int) bool {
	var e *smtpclient.Error
	if !errors.As(err, &e) || e.Kind != smtpclient.Refused {
		return false
	}
	d.outs[i] = outcome(e, errno)
	return true
}

// failRest gives an error to all recipients without an outcome.
func (d *delivery) failRest(err error) {
	o := mail.Outcome{Result: mail.Deferred, Errno: mail.ErrnoUnknown, Message: err.Error()}
	var e *smtpclient.Error
	var fe *transport.FilterError
	var n numbered
	errors.As(err, &n)
	switch {
	case errors.As(err, &fe):
		o.Message, o.Errno = fe.Text, mail.ErrnoFilterFail
	case errors.As(err, &e):
		errno := n.errno
		if errno == 0 {
			errno = mail.ErrnoUnknown
		}
		o = outcome(e, errno)
	case d.ctx.Err() != nil:
		o.Message = "delivery interrupted"
	}
	var te *smtpclient.Error
	all := !d.dataBegun && errors.As(err, &te) && te.Kind != smtpclient.Refused
	for i := range d.outs {
		if d.outs[i].Result == mail.Pending || all {
			d.outs[i] = o
		}
	}
}

// outcome words an error as the transport does.
func outcome(e *smtpclient.Error, errno int) mail.Outcome {
	o := e.Outcome()
	switch e.Kind {
	case smtpclient.Refused:
		if o.Result == mail.Deferred {
			o.Errno, o.MoreErrno = errno, (e.Reply.Code%100)<<8
		}
	case smtpclient.Closed:
		o.Errno, o.Message = mail.ErrnoUnknown, "LMTP connection closed after "+e.After
	case smtpclient.Malformed:
		o.Message = fmt.Sprintf("Malformed LMTP response after %s: %s", e.After, smtpclient.Printable(e.Text))
	case smtpclient.Timeout:
		o.Errno = mail.ErrnoUnknown
	}
	return o
}
