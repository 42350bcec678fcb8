package eventlog

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// targets is what a log_file_path says: a file name pattern ("" for none) and syslog.
type targets struct {
	path   string
	syslog bool
}

// parsePaths reads the colon-separated list of log_file_path (spec 53.1). With more than two items the first
// usable one serves and the error says so.
func parsePaths(s Settings) (targets, error) {
	fallback := s.DefaultPath
	if fallback == "" {
		fallback = s.SpoolDirectory + "/log/%slog"
	}
	var t targets
	var problem error
	items := strings.Split(s.Path, ":")
	for i, item := range items {
		item = strings.TrimSpace(item)
		switch {
		case item == "syslog":
			t.syslog = true
		case item == "" && i == len(items)-1 && i > 0: // a colon at the end adds no item
		case item == "":
			if t.path == "" {
				t.path = fallback
			}
		case t.path != "":
			problem = errors.New("More than one path given in log_file_path: using " + t.path)
		default:
			t.path = item
		}
	}
	if t.path != "" && !strings.HasPrefix(t.path, "/") {
		problem = fmt.Errorf("log_file_path value %q is not an absolute path", t.path)
		t.path = fallback
	}
	return t, problem
}

// fileName makes the name of one log of the pattern: %s is the log's name, %D and %M the date, which the
// panic log leaves out together with one separating character (spec 53.3).
func fileName(pattern string, to Stream, now time.Time) string {
	name := map[Stream]string{Main: "main", Reject: "reject", Panic: "panic", debug: "debug"}[to]
	pattern = strings.Replace(pattern, "%s", name, 1)
	i := strings.Index(pattern, "%D")
	layout := "20060102"
	if i < 0 {
		i, layout = strings.Index(pattern, "%M"), "200601"
	}
	if i < 0 {
		return pattern
	}
	before, after := pattern[:i], pattern[i+2:]
	if to != Panic {
		return before + now.Format(layout) + after
	}
	if strings.HasSuffix(before, "/") {
		if after != "" && !isAlphanumeric(after[0]) {
			after = after[1:]
		}
	} else if n := len(before); n > 0 && !isAlphanumeric(before[n-1]) {
		before = before[:n-1]
	}
	return before + after
}

// dated tells whether the names of a pattern change with time.
func dated(pattern string) bool {
	return strings.Contains(pattern, "%D") || strings.Contains(pattern, "%M")
}

// DebugPath is the file for debugging output with a tag (control = debug), "" if logs go to no file.
func (l *Log) DebugPath(tag string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.targets.path == "" {
		return ""
	}
	return fileName(l.targets.path, debug, l.world.Clock.Now()) + tag
}

// Directory is where the main log is now, "" if it is no file.
func (l *Log) Directory() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.targets.path == "" {
		return ""
	}
	return filepath.Dir(fileName(l.targets.path, Main, l.world.Clock.Now()))
}

