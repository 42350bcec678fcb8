package pam

import (
	"context"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"exigo/internal/config"
	"exigo/internal/expand"
	"exigo/internal/expand/builtin"
	"exigo/internal/feature/pam/pamclient"
	"exigo/internal/outside"
	"exigo/internal/testkit"
)

// TestMain makes this test's program stand in for exigo-pam when its environment says so.
func TestMain(m *testing.M) {
	if os.Getenv("PAM_TEST") == "" {
		os.Exit(m.Run())
	}
	if err := pamclient.Serve(os.Stdin, os.Stdout, answer); err != nil {
		os.Exit(1)
	}
}

// answer accepts ann with her password; other users stand for errors.
func answer(q *pamclient.Request) pamclient.Answer {
	request := q.Service + " " + q.Directory + " " + os.Getenv("PAM_TEST") + " " + strings.Join(os.Environ(), ",")
	switch {
	case request != "exim /etc/test 1 PAM_TEST=1":
		return pamclient.Answer{Problem: request}
	case q.User == "expired":
		return pamclient.Answer{Code: pamclient.AccountExpired, Text: "User account has expired"}
	case q.User == "broken":
		return pamclient.Answer{Code: 28, Text: "Module is\nunknown", Delay: time.Minute}
	case q.User == "crash":
		os.Exit(3)
	case q.User == "hang":
		time.Sleep(time.Hour)
	case q.User != "ann":
		return pamclient.Answer{Code: pamclient.UserUnknown, Text: "User not known"}
	case strings.Join(q.Answers, ",") != "se:cret":
		return pamclient.Answer{Code: pamclient.AuthError, Text: "Authentication failure", Delay: 2 * time.Second}
	}
	return pamclient.Answer{Text: "Success", Delay: time.Hour}
}

// clock notes how long was slept.
type clock struct {
	outside.Clock
	slept []time.Duration
}

func (c *clock) Sleep(_ context.Context, d time.Duration) error {
	c.slept = append(c.slept, d)
	return nil
}

