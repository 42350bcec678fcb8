package submit

import (
	"fmt"

	"golang.org/x/sys/unix"

	"exigo/internal/eventlog"
)

// spaceLeft checks that there is the room that check_spool_space, check_log_space and their like want (spec 14).
func (r *Receiver) spaceLeft() bool {
	main := r.s.Main
	spool := r.s.SpoolSpace
	if spool == nil {
		spool = func() (int64, int64) { return freeSpace(r.s.Spool.Directory) }
	}
	return r.enough("spool", spool, int64(main.CheckSpoolSpace), int64(main.CheckSpoolInodes)) &&
		(r.s.LogSpace == nil || r.enough("log", r.s.LogSpace, int64(main.CheckLogSpace), int64(main.CheckLogInodes)))
}

// enough checks one file system; what cannot be measured is enough.
func (r *Receiver) enough(name string, measure func() (bytes, inodes int64), minimum, inodes int64) bool {
	if minimum <= 0 && inodes <= 0 {
		return true
	}
	space, free := measure()
	if (minimum <= 0 || space < 0 || space >= minimum) && (inodes <= 0 || free < 0 || free >= inodes) {
		return true
	}
	r.s.Log.Write(eventlog.Entry{To: eventlog.Main, Text: fmt.Sprintf("%s directory space check failed: space=%d inodes=%d", name, space>>10, free)})
	return false
}

// freeSpace is what ordinary users may still write in a file system, in bytes, and how many files; -1 where that is not known.
func freeSpace(directory string) (bytes, inodes int64) {
	var st unix.Statfs_t
	if unix.Statfs(directory, &st) != nil {
		return -1, -1
	}
	if inodes = int64(st.Ffree); st.Files == 0 {
		inodes = -1
	}
	return int64(st.Bavail) * st.Bsize, inodes
}
