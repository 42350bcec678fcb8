package berkeleydb

import "bytes"

// getBtree descends from the root to the leaf that would hold the key.
func (db *DB) getBtree(key []byte) (value []byte, found bool, err error) {
	number := db.root
	for range maxLevels {
		p, err := db.page(number)
		if err != nil {
			return nil, false, err
		}
		switch p.kind {
		case pageLeaf:
			return db.searchLeaf(p, key)
		case pageInternal:
		default:
			return nil, false, damaged("not a page of a tree")
		}
		low, high := 0, p.entries // the last entry whose key is not greater; the first one's counts as least of all
		for high-low > 1 {
			middle := (low + high) / 2
			name, err := db.treeItem(p, middle, true)
			if err != nil {
				return nil, false, err
			}
			if bytes.Compare(name, key) <= 0 {
				low = middle
			} else {
				high = middle
			}
		}
		if p.entries == 0 {
			return nil, false, damaged("an empty page of a tree")
		}
		at := p.offset(low)
		if at+12 > len(p.b) {
			return nil, false, damaged("an item outside its page")
		}
		number = db.order.Uint32(p.b[at+4:])
	}
	return nil, false, damaged("a tree without end")
}

func (db *DB) searchLeaf(p page, key []byte) (value []byte, found bool, err error) {
	low, high := 0, p.entries/2
	for low < high {
		middle := (low + high) / 2
		name, err := db.treeItem(p, 2*middle, false)
		if err != nil {
			return nil, false, err
		}
		if bytes.Compare(name, key) < 0 {
			low = middle + 1
		} else {
			high = middle
		}
	}
	for ; low < p.entries/2; low++ { // several pairs may have the key, some of them deleted
		name, err := db.treeItem(p, 2*low, false)
		if err != nil || !bytes.Equal(name, key) {
			return nil, false, err
		}
		if at := p.offset(2*low + 1); at+3 <= len(p.b) && p.b[at+2]&itemDeleted == 0 {
			value, err := db.treeItem(p, 2*low+1, false)
			return value, err == nil, err
		}
	}
	return nil, false, nil
}

// treeItem reads the text of an item: a key of an internal page, a key or value of a leaf.
func (db *DB) treeItem(p page, i int, internal bool) ([]byte, error) {
	at, head := p.offset(i), 3
	if internal {
		head = 12
	}
	if at < p.overhead || at+12 > len(p.b) && (internal || at+head > len(p.b)) {
		return nil, damaged("an item outside its page")
	}
	length, kind := int(db.order.Uint16(p.b[at:])), p.b[at+2]&^itemDeleted
	switch kind {
	case itemKeyData:
		if at+head+length > len(p.b) {
			return nil, damaged("an item outside its page")
		}
		return p.b[at+head : at+head+length], nil
	case itemOverflow:
		if internal {
			at += 12
		}
		if at+12 > len(p.b) {
			return nil, damaged("a reference")
		}
		return db.overflow(db.order.Uint32(p.b[at+4:]), int(db.order.Uint32(p.b[at+8:])))
	}
	return nil, damaged("an item of unknown kind")
}
