// Package cdb reads and writes constant databases (D. J. Bernstein, cr.yp.to/cdb/cdb.txt): files that map byte strings to
// byte strings with two disk accesses a look-up, made whole and never changed.
//
// Trust: files belong to administrators or users; a damaged or hostile one gives an error, never a wild read.
package cdb

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

const (
	tables     = 256
	headerSize = tables * 8
	hashStart  = 5381
	maxSize    = 1<<32 - 1
)

// ErrCorrupt says that a file is no sound database; errors wrap it.
var ErrCorrupt = errors.New("cdb: corrupt database")

func corrupt(what string) error { return fmt.Errorf("%w: %s", ErrCorrupt, what) }

// hash is the hash function of the format.
func hash(key []byte) uint32 {
	h := uint32(hashStart)
	for _, c := range key {
		h = h<<5 + h ^ uint32(c)
	}
	return h
}

// Reader looks keys up. It may be used by several goroutines at once.
type Reader struct {
	r      io.ReaderAt
	data   []byte // instead of r: the file in memory
	size   int64
	header [headerSize]byte
	closer io.Closer
}

// Open opens a database file.
func Open(path string) (*Reader, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, err
	}
	r, err := NewReader(f, info.Size())
	if err != nil {
		f.Close()
		return nil, err
	}
	r.closer = f
	return r, nil
}

// NewReader reads a database of size bytes from r. The header is read at once and kept.
func NewReader(r io.ReaderAt, size int64) (*Reader, error) {
	c := &Reader{r: r, size: size}
	if size < headerSize {
		return nil, corrupt("too short")
	}
	if err := c.read(c.header[:], 0); err != nil {
		return nil, err
	}
	return c, nil
}

// NewMemoryReader reads a database that is in memory, as a mapped file is. Values are parts of data, which nobody may change.
func NewMemoryReader(data []byte) (*Reader, error) {
	c := &Reader{data: data, size: int64(len(data))}
	if c.size < headerSize {
		return nil, corrupt("too short")
	}
	copy(c.header[:], data)
	return c, nil
}

// Close closes the file of a reader made by Open.
func (c *Reader) Close() error {
	if c.closer == nil {
		return nil
	}
	return c.closer.Close()
}

// read fills b from offset at.
func (c *Reader) read(b []byte, at int64) error {
	if at < 0 || at+int64(len(b)) > c.size {
		return corrupt("offset outside the file")
	}
	if c.data != nil {
		copy(b, c.data[at:])
		return nil
	}
	n, err := c.r.ReadAt(b, at)
	if n == len(b) {
		return nil
	}
	if err == nil || err == io.EOF {
		return corrupt("file shorter than it was")
	}
	return err
}

// pair reads two numbers.
func (c *Reader) pair(at int64) (uint32, uint32, error) {
	if c.data != nil && at >= 0 && at+8 <= c.size {
		return binary.LittleEndian.Uint32(c.data[at:]), binary.LittleEndian.Uint32(c.data[at+4:]), nil
	}
	var b [8]byte
	if err := c.read(b[:], at); err != nil {
		return 0, 0, err
	}
	return binary.LittleEndian.Uint32(b[:]), binary.LittleEndian.Uint32(b[4:]), nil
}

// Get returns the first value of key, and false if the key is not there.
func (c *Reader) Get(key []byte) (value []byte, found bool, err error) {
	err = c.Each(key, func(v []byte) bool {
		value, found = v, true
		return false
	})
	return value, found, err
}

// Each calls f with the values of key, in the order they were added, until f returns false.
func (c *Reader) Each(key []byte, f func(value []byte) bool) error {
	h := hash(key)
	row := c.header[h%tables*8:]
	start, slots := int64(binary.LittleEndian.Uint32(row)), binary.LittleEndian.Uint32(row[4:])
	if slots == 0 {
		return nil
	}
	if start+int64(slots)*8 > c.size {
		return corrupt("table outside the file")
	}
	slot := h / tables % slots
	for range slots {
		stored, at, err := c.pair(start + int64(slot)*8)
		if err != nil {
			return err
		}
		if at == 0 {
			return nil
		}
		if stored == h {
			value, same, err := c.record(int64(at), key)
			if err != nil {
				return err
			}
			if same && !f(value) {
				return nil
			}
		}
		if slot++; slot == slots {
			slot = 0
		}
	}
	return nil
}

// record returns the value of the record at that offset if its key is key.
func (c *Reader) record(at int64, key []byte) ([]byte, bool, error) {
	keyLen, valueLen, err := c.pair(at)
	if err != nil {
		return nil, false, err
	}
	if at+8+int64(keyLen)+int64(valueLen) > c.size {
		return nil, false, corrupt("record outside the file")
	}
	if int(keyLen) != len(key) {
		return nil, false, nil
	}
	if c.data != nil {
		start, end := at+8+int64(keyLen), at+8+int64(keyLen)+int64(valueLen)
		if string(c.data[at+8:start]) != string(key) {
			return nil, false, nil
		}
		return c.data[start:end:end], true, nil
	}
	stored := make([]byte, keyLen)
	if err := c.read(stored, at+8); err != nil || string(stored) != string(key) {
		return nil, false, err
	}
	value := make([]byte, valueLen)
	if err := c.read(value, at+8+int64(keyLen)); err != nil {
		return nil, false, err
	}
	return value, true, nil
}

// All calls f with all records in the order they were added, until f returns false.
func (c *Reader) All(f func(key, value []byte) bool) error {
	end := c.size
	for i := 0; i < headerSize; i += 8 {
		end = min(end, int64(binary.LittleEndian.Uint32(c.header[i:])))
	}
	for at := int64(headerSize); at < end; {
		keyLen, valueLen, err := c.pair(at)
		if err != nil {
			return err
		}
		next := at + 8 + int64(keyLen) + int64(valueLen)
		if next > end {
			return corrupt("record outside the file")
		}
		b := make([]byte, next-at-8)
		if err := c.read(b, at+8); err != nil {
			return err
		}
		if !f(b[:keyLen:keyLen], b[keyLen:]) {
			return nil
		}
		at = next
	}
	return nil
}
