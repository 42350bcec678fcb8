package interop

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"exigo/internal/proto/dccifd"
	"exigo/internal/proto/dccifd/dccifdtest"
	"exigo/test/blackbox"
)

// The configuration has the snippets of Exim's experimental features document for DCC and Brightmail, as they stand there but for paths and names.
const verdictsConfiguration = `
MAILUSER
primary_hostname = mx.example
spool_directory = DIR/spool
log_file_path = DIR/log/%s
local_interfaces = 127.0.0.1
daemon_smtp_ports = PORT
host_lookup =
rfc1413_query_timeout = 0s
domainlist local_domains = d.example
domainlist relay_to_domains = relay.example
acl_smtp_rcpt = acl_check_rcpt
acl_smtp_data = acl_check_data
SETTINGS
begin acl
acl_check_rcpt:
  accept  recipients    = plain@d.example
  accept  domains       = +local_domains
          endpass
          bmi_optin     = ${lookup{$local_part@$domain}lsearch{DIR/bmi_optin_data}}
          control       = bmi_run
acl_check_data:
DATA
  accept
begin routers
# don't deliver messages handled by the BMI server
bmi_blackhole:
  driver = redirect
  bmi_dont_deliver
  data = :blackhole:
alias:
  driver = redirect
  local_parts = alias
  data = child@d.example
  headers_add = X-Alias: $bmi_deliver
# special router for BMI rule #5, #8 and #11
bmi_rule_redirect:
  driver = redirect
  bmi_rule = 8:RULE
  data = postmaster@d.example
  redirect_router = localuser
alternate:
  driver = accept
  bmi_deliver_alternate
  headers_add = $bmi_alt_location
  headers_add = X-Brightmail-Tracker: $bmi_base64_tracker_verdict
  headers_add = X-Brightmail-Verdict: $bmi_base64_verdict
  transport = alternate
localuser:
  driver = accept
  bmi_deliver_default
  headers_add = X-Deliver: $bmi_deliver<$bmi_alt_location>
  transport = box
begin transports
box:
  driver = appendfile
  file = DIR/mail/default
  envelope_to_add
  USER
alternate:
  driver = appendfile
  file = DIR/mail/alternate
  envelope_to_add
  USER
`

// rspamd starts an Rspamd of the test's own, whose DCC module asks the double, and returns its port.
func rspamd(t *testing.T, p *blackbox.Place, dcc string) (port string) {
	t.Helper()
	if _, err := exec.LookPath("rspamd"); err != nil {
		t.Skip("rspamd is not installed")
	}
	dir := t.TempDir()
	port = p.Port()
	plugins := filepath.Join(dir, "plugins")
	if err := os.Mkdir(plugins, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"dcc.lua", "settings.lua"} {
		if err := os.Symlink("/usr/share/rspamd/plugins/"+name, filepath.Join(plugins, name)); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range map[string]string{"tld": "example\n", "conf": `
options {
  pidfile = "DIR/rspamd.pid"; url_tld = "DIR/tld"; disable_hyperscan = true; filters = ""; control_socket = "DIR/rspamd.socket mode=0600";
  local_addrs = []; dns { nameserver = ["127.0.0.1:9:1"]; timeout = 1s; } enable_test_patterns = true; gtube_patterns = "all";
}
logging { type = "file"; filename = "DIR/rspamd.log"; level = "info"; }
worker "normal" { bind_socket = "127.0.0.1:PORT"; count = 1; }
actions { reject = 15; add_header = 6; greylist = 4; }
modules { path = "DIR/plugins"; }
metric { name = "default"; }
symbols { DCC_REJECT { weight = 7.0; } }
dcc { enabled = true; servers = "DCC"; }
settings { strict { id = "strict"; apply { actions { reject = 6.5; } } } mild { id = "mild"; apply { actions { add_header = 10; } } } }
`} {
		text = strings.NewReplacer("DIR", dir, "PORT", port, "DCC\"", dcc+"\"").Replace(text)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, "rspamd", "-f", "-i", "-c", filepath.Join(dir, "conf"))
	if os.Geteuid() == 0 {
		cmd.Args = append(cmd.Args, "-u", "root", "-g", "root")
	}
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	if err := cmd.Start(); err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() {
		cancel()
		cmd.Wait()
		if log, err := os.ReadFile(filepath.Join(dir, "rspamd.log")); err == nil && t.Failed() {
			t.Logf("%s", log)
		}
	})
	for end := time.Now().Add(blackbox.Patience); ; time.Sleep(50 * time.Millisecond) {
		r, err := http.Get("http://127.0.0.1:" + port + "/ping")
		if err == nil {
			r.Body.Close()
			return port
		}
		if time.Now().After(end) {
			log, _ := os.ReadFile(filepath.Join(dir, "rspamd.log"))
			t.Skipf("rspamd does not start: %v\n%s", err, log)
		}
	}
}

