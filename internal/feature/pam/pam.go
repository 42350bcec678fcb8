// Package pam is the room of the condition pam: Pluggable Authentication Modules say whether a user and his answers are right (spec 11.7). The
// modules are C libraries of the system; they are in processes of their own, of the command exigo-pam.
//
// Trust: the condition's argument is a user name and passwords from outsiders; it goes to the modules and into no error and no log. The modules are the
// system administrator's.
package pam

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"exigo/internal/config"
	"exigo/internal/expand"
	"exigo/internal/feature"
	"exigo/internal/feature/pam/pamclient"
	"exigo/internal/option"
)

// settings are the room's options in the main section.
type settings struct {
	command, directory string
	timeout            time.Duration
}

// DefaultCommand is the name of the program that loads the modules.
const DefaultCommand = "exigo-pam"

// installed is where distributions put such programs.
const installed = "/usr/lib/exigo"

// Feature is the room.
func Feature() *feature.Feature {
	r := &room{pool: pamclient.NewPool()}
	return &feature.Feature{
		Name: "pam", Support: "PAM", Doc: "Pluggable authentication modules say whether a password is right.",
		Options: []option.Set{option.Table[settings]{Scope: "main", Rows: []option.Row[settings]{
			{Name: "pam_command", Default: DefaultCommand, Field: func(s *settings) any { return &s.command },
				Doc: "The command exigo-pam, which loads the modules. A name without a slash is searched for beside this program, in /usr/lib/exigo and in PATH."},
			{Name: "pam_config_directory", Field: func(s *settings) any { return &s.directory },
				Doc: "The directory with the service file `exim` and whatever it includes, in place of PAM's own (Linux-PAM 1.4 or later)."},
			{Name: "pam_timeout", Default: "2m", Field: func(s *settings) any { return &s.timeout }, Doc: "How long the modules may take."},
		}}},
		Tests: []expand.Condition{{
			Name: "pam", Doc: "True if PAM accepts the user: a list of his name and of answers to the prompts, usually his password.", Min: 1, Max: 1, Test: r.test,
			Examples: []expand.Example{{In: `${if pam{}{y}{n}}`, Out: "n"}, {In: `${if pam{:secret}{y}{n}}`, Out: "n"}},
		}},
	}
}

// room is the room at work; it keeps the processes.
type room struct{ pool *pamclient.Pool }

// test is the condition.
func (r *room) test(s *expand.Scope, args []expand.Value) (bool, error) {
	q := parse(args[0].S)
	if q.User == "" || !q.Fits() {
		return false, nil
	}
	if err := s.Spend(expand.Costly); err != nil {
		return false, err
	}
	c := config.Of(s)
	o := option.Of[settings](c.Main)
	q.Directory = o.directory
	command, err := program(s, o.command)
	if err != nil {
		return false, expand.Defer("PAM: %s", err)
	}
	ctx, cancel := context.WithTimeout(s.Ctx, o.timeout)
	defer cancel()
	a, err := r.pool.Ask(ctx, command, c.Environment(), q)
	switch {
	case errors.Is(err, context.DeadlineExceeded) && s.Ctx.Err() == nil:
		return false, expand.Defer("PAM: timeout")
	case err != nil:
		return false, expand.Defer("PAM: %s", clean(err.Error()))
	}
	return r.verdict(ctx, s, a)
}

// verdict makes the condition's outcome of an answer, after the time that whoever fails has to wait. It is a wait without a process.
func (r *room) verdict(ctx context.Context, s *expand.Scope, a pamclient.Answer) (bool, error) {
	if a.Code == pamclient.Success {
		return true, nil
	}
	if a.Delay > 0 {
		if err := s.Engine.World.Clock.Sleep(ctx, a.Delay); err != nil && s.Ctx.Err() != nil {
			return false, expand.Defer("PAM: %s", err)
		}
	}
	switch a.Code {
	case pamclient.AuthError, pamclient.UserUnknown, pamclient.AccountExpired:
		return false, nil
	}
	return false, expand.Fail("%s", clean(a.Text))
}

// parse makes a request of the condition's argument: the first item of the list is the user. What follows is a list anew for each prompt, as for
// Exim: it may change its separator.
func parse(text string) *pamclient.Request {
	q := &pamclient.Request{Service: pamclient.Service}
	if len(text) > pamclient.MaxText {
		return q // nobody's
	}
	list := expand.NewElements(text)
	q.User, _ = list.Next()
	for {
		list = expand.NewElements(list.Rest())
		answer, ok := list.Next()
		if !ok {
			return q
		}
		q.Answers = append(q.Answers, answer)
	}
}

// program finds the command.
func program(s *expand.Scope, name string) (string, error) {
	if filepath.Base(name) != name {
		return name, nil
	}
	candidates := []string{filepath.Join(installed, name)}
	if self, err := os.Executable(); err == nil {
		if beside := filepath.Join(filepath.Dir(self), name); safe(filepath.Dir(beside)) && safe(beside) {
			return beside, nil
		}
	}
	if path, set := s.Engine.World.Environment("PATH"); set {
		for _, directory := range filepath.SplitList(path) {
			if filepath.IsAbs(directory) {
				candidates = append(candidates, filepath.Join(directory, name))
			}
		}
	}
	for _, path := range candidates {
		if _, err := exec.LookPath(path); err == nil {
			return path, nil
		}
	}
	return "", errors.New(name + " was not found; see pam_command")
}

// safe tells whether a file or directory is there and can be trusted: it is root's or our own and not open to everybody. The place of the program is
// not enough, as others may make links to it elsewhere.
func safe(path string) bool {
	info, err := os.Stat(path)
	if err != nil {
		return false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && (st.Uid == 0 || int(st.Uid) == os.Geteuid()) && info.Mode().Perm()&0o002 == 0 && info.Mode().Perm()&0o111 != 0
}

// clean makes a text of PAM fit for a log line.
func clean(text string) string {
	out := []byte(text)
	for i, c := range out {
		if c < ' ' || c == 0x7f {
			out[i] = ' '
		}
	}
	return string(out)
}
