package bmiclient

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"sync"
)

// Bounds of the processes: how many there may be, how many wait for work, and how many requests one serves before another takes its
// place, as a library may leak.
const (
	maxProcesses = 8
	maxIdle      = 2
	maxRequests  = 2000
)

// Pool starts processes and keeps them for further requests. The zero Pool is ready; it is safe for concurrent use. Processes end when the
// program does, as their input ends then.
type Pool struct {
	mutex sync.Mutex
	slots chan struct{}
	idle  []*process
}

// place is what a process runs.
type place struct {
	command string
	setup   Setup
}

func (p place) equal(o place) bool {
	return p.command == o.command && p.setup.Version == o.setup.Version && slices.Equal(p.setup.Libraries, o.setup.Libraries)
}

type process struct {
	place
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
	used int
}

// Scan has a message judged. command is the path of exigo-bmi. The error is a *Failure of the library, or says why there is no answer.
func (p *Pool) Scan(ctx context.Context, command string, s Setup, m *Message, body io.Reader) (verdicts, warnings []string, err error) {
	a, err := p.ask(ctx, place{command, s}, &request{Scan: m}, body)
	return a.Verdicts, a.Warnings, err
}

// Read opens a verdict.
func (p *Pool) Read(ctx context.Context, command string, s Setup, verdict string) (*Verdict, error) {
	a, err := p.ask(ctx, place{command, s}, &request{Verdict: verdict}, nil)
	if err == nil && a.Verdict == nil {
		err = errors.New("exigo-bmi: an answer without a verdict")
	}
	return a.Verdict, err
}

// Fired tells whether a rule fired.
func (p *Pool) Fired(ctx context.Context, command string, s Setup, verdict string, rule int) (bool, error) {
	a, err := p.ask(ctx, place{command, s}, &request{Verdict: verdict, AskRule: true, Rule: rule}, nil)
	return a.Fired, err
}

// ask gives a request to a process. When ctx ends, so does the process.
func (p *Pool) ask(ctx context.Context, at place, q *request, body io.Reader) (answer, error) {
	x, release, err := p.take(ctx, at)
	if err != nil {
		return answer{}, err
	}
	stop := context.AfterFunc(ctx, func() { _ = x.cmd.Process.Kill() })
	a, err := x.ask(q, body)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		release(nil)
		x.end()
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return answer{}, fmt.Errorf("exigo-bmi: %w", err)
	}
	release(x)
	if a.Failure != nil {
		return answer{}, a.Failure
	}
	return a, nil
}

func (x *process) ask(q *request, body io.Reader) (a answer, err error) {
	x.used++
	if err = writeValue(x.in, q); err != nil {
		return a, err
	}
	if q.Scan != nil {
		if err = sendBody(x.in, body); err != nil {
			return a, err
		}
	}
	err = readValue(x.out, &a)
	return a, err
}

// sendBody sends the body in frames and the empty one that ends it.
func sendBody(w io.Writer, body io.Reader) error {
	buf := make([]byte, bodyFrame)
	for {
		n, err := io.ReadFull(body, buf)
		if n > 0 {
			if err := writeFrame(w, buf[:n]); err != nil {
				return err
			}
		}
		switch err {
		case nil:
		case io.EOF, io.ErrUnexpectedEOF:
			return writeFrame(w, nil)
		default:
			return err
		}
	}
}

// take gives a process of the kind, a waiting one or a new one. release takes it back, or nil for one that is done with.
func (p *Pool) take(ctx context.Context, at place) (x *process, release func(*process), err error) {
	p.mutex.Lock()
	if p.slots == nil {
		p.slots = make(chan struct{}, maxProcesses)
	}
	p.mutex.Unlock()
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
	release = func(x *process) {
		p.put(x)
		<-p.slots
	}
	for x = p.pop(); x != nil && !x.equal(at); x = p.pop() {
		x.end() // the configuration is another one now
	}
	if x == nil {
		if x, err = start(at); err != nil {
			release(nil)
			return nil, nil, err
		}
	}
	return x, release, nil
}

func (p *Pool) pop() *process {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if len(p.idle) == 0 {
		return nil
	}
	x := p.idle[len(p.idle)-1]
	p.idle = p.idle[:len(p.idle)-1]
	return x
}

// put keeps a process for later, if there is reason to.
func (p *Pool) put(x *process) {
	if x == nil {
		return
	}
	p.mutex.Lock()
	keep := len(p.idle) < maxIdle && x.used < maxRequests
	if keep {
		p.idle = append(p.idle, x)
	}
	p.mutex.Unlock()
	if !keep {
		x.end()
	}
}

// Close ends the processes that wait for work.
func (p *Pool) Close() {
	for x := p.pop(); x != nil; x = p.pop() {
		x.end()
	}
}

// start starts a process. The library's own output goes nowhere.
func start(at place) (*process, error) {
	cmd := exec.Command(at.command, append([]string{at.setup.Version}, at.setup.Libraries...)...)
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		var path *os.PathError
		if errors.As(err, &path) {
			return nil, fmt.Errorf("cannot run %s: %w", at.command, path.Err)
		}
		return nil, fmt.Errorf("cannot run %s: %w", at.command, err)
	}
	return &process{place: at, cmd: cmd, in: in, out: bufio.NewReader(out)}, nil
}

// end ends the process, which has nothing to say any more, and takes its remains away.
func (x *process) end() {
	x.in.Close()
	_ = x.cmd.Process.Kill()
	_ = x.cmd.Wait()
}