// bulk is a double that takes messages with the word for bulk.
func bulk(q *dccifdtest.Request) string {
	if strings.Contains(q.Message, "BULK") {
		return dccifdtest.Reply(q, "R", 'R', dccifdtest.Header("bulk Body=many Fuz1=many"))
	}
	if strings.Contains(q.Message, "GREY") {
		return dccifdtest.Reply(q, "G", 'G', dccifdtest.Header("Body=1"))
	}
	return dccifdtest.Reply(q, "A", 'A', dccifdtest.Header("Body=1 Fuz1=1"))
}

// verdicts is a place with a daemon of the configuration.
type verdicts struct {
	*testing.T
	*blackbox.Place
	daemon *blackbox.Daemon
}

func startVerdicts(t *testing.T, p *blackbox.Place, settings, data, rule string) *verdicts {
	t.Helper()
	v := &verdicts{T: t, Place: p}
	for _, f := range []string{"spool", "log", "mail"} {
		os.RemoveAll(p.Path(f))
		p.Folder(f)
	}
	optin := "strict@d.example: one:strict\nmild@d.example: mild\nservice@d.example: strict:more\n"
	if err := os.WriteFile(p.Path("bmi_optin_data"), []byte(optin), 0o644); err != nil {
		t.Fatal(err)
	}
	port := p.Port()
	v.daemon = p.Start(p.Configure("conf", verdictsConfiguration, "PORT", port, "SETTINGS", settings, "DATA", data, "RULE", rule), port)
	t.Cleanup(p.KillAll)
	return v
}

// send sends a message and waits until it is off the queue.
func (v *verdicts) send(body string, to ...string) {
	v.Helper()
	before := strings.Count(v.Read("log/main"), " Completed\n")
	v.submit(body, to...)
	v.Wait("the delivery", func() bool { return strings.Count(v.Read("log/main"), " Completed\n") > before })
}

// submit sends a message.
func (v *verdicts) submit(body string, to ...string) {
	v.Helper()
	c, err := blackbox.Dial(v.daemon.Address)
	if err != nil {
		v.Fatal(err)
	}
	defer c.Close()
	if err := c.Expect("EHLO client.example", "250"); err != nil {
		v.Fatal(err)
	}
	text := "From: s@a.example\nSubject: x\nDate: Thu, 1 Jan 2026 00:00:00 +0000\nMessage-Id: <1@a.example>\nX-Rule: 5\n\n" + body + "\n"
	if err := c.Send("s@a.example", to, text); err != nil {
		v.Fatalf("%v\n%s", err, v.Read("log/main"))
	}
}

// boxes returns who got messages in the two files, with the header lines that routers added.
func (v *verdicts) boxes() (normal, alternate string) {
	v.Helper()
	read := func(name string) string {
		var out []string
		for line := range strings.Lines(v.Read("mail/" + name)) {
			for _, prefix := range []string{"Envelope-to: ", "X-Deliver: ", "X-Brightmail", "X-Spam: ", "X-Alias: "} {
				if strings.HasPrefix(line, prefix) {
					out = append(out, strings.TrimSpace(strings.TrimPrefix(line, "Envelope-to: ")))
				}
			}
		}
		os.Remove(v.Path("mail/" + name))
		return strings.Join(out, "\n")
	}
	return read("default"), read("alternate")
}

