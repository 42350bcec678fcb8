// Package interop lets the program talk to swaks, to Exim 4.96 and to another of its own, hands spools over in both directions, and lets
// Exim's own tools read its logs and queue.
//
// Trust: tests only.
package interop

import (
	"bytes"
	"context"
	"io"
	"mime"
	"mime/multipart"
	"net/mail"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"exigo/internal/proto/dsn"
	"exigo/test/blackbox"
)

const common = `
MAILUSER
primary_hostname = NAME
spool_directory = DIR/SPOOL
log_file_path = DIR/log/NAME-%s
local_interfaces = 127.0.0.1
daemon_smtp_ports = PORT
host_lookup =
rfc1413_query_timeout = 0s
tls_advertise_hosts = *
tls_certificate = CERTIFICATE
tls_privatekey = CERTIFICATE
auth_advertise_hosts = *
acl_smtp_rcpt = check_rcpt
acl_smtp_data = accept
begin acl
check_rcpt:
  accept domains = NAME : *.relay
         hosts = 127.0.0.1
  accept authenticated = *
  deny   message = no
begin routers
EXTRA
mbox:
  driver = accept
  local_parts = mbox
  transport = mbox
maildir:
  driver = accept
  local_parts = maildir
  transport = maildir
begin transports
exim:
  driver = smtp
  port = EXIMPORT
  allow_localhost
exigo:
  driver = smtp
  port = EXIGOPORT
  allow_localhost
dead:
  driver = smtp
  port = DEADPORT
  allow_localhost
mbox:
  driver = appendfile
  file = DIR/mail/NAME.mbox
  return_path_add
  USER
maildir:
  driver = appendfile
  directory = DIR/mail/NAME.maildir
  maildir_format
  return_path_add
  USER
begin retry
* * F,1s,1s
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${if and{{eq{$auth2}{user}}{eq{$auth3}{secret}}}}
  server_set_id = $auth2
login:
  driver = plaintext
  public_name = LOGIN
  server_prompts = Username:: : Password::
  server_condition = ${if and{{eq{$auth1}{user}}{eq{$auth2}{secret}}}}
  server_set_id = $auth1
cram:
  driver = cram_md5
  public_name = CRAM-MD5
  server_secret = ${if eq{$auth1}{user}{secret}fail}
  server_set_id = $auth1
`

const routes = `
exim:
  driver = manualroute
  domains = exim.relay
  route_list = * 127.0.0.1
  self = send
  transport = exim
exigo:
  driver = manualroute
  domains = exigo.relay
  route_list = * 127.0.0.1
  self = send
  transport = exigo
dead:
  driver = manualroute
  domains = dead.relay
  route_list = * 127.0.0.1
  self = send
  transport = dead
`

// tools are what the tests need; without them they skip.
func tools(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("Exim takes -C FILE from root only")
	}
	for _, name := range []string{"exim4", "swaks", "exigrep", "exiqgrep", "eximstats"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Skip(name + " is not installed")
		}
	}
}

// world is what all parts share.
type world struct {
	*testing.T
	place *blackbox.Place
	// sender is the configuration of the program that receives and relays; exim and other those of the two servers behind it.
	sender, exim, other       string
	port, eximPort, otherPort string
	daemon                    *blackbox.Daemon
}

func TestInterop(t *testing.T) {
	tools(t)
	w := &world{T: t, place: blackbox.New(t)}
	w.port, w.eximPort, w.otherPort = w.place.Port(), w.place.Port(), w.place.Port()
	for _, name := range []string{"log", "mail", "spool", "spool-exim", "spool-other"} {
		w.place.Folder(name)
	}
	w.sender = w.configure("sender.test", "spool", w.port, routes)
	if oldTools(t) {
		text := strings.Replace(w.place.Read("sender.test.conf"), "primary_hostname", "short_message_ids\nprimary_hostname", 1)
		if err := os.WriteFile(w.sender, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	w.exim = w.configure("exim.relay", "spool-exim", w.eximPort, "")
	w.other = w.configure("exigo.relay", "spool-other", w.otherPort, "")
	w.daemon = w.place.Start(w.sender, w.port)
	t.Run("swaks", w.swaks)
	t.Run("relay", w.relay)
	t.Run("dead host", w.deadHost)
	t.Run("tools", w.logTools)
	t.Run("spool to Exim", w.toExim)
	t.Run("spool from Exim", w.fromExim)
	if text := w.place.Read("log/sender.test-panic") + w.place.Read("log/exigo.relay-panic"); text != "" {
		t.Errorf("panic log:\n%s", text)
	}
	if t.Failed() {
		t.Logf("log:\n%s", w.place.Read("log/sender.test-main"))
	}
}

func (w *world) configure(name, spool, port, extra string) string {
	return w.place.Configure(name+".conf", common, "NAME", name, "SPOOL", spool, "EXIMPORT", w.eximPort, "EXIGOPORT", w.otherPort, "DEADPORT",
		w.place.Port(), "PORT", port, "CERTIFICATE", w.place.Certificate(name), "EXTRA", extra)
}

// run runs a command to its end.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*blackbox.Patience)
	defer cancel()
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		t.Errorf("%s %q: %v\n%s", name, args, err, out)
	}
	return string(out)
}

