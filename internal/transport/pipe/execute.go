package pipe

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"exigo/internal/mail"
	"exigo/internal/transport"
)

// delivery is one execution in the helper.
type delivery struct {
	job
	ctx context.Context
	e   *transport.Execution

	output   bytes.Buffer
	timedOut atomic.Bool
	killed   atomic.Bool // for writing too much
	size     int64       // what the command was given; set when it was all taken
}

// execute runs the command.
func execute(ctx context.Context, e *transport.Execution) []mail.Outcome {
	d := &delivery{ctx: ctx, e: e}
	if err := e.Decode(&d.job); err != nil {
		return e.All(transport.Panic(mail.ErrnoUnknown, "pipe: %v", err).Outcome)
	}
	o := d.deliver()
	discreet(&o)
	d.report(&o)
	return e.All(o)
}

// discreet keeps the details of a failure, which the log has, from the sender (spec 29.2).
func discreet(o *mail.Outcome) {
	if o.Result != mail.Delivered {
		o.UserMessage = "local delivery failed"
	}
}

// deliver runs the command and says what became of the message, output left aside.
func (d *delivery) deliver() mail.Outcome {
	program, err := d.find()
	if err != nil {
		return transport.Fail("\"%s\" command not found for %s transport", d.Argv[0], d.e.Transport).Outcome
	}
	read, write, err := os.Pipe()
	if err != nil {
		return system(err, "failed to create pipe for handling output in %s transport", d.e.Transport)
	}
	defer read.Close()
	cmd := &exec.Cmd{Path: program, Args: d.Argv, Env: d.Environment, Dir: d.e.Current, Stdout: write, Stderr: write,
		SysProcAttr: &syscall.SysProcAttr{Setpgid: true}}
	in, err := cmd.StdinPipe()
	if err != nil {
		write.Close()
		return system(err, "failed to create pipe for handling output in %s transport", d.e.Transport)
	}
	err = start(cmd, d.Umask, d.Coredump)
	write.Close()
	if err != nil {
		in.Close()
		return d.status(127, nil)
	}
	return d.converse(cmd, in, read)
}

// find looks for the command along the path.
func (d *delivery) find() (string, error) {
	name := d.Argv[0]
	if strings.HasPrefix(name, "/") {
		return name, nil
	}
	for _, dir := range strings.Split(d.Path, ":") {
		if dir == "" {
			continue
		}
		if info, err := os.Stat(dir + "/" + name); err == nil && !info.IsDir() {
			return dir + "/" + name, nil
		}
	}
	return "", os.ErrNotExist
}

// start starts the command with a umask of its own: the thread that forks it has left the other threads' file system
// attributes behind, and ends afterwards.
func start(cmd *exec.Cmd, umask uint32, coredump bool) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread is not fit for other work any more
		if err := unix.Unshare(unix.CLONE_FS); err != nil {
			done <- err
			return
		}
		unix.Umask(int(umask))
		done <- cmd.Start()
	}()
	err := <-done
	if err == nil && !coredump {
		none := unix.Rlimit{}
		unix.Prlimit(cmd.Process.Pid, unix.RLIMIT_CORE, &none, nil)
	}
	return err
}

// afterExit is how long output of processes that the command left behind is waited for.
const afterExit = 2 * time.Second

