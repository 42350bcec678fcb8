package interop

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"exigo/internal/proto/dkim"
	"exigo/internal/testkit"

	mdns "github.com/miekg/dns"
)

// signatures is what the parts of TestDKIM share: two keys, and messages signed with them by us.
type signatures struct {
	*testing.T
	dir                 string
	keys                map[string]*dkim.PrivateKey
	records             map[string]string
	rsaFile, edSeed     string
	messages            []string
	signed              []string // ours, all of them good
	signedBy            []string // what each is
	changedBody, header string
}

// What some counterparts do not get right: a space before the colon (RFC 5322 section 4.5.3), which dkimpy refuses and Exim does not see; the second of
// two fields of a name, which rspamd 3.4 takes for the first.
const (
	obsolete = "x-other :"
	twice    = "Subject: second\r\n"
)

func TestDKIM(t *testing.T) {
	s := &signatures{T: t, dir: t.TempDir(), keys: map[string]*dkim.PrivateKey{}, records: map[string]string{}}
	s.makeKeys()
	odd := "From: Joe <joe@a.example>,\r\n  \"x : y\"\t<x@a.example>\r\nTo:b@b.example\r\nSubject:\r\n\tfolded \t  header  \r\n more\r\nX-Odd: \r\nx-other:  \xc3\xbc \t\r\nDate: Thu, 1 Jan 2026 00:00:00 +0000\r\n"
	plain := "From: joe@a.example\r\nTo: b@b.example\r\nSubject: plain\r\nDate: Thu, 1 Jan 2026 00:00:00 +0000\r\nMessage-Id: <1@a.example>\r\n"
	for _, header := range []string{plain, odd, odd + twice, strings.Replace(odd, "x-other:", obsolete, 1) + twice} {
		for _, body := range []string{"hello\r\n", "", "\r\n\r\n", " two  spaces \t\r\n\r\n.dot\r\n\ttab \r\n\r\n\r\n"} {
			s.messages = append(s.messages, header+"\r\n"+body)
		}
	}
	s.signAll()
	s.changedBody, s.header = strings.Replace(s.signed[0], "hello", "hallo", 1), strings.Replace(s.signed[0], "Subject: plain", "Subject: plan", 1)
	for i, m := range s.signed {
		s.good("ours "+s.signedBy[i], m)
	}
	t.Run("dkimpy", s.dkimpy)
	t.Run("Mail-DKIM", s.mailDKIM)
	t.Run("Exim", s.exim)
	t.Run("rspamd", s.rspamd)
	t.Run("rspamd signs", s.rspamdSigns)
}

func (s *signatures) makeKeys() {
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		s.Fatal(err)
	}
	public, _ := x509.MarshalPKIXPublicKey(r.Public())
	edPublic, ed, _ := ed25519.GenerateKey(rand.Reader)
	edDER, _ := x509.MarshalPKCS8PrivateKey(ed)
	s.rsaFile, s.edSeed = filepath.Join(s.dir, "rsa"), base64.StdEncoding.EncodeToString(ed.Seed())
	s.records["rsa"] = "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(public)
	s.records["ed"] = "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(edPublic)
	for name, block := range map[string]*pem.Block{"rsa": {Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(r)}, "ed": {Type: "PRIVATE KEY", Bytes: edDER}} {
		text := pem.EncodeToMemory(block)
		if err := os.WriteFile(filepath.Join(s.dir, name), text, 0o644); err != nil {
			s.Fatal(err)
		}
		if s.keys[name], err = dkim.ParsePrivateKey(string(text)); err != nil {
			s.Fatal(err)
		}
	}
}

