package smtp

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"exigo/internal/mail"
	"exigo/internal/smtpclient"
	"exigo/internal/testkit"
	"exigo/internal/transport/transporttest"
)

// talk is a delivery to scripted servers, one host for each dialogue.
type talk struct {
	*transporttest.Fixture
	done []<-chan error
}

func newTalk(t *testing.T, dialogues []string, to []string, options ...string) *talk {
	t.Helper()
	k := &talk{Fixture: transporttest.New(t, Driver(), options...)}
	k.Body("hi\n")
	k.Run.Addresses = nil
	for _, one := range to {
		k.Run.Addresses = append(k.Run.Addresses, transporttest.Address(one, "test.ex"))
	}
	var hosts []mail.Host
	for i, d := range dialogues {
		h := mail.Host{Name: fmt.Sprintf("h%d.test", i+1), Address: netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)}), MX: -1}
		hosts = append(hosts, h)
		switch d {
		case "refused":
		case "timeout":
			k.World.Network.Fail(h.Address.String()+":25", syscall.ETIMEDOUT)
		default:
			address, done := testkit.NewScripted(t, d)
			k.World.Network.Map(h.Address.String()+":25", address)
			k.done = append(k.done, done)
		}
	}
	for _, a := range k.Run.Addresses {
		a.Hosts = hosts
	}
	return k
}

// outcomes delivers and describes what became of each address, and what was logged.
func (k *talk) outcomes() string {
	k.T.Helper()
	k.Deliver(k.T.(*testing.T).Context())
	for i, d := range k.done {
		if err := <-d; err != nil {
			k.T.Errorf("host %d: %v", i+1, err)
		}
	}
	var b strings.Builder
	for _, line := range k.LogLines {
		b.WriteString("log " + line + "\n")
	}
	for _, a := range k.Run.Addresses {
		o := a.Outcome
		fmt.Fprintf(&b, "%s %s", a.LocalPart, [...]string{"pending", "=>", "==", "**", "discarded", "panic"}[o.Result])
		if o.Further {
			b.WriteString(" ->")
		}
		if o.Errno != 0 {
			fmt.Fprintf(&b, " (%d)", o.Errno)
		}
		if o.Host != nil {
			b.WriteString(" H=" + o.Host.Name)
		}
		if o.Message != "" {
			b.WriteString(" " + o.Message)
		}
		if o.Confirmation != "" {
			b.WriteString(" C=" + o.Confirmation)
		}
		for _, u := range o.RetryKeys {
			fmt.Fprintf(&b, " [%s %d %d]", u.Key, u.Errno, u.MoreErrno>>8)
		}
		b.WriteString("\n")
	}
	return b.String()
}

const (
	hello     = "S: 220 ready\nC: EHLO host.test\n"
	plain     = hello + "S: 250 h\n"
	pipe      = hello + "S: 250-h\nS: 250 PIPELINING\n"
	from      = "C: MAIL FROM:<sender@s.test>\n"
	fromOK    = from + "S: 250 OK\n"
	text      = "C: Received: by host.test\nC: Message-Id: <m1@s.test>\nC: From: Some One <sender@s.test>\nC: Subject: hello\nC: \nC: hi\nC: .\n"
	quit      = "C: QUIT\n"
	wholeText = "C: <data>\n"
)

func rcpt(who ...string) (s string) {
	for _, w := range who {
		s += "C: RCPT TO:<" + w + "@test.ex>\n"
	}
	return s
}

