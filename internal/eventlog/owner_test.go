package eventlog_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"exigo/internal/eventlog"
	"exigo/internal/testkit"
)

// TestRootOpensAsOwner has root write into a directory of the mail user's, who put a symbolic link there.
func TestRootOpensAsOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	const owner = 65534
	w := testkit.NewWorld(t)
	s, dir := settings(t)
	os.Chmod(dir, 0o711)
	os.Chmod(filepath.Dir(dir), 0o711) // made by t.TempDir, too
	s.UID, s.GID = owner, owner
	l := eventlog.Open(w.World, s)
	l.Mainf("", "made by root")
	var st syscall.Stat_t
	if err := syscall.Stat(dir+"/log/mainlog", &st); err != nil || st.Uid != owner || st.Gid != owner {
		t.Errorf("%v, owner %d:%d", err, st.Uid, st.Gid)
	}
	l.Close()
	if err := os.Rename(dir+"/log/mainlog", dir+"/mainlog.1"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(dir+"/of-root", dir+"/log/mainlog"); err != nil {
		t.Fatal(err)
	}
	if err := l.Check(); err == nil || !strings.HasPrefix(err.Error(), "Cannot open main log file \""+dir+"/log/mainlog\": Permission denied") {
		t.Errorf("a link to a place of root's: %v", err)
	}
	if _, err := os.Lstat(dir + "/of-root"); err == nil {
		t.Error("root followed the link")
	}
}

// TestCheck finds out about a log that cannot be written.
func TestCheck(t *testing.T) {
	w := testkit.NewWorld(t)
	s, dir := settings(t)
	l := eventlog.Open(w.World, s)
	if err := l.Check(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(dir + "/log/mainlog"); err != nil {
		t.Error(err)
	}
	s.Path = dir + "/log/mainlog/below/%s"
	l.Configure(s)
	if err := l.Check(); err == nil {
		t.Error("a directory that is a file is no complaint")
	}
}