// signAll signs each message in all ways.
func (s *signatures) signAll() {
	for i, message := range s.messages {
		fields, body := fieldsOf(message)
		for _, selector := range []string{"rsa", "ed"} {
			for _, form := range []string{"simple/simple", "simple/relaxed", "relaxed/simple", "relaxed/relaxed"} {
				header, canon, _ := dkim.ParseCanonicalization(form)
				g := &dkim.Signing{Domain: "a.example", Selector: selector, Key: s.keys[selector], Hash: "sha256", Header: header, Body: canon, Names: strings.Split("From:+Subject:To:+X-Odd:=x-other:Date", ":")}
				if i%2 == 0 {
					g.Identity, g.Created, g.Expires = "joe@sub.a.example", time.Now().Unix(), time.Now().Unix()+3600
				}
				b := dkim.NewBody(canon, false)
				h := b.Hash(g.Algorithm().CryptoHash().New(), -1)
				io.WriteString(b, body)
				b.Close()
				line, err := g.Sign(rand.Reader, dkim.NewSection(fields), h.Sum())
				if err != nil {
					s.Fatal(err)
				}
				s.signed = append(s.signed, strings.ReplaceAll(line, "\n", "\r\n")+message)
				s.signedBy = append(s.signedBy, fmt.Sprintf("%d %s %s", i, selector, form))
			}
		}
	}
}

// good verifies a message with our verifier.
func (s *signatures) good(what, message string) {
	s.Helper()
	fields, body := fieldsOf(message)
	v, err := dkim.NewVerifier(dkim.Policy{Expiry: true, Now: time.Now()}, fields)
	if err != nil {
		s.Fatal(err)
	}
	io.WriteString(v, body)
	v.Close()
	results, err := v.Verify(context.Background(), func(_ context.Context, name string) ([]string, error) {
		selector, _, _ := strings.Cut(name, ".")
		return []string{s.records[selector]}, nil
	})
	if err != nil || len(results) != 1 || results[0].Reason != dkim.Good {
		s.Errorf("%s: %v\n%.1500s", what, err, message)
		for _, r := range results {
			s.Logf("%d %v", r.Reason, r.Err)
		}
	}
}

// both lets a counterpart verify ours, and verifies what it signs.
func (s *signatures) both(t *testing.T, c *counterpart, selectors, extras []string, without string) {
	part := &signatures{T: t, records: s.records}
	for i, m := range s.signed {
		if without != "" && strings.Contains(m, without) {
			continue
		}
		if selector := strings.Fields(s.signedBy[i])[1]; selector == "ed" && len(selectors) == 1 {
			continue
		}
		if got := c.ask("verify", m); !strings.HasPrefix(got, "pass") {
			t.Errorf("ours, %s: %s\n%s", s.signedBy[i], got, m)
		}
	}
	for _, changed := range []string{s.changedBody, s.header} {
		if got := c.ask("verify", changed); strings.HasPrefix(got, "pass") {
			t.Errorf("changed: %s", got)
		}
	}
	for i, m := range s.messages {
		if without != "" && strings.Contains(m, without) {
			continue
		}
		for _, selector := range selectors {
			for _, form := range []string{"simple simple", "simple relaxed", "relaxed simple", "relaxed relaxed"} {
				for _, extra := range extras {
					line := c.ask("sign "+selector+" "+form+" "+extra, m)
					if !strings.HasPrefix(line, "DKIM-Signature:") {
						t.Fatalf("%d %s %s: %s", i, selector, form, line)
					}
					part.good(fmt.Sprintf("%d %s %s %s", i, selector, form, extra), line+m)
				}
			}
		}
	}
}

func (s *signatures) dkimpy(t *testing.T) {
	c := startCounterpart(t, []string{"/usr/bin/python3", "-c", "import dkim, nacl.signing"}, "/usr/bin/python3", "testdata/signatures.py", s.rsaFile, s.edSeed, s.records["rsa"], s.records["ed"])
	s.both(t, c, []string{"rsa", "ed"}, []string{"none", "length", "identity"}, obsolete)
}

func (s *signatures) mailDKIM(t *testing.T) {
	c := startCounterpart(t, []string{"perl", "-MMail::DKIM", "-e1"}, "perl", "testdata/signatures.pl", s.rsaFile, s.records["rsa"])
	s.both(t, c, []string{"rsa"}, []string{"none", "expires"}, "")
}

