package smtpserver

import (
	"bufio"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
)

// memoryInUse is what the process holds after unused memory went back: heap and stacks.
func memoryInUse() uint64 {
	for range 3 { // stacks shrink by half with each collection
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}

// TestIdleMemory holds sessions that wait for a command, after they have received a message, to their budget.
func TestIdleMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("opens many connections")
	}
	const sessions, budget = 200, 24 << 10
	f := newFixture(t, "")
	f.main.ACLSMTPRcpt, f.main.SMTPAcceptMax, f.main.SMTPAcceptMaxNonMail = "accept", 0, 100
	f.one = New(f.svc, f.limiter)
	clients := make([]net.Conn, sessions)
	waits := make([]func() Ended, sessions)
	before := memoryInUse()
	for i := range clients {
		clients[i], waits[i] = f.dial()
	}
	for _, c := range clients {
		in := bufio.NewReaderSize(c, 512)
		for _, line := range []string{"", "EHLO x\r\n", "MAIL FROM:<a@b>\r\nRCPT TO:<x@y>\r\nDATA\r\n", strings.Repeat("x", 70) + "\r\n.\r\n", "RSET\r\n"} {
			io.WriteString(c, line)
			for replies := strings.Count(line, "MAIL")*2 + 1; replies > 0; {
				reply, err := in.ReadString('\n')
				if err != nil {
					t.Fatal(err)
				}
				if reply[3] == ' ' {
					replies--
				}
			}
		}
	}
	f.received = nil
	each := int64(memoryInUse()-before) / sessions
	t.Logf("%d bytes a session, both ends", each)
	if each > budget {
		t.Errorf("an idle session holds %d bytes, budget %d", each, budget)
	}
	for i, c := range clients {
		c.Close()
		waits[i]()
	}
	f.logged()
}

// BenchmarkSession is one message in a session of many, pipelined.
func BenchmarkSession(b *testing.B) {
	f := newFixture(b, "")
	f.main.ACLSMTPRcpt, f.main.SMTPAcceptMaxPerConnection = "accept", "0"
	client, wait := f.dial()
	in := bufio.NewReader(client)
	read := func(n int) {
		for n > 0 {
			line, err := in.ReadString('\n')
			if err != nil {
				b.Fatal(err)
			}
			if line[3] == ' ' {
				n--
			}
		}
	}
	read(1)
	io.WriteString(client, "EHLO x\r\n")
	read(1)
	b.ReportAllocs()
	for b.Loop() {
		io.WriteString(client, "MAIL FROM:<a@example.org> SIZE=1000\r\nRCPT TO:<x@example.com>\r\nRCPT TO:<y@example.com>\r\nDATA\r\n")
		read(4)
		io.WriteString(client, "Subject: x\r\n\r\nbody\r\n.\r\n")
		read(1)
	}
	client.Close()
	wait()
}
