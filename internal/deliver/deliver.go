// Package deliver takes one message from the queue and tries to deliver it: it routes each recipient, groups what goes
// together, runs the transports, journals every success, logs, sends bounces and warnings, and rewrites or removes the
// message in the spool (spec chapter 3).
//
// Trust: messages of the spool are outsiders' text under our own envelope; journal and header files are ours.
package deliver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"sync"
	"time"

	"exigo/internal/bounce"
	"exigo/internal/config"
	"exigo/internal/eventlog"
	"exigo/internal/expand"
	"exigo/internal/mail"
	"exigo/internal/option"
	"exigo/internal/outside"
	"exigo/internal/retry"
	"exigo/internal/route"
	"exigo/internal/spool"
	"exigo/internal/steward"
	"exigo/internal/transport"
)

// Deliverer delivers messages of one spool by one configuration. It is safe for concurrent use.
type Deliverer struct {
	World      *outside.World
	Config     *config.Config
	Main       *config.Main
	Engine     *expand.Engine
	Spool      *spool.Spool
	Log        *eventlog.Log
	Routes     *route.Engine
	Transports map[string]*transport.Transport
	Services   *transport.Services
	Rules      *retry.Rules
	Hints      *retry.Hints
	// Steward runs local transports as the recipient's user.
	Steward steward.Steward
	// Bouncer writes bounces, warnings and success reports.
	Bouncer *bounce.Writer
	// Waiting, if set, notes that a message waits for hosts of a transport (two-stage queue runs).
	Waiting func(ctx context.Context, transport string, hosts []string, id string)
	// Finished, if set, is told when an attempt for a message is over and its lock is released.
	Finished func(ctx context.Context, id string)
	// Raise tells of the events of messages as such; nil: nobody listens.
	Raise expand.Raise
	// Format makes the builder of log lines with the rooms' fields.
	Format func(on eventlog.Set) eventlog.Format

	parallel parallel
}

// Options say how one attempt is made.
type Options struct {
	// Force tries addresses whose retry time has not come; Thaw also frozen messages (-M, -qf, -qff).
	Force, Thaw bool
	// QueueRun says that a queue runner asks: retry times are respected.
	QueueRun bool
	// LocalOnly delivers locally only (-ql); RouteOnly likewise, and fills the wait hints (first stage of -qq).
	LocalOnly, RouteOnly bool
	// Give up: fail all addresses (-Mg), as Caller asked.
	GiveUp bool
	Caller string
	// Continue says that the message waited for a host to which a connection is open now: the host's retry time does not hold it back.
	Continue bool
	// DontDeliver pretends (-N).
	DontDeliver bool
	// QueueSMTP routes, but leaves remote deliveries to a queue run (-odqs).
	QueueSMTP bool
	// Only, if set, says which of the message's recipients are tried; the others stay as they are.
	Only func(address string) bool
	// Begin, if set, may prepare the message before anything is done with it.
	Begin func(m *mail.Message)
	// Failed, if set, is told under mua_wrapper why the message was not delivered.
	Failed func(why string)
	// Pretend is the time on the queue to assume (-Tqt), 0 for the real one.
	Pretend time.Duration
}

// Status is how an attempt ended.
type Status int

// Ends of an attempt.
const (
	// Completed: nothing is left; the message is gone from the spool.
	Completed Status = iota
	// Waiting: some addresses are still to be delivered.
	Waiting
	// Frozen: the message is frozen.
	Frozen
	// Locked: another process has it.
	Locked
	// Gone: there is no such message.
	Gone
	// Unreadable: the spool file is damaged or cannot be read; it stays where it is.
	Unreadable
)

// Message makes one delivery attempt. It never panics: a mistake in a driver defers the message and is written to the panic log.
func (d *Deliverer) Message(ctx context.Context, id, queue string, o Options) (status Status) {
	defer func() {
		if p := recover(); p != nil {
			d.crashed(id, p)
			status = Waiting
		}
	}()
	if d.unlogged(id) {
		return Waiting
	}
	locked, err := d.Spool.Lock(id, queue)
	switch {
	case errors.Is(err, spool.ErrLocked):
		if d.Log.Has(eventlog.SkipDelivery) {
			d.Log.Mainf(id, "Spool file is locked (another process is handling this message)")
		}
		return Locked
	case errors.Is(err, spool.ErrNotFound):
		return Gone
	case err != nil:
		d.Log.Panicf(id, "unable to lock spool file: %v", err)
		return Unreadable
	}
	defer locked.Close()
	msg, err := locked.Read()
	if err != nil {
		if errors.Is(err, spool.ErrNotFound) {
			return Gone
		}
		d.Log.Mainf(id, "%v", err)
		return d.malformed(locked, id, err)
	}
	status = d.attempt(ctx, locked, msg, o).run()
	d.finished(ctx, locked, id)
	return status
}

// unlogged tells whether the log cannot be written: nothing is delivered without its line. The reason stands in the panic log as far as possible.
func (d *Deliverer) unlogged(id string) bool {
	err := d.Log.Check()
	if err != nil {
		d.Log.Write(eventlog.Entry{To: eventlog.Panic, ID: id, Text: "delivery deferred: " + err.Error()})
	}
	return err != nil
}

