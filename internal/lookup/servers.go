package lookup

import (
	"errors"
	"fmt"
	"strings"

	"exigo/internal/option"
)

// Servers says where a type with a list of servers finds those of a search (spec 9.22, 9.23).
type Servers struct {
	// Name is the word for the type in messages ("MySQL"), Option the main option with the list ("mysql_servers").
	Name, Option string
	// Bare lets an item of the main option be a host name and nothing else (Redis).
	Bare bool
}

// Each asks one server of the search after the other until one has answered: those of the option "servers=", those that stand before the
// query ("servers=...; query"), or else configured, the value of the main option. A server without slashes, or the path of a socket
// alone, is a name: the item of the main option that begins with it is meant. ask gets the item as it stands there; an error of ask that wraps ErrDefer leads to the next server, any
// other ends the search. All errors given back are temporary: a mistake in the list must not be taken for an answer.
func (v Servers) Each(r *Request, configured string, ask func(server, query string) (Result, bool, error)) (Result, bool, error) {
	main := option.SplitList(configured)
	servers, query, tainted, err := v.choose(r, main)
	if err != nil {
		return Result{}, false, Defer(err.Error())
	}
	err = Defer(fmt.Sprintf("no %s servers defined (%s option)", v.Name, v.Option))
	for _, server := range servers {
		if tainted {
			if line := fmt.Sprintf("%s server \"%s\" is tainted", v.Name, ConcealServers(server)); r.Untrusted(line) {
				return Result{}, false, Defer(line)
			}
		}
		if !strings.Contains(server, "/") || server[0] == '(' && strings.HasSuffix(server, ")") {
			full, ok := find(server, main, v.Bare)
			if !ok {
				return Result{}, false, Defer(fmt.Sprintf("%s server \"%s\" not found in %s", v.Name, server, v.Option))
			}
			server = full
		}
		var result Result
		var found bool
		if result, found, err = ask(server, query); err == nil {
			return result, found, nil
		}
		if !errors.Is(err, ErrDefer) {
			return Result{}, false, Defer(err.Error())
		}
	}
	return Result{}, false, err
}

// choose finds the list of a search and its query. A list that stands in a tainted query is tainted too.
func (v Servers) choose(r *Request, main []string) (servers []string, query string, tainted bool, err error) {
	list, given := "", false
	for _, o := range r.Options {
		if text, ok := strings.CutPrefix(o, "servers="); ok {
			list, given = text, true
		}
	}
	query = r.Key
	if rest, ok := strings.CutPrefix(query, "servers="); ok {
		text, after, ok := strings.Cut(rest, ";")
		if !ok {
			return nil, "", false, fmt.Errorf("missing ; after \"servers=\" in %s lookup", v.Name)
		}
		list, given, tainted = text, true, r.KeyTainted
		query = strings.TrimLeft(after, " \t\r\n\v\f")
	}
	if !given {
		return main, query, false, nil
	}
	if servers = option.SplitList(list); len(servers) == 0 {
		return nil, "", false, fmt.Errorf("\"servers=\" defines no servers in \"%s\"", ConcealQuery(r.Key))
	}
	return servers, query, tainted, nil
}

// find looks for the item whose first part is the name.
func find(name string, main []string, bare bool) (string, bool) {
	for _, item := range main {
		if host, _, ok := strings.Cut(item, "/"); host == name && (ok || bare) || strings.HasPrefix(item, name+"/") {
			return item, true
		}
	}
	return "", false
}

// ConcealServers replaces what stands behind the last slash of each server in a list: its password.
func ConcealServers(list string) string {
	separator := byte(':')
	if len(list) > 1 && list[0] == '<' {
		separator = list[1]
	}
	parts := strings.Split(list, string(separator))
	for i, part := range parts {
		if at := strings.LastIndexByte(part, '/'); at >= 0 && strings.TrimSpace(part[at+1:]) != "" {
			parts[i] = part[:at+1] + concealed
		}
	}
	return strings.Join(parts, string(separator))
}

// ConcealQuery is [Driver.Conceal] of types whose queries may begin with a list of servers.
func ConcealQuery(query string) string {
	if rest, ok := strings.CutPrefix(query, "servers="); ok {
		if strings.HasPrefix(strings.TrimLeft(rest, " "), "<;") {
			return "servers=<;" + concealed // no such list can stand here: the first semicolon ends it
		}
		list, after, more := strings.Cut(rest, ";")
		query = "servers=" + ConcealServers(list)
		if more {
			query += ";" + after
		}
	}
	return query
}

// concealed stands in place of a password.
const concealed = "***"

// Server is an item of mysql_servers and pgsql_servers: host:port(socket)[group]/database/user/password.
type Server struct {
	Host, Port, Socket, Group, Database, User, Password string
}

// ParseServer reads an item; its last three parts are told from the right, as the path of a socket has slashes too. name is the word
// for the type in messages.
func ParseServer(item, name string) (s Server, err error) {
	rest := item
	for _, part := range []*string{&s.Password, &s.User, &s.Database} {
		at := strings.LastIndexByte(rest, '/')
		if at < 0 {
			return s, fmt.Errorf("incomplete %s server data: %s", name, rest)
		}
		rest, *part = rest[:at], rest[at+1:]
	}
	if inner, after, ok := strings.Cut(strings.TrimPrefix(rest, "["), "]"); ok && rest[0] == '[' && strings.Contains(inner, ":") {
		s.Host, rest = inner, after // an IPv6 address; other brackets hold a group
	}
	if before, group, ok := strings.Cut(rest, "["); ok {
		s.Group, _, _ = strings.Cut(group, "]")
		rest = before
	}
	if before, socket, ok := strings.Cut(rest, "("); ok {
		s.Socket, _, _ = strings.Cut(socket, ")")
		rest = before
	}
	switch {
	case strings.Contains(rest, "/"):
		return s, fmt.Errorf("unexpected slash in %s server hostname: %s", name, rest)
	case s.Host != "":
		s.Port = strings.TrimPrefix(rest, ":")
	default:
		s.Host, s.Port = HostPort(rest)
	}
	return s, nil
}

// HostPort splits "host", "host:port", "[2001:db8::1]:port", "[2001:db8::1]" and "2001:db8::1"; port is "" where there is none.
func HostPort(text string) (host, port string) {
	if inner, rest, ok := strings.Cut(strings.TrimPrefix(text, "["), "]"); ok && strings.HasPrefix(text, "[") {
		return inner, strings.TrimPrefix(rest, ":")
	}
	if strings.Count(text, ":") > 1 {
		return text, "" // an IPv6 address without brackets has no port
	}
	host, port, _ = strings.Cut(text, ":")
	return host, port
}
