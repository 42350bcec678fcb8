// Package blackbox runs the built program as a user of it would: configuration file, command line, ports of its own on the loopback
// interface, a scratch folder that goes away with the test. Nothing of the program's code is used.
//
// Trust: tests only.
package blackbox

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Patience is how long a test waits for something that must happen before it fails: long, since nothing is timed.
const Patience = 60 * time.Second

// mailUser is who the program is when root runs the tests: nobody's number on most systems; it needs no entry in the password file.
const mailUser = 65534

// Place is a scratch folder with a binary of its own, so that its processes are told from all others by the path of their program.
type Place struct {
	// Dir is the folder; what the program writes belongs there.
	Dir string
	// Binary is the program's path.
	Binary string
	t      testing.TB
}

// Long tells whether the long runs are asked for (EXIGO_LONG=1).
func Long() bool { return os.Getenv("EXIGO_LONG") == "1" }

// New builds the program into a scratch folder, or copies the one that EXIGO_BINARY names. All its processes end with the test.
func New(t testing.TB) *Place {
	t.Helper()
	p := &Place{Dir: t.TempDir(), t: t}
	p.Binary = filepath.Join(t.TempDir(), "exigo")
	build := exec.Command("go", "build", "-buildvcs=false", "-o", p.Binary, "exigo/cmd/exigo")
	if ready := os.Getenv("EXIGO_BINARY"); ready != "" {
		build = exec.Command("cp", ready, p.Binary)
	}
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	p.Own(p.Dir)
	// TempDir keeps others out of the folder above.
	if err := os.Chmod(filepath.Dir(p.Dir), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.KillAll() })
	return p
}

// Own gives a file or folder to whom the program runs as.
func (p *Place) Own(path string) {
	p.t.Helper()
	if os.Geteuid() != 0 {
		return
	}
	if err := os.Chown(path, mailUser, mailUser); err != nil {
		p.t.Fatal(err)
	}
}

// Path is a path in the folder.
func (p *Place) Path(name string) string { return filepath.Join(p.Dir, name) }

// Folder makes a folder in the folder, for the program to write to.
func (p *Place) Folder(name string) string {
	p.t.Helper()
	if err := os.MkdirAll(p.Path(name), 0o755); err != nil {
		p.t.Fatal(err)
	}
	p.Own(p.Path(name))
	return p.Path(name)
}

// Configure writes a configuration and returns its path. DIR stands for the folder; "USER" at the start of a transport's
// line stands for user and group of local deliveries (nothing when the tests do not run as root), "MAILUSER" for those of the program.
func (p *Place) Configure(name, text string, pairs ...string) string {
	p.t.Helper()
	user, program := "", fmt.Sprintf("exim_user = %d\nexim_group = %d", os.Geteuid(), os.Getegid())
	if os.Geteuid() == 0 {
		user = fmt.Sprintf("user = %d\n  group = %d", mailUser, mailUser)
		program = fmt.Sprintf("exim_user = %d\nexim_group = %d", mailUser, mailUser)
	}
	text = strings.NewReplacer(append([]string{"MAILUSER", program, "USER", user, "DIR", p.Dir}, pairs...)...).Replace(text)
	if err := os.WriteFile(p.Path(name), []byte(text), 0o644); err != nil {
		p.t.Fatal(err)
	}
	return p.Path(name)
}

// Port is a TCP port on 127.0.0.1 that nobody listens on.
func (p *Place) Port() string {
	p.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		p.t.Fatal(err)
	}
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}

// Command is a run of the program with the arguments, in a session of its own.
func (p *Place) Command(ctx context.Context, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, p.Binary, args...)
	c.Dir = "/"
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	c.WaitDelay = time.Second
	return c
}

// Run runs the program to its end and returns what it wrote.
func (p *Place) Run(stdin string, args ...string) (output string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*Patience)
	defer cancel()
	c := p.Command(ctx, args...)
	c.Stdin = strings.NewReader(stdin)
	out, err := c.CombinedOutput()
	return string(out), err
}

// Daemon is a running server.
type Daemon struct {
	// Address is where it listens.
	Address string
	// PID is its first process.
	PID    int
	p      *Place
	output bytes.Buffer
	ended  chan struct{}
}

// Start starts a daemon in the foreground and returns when it answers on the port.
func (p *Place) Start(conf, port string, args ...string) *Daemon {
	p.t.Helper()
	d := &Daemon{Address: "127.0.0.1:" + port, p: p, ended: make(chan struct{})}
	c := p.Command(context.Background(), append([]string{"-C", conf, "-bdf"}, args...)...)
	c.Stdout, c.Stderr = &d.output, &d.output
	if err := c.Start(); err != nil {
		p.t.Fatal(err)
	}
	d.PID = c.Process.Pid
	go func() { c.Wait(); close(d.ended) }()
	p.Wait("the daemon to listen", func() bool {
		select {
		case <-d.ended:
			p.t.Fatalf("the daemon ended: %s\n%s", d.output.String(), p.Read("log/panic"))
		default:
		}
		conn, err := net.Dial("tcp", d.Address)
		if err != nil {
			return false
		}
		conn.Close()
		return true
	})
	return d
}

// Alive tells whether the daemon's first process runs.
func (d *Daemon) Alive() bool {
	select {
	case <-d.ended:
		return false
	default:
		return true
	}
}

// Wait waits until the condition holds.
func (p *Place) Wait(what string, holds func() bool) {
	p.t.Helper()
	for end := time.Now().Add(Patience); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			p.t.Fatalf("waited in vain for %s\n%s%s", what, p.Read("log/main"), p.Read("log/panic"))
		}
	}
}

// Read is the content of a file of the folder, "" if there is none.
func (p *Place) Read(name string) string {
	text, _ := os.ReadFile(p.Path(name))
	return string(text)
}

// processes finds the processes whose program is the place's binary.
func (p *Place) processes() []int {
	var pids []int
	links, _ := filepath.Glob("/proc/[0-9]*/exe")
	for _, link := range links {
		if target, err := os.Readlink(link); err == nil && strings.TrimSuffix(target, " (deleted)") == p.Binary {
			if pid, err := strconv.Atoi(strings.Split(link, "/")[2]); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// KillAll ends all processes of the place's binary at once (SIGKILL), and returns when none is left.
func (p *Place) KillAll() {
	for end := time.Now().Add(Patience); time.Now().Before(end); time.Sleep(time.Millisecond) {
		pids := p.processes()
		if len(pids) == 0 {
			return
		}
		for _, pid := range pids {
			syscall.Kill(pid, syscall.SIGKILL)
		}
	}
	p.t.Errorf("processes %v live on", p.processes())
}

// Memory is the resident memory of all processes of the place's binary, in bytes.
func (p *Place) Memory() int {
	total := 0
	for _, pid := range p.processes() {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
		if f := strings.Fields(string(text)); len(f) > 1 {
			pages, _ := strconv.Atoi(f[1])
			total += pages * os.Getpagesize()
		}
	}
	return total
}

// Output is what the daemon wrote to its standard output and error; to be called when it has ended.
func (d *Daemon) Output() string { return d.output.String() }
