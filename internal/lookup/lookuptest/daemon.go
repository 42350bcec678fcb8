package lookuptest

import (
	"bufio"
	"context"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"exigo/internal/outside"
)

// Network is a world with a clock, the machine's own network, and a DNS that knows no name but localhost.
func Network() *outside.World {
	return &outside.World{Clock: clock{}, Dial: outside.Real().Dial, DNS: resolver{}}
}

type resolver struct{}

// Lookup implements outside.Resolver.
func (resolver) Lookup(_ context.Context, q outside.Question) (outside.Answer, error) {
	switch {
	case q.Name == "again.example":
		return outside.Answer{}, context.DeadlineExceeded
	case q.Name == "localhost" && q.Type == outside.TypeA:
		return outside.Answer{Records: []outside.Record{{Type: q.Type, Data: "127.0.0.1"}}}, nil
	}
	return outside.Answer{}, outside.ErrNoHost
}

// Daemon is a real server that a test runs on sockets of its own.
type Daemon struct {
	// Dir is its directory: short enough for the path of a socket, and removed when the test ends. Port is free on 127.0.0.1.
	Dir  string
	Port int
	// End is the signal that ends it, SIGTERM if it is nil.
	End os.Signal
	// account is who it runs as, nil for the caller.
	account *syscall.Credential
}

// NewDaemon prepares a directory and a port. The test is skipped if a program is not installed. Called by root, what is run will run as the
// account, if there is one of that name.
func NewDaemon(t testing.TB, account string, programs ...string) *Daemon {
	t.Helper()
	for _, p := range programs {
		if Program(p) == "" {
			t.Skipf("%s is not installed", p)
		}
	}
	dir, err := os.MkdirTemp("/tmp", "lookup")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	d := &Daemon{Dir: dir}
	if u, err := user.Lookup(account); err == nil && os.Getuid() == 0 {
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		d.account = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		if err := os.Chown(dir, uid, gid); err != nil {
			t.Fatal(err)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d.Port = l.Addr().(*net.TCPAddr).Port
	l.Close()
	return d
}

// Program finds a program where servers are installed, "" if it is nowhere.
func Program(name string) string {
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	for _, pattern := range []string{"/usr/sbin/", "/usr/lib/postgresql/*/bin/"} {
		if found, _ := filepath.Glob(pattern + name); len(found) > 0 {
			return found[len(found)-1]
		}
	}
	return ""
}

func (d *Daemon) command(program string, args []string) *exec.Cmd {
	c := exec.Command(Program(program), args...)
	c.Dir, c.Env = d.Dir, []string{"PATH=" + os.Getenv("PATH"), "HOME=" + d.Dir, "LC_ALL=C", "TZ=UTC"}
	c.SysProcAttr = &syscall.SysProcAttr{Credential: d.account, Pdeathsig: syscall.SIGKILL}
	return c
}

// Run runs a program to its end, with input.
func (d *Daemon) Run(t testing.TB, input, program string, args ...string) string {
	t.Helper()
	c := d.command(program, args)
	c.Stdin = strings.NewReader(input)
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", program, err, out)
	}
	return string(out)
}

// Start runs a program until the test ends, and waits for a line of its output that contains ready. stop ends it earlier.
func (d *Daemon) Start(t testing.TB, ready, program string, args ...string) (stop func()) {
	t.Helper()
	c := d.command(program, args)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	c.Stdout, c.Stderr = w, w
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	up, gone := make(chan struct{}), make(chan struct{})
	var log strings.Builder
	go func() {
		defer close(gone)
		lines, seen := bufio.NewScanner(r), false
		for lines.Scan() {
			if !seen {
				log.WriteString(lines.Text() + "\n")
			}
			if !seen && strings.Contains(lines.Text(), ready) {
				seen = true
				close(up)
			}
		}
		r.Close()
	}()
	ended := false
	stop = func() {
		if !ended {
			ended = true
			signal := d.End
			if signal == nil {
				signal = syscall.SIGTERM
			}
			c.Process.Signal(signal)
			c.Wait()
		}
	}
	t.Cleanup(stop)
	select {
	case <-up:
	case <-gone:
		t.Skipf("%s does not come up:\n%s", program, log.String())
	case <-time.After(time.Minute):
		t.Skipf("%s takes too long", program)
	}
	return stop
}

// Await waits until something listens: some programs say that they are ready before they do.
func Await(t testing.TB, network, address string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		conn, err := net.Dial(network, address)
		if err == nil {
			conn.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Skipf("nobody listens: %v", err)
		}
		time.Sleep(10 * time.Millisecond) // another program's start: there is nothing else to wait for
	}
}

// Closed is a port on 127.0.0.1 at which nobody listens.
func Closed(t testing.TB) uint16 {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return netip.MustParseAddrPort(l.Addr().String()).Port()
}
