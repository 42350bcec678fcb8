package submit

import (
	"fmt"
	"os"
	"strings"

	"exigo/internal/eventlog"
	"exigo/internal/mail"
	"exigo/internal/option"
)

// delivery says what is to become of the message now, after all who have a say: the ACLs, the options, the caller.
func (x *reception) delivery() Delivery {
	c := &x.m.Controls
	switch {
	case x.r.s.Main.MUAWrapper:
		return DeliverForeground // nothing is ever queued (spec 52)
	case c.Freeze:
		x.log(eventlog.Main, "frozen by ACL", false)
		if !c.NoFreezeTell && x.r.s.FreezeTell != nil {
			x.r.s.FreezeTell(x.ctx, x.m)
		}
		return Queue
	case c.QueueOnly:
		x.log(eventlog.Main, "no immediate delivery: queued by ACL", false)
		return Queue
	case x.in.Delivery == Queue:
		if x.in.QueueReason != "" && !x.r.s.Main.QueueOnly {
			x.log(eventlog.Main, "no immediate delivery: "+x.in.QueueReason, false)
		}
		return Queue
	}
	if d, decided := x.queueing(); decided {
		return d
	}
	if c.QueueRouted {
		x.log(eventlog.Main, "no immediate delivery: queued by ACL", false)
		return RouteOnly
	}
	return x.in.Delivery
}

// queueing obeys queue_only, queue_only_file and queue_only_load (spec 14).
func (x *reception) queueing() (d Delivery, decided bool) {
	main := x.r.s.Main
	overridden := main.QueueOnlyOverride && (x.in.Delivery == DeliverForeground || x.in.Background)
	smtp := false
	if main.QueueOnly && !overridden {
		return Queue, true
	}
	// Exim lets no option of the caller override a file that is there.
	for _, path := range option.SplitList(main.QueueOnlyFile) {
		path, isSMTP := strings.CutPrefix(path, "smtp")
		if _, err := os.Stat(path); err != nil {
			continue
		}
		if !isSMTP {
			return Queue, true
		}
		smtp = true
	}
	if main.QueueOnlyLoad != nil && x.overloaded(int(*main.QueueOnlyLoad)) {
		return Queue, true
	}
	return RouteOnly, smtp
}

// latch remembers that the load was once too high during a session. It is made before the session and its messages part ways.
type latch struct{ load int }

// overloaded tells whether the load average is above a limit, in thousandths, or was so earlier in the session with
// queue_only_load_latch.
func (x *reception) overloaded(limit int) bool {
	state := mail.State[latch](&x.m.Session.Bag)
	load := state.load
	if load == 0 {
		var ok bool
		if load, ok = x.r.s.World.LoadAverage(); !ok || load <= limit {
			return false
		}
		if x.r.s.Main.QueueOnlyLoadLatch {
			state.load = load
		}
	}
	x.log(eventlog.Main, fmt.Sprintf("no immediate delivery: load average %.2f", float64(load)/1000), false)
	return true
}
