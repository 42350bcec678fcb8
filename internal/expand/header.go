package expand

import (
	"strings"

	"exigo/internal/mail"
	"exigo/internal/proto/mime"
)

// maxHeader is how much of the joined fields of one name a header reference gives (spec 11.5).
const maxHeader = 64 << 10

// Header gives the content of all header fields of a name (spec 11.5, $header_): kind 'h' decoded and translated, 'b' decoded,
// 'l' a list, 'r' raw. found is false if the message has no such field. The value is tainted unless the message is our own.
func (s *Scope) Header(kind byte, name string) (v Value, found bool, err error) {
	if s.Message == nil {
		return Value{}, false, nil
	}
	separator := "\n"
	if kind == 'l' {
		separator = ":"
	} else if kind != 'r' && joinsWithComma(mail.TypeFor(name)) {
		separator = ",\n"
	}
	var b strings.Builder
	for _, h := range s.Message.Headers {
		if h.Type == '*' || !h.Is(name) {
			continue
		}
		text := h.Value()
		switch kind {
		case 'r':
			b.WriteString(text)
		case 'l':
			if found {
				b.WriteString(separator)
			}
			b.WriteString(strings.ReplaceAll(strings.TrimSuffix(text, "\n"), ":", "::"))
		default:
			if text = strings.Trim(text, listSpace); text == "" {
				break
			}
			if b.Len() > 0 {
				b.WriteString(separator)
			}
			b.WriteString(text)
		}
		found = true
		if b.Len() > maxHeader {
			break
		}
	}
	text := b.String()
	if len(text) > maxHeader {
		text = text[:maxHeader]
	}
	if kind == 'h' || kind == 'b' {
		charset := ""
		if kind == 'h' {
			charset = s.Charset()
		}
		text = s.decode(text, charset)
	}
	return Value{S: text, Tainted: found}, found, nil
}

// decode decodes encoded words; what has an unknown character set is decoded but not translated.
func (s *Scope) decode(text, charset string) string {
	text, _ = mime.DecodeWords(text, mime.WordOptions{Charset: charset, CheckLength: s.Settings().CheckRFC2047Length, Zero: '?'})
	return text
}

// joinsWithComma tells the fields that hold addresses, by the letter of their type.
func joinsWithComma(letter byte) bool { return strings.IndexByte("BCFRST", letter) >= 0 }

// Charset is the character set that header references are translated to: what a filter's "headers charset" says (Extra
// "headers_charset"), or the option headers_charset.
func (s *Scope) Charset() string {
	if v, ok := s.Extra["headers_charset"]; ok {
		return v.S
	}
	return s.Settings().HeadersCharset
}

// AllHeaders gives $message_headers (decoded as $bheader_ does) or $message_headers_raw.
func (s *Scope) AllHeaders(raw bool) Value {
	if s.Message == nil {
		return Value{}
	}
	var b strings.Builder
	for _, h := range s.Message.Headers {
		if h.Type == '*' {
			continue
		}
		text := h.Text
		if !raw {
			text = strings.TrimRight(text, listSpace) + "\n"
		}
		if b.Len()+len(text) > maxHeader {
			break
		}
		b.WriteString(text)
	}
	text := b.String()
	if !raw {
		text = strings.TrimSuffix(s.decode(text, ""), "\n")
	}
	return Value{S: text, Tainted: text != ""}
}
