package smtp

import (
	"errors"
	"syscall"

	"exigo/internal/mail"
	"exigo/internal/proto/smtp"
	"exigo/internal/smtpclient"
	"exigo/internal/transport"
)

// transaction is one message on one connection.
type transaction struct {
	d *delivery
	c *smtpclient.Conn
	h *mail.Host
	// more says that other hosts may be tried after this one; reused that the connection served a message before.
	more, reused bool
	// answered says that the server has answered something in this transaction.
	answered bool

	// utf8 says that SMTPUTF8 is used, ascii that addresses are converted to A-label form.
	utf8, ascii bool
	// queue are the commands whose replies have not been read; bytes counts what was sent since the last reading.
	queue []inFlight
	bytes int
	// ok are the addresses that RCPT accepted.
	ok []*mail.Address
	// excess are those that the server put off only because it takes no more recipients at a time (452 after others were accepted).
	excess []*mail.Address
	// mailRefused, dataReply and chunkRefused are the replies to MAIL, DATA and BDAT that matter.
	mailRefused, chunkRefused *smtpclient.Error
	dataReply                 *smtp.Reply
	chunked, complete         bool
	message                   *transport.Message
	// release gives back what a signed message needs.
	release func()
	size    int64
	// held is the part of a long header block that goes with the last chunk.
	held []byte
	// x is what rooms see of the transaction; nil without rooms.
	x *smtpclient.Exchange
}

// command is what kind of command a reply is due for.
type command int

const (
	mailCommand command = iota
	rcptCommand
	dataCommand
	bdatCommand
	lastCommand // BDAT LAST
)

// inFlight is a command whose reply has not been read.
type inFlight struct {
	kind command
	text string
	addr *mail.Address
}

// problem is what went wrong with the connection or the message, and what it was about. The zero problem is none.
type problem struct {
	about scopeOfError
	err   *smtpclient.Error
	// outcome is what the addresses got by it.
	outcome mail.Outcome
}

func (p problem) bad() bool { return p.err != nil }

// pipelineBytes bounds what is sent ahead of replies.
const pipelineBytes = 4096

// run sends the message. The result says what a problem was about.
func (t *transaction) run(addrs []*mail.Address) problem {
	t.c.Messages++
	t.c.Progress = false
	if t.askRooms(addrs) {
		return problem{about: aboutNothing}
	}
	defer func() {
		if t.release != nil {
			t.release()
		}
	}()
	line, err := t.mail(addrs)
	if err == nil {
		err = t.compose()
	}
	if err != nil {
		t.refuse(err)
		return problem{about: aboutNothing}
	}
	if p := t.envelope(line, addrs); p.bad() {
		return p
	}
	switch {
	case t.mailRefused != nil:
		t.unclean()
		return t.refused(t.d.unsettled(), t.mailRefused, mail.ErrnoMail4xx)
	case t.d.run.AllOrNone && len(t.ok) < len(addrs):
		t.refuseAll(addrs)
		return problem{about: aboutRecipients}
	case len(t.ok) == 0:
		t.unclean()
		return problem{about: aboutRecipients}
	case t.chunked:
		return t.chunks()
	}
	return t.data()
}

// refuseAll gives all addresses the fate of the first one that was refused.
func (t *transaction) refuseAll(addrs []*mail.Address) {
	t.unclean()
	for _, a := range addrs {
		if a.Outcome.Result == mail.Failed || a.Outcome.Result == mail.Deferred {
			o := a.Outcome
			o.RetryKeys = nil
			t.d.settle(addrs, o)
			return
		}
	}
	t.d.settle(addrs, mail.Outcome{Result: mail.Failed, Message: "not all recipients were accepted"})
}

// unclean notes that the server's state must be reset before another message.
func (t *transaction) unclean() { t.c.NeedsReset = true }

// refuse settles all addresses with an error of ours; nothing was sent.
func (t *transaction) refuse(err error) {
	var te *transport.Error
	if !errors.As(err, &te) {
		te = transport.Defer(mail.ErrnoUnknown, "%v", err)
	}
	t.d.settle(t.d.unsettled(), te.Outcome)
	t.c.Messages--
}

// refused gives addresses the outcome of an error reply that concerns the message as a whole.
func (t *transaction) refused(addrs []*mail.Address, e *smtpclient.Error, errno int) problem {
	o := t.d.outcome(e, t.h)
	t.decorate(&o)
	if o.Result == mail.Failed {
		t.d.settle(addrs, o)
		return problem{about: noError}
	}
	if e.Reply.Temporary() {
		o.Errno, o.MoreErrno = errno, t.found()|(e.Reply.Code%100)<<8
	}
	t.d.setAll(addrs, o)
	return problem{aboutMessage, e, o}
}

