package appendfile

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"exigo/internal/mail"
	"exigo/internal/transport"
)

// appendToFile delivers to a mailbox file (spec 26.3).
func (d *delivery) appendToFile() error {
	if err := d.directoriesOfFile(); err != nil {
		return err
	}
	if switched, err := d.checkFormat(); switched || err != nil {
		return err
	}
	if d.Lockfile {
		unlock, err := d.lockFile()
		if err != nil {
			return err
		}
		defer unlock()
	}
	f, fifo, err := d.openLocked()
	if err != nil {
		return err
	}
	defer f.Close()
	if fifo {
		_, err := d.write(f, d.Path, false)
		return err
	}
	return d.appendTo(f)
}

// directoriesOfFile creates missing directories above the file.
func (d *delivery) directoriesOfFile() error {
	if !d.CreateDirectory {
		return nil
	}
	parent := filepath.Dir(d.Path)
	if _, err := os.Stat(parent); !errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if !d.mayCreate(d.Path) {
		return transport.Defer(mail.ErrnoBadCreate, "mailbox %s does not exist, but creation outside the home directory is not permitted", d.Path)
	}
	if err := d.makeDirectories(parent); err != nil {
		return system(err, "failed to create directories for %s: %s", d.Path, reason(err))
	}
	return nil
}

// reason is the system's own text of an error.
func reason(err error) string {
	var n syscall.Errno
	if errors.As(err, &n) {
		return transport.Strerror(int(n))
	}
	return err.Error()
}

// checkFormat looks at the start of the file (option file_format) and hands over to the transport for the format found.
func (d *delivery) checkFormat() (switched bool, err error) {
	if len(d.Formats) < 2 {
		return false, nil
	}
	f, err := os.OpenFile(d.Path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return false, nil // what is wrong with it will be found out when it is opened for writing
	}
	defer f.Close()
	start := make([]byte, 4096)
	n, err := io.ReadFull(f, start)
	if n == 0 || err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return false, nil
	}
	for i := 0; i+1 < len(d.Formats); i += 2 {
		if !strings.HasPrefix(string(start[:n]), d.Formats[i]) {
			continue
		}
		if name := d.Formats[i+1]; name != d.e.Transport {
			d.e.SwitchTo, d.e.SwitchWhy = name, d.Formats[i]
			return true, nil
		}
		return false, nil
	}
	return false, transport.Defer(mail.ErrnoFormatUnknown, "mailbox file format unrecognized")
}

// openLocked opens the file and locks it, again and again as the options say.
func (d *delivery) openLocked() (f *os.File, fifo bool, err error) {
	tries := d.LockRetries
	if wait := max(d.LockFcntlTimeout, d.LockFlockTimeout); wait > 0 {
		tries = max(1, int((time.Duration(d.LockRetries)*d.LockInterval+wait-1)/wait))
	}
	for i := 0; ; i++ {
		if f, fifo, err = d.open(); err != nil || fifo {
			return f, fifo, err
		}
		locked, err := d.lock(f)
		if err != nil {
			f.Close()
			return nil, false, err
		}
		if locked && d.unchanged(f) {
			return f, false, nil
		}
		f.Close()
		if i+1 >= tries {
			return nil, false, transport.Defer(mail.ErrnoLockFailed, "failed to lock mailbox %s (fcntl/flock)", d.Path)
		}
	}
}

// unchanged tells whether the locked file is still the one of its name: a mail reader may have put another in its place.
func (d *delivery) unchanged(f *os.File) bool {
	mine, err := f.Stat()
	if err != nil {
		return false
	}
	now, err := os.Stat(d.Path)
	return err == nil && os.SameFile(mine, now)
}

// open opens or creates the file; the loop ends when somebody creates and deletes it all the time.
func (d *delivery) open() (f *os.File, fifo bool, err error) {
	for range 10 {
		info, err := os.Lstat(d.Path)
		link := false
		if err == nil && info.Mode()&os.ModeSymlink != 0 && d.AllowSymlink {
			if err := d.checkIdentity(info, " (symlink)"); err != nil {
				return nil, false, err
			}
			link = true
			info, err = os.Stat(d.Path)
		}
		if err == nil {
			f, fifo, err = d.openExisting(info)
		} else if errors.Is(err, os.ErrNotExist) {
			f, err = d.create(link)
		} else {
			return nil, false, system(err, "attempting to stat mailbox %s", d.Path)
		}
		if f != nil || err != nil {
			return f, fifo, err
		}
	}
	te := transport.Defer(mail.ErrnoUnknown, "mailbox %s exists/doesn't exist loop", d.Path)
	te.Outcome.Freeze = true
	return nil, false, te
}

// checkIdentity compares owner and group with the delivery's.
func (d *delivery) checkIdentity(info os.FileInfo, what string) error {
	if what == "" && info.Mode()&os.ModeSymlink != 0 {
		what = " (symlink)"
	}
	sys := info.Sys().(*syscall.Stat_t)
	if d.CheckOwner && int(sys.Uid) != d.e.Identity.UID {
		return transport.Defer(mail.ErrnoBadUGID, "mailbox %s%s has wrong uid (%d != %d)", d.Path, what, sys.Uid, d.e.Identity.UID)
	}
	if d.CheckGroup && int(sys.Gid) != d.e.Identity.GID {
		return transport.Defer(mail.ErrnoBadUGID, "mailbox %s%s has wrong gid (%d != %d)", d.Path, what, sys.Gid, d.e.Identity.GID)
	}
	return nil
}

