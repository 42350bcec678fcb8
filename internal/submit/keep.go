package submit

import (
	"errors"
	"strings"

	"exigo/internal/eventlog"
	"exigo/internal/mail"
	"exigo/internal/proto/address"
	"exigo/internal/proto/header"
	"exigo/internal/proto/mime"
	"exigo/internal/spool"
)

// keep writes the message to the spool, logs its arrival, and hands it on. From then on we are responsible for it.
func (x *reception) keep() bool {
	x.applyPending()
	if !x.tellRooms() {
		return false
	}
	if x.in.Alive != nil && !x.in.Alive() {
		return x.readError(errClientGone, false)
	}
	x.acceptanceTime()
	x.measureMessage()
	x.m.CountLines()
	discarded := len(x.m.Recipients) == 0
	c := &x.m.Controls
	if c.Freeze && !discarded {
		x.m.Frozen = x.r.now()
	}
	x.m.DeliverFirst = true
	if c.Fakereject != "" {
		x.noSuccess()
	}
	if discarded {
		if err := x.arrived(); err != nil {
			return x.spoolFailure(err)
		}
		x.log(eventlog.Main, "=> blackhole ("+x.discardText(), false)
		x.log(eventlog.Main, "Completed", false)
		x.result.Accepted = true
		x.reply()
		return true
	}
	if x.r.s.NoDelivery != nil && x.r.s.NoDelivery() {
		spool.StateOf(x.m).NoDelivery = true
	}
	if x.passOn() {
		return true
	}
	locked, err := x.incoming.Commit(x.m)
	if err != nil {
		return x.spoolFailure(err)
	}
	x.incoming = nil
	if err := x.arrived(); err != nil { // what is not logged was not accepted
		err = errors.Join(err, locked.Remove(false))
		locked.Close()
		return x.spoolFailure(err)
	}
	x.result.Accepted = true
	x.reply()
	d := x.delivery()
	if d == Queue {
		x.startMessageLog()
	}
	if x.r.s.Arrived == nil {
		locked.Close()
		return true
	}
	x.end()
	x.r.s.Arrived(x.ctx, x.m, locked, d)
	return true
}

// tellRooms lets rooms look at a message that is about to be kept.
func (x *reception) tellRooms() bool {
	if len(x.m.Recipients) == 0 {
		return true
	}
	for _, room := range x.r.s.Rooms {
		if room.Accepted == nil {
			continue
		}
		body, err := x.incoming.Body()
		if err != nil {
			return x.spoolFailure(err)
		}
		x.spoolOnly = room.Accepted(x.ctx, x.s, x.m, body) || x.spoolOnly
	}
	return true
}

// noSuccess takes back that successes are to be reported: the client is told that the message was refused.
func (x *reception) noSuccess() {
	for i := range x.m.Recipients {
		r := &x.m.Recipients[i]
		if r.Notify&mail.NotifySuccess == 0 {
			continue
		}
		if r.Notify &^= mail.NotifySuccess; r.Notify == 0 {
			r.Notify = mail.NotifyNever // none given would be failures and delays
		}
	}
}

// discardText is what stands after "=> blackhole (".
func (x *reception) discardText() string {
	if strings.Contains(x.in.Discarded, ")") {
		return x.in.Discarded
	}
	return x.in.Discarded + " discarded recipients)"
}

// errClientGone: the client went away, or sent before its time, before the message was acknowledged.
var errClientGone = clientGone{}

type clientGone struct{}

// Error implements error.
func (clientGone) Error() string { return "connection lost after final dot" }

// acceptanceTime puts the time of acceptance into our Received: line (spec 48.13).
func (x *reception) acceptanceTime() {
	now := x.r.now()
	x.m.Completed = now.Sub(x.m.Received)
	if x.received < 0 {
		return
	}
	h := &x.m.Headers[x.received]
	i := strings.LastIndexByte(h.Text, ';')
	if h.Type == '*' || i < 0 {
		return
	}
	h.Text = h.Text[:i] + ";\n\t" + header.FormatDate(now) + "\n"
}

