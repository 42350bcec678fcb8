package catalog

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"exigo/internal/option"
	"exigo/internal/submit"
)

// SystemSocket is where the system's daemon (started by root with the default configuration) takes calls of local users. It is
// not in the spool, which ordinary users cannot enter, and needs no configuration to be found.
const SystemSocket = "/run/exigo/exigo.sock"

// DropDirectory is where submissions wait for a daemon, below the spool directory.
const DropDirectory = "drop"

// SocketPath is where this configuration's daemon takes calls of local users.
func (s *Server) SocketPath() string {
	if s.system {
		return SystemSocket
	}
	return filepath.Join(string(s.Main.SpoolDirectory), "exigo.sock")
}

// PrepareSocket makes the directory of the system's socket while the process still is root.
func (s *Server) PrepareSocket() error {
	if os.Geteuid() != 0 || s.request.Alternate || s.request.Unprivileged || s.World.Quirks.On {
		return nil
	}
	s.system = true
	dir := filepath.Dir(SystemSocket)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return os.Chown(dir, s.Identity.UID, s.Identity.GID)
}

// PrepareSpool makes the spool directory and those of the logs, the mail user's, while the process still may.
func (s *Server) PrepareSpool() error {
	dirs := []string{string(s.Main.SpoolDirectory)}
	for _, item := range option.SplitList(string(s.Main.LogFilePath)) {
		if strings.HasPrefix(item, "/") {
			dirs = append(dirs, filepath.Dir(item))
		}
	}
	for _, dir := range dirs {
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
			continue // what is wrong with it shows when it is used
		}
		if err := s.makeOwn(dir); err != nil {
			return err
		}
	}
	return nil
}

// CheckSpool tells what keeps this process, root given up, from writing to the spool.
func (s *Server) CheckSpool() error {
	dir := string(s.Main.SpoolDirectory)
	if err := unix.Faccessat(unix.AT_FDCWD, dir, unix.W_OK|unix.X_OK, unix.AT_EACCESS); err != nil {
		return fmt.Errorf("spool directory %s cannot be written by uid=%d gid=%d (%s): give it to that user, or choose another one with spool_directory", dir, os.Geteuid(), os.Getegid(), err)
	}
	return nil
}

// makeOwn makes a directory and what is missing above it, the mail user's, who could not reach it otherwise.
func (s *Server) makeOwn(dir string) error {
	parent := filepath.Dir(dir)
	if _, err := os.Stat(parent); errors.Is(err, fs.ErrNotExist) {
		if err := s.makeOwn(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, 0o750); errors.Is(err, fs.ErrExist) {
		return nil // another process was faster
	} else if err != nil {
		return err
	}
	if uid, gid := s.owner(); uid >= 0 {
		return os.Lchown(dir, uid, gid)
	}
	return nil
}

// ListenLocal opens the socket for local users.
func (s *Server) ListenLocal() (net.Listener, error) {
	uid, gid := s.owner()
	return submit.ListenSocket(s.SocketPath(), uid, gid)
}
