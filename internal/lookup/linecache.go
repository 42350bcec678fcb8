package lookup

import (
	"container/list"
	"hash/maphash"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// indexFrom is the size from which a file gets an index.
	indexFrom = 10 << 10
	// maxFile is the largest file that is read.
	maxFile = 256 << 20
	// maxKept is how many bytes of files and indexes LineFiles keeps, maxFiles how many files.
	maxKept  = 128 << 20
	maxFiles = 200
)

// LineFiles keeps linear-search files in memory, with an index where they are big, until they change. It may be used by several goroutines at once.
type LineFiles struct {
	mu    sync.Mutex
	files map[string]*list.Element // of *kept
	order *list.List               // the one used last in front
	size  int64
}

type kept struct {
	path  string
	stamp stamp
	file  *LineFile
	size  int64
	seen  time.Time // when the file was found to be as it is here
}

// stamp tells one state of a file from another.
type stamp struct {
	device, inode uint64
	size          int64
	modified      time.Time
	young         bool
}

func (s stamp) same(t stamp) bool {
	return !s.young && s.device == t.device && s.inode == t.inode && s.size == t.size && s.modified.Equal(t.modified)
}

func stampOf(info os.FileInfo, now time.Time) stamp {
	if sys, ok := info.Sys().(*syscall.Stat_t); ok {
		return statStamp(sys, now)
	}
	return stamp{size: info.Size(), modified: info.ModTime(), young: true}
}

// NewLineFiles makes an empty cache.
func NewLineFiles() *LineFiles {
	return &LineFiles{files: make(map[string]*list.Element), order: list.New()}
}

// Open returns the file as it is now. now is the time, by which a file that is just being written is told.
func (c *LineFiles) Open(path string, now time.Time) (*LineFile, error) {
	if f := c.get(path, now); f != nil {
		return f, nil
	}
	file, s, err := open(path, now)
	if err != nil {
		c.drop(path)
		return nil, err
	}
	defer file.Close()
	f, err := read(file, s.size)
	if err != nil {
		return nil, err
	}
	c.put(&kept{path: path, stamp: s, file: f, size: f.memory(), seen: now})
	return f, nil
}

// get returns the file if it is still as it was.
func (c *LineFiles) get(path string, now time.Time) *LineFile {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.files[path]
	if e == nil {
		return nil
	}
	k := e.Value.(*kept)
	if !isTrusted(k.seen, now) {
		c.mu.Unlock()
		var st syscall.Stat_t
		err := syscall.Stat(path, &st)
		c.mu.Lock()
		if err != nil || !k.stamp.same(statStamp(&st, now)) || c.files[path] != e {
			return nil
		}
		k.seen = now
	}
	c.order.MoveToFront(e)
	return k.file
}

func (c *LineFiles) drop(path string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.remove(c.files[path])
}

func (c *LineFiles) remove(e *list.Element) {
	if e == nil {
		return
	}
	k := c.order.Remove(e).(*kept)
	delete(c.files, k.path)
	c.size -= k.size
}

func (c *LineFiles) put(k *kept) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.remove(c.files[k.path])
	if k.size > maxKept {
		return
	}
	c.files[k.path] = c.order.PushFront(k)
	c.size += k.size
	for c.size > maxKept || c.order.Len() > maxFiles {
		c.remove(c.order.Back())
	}
}

// memory estimates what the file takes.
func (f *LineFile) memory() int64 {
	n := int64(len(f.text)) + 200
	if f.index != nil {
		n += int64(len(f.index.slots)) * 8
	}
	return n
}

// index is an open-addressed hash table of the offsets of entries, so that a big file is read through once only.
type index struct {
	seed  maphash.Seed
	slots []slot
}

// slot holds an offset plus one (0: empty) and part of the hash.
type slot struct{ offset, hash uint32 }

func makeIndex(text string) *index {
	entries := min(strings.Count(text, "\n"), len(text)/2) + 1 // or fewer
	size := 16
	for size < entries*3/2+1 {
		size *= 2
	}
	x := &index{seed: maphash.MakeSeed(), slots: make([]slot, size)}
	for at := 0; at < len(text); {
		start, end := nextEntry(text, at)
		if start == end {
			break
		}
		x.add(text, start, parse(text[start:end]).Key)
		at = end
	}
	return x
}

func (x *index) hash(key string) uint64 {
	var buffer [64]byte
	low := buffer[:0]
	for i := 0; i < len(key); i++ {
		low = append(low, lower(key[i]))
	}
	return maphash.Bytes(x.seed, low)
}

// add enters an entry unless an earlier one has its key.
func (x *index) add(text string, start int, key string) {
	h := x.hash(key)
	for i := h & uint64(len(x.slots)-1); ; i = (i + 1) & uint64(len(x.slots)-1) {
		s := &x.slots[i]
		if s.offset == 0 {
			*s = slot{uint32(start) + 1, uint32(h >> 32)}
			return
		}
		if s.hash == uint32(h>>32) && equalASCII(entryAt(text, s.offset).Key, key) {
			return
		}
	}
}

func entryAt(text string, offset uint32) LineEntry {
	start, end := nextEntry(text, int(offset-1))
	return parse(text[start:end])
}

func (x *index) find(text, key string) (LineEntry, bool) {
	h := x.hash(key)
	for i := h & uint64(len(x.slots)-1); ; i = (i + 1) & uint64(len(x.slots)-1) {
		s := x.slots[i]
		if s.offset == 0 {
			return LineEntry{}, false
		}
		if s.hash != uint32(h>>32) {
			continue
		}
		if e := entryAt(text, s.offset); equalASCII(e.Key, key) {
			return e, true
		}
	}
}

// dequote reads a key up to the closing quote, with the escapes of spec 6.17, and says how much of s it used.
func dequote(s string) (key string, used int) {
	var b strings.Builder
	for used < len(s) {
		c := s[used]
		used++
		if c == '"' {
			return b.String(), used
		}
		if c == '\\' && used < len(s) {
			var n int
			c, n = unescape(s[used:])
			used += n
		}
		b.WriteByte(c)
	}
	return b.String(), used
}

func unescape(s string) (c byte, n int) {
	if i := strings.IndexByte("nrtbfv", s[0]); i >= 0 {
		return "\n\r\t\b\f\v"[i], 1
	}
	digits, base, first := "01234567", 8, 0
	if s[0] == 'x' {
		digits, base, first = "0123456789abcdef", 16, 1
	}
	n = first
	for n < len(s) && n < 3 && strings.IndexByte(digits, lower(s[n])) >= 0 {
		n++
	}
	if n == first {
		return s[0], 1
	}
	v, _ := strconv.ParseUint(s[first:n], base, 16)
	return byte(v), n
}
