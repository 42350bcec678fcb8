package dkim

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"exigo/internal/config"
	"exigo/internal/eventlog"
	"exigo/internal/expand"
	"exigo/internal/expand/builtin"
	"exigo/internal/mail"
	"exigo/internal/option"
	"exigo/internal/proto/dkim"
	"exigo/internal/transport"
	"exigo/internal/transport/transporttest"
)

// edKey is the secret key of RFC 8032 section 7.1, edRecord what RFC 8463 publishes of it.
const (
	edKey    = "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A="
	edRecord = "k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
)

// bench signs messages with options.
type bench struct {
	*transporttest.Fixture
	signer  *transport.Signer
	records map[string]string
}

func newBench(t testing.TB, o settings) *bench {
	t.Helper()
	f := Feature()
	b := &bench{Fixture: transporttest.New(t, &transport.Driver{Name: "smtp", Options: option.Table[struct{}]{Scope: "transport smtp"},
		Remote: func(context.Context, *transport.Run) error { return nil }}), signer: f.Signers[0], records: map[string]string{"ed": edRecord}}
	words := builtin.Words()
	words.Variables = append(words.Variables, f.Variables...)
	engine, err := expand.New(b.World.World, words, expand.Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	scope := *b.Run.Scope
	scope.Engine = engine
	b.Run.Scope = &scope
	b.Run.Transport.Instance.Options[reflect.TypeFor[settings]()] = &o
	return b
}

// sign returns the lines, what was logged, and the error.
func (b *bench) sign() (lines, log string, err error) {
	m := &transport.Message{Header: []byte("From: a@test.ex\nSubject: hello\n there\nTo: b@test.ex\n"), Body: b.Run.Body}
	lines, err = b.signer.Sign(context.Background(), b.Run, m)
	log = strings.Join(append(b.LogLines, b.PanicLines...), "|")
	b.LogLines, b.PanicLines = nil, nil
	if lines != "" {
		b.verify(lines, m)
	}
	return lines, log, err
}

// verify checks the signatures.
func (b *bench) verify(lines string, m *transport.Message) {
	b.T.Helper()
	v, err := dkim.NewVerifier(dkim.Policy{OnlyLF: true, Hashes: []string{"sha256", "sha512", "sha1"}}, append(fields([]byte(lines)), fields(m.Header)...))
	if err != nil {
		b.T.Fatal(err)
	}
	m.WriteBody(context.Background(), v)
	v.Close()
	results, err := v.Verify(context.Background(), func(_ context.Context, name string) ([]string, error) {
		selector, _, _ := strings.Cut(name, ".")
		return []string{b.records[selector]}, nil
	})
	for _, r := range results {
		if r.Reason != dkim.Good {
			b.T.Errorf("%s: %d %v\n%s", r.Selector, r.Reason, r.Err, lines)
		}
	}
	if n := strings.Count(lines, "DKIM-Signature:"); err != nil || n != len(results) {
		b.T.Errorf("%d signatures, %d results, %v", n, len(results), err)
	}
}

func TestSign(t *testing.T) {
	base := settings{domain: "Test.EX", selector: "ed", privateKey: edKey, hash: "sha256"}
	strict := "|DKIM: message could not be signed, and dkim_strict is set. Deferring message delivery."
	for _, x := range []struct {
		name   string
		change func(o *settings)
		count  int
		part   string // of the first line, folds removed
		log    string
		err    string
	}{
		{"default", func(*settings) {}, 1, "v=1; a=ed25519-sha256; q=dns/txt; c=relaxed/relaxed; d=test.ex; s=ed; h=To:Subject:From:Sender:Reply-To:Date:Message-ID:Cc", "", ""},
		{"headers", func(o *settings) { o.signHeaders = "From:+Subject:=X:x" }, 1, "h=Subject:From:Subject:x; bh=", "", ""},
		{"simple", func(o *settings) { o.canon = "simple" }, 1, "c=simple/simple;", "", ""},
		{"odd", func(o *settings) { o.canon = "odd" }, 1, "c=relaxed/relaxed;", "DKIM: unknown canonicalization method 'odd', defaulting to 'relaxed'.", ""},
		{"identity and times", func(o *settings) { o.identity, o.timestamps = "me@$dkim_selector.$dkim_domain", "10" }, 1, fmt.Sprintf("i=me@ed.test.ex; t=%d; x=%d; b=", epoch, epoch+10), "", ""},
		{"sha512", func(o *settings) { o.hash = "sha512" }, 1, "a=ed25519-sha512;", "", ""},
		{"several", func(o *settings) { o.domain, o.selector = "test.ex : other.ex", "ed:ed" }, 4, "d=test.ex; s=ed;", "", ""},
		{"no domain", func(o *settings) { o.domain = "${if eq{a}{b}{x}}" }, 0, "", "", ""},
		{"forced failure", func(o *settings) { o.domain, o.strict = "${if eq{a}{b}{x}fail}", "1" }, 0, "", "", ""},
		{"no selector", func(o *settings) { o.selector, o.strict = "${if eq{$dkim_domain}{other}{x}}", "1" }, 0, "", "", ""},
		{"no key", func(o *settings) { o.privateKey, o.strict = "${if eq{$dkim_selector}{other}{x}}", "1" }, 0, "", "", ""},
		{"key 0", func(o *settings) { o.privateKey, o.strict = "0", "1" }, 0, "", "", ""},
		{"key false", func(o *settings) { o.privateKey, o.strict = "false", "1" }, 0, "", "", ""},
		{"no file", func(o *settings) { o.privateKey = "/nowhere/key" }, 0, "", "unable to open file for reading: /nowhere/key", ""},
		{"no file, strict", func(o *settings) { o.privateKey, o.strict = "/nowhere/key", "TRUE" }, 0, "", strict[1:] + "|unable to open file for reading: /nowhere/key", "unable to open file for reading: /nowhere/key"},
		{"a folder", func(o *settings) { o.privateKey = "/" }, 0, "", "unable to open file for reading: /", ""},
		{"tainted", func(o *settings) { o.domain, o.privateKey = "${domain:$h_from:}", "/keys/$dkim_domain" }, 0, "", "Tainted filename '/keys/s.test'|unable to open file for reading: /keys/s.test", ""},
		{"chosen", func(o *settings) {
			o.domain, o.privateKey = "${domain:$h_from:}", "${if eq{$dkim_domain}{s.test}{"+edKey+"}}"
		}, 1, "d=s.test;", "", ""},
		{"own files", func(o *settings) { o.privateKey = "${if exists{/$dkim_domain/../}{" + edKey + "}{0}}" }, 0, "", "", ""},
		{"own file", func(o *settings) { o.domain, o.privateKey = "tmp", "${if exists{/$dkim_domain}{"+edKey+"}{0}}" }, 1, "d=tmp;", "", ""},
		{"junk key", func(o *settings) { o.privateKey = "AAAA" }, 0, "", "signing_init: privkey PEM-block import: unusable private key: asn1: syntax error: ...|DKIM: signing failed: PRIVKEY", ""},
		{"hash", func(o *settings) { o.hash, o.strict = "md5", "${if eq{$dkim_domain}{test.ex}{1}}" }, 0, "", strict[1:] + "|DKIM: unrecognised hashname 'md5'", "DKIM: unrecognised hashname 'md5'"},
		{"ed25519-sha1", func(o *settings) { o.hash = "sha1" }, 0, "", "DKIM: signing failed: unknown hash algorithm", ""},
		{"not strict", func(o *settings) { o.hash, o.strict = "md5", "yes" }, 0, "", "DKIM: unrecognised hashname 'md5'", ""},
		{"times", func(o *settings) { o.timestamps = "${bad" }, 0, "", "failed to expand dkim_timestamps: ...", ""},
		{"junk times", func(o *settings) { o.timestamps = "abc" }, 0, "", "DKIM: dkim_timestamps is no number of seconds: 'abc'", ""},
		{"no times", func(o *settings) { o.timestamps = "${if eq{a}{b}{x}}" }, 1, "", "", ""},
		{"bad domain", func(o *settings) { o.domain = "${bad" }, 0, "", "failed to expand dkim_domain: ...", ""},
		{"bad selector", func(o *settings) { o.selector = "${bad" }, 0, "", "failed to expand dkim_selector: ...", ""},
		{"bad headers", func(o *settings) { o.signHeaders = "${bad" }, 0, "", "failed to expand dkim_sign_header: ...", ""},
		{"bad identity", func(o *settings) { o.identity = "${bad" }, 0, "", "failed to expand dkim_identity: ...", ""},
		{"bad canon", func(o *settings) { o.canon = "${bad" }, 0, "", "failed to expand dkim_canon: ...", ""},
		{"bad hash", func(o *settings) { o.hash = "${bad" }, 0, "", "failed to expand dkim_hash: ...", ""},
		{"bad key", func(o *settings) { o.privateKey = "${bad" }, 0, "", "failed to expand dkim_private_key: ...", ""},
		{"injection", func(o *settings) { o.identity = "x; d=other.ex" }, 0, "", "DKIM: signing failed: malformed domain, selector, identity or header name 'x; d=other.ex'", ""},
	} {
		o := base
		x.change(&o)
		b := newBench(t, o)
		b.T = t
		lines, log, err := b.sign()
		flat := strings.ReplaceAll(strings.ReplaceAll(strings.ReplaceAll(lines, ":\n\t", ":"), "\n\t;", ";"), "\n\t", " ")
		want, open := strings.CutSuffix(x.log, "...")
		if tail := "|DKIM: signing failed: PRIVKEY"; strings.HasSuffix(x.log, tail) {
			want, open = strings.TrimSuffix(x.log, "..."+tail), strings.HasSuffix(log, tail)
		}
		if strings.Count(lines, "DKIM-Signature:") != x.count || !strings.Contains(flat, x.part) || !(log == want || open && strings.HasPrefix(log, strings.SplitN(want, "asn1", 2)[0])) {
			t.Errorf("%s: %q\n log %q, want %q", x.name, flat, log, want)
		}
		var e *transport.Error
		if x.err == "" && err != nil || x.err != "" && (!errors.As(err, &e) || e.Outcome.Errno != 13 || e.Outcome.Result != mail.Deferred || e.Error() != x.err) {
			t.Errorf("%s: %v", x.name, err)
		}
	}
}

var epoch = time.Date(1999, 3, 2, 9, 44, 33, 0, time.UTC).Unix()

func TestLongLine(t *testing.T) {
	b := newBench(t, settings{domain: "test.ex", selector: "ed", privateKey: edKey, hash: "sha256"})
	for n, want := range map[int]string{maxLine: "", maxLine + 1: "DKIM: signing failed: LONG_LINE"} {
		b.Body("x\n" + strings.Repeat("y", n) + "\n")
		if lines, log, err := b.sign(); log != want || (lines == "") != (want != "") || err != nil {
			t.Errorf("%d: %s %v", n, log, err)
		}
		// what was attempted is on the log line of the delivery
		if got := delivered(nil, b.Run.Addresses[0], 1<<eventlog.DKIMVerbose); got != "DKIM=test.ex:ed" {
			t.Error(got)
		}
	}
}

// TestKeyFiles: RSA and Ed25519 keys in files, which are read again when they change.
func TestKeyFiles(t *testing.T) {
	dir := t.TempDir()
	private, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	public, _ := x509.MarshalPKIXPublicKey(private.Public())
	write := func(name, kind string, der []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, ed, _ := ed25519.GenerateKey(rand.Reader)
	edDER, _ := x509.MarshalPKCS8PrivateKey(ed)
	write("rsa", "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(private))
	write("new", "PRIVATE KEY", edDER)
	b := newBench(t, settings{domain: "test.ex", selector: "rsa : new", privateKey: option.Expanded(dir + "/$dkim_selector"), hash: "sha256"})
	b.records["rsa"] = "p=" + base64.StdEncoding.EncodeToString(public)
	b.records["new"] = "k=ed25519; p=" + base64.StdEncoding.EncodeToString(ed.Public().(ed25519.PublicKey))
	for range 2 {
		if lines, log, err := b.sign(); strings.Count(lines, "DKIM-Signature:") != 2 || log != "" || err != nil {
			t.Errorf("%q %q %v", lines, log, err)
		}
	}
	seed, _ := base64.StdEncoding.DecodeString(edKey)
	edDER, _ = x509.MarshalPKCS8PrivateKey(ed25519.NewKeyFromSeed(seed))
	write("new", "PRIVATE KEY", edDER)
	os.Chtimes(filepath.Join(dir, "new"), time.Time{}, time.Unix(1e9, 0))
	b.records["new"] = edRecord
	if lines, log, _ := b.sign(); strings.Count(lines, "DKIM-Signature:") != 2 || log != "" {
		t.Errorf("%q %q", lines, log)
	}
}

func TestWanted(t *testing.T) {
	for _, o := range []settings{{}, {domain: "a", selector: "b"}, {domain: "a", privateKey: "b"}, {selector: "a", privateKey: "b"}} {
		if wanted(newBench(t, o).Run) {
			t.Errorf("%+v", o)
		}
	}
}

func TestSizes(t *testing.T) {
	if got := sizes("rsa=1024 ed25519=250 x y=z"); !reflect.DeepEqual(got, map[string]int{"rsa": 1024, "ed25519": 250}) {
		t.Error(got)
	}
	if d := option.Of[config.Main](option.Bag{}); d == nil {
		t.Error("no main options")
	}
}

// BenchmarkSign signs a message of 10 KiB as a transport does.
func BenchmarkSign(b *testing.B) {
	w := newBench(b, settings{domain: "test.ex", selector: "ed", privateKey: edKey, hash: "sha256"})
	w.Body(strings.Repeat("A line of text as people write them, with some words in it.\n", 170))
	m := &transport.Message{Header: []byte("From: a@test.ex\nSubject: hello\nTo: b@test.ex\n"), Body: w.Run.Body}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := w.signer.Sign(context.Background(), w.Run, m); err != nil {
			b.Fatal(err)
		}
	}
}
