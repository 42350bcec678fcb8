package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"exigo/internal/feature/pam/pamclient"

	"github.com/ebitengine/purego"
)

// bench is a directory of service files, each written for one question.
type bench struct {
	testing.TB
	directory string
	// dialogue is the path of the module of testdata, "" where there is no C compiler.
	dialogue string
	ask      func(*pamclient.Request) pamclient.Answer
}

func newBench(t testing.TB) *bench {
	t.Helper()
	if _, err := purego.Dlopen(libraryName, purego.RTLD_NOW|purego.RTLD_GLOBAL); err != nil {
		t.Skipf("%s is not installed: %v", libraryName, err)
	}
	b := &bench{TB: t, directory: t.TempDir()}
	c, err := load(libraryName)
	if err != nil {
		t.Fatal(err)
	}
	if c.startConfdir == nil {
		t.Skip("PAM knows no other directory than its own")
	}
	b.ask = c.ask
	return b
}

// compile makes the module of testdata. It is linked with nothing: libpam is in the process.
func (b *bench) compile() {
	b.Helper()
	gcc, err := exec.LookPath("gcc")
	if err != nil {
		b.Skip("no C compiler")
	}
	b.dialogue = filepath.Join(b.directory, "pam_dialogue.so")
	if out, err := exec.Command(gcc, "-shared", "-fPIC", "-o", b.dialogue, "testdata/pam_dialogue.c").CombinedOutput(); err != nil {
		b.Fatalf("gcc: %v\n%s", err, out)
	}
}

// request writes the service file and makes a request; lines are separated by "|", "DIALOGUE" is the module of testdata, answers by commas.
func (b *bench) request(service, user, answers string) *pamclient.Request {
	b.Helper()
	text := strings.NewReplacer("|", "\n", "DIALOGUE", b.dialogue).Replace(service) + "\n"
	if err := os.WriteFile(filepath.Join(b.directory, "exim"), []byte(text), 0o644); err != nil {
		b.Fatal(err)
	}
	q := &pamclient.Request{Service: "exim", Directory: b.directory, User: user}
	if answers != "" {
		q.Answers = strings.Split(answers, ",")
	}
	return q
}

const permitAccount = "|account required pam_permit.so"

// TestModules: the modules of Linux-PAM itself.
func TestModules(t *testing.T) {
	b := newBench(t)
	for _, c := range []struct {
		service, user, answers string
		code                   int
		text                   string
	}{
		{"auth required pam_permit.so" + permitAccount, "a", "b", pamclient.Success, "Success"},
		{"auth required pam_permit.so" + permitAccount, "a", "", pamclient.Success, "Success"},
		{"auth required pam_deny.so" + permitAccount, "a", "b", pamclient.AuthError, "Authentication failure"},
		{"auth required pam_permit.so|account required pam_deny.so", "a", "b", pamclient.AuthError, "Authentication failure"},
		{"auth required pam_nosuch.so" + permitAccount, "a", "b", 28, "Module is unknown"},
		{"auth gibberish|foo", "a", "b", 6, "Permission denied"},
		{"auth required pam_debug.so auth=user_unknown" + permitAccount, "a", "b", pamclient.UserUnknown, "User not known to the underlying authentication module"},
		{"auth required pam_debug.so auth=cred_insufficient" + permitAccount, "a", "b", 8, "Insufficient credentials to access authentication data"},
		{"auth required pam_debug.so auth=authinfo_unavail" + permitAccount, "a", "b", 9, "Authentication service cannot retrieve authentication info"},
		{"auth required pam_permit.so|account required pam_debug.so acct=acct_expired", "a", "b", pamclient.AccountExpired, "User account has expired"},
		{"auth required pam_permit.so|account required pam_debug.so acct=new_authtok_reqd", "a", "b", 12, "Authentication token is no longer valid; new one required"},
		{"auth required pam_succeed_if.so quiet user = ann" + permitAccount, "bob", "b", pamclient.AuthError, "Authentication failure"},
	} {
		got := b.ask(b.request(c.service, c.user, c.answers))
		if got.Code != c.code || got.Text != c.text || got.Problem != "" {
			t.Errorf("%s: %+v", c.service, got)
		}
	}
	q := b.request("auth required pam_permit.so"+permitAccount, "a", "b")
	q.Service = "nosuchservice" // there is no file "other" either
	if got := b.ask(q); got.Code == pamclient.Success || got.Problem != "" {
		t.Errorf("a service without file: %+v", got)
	}
}

