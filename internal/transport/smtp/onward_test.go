package smtp

import (
	"strconv"
	"strings"
	"testing"

	"exigo/internal/mail"
)

// TestOnward passes a message on whose recipients a callout has brought to the server.
func TestOnward(t *testing.T) {
	const begin = plain + "C: DATA\n"
	const body = "C: Received: by host.test\nC: Message-Id: <m1@s.test>\nC: From: Some One <sender@s.test>\nC: Subject: hello\nC: \nC: ..hi\n"
	for _, c := range []struct {
		name, script, want string
		longest            int
		abandon            bool
	}{
		{"accepted", begin + "S: 354 go\n" + body + "C: .\nS: 250 OK id=1\n" + quit, "1 250 250 OK id=1", 0, false},
		{"refused", begin + "S: 354 go\n" + body + "C: .\nS: 550 no\n" + quit, "3 550 550 no", 0, false},
		{"later", begin + "S: 354 go\n" + body + "C: .\nS: 451 later\n" + quit, "2 451 451 later", 0, false},
		{"lost", begin + "S: 354 go\n" + body + "C: .\nS: <close>\n", "0 0 ", 0, false},
		{"line too long", begin + "S: 354 go\n", "2 0 ", 2000, false},
		{"given up", begin + "S: 354 go\n", "0 0 ", 0, true},
		{"DATA refused", begin + "S: 451 no\n" + quit, "not begun", 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := newTalk(t, []string{c.script}, []string{"a"})
			run := k.Run
			if err := run.Begin(); err != nil {
				t.Fatal(err)
			}
			h := run.Addresses[0].Hosts[0]
			conn, err := Connect(t.Context(), run, &h)
			if err != nil {
				t.Fatal(err)
			}
			got := "not begun"
			if o, err := StartOnward(t.Context(), run, &h, conn); err == nil {
				run.Message.MaxReceivedLine = c.longest
				if c.abandon {
					o.Close()
				} else {
					o.Write([]byte(".h"))
					o.Write([]byte("i\n"))
					o.End()
				}
				o.Close()
				outcome := run.Addresses[0].Outcome
				got = strings.Join([]string{string('0' + rune(outcome.Result)), strconv.Itoa(o.Reply.Code), outcome.Confirmation}, " ")
			}
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			if err := <-k.done[0]; err != nil && !c.abandon && c.longest == 0 {
				t.Error(err)
			}
		})
	}
}

// TestParameters tells when a connection is fit for a message on its way.
func TestParameters(t *testing.T) {
	for _, c := range []struct {
		name, greeting string
		options        []string
		change         func(m *mail.Message, a *mail.Address)
		want           string
		no             bool
	}{
		{name: "none", greeting: plain, change: func(*mail.Message, *mail.Address) {}},
		{name: "8BITMIME, DSN", greeting: hello + "S: 250-h\nS: 250-8BITMIME\nS: 250 DSN\n", change: func(m *mail.Message, a *mail.Address) {
			m.BodyType, m.Ret, a.Notify = 8, "HDRS", mail.NotifySuccess
		}, want: " BODY=8BITMIME RET=HDRS| NOTIFY=SUCCESS"},
		{name: "last hop", greeting: hello + "S: 250-h\nS: 250 DSN\n", change: func(m *mail.Message, a *mail.Address) {
			m.Ret, a.Notify, a.DSNLastHop = "HDRS", mail.NotifyFailure, true
		}},
		{name: "success asked for, no DSN", greeting: plain, change: func(_ *mail.Message, a *mail.Address) { a.Notify = mail.NotifySuccess }, no: true},
		{name: "SMTPUTF8", greeting: plain, change: func(m *mail.Message, _ *mail.Address) { m.SMTPUTF8 = true }, no: true},
		{name: "filter", greeting: plain, options: []string{"transport_filter", "/bin/cat"}, change: func(*mail.Message, *mail.Address) {}, no: true},
		{name: "size limit", greeting: plain, options: []string{"message_size_limit", "1M"}, change: func(*mail.Message, *mail.Address) {}, no: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := newTalk(t, []string{c.greeting + quit}, []string{"a"}, c.options...)
			h := k.Run.Addresses[0].Hosts[0]
			conn, err := Connect(t.Context(), k.Run, &h)
			if err != nil {
				t.Fatal(err)
			}
			c.change(k.Run.Message, k.Run.Addresses[0])
			m, r, ok := Parameters(t.Context(), k.Run, &h, conn)
			if ok == c.no || ok && strings.Trim(m+"|"+r, "|") != c.want {
				t.Errorf("%q %q %v", m, r, ok)
			}
			conn.Quit()
			<-k.done[0]
		})
	}
}
