package transport

import (
	"errors"
	"strings"

	"exigo/internal/expand"
	"exigo/internal/mail"
)

// SplitCommand splits a command line into arguments as spec 29.3 says, before expansion: white space separates; double quotes
// hold an argument together with backslash escapes inside, single quotes without.
func SplitCommand(line string) []string {
	var out []string
	for {
		line = strings.TrimLeft(line, " \t\n\r\f\v")
		if line == "" {
			return out
		}
		var arg string
		switch line[0] {
		case '"':
			arg, line = doubleQuoted(line[1:])
		case '\'':
			body, rest, found := strings.Cut(line[1:], "'")
			if !found {
				rest = ""
			}
			arg, line = body, rest
		default:
			n := strings.IndexAny(line, " \t\n\r\f\v")
			if n < 0 {
				n = len(line)
			}
			arg, line = line[:n], line[n:]
		}
		out = append(out, arg)
	}
}

// doubleQuoted reads up to the closing quote; a backslash makes a quote, a backslash or n, r, t of the next character.
func doubleQuoted(s string) (arg, rest string) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '"':
			return b.String(), s[i+1:]
		case '\\':
			if i++; i == len(s) {
				b.WriteByte('\\')
				return b.String(), ""
			}
			if n := strings.IndexByte("nrt", s[i]); n >= 0 {
				b.WriteByte("\n\r\t"[n])
			} else {
				b.WriteByte(s[i])
			}
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String(), ""
}

// Filter expands transport_filter, argument by argument; nil: there is none.
func (r *Run) Filter() (*Filter, error) {
	text := string(r.Transport.Generic.TransportFilter)
	if text == "" {
		return nil, nil
	}
	var argv []string
	for _, arg := range SplitCommand(text) {
		if arg == "$pipe_addresses" {
			for _, a := range r.Addresses {
				argv = append(argv, a.Address)
			}
			continue
		}
		v, err := r.Scope.Engine.Expand(r.Scope, arg)
		if err != nil {
			why := err.Error()
			if errors.Is(err, expand.ErrForced) {
				why = "forced failure"
			}
			return nil, Defer(mail.ErrnoExpandFail, "Expansion of \"%s\" from command \"%s\" in transport filter for %s transport failed: %s",
				arg, text, r.Transport.Name, why)
		}
		if len(argv) == 0 && r.Scope.Untrusted(v, "Tainted '%s' (transport filter for %s transport) not permitted", v.S, r.Transport.Name) {
			return nil, Panic(mail.ErrnoExpandFail, "Tainted '%s' (transport filter for %s transport) not permitted", v.S, r.Transport.Name)
		}
		argv = append(argv, v.S)
	}
	if len(argv) == 0 || argv[0] == "" {
		return nil, nil
	}
	if argv[0][0] != '/' {
		return nil, Panic(mail.ErrnoExpandFail, "transport filter \"%s\" of the %s transport is not an absolute path", argv[0], r.Transport.Name)
	}
	return &Filter{Argv: argv, Timeout: r.Transport.Generic.TransportFilterTimeout}, nil
}
