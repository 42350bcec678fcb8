package queue

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"exigo/internal/eventlog"
	"exigo/internal/mail"
	"exigo/internal/spool"
)

// Commander obeys the -M options that change or show a message of the queue.
type Commander struct {
	Spool *spool.Spool
	Log   *eventlog.Log
	// Now is the world's time; Caller the login name for the log.
	Now    func() time.Time
	Caller string
	Out    io.Writer
	// Removed raises the events of a message that was removed, before that is logged; may be nil.
	Removed func(m *mail.Message, caller string)
	// Qualify completes an address without domain; sender tells the two qualifying domains apart.
	Qualify func(address string, sender bool) string
}

// Action is one of the -M options, by the letters after -M.
type Action string

// The options that change a message.
const (
	Freeze           Action = "f"
	Thaw             Action = "t"
	Remove           Action = "rm"
	AddRecipient     Action = "ar"
	EditSender       Action = "es"
	MarkDelivered    Action = "md"
	MarkAllDelivered Action = "mad"
	Move             Action = "G"
	ShowBody         Action = "vb"
	ShowCopy         Action = "vc"
	ShowHeader       Action = "vh"
	ShowLog          Action = "vl"
)

// ErrFailed says that a command did not do what was asked; the reason was written already.
var ErrFailed = errors.New("command failed")

// Do obeys one action for one message. What an administrator reads goes to Out; an error is for the standard error.
func (c *Commander) Do(action Action, id, queue string, arguments []string) error {
	switch action {
	case ShowBody, ShowHeader, ShowLog, ShowCopy:
		return c.show(action, id, queue)
	}
	l, err := c.Spool.Lock(id, queue)
	switch {
	case errors.Is(err, spool.ErrLocked):
		return fmt.Errorf("Message %s is locked", id)
	case errors.Is(err, spool.ErrNotFound):
		return fmt.Errorf("Spool data file for %s does not exist", id)
	case err != nil:
		return fmt.Errorf("Failed to open spool file for %s: %w", id, err)
	}
	defer l.Close()
	if action == Move {
		return c.move(l, arguments[0])
	}
	m, err := l.Read()
	if err != nil && action != Remove {
		return fmt.Errorf("Spool read error for %s: %w", id, err)
	}
	return c.change(action, l, m, arguments)
}

func (c *Commander) change(action Action, l *spool.Locked, m *mail.Message, arguments []string) error {
	switch action {
	case Freeze:
		if !m.Frozen.IsZero() {
			return c.refuse("Message %s is already frozen", l.ID)
		}
		m.Frozen, m.ManualThaw = c.Now(), false
		return c.write(l, m, "is now frozen", "frozen by %s")
	case Thaw:
		if m.Frozen.IsZero() {
			return c.refuse("Message %s is not frozen", l.ID)
		}
		m.Frozen, m.ManualThaw = time.Time{}, true
		return c.write(l, m, "is no longer frozen", "unfrozen by %s")
	case Remove:
		return c.remove(l, m)
	case EditSender:
		sender := strings.Trim(arguments[0], "<>")
		if sender != "" {
			sender = c.Qualify(sender, true)
		}
		m.Sender = sender
		return c.write(l, m, "has been modified", "sender address changed to <"+printable(sender)+"> by %s")
	case AddRecipient:
		for _, a := range arguments {
			m.Recipients = append(m.Recipients, mail.Recipient{Address: c.Qualify(a, false), Parent: -1})
			c.Log.Mainf(l.ID, "recipient <%s> added by %s", printable(c.Qualify(a, false)), c.Caller)
		}
		return c.write(l, m, "has been modified", "")
	case MarkDelivered:
		return c.markDelivered(l, m, arguments)
	case MarkAllDelivered:
		for _, r := range m.Recipients {
			m.NonRecipients = append(m.NonRecipients, r.Address)
		}
		return c.write(l, m, "has been modified", "all addresses marked delivered by %s")
	}
	return fmt.Errorf("unknown action %s", action)
}

