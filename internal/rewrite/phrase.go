package rewrite

import (
	"strings"

	"exigo/internal/proto/mime"
)

// Phrase makes a person's name, or a text with comments, fit to stand before or after an address in a header line (spec 48.18): parts
// with special characters are quoted, what is quoted or a comment stays, and text with characters that cannot be
// printed is encoded as RFC 2047 says. topbit says that bytes above 127 can be printed (print_topbitchars).
func Phrase(text, charset string, topbit bool) string {
	text = strings.TrimSpace(text)
	for i := range len(text) {
		if c := text[i]; c < ' ' && c != '\t' || c == 0x7f || c > 0x7f && !topbit {
			return mime.EncodeWords(text, charset)
		}
	}
	var b strings.Builder
	for text != "" {
		n := 0
		switch text[0] {
		case '"':
			n = copyQuoted(&b, text)
		case '(':
			n = copyComment(&b, text)
		default:
			n = copyWords(&b, text)
		}
		rest := text[n:]
		text = strings.TrimLeft(rest, " \t")
		if text != "" && len(text) < len(rest) {
			b.WriteByte(' ')
		}
	}
	return b.String()
}

// copyQuoted copies a quoted string and closes it if need be.
func copyQuoted(b *strings.Builder, s string) int {
	i := 1
	for i < len(s) && s[i] != '"' {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		i++
	}
	b.WriteString(s[:i])
	b.WriteByte('"')
	return min(i+1, len(s))
}

// copyComment copies a comment and closes it if need be.
func copyComment(b *strings.Builder, s string) int {
	level := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '(':
			level++
		case ')':
			if level--; level == 0 {
				b.WriteString(s[:i+1])
				return i + 1
			}
		}
	}
	b.WriteString(s)
	b.WriteString(strings.Repeat(")", level))
	return len(s)
}

// copyWords copies words up to a quoted string or comment, in quotes if one of them has a special character.
func copyWords(b *strings.Builder, s string) int {
	n, special := 0, false
	for n < len(s) && s[n] != '(' && (s[n] != '"' || n > 0 && s[n-1] != ' ') {
		if s[n] == '\\' && n+1 < len(s) {
			special = true
			n++
		} else if strings.IndexByte("()<>@,;:\\\".[]", s[n]) >= 0 {
			special = true
		}
		n++
	}
	words := strings.TrimRight(s[:n], " \t")
	if special {
		words = "\"" + words + "\""
	}
	b.WriteString(words)
	return len(strings.TrimRight(s[:n], " \t"))
}
