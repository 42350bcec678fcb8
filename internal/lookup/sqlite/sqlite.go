// Package sqlite is the lookup type sqlite: statements for an SQLite database (spec 9.26).
//
// Trust: the databases belong to the administrator; what stands in queries may be anybody's, quoted by ${quote_sqlite:...}. A file name that
// an outsider may have chosen is refused.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"modernc.org/sqlite"

	"exigo/internal/lookup"
	"exigo/internal/option"
)

// settings are the options of the main section.
type settings struct {
	file        string
	lockTimeout string
}

// timeout is sqlite_lock_timeout; what is malformed is the default.
func (s *settings) timeout() time.Duration {
	if n, err := strconv.ParseUint(s.lockTimeout, 10, 31); err == nil {
		return time.Duration(n) * time.Second
	}
	if t, ok := option.ParseTime(s.lockTimeout); ok {
		return t
	}
	return 5 * time.Second
}

// The result codes of SQLite that mean that the statement itself is wrong, or that the file is no database.
const (
	resultError, resultMismatch, resultRange, resultNoDatabase = 1, 20, 25, 26
)

// Driver returns the lookup type.
func Driver() *lookup.Driver {
	d := &databases{open: map[string]*sql.DB{}}
	return &lookup.Driver{
		Name: "sqlite", Kind: lookup.Query, Doc: "Runs a statement in an SQLite database.", Find: d.find,
		Quote: func(text, option string) (string, bool) { return strings.ReplaceAll(text, "'", "''"), option == "" },
		Settings: []option.Set{option.Table[settings]{Scope: "main", Rows: []option.Row[settings]{
			{Name: "sqlite_dbfile", Field: func(s *settings) any { return &s.file }, Doc: "The database of sqlite lookups that name none."},
			{Name: "sqlite_lock_timeout", Default: "5s", Field: func(s *settings) any { return &s.lockTimeout },
				Doc: "How long a sqlite lookup waits for a lock: an interval, or a number of seconds."},
		}}},
	}
}

// databases keeps files open.
type databases struct {
	mutex sync.Mutex
	open  map[string]*sql.DB
}

const maxOpen = 25

// get opens a file. It is made if it is not there: a statement may be the one that makes its tables.
func (d *databases) get(path string, timeout time.Duration) (*sql.DB, error) {
	name := "file:" + (&url.URL{Path: path}).EscapedPath() + "?_pragma=busy_timeout(" + strconv.FormatInt(timeout.Milliseconds(), 10) + ")"
	d.mutex.Lock()
	defer d.mutex.Unlock()
	if db := d.open[name]; db != nil {
		return db, nil
	}
	if len(d.open) >= maxOpen {
		for other, db := range d.open { // statements that still run finish
			go db.Close()
			delete(d.open, other)
		}
	}
	db, err := sql.Open("sqlite", name)
	if err != nil {
		return nil, err
	}
	db.SetMaxIdleConns(2)
	db.SetConnMaxIdleTime(time.Minute)
	d.open[name] = db
	return db, nil
}

// file tells database and statement apart: the option file=, the main option, or, of old, a path before the statement.
func file(r *lookup.Request, main *settings) (path, query string, err error) {
	path, query = main.file, r.Key
	for _, o := range r.Options {
		if name, ok := strings.CutPrefix(o, "file="); ok {
			path = name
		}
	}
	if path == "" || strings.HasPrefix(query, "/") && len(r.Options) == 0 {
		end := strings.IndexAny(query+" ", " \t\n\r\v\f")
		path, query = query[:end], strings.TrimLeft(query[end:], " \t\n\r\v\f")
		if refusal := (&lookup.TaintError{File: path}); r.KeyTainted && strings.HasPrefix(path, "/") && r.Untrusted(refusal.LogLine()) {
			return "", "", refusal
		}
	}
	if !filepath.IsAbs(path) {
		return "", "", errors.New("absolute file name expected for \"sqlite\" lookup")
	}
	return path, query, nil
}

