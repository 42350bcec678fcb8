package bmiclient

import (
	"context"
	"errors"
	"io"

	"exigo/internal/coprocess"
)

// Pool are the processes. The zero Pool is ready; it is safe for concurrent use.
type Pool struct{ processes coprocess.Pool }

// Close ends the processes that wait for work.
func (p *Pool) Close() { p.processes.Close() }

// Scan has a message judged. command is the path of exigo-bmi. The error is a *Failure of the library, or says why there is no answer.
func (p *Pool) Scan(ctx context.Context, command string, s Setup, m *Message, body io.Reader) (verdicts, warnings []string, err error) {
	a, err := p.ask(ctx, command, s, &request{Scan: m}, body)
	return a.Verdicts, a.Warnings, err
}

// Read opens a verdict.
func (p *Pool) Read(ctx context.Context, command string, s Setup, verdict string) (*Verdict, error) {
	a, err := p.ask(ctx, command, s, &request{Verdict: verdict}, nil)
	if err == nil && a.Verdict == nil {
		err = errors.New("exigo-bmi: an answer without a verdict")
	}
	return a.Verdict, err
}

// Fired tells whether a rule fired.
func (p *Pool) Fired(ctx context.Context, command string, s Setup, verdict string, rule int) (bool, error) {
	a, err := p.ask(ctx, command, s, &request{Verdict: verdict, AskRule: true, Rule: rule}, nil)
	return a.Fired, err
}

// ask gives a request to a process.
func (p *Pool) ask(ctx context.Context, command string, s Setup, q *request, body io.Reader) (a answer, err error) {
	c := coprocess.Command{Path: command, Arguments: append([]string{s.Version}, s.Libraries...), Environment: s.Environment}
	err = p.processes.Do(ctx, c, func(in io.Writer, out io.Reader) error {
		if err := writeValue(in, q); err != nil {
			return err
		}
		if q.Scan != nil {
			if err := sendBody(in, body); err != nil {
				return err
			}
		}
		return readValue(out, &a)
	})
	switch {
	case err != nil:
		return answer{}, err
	case a.Failure != nil:
		return answer{}, a.Failure
	}
	return a, nil
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
