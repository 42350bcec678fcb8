// Package mime reads and writes the parts of MIME that a mail transfer agent needs: encoded words in header fields (RFC 2047),
// parameters (RFC 2231), character sets, and a walker over the parts of a message (RFC 2046).
//
// Trust: everything comes from message senders. Depth, number and size of parts and the length of lines are bounded.
package mime

import (
	"encoding/base64"
	"strings"
)

// maxEncodedWord is the longest encoded word of RFC 2047 section 2.
const maxEncodedWord = 75

const upperHex = "0123456789ABCDEF"

// mustEncode reports whether a byte cannot stand as it is in the Q encoding. Space is a case of its own.
func mustEncode(c byte) bool {
	return c < ' ' || c > '~' || strings.IndexByte("?=()<>@,;:\\\".[]_", c) >= 0
}

// EncodeWords encodes text for a header field with the Q encoding of RFC 2047 section 4.2, in as many encoded words as it takes,
// separated by single spaces. Text of printable ASCII without the characters special to RFC 2047 and RFC 5322 is returned
// unchanged. charset is the character set the text is in, for the label.
func EncodeWords(text, charset string) string {
	plain := true
	for i := 0; i < len(text) && plain; i++ {
		plain = !mustEncode(text[i])
	}
	if plain {
		return text
	}
	prefix := "=?" + charset + "?Q?"
	b := make([]byte, 0, len(prefix)+3*len(text)+16)
	b = append(b, prefix...)
	// A word is closed when it has passed 67 bytes; the first word counts without its prefix. It is not closed after the first,
	// third ... of several encoded bytes, as a rough way to keep the bytes of a character together. Receivers rely on neither,
	// but the same text must give the same words as ever.
	start := len(b)
	odd := false
	for i := 0; i < len(text); i++ {
		if len(b)-start > 67 && !odd {
			b = append(b, "?= "...)
			start = len(b)
			b = append(b, prefix...)
		}
		switch c := text[i]; {
		case c == ' ':
			b = append(b, '_')
			odd = false
		case mustEncode(c):
			b = append(b, '=', upperHex[c>>4], upperHex[c&15])
			odd = !odd
		default:
			b = append(b, c)
			odd = false
		}
	}
	return string(append(b, "?="...))
}

// WordOptions are the options of DecodeWords.
type WordOptions struct {
	// Charset is the character set the result is wanted in; empty for no conversion.
	Charset string
	// CheckLength leaves encoded words longer than RFC 2047 allows as they are.
	CheckLength bool
	// Zero replaces NUL bytes in decoded words; 0 keeps them.
	Zero byte
}

// DecodeWords replaces the encoded words of RFC 2047 in text by what they stand for. White space between two encoded words is
// dropped. What is malformed stays as it is. The error is a *CharsetError if a word's character set is not known: the word is
// then decoded without conversion.
func DecodeWords(text string, options WordOptions) (string, error) {
	if !strings.Contains(text, "=?") {
		return text, nil
	}
	var failure error
	out := make([]byte, 0, len(text))
	for afterWord := false; ; afterWord = true {
		word, ok := findWord(text, options.CheckLength)
		if !ok {
			return string(append(out, text...)), failure
		}
		if gap := text[:word.start]; !afterWord || strings.Trim(gap, " \t\r\n") != "" {
			out = append(out, gap...)
		}
		text = text[word.end:]
		decoded := word.decoded
		if options.Charset != "" {
			converted, _, err := Convert(decoded, word.charset, options.Charset)
			if err != nil && failure == nil {
				failure = err
			}
			decoded = converted
		}
		for _, c := range decoded {
			if c == 0 && options.Zero != 0 {
				c = options.Zero
			}
			out = append(out, c)
		}
	}
}

// encodedWord is one encoded word in a text.
type encodedWord struct {
	start, end int
	charset    string
	decoded    []byte
}

// findWord returns the first valid encoded word of text.
func findWord(text string, checkLength bool) (encodedWord, bool) {
	from := 0
	for {
		i := strings.Index(text[from:], "=?")
		if i < 0 {
			return encodedWord{}, false
		}
		from += i
		if w, ok := parseWord(text[from:], checkLength); ok {
			w.start = from
			w.end += from
			return w, true
		}
		from += 2
	}
}

// parseWord reads the encoded word that text begins with: "=?" charset "?" encoding "?" text "?=".
func parseWord(text string, checkLength bool) (encodedWord, bool) {
	i := strings.IndexByte(text[2:], '?')
	if i < 0 || len(text) < i+2+3 || text[i+4] != '?' {
		return encodedWord{}, false
	}
	w := encodedWord{charset: text[2 : i+2]}
	kind := text[i+3]
	body := text[i+5:]
	end := strings.Index(body, "?=")
	if end < 0 || checkLength && i+5+end+2 > maxEncodedWord {
		return encodedWord{}, false
	}
	w.end = i + 5 + end + 2
	ok := false
	switch kind {
	case 'q', 'Q':
		w.decoded, ok = decodeQ(body[:end])
	case 'b', 'B':
		var err error
		w.decoded, err = base64.StdEncoding.DecodeString(withoutSpace(body[:end]))
		ok = err == nil
	}
	return w, ok
}

// withoutSpace removes white space from base64.
func withoutSpace(s string) string {
	if !strings.ContainsAny(s, " \t\r\n") {
		return s
	}
	return strings.Join(strings.Fields(s), "")
}

// decodeQ decodes the Q encoding; white space and malformed escapes make it invalid.
func decodeQ(s string) ([]byte, bool) {
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case '_':
			b = append(b, ' ')
		case ' ', '\t', '\r', '\n':
			return nil, false
		case '=':
			if i+2 >= len(s) {
				return nil, false
			}
			h, l := hexValue(s[i+1]), hexValue(s[i+2])
			if h < 0 || l < 0 {
				return nil, false
			}
			b = append(b, byte(h<<4|l))
			i += 2
		default:
			b = append(b, c)
		}
	}
	return b, true
}

func hexValue(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	}
	return -1
}
