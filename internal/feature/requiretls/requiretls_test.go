package requiretls_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"exigo/internal/catalog"
	"exigo/internal/feature/requiretls"
	"exigo/internal/mail"
	"exigo/internal/submit"
	"exigo/internal/testkit"
)

// host is a running exigo.
type host struct {
	t       *testing.T
	dir     string
	server  *catalog.Server
	address string
	end     func()
}

// start starts a host with a configuration to which the general options are added; $DIR is its folder.
func start(t *testing.T, world *testkit.Fake, text string) *host {
	t.Helper()
	h := &host{t: t, dir: t.TempDir()}
	path := filepath.Join(h.dir, "config")
	text = "exim_user = root\nkeep_environment =\nspool_directory = $DIR/spool\nlog_file_path = $DIR/%slog\nacl_smtp_rcpt = accept\nlimits_advertise_hosts =\n" + text
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(text, "$DIR", h.dir)), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var err error
	if h.server, err = catalog.Load(ctx, catalog.Request{World: world.World, Path: path, Alternate: true, Unprivileged: true}); err != nil {
		t.Fatal(err)
	}
	h.server.Delivery = submit.DeliverForeground
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h.address = l.Addr().String()
	var sessions sync.WaitGroup
	sessions.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			sessions.Go(func() { h.server.ServeSMTP(ctx, c, false) })
		}
	})
	h.end = sync.OnceFunc(func() { l.Close(); h.server.Pool.Close(); sessions.Wait(); cancel(); h.server.Close() })
	t.Cleanup(h.end)
	return h
}

// file returns a file of the host's, ids and directory made regular.
func (h *host) file(name string) string {
	data, _ := os.ReadFile(filepath.Join(h.dir, name))
	return testkit.Normalize(string(data), h.dir)
}

// certificate writes a key and a certificate for the name, which is its own authority.
func certificate(t *testing.T, name string) (file string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	pem.Encode(&b, &pem.Block{Type: "PRIVATE KEY", Bytes: secret})
	pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: der})
	file = filepath.Join(t.TempDir(), "cert.pem")
	if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// talk plays a client: lines are commands; what stands after " -> " is how the last line of the reply must begin. STARTTLS begins TLS. It returns the
// last reply to EHLO.
func (h *host) talk(script string) (hello string) {
	h.t.Helper()
	c, err := net.Dial("tcp", h.address)
	if err != nil {
		h.t.Fatal(err)
	}
	defer func() { c.Close() }()
	c.SetDeadline(time.Now().Add(30 * time.Second))
	in := bufio.NewReader(c)
	reply := func() (whole, last string) {
		for {
			line, err := in.ReadString('\n')
			whole += strings.TrimRight(line, "\r\n") + "\n"
			if err != nil || len(line) > 3 && line[3] == ' ' {
				return whole, strings.TrimSpace(line)
			}
		}
	}
	reply()
	for _, line := range strings.Split(strings.TrimSpace(script), "\n") {
		command, want, _ := strings.Cut(line, " -> ")
		c.Write([]byte(strings.ReplaceAll(command, "|", "\r\n") + "\r\n"))
		if command == "DATA" {
			want = "354"
		}
		whole, last := reply()
		if !strings.HasPrefix(last, want) {
			h.t.Errorf("%s: %s, want %s", command, last, want)
		}
		if strings.HasPrefix(command, "EHLO") {
			hello = whole
		}
		if command == "STARTTLS" {
			c = tls.Client(c, &tls.Config{InsecureSkipVerify: true})
			in = bufio.NewReader(c)
		}
	}
	return hello
}

const receiving = `
primary_hostname = mx.there.test
tls_certificate = $CERT
dsn_advertise_hosts = *
received_header_text = Received: with $received_protocol requiretls=$requiretls
begin routers
local:
  driver = accept
  transport = file
begin transports
file:
  driver = appendfile
  file = $DIR/mbox
`

