package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// FilterError is a transport filter that failed. Timeout tells the timeouts apart, which the pipe transport
// treats like those of its own command.
type FilterError struct {
	Text    string
	Timeout bool
}

// Error implements error.
func (e *FilterError) Error() string { return e.Text }

// filtered runs the filter: the message goes to its standard input, its standard output and error go to w.
func (m *Message) filtered(ctx context.Context, w io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd := exec.CommandContext(ctx, m.Filter.Argv[0], m.Filter.Argv[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	in, err := cmd.StdinPipe()
	if err != nil {
		return &FilterError{Text: "failed to create pipe for transport filter: " + err.Error()}
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return &FilterError{Text: "failed to create pipe for transport filter: " + err.Error()}
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		return &FilterError{Text: "transport filter process failed (127): unable to execute command"}
	}
	var timedOut atomic.Bool
	watch := time.AfterFunc(m.Filter.Timeout, func() { timedOut.Store(true); cancel() })
	defer watch.Stop()
	fed := make(chan error, 1)
	go func() {
		err := m.copyTo(ctx, in)
		in.Close()
		fed <- err
	}()
	readErr := pass(out, w, func() { watch.Reset(m.Filter.Timeout) })
	if readErr != nil {
		cancel()
	}
	feedErr := <-fed
	waitErr := cmd.Wait()
	switch {
	case timedOut.Load():
		return &FilterError{Text: "transport filter timeout while writing to pipe", Timeout: true}
	case readErr != nil:
		return readErr
	case errors.Is(feedErr, ErrSpool):
		return feedErr
	case waitErr != nil:
		return exitError(waitErr)
	}
	return nil // a filter may stop reading early: that is no mistake
}

// pass copies the filter's output and calls progress after each piece; it returns the error of w.
func pass(r io.Reader, w io.Writer, progress func()) error {
	held := buffers.Get().(*[]byte)
	defer buffers.Put(held)
	for {
		n, err := r.Read(*held)
		if n > 0 {
			if _, werr := w.Write((*held)[:n]); werr != nil {
				return werr
			}
			progress()
		}
		if err != nil {
			return nil
		}
	}
}

func exitError(err error) error {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return &FilterError{Text: "transport filter process failed: " + strings.ReplaceAll(err.Error(), "\n", " ")}
	}
	status := exit.Sys().(syscall.WaitStatus)
	if status.Signaled() {
		return &FilterError{Text: fmt.Sprintf("transport filter process failed (signal %d)", int(status.Signal()))}
	}
	return &FilterError{Text: fmt.Sprintf("transport filter process failed (%d)", status.ExitStatus())}
}
