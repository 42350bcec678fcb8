// Package mysql is the lookup type mysql: statements for MySQL and MariaDB servers (spec 9.21 to 9.24).
//
// Trust: servers, lists of servers and option files belong to the administrator; what stands in queries may be anybody's, quoted by ${quote_mysql:...}.
package mysql

import (
	"cmp"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	mariadb "github.com/go-sql-driver/mysql"

	"exigo/internal/lookup"
	"exigo/internal/option"
	"exigo/internal/outside"
)

// settings are the options of the main section.
type settings struct{ servers string }

// Driver returns the lookup type.
func Driver() *lookup.Driver {
	c := &client{open: map[place]*sql.DB{}, files: []string{"/etc/my.cnf", "/etc/mysql/my.cnf"}}
	return &lookup.Driver{
		Name: "mysql", Kind: lookup.Query, Doc: "Runs a statement in a MySQL or MariaDB database.", Find: c.find, Conceal: lookup.ConcealQuery,
		Quote: func(text, option string) (string, bool) { return quoter.Replace(text), option == "" },
		Settings: []option.Set{option.Table[settings]{Scope: "main", Rows: []option.Row[settings]{
			{Name: "mysql_servers", Field: func(s *settings) any { return &s.servers },
				Doc: "The servers of mysql lookups, tried in turn: host::port(socket)[group]/database/user/password."},
		}}},
	}
}

