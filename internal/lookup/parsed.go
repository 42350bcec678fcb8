package lookup

import (
	"io"
	"os"
	"sync"
	"time"
)

// Parsed keeps what was read from a few files until they change. It may be used by several goroutines at once.
type Parsed[T any] struct {
	mutex sync.Mutex
	files map[string]parsedFile[T]
}

type parsedFile[T any] struct {
	stamp stamp
	value T
}

const (
	maxParsed     = 20
	maxParsedFile = 64 << 20
)

// Open gives what parse makes of the file as it is now. now is the time, by which a file that is just being written is told; purpose is
// for the message about a file that cannot be opened. Errors of parse are given back as they are.
func (p *Parsed[T]) Open(path, purpose string, now time.Time, parse func(data io.Reader) (T, error)) (value T, err error) {
	f, err := os.Open(path)
	if err != nil {
		return value, OpenError(path, purpose, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return value, OpenError(path, purpose, err)
	}
	s := stampOf(info, now)
	p.mutex.Lock()
	known, ok := p.files[path]
	p.mutex.Unlock()
	if ok && known.stamp.same(s) {
		return known.value, nil
	}
	if value, err = parse(io.LimitReader(f, maxParsedFile)); err != nil || s.young {
		return value, err
	}
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if p.files == nil || len(p.files) >= maxParsed {
		p.files = map[string]parsedFile[T]{}
	}
	p.files[path] = parsedFile[T]{s, value}
	return value, nil
}
