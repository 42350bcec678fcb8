package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"exigo/internal/feature/brightmail/bmiclient"

	"github.com/ebitengine/purego"
)

// compile makes the library of testdata.
func compile(t *testing.T) string {
	t.Helper()
	gcc, err := exec.LookPath("gcc")
	if err != nil {
		t.Skip("no C compiler")
	}
	path := filepath.Join(t.TempDir(), "libbmiclient_test.so")
	if out, err := exec.Command(gcc, "-shared", "-fPIC", "-o", path, "testdata/bmiclient.c").CombinedOutput(); err != nil {
		t.Fatalf("gcc: %v\n%s", err, out)
	}
	return path
}

func configFile(t *testing.T) string {
	path := filepath.Join(t.TempDir(), "brightmail.cfg")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func message(config string, recipients ...string) *bmiclient.Message {
	m := &bmiclient.Message{ConfigFile: config, Client: "192.0.2.1", Sender: "s@a.example", Header: []string{"Subject: x\n", "X-Rule: 5\n", "X-Rule: 11\n"}}
	for _, r := range recipients {
		address, optin, _ := strings.Cut(r, " ")
		m.Recipients = append(m.Recipients, bmiclient.Recipient{Address: address, OptIn: optin})
	}
	return m
}

// TestLibrary calls every function through a library made for it.
func TestLibrary(t *testing.T) {
	path, config := compile(t), configFile(t)
	l := open(bmiclient.Setup{Version: "601", Libraries: []string{path}})
	long := strings.Repeat("x", 5000)
	for _, c := range []struct {
		m        *bmiclient.Message
		body     string
		verdicts []string
		warnings []string
		err      string
	}{
		{message(config, "b@b.example"), "hello\n", []string{"default;5,11,;b@b.example,"}, nil, ""},
		{message(config, "b@b.example", "c@b.example one:strict", "d@b.example two"), long + "SPAM" + long,
			[]string{"alternate;5,11,;b@b.example,d@b.example,", "none;5,11,;c@b.example,"}, nil, ""},
		{message(config, "b@b.example unknown"), "", []string{"default;5,11,;b@b.example,"},
			[]string{"bmi error [loc 4 type 7]: bmiOptinMset() failed (address 'b@b.example', string 'unknown')."}, ""},
		{message(config, "b@b.example\x00x"), "\x00", []string{"default;5,11,;b@b.examplex,"}, nil, ""},
		{message(config), "", nil, nil, "bmi error [loc 5 type 1]: bmiEndTO() failed."},
		{message(config, "b@b.example"), "FATAL", nil, nil, "bmi error [loc 7 type 9]: bmiEndBody() failed."},
		{message("/nonexistent", "b@b.example"), "", nil, nil, "bmi error [loc 1 type 2]: could not initialize Brightmail system."},
		{&bmiclient.Message{ConfigFile: config, Client: "192.0.2.1", Sender: "nobody@a.example"}, "", nil, nil,
			"bmi error [loc 3 type 4]: bmiProcessFROM() failed (address nobody@a.example)."},
	} {
		verdicts, warnings, err := l.Scan(c.m, strings.NewReader(c.body))
		if !reflect.DeepEqual(verdicts, c.verdicts) || !reflect.DeepEqual(warnings, c.warnings) || c.err == "" && err != nil || c.err != "" && (err == nil || err.Error() != c.err) {
			t.Errorf("%+v, %.10s: %q, %q, %v", c.m, c.body, verdicts, warnings, err)
		}
	}
	for text, want := range map[string]*bmiclient.Verdict{
		"default;5,;b@b.example,":    {Default: true, Tracker: "rules,5,", Recipients: []string{"b@b.example"}},
		"alternate;;a@b.c,d@e.f,":    {Location: "X-Brightmail: spam", Tracker: "rules,", Recipients: []string{"a@b.c", "d@e.f"}},
		"none;1,2,;a@b.c,":           {Nowhere: true, Tracker: "rules,1,2,", Recipients: []string{"a@b.c"}},
		"nonsense":                   nil,
		"":                           nil,
		"default;5,;\x00b@b.example": {Default: true, Tracker: "rules,5,", Recipients: []string{"b@b.example"}},
	} {
		got, err := l.Read(text)
		if !reflect.DeepEqual(got, want) || (err == nil) != (want != nil) {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	for rule, want := range map[int]bool{5: true, 11: true, 1: false, 51: false, -1: false} {
		if got, err := l.Fired("default;5,11,;b@b.example,", rule); err != nil || got != want {
			t.Errorf("rule %d: %v, %v", rule, got, err)
		}
	}
	if _, err := l.Fired("nonsense", 1); err == nil || err.Error() != "bmi error [loc 8 type 3]: bmiVerdictError() says so. [ nonsense ]" {
		t.Error(err)
	}
	var live func() int32
	handle, _ := purego.Dlopen(path, purego.RTLD_NOW)
	purego.RegisterLibFunc(&live, handle, "bmiTestLive")
	if n := live(); n != 0 {
		t.Errorf("%d objects of the library were not freed", n)
	}
}

func TestOpenFails(t *testing.T) {
	libc := "libc.so.6"
	for _, c := range []struct {
		libraries []string
		want      string
	}{
		{[]string{"/nonexistent.so"}, "cannot load /nonexistent.so"},
		{[]string{"/nonexistent.so", libc}, "cannot load /nonexistent.so"},
		{[]string{libc}, libc + " has no function bmiInitSystem"},
	} {
		l := open(bmiclient.Setup{Version: "BMI 6", Libraries: c.libraries})
		_, _, err := l.Scan(message(""), strings.NewReader(""))
		_, readErr := l.Read("x")
		_, firedErr := l.Fired("x", 1)
		for _, err := range []error{err, readErr, firedErr} {
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%q: %v", c.libraries, err)
			}
		}
	}
}

// TestProcess runs the command: it survives what the library prints, says why it cannot do something, and is replaced when it dies.
func TestProcess(t *testing.T) {
	path, config := compile(t), configFile(t)
	command := filepath.Join(t.TempDir(), "exigo-bmi")
	if out, err := exec.Command("go", "build", "-buildvcs=false", "-o", command, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	ctx, pool := context.Background(), &bmiclient.Pool{}
	defer pool.Close()
	setup := bmiclient.Setup{Version: "601", Libraries: []string{"libc.so.6", path}}
	scan := func(body string) ([]string, error) {
		verdicts, _, err := pool.Scan(ctx, command, setup, message(config, "b@b.example strict"), strings.NewReader(body))
		return verdicts, err
	}
	for range 3 {
		if v, err := scan("SPAM" + strings.Repeat("x", 1<<20)); err != nil || len(v) != 1 || v[0] != "none;5,11,;b@b.example," {
			t.Fatalf("%q, %v", v, err)
		}
		if _, err := scan("CRASH"); err == nil || !strings.HasPrefix(err.Error(), "exigo-bmi: ") {
			t.Fatalf("after a crash: %v", err)
		}
	}
	if v, err := pool.Read(ctx, command, setup, "none;5,;b@b.example,"); err != nil || !v.Nowhere || v.Recipients[0] != "b@b.example" {
		t.Errorf("%+v, %v", v, err)
	}
	if fired, err := pool.Fired(ctx, command, setup, "none;5,;b@b.example,", 5); err != nil || !fired {
		t.Errorf("%v, %v", fired, err)
	}
	var failure *bmiclient.Failure
	if _, err := scan("FATAL"); !errors.As(err, &failure) || failure.Location != 7 || failure.Type != 9 {
		t.Errorf("%v", err)
	}
	if _, err := pool.Read(ctx, command, bmiclient.Setup{Version: "1", Libraries: []string{"/nonexistent.so"}}, "x"); err == nil || !strings.Contains(err.Error(), "cannot load /nonexistent.so") {
		t.Errorf("%v", err)
	}
	if _, err := pool.Read(ctx, "/nonexistent", setup, "x"); err == nil || err.Error() != "cannot run /nonexistent: no such file or directory" {
		t.Errorf("%v", err)
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := pool.Read(ended, command, setup, "x"); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	short, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	if _, _, err := pool.Scan(short, command, setup, message(config, "b@b.example"), strings.NewReader("HANG")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a library that hangs: %v", err)
	}
	if out, err := exec.Command(command).CombinedOutput(); err == nil || !strings.HasPrefix(string(out), "usage:") {
		t.Errorf("%s, %v", out, err)
	}
}
