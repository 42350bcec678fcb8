package spool

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"exigo/internal/mail"

	"golang.org/x/sys/unix"
)

// Incoming is a message being received: its -D file is open and locked. It is no message yet; that is Commit's work.
// Write has a buffer of its own, so small writes are cheap.
type Incoming struct {
	spool  *Spool
	id     string
	queue  string
	dir    string
	f      *os.File
	buffer *bytes.Buffer
	err    error
	size   int64
	lines  int
	zeros  int
}

const bufferSize = 64 << 10

// cause is an error of the system without the name of the file, for texts that have it already.
func cause(err error) error {
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// Create opens the -D file of a new message, locks it and writes its first line. queue is "" for the default queue.
// The error is os.ErrExist when the id is taken.
func (s *Spool) Create(id, queue string) (*Incoming, error) {
	if !IsID(id) || queue != "" && !ValidQueue(queue) {
		return nil, fmt.Errorf("spool: bad message id %q or queue name %q", id, queue)
	}
	dir := s.directory("input", queue, id)
	path := dir + "/" + id + "-D"
	f, err := s.create(path)
	if err != nil {
		return nil, fmt.Errorf("Failed to create spool file %s: %w", path, cause(err))
	}
	if err := lock(f); err != nil {
		f.Close()
		s.remove(path)
		return nil, fmt.Errorf("Cannot lock %s: %w", path, err)
	}
	buffer, _ := s.buffers.Get().(*bytes.Buffer)
	if buffer == nil {
		buffer = bytes.NewBuffer(make([]byte, 0, bufferSize))
	}
	in := &Incoming{spool: s, id: id, queue: queue, dir: dir, f: f, buffer: buffer}
	in.buffer.WriteString(id)
	in.buffer.WriteString("-D\n")
	return in, nil
}

// ID returns the message's id.
func (in *Incoming) ID() string { return in.id }

// Path returns the -D file's name; the body begins at Offset in it.
func (in *Incoming) Path() string { return in.f.Name() }

// Offset returns where the body begins in the -D file.
func (in *Incoming) Offset() int64 { return dataOffset(in.id) }

func dataOffset(id string) int64 { return int64(len(id)) + 3 }

// Size, Lines and Zeros count what was written: bytes, line ends and NUL bytes of the body.
func (in *Incoming) Size() int64 { return in.size }

// Lines returns the number of line ends written.
func (in *Incoming) Lines() int { return in.lines }

// Zeros returns the number of NUL bytes written.
func (in *Incoming) Zeros() int { return in.zeros }

// Write appends to the body. After an error all further writes fail with it.
func (in *Incoming) Write(p []byte) (int, error) {
	if in.err != nil {
		return 0, in.err
	}
	in.size += int64(len(p))
	in.lines += bytes.Count(p, []byte{'\n'})
	in.zeros += bytes.Count(p, []byte{0})
	if in.buffer.Len()+len(p) <= bufferSize {
		return in.buffer.Write(p)
	}
	if err := in.Flush(); err != nil {
		return 0, err
	}
	if len(p) < bufferSize {
		return in.buffer.Write(p)
	}
	return len(p), in.write(p)
}

func (in *Incoming) write(p []byte) error {
	if err := in.spool.before(OpWrite, in.f.Name()); err != nil {
		in.err = err
	} else if _, err := in.f.Write(p); err != nil {
		in.err = fmt.Errorf("error writing spool file: %w", err)
	}
	return in.err
}

// Flush hands what is buffered to the system, so that the body can be read through Body or by path.
func (in *Incoming) Flush() error {
	if in.err == nil && in.buffer != nil && in.buffer.Len() > 0 {
		in.write(in.buffer.Bytes())
		in.buffer.Reset()
	}
	return in.err
}

// Body flushes and returns a reader of the body as written so far.
func (in *Incoming) Body() (*io.SectionReader, error) {
	if err := in.Flush(); err != nil {
		return nil, err
	}
	if in.f == nil {
		return nil, in.err
	}
	return io.NewSectionReader(in.f, in.Offset(), in.size), nil
}

// Commit makes the message exist: the data is synced, the -H file written under another name, synced and renamed, the
// directory synced. Only after it has returned nil may the message be acknowledged. The message stays locked and is
// returned, so that a delivery may follow at once; an Incoming that failed must be ended by Abort.
func (in *Incoming) Commit(m *mail.Message) (*Locked, error) {
	if in.f == nil {
		return nil, in.err
	}
	if err := in.Flush(); err != nil {
		return nil, err
	}
	if err := in.spool.writeHeader(in.dir, in.id, m, in.f); err != nil {
		return nil, err
	}
	l := &Locked{spool: in.spool, ID: in.id, Queue: in.queue, dir: in.dir, f: in.f, fresh: true}
	in.release(errors.New("spool: message is committed"))
	m.DataPath, m.DataOffset = l.f.Name(), in.Offset()
	return l, nil
}

// Abort throws away what was received. It does nothing after Commit.
func (in *Incoming) Abort() {
	if in.f == nil {
		return
	}
	in.spool.remove(in.f.Name())
	in.f.Close()
	in.release(errors.New("spool: reception was aborted"))
}

// release gives the buffer back; later writes fail with err.
func (in *Incoming) release(err error) {
	in.buffer.Reset()
	in.spool.buffers.Put(in.buffer)
	in.f, in.err, in.buffer = nil, err, nil
}

// writeHeader writes the -H file of a message under another name and renames it. data is the -D file if it is to be synced too, else nil.
func (s *Spool) writeHeader(dir, id string, m *mail.Message, data *os.File) error {
	text, err := s.appendHeader(make([]byte, 0, headerRoom(m)), id, m)
	if err != nil {
		return err
	}
	temporary := dir + "/hdr." + id
	f, err := s.create(temporary)
	if errors.Is(err, os.ErrExist) { // left by a crash; whoever is here holds the message's lock
		if err = s.remove(temporary); err == nil {
			f, err = s.create(temporary)
		}
	}
	if err != nil {
		return fmt.Errorf("Failed to create spool file %s: %w", temporary, cause(err))
	}
	if err = s.before(OpWrite, temporary); err == nil {
		_, err = f.Write(text)
	}
	name := dir + "/" + id + "-H"
	failed := name
	if err == nil && data != nil {
		s.startSync(data)
		s.startSync(f)
		if err = s.sync(data); err != nil {
			failed = data.Name()
		}
	}
	if err == nil {
		err = s.sync(f)
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = s.rename(temporary, name)
	}
	if err != nil {
		s.remove(temporary)
		return fmt.Errorf("write failed on spool file %s: %w", filepath.Base(failed), err)
	}
	return s.syncDirectory(dir)
}

// headerRoom is about the size of a message's -H file.
func headerRoom(m *mail.Message) int {
	n := 1024 + 64*len(m.Recipients)
	for i := range m.Headers {
		n += len(m.Headers[i].Text) + 8
	}
	return n
}

// lock takes the lock that Exim takes on a -D file, without waiting. The lock belongs to the open file, so that it excludes
// other goroutines as well as other processes.
func lock(f *os.File) error {
	err := unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart})
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
		return ErrLocked
	}
	return err
}