// arrived writes the "<=" line. The error says that it is not in the log.
func (x *reception) arrived() error {
	id, created := x.messageID()
	subject, has := x.subject()
	c := &x.m.Controls
	r := eventlog.Reception{Message: x.m, Fake: c.Fakereject != "",
		Reference: x.in.Reference, MessageID: id, Created: created, Subject: subject, HasSubject: has,
		Pipelining: x.in.Pipelining, PRDR: x.in.PRDR, Chunking: x.in.Chunked}
	line := x.r.s.Format.Received(r)
	err := x.r.s.Log.Record(eventlog.Entry{To: eventlog.Main, ID: x.m.ID, Text: line})
	if on := x.r.s.Format.Selectors; on.Has(eventlog.ReceivedSender) || on.Has(eventlog.ReceivedRecipients) {
		r.NoEnvelope = true
		line = x.r.s.Format.Received(r)
	}
	x.m.Arrival = line
	return err
}

// startMessageLog begins the message log of a message that stays on the queue for now; of others delivery does it if need be.
func (x *reception) startMessageLog() {
	if !x.r.s.Main.MessageLogs {
		return
	}
	text := x.r.s.Log.Stamp(x.r.now()) + "Received from " + strings.TrimPrefix(x.m.Arrival, "<= ") + "\n"
	if err := x.r.s.Spool.AppendLog(x.m.ID, x.m.Queue, text); err != nil {
		x.log(eventlog.Main|eventlog.Panic, err.Error(), false)
	}
}

// messageID is what stands in Message-ID:, without brackets.
func (x *reception) messageID() (id string, created bool) {
	for _, h := range x.m.Headers {
		if h.Type != 'I' || !x.isOurs(h, "message-id") {
			continue
		}
		o := x.r.addressOptions()
		o.AllowLiterals = true
		m, err := address.Extract(strings.TrimSpace(h.Value()), o)
		if err != nil {
			return "", false
		}
		return m.Address, x.created
	}
	return "", false
}

// subject is the decoded Subject:, for the log.
func (x *reception) subject() (string, bool) {
	if !x.r.s.Format.Selectors.Has(eventlog.Subject) {
		return "", false
	}
	for _, h := range x.m.Headers {
		if h.Type == '*' || !h.Is("subject") {
			continue
		}
		text := strings.Trim(h.Value(), " \t\r\n") // folds are shown
		decoded, err := mime.DecodeWords(text, mime.WordOptions{Charset: x.r.s.Main.HeadersCharset})
		if err != nil {
			return text, true
		}
		return decoded, true
	}
	return "", false
}

// reply words the reply to the client.
func (x *reception) reply() {
	c := &x.m.Controls
	switch {
	case c.Fakereject != "":
		x.result.Reply = multiline("550", c.Fakereject)
	case c.Fakedefer != "":
		x.result.Reply = multiline("450", c.Fakedefer)
	default:
		x.result.Reply = "250 OK id=" + x.m.ID
		for _, room := range x.r.s.Rooms {
			if room.Reply != nil {
				x.result.Reply = room.Reply(x.m, x.result.Reply)
			}
		}
	}
}

// multiline gives every line of a text the code.
func multiline(code, text string) string {
	var lines []string
	for _, line := range strings.Split(strings.ReplaceAll(text, "\r", ""), "\n") {
		lines = append(lines, fold(line)...)
	}
	for i, l := range lines {
		sep := "-"
		if i == len(lines)-1 {
			sep = " "
		}
		lines[i] = code + sep + l
	}
	return strings.Join(lines, "\n")
}

// A line of a reply that is longer than maxReplyLine is split: after a colon, or at a space, that stands not too far to the left; where
// there is none, at the next space.
const (
	maxReplyLine = 75
	minReplyLine = 36
)

// fold splits a long line.
func fold(line string) (out []string) {
	for len(line) > maxReplyLine {
		i := strings.LastIndex(line[:maxReplyLine+1], ": ") + 1
		if i < minReplyLine {
			i = strings.LastIndexByte(line[:maxReplyLine+1], ' ')
		}
		if i < minReplyLine {
			if i = strings.IndexByte(line[maxReplyLine:], ' '); i < 0 {
				break
			}
			i += maxReplyLine
		}
		out = append(out, line[:i])
		line = line[i+1:]
	}
	return append(out, line)
}
