// Package callout asks the servers of an address whether they would take mail for it (spec 44.46 to 44.48), and keeps the
// answers in the callout hints.
//
// Trust: addresses come from clients and servers' replies from anywhere; replies reach clients and logs, made printable.
package callout

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"exigo/internal/config"
	"exigo/internal/expand"
	"exigo/internal/hints"
	"exigo/internal/mail"
	"exigo/internal/option"
	"exigo/internal/route"
	"exigo/internal/route/hostfind"
	"exigo/internal/smtpclient"
)

// Transport is what a callout needs of the smtp transport that would deliver.
type Transport struct {
	// Hosts is the transport's own host list, expanded; Override says that it is used even if the router gave hosts.
	Hosts    string
	Override bool
	// ByName looks the transport's own hosts up through the system.
	ByName bool
	// IncludeAffixes keeps prefix and suffix in the address (rcpt_include_affixes).
	IncludeAffixes bool
	// Parameters returns what MAIL and RCPT carry beside the addresses when the connection is to be held for the message; ok is false when this
	// transport cannot deliver on it. nil: it cannot.
	Parameters func(ctx context.Context, host *mail.Host, c *smtpclient.Conn) (mail, rcpt string, ok bool)
	// Together tells whether an address can share a delivery with those that a held connection has; nil: it cannot.
	Together func(have []*mail.Address, next *mail.Address) bool
	// Connect opens a connection up to and with EHLO, TLS and AUTH; it may take the time connect for the connection and command for each step after
	// it. The error is a *smtpclient.Error where it can be.
	Connect func(ctx context.Context, host *mail.Host, connect, command time.Duration) (*smtpclient.Conn, error)
}

// Caller makes callouts.
type Caller struct {
	// DB is the hints database; nil: no cache.
	DB *hints.DB
	// Transport tells about a transport by name, for the address at hand.
	Transport func(ctx context.Context, s *expand.Scope, name string, a *mail.Address) (*Transport, error)
	// Log writes a line to the main log, Panic to main and panic log.
	Log, Panic func(s *expand.Scope, line string)
}

// work is one callout.
type work struct {
	*Caller
	ctx   context.Context
	s     *expand.Scope
	c     route.Callout
	main  *config.Main
	t     *Transport
	from  string // the sender of the MAIL command
	to    string // the recipient of the RCPT command
	cache cache

	random, postmaster bool
	// domain and address are what was learnt; addressKnown says that address is to be kept.
	domain       hints.Callout
	address      hints.Verdict
	addressKnown bool
	// asked says that a server answered: the domain record is to be kept.
	asked bool
	// hold says that the connection stays open after a success.
	hold bool
	// reply is the server's last reply that was no success.
	reply string
}

// Call tries the hosts of an address.
func (k *Caller) Call(ctx context.Context, s *expand.Scope, c route.Callout) route.CalloutResult {
	w := &work{Caller: k, ctx: ctx, s: s, c: c, main: option.Of[config.Main](s.Config.MainOptions())}
	w.random, w.postmaster = c.Options.Random, c.Options.Postmaster
	w.from = w.sender()
	w.cache = cache{db: k.DB, main: w.main, now: s.Engine.World.Clock.Now()}
	if c.Options.NoCache {
		w.cache.db = nil
	}
	if h := held(s.Message); h != nil && w.holdable() {
		if r, done := w.further(h); done {
			return r
		}
	}
	if r, done := w.cached(); done {
		return r
	}
	Drop(s.Message) // another callout comes between
	w.hold = w.holdable() && len(s.Message.Recipients) == 0 && !s.Message.Controls.Discarded
	r := w.try()
	w.keep()
	return r
}

// sender is the address for MAIL.
func (w *work) sender() string {
	o := w.c.Options
	switch {
	case w.c.Sender && o.HeaderSender:
		return o.MailFrom
	case w.c.Sender || w.s.Message == nil:
	case o.UseSender:
		return w.s.Message.Sender
	case o.UsePostmaster:
		return "postmaster@" + w.main.QualifyDomain
	}
	return ""
}

// kind is the word of messages.
func (w *work) kind() string {
	if w.c.Sender {
		return "sender"
	}
	return "recipient"
}

