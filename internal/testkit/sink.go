package testkit

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
)

// Sink is an SMTP server that takes everything and keeps it. The zero value of its settings is a plain ESMTP server.
type Sink struct {
	// Address is where it listens.
	Address string
	// Extensions are EHLO keywords.
	Extensions []string
	// Reply, if set, may give another reply to a command line, or to "." after data; "" leaves the usual one, "close" ends the connection.
	Reply func(command string) string

	mu       sync.Mutex
	messages []SinkMessage
	commands []string
	arrived  chan struct{}
}

// SinkMessage is a message a Sink took. Data has LF line ends and no dots of SMTP.
type SinkMessage struct {
	Helo, From string // From is the text after "MAIL FROM:"
	To         []string
	Data       string
}

// NewSink starts a sink that stops when the test ends.
func NewSink(t testing.TB) *Sink {
	t.Helper()
	s := &Sink{arrived: make(chan struct{}, 1000)}
	s.Address = listen(t, s.serve)
	return s
}

// listen starts a TCP server on the loopback interface and waits for its connections at the end of the test.
func listen(t testing.TB, serve func(net.Conn)) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	open := make(map[net.Conn]bool)
	var group sync.WaitGroup
	group.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open[c] = true
			mu.Unlock()
			group.Go(func() { serve(c); c.Close() })
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for c := range open {
			c.Close()
		}
		mu.Unlock()
		group.Wait()
	})
	return l.Addr().String()
}

// Messages returns what came so far.
func (s *Sink) Messages() []SinkMessage {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]SinkMessage(nil), s.messages...)
}

// Commands returns the command lines of all connections so far.
func (s *Sink) Commands() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.commands...)
}

// Arrived delivers once for each message taken.
func (s *Sink) Arrived() <-chan struct{} { return s.arrived }

func (s *Sink) serve(c net.Conn) {
	in := bufio.NewReader(c)
	var m SinkMessage
	if !s.answer(c, "connect", "220 sink ESMTP") {
		return
	}
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		s.mu.Lock()
		s.commands = append(s.commands, line)
		s.mu.Unlock()
		reply := s.command(&m, line)
		if !s.answer(c, line, reply) || reply == "221 closing" {
			return
		}
		if strings.HasPrefix(reply, "354") && !s.data(c, in, &m) {
			return
		}
	}
}

func (s *Sink) command(m *SinkMessage, line string) string {
	verb, rest, _ := strings.Cut(line, " ")
	switch strings.ToUpper(verb) {
	case "EHLO", "LHLO":
		m.Helo = rest
		lines := append([]string{"sink"}, s.Extensions...)
		var b strings.Builder
		for i, l := range lines {
			sep := "-"
			if i == len(lines)-1 {
				sep = " "
			}
			fmt.Fprintf(&b, "250%s%s\r\n", sep, l)
		}
		return strings.TrimSuffix(b.String(), "\r\n")
	case "HELO":
		m.Helo = rest
	case "MAIL":
		*m = SinkMessage{Helo: m.Helo, From: strings.TrimPrefix(rest, "FROM:")}
	case "RCPT":
		m.To = append(m.To, strings.TrimPrefix(rest, "TO:"))
	case "DATA":
		return "354 go on"
	case "QUIT":
		return "221 closing"
	}
	return "250 OK"
}

// answer writes the reply, or what the test wants in its place. It returns false when the connection is to end.
func (s *Sink) answer(c net.Conn, command, reply string) bool {
	if s.Reply != nil {
		if other := s.Reply(command); other == "close" {
			return false
		} else if other != "" {
			reply = other
		}
	}
	_, err := c.Write([]byte(reply + "\r\n"))
	return err == nil
}

func (s *Sink) data(c net.Conn, in *bufio.Reader, m *SinkMessage) bool {
	var b strings.Builder
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return false
		}
		line = strings.TrimRight(line, "\r\n")
		if line == "." {
			break
		}
		b.WriteString(strings.TrimPrefix(line, ".") + "\n")
	}
	m.Data = b.String()
	if s.Reply != nil && s.Reply(".") != "" {
		return s.answer(c, ".", "")
	}
	s.mu.Lock()
	s.messages = append(s.messages, *m)
	n := len(s.messages)
	s.mu.Unlock()
	s.arrived <- struct{}{}
	m.To = nil
	return s.answer(c, "", fmt.Sprintf("250 OK message %d", n))
}

// NewScripted starts a server that plays the server's side of the dialogues, one a connection, in order; further connections are closed. The
// channel delivers each dialogue's error, nil for none.
func NewScripted(t testing.TB, dialogues ...string) (address string, done <-chan error) {
	t.Helper()
	results := make(chan error, len(dialogues))
	var mu sync.Mutex
	next := 0
	address = listen(t, func(c net.Conn) {
		mu.Lock()
		n := next
		next++
		mu.Unlock()
		if n < len(dialogues) {
			results <- Converse(c, Server, dialogues[n])
		}
	})
	return address, results
}
