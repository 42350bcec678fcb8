package scan_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"exigo/internal/acl"
	"exigo/internal/feature"
	"exigo/internal/mail"
	"exigo/internal/scan"
	"exigo/internal/scan/scantest"
)

// bench is a message, and a condition that looks at it.
func bench(t *testing.T, look func(r *acl.Run, c *scan.Copy)) *scantest.Bench {
	f := &feature.Feature{Conditions: []acl.Condition{{Name: "look", Phases: acl.AllPhases, Expand: true, Check: func(r *acl.Run, _ mail.Value) acl.Verdict {
		c, ok := scan.Of(r, "look")
		if !ok {
			return r.Deferred("")
		}
		look(r, c)
		return acl.OK
	}}}}
	return scantest.New(t, f, "")
}

// TestCopy: the message as scanners see it, as a stream and as a file.
func TestCopy(t *testing.T) {
	b := bench(t, func(r *acl.Run, c *scan.Copy) {
		var written bytes.Buffer
		n, err := c.WriteTo(&written)
		read, _ := io.ReadAll(c.Reader())
		if err != nil || n != c.Size() || written.String() != scantest.Copy || string(read) != scantest.Copy {
			t.Errorf("%d %v %q", n, err, written.String())
		}
	})
	if o := b.Run("accept look = 1"); o.Verdict != acl.OK {
		t.Fatalf("%+v %s", o, b.TakeLog())
	}
	// What comes later is not in it.
	b.Message.Headers = append(b.Message.Headers, mail.NewHeader("X-Later: a\n"))
	b.Run("accept look = 1")
	if _, err := os.Stat(b.Dir + "/scan"); err == nil {
		t.Error("a file was not asked for")
	}
	b.Message.Sender, b.Message.Recipients = "", nil
	b.End()
	if _, err := os.Stat(b.Dir + "/scan"); err == nil {
		t.Error("a file was not to be kept")
	}
}

// TestKept: control = no_mbox_unspool, whenever it comes, for messages that are accepted or not.
func TestKept(t *testing.T) {
	for i, end := range []func(*scantest.Bench){(*scantest.Bench).End, (*scantest.Bench).Accept} {
		for _, before := range []bool{true, false} {
			b := bench(t, func(*acl.Run, *scan.Copy) {})
			b.Message.Controls.NoMboxUnspool = before
			b.Run("accept look = 1")
			b.Message.Controls.NoMboxUnspool = true
			end(b)
			data, err := os.ReadFile(b.File())
			if err != nil || string(data) != scantest.Copy {
				t.Errorf("%d %v: %q %v", i, before, data, err)
			}
			for name, mode := range map[string]os.FileMode{b.File(): scan.FileMode, b.Dir + "/scan/id": scan.DirectoryMode} {
				if st, err := os.Stat(name); err != nil || st.Mode().Perm() != mode {
					t.Errorf("%s: %v %v", name, st, err)
				}
			}
		}
		b := bench(t, func(_ *acl.Run, c *scan.Copy) { c.File() })
		b.Run("accept look = 1")
		end(b)
		if _, err := os.Stat(b.Dir + "/scan/id"); err == nil {
			t.Error("the directory is still there")
		}
		b = bench(t, nil)
		b.Message.Controls.NoMboxUnspool = true
		end(b)
		if _, err := os.Stat(b.Dir + "/scan"); err == nil {
			t.Error("nobody looked at the message")
		}
	}
	b := bench(t, func(*acl.Run, *scan.Copy) {})
	b.Message.ID = ""
	if o := b.Run("accept look = 1"); o.Verdict != acl.Defer || b.TakeLog() != "panic: there is no message to scan\npanic: look acl condition: error while creating mbox spool file" {
		t.Errorf("%+v", o)
	}
}

func TestParseServer(t *testing.T) {
	for text, want := range map[string]scan.Server{
		"/run/x y": {Path: "/run/x y"}, "127.0.0.1 783": {Host: "127.0.0.1", First: 783, Last: 783}, " a.example  1-3 ": {Host: "a.example", First: 1, Last: 3},
		"[::1] 5": {Host: "::1", First: 5, Last: 5}, "a 0": {}, "a": {}, "a b": {}, "a 1 2": {}, "a 3-1": {}, "a 65536": {}, "a 1-": {}, "": {}, "a -1": {},
	} {
		got, err := scan.ParseServer(text)
		if got != want || (err != nil) != (want == scan.Server{}) {
			t.Errorf("%s: %+v %v", text, got, err)
		}
	}
}

// TestReason: words without addresses.
func TestReason(t *testing.T) {
	_, missing := os.Open("/nonexistent/x")
	for want, err := range map[string]error{
		"Success": nil, "EOF": io.EOF, "Connection timed out": context.DeadlineExceeded, "other": errors.New("other"),
		"Connection refused": &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)},
		"failed to open /nonexistent/x: No such file or directory": missing,
	} {
		if got := scan.Reason(err); got != want {
			t.Errorf("%v: %s", err, got)
		}
	}
	if got := scan.Reason(fmt.Errorf("x: %w", os.ErrDeadlineExceeded)); got != scan.TimedOut {
		t.Error(got)
	}
}

// slow is a network in which nobody answers; it notes how long that may take.
type slow struct{ allowed []time.Duration }

func (d *slow) Dial(ctx context.Context, _ string, _ netip.Addr, _ string) (net.Conn, error) {
	end, _ := ctx.Deadline()
	d.allowed = append(d.allowed, time.Until(end))
	return nil, context.DeadlineExceeded
}

// TestSlow: a daemon that does not answer leaves time for the next one.
func TestSlow(t *testing.T) {
	d := &slow{}
	b := bench(t, func(r *acl.Run, _ *scan.Copy) {
		ctx, cancel := context.WithTimeout(r.Ctx, time.Hour)
		defer cancel()
		world := *r.Scope.Engine.World
		world.Dial = d
		r.Scope.Engine.World = &world
		server, _ := scan.ParseServer("192.0.2.1 5-6")
		if _, err := server.Dial(ctx, r.Scope); err == nil || err.Error() != "failed to connect to any address for 192.0.2.1: Connection timed out" {
			t.Error(err)
		}
	})
	b.Run("accept look = 1")
	if len(d.allowed) != 2 || max(d.allowed[0], d.allowed[1]) > 5*time.Second {
		t.Error(d.allowed)
	}
}

// TestCancel: the end of the ACL's context ends what waits for a daemon.
func TestCancel(t *testing.T) {
	d := scantest.TCP(t, scantest.Script("<<"))
	b := bench(t, func(r *acl.Run, _ *scan.Copy) {
		ctx, cancel := context.WithCancel(r.Ctx)
		server, _ := scan.ParseServer(d.Address)
		c, err := server.Dial(ctx, r.Scope)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		go cancel()
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error(err)
		}
	})
	b.Run("accept look = 1")
	host, port, _ := strings.Cut(d.Address, " ")
	if got := b.Expand("$callout_address"); got != "["+host+"]:"+port {
		t.Error(got)
	}
}
