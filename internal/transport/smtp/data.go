package smtp

import (
	"bytes"
	"errors"
	"io"
	"strconv"

	"exigo/internal/mail"
	"exigo/internal/proto/smtp"
	"exigo/internal/smtpclient"
	"exigo/internal/transport"
)

// compose makes the copy that is sent, and has it signed. The filter's command may depend on the host.
func (t *transaction) compose() error {
	r := t.d.run
	header, err := r.Header()
	if err != nil {
		return err
	}
	filter, err := r.Filter()
	if err != nil {
		return err
	}
	g := r.Transport.Generic
	t.message = &transport.Message{Header: header, Body: r.Body, Filter: filter, HeadersOnly: g.HeadersOnly, BodyOnly: g.BodyOnly}
	if len(t.d.services.Signers) > 0 {
		t.release, err = transport.Sign(t.d.ctx, r, t.message, t.d.services.Signers)
	}
	return err
}

// data sends the message after DATA was accepted.
func (t *transaction) data() problem {
	if r := *t.dataReply; r.Code/100 != 3 {
		t.unclean()
		return t.refused(t.ok, &smtpclient.Error{Kind: smtpclient.Refused, After: "DATA", Pipelined: t.c.Pipelining, Reply: r, Written: -1}, mail.ErrnoData4xx)
	}
	w := t.c.Data()
	_, err := t.message.WriteTo(t.d.ctx, w, transport.DotStuff)
	if err == nil {
		_, err = io.WriteString(w, ".\r\n")
	}
	t.size = w.Written
	if err != nil {
		return t.dataFailed(err)
	}
	r, err := w.EndReply("end of data", false)
	return t.ended(r, err, false)
}

// dataFailed handles a failure while the message was being sent: nothing but closing the connection tells the server.
func (t *transaction) dataFailed(err error) problem {
	t.c.Broken()
	var fe *transport.FilterError
	var ce *smtpclient.Error
	switch {
	case errors.As(err, &fe):
		o := mail.Outcome{Result: mail.Deferred, Errno: mail.ErrnoFilterFail, Message: fe.Text}
		if fe.Timeout {
			o.Errno = 0
		}
		t.d.settle(t.ok, o)
		return problem{about: noError}
	case errors.As(err, &ce):
		return t.broken(err, aboutHost)
	case t.d.ctx.Err() != nil:
		return t.broken(err, aboutHost)
	}
	t.d.settle(t.ok, mail.Outcome{Result: mail.Deferred, Errno: mail.ErrnoUnknown, Message: "smtp transport: " + err.Error()})
	return problem{about: noError}
}

// ends reads the reply to the last chunk.
func (t *transaction) ends(pipelined bool) problem {
	t.nameAfterChunk("end of data")
	if t.mailRefused != nil || len(t.ok) == 0 {
		// The data went to nobody; one reply is due all the same.
		r, err := t.c.FinalReply("end of data", pipelined, t.size)
		if err != nil {
			t.closedEarly()
			return problem{}
		}
		t.answered = t.answered || r.Code != 0
		return problem{}
	}
	t.complete = true
	r, err := t.c.FinalReply("end of data", pipelined, t.size)
	return t.ended(r, err, pipelined)
}

// closedEarly notes that the server went away when all addresses were settled.
func (t *transaction) closedEarly() {
	t.c.Broken()
	if t.d.run.Services.Log != nil {
		t.d.run.Services.Log("peer close after all rcpt responses; converting i/o-error to no-error")
	}
}

// ended settles the addresses by the reply to the end of the data. Loss of the connection here counts against the message (spec 49.2).
func (t *transaction) ended(r smtp.Reply, err error, pipelined bool) problem {
	if err != nil {
		t.c.Broken()
		return t.broken(err, aboutMessage)
	}
	if t.c.LMTP {
		return t.endedEach(r)
	}
	if name := t.roomsResponses(r); name != "" {
		return t.endedResponses(name, pipelined)
	}
	if r.Code/100 != 2 {
		return t.refused(t.ok, &smtpclient.Error{Kind: smtpclient.Refused, After: "end of data", Pipelined: pipelined, Reply: r, Written: -1}, mail.ErrnoData4xx)
	}
	confirmation := smtpclient.ReplyText(r)
	for i, a := range t.ok {
		t.delivered(a, confirmation, i > 0)
	}
	return problem{about: noError}
}

// delivered records a success.
func (t *transaction) delivered(a *mail.Address, confirmation string, further bool) {
	t.c.Progress = true
	d := t.d
	o := mail.Outcome{Result: mail.Delivered, Confirmation: confirmation, Further: further, Size: t.size, DeliveryTime: d.run.Now().Sub(d.started)}
	t.decorate(&o)
	if further {
		o.Steps = ""
	}
	if key := t.addressKey(a); d.services.Retry != nil {
		if _, known := d.services.Retry.Look(d.ctx, key, d.run.Now()); known {
			o.RetryKeys = []mail.RetryUpdate{{Key: key, Delete: true}}
		}
	}
	d.settle([]*mail.Address{a}, o)
}

