package builtin

import (
	"bytes"
	"context"
	"errors"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"exigo/internal/expand"
	"exigo/internal/expand/syntax"
)

// runTimeout is how long a command may take.
const runTimeout = 60 * time.Second

// evalRun runs a command without a shell, with an empty environment and no input.
func evalRun(s *expand.Scope, it *syntax.Item) (expand.Value, error) {
	if err := forbidden(s, "run", "running a command is not permitted"); err != nil {
		return expand.Value{}, err
	}
	argv, err := runArguments(s, it)
	if err == nil {
		err = s.Spend(expand.Costly)
	}
	if err != nil {
		return expand.Value{}, err
	}
	for i, a := range argv {
		if (i == 0 || it.Option == "preexpand") && s.Untrusted(a, "Attempt to exec tainted path: '%s'", a.S) {
			s.Panic("Attempt to exec tainted path: '%s'", a.S)
			return expand.Value{}, expand.Fail("couldn't create child process: Operation not permitted")
		}
	}
	code, output := 127, ""
	if len(argv) > 0 {
		if code, output, err = execute(s.Ctx, texts(argv)); err != nil {
			return expand.Value{}, err
		}
	}
	s.SetExtra("runrc", expand.Value{S: strconv.Itoa(code)})
	return runBranches(s, it, code == 0, expand.Value{S: upToZero(output)})
}

// runBranches is Branches, but $value is set in both.
func runBranches(s *expand.Scope, it *syntax.Item, ok bool, value expand.Value) (expand.Value, error) {
	if ok || it.No == nil {
		return s.Branches(it, ok, value)
	}
	saved := s.Value
	defer func() { s.Value = saved }()
	s.Value = value
	return s.Text(it.No)
}

// runArguments splits the command into words and expands each; with preexpand it expands the whole and splits then.
func runArguments(s *expand.Scope, it *syntax.Item) ([]expand.Value, error) {
	if it.Option == "preexpand" {
		command, err := s.Text(it.Args[0])
		if err != nil {
			return nil, err
		}
		var argv []expand.Value
		for _, word := range SplitCommand(command.S) {
			argv = append(argv, expand.Value{S: word, Tainted: command.Tainted})
		}
		return argv, nil
	}
	command := it.Args[0].Source
	var argv []expand.Value
	for _, word := range SplitCommand(command) {
		v, err := s.Engine.Expand(s, word)
		if err != nil {
			wrapped := &expand.Error{Temporary: expand.IsTemporary(err)}
			wrapped.Text = "Expansion of \"" + word + "\" from command \"" + command + "\" in ${run} expansion failed: " + err.Error()
			wrapped.Forced = errors.Is(err, expand.ErrForced)
			return nil, wrapped
		}
		argv = append(argv, v)
	}
	return argv, nil
}

// SplitCommand splits a command line as Exim does: at white space; a word in double quotes has backslash escapes, one in
// single quotes has not (spec chapter 29, "How the command is run").
func SplitCommand(command string) (words []string) {
	for command = strings.TrimLeft(command, space); command != ""; command = strings.TrimLeft(command, space) {
		var word string
		switch command[0] {
		case '"':
			word, command = readQuoted(command)
		case '\'':
			word, command, _ = strings.Cut(command[1:], "'")
		default:
			end := strings.IndexAny(command, space)
			if end < 0 {
				end = len(command)
			}
			word, command = command[:end], command[end:]
		}
		words = append(words, word)
	}
	return words
}

// limitedBuffer keeps the first bytes of what is written to it.
type limitedBuffer struct{ bytes.Buffer }

func (b *limitedBuffer) Write(p []byte) (int, error) {
	if room := maxFile - b.Len(); room > 0 {
		b.Buffer.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

// execute runs a command and returns its exit code, 127 if it cannot be started, and its output and error output together.
func execute(ctx context.Context, argv []string) (code int, output string, err error) {
	if !strings.HasPrefix(argv[0], "/") && !strings.Contains(argv[0], "/") {
		return 127, "", nil // no search path: Exim wants the full name
	}
	ctx, cancel := context.WithTimeout(ctx, runTimeout)
	defer cancel()
	var out limitedBuffer
	command := &exec.Cmd{Path: argv[0], Args: argv, Env: []string{}, Stdout: &out, Stderr: &out, SysProcAttr: &syscall.SysProcAttr{Setpgid: true},
		WaitDelay: runTimeout} // for what it started and what holds on to the output
	if err := command.Start(); err != nil {
		return 127, "", nil
	}
	done := make(chan error, 1)
	go func() { done <- command.Wait() }()
	select {
	case err = <-done:
	case <-ctx.Done():
		_ = syscall.Kill(-command.Process.Pid, syscall.SIGKILL)
		<-done
		return 0, "", expand.Fail("command timed out")
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		status := exit.Sys().(syscall.WaitStatus)
		if status.Signaled() {
			return 0, "", expand.Fail("command killed by signal %d", int(status.Signal()))
		}
		return status.ExitStatus(), out.String(), nil
	}
	if err != nil {
		return 0, "", expand.Fail("wait() failed: %s", reason(err))
	}
	return 0, out.String(), nil
}
