package hostile

import (
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"time"

	"exigo/test/blackbox"
)

// session is a hostile client. What the server says is read all the time, so that neither side can hang on the other.
type session struct {
	conn    *net.TCPConn
	random  *rand.Rand
	number  int
	heard   bytes.Buffer  // complete when done is closed
	replies chan struct{} // one for each last line of a reply; closed at the end
	problem string        // what the session saw that should not be
}

func dial(address string, number int, random *rand.Rand) (*session, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	conn.SetDeadline(time.Now().Add(blackbox.Patience))
	return &session{conn: conn.(*net.TCPConn), random: random, number: number}, nil
}

// listen starts reading. Attacks that read for themselves do without.
func (s *session) listen() {
	s.replies = make(chan struct{}, 100000)
	go func() {
		defer close(s.replies)
		line, start := 0, [4]byte{}
		buffer := make([]byte, 4096)
		for {
			n, err := s.conn.Read(buffer)
			for _, c := range buffer[:n] {
				if line < len(start) {
					start[line] = c
				}
				line++
				if c == '\n' {
					if line > 4 && start[3] != '-' {
						select {
						case s.replies <- struct{}{}:
						default:
						}
					}
					line = 0
				}
			}
			s.heard.Write(buffer[:n])
			if err != nil {
				return
			}
		}
	}()
}

// say writes; that the server may have hung up is part of the game.
func (s *session) say(text string) { io.WriteString(s.conn, text) }

// reply waits for the end of a reply, or of the connection.
func (s *session) reply() { <-s.replies }

// end closes our side and waits until the server closes its own.
func (s *session) end() {
	s.conn.CloseWrite()
	for range s.replies {
	}
	s.conn.Close()
}

// begin reads the greeting and says EHLO.
func (s *session) begin() {
	s.listen()
	s.reply()
	s.say("EHLO hostile.test\r\n")
	s.reply()
}

// envelope begins a transaction up to the server's 354.
func (s *session) envelope() {
	s.begin()
	s.say("MAIL FROM:<honest@hostile.test>\r\nRCPT TO:<user@good.test>\r\nDATA\r\n")
	s.reply()
	s.reply()
	s.reply()
}

func (s *session) head() string { return fmt.Sprintf("Subject: session %d\r\n\r\n", s.number) }

func (s *session) junk(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(s.random.IntN(256))
	}
	return string(b)
}

func (s *session) pick(items ...string) string { return items[s.random.IntN(len(items))] }

// kind is a sort of attack. most is how many messages the server may take in one session of it.
type kind struct {
	name string
	most int
	play func(s *session)
}

// smuggled is what must never be taken for commands.
const smuggled = "MAIL FROM:<smuggled@hostile.test>\r\nRCPT TO:<user@good.test>\r\nDATA\r\nSubject: smuggled\r\n\r\nsmuggled\r\n.\r\n"

func kinds() []kind {
	return []kind{
		{"bad commands", 0, badCommands},
		{"long line", 0, longLine},
		{"half-closed", 0, halfClosed},
		{"slow", 1, slow},
		{"too early", 0, tooEarly},
		{"NUL", 1, nul},
		{"smuggling", 1, smuggling},
		{"BDAT", 1, bdat},
		{"AUTH", 0, authJunk},
		{"STARTTLS injection", 0, startTLS},
		{"TLS junk", 0, tlsJunk},
		{"reset", 0, reset},
		{"addresses", 0, addresses},
		{"too large", 0, tooLarge},
		{"recipients", 0, manyRecipients},
		{"silent", 0, func(s *session) { s.listen(); s.reply(); s.end() }},
	}
}

