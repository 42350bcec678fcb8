// Package berkeleydb reads database files of Berkeley DB, versions 3 to 18: hash and btree files, of either byte order, with or without
// checksums, not encrypted; and it writes hash files. It was written from the published page layout and from files made by the library's
// users; there are no locks and no logs: a file that is being written to may be read as damaged.
//
// Trust: files may be damaged or hostile; every offset is checked and every chain of pages is bounded by the file's length.
package berkeleydb

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"os"
)

// ErrFormat says that a file is no database of Berkeley DB that can be read here.
var ErrFormat = errors.New("berkeleydb: not a hash or btree database")

// errDamaged is wrapped by errors about what is inside.
var errDamaged = errors.New("berkeleydb: damaged database")

func damaged(what string) error { return fmt.Errorf("%w: %s", errDamaged, what) }

// Magic numbers, page types and item types of the file format.
const (
	magicBtree, magicHash = 0x053162, 0x061561

	pageHashUnsorted, pageInternal, pageLeaf, pageOverflow, pageHashMeta, pageBtreeMeta, pageHash = 2, 3, 5, 7, 8, 9, 13

	itemKeyData, itemDuplicate, itemOverflow = 1, 2, 3 // of hash and btree pages alike
	itemDeleted                              = 0x80

	metaSize    = 512
	maxValue    = 64 << 20
	maxLevels   = 64
	checksummed = 1 // bit of the metadata flags
)

// DB is an open database.
type DB struct {
	file     io.ReaderAt
	closer   io.Closer
	order    binary.ByteOrder
	pageSize int
	pages    uint32 // in the file
	overhead int    // bytes before a page's index

	hash                        bool
	root                        uint32
	maxBucket, highMask, lowMax uint32
	spares                      [32]uint32
	function                    func(key []byte) uint32 // nil: unknown, all pages are searched
}

// Open opens a file.
func Open(path string) (*DB, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	var db *DB
	if err == nil {
		db, err = New(f, info.Size())
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	db.closer = f
	return db, nil
}

// New reads a database of this size.
func New(file io.ReaderAt, size int64) (*DB, error) {
	meta := make([]byte, metaSize)
	if n, err := file.ReadAt(meta, 0); n < metaSize {
		if err == io.EOF {
			err = ErrFormat
		}
		return nil, err
	}
	db := &DB{file: file, overhead: 26}
	for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		switch order.Uint32(meta[12:]) {
		case magicHash:
			db.order, db.hash = order, true
		case magicBtree:
			db.order = order
		}
	}
	if db.order == nil {
		return nil, ErrFormat
	}
	db.pageSize = int(db.order.Uint32(meta[20:]))
	wanted := byte(pageBtreeMeta)
	if db.hash {
		wanted = pageHashMeta
	}
	if db.pageSize < metaSize || db.pageSize > 64<<10 || bits.OnesCount(uint(db.pageSize)) != 1 || meta[24] != 0 || meta[25] != wanted {
		return nil, ErrFormat
	}
	if meta[26]&checksummed != 0 {
		db.overhead = 32
	}
	db.pages = uint32(min(size/int64(db.pageSize), 1<<32-1))
	if !db.hash {
		db.root = db.order.Uint32(meta[88:])
		return db, nil
	}
	db.maxBucket, db.highMask, db.lowMax = db.order.Uint32(meta[72:]), db.order.Uint32(meta[76:]), db.order.Uint32(meta[80:])
	for i := range db.spares {
		db.spares[i] = db.order.Uint32(meta[96+4*i:])
	}
	db.function = hashFunction(db.order.Uint32(meta[92:]))
	return db, nil
}

// Close closes the file.
func (db *DB) Close() error {
	if db.closer == nil {
		return nil
	}
	return db.closer.Close()
}

// probe is the text whose hash value the library leaves in the file, to tell the hash functions apart.
var probe = []byte("%$sniglet^&\x00")

// hashFunction finds the function that gives this value for the probe.
func hashFunction(value uint32) func([]byte) uint32 {
	for _, f := range []func([]byte) uint32{fnv, times33} {
		if f(probe) == value {
			return f
		}
	}
	return nil
}

// fnv is the hash function of versions since 3.
func fnv(key []byte) (h uint32) {
	for _, c := range key {
		h = h*16777619 ^ uint32(c)
	}
	return h
}

// times33 is that of older ones.
func times33(key []byte) (h uint32) {
	for _, c := range key {
		h = h*33 + uint32(c)
	}
	return h
}

// page reads a page and checks its index.
func (db *DB) page(number uint32) (page, error) {
	if number >= db.pages {
		return page{}, damaged("a page outside the file")
	}
	b := make([]byte, db.pageSize)
	if _, err := db.file.ReadAt(b, int64(number)*int64(db.pageSize)); err != nil {
		return page{}, err
	}
	p := page{b: b, order: db.order, overhead: db.overhead, next: db.order.Uint32(b[16:]), entries: int(db.order.Uint16(b[20:])), kind: b[25]}
	if p.kind != pageOverflow && p.overhead+2*p.entries > len(b) {
		return page{}, damaged("an index larger than its page")
	}
	return p, nil
}

