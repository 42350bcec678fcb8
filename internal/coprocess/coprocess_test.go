package coprocess

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"
)

const limit = 1 << 10

// TestMain makes the test itself a program that loads a library: it answers each request with its arguments, its environment and the request.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "serve" {
		serve()
		return
	}
	os.Exit(m.Run())
}

func serve() {
	requests, answers, err := Streams()
	if err != nil {
		os.Exit(71)
	}
	os.Stdout.WriteString("noise") // as libraries make
	stolen, _ := io.ReadAll(os.Stdin)
	for {
		q, err := ReadFrame(requests, limit)
		switch {
		case err != nil:
			os.Exit(0)
		case string(q) == "die":
			os.Exit(1)
		case string(q) == "hang":
			time.Sleep(time.Hour)
		}
		text := strings.Join(os.Args[2:], ",") + "|" + strings.Join(os.Environ(), ",") + "|" + string(q) + string(stolen)
		if string(q) == "exit" {
			_ = WriteFrame(answers, []byte(text), limit)
			os.Exit(0)
		}
		if WriteFrame(answers, []byte(text), limit) != nil {
			os.Exit(76)
		}
	}
}

func ask(ctx context.Context, p *Pool, c Command, q string) (answer string, err error) {
	err = p.Do(ctx, c, func(in io.Writer, out io.Reader) error {
		if err := WriteFrame(in, []byte(q), limit); err != nil {
			return err
		}
		data, err := ReadFrame(out, limit)
		answer = string(data)
		return err
	})
	return answer, err
}

func TestPool(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("EXIGO_SECRET", "not for processes")
	ctx, p := context.Background(), &Pool{}
	defer p.Close()
	one := Command{Path: self, Arguments: []string{"serve", "one"}, Environment: []string{"A=b"}}
	two := Command{Path: self, Arguments: []string{"serve", "two"}}
	expect := func(c Command, q, want string) *process {
		t.Helper()
		if got, err := ask(ctx, p, c, q); err != nil || got != want {
			t.Fatalf("%q: %q, %v", q, got, err)
		}
		if len(p.idle) != 1 || len(p.slots) != 0 {
			t.Fatalf("%q: %d idle, %d slots taken", q, len(p.idle), len(p.slots))
		}
		return p.idle[0]
	}
	first := expect(one, "x", "one|A=b|x")
	if expect(one, "y", "one|A=b|y") != first {
		t.Error("a process was not used again")
	}
	if expect(two, "x", "two||x") == first || first.alive() {
		t.Error("another command used the same process")
	}
	died := expect(two, "exit", "two||exit")
	<-died.ended
	if expect(two, "x", "two||x") == died {
		t.Error("a process that had ended was used again")
	}
	last := p.idle[0]
	last.used = maxRequests
	if _, err := ask(ctx, p, two, "x"); err != nil || len(p.idle) != 0 || last.alive() {
		t.Error("a process that served long enough was kept")
	}
	if _, err := ask(ctx, p, one, "die"); !errors.Is(err, io.EOF) || !strings.HasPrefix(err.Error(), "coprocess.test: ") {
		t.Errorf("a process that dies: %v", err)
	}
	if _, err := ask(ctx, p, one, strings.Repeat("x", limit+1)); !errors.Is(err, ErrTooLong) || len(p.idle) != 0 {
		t.Errorf("a conversation that failed: %v", err)
	}
	if _, err := ask(ctx, p, Command{Path: "/nonexistent"}, "x"); err == nil || err.Error() != "cannot run /nonexistent: no such file or directory" {
		t.Errorf("no program: %v", err)
	}
	if len(p.slots) != 0 {
		t.Errorf("%d slots taken", len(p.slots))
	}
}

func TestPoolBounds(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &Pool{Most: 1, Idle: 1}
	defer p.Close()
	c := Command{Path: self, Arguments: []string{"serve"}}
	ctx, cancel := context.WithCancel(context.Background())
	err = p.Do(ctx, c, func(in io.Writer, out io.Reader) error {
		if err := WriteFrame(in, []byte("hang"), limit); err != nil {
			return err
		}
		cancel()
		_, err := ReadFrame(out, limit)
		return err
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("a process that hangs: %v", err)
	}
	ctx, cancel = context.WithCancel(context.Background())
	inside := p.Do(context.Background(), c, func(io.Writer, io.Reader) error {
		cancel()
		_, err := ask(ctx, p, c, "x")
		return err
	})
	if !errors.Is(inside, context.Canceled) || len(p.slots) != 0 {
		t.Errorf("more than one process at a time: %v", inside)
	}
}

func TestFrames(t *testing.T) {
	var b bytes.Buffer
	type value struct {
		Text    string
		Numbers []int
	}
	if err := WriteValue(&b, &value{"a\x00b", []int{1, -2}}, limit); err != nil {
		t.Fatal(err)
	}
	whole := b.String()
	var v value
	if err := ReadValue(&b, &v, limit); err != nil || v.Text != "a\x00b" || len(v.Numbers) != 2 || v.Numbers[1] != -2 {
		t.Errorf("%+v, %v", v, err)
	}
	for text, want := range map[string]error{"": io.EOF, "\x00\x00": io.ErrUnexpectedEOF, whole[:len(whole)-1]: io.ErrUnexpectedEOF, "\x00\x00\x04\x01": ErrTooLong, "\xff\xff\xff\xff": ErrTooLong} {
		if err := ReadValue(strings.NewReader(text), &v, limit); !errors.Is(err, want) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if err := ReadValue(strings.NewReader("\x00\x00\x00\x01\xff"), &v, limit); err == nil {
		t.Error("nonsense is a value")
	}
	if err := WriteValue(&b, make(chan int), limit); err == nil {
		t.Error("a channel travels")
	}
}

// FuzzReadFrame: a frame that is read is written the same, and never longer than allowed.
func FuzzReadFrame(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x03abc"))
	f.Add([]byte("\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := ReadFrame(bytes.NewReader(data), limit)
		if err != nil {
			return
		}
		var b bytes.Buffer
		if len(got) > limit || WriteFrame(&b, got, limit) != nil || !bytes.HasPrefix(data, b.Bytes()) {
			t.Errorf("%q was read as %q", data, got)
		}
	})
}
