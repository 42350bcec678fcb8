package cli

import (
	"bytes"
	"io"
	"os"
	"strings"
	"testing"

	"exigo/internal/outside"
)

// TestDemoWord refuses what it does not know.
func TestDemoWord(t *testing.T) {
	if err := demo([]string{"-onc"}, outside.Real(), io.Discard); err == nil || err.Error() != "Usage: exigo demo [-once]" {
		t.Error(err)
	}
}

// TestPIDFile leaves the number of a daemon alone until it is written, and follows no link.
func TestPIDFile(t *testing.T) {
	dir := t.TempDir()
	path := dir + "/exim.pid"
	world := outside.Real()
	d := &Daemon{Program: &Program{World: world}, Arguments: &Arguments{PIDFile: path}}
	if err := os.WriteFile(path, []byte("123456\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := d.openPIDFile()
	if err != nil {
		t.Fatal(err)
	}
	if text, _ := os.ReadFile(path); string(text) != "123456\n" {
		t.Errorf("opening changed it: %q", text)
	}
	d.writePIDFile(f)
	if text, _ := os.ReadFile(path); string(text) != d.pidLine() || d.pidFile != path {
		t.Errorf("%q", text)
	}
	os.Remove(path)
	os.Symlink(dir+"/elsewhere", path)
	if _, err := d.openPIDFile(); err == nil || !strings.Contains(err.Error(), "failed to open pid file "+path+": ") {
		t.Error(err)
	}
	os.Remove(path)
	os.WriteFile(dir+"/other", nil, 0o644)
	os.Link(dir+"/other", path)
	if _, err := d.openPIDFile(); err == nil {
		t.Error("a hard link is no complaint")
	}
}

// TestDemo runs the newcomer's first command to its end.
func TestDemo(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a server")
	}
	var out bytes.Buffer
	if err := demo([]string{"-once"}, outside.Real(), &out); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	for _, want := range []string{" => demo <demo@demo.localhost> R=local_user T=local_delivery", " Completed", "It works.", "Return-path: <visitor@example.org>"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in\n%s", want, out.String())
		}
	}
}
