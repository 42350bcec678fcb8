package submit

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// DropDirectory is the directory below the spool directory in which submissions wait while no daemon runs. It belongs to the exim
// user, and its group may write but not list it (mode 3730): exigo-drop is setgid to that group. The owner of a file is
// the proof of who submits.
const DropDirectory = "drop"

// A dropped file is one line of JSON (callFacts), and then the standard input. A file whose name begins with a dot is not
// complete.
const (
	dropPrefix    = "msg."
	dropTemporary = ".new."
)

// WriteDrop leaves a submission in the directory: argv as it was called, and the standard input, at most limit bytes (0: no
// limit). After it has returned nil the message is on disk.
func WriteDrop(dir string, argv []string, stdin io.Reader, limit int64) error {
	line, err := json.Marshal(callFacts{Argv: argv})
	if err != nil {
		return err
	}
	if len(line) > maxArguments {
		return errors.New("argument list too long")
	}
	suffix := strconv.FormatInt(time.Now().UnixNano(), 36) + "." + strconv.Itoa(os.Getpid())
	temporary := filepath.Join(dir, dropTemporary+suffix)
	fd, err := unix.Open(temporary, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o640)
	if err != nil {
		return fmt.Errorf("%s: %w", temporary, err)
	}
	f := os.NewFile(uintptr(fd), temporary)
	defer f.Close()
	if err := fillDrop(f, line, stdin, limit); err != nil {
		os.Remove(temporary)
		return err
	}
	if err := os.Rename(temporary, filepath.Join(dir, dropPrefix+suffix)); err != nil {
		os.Remove(temporary)
		return err
	}
	// The directory cannot be opened for reading by its group; where it can, the name is made safe too.
	if d, err := os.Open(dir); err == nil {
		err = d.Sync()
		d.Close()
		return err
	}
	return nil
}

func fillDrop(f *os.File, line []byte, stdin io.Reader, limit int64) error {
	w := bufio.NewWriterSize(f, 64<<10)
	w.Write(append(line, '\n'))
	if limit > 0 {
		stdin = io.LimitReader(stdin, limit+1)
	}
	n, err := io.Copy(w, stdin)
	switch {
	case err != nil:
		return err
	case limit > 0 && n > limit:
		return fmt.Errorf("message rejected: message too big (max=%d)", limit)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return f.Sync()
}

// ReadDrops obeys all submissions that wait in the directory, oldest first, and removes them. run gets each as an Invocation; panic is
// told of files that cannot be used, which are removed too when they are no submissions. n is how many were obeyed.
func ReadDrops(ctx context.Context, dir string, run func(ctx context.Context, call *Invocation) int, panic func(text string)) (n int, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return 0, nil
		}
		return 0, err
	}
	sort.Slice(entries, func(i, j int) bool { return entries[i].Name() < entries[j].Name() })
	for _, e := range entries {
		if ctx.Err() != nil {
			return n, ctx.Err()
		}
		path := filepath.Join(dir, e.Name())
		if !strings.HasPrefix(e.Name(), dropPrefix) {
			removeStale(path, e)
			continue
		}
		ok, err := readDrop(ctx, path, run)
		if err != nil {
			panic(path + ": " + err.Error())
		}
		if ok {
			n++
		}
	}
	return n, nil
}

// staleAfter is how old an unfinished file must be to be removed.
const staleAfter = 24 * time.Hour

func removeStale(path string, e os.DirEntry) {
	if info, err := e.Info(); err == nil && strings.HasPrefix(e.Name(), dropTemporary) && time.Since(info.ModTime()) > staleAfter {
		os.Remove(path)
	}
}

// errBadDrop is a file that is no submission.
var errBadDrop = errors.New("not a submission: removed")

// readDrop obeys one file.
func readDrop(ctx context.Context, path string, run func(ctx context.Context, call *Invocation) int) (bool, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		if errors.Is(err, unix.ELOOP) {
			os.Remove(path)
			return false, errBadDrop
		}
		return false, err
	}
	f := os.NewFile(uintptr(fd), path)
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return false, err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !info.Mode().IsRegular() || stat.Nlink != 1 {
		os.Remove(path)
		return false, errBadDrop
	}
	r := bufio.NewReaderSize(f, 64<<10)
	line, err := readLine(r, maxArguments)
	var facts callFacts
	if err != nil || json.Unmarshal(line, &facts) != nil || len(facts.Argv) == 0 {
		os.Remove(path)
		return false, errBadDrop
	}
	// The group of the file is that of the directory; which groups the owner is in, Identify finds out.
	run(ctx, &Invocation{Peer: Peer{UID: int(stat.Uid), GID: -1}, Argv: facts.Argv, Dropped: true, Stdin: r, Stdout: io.Discard, Stderr: io.Discard})
	if ctx.Err() != nil {
		return false, ctx.Err() // it may have been cut short: it stays
	}
	return true, os.Remove(path)
}

// readLine reads up to a newline, at most limit bytes.
func readLine(r *bufio.Reader, limit int) ([]byte, error) {
	var line []byte
	for {
		p, err := r.ReadSlice('\n')
		line = append(line, p...)
		if err != bufio.ErrBufferFull || len(line) > limit {
			return line, err
		}
	}
}
