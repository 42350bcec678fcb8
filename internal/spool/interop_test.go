package spool

import (
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"exigo/internal/mail"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// oracle prepares a spool that an installed Exim works on; the test is skipped where there is none or we are not root.
func oracle(t *testing.T) (dir string, s *Spool, exim func(input string, args ...string) string) {
	t.Helper()
	binary, err := exec.LookPath("exim4")
	if err != nil || os.Geteuid() != 0 {
		t.Skip("needs root and an installed exim4")
	}
	account, err := user.Lookup("Debian-exim")
	if err != nil {
		t.Skip("needs the user Debian-exim")
	}
	uid, _ := strconv.Atoi(account.Uid)
	gid, _ := strconv.Atoi(account.Gid)
	if dir, err = os.MkdirTemp("", "exigo-spool"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	os.Chown(dir, uid, gid)
	os.Chmod(dir, 0o755)
	config := filepath.Join(dir, "config")
	os.WriteFile(config, []byte(strings.ReplaceAll(`spool_directory = DIR/spool
log_file_path = DIR/%slog
primary_hostname = test.example
qualify_domain = test.example
keep_environment =
tls_advertise_hosts =
dsn_advertise_hosts = *
acl_smtp_rcpt = rcpt
acl_not_smtp = notsmtp
begin acl
notsmtp:
 accept set acl_m_lines = a\nb
rcpt:
 accept set acl_c0 = $sender_helo_name
begin routers
defer:
 driver = redirect
 local_parts = stay
 allow_defer
 data = :defer: not now
all:
 driver = accept
 transport = file
begin transports
file:
 driver = appendfile
 file = DIR/mbox
 user = Debian-exim
begin retry
* * F,1d,1m
`, "DIR", dir)), 0o644)
	exim = func(input string, args ...string) string {
		t.Helper()
		cmd := exec.Command(binary, append([]string{"-C", config}, args...)...)
		cmd.Stdin = strings.NewReader(input)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Logf("exim4 %q: %v", args, err)
		}
		return string(out)
	}
	return dir, Open(filepath.Join(dir, "spool"), Options{LocalhostNumber: -1, UID: uid, GID: gid}), exim
}

func options() []cmp.Option {
	return []cmp.Option{cmpopts.IgnoreTypes(mail.Bag{}), cmpopts.EquateComparable(mail.Session{}.Host), cmpopts.SortSlices(func(a, b string) bool { return a < b })}
}

// What Exim queues, we read; what we write of it again is the same message to us, and Exim lists and delivers it.
func TestEximsMessages(t *testing.T) {
	dir, s, exim := oracle(t)
	exim("From: a@b.example\nSubject: hi\n\nbody\nline2\n", "-odq", "-f", "someone@x.example", "rcpt@y.example", "stay@z.example")
	exim("EHLO [1.2.3.4]\r\nMAIL FROM:<s@x.example> BODY=8BITMIME RET=HDRS ENVID=abc\r\nRCPT TO:<r@y.example> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;q@y\r\n"+
		"RCPT TO:<r2@y.example>\r\nDATA\r\nSubject: x\r\n  y\r\n\r\nhello\r\n.\r\nQUIT\r\n", "-odq", "-oMa", "[1.2.3.4]:5678", "-oMi", "[9.8.7.6]:25", "-oMs", "host.name", "-bs")
	list, err := s.List("")
	if err != nil || len(list) != 2 {
		t.Fatalf("%v %v", list, err)
	}
	for _, e := range list {
		l, err := s.Lock(e.ID, "")
		if err != nil {
			t.Fatal(err)
		}
		m, err := l.Read()
		if err != nil {
			t.Fatal(err)
		}
		if out := exim("", "-M", e.ID); !strings.Contains(out+read(t, dir+"/mainlog"), "Spool file for "+e.ID+" is locked (another process is handling this message)") {
			t.Errorf("Exim does not see our lock: %s\n%s", out, read(t, dir+"/mainlog"))
		}
		if err := l.WriteHeader(m); err != nil {
			t.Fatal(err)
		}
		again, err := l.Read()
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(m, again, options()...); d != "" {
			t.Errorf("%s: %s", e.ID, d)
		}
		l.Close()
	}
	out := exim("", "-bp")
	for _, want := range []string{"<someone@x.example>", "stay@z.example", "r2@y.example"} {
		if !strings.Contains(out, want) {
			t.Errorf("-bp shows no %s:\n%s", want, out)
		}
	}
	exim("", "-qff")
	log := read(t, dir+"/mainlog")
	if n := strings.Count(log, "=>"); n != 4 || strings.Contains(log, "rror") { // one is the DSN that was asked for
		t.Errorf("%d deliveries:\n%s", n, log)
	}
	if list, _ := s.List(""); len(list) != 1 {
		t.Errorf("left in the queue: %v", list)
	}
	m, err := s.Read(list[0].ID, "")
	if err != nil || len(m.NonRecipients) != 1 || m.NonRecipients[0] != "rcpt@y.example" || m.DeliverFirst {
		t.Errorf("after Exim's delivery: %+v %v", m, err)
	}
	if v := m.Vars["_lines"]; v.S != "a\nb" {
		t.Errorf("variable %+v", v)
	}
}

// What we write, Exim 4.96 delivers: with its 16-character ids. It takes no notice of files with longer ids.
func TestOursInExim(t *testing.T) {
	dir, s, exim := oracle(t)
	exim("", "-q") // makes the directories
	for _, id := range []string{"1xV17k-0001vP-1h", s.NewID(time.Now(), 77)} {
		in, err := s.Create(id, "")
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(in, "the body\n")
		m := example(id)
		m.BodyLines, m.NonRecipients, m.Frozen = 1, []string{"two@y.example", "aa@b", "zz@b"}, time.Time{}
		m.Headers = append(m.Headers, mail.NewHeader("From: x@y\n"))
		for i := range m.Recipients {
			m.Recipients[i].Parent = -1
		}
		l, err := in.Commit(m)
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
		exim("", "-M", id)
		box, log := read(t, dir+"/mbox"), read(t, dir+"/mainlog")
		if len(id) == oldIDLength {
			if strings.Count(box, "the body\n") != 3 || strings.Contains(log, "rror") || !strings.Contains(log, id+" Completed") {
				t.Errorf("%s: mailbox\n%s\nlog\n%s", id, box, log)
			}
			continue
		}
		t.Logf("Exim with a 23-character id: %d deliveries", strings.Count(box, "the body\n")-3)
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return string(b)
}
