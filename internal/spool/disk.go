package spool

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// The calls of this file go to the system directly: package os would ask the poller about each file (five system calls an open), look at
// the target before a rename, and try to remove a directory where there is no file.

// openFile opens a file as os.OpenFile does.
func openFile(path string, flags int, mode uint32) (*os.File, error) {
	for {
		fd, err := unix.Open(path, flags|unix.O_CLOEXEC, mode)
		if err == nil {
			return os.NewFile(uintptr(fd), path), nil
		}
		if !errors.Is(err, syscall.EINTR) {
			return nil, &os.PathError{Op: "open", Path: path, Err: err}
		}
	}
}

// create makes a new file that must not exist, with its directory if need be.
func (s *Spool) create(path string) (*os.File, error) {
	if err := s.before(OpCreate, path); err != nil {
		return nil, err
	}
	const flags = unix.O_RDWR | unix.O_CREAT | unix.O_EXCL
	f, err := openFile(path, flags, fileMode)
	if errors.Is(err, os.ErrNotExist) {
		dir := filepath.Dir(path)
		s.forget(dir)
		if err := s.makeDirectory(dir); err != nil {
			return nil, err
		}
		f, err = openFile(path, flags, fileMode)
	}
	if err != nil {
		return nil, err
	}
	if s.options.UID >= 0 && os.Geteuid() == 0 {
		f.Chown(s.options.UID, s.options.GID)
	}
	return f, nil
}

func (s *Spool) own(path string) {
	if s.options.UID >= 0 && os.Geteuid() == 0 {
		os.Lchown(path, s.options.UID, s.options.GID)
	}
}

// sync has the file's contents and size reach the disk.
func (s *Spool) sync(f *os.File) error {
	if err := s.before(OpSync, f.Name()); err != nil {
		return err
	}
	if s.options.NoSync {
		return nil
	}
	return f.Sync()
}

// startSync has the system begin to write the file's contents. It saves work when several files are synced afterwards: what the first sync
// writes of the file system's own records (inodes that stand side by side, a journal's transaction) then does for the others too.
func (s *Spool) startSync(f *os.File) {
	if !s.options.NoSync {
		unix.SyncFileRange(int(f.Fd()), 0, 0, unix.SYNC_FILE_RANGE_WRITE) // failures show in sync
	}
}

// directorySyncs lets those who want the same directory synced at the same time share one sync.
type directorySyncs struct {
	mu sync.Mutex
	of map[string]*directorySync
}

// directorySync is a directory that somebody wants synced.
type directorySync struct {
	users int
	// turn is held by who makes a sync; next is the one that has not begun: whoever comes before it does is served by it.
	turn sync.Mutex
	next *sharedSync
}

type sharedSync struct {
	done chan struct{}
	err  error
}

// share calls work, or waits for a call by somebody else that begins after share was called.
func (g *directorySyncs) share(dir string, work func() error) error {
	g.mu.Lock()
	d := g.of[dir]
	if d == nil {
		if g.of == nil {
			g.of = make(map[string]*directorySync)
		}
		d = &directorySync{}
		g.of[dir] = d
	}
	d.users++
	mine, first := d.next, d.next == nil
	if first {
		mine = &sharedSync{done: make(chan struct{})}
		d.next = mine
	}
	g.mu.Unlock()
	if first {
		d.turn.Lock()
		g.mu.Lock()
		d.next = nil
		g.mu.Unlock()
		mine.err = work()
		d.turn.Unlock()
		close(mine.done)
	} else {
		<-mine.done
	}
	g.mu.Lock()
	if d.users--; d.users == 0 {
		delete(g.of, dir)
	}
	g.mu.Unlock()
	return mine.err
}

// syncDirectory has the names in a directory, as they are now, reach the disk.
func (s *Spool) syncDirectory(dir string) error {
	if err := s.before(OpSyncDirectory, dir); err != nil {
		return err
	}
	if s.options.NoSync {
		return nil
	}
	return s.syncs.share(dir, func() error {
		f, err := openFile(dir, unix.O_RDONLY|unix.O_DIRECTORY, 0)
		if err != nil {
			return err
		}
		defer f.Close()
		return f.Sync()
	})
}

// remove removes a file, if it is there.
func (s *Spool) remove(path string) error {
	if err := s.before(OpRemove, path); err != nil {
		return err
	}
	if err := unix.Unlink(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return &os.PathError{Op: "remove", Path: path, Err: err}
	}
	return nil
}

// rename gives a file another name in place of whatever file has it.
func (s *Spool) rename(from, to string) error {
	if err := s.before(OpRename, to); err != nil {
		return err
	}
	if err := unix.Rename(from, to); err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	return nil
}
