package lmdb

import (
	"bytes"
	"encoding/binary"
)

// Flags of pages, nodes and databases.
const (
	pageBranch   = 0x01
	pageLeaf     = 0x02
	pageOverflow = 0x04
	pageLeaf2    = 0x20

	nodeBig        = 0x01 // the value is on overflow pages
	nodeDatabase   = 0x02 // the value describes a database
	nodeDuplicates = 0x04 // the value is a page, or with nodeDatabase a tree, of values

	reverseKey = 0x02
	integerKey = 0x08
)

// snapshot is the state of an environment as of one transaction.
type snapshot struct {
	env     *Environment
	meta    meta
	visited uint64 // pages read by a walk
}

// page is the content of a page, checked: count entries lie within it.
type page struct {
	data  []byte
	flags uint16
	count int
}

// load reads a tree page.
func (s *snapshot) load(number uint64) (page, error) {
	if number < 2 || number > s.meta.lastPage || number > maxPages {
		return page{}, corrupt("page number out of range")
	}
	b := make([]byte, s.env.pageSize)
	if err := s.env.read(b, int64(number)*int64(s.env.pageSize)); err != nil {
		return page{}, err
	}
	if binary.LittleEndian.Uint64(b) != number {
		return page{}, corrupt("page has another number")
	}
	return newPage(b)
}

func newPage(b []byte) (page, error) {
	if len(b) < pageHeader {
		return page{}, corrupt("page too short")
	}
	p := page{data: b, flags: binary.LittleEndian.Uint16(b[10:])}
	lower := int(binary.LittleEndian.Uint16(b[12:]))
	if lower < pageHeader || lower > len(b) || p.flags&(pageBranch|pageLeaf) == 0 {
		return page{}, corrupt("not a tree page")
	}
	p.count = (lower - pageHeader) / 2
	return p, nil
}

// node is an entry of a page.
type node struct {
	flags uint16
	child uint64 // of a branch: the page below
	size  int    // of a leaf: length of the value
	key   []byte
	value []byte // of a leaf: the value, or the number of its first overflow page
}

// node returns entry i.
func (p page) node(i int) (node, error) {
	at := int(binary.LittleEndian.Uint16(p.data[pageHeader+2*i:]))
	if at < pageHeader || at+8 > len(p.data) {
		return node{}, corrupt("entry outside its page")
	}
	b := p.data[at:]
	low := uint64(binary.LittleEndian.Uint16(b)) | uint64(binary.LittleEndian.Uint16(b[2:]))<<16
	flags := binary.LittleEndian.Uint16(b[4:])
	end := 8 + int(binary.LittleEndian.Uint16(b[6:]))
	if end > len(b) {
		return node{}, corrupt("key outside its page")
	}
	n := node{key: b[8:end]}
	if p.flags&pageBranch != 0 {
		n.child = low | uint64(flags)<<32
		return n, nil
	}
	n.flags, n.size = flags, int(low)
	stored := n.size
	if flags&nodeBig != 0 {
		stored = 8
	}
	if stored > len(b)-end {
		return node{}, corrupt("value outside its page")
	}
	n.value = b[end : end+stored]
	return n, nil
}

// open finds a database by name.
func (s *snapshot) open(name string) (database, error) {
	if name == "" {
		return s.meta.main, nil
	}
	n, ok, err := s.find(s.meta.main, []byte(name))
	if err != nil {
		return database{}, err
	}
	if !ok || n.flags&(nodeDatabase|nodeDuplicates) != nodeDatabase || len(n.value) < recordSize {
		return database{}, ErrNoDatabase
	}
	return parseDatabase(n.value), nil
}

// find looks a key up in a tree.
func (s *snapshot) find(db database, key []byte) (node, bool, error) {
	number := db.root
	if number == noPage {
		return node{}, false, nil
	}
	for range maxDepth {
		p, err := s.load(number)
		if err != nil {
			return node{}, false, err
		}
		i, exact, err := p.search(db.flags, key)
		if err != nil {
			return node{}, false, err
		}
		if p.flags&pageBranch == 0 {
			if !exact {
				return node{}, false, nil
			}
			n, err := p.node(i)
			return n, err == nil, err
		}
		if !exact {
			i-- // the child that may hold a key before entry i
		}
		if i < 0 {
			return node{}, false, corrupt("branch without entries")
		}
		n, err := p.node(i)
		if err != nil {
			return node{}, false, err
		}
		number = n.child
	}
	return node{}, false, corrupt("tree too deep")
}

// search returns the first entry whose key is not before key, and whether it is equal. The first entry of a branch has no key: it is
// before every other.
func (p page) search(flags uint16, key []byte) (int, bool, error) {
	low, high := 0, p.count
	if p.flags&pageBranch != 0 {
		low = min(1, high)
	}
	for low < high {
		middle := (low + high) / 2
		n, err := p.node(middle)
		if err != nil {
			return 0, false, err
		}
		switch c := compare(flags, n.key, key); {
		case c == 0:
			return middle, true, nil
		case c < 0:
			low = middle + 1
		default:
			high = middle
		}
	}
	return low, false, nil
}

