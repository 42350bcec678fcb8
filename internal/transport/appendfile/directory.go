package appendfile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"exigo/internal/mail"
	"exigo/internal/regex"
	"exigo/internal/transport"
)

// newFile delivers into a new file (spec 26.4).
func (d *delivery) newFile() error {
	if !d.mayCreate(d.Path) {
		return transport.Defer(mail.ErrnoBadCreate, "tried to create file in %s, but file creation outside the home directory is not permitted", d.Path)
	}
	if d.Format == maildir {
		return d.intoMaildir()
	}
	if d.CreateDirectory {
		if err := d.ensure(d.Path); err != nil {
			return err
		}
	}
	usage, err := d.measure()
	if err != nil {
		return err
	}
	if d.Format == mailstore {
		return d.intoMailstore(usage)
	}
	return d.intoSingle(usage)
}

// ensure makes a directory exist.
func (d *delivery) ensure(name string) error {
	if _, err := os.Stat(name); !errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err := d.makeDirectories(name); err != nil && d.Format == mailstore {
		return system(err, "while creating directory %s", name)
	}
	return nil // a failure shows when the file is created
}

// checkQuota refuses the message when the mailbox would be too full.
func (d *delivery) checkQuota(u usage, name string) error {
	adds, one := d.MessageSize, int64(1)
	if d.QuotaExclusive {
		adds, one = 0, 0
	}
	if u.skip {
		return nil
	}
	if d.Quota.exceeded(u.size + adds) {
		return d.full("", name)
	}
	if d.QuotaFiles.exceeded(u.files + one) {
		return d.full(" filecount", name)
	}
	return nil
}

// created opens a new file, with exactly the configured mode.
func (d *delivery) created(name string) (*os.File, error) {
	// os.OpenFile would have the poller look at the file, with five more system calls.
	fd, err := -1, error(syscall.EINTR)
	for errors.Is(err, syscall.EINTR) {
		fd, err = unix.Open(name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC, d.Mode&0o777)
	}
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: name, Err: err}
	}
	f := os.NewFile(uintptr(fd), name)
	if info, err := f.Stat(); err != nil || info.Mode() != fileMode(d.Mode) {
		if err := f.Chmod(fileMode(d.Mode)); err != nil {
			f.Close()
			os.Remove(name)
			return nil, err
		}
	}
	return f, nil
}

// intoSingle writes a file of no special format (spec 26.9).
func (d *delivery) intoSingle(u usage) error {
	temp := fmt.Sprintf("%s/temp.%d.%s", d.Path, os.Getpid(), d.Hostname)
	f, err := d.created(temp)
	for i := 0; errors.Is(err, os.ErrExist) && i < 10; i++ { // another delivery of this process, or one that was killed
		temp = fmt.Sprintf("%s/temp.%d.%d.%s", d.Path, os.Getpid(), d.sequence()>>16, d.Hostname)
		f, err = d.created(temp)
	}
	if err != nil {
		return system(err, "while creating file %s", temp)
	}
	size, err := d.fill(f, u, temp)
	if err != nil {
		os.Remove(temp)
		return err
	}
	info, err := os.Lstat(temp)
	if err != nil {
		return system(err, "while getting the inode of %s", temp)
	}
	final, err := d.e.Ask(askName, map[string]string{"inode": strconv.FormatUint(info.Sys().(*syscall.Stat_t).Ino, 10)})
	if err != nil {
		os.Remove(temp)
		return transport.Panic(mail.ErrnoExpandFail, "%v", err)
	}
	final = d.Path + "/" + final
	if err := os.Rename(temp, final); err != nil {
		os.Remove(temp)
		return system(err, "while renaming %s as %s", temp, final)
	}
	d.warnAt(u.size, u.size+size)
	return nil
}

// fill checks the quota, writes the message into the new file and closes it.
func (d *delivery) fill(f *os.File, u usage, name string) (int64, error) {
	if err := d.checkQuota(u, name); err != nil {
		f.Close()
		return 0, err
	}
	size, err := d.write(f, name, true)
	if cerr := f.Close(); err == nil && cerr != nil {
		err = d.writeFailed(cerr, name)
	}
	return size, err
}

