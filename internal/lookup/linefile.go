package lookup

import (
	"errors"
	"io"
	"os"
	"strings"
	"syscall"
	"time"
)

// LineEntry is one key of a linear-search file with its data (spec 9.3, lsearch): keys and data, a key a line, with comments,
// continuation lines and quoted keys.
type LineEntry struct {
	// Key is the key without quotes.
	Key string
	// rest is what follows the key, to the end of the entry.
	rest string
}

// Data is the data: without the colon after the key and white space around.
func (e LineEntry) Data() string {
	data := strings.TrimPrefix(trimLeft(e.rest), ":")
	return trimLeft(trimRight(joinLines(data)))
}

// Full is the whole entry as it stands, but for quotes round the key and line breaks.
func (e LineEntry) Full() string {
	return e.Key + trimRight(joinLines(e.rest))
}

// joinLines puts continuation lines together: one space at each junction, comments and empty lines dropped.
func joinLines(text string) string {
	first, more, ok := strings.Cut(text, "\n")
	if !ok {
		return text
	}
	var b strings.Builder
	b.WriteString(trimRight(first))
	for more != "" {
		var line string
		line, more, _ = strings.Cut(more, "\n")
		if strings.HasPrefix(line, "#") {
			continue
		}
		if line = trimLeft(trimRight(line)); line != "" {
			b.WriteByte(' ')
			b.WriteString(line)
		}
	}
	return b.String()
}

// LineFile is the content of such a file at one time. It may be used by several goroutines at once.
type LineFile struct {
	text  string
	index *index // nil for small files
}

// ParseLines takes a text as the content of such a file; it has no index.
func ParseLines(text string) *LineFile { return &LineFile{text: text} }

// Find returns the first entry whose key is key, without regard to the case of ASCII letters.
func (f *LineFile) Find(key string) (LineEntry, bool) {
	if f.index != nil {
		return f.index.find(f.text, key)
	}
	var found LineEntry
	ok := false
	f.Each(func(e LineEntry) bool {
		if equalASCII(e.Key, key) {
			found, ok = e, true
		}
		return !ok
	})
	return found, ok
}

// equalASCII compares without regard to the case of ASCII letters.
func equalASCII(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := 0; i < len(a); i++ {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// Each calls f for every entry in order until it returns false.
func (f *LineFile) Each(visit func(LineEntry) bool) {
	for at := 0; at < len(f.text); {
		start, end := nextEntry(f.text, at)
		if start == end {
			return
		}
		if !visit(parse(f.text[start:end])) {
			return
		}
		at = end
	}
}

// nextEntry finds the next entry at or after offset at: from its key to the end of its last continuation line. start equals
// end when there is none.
func nextEntry(text string, at int) (start, end int) {
	for at < len(text) && !beginsEntry(text[at]) {
		at = lineEnd(text, at)
	}
	if at >= len(text) {
		return at, at
	}
	start, end = at, lineEnd(text, at)
	for at = end; at < len(text) && !beginsEntry(text[at]); {
		next := lineEnd(text, at)
		if text[at] != '#' && trimLeft(text[at:next]) != "" {
			end = next
		}
		at = next
	}
	return start, end
}

// beginsEntry tells whether a line that begins with c is neither a comment nor a continuation.
func beginsEntry(c byte) bool { return c != '#' && !isSpace(c) }

func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

// trimLeft and trimRight take white space away; with so few bytes to look for they are quicker than those of package strings.
func trimLeft(s string) string {
	for s != "" && isSpace(s[0]) {
		s = s[1:]
	}
	return s
}

func trimRight(s string) string {
	for s != "" && isSpace(s[len(s)-1]) {
		s = s[:len(s)-1]
	}
	return s
}

func lineEnd(text string, at int) int {
	if i := strings.IndexByte(text[at:], '\n'); i >= 0 {
		return at + i + 1
	}
	return len(text)
}

// parse splits an entry into key and rest.
func parse(entry string) LineEntry {
	if entry[0] == '"' {
		return parseQuoted(entry)
	}
	i := 0
	for i < len(entry) && entry[i] != ':' && !isSpace(entry[i]) {
		i++
	}
	return LineEntry{Key: entry[:i], rest: entry[i:]}
}

func parseQuoted(entry string) LineEntry {
	line := entry
	if i := strings.IndexByte(entry, '\n'); i >= 0 {
		line = entry[:i]
	}
	key, used := dequote(line[1:])
	return LineEntry{Key: key, rest: entry[1+used:]}
}

// racy is how young a file may be when it is read for its time stamp to be trusted: one that was changed just before may change
// again without another time stamp.
const racy = 2 * time.Second

// open reads a file. Errors are those of package lookup, worded as Exim's lsearch words them.
func open(path string, now time.Time) (*os.File, stamp, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, stamp{}, OpenError(path, "linear search", err)
	}
	info, err := file.Stat()
	if err != nil {
		file.Close()
		return nil, stamp{}, OpenError(path, "linear search", err)
	}
	if !info.Mode().IsRegular() {
		file.Close()
		return nil, stamp{}, errors.New(path + " is not a regular file (lsearch lookup)")
	}
	return file, stampOf(info, now), nil
}

// read takes the whole content of a file.
func read(file *os.File, size int64) (*LineFile, error) {
	var b strings.Builder
	b.Grow(int(size) + 1)
	if _, err := io.Copy(&b, io.LimitReader(file, maxFile+1)); err != nil {
		return nil, Defer(file.Name() + ": " + SystemText(err))
	}
	if b.Len() > maxFile {
		return nil, errors.New(file.Name() + " is too large for a linear search")
	}
	f := &LineFile{text: b.String()}
	if len(f.text) > indexFrom {
		f.index = makeIndex(f.text)
	}
	return f, nil
}
