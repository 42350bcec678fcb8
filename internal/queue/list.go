// Package queue is the list of messages that wait: what -bp shows, what the -M options do to single messages, queue runs,
// and the daemon's index of messages to deliver. The spool is the truth; nothing here outlives the process.
//
// Trust: reads our own spool; ids and addresses in commands come from administrators or, where the configuration allows
// it, from any local user.
package queue

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"exigo/internal/mail"
	"exigo/internal/spool"
)

// ListOptions are the letters after -bp.
type ListOptions struct {
	Unsorted    bool // r
	Undelivered bool // u: only addresses that are not delivered
	All         bool // a: also delivered addresses that redirection made
	IDsOnly     bool // i
	// IDs lists only these, in this order.
	IDs []string
}

// ParseListOptions reads the letters after -bp ("", "a", "r", "ra", "ru", "u", "i").
func ParseListOptions(letters string) ListOptions {
	return ListOptions{Unsorted: strings.Contains(letters, "r"), Undelivered: strings.Contains(letters, "u"),
		All: strings.Contains(letters, "a"), IDsOnly: strings.Contains(letters, "i")}
}

// List writes the queue as -bp does. now decides the ages shown.
func List(w io.Writer, s *spool.Spool, queue string, o ListOptions, now time.Time) error {
	var entries []spool.Entry
	if len(o.IDs) > 0 {
		for _, id := range o.IDs {
			entries = append(entries, spool.Entry{ID: id, Queue: queue})
		}
	} else {
		var err error
		if entries, err = s.List(queue); err != nil {
			return err
		}
	}
	out := bufio.NewWriter(w)
	defer out.Flush()
	for _, e := range entries {
		if o.IDsOnly {
			fmt.Fprintln(out, e.ID)
			continue
		}
		listOne(out, s, e, o, now)
	}
	return nil
}

func listOne(out *bufio.Writer, s *spool.Spool, e spool.Entry, o ListOptions, now time.Time) {
	m, err := s.Read(e.ID, e.Queue)
	if errors.Is(err, spool.ErrNotFound) && len(o.IDs) == 0 {
		return // delivered meanwhile
	}
	fmt.Fprintf(out, "%s ", Age(now.Sub(spool.Time(e.ID))))
	if err != nil {
		fmt.Fprintf(out, "%s %s", FormatSize(0), e.ID)
		var format *spool.FormatError
		switch {
		case errors.As(err, &format) && format.Size == 0:
			fmt.Fprint(out, "\n        *** spool format error: size=0 ***")
		case errors.As(err, &format):
			fmt.Fprintf(out, "\n        *** spool format error: size=%d ***", format.Size)
		default:
			fmt.Fprintf(out, "\n        *** spool read error: %v ***", err)
		}
		fmt.Fprint(out, "\n\n")
		return
	}
	fmt.Fprintf(out, "%s %s", FormatSize(size(s, e, m)), e.ID)
	if spool.StateOf(m).SetUntrusted {
		fmt.Fprintf(out, " (%s)", printable(m.OriginatorLogin))
	}
	fmt.Fprintf(out, " <%s>", printable(m.Sender))
	if !m.Frozen.IsZero() {
		out.WriteString(" *** frozen ***")
	}
	out.WriteByte('\n')
	recipients(out, m, o)
	out.WriteByte('\n')
}

// size is the size of the whole message as -bp shows it.
func size(s *spool.Spool, e spool.Entry, m *mail.Message) int64 {
	n := int64(1) // the empty line after the headers
	for _, h := range m.Headers {
		if h.Type != '*' {
			n += int64(len(h.Text))
		}
	}
	_, data, err := s.Paths(e.ID, e.Queue)
	if err != nil {
		return n
	}
	st, err := os.Stat(data)
	if err != nil {
		return n
	}
	return n + max(st.Size()-m.DataOffset, 0)
}

func recipients(out *bufio.Writer, m *mail.Message, o ListOptions) {
	done := make(map[string]bool, len(m.NonRecipients))
	for _, n := range m.NonRecipients {
		done[n] = true
	}
	shown := map[string]bool{}
	for _, r := range m.Recipients {
		delivered := done[r.Address] || done[fold(r.Address)]
		shown[r.Address], shown[fold(r.Address)] = true, true
		if o.Undelivered && delivered {
			continue
		}
		mark := ' '
		if delivered {
			mark = 'D'
		}
		fmt.Fprintf(out, "        %c %s\n", mark, printable(r.Address))
	}
	if !o.All {
		return
	}
	for _, n := range m.NonRecipients {
		if !shown[n] {
			fmt.Fprintf(out, "       +D %s\n", printable(n))
		}
	}
}

func fold(address string) string {
	at := strings.LastIndexByte(address, '@')
	if at < 0 {
		return address
	}
	return address[:at] + strings.ToLower(address[at:])
}

func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, s)
}

// Age is the time on the queue as -bp shows it: "25m", " 3h", " 2d".
func Age(d time.Duration) string {
	n := int(d / time.Minute)
	if n <= 90 {
		return fmt.Sprintf("%2dm", n)
	}
	if n = (n + 30) / 60; n <= 72 {
		return fmt.Sprintf("%2dh", n)
	}
	return fmt.Sprintf("%2dd", (n+12)/24)
}

// FormatSize is a size in five columns: "  255", " 2.9K", " 1.5M".
func FormatSize(n int64) string {
	switch {
	case n == 0:
		return "     "
	case n < 1024:
		return fmt.Sprintf("%5d", n)
	case n < 10*1024:
		return fmt.Sprintf("%4.1fK", float64(n)/1024)
	case n < 1024*1024:
		return fmt.Sprintf("%4dK", (n+512)/1024)
	case n < 10*1024*1024:
		return fmt.Sprintf("%4.1fM", float64(n)/(1024*1024))
	}
	return fmt.Sprintf("%4dM", (n+512*1024)/(1024*1024))
}