// converse feeds the command and reads what it writes.
func (d *delivery) converse(cmd *exec.Cmd, in io.WriteCloser, out *os.File) mail.Outcome {
	kill := func() { syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	ctx, cancel := context.WithCancel(d.ctx)
	defer cancel()
	stop := context.AfterFunc(d.ctx, kill)
	defer stop()
	if d.Timeout > 0 {
		timer := time.AfterFunc(d.Timeout, func() { d.timedOut.Store(true); kill(); cancel() })
		defer timer.Stop()
	}
	fed := make(chan error, 1)
	go func() {
		err := d.feed(ctx, in)
		in.Close()
		fed <- err
	}()
	read := make(chan struct{})
	go func() {
		defer close(read)
		d.collect(out, kill)
	}()
	waitErr := cmd.Wait()
	out.SetReadDeadline(time.Now().Add(afterExit))
	<-read
	cancel()
	return d.verdict(cmd, waitErr, <-fed)
}

// feed writes the message. A command that does not read all of it is none of our business.
func (d *delivery) feed(ctx context.Context, w io.Writer) error {
	end := "\n"
	if d.CRLF {
		end = "\r\n"
	}
	var head strings.Builder
	head.WriteString(d.Prefix)
	if d.BSMTP {
		head.WriteString("MAIL FROM:<" + d.e.Sender + ">" + end)
		for _, r := range d.e.Recipients {
			head.WriteString("RCPT TO:<" + r + ">" + end)
		}
		head.WriteString("DATA" + end)
	}
	if _, err := io.WriteString(w, head.String()); err != nil {
		return err
	}
	n, err := d.e.Message.WriteTo(ctx, w, transport.WriteOptions{CRLF: d.CRLF, Check: d.Check, Escape: d.Escape, FinalNewline: d.BSMTP})
	if err != nil {
		return err
	}
	tail := d.Suffix
	if d.BSMTP {
		tail = "." + end + tail
	}
	d.size = int64(head.Len()) + n + int64(len(tail))
	_, err = io.WriteString(w, tail)
	return err
}

// keepAtMost bounds the output that travels to the engine.
const keepAtMost = 2 << 20

// collect reads the output; too much of it ends the command.
func (d *delivery) collect(r io.Reader, kill func()) {
	buf := make([]byte, 16<<10)
	var total int64
	for {
		n, err := r.Read(buf)
		if total += int64(n); d.output.Len() < keepAtMost {
			d.output.Write(buf[:n])
		}
		if d.MaxOutput > 0 && total > d.MaxOutput && !d.killed.Swap(true) {
			kill()
		}
		if err != nil {
			return
		}
	}
}

// verdict makes the outcome of how the command ended.
func (d *delivery) verdict(cmd *exec.Cmd, waitErr, feedErr error) mail.Outcome {
	var fe *transport.FilterError
	switch {
	case d.timedOut.Load():
		return d.timeout("pipe delivery process timed out")
	case errors.As(feedErr, &fe) && fe.Timeout:
		return d.timeout(fe.Text)
	case errors.As(feedErr, &fe):
		return transport.Defer(mail.ErrnoFilterFail, "%s", fe.Text).Outcome
	case errors.Is(feedErr, transport.ErrSpool):
		return system(feedErr, "error while reading the spool file for %s transport", d.e.Transport)
	case d.ctx.Err() != nil:
		return transport.Defer(mail.ErrnoUnknown, "delivery interrupted").Outcome
	}
	state := cmd.ProcessState
	if state == nil {
		return system(waitErr, "failed to wait for the command of %s transport", d.e.Transport)
	}
	status := state.Sys().(syscall.WaitStatus)
	if status.Signaled() {
		sig := status.Signal()
		return d.status(-1, &sig)
	}
	return d.status(status.ExitStatus(), nil)
}

func (d *delivery) timeout(text string) mail.Outcome {
	if d.TimeoutDefer {
		return transport.Defer(0, "%s", text).Outcome
	}
	return transport.Fail("%s", text).Outcome
}

// status judges an exit status (spec 29.2).
func (d *delivery) status(code int, sig *syscall.Signal) mail.Outcome {
	good := mail.Outcome{Result: mail.Delivered, Size: d.size}
	switch {
	case code == 127 && d.FreezeExecFail:
		o := transport.Defer(0, "pipe process failed to exec \"%s\"", d.Argv[0]).Outcome
		o.Freeze = true
		return o
	case sig != nil && d.FreezeSignal:
		o := transport.Defer(0, "%s", d.signalText(*sig)).Outcome
		o.Freeze = true
		return o
	case code == 0 || d.IgnoreStatus:
		return good
	case sig != nil:
		return transport.Fail("%s", d.signalText(*sig)).Outcome
	}
	text := fmt.Sprintf("Child process of %s transport returned %d%s from command: %s", d.e.Transport, code, meaning(code), d.Argv[0])
	if !d.ReturnOutput && (d.AllTemporary || slices.Contains(d.Temporary, code)) {
		return transport.Defer(0, "%s", text).Outcome
	}
	return transport.Fail("%s", text).Outcome
}

func (d *delivery) signalText(sig syscall.Signal) string {
	return fmt.Sprintf("Child process of %s transport (running command \"%s\") was terminated by signal %d (%s)", d.e.Transport, d.Argv[0], int(sig), signalName(sig))
}

func signalName(sig syscall.Signal) string {
	name := sig.String()
	return strings.ToUpper(name[:1]) + name[1:]
}

// meaning is what an exit status usually means (sysexits.h).
func meaning(code int) string {
	words := map[int]string{64: "usage or syntax error", 65: "error in input data", 66: "input data missing", 67: "user nonexistent", 68: "host nonexistent",
		69: "service or program unavailable", 70: "internal software error", 71: "internal operating system error", 72: "system file missing",
		73: "can't create output file", 74: "input/output error", 75: "temporary error", 76: "protocol error", 77: "permission denied", 78: "configuration error",
		127: "unable to exec or command does not exist"}
	if w, ok := words[code]; ok {
		return " (could mean " + w + ")"
	}
	if sig := code - 128; sig > 0 && sig < 32 {
		return fmt.Sprintf(" (could mean shell command ended by signal %d (%s))", sig, signalName(syscall.Signal(sig)))
	}
	return ""
}

// report logs and returns the output as the options say.
func (d *delivery) report(o *mail.Outcome) {
	if d.output.Len() == 0 {
		return
	}
	failed := o.Result == mail.Failed
	if d.LogOutput || d.LogFailOutput && failed || d.LogDeferOutput && o.Result == mail.Deferred {
		line, _, _ := bytes.Cut(bytes.TrimLeft(d.output.Bytes(), " \t\n\r"), []byte("\n"))
		if len(line) > 1024 {
			line = line[:1024]
		}
		d.e.Log(fmt.Sprintf("<%s>: %s transport output: %s", d.Address, d.e.Transport, transport.Printable(strings.TrimRight(string(line), " \t\r"))))
	}
	if d.ReturnOutput && o.Result != mail.Deferred {
		if !failed {
			*o = transport.Fail("return message generated").Outcome
			o.LogOnly = true // what the command wrote says it
		}
		d.e.Output = d.output.Bytes()
	} else if d.ReturnFails && failed {
		d.e.Output = d.output.Bytes()
	}
}

func system(err error, format string, args ...any) mail.Outcome {
	var n syscall.Errno
	errors.As(err, &n)
	return transport.Defer(int(n), format, args...).Outcome
}
