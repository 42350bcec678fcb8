package hints

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// Shower says how records are shown.
type Shower struct {
	// Location is the zone of times: time.Local, or time.UTC for -z.
	Location *time.Location
	// KeysOnly shows the keys alone (-k).
	KeysOnly bool
}

// Time writes a time as exim_dumpdb does.
func (s Shower) Time(t time.Time) string {
	if s.Location != nil {
		t = t.In(s.Location)
	}
	return t.Format("02-Jan-2006 15:04:05")
}

// Dump writes all records of a database to w in exim_dumpdb's format (spec 54.12). declared are the tables of the catalog
// that add to the ones of this package.
func Dump(w io.Writer, d *DB, name string, s Shower, declared ...Declaration) error {
	table, ok := find(name, declared)
	if !ok {
		return fmt.Errorf("unknown database type \"%s\"", name)
	}
	rows, err := d.rows(name, "")
	if err != nil {
		return err
	}
	for _, r := range rows {
		if s.KeysOnly {
			fmt.Fprintf(w, "  %s\n", printable(r.key))
			continue
		}
		table.show(w, r, s)
	}
	return nil
}

// Known tells whether there may be a database of that name.
func Known(name string) bool {
	_, ok := find(name, nil)
	return ok
}

// find returns the declaration for a database's name.
func find(name string, declared []Declaration) (Declaration, bool) {
	if transport, ok := strings.CutPrefix(name, "wait-"); ok {
		return WaitTable(transport), true
	}
	for _, t := range append([]Declaration{RetryTable(), CalloutTable(), RatelimitTable(), TLSTable(), SeenTable(), MiscTable()}, declared...) {
		if t.TableName() == name {
			return t, true
		}
	}
	return nil, false
}

func showCallout(w io.Writer, key string, stamp time.Time, r Callout, s Shower) {
	fmt.Fprintf(w, "%s %s callout=%s", s.Time(stamp), printable(key), r.Result.word())
	if r.Domain {
		fmt.Fprintf(w, " postmaster=%s", r.Postmaster.word())
		if r.Postmaster != Unknown {
			fmt.Fprintf(w, " (%s)", s.Time(time.Unix(r.PostmasterStamp, 0)))
		}
		fmt.Fprintf(w, " random=%s", r.Random.word())
		if r.Random != Unknown {
			fmt.Fprintf(w, " (%s)", s.Time(time.Unix(r.RandomStamp, 0)))
		}
	}
	fmt.Fprintln(w)
}

func (v Verdict) word() string {
	switch v {
	case Accepted:
		return "accept"
	case Rejected:
		return "reject"
	case RejectedMail:
		return "reject \"MAIL FROM:<>\""
	case RandomAccepted:
		return "random"
	case NotTried:
		return "untried"
	}
	return "unknown"
}

// Tidy removes records of a database that were last written before the cutoff, and what is about messages that are gone;
// exists tells whether a message is in the queue. What it does is reported to w in exim_tidydb's words (spec 54.13).
func Tidy(w io.Writer, d *DB, name string, cutoff time.Time, exists func(id string) bool) error {
	if _, ok := find(name, nil); !ok {
		return fmt.Errorf("unknown database type \"%s\"", name)
	}
	rows, err := d.rows(name, "")
	if err != nil {
		return err
	}
	for _, r := range rows {
		switch {
		case r.stamp.Before(cutoff):
			fmt.Fprintf(w, "deleted %s (too old)\n", printable(r.key))
			err = d.delete(name, r.key)
		case name == "retry":
			if id := messageID(r.key); id != "" && !exists(id) {
				fmt.Fprintf(w, "deleted %s (no message)\n", printable(r.key))
				err = d.delete(name, r.key)
			}
		case strings.HasPrefix(name, "wait-"):
			err = tidyWait(w, d, name, r.key, exists)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func tidyWait(w io.Writer, d *DB, name, key string, exists func(id string) bool) error {
	table := WaitTable(strings.TrimPrefix(name, "wait-"))
	return table.Update(d, key, func(r Wait, _ time.Time, found bool) (Wait, Action) {
		var kept []string
		for _, id := range r.IDs {
			if exists(id) {
				kept = append(kept, id)
				continue
			}
			fmt.Fprintf(w, "removed message id %s from record %s\n", printable(id), printable(key))
		}
		switch {
		case !found || len(kept) == len(r.IDs) && len(kept) > 0:
			return r, Keep
		case len(kept) == 0:
			fmt.Fprintf(w, "deleted %s (empty)\n", printable(key))
			return r, Remove
		}
		return Wait{IDs: kept}, Write
	})
}

// messageID returns the message id at the end of a retry key, "" if there is none.
func messageID(key string) string {
	for _, n := range []int{23, 16} {
		if len(key) > n && key[len(key)-n-1] == ':' && isMessageID(key[len(key)-n:]) {
			return key[len(key)-n:]
		}
	}
	return ""
}

func isMessageID(s string) bool {
	dashes := [2]int{6, len(s) - 5}
	if len(s) == 16 {
		dashes[1] = 13
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		dash := i == dashes[0] || i == dashes[1]
		if dash != (c == '-') || !dash && !(c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z') {
			return false
		}
	}
	return true
}

// printable makes control characters visible as octal escapes: a dump is read line by line.
func printable(s string) string {
	clean := true
	for i := 0; i < len(s) && clean; i++ {
		clean = s[i] >= ' ' && s[i] != 0x7f
	}
	if clean {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\n':
			b.WriteString("\\n")
		case c == '\t':
			b.WriteString("\\t")
		case c < ' ' || c == 0x7f:
			fmt.Fprintf(&b, "\\%03o", c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}
