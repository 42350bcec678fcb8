package interop

import (
	"context"
	"encoding/hex"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"testing"

	"exigo/test/blackbox"
)

const scanConfiguration = `
MAILUSER
primary_hostname = exigo.test
spool_directory = DIR/spool
log_file_path = DIR/log/%s
queue_only
av_scanner = ${if def:acl_m_scanner {$acl_m_scanner}{clamd:DIR/clamd.socket}}
spamd_address = ${if def:acl_m_spamd {$acl_m_spamd}{none}}
acl_smtp_rcpt = accept
acl_smtp_data = scan
begin acl
scan:
  accept condition = ${if !match{$header_subject:}{virus}}
         acl = spam
  warn   malware = *
         logwrite = clamd file: $malware_name
  warn   set acl_m_scanner = clamd:127.0.0.1 CLAMPORT
         malware = *
         logwrite = clamd stream: $malware_name
  warn   set acl_m_scanner = clamd:127.0.0.1 CLAMPORT:local
         malware = *
         logwrite = clamd local: $malware_name
  accept logwrite = done failed=$av_failed
spam:
  warn   set acl_m_spamd = 127.0.0.1 SPAMPORT
         spam = nobody:true/defer_ok
         logwrite = spamd: $spam_score $spam_score_int $spam_bar $spam_action
  warn   spam = nobody/defer_ok
         logwrite = spamd says spam
  warn   set acl_m_spamd = 127.0.0.1 RSPAMPORT variant=rspamd
         spam = nobody:true/defer_ok
         logwrite = rspamd: $spam_score $spam_score_int $spam_bar $spam_action ${if match{$spam_report}{MARKER}{MARKER}}
  accept
`

const rspamdScanning = `
options { pidfile = "DIR/rspamd.pid"; url_tld = "DIR/tld"; disable_hyperscan = true; filters = "regexp"; control_socket = "DIR/rspamd.socket mode=0600";
  local_addrs = []; dns { nameserver = ["127.0.0.1:9:1"]; timeout = 1s; } }
logging { type = "file"; filename = "DIR/rspamd.log"; level = "info"; }
worker "normal" { bind_socket = "127.0.0.1:PORT"; count = 1; }
metric { name = "default"; actions { reject = 15; add_header = 6; greylist = 4; } symbol "MARKER" { weight = 12.5; } }
regexp { MARKER = "/SPAM-MARKER-STRING/P"; }
`

// scanners are the real daemons, with nothing but a signature or a rule for a marker.
type scanners struct {
	*testing.T
	place *blackbox.Place
}

