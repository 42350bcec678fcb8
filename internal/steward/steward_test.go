package steward_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"exigo/internal/expand"
	"exigo/internal/helper"
	"exigo/internal/mail"
	"exigo/internal/option"
	"exigo/internal/outside"
	"exigo/internal/steward"
	"exigo/internal/testkit"
	"exigo/internal/transport"
)

// TestMain plays the parts of the program that the steward starts: the test binary is the program.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case steward.Argument:
			os.Exit(steward.Main(outside.Real().Users))
		case helper.Argument:
			os.Exit(helper.Main([]*transport.Driver{driver()}, nil))
		case "--engine":
			if err := engine(os.Args[2:]); err != nil {
				fmt.Println(err)
				os.Exit(1)
			}
			os.Exit(0)
		}
	}
	os.Exit(m.Run())
}

type none struct{}

type job struct{ Path, Mode string }

// driver writes its ids into a file, asks a question, or dies.
func driver() *transport.Driver {
	return &transport.Driver{Name: "test", Options: option.Table[none]{Scope: "transport test"}, Local: &transport.Local{
		Prepare: func(r *transport.Run) (any, error) { return r.Scope.Bag, nil },
		Execute: func(_ context.Context, e *transport.Execution) []mail.Outcome {
			var j job
			if err := e.Decode(&j); err != nil {
				panic(err)
			}
			switch j.Mode {
			case "die":
				os.Exit(3)
			case "panic":
				panic("on purpose")
			}
			answer, err := e.Ask("what", map[string]string{"a": "b"})
			body := e.Message.Body.Text
			groups, _ := os.Getgroups()
			text := fmt.Sprintf("%d %d %v pid %d answer %q %v env %d header %q body %q", os.Getuid(), os.Getgid(), groups, os.Getpid(), answer, err, len(os.Environ()), e.Message.Header, body)
			e.Log("logged")
			return e.All(mail.Outcome{Result: mail.Delivered, Confirmation: text})
		}}}
}

func run(c *helper.Client, mode string) (mail.Outcome, error) {
	dir, err := os.MkdirTemp("", "steward")
	if err != nil {
		return mail.Outcome{}, err
	}
	defer os.RemoveAll(dir)
	if err := os.WriteFile(filepath.Join(dir, "D"), []byte("xxhello"), 0o600); err != nil {
		return mail.Outcome{}, err
	}
	f, err := os.Open(filepath.Join(dir, "D"))
	if err != nil {
		return mail.Outcome{}, err
	}
	defer f.Close()
	logged := ""
	packed, err := transport.Pack(job{Mode: mode})
	if err != nil {
		return mail.Outcome{}, err
	}
	done, err := c.Execute(context.Background(), &helper.Job{Driver: "test", Transport: "t1", Job: packed, Recipients: []string{"a@b"}, Offset: 2, Size: 5},
		[]byte("A: b\n"), f, helper.Calls{Answer: func(q string, a map[string]string) (string, error) { return q + a["a"], nil },
			Log: func(line string) { logged = line }, Panic: func(line string) { logged = line }})
	if err != nil {
		return mail.Outcome{}, err
	}
	if logged == "" {
		return mail.Outcome{}, errors.New("nothing was logged")
	}
	return done.Outcomes[0], nil
}

// engine is the part of the test that gives up root: it runs in a process of its own.
func engine(args []string) error {
	port, _ := strconv.Atoi(args[0])
	secret := args[1]
	st, err := steward.Start(context.Background(), steward.Policy{UID: 61001, GID: 61002, Groups: []int{61002, 61010}, NeverUsers: []int{61009}, NamedGroups: []int{61007, 7}, Ports: []int{port}})
	if err != nil {
		return err
	}
	defer st.Close()
	if os.Getuid() != 61001 || os.Geteuid() != 61001 || os.Getgid() != 61002 {
		return fmt.Errorf("still %d/%d:%d", os.Getuid(), os.Geteuid(), os.Getgid())
	}
	if groups, err := os.Getgroups(); err != nil || !slices.Equal(groups, []int{61002, 61010}) {
		return fmt.Errorf("in the groups %v, %v", groups, err)
	}
	if err := identities(st); err != nil {
		return err
	}
	if _, _, err := st.ReadAs(context.Background(), steward.Identity{UID: 61003, GID: 61004}, secret, 100); !errors.Is(err, os.ErrPermission) {
		return fmt.Errorf("somebody else's file: %v", err)
	}
	data, info, err := st.ReadAs(context.Background(), steward.Identity{UID: 61005, GID: 61006}, secret, 100)
	if err != nil || string(data) != "secret" || info.UID != 61005 {
		return fmt.Errorf("own file: %q %+v %v", data, info, err)
	}
	return listeners(st, port)
}

