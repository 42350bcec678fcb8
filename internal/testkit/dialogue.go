package testkit

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// Role is a side of a dialogue.
type Role byte

// The sides.
const (
	Client Role = 'C'
	Server Role = 'S'
)

// patience is how long a peer may take before a dialogue gives up: it ends tests that would hang.
const patience = 30 * time.Second

// Converse plays one side of a dialogue on the connection. Each line of the script begins with "C: " or "S: "; ours are sent with CRLF, the
// other side's are read and compared. A line that ends in "..." is compared up to there; "C: <data>" or "S: <data>" reads up to the line that is a
// dot alone. Empty lines and lines that begin with # are skipped; "C: <close>" ends the connection or expects its end. Lines of ours that follow each
// other are sent in one write (pipelining).
func Converse(conn net.Conn, me Role, script string) error {
	d := &dialogue{conn: conn, in: bufio.NewReaderSize(conn, 1<<16)}
	return d.play(me, script)
}

// Record does the same but takes each line "S: ?" (or "C: ?") of the other side for a reply to be learnt: it returns the script with the lines of the
// reply that came in its place.
func Record(conn net.Conn, me Role, script string) (string, error) {
	d := &dialogue{conn: conn, in: bufio.NewReaderSize(conn, 1<<16), record: true}
	err := d.play(me, script)
	return d.learnt.String(), err
}

func (d *dialogue) play(me Role, script string) error {
	for n, line := range strings.SplitAfter(script, "\n") {
		d.learnt.WriteString(line)
		line = strings.TrimSuffix(line, "\n")
		line = strings.TrimRight(line, "\r")
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if len(line) < 2 || line[1] != ':' || line[0] != byte(Client) && line[0] != byte(Server) {
			return fmt.Errorf("line %d of the dialogue has neither C: nor S:: %q", n+1, line)
		}
		text := strings.TrimPrefix(line[2:], " ")
		var err error
		if Role(line[0]) == me {
			err = d.say(text)
		} else if d.record && text == "?" {
			err = d.learn(line[:2])
		} else {
			err = d.expect(text)
		}
		if err != nil {
			return fmt.Errorf("line %d of the dialogue, %q: %w", n+1, line, err)
		}
	}
	return d.flush()
}

type dialogue struct {
	conn net.Conn
	in   *bufio.Reader
	out  strings.Builder

	record bool
	learnt strings.Builder
}

func (d *dialogue) say(text string) error {
	if text == "<close>" {
		if err := d.flush(); err != nil {
			return err
		}
		return d.conn.Close()
	}
	d.out.WriteString(text + "\r\n")
	return nil
}

func (d *dialogue) flush() error {
	if d.out.Len() == 0 {
		return nil
	}
	d.conn.SetWriteDeadline(time.Now().Add(patience))
	_, err := io.WriteString(d.conn, d.out.String())
	d.out.Reset()
	return err
}

func (d *dialogue) expect(want string) error {
	if err := d.flush(); err != nil {
		return err
	}
	d.conn.SetReadDeadline(time.Now().Add(patience))
	for {
		got, err := d.in.ReadString('\n')
		if want == "<close>" {
			if err == nil {
				return fmt.Errorf("got %q", got)
			}
			return nil
		}
		if err != nil {
			return fmt.Errorf("got %q and %w", got, err)
		}
		got = strings.TrimRight(got, "\r\n")
		if want == "<data>" {
			if got == "." {
				return nil
			}
			continue
		}
		if prefix, ok := strings.CutSuffix(want, "..."); ok && strings.HasPrefix(got, prefix) || got == want {
			return nil
		}
		return fmt.Errorf("got %q", got)
	}
}

// learn reads a whole reply and puts its lines in the place of the last line of what was learnt.
func (d *dialogue) learn(prefix string) error {
	if err := d.flush(); err != nil {
		return err
	}
	before := strings.TrimSuffix(d.learnt.String(), prefix+" ?\n")
	d.learnt.Reset()
	d.learnt.WriteString(before)
	d.conn.SetReadDeadline(time.Now().Add(patience))
	for {
		got, err := d.in.ReadString('\n')
		if err != nil {
			return fmt.Errorf("got %q and %w", got, err)
		}
		got = strings.TrimRight(got, "\r\n")
		d.learnt.WriteString(prefix + " " + got + "\n")
		if len(got) < 4 || got[3] != '-' {
			return nil
		}
	}
}
