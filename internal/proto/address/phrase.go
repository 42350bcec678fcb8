package address

import (
	"strings"

	"exigo/internal/proto/mime"
)

// QuotePhrase returns a display name in the form it must have before an address in a header field (RFC 5322 section 3.2.5): as it
// is when it consists of words, quoted strings and comments, else as one quoted string, in which backslashes keep their
// meaning. Text with 8-bit or control characters is encoded (RFC 2047 section 5); charset is the character set it is in.
func QuotePhrase(name, charset string) string {
	for i := 0; i < len(name); i++ {
		if c := name[i]; c < ' ' && c != '\t' || c >= 0x7f {
			return mime.EncodeWords(name, charset)
		}
	}
	if isPhrase(name) {
		return name
	}
	b := make([]byte, 0, len(name)+4)
	b = append(b, '"')
	for i := 0; i < len(name); i++ {
		c := name[i]
		if c == '\\' && i+1 < len(name) {
			b = append(b, c)
			i++
			c = name[i]
		} else if c == '\\' || c == '"' {
			b = append(b, '\\')
		}
		b = append(b, c)
	}
	return string(append(b, '"'))
}

// isPhrase reports whether s is made of atoms, white space, quoted strings and comments, at least one of them not white space.
func isPhrase(s string) bool {
	for i := 0; i < len(s); {
		switch c := s[i]; {
		case c == ' ' || c == '\t' || isAtext(c):
			i++
		case c == '"':
			end, closed := scanQuoted(s, i)
			if !closed {
				return false
			}
			i = end
		case c == '(':
			end, closed := scanComment(s, i)
			if !closed {
				return false
			}
			i = end
		default:
			return false
		}
	}
	return strings.TrimSpace(s) != ""
}