func badCommands(s *session) {
	s.begin()
	for range 1 + s.random.IntN(30) {
		s.say(s.pick("FOO\r\n", "\r\n", "MAIL\r\n", "MAIL FROM\r\n", "MAIL FROM:<a@b> X=\r\n", "RCPT TO:<user@good.test>\r\n", "DATA\r\n", "HELO\r\n", "EHLO [\r\n",
			"VRFY user\r\n", "EXPN user\r\n", "ETRN #x\r\n", "HELP\r\n", "MAIL FROM:<> SIZE=-1\r\n", "MAIL FROM:<> SIZE=99999999999999999999\r\n",
			"RSET "+s.junk(20)+"\r\n", "GET / HTTP/1.1\r\n", "\x16\x03\x01\r\n", s.junk(200)+"\r\n", "NOOP"+strings.Repeat(" ", 400)+"\r\n",
			"MAIL FROM:<"+s.junk(30)+">\r\n", "EHLO "+s.junk(40)+"\r\n", "XCLIENT ADDR=1.2.3.4\r\n", "PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\n"))
	}
	s.end()
}

func longLine(s *session) {
	s.begin()
	line := strings.Repeat(s.pick("A", "\x00", "\r", "RCPT ", "MAIL FROM:<"), 1<<14)
	for range 1 + s.random.IntN(8) {
		s.say(line)
	}
	s.say("\r\n" + smuggled)
	s.end()
}

func halfClosed(s *session) {
	s.listen()
	s.reply()
	text := "EHLO hostile.test\r\nMAIL FROM:<honest@hostile.test>\r\nRCPT TO:<user@good.test>\r\nDATA\r\n" + s.head() + "half\r\n."
	s.say(text[:s.random.IntN(len(text)+1)])
	s.end()
}

func slow(s *session) {
	s.envelope()
	for _, c := range s.head() + "slow\r\n.\r\nQUIT\r\n" {
		s.say(string(c))
	}
	s.end()
}

func tooEarly(s *session) {
	s.say("EHLO hostile.test\r\nMAIL FROM:<honest@hostile.test>\r\nRCPT TO:<user@good.test>\r\nDATA\r\n" + s.head() + ".\r\nQUIT\r\n")
	s.listen()
	s.end()
}

func nul(s *session) {
	s.envelope()
	s.say("Subject: session " + fmt.Sprint(s.number) + "\r\nX-Nul: a\x00b\r\n\r\nNUL \x00 in the body " + s.junk(100) + "\r\n.\r\n")
	s.reply()
	s.say("MA\x00IL FROM:<a\x00@b>\r\nEHLO \x00\r\n")
	s.end()
}

func smuggling(s *session) {
	s.envelope()
	ending := ""
	if s.random.IntN(2) == 0 {
		ending = s.pick("\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r\n", "\r\n.\r", "\r.\r", "\n.\r", "\r\n\x00.\r\n", "\r\n.\x00\r\n")
	} else {
		ending = s.pick("\r", "\n", "\r\n", "\n\r", "\r\r\n") + "." + s.pick("\r", "\n", "\n\r", "\r\r\n")
		if ending == "\r\n.\r\r\n" && s.random.IntN(2) == 0 {
			ending = "\n\r\n..\r\n"
		}
	}
	text := s.head() + "honest" + ending + smuggled
	if s.random.IntN(2) == 0 {
		s.say(text + "QUIT\r\n")
	} else {
		cut := s.random.IntN(len(text))
		s.say(text[:cut])
		s.say(text[cut:] + "QUIT\r\n")
	}
	s.end()
}

func bdat(s *session) {
	s.begin()
	if s.random.IntN(4) > 0 {
		s.say("MAIL FROM:<honest@hostile.test>\r\nRCPT TO:<user@good.test>\r\n")
		s.reply()
		s.reply()
	}
	for range 1 + s.random.IntN(4) {
		s.say(s.pick("BDAT\r\n", "BDAT -1\r\n", "BDAT 99999999999999999999 LAST\r\n", "BDAT 5 FIRST\r\n12345", "BDAT 0\r\n", "BDAT 3\r\nabc", "BDAT x LAST\r\n",
			"BDAT 4294967296\r\nx", "BDAT 10\r\nQUIT\r\nFOO\r\nDATA\r\n", "DATA\r\n.\r\n", "BDAT 2000000000 LAST\r\n"+s.junk(1000), "BDAT 1000\r\nshort", "BDAT 7 LAST\r\n\r\n.\r\n\r\n"))
	}
	s.end()
}

