package steward

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"

	"exigo/internal/helper"
	"exigo/internal/outside"
)

// Argument is the first argument of the root child.
const Argument = "--steward"

// maxHelpers bounds the helpers that run at the same time.
const maxHelpers = 256

// self is the file of this very program, even if another one was installed in its place meanwhile.
const self = "/proc/self/exe"

// process is the root child.
type process struct {
	policy Policy
	users  outside.Users
	ended  chan struct{}
	alive  int
}

// Main is the root child, with the system's users: it obeys requests that come on descriptor 3 until the engine closes the connection, and returns the exit
// status. It runs only as root through and through; who starts it otherwise gets nothing by it.
func Main(users outside.Users) int {
	ruid, euid, suid := unix.Getresuid()
	if ruid != 0 || euid != 0 || suid != 0 {
		fmt.Fprintln(os.Stderr, "exigo: the steward is started by the program itself")
		return 1
	}
	os.WriteFile("/proc/self/comm", []byte("exigo-steward"), 0) // for ps; the name would be that of /proc/self/exe
	unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
	unix.CloseRange(4, 1<<30, unix.CLOSE_RANGE_CLOEXEC)
	unix.Umask(0o077)
	os.Chdir("/")
	f := os.NewFile(3, "engine")
	c, err := net.FileConn(f)
	f.Close()
	conn, ok := c.(*net.UnixConn)
	if err != nil || !ok {
		return 1
	}
	p := &process{users: users, ended: make(chan struct{}, maxHelpers)}
	if err := p.serve(conn); err != nil {
		return 1
	}
	return 0
}

// serve handles requests one after the other. The first one is the policy, from the engine while it still was root.
func (p *process) serve(c *net.UnixConn) error {
	for first := true; ; first = false {
		var r request
		passed, err := receive(c, &r)
		if passed != nil {
			passed.Close()
		}
		if err != nil {
			if first {
				return err
			}
			return nil // the engine is gone
		}
		if first != (r.Policy != nil) {
			return errors.New("steward: policy out of turn")
		}
		file, err := p.handle(&r)
		if err := p.answer(c, file, err); err != nil {
			return err
		}
	}
}

func (p *process) handle(r *request) (*os.File, error) {
	switch {
	case r.Policy != nil:
		if r.Policy.UID <= 0 {
			return nil, fmt.Errorf("%w: exim_user must not be root", ErrRefused)
		}
		p.policy = *r.Policy
		return nil, nil
	case r.Listen != nil:
		return p.listen(r.Listen)
	case r.Helper != nil:
		return p.helper(r.Helper)
	}
	return nil, errors.New("empty request")
}

func (p *process) answer(c *net.UnixConn, file *os.File, err error) error {
	fd := -1
	var a reply
	if err != nil {
		var n syscall.Errno
		errors.As(err, &n)
		a = reply{Error: err.Error(), Errno: int(n), Refused: errors.Is(err, ErrRefused)}
	}
	if file != nil {
		defer file.Close()
		fd = int(file.Fd())
	}
	return send(c, a, fd)
}

// listen binds one of the ports of the policy.
func (p *process) listen(l *listen) (*os.File, error) {
	at, err := netip.ParseAddrPort(l.Address)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(p.policy.Ports, int(at.Port())) || l.Network != "tcp4" && l.Network != "tcp6" && l.Network != "tcp" {
		return nil, fmt.Errorf("%w: port %d", ErrRefused, at.Port())
	}
	n, err := net.Listen(l.Network, l.Address)
	if err != nil {
		return nil, err
	}
	defer n.Close()
	return n.(*net.TCPListener).File()
}

// helper starts this program as the identity and returns the engine's end of the connection.
func (p *process) helper(id *Identity) (*os.File, error) {
	if err := p.policy.check(*id); err != nil {
		return nil, err
	}
	if err := p.policy.checkGroups(*id, p.users); err != nil {
		return nil, err
	}
	for reaped := true; reaped; {
		select {
		case <-p.ended:
			p.alive--
		default:
			reaped = false
		}
	}
	if p.alive >= maxHelpers {
		return nil, errors.New("too many helpers")
	}
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "engine"), os.NewFile(uintptr(fds[1]), "helper")
	defer theirs.Close()
	groups := make([]uint32, len(id.Groups))
	for i, g := range id.Groups {
		groups[i] = uint32(g)
	}
	cmd := &exec.Cmd{Path: self, Args: []string{"exigo", helper.Argument}, Env: []string{}, Dir: "/", ExtraFiles: []*os.File{theirs},
		SysProcAttr: &syscall.SysProcAttr{Setsid: true, Credential: &syscall.Credential{Uid: uint32(id.UID), Gid: uint32(id.GID), Groups: groups}}}
	if err := cmd.Start(); err != nil {
		ours.Close()
		return nil, err
	}
	p.alive++
	go func() {
		cmd.Wait()
		p.ended <- struct{}{}
	}()
	return ours, nil
}