// serveDNS answers for the key records on port 53 of a loopback address, and returns a file that a process can have as its resolv.conf.
func (s *signatures) serveDNS(t *testing.T) (address, file string) {
	if os.Geteuid() != 0 {
		t.Skip("a name server on port 53 and a resolv.conf of its own need root")
	}
	address = fmt.Sprintf("127.53.%d.%d", os.Getpid()>>8&255, os.Getpid()&127+1)
	handler := mdns.HandlerFunc(func(w mdns.ResponseWriter, m *mdns.Msg) {
		reply := new(mdns.Msg).SetReply(m)
		q := m.Question[0]
		selector, rest, _ := strings.Cut(q.Name, ".")
		switch record := s.records[selector]; {
		case rest != "_domainkey.a.example.":
			reply.Rcode = mdns.RcodeNameError
		case q.Qtype == mdns.TypeTXT:
			txt := &mdns.TXT{Hdr: mdns.RR_Header{Name: q.Name, Rrtype: mdns.TypeTXT, Class: mdns.ClassINET, Ttl: 60}}
			for len(record) > 255 {
				txt.Txt, record = append(txt.Txt, record[:255]), record[255:]
			}
			txt.Txt = append(txt.Txt, record)
			reply.Answer = append(reply.Answer, txt)
		}
		w.WriteMsg(reply)
	})
	packets, err := net.ListenPacket("udp", address+":53")
	if err != nil {
		t.Skipf("no name server on port 53: %v", err)
	}
	started := make(chan struct{})
	server := &mdns.Server{PacketConn: packets, Handler: handler, NotifyStartedFunc: func() { close(started) }}
	go server.ActivateAndServe()
	<-started
	t.Cleanup(func() { server.Shutdown() })
	file = filepath.Join(s.dir, "resolv.conf")
	if err := os.WriteFile(file, []byte("nameserver "+address+"\noptions timeout:5\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return address, file
}

const eximConfiguration = `
primary_hostname = mx.b.example
spool_directory = DIR/exim
log_file_path = DIR/exim/%slog
exim_user = Debian-exim
keep_environment =
deliver_drop_privilege
tls_advertise_hosts =
host_lookup =
rfc1413_query_timeout = 0s
smtp_accept_max_per_connection = 10000
log_selector = +dkim_verbose
QUEUE
acl_smtp_rcpt = accept
begin routers
all:
  driver = accept
  transport = out
begin transports
out:
  driver = smtp
  hosts = 127.0.0.1
  port = PORT
  allow_localhost
  hosts_try_chunking = :
  headers_remove = received
  dkim_domain = a.example
  dkim_selector = SELECTOR
  dkim_private_key = DIR/SELECTOR
  dkim_canon = CANON
  dkim_sign_headers = From:+Subject:To:+X-Odd:=x-other:Date
`

// exim lets Exim verify ours in one SMTP session, and verifies what it sends.
func (s *signatures) exim(t *testing.T) {
	if _, err := exec.LookPath("exim4"); err != nil {
		t.Skip("exim4 is not installed")
	}
	_, resolv := s.serveDNS(t)
	account, err := user.Lookup("Debian-exim")
	if err != nil {
		t.Skip("there is no user Debian-exim")
	}
	uid, _ := strconv.Atoi(account.Uid)
	gid, _ := strconv.Atoi(account.Gid)
	// everything up to the folder must be open to Exim's user
	dir := s.open(t, uid, gid)
	sink := testkit.NewSink(t)
	configure := func(values ...string) string {
		path := filepath.Join(dir, "exim.conf")
		text := strings.NewReplacer(append(values, "DIR", dir, "PORT", sink.Address[strings.LastIndexByte(sink.Address, ':')+1:])...).Replace(eximConfiguration)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	s.eximVerifies(t, configure("QUEUE", "queue_only", "SELECTOR", "rsa", "CANON", "simple"), resolv)
	part := &signatures{T: t, records: s.records}
	for i, m := range s.messages {
		for _, selector := range []string{"rsa", "ed"} {
			for _, canon := range []string{"simple", "relaxed"} {
				if _, body := fieldsOf(m); canon == "simple" && strings.Trim(body, "\r\n") == "" || strings.Contains(m, obsolete) {
					continue // Exim signs nothing where RFC 6376 section 3.4.3 wants a CRLF signed
				}
				path := configure("QUEUE", "", "SELECTOR", selector, "CANON", canon)
				ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
				cmd := exec.CommandContext(ctx, "setpriv", "--reuid", account.Uid, "--regid", account.Gid, "--clear-groups", "exim4", "-C", path, "-odf", "-oi", "-f", "joe@a.example", "b@b.example")
				cmd.Stdin = strings.NewReader(strings.ReplaceAll(m, "\r\n", "\n"))
				out, err := cmd.CombinedOutput()
				cancel()
				received := sink.Messages()
				if err != nil || len(received) == 0 {
					log, _ := os.ReadFile(filepath.Join(dir, "exim/mainlog"))
					t.Fatalf("%d %s %s: %v %s\n%s", i, selector, canon, err, out, log)
				}
				part.good(fmt.Sprintf("Exim's %d %s %s", i, selector, canon), strings.ReplaceAll(received[len(received)-1].Data, "\n", "\r\n"))
			}
		}
	}
}

// open makes a folder that Exim's user can work in.
func (s *signatures) open(t *testing.T, uid, gid int) string {
	dir, err := os.MkdirTemp("", "dkim")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	os.Chmod(dir, 0o755)
	os.Mkdir(filepath.Join(dir, "exim"), 0o755)
	os.Chown(filepath.Join(dir, "exim"), uid, gid)
	for _, name := range []string{"rsa", "ed"} {
		text, err := os.ReadFile(filepath.Join(s.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		os.WriteFile(filepath.Join(dir, name), text, 0o644)
	}
	return dir
}

func (s *signatures) eximVerifies(t *testing.T, path, resolv string) {
	var in bytes.Buffer
	in.WriteString("EHLO client\r\n")
	var all []string
	for i, m := range s.signed {
		_, body := fieldsOf(m)
		if !strings.Contains(m, obsolete) && (body != "" || !strings.HasSuffix(s.signedBy[i], "/simple")) {
			all = append(all, m)
		}
	}
	good := len(all)
	all = append(all, s.changedBody, s.header)
	for _, m := range all {
		in.WriteString("MAIL FROM:<joe@a.example>\r\nRCPT TO:<b@b.example>\r\nDATA\r\n" + strings.ReplaceAll(m, "\r\n.", "\r\n..") + ".\r\n")
	}
	in.WriteString("QUIT\r\n")
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "unshare", "-m", "sh", "-c", "mount --bind "+resolv+" /etc/resolv.conf && exec exim4 -C "+path+" -bs -oMa 192.0.2.1")
	cmd.Stdin = &in
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Skipf("Exim does not run with a resolv.conf of its own: %v %s", err, out)
	}
	log, err := os.ReadFile(filepath.Join(filepath.Dir(path), "exim/mainlog"))
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(string(log)) {
		if strings.Contains(line, " DKIM: d=") {
			lines = append(lines, line)
		}
	}
	// a signature with an identity of its own is reported once, as there is no ACL
	if len(lines) != len(all) {
		t.Fatalf("%d lines for %d messages:\n%s", len(lines), len(all), log)
	}
	for i, line := range lines {
		want := "[verification succeeded]"
		if i >= good {
			want = "[verification failed"
		}
		if !strings.Contains(line, want) {
			t.Errorf("%d: %s", i, line)
		}
	}
}

const rspamdConfiguration = `
options {
  pidfile = "DIR/rspamd.pid"; url_tld = "DIR/tld"; disable_hyperscan = true; filters = "dkim"; control_socket = "DIR/rspamd.socket mode=0600";
  local_addrs = []; dns { nameserver = ["DNS:53:1"]; timeout = 5s; }
}
logging { type = "file"; filename = "DIR/rspamd.log"; level = "info"; }
worker "normal" { bind_socket = "127.0.0.1:PORT"; count = 1; }
dkim { check_local = true; check_authed = true; }
`

// rspamdSigns verifies what rspamd signs: half of the messages, in the one form that it writes, relaxed/relaxed with RSA.
func (s *signatures) rspamdSigns(t *testing.T) {
	if _, err := exec.LookPath("rspamadm"); err != nil {
		t.Skip("rspamd is not installed")
	}
	part := &signatures{T: t, records: s.records}
	file := filepath.Join(t.TempDir(), "message")
	for i, m := range s.messages {
		if strings.Contains(m, twice) || strings.Contains(m, obsolete) || i%2 == 1 {
			continue // a start of rspamadm takes a second
		}
		if err := os.WriteFile(file, []byte(m), 0o644); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command("rspamadm", "mime", "sign", "-d", "a.example", "-s", "rsa", "-o", "signature", "-k", s.rsaFile, file).Output()
		if err != nil {
			t.Fatalf("rspamadm: %v", err)
		}
		value := strings.TrimSpace(strings.ReplaceAll(string(out), "\r\n", "\n"))
		value = strings.TrimSpace(strings.TrimPrefix(value, "DKIM-Signature:"))
		part.good(fmt.Sprintf("rspamd's, %d", i), "DKIM-Signature: "+strings.ReplaceAll(value, "\n", "\r\n")+"\r\n"+m)
	}
}

// rspamd verifies ours.
func (s *signatures) rspamd(t *testing.T) {
	if _, err := exec.LookPath("rspamd"); err != nil {
		t.Skip("rspamd is not installed")
	}
	address, _ := s.serveDNS(t)
	dir := t.TempDir()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	place := l.Addr().String()
	l.Close()
	_, port, _ := net.SplitHostPort(place)
	for name, text := range map[string]string{"tld": "com\nexample\n", "conf": strings.NewReplacer("DIR", dir, "DNS", address, "PORT", port).Replace(rspamdConfiguration)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, "rspamd", "-f", "-i", "-u", "root", "-g", "root", "-c", filepath.Join(dir, "conf"))
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	if err := cmd.Start(); err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { cancel(); cmd.Wait() })
	client := &http.Client{Timeout: 30 * time.Second}
	scan := func(message string) (symbols map[string]any, err error) {
		r, err := client.Post("http://"+place+"/checkv2", "message/rfc822", strings.NewReader(message))
		if err != nil {
			return nil, err
		}
		defer r.Body.Close()
		var answer struct{ Symbols map[string]any }
		err = json.NewDecoder(r.Body).Decode(&answer)
		return answer.Symbols, err
	}
	end := time.Now().Add(time.Minute)
	for {
		if _, err = scan(s.messages[0]); err == nil {
			break
		}
		if time.Now().After(end) {
			log, _ := os.ReadFile(filepath.Join(dir, "rspamd.log"))
			t.Skipf("rspamd does not start: %v\n%s", err, log)
		}
		time.Sleep(100 * time.Millisecond)
	}
	for i, m := range s.signed {
		if strings.Contains(m, twice) {
			continue
		}
		if symbols, err := scan(m); err != nil || symbols["R_DKIM_ALLOW"] == nil {
			t.Errorf("ours, %s: %v %v", s.signedBy[i], symbols, err)
		}
	}
	for _, m := range []string{s.changedBody, s.header} {
		if symbols, err := scan(m); err != nil || symbols["R_DKIM_REJECT"] == nil {
			t.Errorf("changed: %v %v", symbols, err)
		}
	}
}
