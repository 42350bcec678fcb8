// Package hints keeps what makes mail transfer better but may be lost: retry times, messages that wait for a host,
// callout results, rates, TLS sessions, "seen" times and what peers offered in EHLO. Each database of a spool directory
// is an SQLite file, db/NAME.sqlite, in WAL mode, shared with command-line processes; an administrator may remove it at any
// time. Nothing is opened before the first use or made before the first record, and a file that is damaged is thrown away.
//
// Trust: keys and texts come from outsiders and from remote servers; they are data here, never SQL.
package hints

import (
	"context"
	"database/sql"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"exigo/internal/outside"
)

// Options say where the hints are and who owns files that root creates.
type Options struct {
	// SpoolDirectory is the spool's path; the files are in db below it.
	SpoolDirectory string
	// Clock stamps the records.
	Clock outside.Clock
	// UID and GID own what root creates; -1 leaves it.
	UID, GID int
	// ReadOnly opens without changing anything: for those who may only read.
	ReadOnly bool
}

// DB is the hints of one spool directory. It is safe for concurrent use. The zero value of *DB, nil, holds nothing: reads
// find no record and writes are forgotten.
type DB struct {
	options Options

	mu    sync.Mutex
	files map[string]*file
}

// New returns the hints of a spool directory without opening anything.
func New(o Options) *DB { return &DB{options: o, files: make(map[string]*file)} }

// suffix ends the names of the files: Exim's own hints of the same names are left alone.
const suffix = ".sqlite"

// Path is where a database's records are kept.
func (d *DB) Path(name string) string {
	return filepath.Join(d.options.SpoolDirectory, "db", url.PathEscape(name)+suffix)
}

// file returns the file of a database.
func (d *DB) file(name string) *file {
	d.mu.Lock()
	defer d.mu.Unlock()
	f := d.files[name]
	if f == nil {
		f = &file{options: &d.options, path: d.Path(name)}
		d.files[name] = f
	}
	return f
}

// Close closes the files. A later use opens them again.
func (d *DB) Close() error {
	if d == nil {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	var first error
	for _, f := range d.files {
		if err := f.close(); err != nil && first == nil {
			first = err
		}
	}
	return first
}

// get reads one record.
func (d *DB) get(name, key string) (stamp time.Time, value []byte, found bool, err error) {
	if d == nil {
		return time.Time{}, nil, false, nil
	}
	f := d.file(name)
	s, err := f.prepared(queryGet)
	if err != nil {
		return time.Time{}, nil, false, f.check(err)
	}
	if s == nil {
		return time.Time{}, nil, false, nil
	}
	var ns int64
	err = s.QueryRow(key).Scan(&ns, &value)
	if errors.Is(err, sql.ErrNoRows) {
		return time.Time{}, nil, false, nil
	}
	if err != nil {
		return time.Time{}, nil, false, f.check(err)
	}
	return time.Unix(0, ns), value, true, nil
}

func (d *DB) put(name, key string, value []byte) error {
	if d == nil {
		return nil
	}
	f := d.file(name)
	s, err := f.prepared(queryPut)
	if err != nil {
		return f.check(err)
	}
	_, err = s.Exec(key, d.options.Clock.Now().UnixNano(), value)
	return f.check(err)
}

func (d *DB) delete(name, key string) error {
	if d == nil {
		return nil
	}
	f := d.file(name)
	s, err := f.prepared(queryDelete)
	if err != nil || s == nil {
		return f.check(err)
	}
	_, err = s.Exec(key)
	return f.check(err)
}

// update reads, changes and writes one record in a transaction that no other process can come between.
func (d *DB) update(name, key string, change func(stamp time.Time, value []byte, found bool) (after []byte, action Action, err error)) error {
	if d == nil {
		return nil
	}
	f := d.file(name)
	db, err := f.open(true)
	if err != nil {
		return err
	}
	tx, err := db.BeginTx(context.Background(), nil)
	if err != nil {
		return f.check(err)
	}
	defer tx.Rollback()
	var ns int64
	var value []byte
	err = tx.QueryRow(queryGet, key).Scan(&ns, &value)
	found := err == nil
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return f.check(err)
	}
	after, action, err := change(time.Unix(0, ns), value, found)
	if err != nil {
		return err
	}
	switch action {
	case Keep:
		return nil
	case Write:
		_, err = tx.Exec(queryPut, key, d.options.Clock.Now().UnixNano(), after)
	case Remove:
		_, err = tx.Exec(queryDelete, key)
	}
	if err != nil {
		return f.check(err)
	}
	return f.check(tx.Commit())
}

type row struct {
	key   string
	stamp time.Time
	value []byte
}

// rows reads all records of a table whose keys begin with the prefix, in the order of their keys.
func (d *DB) rows(name, prefix string) ([]row, error) {
	if d == nil {
		return nil, nil
	}
	f := d.file(name)
	s, err := f.prepared(queryEach)
	if err != nil || s == nil {
		return nil, f.check(err)
	}
	rows, err := s.Query(prefix, prefix+"\U0010ffff")
	if err != nil {
		return nil, f.check(err)
	}
	defer rows.Close()
	var out []row
	for rows.Next() {
		var r row
		var ns int64
		if err := rows.Scan(&r.key, &ns, &r.value); err != nil {
			return nil, f.check(err)
		}
		r.stamp = time.Unix(0, ns)
		out = append(out, r)
	}
	return out, f.check(rows.Err())
}

// Names returns the names of all databases that there are.
func (d *DB) Names() ([]string, error) {
	if d == nil {
		return nil, nil
	}
	entries, err := os.ReadDir(filepath.Join(d.options.SpoolDirectory, "db"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	var out []string
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), suffix); ok {
			if plain, err := url.PathUnescape(name); err == nil {
				out = append(out, plain)
			}
		}
	}
	return out, nil
}
