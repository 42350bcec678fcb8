// Package spool keeps messages on disk in Exim's format: the data in ID-D, envelope, state and headers in ID-H, the
// journal of a delivery at work in ID-J (spec chapter "Format of spool files"). A message exists when its -H file does.
// Messages are locked as Exim locks them, so that real Exim processes may work on the same spool.
//
// Trust: file contents were written by us or by the Exim user; every field in them may hold text of outsiders.
package spool

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// Options are what governs a spool.
type Options struct {
	// Split is split_spool_directory: messages go to sub-directories named by the sixth character of the id.
	Split bool
	// LocalhostNumber is localhost_number, -1 when unset. It is part of every id.
	LocalhostNumber int
	// ShortIDs makes new ids in the 16-character form of Exim up to 4.96; both forms are always read.
	ShortIDs bool
	// UID and GID own what root creates; -1 leaves it.
	UID, GID int
	// Fields are lines of -H files that rooms declare, in addition to the ones of this package.
	Fields []Field
	// Disk watches changes; its zero value does nothing.
	Disk Disk
	// NoSync leaves out fsync: only for tests that do not test crashes.
	NoSync bool
}

// Spool is one spool directory. It is safe for concurrent use.
type Spool struct {
	// Directory is the path of spool_directory.
	Directory string
	options   Options
	fields    []Field
	byName    map[string]*Field

	buffers sync.Pool // of *bytes.Buffer, for receptions

	mu   sync.Mutex
	last int64 // the last id's time in ticks
	// shared counts the short ids made in the tick last.
	shared int64
	made   map[string]bool // directories that are known to exist

	syncs directorySyncs
}

// Open returns the spool of a directory. It neither creates nor opens anything.
func Open(dir string, o Options) *Spool {
	s := &Spool{Directory: dir, options: o, byName: make(map[string]*Field), made: make(map[string]bool)}
	s.fields = append(builtinFields(), o.Fields...)
	for i := range s.fields {
		s.byName[s.fields[i].Name] = &s.fields[i]
	}
	return s
}

// Errors of the spool.
var (
	// ErrLocked: another delivery or process is working on the message.
	ErrLocked = errors.New("spool file is locked")
	// ErrNotFound: there is no such message.
	ErrNotFound = errors.New("spool file not found")
)

// FormatError is a -H file that cannot be understood. Its text is Exim's.
type FormatError struct {
	ID   string
	Size int64
	// Detail says what is wrong, for the debugging output; Exim's message does not.
	Detail string
}

// Error implements error.
func (e *FormatError) Error() string {
	return "Format error in spool file " + e.ID + "-H: size=" + itoa(e.Size)
}

// Disk watches and can refuse the changes a spool makes: crash tests stop it at step N. The zero value does nothing.
type Disk struct {
	// Before, if set, is called before each change with its kind and the path it is about; its error becomes the change's.
	Before func(op Op, path string) error
}

// Op is a kind of change to the disk.
type Op string

// The kinds of changes.
const (
	OpCreate        Op = "create"
	OpWrite         Op = "write"
	OpSync          Op = "sync"
	OpRename        Op = "rename" // path is the new name
	OpRemove        Op = "remove"
	OpMakeDirectory Op = "mkdir"
	OpSyncDirectory Op = "syncdir"
)

func (s *Spool) before(op Op, path string) error {
	if s.options.Disk.Before == nil {
		return nil
	}
	return s.options.Disk.Before(op, path)
}

// The modes of spool files and directories.
const (
	fileMode      = 0o640
	directoryMode = 0o750
)

// base returns the directory of a queue: the spool directory, or the named queue's sub-directory.
func (s *Spool) base(queue string) string {
	if queue == "" {
		return s.Directory
	}
	return filepath.Join(s.Directory, queue)
}

// inputDirectory returns where a new message's files belong. kind is "input" or "msglog".
func (s *Spool) directory(kind, queue, id string) string {
	d := s.base(queue) + "/" + kind
	if s.options.Split && len(id) > splitAt {
		d += "/" + id[splitAt:splitAt+1]
	}
	return d
}

// splitAt is the index of the id's character that names the sub-directory.
const splitAt = 5

// candidates returns the directories that may hold the message, the one of the present setting first: an administrator may
// have changed split_spool_directory.
func (s *Spool) candidates(kind, queue, id string) []string {
	flat := s.base(queue) + "/" + kind
	if len(id) <= splitAt {
		return []string{flat}
	}
	split := flat + "/" + id[splitAt:splitAt+1]
	if s.options.Split {
		return []string{split, flat}
	}
	return []string{flat, split}
}

// ValidQueue tells whether a queue's name can be a sub-directory of the spool: no slash, no dot at the start, not empty.
func ValidQueue(name string) bool {
	return name != "" && len(name) < 200 && name[0] != '.' && !strings.ContainsAny(name, "/\x00\n\r")
}

// makeDirectory makes a directory of the spool with its parents, once a process.
func (s *Spool) makeDirectory(dir string) error {
	s.mu.Lock()
	known := s.made[dir]
	s.mu.Unlock()
	if known {
		return nil
	}
	if _, err := os.Stat(dir); err != nil {
		if err := s.makeMissing(dir); err != nil {
			return err
		}
	}
	s.mu.Lock()
	s.made[dir] = true
	s.mu.Unlock()
	return nil
}

func (s *Spool) makeMissing(dir string) error {
	if parent := filepath.Dir(dir); len(parent) >= len(s.Directory) && dir != s.Directory {
		if _, err := os.Stat(parent); errors.Is(err, os.ErrNotExist) {
			if err := s.makeMissing(parent); err != nil {
				return err
			}
		}
	}
	if err := s.before(OpMakeDirectory, dir); err != nil {
		return err
	}
	if err := os.Mkdir(dir, directoryMode); err != nil {
		if errors.Is(err, os.ErrExist) {
			return nil
		}
		return err
	}
	s.own(dir)
	return s.syncDirectory(filepath.Dir(dir))
}

func (s *Spool) forget(dir string) {
	s.mu.Lock()
	delete(s.made, dir)
	s.mu.Unlock()
}

// Age returns how long ago the id was made.
func Age(id string, now time.Time) time.Duration { return now.Sub(Time(id)) }
