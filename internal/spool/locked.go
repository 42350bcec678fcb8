package spool

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"exigo/internal/mail"

	"golang.org/x/sys/unix"
)

// Locked is a message that nobody else works on until Close. It is used by one goroutine.
type Locked struct {
	spool     *Spool
	ID, Queue string
	dir       string
	f         *os.File // the -D file, which carries the lock
	journal   *os.File
	// fresh: the lock was never released since the message was received, and no journal begun: there is neither journal nor message log.
	fresh bool
}

// Lock finds a message, opens its -D file and locks it. The error is ErrNotFound or ErrLocked, wrapped or not.
func (s *Spool) Lock(id, queue string) (*Locked, error) {
	if !IsID(id) || queue != "" && !ValidQueue(queue) {
		return nil, ErrNotFound
	}
	for _, dir := range s.candidates("input", queue, id) {
		f, err := os.OpenFile(dir+"/"+id+"-D", os.O_RDWR|os.O_APPEND|unix.O_NOFOLLOW, 0)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if err := lock(f); err != nil {
			f.Close()
			return nil, err
		}
		if gone(f) { // whoever had the lock finished the message
			f.Close()
			return nil, ErrNotFound
		}
		return &Locked{spool: s, ID: id, Queue: queue, dir: dir, f: f}, nil
	}
	return nil, ErrNotFound
}

// gone tells whether the file has no name any more.
func gone(f *os.File) bool {
	var st unix.Stat_t
	return unix.Fstat(int(f.Fd()), &st) == nil && st.Nlink == 0
}

// Close gives the lock back.
func (l *Locked) Close() error {
	if l.journal != nil {
		l.journal.Close()
		l.journal = nil
	}
	if l.f == nil {
		return nil
	}
	err := l.f.Close()
	l.f = nil
	return err
}

// Read reads the -H file, applying what a journal of an interrupted delivery says.
func (l *Locked) Read() (*mail.Message, error) {
	m, err := l.spool.read(l.dir, l.ID, l.Queue)
	if err != nil {
		return nil, err
	}
	done, err := l.ReadJournal()
	if err != nil {
		return nil, err
	}
	m.NonRecipients = append(m.NonRecipients, done...)
	return m, nil
}

// File returns the open -D file; the body begins at the message's DataOffset. It is valid until Close.
func (l *Locked) File() *os.File { return l.f }

// Body returns a reader of the message's body, which stays valid until Close.
func (l *Locked) Body() (*io.SectionReader, error) {
	st, err := l.f.Stat()
	if err != nil {
		return nil, err
	}
	offset := dataOffset(l.ID)
	return io.NewSectionReader(l.f, offset, max(st.Size()-offset, 0)), nil
}

// WriteHeader rewrites the -H file with the message's present state, and removes the journal, which the state includes.
func (l *Locked) WriteHeader(m *mail.Message) error {
	if err := l.spool.writeHeader(l.dir, l.ID, m, nil); err != nil {
		return err
	}
	return l.RemoveJournal()
}

// Journal appends addresses to the journal as done, each with one write, before anything else is said about them. sync also brings
// it to the disk.
func (l *Locked) Journal(sync bool, addresses ...string) error {
	name := l.dir + "/" + l.ID + "-J"
	created := l.journal == nil
	l.fresh = false
	if created {
		if err := l.spool.before(OpCreate, name); err != nil {
			return err
		}
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND|os.O_CREATE, fileMode)
		if err != nil {
			return fmt.Errorf("Couldn't open journal file %s: %w", name, err)
		}
		l.spool.own(name)
		l.journal = f
	}
	var b strings.Builder
	for _, a := range addresses {
		b.WriteString(oneLine(a))
		b.WriteByte('\n')
	}
	if err := l.spool.before(OpWrite, name); err != nil {
		return err
	}
	if _, err := io.WriteString(l.journal, b.String()); err != nil {
		return fmt.Errorf("failed to update journal %s: %w", name, err)
	}
	if !sync {
		return nil
	}
	if err := l.spool.sync(l.journal); err != nil || !created {
		return err
	}
	return l.spool.syncDirectory(l.dir)
}

