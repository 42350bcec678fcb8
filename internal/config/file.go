package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
)

// find opens the first file of the search path that exists (spec chapter 6, "-C").
func find(r *Request) (path string, f *openFile, err error) {
	for _, path := range strings.Split(r.Path, ":") {
		if path = strings.Trim(path, spaces); path == "" {
			continue
		}
		f, err := readFile(path, checked(r))
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
			continue
		}
		if err != nil {
			return "", nil, err
		}
		return path, f, nil
	}
	return "", nil, &Error{Bare: true, Text: "non-existent configuration file(s): " + r.Path}
}

// checked tells whether owner and mode of the file matter: whoever may change it has the power of the process, so they do
// not where the process has none.
func checked(r *Request) bool {
	return !r.SkipChecks && !r.World.Quirks.On && r.World.Caller.Effective == 0
}

// readFile reads a whole file. With check set it must belong to root, and nobody else may write to it.
func readFile(path string, check bool) (*openFile, error) {
	file, err := os.Open(path)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
			return nil, err
		}
		return nil, &Error{Bare: true, Text: fmt.Sprintf("failed to open configuration file %s: %v", path, reason(err))}
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, &Error{Bare: true, Text: fmt.Sprintf("failed to stat configuration file %s: %v", path, reason(err))}
	}
	if s, ok := info.Sys().(*syscall.Stat_t); check && ok && path != os.DevNull && !safe(s.Uid, s.Gid, s.Mode) {
		return nil, &Error{Bare: true, Text: fmt.Sprintf("Exim configuration file %s has the wrong owner, group, or mode", path)}
	}
	return readLines(file, path)
}

func safe(uid, gid, mode uint32) bool {
	return uid == 0 && mode&0o002 == 0 && (mode&0o020 == 0 || gid == 0)
}

func readLines(file *os.File, path string) (*openFile, error) {
	data, err := io.ReadAll(io.LimitReader(file, maxFileSize+1))
	switch {
	case errors.Is(err, syscall.EISDIR):
		data = nil
	case err != nil:
		return nil, &Error{Bare: true, Text: fmt.Sprintf("failed to read configuration file %s: %v", path, reason(err))}
	case len(data) > maxFileSize:
		return nil, &Error{Bare: true, Text: fmt.Sprintf("configuration file %s is too large", path)}
	}
	text := strings.TrimSuffix(string(data), "\n")
	if strings.IndexByte(text, 0) >= 0 {
		return nil, &Error{Bare: true, Text: fmt.Sprintf("configuration file %s contains a NUL character", path)}
	}
	f := &openFile{name: path}
	if text != "" {
		f.lines = strings.Split(text, "\n")
	}
	return f, nil
}

// included reads an included file; nil without error where it need not exist and does not. Its owner is not looked at: the
// file that names it is trusted.
func (r *reader) included(name string, mustExist bool) (*openFile, error) {
	f, err := readFile(name, false)
	if err == nil {
		return f, nil
	}
	if !mustExist && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)) {
		return nil, nil
	}
	return nil, r.fail("failed to open included configuration file " + name)
}

// reason is the system's text of an error, without operation and path.
func reason(err error) string {
	var e syscall.Errno
	if errors.As(err, &e) {
		text := e.Error()
		return strings.ToUpper(text[:1]) + text[1:]
	}
	return err.Error()
}