// incomplete is the result when no host gave an answer. detail is known with a single host only.
func (w *work) incomplete(detail string) route.CalloutResult {
	text := "Could not complete " + w.kind() + " verify callout"
	r := route.CalloutResult{Result: mail.Deferred, UserMessage: text, Message: text, Reply: w.reply}
	if detail != "" {
		r.Message += ": " + detail
	}
	return r
}

// try goes through the hosts until one gives a definite answer.
func (w *work) try() route.CalloutResult {
	if w.c.Transport == "" || w.Transport == nil {
		return w.incomplete("")
	}
	var err error
	if w.t, err = w.Transport(w.ctx, w.s, w.c.Transport, w.c.Address); err != nil {
		return w.incomplete(err.Error())
	}
	w.to = recipient(w.c.Address, w.t.IncludeAffixes)
	hosts := w.hosts()
	start := w.s.Engine.World.Clock.Now()
	detail := ""
	for _, h := range hosts {
		if w.ctx.Err() != nil || w.s.Engine.World.Clock.Now().Sub(start) >= w.c.Options.Overall {
			break
		}
		if !h.Address.IsValid() {
			continue
		}
		r, failure, done := w.host(h)
		if done {
			return r
		}
		detail = h.Name + " [" + h.Address.Unmap().String() + "] : " + failure
	}
	if len(hosts) > 1 {
		detail = ""
	}
	return w.incomplete(detail)
}

// recipient is the address for RCPT: without the affixes that the router took off, unless the transport keeps them.
func recipient(a *mail.Address, affixes bool) string {
	at := strings.LastIndexByte(a.Address, '@')
	if affixes || at < 0 || len(a.Prefix)+len(a.Suffix) == 0 || len(a.Prefix)+len(a.Suffix) > at {
		return a.Address
	}
	return a.Address[len(a.Prefix):at-len(a.Suffix)] + a.Address[at:]
}

// hosts are the router's, or the transport's own, looked up.
func (w *work) hosts() []mail.Host {
	if len(w.c.Hosts) > 0 && !w.t.Override || w.t.Hosts == "" {
		return w.c.Hosts
	}
	method := hostfind.Default
	if w.t.ByName {
		method = hostfind.ByName
	}
	var out []mail.Host
	for _, item := range option.SplitList(w.t.Hosts) {
		if item == "+" || item == "" {
			continue
		}
		name, port := hostfind.Item(item)
		q := hostfind.Request{Name: name, Port: port}
		if n := len(name) - 3; n > 0 && strings.EqualFold(name[n:], "/mx") {
			q.Name, q.MX = name[:n], true
			if a, err := hostfind.Find(w.ctx, w.s, q); err == nil {
				out = append(out, a.Hosts...)
			}
			continue
		}
		if a, err := hostfind.Lookup(w.ctx, w.s, q, method); err == nil {
			out = append(out, a.Hosts...)
		}
	}
	return out
}

// host tries one host, again without the random address when the server closes the connection over it. done is false
// when another host is to be tried; failure says why.
func (w *work) host(h mail.Host) (r route.CalloutResult, failure string, done bool) {
	for {
		again := false
		r, failure, done, again = w.once(h)
		if !again {
			return r, failure, done
		}
	}
}

// setUpSteps bounds how many answers a server may delay before MAIL.
const setUpSteps = 10

