package deliver_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"exigo/internal/catalog"
	"exigo/internal/deliver"
	"exigo/internal/mail"
	"exigo/internal/submit"
	"exigo/internal/testkit"
)

// host is a server whose own messages stay on its queue.
type host struct {
	*catalog.Server
	t     *testing.T
	clock *testkit.Clock
	dir   string
	names []string // of messages, by number
	read  int      // how much of the log was seen
}

const routersAndTransports = `
begin routers
fail:
 driver = redirect
 local_parts = fail
 data = :fail: nobody
 allow_fail
wait:
 driver = redirect
 local_parts = wait
 data = ${if exists{$DIR/open}{box@host.test}{:defer: closed}}
 allow_defer
alias:
 driver = redirect
 local_parts = alias
 data = box, box2, Box@HOST.test, fail
hole:
 driver = redirect
 local_parts = hole
 data = :blackhole:
copy:
 driver = accept
 local_parts = both
 unseen
 transport = maildir
full:
 driver = accept
 local_parts = full
 transport = full
directory:
 driver = accept
 local_parts = dir
 transport = maildir
same:
 driver = manualroute
 domains = same.test
 local_parts = !other
 same_domain_copy_routing = SAME
 route_list = * 192.0.2.77 byname
 transport = remote
local:
 driver = accept
 domains = host.test
 transport = mbox
begin transports
remote:
 driver = smtp
mbox:
 driver = appendfile
 file = $DIR/mail/box
maildir:
 driver = appendfile
 directory = $DIR/mail/dir
 maildir_format
full:
 driver = appendfile
 file = $DIR/mail/full
 quota = ${if exists{$DIR/open}{0}{1}}
begin retry
* * F,2h,10m
`

func start(t *testing.T, options string) *host {
	t.Helper()
	if !strings.Contains(options, "SAME = ") {
		options = "SAME = false\n" + options
	}
	return startWith(t, options+routersAndTransports)
}

// startWith makes a server with these options and sections.
func startWith(t *testing.T, sections string) *host {
	t.Helper()
	world := testkit.NewWorld(t)
	h := &host{t: t, clock: world.Clock, dir: t.TempDir()}
	path := filepath.Join(h.dir, "config")
	text := "primary_hostname = host.test\nexim_user = root\nkeep_environment =\nspool_directory = $DIR/spool\nlog_file_path = $DIR/%slog\n" + sections
	text = strings.ReplaceAll(text, "$DIR", h.dir)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var err error
	if h.Server, err = catalog.Load(context.Background(), catalog.Request{World: world.World, Path: path, Alternate: true, Unprivileged: true, Stderr: io.Discard}); err != nil {
		t.Fatal(err)
	}
	h.Delivery = submit.Queue
	t.Cleanup(h.Close)
	return h
}

// put adds a message with the recipients (local parts, or addresses) to the queue and returns its id.
func (h *host) put(sender, recipients string, change func(m *mail.Message)) string {
	h.t.Helper()
	now := h.clock.Now()
	m := &mail.Message{ID: h.Spool.NewID(now, 1234), Sender: sender, Received: now, OriginatorLogin: "ph10", Session: &mail.Session{}, DeliverFirst: true,
		Headers: []mail.Header{mail.NewHeader("Subject: x\n")}}
	for _, r := range strings.Fields(recipients) {
		if !strings.Contains(r, "@") {
			r += "@host.test"
		}
		m.Recipients = append(m.Recipients, mail.Recipient{Address: r, Parent: -1})
	}
	if change != nil {
		change(m)
	}
	in, err := h.Spool.Create(m.ID, "")
	if err != nil {
		h.t.Fatal(err)
	}
	io.WriteString(in, "the body\n")
	l, err := in.Commit(m)
	if err != nil {
		h.t.Fatal(err)
	}
	l.Close()
	h.names = append(h.names, m.ID)
	return m.ID
}

