package ldap

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	ldapv3 "github.com/go-ldap/ldap/v3"
)

// query is a parsed query: settings, then a URL (spec 9.15, 9.18).
type query struct {
	user, password           string
	userGiven, passwordGiven bool
	size, time               int
	nettime                  time.Duration
	dereference              int
	follow                   bool
	servers                  string
	url                      address
}

// address is an LDAP URL (RFC 4516).
type address struct {
	text       string
	scheme     string
	host, port string
	base       string
	attributes []string
	scope      int
	scopeGiven bool
	filter     string
}

var errMalformed = errors.New("malformed parameter setting precedes LDAP URL")

// setting is one NAME=value before the URL; text is how it stands there. last says that no white space follows: it is not looked at.
type setting struct {
	name, value, text string
	last              bool
}

// cut takes the settings off. What is left is the URL.
func cut(text string) (list []setting, rest string, err error) {
	rest = strings.TrimLeft(text, spaces)
	for !prefixFold(rest, "ldap") {
		equals := strings.IndexByte(rest, '=')
		if equals < 0 {
			return list, rest, errMalformed
		}
		value, after := dequote(rest[equals+1:])
		last := after == "" || strings.IndexByte(spaces, after[0]) < 0
		list = append(list, setting{rest[:equals+1], value, rest[:len(rest)-len(after)], last})
		if last {
			return list, after, errMalformed
		}
		rest = strings.TrimLeft(after, spaces)
	}
	return list, rest, nil
}

const spaces = " \t\r\n\v\f"

func prefixFold(text, prefix string) bool {
	return len(text) >= len(prefix) && strings.EqualFold(text[:len(prefix)], prefix)
}

// dequote reads a value: up to white space, or in double quotes, in which a backslash escapes.
func dequote(text string) (value, rest string) {
	if text == "" || text[0] != '"' {
		end := strings.IndexAny(text, spaces)
		if end < 0 {
			end = len(text)
		}
		return text[:end], text[end:]
	}
	var b strings.Builder
	for i := 1; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			return b.String(), text[i+1:]
		case c == '\\' && i+1 < len(text):
			i++
			if at := strings.IndexByte("nrtb", text[i]); at >= 0 {
				b.WriteByte("\n\r\t\b"[at])
			} else {
				b.WriteByte(text[i])
			}
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), ""
}

// conceal replaces the password, also where the word for it is not quite right.
func conceal(text string) string {
	list, _, _ := cut(text)
	done := ""
	for _, s := range list {
		before, after, _ := strings.Cut(text, s.text)
		shown := s.text
		if prefixFold(s.name, "pass") && s.value != "" {
			shown = s.name + "***"
		}
		done, text = done+before+shown, after
	}
	return done + text
}

// parse reads a query. Its errors are Exim's.
func parse(text string) (q query, err error) {
	q.follow = true
	list, rest, malformed := cut(text)
	for _, s := range list {
		if s.last {
			break
		}
		if err := q.set(s); err != nil {
			return q, err
		}
	}
	if malformed != nil {
		return q, malformed
	}
	if !prefixFold(rest, "ldap://") && !prefixFold(rest, "ldaps://") && !prefixFold(rest, "ldapi://") {
		return q, fmt.Errorf("LDAP URL does not start with \"ldap://\", \"ldaps://\", or \"ldapi://\" (it starts with \"%.16s...\")", rest)
	}
	q.url, err = parseURL(rest)
	return q, err
}

func (q *query) set(s setting) error {
	number, _ := strconv.Atoi(s.value[:len(s.value)-len(strings.TrimLeft(s.value, "0123456789"))])
	switch strings.ToLower(s.name) {
	case "user=":
		q.user, q.userGiven = s.value, true
		if plain, err := url.PathUnescape(s.value); err == nil {
			q.user = plain
		}
	case "pass=":
		q.password, q.passwordGiven = s.value, true
	case "size=":
		q.size = number
	case "time=":
		q.time = number
	case "connect=", "nettime=":
		q.nettime = time.Duration(number) * time.Second
	case "servers=":
		q.servers = s.value
	case "dereference=":
		switch strings.ToLower(s.value) {
		case "searching":
			q.dereference = ldapv3.DerefInSearching
		case "finding":
			q.dereference = ldapv3.DerefFindingBaseObj
		case "always":
			q.dereference = ldapv3.DerefAlways
		default:
			q.dereference = ldapv3.NeverDerefAliases
		}
	case "referrals=":
		switch strings.ToLower(s.value) {
		case "follow":
			q.follow = true
		case "nofollow":
			q.follow = false
		default:
			return errors.New("LDAP option REFERRALS is not \"follow\" or \"nofollow\"")
		}
	default:
		return fmt.Errorf("unknown parameter \"%s\" precedes LDAP URL", s.name)
	}
	return nil
}

// The numbers of OpenLDAP's errors about URLs.
const (
	badURL        = 5
	badScope      = 8
	badExtensions = 10
)

// parseURL reads scheme://host:port/base?attributes?scope?filter?extensions. Extensions are not obeyed, not even critical ones.
func parseURL(text string) (a address, err error) {
	fail := func(number int) (address, error) {
		return a, serious{fmt.Errorf("ldap_url_parse: (error %d) parsing \"%s\"\n", number, text)}
	}
	a = address{text: text, scope: ldapv3.ScopeBaseObject, filter: "(objectClass=*)"}
	scheme, rest, _ := strings.Cut(text, "://")
	a.scheme = strings.ToLower(scheme)
	end := strings.IndexAny(rest+"/", "/?")
	host, rest := rest[:end], rest[end:]
	if strings.HasPrefix(rest, "?") {
		rest = "" // without a slash nothing can follow
	}
	rest = strings.TrimPrefix(rest, "/")
	if inner, after, ok := strings.Cut(strings.TrimPrefix(host, "["), "]"); ok && strings.HasPrefix(host, "[") {
		a.host, a.port = inner, strings.TrimPrefix(after, ":")
	} else {
		a.host, a.port, _ = strings.Cut(host, ":")
	}
	a.host = decode(a.host)
	if strings.Trim(a.port, "0123456789") != "" {
		return fail(badURL)
	}
	parts := strings.Split(rest, "?")
	if len(parts) > 5 {
		return fail(badURL)
	}
	a.base = decode(parts[0])
	if len(parts) > 1 {
		if list := decode(parts[1]); list != "" {
			a.attributes = strings.Split(list, ",")
		}
	}
	if len(parts) > 2 {
		var ok bool
		if a.scope, ok = scopeOf(parts[2]); !ok {
			return fail(badScope)
		}
		a.scopeGiven = parts[2] != ""
	}
	if len(parts) > 3 && parts[3] != "" {
		a.filter = decode(parts[3])
	}
	if len(parts) > 4 && parts[4] == "" {
		return fail(badExtensions)
	}
	return a, nil
}

func scopeOf(text string) (int, bool) {
	switch strings.ToLower(text) {
	case "", "base":
		return ldapv3.ScopeBaseObject, true
	case "one", "onelevel":
		return ldapv3.ScopeSingleLevel, true
	case "sub", "subtree":
		return ldapv3.ScopeWholeSubtree, true
	case "children", "subordinate":
		return ldapv3.ScopeChildren, true
	}
	return 0, false
}

// decode undoes the quoting of URLs. What is malformed is nothing, as OpenLDAP has it.
func decode(text string) string {
	plain, err := url.PathUnescape(text)
	if err != nil {
		return ""
	}
	return plain
}