func TestDialogues(t *testing.T) {
	for _, c := range []struct {
		name, to string
		script   string
		options  []string
		want     string
	}{
		{name: "plain", to: "a b", script: plain + fromOK + rcpt("a") + "S: 250 OK\n" + rcpt("b") + "S: 250 OK\nC: DATA\nS: 354 go\n" + wholeText + "S: 250 OK id=1\n" + quit + "S: 221 bye\nC: <close>\n",
			want: "a => H=h1.test C=250 OK id=1\nb => -> H=h1.test C=250 OK id=1\n"},
		{name: "some refused, pipelined", to: "a b c d", script: pipe + from + rcpt("a", "b", "c", "d") + "C: DATA\nS: 250 OK\nS: 250 OK\nS: 451 Temp error\nS: 550 Perm error\nS: 250 OK\nS: 351 more\n" + wholeText + "S: 250 OK\n" + quit,
			want: "a => H=h1.test C=250 OK\n" +
				"b == (-44) H=h1.test SMTP error from remote mail server after RCPT TO:<b@test.ex>: 451 Temp error [R:b@test.ex:<sender@s.test> -44 51]\n" +
				"c ** H=h1.test SMTP error from remote mail server after RCPT TO:<c@test.ex>: 550 Perm error\nd => -> H=h1.test C=250 OK\n"},
		{name: "MAIL deferred, pipelined", to: "a", script: pipe + from + rcpt("a") + "C: DATA\nS: 451 later\nS: 503 a\nS: 503 b\n" + quit,
			want: "log H=h1.test [192.0.2.1]: SMTP error from remote mail server after pipelined MAIL FROM:<sender@s.test>: 451 later\n" +
				"a == (-45) H=h1.test SMTP error from remote mail server after pipelined MAIL FROM:<sender@s.test>: 451 later [T:h1.test:192.0.2.1:10HmaX-000000005vi-0000 -45 51]\n"},
		{name: "MAIL refused", to: "a b", script: plain + from + "S: 550-no\nS: 550 never\n" + quit,
			want: "a ** H=h1.test SMTP error from remote mail server after MAIL FROM:<sender@s.test>: 550-no\\n550 never\n" +
				"b ** H=h1.test SMTP error from remote mail server after MAIL FROM:<sender@s.test>: 550-no\\n550 never\n"},
		{name: "all deferred", to: "a b", script: pipe + from + rcpt("a", "b") + "C: DATA\nS: 250 OK\nS: 451 one\nS: 452 two\nS: 503 nobody\n" + quit,
			want: "a == (-44) H=h1.test SMTP error from remote mail server after RCPT TO:<a@test.ex>: 451 one [R:a@test.ex:<sender@s.test> -44 51]\n" +
				"b == (-44) H=h1.test SMTP error from remote mail server after RCPT TO:<b@test.ex>: 452 two [R:b@test.ex:<sender@s.test> -44 52]\n"},
		{name: "nobody accepted, but DATA", to: "a", script: pipe + from + rcpt("a") + "C: DATA\nS: 250 OK\nS: 550 no\nS: 354 go\nC: .\nS: 554 nobody\n" + quit,
			want: "a ** H=h1.test SMTP error from remote mail server after RCPT TO:<a@test.ex>: 550 no\n"},
		{name: "DATA refused, pipelined", to: "a", script: pipe + from + rcpt("a") + "C: DATA\nS: 250 OK\nS: 250 OK\nS: 503 sorry\n" + quit,
			want: "a ** H=h1.test SMTP error from remote mail server after pipelined DATA: 503 sorry\n"},
		{name: "data deferred", to: "a", script: plain + fromOK + rcpt("a") + "S: 250 OK\nC: DATA\nS: 354 go\n" + wholeText + "S: 452 full\n" + quit,
			want: "log H=h1.test [192.0.2.1]: SMTP error from remote mail server after end of data: 452 full\n" +
				"a == (-46) H=h1.test SMTP error from remote mail server after end of data: 452 full [T:h1.test:192.0.2.1:10HmaX-000000005vi-0000 -46 52]\n"},
		{name: "nonsense", to: "a", script: plain + fromOK + rcpt("a") + "S: 250 OK\nC: DATA\nS: 354 go\n" + wholeText + "S: 850 NONSENSE\n" + quit,
			want: "log H=h1.test [192.0.2.1]: SMTP error from remote mail server after end of data: 850 NONSENSE\n" +
				"a == H=h1.test SMTP error from remote mail server after end of data: 850 NONSENSE [T:h1.test:192.0.2.1:10HmaX-000000005vi-0000 0 0]\n"},
		{name: "malformed", to: "a", script: pipe + from + rcpt("a") + "C: DATA\nS: 250 OK\nS: \nC: <close>\n",
			want: "log H=h1.test [192.0.2.1]: Malformed SMTP reply (an empty line) in response to pipelined RCPT TO:<a@test.ex>\n" +
				"a == (-19) H=h1.test Malformed SMTP reply (an empty line) in response to pipelined RCPT TO:<a@test.ex> [T:h1.test:192.0.2.1 -19 0]\n"},
		{name: "closed", to: "a", script: pipe + from + rcpt("a") + "C: DATA\nS: 250 OK\nS: <close>\n",
			want: "log H=h1.test [192.0.2.1]: Remote host closed connection in response to pipelined RCPT TO:<a@test.ex>\n" +
				"a == (-18) H=h1.test Remote host closed connection in response to pipelined RCPT TO:<a@test.ex> [T:h1.test:192.0.2.1 -18 0]\n"},
		{name: "refused at the door", to: "a", script: "S: 550 Go away\n" + quit,
			want: "log H=h1.test [192.0.2.1]: SMTP error from remote mail server after initial connection: 550 Go away\n" +
				"a ** H=h1.test SMTP error from remote mail server after initial connection: 550 Go away [T:h1.test:192.0.2.1 0 0]\n"},
		{name: "busy", to: "a", script: "S: 220 x\nC: EHLO host.test\nS: 500 what\nC: HELO host.test\nS: 450 busy\n" + quit,
			want: "log H=h1.test [192.0.2.1]: SMTP error from remote mail server after HELO host.test: 450 busy\n" +
				"a == H=h1.test SMTP error from remote mail server after HELO host.test: 450 busy [T:h1.test:192.0.2.1 0 0]\n"},
		{name: "banned", to: "a", script: "S: 220 x\nC: EHLO host.test\nS: 550 You are banned\nC: HELO host.test\nS: <close>\n",
			want: "log H=h1.test [192.0.2.1]: Remote host closed connection in response to HELO host.test (EHLO response was: 550 You are banned)\n" +
				"a == (-18) H=h1.test Remote host closed connection in response to HELO host.test (EHLO response was: 550 You are banned) [T:h1.test:192.0.2.1 -18 0]\n"},
		{name: "parameters", to: "a", script: hello + "S: 250-h\nS: 250-SIZE\nS: 250-DSN\nS: 250 8BITMIME\n" +
			"C: MAIL FROM:<sender@s.test> SIZE=1107 BODY=8BITMIME RET=HDRS ENVID=e1\nS: 250 OK\nC: RCPT TO:<a@test.ex> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;x@y\nS: 250 OK\nC: DATA\nS: 354 go\n" + wholeText + "S: 250 OK\n" + quit,
			want: "a => H=h1.test C=250 OK\n"},
		{name: "chunk", to: "a", script: hello + "S: 250-h\nS: 250-PIPELINING\nS: 250 CHUNKING\n" + from + rcpt("a") + "C: BDAT 103 LAST\n" +
			strings.TrimSuffix(text, "C: .\n") + "S: 250 OK\nS: 250 OK\nS: 250 taken\n" + quit, want: "a => H=h1.test C=250 taken\n"},
		{name: "chunk refused with MAIL", to: "a", script: hello + "S: 250-h\nS: 250-PIPELINING\nS: 250 CHUNKING\n" + from + rcpt("a") + "C: BDAT 103 LAST\n" +
			strings.TrimSuffix(text, "C: .\n") + "S: 550 bad sender\nS: 550 no\nS: 500 no\n" + quit,
			want: "a ** H=h1.test SMTP error from remote mail server after pipelined end of data: 550 bad sender\n"},
		{name: "too many recipients at a time", to: "a b c", script: plain + fromOK + rcpt("a") + "S: 250 OK\n" + rcpt("b") + "S: 452 excess\n" + rcpt("c") + "S: 452 excess\nC: DATA\nS: 354 go\n" + wholeText + "S: 250 one\n" +
			fromOK + rcpt("b") + "S: 250 OK\n" + rcpt("c") + "S: 550 no\nC: DATA\nS: 354 go\n" + wholeText + "S: 250 two\n" + quit,
			want: "a => H=h1.test C=250 one\nb => H=h1.test C=250 two\nc ** H=h1.test SMTP error from remote mail server after RCPT TO:<c@test.ex>: 550 no\n"},
		{name: "copies by max_rcpt", to: "a b c", options: []string{"max_rcpt", "2"}, script: plain + fromOK + rcpt("a") + "S: 550 no\n" + rcpt("b") + "S: 550 no\nC: RSET\nS: 250 OK\n" +
			fromOK + rcpt("c") + "S: 250 OK\nC: DATA\nS: 354 go\n" + wholeText + "S: 250 two\n" + quit,
			want: "a ** H=h1.test SMTP error from remote mail server after RCPT TO:<a@test.ex>: 550 no\nb ** H=h1.test SMTP error from remote mail server after RCPT TO:<b@test.ex>: 550 no\nc => H=h1.test C=250 two\n"},
		{name: "lmtp", to: "a b c", options: []string{"protocol", "lmtp", "port", "25", "lmtp_ignore_quota", "yes"},
			script: "S: 220 x\nC: LHLO host.test\nS: 250-h\nS: 250 IGNOREQUOTA\n" + fromOK + "C: RCPT TO:<a@test.ex> IGNOREQUOTA\nS: 250 OK\nC: RCPT TO:<b@test.ex> IGNOREQUOTA\nS: 250 OK\n" +
				"C: RCPT TO:<c@test.ex> IGNOREQUOTA\nS: 250 OK\nC: DATA\nS: 354 go\n" + wholeText + "S: 250 one\nS: 550-bad\nS: 550 user\nS: 450 later\n" + quit,
			want: "a => H=h1.test C=250 one\nb ** H=h1.test LMTP error after DATA: 550-bad\\n550 user\n" +
				"c == H=h1.test LMTP error after DATA: 450 later [R:c@test.ex:<sender@s.test> 0 50]\n"},
		{name: "no esmtp", to: "a", options: []string{"hosts_avoid_esmtp", "*", "helo_data", "me.${host}", "headers_only", "yes"},
			script: "S: 220 x\nC: HELO me.h1.test\nS: 250 PIPELINING\n" + fromOK + rcpt("a") + "S: 250 OK\nC: DATA\nS: 354 go\n" + wholeText + "S: 250 OK\n" + quit, want: "a => H=h1.test C=250 OK\n"},
		{name: "filter", to: "a", options: []string{"transport_filter", "/bin/sh -c \"cat >/dev/null; echo $host\""},
			script: plain + fromOK + rcpt("a") + "S: 250 OK\nC: DATA\nS: 354 go\nC: h1.test\nC: .\nS: 250 OK\n" + quit, want: "a => H=h1.test C=250 OK\n"},
		{name: "filter fails", to: "a", options: []string{"transport_filter", "/bin/false"},
			script: plain + fromOK + rcpt("a") + "S: 250 OK\nC: DATA\nS: 354 go\nC: <close>\n", want: "a == (-24) transport filter process failed (1)\n"},
		{name: "authentication wanted", to: "a", options: []string{"hosts_require_auth", "*"}, script: plain + quit,
			want: "a == (-42) authentication required but server did not advertise AUTH support [T:h1.test:192.0.2.1 -42 0]\n"},
		{name: "long lines", to: "a", options: []string{"message_linelength_limit", "10"}, script: "refused", want: "a ** message has lines too long for transport (received 999, limit 10)\n"},
		{name: "all or none", to: "a b", script: pipe + from + rcpt("a", "b") + "S: 250 OK\nS: 250 OK\nS: 450 later\n" + quit,
			want: "a == (-44) H=h1.test SMTP error from remote mail server after RCPT TO:<b@test.ex>: 450 later\n" +
				"b == (-44) H=h1.test SMTP error from remote mail server after RCPT TO:<b@test.ex>: 450 later [R:b@test.ex:<sender@s.test> -44 50]\n"},
		{name: "bad helo", to: "a", options: []string{"helo_data", "${if eq{a}{b}"}, script: "", want: ""},
	} {
		if c.want == "" {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			k := newTalk(t, []string{c.script}, strings.Fields(c.to), c.options...)
			switch c.name {
			case "parameters":
				m := k.Run.Message
				m.BodyType, m.Ret, m.EnvID = 8, "HDRS", "e1"
				m.Lines, m.Size = 0, 83
				k.Run.Addresses[0].Notify, k.Run.Addresses[0].ORCPT = mail.NotifySuccess|mail.NotifyDelay, "rfc822;x@y"
			case "all or none":
				k.Run.AllOrNone = true
			case "long lines":
				k.Run.Message.MaxReceivedLine = 999
			}
			if got := k.outcomes(); got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

func TestInternational(t *testing.T) {
	sent := func(extension, sender, to string) string {
		return hello + "S: 250-h\nS: 250 " + extension + "\nC: MAIL FROM:<" + sender + "\nS: 250 OK\nC: RCPT TO:<" + to + ">\nS: 250 OK\nC: DATA\nS: 354 go\n" + wholeText + "S: 250 OK\n" + quit
	}
	for _, c := range []struct{ name, mode, script, want string }{
		{"offered", "-1", sent("SMTPUTF8", "ü@s.test> SMTPUTF8", "a@test.ex"), "a => H=h1.test C=250 OK\n"},
		{"converted if needed", "-1", sent("HELP", "xn--tda@s.test>", "a@test.ex"), "a => H=h1.test C=250 OK\n"},
		{"converted always", "1", sent("SMTPUTF8", "xn--tda@s.test>", "a@test.ex"), "a => H=h1.test C=250 OK\n"},
		{"never", "0", hello + "S: 250-h\nS: 250 HELP\n" + quit, "log H=h1.test [192.0.2.1]: utf8 support required but not offered for forwarding\n" +
			"a ** H=h1.test utf8 support required but not offered for forwarding\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := newTalk(t, []string{c.script}, []string{"a"}, "utf8_downconvert", c.mode)
			k.Run.Message.SMTPUTF8, k.Run.Sender = true, "ü@s.test"
			if got := k.outcomes(); got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

// good is a server that takes the message for the recipients one after the other.
func good(who ...string) string {
	s := plain + fromOK
	for _, w := range who {
		s += rcpt(w) + "S: 250 OK\n"
	}
	return s + "C: DATA\nS: 354 go\n" + wholeText + "S: 250 OK\n" + quit
}

func TestHosts(t *testing.T) {
	for _, c := range []struct {
		name    string
		hosts   []string
		to      string
		options []string
		mx      []int
		dialed  string
		want    string
	}{
		{name: "next host", hosts: []string{"refused", good("a")}, to: "a", dialed: "1 2",
			want: "log H=h1.test [192.0.2.1] Connection refused\na => H=h2.test C=250 OK [T:h1.test:192.0.2.1 111 0]\n"},
		{name: "none", hosts: []string{"refused", "timeout"}, to: "a", dialed: "1 2",
			want: "log H=h1.test [192.0.2.1] Connection refused\nlog H=h2.test [192.0.2.2] Connection timed out\n" +
				"a == (110) [T:h1.test:192.0.2.1 111 0] [T:h2.test:192.0.2.2 110 1]\n"},
		{name: "refused by one, dead the next", hosts: []string{"S: 554 no smtp service here\n" + quit, "timeout"}, to: "a", dialed: "1 2",
			want: "log H=h1.test [192.0.2.1]: SMTP error from remote mail server after initial connection: 554 no smtp service here\nlog H=h2.test [192.0.2.2] Connection timed out\n" +
				"a == (110) H=h1.test [T:h1.test:192.0.2.1 0 0] [T:h2.test:192.0.2.2 110 1]\n"},
		{name: "deferred recipient tries the next host", hosts: []string{plain + fromOK + rcpt("a") + "S: 451 Later\n" + rcpt("b") + "S: 250 OK\nC: DATA\nS: 354 go\n" + wholeText + "S: 250 OK\n" + quit, good("a")}, to: "a b", dialed: "1 2",
			want: "log H=h1.test [192.0.2.1] SMTP error from remote mail server after RCPT TO:<a@test.ex>: 451 Later\n" +
				"a => H=h2.test C=250 OK [R:a@test.ex:<sender@s.test> -44 51]\nb => H=h1.test C=250 OK\n"},
		{name: "hosts_max_try", hosts: []string{"refused", "refused", "refused"}, options: []string{"hosts_max_try", "2"}, to: "a", dialed: "1 2",
			want: "log H=h1.test [192.0.2.1] Connection refused\nlog H=h2.test [192.0.2.2] Connection refused\n" +
				"a == (111) [T:h1.test:192.0.2.1 111 0] [T:h2.test:192.0.2.2 111 0]\n"},
		{name: "hosts_max_try goes on to the next preference", hosts: []string{"refused", "refused", "refused", good("a")}, mx: []int{5, 5, 5, 9}, options: []string{"hosts_max_try", "1"}, to: "a", dialed: "1 4",
			want: "log H=h1.test [192.0.2.1] Connection refused\na => H=h4.test C=250 OK [T:h1.test:192.0.2.1 111 0]\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := newTalk(t, c.hosts, strings.Fields(c.to), c.options...)
			for i, mx := range c.mx {
				k.Run.Addresses[0].Hosts[i].MX = mx
			}
			if got := k.outcomes(); got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
			var dialed []string
			for _, a := range k.World.Network.Dialed() {
				dialed = append(dialed, strings.TrimSuffix(strings.TrimPrefix(a, "192.0.2."), ":25"))
			}
			if got := strings.Join(dialed, " "); got != c.dialed {
				t.Errorf("dialled %s, want %s", got, c.dialed)
			}
		})
	}
}

// Consecutive messages to one place share a connection; the server's impatience in between does no harm.
func TestReuse(t *testing.T) {
	second := fromOK + rcpt("a") + "S: 250 OK\nC: DATA\nS: 354 go\n" + wholeText + "S: 250 two\n"
	first := strings.TrimSuffix(good("a"), quit)
	for name, c := range map[string]struct {
		dialogues []string
		reused    bool
	}{
		"reused":            {[]string{first + second + quit}, true},
		"closed meanwhile":  {[]string{first + "S: <close>\n", strings.Replace(good("a"), "S: 250 OK\nC: QUIT", "S: 250 two\nC: QUIT", 1)}, false},
		"reset after error": {[]string{plain + fromOK + rcpt("a") + "S: 550 no\nC: RSET\nS: 250 OK\n" + second + quit}, true},
	} {
		t.Run(name, func(t *testing.T) {
			k := newTalk(t, nil, []string{"a"})
			address, done := testkit.NewScripted(t, c.dialogues...)
			h := mail.Host{Name: "h.test", Address: netip.MustParseAddr("192.0.2.9"), MX: -1}
			k.World.Network.Map("192.0.2.9:25", address)
			k.Run.Addresses[0].Hosts = []mail.Host{h}
			pool := smtpclient.NewPool(time.Hour, 10)
			k.Run.Services.Remote = &Services{Pool: pool}
			k.Deliver(t.Context())
			if name == "closed meanwhile" {
				if err := <-done; err != nil {
					t.Fatal(err)
				}
			}
			k.Again()
			k.Run.Addresses = []*mail.Address{transporttest.Address("a", "test.ex")}
			k.Run.Addresses[0].Hosts = []mail.Host{h}
			o := k.Deliver(t.Context())
			if o.Result != mail.Delivered || o.Confirmation != "250 two" || o.Reused != c.reused {
				t.Errorf("%+v", o)
			}
			pool.Close()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
}

// A connection to another port of the same address is another place.
func TestReuseKeepsPortsApart(t *testing.T) {
	k := newTalk(t, nil, []string{"a"})
	pool := smtpclient.NewPool(time.Hour, 10)
	k.Run.Services.Remote = &Services{Pool: pool}
	for port := 25; port < 27; port++ {
		address, _ := testkit.NewScripted(t, good("a"))
		k.World.Network.Map(fmt.Sprintf("192.0.2.9:%d", port), address)
		k.Run.Addresses = []*mail.Address{transporttest.Address("a", "test.ex")}
		k.Run.Addresses[0].Hosts = []mail.Host{{Name: "h.test", Address: netip.MustParseAddr("192.0.2.9"), Port: port, MX: -1}}
		if o := k.Deliver(t.Context()); o.Result != mail.Delivered || o.Reused {
			t.Errorf("port %d: %+v", port, o)
		}
	}
	if pool.Len() != 2 {
		t.Errorf("%d connections", pool.Len())
	}
	pool.Close()
}

func TestLargeMessageInChunks(t *testing.T) {
	k := newTalk(t, nil, []string{"a"})
	s := testkit.NewSink(t)
	k.Body(strings.Repeat(".line of the body\n", 20000))
	want := "Received: by host.test\nMessage-Id: <m1@s.test>\nFrom: Some One <sender@s.test>\nSubject: hello\n\n" + strings.Repeat(".line of the body\n", 20000)
	k.World.Network.Map("192.0.2.9:25", s.Address)
	k.Run.Addresses[0].Hosts = []mail.Host{{Name: "h.test", Address: netip.MustParseAddr("192.0.2.9"), MX: -1}}
	if o := k.Deliver(t.Context()); o.Result != mail.Delivered {
		t.Fatalf("%+v", o)
	}
	if got := s.Messages(); len(got) != 1 || got[0].Data != want {
		t.Errorf("%d messages", len(got))
	}
}

func TestOptionTable(t *testing.T) {
	options.New()
	for _, d := range options.Describe() {
		if d.Doc == "" {
			t.Errorf("%s is not documented", d.Name)
		}
	}
}

func BenchmarkDelivery(b *testing.B) {
	s := testkit.NewSink(b)
	s.Extensions = []string{"PIPELINING"}
	f := transporttest.New(b, Driver())
	f.World.Network.Map("192.0.2.9:25", s.Address)
	pool := smtpclient.NewPool(time.Hour, 10)
	defer pool.Close()
	f.Run.Services.Remote = &Services{Pool: pool}
	h := []mail.Host{{Name: "h.test", Address: netip.MustParseAddr("192.0.2.9"), MX: -1}}
	go func() {
		for range s.Arrived() {
		}
	}()
	b.ReportAllocs()
	for b.Loop() {
		a := transporttest.Address("a", "test.ex")
		a.Hosts = h
		f.Run.Addresses = []*mail.Address{a}
		if o := f.Deliver(context.Background()); o.Result != mail.Delivered {
			b.Fatalf("%+v", o)
		}
	}
}