func isAlphanumeric(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

// file is one open log.
type file struct {
	f     *os.File
	name  string
	inode uint64
	dev   uint64
}

func (f *file) close() {
	if f != nil && f.f != nil {
		f.f.Close()
	}
}

// The modes of files and directories that logging makes.
const (
	fileMode      = 0o640
	directoryMode = 0o750
)

// writeFile appends b to the log with one write.
func (l *Log) writeFile(to Stream, b []byte, now time.Time) error {
	f, err := l.opened(to, l.local(now))
	if err != nil {
		return err
	}
	if _, err := f.f.Write(b); err != nil {
		return fmt.Errorf("write failed on %s log: length=%d errno=%s", logName(to), len(b), errorText(err))
	}
	return nil
}

// opened returns the log's file, opened when it is not, was renamed or its date passed.
func (l *Log) opened(to Stream, now time.Time) (*file, error) {
	f := l.files[to]
	if f != nil && !l.current(f, to, now) {
		f.close()
		delete(l.files, to)
		f = nil
	}
	if f != nil {
		return f, nil
	}
	f, err := l.open(to, now)
	if err == nil {
		l.files[to] = f
	}
	return f, err
}

// current tells whether the open file still has its name.
func (l *Log) current(f *file, to Stream, now time.Time) bool {
	if dated(l.targets.path) && fileName(l.targets.path, to, now) != f.name {
		return false
	}
	var st syscall.Stat_t
	return syscall.Stat(f.name, &st) == nil && st.Ino == f.inode && uint64(st.Dev) == f.dev
}

func (l *Log) open(to Stream, now time.Time) (*file, error) {
	name := fileName(l.targets.path, to, now)
	flags := os.O_WRONLY | os.O_APPEND | os.O_CREATE | syscall.O_CLOEXEC
	f, err := l.asOwner(name, flags)
	if errors.Is(err, os.ErrNotExist) {
		if err = l.makeDirectories(filepath.Dir(name)); err == nil {
			f, err = l.asOwner(name, flags)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("Cannot open %s log file \"%s\": %s: euid=%d egid=%d",
			logName(to), name, errorText(err), os.Geteuid(), os.Getegid())
	}
	var st syscall.Stat_t
	if err := syscall.Fstat(int(f.Fd()), &st); err != nil {
		f.Close()
		return nil, fmt.Errorf("failed to stat %s log file \"%s\": %s", logName(to), name, errorText(err))
	}
	return &file{f: f, name: name, inode: st.Ino, dev: uint64(st.Dev)}, nil
}

// asOwner opens a log. Root does it with the rights of the logs' owner, in whose directory they are: a symbolic link there must not have root
// make or extend any other file.
func (l *Log) asOwner(name string, flags int) (*os.File, error) {
	if os.Geteuid() != 0 || l.settings.UID <= 0 {
		return os.OpenFile(name, flags, fileMode)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer unix.Setfsgid(os.Getegid()) // after root is root again, who may
	defer unix.Setfsuid(0)
	if err := unix.Setfsgid(l.settings.GID); err != nil {
		return nil, err
	}
	if err := unix.Setfsuid(l.settings.UID); err != nil {
		return nil, err
	}
	return os.OpenFile(name, flags, fileMode)
}

// Check opens the main log, unless it is open under its name, so that a log that cannot be written is found before anything depends on it.
func (l *Log) Check() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.targets.path == "" || l.settings.Divert != nil {
		return nil
	}
	_, err := l.opened(Main, l.local(l.world.Clock.Now()))
	return err
}

// local is the time that names of logs are made of.
func (l *Log) local(now time.Time) time.Time {
	if l.settings.Location != nil {
		return now.In(l.settings.Location)
	}
	return now
}

// makeDirectories makes missing directories above a log and gives them to the owner of the logs.
func (l *Log) makeDirectories(dir string) error {
	var missing []string
	for d := dir; d != "/" && d != "."; d = filepath.Dir(d) {
		if _, err := os.Stat(d); err == nil {
			break
		}
		missing = append(missing, d)
	}
	for i := len(missing) - 1; i >= 0; i-- {
		if err := os.Mkdir(missing[i], directoryMode); err != nil {
			if errors.Is(err, os.ErrExist) {
				continue // another process was faster
			}
			return err
		}
		if os.Geteuid() == 0 && l.settings.UID >= 0 {
			os.Lchown(missing[i], l.settings.UID, l.settings.GID)
		}
	}
	return nil
}

func logName(to Stream) string {
	switch to {
	case Reject:
		return "reject"
	case Panic:
		return "panic"
	}
	return "main"
}

// errorText is the system's words for an error, as C programs print them: with a capital letter.
func errorText(err error) string {
	var n syscall.Errno
	if !errors.As(err, &n) {
		return err.Error()
	}
	text := n.Error()
	return strings.ToUpper(text[:1]) + text[1:]
}
