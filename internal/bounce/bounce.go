// Package bounce writes the messages that tell a sender what became of his mail: failures, delay warnings, reports of
// success (RFC 3461 to 3464, spec chapter 50), and notes to the postmaster about frozen messages.
//
// Trust: quotes headers, bodies and replies of outsiders into messages of our own; every quoted line is made safe first.
package bounce

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"exigo/internal/config"
	"exigo/internal/expand"
	"exigo/internal/mail"
	"exigo/internal/outside"
)

// Writer makes reports and hands them to local submission.
type Writer struct {
	World  *outside.World
	Main   *config.Main
	Engine *expand.Engine
	// Submit receives a message that we send ourselves, with the empty sender. text is complete: header, empty line, body, with
	// LF line ends. parent is the message that caused it.
	Submit func(ctx context.Context, to []string, parent *mail.Message, text io.Reader) error
	// Panic writes to the main and panic log.
	Panic func(id, line string)
	// Fields are rooms' additions to the per-recipient part.
	Fields []Field
}

// Field is a per-recipient field of a delivery status that a room adds.
type Field struct {
	Name string
	Doc  string
	// Value returns the field's value for an address, "" for none.
	Value func(a *mail.Address) string
}

// Report is what is to be told, about one message to one reader.
type Report struct {
	Message *mail.Message
	// Body is nil where the message is not returned.
	Body io.ReaderAt
	// BodySize is the body's length in bytes.
	BodySize  int64
	Scope     *expand.Scope
	To        string
	Addresses []*mail.Address
	// Waited is how long the message has been on the queue (warnings).
	Waited time.Duration
	// Frozen is why the message was frozen, after the word "frozen" (" (delivery error message)"); "" where the addresses tell.
	Frozen string
}

// Failure sends a bounce.
func (w *Writer) Failure(ctx context.Context, r Report) error {
	items := w.template(r, "bounce", string(w.Main.BounceMessageFile), map[string]mail.Value{"bounce_recipient": mail.Taint(r.To)})
	p := w.newPaper(r)
	p.failedRecipients()
	p.header("Auto-Submitted: auto-replied\n")
	p.addressing(w, r)
	p.header(items.or(0, fmt.Sprintf("Subject: Mail delivery failed%s\n", ifText(r.Message.Sender == r.To, ": returning message to sender"))))
	p.startText(r.Message)
	if t, ok := items.get(1); ok {
		p.WriteString(t)
	} else {
		p.failureIntroduction(w, r)
	}
	p.WriteString("\n")
	for i := len(r.Addresses) - 1; i >= 0; i-- {
		p.describe(r.Addresses[i])
	}
	p.WriteString("\n")
	p.startStatus(w, r)
	for _, a := range r.Addresses {
		p.status(w, a, "failed", "5.0.0")
	}
	output := outputFiles(r.Addresses)
	return w.send(ctx, r, p, w.returned(r), output, items, w.copies(r)...)
}

// Warning tells the sender that delivery is delayed.
func (w *Writer) Warning(ctx context.Context, r Report) error {
	delay := delayText(r.Waited, w.Main)
	items := w.template(r, "warn", string(w.Main.WarnMessageFile), map[string]mail.Value{
		"warn_message_delay": mail.Clean(delay), "warn_message_recipients": mail.Taint(r.To), "bounce_recipient": {}})
	p := w.newPaper(r)
	p.header("Auto-Submitted: auto-replied\n")
	p.addressing(w, r)
	p.header(items.or(0, fmt.Sprintf("Subject: Warning: message %s delayed %s\n", r.Message.ID, delay)))
	p.startText(r.Message)
	if t, ok := items.get(1); ok {
		p.WriteString(t)
	} else {
		p.warningIntroduction(r, delay, w.Main.PrimaryHostname)
	}
	p.WriteString("\n")
	for i := len(r.Addresses) - 1; i >= 0; i-- {
		p.describeDelay(r.Addresses[i])
	}
	p.WriteString("\n")
	p.WriteString(items.or(2, warningEnd))
	p.WriteString("\n")
	p.startStatus(w, r)
	for _, a := range r.Addresses {
		p.status(w, a, "delayed", "4.0.0")
	}
	return w.send(ctx, r, p, returnHeaders, nil, items)
}

// Success reports deliveries that the sender asked to be told of (NOTIFY=SUCCESS).
func (w *Writer) Success(ctx context.Context, r Report) error {
	p := w.newPaper(r)
	p.header("Auto-Submitted: auto-generated\n")
	p.addressing(w, r)
	p.header("Subject: Delivery Status Notification\n")
	p.startText(r.Message)
	p.WriteString("This message was created automatically by mail delivery software.\n" +
		" ----- The following addresses had successful delivery notifications -----\n")
	for _, a := range r.Addresses {
		how := "relayed via non DSN router"
		switch {
		case a.DSNAware == mail.DSNNo:
			how = "relayed to non-DSN-aware mailer"
		case a.Outcome.Host == nil:
			how = "delivered"
		}
		fmt.Fprintf(p, "<%s> (%s)\n\n", clean(a.Address), how)
	}
	p.startStatus(w, r)
	for _, a := range r.Addresses {
		action := "delivered"
		if a.Outcome.Host != nil {
			action = "relayed"
		}
		p.status(w, a, action, "2.0.0")
	}
	return w.send(ctx, r, p, returnHeaders, nil, nil)
}

// TellFrozen notes to the addresses of freeze_tell that a message was frozen.
func (w *Writer) TellFrozen(ctx context.Context, r Report) {
	if w.Main.FreezeTell == "" || r.Message.Sender == "" && !hasErrors(r.Addresses) {
		return
	}
	p := &paper{}
	p.WriteString("Auto-Submitted: auto-replied\n")
	fmt.Fprintf(p, "From: %s\nTo: %s\n", w.from(r), clean(w.Main.FreezeTell))
	if id := mail.References(r.Message); id != "" {
		fmt.Fprintf(p, "References: %s\n", id)
	}
	fmt.Fprintf(p, "Subject: Message frozen\n\nMessage %s has been frozen%s.\n", r.Message.ID, r.Frozen)
	fmt.Fprintf(p, "The sender is <%s>.\n\n", clean(r.Message.Sender))
	p.WriteString("The following address(es) have yet to be delivered:\n")
	for _, a := range r.Addresses {
		line := "  " + name(a)
		if text := oneLine(a.Outcome.Message); text != "" {
			line += ": " + text
		}
		p.WriteString(line + "\n")
	}
	if err := w.Submit(ctx, []string{w.Main.FreezeTell}, r.Message, strings.NewReader(p.String())); err != nil {
		w.Panic(r.Message.ID, fmt.Sprintf("failed to tell %s about the frozen message: %v", w.Main.FreezeTell, err))
	}
}

func hasErrors(addrs []*mail.Address) bool {
	for _, a := range addrs {
		if a.Outcome.Message != "" {
			return true
		}
	}
	return false
}

func ifText(yes bool, text string) string {
	if yes {
		return text
	}
	return ""
}

// delayText is $warn_message_delay: hours from 120 minutes on, else minutes.
func delayText(waited time.Duration, m *config.Main) string {
	var due time.Duration
	for _, t := range m.DelayWarning {
		if t <= waited {
			due = t
		}
	}
	if minutes := int(due / time.Minute); minutes < 120 {
		return fmt.Sprintf("%d minutes", minutes)
	}
	return fmt.Sprintf("%d hours", int(due/time.Hour))
}
