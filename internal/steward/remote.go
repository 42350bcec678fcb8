package steward

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"sync"
	"syscall"

	"exigo/internal/helper"
	"exigo/internal/outside"
	"exigo/internal/transport"
)

// Remote is the engine's end of the root child.
type Remote struct {
	// Drivers and World, when set, let this process do deliveries as its own user itself.
	Drivers []*transport.Driver
	World   *outside.World

	policy  Policy
	own     Identity
	process *exec.Cmd

	mu   sync.Mutex // one request at a time
	conn *net.UnixConn

	pool pool
}

// Start forks the root child and gives root up in this process, in all its threads, for good: it goes on as the policy's user. It
// must be called as root, before anything from the network is looked at. ctx bounds the start only.
func Start(ctx context.Context, policy Policy) (*Remote, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if policy.UID <= 0 {
		return nil, fmt.Errorf("%w: exim_user must not be root", ErrRefused)
	}
	conn, theirs, err := sockets(syscall.SOCK_SEQPACKET)
	if err != nil {
		return nil, err
	}
	cmd := &exec.Cmd{Path: self, Args: []string{"exigo", Argument}, Env: []string{}, Dir: "/", ExtraFiles: []*os.File{theirs}, Stderr: os.Stderr,
		SysProcAttr: &syscall.SysProcAttr{Setsid: true, Credential: &syscall.Credential{Uid: 0, Gid: 0}}}
	err = cmd.Start()
	theirs.Close()
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("unable to start the steward: %w", err)
	}
	s := &Remote{policy: policy, own: Identity{UID: policy.UID, GID: policy.GID}, process: cmd, conn: conn}
	s.pool = newPool()
	if _, err := s.ask(&request{Policy: &policy}); err != nil {
		s.Close()
		return nil, fmt.Errorf("unable to start the steward: %w", err)
	}
	if err := giveUpRoot(policy); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// Become gives root up for good in favour of the policy's user and groups, without a root child.
func Become(p Policy) error { return giveUpRoot(p) }

// giveUpRoot changes all ids of the process; there is no way back.
func giveUpRoot(p Policy) error {
	groups := p.Groups
	if len(groups) == 0 {
		groups = []int{p.GID}
	}
	if err := syscall.Setgroups(groups); err != nil {
		return fmt.Errorf("setgroups: %w", err)
	}
	if err := syscall.Setresgid(p.GID, p.GID, p.GID); err != nil {
		return fmt.Errorf("setresgid: %w", err)
	}
	if err := syscall.Setresuid(p.UID, p.UID, p.UID); err != nil {
		return fmt.Errorf("setresuid: %w", err)
	}
	if syscall.Setuid(0) == nil {
		return errors.New("root could not be given up")
	}
	return nil
}

// ask sends a request and returns the descriptor of the reply, if any.
func (s *Remote) ask(r *request) (*os.File, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := send(s.conn, r, -1); err != nil {
		return nil, fmt.Errorf("steward: %w", err)
	}
	var a reply
	file, err := receive(s.conn, &a)
	if err != nil {
		return nil, fmt.Errorf("steward: %w", err)
	}
	if a.Error == "" {
		return file, nil
	}
	if file != nil {
		file.Close()
	}
	switch {
	case a.Refused:
		return nil, fmt.Errorf("%w (%s)", ErrRefused, a.Error)
	case a.Errno != 0:
		return nil, &os.SyscallError{Syscall: a.Error, Err: syscall.Errno(a.Errno)}
	}
	return nil, errors.New(a.Error)
}

// Listen implements Steward: privileged ports are bound by the root child, all else by this process.
func (s *Remote) Listen(ctx context.Context, network, address string) (net.Listener, error) {
	at, err := netip.ParseAddrPort(address)
	if err != nil || at.Port() >= 1024 || at.Port() == 0 {
		return (&net.ListenConfig{}).Listen(ctx, network, address)
	}
	file, err := s.ask(&request{Listen: &listen{network, address}})
	if err != nil {
		return nil, err
	}
	if file == nil {
		return nil, errors.New("steward: no descriptor")
	}
	defer file.Close()
	return net.FileListener(file)
}

// Helper implements Steward. A delivery as the engine's own user is done by the engine, unless that is in more groups than the delivery may be.
func (s *Remote) Helper(ctx context.Context, id Identity) (*helper.Client, error) {
	if s.Drivers != nil && id.UID == s.own.UID && id.GID == s.own.GID && len(id.Groups) == 0 && len(s.policy.Groups) == 0 {
		return helper.NewLocal(s.Drivers, s.World), nil
	}
	if err := s.policy.check(id); err != nil {
		return nil, err
	}
	key := keyOf(id)
	c, err := s.pool.take(ctx, key)
	if c != nil || err != nil {
		return c, err
	}
	c, err = s.start(&id, key)
	if err != nil {
		s.pool.gone(key)
	}
	return c, err
}

// start has the root child start a helper.
func (s *Remote) start(id *Identity, key string) (*helper.Client, error) {
	file, err := s.ask(&request{Helper: id})
	if err != nil {
		return nil, err
	}
	if file == nil {
		return nil, errors.New("steward: no descriptor")
	}
	conn, err := net.FileConn(file)
	file.Close()
	if err != nil {
		return nil, err
	}
	u, ok := conn.(*net.UnixConn)
	if !ok {
		conn.Close()
		return nil, errors.New("steward: no Unix socket")
	}
	return helper.NewClient(u, func(c *helper.Client, broken bool) { s.pool.give(key, c, broken) }), nil
}

// ReadAs implements Steward.
func (s *Remote) ReadAs(ctx context.Context, id Identity, path string, limit int64) ([]byte, helper.FileInfo, error) {
	c, err := s.Helper(ctx, id)
	if err != nil {
		return nil, helper.FileInfo{}, err
	}
	defer c.Release()
	return c.ReadFile(ctx, path, limit)
}

// StatAs implements Steward.
func (s *Remote) StatAs(ctx context.Context, id Identity, path string, link bool) (helper.FileInfo, error) {
	c, err := s.Helper(ctx, id)
	if err != nil {
		return helper.FileInfo{}, err
	}
	defer c.Release()
	return c.Stat(ctx, path, link)
}

// Close implements Steward: helpers and root child end as their connections close.
func (s *Remote) Close() error {
	s.pool.close()
	err := s.conn.Close()
	s.process.Wait()
	return err
}
