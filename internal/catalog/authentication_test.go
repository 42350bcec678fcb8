package catalog

import (
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"exigo/internal/outside"
	"exigo/internal/proto/arc"
	"exigo/internal/proto/dkim"
	"exigo/internal/testkit"
)

// page is the configuration of docs/authentication.md at work.
type page struct {
	*testing.T
	env      *testkit.Environment
	instance *testkit.Instance
	sink     *testkit.Sink
	key      *dkim.PrivateKey
}

const pageZone = `
example.org.           MX 10 mx.example.org.
mx.example.org.        A 192.0.2.99
pass.example.          TXT "v=spf1 ip4:192.0.2.1 -all"
pass.example.          MX 10 sink.test.
_dmarc.pass.example.   TXT "v=DMARC1; p=reject"
fail.example.          TXT "v=spf1 -all"
_dmarc.fail.example.   TXT "v=DMARC1; p=reject"
elsewhere.example.     MX 10 sink.test.
sink.test.             A 192.0.2.25
`

// newPage starts the documented configuration, with its files and its user in a folder.
func newPage(t *testing.T) *page {
	text, err := os.ReadFile("../../docs/authentication.md")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile("(?s)\n```exim\n(.*?)\n```\n").FindSubmatch(text)
	if found == nil {
		t.Fatal("the page has no configuration")
	}
	dir := t.TempDir()
	p := &page{T: t, env: &testkit.Environment{Directory: dir, World: testkit.NewWorld(t), Configuration: filepath.Join(dir, "config")}, sink: testkit.NewSink(t)}
	private := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	der, _ := x509.MarshalPKCS8PrivateKey(private)
	key := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	if p.key, err = dkim.ParsePrivateKey(key); err != nil {
		t.Fatal(err)
	}
	record := ` TXT "v=DKIM1; k=ed25519; p=` + base64.StdEncoding.EncodeToString(private.Public().(ed25519.PublicKey)) + "\"\n"
	p.env.World.Zones.Add(pageZone + "mail._domainkey.example.org." + record + "list._domainkey.lists.example.net." + record)
	p.env.World.Network.Map("192.0.2.25:25", p.sink.Address)
	prefix := "exim_user = root\nkeep_environment =\nspool_directory = " + dir + "/spool\nlog_file_path = " + dir + "/log/%slog\ntls_advertise_hosts =\nhosts_proxy = 127.0.0.1\n"
	for name, data := range map[string]string{"config": prefix + strings.NewReplacer("/etc/exigo", dir, "/var/mail", dir+"/mail").Replace(string(found[1])),
		"dkim.pem": key, "aliases": "fwd: someone@elsewhere.example\n", "users": "joe: joe\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, d := range []string{"spool", "log", "mail"} {
		os.Mkdir(filepath.Join(dir, d), 0o750)
	}
	p.instance = startScript(t, p.env)
	return p
}

// send sends a message from a host and wants a reply to RCPT, and to the data if that is accepted.
func (p *page) send(ip, from, to, data, rcpt, after string) {
	p.Helper()
	c, err := p.instance.Connect()
	if err != nil {
		p.Fatal(err)
	}
	defer c.Close()
	talk := "C: PROXY TCP4 " + ip + " 192.0.2.99 1234 25\nS: 220...\nC: HELO client.example\nS: 250...\n" +
		"C: MAIL FROM:<" + from + ">\nS: 250 OK\nC: RCPT TO:<" + to + ">\nS: " + rcpt + "\n"
	if after != "" {
		talk += "C: DATA\nS: 354...\n"
		for line := range strings.Lines(data) {
			talk += "C: " + strings.TrimSuffix(line, "\n") + "\n"
		}
		talk += "C: .\nS: " + after + "\n"
	}
	if err := testkit.Converse(c, testkit.Client, talk+"C: QUIT\nS: 221..."); err != nil {
		p.Errorf("%s to %s: %v", from, to, err)
	}
}

// txt answers from the zone.
func (p *page) txt(ctx context.Context, name string) ([]string, error) {
	a, err := p.env.World.Zones.Lookup(ctx, outside.Question{Name: name, Type: outside.TypeTXT})
	var out []string
	for _, r := range a.Records {
		out = append(out, r.Data)
	}
	return out, err
}

// fieldsOf splits a message.
func fieldsOf(message string) (fields []string, body string) {
	head, body, _ := strings.Cut(message, "\n\n")
	for line := range strings.Lines(head + "\n") {
		if n := len(fields); n > 0 && (line[0] == ' ' || line[0] == '\t') {
			fields[n-1] += line
		} else {
			fields = append(fields, line)
		}
	}
	return fields, body
}