// ReadJournal returns the addresses that an interrupted delivery finished. A last line without line end was not written
// completely, and does not count.
func (l *Locked) ReadJournal() ([]string, error) {
	data, err := readBounded(l.dir + "/" + l.ID + "-J")
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []string
	for text := string(data); ; {
		line, rest, complete := strings.Cut(text, "\n")
		if !complete {
			return out, nil
		}
		if line != "" {
			out = append(out, line)
		}
		text = rest
	}
}

// RemoveJournal removes the journal, if there is one.
func (l *Locked) RemoveJournal() error {
	if l.journal != nil {
		l.journal.Close()
		l.journal = nil
	}
	return l.spool.remove(l.dir + "/" + l.ID + "-J")
}

// Remove removes the message: the -H file first, because without it there is no message, then the journal and the message log
// (unless keepLog), and last the -D file with the lock.
func (l *Locked) Remove(keepLog bool) error {
	err := l.spool.remove(l.dir + "/" + l.ID + "-H")
	if err != nil {
		return err
	}
	if !l.fresh {
		l.RemoveJournal()
		if !keepLog {
			l.spool.RemoveLog(l.ID, l.Queue)
		}
	}
	err = l.spool.remove(l.dir + "/" + l.ID + "-D")
	l.Close()
	return err
}

// Move moves the message to another queue, "" for the default one. All files but -H exist in both queues until -H is renamed, so that
// the message is always complete in the one where its -H is; its lock goes with the -D file.
func (l *Locked) Move(queue string) error { return l.move(queue, "") }

// SetAside moves the message to Finput and its log to Fmsglog, where nothing looks for it (move_frozen_messages).
func (l *Locked) SetAside() error { return l.move(l.Queue, "F") }

func (l *Locked) move(queue, prefix string) error {
	s := l.spool
	to := s.directory(prefix+"input", queue, l.ID)
	if err := s.makeDirectory(to); err != nil {
		return err
	}
	from := l.dir
	for _, suffix := range []string{"-D", "-J"} {
		if err := s.link(from+"/"+l.ID+suffix, to+"/"+l.ID+suffix); err != nil && (suffix == "-D" || !errors.Is(err, os.ErrNotExist)) {
			return err
		}
	}
	if err := s.syncDirectory(to); err != nil {
		return err
	}
	if err := s.rename(from+"/"+l.ID+"-H", to+"/"+l.ID+"-H"); err != nil {
		return err
	}
	s.moveLog(l.ID, l.Queue, queue, prefix)
	l.dir, l.Queue = to, queue
	if err := s.syncDirectory(to); err != nil {
		return err
	}
	s.remove(from + "/" + l.ID + "-J")
	if err := s.remove(from + "/" + l.ID + "-D"); err != nil {
		return err
	}
	return s.syncDirectory(from)
}

// link gives a file a second name; one left there by a crash gives way.
func (s *Spool) link(from, to string) error {
	if err := s.before(OpCreate, to); err != nil {
		return err
	}
	err := os.Link(from, to)
	if errors.Is(err, os.ErrExist) {
		if err = s.remove(to); err == nil {
			err = os.Link(from, to)
		}
	}
	return err
}

// oneLine keeps a text from being taken for two lines.
func oneLine(s string) string {
	if strings.ContainsAny(s, "\n\r\x00") {
		return strings.NewReplacer("\n", "\\n", "\r", "\\r", "\x00", "\\0").Replace(s)
	}
	return s
}

// maxFile bounds a -H or -J file that is read into memory.
const maxFile = 256 << 20

func readBounded(name string) ([]byte, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if st.Size() > maxFile {
		return nil, fmt.Errorf("spool file %s is too big: %d bytes", name, st.Size())
	}
	b := make([]byte, st.Size())
	n, err := io.ReadFull(f, b)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	return b[:n], err
}
