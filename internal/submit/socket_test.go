package submit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := ListenSocket(path, -1, -1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ListenSocket(path, -1, -1); err == nil {
		t.Error("two daemons")
	}
	var seen Peer
	server := &SocketServer{Max: 4, PerUser: 2, Run: func(_ context.Context, call *Invocation) int {
		seen = call.Peer
		fmt.Fprintf(call.Stdout, "args %q\n", call.Argv)
		n, err := io.Copy(io.Discard, call.Stdin)
		fmt.Fprintf(call.Stderr, "read %d %v\n", n, err)
		if call.Argv[0] == "panic" {
			panic("x")
		}
		return 7
	}}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- server.Serve(ctx, l) }()
	var stdout, stderr bytes.Buffer
	status, err := Remote(path, []string{"exim", "-t"}, strings.NewReader(strings.Repeat("x", 200000)), &stdout, &stderr)
	if status != 7 || err != nil || stdout.String() != "args [\"exim\" \"-t\"]\n" || stderr.String() != "read 200000 <nil>\n" {
		t.Errorf("%d %v %q %q", status, err, stdout.String(), stderr.String())
	}
	if seen.UID != os.Getuid() || seen.GID != os.Getgid() || seen.PID != os.Getpid() {
		t.Errorf("peer %+v", seen)
	}
	if _, err := Remote(path, []string{"panic"}, strings.NewReader(""), io.Discard, io.Discard); err == nil {
		t.Error("a call that broke down has a status")
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if _, err := Remote(path, nil, strings.NewReader(""), io.Discard, io.Discard); !errors.Is(err, ErrNoDaemon) {
		t.Error(err)
	}
	if l, err = ListenSocket(path, -1, -1); err != nil {
		t.Errorf("stale socket: %v", err)
	} else {
		l.Close()
	}
}

// TestSocketOpen opens more connections than one user may have.
func TestSocketOpen(t *testing.T) {
	path := t.TempDir() + "/socket"
	l, err := ListenSocket(path, -1, -1)
	if err != nil {
		t.Fatal(err)
	}
	server := &SocketServer{Open: 1, Run: func(context.Context, *Invocation) int { return 0 }}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- server.Serve(ctx, l) }()
	said := make(chan string, 2)
	var connections []net.Conn
	for range 2 {
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		connections = append(connections, c)
		go func() {
			b, _ := io.ReadAll(c)
			said <- string(b)
		}()
	}
	if text := <-said; !strings.Contains(text, "exim: too many calls at the same time") || text[len(text)-1] != exitTemporary {
		t.Errorf("%q", text)
	}
	for _, c := range connections {
		c.Close()
	}
	if text := <-said; text != "" {
		t.Errorf("the first connection got %q", text)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestDrop(t *testing.T) {
	dir := t.TempDir()
	for i := range 2 {
		if err := WriteDrop(dir, []string{"sendmail", "-t", fmt.Sprint(i)}, strings.NewReader("To: x\n\nbody\n"), 100); err != nil {
			t.Fatal(err)
		}
	}
	if err := WriteDrop(dir, []string{"x"}, strings.NewReader(strings.Repeat("x", 200)), 100); err == nil {
		t.Error("too big")
	}
	os.WriteFile(filepath.Join(dir, "msg.bad"), []byte("not json\n"), 0o600)
	os.Symlink("/etc/passwd", filepath.Join(dir, "msg.link"))
	os.WriteFile(filepath.Join(dir, ".new.x"), nil, 0o600)
	var got []string
	problems := 0
	n, err := ReadDrops(context.Background(), dir, func(_ context.Context, call *Invocation) int {
		text, _ := io.ReadAll(call.Stdin)
		got = append(got, fmt.Sprintf("%d %v %q %v", call.Peer.UID, call.Argv, text, call.Dropped))
		return 0
	}, func(string) { problems++ })
	want := []string{fmt.Sprintf("%d [sendmail -t 0] \"To: x\\n\\nbody\\n\" true", os.Getuid()), fmt.Sprintf("%d [sendmail -t 1] \"To: x\\n\\nbody\\n\" true", os.Getuid())}
	if n != 2 || err != nil || problems != 2 || strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("%d %v %d %q", n, err, problems, got)
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("left: %v", left)
	}
	if n, err := ReadDrops(context.Background(), filepath.Join(dir, "none"), nil, nil); n != 0 || err != nil {
		t.Error(n, err)
	}
}

func FuzzFrames(f *testing.F) {
	f.Add([]byte("A\x00\x00\x00\x10{\"Argv\":[\"exim\"]}I\x00\x00\x00\x01xE\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := bytes.NewReader(data)
		if _, err := readFacts(r); err == nil {
			io.Copy(io.Discard, &inputReader{r: r})
		}
	})
}
