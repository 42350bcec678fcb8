package spool_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"exigo/internal/mail"
	"exigo/internal/spool"
	"exigo/internal/testkit"
)

const (
	crashID = "1xV17k-000000001vP-1h00"
	body    = "body\n"
)

func crashMessage() *mail.Message {
	return &mail.Message{ID: crashID, Sender: "s@x", Received: time.Unix(1795328902, 0), OriginatorLogin: "exim", Session: &mail.Session{},
		Recipients: []mail.Recipient{{Address: "a@x", Parent: -1}, {Address: "b@x", Parent: -1}},
		Headers:    []mail.Header{mail.NewHeader("Subject: x\n")}, DeliverFirst: true}
}

// receive takes a message and says whether it was acknowledged.
func receive(s *spool.Spool) (*spool.Locked, bool) {
	in, err := s.Create(crashID, "")
	if err != nil {
		return nil, false
	}
	io.WriteString(in, body)
	l, err := in.Commit(crashMessage())
	if err != nil {
		in.Abort()
		return nil, false
	}
	return l, true
}

// state reads what is left after a crash.
func state(t *testing.T, dir string) (*mail.Message, string) {
	t.Helper()
	s := spool.Open(dir, spool.Options{UID: -1, LocalhostNumber: -1})
	list, err := s.List("")
	if err != nil {
		t.Fatal(err)
	}
	if len(list) == 0 {
		return nil, ""
	}
	l, err := s.Lock(list[0].ID, "")
	if err != nil {
		t.Fatalf("a listed message cannot be locked: %v", err)
	}
	defer l.Close()
	m, err := l.Read()
	if err != nil {
		t.Fatalf("a listed message cannot be read: %v", err)
	}
	r, err := l.Body()
	if err != nil {
		t.Fatal(err)
	}
	text, _ := io.ReadAll(r)
	return m, string(text)
}

// everyStep runs the work on disks that stop at step 0, 1, 2 ... until one does not stop, each without and with a loss of power.
func everyStep(t *testing.T, work func(t *testing.T, s *spool.Spool, d *testkit.Disk, check func())) {
	for n := 0; ; n++ {
		stopped := false
		for _, power := range []bool{false, true} {
			t.Run(fmt.Sprintf("step %d power loss %v", n, power), func(t *testing.T) {
				dir := t.TempDir()
				d := testkit.NewDisk(n)
				s := spool.Open(dir, spool.Options{UID: -1, LocalhostNumber: -1, Disk: d.Spool()})
				work(t, s, d, func() {
					if power && d.Stopped() {
						if err := d.PowerLoss(); err != nil {
							t.Fatal(err)
						}
					}
				})
				stopped = d.Stopped()
			})
		}
		if !stopped {
			if n < 5 {
				t.Errorf("only %d steps", n)
			}
			return
		}
	}
}

// What was acknowledged is there, whole; what was not may be there, but then whole too.
func TestCrashWhileReceiving(t *testing.T) {
	everyStep(t, func(t *testing.T, s *spool.Spool, d *testkit.Disk, check func()) {
		l, acknowledged := receive(s)
		if l != nil {
			l.Close()
		}
		check()
		m, text := state(t, s.Directory)
		if m == nil && acknowledged {
			t.Fatal("an acknowledged message is lost")
		}
		if m != nil && (text != body || len(m.Recipients) != 2 || len(m.Headers) != 1) {
			t.Errorf("a part of a message: %q %+v", text, m)
		}
	})
}

// An address whose delivery was noted is not delivered again, and none is forgotten.
func TestCrashWhileDelivering(t *testing.T) {
	everyStep(t, func(t *testing.T, _ *spool.Spool, d *testkit.Disk, check func()) {
		dir := t.TempDir()
		first := spool.Open(dir, spool.Options{UID: -1, LocalhostNumber: -1})
		if l, ok := receive(first); ok {
			l.Close()
		}
		s := spool.Open(dir, spool.Options{UID: -1, LocalhostNumber: -1, Disk: d.Spool()})
		noted, removed := map[string]bool{}, false
		func() {
			l, err := s.Lock(crashID, "")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			m, err := l.Read()
			if err != nil {
				t.Fatal(err)
			}
			if l.Journal(true, "a@x") != nil {
				return
			}
			noted["a@x"] = true
			m.NonRecipients = append(m.NonRecipients, "a@x")
			m.DeliverFirst = false
			if l.WriteHeader(m) != nil {
				return
			}
			if l.Journal(true, "b@x") != nil {
				return
			}
			noted["b@x"] = true
			removed = l.Remove(false) == nil
		}()
		check()
		m, text := state(t, dir)
		if m == nil {
			if !noted["a@x"] || !noted["b@x"] {
				t.Fatalf("the message is gone, noted was %v", noted)
			}
			return
		}
		if text != body {
			t.Errorf("body %q", text)
		}
		if removed && !d.Stopped() {
			t.Error("a removed message is still there")
		}
		done := map[string]bool{}
		for _, a := range m.NonRecipients {
			done[a] = true
		}
		for a := range noted {
			if !done[a] {
				t.Errorf("%s would be delivered twice", a)
			}
		}
	})
}

func TestLeftovers(t *testing.T) {
	dir := t.TempDir()
	s := spool.Open(dir, spool.Options{UID: -1, LocalhostNumber: -1})
	if err := os.MkdirAll(dir+"/input", 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"hdr." + crashID, "1xV17k-0001vP-1h-D", "x-H", crashID + "-J"} {
		os.WriteFile(filepath.Join(dir, "input", name), []byte("rubbish\nhalf a line"), 0o600)
	}
	if list, err := s.List(""); err != nil || len(list) != 0 {
		t.Errorf("%v %v", list, err)
	}
	l, ok := receive(s)
	if !ok {
		t.Fatal("not received over an old temporary file")
	}
	if done, err := l.ReadJournal(); err != nil || len(done) != 1 || done[0] != "rubbish" {
		t.Errorf("journal %q %v", done, err)
	}
	l.Close()
	if _, err := s.Lock("1xV17k-0001vP-1h", "later/../.."); !errors.Is(err, spool.ErrNotFound) {
		t.Error(err)
	}
}

// TestUnwritable names the file once.
func TestUnwritable(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/input", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	want := "Failed to create spool file " + dir + "/input/" + crashID + "-D: not a directory"
	if _, err := spool.Open(dir, spool.Options{UID: -1, GID: -1}).Create(crashID, ""); err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}
