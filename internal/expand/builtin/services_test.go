package builtin

import (
	"context"
	"crypto/md5"
	"io"
	"net"
	"os"
	"strings"
	"testing"

	"exigo/internal/expand"
	"exigo/internal/outside"
)

// serviceScope is a scope that can dial.
func serviceScope(t *testing.T) *expand.Scope {
	t.Helper()
	e, err := expand.New(outside.Real(), Words(), expand.Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	return e.NewScope(context.Background(), nil, nil, nil)
}

// daemon answers requests of these lengths at a Unix socket.
func daemon(t *testing.T, answers map[string]string) (path string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "socket") // a short name
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	l, err := net.Listen("unix", dir+"/s")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			buffer := make([]byte, 1024)
			n, _ := c.Read(buffer)
			io.WriteString(c, answers[string(buffer[:n])])
			c.Close()
		}
	}()
	return dir + "/s"
}

func TestDaemons(t *testing.T) {
	s := serviceScope(t)
	path := daemon(t, map[string]string{"\x00\x03joe\x00\x01p\x00\x00\x00\x00": "\x00\x02OK", "\x00\x03joe\x00\x01p\x00\x04smtp\x00\x01r": "\x00\x06NO bad", "joe\x00a:b\x00": "OK", "joe\x00x\x00": "no"})
	for _, c := range []struct {
		fields string
		want   bool
	}{{"joe p", true}, {"joe p smtp r", false}, {strings.Repeat("x", 2000) + " p", false}} {
		if ok, err := askSaslauthd(s, path, strings.Fields(c.fields)); ok != c.want || err != nil {
			t.Errorf("saslauthd %.20s: %v %v", c.fields, ok, err)
		}
	}
	for text, want := range map[string]bool{"joe:a:b": true, "joe:x": false, "joe": false, ":x": false, "joe:\x00": false} {
		if ok, err := askPwcheck(s, path, text); ok != want || err != nil {
			t.Errorf("pwcheck %q: %v %v", text, ok, err)
		}
	}
	if _, err := askSaslauthd(s, path, []string{"silent", "x"}); !expand.IsTemporary(err) || err.Error() != "read from saslauthd daemon failed" {
		t.Error(err)
	}
	if _, err := askSaslauthd(s, "/none/mux", []string{"joe", "p"}); !expand.IsTemporary(err) || err.Error() != "cannot connect to saslauthd daemon at /none/mux: No such file or directory" {
		t.Error(err)
	}
}

func TestRADIUS(t *testing.T) {
	s := serviceScope(t)
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	go func() {
		buffer := make([]byte, 4096)
		for {
			n, from, err := server.ReadFrom(buffer)
			if err != nil {
				return
			}
			code, request := byte(3), buffer[:n]
			if strings.Contains(string(request), "\x01\x05joe") {
				code = 2
			}
			_, _ = server.WriteTo([]byte("\x02forged answer, longer than a header"), from)
			answer := append([]byte{code, request[1], 0, 20}, request[4:20]...)
			sum := md5.Sum(append(append([]byte(nil), answer...), "secret"...))
			copy(answer[4:], sum[:])
			_, _ = server.WriteTo(answer, from)
		}
	}()
	path := t.TempDir() + "/radiusclient.conf"
	if err := os.WriteFile(path, []byte("authserver "+server.LocalAddr().String()+":secret\nradius_timeout 5\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]bool{"joe:p": true, "sue:p": false, "joe": false, "": false, "joe:" + strings.Repeat("x", 200): false} {
		if ok, err := askRADIUS(s, path, text); ok != want || err != nil {
			t.Errorf("%.20q: %v %v", text, ok, err)
		}
	}
	if _, err := askRADIUS(s, "/none", "joe:p"); !expand.IsTemporary(err) || err.Error() != "RADIUS: can't open /none: No such file or directory" {
		t.Error(err)
	}
}
