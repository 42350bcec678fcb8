package lookup

import (
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// OpenFiles keeps what was made of files, a mapping with its reader for instance, until they change. What is dropped is left to the garbage
// collector, as others may be at it still. It may be used by several goroutines at once.
type OpenFiles[T any] struct {
	// Open makes what is kept of a file that was just opened.
	Open func(file *os.File, size int64) (T, error)

	mu    sync.Mutex
	files map[string]*openFile[T]
}

type openFile[T any] struct {
	stamp stamp
	value T
	seen  time.Time // when the file was found to be as it is here
}

// trusted is how long what is known of a file is believed before the file is looked at again.
const trusted = 25 * time.Millisecond

func isTrusted(seen, now time.Time) bool {
	age := now.Sub(seen)
	return age >= 0 && age < trusted
}

// Get returns what Open made of the file as it is now. now is the time, by which a file that is just being written is told. Errors are those
// of opening the file, and Open's.
func (o *OpenFiles[T]) Get(path string, now time.Time) (T, error) {
	var none T
	o.mu.Lock()
	f := o.files[path]
	if f != nil && isTrusted(f.seen, now) {
		o.mu.Unlock()
		return f.value, nil
	}
	o.mu.Unlock()
	var st syscall.Stat_t
	if f != nil && syscall.Stat(path, &st) == nil && f.stamp.same(statStamp(&st, now)) {
		o.mu.Lock()
		f.seen = now
		o.mu.Unlock()
		return f.value, nil
	}
	file, err := os.Open(path)
	if err != nil {
		return none, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return none, err
	}
	f = &openFile[T]{stamp: stampOf(info, now), seen: now}
	if f.value, err = o.Open(file, info.Size()); err != nil {
		return none, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.files == nil || len(o.files) >= maxFiles {
		o.files = map[string]*openFile[T]{}
	}
	o.files[path] = f
	return f.value, nil
}

// statStamp is the stamp of what stat(2) says.
func statStamp(st *syscall.Stat_t, now time.Time) stamp {
	s := stamp{device: uint64(st.Dev), inode: st.Ino, size: st.Size, modified: time.Unix(st.Mtim.Unix())}
	age := now.Sub(s.modified)
	s.young = age < racy && age > -racy
	return s
}

// Mapping is a file in memory. It goes when nobody has it any more: who reads Data keeps the Mapping alive meanwhile, and sees to it that a file
// that is cut short meanwhile does no harm (debug.SetPanicOnFault).
type Mapping struct{ Data []byte }

// Map maps size bytes of a file, which need not stay open.
func Map(file *os.File, size int64) (*Mapping, error) {
	if size <= 0 {
		return &Mapping{}, nil
	}
	if int64(int(size)) != size {
		return nil, syscall.EFBIG
	}
	data, err := syscall.Mmap(int(file.Fd()), 0, int(size), syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		return nil, &os.PathError{Op: "mmap", Path: file.Name(), Err: err}
	}
	m := &Mapping{data}
	runtime.AddCleanup(m, func(data []byte) { _ = syscall.Munmap(data) }, data)
	return m, nil
}
