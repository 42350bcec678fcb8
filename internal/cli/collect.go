package cli

import (
	"context"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// heapGrowth is how much the heap may grow between two collections at least.
const heapGrowth = 16 << 20

// paceCollector lets the heap grow by heapGrowth between collections until ctx ends, where the runtime alone would allow a small heap no
// more than its own size: a daemon with little to remember otherwise collects every hundred messages, which was a tenth of the work.
func paceCollector(ctx context.Context) {
	debug.SetGCPercent(growthPercent(4 << 20))
	pace(ctx)
}

// pace sets the next collection after each one: the finalizer of an object that nobody needs is called then.
func pace(ctx context.Context) {
	type sentinel struct{ _ *byte }
	runtime.SetFinalizer(&sentinel{}, func(*sentinel) {
		if ctx.Err() != nil {
			return
		}
		live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
		metrics.Read(live)
		if live[0].Value.Kind() == metrics.KindUint64 {
			debug.SetGCPercent(growthPercent(live[0].Value.Uint64()))
		}
		pace(ctx)
	})
}

// growthPercent is the growth that is allowed to a heap of so many live bytes, as a percentage of them.
func growthPercent(live uint64) int {
	return int(max(100, heapGrowth*100/max(live, 1<<20)))
}
