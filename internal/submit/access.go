package submit

import (
	"context"
	"errors"
	"io"
	"strings"

	"exigo/internal/acl"
	"exigo/internal/eventlog"
	"exigo/internal/expand"
	"exigo/internal/mail"
	"exigo/internal/option"
)

// applyPending makes the changes to header lines that ACLs have asked for so far.
func (x *reception) applyPending() {
	p := mail.Peek[acl.Pending](&x.m.Bag)
	if p == nil || len(p.Added) == 0 && len(p.Removed) == 0 {
		return
	}
	received := ""
	if x.received >= 0 {
		received = x.m.Headers[x.received].Text
	}
	p.Apply(x.m, option.SplitList)
	if x.received >= 0 {
		for i := range x.m.Headers {
			if x.m.Headers[i].Text == received {
				x.received = i
				break
			}
		}
	}
}

// measureMessage sets $message_size: header lines, the empty line, and the body.
func (x *reception) measureMessage() {
	size := x.m.BodySize + 1
	for i := range x.m.Headers {
		if x.m.Headers[i].Type != '*' {
			size += int64(len(x.m.Headers[i].Text))
		}
	}
	x.m.Size = size
}

// check runs the rooms and the ACL for the whole message.
func (x *reception) check() bool {
	x.measureMessage()
	defer WithBody(x.m, x.incoming.Body)()
	mail.State[desk](&x.m.Bag).run = x.r.s.RunACL
	if !x.checkRooms() {
		return false
	}
	main := x.r.s.Main
	s := x.m.Session
	phase, option := acl.Data, string(main.ACLSMTPData)
	if !s.SMTP || s.Batch {
		phase, option = acl.NotSMTP, string(main.ACLNotSMTP)
	}
	if option == "" || len(x.m.Recipients) == 0 {
		return true
	}
	if err := x.incoming.Flush(); err != nil { // conditions read the body by its file's name
		return x.spoolFailure(err)
	}
	outcome := x.r.s.RunACL(x.ctx, x.s, phase, option)
	return x.judge(phase, outcome)
}

// checkRooms asks the rooms.
func (x *reception) checkRooms() bool {
	for _, room := range x.r.s.Rooms {
		if room.Check == nil {
			continue
		}
		section, err := x.incoming.Body()
		if err != nil {
			return x.spoolFailure(err)
		}
		phase, outcome := room.Check(x.ctx, x.s, x.m, section)
		if !x.judge(phase, outcome) {
			return false
		}
	}
	return true
}

// desk is what rooms reach of the reception.
type desk struct {
	run  func(ctx context.Context, s *expand.Scope, phase acl.Phase, text string) acl.Outcome
	body func() (*io.SectionReader, error)
}

// errNoBody says that there is no body to look at.
var errNoBody = errors.New("no message is being received")

// WithBody makes body what Body returns for the message, until end is called. For messages that are looked at as if they were being received.
func WithBody(m *mail.Message, body func() (*io.SectionReader, error)) (end func()) {
	mail.State[desk](&m.Bag).body = body
	return func() { mail.Drop[desk](&m.Bag) }
}

// Body returns the body of the message as it was spooled (LF line ends), for conditions of the ACLs that run from a room's Check to the last
// one. At other times it is an error.
func Body(m *mail.Message) (*io.SectionReader, error) {
	d := mail.Peek[desk](&m.Bag)
	if d == nil || d.body == nil {
		return nil, errNoBody
	}
	return d.body()
}

// RunACL runs an ACL in a room's Check; text is the value of the main option that names it. Without text the outcome is OK.
func RunACL(ctx context.Context, s *expand.Scope, m *mail.Message, phase acl.Phase, text string) acl.Outcome {
	d := mail.Peek[desk](&m.Bag)
	if text == "" || d == nil {
		return acl.Outcome{}
	}
	return d.run(ctx, s, phase, text)
}

// judge does what the outcome of an ACL says.
func (x *reception) judge(phase acl.Phase, o acl.Outcome) bool {
	switch o.Verdict {
	case acl.OK:
		return true
	case acl.Discard:
		x.m.Recipients = nil
		x.in.Discarded = phase.String() + " ACL"
		if o.LogMessage != "" {
			x.in.Discarded += " discarded recipients): " + o.LogMessage // the parenthesis is closed where it is logged
		}
		return true
	}
	x.applyPending() // the reject log shows them
	if phase == acl.NotSMTP || phase == acl.NotSMTPMIME {
		x.logRejection(o)
	}
	return x.refuse(phase, o)
}

// logRejection writes the line about a local message that the ACL refused.
func (x *reception) logRejection(o acl.Outcome) {
	var to eventlog.Stream
	for target, stream := range map[acl.LogTargets]eventlog.Stream{acl.LogMain: eventlog.Main, acl.LogReject: eventlog.Reject, acl.LogPanic: eventlog.Panic} {
		if o.LogTargets&target != 0 {
			to |= stream
		}
	}
	if to == 0 {
		return
	}
	text := "F=<" + x.m.Sender + "> rejected by non-SMTP ACL"
	message := o.LogMessage
	if message == "" {
		message = o.UserMessage
	}
	if message != "" {
		message, _, _ = strings.Cut(message, "\n")
		text += ": " + strings.ReplaceAll(eventlog.Printable(message, x.r.s.Main.PrintTopBitChars), "\t", `\t`)
	}
	x.log(to, text, true)
}
