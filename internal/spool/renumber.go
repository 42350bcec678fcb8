package spool

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// The share of a short id's fraction in a long one's, whose unit is a microsecond.
const fractionShare = 500

// LongID is the 23-character form of a short id, ShortID the short form of a long one. An id that is so already comes back as it is.
// ShortID loses part of the fraction, so that two messages of one moment get the same.
func LongID(id string) string {
	if len(id) != oldIDLength {
		return id
	}
	var fraction [4]byte
	base62(fraction[:], number62(id[14:])*fractionShare)
	return id[:7] + "00000" + id[7:13] + "-" + string(fraction[:])
}

// ShortID is described at LongID.
func ShortID(id string) string {
	if len(id) != idLength {
		return id
	}
	var fraction [2]byte
	base62(fraction[:], number62(id[19:])/fractionShare)
	return id[:7] + id[12:18] + "-" + string(fraction[:])
}

func number62(text string) (n int64) {
	for i := range len(text) {
		n = n*62 + digit(text[i])
	}
	return n
}

// Renumber gives the messages of an input directory, and of its sub-directories, ids of the other form: rename maps an old id to the new
// one. Nobody may deliver meanwhile; what is locked is left alone and reported. n is how many were changed.
func Renumber(dir string, rename func(id string) string) (n int, err error) {
	names, err := readNames(dir)
	if err != nil {
		return 0, err
	}
	var failed []error
	for _, name := range names {
		if len(name) == 1 && digit(name[0]) >= 0 {
			m, err := Renumber(filepath.Join(dir, name), rename)
			n += m
			failed = append(failed, err)
			continue
		}
		id, isHeader := strings.CutSuffix(name, "-H")
		if !isHeader || !IsID(id) || rename(id) == id {
			continue
		}
		if err := renumber(dir, id, rename(id)); err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", id, err))
			continue
		}
		n++
	}
	return n, errors.Join(failed...)
}

// renumber copies the files of a message under the new id, the -H file last, and then removes the old ones, the -H file first.
func renumber(dir, from, to string) error {
	lockFile, err := os.OpenFile(filepath.Join(dir, from+"-D"), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer lockFile.Close()
	if err := lock(lockFile); err != nil {
		return err
	}
	if _, err := os.Lstat(filepath.Join(dir, to+"-D")); err == nil {
		return fmt.Errorf("there is a message %s already", to)
	}
	logs := filepath.Join(dir, "..", "msglog")
	if base := filepath.Base(dir); len(base) == 1 {
		logs = filepath.Join(dir, "..", "..", "msglog", base)
	}
	for _, suffix := range []string{"-D", "-J", "-H"} {
		if err := copyNumbered(dir, from, to, suffix); err != nil && (suffix != "-J" || !errors.Is(err, os.ErrNotExist)) {
			os.Remove(filepath.Join(dir, to+"-D"))
			os.Remove(filepath.Join(dir, to+"-J"))
			return err
		}
	}
	if err := (&Spool{}).syncDirectory(dir); err != nil {
		return err
	}
	for _, suffix := range []string{"-H", "-J", "-D"} {
		if err := os.Remove(filepath.Join(dir, from+suffix)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	os.Rename(filepath.Join(logs, from), filepath.Join(logs, to)) // most messages have none
	return nil
}

// copyNumbered copies a file; the first line of -D and -H files is their own name.
func copyNumbered(dir, from, to, suffix string) error {
	in, err := os.Open(filepath.Join(dir, from+suffix))
	if err != nil {
		return err
	}
	defer in.Close()
	st, err := in.Stat()
	if err != nil {
		return err
	}
	source := bufio.NewReader(in)
	first := ""
	if suffix != "-J" {
		if first, err = source.ReadString('\n'); err != nil || first != from+suffix+"\n" {
			return fmt.Errorf("the first line of %s is not its name", from+suffix)
		}
		first = to + suffix + "\n"
	}
	temporary := filepath.Join(dir, "new."+to+suffix)
	out, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, st.Mode().Perm())
	if err != nil {
		return err
	}
	_, err = io.WriteString(out, first)
	if err == nil {
		_, err = source.WriteTo(out)
	}
	if err == nil {
		err = sameOwner(out, st)
	}
	if err == nil {
		err = out.Sync()
	}
	if cerr := out.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(temporary, filepath.Join(dir, to+suffix))
	}
	if err != nil {
		os.Remove(temporary)
	}
	return err
}

// sameOwner gives a file the owner of another, if we may.
func sameOwner(f *os.File, st os.FileInfo) error {
	uid, gid, ok := owner(st)
	if !ok || os.Geteuid() != 0 {
		return nil
	}
	return f.Chown(uid, gid)
}

func owner(st os.FileInfo) (uid, gid int, ok bool) {
	sys, ok := st.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, 0, false
	}
	return int(sys.Uid), int(sys.Gid), true
}
