package expand

import (
	"encoding/base64"
	"strings"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/ianaindex"
)

// maxWord is the longest encoded word RFC 2047 section 2 allows.
const maxWord = 75

// DecodeWords decodes the encoded words of RFC 2047 in text. With a target character set each word is translated to it if
// that is possible; without one the bytes stay as they are. Space between two encoded words goes away. Binary zeros become
// question marks. A word that is malformed (or, with checkLength, too long) stays as it is.
func DecodeWords(text, target string, checkLength bool) string {
	start := strings.Index(text, "=?")
	if start < 0 {
		return text
	}
	var b strings.Builder
	b.WriteString(text[:start])
	rest := text[start:]
	for {
		decoded, n, ok := decodeWord(rest, target, checkLength)
		if !ok {
			next := strings.Index(rest[2:], "=?")
			if next < 0 {
				b.WriteString(rest)
				return b.String()
			}
			b.WriteString(rest[:2+next])
			rest = rest[2+next:]
			continue
		}
		b.WriteString(decoded)
		rest = rest[n:]
		next := strings.Index(rest, "=?")
		if next < 0 {
			b.WriteString(rest)
			return b.String()
		}
		between := rest[:next]
		rest = rest[next:]
		if _, _, ok := decodeWord(rest, target, checkLength); !ok || strings.Trim(between, listSpace) != "" {
			b.WriteString(between)
		}
	}
}

// decodeWord decodes the encoded word that text begins with; n is its length.
func decodeWord(text, target string, checkLength bool) (decoded string, n int, ok bool) {
	charset, rest, ok := strings.Cut(text[2:], "?")
	if !ok || charset == "" || len(rest) < 2 || rest[1] != '?' {
		return "", 0, false
	}
	kind := rest[0] | 0x20
	end := strings.Index(rest[2:], "?=")
	if end < 0 {
		return "", 0, false
	}
	body := rest[2 : 2+end]
	n = 2 + len(charset) + 1 + 2 + end + 2
	if checkLength && n > maxWord || strings.ContainsAny(charset, " \t\n") || strings.ContainsAny(body, " \t\n?") {
		return "", 0, false
	}
	charset, _, _ = strings.Cut(charset, "*") // RFC 2231 section 5: a language may follow
	var data []byte
	switch kind {
	case 'b':
		var err error
		if data, err = base64.StdEncoding.DecodeString(body); err != nil {
			if data, err = base64.RawStdEncoding.DecodeString(strings.TrimRight(body, "=")); err != nil {
				return "", 0, false
			}
		}
	case 'q':
		if data, ok = decodeQ(body); !ok {
			return "", 0, false
		}
	default:
		return "", 0, false
	}
	text = string(data)
	if target != "" {
		text = Translate(text, charset, target)
	}
	return strings.ReplaceAll(text, "\x00", "?"), n, true
}

// decodeQ decodes the Q encoding of RFC 2047 section 4.2.
func decodeQ(body string) ([]byte, bool) {
	data := make([]byte, 0, len(body))
	for i := 0; i < len(body); i++ {
		switch c := body[i]; c {
		case '_':
			data = append(data, ' ')
		case '=':
			if i+2 >= len(body) {
				return nil, false
			}
			high, low := strings.IndexByte(hexDigits, body[i+1]|0x20), strings.IndexByte(hexDigits, body[i+2]|0x20)
			if body[i+1] < 'A' {
				high = strings.IndexByte(hexDigits, body[i+1])
			}
			if body[i+2] < 'A' {
				low = strings.IndexByte(hexDigits, body[i+2])
			}
			if high < 0 || low < 0 {
				return nil, false
			}
			data = append(data, byte(high<<4|low))
			i += 2
		default:
			data = append(data, c)
		}
	}
	return data, true
}

const hexDigits = "0123456789abcdef"

// Translate translates text between character sets. If either is unknown, or a character has no place in the target, the
// text stays as it is.
func Translate(text, from, to string) string {
	if strings.EqualFold(from, to) {
		return text
	}
	source, ok := charsetOf(from)
	if !ok {
		return text
	}
	target, ok := charsetOf(to)
	if !ok {
		return text
	}
	utf8, err := source.NewDecoder().String(text)
	if err != nil || strings.ContainsRune(utf8, '\uFFFD') {
		return text
	}
	result, err := target.NewEncoder().String(utf8)
	if err != nil {
		return text
	}
	return result
}

// charsetOf finds the encoding of a character set's name.
func charsetOf(name string) (encoding.Encoding, bool) {
	if strings.EqualFold(name, "utf-8") || strings.EqualFold(name, "utf8") {
		return encoding.Nop, true
	}
	e, err := ianaindex.MIME.Encoding(name)
	if err != nil || e == nil {
		if e, err = ianaindex.IANA.Encoding(name); err != nil || e == nil {
			return nil, false
		}
	}
	return e, true
}