func (v *verdicts) expect(what, normal, alternate string) {
	v.Helper()
	if n, a := v.boxes(); n != normal || a != alternate {
		v.Errorf("%s:\ndefault   %q\nalternate %q\n%s%s", what, n, a, v.Read("log/main"), v.Read("log/panic"))
	}
}

func b64(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

// TestDCC runs the DATA ACL of the document; the double is checked by rspamd's client and SpamAssassin's.
func TestDCC(t *testing.T) {
	p := blackbox.New(t)
	s := dccifdtest.New(t, "tcp", "127.0.0.1:0", bulk)
	host, port, _ := strings.Cut(s.Address, ":")
	t.Run("exigo", func(t *testing.T) {
		v := startVerdicts(t, p, "dccifd_address = "+host+" "+port, "  defer !dcc = *", "5")
		v.send("hello", "plain@d.example")
		v.expect("accepted", "plain@d.example\nX-Deliver: 1<>", "")
		q := s.Requests()
		want := dccifd.Request{Options: "header", Client: "127.0.0.1", HELO: "client.example", Sender: "s@a.example", Recipients: []dccifd.Recipient{{Address: "plain@d.example"}}}
		if len(q) != 1 || !reflect.DeepEqual(q[0].Request, want) || !strings.HasPrefix(q[0].Message, "Received: ") || !strings.HasSuffix(q[0].Message, "\n\nhello\n") {
			t.Errorf("%+v", q)
		}
		for _, body := range []string{"BULK", "GREY"} {
			c, err := blackbox.Dial(v.daemon.Address)
			if err != nil {
				t.Fatal(err)
			}
			c.Expect("EHLO client.example", "250")
			if err := c.Send("s@a.example", []string{"plain@d.example"}, "Subject: x\n\n"+body+"\n"); err == nil || !strings.Contains(err.Error(), "451 Temporary local problem") {
				t.Errorf("%s: %v", body, err)
			}
			c.Close()
		}
	})
	socket := filepath.Join(t.TempDir(), "dccifd")
	double := dccifdtest.New(t, "unix", socket, bulk)
	t.Run("rspamd", func(t *testing.T) {
		address := "http://127.0.0.1:" + rspamd(t, p, socket) + "/checkv2"
		for body, symbol := range map[string]bool{"BULK": true, "hello": false} {
			q, _ := http.NewRequest("POST", address, strings.NewReader("From: a@b.example\r\nSubject: x\r\nMessage-Id: <1@b>\r\nDate: Thu, 1 Jan 2026 00:00:00 +0000\r\n\r\n"+body+"\r\n"))
			for name, value := range map[string]string{"IP": "192.0.2.1", "Helo": "helo.example", "From": "a@b.example", "Rcpt": "c@d.example"} {
				q.Header.Set(name, value)
			}
			r, err := http.DefaultClient.Do(q)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Body.Close()
			answer := new(strings.Builder)
			if r.Write(answer); strings.Contains(answer.String(), `"DCC_REJECT"`) != symbol {
				t.Errorf("%s: %s", body, answer)
			}
		}
		want := dccifd.Request{Options: "header", Client: "192.0.2.1", HELO: "helo.example", Sender: "a@b.example", Recipients: []dccifd.Recipient{{Address: "c@d.example"}}}
		if q := double.Requests(); len(q) != 2 || !reflect.DeepEqual(q[0].Request, want) {
			t.Errorf("rspamd asked %+v", q)
		}
	})
	t.Run("SpamAssassin", func(t *testing.T) { spamAssassin(t, socket, double) })
}

// spamAssassin lets SpamAssassin's client ask the double.
func spamAssassin(t *testing.T, socket string, double *dccifdtest.Server) {
	if err := exec.Command("perl", "-MMail::SpamAssassin::Plugin::DCC", "-e", "1").Run(); err != nil {
		t.Skip("SpamAssassin is not installed")
	}
	dir := t.TempDir()
	conf := fmt.Sprintf(`loadplugin Mail::SpamAssassin::Plugin::Check
loadplugin Mail::SpamAssassin::Plugin::DCC
dns_available no
use_dcc 1
dcc_dccifd_path %s
dcc_home %s
full DCC_CHECK eval:check_dcc()
score DCC_CHECK 3
add_header all DCC _DCCB_: _DCCR_ _TESTS_
`, socket, dir)
	if err := os.WriteFile(filepath.Join(dir, "local.cf"), []byte(conf), 0o644); err != nil {
		t.Fatal(err)
	}
	before := len(double.Requests())
	for body, hit := range map[string]bool{"BULK": true, "hello": false} {
		cmd := exec.Command("spamassassin", "-t", "-x", "--siteconfigpath="+dir, "--configpath="+dir, "--prefspath="+dir+"/none", "-p", dir+"/local.cf")
		cmd.Stdin = strings.NewReader("Received: from x.example (x.example [192.0.2.9]) by mx.example with SMTP id 1; Thu, 1 Jan 2026 00:00:00 +0000\nFrom: a@b.example\nSubject: x\nMessage-Id: <1@b>\nDate: Thu, 1 Jan 2026 00:00:00 +0000\n\n" + body + "\n")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("spamassassin: %v\n%s", err, out)
		}
		if strings.Contains(string(out), "DCC_CHECK") != hit || !strings.Contains(string(out), "mx.example 1480; ") {
			t.Errorf("%s: %s", body, out)
		}
	}
	if n := len(double.Requests()) - before; n != 2 {
		t.Errorf("SpamAssassin asked %d times", n)
	}
}