// put queues a command. When the server takes no commands ahead of its replies, or the queue is full, replies are read.
func (t *transaction) put(kind command, text string, a *mail.Address) problem {
	if len(t.queue) > 0 && t.bytes+len(text) > pipelineBytes {
		if p := t.sync(); p.bad() {
			return p
		}
	}
	t.queue = append(t.queue, inFlight{kind, text, a})
	t.bytes += len(text) + 2
	if err := t.c.Put(text); err != nil {
		return t.lost(err, t.queue[:1])
	}
	if !t.c.Pipelining {
		return t.sync()
	}
	return problem{}
}

// envelope sends MAIL and RCPTs, and DATA or the first chunk along with them if pipelining allows it.
func (t *transaction) envelope(line string, addrs []*mail.Address) problem {
	if p := t.put(mailCommand, line, nil); p.bad() || t.mailRefused != nil {
		return p
	}
	for _, a := range addrs {
		if p := t.put(rcptCommand, t.rcpt(a), a); p.bad() || t.mailRefused != nil {
			return p
		}
	}
	if t.d.run.AllOrNone { // no data before all recipients are known to be good
		if p := t.sync(); p.bad() || len(t.ok) < len(addrs) {
			return p
		}
	}
	if !t.c.Pipelining && len(t.ok) == 0 {
		return problem{}
	}
	if t.c.Chunking && !t.filtered() {
		t.chunked = true
		return t.firstChunk()
	}
	if p := t.put(dataCommand, "DATA", nil); p.bad() {
		return p
	}
	return t.sync()
}

func (t *transaction) filtered() bool { return t.message.Filter != nil }

// sync reads all outstanding replies.
func (t *transaction) sync() problem {
	queue := t.queue
	pipelined := t.c.Pipelining
	t.queue, t.bytes = nil, 0
	for i, f := range queue {
		if f.kind == lastCommand {
			return t.ends(pipelined)
		}
		r, err := t.c.Reply(f.text, pipelined)
		if err != nil && t.decided(f) {
			if f.kind == bdatCommand {
				t.closedEarly()
			}
			return problem{} // what was lost cannot matter any more
		}
		if err != nil {
			return t.lost(err, queue[i:])
		}
		t.answered = true
		if p := t.took(f, r, pipelined); p.bad() {
			return p
		}
	}
	return problem{}
}

// decided tells whether the fate of all addresses is known already when the reply to a command is lost.
func (t *transaction) decided(f inFlight) bool {
	return t.mailRefused != nil || len(t.ok) == 0 && f.kind != mailCommand && f.kind != rcptCommand
}

// took handles the reply to one command.
func (t *transaction) took(f inFlight, r smtp.Reply, pipelined bool) problem {
	refused := &smtpclient.Error{Kind: smtpclient.Refused, After: f.text, Pipelined: pipelined, Reply: r, Written: -1}
	switch f.kind {
	case mailCommand:
		if r.Code/100 != 2 {
			t.mailRefused = refused
		}
	case rcptCommand:
		if t.mailRefused == nil {
			t.recipient(f.addr, r)
		}
	case dataCommand:
		t.dataReply = &r
		if r.Code/100 == 3 && (t.mailRefused != nil || len(t.ok) == 0) {
			return t.emptyData()
		}
	case bdatCommand:
		if r.Code/100 != 2 && t.chunkRefused == nil {
			t.chunkRefused = refused
		}
		t.nameAfterChunk(f.text)
	}
	return problem{}
}

// nameAfterChunk names the refusal of MAIL after the chunk that was sent along with it, as Exim does.
func (t *transaction) nameAfterChunk(text string) {
	if t.mailRefused != nil {
		t.mailRefused.After = text
	}
}

// emptyData ends the data phase that a server opened although it accepted nobody (RFC 2920 section 3.1).
func (t *transaction) emptyData() problem {
	if err := t.c.Put("."); err != nil {
		return problem{}
	}
	t.c.Reply("end of data", false)
	return problem{}
}

