package submit

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"exigo/internal/acl"
	"exigo/internal/eventlog"
	"exigo/internal/mail"
)

// moaner tells the submitter of a message what was wrong with it: on the standard error, or by mail (spec 5.3, -oe).
type moaner struct {
	r      *Receiver
	ctx    context.Context
	call   *Call
	m      *mail.Message
	source *LocalReader // what is left of the message; nil before reading began
}

// complaint is a failure in words.
type complaint struct {
	stderr  string // after "exim: "
	subject string // after "Mail failure - "
	text    string // of the mail
	log     string // when there is nobody to tell
	limit   int64  // of the body that is returned, 0 for all
}

// failed reports a failure and returns the exit status.
func (o *moaner) failed(f Failure) int {
	if f.Kind == SpoolFailure {
		droppedOf(o.ctx).settle(true)
		fmt.Fprintf(o.call.Stderr, "exim: %v\n", f.Err)
		return 1
	}
	return o.tell(o.words(f))
}

// refused reports the refusal of the ACL.
func (o *moaner) refused(out acl.Outcome) int {
	text := out.UserMessage
	if text == "" {
		text = "local configuration problem"
	}
	return o.tell(complaint{stderr: "message rejected by non-SMTP ACL: " + text, subject: "rejected by local scanning code",
		text: "A message that you sent was rejected by the local scanning code that\n" +
			"checks incoming messages on this system. The following error was given:\n\n  " + text + "\n",
		log: rejectedText(out)})
}

// rejectedText says in the log that the ACL refused a message whose sender cannot be told.
func rejectedText(out acl.Outcome) string {
	text, _, _ := strings.Cut(out.UserMessage, "\n")
	if text == "" {
		text = "local configuration problem"
	}
	return "rejected by non-SMTP ACL: " + text
}

// noSender logs the reason why a message was refused of which nobody is told. reference is the message that it was about, or "".
func (r *Receiver) noSender(id, reference, reason string) {
	text := "Error while reading message with no usable sender address"
	if reference != "" {
		text += " (R=" + reference + ")"
	}
	r.s.Log.Write(eventlog.Entry{To: eventlog.Main, ID: id, Text: text + ": " + reason})
}

// ignored reports bad addresses of -t beside good ones. With -oep the message has been refused: abandoned is then true.
func (o *moaner) ignored(result Result) (status int, abandoned bool) {
	c := o.badAddresses(result.Ignored)
	c.text = badHeading + addressLines(result.Ignored, ": ")
	if len(result.Ignored) == 1 {
		c.text += "\nThis address has been ignored. The other addresses in the message were\n" +
			"syntactically valid and have been passed on for an attempt at delivery.\n"
	} else {
		c.text += "\nThese addresses have been ignored. The other addresses in the message were\n" +
			"syntactically valid and have been passed on for an attempt at delivery.\n"
	}
	status = o.tell(c)
	return status, !result.Accepted
}

const badHeading = "A message that you sent contained one or more recipient addresses that were\nincorrectly constructed:\n\n"

func addressLines(list []BadAddress, sep string) string {
	var b strings.Builder
	for _, a := range list {
		fmt.Fprintf(&b, "  %s%s%s\n", a.Text, sep, a.Reason)
	}
	return b.String()
}

// words puts a failure in words.
func (o *moaner) words(f Failure) complaint {
	const notDelivered = "It was not delivered to any recipients.\n"
	switch f.Kind {
	case TooBig:
		return complaint{stderr: fmt.Sprintf("message rejected: message too big (max=%d)", f.Limit), subject: "message too big",
			text: "A message that you sent was longer than the maximum size allowed on this\nsystem. " + notDelivered,
			log:  "message too big", limit: f.Limit}
	case HeaderTooLong:
		return complaint{stderr: fmt.Sprintf("message header longer than %d characters received: message not accepted", f.Limit),
			subject: "overlong header section", log: "header section too long",
			text: "A message that you sent contained a header section that was excessively\nlong and could not be handled by the mail transmission software. The\n" +
				"message has not been delivered to any recipients.\n"}
	case HeaderLineTooLong:
		return complaint{stderr: fmt.Sprintf("message header line longer than %d characters received: message not accepted", f.Limit),
			subject: "overlong header line", log: "header line too long",
			text: "A message that you sent contained a header line that was excessively\nlong and could not be handled by the mail transmission software. The\n" +
				"message has not been delivered to any recipients.\n"}
	case TooManyRecipients:
		return complaint{stderr: "too many recipients", subject: "too many recipients", log: "too many recipients",
			text: "A message that you sent contained more recipients than allowed on this\nsystem. " + notDelivered}
	case BadRecipients:
		return o.badAddresses(f.Addresses)
	case AllSuppressed:
		return complaint{stderr: "all -t recipients overridden by command line", subject: "no recipient addresses", log: "no recipient addresses",
			text: "A message that you sent using the -t command line option contained no\naddresses that were not also on the command line, and were therefore\n" +
				"suppressed. This left no recipient addresses, and so no delivery could\nbe attempted.\n"}
	}
	return complaint{stderr: "no recipients in message", subject: "no recipient addresses", log: "no recipient addresses",
		text: "A message that you sent contained no recipient addresses, and therefore no\ndelivery could be attempted.\n"}
}

