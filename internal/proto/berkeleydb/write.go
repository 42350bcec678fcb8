package berkeleydb

import (
	"crypto/sha1"
	"encoding/binary"
	"errors"
	"io"
	"math/bits"
)

// Pair is an entry of a database.
type Pair struct{ Key, Value []byte }

// Sizes of what is written.
const (
	writtenPage    = 4096
	writtenVersion = 9 // of hash files since Berkeley DB 4.6
	header         = 26
	largestInPage  = writtenPage / 4 // longer keys and values have pages of their own, as the library has it
	fillPage       = (writtenPage - header) * 3 / 5
)

// WriteHash writes a new database: a hash table in the form of Berkeley DB 4.6 and later, little-endian, with one value for each key. The
// keys must be distinct, and neither they nor the values longer than 64 MiB. The same pairs always give the same bytes.
func WriteHash(file io.WriterAt, pairs []Pair) error {
	w := hashWriter{file: file, buckets: bucketsFor(pairs)}
	w.free = 1 + uint32(w.buckets)
	identity := sha1.New() // the library takes files of one identity for one file: another content gets another
	order := make([][]int, w.buckets)
	for i, p := range pairs {
		if len(p.Key) > maxValue || len(p.Value) > maxValue {
			return errors.New("berkeleydb: a key or value is too long")
		}
		b := fnv(p.Key) & uint32(w.buckets-1)
		order[b] = append(order[b], i)
		for _, text := range [][]byte{p.Key, p.Value} {
			var length [4]byte
			binary.LittleEndian.PutUint32(length[:], uint32(len(text)))
			identity.Write(length[:])
			identity.Write(text)
		}
	}
	for b, members := range order {
		if err := w.bucket(uint32(b)+1, pairs, members); err != nil {
			return err
		}
	}
	return w.metadata(len(pairs), identity.Sum(nil))
}

// bucketsFor is the number of buckets, a power of two, that leaves room in most of their first pages.
func bucketsFor(pairs []Pair) int {
	total := 0
	for _, p := range pairs {
		total += itemSize(p.Key) + itemSize(p.Value)
	}
	return max(2, 1<<bits.Len(uint(total/fillPage)))
}

// itemSize is what an item takes of a page, with its place in the index.
func itemSize(text []byte) int {
	if len(text) > largestInPage {
		return 2 + 12
	}
	return 2 + 1 + len(text)
}

// hashWriter writes the pages of one file.
type hashWriter struct {
	file    io.WriterAt
	buckets int
	free    uint32 // the first page that nobody has
}

// put writes a page with its header; end is the field that overflow pages use for their length, others for the start of their items.
func (w *hashWriter) put(page []byte, number, before, next uint32, entries, end int, kind byte) error {
	binary.LittleEndian.PutUint32(page[4:], 1) // log position of a file without a log
	binary.LittleEndian.PutUint32(page[8:], number)
	binary.LittleEndian.PutUint32(page[12:], before)
	binary.LittleEndian.PutUint32(page[16:], next)
	binary.LittleEndian.PutUint16(page[20:], uint16(entries))
	binary.LittleEndian.PutUint16(page[22:], uint16(end))
	page[25] = kind
	_, err := w.file.WriteAt(page, int64(number)*writtenPage)
	return err
}

func (w *hashWriter) page() uint32 {
	w.free++
	return w.free - 1
}

// bucket writes the chain of pages of a bucket. The entries are left unsorted: the library searches such pages one by one.
func (w *hashWriter) bucket(number uint32, pairs []Pair, members []int) error {
	page, entries, end, before := make([]byte, writtenPage), 0, writtenPage, uint32(0)
	for _, i := range members {
		p := pairs[i]
		if header+2*entries+itemSize(p.Key)+itemSize(p.Value) > end {
			next := w.page()
			if err := w.put(page, number, before, next, entries, end, pageHashUnsorted); err != nil {
				return err
			}
			clear(page)
			before, number, entries, end = number, next, 0, writtenPage
		}
		for _, text := range [][]byte{p.Key, p.Value} {
			end -= itemSize(text) - 2
			if err := w.item(page[end:], text); err != nil {
				return err
			}
			binary.LittleEndian.PutUint16(page[header+2*entries:], uint16(end))
			entries++
		}
	}
	return w.put(page, number, before, 0, entries, end, pageHashUnsorted)
}

// item writes a key or value to its place in a page, or to pages of its own and a reference to them to that place.
func (w *hashWriter) item(place, text []byte) error {
	if len(text) <= largestInPage {
		place[0] = itemKeyData
		copy(place[1:], text)
		return nil
	}
	number, before := w.page(), uint32(0)
	place[0] = itemOverflow
	binary.LittleEndian.PutUint32(place[4:], number)
	binary.LittleEndian.PutUint32(place[8:], uint32(len(text)))
	for len(text) > 0 {
		page := make([]byte, writtenPage)
		n, next := copy(page[header:], text), uint32(0)
		if text = text[n:]; len(text) > 0 {
			next = w.page()
		}
		if err := w.put(page, number, before, next, 1, n, pageOverflow); err != nil {
			return err
		}
		before, number = number, next
	}
	return nil
}

// metadata writes the first page.
func (w *hashWriter) metadata(count int, identity []byte) error {
	page := make([]byte, writtenPage)
	set := func(at int, value uint32) { binary.LittleEndian.PutUint32(page[at:], value) }
	set(4, 1)
	set(12, magicHash)
	set(16, writtenVersion)
	set(20, writtenPage)
	page[25] = pageHashMeta
	set(32, w.free-1) // the last page
	copy(page[52:72], identity)
	set(72, uint32(w.buckets-1))
	set(76, uint32(w.buckets-1))
	set(80, uint32(w.buckets/2-1))
	set(88, uint32(count))
	set(92, fnv(probe))
	for level := range bits.Len(uint(w.buckets)) {
		set(96+4*level, 1) // all buckets stand one behind the other from page 1
	}
	_, err := w.file.WriteAt(page, 0)
	return err
}