// TestBrightmailService: the verdicts are those of a real Rspamd.
func TestBrightmailService(t *testing.T) {
	p := blackbox.New(t)
	socket := filepath.Join(t.TempDir(), "dccifd")
	dccifdtest.New(t, "unix", socket, bulk)
	port := rspamd(t, p, socket)
	v := startVerdicts(t, p, "bmi_service = http://127.0.0.1:"+port+"/checkv2", "", "NONE")
	v.send("hello", "normal@d.example", "service@d.example")
	v.expect("a good message", "normal@d.example\nX-Deliver: 1<>\nservice@d.example\nX-Deliver: 1<>", "")

	// Score 7: marked for most, refused for those who want it strict, nothing for those who want it mild. Children inherit, what was not scanned
	// is delivered.
	v.send("BULK", "normal@d.example", "service@d.example", "mild@d.example", "alias@d.example")
	shown := b64(`{"action":"add header","score":7,"required":15,"symbols":["DCC_REJECT"]}`)
	marks := "\nX-Spam: Yes\nX-Brightmail-Tracker: " + b64("DCC_REJECT") + "\nX-Brightmail-Verdict: " + shown
	v.expect("bulk mail", "mild@d.example\nX-Deliver: 1<>", "alias@d.example\nX-Alias: 1"+marks+"\nnormal@d.example"+marks)
	if !strings.Contains(v.Read("log/main"), "=> :blackhole: <service@d.example> R=bmi_blackhole\n") {
		t.Errorf("%s", v.Read("log/main"))
	}
	v.send("XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X", "normal@d.example")
	v.expect("refused", "", "")
	v.send("BULK", "plain@d.example")
	v.expect("without control = bmi_run", "plain@d.example\nX-Deliver: 1<>", "")
	if text := v.Read("log/panic"); text != "" {
		t.Errorf("panic log: %s", text)
	}
	p.KillAll()

	// The same with a rule, which here is a symbol; and no service: delivered, and the panic log says why.
	v = startVerdicts(t, p, "bmi_service = http://127.0.0.1:"+port+"/checkv2", "", "DCC_REJECT")
	v.send("BULK", "mild@d.example")
	v.expect("rule", "mild@d.example\nX-Deliver: 1<>", "")
	if !strings.Contains(v.Read("log/main"), "=> postmaster <mild@d.example> R=localuser") && !strings.Contains(v.Read("log/main"), "<mild@d.example> R=localuser") {
		t.Errorf("%s", v.Read("log/main"))
	}
	p.KillAll()

	// The verdicts travel in the header file.
	v = startVerdicts(t, p, "queue_only\nbmi_service = http://127.0.0.1:"+port+"/checkv2", "", "NONE")
	v.submit("BULK", "normal@d.example", "service@d.example")
	files, _ := filepath.Glob(p.Path("spool/input/*-H"))
	if len(files) != 1 {
		t.Fatalf("%q", files)
	}
	if text, _ := os.ReadFile(files[0]); strings.Count(string(text), "\n-bmi_verdicts service.") != 1 {
		t.Errorf("%s", text)
	}
	if out, err := p.Run("", "-C", p.Path("conf"), "-q"); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	v.Wait("the delivery", func() bool { return strings.Contains(v.Read("log/main"), " Completed\n") })
	v.expect("from the queue", "", "normal@d.example"+marks)
	p.KillAll()
	v = startVerdicts(t, p, "bmi_service = http://127.0.0.1:1/checkv2", "", "NONE")
	v.send("BULK", "service@d.example")
	v.expect("no service", "service@d.example\nX-Deliver: 1<>", "")
	if text := v.Read("log/panic"); !strings.Contains(text, "bmi error: http://127.0.0.1:1/checkv2: ") {
		t.Errorf("panic log: %s", text)
	}
}

