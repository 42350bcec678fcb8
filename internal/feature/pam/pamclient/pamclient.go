// Package pamclient is how the program reaches Pluggable Authentication Modules: in a process of its own, exigo-pam, that loads libpam (package
// coprocess says why). A request and its answer are a frame each.
//
// Trust: user and answers are an outsider's words and go to the modules as they are; passwords are in no error and no log. What comes back is the
// site's modules' verdict.
package pamclient

import (
	"context"
	"errors"
	"io"
	"strings"
	"time"

	"exigo/internal/coprocess"
)

// Service is the name of the service for PAM, that of a file in /etc/pam.d (spec 11.7, pam).
const Service = "exim"

// MaxText bounds user and answers of a request together, in bytes. A single answer of more than 512 is too long for many modules.
const MaxText = 64 << 10

// maxFrame bounds requests and answers: the lengths of MaxText empty strings, too.
const maxFrame = 4 * MaxText

// Request is a user to be authenticated.
type Request struct {
	// Service is the name of the service, Directory where its file is, "" for the system's own place.
	Service, Directory string
	// User is who wants to be authenticated, Answers are given to the modules' prompts in turn. Neither may hold NULs.
	User    string
	Answers []string
}

// Fits tells whether the request can be asked: it is not too long, and no text of it would end early in C.
func (q *Request) Fits() bool {
	size := 0
	for _, text := range append([]string{q.Service, q.Directory, q.User}, q.Answers...) {
		if size += len(text) + 1; size > MaxText || strings.IndexByte(text, 0) >= 0 {
			return false
		}
	}
	return true
}

// Answer is what came of it.
type Answer struct {
	// Code is what pam_authenticate or pam_acct_mgmt returned, in the numbers of Linux-PAM: Success, or one of its errors; Text is PAM's description of it.
	Code int
	Text string
	// Delay is how long the modules want the caller to wait before he says that it failed.
	Delay time.Duration
	// Problem says why PAM could not be asked at all, "" if it was.
	Problem string
}

// Codes of Linux-PAM.
const (
	Success        = 0
	BufferError    = 5
	AuthError      = 7
	UserUnknown    = 10
	AccountExpired = 13
	Conversation   = 19
)

// Serve is the process's side: it answers requests until the input ends, which is no error.
func Serve(r io.Reader, w io.Writer, authenticate func(*Request) Answer) error {
	for {
		var q Request
		if err := coprocess.ReadValue(r, &q, maxFrame); err != nil {
			if err == io.EOF {
				return nil
			}
			return err
		}
		a := Answer{Problem: "the request does not fit"}
		if q.Fits() {
			a = authenticate(&q)
		}
		if err := coprocess.WriteValue(w, &a, maxFrame); err != nil {
			return err
		}
	}
}

// Pool are the processes. It is safe for concurrent use.
type Pool struct{ processes coprocess.Pool }

// NewPool makes a pool without processes. Modules may wait for other machines, so it has more of them than others.
func NewPool() *Pool { return &Pool{processes: coprocess.Pool{Most: 16, Idle: 4}} }

// Close ends the processes that wait for work.
func (p *Pool) Close() { p.processes.Close() }

// Ask gives a request to a process. command is the path of exigo-pam, environment what its modules find. The error says why there is no answer.
func (p *Pool) Ask(ctx context.Context, command string, environment []string, q *Request) (a Answer, err error) {
	err = p.processes.Do(ctx, coprocess.Command{Path: command, Environment: environment}, func(in io.Writer, out io.Reader) error {
		if err := coprocess.WriteValue(in, q, maxFrame); err != nil {
			return err
		}
		return coprocess.ReadValue(out, &a, maxFrame)
	})
	if err == nil && a.Problem != "" {
		err = errors.New(a.Problem)
	}
	return a, err
}