// try makes an attempt and compares its status and what it logs: lines without time stamps, the messages' ids as #1, #2 ...; lines about the
// reception of bounces are left out.
func (h *host) try(id string, o deliver.Options, status deliver.Status, want ...string) {
	h.t.Helper()
	if got := h.Deliverer.Message(context.Background(), id, "", o); got != status {
		h.t.Errorf("status %d, want %d", got, status)
	}
	data, _ := os.ReadFile(filepath.Join(h.dir, "mainlog"))
	text := string(data[h.read:])
	h.read = len(data)
	for i, name := range h.names {
		text = strings.ReplaceAll(text, name, fmt.Sprint("#", i+1))
	}
	var got []string
	for _, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		if len(line) > 20 && !strings.Contains(line, " <= <> ") {
			got = append(got, strings.ReplaceAll(line[20:], h.dir, "$DIR"))
		}
	}
	if g, w := strings.Join(got, "\n"), strings.Join(want, "\n"); g != w {
		h.t.Errorf("log:\n%s\nwant\n%s", g, w)
	}
	if text, err := os.ReadFile(filepath.Join(h.dir, "paniclog")); err == nil {
		h.t.Errorf("panic log: %s", text)
	}
}

// file is a mailbox's text; count how many messages are in it.
func (h *host) count() int {
	data, _ := os.ReadFile(filepath.Join(h.dir, "mail/box"))
	return strings.Count(string(data), "\nthe body\n")
}

// nonRecipients are the finished addresses in the -H file, "gone" when there is none.
func (h *host) nonRecipients(id string) string {
	m, err := h.Spool.Read(id, "")
	if err != nil {
		return "gone"
	}
	return strings.Join(m.NonRecipients, " ")
}

// bounces returns the recipient and body of the messages that were generated.
func (h *host) bounces() (to, text []string) {
	h.t.Helper()
	list, err := h.Spool.List("")
	if err != nil {
		h.t.Fatal(err)
	}
	for _, e := range list {
		m, err := h.Spool.Read(e.ID, "")
		if err != nil || m.Sender != "" {
			continue
		}
		_, data, _ := h.Spool.Paths(e.ID, "")
		body, _ := os.ReadFile(data)
		to, text = append(to, m.Recipients[0].Address), append(text, string(body))
	}
	return to, text
}

func TestLocal(t *testing.T) {
	h := start(t, "")
	id := h.put("s@x", "box dir both hole", nil)
	h.try(id, deliver.Options{}, deliver.Completed,
		"#1 => :blackhole: <hole@host.test> R=hole",
		"#1 => both <both@host.test> R=local T=mbox",
		"#1 => box <box@host.test> R=local T=mbox",
		"#1 => dir <dir@host.test> R=directory T=maildir",
		"#1 => both <both@host.test> R=copy T=maildir",
		"#1 Completed")
	files, _ := os.ReadDir(filepath.Join(h.dir, "mail/dir/new"))
	if h.count() != 2 || len(files) != 2 || h.Spool.Exists(id, "") {
		t.Error(h.count(), files)
	}
	text, _ := os.ReadFile(filepath.Join(h.dir, "mail/box"))
	if !strings.HasPrefix(string(text), "From s@x Tue Mar 02 09:44:33 1999\nSubject: x\n\nthe body\n\nFrom s@x ") {
		t.Errorf("%s", text)
	}
	h.try(id, deliver.Options{}, deliver.Gone)
}

// TestDuplicates: an address that several recipients lead to is delivered once, as exim 4.96 logs it ("Box" is another local part); a failed child is bounced, the rest is delivered.
func TestDuplicates(t *testing.T) {
	h := start(t, "")
	id := h.put("s@x", "box alias box@HOST.TEST box2", nil)
	h.try(id, deliver.Options{}, deliver.Completed,
		"#1 ** fail@host.test <alias@host.test> R=fail : nobody",
		"#1 => box <alias@host.test> R=local T=mbox",
		"#1 => box2 <alias@host.test> R=local T=mbox",
		"#1 => box <alias@host.test> R=local T=mbox",
		"#1 Completed")
	to, text := h.bounces()
	if h.count() != 3 || len(to) != 1 || to[0] != "s@x" || !strings.Contains(text[0], "  fail@host.test\n    (generated from alias@host.test)\n    nobody\n") {
		t.Error(h.count(), to, text)
	}
}

