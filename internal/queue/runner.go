package queue

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"exigo/internal/config"
	"exigo/internal/deliver"
	"exigo/internal/eventlog"
	"exigo/internal/mail"
	"exigo/internal/outside"
	"exigo/internal/regex"
	"exigo/internal/spool"
)

// Selection is one queue run: which messages, and how they are tried (spec 5, -q, -R, -S).
type Selection struct {
	// Words is how the run was asked for ("-qf"), for the log.
	Words string
	// TwoStage, Initial, Force, ForceFrozen and Local are the letters q, i, f, ff and l.
	TwoStage, Initial, Force, ForceFrozen, Local bool
	// Queue is the named queue, "" for the default one.
	Queue string
	// Start and End are the ids to begin and to end with; Start alone asks for all from it on.
	Start, End string
	// Recipient and Sender select by a part of an undelivered recipient or of the sender, or by regular expression.
	Recipient, Sender             string
	RecipientRegexp, SenderRegexp bool
	// DontDeliver is -N.
	DontDeliver bool
	// PID names the run in the log, that its lines be told from another's; 0 is the process.
	PID int
	// Kind stands before "queue run" in the log ("ODMR"), "" for none.
	Kind string
	// Only, if set, selects the messages with an undelivered recipient that it accepts, and of these recipients no others are tried.
	Only func(address string) bool
	// Begin, if set, may prepare each message before it is tried.
	Begin func(m *mail.Message)
	// Over, if set, ends the run early when it says so.
	Over func() bool
	// Pretend are times on the queue to assume, one for each message (-Tqt).
	Pretend []time.Duration
}

// Runner makes queue runs.
type Runner struct {
	World   *outside.World
	Main    *config.Main
	Spool   *spool.Spool
	Log     *eventlog.Log
	Deliver func(ctx context.Context, id, queue string, o deliver.Options) deliver.Status
	// RouteFirst makes the first stage of two-stage runs a stage of its own. It serves to find messages for the same host; where
	// connections wait for the next message anyway, one stage does as well.
	RouteFirst bool
	// Workers is how many messages are tried at the same time; 0 is 1.
	Workers int
}

// Run makes one queue run and returns when every message had its attempt.
func (r *Runner) Run(ctx context.Context, sel Selection) error {
	match, err := sel.matcher()
	if err != nil {
		return err
	}
	if sel.PID == 0 {
		sel.PID = r.World.PID
	}
	what := fmt.Sprintf("pid=%d", sel.PID)
	if sel.Words != "" && sel.Words != "-q" {
		what += " " + sel.Words
	}
	name, kind := "", ""
	if sel.Queue != "" {
		name = " '" + sel.Queue + "'"
	}
	if sel.Kind != "" {
		kind = " " + sel.Kind
	}
	logged := r.Log.Has(eventlog.QueueRun)
	if logged {
		r.Log.Mainf("", "Start%s%s queue run: %s", kind, name, what)
	}
	if sel.TwoStage && r.RouteFirst {
		r.stage(ctx, sel, match, true)
	}
	r.stage(ctx, sel, match, false)
	if logged {
		r.Log.Mainf("", "End%s queue run: %s", name, what)
	}
	return nil
}

// stage goes through the queue once.
func (r *Runner) stage(ctx context.Context, sel Selection, match func(m *mail.Message) bool, routeOnly bool) {
	entries, err := r.Spool.List(sel.Queue)
	if err != nil {
		r.Log.Panicf("", "failed to read the queue: %v", err)
		return
	}
	if !r.Main.QueueRunInOrder && sel.Start == "" {
		for i := len(entries) - 1; i > 0; i-- {
			j := r.World.Random.Intn(i + 1)
			entries[i], entries[j] = entries[j], entries[i]
		}
	}
	work := make(chan attempt)
	var wg sync.WaitGroup
	workers := max(r.Workers, 1)
	if sel.Begin != nil {
		workers = 1 // they share what was prepared
	}
	for range workers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for a := range work {
				if sel.Over != nil && sel.Over() {
					continue
				}
				r.Deliver(ctx, a.id, a.queue, a.options)
			}
		}()
	}
	n := 0
	// The first message that -R or -S selects is forced; what that delivers makes room for the others (spec 5, -R).
	first := match != nil
	for _, e := range entries {
		if ctx.Err() != nil || r.overloaded(sel.PID) {
			break
		}
		if !r.wanted(e, sel, match) {
			continue
		}
		o := deliver.Options{QueueRun: true, Force: sel.Force || sel.ForceFrozen || first, Thaw: sel.ForceFrozen, LocalOnly: sel.Local,
			RouteOnly: routeOnly, DontDeliver: sel.DontDeliver, Only: sel.Only, Begin: sel.Begin}
		first = false
		if n < len(sel.Pretend) {
			o.Pretend = sel.Pretend[n]
		}
		n++
		work <- attempt{e.ID, e.Queue, o}
	}
	close(work)
	wg.Wait()
}