func identities(st *steward.Remote) error {
	for _, id := range []steward.Identity{{UID: 0, GID: 5}, {UID: 61009, GID: 5}, {UID: -1, GID: 5}, {UID: 5, GID: -5}, {UID: 5, GID: 5, Groups: []int{-1}},
		{UID: 61003, GID: 0}, {UID: 61003, GID: 6}, {UID: 61003, GID: 61004, Groups: []int{6}}, {UID: 61003, GID: 61004, Groups: []int{61008}}} {
		if c, err := st.Helper(context.Background(), id); c != nil || !errors.Is(err, steward.ErrRefused) {
			return fmt.Errorf("%+v: %v", id, err)
		}
	}
	c, err := st.Helper(context.Background(), steward.Identity{UID: 61003, GID: 7}) // as the configuration says
	if err != nil {
		return err
	}
	c.Release()
	st.Drivers = []*transport.Driver{driver()} // a delivery as the engine's user is not in the groups that he is in besides
	defer func() { st.Drivers = nil }()
	if c, err = st.Helper(context.Background(), steward.Identity{UID: 61001, GID: 61002}); err != nil {
		return err
	}
	if o, err := run(c, ""); err != nil || !strings.HasPrefix(o.Confirmation, "61001 61002 [] pid ") {
		return fmt.Errorf("helper said %s, %v", o.Confirmation, err)
	}
	c.Release()
	first := ""
	for range 2 {
		c, err := st.Helper(context.Background(), steward.Identity{UID: 61003, GID: 61004, Groups: []int{61007}})
		if err != nil {
			return err
		}
		o, err := run(c, "")
		if err != nil {
			return err
		}
		want := `61003 61004 [61007] pid `
		if !strings.HasPrefix(o.Confirmation, want) || !strings.HasSuffix(o.Confirmation, `answer "whatb" <nil> env 0 header "A: b\n" body "hello"`) {
			return fmt.Errorf("helper said %s", o.Confirmation)
		}
		if first == "" {
			first = o.Confirmation
		} else if first != o.Confirmation {
			return fmt.Errorf("another process: %s", o.Confirmation)
		}
		c.Release()
	}
	for mode, want := range map[string]bool{"panic": true, "die": false} {
		c, err := st.Helper(context.Background(), steward.Identity{UID: 61003, GID: 61004, Groups: []int{61007}})
		if err != nil {
			return err
		}
		if o, err := run(c, mode); (err == nil) != want || want && o.Result != mail.Panicked {
			return fmt.Errorf("%s: %+v %v", mode, o, err)
		}
		c.Release()
	}
	return nil
}

func listeners(st *steward.Remote, port int) error {
	l, err := st.Listen(context.Background(), "tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return err
	}
	defer l.Close()
	if l.Addr().(*net.TCPAddr).Port != port {
		return fmt.Errorf("listening on %v", l.Addr())
	}
	if l, err := st.Listen(context.Background(), "tcp", "127.0.0.1:22"); l != nil || !errors.Is(err, steward.ErrRefused) {
		return fmt.Errorf("port 22: %v", err)
	}
	if l, err = st.Listen(context.Background(), "tcp", "127.0.0.1:0"); err != nil {
		return err
	}
	return l.Close()
}

func TestRoot(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root: it gives root up")
	}
	dir := t.TempDir()
	for d := dir; d != "/" && d != os.TempDir(); d = filepath.Dir(d) {
		os.Chmod(d, 0o755)
	}
	secret := filepath.Join(dir, "secret")
	os.WriteFile(secret, []byte("secret"), 0o600)
	os.Chown(secret, 61005, 61006)
	port := 0
	for p := 900; p < 1000 && port == 0; p++ {
		if l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", p)); err == nil {
			l.Close()
			port = p
		}
	}
	out, err := exec.Command(os.Args[0], "--engine", strconv.Itoa(port), secret).CombinedOutput()
	if err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// Whoever starts the roles by hand gets nothing.
func TestByHand(t *testing.T) {
	for _, role := range []string{steward.Argument, helper.Argument} {
		cmd := exec.Command(os.Args[0], role)
		if out, err := cmd.CombinedOutput(); err == nil {
			t.Errorf("%s: succeeded: %s", role, out)
		}
	}
}

func TestLocal(t *testing.T) {
	w := testkit.NewWorld(t)
	st := &steward.Local{Drivers: []*transport.Driver{driver()}, World: w.World}
	defer st.Close()
	c, err := st.Helper(t.Context(), steward.Identity{UID: 12345})
	if err != nil {
		t.Fatal(err)
	}
	o, err := run(c, "")
	if err != nil || !strings.HasPrefix(o.Confirmation, strconv.Itoa(os.Getuid())+" ") {
		t.Errorf("%+v %v", o, err)
	}
	if o, err := run(c, "panic"); err != nil || o.Result != mail.Panicked {
		t.Errorf("%+v %v", o, err)
	}
	name := filepath.Join(t.TempDir(), "f")
	os.WriteFile(name, []byte("0123456789"), 0o600)
	if data, info, err := st.ReadAs(t.Context(), steward.Identity{}, name, 10); err != nil || string(data) != "0123456789" || info.Size != 10 {
		t.Errorf("%q %+v %v", data, info, err)
	}
	if _, _, err := st.ReadAs(t.Context(), steward.Identity{}, name, 9); err == nil {
		t.Error("too large a file was read")
	}
	if _, err := st.StatAs(t.Context(), steward.Identity{}, name+"x", false); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
	if l, err := st.Listen(t.Context(), "tcp", "127.0.0.1:0"); err != nil {
		t.Error(err)
	} else {
		l.Close()
	}
}

func TestStartRefusesRoot(t *testing.T) {
	if _, err := steward.Start(t.Context(), steward.Policy{UID: 0}); !errors.Is(err, steward.ErrRefused) {
		t.Errorf("%v", err)
	}
}

var (
	_ steward.Steward = (*steward.Remote)(nil)
	_ steward.Steward = (*steward.Local)(nil)
	_ *outside.World
	_ *expand.Scope
)