// TestBrightmailLibrary: the verdicts are those of a C library with the functions of Brightmail's.
func TestBrightmailLibrary(t *testing.T) {
	gcc, err := exec.LookPath("gcc")
	if err != nil {
		t.Skip("no C compiler")
	}
	p := blackbox.New(t)
	for _, build := range [][]string{
		{gcc, "-shared", "-fPIC", "-o", p.Path("libbmi.so"), "../../cmd/exigo-bmi/testdata/bmiclient.c"},
		{"go", "build", "-buildvcs=false", "-o", p.Path("exigo-bmi"), "exigo/cmd/exigo-bmi"},
	} {
		if out, err := exec.Command(build[0], build[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", build[0], err, out)
		}
	}
	if err := os.WriteFile(p.Path("brightmail.cfg"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	settings := "bmi_config_file = DIR/brightmail.cfg\nbmi_command = DIR/exigo-bmi\nbmi_library = DIR/libbmi.so\nbmi_api_version = 601"
	settings = strings.ReplaceAll(settings, "DIR", p.Dir)
	v := startVerdicts(t, p, settings, "", "11")
	v.send("hello", "Normal@d.example", "strict@d.example")
	v.expect("a good message", "Normal@d.example\nX-Deliver: 1<>\nstrict@d.example\nX-Deliver: 1<>", "")
	v.send("SPAM "+strings.Repeat("x\n", 10000), "normal@d.example", "strict@d.example", "alias@d.example")
	marks := "\nX-Brightmail: spam\nX-Brightmail-Tracker: rules,5,\nX-Brightmail-Verdict: alternate;5,;normal@d.example,alias@d.example,"
	v.expect("spam", "", "alias@d.example\nX-Alias: 1"+marks+"\nnormal@d.example"+marks)
	v.send("CRASH", "normal@d.example")
	v.expect("after a crash", "normal@d.example\nX-Deliver: 1<>", "")
	v.send("FATAL", "normal@d.example")
	v.expect("after a fatal error", "normal@d.example\nX-Deliver: 1<>", "")
	lines := strings.Split(strings.TrimSpace(v.Read("log/panic")), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], " bmi error: exigo-bmi: ") || !strings.HasSuffix(lines[1], " bmi error [loc 7 type 9]: bmiEndBody() failed.") {
		t.Errorf("panic log: %q", lines)
	}
	p.KillAll()
	v = startVerdicts(t, p, settings, "", "5")
	v.send("hello", "normal@d.example")
	v.expect("rule 5", "normal@d.example\nX-Deliver: 1<>", "")
	if !strings.Contains(v.Read("log/main"), "=> "+p.Path("mail/default")+" <normal@d.example> R=localuser") && !strings.Contains(v.Read("log/main"), "postmaster") {
		t.Errorf("%s", v.Read("log/main"))
	}
}
