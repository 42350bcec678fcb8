package catalog

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"exigo/internal/mail"
	"exigo/internal/proto/dkim"
	"exigo/internal/submit"
	"exigo/internal/testkit"
)

// reception receives messages with a configuration that asks all methods for their verdicts (or none), refuses, and keeps nothing.
type reception struct {
	*Server
	key *dkim.PrivateKey
}

func newReception(t testing.TB, acl string) *reception {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	key, err := dkim.ParsePrivateKey(base64.StdEncoding.EncodeToString(x509.MarshalPKCS1PrivateKey(private)))
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(private.Public())
	if err != nil {
		t.Fatal(err)
	}
	world := testkit.NewWorld(t)
	world.Zones.Add("b.example. TXT \"v=spf1 mx -all\"\nb.example. MX 10 mx.b.example.\nmx.b.example. A 192.0.2.1\n_dmarc.b.example. TXT \"v=DMARC1; p=reject\"\n" +
		"sel._domainkey.b.example. TXT \"v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(public) + "\"\n")
	dir := t.TempDir()
	path := filepath.Join(dir, "config")
	text := "primary_hostname = mx.test\nexim_user = root\nkeep_environment =\nspool_directory = " + dir + "/spool\nlog_file_path = " + dir + "/log/%slog\nmessage_size_limit = 0\n" +
		"acl_smtp_data = data\nacl_smtp_dkim = accept\nbegin acl\ndata:\n" + acl + "\n  deny message = checked\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := Load(context.Background(), Request{World: world.World, Path: path, Alternate: true, Unprivileged: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return &reception{s, key}
}

// message is a signed message of a size.
func (r *reception) message(t testing.TB, size int) string {
	const line = "A line of the body of a message that is neither short nor long.\n"
	body := strings.Repeat(line, size/len(line))
	s := dkim.Signing{Domain: "b.example", Selector: "sel", Key: r.key, Hash: "sha256", Header: dkim.Relaxed, Body: dkim.Relaxed, Names: []string{"From", "To", "Subject"}}
	w := dkim.NewBody(s.Body, true)
	hash := w.Hash(sha256.New(), -1)
	io.WriteString(w, body)
	w.Close()
	header := []string{"From: A <a@b.example>\n", "To: c@mx.test\n", "Subject: hello\n"}
	field, err := s.Sign(rand.Reader, dkim.NewSection(header), hash.Sum())
	if err != nil {
		t.Fatal(err)
	}
	return field + strings.Join(header, "") + "\n" + body
}

// receive receives a message, and wants its verdicts.
func (r *reception) receive(t testing.TB, message, want string) {
	session := &mail.Session{Started: r.World.Clock.Now(), SMTP: true, Host: netip.MustParseAddr("192.0.2.1"), HELO: "mx.b.example", ESMTP: true}
	m := &mail.Message{Session: session, Sender: "a@b.example", RawSender: "a@b.example", SenderSet: true, Protocol: "esmtp", Recipients: []mail.Recipient{{Address: "c@mx.test", Parent: -1}}}
	ctx := context.Background()
	result := r.Receiver.Receive(ctx, &submit.Input{Message: m, Scope: r.Engine.NewScope(ctx, r.Config, session, m), Source: submit.NewLocalReader(strings.NewReader(message), false)})
	if result.Refused == nil || result.Refused.UserMessage != "checked" {
		t.Fatalf("%+v", result)
	}
	got := ""
	for _, v := range m.Verdicts {
		got += v.Method + "=" + v.Result + " "
	}
	if got != want {
		t.Fatalf("%s, want %s", got, want)
	}
}

const (
	allVerdicts = "spf=pass dkim=pass arc=none dmarc=pass "
	askAll      = "  warn spf = *\n  warn verify = arc/*\n  warn dmarc_status = *"
)

// BenchmarkAuthentication is the reception of a message with one rsa-2048 signature, SPF, DMARC and no ARC chain, the DNS in memory. What remains
// in "plain" is the reception itself.
func BenchmarkAuthentication(b *testing.B) {
	for _, size := range []int{10 << 10, 10 << 20} {
		for _, x := range []struct{ name, acl, want string }{{"verified", askAll, allVerdicts}, {"plain", "", ""}} {
			b.Run(fmt.Sprintf("%s/%dKiB", x.name, size>>10), func(b *testing.B) {
				r := newReception(b, x.acl)
				message := r.message(b, size)
				if x.acl == "" {
					message = "X" + message // no signature
				}
				b.ReportAllocs()
				begun := processorTime()
				for b.Loop() {
					r.receive(b, message, x.want)
				}
				b.ReportMetric(float64((processorTime()-begun).Nanoseconds())/float64(b.N), "cpu-ns/op")
			})
		}
	}
}

// processorTime is what this process has used of the processors.
func processorTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// TestAuthenticationMemory: a long message takes no more memory than a short one.
func TestAuthenticationMemory(t *testing.T) {
	r := newReception(t, askAll)
	allocated := func(message string) uint64 {
		least := ^uint64(0)
		for range 5 { // others may allocate meanwhile
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			r.receive(t, message, allVerdicts)
			runtime.ReadMemStats(&after)
			least = min(least, after.TotalAlloc-before.TotalAlloc)
		}
		return least
	}
	short, long := allocated(r.message(t, 10<<10)), allocated(r.message(t, 10<<20))
	if long > short+256<<10 {
		t.Errorf("%d bytes for a short message, %d for a long one", short, long)
	}
}
