package appendfile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"exigo/internal/mail"
	"exigo/internal/transport"
)

// delivery is one execution in the helper.
type delivery struct {
	job
	ctx context.Context
	e   *transport.Execution
	// size is what the message took in the file.
	size int64
	// warn: the quota warning is to be sent, which may go to the mailbox that is locked now.
	warn bool
}

// execute delivers the message.
func execute(ctx context.Context, e *transport.Execution) []mail.Outcome {
	d := &delivery{ctx: ctx, e: e}
	if err := e.Decode(&d.job); err != nil {
		return e.All(transport.Panic(mail.ErrnoUnknown, "appendfile: %v", err).Outcome)
	}
	if d.Null {
		return e.All(mail.Outcome{Result: mail.Delivered})
	}
	var err error
	d.size = 0
	switch {
	case d.QuotaOnly:
		if err = d.room(); err == nil {
			return e.All(mail.Outcome{Result: mail.Delivered})
		}
	case d.Format == mbox:
		err = d.appendToFile()
	default:
		err = d.newFile()
	}
	if err == nil {
		d.sendWarning()
		if d.NotifyComsat {
			d.comsat()
		}
		return e.All(mail.Outcome{Result: mail.Delivered, Size: d.size})
	}
	var te *transport.Error
	if !errors.As(err, &te) {
		te = transport.Defer(mail.ErrnoUnknown, "%v", err)
	}
	return e.All(te.Outcome)
}

// system makes a deferral of a failed system call: errno and what was being done.
func system(err error, format string, args ...any) *transport.Error {
	var n syscall.Errno
	errors.As(err, &n)
	return transport.Defer(int(n), format, args...)
}

// write puts prefix, envelope, message and suffix into the file and has it reach the disk. It returns the bytes written.
func (d *delivery) write(f *os.File, name string, sync bool) (int64, error) {
	var head bytes.Buffer
	if d.Format != mailstore {
		head.WriteString(d.Prefix)
	}
	end := "\n"
	if d.CRLF {
		end = "\r\n"
	}
	if d.BSMTP {
		head.WriteString("MAIL FROM:<" + d.e.Sender + ">" + end)
		for _, r := range d.e.Recipients {
			head.WriteString("RCPT TO:<" + r + ">" + end)
		}
		head.WriteString("DATA" + end)
	}
	var size int64
	if head.Len() > 0 {
		n, err := f.Write(head.Bytes())
		if size += int64(n); err != nil {
			return size, d.writeFailed(err, name)
		}
	}
	n, err := d.e.Message.WriteTo(d.ctx, f, transport.WriteOptions{CRLF: d.CRLF, Check: d.Check, Escape: d.Escape, FinalNewline: d.BSMTP})
	if size += n; err != nil {
		return size, d.writeFailed(err, name)
	}
	tail := ""
	if d.BSMTP {
		tail = "." + end
	}
	if d.Format != mailstore {
		tail += d.Suffix
	}
	if tail != "" {
		n, err := io.WriteString(f, tail)
		if size += int64(n); err != nil {
			return size, d.writeFailed(err, name)
		}
	}
	if sync {
		if err := f.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) {
			return size, d.writeFailed(err, name)
		}
	}
	d.size = size
	return size, nil
}

// writeFailed words a failure to write.
func (d *delivery) writeFailed(err error, name string) error {
	var fe *transport.FilterError
	switch {
	case errors.As(err, &fe):
		if fe.Timeout {
			return transport.Defer(0, "%s", fe.Text)
		}
		return transport.Defer(mail.ErrnoFilterFail, "%s", fe.Text)
	case errors.Is(err, transport.ErrSpool):
		return system(err, "error while reading spool file for delivery to %s", name)
	case errors.Is(err, syscall.EDQUOT):
		te := system(err, "mailbox is full (quota exceeded while writing to file %s)", name)
		te.Outcome.UserMessage = "mailbox is full"
		return te
	case errors.Is(err, syscall.ENOSPC):
		return system(err, "error while writing to %s", name)
	case d.ctx.Err() != nil:
		return transport.Defer(mail.ErrnoUnknown, "delivery interrupted")
	}
	return system(err, "error while writing to %s", name)
}

