package cli

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"
)

// detachedMark tells the process that detach started that it is in the background.
const detachedMark = "EXIGO_DETACHED"

// reportDescriptor is where the process in the background says how its start went.
const reportDescriptor = 3

// started ends the report of a daemon that could start.
const started = "\x00"

// startReport takes what a daemon in the background has to say until it serves; afterwards there is nobody who listens. It is safe for
// concurrent use.
type startReport struct {
	mu   sync.Mutex
	pipe io.WriteCloser
}

// Write implements io.Writer.
func (r *startReport) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.pipe != nil {
		_, _ = r.pipe.Write(bytes.ReplaceAll(p, []byte(started), []byte("?")))
	}
	return len(p), nil
}

// ready says that the daemon serves.
func (r *startReport) ready() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.pipe != nil {
		_, _ = io.WriteString(r.pipe, started)
		r.pipe.Close()
		r.pipe = nil
	}
}

// inBackground prepares the process that detach started, before it reads the configuration; in every other process it does nothing.
func (p *Program) inBackground() {
	if !p.OwnProcess || os.Getenv(detachedMark) == "" {
		return
	}
	os.Unsetenv(detachedMark)
	p.report = &startReport{}
	p.Stderr = p.report
	var st syscall.Stat_t
	if syscall.Fstat(reportDescriptor, &st) != nil || st.Mode&syscall.S_IFMT != syscall.S_IFIFO {
		return
	}
	syscall.CloseOnExec(reportDescriptor) // nobody but the daemon itself speaks for the daemon
	p.report.pipe = os.NewFile(reportDescriptor, "report")
}

// detach starts the daemon again in the background, without terminal, and waits until it serves or says why it cannot.
func (p *Program) detach() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	report, theirs, err := os.Pipe()
	if err != nil {
		return err
	}
	defer report.Close()
	child, err := os.StartProcess(self, append([]string{p.Arguments.Path}, p.Arguments.Words...), &os.ProcAttr{
		Dir: "/", Env: append(os.Environ(), detachedMark+"=1"), Files: []*os.File{null, null, null, theirs}, Sys: &syscall.SysProcAttr{Setsid: true}})
	theirs.Close()
	if err != nil {
		return fmt.Errorf("failed to start the daemon: %w", err)
	}
	if passReport(report, p.Stderr) {
		return child.Release()
	}
	if state, err := child.Wait(); err == nil && state.ExitCode() > 0 {
		return &exitError{status: state.ExitCode()}
	}
	return exitf(1, "exim: the daemon ended while it started")
}

// passReport passes on what the daemon says, and tells whether it serves at the end.
func passReport(from io.Reader, to io.Writer) (ready bool) {
	buffer := make([]byte, 4096)
	for {
		n, err := from.Read(buffer)
		text, _, ready := bytes.Cut(buffer[:n], []byte(started))
		to.Write(text)
		if ready || err != nil {
			return ready
		}
	}
}