// recipient records the reply to RCPT.
func (t *transaction) recipient(a *mail.Address, r smtp.Reply) {
	d := t.d
	if r.Code/100 == 2 {
		t.ok = append(t.ok, a)
		return
	}
	if r.Code == 452 && len(t.ok) > 0 {
		t.excess = append(t.excess, a)
		return
	}
	text := "SMTP error from remote mail server after RCPT TO:<" + wire(d.run.Recipient(a)) + ">: " + smtpclient.ReplyText(r)
	o := mail.Outcome{Result: mail.Failed, Message: text, Diagnosis: smtpclient.ReplyText(r)}
	t.decorate(&o)
	if r.Permanent() {
		t.c.Progress = true
		d.settle([]*mail.Address{a}, o)
		return
	}
	o.Result, o.Errno, o.MoreErrno = mail.Deferred, mail.ErrnoRcpt4xx, t.found()|(r.Code%100)<<8
	d.raise("msg:rcpt:host:defer", a, o)
	if !t.more {
		d.raise("msg:rcpt:defer", a, o)
	} else if d.run.Services.Log != nil && !d.run.Transport.Generic.DisableLogging {
		d.run.Services.Log("H=" + d.label(t.h) + " " + text)
	}
	o.RetryKeys = []mail.RetryUpdate{t.addressRetry(a, o)}
	d.set(a, o)
}

// addressRetry is the retry record of a recipient: with the sender, unless address_retry_include_sender is off.
func (t *transaction) addressRetry(a *mail.Address, o mail.Outcome) mail.RetryUpdate {
	return mail.RetryUpdate{Key: t.addressKey(a), Errno: o.Errno, MoreErrno: o.MoreErrno, Message: t.d.retryText(t.h, o)}
}

func (t *transaction) addressKey(a *mail.Address) string {
	key := "R:" + a.Address
	if t.d.settings.AddressRetryIncludeSender {
		key += ":<" + t.d.run.Message.Sender + ">"
	}
	return key
}

func (t *transaction) found() int {
	if t.h.MX >= 0 {
		return mail.MoreMX
	}
	return mail.MoreA
}

// decorate adds what log lines say about the connection.
func (t *transaction) decorate(o *mail.Outcome) {
	o.Host, o.Reused = t.h, t.reused
	o.LocalAddress, o.LocalPort = t.c.Local.Addr(), int(t.c.Local.Port())
	o.TLS, o.AuthName, o.AuthID = t.c.TLS, t.c.AuthName, t.c.AuthID
	o.Pipelining, o.Chunking = t.c.Pipelining, t.chunked
	if !t.reused {
		o.Steps = t.c.Steps
	}
	if path := t.d.run.ReturnPath; path != t.d.run.Message.Sender {
		o.ReturnPath = &path
	}
}

// lost handles a connection that broke while replies were due, the first of them to due[0]. A timeout after MAIL counts against the
// message, one after RCPT against the recipient (spec 49.2).
func (t *transaction) lost(err error, due []inFlight) problem {
	t.c.Broken()
	p := t.broken(err, aboutHost)
	if p.err.Kind != smtpclient.Timeout {
		return p
	}
	switch due[0].kind {
	case mailCommand:
		p.about = aboutMessage
	case rcptCommand:
		t.rcptTimeout(due[0].addr)
		p.about = aboutRecipients
	}
	return p
}

// broken gives all unsettled addresses the outcome of an error of the connection.
func (t *transaction) broken(err error, about scopeOfError) problem {
	var e *smtpclient.Error
	if !errors.As(err, &e) {
		e = &smtpclient.Error{Kind: smtpclient.IO, Text: err.Error(), Written: -1}
	}
	o := t.d.outcome(e, t.h)
	t.decorate(&o)
	t.d.setAll(t.d.unsettled(), o)
	return problem{about, e, o}
}

// rcptTimeout words a timeout after RCPT: all addresses are deferred, the one concerned is delayed. Those not yet reached have no host.
func (t *transaction) rcptTimeout(failing *mail.Address) {
	text := "SMTP timeout after RCPT TO:<" + wire(t.d.run.Recipient(failing)) + ">"
	reached := true
	for _, a := range t.d.unsettled() {
		o := mail.Outcome{Result: mail.Deferred, Errno: int(syscall.ETIMEDOUT), MoreErrno: t.found(), Message: text}
		if reached {
			t.decorate(&o)
		}
		if a == failing {
			o.RetryKeys = []mail.RetryUpdate{t.addressRetry(a, o)}
			reached = false
		}
		t.d.set(a, o)
		a.Outcome.Host = o.Host
	}
}
