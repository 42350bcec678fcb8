package rewrite

import (
	"errors"
	"fmt"
	"strings"

	"exigo/internal/config"
	"exigo/internal/option"
)

// flags are the letters that may follow a replacement.
var flags = map[byte]func(r *Rule){
	'E': func(r *Rule) { r.Places |= allEnvelope },
	'F': func(r *Rule) { r.Places |= EnvelopeFrom },
	'T': func(r *Rule) { r.Places |= EnvelopeTo },
	'S': func(r *Rule) { r.Places |= allSMTP },
	'b': func(r *Rule) { r.Places |= Bcc },
	'c': func(r *Rule) { r.Places |= Cc },
	'f': func(r *Rule) { r.Places |= From },
	'h': func(r *Rule) { r.Places |= allHeaders },
	'r': func(r *Rule) { r.Places |= ReplyTo },
	's': func(r *Rule) { r.Places |= Sender },
	't': func(r *Rule) { r.Places |= To },
	'Q': func(r *Rule) { r.Qualify = true },
	'q': func(r *Rule) { r.Quit = true },
	'R': func(r *Rule) { r.Repeat = true },
	'w': func(r *Rule) { r.Whole = true },
	' ': func(*Rule) {}, '\t': func(*Rule) {}, '\n': func(*Rule) {},
}

// Compile reads the lines of the rewrite section. An error is a *config.Error.
func Compile(lines []config.Line) (*Rules, error) {
	out := &Rules{}
	for _, line := range lines {
		if strings.TrimSpace(line.Text) == "" {
			continue
		}
		rule, err := ParseRule(line.Text, true)
		if err != nil {
			return nil, &config.Error{File: line.File, Line: line.Line, Text: err.Error()}
		}
		out.add(rule)
	}
	return out, nil
}

// CompileList reads the rules of a transport's headers_rewrite option: a colon-separated list. The error has no place.
func CompileList(list string) (*Rules, error) {
	out := &Rules{}
	for _, item := range option.SplitList(list) {
		rule, err := ParseRule(item, false)
		if err != nil {
			return nil, err
		}
		out.add(rule)
	}
	return out, nil
}

func (r *Rules) add(rule Rule) {
	r.rules = append(r.rules, rule)
	r.places |= rule.Places
}

// ParseRule reads "pattern replacement flags". global is false for the rules of transports, which deal with header lines only.
func ParseRule(text string, global bool) (Rule, error) {
	var rule Rule
	var quoted bool
	rest := text
	rule.Pattern, rest, _ = dequote(rest)
	rule.Replacement, rest, quoted = dequote(rest)
	if rule.Replacement == "" && !quoted {
		return rule, errors.New("missing rewrite replacement string")
	}
	for i := range len(rest) {
		set := flags[rest[i]]
		if set == nil {
			return rule, fmt.Errorf("unknown rewrite flag character '%c' (could be missing quotes round replacement item)", rest[i])
		}
		if !global && strings.IndexByte("EFTS", rest[i]) >= 0 {
			return rule, errors.New("rewrite rule has a flag (E, F, S, or T) that is not permitted in headers_rewrite")
		}
		set(&rule)
	}
	if rule.Places == 0 {
		rule.Places = allHeaders
		if global {
			rule.Places |= allEnvelope
		}
	}
	if rule.Places&allSMTP != 0 && !strings.HasPrefix(rule.Pattern, "^") && !strings.HasPrefix(rule.Pattern, "\\N^") {
		return rule, errors.New("rewrite rule has the S flag but is not a regular expression")
	}
	return rule, nil
}

// dequote takes the next word off, or a quoted string with its escapes (spec 6.16).
func dequote(s string) (word, rest string, quoted bool) {
	s = strings.TrimLeft(s, " \t\n")
	if !strings.HasPrefix(s, "\"") {
		i := strings.IndexAny(s, " \t\n")
		if i < 0 {
			return s, "", false
		}
		return s[:i], s[i+1:], false
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '"':
			return b.String(), strings.TrimLeft(s[i+1:], " \t\n"), true
		case s[i] == '\\' && i+1 < len(s):
			var n int
			var c byte
			c, n = escape(s[i+1:])
			b.WriteByte(c)
			i += n
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String(), "", true
}

// escape reads what follows a backslash: \n, \t, \r, \b, \f, \v, octal and hexadecimal numbers; another character is itself.
func escape(s string) (c byte, length int) {
	if i := strings.IndexByte("nrtbfv", s[0]); i >= 0 {
		return "\n\r\t\b\f\v"[i], 1
	}
	if s[0] >= '0' && s[0] <= '7' {
		v, n := 0, 0
		for n < len(s) && n < 3 && s[n] >= '0' && s[n] <= '7' {
			v = v*8 + int(s[n]-'0')
			n++
		}
		return byte(v), n
	}
	if s[0] == 'x' {
		v, n := 0, 1
		for n < len(s) && n < 3 {
			d := strings.IndexByte("0123456789abcdef", s[n]|0x20)
			if d < 0 || s[n]|0x20 < '0' {
				break
			}
			v = v*16 + d
			n++
		}
		if n > 1 {
			return byte(v), n
		}
	}
	return s[0], 1
}