type page struct {
	b        []byte
	order    binary.ByteOrder
	overhead int
	next     uint32
	entries  int
	kind     byte
}

func (p page) offset(i int) int { return int(p.order.Uint16(p.b[p.overhead+2*i:])) }

// Get returns the first value of a key.
func (db *DB) Get(key []byte) (value []byte, found bool, err error) {
	if !db.hash {
		return db.getBtree(key)
	}
	if db.function == nil {
		err = db.Each(func(k, v func() ([]byte, error)) (bool, error) {
			name, err := k()
			if err != nil || !bytes.Equal(name, key) {
				return true, err
			}
			value, err = v()
			found = err == nil
			return false, err
		})
		return value, found, err
	}
	bucket := db.function(key) & db.highMask
	if bucket > db.maxBucket {
		bucket &= db.lowMax
	}
	level := bits.Len32(bucket) // the least power of two above it
	if level >= len(db.spares) {
		return nil, false, damaged("a bucket out of range")
	}
	number := bucket + db.spares[level]
	for steps := uint32(0); number != 0; steps++ {
		if steps > db.pages {
			return nil, false, damaged("a chain without end")
		}
		p, err := db.page(number)
		if err != nil {
			return nil, false, err
		}
		if p.kind != pageHash && p.kind != pageHashUnsorted {
			return nil, false, damaged("not a page of a hash table")
		}
		for i := 0; i+1 < p.entries; i += 2 {
			if name, err := db.hashItem(p, i, len(key)); err != nil {
				return nil, false, err
			} else if name != nil && bytes.Equal(name, key) {
				value, err := db.hashItem(p, i+1, -1)
				return value, err == nil, err
			}
		}
		number = p.next
	}
	return nil, false, nil
}

// Each goes through all pairs, in the order of the file. do gets functions that read key and value, and returns whether to go on.
func (db *DB) Each(do func(key, value func() ([]byte, error)) (more bool, err error)) error {
	for number := uint32(1); number < db.pages; number++ {
		p, err := db.page(number)
		if err != nil {
			return err
		}
		read := func(i int) ([]byte, error) { return db.hashItem(p, i, -1) }
		switch {
		case !db.hash && p.kind == pageLeaf:
			read = func(i int) ([]byte, error) { return db.treeItem(p, i, false) }
		case !db.hash || p.kind != pageHash && p.kind != pageHashUnsorted:
			continue
		}
		for i := 0; i+1 < p.entries; i += 2 {
			if at := p.offset(i+1) + 2; !db.hash && at < len(p.b) && p.b[at]&itemDeleted != 0 {
				continue
			}
			more, err := do(func() ([]byte, error) { return read(i) }, func() ([]byte, error) { return read(i + 1) })
			if err != nil || !more {
				return err
			}
		}
	}
	return nil
}

// hashItem reads an item of a hash page. With length >= 0 the result is nil if the item has another length.
func (db *DB) hashItem(p page, i, length int) ([]byte, error) {
	start, end := p.offset(i), len(p.b)
	if i > 0 {
		end = p.offset(i - 1)
	}
	if start >= end || end > len(p.b) || start < p.overhead {
		return nil, damaged("an item outside its page")
	}
	item := p.b[start:end]
	switch item[0] {
	case itemKeyData:
		if length >= 0 && len(item)-1 != length {
			return nil, nil
		}
		return item[1:], nil
	case itemDuplicate: // the first of several values: its length stands on both sides
		if len(item) < 5 || 3+int(db.order.Uint16(item[1:])) > len(item) {
			return nil, damaged("a set of values")
		}
		return item[3 : 3+int(db.order.Uint16(item[1:]))], nil
	case itemOverflow:
		if len(item) < 12 {
			return nil, damaged("a reference")
		}
		total := int(db.order.Uint32(item[8:]))
		if length >= 0 && total != length {
			return nil, nil
		}
		return db.overflow(db.order.Uint32(item[4:]), total)
	}
	return nil, damaged("an item of unknown kind")
}

// overflow reads a value that has pages of its own.
func (db *DB) overflow(number uint32, total int) ([]byte, error) {
	if total > maxValue {
		return nil, damaged("a value that is too large")
	}
	var out []byte
	for len(out) < total {
		p, err := db.page(number)
		if err != nil {
			return nil, err
		}
		length := p.offsetField()
		if p.kind != pageOverflow || length == 0 || db.overhead+length > len(p.b) {
			return nil, damaged("a chain of a value")
		}
		out = append(out, p.b[db.overhead:db.overhead+length]...)
		number = p.next
	}
	return out[:total], nil
}

// offsetField is, on an overflow page, the number of bytes on it.
func (p page) offsetField() int { return int(p.order.Uint16(p.b[22:])) }