// openExisting checks and opens a file that is there; no file and no error mean that it has vanished.
func (d *delivery) openExisting(info os.FileInfo) (f *os.File, fifo bool, err error) {
	if err := d.checkIdentity(info, ""); err != nil {
		return nil, false, err
	}
	sys := info.Sys().(*syscall.Stat_t)
	fifo = info.Mode()&os.ModeNamedPipe != 0 && d.AllowFIFO
	switch {
	case sys.Nlink != 1:
		return nil, false, transport.Defer(mail.ErrnoNotRegular, "mailbox %s has too many links (%d)", d.Path, sys.Nlink)
	case !info.Mode().IsRegular() && !fifo:
		also := ""
		if d.AllowFIFO {
			also = " or named pipe"
		}
		return nil, false, transport.Defer(mail.ErrnoNotRegular, "mailbox %s is not a regular file%s", d.Path, also)
	}
	if err := d.fixMode(sys.Mode & 0o7777); err != nil {
		return nil, false, err
	}
	if fifo {
		f, err = os.OpenFile(d.Path, os.O_WRONLY|syscall.O_NONBLOCK, 0)
		if err != nil {
			return nil, true, system(err, "while opening named pipe %s (could mean no process is reading it)", d.Path)
		}
		return f, true, nil
	}
	flags := os.O_RDWR | os.O_APPEND
	if !d.AllowSymlink {
		flags |= syscall.O_NOFOLLOW
	}
	f, err = os.OpenFile(d.Path, flags, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, system(err, "while opening mailbox %s", d.Path)
	}
	if err := d.sameFile(f, info); err != nil {
		f.Close()
		return nil, false, err
	}
	return f, false, nil
}

// sameFile makes sure that what was opened is what was examined; if not, somebody plays games, and the message is frozen.
func (d *delivery) sameFile(f *os.File, before os.FileInfo) error {
	after, err := f.Stat()
	if err != nil {
		return system(err, "opened mailbox %s: stat failed", d.Path)
	}
	was, is := before.Sys().(*syscall.Stat_t), after.Sys().(*syscall.Stat_t)
	var te *transport.Error
	switch {
	case is.Ino != was.Ino || is.Dev != was.Dev:
		te = transport.Defer(mail.ErrnoUnknown, "opened mailbox %s inode number changed from %d to %d", d.Path, was.Ino, is.Ino)
	case !after.Mode().IsRegular():
		te = transport.Defer(mail.ErrnoNotRegular, "opened mailbox %s is no longer a regular file", d.Path)
	case d.CheckOwner && int(is.Uid) != d.e.Identity.UID || d.CheckGroup && int(is.Gid) != d.e.Identity.GID:
		te = transport.Defer(mail.ErrnoBadUGID, "opened mailbox %s has wrong uid or gid", d.Path)
	default:
		return nil
	}
	te.Outcome.Freeze = true
	return te
}

// fixMode narrows a file's mode to the configured one, and refuses one that is too narrow.
func (d *delivery) fixMode(old uint32) error {
	want := d.Mode & 0o7777
	if old == want {
		return nil
	}
	if diffs := old ^ want; diffs&want == diffs {
		if d.ModeFailNarrower {
			return transport.Defer(mail.ErrnoBadMode, "mailbox %s has the wrong mode %.3o (%.3o expected)", d.Path, old, want)
		}
		return nil
	}
	if err := os.Chmod(d.Path, fileMode(want)); err != nil {
		return system(err, "attempting to chmod mailbox %s", d.Path)
	}
	return nil
}

// create makes the file; no file and no error mean that somebody else has just made it. A link's target is made
// without O_EXCL, which would not follow the link.
func (d *delivery) create(link bool) (*os.File, error) {
	if d.FileMustExist {
		return nil, transport.Defer(int(syscall.ENOENT), "mailbox %s does not exist, but file_must_exist is set", d.Path)
	}
	if !d.mayCreate(d.Path) {
		return nil, transport.Defer(mail.ErrnoBadCreate, "mailbox %s does not exist, but creation outside the home directory is not permitted", d.Path)
	}
	flags := os.O_RDWR | os.O_APPEND | os.O_CREATE
	if !link {
		flags |= os.O_EXCL
	}
	f, err := os.OpenFile(d.Path, flags, os.FileMode(d.Mode&0o777))
	if errors.Is(err, os.ErrExist) {
		return nil, nil
	}
	if err != nil {
		return nil, system(err, "while creating mailbox %s", d.Path)
	}
	if err := f.Chmod(fileMode(d.Mode)); err != nil {
		f.Close()
		return nil, system(err, "while setting perms on mailbox %s", d.Path)
	}
	return f, nil
}

// appendTo checks the quota and writes; a failure puts the file back to what it was.
func (d *delivery) appendTo(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return system(err, "opened mailbox %s: stat failed", d.Path)
	}
	size := info.Size()
	total := size
	if d.MailboxSize >= 0 {
		total = d.MailboxSize
	}
	adds := d.MessageSize
	if d.QuotaExclusive {
		adds = 0
	}
	if d.Quota.exceeded(total + adds) {
		return d.full("", d.Path)
	}
	written, err := d.write(f, d.Path, true)
	if err != nil {
		f.Truncate(size)
		os.Chtimes(d.Path, time.Now(), info.ModTime())
		return err
	}
	d.warnAt(total, total+written)
	return nil
}

// comsat tells the comsat daemon of new mail: "user@offset" as UDP datagram to port 512 of this host.
func (d *delivery) comsat() {
	c, err := net.Dial("udp", "127.0.0.1:512")
	if err != nil {
		return
	}
	defer c.Close()
	var offset int64
	if info, err := os.Stat(d.Path); err == nil && d.Format == mbox {
		offset = max(0, info.Size()-d.e.Message.Size())
	}
	c.Write([]byte(d.LocalPart + "@" + strconv.FormatInt(offset, 10) + "\n"))
}