// malformed removes a message whose -H file makes no sense once it is older than keep_malformed. Its id tells when it came.
func (d *Deliverer) malformed(locked *spool.Locked, id string, err error) Status {
	var format *spool.FormatError
	if !errors.As(err, &format) || d.World.Clock.Now().Sub(spool.Time(id)) <= d.Main.KeepMalformed {
		return Unreadable
	}
	if err := locked.Remove(false); err != nil {
		d.Log.Panicf(id, "failed to remove spool files: %v", err)
		return Unreadable
	}
	d.Log.Mainf(id, "Message removed because older than %s", option.FormatTime(d.Main.KeepMalformed))
	return Gone
}

// finished releases the message and says so.
func (d *Deliverer) finished(ctx context.Context, locked *spool.Locked, id string) {
	locked.Close()
	if d.Finished != nil {
		d.Finished(ctx, id)
	}
}

// Fresh makes the first attempt for a message that was just received: its lock is held and nothing need be read again. It closes
// locked.
func (d *Deliverer) Fresh(ctx context.Context, locked *spool.Locked, msg *mail.Message, o Options) (status Status) {
	defer func() {
		if p := recover(); p != nil {
			d.crashed(msg.ID, p)
			status = Waiting
		}
	}()
	defer locked.Close()
	if d.unlogged(msg.ID) {
		return Waiting
	}
	status = d.attempt(ctx, locked, msg, o).run()
	d.finished(ctx, locked, msg.ID)
	return status
}

// crashed logs a mistake in the program that ended an attempt: the panic log has the stack.
func (d *Deliverer) crashed(id string, p any) {
	d.Log.Panicf(id, "delivery abandoned: %v", p)
	d.Log.Write(eventlog.Entry{To: eventlog.Panic, ID: id, Text: string(debug.Stack())})
}

// attempt is one delivery attempt of one message.
type attempt struct {
	d       *Deliverer
	ctx     context.Context
	locked  *spool.Locked
	msg     *mail.Message
	scope   *expand.Scope
	options Options
	now     time.Time

	// done are addresses (unique forms) that need no delivery any more; added are those of this attempt.
	done map[string]bool
	seen map[string]*mail.Address
	// sameDomain are addresses, by domain, whose routing others may copy.
	sameDomain map[string]*mail.Address
	// considered counts the addresses that routing was asked for.
	considered int
	fresh      []*mail.Address

	local, remote []*mail.Address
	// outstanding counts the addresses that have a transport and no outcome yet.
	outstanding int
	// The ends.
	delivered, failed, deferred []*mail.Address
	// timedOut are failed addresses that were deferred for too long.
	timedOut map[*mail.Address]bool
	// failureHeard are failed addresses whose event was raised; nil where nobody listens.
	failureHeard map[*mail.Address]bool
	duplicates   []duplicate

	body *io.SectionReader
	// notes are lines for the message log.
	notes []string
	// mu guards the journal and what parallel deliveries touch.
	mu      sync.Mutex
	changed bool // the -H file must be written again
	leftOut bool // recipients were not tried, as the options said
	// frozenLine is the log line if this attempt freezes the message.
	frozenLine string
}

// duplicate is an address that shares the fate of another.
type duplicate struct{ address, of *mail.Address }

func (d *Deliverer) attempt(ctx context.Context, l *spool.Locked, msg *mail.Message, o Options) *attempt {
	a := &attempt{d: d, ctx: ctx, locked: l, msg: msg, options: o, now: d.World.Clock.Now(),
		done: make(map[string]bool, len(msg.NonRecipients)), seen: make(map[string]*mail.Address)}
	a.scope = d.Engine.NewScope(ctx, d.Config, msg.Session, msg)
	a.mark(a.scope)
	if o.Begin != nil {
		o.Begin(msg)
	}
	a.options.Force = o.Force || d.Main.MUAWrapper
	a.options.DontDeliver = o.DontDeliver || spool.StateOf(msg).NoDelivery
	for _, n := range msg.NonRecipients {
		a.done[n] = true
	}
	return a
}

// run goes through the stages of a delivery.
func (a *attempt) run() Status {
	body, err := a.locked.Body()
	if err != nil {
		a.d.Log.Panicf(a.msg.ID, "failed to read message data: %v", err)
		return Unreadable
	}
	a.body = body
	if status, stop := a.frozen(); stop {
		a.setAside(status)
		return status
	}
	a.takeRecipients()
	if !a.options.GiveUp && a.looping() {
		a.failLoop()
	} else if !a.options.GiveUp {
		a.routeAll()
		a.oneTransaction()
		a.outstanding = len(a.local) + len(a.remote)
		a.deliverLocal()
		a.deliverRemote()
	}
	return a.finish()
}

