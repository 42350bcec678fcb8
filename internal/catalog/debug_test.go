package catalog

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"exigo/internal/eventlog"
	"exigo/internal/expand"
	"exigo/internal/mail"
	"exigo/internal/testkit"
)

// TestDebugControl: files of control = debug: tags, the memory before a trigger, stop and kill.
func TestDebugControl(t *testing.T) {
	dir := t.TempDir()
	world := testkit.NewWorld(t).World
	s := &Server{World: world}
	s.Log = eventlog.Open(world, eventlog.Settings{Path: dir + "/%slog", UID: -1, GID: -1, Panicked: s.armed.fire})
	defer s.Log.Close()
	read := func(name string) string {
		b, _ := os.ReadFile(filepath.Join(dir, name))
		return strings.ReplaceAll(string(b), "1999-03-02 09:44:33 ", "")
	}
	sc := &expand.Scope{Session: &mail.Session{}}
	s.debugControl(sc, []string{"tag=_1", "opts=+all"})
	sc.Debug("one %d", 1)
	if got := read("debuglog_1"); got != "one 1\n" {
		t.Errorf("%q", got)
	}
	s.debugControl(sc, []string{"kill"})
	if _, err := os.Stat(dir + "/debuglog_1"); err == nil || sc.Debug != nil {
		t.Error("the file is still there")
	}
	s.debugControl(sc, []string{"tag=_2", "pretrigger=50", "trigger=paniclog"})
	sc.Debug("lost")
	sc.Debug("first")
	sc.Debug("second")
	if got := read("debuglog_2"); got != "" {
		t.Errorf("%q", got)
	}
	s.Log.Panicf("", "something")
	sc.Debug("third")
	if got := read("debuglog_2"); !strings.HasSuffix(got, "second\nthird\n") || strings.Contains(got, "lost") {
		t.Errorf("%q", got)
	}
	s.debugControl(sc, []string{"stop"})
	s.debugControl(sc, []string{"tag=/../x"})
	if sc.Debug != nil || !strings.Contains(read("paniclog"), "debug: bad tag '/../x'") {
		t.Error("bad tag", read("paniclog"))
	}
	s.debugControl(sc, []string{"pretrigger=10"})
	sc.Debug("kept back")
	s.debugControl(sc, []string{"trigger=now"})
	if got := read("debuglog"); got != "kept back\n"[len("kept back\n")-10:] {
		t.Errorf("%q", got)
	}
}