// TestUnix: pam_unix knows the users of this machine; who asks needs to be root, or to ask for himself.
func TestUnix(t *testing.T) {
	b := newBench(t)
	for _, user := range []string{"root", "nosuchuser"} {
		got := b.ask(b.request("auth required pam_unix.so"+permitAccount, user, "not the password"))
		if got.Code != pamclient.AuthError && got.Code != pamclient.UserUnknown && got.Code != 9 {
			t.Errorf("%s: %+v", user, got)
		}
		if got.Code == pamclient.AuthError && got.Delay <= 0 {
			t.Errorf("%s: there is no delay", user)
		}
	}
}

// TestDialogue: prompts get the answers in turn.
func TestDialogue(t *testing.T) {
	b := newBench(t)
	b.compile()
	for _, c := range []struct {
		arguments, answers string
		code               int
		delay              bool
	}{
		{"service=exim user=ann 1 want=b", "b", pamclient.Success, false},
		{"user=bob", "b", pamclient.AuthError, false},
		{"1 want=b", "c", pamclient.AuthError, false},
		{"1 2 1 want=b,c,d", "b,c,d", pamclient.Success, false},
		{"12 want=b,c", "b,c,d", pamclient.Success, false},
		{"3 4 want=[-],[-] 31 42 want=[-],[-],[-],b,[-],c", "b,c", pamclient.Success, false},
		{"1 want= 2 return=3", "", pamclient.Conversation, false}, // nothing left: an empty answer, then no more
		{"1 2 want=b,", "b", pamclient.Success, false},
		{"12 want=b,", "b", pamclient.Success, false},
		{"11 3", "b", pamclient.Conversation, false},
		{"5 return=3", "b", pamclient.Conversation, false},
		{"7 return=3", "b", pamclient.Conversation, false},
		{strings.Repeat("1", 33), "b", pamclient.Conversation, false},
		{"delay=60000000 return=7", "b", pamclient.AuthError, true},
		{"delay=60000000", "b", pamclient.Success, false},
	} {
		got := b.ask(b.request("auth required DIALOGUE "+c.arguments+permitAccount, "ann", c.answers))
		if got.Code != c.code || got.Delay > 0 != c.delay || got.Delay > 2*time.Minute {
			t.Errorf("%s: %+v", c.arguments, got)
		}
	}
	got := b.ask(b.request("auth required DIALOGUE 1 want=b|account required DIALOGUE 1 want=c", "ann", "b,c"))
	if got.Code != pamclient.Success {
		t.Errorf("the account's module: %+v", got)
	}
	for code := 1; code < 32; code++ {
		q := b.request("auth required DIALOGUE return="+strconv.Itoa(code)+permitAccount, "ann", "b")
		if got := b.ask(q); got.Code != code && code != 25 || got.Text == "" {
			t.Errorf("code %d: %+v", code, got)
		}
	}
}

func TestOpenFails(t *testing.T) {
	for name, want := range map[string]string{"/nonexistent.so": "cannot load /nonexistent.so", "libc.so.6": "libc.so.6 has no function pam_start"} {
		if a := open(name)(&pamclient.Request{User: "a"}); !strings.HasPrefix(a.Problem, want) || a.Code != 0 {
			t.Errorf("%s: %+v", name, a)
		}
	}
}

// TestProcess runs the command: a module that crashes or hangs costs its process only.
func TestProcess(t *testing.T) {
	b := newBench(t)
	b.compile()
	command := filepath.Join(t.TempDir(), "exigo-pam")
	if out, err := exec.Command("go", "build", "-buildvcs=false", "-o", command, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	pool := pamclient.NewPool()
	defer pool.Close()
	ask := func(ctx context.Context, arguments string) (pamclient.Answer, error) {
		return pool.Ask(ctx, command, []string{"A=b"}, b.request("auth required DIALOGUE "+arguments+permitAccount, "ann", "secret"))
	}
	ctx := context.Background()
	for range 3 {
		if a, err := ask(ctx, "1 want=secret"); err != nil || a.Code != pamclient.Success {
			t.Fatalf("%+v, %v", a, err)
		}
		if a, err := ask(ctx, "1 want=other"); err != nil || a.Code != pamclient.AuthError {
			t.Fatalf("%+v, %v", a, err)
		}
		if _, err := ask(ctx, "1 crash"); err == nil || err.Error() != "exigo-pam: EOF" {
			t.Fatalf("after a crash: %v", err)
		}
	}
	short, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	if _, err := ask(short, "hang"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a module that hangs: %v", err)
	}
	if out, err := exec.Command(command, "x").CombinedOutput(); err == nil || !strings.HasPrefix(string(out), "usage:") {
		t.Errorf("%s, %v", out, err)
	}
}