var quoter = strings.NewReplacer("\n", `\n`, "\t", `\t`, "\r", `\r`, "\b", `\b`, "'", `\'`, `"`, `\"`, `\`, `\\`)

// client keeps databases open; database/sql keeps their connections.
type client struct {
	mutex sync.Mutex
	open  map[place]*sql.DB
	// files are the option files, options what they say for a group.
	files   []string
	options map[string]groupOptions
}

// groupOptions are what the option files say for a group. They are read anew after maxIdleTime.
type groupOptions struct {
	read   time.Time
	values map[string]string
}

// optionsOf reads the option files for a group.
func (c *client) optionsOf(group string, now time.Time) map[string]string {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	known, ok := c.options[group]
	if ok && now.Sub(known.read) < maxIdleTime {
		return known.values
	}
	if c.options == nil || len(c.options) >= maxOpen {
		c.options = map[string]groupOptions{}
	}
	values := readOptions(c.files, group)
	c.options[group] = groupOptions{now, values}
	return values
}

// Bounds: databases that are open, connections to each of them that are in use and that are kept, and for how long they are.
const (
	maxOpen        = 25
	maxConnections = 32
	maxIdle        = 2
	maxIdleTime    = time.Minute
)

func (c *client) find(ctx context.Context, r *lookup.Request) (lookup.Result, bool, error) {
	main := lookup.SettingsOf(r, &settings{})
	list := lookup.Servers{Name: "MySQL", Option: "mysql_servers"}
	return list.Each(r, main.servers, func(item, query string) (lookup.Result, bool, error) {
		server, err := lookup.ParseServer(item, "MySQL")
		if err != nil {
			return lookup.Result{}, false, err
		}
		p, err := placeOf(server, c.optionsOf(cmp.Or(server.Group, "exim"), r.Now()))
		if err != nil {
			return lookup.Result{}, false, err
		}
		query, _, _ = strings.Cut(query, "\x00")
		return c.ask(ctx, r.World, p, query)
	})
}

// get opens a database, which does not connect yet.
func (c *client) get(w *outside.World, p place) (*sql.DB, error) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if db := c.open[p]; db != nil {
		return db, nil
	}
	if len(c.open) >= maxOpen {
		for other, db := range c.open { // statements that still run finish
			go db.Close()
			delete(c.open, other)
		}
	}
	connector, err := p.connector(w)
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(maxConnections)
	db.SetMaxIdleConns(maxIdle)
	db.SetConnMaxIdleTime(maxIdleTime)
	c.open[p] = db
	return db, nil
}

// attempts is how often a connection that the server has closed meanwhile is replaced.
const attempts = 3

// ask runs a statement.
func (c *client) ask(ctx context.Context, w *outside.World, p place, query string) (lookup.Result, bool, error) {
	db, err := c.get(w, p)
	if err != nil {
		return lookup.Result{}, false, lookup.Defer("MYSQL connection failed: " + err.Error())
	}
	ctx, cancel := context.WithTimeout(ctx, lookup.QueryTimeout)
	defer cancel()
	var result lookup.Result
	var found bool
	for range attempts {
		var conn *sql.Conn
		connecting, done := context.WithTimeout(ctx, p.timeout)
		conn, err = db.Conn(connecting)
		done()
		if err != nil {
			return lookup.Result{}, false, lookup.Defer("MYSQL connection failed: " + text(err))
		}
		result, found, err = run(ctx, conn, query)
		if stateful(query) || killed(err) {
			conn.Raw(func(any) error { return driver.ErrBadConn }) // closes it
		}
		conn.Close()
		if !errors.Is(err, driver.ErrBadConn) {
			break
		}
	}
	if err != nil {
		return lookup.Result{}, false, lookup.Defer("MYSQL: query failed: " + text(err) + "\n")
	}
	return result, found, nil
}

// text is the server's message, or what happened to the connection.
func text(err error) string {
	var failure *mariadb.MySQLError
	var connecting *connectError
	switch {
	case errors.As(err, &failure):
		return failure.Message
	case errors.As(err, &connecting):
		return connecting.text
	case errors.Is(err, mariadb.ErrInvalidConn), errors.Is(err, driver.ErrBadConn):
		return "Lost connection to server during query"
	}
	return lookup.Reason(err)
}

// killed tells whether the server is about to close the connection: ER_CONNECTION_KILLED, ER_SERVER_SHUTDOWN.
func killed(err error) bool {
	var failure *mariadb.MySQLError
	return errors.As(err, &failure) && (failure.Number == 1927 || failure.Number == 1053)
}

// stateful tells statements that change what later ones on the same connection mean. Such a connection is not used again.
func stateful(query string) bool {
	words := strings.Fields(strings.ToUpper(strings.TrimLeft(query, " \t\r\n(")))
	if len(words) == 0 {
		return false
	}
	switch strings.TrimRight(words[0], ";") {
	case "BEGIN", "START", "SET", "USE", "LOCK", "XA", "HANDLER", "PREPARE", "CALL", "DO", "EXECUTE":
		return true
	case "CREATE":
		return slices.Contains(words[:min(len(words), 4)], "TEMPORARY")
	}
	return strings.IndexByte("/#-", words[0][0]) >= 0 // what stands behind a comment is not looked at
}

// maxResult bounds what a statement may give.
const maxResult = 16 << 20

// run obeys a statement and writes its rows: the value if there is one column, else name=value and a space for each; rows are separated
// by newlines. What gives no rows gives the number of those that it changed, which is not kept for the next search.
func run(ctx context.Context, conn *sql.Conn, query string) (lookup.Result, bool, error) {
	rows, err := conn.QueryContext(ctx, query)
	if err != nil {
		return lookup.Result{}, false, err
	}
	defer rows.Close()
	columns, err := rows.ColumnTypes()
	if err != nil {
		return lookup.Result{}, false, err
	}
	if len(columns) == 0 {
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			return lookup.Result{}, false, err
		}
		var changed int64
		if err := conn.QueryRowContext(ctx, "SELECT ROW_COUNT()").Scan(&changed); err != nil {
			return lookup.Result{}, false, err
		}
		return lookup.Result{Data: strconv.FormatInt(max(changed, 0), 10), NoCache: true}, true, nil
	}
	values, targets := make([]any, len(columns)), make([]any, len(columns))
	for i := range values {
		targets[i] = &values[i]
	}
	var out []byte
	found := false
	for rows.Next() {
		if err := rows.Scan(targets...); err != nil {
			return lookup.Result{}, false, err
		}
		if found {
			out = append(out, '\n')
		}
		if len(values) == 1 { // nothing at all is found as long as there are only NULLs
			out, found = append(out, display(values[0], columns[0])...), found || values[0] != nil
		} else {
			found = true
			for i, v := range values {
				out = append(out, columns[i].Name()+"="+lookup.QuoteField(display(v, columns[i]))+" "...)
			}
		}
		if len(out) > maxResult {
			return lookup.Result{}, false, errors.New("the result is too large")
		}
	}
	return lookup.Result{Data: string(out)}, found, rows.Err()
}

// display writes a value as the server sent it. The library has made numbers of digits.
func display(v any, column *sql.ColumnType) string {
	switch v := v.(type) {
	case []byte:
		return string(v)
	case int64:
		if column.DatabaseTypeName() == "YEAR" {
			return fmt.Sprintf("%04d", v)
		}
		return strconv.FormatInt(v, 10)
	case uint64:
		return strconv.FormatUint(v, 10)
	case float32:
		return displayFloat(float64(v), 32, column)
	case float64:
		return displayFloat(v, 64, column)
	case string:
		return v
	}
	return "" // NULL
}

// maxFixed is the number of digits before or behind the point from which on the server writes an exponent.
const maxFixed = 15

func displayFloat(v float64, bits int, column *sql.ColumnType) string {
	if _, decimals, ok := column.DecimalSize(); ok && decimals >= 0 && decimals < 31 {
		return strconv.FormatFloat(v, 'f', int(decimals), bits)
	}
	text := strconv.FormatFloat(v, 'e', -1, bits)
	digits, exponent, _ := strings.Cut(text, "e")
	n, _ := strconv.Atoi(exponent)
	if n >= maxFixed || n < -maxFixed {
		return digits + "e" + strconv.Itoa(n)
	}
	return strconv.FormatFloat(v, 'f', -1, bits)
}
