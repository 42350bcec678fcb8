package blackbox

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// Client is an SMTP client for tests: it says what it is told.
type Client struct {
	net.Conn
	in *bufio.Reader
}

// Dial connects and reads the greeting.
func Dial(address string) (*Client, error) {
	conn, err := net.DialTimeout("tcp", address, Patience)
	if err != nil {
		return nil, err
	}
	conn.SetDeadline(time.Now().Add(Patience))
	c, err := Attach(conn)
	if err != nil {
		conn.Close()
	}
	return c, err
}

// Attach reads the greeting of a connection that is open.
func Attach(conn net.Conn) (*Client, error) {
	c := Wrap(conn)
	_, err := c.Reply()
	return c, err
}

// Wrap makes a client of a connection whose greeting was read, as after STARTTLS.
func Wrap(conn net.Conn) *Client { return &Client{Conn: conn, in: bufio.NewReader(conn)} }

// Reply reads a reply and returns its lines with LF between them.
func (c *Client) Reply() (string, error) {
	var lines []string
	for {
		line, err := c.in.ReadString('\n')
		if err != nil {
			return strings.Join(lines, "\n"), err
		}
		line = strings.TrimRight(line, "\r\n")
		lines = append(lines, line)
		if len(line) < 4 || line[3] != '-' {
			return strings.Join(lines, "\n"), nil
		}
	}
}

// Say sends the line and reads the reply.
func (c *Client) Say(line string) (string, error) {
	if _, err := io.WriteString(c.Conn, line+"\r\n"); err != nil {
		return "", err
	}
	return c.Reply()
}

// Expect sends the line and refuses a reply that does not begin with the wanted text.
func (c *Client) Expect(line, want string) error {
	got, err := c.Say(line)
	if err == nil && !strings.HasPrefix(got, want) {
		err = fmt.Errorf("%.60q was answered %q", line, got)
	}
	return err
}

// Send submits a message of the given text (LF line ends, no line that begins with a dot); nil means that the server took it.
func (c *Client) Send(from string, to []string, text string) error {
	if err := c.Expect("MAIL FROM:<"+from+">", "250"); err != nil {
		return err
	}
	for _, rcpt := range to {
		if err := c.Expect("RCPT TO:<"+rcpt+">", "250"); err != nil {
			return err
		}
	}
	if err := c.Expect("DATA", "354"); err != nil {
		return err
	}
	return c.Expect(strings.ReplaceAll(text, "\n", "\r\n")+".", "250")
}
