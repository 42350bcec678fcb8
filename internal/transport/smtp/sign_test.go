package smtp

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"

	"exigo/internal/mail"
	"exigo/internal/transport"
)

// noting is a signer that adds a line with what it saw.
func noting(name string) *transport.Signer {
	return &transport.Signer{Name: name, Wanted: func(*transport.Run) bool { return name != "" },
		Sign: func(ctx context.Context, _ *transport.Run, m *transport.Message) (string, error) {
			if name == "strict" {
				return "", transport.Defer(mail.ErrnoUnknown, "cannot sign")
			}
			var body bytes.Buffer
			if err := m.WriteBody(ctx, &body); err != nil {
				return "", err
			}
			first, _, _ := bytes.Cut(m.Header, []byte("\n"))
			return fmt.Sprintf("X-%s: %s|%q\n", name, first, body.String()), nil
		}}
}

func TestSigners(t *testing.T) {
	start := plain + fromOK + rcpt("a") + "S: 250 OK\nC: DATA\nS: 354 go\n"
	rest := strings.TrimPrefix(text, "C: Received: by host.test\n")
	for _, c := range []struct {
		name    string
		signers []*transport.Signer
		options []string
		script  string
		want    string
	}{
		{"two", []*transport.Signer{noting("a"), noting(""), noting("b")}, nil,
			start + "C: X-b: X-a: Received: by host.test|\"hi\\n\"|\"hi\\n\"\nC: X-a: Received: by host.test|\"hi\\n\"\nC: Received: by host.test\n" + rest + "S: 250 OK\n" + quit, "a => H=h1.test C=250 OK\n"},
		{"filter", []*transport.Signer{noting("a"), noting("b")}, []string{"transport_filter", "/usr/bin/sed s/by/BY/;s/hi/changed/"},
			start + "C: X-b: X-a: Received: BY host.test|\"changed\\n\"|\"changed\\n\"\nC: X-a: Received: BY host.test|\"changed\\n\"\nC: Received: BY host.test\n" +
				strings.Replace(rest, "hi", "changed", 1) + "S: 250 OK\n" + quit, "a => H=h1.test C=250 OK\n"},
		{"filter fails", []*transport.Signer{noting("a")}, []string{"transport_filter", "/bin/false"},
			hello + "S: 250 h\n" + quit, "a == (-24) transport filter process failed (1)\n"},
		{"headers only", []*transport.Signer{noting("a")}, []string{"headers_only", "true"},
			start + "C: X-a: Received: by host.test|\"\"\nC: Received: by host.test\n" + strings.Replace(rest, "C: hi\n", "", 1) + "S: 250 OK\n" + quit, "a => H=h1.test C=250 OK\n"},
		{"body only", []*transport.Signer{noting("a")}, []string{"body_only", "true"}, start + "C: hi\nC: .\nS: 250 OK\n" + quit, "a => H=h1.test C=250 OK\n"},
		{"refuses", []*transport.Signer{noting("a"), noting("strict")}, nil, hello + "S: 250 h\n" + quit, "a == (-1) cannot sign\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := newTalk(t, []string{c.script}, []string{"a"}, c.options...)
			k.Run.Services.Remote = &Services{Signers: c.signers}
			if got := k.outcomes(); got != c.want {
				t.Errorf("got %q\nwant %q", got, c.want)
			}
		})
	}
}

// TestSignedFilterChunks: with a signer, a filter does not keep BDAT from being used (spec 30.4, hosts_try_chunking).
func TestSignedFilterChunks(t *testing.T) {
	k := newTalk(t, []string{hello + "S: 250-h\nS: 250 CHUNKING\n" + fromOK + rcpt("a") + "S: 250 OK\nC: BDAT 139 LAST\nC: X-a: Received: by host.test|\"ho\\n\"\n" +
		strings.Replace(strings.TrimSuffix(text, "C: .\n"), "hi", "ho", 1) + "S: 250 OK\n" + quit}, []string{"a"}, "transport_filter", "/usr/bin/sed s/hi/ho/")
	k.Run.Services.Remote = &Services{Signers: []*transport.Signer{noting("a")}}
	if got := k.outcomes(); got != "a => H=h1.test C=250 OK\n" {
		t.Error(got)
	}
}
