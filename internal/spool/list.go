package spool

import (
	"errors"
	"os"
	"sort"
	"strings"
)

// Entry is a message in the queue.
type Entry struct {
	ID, Queue string
	// Sub is the sub-directory of split_spool_directory, 0 for none.
	Sub byte
}

// List returns the messages of a queue ("" for the default one), oldest first. It reads directories alone.
func (s *Spool) List(queue string) ([]Entry, error) {
	base := s.base(queue) + "/input"
	names, err := readNames(base)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []Entry
	for _, n := range names {
		if len(n) == 1 && digit(n[0]) >= 0 {
			inner, err := readNames(base + "/" + n)
			if err != nil {
				continue // removed meanwhile, or no directory
			}
			for _, name := range inner {
				out = appendEntry(out, name, queue, n[0])
			}
			continue
		}
		out = appendEntry(out, n, queue, 0)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].ID < out[j].ID })
	return out, nil
}

func appendEntry(out []Entry, name, queue string, sub byte) []Entry {
	id, ok := strings.CutSuffix(name, "-H")
	if !ok || !IsID(id) {
		return out
	}
	return append(out, Entry{ID: id, Queue: queue, Sub: sub})
}

func readNames(dir string) ([]string, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.Readdirnames(-1)
}

// Queues returns the names of the named queues that exist on disk, sorted.
func (s *Spool) Queues() ([]string, error) {
	names, err := readNames(s.Directory)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, n := range names {
		if st, err := os.Stat(s.Directory + "/" + n + "/input"); err == nil && st.IsDir() && ValidQueue(n) {
			out = append(out, n)
		}
	}
	sort.Strings(out)
	return out, nil
}

// Exists tells whether the queue holds the message.
func (s *Spool) Exists(id, queue string) bool {
	_, err := s.find(id, queue)
	return err == nil
}

// find returns the directory that holds the message's -H file.
func (s *Spool) find(id, queue string) (string, error) {
	if !IsID(id) || queue != "" && !ValidQueue(queue) {
		return "", ErrNotFound
	}
	for _, dir := range s.candidates("input", queue, id) {
		if _, err := os.Lstat(dir + "/" + id + "-H"); err == nil {
			return dir, nil
		}
	}
	return "", ErrNotFound
}

// Paths returns the names of the -H and -D files of a message.
func (s *Spool) Paths(id, queue string) (header, data string, err error) {
	dir, err := s.find(id, queue)
	if err != nil {
		return "", "", err
	}
	return dir + "/" + id + "-H", dir + "/" + id + "-D", nil
}