// has checks that the text holds all pieces.
func has(t *testing.T, what, text string, pieces ...string) {
	t.Helper()
	for _, p := range pieces {
		if !strings.Contains(text, p) {
			t.Errorf("%s lacks %q:\n%.3000s", what, p, text)
		}
	}
}

// box is all that a server's mailboxes hold.
func (w *world) box(name string) string {
	text := w.place.Read("mail/" + name + ".mbox")
	files, _ := filepath.Glob(w.place.Path("mail/" + name + ".maildir/new/*"))
	for _, file := range files {
		b, _ := os.ReadFile(file)
		text += string(b)
	}
	return text
}

func (w *world) arrive(t *testing.T, name string, pieces ...string) {
	t.Helper()
	w.place.Wait(strings.Join(pieces, ", ")+" in the mailboxes of "+name, func() bool {
		text := w.box(name)
		for _, p := range pieces {
			if !strings.Contains(text, p) {
				return false
			}
		}
		return true
	})
}

func (w *world) swaks(t *testing.T) {
	for _, test := range []struct {
		subject, protocol string
		args              []string
	}{
		{"plain", "P=esmtp ", nil},
		{"starttls", "P=esmtps ", []string{"--tls"}},
		{"auth-plain", "A=plain:user ", []string{"--auth", "PLAIN"}},
		{"auth-login", "A=login:user ", []string{"--auth", "LOGIN"}},
		{"auth-cram", "A=cram:user ", []string{"--auth", "CRAM-MD5"}},
		{"auth-tls", "P=esmtpsa ", []string{"--tls", "--auth", "PLAIN"}},
	} {
		args := append([]string{"--server", "127.0.0.1", "--port", w.port, "--helo", "swaks.test", "--from", "swaks@swaks.test", "--to",
			"mbox@sender.test,maildir@sender.test", "--header", "Subject: swaks " + test.subject, "--body", "by swaks"}, test.args...)
		if strings.HasPrefix(test.subject, "auth") {
			args = append(args, "--auth-user", "user", "--auth-password", "secret")
		}
		before := len(w.place.Read("log/sender.test-main"))
		run(t, "swaks", args...)
		w.place.Wait("swaks "+test.subject+" twice", func() bool { return strings.Count(w.box("sender.test"), "Subject: swaks "+test.subject+"\n") == 2 })
		has(t, "log", w.place.Read("log/sender.test-main")[before:], test.protocol)
	}
	out, err := exec.Command("swaks", "--server", "127.0.0.1", "--port", w.port, "--helo", "swaks.test", "--from", "swaks@swaks.test", "--to", "mbox@sender.test",
		"--auth", "PLAIN", "--auth-user", "user", "--auth-password", "wrong").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "535 Incorrect authentication data") {
		t.Errorf("a wrong password: %v\n%s", err, out)
	}
}

// startExim starts a daemon of Exim in the foreground.
func (w *world) startExim(t *testing.T) {
	c := exec.Command("exim4", "-C", w.exim, "-bdf", "-oX", w.eximPort)
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	var out bytes.Buffer
	c.Stdout, c.Stderr, c.WaitDelay = &out, &out, time.Second
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		syscall.Kill(-c.Process.Pid, syscall.SIGKILL) // the session we made, no other
		c.Wait()
	})
	w.place.Wait("Exim to listen", func() bool {
		client, err := blackbox.Dial("127.0.0.1:" + w.eximPort)
		if err != nil {
			return false
		}
		client.Expect("QUIT", "221")
		client.Close()
		return true
	})
}

func (w *world) send(t *testing.T, subject string, to ...string) {
	t.Helper()
	c, err := blackbox.Dial("127.0.0.1:" + w.port)
	if err == nil {
		defer c.Close()
		err = c.Expect("EHLO client.test", "250")
	}
	if err == nil {
		err = c.Send("mbox@sender.test", to, "From: mbox@sender.test\nSubject: "+subject+"\n\n"+strings.Repeat("a line of the body\n", 100)+"From the end\n")
	}
	if err != nil {
		t.Error(err)
	}
}

