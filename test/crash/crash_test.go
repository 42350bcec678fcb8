// Package crash kills the program in the midst of its work and counts what is left: no message that the server took may get lost.
//
// Trust: tests only.
package crash

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"exigo/internal/testkit"
	"exigo/test/blackbox"
)

const configuration = `
MAILUSER
primary_hostname = crash.test
spool_directory = DIR/spool
log_file_path = DIR/log/%s
local_interfaces = 127.0.0.1
daemon_smtp_ports = PORT
host_lookup =
rfc1413_query_timeout = 0s
tls_advertise_hosts =
smtp_accept_max = 100
smtp_accept_max_per_connection = 10000
smtp_accept_queue_per_connection = 0
queue_run_max = 3
acl_smtp_rcpt = accept
acl_smtp_data = accept
begin routers
out:
  driver = manualroute
  domains = sink.test
  route_list = * 127.0.0.1
  self = send
  transport = out
mbox:
  driver = accept
  local_parts = mbox
  transport = mbox
maildir:
  driver = accept
  local_parts = maildir
  transport = maildir
begin transports
out:
  driver = smtp
  port = SINK
  allow_localhost
mbox:
  driver = appendfile
  file = DIR/mail/mbox
  # the lock file of a killed process would hold up deliveries for lockfile_timeout, as in Exim; locks of fcntl() end with the process
  use_lockfile = false
  USER
maildir:
  driver = appendfile
  directory = DIR/mail/maildir
  maildir_format
  USER
begin retry
* * F,1h,1s
`

const (
	seed       = 20260101
	submitters = 4
)

// addresses are where messages go; each message goes to some of them.
var addresses = [...]string{"mbox@local.test", "maildir@local.test", "user@sink.test"}

// copyOf is one delivery: a message to a recipient.
type copyOf struct {
	number int
	to     string
}

// load is what the submitters have done.
type load struct {
	address string
	stop    chan struct{}

	mu    sync.Mutex
	next  int
	sent  map[copyOf]bool // all that was tried
	taken map[copyOf]bool // of messages that got their 250
	count int             // messages taken
	bad   []string        // replies that should not be
}

// recipients of a message: one, two or three of the addresses.
func recipients(number int) []string {
	return [][]string{addresses[:1], addresses[1:2], addresses[2:], addresses[:2], addresses[1:], addresses[:]}[number%6]
}

// text of a message: the last line tells that a copy is whole.
func text(number int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "From: <load@client.test>\nSubject: message %d\n\n", number)
	for i := range 20 + number%7*100 {
		fmt.Fprintf(&b, "line %d of message %d\n", i, number)
	}
	fmt.Fprintf(&b, "end of message %d\n", number)
	return b.String()
}

// submit sends messages until the load is stopped, over connections that may break at any time.
func (l *load) submit() {
	for {
		select {
		case <-l.stop:
			return
		default:
		}
		c, err := blackbox.Dial(l.address)
		if err != nil {
			time.Sleep(5 * time.Millisecond) // the server is down
			continue
		}
		if err := c.Expect("EHLO client.test", "250"); err == nil {
			for range 10 {
				if l.one(c) != nil {
					break
				}
			}
		}
		c.Close()
	}
}

// one sends a message.
func (l *load) one(c *blackbox.Client) error {
	l.mu.Lock()
	number := l.next
	l.next++
	to := recipients(number)
	for _, r := range to {
		l.sent[copyOf{number, r}] = true
	}
	l.mu.Unlock()
	err := c.Send("load@client.test", to, text(number))
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err == nil:
		l.count++
		for _, r := range to {
			l.taken[copyOf{number, r}] = true
		}
	case strings.Contains(err.Error(), "was answered"):
		l.bad = append(l.bad, err.Error())
	}
	return err
}

var (
	subject   = regexp.MustCompile(`(?m)Subject: message (\d+)$`)
	endOfMail = regexp.MustCompile(`(?m)^end of message (\d+)$`)
)

// pending finds the copies that lie undelivered in the spool, as far as its files tell.
func pending(t *testing.T, spool string) []copyOf {
	var out []copyOf
	files, err := filepath.Glob(filepath.Join(spool, "input", "*-H"))
	if err != nil {
		t.Fatal(err)
	}
	nested, _ := filepath.Glob(filepath.Join(spool, "input", "?", "*-H"))
	for _, file := range append(files, nested...) {
		header, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		journal, _ := os.ReadFile(strings.TrimSuffix(file, "-H") + "-J")
		m := subject.FindSubmatch(header)
		if m == nil {
			continue // a message of the server's own
		}
		number, _ := strconv.Atoi(string(m[1]))
		for _, a := range recipients(number) {
			if !strings.Contains(string(journal), a) && !regexp.MustCompile(`(?m)^[YN][YN] `+a+`$`).Match(header) {
				out = append(out, copyOf{number, a})
			}
		}
	}
	return out
}