// start starts a daemon and waits until it listens; without its program the test is skipped.
func (s *scanners) start(port string, args ...string) {
	s.Helper()
	path, err := exec.LookPath(args[0])
	if err != nil {
		s.Skip(args[0] + " is not installed")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, path, args[1:]...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	if err := cmd.Start(); err != nil {
		s.Skip(err)
	}
	ended := make(chan struct{})
	go func() {
		cmd.Wait()
		close(ended)
	}()
	s.Cleanup(func() {
		cancel()
		<-ended
	})
	s.place.Wait(args[0], func() bool {
		select {
		case <-ended:
			s.Skip(args[0] + " does not start: " + s.place.Read("daemon.log"))
		default:
		}
		c, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

func (s *scanners) write(name, text string) string {
	path := s.place.Path(name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		s.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(text, "DIR", s.place.Dir)), 0o644); err != nil {
		s.Fatal(err)
	}
	return path
}

func (s *scanners) clamd(port string) {
	s.write("clam/test.ndb", "Exigo.Marker-1:0:*:"+hex.EncodeToString([]byte("VIRUS-MARKER-STRING"))+"\n")
	text := "LocalSocket DIR/clamd.socket\nLocalSocketMode 666\nTCPAddr 127.0.0.1\nTCPSocket " + port + "\nDatabaseDirectory DIR/clam\nLogFile DIR/daemon.log\nForeground yes\n"
	if me, err := user.Current(); err == nil && me.Uid == "0" {
		text += "User root\n" // the spool is readable for its owner's group only
	}
	s.start(port, "clamd", "-c", s.write("clamd.conf", text))
}

func (s *scanners) spamd(port string) {
	s.write("sa/site/init.pre", "loadplugin Mail::SpamAssassin::Plugin::Check\n")
	s.write("sa/rules/10.cf", "required_score 5\nuse_bayes 0\nbody MARKER /SPAM-MARKER-STRING/\nscore MARKER 12.5\n")
	s.start(port, "spamd", "-L", "-x", "-C", s.place.Path("sa/rules"), "--siteconfigpath="+s.place.Path("sa/site"), "-i", "127.0.0.1", "-p", port, "-m", "1", "-s", s.place.Path("daemon.log"))
}

func (s *scanners) rspamd(port string) {
	s.write("tld", "com\nexample\n")
	who := "root"
	if me, err := user.Current(); err == nil {
		who = me.Username
	}
	s.start(port, "rspamd", "-f", "-i", "-u", who, "-g", who, "-c", s.write("rspamd.conf", strings.ReplaceAll(rspamdScanning, "PORT", port)))
}

// TestScanners: clamd by all ways to give it a message, spamd, and rspamd.
func TestScanners(t *testing.T) {
	p := blackbox.New(t)
	p.Folder("spool")
	p.Folder("log")
	clam, spam, rspam := p.Port(), p.Port(), p.Port()
	configuration := p.Configure("conf", scanConfiguration, "RSPAMPORT", rspam, "SPAMPORT", spam, "CLAMPORT", clam)
	send := func(t *testing.T, subject, body string) string {
		t.Helper()
		before := len(p.Read("log/main"))
		in := "EHLO client\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@exigo.test>\r\nDATA\r\nFrom: a@b.example\r\nTo: c@exigo.test\r\nDate: Sun, 22 Nov 2020 12:00:00 +0000\r\n" +
			"Message-ID: <1@b.example>\r\nSubject: " + subject + "\r\n\r\n" + body + "\r\n.\r\nQUIT\r\n"
		if out, err := p.Run(in, "-C", configuration, "-oMa", "192.0.2.1", "-bs"); err != nil || !strings.Contains(out, "250 OK id=") {
			t.Fatalf("%v\n%s\n%s", err, out, p.Read("log/main"))
		}
		return p.Read("log/main")[before:]
	}
	has := func(t *testing.T, log string, lines ...string) {
		t.Helper()
		for _, line := range lines {
			if !strings.Contains(log, " "+line+"\n") {
				t.Errorf("no line %q in\n%s", line, log)
			}
		}
	}
	t.Run("clamd", func(t *testing.T) {
		(&scanners{t, p}).clamd(clam)
		name := "Exigo.Marker-1.UNOFFICIAL"
		has(t, send(t, "virus", "x VIRUS-MARKER-STRING"), "clamd file: "+name, "clamd stream: "+name, "clamd local: "+name, "done failed=0")
		if log := send(t, "virus", "x VIRUS-MARKER"); strings.Contains(log, "clamd") {
			t.Error(log)
		}
		file := (&scanners{t, p}).write("sample", "x VIRUS-MARKER-STRING")
		if out, _ := p.Run("", "-C", configuration, "-bmalware", file); out != "Malware found: "+name+"\n" {
			t.Error(out)
		}
		if left, err := filepath.Glob(p.Path("spool/scan/*")); err != nil || len(left) > 0 {
			t.Error(left)
		}
	})
	t.Run("spamd", func(t *testing.T) {
		(&scanners{t, p}).spamd(spam)
		has(t, send(t, "x", "x SPAM-MARKER-STRING"), "spamd: 12.5 125 ++++++++++++ reject", "spamd says spam")
		log := send(t, "x", "x")
		if has(t, log, "spamd: 0.0 0 / no action"); strings.Contains(log, "says spam") {
			t.Error(log)
		}
	})
	t.Run("rspamd", func(t *testing.T) {
		(&scanners{t, p}).rspamd(rspam)
		has(t, send(t, "x", "x SPAM-MARKER-STRING"), "rspamd: 12.5 125 ++++++++++++ add header MARKER")
		has(t, send(t, "x", "x"), "rspamd: 0.0 0 / no action ")
	})
}
