package autoreply

import (
	"bytes"
	"encoding/binary"
	"io"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// onceFile remembers who was sent a message and when: a linear list of entries, each eight bytes of time (seconds since 1970,
// in the machine's byte order) and an address that ends with a zero byte. This is Exim's format for once_file_size; without a
// limit of the size the same format is used.
type onceFile struct {
	f     *os.File
	data  []byte
	limit int64
}

// maxOnce bounds what is read of the file.
const maxOnce = 16 << 20

// foreign is added to the name when a file of another program (a DBM database) is in the way.
const foreign = ".once"

// openOnce opens and locks the file, and reads it.
func openOnce(j *job) (*onceFile, error) {
	o, err := openAt(j.Once, j)
	if err != nil || o.valid() {
		return o, err
	}
	o.close()
	return openAt(j.Once+foreign, j)
}

func openAt(name string, j *job) (*onceFile, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|syscall.O_NONBLOCK, os.FileMode(j.Mode&0o777))
	if err != nil {
		return nil, err
	}
	lock := unix.Flock_t{Type: unix.F_WRLCK}
	if err := unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLKW, &lock); err != nil {
		f.Close()
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, maxOnce))
	if err != nil {
		f.Close()
		return nil, err
	}
	return &onceFile{f: f, data: data, limit: j.OnceSize}, nil
}

// valid tells whether the contents are such a list.
func (o *onceFile) valid() bool {
	for rest := o.data; len(rest) > 0; {
		end := -1
		if len(rest) > 9 {
			end = bytes.IndexByte(rest[8:], 0)
		}
		if end <= 0 || end > 10000 || int64(binary.NativeEndian.Uint64(rest)) < 0 || binary.NativeEndian.Uint64(rest) > 1<<40 {
			return false
		}
		rest = rest[8+end+1:]
	}
	return true
}

// each calls f with the offset and the address of every entry until it returns false.
func (o *onceFile) each(f func(at int, address []byte) bool) {
	for at := 0; at+9 < len(o.data); {
		end := bytes.IndexByte(o.data[at+8:], 0)
		if end < 0 || !f(at, o.data[at+8:at+8+end]) {
			return
		}
		at += 8 + end + 1
	}
}

// find returns when the address was sent a message last.
func (o *onceFile) find(address string) (then time.Time, sent bool) {
	o.each(func(at int, a []byte) bool {
		if string(a) == address {
			then, sent = time.Unix(int64(binary.NativeEndian.Uint64(o.data[at:])), 0), true
		}
		return !sent
	})
	return then, sent
}

// remember enters the address with the time, at the end; the oldest entries go when the file would be too long.
func (o *onceFile) remember(address string, now time.Time) error {
	o.each(func(at int, a []byte) bool {
		if string(a) != address {
			return true
		}
		o.data = append(o.data[:at:at], o.data[at+8+len(a)+1:]...)
		return false
	})
	entry := binary.NativeEndian.AppendUint64(nil, uint64(now.Unix()))
	entry = append(append(entry, address...), 0)
	for o.limit > 0 && len(o.data) > 0 && int64(len(o.data)+len(entry)) > o.limit {
		end := bytes.IndexByte(o.data[min(8, len(o.data)):], 0)
		if end < 0 {
			o.data = nil
			break
		}
		o.data = o.data[8+end+1:]
	}
	o.data = append(o.data, entry...)
	if _, err := o.f.WriteAt(o.data, 0); err != nil {
		return err
	}
	return o.f.Truncate(int64(len(o.data)))
}

func (o *onceFile) close() { o.f.Close() }
