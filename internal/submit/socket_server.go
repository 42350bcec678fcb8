package submit

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Peer is who is at the other end of a Unix socket, as the kernel says, or who owns a dropped file.
type Peer struct {
	UID, GID, PID int
	Groups        []int
}

// Invocation is a call of the program that came over the socket or was found in the drop directory.
type Invocation struct {
	Peer Peer
	Argv []string
	// Dropped says that the caller has gone: what is wrong can be told by mail only.
	Dropped        bool
	Stdin          io.Reader
	Stdout, Stderr io.Writer
}

// SocketServer serves calls of the program that local users make while a daemon runs: it does what their process may not.
type SocketServer struct {
	// Run obeys a call and returns its exit status.
	Run func(ctx context.Context, call *Invocation) int
	// Max is how many calls are served at once, PerUser how many of one user; 0 is no limit. More have to wait.
	Max, PerUser int
	// Open is how many connections of one user may be open, waiting ones among them; 0 is no limit. More are told to come back, so that no user
	// takes all descriptors.
	Open int
	// Panic is told of a call that broke down.
	Panic func(text string)

	mu    sync.Mutex
	users map[int]int
	open  map[int]int
	freed *sync.Cond
	total int
}

// ErrOtherDaemon says that the socket is another daemon's.
var ErrOtherDaemon = errors.New("another daemon is listening")

// ListenSocket makes the socket, which anybody may connect to. A socket that is left from an earlier daemon is replaced.
func ListenSocket(path string, uid, gid int) (net.Listener, error) {
	if info, err := os.Lstat(path); err == nil && info.Mode()&os.ModeSocket != 0 {
		if c, err := net.Dial("unix", path); err == nil {
			c.Close()
			return nil, fmt.Errorf("%s: %w", path, ErrOtherDaemon)
		}
		os.Remove(path)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o666); err != nil {
		l.Close()
		return nil, err
	}
	if uid >= 0 && os.Geteuid() == 0 {
		if err := os.Lchown(path, uid, gid); err != nil {
			l.Close()
			return nil, err
		}
	}
	return l, nil
}

// Serve serves calls until the context ends or the listener fails.
func (s *SocketServer) Serve(ctx context.Context, l net.Listener) error {
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	var wait sync.WaitGroup
	defer wait.Wait()
	for {
		c, err := l.Accept()
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return err
		case err != nil:
			// Out of descriptors, most likely: wait for others to end.
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(100 * time.Millisecond):
			}
			continue
		}
		wait.Add(1)
		go func() {
			defer wait.Done()
			defer c.Close()
			s.serve(ctx, c.(*net.UnixConn))
		}()
	}
}

// argumentsTimeout is how long a client may take for its first frame.
const argumentsTimeout = 10 * time.Second

func (s *SocketServer) serve(ctx context.Context, c *net.UnixConn) {
	defer func() {
		if r := recover(); r != nil && s.Panic != nil {
			s.Panic(fmt.Sprintf("submission socket: %v", r))
		}
	}()
	peer, err := peerOf(c)
	if err != nil {
		return
	}
	defer s.count(peer.UID, -1)
	if n := s.count(peer.UID, 1); s.Open > 0 && n > s.Open {
		writeFrame(c, frameError, []byte("exim: too many calls at the same time: try again later\n"))
		writeFrame(c, frameExit, []byte{exitTemporary})
		return
	}
	c.SetReadDeadline(time.Now().Add(argumentsTimeout))
	in := bufio.NewReaderSize(c, maxFrame)
	facts, err := readFacts(in)
	if err != nil {
		return
	}
	c.SetReadDeadline(time.Time{})
	s.enter(peer.UID)
	defer s.leave(peer.UID)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(ctx, func() { c.SetReadDeadline(time.Unix(1, 0)) })()
	var mu sync.Mutex
	status := s.Run(ctx, &Invocation{Peer: peer, Argv: facts.Argv, Stdin: &inputReader{r: in},
		Stdout: &frameWriter{mu: &mu, w: c, kind: frameOutput}, Stderr: &frameWriter{mu: &mu, w: c, kind: frameError}})
	mu.Lock()
	defer mu.Unlock()
	writeFrame(c, frameExit, []byte{byte(status)})
}

// exitTemporary is EX_TEMPFAIL of sysexits.h.
const exitTemporary = 75

// count notes a connection of the user's that came or went, and returns how many are open.
func (s *SocketServer) count(uid, change int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open == nil {
		s.open = make(map[int]int)
	}
	s.open[uid] += change
	n := s.open[uid]
	if n == 0 {
		delete(s.open, uid)
	}
	return n
}

// enter waits until the user may have another call.
func (s *SocketServer) enter(uid int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.users == nil {
		s.users = make(map[int]int)
		s.freed = sync.NewCond(&s.mu)
	}
	for s.Max > 0 && s.total >= s.Max || s.PerUser > 0 && s.users[uid] >= s.PerUser {
		s.freed.Wait()
	}
	s.total++
	s.users[uid]++
}

func (s *SocketServer) leave(uid int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.total--
	if s.users[uid]--; s.users[uid] == 0 {
		delete(s.users, uid)
	}
	s.freed.Broadcast()
}

// peerOf asks the kernel who is at the other end.
func peerOf(c *net.UnixConn) (Peer, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return Peer{}, err
	}
	var p Peer
	var failure error
	err = raw.Control(func(fd uintptr) {
		u, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
		if err != nil {
			failure = err
			return
		}
		p = Peer{UID: int(u.Uid), GID: int(u.Gid), PID: int(u.Pid), Groups: peerGroups(fd)}
	})
	if err == nil {
		err = failure
	}
	return p, err
}

// peerGroups returns the peer's supplementary groups; none where the kernel does not tell.
func peerGroups(fd uintptr) []int {
	var groups [1024]uint32
	length := uint32(unsafe.Sizeof(groups))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, fd, unix.SOL_SOCKET, unix.SO_PEERGROUPS,
		uintptr(unsafe.Pointer(&groups[0])), uintptr(unsafe.Pointer(&length)), 0)
	if errno != 0 {
		return nil
	}
	var out []int
	for _, g := range groups[:length/4] {
		out = append(out, int(g))
	}
	return out
}
