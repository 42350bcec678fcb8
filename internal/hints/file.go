package hints

import (
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"modernc.org/sqlite"
)

// file is one database. It is safe for concurrent use.
type file struct {
	options *Options
	path    string

	mu      sync.Mutex
	db      *sql.DB
	info    os.FileInfo // of the file that is open
	failed  error
	retryAt time.Time
	stmt    map[string]*sql.Stmt
}

const schema = `CREATE TABLE IF NOT EXISTS hints (
	key TEXT PRIMARY KEY NOT NULL, stamp INTEGER NOT NULL, value BLOB) WITHOUT ROWID`

// The statements; each is prepared once.
const (
	queryGet    = `SELECT stamp, value FROM hints WHERE key = ?`
	queryPut    = `INSERT INTO hints (key, stamp, value) VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE SET stamp = excluded.stamp, value = excluded.value`
	queryDelete = `DELETE FROM hints WHERE key = ?`
	queryEach   = `SELECT key, stamp, value FROM hints WHERE key >= ? AND key < ? ORDER BY key`
)

func (d *file) close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.closeLocked()
}

func (d *file) closeLocked() error {
	if d.db == nil {
		return nil
	}
	for _, s := range d.stmt {
		s.Close()
	}
	err := d.db.Close()
	d.db, d.stmt, d.info = nil, nil, nil
	return err
}

// open opens the file, once; after a failure it is tried again a minute later. A file that was removed under us is made anew;
// one that never was is made only if create says so, and nil returned otherwise.
func (d *file) open(create bool) (*sql.DB, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	info, err := os.Stat(d.path)
	if d.db != nil {
		if err == nil && os.SameFile(info, d.info) {
			return d.db, nil
		}
		d.closeLocked()
	}
	if err != nil && !create && errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	now := d.options.Clock.Now()
	if d.failed != nil && now.Before(d.retryAt) {
		return nil, d.failed
	}
	db, err := d.openFile()
	if err != nil && isDamaged(err) && !d.options.ReadOnly {
		d.discard()
		db, err = d.openFile()
	}
	if err != nil {
		d.failed, d.retryAt = fmt.Errorf("failed to open hints database %s: %w", d.path, err), now.Add(time.Minute)
		return nil, d.failed
	}
	if d.info, err = os.Stat(d.path); err != nil {
		db.Close()
		return nil, err
	}
	d.db, d.failed, d.stmt = db, nil, make(map[string]*sql.Stmt)
	return db, nil
}

func (d *file) openFile() (*sql.DB, error) {
	if d.options.ReadOnly {
		return d.openReadOnly()
	}
	if err := d.makeFile(d.path); err != nil {
		return nil, err
	}
	dsn := "file:" + (&url.URL{Path: d.path}).EscapedPath() + "?_txlock=immediate&_pragma=busy_timeout(10000)" +
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

// openReadOnly opens for someone who may not write. While another process has the file open, it shares that one's index of the log;
// else there is no log, and the file does not change.
func (d *file) openReadOnly() (db *sql.DB, err error) {
	for _, parameters := range []string{"?mode=ro", "?mode=ro&immutable=1"} {
		db, err = sql.Open("sqlite", "file:"+(&url.URL{Path: d.path}).EscapedPath()+parameters)
		if err != nil {
			return nil, err
		}
		db.SetMaxOpenConns(1)
		var n int
		if err = db.QueryRow("SELECT count(*) FROM hints WHERE key = ''").Scan(&n); err == nil {
			return db, nil
		}
		db.Close()
	}
	return nil, err
}

// makeFile makes the directory and an empty file, so that they get Exim's owner and modes even from root.
func (d *file) makeFile(path string) error {
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

func (d *file) own(path string) {
	if os.Geteuid() == 0 && d.options.UID >= 0 {
		os.Chown(path, d.options.UID, d.options.GID)
	}
}

// discard throws a damaged file away: hints are losable.
func (d *file) discard() {
	for _, suffix := range []string{"", "-wal", "-shm"} {
		os.Remove(d.path + suffix)
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
func (d *file) check(err error) error {
	if err != nil && isDamaged(err) {
		d.mu.Lock()
		d.closeLocked()
		d.discard()
		d.mu.Unlock()
	}
	return err
}

// prepared returns the statement of a query, prepared on first use; nil if there is no file and the query only reads.
func (d *file) prepared(query string) (*sql.Stmt, error) {
	db, err := d.open(query == queryPut)
	if err != nil || db == nil {
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
