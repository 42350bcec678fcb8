package builtin

import (
	"encoding/base64"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/net/idna"

	"exigo/internal/expand"
	"exigo/internal/proto/mime"
	"exigo/internal/proto/punycode"
)

// charsetOperators convert between character sets and encodings.
func charsetOperators() []expand.Operator {
	plain := func(name, doc string, change func(string) (string, error), examples ...expand.Example) expand.Operator {
		return expand.Operator{Name: name, Doc: doc, Examples: examples, Apply: func(s *expand.Scope, _ string, subject expand.Value) (expand.Value, error) {
			text, err := change(subject.S)
			subject.S = text
			return subject, err
		}}
	}
	return []expand.Operator{
		{
			Name: "rfc2047", Doc: "Encodes a string as encoded words if it needs that.",
			Apply: func(s *expand.Scope, _ string, subject expand.Value) (expand.Value, error) {
				subject.S = mime.EncodeWords(subject.S, s.Charset())
				return subject, nil
			},
			Examples: []expand.Example{{In: `${rfc2047:abc def}`, Out: "abc def"}, {In: `${rfc2047:_\xe9}`, Out: "=?ISO-8859-1?Q?=5F=E9?="}},
		},
		{
			Name: "rfc2047d", Doc: "Decodes encoded words.",
			Apply: func(s *expand.Scope, _ string, subject expand.Value) (expand.Value, error) {
				options := mime.WordOptions{Charset: s.Charset(), CheckLength: s.Settings().CheckRFC2047Length, Zero: '?'}
				text, err := mime.DecodeWords(subject.S, options)
				if err != nil {
					return expand.Value{}, expand.Fail("%s", err)
				}
				subject.S = text
				return subject, nil
			},
			Examples: []expand.Example{{In: `${escape:${rfc2047d:=?utf-8?Q?caf=C3=A9_x?= =?us-ascii?B?YWJj?= z}}`, Out: `caf\351 xabc z`}},
		},
		plain("from_utf8", "Converts UTF-8 to ISO-8859-1, other characters to underscores.", fromUTF8,
			expand.Example{In: `${escape:${from_utf8:caf\xc3\xa9\xe2\x82\xac}}`, Out: `caf\351_`}),
		plain("utf8clean", "Replaces invalid UTF-8 by question marks.", cleanUTF8, expand.Example{In: `${utf8clean:a\xe2\x82}`, Out: "a?"}),
		plain("utf8_domain_to_alabel", "Converts a domain to A-labels.", domainToALabel,
			expand.Example{In: `${utf8_domain_to_alabel:b\xc3\xbccher.example}`, Out: "xn--bcher-kva.example"}),
		plain("utf8_domain_from_alabel", "Converts the A-labels of a domain to UTF-8.", domainFromALabel),
		plain("utf8_localpart_to_alabel", "Converts a local part to an A-label.", localPartToALabel,
			expand.Example{In: `${utf8_localpart_to_alabel:b\xc3\xbccher}`, Out: "xn--bcher-kva"}),
		plain("utf8_localpart_from_alabel", "Converts a local part from an A-label.", localPartFromALabel),
	}
}

func fromUTF8(text string) (string, error) {
	var b strings.Builder
	for _, r := range text {
		if r > 255 {
			r = '_'
		}
		b.WriteByte(byte(r))
	}
	return b.String(), nil
}

// cleanUTF8 puts a question mark for each malformed sequence: one that is cut short counts once.
func cleanUTF8(text string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRuneInString(text[i:])
		if r != utf8.RuneError || n > 1 {
			b.WriteString(text[i : i+n])
			i += n
			continue
		}
		b.WriteByte('?')
		want := sequenceLength(text[i])
		for i++; want > 1 && i < len(text) && text[i]&0xc0 == 0x80; want-- {
			i++
		}
	}
	return b.String(), nil
}

// sequenceLength is how many bytes a UTF-8 sequence with this first byte has, 1 if none begins so.
func sequenceLength(c byte) int {
	switch {
	case c >= 0xc2 && c < 0xe0:
		return 2
	case c >= 0xe0 && c < 0xf0:
		return 3
	case c >= 0xf0 && c < 0xf8: // beyond f4 the number is too big, but it is one character
		return 4
	}
	return 1
}

func isASCII(text string) bool {
	for i := range len(text) {
		if text[i] >= 0x80 {
			return false
		}
	}
	return true
}

