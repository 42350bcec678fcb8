package submit

import (
	"context"
	"errors"

	"exigo/internal/mail"
)

// Probe reads a message as if the caller submitted it, to look at it (-bem): no ACL is run, no Received: line is added, nothing is logged
// or delivered. Its body stays in the Receiver's spool, which should be a scratch one. Recipients are taken from the header when
// call.Extract is set; those of the call are not used.
func (r *Receiver) Probe(ctx context.Context, call *Call) (*mail.Message, error) {
	call.Caller = r.Identify(call.Caller)
	m, in, err := r.prepare(ctx, call)
	if err != nil {
		return nil, err
	}
	in.Probe, in.Arguments, in.Source = true, nil, NewLocalReader(call.Stdin, call.Dots)
	switch result := r.Receive(ctx, in); {
	case result.Accepted:
		return m, nil
	case result.ReadError != nil:
		return nil, result.ReadError
	case result.Failure != nil && result.Failure.Err != nil:
		return nil, result.Failure.Err
	}
	return nil, errors.New("the message cannot be read")
}

// keepProbe leaves a message in the spool that is only looked at.
func (x *reception) keepProbe() {
	x.measureMessage()
	locked, err := x.incoming.Commit(x.m)
	if err != nil {
		x.spoolFailure(err)
		return
	}
	x.incoming = nil
	locked.Close()
	x.result.Accepted = true
}
