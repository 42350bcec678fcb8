// Package redis is the lookup type redis: commands for Redis servers and clusters (spec 9.27).
//
// Trust: servers and lists of servers belong to the administrator; what stands in queries may be anybody's, quoted by ${quote_redis:...}. Replies are
// bounded by proto/resp.
package redis

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"exigo/internal/lookup"
	"exigo/internal/option"
	"exigo/internal/outside"
	"exigo/internal/proto/resp"
)

// settings are the options of the main section.
type settings struct{ servers string }

// Driver returns the lookup type.
func Driver() *lookup.Driver {
	c := &client{}
	return &lookup.Driver{
		Name: "redis", Kind: lookup.Query, Doc: "Sends a command to a Redis server.", Find: c.find, Conceal: lookup.ConcealQuery,
		Quote: func(text, option string) (string, bool) { return quoter.Replace(text), option == "" },
		Settings: []option.Set{option.Table[settings]{Scope: "main", Rows: []option.Row[settings]{
			{Name: "redis_servers", Field: func(s *settings) any { return &s.servers },
				Doc: "The servers of redis lookups, tried in turn: host::port/database/password, or (socket)/database/password."},
		}}},
	}
}

// quoter puts a backslash before white space and backslashes.
var quoter = strings.NewReplacer(" ", `\ `, "\t", "\\\t", "\n", "\\\n", "\r", "\\\r", "\v", "\\\v", "\f", "\\\f", `\`, `\\`)

// words splits a command at white space; a backslash makes the next character part of a word.
func words(query string) (list []string) {
	var word strings.Builder
	open := false
	for i := 0; i < len(query); i++ {
		switch c := query[i]; {
		case c == ' ' || c >= '\t' && c <= '\r':
			if open {
				list = append(list, word.String())
				word.Reset()
			}
			open = false
			continue
		case c == '\\' && i+1 < len(query):
			i++
		}
		open = true
		word.WriteByte(query[i])
	}
	if open {
		list = append(list, word.String())
	}
	return list
}

// server is an item of redis_servers.
type server struct{ host, port, socket, database, password string }

func parseServer(item string) (s server, err error) {
	rest := item
	if inner, ok := strings.CutPrefix(item, "("); ok {
		s.socket, rest, ok = strings.Cut(inner, ")")
		if !ok || s.socket == "" || rest != "" && rest[0] != '/' {
			return s, errors.New("malformed Redis server data: " + lookup.ConcealServers(item))
		}
	}
	parts := strings.SplitN(rest, "/", 3)
	if s.socket == "" {
		s.host, s.port = lookup.HostPort(parts[0])
	}
	if len(parts) > 1 {
		s.database = parts[1]
	}
	if len(parts) > 2 {
		s.password = parts[2]
	}
	if s.host == "" && s.socket == "" {
		return s, errors.New("incomplete Redis server data: " + parts[0])
	}
	return s, nil
}

// String is the server's place, without its password.
func (s server) String() string {
	switch {
	case s.socket != "":
		return s.socket
	case s.port == "":
		return s.host
	}
	return net.JoinHostPort(s.host, s.port)
}

// client keeps connections.
type client struct {
	idle lookup.Connections[*connection]
}

type connection struct {
	net.Conn
	reader *bufio.Reader
}

func (c *client) find(ctx context.Context, r *lookup.Request) (lookup.Result, bool, error) {
	main := lookup.SettingsOf(r, &settings{})
	list := lookup.Servers{Name: "Redis", Option: "redis_servers", Bare: true}
	return list.Each(r, main.servers, func(item, query string) (lookup.Result, bool, error) {
		s, err := parseServer(item)
		if err != nil {
			return lookup.Result{}, false, err
		}
		command := words(query)
		if len(command) == 0 {
			return lookup.Result{}, false, errors.New("REDIS: the query holds no command")
		}
		reply, err := c.ask(ctx, r.World, s, command)
		if err != nil {
			return lookup.Result{}, false, lookup.Defer(err.Error())
		}
		return result(reply)
	})
}

// result makes data of a reply: items of arrays, also of arrays in arrays, stand on lines of their own. What a command did rather than
// what it found is not kept for the next search. Nothing is found if there is no data.
func result(reply resp.Reply) (lookup.Result, bool, error) {
	var lines []string
	any := flatten(reply, &lines)
	return lookup.Result{Data: strings.Join(lines, "\n"), NoCache: reply.Kind == resp.Status || reply.Kind == resp.Integer}, any, nil
}

// flatten collects the values; any says that one of them is more than nothing.
func flatten(reply resp.Reply, lines *[]string) (any bool) {
	if reply.Kind != resp.Array {
		*lines = append(*lines, reply.Text)
		return !reply.Null
	}
	for _, item := range reply.Items {
		any = flatten(item, lines) || any
	}
	return any
}

// maxRedirections is how often one command may be sent to another node of a cluster.
const maxRedirections = 5

// ask sends a command, and follows the redirections of a cluster.
func (c *client) ask(ctx context.Context, w *outside.World, s server, command []string) (resp.Reply, error) {
	asking := false
	for range maxRedirections {
		reply, err := c.exchange(ctx, w, s, command, asking)
		if err != nil || reply.Kind != resp.Error {
			return reply, err
		}
		next, now, ok := redirection(reply.Text, s)
		if !ok {
			return resp.Reply{}, errors.New("REDIS: query failed: " + reply.Text)
		}
		s, asking = next, now
	}
	return resp.Reply{}, errors.New("REDIS: query failed: too many redirections")
}

// redirection reads "MOVED slot host:port" and "ASK slot host:port" (Redis cluster specification). An empty host is the one that answered.
// asking says that the node must be told that we were sent.
func redirection(text string, from server) (to server, asking, ok bool) {
	fields := strings.Fields(text)
	if len(fields) < 3 || fields[0] != "MOVED" && fields[0] != "ASK" {
		return to, false, false
	}
	at := strings.LastIndexByte(fields[2], ':')
	if at < 0 {
		return to, false, false
	}
	to = server{host: strings.Trim(fields[2][:at], "[]"), port: fields[2][at+1:], database: from.database, password: from.password}
	if to.host == "" || to.host == "?" {
		to.host = from.host
	}
	return to, fields[0] == "ASK", to.host != ""
}

// exchange has one reply to one command, on a connection that is at hand or on a new one.
func (c *client) exchange(ctx context.Context, w *outside.World, s server, command []string, asking bool) (reply resp.Reply, err error) {
	ctx, cancel := context.WithTimeout(ctx, lookup.QueryTimeout)
	defer cancel()
	key := strings.Join([]string{s.String(), s.database, s.password}, "\x00")
	conn, ok := c.idle.Take(key, w.Clock.Now())
	for ok && !outside.Quiet(conn.Conn) {
		conn.Close()
		conn, ok = c.idle.Take(key, w.Clock.Now())
	}
	if !ok {
		if conn, err = connect(ctx, w, s); err != nil {
			return reply, err
		}
	}
	stop := lookup.Until(ctx, conn, lookup.QueryTimeout)
	if asking {
		reply, err = conn.do("ASKING")
	}
	if err == nil {
		reply, err = conn.do(command...)
	}
	ended := stop()
	if ended != nil {
		err = ended
	}
	if err != nil {
		conn.Close()
		return reply, fmt.Errorf("REDIS: query failed: %s: %s", s, lookup.Reason(err))
	}
	if stateful(command[0]) || conn.reader.Buffered() > 0 {
		conn.Close()
	} else {
		c.idle.Keep(key, conn, w.Clock.Now())
	}
	return reply, nil
}

// stateful tells commands that change what later ones on the same connection mean. Such a connection is not used again.
func stateful(command string) bool {
	switch strings.ToUpper(command) {
	case "ASKING", "AUTH", "CLIENT", "DISCARD", "EXEC", "HELLO", "MONITOR", "MULTI", "PSUBSCRIBE", "PSYNC", "PUNSUBSCRIBE", "QUIT", "READONLY", "READWRITE", "REPLCONF",
		"RESET", "SELECT", "SHUTDOWN", "SSUBSCRIBE", "SUBSCRIBE", "SUNSUBSCRIBE", "SYNC", "UNSUBSCRIBE", "UNWATCH", "WATCH":
		return true
	}
	return false
}

// do sends a command and reads its reply.
func (c *connection) do(arguments ...string) (resp.Reply, error) {
	if _, err := c.Write(resp.Command(arguments)); err != nil {
		return resp.Reply{}, err
	}
	return resp.Read(c.reader)
}

// connect opens a connection, gives the password and chooses the database.
func connect(ctx context.Context, w *outside.World, s server) (*connection, error) {
	ctx, cancel := context.WithTimeout(ctx, lookup.ConnectTimeout)
	defer cancel()
	var raw net.Conn
	var err error
	if s.socket != "" {
		raw, err = w.Dial.Dial(ctx, "unix", netip.Addr{}, s.socket)
	} else {
		port, bad := lookup.ParsePort(s.port, 6379)
		if bad != nil {
			return nil, errors.New("REDIS connection failed: malformed port: " + strconv.Quote(s.port))
		}
		raw, _, err = lookup.Dial(ctx, w, s.host, port)
	}
	if err != nil {
		return nil, fmt.Errorf("REDIS connection failed: %s: %s", s, lookup.Reason(err))
	}
	conn := &connection{raw, bufio.NewReader(raw)}
	stop := lookup.Until(ctx, raw, lookup.ConnectTimeout)
	err = conn.begin(s)
	if ended := stop(); ended != nil {
		err = fmt.Errorf("REDIS connection failed: %s: %s", s, lookup.Reason(ended))
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

func (c *connection) begin(s server) error {
	for _, step := range []struct{ command, argument, failure string }{
		{"AUTH", s.password, "REDIS: Authentication failed"}, {"SELECT", s.database, "REDIS: Selecting database=" + s.database + " failed"},
	} {
		if step.argument == "" {
			continue
		}
		reply, err := c.do(step.command, step.argument)
		if err != nil {
			return fmt.Errorf("%s: %s", step.failure, lookup.Reason(err))
		}
		if reply.Kind == resp.Error {
			return fmt.Errorf("%s: %s", step.failure, reply.Text)
		}
	}
	return nil
}