// badAddresses puts bad recipients in words: those of the command line (there is one) or those that -t found.
func (o *moaner) badAddresses(list []BadAddress) complaint {
	c := complaint{subject: "malformed recipient address", log: "at least one malformed recipient address: " + list[0].Text + " - " + list[0].Reason}
	if !o.call.Extract {
		c.stderr = fmt.Sprintf("bad recipient address \"%s\": %s", list[0].Text, list[0].Reason)
		c.text = "A message that you sent contained a recipient address that was incorrectly\nconstructed:\n\n" + addressLines(list, "  ") +
			"\nThe message has not been delivered to any recipients.\n"
		return c
	}
	if len(list) == 1 {
		c.stderr = "invalid address:  " + strings.TrimSuffix(strings.TrimLeft(addressLines(list, ": "), " "), "\n")
	} else {
		c.stderr = "invalid addresses:\n" + strings.TrimSuffix(addressLines(list, ": "), "\n")
	}
	c.text = badHeading + addressLines(list, ": ") + "\nThe message has not been delivered to any recipients.\n"
	return c
}

// tell reports a complaint as the call asks and returns the exit status.
func (o *moaner) tell(c complaint) int {
	mode := o.call.ErrorMode
	if mode == 'p' || mode == 'q' {
		fmt.Fprintf(o.call.Stderr, "exim: %s\n", c.stderr)
		return 1
	}
	drop := droppedOf(o.ctx)
	if o.m.Sender == "" {
		drop.settle(false)
		o.r.noSender(o.m.ID, "", c.log)
		return 1
	}
	_, err := o.r.Generate(o.ctx, Generated{Recipients: []string{o.m.Sender}, Reference: o.m.ID, Text: o.letter(c)})
	if errors.Is(err, ErrRefused) && drop == nil { // what was left in the drop is still to be dealt with
		o.r.s.Log.Write(eventlog.Entry{To: eventlog.Main, ID: o.m.ID, Text: "Child mail process returned status 1"})
		return 1
	}
	if err != nil {
		if drop != nil && !drop.settled {
			drop.settle(true)
		}
		fmt.Fprintf(o.call.Stderr, "exim: %s\n", c.stderr)
		return 1
	}
	drop.settle(false)
	if mode == 'e' {
		return 0
	}
	return 1
}

// maxReturned is how much of a message is sent back with a complaint.
const maxReturned = 100 << 10

// letter writes the mail.
func (o *moaner) letter(c complaint) io.Reader {
	var b bytes.Buffer
	b.WriteString("Auto-Submitted: auto-replied\n")
	b.WriteString(o.r.DSNFrom(o.ctx) + "To: " + o.m.Sender + "\n")
	if id := o.messageID(); id != "" {
		b.WriteString("References: " + id + "\n")
	}
	b.WriteString("Subject: Mail failure - " + c.subject + "\n\n" + c.text)
	limit := int64(maxReturned)
	b.WriteString("\n------ This is a copy of your message, including all the headers.")
	if c.limit > 0 {
		limit = min(limit, c.limit)
		fmt.Fprintf(&b, "\n------ No more than %d characters of the body are included.\n\n", limit)
	} else {
		b.WriteString(" ------\n\n")
	}
	for _, h := range o.m.Headers {
		if h.Type != '*' {
			b.WriteString(h.Text)
		}
	}
	b.WriteByte('\n')
	readers := []io.Reader{&b}
	if o.source == nil {
		readers = append(readers, io.LimitReader(NewLocalReader(o.call.Stdin, o.call.Dots), limit))
	} else {
		readers = append(readers, io.LimitReader(o.source, limit))
	}
	return io.MultiReader(readers...)
}

func (o *moaner) messageID() string {
	for _, h := range o.m.Headers {
		if h.Type == 'I' {
			return oneLine(strings.TrimSpace(h.Value()))
		}
	}
	return ""
}

// Read makes a LocalReader an io.Reader of what is left of its message.
func (l *LocalReader) Read(p []byte) (int, error) {
	if len(l.held) == 0 {
		q, err := l.ReadSlice('\n')
		if len(q) == 0 {
			if err == bufio.ErrBufferFull {
				err = nil
			}
			return 0, err
		}
		l.held = q
	}
	n := copy(p, l.held)
	l.held = l.held[n:]
	return n, nil
}
