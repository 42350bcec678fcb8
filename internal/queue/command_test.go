package queue

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"exigo/internal/config"
	"exigo/internal/deliver"
	"exigo/internal/eventlog"
	"exigo/internal/mail"
	"exigo/internal/option"
	"exigo/internal/spool"
	"exigo/internal/testkit"
)

// bench is a spool with a log and a commander.
type bench struct {
	Commander
	world     *testkit.Fake
	dir       string
	out       bytes.Buffer
	log       []string
	completed []string
}

func newBench(t testing.TB) *bench {
	t.Helper()
	b := &bench{world: testkit.NewWorld(t), dir: t.TempDir()}
	selectors, err := eventlog.ParseSet("+queue_run")
	if err != nil {
		t.Fatal(err)
	}
	log := eventlog.Open(b.world.World, eventlog.Settings{Selectors: selectors, Divert: func(_ eventlog.Stream, id, text string) { b.log = append(b.log, text) }})
	b.Commander = Commander{Spool: spool.Open(b.dir, spool.Options{UID: -1, GID: -1, LocalhostNumber: -1, NoSync: true}), Log: log, Now: b.world.Clock.Now, Caller: "ph10", Out: &b.out,
		Removed: func(m *mail.Message, _ string) { b.completed = append(b.completed, m.ID) },
		Qualify: func(a string, sender bool) string {
			if strings.Contains(a, "@") {
				return a
			}
			return a + map[bool]string{true: "@s.q", false: "@r.q"}[sender]
		}}
	return b
}

// put adds a message that is n minutes old.
func (b *bench) put(t testing.TB, minutes int, change func(m *mail.Message)) string {
	t.Helper()
	when := b.world.Clock.Now().Add(-time.Duration(minutes) * time.Minute)
	m := &mail.Message{Sender: "s@x", Received: when, OriginatorLogin: "ph10", Session: &mail.Session{}, Recipients: []mail.Recipient{{Address: "a@X", Parent: -1}, {Address: "b@x", Parent: -1}},
		Headers: []mail.Header{mail.NewHeader("Subject: x\n"), {Type: '*', Text: "Old: y\n"}}, DeliverFirst: true}
	if change != nil {
		change(m)
	}
	m.ID = b.Spool.NewID(when, 1234)
	in, err := b.Spool.Create(m.ID, m.Queue)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(in, "body\n")
	l, err := in.Commit(m)
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	return m.ID
}

