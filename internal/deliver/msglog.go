package deliver

import (
	"strings"

	"exigo/internal/eventlog"
	"exigo/internal/mail"
)

// The message log (spec 53.16) tells an administrator what happened to one message. Its lines are collected in memory and
// written only if the message stays on the queue: that of a completed message would be removed at once.

// note adds a line to the message log, with the time of now.
func (a *attempt) note(text string) {
	if !a.d.Main.MessageLogs {
		return
	}
	a.notes = append(a.notes, a.d.Log.Stamp(a.d.World.Clock.Now())+eventlog.Printable(text, true)+"\n")
}

// noteBare adds a line without the time.
func (a *attempt) noteBare(text string) {
	if a.d.Main.MessageLogs {
		a.notes = append(a.notes, eventlog.Printable(text, true)+"\n")
	}
}

// noteSuccess adds the line of a delivered address.
func (a *attempt) noteSuccess(addr *mail.Address) {
	top := addr
	for top.Parent != nil {
		top = top.Parent
	}
	text := addr.Address
	if addr.Parent != nil || !strings.EqualFold(addr.Address, top.Address) {
		text += " <" + top.Address + ">"
	}
	a.note(text + ": " + addr.Transport + " transport succeeded")
}

// flushLog writes the collected lines; the first ones of a message begin with its arrival.
func (a *attempt) flushLog() {
	if len(a.notes) == 0 {
		return
	}
	text := strings.Join(a.notes, "")
	if f, err := a.d.Spool.ReadLog(a.msg.ID, a.msg.Queue); err == nil {
		f.Close()
	} else {
		text = a.arrival() + text
	}
	if err := a.d.Spool.AppendLog(a.msg.ID, a.msg.Queue, text); err != nil {
		a.d.Log.Panicf(a.msg.ID, "%v", err)
	}
	a.notes = nil
}

// arrival is the line of the message's reception.
func (a *attempt) arrival() string {
	line := a.msg.Arrival
	if line == "" {
		line = a.format().Received(eventlog.Reception{Message: a.msg, NoEnvelope: true})
	}
	return a.d.Log.Stamp(a.msg.Received) + "Received from " + strings.TrimPrefix(line, "<= ") + "\n"
}
