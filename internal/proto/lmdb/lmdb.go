// Package lmdb reads LMDB environments (the on-disk format of version 0.9 on 64-bit little-endian machines) without the
// library and without locks: nothing is written, not even the table of readers. A look-up that a writer has overtaken is seen
// by the transaction numbers and done again.
//
// Trust: files belong to administrators or users; a damaged or hostile one gives an error, never a wild read or an endless
// loop.
package lmdb

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Errors of this package.
var (
	// ErrCorrupt says that a file is no sound environment; errors wrap it.
	ErrCorrupt = errors.New("lmdb: corrupt environment")
	// ErrBusy says that writers overtook the reader again and again; later it may work.
	ErrBusy = errors.New("lmdb: environment changes too fast")
	// ErrNoDatabase says that there is no database of the name asked for.
	ErrNoDatabase = errors.New("lmdb: no such database")
)

func corrupt(what string) error { return fmt.Errorf("%w: %s", ErrCorrupt, what) }

const (
	pageHeader  = 16 // bytes before a page's content
	metaSize    = pageHeader + 136
	magic       = 0xBEEFC0DE
	version     = 1
	recordSize  = 48 // bytes of the description of a database
	minPage     = 512
	maxPage     = 1 << 16
	maxDepth    = 32
	maxAttempts = 20
	maxValue    = 64 << 20 // bytes of the longest value that is read
	maxPages    = 1 << 46  // pages of a file, so that offsets stay within int64
	noPage      = ^uint64(0)
)

// Environment is an open LMDB file. It may be used by several goroutines at once.
type Environment struct {
	r        io.ReaderAt
	closer   io.Closer
	pageSize int
}

// Open opens an environment: a directory with a data.mdb in it, or (MDB_NOSUBDIR) the file itself.
func Open(path string) (*Environment, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		path = filepath.Join(path, "data.mdb")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	e, err := NewEnvironment(f)
	if err != nil {
		f.Close()
		return nil, err
	}
	e.closer = f
	return e, nil
}

// NewEnvironment reads an environment from r.
func NewEnvironment(r io.ReaderAt) (*Environment, error) {
	e := &Environment{r: r}
	var b [metaSize]byte
	if err := e.read(b[:], 0); err != nil {
		return nil, err
	}
	if binary.LittleEndian.Uint32(b[16:]) != magic {
		return nil, corrupt("wrong magic number")
	}
	if v := binary.LittleEndian.Uint32(b[20:]); v != version {
		return nil, corrupt(fmt.Sprintf("format version %d", v))
	}
	size := binary.LittleEndian.Uint32(b[40:])
	if size < minPage || size > maxPage || size&(size-1) != 0 {
		return nil, corrupt("impossible page size")
	}
	e.pageSize = int(size)
	_, err := e.newest()
	return e, err
}

// Close closes the file of an environment made by Open.
func (e *Environment) Close() error {
	if e.closer == nil {
		return nil
	}
	return e.closer.Close()
}

func (e *Environment) read(b []byte, at int64) error {
	n, err := e.r.ReadAt(b, at)
	if n == len(b) {
		return nil
	}
	if err == nil || err == io.EOF {
		return corrupt("file too short")
	}
	return err
}

// meta is a meta page: the root of everything as of one transaction.
type meta struct {
	transaction uint64
	lastPage    uint64
	main        database
}

// newest reads both meta pages and returns the newer one.
func (e *Environment) newest() (meta, error) {
	var best meta
	found := false
	for page := range int64(2) {
		var b [metaSize]byte
		if err := e.read(b[:], page*int64(e.pageSize)); err != nil {
			return meta{}, err
		}
		if binary.LittleEndian.Uint32(b[16:]) != magic || binary.LittleEndian.Uint32(b[20:]) != version {
			continue
		}
		m := meta{
			main:        parseDatabase(b[88:136]),
			lastPage:    binary.LittleEndian.Uint64(b[136:]),
			transaction: binary.LittleEndian.Uint64(b[144:]),
		}
		if !found || m.transaction > best.transaction {
			best, found = m, true
		}
	}
	if !found {
		return meta{}, corrupt("no valid meta page")
	}
	return best, nil
}

// database describes one tree.
type database struct {
	flags   uint16
	fixed   int // length of the values of a tree of fixed-length duplicates
	entries uint64
	root    uint64
}

func parseDatabase(b []byte) database {
	return database{
		fixed:   int(binary.LittleEndian.Uint32(b)),
		flags:   binary.LittleEndian.Uint16(b[4:]),
		entries: binary.LittleEndian.Uint64(b[32:]),
		root:    binary.LittleEndian.Uint64(b[40:]),
	}
}

// snapshot calls f with the state as of the newest transaction, and again if a writer may have reused pages meanwhile: a page that
// was valid in transaction t can be overwritten only when t+2 has been committed.
func (e *Environment) snapshot(f func(s *snapshot) error) error {
	for range maxAttempts {
		m, err := e.newest()
		if err != nil {
			return err
		}
		err = f(&snapshot{env: e, meta: m})
		after, err2 := e.newest()
		if err2 != nil {
			return err2
		}
		if after.transaction <= m.transaction+1 {
			return err
		}
	}
	return ErrBusy
}

// Get returns the value of key in the named database; the name "" stands for the main one. Of several values it is the first.
func (e *Environment) Get(name string, key []byte) (value []byte, found bool, err error) {
	err = e.snapshot(func(s *snapshot) error {
		value, found = nil, false
		db, err := s.open(name)
		if err != nil {
			return err
		}
		n, ok, err := s.find(db, key)
		if err != nil || !ok {
			return err
		}
		found = true
		value, err = s.first(n)
		return err
	})
	if err != nil {
		return nil, false, err
	}
	return value, found, nil
}

// All calls f with the keys and values of the named database in order, until f returns false. Keys with several values come once,
// with the first; names of databases in the main one come with a nil value. When a writer overtakes the reader the error is
// ErrBusy, and what f saw may be wrong.
func (e *Environment) All(name string, f func(key, value []byte) bool) error {
	m, err := e.newest()
	if err != nil {
		return err
	}
	s := &snapshot{env: e, meta: m}
	db, err := s.open(name)
	if err == nil && db.root != noPage {
		_, err = s.walk(db.root, 0, f)
	}
	after, err2 := e.newest()
	if err2 == nil && after.transaction > m.transaction+1 {
		return ErrBusy
	}
	return errors.Join(err, err2)
}
