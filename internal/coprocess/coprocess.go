// Package coprocess keeps processes of our own small programs that load foreign C libraries, so that code which crashes, hangs or leaks takes
// no mail down with it, a call can be given up, and the program itself is linked with nothing. Pool is the program's side, Streams the
// process's; requests and answers are frames (frames.go) on standard input and output. One process serves one request after another.
//
// Trust: what a process answers may come from a library that an outsider misled: frames are bounded, and those who ask check the content.
package coprocess

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
)

// Bounds of a pool that does not say others, and how many requests a process serves before another takes its place, as a library may leak.
const (
	defaultMost = 8
	defaultIdle = 2
	maxRequests = 2000
)

// Command is what a process runs.
type Command struct {
	// Path is the program, Arguments come after its name.
	Path      string
	Arguments []string
	// Environment are NAME=value pairs; nothing else is in the process's environment.
	Environment []string
}

func (c *Command) equal(o *Command) bool {
	return c.Path == o.Path && slices.Equal(c.Arguments, o.Arguments) && slices.Equal(c.Environment, o.Environment)
}

// Pool starts processes and keeps them for further requests. The zero Pool is ready; it is safe for concurrent use. Processes end when the
// program does, as their input ends then.
type Pool struct {
	// Most bounds the processes (0: 8), Idle those that wait for work (0: 2). They are set before the pool is used.
	Most, Idle int

	mutex sync.Mutex
	slots chan struct{}
	idle  []*process
}

type process struct {
	Command
	cmd   *exec.Cmd
	in    io.WriteCloser
	pipe  io.Closer
	out   *bufio.Reader
	used  int
	ended chan struct{} // closed when the process has ended
}

// Do has converse talk to a process of the command, a waiting one or a new one: in is the process's standard input, out what it answers.
// When converse fails or ctx ends, the process is killed; the error has the program's name in front and wraps converse's or ctx's.
func (p *Pool) Do(ctx context.Context, c Command, converse func(in io.Writer, out io.Reader) error) error {
	x, release, err := p.take(ctx, &c)
	if err != nil {
		return err
	}
	x.used++
	stop := context.AfterFunc(ctx, func() { _ = x.cmd.Process.Kill() })
	err = converse(x.in, x.out)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		x.end()
		release(nil)
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return fmt.Errorf("%s: %w", filepath.Base(c.Path), err)
	}
	release(x)
	return nil
}

// take gives a process of the command. release takes it back, or nil for one that is done with.
func (p *Pool) take(ctx context.Context, c *Command) (x *process, release func(*process), err error) {
	p.mutex.Lock()
	if p.slots == nil {
		p.slots = make(chan struct{}, defaulted(p.Most, defaultMost))
	}
	slots := p.slots
	p.mutex.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	select {
	case slots <- struct{}{}:
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
	release = func(x *process) {
		p.put(x)
		<-slots
	}
	for x = p.pop(); x != nil && !(x.equal(c) && x.alive()); x = p.pop() {
		x.end() // the configuration is another one now, or something killed the process
	}
	if x == nil {
		if x, err = start(c); err != nil {
			release(nil)
			return nil, nil, err
		}
	}
	return x, release, nil
}

func defaulted(n, standard int) int {
	if n == 0 {
		return standard
	}
	return n
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
	keep := len(p.idle) < defaulted(p.Idle, defaultIdle) && x.used < maxRequests
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

// start starts a process. What it prints on standard error goes nowhere.
func start(c *Command) (*process, error) {
	cmd := exec.Command(c.Path, c.Arguments...)
	cmd.Env = append(make([]string, 0, len(c.Environment)), c.Environment...) // nil would be our own
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		in.Close()
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		var path *os.PathError
		if errors.As(err, &path) {
			err = path.Err
		}
		return nil, fmt.Errorf("cannot run %s: %w", c.Path, err)
	}
	x := &process{Command: *c, cmd: cmd, in: in, pipe: out, out: bufio.NewReader(out), ended: make(chan struct{})}
	go func() {
		_, _ = cmd.Process.Wait()
		close(x.ended)
	}()
	return x, nil
}

func (x *process) alive() bool {
	select {
	case <-x.ended:
		return false
	default:
		return true
	}
}

// end ends the process, which has nothing to say any more, and takes its remains away.
func (x *process) end() {
	x.in.Close()
	_ = x.cmd.Process.Kill()
	<-x.ended
	x.pipe.Close()
}