// takeRecipients makes addresses of the envelope's recipients that are not finished.
func (a *attempt) takeRecipients() {
	for i := range a.msg.Recipients {
		r := &a.msg.Recipients[i]
		if a.done[uniqueOf(r.Address)] || a.done[r.Address] {
			continue
		}
		if a.options.Only != nil && !a.options.Only(r.Address) {
			a.leftOut = true
			continue
		}
		addr := a.newAddress(r, i)
		if a.options.GiveUp {
			addr.Outcome = mail.Outcome{Result: mail.Failed}
			a.failed = append(a.failed, addr)
			continue
		}
		a.fresh = append(a.fresh, addr)
	}
	if a.options.GiveUp && len(a.failed) > 0 {
		a.d.Log.Mainf(a.msg.ID, "cancelled by %s", a.options.Caller)
		a.raiseCancelled("delivery cancelled by administrator")
	}
}

func (a *attempt) newAddress(r *mail.Recipient, index int) *mail.Address {
	addr := &mail.Address{
		Address: r.Address, Unique: uniqueOf(r.Address), Original: index,
		ErrorsTo: r.ErrorsTo, ErrorsToSet: r.ErrorsTo != "",
		Notify: r.Notify, ORCPT: r.ORCPT, Mode: mail.ForDelivery,
	}
	if all := a.msg.Recipients; r.Parent >= 0 && r.Parent < len(all) {
		addr.OneTime, addr.OneTimeParent = true, all[r.Parent].Address
	}
	return addr
}

// frozen deals with a frozen message; stop ends the attempt.
func (a *attempt) frozen() (status Status, stop bool) {
	m := a.msg
	if m.Frozen.IsZero() {
		return 0, false
	}
	age := a.now.Sub(m.Frozen)
	main := a.d.Main
	onQueue := a.now.Sub(m.Received)
	switch {
	case a.options.GiveUp:
		a.thaw("")
	case a.options.Thaw:
		a.thaw("Unfrozen by forced delivery")
	case main.IgnoreBounceErrorsAfter > 0 && onQueue >= main.IgnoreBounceErrorsAfter && m.Sender == "":
		a.thaw("Unfrozen by errmsg timer") // one more attempt; a failure then is nobody's concern
	case main.TimeoutFrozenAfter > 0 && age >= main.TimeoutFrozenAfter:
		a.cancelFrozen("cancelled by timeout_frozen_after")
		return a.finish(), true
	case main.AutoThaw > 0 && age >= main.AutoThaw && a.options.QueueRun && !m.ManualThaw:
		a.thaw("Unfrozen by auto-thaw")
	default:
		if a.d.Log.Has(eventlog.SkipDelivery) {
			a.d.Log.Mainf(m.ID, "Message is frozen")
		}
		return Frozen, true
	}
	return 0, false
}

// setAside moves a frozen message out of the queue, if move_frozen_messages says so.
func (a *attempt) setAside(status Status) {
	if status != Frozen || !a.d.Main.MoveFrozenMessages {
		return
	}
	if err := a.locked.SetAside(); err != nil {
		a.d.Log.Panicf(a.msg.ID, "failed to move frozen message: %v", err)
	}
}

func (a *attempt) thaw(line string) {
	a.msg.Frozen = time.Time{}
	a.changed = true
	if line != "" {
		a.d.Log.Mainf(a.msg.ID, "%s", line)
	}
}

// cancelFrozen fails every remaining recipient of a message that was frozen for too long. The sender is told, if there is one (spec 14,
// timeout_frozen_after).
func (a *attempt) cancelFrozen(line string) {
	a.d.Log.Mainf(a.msg.ID, "%s", line)
	a.thaw("")
	for i := range a.msg.Recipients {
		r := &a.msg.Recipients[i]
		if a.done[uniqueOf(r.Address)] {
			continue
		}
		addr := a.newAddress(r, i)
		addr.Outcome = mail.Outcome{Result: mail.Failed, Message: line, LogOnly: true}
		addr.IgnoreError = a.msg.Sender == ""
		a.failed = append(a.failed, addr)
	}
	a.raiseCancelled(line)
}

// waited is how long the message has been on the queue.
func (a *attempt) waited() time.Duration {
	if a.options.Pretend > 0 {
		return a.options.Pretend
	}
	return a.now.Sub(a.msg.Received)
}

// journal records a success at once, so that nothing is delivered twice after a crash.
func (a *attempt) journal(addrs ...*mail.Address) {
	lines := make([]string, 0, len(addrs))
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, addr := range addrs {
		lines = append(lines, doneKey(addr))
	}
	if a.last(len(addrs)) {
		return
	}
	if err := a.locked.Journal(false, lines...); err != nil {
		a.d.Log.Panicf(a.msg.ID, "failed to update journal for %s: %v", addrs[0].Unique, err)
	}
}

// last tells whether n addresses that were just delivered are all that is left of the message: it is then removed at once, and
// a journal would have to be created only to be removed with it.
func (a *attempt) last(n int) bool {
	return n == a.outstanding && len(a.failed) == 0 && len(a.deferred) == 0
}

// fatal texts shared by the stages.
func noTransport(name string) string {
	return fmt.Sprintf("%s transport not found", name)
}
