// Package hints keeps what makes mail transfer better but may be lost: retry times, messages that wait for a host,
// callout results, rates, TLS sessions, "seen" times and what peers offered in EHLO. All tables of a spool directory
// are in one SQLite file, db/exigo.sqlite, in WAL mode, shared with command-line processes. Nothing is opened before
// the first use, and a file that is damaged is thrown away.
//
// Trust: keys and texts come from outsiders and from remote servers; they are data here, never SQL.
package hints

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"exigo/internal/outside"

	"modernc.org/sqlite"
)

// Options say where the hints are and who owns files that root creates.
type Options struct {
	// SpoolDirectory is the spool's path; the file is db/exigo.sqlite in it.
	SpoolDirectory string
	// Clock stamps the records.
	Clock outside.Clock
	// UID and GID own what root creates; -1 leaves it.
	UID, GID int
}

// DB is the hints of one spool directory. It is safe for concurrent use. The zero value of *DB, nil, holds nothing: reads
// find no record and writes are forgotten.
type DB struct {
	options Options

	mu      sync.Mutex
	db      *sql.DB
	failed  error
	retryAt time.Time
	stmt    map[string]*sql.Stmt
}

// New returns the hints of a spool directory without opening anything.
func New(o Options) *DB { return &DB{options: o} }

const schema = `CREATE TABLE IF NOT EXISTS hints (
	name TEXT NOT NULL, key TEXT NOT NULL, stamp INTEGER NOT NULL, value BLOB,
	PRIMARY KEY (name, key)) WITHOUT ROWID`

// The statements; each is prepared once.
const (
	queryGet    = `SELECT stamp, value FROM hints WHERE name = ? AND key = ?`
	queryPut    = `INSERT INTO hints (name, key, stamp, value) VALUES (?, ?, ?, ?) ON CONFLICT (name, key) DO UPDATE SET stamp = excluded.stamp, value = excluded.value`
	queryDelete = `DELETE FROM hints WHERE name = ? AND key = ?`
	queryEach   = `SELECT key, stamp, value FROM hints WHERE name = ? AND key >= ? AND key < ? ORDER BY key`
	queryNames  = `SELECT DISTINCT name FROM hints ORDER BY name`
)

// Close closes the file. A later use opens it again.
func (d *DB) Close() error {
	if d == nil {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.closeLocked()
}

func (d *DB) closeLocked() error {
	if d.db == nil {
		return nil
	}
	for _, s := range d.stmt {
		s.Close()
	}
	err := d.db.Close()
	d.db, d.stmt = nil, nil
	return err
}

// open opens the file, once; after a failure it is tried again a minute later.
func (d *DB) open() (*sql.DB, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.db != nil {
		return d.db, nil
	}
	now := d.options.Clock.Now()
	if d.failed != nil && now.Before(d.retryAt) {
		return nil, d.failed
	}
	db, err := d.openFile()
	if err != nil && isDamaged(err) {
		d.discard()
		db, err = d.openFile()
	}
	if err != nil {
		d.failed, d.retryAt = fmt.Errorf("failed to open hints database %s: %w", d.path(), err), now.Add(time.Minute)
		return nil, d.failed
	}
	d.db, d.failed, d.stmt = db, nil, make(map[string]*sql.Stmt)
	return db, nil
}

func (d *DB) path() string { return filepath.Join(d.options.SpoolDirectory, "db", "exigo.sqlite") }

func (d *DB) openFile() (*sql.DB, error) {
	path := d.path()
	if err := d.makeFile(path); err != nil {
		return nil, err
	}
	dsn := "file:" + (&url.URL{Path: path}).EscapedPath() + "?_txlock=immediate&_pragma=busy_timeout(10000)" +
		"&_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)"
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	if _, err := db.Exec(schema); err != nil {
		db.Close()
		return nil, err
	}
	return db, nil
}

// makeFile makes the directory and an empty file, so that they get Exim's owner and modes even from root.
func (d *DB) makeFile(path string) error {
	dir := filepath.Dir(path)
	if err := os.Mkdir(dir, 0o750); err == nil {
		d.own(dir)
	} else if !errors.Is(err, os.ErrExist) {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o640)
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	d.own(path)
	return f.Close()
}

func (d *DB) own(path string) {
	if os.Geteuid() == 0 && d.options.UID >= 0 {
		os.Chown(path, d.options.UID, d.options.GID)
	}
}

// discard throws a damaged file away: hints are losable.
func (d *DB) discard() {
	for _, suffix := range []string{"", "-wal", "-shm"} {
		os.Remove(d.path() + suffix)
	}
}

// The result codes of SQLite that mean damage (SQLITE_CORRUPT, SQLITE_NOTADB).
const (
	codeCorrupt = 11
	codeNotADB  = 26
)

func isDamaged(err error) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && (e.Code()&0xff == codeCorrupt || e.Code()&0xff == codeNotADB)
}

