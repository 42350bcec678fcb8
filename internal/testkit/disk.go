package testkit

import (
	"errors"
	"os"
	"path/filepath"
	"sync"

	"exigo/internal/spool"
)

// ErrDiskStopped is what a failing disk answers from its last step on.
var ErrDiskStopped = errors.New("disk stopped")

// Disk is a disk that stops after a number of changes. After it has stopped, PowerLoss takes away what was not synced.
type Disk struct {
	mu      sync.Mutex
	left    int
	steps   int
	stopped bool
	files   map[string]fileState
}

// fileState is what a crash would leave of a file.
type fileState struct {
	contents bool   // its contents are on the disk
	name     bool   // its name is on the disk
	before   []byte // what the name stood for before a rename; nil for nothing
}

// NewDisk makes a disk that stops at the n-th change (counted from 0); a negative n never stops.
func NewDisk(n int) *Disk { return &Disk{left: n, files: make(map[string]fileState)} }

// Spool returns the disk as spool.Options takes it.
func (d *Disk) Spool() spool.Disk { return spool.Disk{Before: d.before} }

// Steps returns how many changes were asked for.
func (d *Disk) Steps() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.steps
}

// Stopped tells whether the disk has stopped.
func (d *Disk) Stopped() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.stopped
}

func (d *Disk) before(op spool.Op, path string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.steps++
	if d.stopped || d.left == 0 {
		d.stopped = true
		return ErrDiskStopped
	}
	d.left--
	switch op {
	case spool.OpCreate:
		if _, known := d.files[path]; !known {
			d.files[path] = fileState{}
		}
	case spool.OpWrite:
		d.files[path] = fileState{name: d.files[path].name}
	case spool.OpSync:
		d.files[path] = fileState{contents: true, name: d.files[path].name}
	case spool.OpRename:
		d.rename(path)
	case spool.OpRemove:
		delete(d.files, path)
	case spool.OpSyncDirectory:
		for p, s := range d.files {
			if filepath.Dir(p) == path {
				d.files[p] = fileState{contents: s.contents, name: true}
			}
		}
	}
	return nil
}

// rename moves the state of the temporary header file to its final name.
func (d *Disk) rename(path string) {
	for p, s := range d.files {
		if filepath.Dir(p) == filepath.Dir(path) && "hdr."+trimKind(filepath.Base(path)) == filepath.Base(p) {
			delete(d.files, p)
			old, err := os.ReadFile(path)
			if err != nil {
				old = nil
			}
			d.files[path] = fileState{contents: s.contents, before: old}
			return
		}
	}
}

func trimKind(name string) string { return name[:max(len(name)-2, 0)] }

// PowerLoss changes the files as the loss of power could: files whose name was not synced are gone, or are what they were before a rename; contents that
// were not synced are empty. Removed files stay removed: file systems keep the order of changes to names.
func (d *Disk) PowerLoss() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for path, s := range d.files {
		var err error
		switch {
		case !s.name && s.before != nil:
			err = os.WriteFile(path, s.before, 0o600)
		case !s.name:
			err = os.Remove(path)
		case !s.contents:
			err = os.Truncate(path, 0)
		}
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}