// endedEach settles the addresses of an LMTP delivery: each has a reply of its own (RFC 2033 section 4.2).
func (t *transaction) endedEach(r smtp.Reply) problem {
	further := false
	for i, a := range t.ok {
		if i > 0 {
			var err error
			if r, err = t.c.FinalReply("end of data", false, t.size); err != nil {
				t.c.Broken()
				return t.broken(err, aboutMessage)
			}
		}
		if r.Code/100 == 2 {
			t.delivered(a, smtpclient.ReplyText(r), further)
			further = true
			continue
		}
		t.refusedOne(a, "LMTP", r)
	}
	return problem{about: aboutRecipients}
}

// refusedOne gives one address the outcome of its own reply after the data.
func (t *transaction) refusedOne(a *mail.Address, protocol string, r smtp.Reply) {
	o := mail.Outcome{Result: mail.Deferred, Message: protocol + " error after DATA: " + smtpclient.ReplyText(r), Diagnosis: smtpclient.ReplyText(r)}
	t.decorate(&o)
	if r.Permanent() {
		o.Result = mail.Failed
		t.d.settle([]*mail.Address{a}, o)
		return
	}
	o.MoreErrno = t.found() | (r.Code%100)<<8
	o.RetryKeys = []mail.RetryUpdate{t.addressRetry(a, o)}
	if !t.c.LMTP {
		t.d.waiting = append(t.d.waiting, t.h.Name)
	}
	t.d.set(a, o)
}

// wholeChunk is the size up to which a message goes out in one chunk, together with the envelope.
const wholeChunk = 8192

// firstChunk sends a small message as a whole, or the header of a large one (RFC 3030), and reads the replies to everything so far.
func (t *transaction) firstChunk() problem {
	m := t.message
	if m.Size() <= wholeChunk {
		var buf bytes.Buffer
		buf.Grow(int(m.Size()) + int(m.Size())/16 + 256)
		if _, err := m.WriteTo(t.d.ctx, &buf, transport.WriteOptions{CRLF: true, FinalNewline: true}); err != nil {
			return t.dataFailed(err)
		}
		if buf.Len() <= wholeChunk || m.BodyOnly {
			return t.chunk(buf.Bytes(), true)
		}
	}
	if m.BodyOnly {
		t.queue = append(t.queue, inFlight{kind: bdatCommand, text: "sending data block"})
		if err := t.c.Put("BDAT 0"); err != nil {
			return t.lost(err, t.queue[:1])
		}
		return t.sync()
	}
	head := *m
	head.HeadersOnly = true
	var buf bytes.Buffer
	if _, err := head.WriteTo(t.d.ctx, &buf, transport.WriteOptions{CRLF: true}); err != nil {
		return t.dataFailed(err)
	}
	if data := buf.Bytes(); len(data) >= wholeChunk && !m.HeadersOnly {
		t.held = data[wholeChunk-1:]
		return t.chunk(data[:wholeChunk-1], false)
	}
	return t.chunk(buf.Bytes(), m.HeadersOnly)
}

// chunk sends BDAT with its data behind what is queued, and reads the replies.
func (t *transaction) chunk(data []byte, last bool) problem {
	line, f := "BDAT "+strconv.Itoa(len(data)), inFlight{kind: bdatCommand, text: "sending data block"}
	if last {
		line, f = line+" LAST", inFlight{kind: lastCommand, text: "end of data"}
	}
	t.queue = append(t.queue, f)
	if err := t.c.Put(line); err != nil {
		return t.lost(err, t.queue[:1])
	}
	w := t.c.Data()
	if _, err := w.Write(data); err != nil {
		// What the server said before it closed may have settled everything.
		t.queue = t.queue[:len(t.queue)-1]
		if p := t.sync(); p.bad() || t.mailRefused == nil && len(t.ok) > 0 {
			return t.dataFailed(err)
		}
		t.closedEarly()
		return problem{}
	}
	t.size += w.Written
	return t.sync()
}

// chunks goes on after the first chunk.
func (t *transaction) chunks() problem {
	if t.complete {
		return problem{about: noError}
	}
	if t.chunkRefused != nil {
		t.unclean()
		return t.refused(t.ok, t.chunkRefused, mail.ErrnoData4xx)
	}
	return t.lastChunk()
}

// lastChunk sends the body as one chunk. Its size on the wire is counted first: the spool file does not change under our lock.
func (t *transaction) lastChunk() problem {
	m := *t.message
	m.BodyOnly, m.HeadersOnly = true, false
	o := transport.WriteOptions{CRLF: true, FinalNewline: true}
	total, err := m.WriteTo(t.d.ctx, io.Discard, o)
	if err != nil {
		return t.dataFailed(err)
	}
	total += int64(len(t.held))
	if err := t.c.Put("BDAT " + strconv.FormatInt(total, 10) + " LAST"); err != nil {
		return t.lost(err, []inFlight{{kind: lastCommand}})
	}
	w := t.c.Data()
	if _, err := w.Write(t.held); err != nil {
		return t.dataFailed(err)
	}
	if _, err := m.WriteTo(t.d.ctx, w, o); err != nil {
		return t.dataFailed(err)
	}
	if w.Written != total {
		return t.dataFailed(errors.New("spool file changed while it was being sent"))
	}
	t.size += w.Written
	return t.ends(false)
}