// move is -MG: the message goes to another queue.
func (c *Commander) move(l *spool.Locked, to string) error {
	if to != "" && !spool.ValidQueue(to) {
		return c.refuse("bad queue name %s for message "+l.ID, printable(to))
	}
	from := l.Queue
	if from == to {
		return c.refuse("message %s is already in that queue", l.ID)
	}
	if err := l.Move(to); err != nil {
		return fmt.Errorf("Failed to move message %s: %w", l.ID, err)
	}
	fmt.Fprintf(c.Out, "Message %s ", l.ID)
	c.Log.Mainf(l.ID, "moved from %sinput, msglog to %sinput, msglog", inQueue(from), inQueue(to))
	return nil
}

// inQueue names a queue before a directory of it.
func inQueue(name string) string {
	if name == "" {
		return ""
	}
	return "(" + printable(name) + ") "
}

func (c *Commander) refuse(format string, args ...any) error {
	fmt.Fprintf(c.Out, format+"\n", args...)
	return ErrFailed
}

func (c *Commander) markDelivered(l *spool.Locked, m *mail.Message, addresses []string) error {
	for _, a := range addresses {
		a = c.Qualify(a, false)
		found := false
		for _, r := range m.Recipients {
			if r.Address == a {
				found = true
				break
			}
		}
		if !found {
			return c.refuse("Message %s: %s is not a recipient of this message - no message modified", l.ID, a)
		}
		m.NonRecipients = append(m.NonRecipients, a)
		c.Log.Mainf(l.ID, "address <%s> marked delivered by %s", printable(a), c.Caller)
	}
	return c.write(l, m, "has been modified", "")
}

func (c *Commander) write(l *spool.Locked, m *mail.Message, said, logged string) error {
	if err := l.WriteHeader(m); err != nil {
		return fmt.Errorf("Failed to write spool header for %s: %w", l.ID, err)
	}
	if logged != "" {
		c.Log.Mainf(l.ID, logged, c.Caller)
	}
	fmt.Fprintf(c.Out, "Message %s %s\n", l.ID, said)
	return nil
}

func (c *Commander) remove(l *spool.Locked, m *mail.Message) error {
	if err := l.Remove(false); err != nil {
		return fmt.Errorf("Failed to remove message %s: %w", l.ID, err)
	}
	fmt.Fprintf(c.Out, "Message %s has been removed\n", l.ID)
	if c.Removed != nil && m != nil {
		c.Removed(m, c.Caller)
	}
	c.Log.Mainf(l.ID, "removed by %s", c.Caller)
	c.Log.Mainf(l.ID, "Completed")
	return nil
}

// show copies a file of the message, or the message as it would be sent.
func (c *Commander) show(action Action, id, queue string) error {
	header, data, err := c.Spool.Paths(id, queue)
	suffix := map[Action]string{ShowHeader: "H", ShowBody: "D"}[action]
	if err != nil && action != ShowLog {
		if action == ShowCopy {
			return fmt.Errorf("Failed to open spool header file for %s: No such file or directory", id)
		}
		return fmt.Errorf("Failed to open input file for %s-%s: No such file or directory", id, suffix)
	}
	switch action {
	case ShowHeader:
		return c.copyFile(header)
	case ShowBody:
		return c.copyFile(data)
	case ShowLog:
		f, err := c.Spool.ReadLog(id, queue)
		if err != nil {
			return fmt.Errorf("Failed to open msglog file for %s: No such file or directory", id)
		}
		defer f.Close()
		_, err = io.Copy(c.Out, f)
		return err
	}
	return c.copyMessage(id, queue, data)
}

func (c *Commander) copyFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(c.Out, f)
	return err
}

func (c *Commander) copyMessage(id, queue, data string) error {
	m, err := c.Spool.Read(id, queue)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(c.Out)
	for _, h := range m.Headers {
		if h.Type != '*' {
			out.WriteString(h.Text)
		}
	}
	out.WriteByte('\n')
	f, err := os.Open(data)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Seek(int64(len(id))+3, io.SeekStart); err != nil {
		return err
	}
	if _, err := io.Copy(out, f); err != nil {
		return err
	}
	return out.Flush()
}