func TestList(t *testing.T) {
	b := newBench(t)
	old := b.put(t, 60*24*5, func(m *mail.Message) { m.Sender = ""; m.Frozen = b.world.Clock.Now() })
	half := b.put(t, 150, func(m *mail.Message) { m.NonRecipients = []string{"a@x", "child@y"} })
	young := b.put(t, 3, func(m *mail.Message) {
		m.Sender = "bad\x01@x"
		m.Headers = []mail.Header{mail.NewHeader("X: " + strings.Repeat("y", 3000) + "\n")}
		spool.StateOf(m).SetUntrusted = true
	})
	damaged := b.put(t, 2, nil)
	header, _, _ := b.Spool.Paths(damaged, "")
	if err := os.WriteFile(header, []byte("rubbish\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	entry := map[string]string{
		"old": " 5d    17 " + old + " <> *** frozen ***\n          a@X\n          b@x\n\n", "half": " 3h    17 " + half + " <s@x>\n        D a@X\n          b@x\n\n",
		"half a": " 3h    17 " + half + " <s@x>\n        D a@X\n          b@x\n       +D child@y\n\n", "half u": " 3h    17 " + half + " <s@x>\n          b@x\n\n",
		"young": " 3m  2.9K " + young + " (ph10) <bad?@x>\n          a@X\n          b@x\n\n", "damaged": " 2m       " + damaged + "\n        *** spool format error: size=8 ***\n\n",
	}
	for letters, want := range map[string]string{
		"": "old half young damaged", "a": "old half.a young damaged", "u": "old half.u young damaged", "ra": "damaged half.a old young",
		"i": "i",
	} {
		var out bytes.Buffer
		if err := List(&out, b.Spool, "", ParseListOptions(letters), b.world.Clock.Now()); err != nil {
			t.Fatal(err)
		}
		text, got := "", out.String()
		for _, w := range strings.Fields(want) {
			text += entry[strings.Replace(w, ".", " ", 1)]
		}
		if letters == "i" {
			text = old + "\n" + half + "\n" + young + "\n" + damaged + "\n"
		}
		if strings.Contains(letters, "r") { // any order
			a, b := strings.Split(got, "\n\n"), strings.Split(text, "\n\n")
			slices.Sort(a)
			slices.Sort(b)
			got, text = strings.Join(a, "\n"), strings.Join(b, "\n")
		}
		if got != text {
			t.Errorf("-bp%s:\n%s\nwant\n%s", letters, got, text)
		}
	}
	var out bytes.Buffer
	List(&out, b.Spool, "", ListOptions{IDs: []string{young, "10HmaX-000000005vi-0000", old}}, b.world.Clock.Now())
	if got := out.String(); !strings.HasPrefix(got, entry["young"]) || !strings.HasSuffix(got, entry["old"]) || !strings.Contains(got, "10HmaX-000000005vi-0000\n        *** spool read error: ") {
		t.Errorf("%s", got)
	}
	if o := ParseListOptions("rua"); !o.Unsorted || !o.Undelivered || !o.All || o.IDsOnly {
		t.Errorf("%+v", o)
	}
}

// TestCommands: what is said, logged and changed.
func TestCommands(t *testing.T) {
	for _, row := range []struct {
		action    Action
		arguments []string
		frozen    bool
		out, log  string // "|" between lines; ID for the message's id
		err       string
		check     func(m *mail.Message) bool
	}{
		{action: Freeze, out: "Message ID is now frozen\n", log: "frozen by ph10", check: func(m *mail.Message) bool { return m.Frozen.Equal(testkit.Epoch()) && !m.ManualThaw }},
		{action: Freeze, frozen: true, out: "Message ID is already frozen\n", err: "command failed", check: func(m *mail.Message) bool { return !m.Frozen.IsZero() }},
		{action: Thaw, frozen: true, out: "Message ID is no longer frozen\n", log: "unfrozen by ph10", check: func(m *mail.Message) bool { return m.Frozen.IsZero() && m.ManualThaw }},
		{action: Thaw, out: "Message ID is not frozen\n", err: "command failed"},
		{action: Remove, out: "Message ID has been removed\n", log: "removed by ph10|Completed"},
		{action: EditSender, arguments: []string{"<new@y>"}, out: "Message ID has been modified\n", log: "sender address changed to <new@y> by ph10", check: func(m *mail.Message) bool { return m.Sender == "new@y" }},
		{action: EditSender, arguments: []string{"new"}, out: "Message ID has been modified\n", log: "sender address changed to <new@s.q> by ph10", check: func(m *mail.Message) bool { return m.Sender == "new@s.q" }},
		{action: EditSender, arguments: []string{"<>"}, out: "Message ID has been modified\n", log: "sender address changed to <> by ph10", check: func(m *mail.Message) bool { return m.Sender == "" }},
		{action: AddRecipient, arguments: []string{"c", "d@y"}, out: "Message ID has been modified\n", log: "recipient <c@r.q> added by ph10|recipient <d@y> added by ph10",
			check: func(m *mail.Message) bool {
				return len(m.Recipients) == 4 && m.Recipients[2].Address == "c@r.q" && m.Recipients[3].Address == "d@y" && m.Recipients[3].Parent == -1
			}},
		{action: MarkDelivered, arguments: []string{"a@X"}, out: "Message ID has been modified\n", log: "address <a@X> marked delivered by ph10", check: func(m *mail.Message) bool { return slices.Equal(m.NonRecipients, []string{"a@X"}) }},
		{action: MarkDelivered, arguments: []string{"z@x"}, out: "Message ID: z@x is not a recipient of this message - no message modified\n", err: "command failed", check: func(m *mail.Message) bool { return m.NonRecipients == nil }},
		{action: MarkAllDelivered, out: "Message ID has been modified\n", log: "all addresses marked delivered by ph10", check: func(m *mail.Message) bool { return len(m.NonRecipients) == 2 }},
		{action: ShowBody, out: "ID-D\nbody\n"},
		{action: ShowCopy, out: "Subject: x\n\nbody\n"},
		{action: ShowLog, out: "a line\n"},
		{action: "zz", err: "unknown action zz"},
	} {
		b := newBench(t)
		id := b.put(t, 1, func(m *mail.Message) {
			if row.frozen {
				m.Frozen = b.world.Clock.Now()
			}
		})
		if row.action == ShowLog {
			if err := b.Spool.AppendLog(id, "", "a line\n"); err != nil {
				t.Fatal(err)
			}
		}
		err := b.Do(row.action, id, "", row.arguments)
		text := ""
		if err != nil {
			text = err.Error()
		}
		out, log := strings.ReplaceAll(b.out.String(), id, "ID"), strings.ReplaceAll(strings.Join(b.log, "|"), id+" ", "")
		if out != row.out || log != row.log || text != row.err {
			t.Errorf("%s %q:\n%q %q %q", row.action, row.arguments, out, log, text)
		}
		m, err := b.Spool.Read(id, "")
		switch {
		case row.action == Remove:
			if !errors.Is(err, spool.ErrNotFound) || len(b.completed) != 1 {
				t.Error("not removed", err, b.completed)
			}
		case err != nil || row.check != nil && !row.check(m):
			t.Errorf("%s %q: %v %+v", row.action, row.arguments, err, m)
		}
	}
}

// TestMove: a message goes to another queue with its journal and log, and back.
func TestMove(t *testing.T) {
	b := newBench(t)
	id := b.put(t, 1, nil)
	if err := b.Spool.AppendLog(id, "", "a line\n"); err != nil {
		t.Fatal(err)
	}
	l, err := b.Spool.Lock(id, "")
	if err != nil || l.Journal(false, "a@X") != nil {
		t.Fatal(err)
	}
	l.Close()
	for _, row := range []struct{ from, to, err, log string }{
		{"", "../x", "command failed", ""},
		{"", "", "command failed", ""},
		{"", "third", "", "moved from input, msglog to (third) input, msglog"},
		{"", "third", "Spool data file for ID does not exist", ""},
		{"third", "", "", "moved from (third) input, msglog to input, msglog"},
	} {
		b.log = nil
		text := ""
		if err := b.Do(Move, id, row.from, []string{row.to}); err != nil {
			text = strings.ReplaceAll(err.Error(), id, "ID")
		}
		if log := strings.ReplaceAll(strings.Join(b.log, "|"), id+" ", ""); text != row.err || log != row.log {
			t.Errorf("%+v: %q %q", row, text, log)
		}
		if row.err != "" {
			continue
		}
		l, err := b.Spool.Lock(id, row.to)
		if err != nil {
			t.Fatal(err)
		}
		m, err := l.Read()
		l.Close()
		if err != nil || !slices.Equal(m.NonRecipients, []string{"a@X"}) || b.Spool.Exists(id, row.from) {
			t.Errorf("%+v: %v %v", row, err, m)
		}
		if f, err := b.Spool.ReadLog(id, row.to); err != nil {
			t.Errorf("%+v: %v", row, err)
		} else {
			f.Close()
		}
	}
}

// TestMissing: commands for messages that are gone, locked or damaged.
func TestMissing(t *testing.T) {
	b := newBench(t)
	gone := "10HmaX-000000005vi-0000"
	for action, want := range map[Action]string{
		Freeze: "Spool data file for ID does not exist", Remove: "Spool data file for ID does not exist", ShowBody: "Failed to open input file for ID-D: No such file or directory",
		ShowHeader: "Failed to open input file for ID-H: No such file or directory", ShowCopy: "Failed to open spool header file for ID: No such file or directory", ShowLog: "Failed to open msglog file for ID: No such file or directory",
	} {
		if err := b.Do(action, gone, "", nil); err == nil || strings.ReplaceAll(err.Error(), gone, "ID") != want {
			t.Errorf("-M%s: %v", action, err)
		}
	}
	id := b.put(t, 1, nil)
	if err := b.Do(ShowHeader, id, "", nil); err != nil || !strings.HasPrefix(b.out.String(), id+"-H\nph10 ") {
		t.Error(err, b.out.String())
	}
	l, err := b.Spool.Lock(id, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Do(Freeze, id, "", nil); err == nil || err.Error() != "Message "+id+" is locked" {
		t.Error(err)
	}
	l.Close()
	header, _, _ := b.Spool.Paths(id, "")
	os.WriteFile(header, []byte("rubbish\n"), 0o600)
	if err := b.Do(Freeze, id, "", nil); err == nil || !strings.HasPrefix(err.Error(), "Spool read error for "+id+": ") {
		t.Error(err)
	}
	if err := b.Do(Remove, id, "", nil); err != nil || b.Spool.Exists(id, "") || len(b.completed) != 0 {
		t.Error("a damaged message cannot be removed:", err)
	}
}

// tried is what a run asked deliveries for.
func (b *bench) run(t testing.TB, main *config.Main, sel Selection, end func(n int)) []string {
	t.Helper()
	var got []string
	r := Runner{RouteFirst: true, World: b.world.World, Main: main, Spool: b.Spool, Log: b.Log, Deliver: func(_ context.Context, id, queue string, o deliver.Options) deliver.Status {
		text := id + queue
		for _, f := range []struct {
			on   bool
			name string
		}{{o.QueueRun, "q"}, {o.Force, "f"}, {o.Thaw, "t"}, {o.LocalOnly, "l"}, {o.RouteOnly, "r"}, {o.DontDeliver, "N"}, {o.Pretend > 0, o.Pretend.String()}} {
			if f.on {
				text += " " + f.name
			}
		}
		got = append(got, text)
		if end != nil {
			end(len(got))
		}
		return deliver.Waiting
	}}
	if err := r.Run(context.Background(), sel); err != nil {
		t.Fatal(err)
	}
	return got
}

func TestRun(t *testing.T) {
	b := newBench(t)
	first := b.put(t, 30, func(m *mail.Message) { m.DeliverFirst = false })
	second := b.put(t, 20, func(m *mail.Message) { m.Sender = "Other@Y"; m.NonRecipients = []string{"a@x"} })
	third := b.put(t, 10, func(m *mail.Message) { m.Recipients = m.Recipients[1:]; m.Recipients[0].Address = "c.d+e@z" })
	named := b.put(t, 5, func(m *mail.Message) { m.Queue = "slow" })
	for _, row := range []struct {
		sel  Selection
		want string
	}{
		{Selection{Words: "-q"}, "1 q|2 q|3 q"}, {Selection{Words: "-qf", Force: true}, "1 q f|2 q f|3 q f"}, {Selection{ForceFrozen: true}, "1 q f t|2 q f t|3 q f t"}, {Selection{Local: true, DontDeliver: true}, "1 q l N|2 q l N|3 q l N"},
		{Selection{Initial: true}, "2 q|3 q"}, {Selection{TwoStage: true}, "1 q r|2 q r|3 q r|1 q|2 q|3 q"}, {Selection{Start: second}, "2 q|3 q"}, {Selection{End: second}, "1 q|2 q"}, {Selection{Start: second, End: second}, "2 q"},
		{Selection{Queue: "slow"}, "4slow q"}, {Selection{Queue: "none"}, ""}, {Selection{Pretend: []time.Duration{time.Hour, time.Minute}}, "1 q 1h0m0s|2 q 1m0s|3 q"},
		{Selection{Recipient: "A@"}, "1 q f"}, {Selection{Recipient: "b@X"}, "1 q f|2 q"}, {Selection{Recipient: `^c\.d\+`, RecipientRegexp: true}, "3 q f"}, {Selection{Recipient: "c.d+"}, "3 q f"}, {Selection{Recipient: "^c"}, ""},
		{Selection{Sender: "other"}, "2 q f"}, {Selection{Sender: "^S@", SenderRegexp: true}, "1 q f|3 q"}, {Selection{Sender: "s@x", Recipient: "z"}, "3 q f"}, {Selection{Sender: "s@x", Force: true}, "1 q f|3 q f"},
	} {
		text := strings.Join(b.run(t, &config.Main{MainDaemon: config.MainDaemon{QueueRunInOrder: true}}, row.sel, nil), "|")
		for i, id := range []string{first, second, third, named} {
			text = strings.ReplaceAll(text, id, fmt.Sprint(i+1))
		}
		if text != row.want {
			t.Errorf("%+v:\n got %q\nwant %q", row.sel, text, row.want)
		}
	}
	if got := b.run(t, &config.Main{}, Selection{}, nil); len(got) != 3 {
		t.Error("in any order:", got)
	}
	for _, sel := range []Selection{{Recipient: "(", RecipientRegexp: true}, {Sender: "(", SenderRegexp: true}} {
		if (&Runner{RouteFirst: true}).Run(context.Background(), sel) == nil {
			t.Error("bad expressions are taken")
		}
	}
}

func TestRunLog(t *testing.T) {
	b := newBench(t)
	b.put(t, 3, nil)
	b.put(t, 2, nil)
	for _, row := range []struct {
		sel  Selection
		want string
	}{
		{Selection{Words: "-q"}, "Start queue run: pid=1234|End queue run: pid=1234"}, {Selection{Words: "-qff"}, "Start queue run: pid=1234 -qff|End queue run: pid=1234 -qff"},
		{Selection{Queue: "slow"}, "Start 'slow' queue run: pid=1234|End 'slow' queue run: pid=1234"},
	} {
		b.log = nil
		b.run(t, &config.Main{}, row.sel, nil)
		if got := strings.Join(b.log, "|"); got != row.want {
			t.Errorf("%s", got)
		}
	}
	// The load rises while the first message is tried.
	b.log = nil
	var load atomic.Int64
	b.world.World.LoadAverage = func() (int, bool) { return int(load.Load()), true }
	limit := option.Fixed(2500)
	load.Store(2501)
	if got := b.run(t, &config.Main{MainDaemon: config.MainDaemon{DeliverQueueLoadMax: &limit}}, Selection{}, nil); len(got) != 0 {
		t.Error(got)
	}
	if got := strings.Join(b.log, "|"); got != "Start queue run: pid=1234|Abandon queue run: pid=1234 (load 2.50, max 2.50)|End queue run: pid=1234" {
		t.Error(got)
	}
	load.Store(2500)
	if got := b.run(t, &config.Main{MainDaemon: config.MainDaemon{DeliverQueueLoadMax: &limit}}, Selection{}, nil); len(got) != 2 {
		t.Error(got)
	}
}

// TestIndex: no more than the limit run, the others wait in order, and nothing starts after Close.
func TestIndex(t *testing.T) {
	x := NewIndex(2)
	x.keep = 1
	ctx := context.Background()
	events := make(chan string, 20)
	hold := make(chan struct{})
	job := func(name string) Job {
		run := func(how string) func(context.Context) {
			return func(context.Context) { events <- how + name; <-hold }
		}
		return Job{Start: run("start "), Resume: run("resume "), Park: func() { events <- "park " + name }}
	}
	next := func(want ...string) {
		t.Helper()
		var got []string
		for range want {
			got = append(got, <-events)
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
	x.Arrived(ctx, job("a"))
	x.Arrived(ctx, job("b"))
	next("start a", "start b")
	x.Arrived(ctx, job("c")) // waits without being closed
	for _, n := range []string{"d", "e"} {
		x.Arrived(ctx, job(n))
		next("park " + n)
	}
	hold <- struct{}{}
	next("start c")
	hold <- struct{}{}
	next("resume d")
	ended, cancel := context.WithCancel(ctx)
	cancel()
	x.Close(ended) // does not wait for what runs when its context has ended
	x.Arrived(ctx, job("f"))
	next("park f")
	y := NewIndex(1)
	y.Arrived(ctx, job("g"))
	next("start g")
	y.Arrived(ctx, job("h"))
	y.Close(ended)
	next("park h")
	close(hold)
	x.Close(ctx) // "e" is forgotten: a queue run finds it
	if len(events) != 0 {
		t.Error(<-events)
	}
	if NewIndex(0).limit != 1 {
		t.Error("an index without room")
	}
}