func (d *databases) find(ctx context.Context, r *lookup.Request) (lookup.Result, bool, error) {
	main := lookup.SettingsOf(r, &settings{})
	path, query, err := file(r, main)
	if err != nil {
		return lookup.Result{}, false, err
	}
	db, err := d.get(path, main.timeout())
	if err != nil {
		return lookup.Result{}, false, lookup.Defer(err.Error())
	}
	text, found, err := run(ctx, db, query)
	var failure *sqlite.Error
	if errors.As(err, &failure) {
		switch failure.Code() & 0xff {
		case resultError, resultMismatch, resultRange, resultNoDatabase:
			return lookup.Result{}, false, nil // Exim takes a wrong statement for an unsuccessful one
		}
	}
	if err != nil {
		return lookup.Result{}, false, lookup.Defer(err.Error())
	}
	return lookup.Result{Data: text, NoCache: !found}, found, nil
}

// maxResult bounds what a statement may give.
const maxResult = 16 << 20

// run obeys the statements and writes their rows: the value if there is one column, else name=value and a space for each; rows are
// separated by newlines.
func run(ctx context.Context, db *sql.DB, query string) (text string, found bool, err error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return "", false, err
	}
	defer conn.Close()
	var out strings.Builder
	for _, statement := range statements(query) {
		if err := rows(ctx, conn, statement, &out, &found); err != nil {
			return "", false, err
		}
	}
	return out.String(), found, nil
}

func rows(ctx context.Context, conn *sql.Conn, statement string, out *strings.Builder, found *bool) error {
	result, err := conn.QueryContext(ctx, statement)
	if err != nil {
		return err
	}
	defer result.Close()
	names, err := result.Columns()
	if err != nil {
		return err
	}
	values, targets := make([]any, len(names)), make([]any, len(names))
	for i := range values {
		targets[i] = &values[i]
	}
	for result.Next() {
		if err := result.Scan(targets...); err != nil {
			return err
		}
		if *found {
			out.WriteByte('\n')
		}
		*found = true
		for i, v := range values {
			if len(values) == 1 {
				out.WriteString(display(v))
			} else {
				out.WriteString(names[i] + "=" + lookup.QuoteField(display(v)) + " ")
			}
		}
		if out.Len() > maxResult {
			return errors.New("the result is too large")
		}
	}
	return result.Err()
}

// display writes a value as SQLite does.
func display(v any) string {
	switch v := v.(type) {
	case nil:
		return "<NULL>"
	case string:
		return v
	case []byte:
		return string(v)
	case int64:
		return strconv.FormatInt(v, 10)
	case bool:
		if v {
			return "1"
		}
		return "0"
	case float64:
		text := strconv.FormatFloat(v, 'g', 15, 64)
		if strings.Trim(text, "-0123456789") == "" {
			text += ".0"
		}
		return text
	case time.Time: // a column that is declared as one
		if v.Hour() == 0 && v.Minute() == 0 && v.Second() == 0 && v.Nanosecond() == 0 {
			return v.Format("2006-01-02")
		}
		return v.Format("2006-01-02 15:04:05.999999999")
	}
	return ""
}

// statements splits at the semicolons that stand outside of strings, names and comments. Empty ones are left out.
func statements(query string) (list []string) {
	start := 0
	add := func(end int) {
		if s := strings.TrimSpace(query[start:end]); s != "" {
			list = append(list, s)
		}
	}
	if strings.Contains(strings.ToLower(query), "trigger") {
		return []string{query} // the statements in it belong to it
	}
	for i := 0; i < len(query); i++ {
		switch c := query[i]; c {
		case ';':
			add(i)
			start = i + 1
		case '\'', '"', '`', '[':
			if c == '[' {
				c = ']'
			}
			if end := strings.IndexByte(query[i+1:], c); end >= 0 {
				i += end + 1
			} else {
				i = len(query)
			}
		case '-':
			if strings.HasPrefix(query[i:], "--") {
				i += strings.IndexByte(query[i:]+"\n", '\n')
			}
		case '/':
			if strings.HasPrefix(query[i:], "/*") {
				i += strings.Index(query[i+2:]+"*/", "*/") + 3
			}
		}
	}
	add(len(query))
	return list
}