// compare orders keys as the database's flags say.
func compare(flags uint16, a, b []byte) int {
	switch {
	case flags&integerKey != 0 && len(a) == len(b):
		for i := len(a) - 1; i >= 0; i-- {
			if a[i] != b[i] {
				return int(a[i]) - int(b[i])
			}
		}
		return 0
	case flags&reverseKey != 0:
		for i, j := len(a)-1, len(b)-1; i >= 0 && j >= 0; i, j = i-1, j-1 {
			if a[i] != b[j] {
				return int(a[i]) - int(b[j])
			}
		}
		return len(a) - len(b)
	}
	return bytes.Compare(a, b)
}

// first returns the value of a leaf entry, or the first of its values. A database has none: nil.
func (s *snapshot) first(n node) ([]byte, error) {
	switch {
	case n.flags&nodeBig != 0:
		return s.overflow(n)
	case n.flags&nodeDuplicates != 0 && n.flags&nodeDatabase != 0:
		if len(n.value) < recordSize {
			return nil, corrupt("description of duplicates too short")
		}
		return s.leftmost(parseDatabase(n.value))
	case n.flags&nodeDatabase != 0:
		return nil, nil
	case n.flags&nodeDuplicates != 0:
		p, err := newPage(n.value)
		if err != nil {
			return nil, err
		}
		return p.firstKey()
	}
	return bytes.Clone(n.value), nil
}

// leftmost returns the first key of a tree: the first value of a key with many.
func (s *snapshot) leftmost(db database) ([]byte, error) {
	number := db.root
	for range maxDepth {
		p, err := s.load(number)
		if err != nil {
			return nil, err
		}
		if p.flags&pageBranch == 0 {
			return p.firstKey()
		}
		if p.count == 0 {
			return nil, corrupt("branch without entries")
		}
		n, err := p.node(0)
		if err != nil {
			return nil, err
		}
		number = n.child
	}
	return nil, corrupt("tree too deep")
}

// firstKey returns the first key of a leaf page, whose keys may be of fixed length and without entries.
func (p page) firstKey() ([]byte, error) {
	if p.count == 0 {
		return nil, corrupt("page without entries")
	}
	if p.flags&pageLeaf2 != 0 {
		length := int(binary.LittleEndian.Uint16(p.data[8:]))
		if pageHeader+length > len(p.data) {
			return nil, corrupt("value outside its page")
		}
		return bytes.Clone(p.data[pageHeader : pageHeader+length]), nil
	}
	n, err := p.node(0)
	return bytes.Clone(n.key), err
}

// overflow reads a value that has pages of its own.
func (s *snapshot) overflow(n node) ([]byte, error) {
	number := binary.LittleEndian.Uint64(n.value)
	pages := uint64((pageHeader + n.size + s.env.pageSize - 1) / s.env.pageSize)
	if number < 2 || number > s.meta.lastPage || number > maxPages || pages > s.meta.lastPage-number+1 {
		return nil, corrupt("overflow page out of range")
	}
	if n.size > maxValue {
		return nil, corrupt("value too long")
	}
	var header [pageHeader]byte
	at := int64(number) * int64(s.env.pageSize)
	if n.size > s.env.pageSize { // before memory is taken for it
		if err := s.env.read(header[:1], at+pageHeader+int64(n.size)-1); err != nil {
			return nil, err
		}
	}
	if err := s.env.read(header[:], at); err != nil {
		return nil, err
	}
	if binary.LittleEndian.Uint64(header[:]) != number || binary.LittleEndian.Uint16(header[10:])&pageOverflow == 0 {
		return nil, corrupt("not an overflow page")
	}
	value := make([]byte, n.size)
	return value, s.env.read(value, at+pageHeader)
}

// walk goes through a subtree in order and reports whether to go on.
func (s *snapshot) walk(number uint64, depth int, f func(key, value []byte) bool) (bool, error) {
	if s.visited++; depth > maxDepth || s.visited > s.meta.lastPage {
		return false, corrupt("pages in a circle")
	}
	p, err := s.load(number)
	if err != nil {
		return false, err
	}
	for i := range p.count {
		n, err := p.node(i)
		if err != nil {
			return false, err
		}
		more := true
		if p.flags&pageBranch != 0 {
			more, err = s.walk(n.child, depth+1, f)
		} else {
			var value []byte
			if value, err = s.first(n); err == nil {
				more = f(bytes.Clone(n.key), value)
			}
		}
		if err != nil || !more {
			return false, err
		}
	}
	return true, nil
}