// intoMailstore writes an .msg and an .env file (spec 26.8). The .env file appears when both are complete.
func (d *delivery) intoMailstore(u usage) error {
	base := d.Path + "/" + d.e.MessageID + "-" + base62(uint64(os.Getpid()))
	env, err := d.created(base + ".tmp")
	for i := 0; errors.Is(err, os.ErrExist) && i < 10; i++ {
		base = d.Path + "/" + d.e.MessageID + "-" + base62(uint64(d.sequence()))
		env, err = d.created(base + ".tmp")
	}
	if err != nil {
		return system(err, "while creating file %s", base+".tmp")
	}
	if err := d.envelope(env, base); err != nil {
		os.Remove(base + ".tmp")
		return err
	}
	msg, err := d.created(base + ".msg")
	if err != nil {
		os.Remove(base + ".tmp")
		return system(err, "while creating file %s", base+".msg")
	}
	size, err := d.fill(msg, u, base+".msg")
	if err == nil {
		if err = os.Rename(base+".tmp", base+".env"); err != nil {
			err = system(err, "while renaming %s as %s", base+".tmp", base+".env")
		}
	}
	if err != nil {
		os.Remove(base + ".tmp")
		os.Remove(base + ".msg")
		return err
	}
	d.warnAt(u.size, u.size+size)
	return nil
}

// envelope writes the .env file.
func (d *delivery) envelope(f *os.File, base string) error {
	text := ""
	for _, part := range []string{"prefix", "", "suffix"} {
		if part == "" {
			text += d.e.Sender + "\n" + strings.Join(d.e.Recipients, "\n") + "\n"
			continue
		}
		s, err := d.e.Ask(askStore, map[string]string{"part": part, "basename": base})
		if err != nil {
			f.Close()
			return transport.Panic(mail.ErrnoExpandFail, "%v", err)
		}
		text += s
	}
	_, err := f.WriteString(text)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return system(err, "while writing %s", base+".tmp")
	}
	return nil
}

// base62 writes a number in six digits as message ids do.
func base62(n uint64) string {
	const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	var b [6]byte
	for i := len(b) - 1; i >= 0; i-- {
		b[i] = digits[n%62]
		n /= 62
	}
	return string(b[:])
}

// maildirParts are the subdirectories of a maildir.
var maildirParts = [...]string{"", "/new", "/cur", "/tmp"}

// prepareMaildir makes the maildir's directories and its maildirfolder file exist.
func (d *delivery) prepareMaildir() error {
	for _, part := range maildirParts {
		name := d.Path + part
		info, err := os.Stat(name)
		if err == nil {
			if !info.IsDir() {
				return transport.Defer(mail.ErrnoNotDirectory, "%s is not a directory", name)
			}
			continue
		}
		if !errors.Is(err, os.ErrNotExist) || !d.CreateDirectory {
			return system(err, "stat() error for %s: %s", name, reason(err))
		}
		if err := d.makeDirectories(name); err != nil {
			return system(err, "cannot create %s", name)
		}
	}
	return d.folderFile()
}

// folderFile creates the file maildirfolder where maildirfolder_create_regex asks for it.
func (d *delivery) folderFile() error {
	if d.FolderRegex == "" {
		return nil
	}
	re, err := regex.Compile(d.FolderRegex, 0)
	if err != nil {
		return transport.Panic(mail.ErrnoUnknown, "appendfile: regular expression error: %v", err)
	}
	if ok, err := re.Test(d.Path); err != nil || !ok {
		return nil
	}
	f, err := os.OpenFile(d.Path+"/maildirfolder", os.O_WRONLY|os.O_CREATE|os.O_EXCL, os.FileMode(d.Mode&0o777))
	if err == nil {
		return f.Close()
	}
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	return system(err, "appendfile: failed to create maildirfolder file in %s directory: %s", d.Path, reason(err))
}