// once is one connection to a host.
func (w *work) once(h mail.Host) (r route.CalloutResult, failure string, done, again bool) {
	// With TLS that fails there are two connections.
	ctx, cancel := context.WithTimeout(w.ctx, 2*w.c.Options.Connect+setUpSteps*w.c.Options.Timeout)
	conn, err := w.t.Connect(ctx, &h, w.c.Options.Connect, w.c.Options.Timeout)
	expired := ctx.Err() != nil && w.ctx.Err() == nil
	if err == nil {
		conn.Bind(w.ctx) // before the end of the other context would end the connection
	}
	cancel()
	if err != nil {
		e := asError(err)
		if expired {
			timedOut(e)
		}
		var call *os.SyscallError
		if errors.As(err, &call) && call.Syscall == "bind" && w.Panic != nil { // the option interface of the transport is wrong
			w.Panic(w.s, "recipient verify defer (making callout connection): T="+w.c.Transport+" "+text(e))
		}
		w.note(e)
		if e.Kind == smtpclient.Refused && e.Reply.Permanent() {
			w.domain.Result, w.asked = hints.Rejected, true
			r, done = w.refused(h, e, "mail")
			return r, "", done, false
		}
		return r, text(e), false, false
	}
	keep := false
	defer func() {
		if !keep {
			conn.Quit()
		}
	}()
	w.asked = true
	if w.domain.Result != hints.RejectedMail { // which only concerns the empty sender, and stays
		w.domain.Result = hints.Accepted
	}
	if !isASCII(w.to+w.from) && !conn.Extensions.Has("SMTPUTF8") {
		conn.Broken()
		msg := "response to \"EHLO\" did not include SMTPUTF8"
		return route.CalloutResult{Result: mail.Failed, Failure: "mail", UserMessage: msg, Message: place(h) + msg}, "", true, false
	}
	d := &dialogue{work: w, conn: conn, h: h}
	r, failure, done = d.run()
	if keep = d.holds && done && r.Result == mail.Delivered; keep {
		w.retain(conn, h)
	}
	return r, failure, done, d.again
}

// asError makes a *smtpclient.Error of any error.
func asError(err error) *smtpclient.Error {
	var e *smtpclient.Error
	if errors.As(err, &e) {
		c := *e
		return &c
	}
	return &smtpclient.Error{Kind: smtpclient.Setup, Text: err.Error(), Written: -1}
}

// timedOut turns an interrupted operation into one that took too long.
func timedOut(e *smtpclient.Error) {
	e.Kind, e.Errno, e.Text, e.Written = smtpclient.Timeout, syscall.ETIMEDOUT, "", -1
	e.Connecting = e.After == "connect"
}

// text is an error's own text, or the system's for its number.
func text(e *smtpclient.Error) string {
	if t := e.Error(); t != "" {
		return t
	}
	t := e.Errno.Error()
	return strings.ToUpper(t[:1]) + t[1:]
}

// place begins log texts about a host.
func place(h mail.Host) string {
	return h.Name + " [" + addressText(h.Address) + "] : "
}

func addressText(a netip.Addr) string { return a.Unmap().String() }

// refused is the result of a permanent refusal.
func (w *work) refused(h mail.Host, e *smtpclient.Error, failure string) (route.CalloutResult, bool) {
	r := route.CalloutResult{Result: mail.Failed, Failure: failure}
	lines := replyLines(e)
	if w.c.Sender {
		r.UserMessage = "Called:   " + addressText(h.Address) + "\nSent:     " + e.After + "\nResponse: " + lines
	} else {
		r.UserMessage = "Callout verification failed:\n" + lines
	}
	if failure == "mail" {
		r.Message = place(h) + "response to \"" + e.After + "\" was: " + smtpclient.ReplyText(e.Reply)
	} else {
		r.Message = place(h) + e.Error()
	}
	return r, true
}

// replyLines writes a reply as it came, with newlines between its lines.
func replyLines(e *smtpclient.Error) string {
	code := strconv.Itoa(e.Reply.Code)
	enhanced := ""
	if e.Reply.Enhanced != "" {
		enhanced = e.Reply.Enhanced + " "
	}
	var b strings.Builder
	for i, l := range e.Reply.Lines {
		sep := "-"
		if i == len(e.Reply.Lines)-1 {
			sep = " "
		}
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(code + sep + enhanced + Plain(l))
	}
	if len(e.Reply.Lines) == 0 {
		b.WriteString(code)
	}
	return b.String()
}

// Plain is a line of a server's reply for a client: it ends before the first byte that is not ASCII.
func Plain(line string) string {
	for i := 0; i < len(line); i++ {
		if line[i] >= 0x80 {
			return smtpclient.Printable(line[:i]) + "(truncated)"
		}
	}
	return smtpclient.Printable(line)
}

func isASCII(text string) bool {
	for i := 0; i < len(text); i++ {
		if text[i] >= 0x80 {
			return false
		}
	}
	return true
}

// timeout bounds one command.
func (w *work) timeout() time.Duration { return w.c.Options.Timeout }
