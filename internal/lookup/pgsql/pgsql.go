// Package pgsql is the lookup type pgsql: statements for PostgreSQL servers (spec 9.21 to 9.25).
//
// Trust: servers and lists of servers belong to the administrator; what stands in queries may be anybody's, quoted by ${quote_pgsql:...}. What a
// server sends is bounded.
package pgsql

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"

	"exigo/internal/lookup"
	"exigo/internal/option"
	"exigo/internal/outside"
)

// settings are the options of the main section.
type settings struct{ servers string }

// Driver returns the lookup type.
func Driver() *lookup.Driver {
	c := &client{}
	return &lookup.Driver{
		Name: "pgsql", Kind: lookup.Query, Doc: "Runs a statement in a PostgreSQL database.", Find: c.find, Conceal: lookup.ConcealQuery,
		Quote: func(text, option string) (string, bool) { return quoter.Replace(text), option == "" },
		Settings: []option.Set{option.Table[settings]{Scope: "main", Rows: []option.Row[settings]{
			{Name: "pgsql_servers", Field: func(s *settings) any { return &s.servers },
				Doc: "The servers of pgsql lookups, tried in turn: host::port/database/user/password, or (socket)/database/user/password."},
		}}},
	}
}

// quoter doubles apostrophes, since backslashes mean nothing in ordinary strings of PostgreSQL; the rest is as for MySQL.
var quoter = strings.NewReplacer("'", "''", "\n", `\n`, "\t", `\t`, "\r", `\r`, "\b", `\b`, `"`, `\"`, `\`, `\\`)

// client keeps connections.
type client struct {
	idle lookup.Connections[*connection]
}

func (c *client) find(ctx context.Context, r *lookup.Request) (lookup.Result, bool, error) {
	main := lookup.SettingsOf(r, &settings{})
	list := lookup.Servers{Name: "PostgreSQL", Option: "pgsql_servers"}
	return list.Each(r, main.servers, func(item, query string) (lookup.Result, bool, error) {
		server, err := lookup.ParseServer(item, "pgSQL")
		if err != nil {
			return lookup.Result{}, false, err
		}
		p, err := placeOf(server)
		if err != nil {
			return lookup.Result{}, false, err
		}
		answer, err := c.ask(ctx, r.World, p, query)
		if err != nil {
			return lookup.Result{}, false, lookup.Defer(err.Error())
		}
		return answer.result()
	})
}

// ask runs a query on a connection that is at hand or on a new one.
func (c *client) ask(ctx context.Context, w *outside.World, p place, query string) (answer, error) {
	key := p.key()
	conn, ok := c.idle.Take(key, w.Clock.Now())
	for ok && !outside.Quiet(conn.raw) {
		conn.Close()
		conn, ok = c.idle.Take(key, w.Clock.Now())
	}
	if !ok {
		var err error
		if conn, err = connect(ctx, w, p); err != nil {
			return answer{}, errors.New("PGSQL connection failed: " + err.Error())
		}
	}
	stop := lookup.Until(ctx, conn.raw, lookup.QueryTimeout)
	a, err := conn.query(query)
	ended := stop()
	if err == nil {
		err = ended
	}
	if ended != nil {
		go conn.cancel(w, p)
	}
	if err != nil || !a.idle {
		conn.Close() // in a state that nobody knows, or in the middle of a transaction
	} else {
		c.idle.Keep(key, conn, w.Clock.Now())
	}
	switch {
	case ended != nil:
		return answer{}, fmt.Errorf("PGSQL: query failed: %s", lookup.Reason(ended))
	case err != nil:
		return answer{}, fmt.Errorf("PGSQL: query failed: %s", lookup.Reason(err))
	case a.failure != "":
		return answer{}, errors.New("PGSQL: query failed: " + a.failure)
	}
	return a, nil
}

// answer is what the last statement of a query gave.
type answer struct {
	names []string
	rows  int
	data  []byte
	// returns says that the statement is one that gives rows; else tag says what it did ("UPDATE 3").
	returns bool
	tag     string
	// failure is the message of an error, with the query.
	failure string
	// idle says that the session is not in a transaction, and as it was before.
	idle bool
}

// result is what is found: rows, or the number of rows that a statement has changed. That number is not kept for the next search.
func (a *answer) result() (lookup.Result, bool, error) {
	if a.returns {
		return lookup.Result{Data: string(a.data)}, a.rows > 0, nil
	}
	changed := changed(a.tag)
	return lookup.Result{Data: changed, NoCache: true}, changed != "", nil
}

// changed is the number of rows in the tag of a command that has one.
func changed(tag string) string {
	words := strings.Fields(tag)
	if len(words) < 2 || strings.Trim(words[len(words)-1], "0123456789") != "" {
		return ""
	}
	return words[len(words)-1]
}

// add adds a row: the value if there is one column, else name=value and a space for each; rows are separated by newlines.
func (a *answer) add(values [][]byte) {
	if a.rows > 0 {
		a.data = append(a.data, '\n')
	}
	a.rows++
	for i, v := range values {
		if len(a.names) == 1 {
			a.data = append(a.data, v...)
		} else if i < len(a.names) {
			a.data = append(a.data, a.names[i]+"="+lookup.QuoteField(string(v))+" "...)
		}
	}
}

// maxResult bounds what a query may give.
const maxResult = 16 << 20

var errTooLarge = errors.New("the result is too large")

// query runs one or several statements (PostgreSQL documentation, chapter 55.2.2.1: simple query). An error that the server tells is in the answer.
func (c *connection) query(text string) (a answer, err error) {
	if strings.IndexByte(text, 0) >= 0 {
		text = text[:strings.IndexByte(text, 0)]
	}
	c.wire.SendQuery(&pgproto3.Query{String: text})
	altered := false
	if err := c.wire.Flush(); err != nil {
		return a, err
	}
	for {
		message, err := c.wire.Receive()
		var large *pgproto3.ExceededMaxBodyLenErr
		if errors.As(err, &large) {
			err = errTooLarge
		}
		if err != nil {
			return a, err
		}
		switch m := message.(type) {
		case *pgproto3.RowDescription:
			a = answer{returns: true, failure: a.failure}
			for _, f := range m.Fields {
				a.names = append(a.names, string(f.Name))
			}
		case *pgproto3.DataRow:
			a.add(m.Values)
			if len(a.data) > maxResult {
				return a, errTooLarge
			}
		case *pgproto3.CommandComplete:
			altered = altered || alters(string(m.CommandTag))
			a.complete(string(m.CommandTag))
		case *pgproto3.ParameterStatus: // set_config() and its like
			altered = true
		case *pgproto3.EmptyQueryResponse:
			a = answer{failure: a.failure}
		case *pgproto3.ErrorResponse:
			if a.failure == "" {
				a.failure = errorText(m, text) + " (PGRES_FATAL_ERROR) (" + text + ")\n"
			}
		case *pgproto3.CopyInResponse:
			return answer{failure: " (PGRES_COPY_IN) (" + text + ")\n"}, nil
		case *pgproto3.CopyOutResponse:
			return answer{failure: " (PGRES_COPY_OUT) (" + text + ")\n"}, nil
		case *pgproto3.ReadyForQuery:
			a.idle = m.TxStatus == 'I' && !altered
			return a, nil
		}
	}
}

// alters tells tags of statements that change what later ones in the same session mean or find.
func alters(tag string) bool {
	switch tag {
	case "SET", "RESET", "PREPARE", "LISTEN", "LOAD", "DECLARE CURSOR", "CREATE TABLE", "CREATE VIEW", "DISCARD ALL": // tables and views may be temporary
		return true
	}
	return false
}

// complete ends a statement. One that gives no rows takes the place of the one before it.
func (a *answer) complete(tag string) {
	if a.returns && a.tag == "" {
		a.tag = tag
		return
	}
	*a = answer{tag: tag, failure: a.failure}
}
