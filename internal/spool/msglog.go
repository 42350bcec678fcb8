package spool

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// AppendLog appends lines to the message's log (spec 53.16) with one write. text ends in a line end; the caller made it printable.
func (s *Spool) AppendLog(id, queue, text string) error {
	dir := s.directory("msglog", queue, id)
	path := dir + "/" + id
	if err := s.before(OpWrite, path); err != nil {
		return err
	}
	const flags = os.O_WRONLY | os.O_APPEND | os.O_CREATE | unix.O_NOFOLLOW
	f, err := os.OpenFile(path, flags, fileMode)
	if os.IsNotExist(err) {
		s.forget(dir)
		if err := s.makeDirectory(dir); err != nil {
			return err
		}
		f, err = os.OpenFile(path, flags, fileMode)
	}
	if err != nil {
		return fmt.Errorf("Couldn't open message log %s: %w", path, cause(err))
	}
	defer f.Close()
	if s.options.UID >= 0 && os.Geteuid() == 0 {
		f.Chown(s.options.UID, s.options.GID)
	}
	_, err = io.WriteString(f, text)
	return err
}

// ReadLog opens the message's log.
func (s *Spool) ReadLog(id, queue string) (*os.File, error) {
	if !IsID(id) || queue != "" && !ValidQueue(queue) {
		return nil, ErrNotFound
	}
	for _, dir := range s.candidates("msglog", queue, id) {
		f, err := os.OpenFile(dir+"/"+id, os.O_RDONLY|unix.O_NOFOLLOW, 0)
		if !os.IsNotExist(err) {
			return f, err
		}
	}
	return nil, ErrNotFound
}

// RemoveLog removes the message's log, if there is one.
func (s *Spool) RemoveLog(id, queue string) error {
	for _, dir := range s.candidates("msglog", queue, id) {
		if err := s.remove(dir + "/" + id); err != nil {
			return err
		}
	}
	return nil
}

// moveLog moves the message's log, if there is one, to another queue; prefix goes before the name of the directory. What becomes of
// the log decides nothing.
func (s *Spool) moveLog(id, from, to, prefix string) {
	dir := s.directory(prefix+"msglog", to, id)
	for _, old := range s.candidates("msglog", from, id) {
		if _, err := os.Lstat(old + "/" + id); err == nil && s.makeDirectory(dir) == nil {
			s.rename(old+"/"+id, dir+"/"+id)
		}
	}
}
