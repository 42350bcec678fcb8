package route_test

import (
	"fmt"
	"net"
	"strings"
	"testing"
)

// questions answers each question, by UDP or TCP on a port of 127.0.0.1, with what the table has for it.
func questions(t *testing.T, network string, answers map[string]string) (port int) {
	t.Helper()
	reply := func(question []byte) []byte { return []byte(answers[string(question)]) }
	if network == "udp" {
		c, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		go func() {
			buf := make([]byte, 1024)
			for {
				n, from, err := c.ReadFrom(buf)
				if err != nil {
					return
				}
				c.WriteTo(reply(buf[:n]), from)
			}
		}()
		return c.LocalAddr().(*net.UDPAddr).Port
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		buf := make([]byte, 1024)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			n, _ := c.Read(buf)
			c.Write(reply(buf[:n]))
			c.Close()
		}
	}()
	return l.Addr().(*net.TCPAddr).Port
}

// TestIPLookup asks real servers on the loopback interface (spec chapter 19).
func TestIPLookup(t *testing.T) {
	for _, network := range []string{"udp", "tcp"} {
		answers := map[string]string{
			"a@x a@x": "b@x a@x\n", "c@x c@x": "d@x\tc@x", "e@x e@x": "f@x other@x", "g@x g@x": "no-domain g@x",
			"ask a": "sub.y\n", "ask c": "not a domain",
		}
		port := questions(t, network, answers)
		router := fmt.Sprintf("begin routers\nask:\n driver = iplookup\n local_parts = a:c:e:g\n domains = x\n hosts = 127.0.0.1\n port = %d\n protocol = %s\n", port, network)
		last := "\nlast:\n driver = accept\n transport = t1\n"
		for _, test := range []struct{ options, address, want string }{
			{"", "a@x", "b@x\n    <-- a@x\n  router = last, transport = t1\nrc 0"},
			{"", "c@x", "d@x\n    <-- c@x\n  router = last, transport = t1\nrc 0"},
			{"", "e@x", "e@x\n  router = last, transport = t1\nrc 0"},
			{"", "g@x", "g@x cannot be resolved at this time: ask router: reroute string no-domain is not of the form user@domain\nrc 1"},
			{" query = ask $local_part\n response_pattern = ^([^ ]+)$\n reroute = $local_part@$1\n", "a@x", "a@sub.y\n    <-- a@x\n  router = last, transport = t1\nrc 0"},
			{" query = ask $local_part\n response_pattern = ^([^ ]+)$\n reroute = $local_part@$1\n", "c@x", "c@x\n  router = last, transport = t1\nrc 0"},
		} {
			f, err := newFixture(t, preamble+router+test.options+last+transports)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.TrimSpace(f.run(t, "-bt "+test.address)); got != test.want {
				t.Errorf("%s %q %s:\n%s\nwant\n%s", network, test.options, test.address, got, test.want)
			}
		}
	}
}

// TestIPLookupSilence: without an answer the address waits, or goes on where the answer is optional.
func TestIPLookupSilence(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close() // nobody listens now
	for optional, want := range map[string]string{
		"":            "a@x cannot be resolved at this time: ask router: failed to get anything\nrc 1",
		" optional\n": "a@x\n  router = last, transport = t1\nrc 0",
	} {
		f, err := newFixture(t, fmt.Sprintf("%sbegin routers\nask:\n driver = iplookup\n hosts = 127.0.0.1\n port = %d\n protocol = tcp\n%s\nlast:\n driver = accept\n transport = t1\n%s",
			preamble, port, optional, transports))
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.TrimSpace(f.run(t, "-bt a@x")); got != want {
			t.Errorf("%q:\n%s\nwant\n%s", optional, got, want)
		}
	}
}