// conversionError is the message about a name that cannot be converted.
func conversionError(from, text, to, reason string) error {
	return expand.Fail("error converting %s (%s) to %s: %s", from, escape(text, false), to, reason)
}

// idnaReason words the library's reasons as libidn2 does, where it has the same.
func idnaReason(err error) string {
	text := strings.TrimPrefix(err.Error(), "idna: ")
	if strings.HasPrefix(text, "disallowed rune") {
		return "string contains a disallowed character"
	}
	return text
}

func domainToALabel(text string) (string, error) {
	if isASCII(text) {
		return text, nil
	}
	if !utf8.ValidString(text) {
		return "", conversionError("utf8", text, "alabel", "string encoding error")
	}
	result, err := idna.Lookup.ToASCII(text)
	if err != nil {
		return "", conversionError("utf8", text, "alabel", idnaReason(err))
	}
	return result, nil
}

func domainFromALabel(text string) (string, error) {
	result, err := idna.Punycode.ToUnicode(text)
	if err != nil {
		return "", conversionError("alabel", text, "utf8", idnaReason(err))
	}
	return result, nil
}

// localPartToALabel makes one label of the whole local part, dots included.
func localPartToALabel(text string) (string, error) {
	if isASCII(text) {
		return text, nil
	}
	if !utf8.ValidString(text) {
		return "", conversionError("utf8", text, "alabel", "l_u2a: bad UTF-8 input")
	}
	label, ok := punycode.Encode(text)
	if !ok {
		return "", conversionError("utf8", text, "alabel", "l_u2a: too long")
	}
	return "xn--" + label, nil
}

func localPartFromALabel(text string) (string, error) {
	label, ok := strings.CutPrefix(text, "xn--")
	if !ok {
		return "", conversionError("alabel", text, "utf8", "bad alabel prefix")
	}
	result, ok := punycode.Decode(label)
	if !ok {
		return "", conversionError("alabel", text, "utf8", "bad punycode")
	}
	return result, nil
}

// evalImapFolder makes a Maildir name of an IMAP folder: modified UTF-7 (RFC 3501 section 5.1.3), the separator replaced by a dot.
// Of separators in a row one is left, at the beginning and the end none.
func evalImapFolder(s *expand.Scope, args []expand.Value) (expand.Value, error) {
	separator, special := "/", ""
	if len(args) > 1 {
		separator = args[1].S
	}
	if len(args) > 2 {
		special = args[2].S
	}
	if len(separator) != 1 {
		return expand.Value{}, expand.Fail("IMAP folder separator must be one character, found \"%s\"", separator)
	}
	folder := args[0].S
	if !utf8.ValidString(folder) {
		return expand.Value{}, expand.Fail("imapfolder: iconv() failed to convert from UTF-8: %s", invalidUTF8(folder))
	}
	var b strings.Builder
	var wide []uint16
	flush := func() {
		if len(wide) > 0 {
			b.WriteString(modifiedBase64(wide))
			wide = nil
		}
	}
	for i, r := range folder {
		switch {
		case r == rune(separator[0]):
			flush()
			if i > 0 && i+1 < len(folder) && folder[i+1] != separator[0] {
				b.WriteByte('.')
			}
		case r < ' ' || r > 126 || strings.ContainsRune(special, r):
			wide = utf16.AppendRune(wide, r)
		case r == '.' || r == '/':
			return expand.Value{}, expand.Fail("imapfolder: illegal character '%c'", r)
		case r == '&':
			flush()
			b.WriteString("&-")
		default:
			flush()
			b.WriteRune(r)
		}
	}
	flush()
	return expand.Join(b.String(), args[0]), nil
}

// invalidUTF8 says what iconv(3) says of a text that is not UTF-8.
func invalidUTF8(text string) string {
	for text != "" {
		r, n := utf8.DecodeRuneInString(text)
		if r == utf8.RuneError && n == 1 {
			if !utf8.FullRuneInString(text) {
				return "Invalid argument" // cut short
			}
			break
		}
		text = text[n:]
	}
	return "Invalid or incomplete multibyte or wide character"
}

// modifiedBase64 is how modified UTF-7 writes other characters.
func modifiedBase64(units []uint16) string {
	data := make([]byte, 0, 2*len(units))
	for _, u := range units {
		data = append(data, byte(u>>8), byte(u))
	}
	return "&" + strings.ReplaceAll(base64.RawStdEncoding.EncodeToString(data), "/", ",") + "-"
}