// full makes the outcome of Exim's own quota. Retry rules ask for how long the mailbox was not read (spec 32.5).
func (d *delivery) full(kind, name string) error {
	te := transport.Defer(mail.ErrnoQuota, "mailbox is full (MTA-imposed%s quota exceeded while writing to %s)", kind, name)
	te.Outcome.UserMessage = "mailbox is full"
	if read, ok := d.lastRead(); ok {
		te.Outcome.MoreErrno = max(int(d.e.World.Clock.Now().Sub(read)/time.Second), 0)
	}
	return te
}

// lastRead guesses when the owner last read his mail: the access time of a single file, the modification of a maildir's "new".
func (d *delivery) lastRead() (time.Time, bool) {
	path := d.Path
	if d.Format == maildir {
		path = filepath.Join(path, "new")
	}
	info, err := os.Stat(path)
	if err != nil {
		return time.Time{}, false
	}
	if d.Format == maildir {
		return info.ModTime(), true
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || info.IsDir() {
		return time.Time{}, false
	}
	return time.Unix(st.Atim.Unix()), true
}

// mayCreate checks a path against create_file: it must lie below the directory, "belowhome" also with all symbolic links resolved.
func (d *delivery) mayCreate(name string) bool {
	if d.Within == "" {
		return true
	}
	rest, ok := strings.CutPrefix(name, strings.TrimRight(d.Within, "/"))
	if !ok || rest != "" && rest[0] != '/' {
		return false
	}
	if !d.Below {
		return true
	}
	if strings.Contains(rest+"/", "/../") {
		return false
	}
	home, err := filepath.EvalSymlinks(d.Within)
	if err != nil {
		return false
	}
	for p := name; ; p = filepath.Dir(p) {
		real, err := filepath.EvalSymlinks(p)
		if err == nil {
			return beneath(real, home)
		}
		if _, lerr := os.Lstat(p); lerr == nil || p == "/" {
			return false // a link that leads nowhere
		}
	}
}

// makeDirectories creates a directory and those above it with exactly the mode that is configured.
func (d *delivery) makeDirectories(name string) error {
	info, err := os.Stat(name)
	if err == nil {
		if !info.IsDir() {
			return &os.PathError{Op: "mkdir", Path: name, Err: syscall.ENOTDIR}
		}
		return nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if parent := filepath.Dir(name); parent != name {
		if err := d.makeDirectories(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(name, os.FileMode(d.DirectoryMode&0o777)); err != nil {
		if errors.Is(err, os.ErrExist) {
			return nil
		}
		return err
	}
	return os.Chmod(name, fileMode(d.DirectoryMode))
}

// fileMode turns mode bits as administrators write them into Go's.
func fileMode(bits uint32) os.FileMode {
	m := os.FileMode(bits & 0o777)
	if bits&syscall.S_ISUID != 0 {
		m |= os.ModeSetuid
	}
	if bits&syscall.S_ISGID != 0 {
		m |= os.ModeSetgid
	}
	if bits&syscall.S_ISVTX != 0 {
		m |= os.ModeSticky
	}
	return m
}

// warnAt notes that the mailbox has grown past the threshold with this message.
func (d *delivery) warnAt(before, after int64) {
	d.warn = d.Threshold > 0 && before <= d.Threshold && after > d.Threshold
}

// sendWarning has the warning sent that is due, once the mailbox is unlocked.
func (d *delivery) sendWarning() {
	if !d.warn {
		return
	}
	if _, err := d.e.Ask(askWarning, nil); err != nil {
		d.e.PanicLog(fmt.Sprintf("failed to send quota warning: %v", err))
	}
}
