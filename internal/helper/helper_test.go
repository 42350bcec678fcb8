package helper

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"exigo/internal/mail"
	"exigo/internal/transport"
)

func pair(t testing.TB) (a, b *net.UnixConn) {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	for i, into := range []**net.UnixConn{&a, &b} {
		f := os.NewFile(uintptr(fds[i]), "end")
		c, err := net.FileConn(f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		*into = c.(*net.UnixConn)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

// blocking turns a connection into the kind that helpers have.
func blocking(t testing.TB, c *net.UnixConn) socket {
	t.Helper()
	f, err := c.File()
	c.Close()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	fd, err := syscall.Dup(int(f.Fd())) // Fd makes the socket blocking
	if err != nil {
		t.Fatal(err)
	}
	return socket{fd}
}

func pack(v any) []byte {
	b, _ := transport.Pack(v)
	return b
}

// echo returns the length of what it got; with a question as job it asks.
func echo() *transport.Driver {
	return &transport.Driver{Name: "echo", Local: &transport.Local{Execute: func(ctx context.Context, e *transport.Execution) []mail.Outcome {
		var question string
		e.Decode(&question)
		switch question {
		case "":
		case "block":
			<-make(chan struct{})
		case "switch":
			e.SwitchTo, e.SwitchWhy = "other", "format"
			return nil
		default:
			text, err := e.Ask(question, nil)
			if err != nil {
				return e.All(mail.Outcome{Result: mail.Deferred, Message: err.Error()})
			}
			e.Output = []byte(text)
		}
		var all bytes.Buffer
		if _, err := e.Message.WriteTo(ctx, &all, transport.WriteOptions{}); err != nil {
			return e.All(mail.Outcome{Result: mail.Deferred, Message: err.Error()})
		}
		return e.All(mail.Outcome{Result: mail.Delivered, Size: int64(all.Len()), RetryKeys: []mail.RetryUpdate{{Key: "k"}}})
	}}}
}

func start(t testing.TB) *Client {
	a, there := pair(t)
	b := blocking(t, there)
	done := make(chan error, 1)
	go func() { done <- Serve(b, []*transport.Driver{echo()}, nil) }()
	c := NewClient(a, nil)
	t.Cleanup(func() {
		c.Close()
		if err := <-done; err != nil && !t.Failed() && !c.broken {
			t.Errorf("helper: %v", err)
		}
		b.Close()
	})
	return c
}

func TestServe(t *testing.T) {
	c := start(t)
	name := filepath.Join(t.TempDir(), "D")
	os.WriteFile(name, []byte("head\nbody"), 0o600)
	f, _ := os.OpenFile(name, os.O_RDWR, 0)
	defer f.Close()
	header := bytes.Repeat([]byte("X: y\n"), 200000) // more than a socket buffer
	job := &Job{Driver: "echo", Job: pack(""), Recipients: []string{"a@b", "c@d"}, Offset: 5, Size: 4}
	for range 3 {
		got, err := c.Execute(t.Context(), job, header, f, Calls{})
		if err != nil || len(got.Outcomes) != 2 || got.Outcomes[1].Size != int64(len(header))+5 || got.Outcomes[0].RetryKeys[0].Key != "k" {
			t.Fatalf("%+v %v", got, err)
		}
	}
	long := &Job{Driver: "echo", Job: pack(""), Recipients: []string{"a@b"}, Offset: 5, Size: shortBody + 1}
	f.Truncate(5 + long.Size)
	if got, err := c.Execute(t.Context(), long, nil, f, Calls{}); err != nil || got.Outcomes[0].Size != long.Size+1 {
		t.Fatalf("%+v %v", got, err)
	}
	f.Truncate(9)
	missing := &Job{Driver: "echo", Job: pack(""), Recipients: []string{"a@b"}, Offset: 5, Size: 9}
	if got, err := c.Execute(t.Context(), missing, nil, f, Calls{}); err != nil || got.Outcomes[0].Message == "" {
		t.Fatalf("%+v %v", got, err)
	}
	job.Job = pack("why")
	got, err := c.Execute(t.Context(), job, nil, f, Calls{Answer: func(q string, _ map[string]string) (string, error) { return q + "!", nil }})
	if err != nil || string(got.Output) != "why!" {
		t.Errorf("%+v %v", got, err)
	}
	got, err = c.Execute(t.Context(), job, nil, f, Calls{})
	if err != nil || got.Outcomes[0].Message != "nothing can be asked" {
		t.Errorf("%+v %v", got, err)
	}
	job.Job = pack("switch")
	if got, err = c.Execute(t.Context(), job, nil, f, Calls{}); err != nil || got.SwitchTo != "other" || got.SwitchWhy != "format" {
		t.Errorf("%+v %v", got, err)
	}
	job.Driver = "unknown"
	if got, err = c.Execute(t.Context(), job, nil, f, Calls{}); err != nil || got.Outcomes[0].Result != mail.Panicked {
		t.Errorf("%+v %v", got, err)
	}
	if data, _, err := c.ReadFile(t.Context(), name, 100); err != nil || string(data) != "head\nbody" {
		t.Errorf("%q %v", data, err)
	}
	if _, _, err := c.ReadFile(t.Context(), filepath.Dir(name), 100); err == nil {
		t.Error("a directory was read")
	}
	if _, err := c.Stat(t.Context(), name+"x", true); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

func TestCancel(t *testing.T) {
	a, b := pair(t)
	go Serve(b, []*transport.Driver{echo()}, nil)
	c := NewClient(a, func(_ *Client, broken bool) {
		if !broken {
			t.Error("the client counts as usable")
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(10*time.Millisecond, cancel)
	if _, err := c.Execute(ctx, &Job{Driver: "echo", Job: pack("block"), Recipients: []string{"a@b"}}, nil, nil, Calls{}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	c.Release()
}

// What a helper that was taken over sends ends in an error, and nothing large is allocated for it.
func TestHostileHelper(t *testing.T) {
	frame := func(k byte, text string, size uint32) []byte {
		b := binary.BigEndian.AppendUint32([]byte{k}, uint32(len(text)))
		return append(binary.BigEndian.AppendUint32(b, size), text...)
	}
	outcomes := func(n int) []byte {
		return frame(byte(kindOutcomes), string(pack(result{Outcomes: make([]outcome, n)})), 0)
	}
	for name, sent := range map[string][]byte{
		"nothing":           {},
		"unknown kind":      frame(99, "", 0),
		"kind of engine":    frame(byte(kindExecute), "", 0),
		"too large":         binary.BigEndian.AppendUint64([]byte{byte(kindOutcomes)}, 1<<63-1),
		"no value":          frame(byte(kindOutcomes), "\xff", 0),
		"too few outcomes":  outcomes(0),
		"too many outcomes": outcomes(2),
		"half":              outcomes(1)[:5],
	} {
		a, b := pair(t)
		go func() {
			buf := make([]byte, 4096)
			b.Read(buf)
			b.Write(sent)
			b.CloseWrite()
			io.Copy(io.Discard, b)
		}()
		c := NewClient(a, nil)
		if _, err := c.Execute(t.Context(), &Job{Driver: "echo", Job: pack(""), Recipients: []string{"a@b"}}, nil, nil, Calls{}); err == nil || !c.broken {
			t.Errorf("%s: no error", name)
		}
		c.Close()
	}
}

func FuzzReceive(f *testing.F) {
	f.Add([]byte{byte(kindOutcomes), 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, sent []byte) {
		a, b := pair(t)
		b.SetWriteDeadline(time.Now().Add(time.Second))
		go func() { b.Write(sent); b.CloseWrite() }()
		l := &link{conn: a}
		for range 10 {
			var r result
			if _, _, file, err := l.receive(func(kind) any { return &r }); err != nil {
				return
			} else if file != nil {
				file.Close()
			}
		}
	})
}

func BenchmarkExecute(b *testing.B) {
	c := start(b)
	name := filepath.Join(b.TempDir(), "D")
	os.WriteFile(name, []byte("body"), 0o600)
	f, _ := os.Open(name)
	defer f.Close()
	job := &Job{Driver: "echo", Job: pack(""), Recipients: []string{"a@b"}, Size: 4}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Execute(context.Background(), job, []byte("A: b\n"), f, Calls{}); err != nil {
			b.Fatal(err)
		}
	}
}