// TestAuthenticationPage runs the configuration of docs/authentication.md.
func TestAuthenticationPage(t *testing.T) {
	p := newPage(t)
	const ok = "250 OK id=..."
	p.send("192.0.2.1", "a@fail.example", "joe@example.org", "", "550...", "")
	p.send("192.0.2.1", "a@pass.example", "x@elsewhere.example", "", "550 relay not permitted", "")
	// DMARC refuses what no list passed on
	p.send("192.0.2.1", "a@pass.example", "joe@example.org", "From: b@fail.example\n\nx\n", "250...", "550 message rejected by the policy of fail.example")
	// forged results go, others' stay
	const message = "Authentication-Results: Example.ORG; spf=pass smtp.mailfrom=bank.example\nAuthentication-Results: other.example; iprev=pass\n\tpolicy.iprev=2001:db8::1; spf=pass\n" +
		"From: a@pass.example\nTo: joe@example.org\nSubject: test\nMessage-ID: <1@pass.example>\n\nbody\n"
	p.send("192.0.2.1", "a@pass.example", "joe@example.org", message, "250...", ok)
	p.send("192.0.2.1", "a@pass.example", "fwd@example.org", message, "250...", ok)
	p.forwarded()
	p.listed()
	p.instance.Stop()
	inbox, _ := os.ReadFile(filepath.Join(p.env.Directory, "mail", "joe"))
	for _, want := range []string{"Authentication-Results: example.org;\n\tspf=pass smtp.mailfrom=pass.example;\n\tdmarc=pass header.from=pass.example;\n\tarc=none\n",
		"Authentication-Results: other.example; iprev=pass\n\tpolicy.iprev=2001:db8::1; spf=pass\n", "arc=pass (i=1) header.s=list arc.oldest-pass=1 smtp.remote-ip=192.0.2.1\n"} {
		if !strings.Contains(string(inbox), want) {
			t.Errorf("%q is missing in\n%s", want, inbox)
		}
	}
	if strings.Contains(string(inbox), "bank.example") {
		t.Errorf("forged results stay:\n%s", inbox)
	}
	if text, _ := os.ReadFile(filepath.Join(p.env.Directory, "log", "paniclog")); len(text) > 0 {
		t.Errorf("panic log:\n%s", text)
	}
}

// forwarded looks at what the next host gets, and sends it a bounce.
func (p *page) forwarded() {
	messages := p.sink.Messages()
	if len(messages) != 1 {
		log, _ := os.ReadFile(filepath.Join(p.env.Directory, "log", "mainlog"))
		p.Fatalf("%d messages forwarded\n%s", len(messages), log)
	}
	m := messages[0]
	sender := regexp.MustCompile(`^<(SRS0=[0-9a-f]{4}=[a-z2-7]{2}=pass\.example=a@example\.org)>`).FindStringSubmatch(m.From)
	if sender == nil {
		p.Fatalf("return path %q", m.From)
	}
	fields, body := fieldsOf(m.Data)
	v := arc.NewVerifier(fields, true)
	io.WriteString(v, body)
	v.Close()
	if o := v.Verify(context.Background(), p.txt, p.env.World.Clock.Now()); o.Result != arc.Pass || o.Domain != "example.org" || o.Selector != "mail" {
		p.Errorf("the chain: %+v\n%s", o, m.Data)
	}
	d, err := dkim.NewVerifier(dkim.Policy{OnlyLF: true, Now: p.env.World.Clock.Now()}, fields)
	if err != nil {
		p.Fatal(err)
	}
	io.WriteString(d, body)
	d.Close()
	if results, err := d.Verify(context.Background(), p.txt); err != nil || len(results) != 1 || results[0].Status() != "pass" || results[0].Domain != "example.org" {
		p.Errorf("the signature: %+v %v\n%s", results, err, m.Data)
	}
	if want := "ARC-Authentication-Results: i=1; example.org; smtp.remote-ip=192.0.2.1;\n\tspf=pass"; !strings.Contains(m.Data, want) || strings.Contains(m.Data, "bank.example") {
		p.Errorf("results:\n%s", m.Data)
	}
	p.send("192.0.2.25", "", sender[1], "From: <>\nSubject: bounce\n\nx\n", "250...", "250...")
	p.send("192.0.2.25", "", strings.Replace(sender[1], "=a@", "=b@", 1), "", "550...", "")
	if messages = p.sink.Messages(); len(messages) != 2 || messages[1].To[0] != "<a@pass.example>" {
		p.Errorf("the bounce went to %+v", messages[1:])
	}
}

// listed sends what a known list has changed, and what an unknown one claims.
func (p *page) listed() {
	fields, body := fieldsOf("From: b@fail.example\nSubject: [list] x\n\nx\nfooter\n")
	s := &arc.Seal{Domain: "lists.example.net", Selector: "list", Key: p.key, Results: "lists.example.net; dkim=pass header.d=fail.example", Names: []string{"from", "subject"}, Header: dkim.Relaxed}
	w, hash := s.NewBody(true)
	io.WriteString(w, body)
	w.Close()
	set, err := s.Set(fields, hash.Sum())
	if err != nil {
		p.Fatal(err)
	}
	message := set + strings.Join(fields, "") + "\n" + body
	p.send("192.0.2.1", "a@pass.example", "joe@example.org", message, "250...", "250 OK id=...")
	p.send("192.0.2.1", "a@pass.example", "joe@example.org", strings.Replace(message, "footer", "f00ter", 1), "250...", "550 message rejected by the policy of fail.example")
}
