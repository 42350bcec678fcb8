package perl

import (
	"bufio"
	"context"
	_ "embed"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"exigo/internal/expand"
)

// server is the program that the interpreter runs.
//
//go:embed server.pl
var server string

// The kinds of frames: a byte, then a count and so many strings, each with its length before it; numbers are 32 bits, big-endian.
const (
	askStart  = 'S' // to Perl: code to run
	askCall   = 'C' // to Perl: name and arguments
	askExpand = 'E' // from Perl, answered: Exim::expand_string
	askLog    = 'L' // from Perl, answered: Exim::log_write
	askDebug  = 'D' // from Perl, answered: Exim::debug_write

	answerResult    = 'R'
	answerUndefined = 'U'
	answerDied      = 'X'
)

const maxFrame = 64 << 20

// keeper keeps the interpreter and gives it to one call after another.
type keeper struct {
	mutex   sync.Mutex // guards busy's making
	busy    chan struct{}
	running atomic.Bool // p was set once
	// p and of belong to who put something into busy.
	p  *process
	of settings
}

// claim waits until the interpreter is free; release gives it back.
func (k *keeper) claim(ctx context.Context) (release func(), err error) {
	k.mutex.Lock()
	if k.busy == nil {
		k.busy = make(chan struct{}, 1)
	}
	k.mutex.Unlock()
	select {
	case k.busy <- struct{}{}:
	case <-ctx.Done():
		return nil, expand.Defer("%s", ctx.Err())
	}
	return func() { <-k.busy }, nil
}

// end ends the interpreter, which was claimed.
func (k *keeper) end() {
	if k.p != nil {
		k.p.kill()
		k.p = nil
	}
}

// take gives the interpreter for these settings, started if need be. release gives it back.
func (k *keeper) take(ctx context.Context, o settings) (p *process, release func(), err error) {
	if release, err = k.claim(ctx); err != nil {
		return nil, nil, err
	}
	if k.p != nil && (k.of != o || k.p.dead()) {
		k.end()
	}
	if k.p == nil {
		if k.p, err = start(o); err != nil {
			release()
			return nil, nil, err
		}
		k.of = o
		k.running.Store(true)
	}
	return k.p, release, nil
}

// process is an interpreter.
type process struct {
	command *exec.Cmd
	in      *bufio.Reader
	answers *os.File // what in reads
	out     *os.File
	once    sync.Once
	killed  atomic.Bool
	ended   chan struct{}
}

// interpreter finds Perl; the environment, which is emptied unless keep_environment says otherwise, need not have a PATH.
func interpreter() (string, error) {
	for _, path := range []string{"/usr/bin/perl", "/usr/local/bin/perl"} {
		if _, err := exec.LookPath(path); err == nil {
			return path, nil
		}
	}
	return exec.LookPath("perl")
}

// start starts an interpreter and lets it run the startup code. It lives until its end of the pipe is closed.
func start(o settings) (*process, error) {
	path, err := interpreter()
	if err != nil {
		return nil, expand.Fail("the Perl interpreter cannot be started: %s", err)
	}
	requests, out, err := os.Pipe()
	if err != nil {
		return nil, expand.Defer("the Perl interpreter cannot be started: %s", err)
	}
	in, answers, err := os.Pipe()
	if err != nil {
		requests.Close()
		out.Close()
		return nil, expand.Defer("the Perl interpreter cannot be started: %s", err)
	}
	arguments := []string{"-e", server}
	if o.taint {
		arguments = append([]string{"-T"}, arguments...)
	}
	command := exec.Command(path, arguments...)
	command.ExtraFiles = []*os.File{requests, answers} // descriptors 3 and 4
	command.Stdout, command.Stderr = os.Stdout, os.Stderr
	command.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "EXIGO_") }) // that is between our processes
	err = command.Start()
	requests.Close()
	answers.Close()
	if err != nil {
		in.Close()
		out.Close()
		return nil, expand.Defer("the Perl interpreter cannot be started: %s", err)
	}
	p := &process{command: command, in: bufio.NewReader(in), answers: in, out: out, ended: make(chan struct{})}
	go func() {
		_ = command.Wait()
		close(p.ended)
	}()
	kind, text, err := p.ask(askStart, []string{o.startup}, func(byte, string) (byte, string) { return answerUndefined, "" })
	if err == nil && kind == answerDied {
		err = expand.Fail("error in perl_startup code: %s", text)
	}
	if err != nil {
		p.kill()
		return nil, err
	}
	return p, nil
}

// kill ends the interpreter.
func (p *process) kill() {
	p.once.Do(func() {
		p.killed.Store(true)
		p.out.Close()
		p.answers.Close()
		_ = p.command.Process.Kill()
	})
}

func (p *process) dead() bool {
	select {
	case <-p.ended:
		return true
	default:
		return p.killed.Load()
	}
}

// call calls a subroutine: its name, then its arguments.
func (p *process) call(texts []string, services func(byte, string) (byte, string)) (string, error) {
	kind, text, err := p.ask(askCall, texts, services)
	switch {
	case err != nil:
		return "", err
	case kind == answerUndefined:
		return "", expand.Force("Perl subroutine \"%s\" returned undef to force failure", texts[0])
	case kind == answerDied:
		return "", expand.Fail("%s", text)
	}
	text, _, _ = strings.Cut(text, "\x00")
	return text, nil
}

// ask sends a frame and serves the interpreter's own requests until the answer comes. An interpreter that ends is a temporary error.
func (p *process) ask(kind byte, texts []string, services func(byte, string) (byte, string)) (answer byte, text string, err error) {
	err = p.send(kind, texts...)
	for err == nil {
		answer, text, err = p.receive()
		if err != nil || answer == answerResult || answer == answerUndefined || answer == answerDied {
			break
		}
		reply, result := services(answer, text)
		err = p.send(reply, result)
	}
	if err != nil {
		p.kill()
		return 0, "", expand.Defer("the Perl interpreter ended: %s", err)
	}
	return answer, text, nil
}

func (p *process) send(kind byte, texts ...string) error {
	frame := binary.BigEndian.AppendUint32([]byte{kind}, uint32(len(texts)))
	for _, t := range texts {
		frame = binary.BigEndian.AppendUint32(frame, uint32(len(t)))
		frame = append(frame, t...)
	}
	_, err := p.out.Write(frame)
	return err
}

func (p *process) receive() (kind byte, text string, err error) {
	var head [5]byte
	if _, err := io.ReadFull(p.in, head[:]); err != nil {
		return 0, "", err
	}
	length := binary.BigEndian.Uint32(head[1:])
	if length > maxFrame {
		return 0, "", errors.New("its answer is too long")
	}
	data := make([]byte, length)
	_, err = io.ReadFull(p.in, data)
	return head[0], string(data), err
}
