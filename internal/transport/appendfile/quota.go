package appendfile

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"exigo/internal/mail"
	"exigo/internal/regex"
	"exigo/internal/transport"
)

// usage is how full a mailbox of files is.
type usage struct {
	size, files int64
	// skip says that the directory is left out of quotas altogether.
	skip     bool
	sizeFile *sizeFile
}

// measure finds out the size of the mailbox, if any option wants to know it.
func (d *delivery) measure() (usage, error) {
	u := usage{}
	needed := d.Quota.Value > 0 || d.Threshold > 0 || d.SizeFile && d.Format == maildir
	if !needed {
		return u, nil
	}
	root := d.Path
	if d.QuotaDirectory != "" {
		root = d.QuotaDirectory
	} else if d.Format == maildir {
		if _, err := os.Stat(d.Path + "/maildirfolder"); err == nil {
			root = filepath.Dir(d.Path)
		}
	}
	sizer, err := d.sizer()
	if err != nil {
		return u, err
	}
	if d.Format == maildir && d.SizeFile {
		return d.fromSizeFile(root, sizer)
	}
	if d.MailboxSize < 0 || d.Filecount < 0 {
		if u.size, u.files, err = sizer.directory(root, 0); err != nil {
			return u, system(err, "%s transport accessing directory: %s failed with error: %s", d.e.Transport, root, reason(err))
		}
	}
	if d.MailboxSize >= 0 {
		u.size = d.MailboxSize
	}
	if d.Filecount >= 0 {
		u.files = d.Filecount
	}
	return u, nil
}

// room tells whether the mailbox has room for the message. It changes nothing but a maildirsize file that is out of date.
func (d *delivery) room() error {
	info, err := os.Stat(d.Path)
	if errors.Is(err, os.ErrNotExist) {
		return d.checkQuota(usage{}, d.Path)
	}
	if err != nil {
		return system(err, "while checking the quota of %s", d.Path)
	}
	if d.Format == mbox {
		u := usage{size: info.Size()}
		if d.MailboxSize >= 0 {
			u.size = d.MailboxSize
		}
		return d.checkQuota(u, d.Path)
	}
	u, err := d.measure()
	if err != nil {
		return err
	}
	return d.checkQuota(u, d.Path)
}

// sizer adds up files.
type sizer struct{ fromName, counts *regex.Regexp }

func (d *delivery) sizer() (*sizer, error) {
	s := &sizer{}
	for _, one := range []struct {
		into    **regex.Regexp
		pattern string
	}{{&s.fromName, d.SizeRegex}, {&s.counts, d.DirectoryRegex}} {
		if one.pattern == "" {
			continue
		}
		re, err := regex.Compile(one.pattern, 0)
		if err != nil {
			return nil, transport.Panic(mail.ErrnoUnknown, "appendfile: regular expression error: %v", err)
		}
		*one.into = re
	}
	return s, nil
}

// maxDepth bounds the directories within directories that are measured.
const maxDepth = 32

// directory adds up the files below a directory.
func (s *sizer) directory(name string, depth int) (size, files int64, err error) {
	entries, err := os.ReadDir(name)
	if err != nil {
		return 0, 0, err
	}
	for _, e := range entries {
		if e.IsDir() {
			if depth < maxDepth {
				n, m, _ := s.directory(name+"/"+e.Name(), depth+1)
				size, files = size+n, files+m
			}
			continue
		}
		n, regular := s.file(e)
		if !regular {
			continue
		}
		size += n
		files++
	}
	return size, files, nil
}

// file is the size of one file, from its name if quota_size_regex finds it there, and shared among its links if not.
func (s *sizer) file(e fs.DirEntry) (int64, bool) {
	if s.fromName != nil {
		if caps, ok, err := s.fromName.Match(e.Name()); err == nil && ok && len(caps) > 1 {
			if n, err := strconv.ParseInt(caps[1], 10, 64); err == nil && n >= 0 {
				return n, true
			}
		}
	}
	info, err := e.Info()
	if err != nil || !info.Mode().IsRegular() {
		return 0, false
	}
	if links := int64(info.Sys().(*syscall.Stat_t).Nlink); links > 1 {
		return info.Size() / links, true
	}
	return info.Size(), true
}