func (w *world) relay(t *testing.T) {
	w.startExim(t)
	w.place.Start(w.other, w.otherPort)
	w.send(t, "relayed", "mbox@exim.relay", "maildir@exim.relay", "mbox@exigo.relay", "maildir@exigo.relay")
	for _, name := range []string{"exim.relay", "exigo.relay"} {
		w.arrive(t, name, "Subject: relayed\n")
		w.place.Wait("both copies", func() bool { return strings.Count(w.box(name), "Subject: relayed\n") == 2 })
		has(t, "mailbox of "+name, w.box(name), "Return-path: <mbox@sender.test>\n", "\nFrom the end\n", "\n>From the end\n")
		w.place.Wait("the log line of "+name, func() bool { return strings.Contains(w.place.Read("log/sender.test-main"), "=> mbox@"+name+" R=") })
	}
	log := w.place.Read("log/sender.test-main")
	has(t, "log", log, "=> mbox@exim.relay R=exim T=exim H=127.0.0.1 [127.0.0.1] X=TLS1.3:", "-> maildir@exim.relay", "-> maildir@exigo.relay")
}

func (w *world) deadHost(t *testing.T) {
	w.send(t, "unreachable", "user@dead.relay")
	w.place.Wait("a deferral", func() bool { return strings.Contains(w.place.Read("log/sender.test-main"), "== user@dead.relay") })
	w.place.Wait("the bounce", func() bool {
		if out, err := w.place.Run("", "-C", w.sender, "-q"); err != nil {
			t.Fatalf("-q: %v\n%s", err, out)
		}
		return strings.Contains(w.box("sender.test"), "X-Failed-Recipients: user@dead.relay")
	})
	log := w.place.Read("log/sender.test-main")
	has(t, "log", log, "Connection refused", "** user@dead.relay")
	_, text, _ := strings.Cut(w.place.Read("mail/sender.test.mbox"), "Return-path: <>\n")
	message, err := mail.ReadMessage(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	kind, parameters, err := mime.ParseMediaType(message.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/report" || parameters["report-type"] != "delivery-status" {
		t.Fatalf("the bounce is %s %v (%v)", kind, parameters, err)
	}
	parts := multipart.NewReader(message.Body, parameters["boundary"])
	for {
		part, err := parts.NextPart()
		if err != nil {
			t.Fatalf("no delivery status in the bounce: %v", err)
		}
		if !strings.HasPrefix(part.Header.Get("Content-Type"), dsn.ContentType) {
			continue
		}
		body, _ := io.ReadAll(part)
		report, err := dsn.Parse(string(body))
		if err != nil || len(report.Recipients) != 1 {
			t.Fatalf("report %v: %v\n%s", report, err, body)
		}
		if f, _ := report.Recipients[0].Get("Action"); f.Value != "failed" {
			t.Errorf("Action is %q", f.Value)
		}
		if f, _ := report.Recipients[0].Get("Final-Recipient"); f.Type != "rfc822" || !strings.Contains(f.Value, "user@dead.relay") {
			t.Errorf("Final-Recipient is %v", f)
		}
		return
	}
}

var messageID = regexp.MustCompile(`\b\w{6}-\w{6,11}-\w{2,4}\b`)

// oldTools tells whether the tools and the Exim installed are of a time when ids had 16 characters: they find no others.
func oldTools(t *testing.T) bool {
	path, err := exec.LookPath("exiqgrep")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return !bytes.Contains(text, []byte(`{11}`))
}

func (w *world) logTools(t *testing.T) {
	log := w.place.Path("log/sender.test-main")
	found := run(t, "exigrep", "exim.relay", log)
	has(t, "exigrep", found, "<= mbox@sender.test", "=> mbox@exim.relay", "-> maildir@exigo.relay", "Completed")
	if strings.Contains(found, "swaks") {
		t.Errorf("exigrep shows other messages:\n%s", found)
	}
	stats := run(t, "eximstats", log)
	has(t, "eximstats", stats, "Grand total summary", "Received", "Delivered", "swaks.test")
	wrapper := w.queueWith(t, "queued", "someone@dead.relay")
	all := run(t, "exiqgrep", "-E", wrapper, "-f", ".")
	has(t, "exiqgrep", all, "someone@dead.relay", "<mbox@sender.test>")
	ids := strings.Fields(run(t, "exiqgrep", "-E", wrapper, "-i", "-r", "someone@dead.relay"))
	if len(ids) != 1 || !regexp.MustCompile(`^[\w-]{16,23}$`).MatchString(ids[0]) {
		t.Fatalf("exiqgrep -i: %q", ids)
	}
	if out := run(t, "exiqgrep", "-E", wrapper, "-c", "-f", "nobody@else"); !strings.Contains(out, "0 matches out of") {
		t.Errorf("exiqgrep -c: %s", out)
	}
	files, _ := filepath.Glob(w.place.Path("spool/input/*-H"))
	if len(files) != 1 {
		t.Fatalf("in the spool: %q", files)
	}
	if out, err := w.place.Run("", "-C", w.sender, "-Mrm", messageID.FindString(files[0])); err != nil {
		t.Errorf("-Mrm: %v %s", err, out)
	}
}

// queueWith puts a message into the queue and returns a command that calls the program with its configuration, for tools that cannot be told.
func (w *world) queueWith(t *testing.T, subject, to string) string {
	t.Helper()
	out, err := w.place.Run("Subject: "+subject+"\n\nin the queue\n", "-C", w.sender, "-odq", "-f", "mbox@sender.test", to)
	if err != nil {
		t.Fatalf("-odq: %v\n%s", err, out)
	}
	wrapper := w.place.Path("exigo-with-conf")
	if err := os.WriteFile(wrapper, []byte("#!/bin/sh\nexec "+w.place.Binary+" -C "+w.sender+" \"$@\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return wrapper
}

// toExim lets Exim work on the spool that the program filled, while its daemon runs.
func (w *world) toExim(t *testing.T) {
	w.queueWith(t, "handed to Exim", "maildir@exim.relay")
	files, _ := filepath.Glob(w.place.Path("spool/input/*-H"))
	if len(files) != 1 {
		t.Fatalf("in the spool: %q", files)
	}
	id := messageID.FindString(filepath.Base(files[0]))
	handed := w.place.Path("handed.conf")
	text := strings.ReplaceAll(w.place.Read("exim.relay.conf"), "/spool-exim\n", "/spool\n")
	if err := os.WriteFile(handed, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	has(t, "exim4 -bp", run(t, "exim4", "-C", handed, "-bp"), id, "<mbox@sender.test>", "maildir@exim.relay")
	has(t, "exim4 -Mvh", run(t, "exim4", "-C", handed, "-Mvh", id), "Subject: handed to Exim", "<mbox@sender.test>")
	has(t, "exim4 -Mvb", run(t, "exim4", "-C", handed, "-Mvb", id), "in the queue")
	run(t, "exim4", "-C", handed, "-qff")
	w.arrive(t, "exim.relay", "Subject: handed to Exim\n")
	if rest, _ := filepath.Glob(w.place.Path("spool/input/*")); len(rest) != 0 {
		t.Errorf("Exim left %q", rest)
	}
}

// fromExim takes over a spool that Exim filled.
func (w *world) fromExim(t *testing.T) {
	filler := w.place.Path("filler.conf")
	text := strings.ReplaceAll(w.place.Read("exigo.relay.conf"), "log/exigo.relay", "log/filler")
	if err := os.WriteFile(filler, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, to := range []string{"mbox@exigo.relay", "maildir@exigo.relay"} {
		c := exec.Command("exim4", "-C", filler, "-odq", "-f", "exim@sender.test", to)
		c.Stdin = strings.NewReader("Subject: filled by Exim for " + to + "\nX-Long: " + strings.Repeat("word ", 50) + "\n folded\n\nby Exim\n")
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("exim4 -odq: %v\n%s", err, out)
		}
	}
	queue, err := w.place.Run("", "-C", w.other, "-bp")
	if err != nil {
		t.Fatal(err)
	}
	has(t, "-bp", queue, "<exim@sender.test>", "mbox@exigo.relay", "maildir@exigo.relay")
	// Sizes are left out: Exim counts the line between header and body.
	size := regexp.MustCompile(`(?m)^( *\d+[smhd]) +[\d.KM]+ `)
	if want := run(t, "exim4", "-C", filler, "-bp"); size.ReplaceAllString(queue, "$1 ") != size.ReplaceAllString(want, "$1 ") {
		t.Errorf("-bp shows\n%s\nExim\n%s", queue, want)
	}
	if out, err := w.place.Run("", "-C", w.other, "-qff"); err != nil {
		t.Errorf("-qff: %v\n%s", err, out)
	}
	w.arrive(t, "exigo.relay", "Subject: filled by Exim for mbox@exigo.relay\n", "Subject: filled by Exim for maildir@exigo.relay\n", "\n folded\n", "\nby Exim\n")
	if out, _ := w.place.Run("", "-C", w.other, "-bpc"); strings.TrimSpace(out) != "0" {
		t.Errorf("left in the queue: %s", out)
	}
}
