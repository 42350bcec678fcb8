package submit

import (
	"context"
	"io"

	"exigo/internal/eventlog"
)

// Onward passes a message on while it comes in (cutthrough delivery, spec 44.23). The header has been sent; the writer takes the body (LF
// line ends) and does not fail. Either End or Close is called.
type Onward interface {
	io.Writer
	// End ends the message, when everything here has accepted it, and logs what the server said.
	End(ctx context.Context) Sent
	// Close gives it up: the server must not deliver it.
	Close()
}

// Sent is what became of a message that was passed on.
type Sent struct {
	// Delivered says that the server has it for all recipients: nothing is left to do.
	Delivered bool
	// Reply is the reply for a client whose message is not to be kept; lines separated by \n, each with its code. "": the message goes to
	// the spool as usual.
	Reply string
}

// startOnward begins to pass the message on, if that is wanted: it is for messages of SMTP sessions that come by DATA.
func (x *reception) startOnward() {
	if s := x.m.Session; x.r.s.Onward == nil || !s.SMTP || s.Batch || x.in.Chunked || x.in.PRDR || x.in.Discarded != "" {
		return
	}
	x.onward = x.r.s.Onward(x.ctx, x.s, x.m)
}

// passOn ends the message at the server to which it was passed on. It returns true when that settles the message: nothing is spooled then.
func (x *reception) passOn() bool {
	if x.onward == nil {
		return false
	}
	c := &x.m.Controls
	if x.spoolOnly || len(x.m.Recipients) == 0 || c.Freeze || c.QueueOnly || c.QueueRouted || c.Fakereject != "" || c.Fakedefer != "" || x.r.s.Log.Check() != nil {
		return false // cleanup gives it up
	}
	sent := x.onward.End(x.ctx)
	x.onward = nil
	switch {
	case sent.Delivered:
		_ = x.arrived() // too late to refuse it
		x.log(eventlog.Main, "Completed", false)
		x.result.Accepted = true
		x.reply()
		return true
	case sent.Reply != "":
		x.result.Reply = sent.Reply
		return true
	}
	return false
}