// intoMaildir delivers into a maildir (spec 26.5): written in tmp, synced, and renamed into new. The rename refuses to
// replace a file, so that no name clash can lose a message.
func (d *delivery) intoMaildir() error {
	// That tmp and new are there shows when they are used; only if not, or if more is to be seen to, are all looked at.
	if info, err := os.Stat(d.Path + "/cur"); err != nil || !info.IsDir() || d.FolderRegex != "" {
		if err := d.prepareMaildir(); err != nil {
			return err
		}
	}
	u, err := d.measure()
	if err != nil {
		return err
	}
	f, name, err := d.temporary()
	if isMissing(err) {
		if err := d.prepareMaildir(); err != nil {
			return err
		}
		f, name, err = d.temporary()
	}
	if err != nil {
		return err
	}
	shown := "tmp/" + name
	size, err := d.fill(f, u, shown)
	temp := d.Path + "/" + shown
	if err != nil {
		os.Remove(temp)
		return err
	}
	tag, err := d.tag(size)
	if err != nil {
		os.Remove(temp)
		return err
	}
	err = d.publish(temp, name, tag)
	if isMissing(err) {
		if err = d.prepareMaildir(); err == nil {
			err = d.publish(temp, name, tag)
		}
	}
	if err != nil {
		os.Remove(temp)
		return err
	}
	if u.sizeFile != nil {
		if err := u.sizeFile.add(size); err != nil {
			d.e.Log(fmt.Sprintf("failed to write to %s: %v", u.sizeFile.name, err))
		}
	}
	d.warnAt(u.size, u.size+size)
	return nil
}

// isMissing tells whether the error is that of a directory that is not there, or is none.
func isMissing(err error) bool {
	var te *transport.Error
	return errors.As(err, &te) && (te.Outcome.Errno == int(syscall.ENOENT) || te.Outcome.Errno == int(syscall.ENOTDIR))
}

// temporary creates a file in tmp with a name of time, process and host; where another delivery of this process has the name
// of the same microsecond, a number is added.
func (d *delivery) temporary() (*os.File, string, error) {
	for i := 1; ; i++ {
		name := d.uniqueName(i - 1)
		f, err := d.created(d.Path + "/tmp/" + name)
		if err == nil {
			return f, name, nil
		}
		if !errors.Is(err, os.ErrExist) || i >= maxNames {
			return nil, "", system(err, "failed to open %s (%d tr%s)", "tmp/"+name, i, tries(i))
		}
	}
}

// maxNames bounds the search for a name that is free.
const maxNames = 1000

// uniqueName is a maildir file name; n tells names of one microsecond apart.
func (d *delivery) uniqueName(n int) string {
	now := d.e.World.Clock.Now()
	extra := ""
	if n > 0 {
		extra = "Q" + strconv.Itoa(n)
	}
	return fmt.Sprintf("%d.M%dP%d%s.%s", now.Unix(), now.Nanosecond()/1000, os.Getpid(), extra, d.Hostname)
}

func tries(n int) string {
	if n == 1 {
		return "y"
	}
	return "ies"
}

// tag has maildir_tag expanded and keeps of it what may stand in a file name (spec 26.6).
func (d *delivery) tag(size int64) (string, error) {
	if !d.AskTag {
		return "", nil
	}
	text, err := d.e.Ask(askTag, map[string]string{"size": strconv.FormatInt(size, 10)})
	if err != nil {
		return "", transport.Defer(mail.ErrnoExpandFail, "%v", err)
	}
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if c := text[i]; c > ' ' && c < 0x7f && c != '/' {
			b.WriteByte(c)
		}
	}
	tag := b.String()
	if tag != "" && (tag[0] >= '0' && tag[0] <= '9' || tag[0]|0x20 >= 'a' && tag[0]|0x20 <= 'z') {
		tag = ":" + tag
	}
	return tag, nil
}

// publish renames the file into new; a tag that makes the name too long is dropped.
func (d *delivery) publish(temp, name, tag string) error {
	for i := 0; ; i++ {
		final := d.Path + "/new/" + name + tag
		err := renameNew(temp, final)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, syscall.ENAMETOOLONG) && tag != "":
			tag = ""
		case errors.Is(err, os.ErrExist) && i < maxNames:
			name = d.uniqueName(i + 1)
		default:
			return system(err, "while renaming %s as %s", "tmp/"+filepath.Base(temp), "new/"+name+tag)
		}
	}
}

// renameNew renames without replacing anything; where the file system cannot do that, link and unlink can.
func renameNew(from, to string) error {
	err := unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_NOREPLACE)
	if err != unix.EINVAL && err != unix.ENOSYS {
		return err
	}
	if err := os.Link(from, to); err != nil {
		return err
	}
	return os.Remove(from)
}