func newScope(t *testing.T, settings string) (*expand.Scope, *clock) {
	t.Helper()
	world := *testkit.NewWorld(t).World
	c := &clock{Clock: world.Clock}
	world.Clock = c
	world.Environment = func(name string) (string, bool) {
		return map[string]string{"PATH": "relative:" + t.TempDir()}[name], name == "PATH"
	}
	f := Feature()
	words := builtin.Words()
	words.Conditions = append(words.Conditions, f.Tests...)
	engine, err := expand.New(&world, words, expand.Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "configure")
	if err := os.WriteFile(path, []byte("primary_hostname = mx.example\nexim_user = root\nadd_environment = PAM_TEST=1\n"+settings+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	read, err := config.Read(config.Request{Path: path, World: &world, SkipChecks: true, Registry: &config.Registry{Sets: append(f.Options, config.MainOptions())}})
	if err != nil {
		t.Fatal(err)
	}
	return engine.NewScope(context.Background(), read, nil, nil), c
}

func TestCondition(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s, c := newScope(t, "pam_command = "+self+"\npam_config_directory = /etc/test")
	for _, x := range []struct {
		argument, want string
		slept          time.Duration
		temporary      bool
	}{
		{"ann:se::cret", "y", 0, false},
		{"ann:${listquote{:}{se:cret}}", "y", 0, false},
		{" ann : se::cret ", "y", 0, false},
		{"ann:wrong", "n", 2 * time.Second, false},
		{"ann", "n", 2 * time.Second, false},
		{"nobody:x", "n", 0, false},
		{"expired:x", "n", 0, false},
		{"broken:x", "Module is unknown", time.Minute, false},
		{"crash:secret", "PAM: pam.test: EOF", 0, true},
		{"ann:se::cret", "y", 0, false},
		{"", "n", 0, false},
		{" :x", "n", 0, false},
		{"crash\x00:x", "n", 0, false},
		{"crash:x\x00", "n", 0, false},
		{"crash:" + strings.Repeat("x", pamclient.MaxText), "n", 0, false},
		{"crash:" + strings.Repeat(": ", pamclient.MaxText/2-10), "n", 0, false},
	} {
		c.slept = nil
		v, err := s.Engine.Expand(s, "${if pam{"+x.argument+"}{y}{n}}")
		got := v.S
		if err != nil {
			got = err.Error()
		}
		if got != x.want || expand.IsTemporary(err) != x.temporary || len(c.slept) > 1 || len(c.slept) == 1 != (x.slept > 0) || x.slept > 0 && c.slept[0] != x.slept {
			t.Errorf("%.40q: %q, temporary %v, slept %v", x.argument, got, expand.IsTemporary(err), c.slept)
		}
	}
}

// TestFailures: processes that cannot be had or do not answer are temporary errors.
func TestFailures(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for settings, want := range map[string]string{
		"pam_command = exigo-pam-that-is-not-there": "PAM: exigo-pam-that-is-not-there was not found; see pam_command",
		"pam_command = /nonexistent/exigo-pam":      "PAM: cannot run /nonexistent/exigo-pam: no such file or directory",
		"pam_command = " + self:                     "PAM: exim  1 PAM_TEST=1",
		"pam_timeout = 1s\npam_config_directory = /etc/test\npam_command = " + filepath.Base(self): "PAM: timeout", // it is beside itself
	} {
		s, _ := newScope(t, settings)
		if _, err := s.Engine.Expand(s, "${if pam{hang:secret}{y}{n}}"); err == nil || err.Error() != want || !expand.IsTemporary(err) {
			t.Errorf("%s: %v", settings, err)
		}
	}
	s, _ := newScope(t, "pam_config_directory = /etc/test\npam_command = "+self)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	s.Ctx = ctx
	if _, err := s.Engine.Expand(s, "${if pam{hang:secret}{y}{n}}"); err == nil {
		t.Error("an expansion that was given up has a result")
	}
}

// TestParse: the answers that Exim 4.96 gives to four prompts.
func TestParse(t *testing.T) {
	for _, c := range []struct {
		text, user string
		answers    []string
	}{
		{"a:b", "a", []string{"b"}},
		{"a", "a", nil},
		{"a:", "a", nil},
		{"a: ", "a", nil},
		{"a: :b", "a", []string{"", "b"}},
		{"a: : : x", "a", []string{"", "", "x"}},
		{"a:::x", "a:", []string{"x"}},
		{"a: ::x", "a", []string{":x"}},
		{"a:b: :c", "a", []string{"b", "", "c"}},
		{"a:b: ", "a", []string{"b"}},
		{"a:b::::c: d :e", "a", []string{"b::c", "d", "e"}},
		{"a::b:c", "a:b", []string{"c"}},
		{"a::b:::x::", "a:b:", []string{"x:"}},
		{" : : a:b", "", []string{"", "a", "b"}},
		{"<, a,b,c", "a", []string{"b,c"}},
		{"<:a:b:c", "a", []string{"b", "c"}},
		{"<\x01a:b\x01c", "a:b", []string{"c"}},
		{"<; a;b:c", "a", []string{"b", "c"}},
		{"< b:c", "< b", []string{"c"}},
		{"a:<;x;y;z:1;", "a", []string{"x", "y;z", "1;"}},
		{"a:b:<;c;d:e:f", "a", []string{"b", "c", "d", "e", "f"}},
		{"a:<b;d:e:f", "a", []string{"<b;d", "e", "f"}},
	} {
		if q := parse(c.text); q.Service != "exim" || q.User != c.user || !reflect.DeepEqual(q.Answers, c.answers) {
			t.Errorf("%q: %q, %q", c.text, q.User, q.Answers)
		}
	}
}

// TestSafe: a program that somebody else could have put beside a link to us is not run.
func TestSafe(t *testing.T) {
	directory := t.TempDir()
	for name, mode := range map[string]os.FileMode{"good": 0o755, "open": 0o757, "data": 0o644} {
		path := filepath.Join(directory, name)
		if err := os.WriteFile(path, nil, mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if got := safe(path); got != (name == "good") {
			t.Errorf("%s: %v", name, got)
		}
	}
	if os.Geteuid() == 0 {
		path := filepath.Join(directory, "good")
		if err := os.Chown(path, 1, 1); err != nil {
			t.Fatal(err)
		}
		if safe(path) {
			t.Error("another user's program is run")
		}
	}
	if safe(filepath.Join(directory, "absent")) {
		t.Error("a program that is not there is run")
	}
}

// FuzzParse: every part of a request comes from the argument.
func FuzzParse(f *testing.F) {
	f.Add("a:b::c: d")
	f.Add("<; a;<,b")
	f.Fuzz(func(t *testing.T, text string) {
		q := parse(text)
		size := len(q.User)
		for _, a := range q.Answers {
			size += len(a)
		}
		if size > len(text) || len(q.Answers) > len(text) {
			t.Errorf("%q became %q and %q", text, q.User, q.Answers)
		}
	})
}
