// Package scan is what content scanners are given (spec chapter 45): the message being received as a stream or, for scanners that want one,
// as a file in a directory of its own, the part of it that an ACL for MIME parts is about, and connections to daemons.
//
// Trust: the message is an outsider's. It is never held in memory; the directory is readable for the program's own group only. Where daemons
// listen is the administrator's choice, what they answer is read by the rooms that ask.
package scan

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"

	"exigo/internal/acl"
	"exigo/internal/config"
	"exigo/internal/expand"
	"exigo/internal/mail"
	"exigo/internal/option"
	"exigo/internal/submit"
)

// The modes of a message's scan directory and of the files in it: scanners that are in the program's group may read them.
const (
	DirectoryMode = 0o750
	FileMode      = 0o640
)

// Directory is where the files of one message are, SPOOL/scan/ID. It is removed when the message's reception ends, unless control =
// no_mbox_unspool asked to keep it.
type Directory struct {
	// Path is its name; it does not exist before Make.
	Path string
	made bool
	copy Copy
}

// DirectoryOf returns the directory of the scope's message, which must have its id.
func DirectoryOf(s *expand.Scope) *Directory {
	d := mail.State[Directory](&s.Message.Bag)
	if d.Path == "" {
		spool := string(option.Of[config.Main](config.Of(s).Main).SpoolDirectory)
		d.Path = spool + "/scan/" + s.Message.ID
	}
	return d
}

// Make makes the directory, if that was not done.
func (d *Directory) Make() error {
	if d.made {
		return nil
	}
	for _, path := range []string{filepath.Dir(d.Path), d.Path} {
		err := os.Mkdir(path, DirectoryMode)
		if err == nil {
			err = os.Chmod(path, DirectoryMode) // whatever the umask is
		}
		if err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
	}
	d.made = true
	return nil
}

// Create makes a file for scanners, or empties it.
func Create(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, FileMode)
	if err == nil {
		f.Chmod(FileMode) // whatever the umask is; a file that was there may be somebody else's
	}
	return f, err
}

// Copy is the message as scanners see it: an mbox "From " line, X-Envelope- lines, the header section and the body, with LF line ends. What
// it holds is settled when it is first asked for.
type Copy struct {
	// Directory is where its file is.
	Directory *Directory
	head      string
	body      *io.SectionReader
	written   bool
}

// Of returns the copy of the message being received. A failure is logged; what the ACL condition (its name) then does is to defer.
func Of(r *acl.Run, condition string) (*Copy, bool) {
	c, err := of(r.Scope)
	if err != nil {
		Log(r, acl.LogMain|acl.LogPanic, Reason(err))
		Log(r, acl.LogMain|acl.LogPanic, condition+" acl condition: error while creating mbox spool file")
		return nil, false
	}
	return c, true
}

var errNoMessage = errors.New("there is no message to scan")

func of(s *expand.Scope) (*Copy, error) {
	m := s.Message
	if m == nil || m.ID == "" {
		return nil, errNoMessage
	}
	d := DirectoryOf(s)
	c := &d.copy
	if c.body != nil {
		return c, nil
	}
	body, err := submit.Body(m)
	if err != nil {
		return nil, err
	}
	date, err := s.Engine.Expand(s, "$tod_bsdinbox")
	if err != nil {
		return nil, err
	}
	*c = Copy{Directory: d, head: head(m, date.S), body: body}
	return c, nil
}

// HeaderChanged lets the scanners that come see the header section as it is now, when a condition has added lines at once.
func HeaderChanged(m *mail.Message) {
	if d := mail.Peek[Directory](&m.Bag); d != nil {
		d.copy = Copy{}
	}
}

// head is what stands before the body.
func head(m *mail.Message, date string) string {
	var b strings.Builder
	b.WriteString("From MAILER-DAEMON " + date + "\n")
	if m.Sender != "" {
		b.WriteString("X-Envelope-From: <" + m.Sender + ">\n")
	}
	for i, r := range m.Recipients {
		if i == 0 {
			b.WriteString("X-Envelope-To: ")
		} else {
			b.WriteString(", ")
		}
		b.WriteString(r.Address)
	}
	if len(m.Recipients) > 0 {
		b.WriteByte('\n')
	}
	for _, h := range m.Headers {
		if h.Type != '*' {
			b.WriteString(h.Text)
		}
	}
	b.WriteByte('\n')
	return b.String()
}

// Size is its length in bytes.
func (c *Copy) Size() int64 { return int64(len(c.head)) + c.body.Size() }

// Reader reads it from the start.
func (c *Copy) Reader() io.Reader {
	return io.MultiReader(strings.NewReader(c.head), io.NewSectionReader(c.body, 0, c.body.Size()))
}

// WriteTo writes it to w.
func (c *Copy) WriteTo(w io.Writer) (int64, error) {
	n, err := io.WriteString(w, c.head)
	if err != nil {
		return int64(n), err
	}
	m, err := io.Copy(w, io.NewSectionReader(c.body, 0, c.body.Size()))
	return int64(n) + m, err
}

// File writes it into the file ID.eml of its directory, if that was not done, and returns the file's name.
func (c *Copy) File() (string, error) {
	d := c.Directory
	name := d.Path + d.Path[strings.LastIndexByte(d.Path, '/'):] + ".eml"
	if c.written {
		return name, nil
	}
	if err := d.Make(); err != nil {
		return "", err
	}
	f, err := Create(name)
	if err != nil {
		return "", err
	}
	_, err = c.WriteTo(f)
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		os.Remove(name)
		return "", err
	}
	c.written = true
	return name, nil
}

// Use settles the copy of the scope's message, which control = no_mbox_unspool then keeps. For rooms that look at messages in other ways.
func Use(s *expand.Scope) error {
	_, err := of(s)
	return err
}

// Room removes the directory when the reception has ended, or with control = no_mbox_unspool sees to it that the copy is in it. Every feature
// that uses it has this row; the last to come finds nothing to do.
func Room() submit.Room {
	return submit.Room{Name: "scan",
		Accepted: func(_ context.Context, _ *expand.Scope, m *mail.Message, _ *io.SectionReader) (spoolOnly bool) {
			keep(m)
			return false
		},
		Ended: func(_ *expand.Scope, m *mail.Message, r *submit.Result) {
			d := mail.Peek[Directory](&m.Bag)
			if d == nil {
				return
			}
			switch {
			case !m.Controls.NoMboxUnspool && d.made:
				os.RemoveAll(d.Path)
			case r == nil || !r.Accepted: // the body is still there
				keep(m)
			}
			mail.Drop[Directory](&m.Bag)
		}}
}

// keep writes the file of a message that was looked at, if control = no_mbox_unspool wants it. It is for debugging: the message is none the
// worse without.
func keep(m *mail.Message) {
	if d := mail.Peek[Directory](&m.Bag); d != nil && d.copy.body != nil && m.Controls.NoMboxUnspool {
		d.copy.File()
	}
}

// Log writes a line to the logs, if there are any.
func Log(r *acl.Run, targets acl.LogTargets, line string) {
	if r.Services != nil && r.Services.Log != nil {
		r.Services.Log(r.Scope, targets, line)
	}
}
