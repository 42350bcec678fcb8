package smtpserver

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"exigo/internal/mail"
)

// takeLine is a room that wants the line "from ADDRESS" first.
func takeLine(s *Session, client Client) *Refusal {
	client.SetReadDeadline(time.Now().Add(time.Minute))
	defer client.SetReadDeadline(time.Time{})
	var line []byte
	for b := make([]byte, 1); !bytes.HasSuffix(line, []byte("\n")); line = append(line, b[0]) {
		if _, err := client.Read(b); err != nil {
			return &Refusal{Code: 503, Text: "Who?"}
		}
	}
	text, ok := strings.CutPrefix(strings.TrimSpace(string(line)), "from ")
	if !ok {
		return &Refusal{Code: 503, Text: "Who?"}
	}
	s.Noun().Host = netip.MustParseAddr(text)
	return nil
}

func TestAccept(t *testing.T) {
	f := newFixture(t, "+smtp_connection")
	f.svc.Accept = []Accept{{Name: "line", Begin: takeLine}}
	f.main.HostRejectConnection = "192.0.2.9"
	f.serve("C: from 192.0.2.1\nS: 220...\nC: HELO a\nS: 250 host.test Hello a [192.0.2.1]\nC: QUIT\nS: 221...")
	f.serve("C: from 192.0.2.9\nS: 554 SMTP service not available\nS: <close>")
	f.serve("C: nobody\nS: 220...\nC: EHLO a\nS: 503 Who?\nC: FOO\nS: 503 Who?\nC: DATA\nS: 503 Who?\nC: QUIT\nS: 221...")
	// -bh has them too, other local sessions do not
	local := func(s *Start) { s.Noun = &mail.Session{Host: netip.MustParseAddr("192.0.2.7")} }
	checking := func(s *Start) { local(s); s.HostChecking = true }
	for _, x := range []struct {
		input  string
		change func(*Start)
		want   string
	}{
		{"from 192.0.2.1\nHELO a\nQUIT\n", checking, banner + "250 host.test Hello a [192.0.2.1]\n221 host.test closing connection\n"},
		{"nobody\nHELO a\nQUIT\n", checking, banner + "503 Who?\n221 host.test closing connection\n"},
		{"HELO a\nQUIT\n", local, banner + "250 host.test Hello a [192.0.2.7]\n221 host.test closing connection\n"},
	} {
		check(t, x.input, f.local(x.input, x.change), x.want)
	}
}

// TestPump: a read that is too late is not lost.
func TestPump(t *testing.T) {
	r, w := io.Pipe()
	var out bytes.Buffer
	p := &pump{stream: stream{r, &out}}
	p.SetReadDeadline(time.Now())
	b := make([]byte, 4)
	for range 2 {
		if n, err := p.Read(b); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%d %v", n, err)
		}
	}
	p.SetReadDeadline(time.Time{})
	go func() { io.WriteString(w, "PROXY"); w.Close() }()
	text, err := io.ReadAll(p)
	if string(text) != "PROXY" || err != nil {
		t.Errorf("%q %v", text, err)
	}
	if p.Write([]byte("x")); out.String() != "x" {
		t.Errorf("wrote %q", out.String())
	}
}

// TestAcceptLate: a client whose room gave up on it still gets its banner, and what it says then is answered.
func TestAcceptLate(t *testing.T) {
	f := newFixture(t, "")
	f.svc.Accept = []Accept{{Name: "late", Begin: func(s *Session, client Client) *Refusal {
		client.SetReadDeadline(time.Now())
		if _, err := client.Read(make([]byte, 10)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error(err)
		}
		return &Refusal{Code: 503, Text: "Late"}
	}}}
	in, w := io.Pipe()
	var out bytes.Buffer
	done := make(chan Ended)
	start := Start{HostChecking: true, NotSocket: true, Noun: &mail.Session{Host: netip.MustParseAddr("192.0.2.7")}}
	go func() { done <- New(f.svc, f.limiter).ServeStream(context.Background(), stream{in, &out}, start) }()
	io.WriteString(w, "NOOP\r\n")
	io.WriteString(w, "QUIT\r\n")
	<-done
	check(t, "late", strings.ReplaceAll(out.String(), "\r\n", "\n"), banner+"503 Late\n221 host.test closing connection\n")
}