func authJunk(s *session) {
	s.begin()
	for range 1 + s.random.IntN(6) {
		s.say(s.pick("AUTH\r\n", "AUTH FOO\r\n", "AUTH PLAIN !!!\r\n", "AUTH PLAIN =\r\n", "AUTH PLAIN "+base64.StdEncoding.EncodeToString([]byte(s.junk(300)))+"\r\n",
			"AUTH PLAIN\r\n*\r\n", "AUTH PLAIN\r\n"+strings.Repeat("QUFB", 20000)+"\r\n", "AUTH LOGIN\r\nAAAA\r\n", "AUTH PLAIN AAAA\r\nMAIL FROM:<a@b> AUTH=<x@y>\r\n",
			"AUTH PLAIN "+base64.StdEncoding.EncodeToString([]byte("\x00a\x00b\x00c\x00d\x00e"))+"\r\n", "AUTH PLAIN AHVzZXIAd3Jvbmc=\r\nRCPT TO:<x@relay.test>\r\n"))
	}
	s.end()
}

// startTLS sends commands behind STARTTLS in the clear: nothing of them may be obeyed inside TLS.
func startTLS(s *session) {
	c, err := blackbox.Attach(s.conn)
	if err != nil {
		s.problem = err.Error()
		return
	}
	defer s.conn.Close()
	if err := c.Expect("EHLO hostile.test", "250"); err != nil {
		s.problem = err.Error()
		return
	}
	s.say("STARTTLS\r\nEHLO injected.test\r\nMAIL FROM:<smuggled@hostile.test>\r\n")
	if r, err := c.Reply(); err != nil || !strings.HasPrefix(r, "220") {
		return // refused: good
	}
	secure := tls.Client(s.conn, &tls.Config{InsecureSkipVerify: true})
	if secure.Handshake() != nil {
		return // good as well
	}
	c = blackbox.Wrap(secure)
	if r, err := c.Say("RCPT TO:<user@good.test>"); err == nil && strings.HasPrefix(r, "250") {
		s.problem = "RCPT inside TLS uses a MAIL command injected before: " + r
	}
}

func tlsJunk(s *session) {
	s.begin()
	s.say("STARTTLS\r\n")
	s.reply()
	s.say(s.pick("\x16\x03\x01", "\x16\x03\x01\xff\xff", "\x80\x2e\x01", "") + s.junk(s.random.IntN(5000)))
	s.end()
}

func reset(s *session) {
	s.envelope()
	s.say(s.head() + s.junk(s.random.IntN(60000)))
	s.conn.SetLinger(0)
	s.conn.Close()
	s.end()
}

func addresses(s *session) {
	s.begin()
	for range 1 + s.random.IntN(10) {
		a := s.pick("<>", "<@>", "<a@b@c>", "<\"\"@x>", "<\"a\r\nb\"@x>", "<@a,@b:c@d>", "<"+strings.Repeat("a", 5000)+"@x>", "<x@"+strings.Repeat("a.", 3000)+">",
			"<|/bin/sh@good.test>", "<../../etc/passwd@good.test>", "<${run{/bin/true}}@good.test>", "<"+s.junk(50)+">", "<user@[127.0.0.1]>", "<user@relay.test>",
			"<x%relay.test@good.test>", "<\xff\xfe@good.test>", "<"+strings.Repeat("(", 5000)+">", "<"+strings.Repeat("\"", 999)+"@x>")
		s.say(s.pick("MAIL FROM:", "RCPT TO:") + a + "\r\n")
	}
	s.end()
}

func tooLarge(s *session) {
	s.envelope()
	s.say(s.head())
	line := strings.Repeat("x", s.random.IntN(3000)) + s.pick("\r\n", "\r\n", ": y\r\n ")
	for n := 0; n < 300000; n += len(line) {
		s.say(line)
	}
	s.say("\r\n.\r\nQUIT\r\n")
	s.end()
}

func manyRecipients(s *session) {
	s.begin()
	s.say("MAIL FROM:<honest@hostile.test>\r\n")
	s.reply()
	for i := range 300 {
		s.say(fmt.Sprintf("RCPT TO:<u%d@%s>\r\n", i, s.pick("relay.test", "good.test", "x.test")))
	}
	s.end()
}
