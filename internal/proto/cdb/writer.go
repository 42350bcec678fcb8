package cdb

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
)

// ErrFull says that a database would become larger than the 4 GB the format allows.
var ErrFull = errors.New("cdb: database would be larger than 4 GB")

// Writer makes a database. The destination is written from its start; Close goes back there to write the header.
type Writer struct {
	w       io.WriteSeeker
	buffer  *bufio.Writer
	at      int64
	entries [tables][]entry
}

type entry struct{ hash, at uint32 }

// NewWriter returns a writer that makes a database in w, an empty file for instance.
func NewWriter(w io.WriteSeeker) (*Writer, error) {
	c := &Writer{w: w, buffer: bufio.NewWriterSize(w, 1<<16), at: headerSize}
	_, err := c.buffer.Write(make([]byte, headerSize))
	return c, err
}

// Add adds a record. A key may be added more than once.
func (c *Writer) Add(key, value []byte) error {
	next := c.at + 8 + int64(len(key)) + int64(len(value))
	if next > maxSize {
		return ErrFull
	}
	h := hash(key)
	c.entries[h%tables] = append(c.entries[h%tables], entry{h, uint32(c.at)})
	if err := c.pair(uint32(len(key)), uint32(len(value))); err != nil {
		return err
	}
	if _, err := c.buffer.Write(key); err != nil {
		return err
	}
	if _, err := c.buffer.Write(value); err != nil {
		return err
	}
	c.at = next
	return nil
}

func (c *Writer) pair(a, b uint32) error {
	var p [8]byte
	binary.LittleEndian.PutUint32(p[:], a)
	binary.LittleEndian.PutUint32(p[4:], b)
	_, err := c.buffer.Write(p[:])
	return err
}

// Close writes the hash tables and the header. It does not close the destination.
func (c *Writer) Close() error {
	var header [headerSize]byte
	for i, entries := range c.entries {
		n := 2 * len(entries)
		if c.at+int64(n)*8 > maxSize {
			return ErrFull
		}
		binary.LittleEndian.PutUint32(header[i*8:], uint32(c.at))
		binary.LittleEndian.PutUint32(header[i*8+4:], uint32(n))
		table := make([]entry, n)
		for _, e := range entries {
			slot := e.hash / tables % uint32(n)
			for table[slot].at != 0 {
				if slot++; slot == uint32(n) {
					slot = 0
				}
			}
			table[slot] = e
		}
		for _, e := range table {
			if err := c.pair(e.hash, e.at); err != nil {
				return err
			}
		}
		c.at += int64(n) * 8
	}
	if err := c.buffer.Flush(); err != nil {
		return err
	}
	if _, err := c.w.Seek(0, io.SeekStart); err != nil {
		return err
	}
	_, err := c.w.Write(header[:])
	return err
}
