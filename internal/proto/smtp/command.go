// Package smtp has the pieces of the SMTP protocol (RFC 5321 and its extensions) that servers and clients share: command
// lines and their parameters, replies, the list of extensions a server announces, message data with its dots and line ends.
// It holds no state of a session and does no input or output of its own beyond the readers and writers given to it.
//
// Trust: command lines and data come from clients, replies from servers; lengths and counts are bounded by the caller's limits.
package smtp

import (
	"errors"
	"strconv"
	"strings"
)

// Command is a command line of a client.
type Command struct {
	// Verb is the first word in upper case, such as "EHLO"; of "MAIL FROM:" and "RCPT TO:" the first word only.
	Verb string
	// Argument is the rest of the line without white space around it.
	Argument string
}

// ParseCommand divides a command line, with or without its line end, into verb and argument (RFC 5321 section 4.1.1). The verb
// ends at white space or a colon.
func ParseCommand(line string) Command {
	line = strings.TrimRight(line, " \t\r\n")
	line = strings.TrimLeft(line, " \t")
	i := strings.IndexAny(line, " \t:")
	if i < 0 {
		return Command{Verb: upper(line)}
	}
	return Command{Verb: upper(line[:i]), Argument: strings.TrimLeft(line[i:], " \t")}
}

// upper is ASCII upper case without allocating for words that have it already.
func upper(s string) string {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c >= 'a' && c <= 'z' {
			return strings.ToUpper(s)
		}
	}
	return s
}

// CutKeyword removes the "FROM:" of MAIL or the "TO:" of RCPT from the start of an argument; white space may stand before and
// after the colon. It reports false when the keyword is not there.
func CutKeyword(argument, keyword string) (string, bool) {
	n := len(keyword)
	if len(argument) < n || !strings.EqualFold(argument[:n], keyword) {
		return argument, false
	}
	rest := strings.TrimLeft(argument[n:], " \t")
	if !strings.HasPrefix(rest, ":") {
		return argument, false
	}
	return strings.TrimLeft(rest[1:], " \t"), true
}

// Parameter is an ESMTP parameter of MAIL or RCPT (RFC 5321 section 4.1.2): NAME or NAME=VALUE.
type Parameter struct {
	// Name is in upper case.
	Name string
	// Value is as sent; HasValue tells "NAME=" from "NAME".
	Value    string
	HasValue bool
}

// CutParameter takes the last parameter off the argument of MAIL or RCPT: the last word after white space, provided the word
// looks like a parameter (letters, digits and hyphens, and perhaps "=" and a value) and no quoted string or angle bracket
// follows the white space. Servers that accept malformed paths take parameters off the end one at a time, until one is
// unknown; what is left is the path.
func CutParameter(argument string) (rest string, p Parameter, ok bool) {
	argument = strings.TrimRight(argument, " \t")
	i := strings.LastIndexAny(argument, " \t")
	if i < 0 {
		return argument, Parameter{}, false
	}
	p, ok = parseParameter(argument[i+1:])
	if !ok {
		return argument, Parameter{}, false
	}
	return strings.TrimRight(argument[:i], " \t"), p, true
}

// parseParameter reads NAME or NAME=VALUE (esmtp-param of RFC 5321 section 4.1.2).
func parseParameter(word string) (Parameter, bool) {
	name, value, hasValue := strings.Cut(word, "=")
	if name == "" || name[0] == '-' {
		return Parameter{}, false
	}
	for i := 0; i < len(name); i++ {
		if c := name[i] | 0x20; (c < 'a' || c > 'z') && (name[i] < '0' || name[i] > '9') && name[i] != '-' {
			return Parameter{}, false
		}
	}
	for i := 0; i < len(value); i++ {
		if c := value[i]; c <= ' ' || c == 0x7f {
			return Parameter{}, false
		}
	}
	return Parameter{Name: upper(name), Value: value, HasValue: hasValue}, true
}

// ErrPath says that the argument of MAIL or RCPT does not begin with a path in angle brackets.
var ErrPath = errors.New("path in angle brackets expected")

// ErrParameter says that an ESMTP parameter is malformed.
var ErrParameter = errors.New("malformed parameter")

// SplitPath divides the argument of MAIL FROM: or RCPT TO:, without the keyword, strictly as RFC 5321 section 4.1.2 has it, into
// the path with its angle brackets and the parameters. Errors are ErrPath and ErrParameter.
func SplitPath(argument string) (path string, parameters []Parameter, err error) {
	end := pathEnd(argument)
	if end < 0 {
		return "", nil, ErrPath
	}
	path = argument[:end]
	rest := argument[end:]
	if rest != "" && rest[0] != ' ' && rest[0] != '\t' {
		return "", nil, ErrPath
	}
	for _, word := range strings.Fields(rest) {
		p, ok := parseParameter(word)
		if !ok {
			return "", nil, ErrParameter
		}
		parameters = append(parameters, p)
	}
	return path, parameters, nil
}

// pathEnd returns the offset after the ">" that ends the path, honouring quoted local parts, or -1.
func pathEnd(s string) int {
	if s == "" || s[0] != '<' {
		return -1
	}
	quoted := false
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			quoted = !quoted
		case '>':
			if !quoted {
				return i + 1
			}
		}
	}
	return -1
}

// ErrSize says that the value of a size is not a number that fits.
var ErrSize = errors.New("malformed size")

// ParseSize reads the value of SIZE= or of BDAT: up to 20 decimal digits (RFC 1870 section 3, RFC 3030 section 2).
func ParseSize(s string) (int64, error) {
	if s == "" || len(s) > 20 {
		return 0, ErrSize
	}
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return 0, ErrSize
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0, ErrSize
	}
	return n, nil
}

// ErrChunk says that the argument of BDAT is malformed.
var ErrChunk = errors.New("malformed BDAT argument")

// ParseChunk reads the argument of BDAT: a size and perhaps the word LAST (RFC 3030 section 2).
func ParseChunk(argument string) (size int64, last bool, err error) {
	words := strings.Fields(argument)
	if len(words) < 1 || len(words) > 2 {
		return 0, false, ErrChunk
	}
	if len(words) == 2 {
		if !strings.EqualFold(words[1], "LAST") {
			return 0, false, ErrChunk
		}
		last = true
	}
	if size, err = ParseSize(words[0]); err != nil {
		return 0, false, ErrChunk
	}
	return size, last, nil
}
