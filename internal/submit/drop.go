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
// complete. One that could not be obeyed, and about which its owner could not be told, is kept under another name.
const (
	dropPrefix    = "msg."
	dropTemporary = ".new."
	dropFailed    = "failed."
)

// dropped is what a submission by way of the drop directory comes to. It travels with the context, past those who read the command
// line, for exit statuses cannot say it: the status of a shortage and that of a mistake are the same (spec 5.3).
type dropped struct {
	// settled: the message was taken in, or its sender was told by mail why not. retry: neither, for want of something that may
	// be there later.
	settled, retry bool
}

type droppedKey struct{}

// droppedOf returns the state of the submission that is being obeyed, or nil when it did not come through the directory.
func droppedOf(ctx context.Context) *dropped {
	d, _ := ctx.Value(droppedKey{}).(*dropped)
	return d
}

// settle notes the end of a submission; retry says that it is to be tried again.
func (d *dropped) settle(retry bool) {
	if d != nil {
		d.settled, d.retry = !retry, retry
	}
}

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
	// The name has to be safe too, and the group may not open the directory: the whole file system then.
	if d, err := os.Open(dir); err == nil {
		err = d.Sync()
		d.Close()
		return err
	}
	return unix.Syncfs(fd)
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

// ReadDrops obeys all submissions that wait in the directory, oldest first, and removes them. run gets each as an Invocation. One that
// fails for want of disk space or the like stays for the next time; one that fails for other reasons, without a mail about it, is renamed;
// panic is told of both, and of files that are no submissions, which are removed. n is how many were obeyed.
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
	call := &Invocation{Peer: Peer{UID: int(stat.Uid), GID: -1}, Argv: facts.Argv, Dropped: true, Stdin: r}
	return obeyDrop(ctx, path, call, run)
}

// maxDropText bounds what a failed submission is heard out about.
const maxDropText = 1000

// obeyDrop runs a submission and removes, keeps or renames its file.
func obeyDrop(ctx context.Context, path string, call *Invocation, run func(ctx context.Context, call *Invocation) int) (bool, error) {
	var said limitedText
	// The group of the file is that of the directory; which groups the owner is in, Identify finds out.
	call.Stdout, call.Stderr = io.Discard, &said
	state := &dropped{}
	status, crash := runDrop(context.WithValue(ctx, droppedKey{}, state), call, run)
	switch {
	case ctx.Err() != nil && !state.settled:
		return false, ctx.Err() // it may have been cut short: it stays
	case crash == nil && (state.settled || status == 0 && !state.retry):
		return true, os.Remove(path)
	case crash == nil && state.retry:
		return false, fmt.Errorf("submission of user %d waits: %s", call.Peer.UID, oneLine(said.text))
	}
	kept := filepath.Join(filepath.Dir(path), dropFailed+strings.TrimPrefix(filepath.Base(path), dropPrefix))
	if err := os.Rename(path, kept); err != nil {
		return false, err
	}
	if crash != nil {
		said.text = fmt.Sprint(crash)
	}
	return false, fmt.Errorf("submission of user %d failed and is kept as %s: %s", call.Peer.UID, kept, oneLine(said.text))
}

// runDrop calls run; crash is what it panicked with, which concerns the one file only.
func runDrop(ctx context.Context, call *Invocation, run func(ctx context.Context, call *Invocation) int) (status int, crash any) {
	defer func() { crash = recover() }()
	return run(ctx, call), nil
}

// limitedText keeps the beginning of what is written to it.
type limitedText struct{ text string }

func (l *limitedText) Write(p []byte) (int, error) {
	l.text += string(p[:min(len(p), maxDropText-len(l.text))])
	return len(p), nil
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
