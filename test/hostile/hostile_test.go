// Package hostile talks to a running server as no client should: nothing may crash, grow without bound, or be taken that was not offered.
//
// Trust: tests only.
package hostile

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"exigo/test/blackbox"
)

const configuration = `
MAILUSER
primary_hostname = victim.test
spool_directory = DIR/spool
log_file_path = DIR/log/%s
local_interfaces = 127.0.0.1
daemon_smtp_ports = PORT
host_lookup =
rfc1413_query_timeout = 0s
tls_advertise_hosts = *
tls_certificate = CERTIFICATE
tls_privatekey = CERTIFICATE
auth_advertise_hosts = *
pipelining_advertise_hosts = *
chunking_advertise_hosts = *
smtp_accept_max = 200
smtp_accept_queue_per_connection = 0
smtp_enforce_sync = true
message_size_limit = 100K
recipients_max = 100
smtp_receive_timeout = 60s
acl_smtp_rcpt = check_rcpt
acl_smtp_data = accept
begin acl
check_rcpt:
  accept domains = good.test
         local_parts = user
  deny   message = relay not permitted
begin routers
user:
  driver = accept
  domains = good.test
  local_parts = user
  transport = maildir
begin transports
maildir:
  driver = appendfile
  directory = DIR/mail
  maildir_format
  return_path_add
  USER
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${if and{{eq{$auth2}{user}}{eq{$auth3}{right}}}}
`

const (
	seed    = 20260102
	workers = 8
	// memoryLimit is far above what the server uses and far below what an attack that pays would cost.
	memoryLimit = 256 << 20
)

// count is what the sessions saw.
type count struct {
	mu        sync.Mutex
	taken     int // replies that take a message
	sessions  map[string]int
	memoryMax int
}

// takenReply is the reply to a message taken.
var takenReply = regexp.MustCompile(`(?m)^250[ -].*\bid=`)

func TestHostile(t *testing.T) {
	n := 300
	if blackbox.Long() {
		n = 10000
	}
	place := blackbox.New(t)
	place.Folder("log")
	place.Folder("mail")
	place.Folder("spool")
	port := place.Port()
	conf := place.Configure("exim.conf", configuration, "PORT", port, "CERTIFICATE", place.Certificate("victim.test"))
	daemon := place.Start(conf, port)
	before := place.Memory()
	c := &count{sessions: make(map[string]int)}
	numbers := make(chan int)
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for number := range numbers {
				c.play(t, daemon.Address, number)
			}
		})
	}
	for number := range n {
		numbers <- number
		if number%50 == 0 {
			c.memoryMax = max(c.memoryMax, place.Memory())
		}
	}
	close(numbers)
	group.Wait()
	c.memoryMax = max(c.memoryMax, place.Memory())
	if !daemon.Alive() {
		t.Fatalf("the server died:\n%s", daemon.Output())
	}
	honest(t, daemon.Address)
	c.taken++
	place.Wait("an empty queue", func() bool {
		out, err := place.Run("", "-C", conf, "-bpc")
		return err == nil && strings.TrimSpace(out) == "0"
	})
	got := delivered(t, place)
	t.Logf("%d sessions %v: %d messages taken, %d delivered; memory %d KB at the start, at most %d KB, %d KB at the end", n, c.sessions, c.taken, got,
		before>>10, c.memoryMax>>10, place.Memory()>>10)
	if got != c.taken {
		t.Errorf("%d messages were taken, %d delivered", c.taken, got)
	}
	if c.memoryMax > memoryLimit {
		t.Errorf("the server used %d KB of memory", c.memoryMax>>10)
	}
	if text := place.Read("log/panic"); text != "" {
		t.Errorf("panic log:\n%.5000s", text)
	}
	checkLogs(t, place)
}

// play is one session.
func (c *count) play(t *testing.T, address string, number int) {
	all := kinds()
	k := all[number%len(all)]
	s, err := dial(address, number, rand.New(rand.NewPCG(seed, uint64(number))))
	if err != nil {
		t.Errorf("session %d: %v", number, err)
		return
	}
	k.play(s)
	n := len(takenReply.FindAll(s.heard.Bytes(), -1))
	if n > k.most {
		t.Errorf("session %d (%s): %d messages taken\n%.2000q", number, k.name, n, s.heard.String())
	}
	if s.problem != "" {
		t.Errorf("session %d (%s): %s", number, k.name, s.problem)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.taken += n
	c.sessions[k.name]++
}

// honest sends a message as it should be.
func honest(t *testing.T, address string) {
	client, err := blackbox.Dial(address)
	if err == nil {
		defer client.Close()
		err = client.Expect("EHLO honest.test", "250")
	}
	if err == nil {
		err = client.Send("honest@hostile.test", []string{"user@good.test"}, "Subject: session -1\n\nhello\n")
	}
	if err != nil {
		t.Errorf("the server takes no honest message any more: %v", err)
	}
}

// delivered counts the messages in the mailbox and looks at where they came from.
func delivered(t *testing.T, place *blackbox.Place) int {
	files, err := filepath.Glob(place.Path("mail/new/*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(string(text), "Return-path: <smuggled@") {
			t.Errorf("a smuggled message arrived:\n%.2000s", text)
		}
		head, _, _ := strings.Cut(string(text), "\n\n")
		if strings.ContainsAny(head, "\x00") {
			t.Errorf("NUL in a header:\n%.2000q", head)
		}
	}
	return len(files)
}

// checkLogs looks for text from outside that made lines of its own.
func checkLogs(t *testing.T, place *blackbox.Place) {
	line := regexp.MustCompile(`^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d `)
	for n, l := range strings.Split(strings.TrimSuffix(place.Read("log/main"), "\n"), "\n") {
		if !line.MatchString(l) {
			t.Errorf("main log, line %d: %.200q", n+1, l)
		}
		if i := strings.IndexFunc(l, func(r rune) bool { return r < ' ' && r != '\t' || r == 127 }); i >= 0 {
			t.Errorf("main log, line %d has character %s: %.200q", n+1, strconv.QuoteRune(rune(l[i])), l)
		}
	}
	if strings.ContainsAny(place.Read("log/reject"), "\x00\r") {
		t.Error("reject log: control characters")
	}
}
