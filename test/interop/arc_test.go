package interop

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"exigo/internal/proto/arc"
	"exigo/internal/proto/dkim"
)

// sealer seals messages for a domain, and verifies chains. Lines of messages end with CRLF.
type sealer interface {
	seal(domain, message string) string
	// verify gives the result, a space, and the reason.
	verify(message string) string
}

// counterpart is a program of others that answers requests; see testdata/arc.py.
type counterpart struct {
	*testing.T
	in  io.WriteCloser
	out *bufio.Reader
}

func (c *counterpart) ask(words, message string) string {
	c.Helper()
	fmt.Fprintf(c.in, "%s %d\n%s", words, len(message), message)
	var n int
	if _, err := fmt.Fscanf(c.out, "%d\n", &n); err != nil {
		c.Fatalf("%s: %v", words, err)
	}
	answer := make([]byte, n)
	if _, err := io.ReadFull(c.out, answer); err != nil {
		c.Fatal(err)
	}
	return string(answer)
}

func (c *counterpart) seal(domain, message string) string {
	set := c.ask("seal "+domain, message)
	if strings.HasPrefix(set, "error") {
		c.Fatalf("%s: %s", domain, set)
	}
	return set
}

func (c *counterpart) verify(message string) string { return c.ask("verify", message) }

// startCounterpart starts one; it is skipped where the library is missing.
func startCounterpart(t *testing.T, check []string, argv ...string) *counterpart {
	if err := exec.Command(check[0], check[1:]...).Run(); err != nil {
		t.Skipf("%s is missing: %v", check[len(check)-1], err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		cmd.Wait()
		cancel()
		if errs.Len() > 0 {
			t.Logf("%s: %.2000s", argv[0], errs.String())
		}
	})
	return &counterpart{t, in, bufio.NewReader(out)}
}

// ours is the program's own implementation.
type ours struct {
	*testing.T
	key    *dkim.PrivateKey
	record string
}

// fieldsOf splits a message with CRLF.
func fieldsOf(message string) (fields []string, body string) {
	head, body, _ := strings.Cut(message, "\r\n\r\n")
	for line := range strings.Lines(head + "\r\n") {
		if n := len(fields); n > 0 && (line[0] == ' ' || line[0] == '\t') {
			fields[n-1] += line
		} else {
			fields = append(fields, line)
		}
	}
	return fields, body
}

func (o *ours) seal(domain, message string) string {
	fields, body := fieldsOf(message)
	s := &arc.Seal{Domain: domain, Selector: "sel", Key: o.key, Header: dkim.Relaxed, Random: rand.Reader, Time: time.Now(),
		Names: arc.SignedNames(fields, []string{"from", "to", "subject", "dkim-signature"}, 100)}
	s.Results, s.Status, _ = arc.Combine(fields, domain, "192.0.2.1")
	w, hash := s.NewBody(false)
	io.WriteString(w, body)
	w.Close()
	set, err := s.Set(fields, hash.Sum())
	if err != nil {
		o.Fatal(err)
	}
	return strings.ReplaceAll(set, "\n", "\r\n")
}

func (o *ours) verify(message string) string {
	fields, body := fieldsOf(message)
	v := arc.NewVerifier(fields, false)
	io.WriteString(v, body)
	v.Close()
	out := v.Verify(context.Background(), func(context.Context, string) ([]string, error) { return []string{o.record}, nil }, time.Now())
	return string(out.Result) + " " + out.Reason
}

// TestARCChains: chains that dkimpy, Mail::DKIM and this program seal in turn are good to all three after every hop, and bad with one byte changed.
func TestARCChains(t *testing.T) {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(private)})
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	public, _ := x509.MarshalPKIXPublicKey(private.Public())
	record := "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(public)
	own := &ours{T: t, record: record}
	if own.key, err = dkim.ParsePrivateKey(string(text)); err != nil {
		t.Fatal(err)
	}
	names := []string{"exigo", "dkimpy", "Mail::DKIM"}
	sealers := []sealer{own,
		startCounterpart(t, []string{"/usr/bin/python3", "-c", "import dkim, authres"}, "/usr/bin/python3", "-I", "testdata/arc.py", file, record),
		startCounterpart(t, []string{"perl", "-e", "use Mail::DKIM::ARC::Signer"}, "perl", "testdata/arc.pl", file, record)}
	for start := range sealers {
		message := "From: a@first.example\r\nTo: b@last.example\r\nSubject: a chain\r\n  that is folded\r\nMessage-ID: <1@first.example>\r\n\r\nThe  body \r\n\r\nof it.\r\n\r\n\r\n"
		path := ""
		for hop := range 6 {
			who := (start + hop) % len(sealers)
			path += "," + names[who]
			status := "none"
			if hop > 0 {
				status = "pass"
			}
			domain := fmt.Sprintf("hop%d.example", hop+1)
			message = "Authentication-Results: " + domain + "; arc=" + status + ";\r\n\tspf=pass smtp.mailfrom=a@first.example\r\n" + message
			message = sealers[who].seal(domain, message) + message
			verifyEverywhere(t, names, sealers, path[1:], message)
		}
	}
}

// verifyEverywhere verifies a chain, and the same with one byte changed in the body, in the subject, and in the newest results.
func verifyEverywhere(t *testing.T, names []string, sealers []sealer, path, message string) {
	hops := strings.Count(path, ",") + 1
	changes := map[string]string{"the body": strings.Replace(message, "of it", "of It", 1), "the subject": strings.Replace(message, "a chain", "a chaim", 1),
		"results": strings.Replace(message, "spf=pass", "spf=fail", 1)}
	for i, v := range sealers {
		if got := v.verify(message); !strings.HasPrefix(got, "pass") {
			t.Errorf("%s: to %s: %s\n%s", path, names[i], got, message)
		}
		for what, changed := range changes {
			got := v.verify(changed)
			if result, reason, _ := strings.Cut(got, " "); result != "fail" || strings.TrimSpace(reason) == "" {
				t.Errorf("%s: %s changed, hop %d: to %s: %q", path, what, hops, names[i], got)
			}
		}
	}
}