// maildirs adds up a maildir with its folders by the maildir++ rules: new and cur of the directories that the expression selects.
func (s *sizer) maildirs(root string) (size, files int64, newest time.Time, err error) {
	entries, err := os.ReadDir(root)
	if err != nil {
		return 0, 0, newest, err
	}
	for _, e := range entries {
		if !e.IsDir() || e.Name() == "tmp" || !s.selected(e.Name()) {
			continue
		}
		parts := []string{root + "/" + e.Name()}
		if e.Name() != "new" && e.Name() != "cur" {
			parts = []string{parts[0] + "/new", parts[0] + "/cur"}
		}
		for _, p := range parts {
			if info, err := os.Stat(p); err == nil && info.ModTime().After(newest) {
				newest = info.ModTime()
			}
			n, m, err := s.directory(p, maxDepth)
			if err != nil {
				continue
			}
			size, files = size+n, files+m
		}
	}
	return size, files, newest, nil
}

func (s *sizer) selected(name string) bool {
	if s.counts == nil {
		return true
	}
	ok, err := s.counts.Test(name)
	return err == nil && ok
}

// sizeFile is a maildirsize file (maildir++): a line with the quota, and lines with sizes and numbers of messages that
// add up to what the maildir holds.
type sizeFile struct {
	name string
	mode uint32
}

// maxSizeFile is the length from which on the file is made anew.
const maxSizeFile = 5120

// staleAfter is the age from which on an over-quota state is checked by counting.
const staleAfter = 15 * time.Minute

// fromSizeFile reads the maildirsize file, or makes it.
func (d *delivery) fromSizeFile(root string, s *sizer) (usage, error) {
	u := usage{sizeFile: &sizeFile{name: root + "/maildirsize", mode: d.Mode}}
	if rel, ok := strings.CutPrefix(d.Path, root+"/"); ok {
		if first, _, _ := strings.Cut(rel, "/"); !s.selected(first) {
			return usage{skip: true}, nil
		}
	}
	size, files, lines, modified, ok := u.sizeFile.read(d.Quota.Value, d.QuotaFiles.Value)
	if ok {
		over := d.Quota.Value > 0 && size+d.MessageSize > d.Quota.Value || d.QuotaFiles.Value > 0 && files+1 > d.QuotaFiles.Value
		if !over || lines <= 1 && d.e.World.Clock.Now().Sub(modified) < staleAfter {
			u.size, u.files = size, files
			return u, nil
		}
	}
	size, files, _, err := s.maildirs(root)
	if err != nil {
		return u, system(err, "%s transport accessing directory: %s failed with error: %s", d.e.Transport, root, reason(err))
	}
	u.size, u.files = size, files
	if err := u.sizeFile.make(d, size, files); err != nil {
		return u, system(err, "while opening or reading %s", u.sizeFile.name)
	}
	return u, nil
}

// read adds up the file. ok is false when it is missing, damaged, too long, or made for other quotas.
func (s *sizeFile) read(quota, files int64) (size, count int64, lines int, modified time.Time, ok bool) {
	f, err := os.OpenFile(s.name, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return 0, 0, 0, modified, false
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() || info.Size() > maxSizeFile {
		return 0, 0, 0, modified, false
	}
	in := bufio.NewScanner(f)
	if !in.Scan() || !sameQuota(in.Text(), quota, files) {
		return 0, 0, 0, modified, false
	}
	for in.Scan() {
		var n, m int64
		if k, err := fmt.Sscan(in.Text(), &n, &m); err != nil || k != 2 {
			return 0, 0, 0, modified, false
		}
		size, count, lines = size+n, count+m, lines+1
	}
	if in.Err() != nil || size < 0 || count < 0 {
		return 0, 0, 0, modified, false
	}
	return size, count, lines, info.ModTime(), true
}

// sameQuota compares the first line, "1000S,10C", with the quotas.
func sameQuota(line string, quota, files int64) bool {
	var q, c int64
	for _, item := range strings.Split(line, ",") {
		if item == "" {
			return false
		}
		n, err := strconv.ParseInt(item[:len(item)-1], 10, 64)
		if err != nil {
			return false
		}
		switch item[len(item)-1] {
		case 'S':
			q = n
		case 'C':
			c = n
		}
	}
	return q == quota && c == files
}

// make writes the file anew and renames it into place.
func (s *sizeFile) make(d *delivery, size, files int64) error {
	now := d.e.World.Clock.Now()
	temp := fmt.Sprintf("%s/tmp/%d.M%dP%d.%s", d.Path, now.Unix(), now.Nanosecond()/1000, os.Getpid(), d.Hostname)
	f, err := d.created(temp)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, "%dS,%dC\n%d %d\n", d.Quota.Value, d.QuotaFiles.Value, size, files)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(temp, s.name)
	}
	if err != nil {
		os.Remove(temp)
	}
	return err
}

// add appends the message that was just delivered.
func (s *sizeFile) add(size int64) error {
	f, err := os.OpenFile(s.name, os.O_WRONLY|os.O_APPEND|syscall.O_NOFOLLOW, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil // whoever removed it counts anew
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, "%d 1\n", size)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}
