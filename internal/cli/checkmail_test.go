package cli

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"exigo/internal/proto/dkim"
	"exigo/internal/testkit"
)

// signed signs a message with the key of RFC 8032 section 7.1, test 1.
func signed(t *testing.T, header, body string) string {
	key, err := dkim.ParsePrivateKey("nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=")
	if err != nil {
		t.Fatal(err)
	}
	s := dkim.Signing{Domain: "b.example", Selector: "sel", Key: key, Hash: "sha256", Names: []string{"From", "To"}}
	w := dkim.NewBody(s.Body, true)
	hash := w.Hash(sha256.New(), -1)
	io.WriteString(w, body)
	w.Close()
	field, err := s.Sign(rand.Reader, dkim.NewSection(strings.SplitAfter(strings.TrimSuffix(header, "\n"), "\n")), hash.Sum())
	if err != nil {
		t.Fatal(err)
	}
	return field + header + "\n" + body
}

// TestCheckMail has a stored message checked; all that is said is compared.
func TestCheckMail(t *testing.T) {
	world := testkit.NewWorld(t)
	world.Zones.Add(`
b.example.        TXT "v=spf1 mx -all"
b.example.        MX  10 mx.b.example.
mx.b.example.     A   192.0.2.1
sel._domainkey.b.example. TXT "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
_dmarc.b.example. TXT "v=DMARC1; p=reject"
`).Fail("broken.example", errors.New("SERVFAIL"))
	file := filepath.Join(t.TempDir(), "m")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	check := func(words ...string) string {
		var out bytes.Buffer
		if err := checkMail(append([]string{file}, words...), world.World, &out); err != nil {
			return err.Error()
		}
		return strings.ReplaceAll(out.String(), file, "FILE")
	}
	write("From x@y Thu Nov 19 17:00:07 2015\r\nReturn-Path: <a@b.example>\r\n" + strings.ReplaceAll(signed(t, "From: A <a@b.example>\nTo: c@d\n", "body\n"), "\n", "\r\n"))
	want := `message  FILE
client   192.0.2.1, HELO mx?.b.example, MAIL FROM:<a@b.example>

SPF      pass
           smtp.mailfrom = b.example
DKIM     pass
           header.a = ed25519-sha256
           header.d = b.example
           header.s = sel
ARC      none
DMARC    pass
           header.from = b.example

$arc_oldest_pass: 0
$dmarc_alignment_dkim: yes
$dmarc_alignment_spf: yes
$dmarc_domain_policy: reject
$dmarc_status: accept
$dmarc_status_text: Accept
$dmarc_used_domain: b.example
$spf_header_comment: mx.test: domain of b.example designates 192.0.2.1 as permitted sender

questions to the DNS: 5
  TXT   sel._domainkey.b.example
          v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=
  TXT   b.example
          v=spf1 mx -all
  MX    b.example
          10 mx.b.example
  A     mx.b.example
          192.0.2.1
  TXT   _dmarc.b.example
          v=DMARC1; p=reject

Authentication-Results: mx.test;
	spf=pass smtp.mailfrom=b.example;
	dkim=pass header.d=b.example header.s=sel header.a=ed25519-sha256;
	dmarc=pass header.from=b.example;
	arc=none
`
	if got := check("--ip", "192.0.2.1", "--helo=mx\x1b.b.example", "--name", "mx.test"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	var r mailReport
	if err := json.Unmarshal([]byte(check("--ip=2001:db8::1", "--from", "<a@broken.example>", "--json")), &r); err != nil {
		t.Fatal(err)
	}
	if r.File != "FILE" || r.IP != "2001:db8::1" || r.HELO != "[2001:db8::1]" || r.From != "a@broken.example" || len(r.Verdicts) != 4 || r.Verdicts[0].Result != "temperror" ||
		r.DNS[1].Error == "" || r.Variables["dmarc_status"] != "accept" || !strings.Contains(r.Results, "spf=temperror") {
		t.Errorf("%+v", r)
	}
	// the site's settings count
	site := filepath.Join(t.TempDir(), "site.conf")
	if err := os.WriteFile(site, []byte("HASH = sha256\nprimary_hostname = site.test\nspool_directory = "+t.TempDir()+"\ndmarc_tld_file =\ndkim_verify_keytypes = rsa\n"+
		"dkim_verify_hashes = HASH\nspf_smtp_comment_template = told by $primary_hostname\ndmarc_history_file = /nonexistent/history\nacl_smtp_data = data\nbegin acl\ndata:\n  deny\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for words, want := range map[string]string{"--ip=192.0.2.9": "Authentication-Results: site.test;\n\tspf=fail smtp.mailfrom=b.example;\n\tarc=none\n",
		"--ip=192.0.2.9 --name=mx.test": "$dmarc_status_text: Verification is off\n$spf_header_comment: mx.test: domain of b.example does not designate 192.0.2.9 as permitted sender\n$spf_smtp_comment: told by mx.test : "} {
		if got := check(append(strings.Fields(words), "-C", site)...); !strings.Contains(got, want) {
			t.Errorf("%s: %s", words, got)
		}
	}
	if got := check("--ip=192.0.2.9", "-C", "/nonexistent/file"); !strings.Contains(got, "non-existent configuration file") {
		t.Error(got)
	}
	for _, words := range [][]string{{}, {"--ip"}, {"--ip", "x"}, {"--ip=1.2.3.4", "second"}, {"--ip=1.2.3.4", "--what", "x"}, {"--ip=1.2.3.4", "--name", "a b"}} {
		if got := check(words...); !strings.HasPrefix(got, "usage: ") && !strings.HasPrefix(got, "malformed IP") {
			t.Errorf("%q: %s", words, got)
		}
	}
	write("no header\x00")
	if got := check("--ip=192.0.2.9", "--json"); !strings.Contains(got, `"method": "spf"`) {
		t.Error(got)
	}
	if left, _ := filepath.Glob(filepath.Join(os.TempDir(), "exigo-check-mail-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestCheckMailHostile: what a message can ask of us is bounded, and nothing of it passes.
func TestCheckMailHostile(t *testing.T) {
	set := func(i int, tags string) string {
		return fmt.Sprintf("ARC-Seal: i=%[1]d; a=rsa-sha256; cv=pass; d=d%[1]d.example; s=s; b=AAAA%[2]s\nARC-Message-Signature: i=%[1]d; a=rsa-sha256; c=relaxed/simple; d=d%[1]d.example; "+
			"s=s; h=from; bh=AAAA; b=AAAA%[2]s\nARC-Authentication-Results: i=%[1]d; d%[1]d.example; spf=pass\n", i, tags)
	}
	var sets, lengths strings.Builder
	for i := range 50 {
		sets.WriteString(set(i+1, ""))
		lengths.WriteString(set(i+1, fmt.Sprintf("; l=%d", 1000*i)))
	}
	const from = "From: a@b.example\n"
	signature := "DKIM-Signature: v=1; a=rsa-sha256; d=%d.example; s=s; h=from; bh=frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY=; b=AAAA\n"
	var signatures strings.Builder
	for i := range 2000 {
		fmt.Fprintf(&signatures, signature, i)
	}
	for name, head := range map[string]string{
		"sets": sets.String(), "lengths": lengths.String(), "the same set": strings.Repeat(set(1, ""), 1000), "set 51": set(51, ""), "signatures": signatures.String(),
		"nesting": "Authentication-Results: " + strings.Repeat("(", 50000) + "\n", "tags": "ARC-Seal: " + strings.Repeat("i=1;", 20000) + "\nDKIM-Signature: " + strings.Repeat("a=;", 20000) + "\n",
		"includes": "Return-Path: <a@loop.example>\n",
	} {
		world := testkit.NewWorld(t)
		world.Zones.Add(`loop.example. TXT "v=spf1 include:loop.example include:loop.example -all"` + "\n")
		file := filepath.Join(t.TempDir(), "m")
		if err := os.WriteFile(file, []byte(head+from+"\n"+strings.Repeat("body\n", 20000)), 0o600); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		var r mailReport
		if err := checkMail([]string{file, "--ip=192.0.2.1", "--json"}, world.World, &out); err != nil {
			t.Errorf("%s: %v", name, err)
		} else if err := json.Unmarshal(out.Bytes(), &r); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if len(r.Verdicts) < 3 || len(r.DNS) > 40 {
			t.Errorf("%s: %d verdicts, %d questions", name, len(r.Verdicts), len(r.DNS))
		}
		for _, v := range r.Verdicts {
			if v.Result == "pass" {
				t.Errorf("%s: %+v", name, v)
			}
		}
	}
}
