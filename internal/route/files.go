package route

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
	"syscall"

	"exigo/internal/expand"
	"exigo/internal/mail"
	"exigo/internal/option"
)

// requireFiles tests require_files: files that must, or after "!" must not, exist.
func (r *Run) requireFiles() verdict {
	text := string(r.Router.Generic.RequireFiles)
	if text == "" {
		return proceed
	}
	r.checking("require_files")
	var who Identity
	for _, item := range option.SplitList(text) {
		v, err := r.expand(item)
		if err != nil {
			if errors.Is(err, expand.ErrForced) {
				continue
			}
			return r.postpone(mail.ErrnoUnknown, "failed to expand \"%s\" for require_files: %s", item, err)
		}
		file := strings.TrimSpace(v.S)
		if file == "" {
			continue
		}
		if !strings.Contains(file, "/") {
			if who, err = r.fileUser(file); err != nil {
				return r.postpone(0, "%s", err)
			}
			continue
		}
		if v := r.requireFile(who, file); v != proceed {
			return v
		}
	}
	return proceed
}

// requireFile tests one item: a path, after "!" if it must not exist, and "+" if a denied permission is as good as absence.
func (r *Run) requireFile(who Identity, item string) verdict {
	absent, lenient := false, false
	file := strings.TrimLeft(item, "!+ \t")
	for _, c := range item[:len(item)-len(file)] {
		absent = absent || c == '!'
		lenient = lenient || c == '+'
	}
	if !path.IsAbs(file) {
		return r.postpone(0, "require_files: \"%s\" is not absolute", file)
	}
	err := r.access(who, file)
	switch {
	case errors.Is(err, fs.ErrNotExist), lenient && errors.Is(err, fs.ErrPermission):
		if !absent {
			return r.skipped("file check", "")
		}
	case err != nil:
		return r.postpone(0, "require_files: error for %s: %s", file, reason(err))
	case absent:
		return r.skipped("file check", "")
	}
	return proceed
}

// fileUser reads the "user" or "user,group" that files are to be checked for.
func (r *Run) fileUser(text string) (Identity, error) {
	id := Identity{UIDSet: true, GIDSet: true}
	users := r.Scope.Engine.World.Users
	user, group, hasGroup := strings.Cut(text, ",")
	user, group = strings.TrimSpace(user), strings.TrimSpace(group)
	if n, err := strconv.Atoi(user); err == nil {
		id.UID = n
	} else {
		u, found, err := users.ByName(user)
		if err != nil {
			return id, err
		}
		if !found {
			return id, errors.New("user \"" + user + "\" for require_files not found")
		}
		id.UID, id.GID = u.UID, u.GID
	}
	if !hasGroup {
		return id, nil
	}
	if n, err := strconv.Atoi(group); err == nil {
		id.GID = n
		return id, nil
	}
	g, found, err := users.GroupByName(group)
	if err != nil {
		return id, err
	}
	if !found {
		return id, errors.New("group \"" + group + "\" for require_files not found")
	}
	id.GID = g.GID
	return id, nil
}

// access tells whether a file exists and, if an identity is set, whether it looks readable for it: execute permission on
// the directories of the path, and read permission on the file.
func (r *Run) access(who Identity, file string) error {
	e := r.Engine
	if !who.UIDSet {
		_, err := e.stat(r.Ctx, Identity{}, file)
		return err
	}
	if e.services.Stat != nil {
		if _, err := e.services.Stat(r.Ctx, who, file); err != nil {
			return err
		}
	}
	for i := 1; i <= len(file); i++ {
		if i < len(file) && file[i] != '/' {
			continue
		}
		info, err := e.stat(r.Ctx, Identity{}, file[:i])
		if err != nil {
			return err
		}
		need := fs.FileMode(4)
		if i < len(file) {
			need = 1
		}
		if !permitted(info, who, need) {
			return syscall.EACCES
		}
	}
	return nil
}

// permitted compares mode bits; need is 4 for reading and 1 for passing through.
func permitted(info fs.FileInfo, who Identity, need fs.FileMode) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || who.UID == 0 {
		return true
	}
	mode := info.Mode().Perm()
	switch {
	case int(st.Uid) == who.UID:
		return mode>>6&need != 0
	case int(st.Gid) == who.GID:
		return mode>>3&need != 0
	}
	return mode&need != 0
}

// stat examines a path as an identity, or as the program itself.
func (e *Engine) stat(ctx context.Context, id Identity, file string) (fs.FileInfo, error) {
	if e.services.Stat != nil && id.UIDSet {
		return e.services.Stat(ctx, id, file)
	}
	return os.Stat(file)
}

// Stat examines a path as an identity, or, if none is set, as the program itself.
func (r *Run) Stat(id Identity, file string) (fs.FileInfo, error) {
	return r.Engine.stat(r.Ctx, id, file)
}

// ReadFile reads a file of at most limit bytes as an identity, or as the program itself if none is set. Longer files are
// an error.
func (r *Run) ReadFile(id Identity, file string, limit int64) ([]byte, fs.FileInfo, error) {
	if read := r.Engine.services.ReadFile; read != nil && id.UIDSet {
		return read(r.Ctx, id, file, limit)
	}
	f, err := os.OpenFile(file, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return nil, info, err
	}
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = errors.New("file is too big")
	}
	return data, info, err
}

// Reason is the system's text of a file error, without operation and path: "No such file or directory".
func Reason(err error) string { return reason(err) }

func reason(err error) string {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return err.Error()
	}
	text := errno.Error()
	return strings.ToUpper(text[:1]) + text[1:]
}

// Lstat is Stat without following a symbolic link at the end of the path; it is done as the program itself.
func (r *Run) Lstat(_ Identity, file string) (fs.FileInfo, error) { return os.Lstat(file) }