func TestOffer(t *testing.T) {
	cert := certificate(t, "mx.there.test")
	text := strings.ReplaceAll(receiving, "$CERT", cert)
	h := start(t, testkit.NewWorld(t), text)
	clear := h.talk("EHLO c\nMAIL FROM:<a@b.test> REQUIRETLS -> 501\nQUIT -> 221")
	inside := h.talk("EHLO c\nSTARTTLS -> 220\nEHLO c\nMAIL FROM:<a@b.test> REQUIRETLS=x -> 501\nMAIL FROM:<a@b.test> REQUIRETLS RET=FULL -> 250\n" +
		"RCPT TO:<u@there.test> -> 250\nDATA\nSubject: x||text|. -> 250\nQUIT -> 221")
	if strings.Contains(clear, "REQUIRETLS") || !strings.Contains(inside, "REQUIRETLS\n") {
		t.Errorf("offered in clear %v, inside TLS %v", clear, inside)
	}
	none := start(t, testkit.NewWorld(t), "tls_advertise_requiretls = :\n"+text)
	if hello := none.talk("EHLO c\nSTARTTLS -> 220\nEHLO c\nMAIL FROM:<a@b.test> REQUIRETLS -> 501\nQUIT -> 221"); strings.Contains(hello, "REQUIRETLS") {
		t.Errorf("offered all the same: %s", hello)
	}
	h.end()
	if log := h.file("mainlog"); !strings.Contains(log, " P=esmtpS ") {
		t.Errorf("log:\n%s", log)
	}
	if mbox := h.file("mbox"); !strings.Contains(mbox, "Received: with esmtpS requiretls=yes;") {
		t.Errorf("mailbox:\n%s", mbox)
	}
}

const sending = `
primary_hostname = here.test
received_header_text = Received: requiretls=$requiretls
ignore_bounce_errors_after = 0s
begin routers
remote:
  driver = manualroute
  domains = there.test
  route_list = * mx.there.test
  transport = smtp
dead:
  driver = accept
  domains = dead.test
  transport = smtp2
local:
  driver = accept
  transport = file
begin transports
smtp:
  driver = smtp
  tls_verify_certificates = $CA
smtp2:
  driver = smtp
  hosts = mx.there.test
  hosts_avoid_tls = *
file:
  driver = appendfile
  file = $DIR/mbox
begin retry
`

// TestOnward: a message with the obligation goes to who promises to keep it, and comes back, without its body, from everybody else.
func TestOnward(t *testing.T) {
	cert, other := certificate(t, "mx.there.test"), certificate(t, "mx.other.test")
	for _, x := range []struct{ name, acl, server, ca, recipient, want string }{
		{"kept", "data", "", cert, "u@there.test", ""},
		{"not offered", "mail", "tls_advertise_requiretls = :\n", cert, "u@there.test", "REQUIRETLS support is required from the server but it was not offered"},
		{"not verified", "predata", "", other, "u@there.test", "REQUIRETLS needed but the server's certificate is not verified"},
		{"no TLS", "data", "tls_advertise_hosts =\n", cert, "u@there.test", "REQUIRETLS needed but the connection is not encrypted"},
		{"TLS avoided", "mail", "", cert, "u@dead.test", "REQUIRETLS needed but the connection is not encrypted"},
	} {
		t.Run(x.name, func(t *testing.T) {
			there := start(t, testkit.NewWorld(t), x.server+strings.ReplaceAll(receiving, "$CERT", cert))
			world := testkit.NewWorld(t)
			world.Zones.Add("mx.there.test. A 192.0.2.10")
			world.Network.Map("192.0.2.10:25", there.address)
			here := start(t, world, "acl_smtp_"+x.acl+" = accept control = requiretls"+strings.ReplaceAll(sending, "$CA", x.ca))
			here.talk("EHLO c\nMAIL FROM:<a@here.test> -> 250\nRCPT TO:<" + x.recipient + "> -> 250\nDATA\nSubject: x||secret|. -> 250\nQUIT -> 221")
			here.end()
			there.end()
			log := here.file("mainlog")
			if x.want == "" {
				if got := there.file("mbox"); !strings.Contains(got, "Received: with esmtpS requiretls=yes;") || !strings.Contains(got, "secret") {
					t.Errorf("there:\n%s\nlog here:\n%s\nlog there:\n%s", got, log, there.file("mainlog"))
				}
				return
			}
			if got := there.file("mbox"); got != "" {
				t.Errorf("it was sent:\n%s", got)
			}
			report := here.file("mbox")
			for _, part := range []string{"Status: 5.7.30\n", "Diagnostic-Code: smtp; 550 5.7.30 REQUIRETLS support required\n", x.want, "Subject: x\n", "\nReceived: requiretls=yes;"} {
				if !strings.Contains(report, part) {
					t.Errorf("the report has no %q:\n%s\nlog:\n%s", part, report, log)
				}
			}
			if strings.Contains(report, "secret") {
				t.Errorf("the report carries the body:\n%s", report)
			}
		})
	}
}

// TestSpool: the obligation survives in the spool.
func TestSpool(t *testing.T) {
	field := requiretls.Feature().Fields[0]
	m := &mail.Message{Protocol: "esmtps"}
	if _, present := field.Write(m); present {
		t.Error("written without the obligation")
	}
	if err := field.Read(m, ""); err != nil {
		t.Error(err)
	}
	if value, present := field.Write(m); !present || value != "" || m.Protocol != "esmtps" {
		t.Errorf("%q %v %s", value, present, m.Protocol)
	}
}