// TestDeferral: what was delivered is remembered in the -H file, and the rest is tried when its time has come.
func TestDeferral(t *testing.T) {
	h := start(t, "log_selector = +retry_defer\n")
	id := h.put("s@x", "box wait full", nil)
	waitLine, fullLine := "#1 == wait@host.test R=wait defer (-1): closed", "#1 == full@host.test R=full T=full defer (-22): mailbox is full (MTA-imposed quota exceeded while writing to $DIR/mail/full)"
	h.try(id, deliver.Options{}, deliver.Waiting, waitLine, "#1 => box <box@host.test> R=local T=mbox", fullLine)
	if got := h.nonRecipients(id); got != "box@host.test" {
		t.Errorf("done: %s", got)
	}
	if m, _ := h.Spool.Read(id, ""); m.DeliverFirst {
		t.Error("still in its first attempt")
	}
	h.clock.Advance(9 * time.Minute)
	h.try(id, deliver.Options{QueueRun: true}, deliver.Waiting,
		"#1 == wait@host.test routing defer (-52): retry time not reached", "#1 == full@host.test R=full T=full defer (-53): Retry time not yet reached")
	h.try(id, deliver.Options{QueueRun: true, Force: true}, deliver.Waiting, waitLine, fullLine)
	h.clock.Advance(10 * time.Minute)
	if err := os.WriteFile(filepath.Join(h.dir, "open"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	h.try(id, deliver.Options{QueueRun: true}, deliver.Completed, "#1 => full <full@host.test> R=full T=full", "#1 Completed")
	// "wait" became the address that had its copy already.
	if h.count() != 1 {
		t.Error(h.count())
	}
}

// TestGivenUp: after the cutoff of the rule the address fails; before it the sender is warned once a time of delay_warning.
func TestGivenUp(t *testing.T) {
	h := start(t, "delay_warning = 1h\n")
	id := h.put("s@x", "wait", nil)
	waitLine := "#1 == wait@host.test R=wait defer (-1): closed"
	h.try(id, deliver.Options{}, deliver.Waiting, waitLine)
	for range 2 {
		h.clock.Advance(35 * time.Minute)
		h.try(id, deliver.Options{QueueRun: true}, deliver.Waiting, waitLine)
	}
	to, text := h.bounces()
	if len(to) != 1 || !strings.Contains(text[0], "recipients after more than 60 minutes on the queue on host.test.") || !strings.Contains(text[0], "Delay reason: closed") {
		t.Error(to, text)
	}
	if m, _ := h.Spool.Read(id, ""); m.Warnings != 1 {
		t.Error("warnings:", m.Warnings)
	}
	h.clock.Advance(time.Hour)
	h.try(id, deliver.Options{QueueRun: true}, deliver.Completed, waitLine, "#1 ** wait@host.test: retry timeout exceeded", "#1 Completed")
	if to, text = h.bounces(); len(to) != 2 || !strings.Contains(text[1], "  wait@host.test\n    closed: retry timeout exceeded\n") {
		t.Error(to, text)
	}
}

// TestJournal: what an interrupted attempt journalled is not delivered again.
func TestJournal(t *testing.T) {
	h := start(t, "")
	id := h.put("s@x", "box both wait", nil)
	l, err := h.Spool.Lock(id, "")
	if err != nil {
		t.Fatal(err)
	}
	h.try(id, deliver.Options{}, deliver.Locked, "#1 Spool file is locked (another process is handling this message)")
	if err := l.Journal(true, "box@host.test", "both@host.test"); err != nil {
		t.Fatal(err)
	}
	l.Close()
	h.try(id, deliver.Options{}, deliver.Waiting, "#1 == wait@host.test R=wait defer (-1): closed")
	if got := h.nonRecipients(id); h.count() != 0 || got != "both@host.test box@host.test" {
		t.Error(h.count(), got)
	}
	header, _, err := h.Spool.Paths(id, "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(strings.TrimSuffix(header, "H") + "J"); err == nil {
		t.Error("the journal is still there")
	}
	if err := os.WriteFile(header, []byte("rubbish\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := h.Deliverer.Message(context.Background(), id, "", deliver.Options{}); got != deliver.Unreadable || !h.Spool.Exists(id, "") {
		t.Error("a damaged message:", got)
	}
	h.clock.Advance(4*24*time.Hour + time.Minute)
	if got := h.Deliverer.Message(context.Background(), id, "", deliver.Options{}); got != deliver.Gone || h.Spool.Exists(id, "") {
		t.Error("a damaged message of old:", got)
	}
}

// TestWrapper: under mua_wrapper what cannot go out in one transaction fails at once; the caller is told, nobody else.
func TestWrapper(t *testing.T) {
	for _, row := range []struct{ to, why, log string }{
		{"box", "mua_wrapper is set: local deliveries are not possible", "#1 ** box@host.test R=local T=mbox : mua_wrapper is set: local deliveries are not possible"},
		{"fail", "nobody", "#1 ** fail@host.test R=fail : nobody"},
		{"wait", "closed", "#1 == wait@host.test R=wait defer (-1): closed"},
	} {
		h, why := start(t, "mua_wrapper\n"), ""
		h.try(h.put("s@x", row.to, nil), deliver.Options{Failed: func(text string) { why = text }}, deliver.Completed, row.log, "#1 Completed")
		if to, _ := h.bounces(); len(to) > 0 || why != row.why {
			t.Errorf("%s: %s; bounces to %q", row.to, why, to)
		}
	}
}

// TestMoveFrozen: frozen messages leave the queue with their logs.
func TestMoveFrozen(t *testing.T) {
	h := start(t, "move_frozen_messages\n")
	id := h.put("s@x", "box", func(m *mail.Message) { m.Frozen = h.clock.Now() })
	h.try(id, deliver.Options{QueueRun: true}, deliver.Frozen, "#1 Message is frozen")
	h.try(id, deliver.Options{}, deliver.Gone)
	for _, file := range []string{"-H", "-D"} {
		if _, err := os.Stat(filepath.Join(h.Spool.Directory, "Finput", id+file)); err != nil {
			t.Error(err)
		}
	}
}

// TestFrozen: when frozen messages are tried, cancelled, or left alone.
func TestFrozen(t *testing.T) {
	for _, row := range []struct {
		options, sender string
		o               deliver.Options
		age             time.Duration
		status          deliver.Status
		log             string
		bounces         int
	}{
		{"", "s@x", deliver.Options{QueueRun: true}, time.Hour, deliver.Frozen, "Message is frozen", 0},
		{"", "s@x", deliver.Options{QueueRun: true, Force: true}, time.Hour, deliver.Frozen, "Message is frozen", 0},
		{"log_selector = -skip_delivery\n", "s@x", deliver.Options{QueueRun: true}, time.Hour, deliver.Frozen, "", 0},
		{"", "s@x", deliver.Options{Force: true, Thaw: true}, time.Hour, deliver.Completed, "Unfrozen by forced delivery|=> box <box@host.test> R=local T=mbox|Completed", 0},
		{"auto_thaw = 1h\n", "s@x", deliver.Options{QueueRun: true}, time.Hour, deliver.Completed, "Unfrozen by auto-thaw|=> box <box@host.test> R=local T=mbox|Completed", 0},
		{"auto_thaw = 1h\n", "s@x", deliver.Options{QueueRun: true}, 59 * time.Minute, deliver.Frozen, "Message is frozen", 0},
		{"timeout_frozen_after = 1h\n", "s@x", deliver.Options{QueueRun: true}, time.Hour, deliver.Completed, "cancelled by timeout_frozen_after|Completed", 1},
		{"timeout_frozen_after = 1h\n", "", deliver.Options{QueueRun: true}, time.Hour, deliver.Completed, "cancelled by timeout_frozen_after|box@host.test: error ignored|Completed", 0},
		{"ignore_bounce_errors_after = 1h\n", "", deliver.Options{QueueRun: true}, time.Hour, deliver.Completed, "Unfrozen by errmsg timer|=> box <box@host.test> R=local T=mbox|Completed", 0},
		{"", "s@x", deliver.Options{GiveUp: true, Caller: "ph10"}, time.Hour, deliver.Completed, "cancelled by ph10|Completed", 1},
		{"", "", deliver.Options{GiveUp: true, Caller: "ph10"}, time.Hour, deliver.Completed, "cancelled by ph10|Completed", 0},
	} {
		h := start(t, row.options)
		id := h.put(row.sender, "box", func(m *mail.Message) { m.Frozen = h.clock.Now() })
		h.clock.Advance(row.age)
		var want []string
		for _, line := range strings.Split(row.log, "|") {
			if line != "" {
				want = append(want, "#1 "+line)
			}
		}
		h.try(id, row.o, row.status, want...)
		if to, _ := h.bounces(); row.sender != "" && len(to) != row.bounces {
			t.Errorf("%+v: bounces to %q", row, to)
		}
	}
}

// TestBounceFails: a bounce that cannot be delivered is frozen, or dropped after ignore_bounce_errors_after.
func TestBounceFails(t *testing.T) {
	h := start(t, "ignore_bounce_errors_after = 1h\n")
	id := h.put("", "fail", nil)
	h.try(id, deliver.Options{}, deliver.Frozen, "#1 ** fail@host.test R=fail : nobody", "#1 Frozen (delivery error message)")
	if m, err := h.Spool.Read(id, ""); err != nil || !m.Frozen.Equal(testkit.Epoch()) {
		t.Error(m, err)
	}
	late := h.put("", "fail", nil)
	h.clock.Advance(time.Hour)
	h.try(late, deliver.Options{QueueRun: true}, deliver.Completed, "#2 ** fail@host.test R=fail : nobody", "#2 fail@host.test: error ignored", "#2 Completed")
	if list, _ := h.Spool.List(""); len(list) != 1 {
		t.Error(list)
	}
}

// TestNotify: NOTIFY decides who hears of failures and successes (RFC 3461 section 4.1).
func TestNotify(t *testing.T) {
	for notify, row := range map[mail.Notify]struct {
		recipient string
		log       []string
		bounce    string
	}{
		mail.NotifyNever:   {"fail", []string{"#1 ** fail@host.test R=fail : nobody", "#1 fail@host.test: error ignored: RFC 3461 DSN, failure notify not requested", "#1 Completed"}, ""},
		mail.NotifyFailure: {"fail", []string{"#1 ** fail@host.test R=fail : nobody", "#1 Completed"}, "Action: failed"},
		mail.NotifySuccess: {"box", []string{"#1 => box <box@host.test> R=local T=mbox", "#1 Completed"}, "Action: delivered"},
	} {
		h := start(t, "")
		h.try(h.put("s@x", row.recipient, func(m *mail.Message) { m.Recipients[0].Notify = notify }), deliver.Options{}, deliver.Completed, row.log...)
		to, text := h.bounces()
		if row.bounce == "" && to != nil || row.bounce != "" && (len(to) != 1 || !strings.Contains(text[0], row.bounce)) {
			t.Error(notify, to, text)
		}
	}
}

// TestPretended: -N logs what a delivery would do, and writes nothing.
func TestPretended(t *testing.T) {
	h := start(t, "")
	id := h.put("s@x", "box both", nil)
	h.try(id, deliver.Options{DontDeliver: true}, deliver.Completed,
		"#1 *> both <both@host.test> R=local T=mbox", "#1 *> box <box@host.test> R=local T=mbox", "#1 *> both <both@host.test> R=copy T=maildir", "#1 Completed")
	if _, err := os.Stat(filepath.Join(h.dir, "mail")); err == nil {
		t.Error("something was written")
	}
}

// TestSameDomain: an address takes over the routing of one in its domain, if the router says so.
func TestSameDomain(t *testing.T) {
	const one, two = "#1 *> one@same.test R=same T=remote H=192.0.2.77 [192.0.2.77] C=\"delivery bypassed by -N option\"", "#1 *> other@same.test R=same T=remote H=192.0.2.77 [192.0.2.77] C=\"delivery bypassed by -N option\""
	for text, want := range map[string][]string{
		"true":  {two, one, "#1 Completed"},
		"false": {"#1 ** other@same.test : Unrouteable address", one, "#1 Completed"},
	} {
		h := start(t, "SAME = "+text+"\n")
		h.try(h.put("s@x", "other@same.test one@same.test", nil), deliver.Options{DontDeliver: true}, deliver.Completed, want...)
	}
}

// TestHeld: hold_domains, queue_domains and interrupted attempts leave everything as it was; the first stage of two delivers locally.
func TestHeld(t *testing.T) {
	h := start(t, "hold_domains = held.test\nqueue_domains = later.test : more.test\n")
	id := h.put("s@x", "a@held.test b@later.test c@more.test", nil)
	h.try(id, deliver.Options{}, deliver.Waiting, "#1 == a@held.test defer (-23): domain is held",
		"#1 == c@more.test routing defer (-56): domain is in queue_domains", "#1 == b@later.test routing defer (-56): domain is in queue_domains")
	h.try(h.put("s@x", "box", nil), deliver.Options{RouteOnly: true}, deliver.Completed, "#2 => box <box@host.test> R=local T=mbox", "#2 Completed")
	plain := h.put("s@x", "box", nil)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if got := h.Deliverer.Message(ctx, plain, "", deliver.Options{}); got != deliver.Waiting {
		t.Error("interrupted:", got)
	}
	h.read = 0
	os.Remove(filepath.Join(h.dir, "mainlog"))
	h.Log.Reopen()
	h.try(plain, deliver.Options{}, deliver.Completed, "#3 => box <box@host.test> R=local T=mbox", "#3 Completed")
}

// TestRunsApart: the remote deliveries of a message go on at the same time; what ACLs set in their expansions is not shared.
func TestRunsApart(t *testing.T) {
	routers := ""
	for n := range 8 {
		routers += fmt.Sprintf("r%d:\n driver = manualroute\n domains = d%d.test\n route_list = * 192.0.2.%d byname\n transport = apart\n", n, n, n+10)
	}
	h := startWith(t, "begin acl\nnote:\n warn set acl_m_n = ${eval:0$acl_m_n+1}\n  set acl_c_n = ${eval:0$acl_c_n+1}\n  logwrite = seen $acl_m_n $acl_c_n\n accept\n"+
		"begin transports\napart:\n driver = smtp\n interface = ${if acl{{note}}{}}\nbegin routers\n"+routers)
	var to string
	for n := range 8 {
		to += fmt.Sprintf(" x@d%d.test", n)
	}
	h.Deliverer.Message(context.Background(), h.put("s@host.test", to, nil), "", deliver.Options{})
	log, _ := os.ReadFile(filepath.Join(h.dir, "mainlog"))
	if n := strings.Count(string(log), " seen 1 1\n"); n != 8 || strings.Contains(string(log), " seen 4") {
		t.Errorf("%d runs saw their own variables only:\n%s", n, log)
	}
}