// check handles an error of a statement: damage discards the file, so that the next use begins anew.
func (d *DB) check(err error) error {
	if err != nil && isDamaged(err) {
		d.mu.Lock()
		d.closeLocked()
		d.discard()
		d.mu.Unlock()
	}
	return err
}

// prepared returns the statement of a query, prepared on first use.
func (d *DB) prepared(query string) (*sql.Stmt, error) {
	db, err := d.open()
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.db != db {
		return nil, errors.New("hints database was closed")
	}
	s := d.stmt[query]
	if s == nil {
		if s, err = db.Prepare(query); err != nil {
			return nil, err
		}
		d.stmt[query] = s
	}
	return s, nil
}

// get reads one record.
func (d *DB) get(name, key string) (stamp time.Time, value []byte, found bool, err error) {
	if d == nil {
		return time.Time{}, nil, false, nil
	}
	s, err := d.prepared(queryGet)
	if err != nil {
		return time.Time{}, nil, false, d.check(err)
	}
	var ns int64
	err = s.QueryRow(name, key).Scan(&ns, &value)
	if errors.Is(err, sql.ErrNoRows) {
		return time.Time{}, nil, false, nil
	}
	if err != nil {
		return time.Time{}, nil, false, d.check(err)
	}
	return time.Unix(0, ns), value, true, nil
}

func (d *DB) put(name, key string, value []byte) error {
	if d == nil {
		return nil
	}
	s, err := d.prepared(queryPut)
	if err != nil {
		return d.check(err)
	}
	_, err = s.Exec(name, key, d.options.Clock.Now().UnixNano(), value)
	return d.check(err)
}

func (d *DB) delete(name, key string) error {
	if d == nil {
		return nil
	}
	s, err := d.prepared(queryDelete)
	if err != nil {
		return d.check(err)
	}
	_, err = s.Exec(name, key)
	return d.check(err)
}

// update reads, changes and writes one record in a transaction that no other process can come between.
func (d *DB) update(name, key string, change func(stamp time.Time, value []byte, found bool) (after []byte, action Action, err error)) error {
	if d == nil {
		return nil
	}
	db, err := d.open()
	if err != nil {
		return err
	}
	tx, err := db.BeginTx(context.Background(), nil)
	if err != nil {
		return d.check(err)
	}
	defer tx.Rollback()
	var ns int64
	var value []byte
	err = tx.QueryRow(queryGet, name, key).Scan(&ns, &value)
	found := err == nil
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return d.check(err)
	}
	after, action, err := change(time.Unix(0, ns), value, found)
	if err != nil {
		return err
	}
	switch action {
	case Keep:
		return nil
	case Write:
		_, err = tx.Exec(queryPut, name, key, d.options.Clock.Now().UnixNano(), after)
	case Remove:
		_, err = tx.Exec(queryDelete, name, key)
	}
	if err != nil {
		return d.check(err)
	}
	return d.check(tx.Commit())
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
	s, err := d.prepared(queryEach)
	if err != nil {
		return nil, d.check(err)
	}
	rows, err := s.Query(name, prefix, prefix+"\U0010ffff")
	if err != nil {
		return nil, d.check(err)
	}
	defer rows.Close()
	var out []row
	for rows.Next() {
		var r row
		var ns int64
		if err := rows.Scan(&r.key, &ns, &r.value); err != nil {
			return nil, d.check(err)
		}
		r.stamp = time.Unix(0, ns)
		out = append(out, r)
	}
	return out, d.check(rows.Err())
}

// Names returns the names of all tables that hold records.
func (d *DB) Names() ([]string, error) {
	if d == nil {
		return nil, nil
	}
	s, err := d.prepared(queryNames)
	if err != nil {
		return nil, d.check(err)
	}
	rows, err := s.Query()
	if err != nil {
		return nil, d.check(err)
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var n string
		if err := rows.Scan(&n); err != nil {
			return nil, err
		}
		out = append(out, n)
	}
	return out, rows.Err()
}
