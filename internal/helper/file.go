package helper

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
)

// readFile reads at most r.Limit bytes of a regular file.
func readFile(r fileRequest) ([]byte, fileReply) {
	f, err := os.OpenFile(r.Path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, failed(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, failed(err)
	}
	reply := fileReply{Stat: describe(info)}
	if !info.Mode().IsRegular() {
		reply.Error = fmt.Sprintf("%s is not a regular file", r.Path)
		return nil, reply
	}
	limit := min(max(r.Limit, 0), maxBlob-1)
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, failed(err)
	}
	if int64(len(data)) > limit {
		reply.Error = fmt.Sprintf("%s is too large (%d bytes)", r.Path, info.Size())
		return nil, reply
	}
	return data, reply
}

func statFile(r fileRequest) fileReply {
	look := os.Stat
	if r.Link {
		look = os.Lstat
	}
	info, err := look(r.Path)
	if err != nil {
		return failed(err)
	}
	return fileReply{Stat: describe(info)}
}

func describe(info os.FileInfo) FileInfo {
	d := FileInfo{Mode: info.Mode(), Size: info.Size(), Modified: info.ModTime()}
	if sys, ok := info.Sys().(*syscall.Stat_t); ok {
		d.UID, d.GID = int(sys.Uid), int(sys.Gid)
	}
	return d
}

func failed(err error) fileReply {
	var n syscall.Errno
	errors.As(err, &n)
	return fileReply{Errno: int(n), Error: err.Error()}
}

// err turns a reply back into the error it tells of; errors.Is(err, fs.ErrNotExist) and its like work.
func (r fileReply) err(path string) error {
	switch {
	case r.Errno != 0:
		return &os.PathError{Op: "open", Path: path, Err: syscall.Errno(r.Errno)}
	case r.Error != "":
		return errors.New(r.Error)
	}
	return nil
}
