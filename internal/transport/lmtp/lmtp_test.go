package lmtp

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"exigo/internal/mail"
	"exigo/internal/testkit"
	"exigo/internal/transport/transporttest"
)

const (
	open = "S: 220 x\nC: LHLO host.test\nS: 250-h\nS: 250 IGNOREQUOTA\n"
	from = open + "C: MAIL FROM:<sender@s.test>\nS: 250 OK\n"
	data = "C: DATA\nS: 354 go\nC: Received: by host.test\nC: Message-Id: <m1@s.test>\nC: From: Some One <sender@s.test>\nC: Subject: hello\nC: \nC: From the body\nC: ..dot\nC: last line\nC: .\n"
)

func TestDialogues(t *testing.T) {
	for _, c := range []struct {
		name, script, want string
		options            []string
	}{
		{name: "each its own", script: from + "C: RCPT TO:<a@test.ex> IGNOREQUOTA\nS: 250 OK\nC: RCPT TO:<b@test.ex> IGNOREQUOTA\nS: 450 later\nC: RCPT TO:<c@test.ex> IGNOREQUOTA\nS: 550 no\nC: RCPT TO:<d@test.ex> IGNOREQUOTA\nS: 250 OK\n" +
			data + "S: 250 one\nS: 450 full\nC: QUIT\nS: 221 bye\n", options: []string{"ignore_quota", "yes"},
			want: "1 0 one/250 one;2 -44 LMTP error after RCPT TO:<b@test.ex> IGNOREQUOTA: 450 later/;3 0 LMTP error after RCPT TO:<c@test.ex> IGNOREQUOTA: 550 no/;2 -46 LMTP error after end of data: 450 full/"},
		{name: "greeting", script: "S: 440 Sorry\nC: QUIT\nS: 221 bye\n", want: "2 -1 LMTP error after initial connection: 440 Sorry/"},
		{name: "sender", script: open + "C: MAIL FROM:<sender@s.test>\nS: 550 no\nC: QUIT\nS: 221 bye\n", want: "3 0 LMTP error after MAIL FROM:<sender@s.test>: 550 no/"},
		{name: "sender later", script: open + "C: MAIL FROM:<sender@s.test>\nS: 450 no\nC: QUIT\nS: 221 bye\n", want: "2 -45 LMTP error after MAIL FROM:<sender@s.test>: 450 no/"},
		{name: "closed", script: "S: 220 x\nC: LHLO host.test\n", want: "2 -1 LMTP connection closed after LHLO host.test/"},
		{name: "garbage", script: "S: garbage\nC: <close>\n", want: "2 -19 Malformed LMTP response after initial connection: garbage/"},
	} {
		name := filepath.Join(t.TempDir(), "s")
		l, err := net.Listen("unix", name)
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() {
			conn, err := l.Accept()
			if err == nil {
				err = testkit.Converse(conn, testkit.Server, c.script)
				conn.Close()
			}
			done <- err
		}()
		f := transporttest.New(t, Driver(), append(c.options, "socket", name)...)
		f.Run.Addresses = nil
		for _, a := range []string{"a", "b", "c", "d"} {
			f.Run.Addresses = append(f.Run.Addresses, transporttest.Address(a, "test.ex"))
		}
		f.Deliver(t.Context())
		var got []string
		for _, a := range f.Run.Addresses {
			o := a.Outcome
			text := fmt.Sprintf("%d %d %s/%s", o.Result, o.Errno, o.Message, o.Confirmation)
			if o.Result == mail.Delivered {
				text = fmt.Sprintf("%d %d one/%s", o.Result, o.Errno, o.Confirmation)
			}
			got = append(got, text)
		}
		want := strings.Split(c.want, ";")
		for i := range got {
			if got[i] != want[min(i, len(want)-1)] {
				t.Errorf("%s: address %d: %q", c.name, i, got[i])
			}
		}
		if err := <-done; err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		l.Close()
	}
}

func TestCommand(t *testing.T) {
	script := filepath.Join(t.TempDir(), "server")
	os.WriteFile(script, []byte("#!/bin/sh\nsay() { printf '%s\\r\\n' \"$1\"; }\nsay '220 hi'; read x; say '250 ok'; read x; say '250 ok'; read r; say '250 ok'; read x; say '354 go'\n"+
		"while read x; do case $x in .?) break;; esac; done; say \"250 $r $1\"; read x; exit 3\n"), 0o755)
	f := transporttest.New(t, Driver(), "command", script+" $local_part_data")
	if o := f.Deliver(t.Context()); o.Result != mail.Delivered || o.Confirmation != `250 RCPT TO:<userx@test.ex>\r userx` {
		t.Errorf("%+v", o)
	}
	for command, want := range map[string]string{"/no/such": "LMTP connection closed after initial connection", "/bin/true": "LMTP connection closed after initial connection"} {
		f := transporttest.New(t, Driver(), "command", command)
		if o := f.Deliver(t.Context()); o.Result != mail.Deferred || o.Errno != -1 || o.Message != want {
			t.Errorf("%s: %+v", command, o)
		}
	}
	f = transporttest.New(t, Driver(), "socket", "/no/such/socket")
	if o := f.Deliver(t.Context()); o.Message != "Failed to connect to socket /no/such/socket for t1 transport: No such file or directory" {
		t.Errorf("%+v", o)
	}
	f = transporttest.New(t, Driver(), "command", "/bin/cat", "timeout", "1s")
	if o := f.Deliver(t.Context()); o.Message != "LMTP timeout after initial connection" || o.Errno != -1 {
		t.Errorf("%+v", o)
	}
	f = transporttest.New(t, Driver(), "command", "/bin/$local_part")
	if o := f.Deliver(t.Context()); o.Result != mail.Failed || o.Message != "Tainted arg 0 for t1 transport command: '/bin/userx'" {
		t.Errorf("%+v", o)
	}
}