// arrived counts the whole copies in mailboxes and sink.
func arrived(t *testing.T, mail string, sink *testkit.Sink) map[copyOf]int {
	got := make(map[copyOf]int)
	add := func(to, text string) {
		for _, m := range endOfMail.FindAllStringSubmatch(text, -1) {
			number, _ := strconv.Atoi(m[1])
			got[copyOf{number, to}]++
		}
	}
	mbox, err := os.ReadFile(filepath.Join(mail, "mbox"))
	if err != nil {
		t.Fatal(err)
	}
	add(addresses[0], string(mbox))
	files, _ := filepath.Glob(filepath.Join(mail, "maildir", "new", "*"))
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if n := len(endOfMail.FindAll(text, -1)); n != 1 {
			t.Errorf("%s in the maildir holds %d ends of messages", file, n)
		}
		add(addresses[1], string(text))
	}
	for _, m := range sink.Messages() {
		add(addresses[2], m.Data)
	}
	return got
}

// TestKill is the whole of it: rounds of load and sudden death, then a queue run, then the count.
func TestKill(t *testing.T) {
	rounds := 5
	if blackbox.Long() {
		rounds = 50
	}
	place := blackbox.New(t)
	sink := testkit.NewSink(t)
	go func() {
		for range sink.Arrived() {
		}
	}()
	port := place.Port()
	place.Folder("log")
	place.Folder("mail")
	place.Folder("spool")
	_, sinkPort, _ := strings.Cut(sink.Address, ":")
	conf := place.Configure("exim.conf", configuration, "PORT", port, "SINK", sinkPort)
	l := &load{address: "127.0.0.1:" + port, stop: make(chan struct{}), sent: make(map[copyOf]bool), taken: make(map[copyOf]bool)}
	var group sync.WaitGroup
	for range submitters {
		group.Go(l.submit)
	}
	random := rand.New(rand.NewPCG(seed, 0))
	underWay, kills := make(map[copyOf]int), 0
	for range rounds {
		place.Start(conf, port, "-q1s")
		time.Sleep(time.Duration(50+random.IntN(600)) * time.Millisecond)
		place.KillAll()
		for _, c := range pending(t, place.Path("spool")) {
			underWay[c]++
			kills++
		}
	}
	close(l.stop)
	group.Wait()
	if out, err := place.Run("", "-C", conf, "-qff"); err != nil {
		t.Errorf("-qff: %v\n%s", err, out)
	}
	if out, err := place.Run("", "-C", conf, "-bpc"); err != nil || strings.TrimSpace(out) != "0" {
		t.Errorf("messages in the queue after -qff: %s (%v)", out, err)
	}
	for _, reply := range l.bad {
		t.Errorf("reply: %s", reply)
	}
	l.compare(t, arrived(t, place.Path("mail"), sink), underWay, rounds, kills)
	if text := place.Read("log/panic"); text != "" {
		t.Errorf("panic log:\n%s", text)
	}
	if t.Failed() {
		explain(t, place, conf)
	}
}

// explain shows what is left in the queue and its log lines.
func explain(t *testing.T, place *blackbox.Place, conf string) {
	queue, _ := place.Run("", "-C", conf, "-bp")
	t.Logf("queue:\n%.2000s", queue)
	ids := regexp.MustCompile(`\w{6}-\w{11}-\w{4}`).FindAllString(queue, 5)
	shown := 0
	for line := range strings.SplitSeq(place.Read("log/main"), "\n") {
		for _, id := range ids {
			if strings.Contains(line, id) && shown < 200 {
				t.Log(line)
				shown++
			}
		}
	}
}

// compare counts what was lost and what came more than once. A copy may come again for each kill that found it not yet recorded as delivered.
func (l *load) compare(t *testing.T, got, underWay map[copyOf]int, rounds, pending int) {
	lost, duplicates, untaken := 0, 0, 0
	for c := range l.taken {
		if got[c] == 0 {
			lost++
			t.Errorf("message %d to %s got its 250 and is lost", c.number, c.to)
		}
	}
	for c, n := range got {
		if !l.sent[c] {
			t.Errorf("message %d to %s was never sent", c.number, c.to)
		}
		if !l.taken[c] {
			untaken++
		}
		if n > 1+underWay[c] {
			t.Errorf("message %d to %s came %d times; %d kills found it under way", c.number, c.to, n, underWay[c])
		}
		duplicates += n - 1
	}
	t.Logf("%d kills; %d messages got 250 (%d copies); lost %d; copies that came again %d; undelivered copies in the spool at the kills %d; copies of messages whose 250 was cut off %d",
		rounds, l.count, len(l.taken), lost, duplicates, pending, untaken)
	if l.count == 0 {
		t.Error("the server took nothing")
	}
}
