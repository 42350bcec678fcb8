package appendfile

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"exigo/internal/mail"
	"exigo/internal/transport"
)

// lockFile makes the lock file by way of a hitching post, which works over NFS (spec 26.3).
func (d *delivery) lockFile() (unlock func(), err error) {
	name := d.Path + ".lock"
	clock := d.e.World.Clock
	post := fmt.Sprintf("%s.%s.%08x.%08x", name, d.Hostname, clock.Now().Unix(), uint32(os.Getpid())^uint32(d.sequence()))
	for i := 0; i < d.LockRetries; i++ {
		done, err := d.hitch(post, name)
		if err != nil {
			return nil, err
		}
		if done {
			return func() { os.Remove(name) }, nil
		}
		if info, err := os.Lstat(name); err == nil && d.LockfileTimeout > 0 && clock.Now().Sub(info.ModTime()) > d.LockfileTimeout {
			os.Remove(name)
			continue
		}
		if i+1 == d.LockRetries {
			break
		}
		if err := clock.Sleep(d.ctx, d.LockInterval); err != nil {
			return nil, transport.Defer(mail.ErrnoUnknown, "delivery interrupted")
		}
	}
	return nil, transport.Defer(mail.ErrnoLockFailed, "failed to lock mailbox %s (lock file)", d.Path)
}

// sequence tells deliveries of one process apart that lock the same mailbox in the same second.
func (d *delivery) sequence() uint32 {
	var n [4]byte
	d.e.World.Random.Read(n[:])
	return uint32(n[0])<<24 | uint32(n[1])<<16
}

// hitch makes the post and links it to the lock file's name. Two links prove success even if link(2) said otherwise.
func (d *delivery) hitch(post, name string) (done bool, err error) {
	f, err := os.OpenFile(post, os.O_WRONLY|os.O_CREATE|os.O_EXCL, os.FileMode(d.LockfileMode&0o777))
	if err != nil {
		return false, system(err, "creating lock file hitching post %s (euid=%d egid=%d)", post, os.Geteuid(), os.Getegid())
	}
	defer os.Remove(post)
	f.Chmod(fileMode(d.LockfileMode))
	f.Close()
	if os.Link(post, name) == nil {
		return true, nil
	}
	info, err := os.Lstat(post)
	return err == nil && info.Sys().(*syscall.Stat_t).Nlink == 2, nil
}

// lock takes the locks on the open file. The fcntl lock belongs to the open file description: it excludes other
// programs' fcntl locks as the classic one does, and other deliveries of this process as well.
func (d *delivery) lock(f *os.File) (bool, error) {
	fd := int(f.Fd())
	if d.Fcntl {
		whole := unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart}
		ok, err := d.attempt(d.lockPatience(d.LockFcntlTimeout), func() error { return unix.FcntlFlock(uintptr(fd), unix.F_OFD_SETLK, &whole) })
		if !ok || err != nil {
			return false, err
		}
	}
	if d.Flock {
		return d.attempt(d.lockPatience(d.LockFlockTimeout), func() error { return unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) })
	}
	return true, nil
}

// lockPatience is how long one try may take. Tries that do not block come lock_interval apart; to wait for the lock in between, and not just to
// sleep, keeps deliveries from starving at a mailbox that others write to all the time.
func (d *delivery) lockPatience(timeout time.Duration) time.Duration {
	if d.LockFcntlTimeout == 0 && d.LockFlockTimeout == 0 {
		return d.LockInterval
	}
	return timeout
}

// lockPoll is how often a blocking lock is tried: a call that waits in the kernel could not be ended by ctx.
const lockPoll = 50 * time.Millisecond

// attempt tries to lock, for as long as the timeout says.
func (d *delivery) attempt(timeout time.Duration, try func() error) (bool, error) {
	clock := d.e.World.Clock
	for end := clock.Now().Add(timeout); ; {
		err := try()
		if err == nil {
			return true, nil
		}
		if !errors.Is(err, syscall.EAGAIN) && !errors.Is(err, syscall.EACCES) && !errors.Is(err, syscall.EINTR) {
			return false, system(err, "failed to lock mailbox %s (fcntl/flock)", d.Path)
		}
		if !clock.Now().Before(end) {
			return false, nil
		}
		if clock.Sleep(d.ctx, lockPoll) != nil {
			return false, transport.Defer(mail.ErrnoUnknown, "delivery interrupted")
		}
	}
}