type attempt struct {
	id, queue string
	options   deliver.Options
}

// overloaded obeys deliver_queue_load_max.
func (r *Runner) overloaded(pid int) bool {
	limit := r.Main.DeliverQueueLoadMax
	if limit == nil || r.World.LoadAverage == nil {
		return false
	}
	load, ok := r.World.LoadAverage()
	if ok && load > int(*limit) {
		r.Log.Mainf("", "Abandon queue run: %s (load %.2f, max %.2f)", fmt.Sprintf("pid=%d", pid), float64(load)/1000, float64(*limit)/1000)
		return true
	}
	return false
}

// wanted tells whether the run includes the message. Its -H file is read only if the selection asks for it.
func (r *Runner) wanted(e spool.Entry, sel Selection, match func(m *mail.Message) bool) bool {
	if sel.Start != "" && e.ID < sel.Start || sel.End != "" && e.ID > sel.End {
		return false
	}
	if match == nil && !sel.Initial {
		return true
	}
	m, err := r.Spool.Read(e.ID, e.Queue)
	if err != nil || sel.Initial && !m.DeliverFirst {
		return false
	}
	return match == nil || match(m)
}

// matcher makes the test of -R and -S; nil when there is none.
func (sel Selection) matcher() (func(m *mail.Message) bool, error) {
	if sel.Only != nil {
		return func(m *mail.Message) bool { return awaits(m, sel.Only) }, nil
	}
	if sel.Recipient == "" && sel.Sender == "" {
		return nil, nil
	}
	recipient, err := textTest(sel.Recipient, sel.RecipientRegexp)
	if err != nil {
		return nil, err
	}
	sender, err := textTest(sel.Sender, sel.SenderRegexp)
	if err != nil {
		return nil, err
	}
	return func(m *mail.Message) bool {
		if sender != nil && !sender(m.Sender) {
			return false
		}
		return recipient == nil || awaits(m, recipient)
	}, nil
}

// awaits tells whether a message has an undelivered recipient that is wanted.
func awaits(m *mail.Message, wanted func(address string) bool) bool {
	done := make(map[string]bool, len(m.NonRecipients))
	for _, n := range m.NonRecipients {
		done[n] = true
	}
	for _, rc := range m.Recipients {
		if !done[rc.Address] && !done[fold(rc.Address)] && wanted(rc.Address) {
			return true
		}
	}
	return false
}

// Holds tells whether a message of the named queue has an undelivered recipient that is wanted. Messages that cannot be read do not count.
func Holds(ctx context.Context, sp *spool.Spool, name string, wanted func(address string) bool) (bool, error) {
	entries, err := sp.List(name)
	if err != nil {
		return false, err
	}
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		if m, err := sp.Read(e.ID, e.Queue); err == nil && m.Frozen.IsZero() && awaits(m, wanted) {
			return true, nil
		}
	}
	return false, nil
}

func textTest(text string, expression bool) (func(string) bool, error) {
	if text == "" {
		return nil, nil
	}
	if !expression {
		text = strings.ToLower(text)
		return func(s string) bool { return strings.Contains(strings.ToLower(s), text) }, nil
	}
	re, err := regex.Compile(text, regex.Caseless)
	if err != nil {
		return nil, err
	}
	return func(s string) bool {
		ok, err := re.Test(s)
		return err == nil && ok
	}, nil
}
