package mime

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/ianaindex"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// CharsetError says that there is no conversion between two character sets.
type CharsetError struct{ To, From string }

// Error words it as C programs that use iconv do; administrators know the text.
func (e *CharsetError) Error() string {
	return fmt.Sprintf("iconv_open(%q, %q) failed: Invalid argument (maybe unsupported conversion)", e.To, e.From)
}

// charset is a character set: how to get from it to UTF-8 and back. The zero value is UTF-8 itself.
type charset struct {
	encoding encoding.Encoding // nil for UTF-8
	ascii    bool              // US-ASCII: nothing above 127
}

// charsetAliases are names in use that the IANA index does not know, in lower case, or knows without an encoding.
var charsetAliases = map[string]encoding.Encoding{
	"cp1250": charmap.Windows1250, "cp1251": charmap.Windows1251, "cp1252": charmap.Windows1252,
	"cp1253": charmap.Windows1253, "cp1254": charmap.Windows1254, "cp1255": charmap.Windows1255,
	"cp1256": charmap.Windows1256, "cp1257": charmap.Windows1257, "cp1258": charmap.Windows1258,
	"gb2312": simplifiedchinese.GBK, "cp936": simplifiedchinese.GBK, "x-gbk": simplifiedchinese.GBK,
	"ks_c_5601-1987": korean.EUCKR, "cp949": korean.EUCKR, "cp932": japanese.ShiftJIS, "windows-31j": japanese.ShiftJIS,
	"cp950": traditionalchinese.Big5, "tis-620": charmap.Windows874, "cp874": charmap.Windows874,
	"iso-8859-11": charmap.Windows874, "sjis": japanese.ShiftJIS,
	"latin-9": charmap.ISO8859_15, "latin9": charmap.ISO8859_15,
	"utf-16":   unicode.UTF16(unicode.BigEndian, unicode.UseBOM),
	"utf-16be": unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM),
	"utf-16le": unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM),
	"utf-7":    utf7{},
	"utf7":     utf7{},
}

// findCharset looks a name up, without regard to case.
func findCharset(name string) (charset, bool) {
	name = strings.ToLower(name)
	switch name {
	case "utf-8", "utf8", "":
		return charset{}, true
	case "us-ascii", "ascii", "ansi_x3.4-1968", "iso646-us":
		return charset{ascii: true}, true
	}
	if rest, ok := strings.CutPrefix(name, "iso8859-"); ok {
		name = "iso-8859-" + rest
	}
	if e, ok := charsetAliases[name]; ok {
		return charset{encoding: e}, true
	}
	e, err := ianaindex.IANA.Encoding(name)
	if err != nil || e == nil || e == encoding.Replacement {
		return charset{}, false
	}
	return charset{encoding: e}, true
}

// KnownCharset reports whether text can be converted from and to the named character set.
func KnownCharset(name string) bool {
	_, ok := findCharset(name)
	return ok
}

// Convert converts text from one character set to another, both by their IANA or usual name; an empty name stands for UTF-8.
// From the first byte on that is invalid, or has no counterpart, the rest is copied as it is: nothing is lost, and complete
// is false. The error is a *CharsetError for an unknown name; text is returned unchanged with it.
func Convert(text []byte, from, to string) (out []byte, complete bool, err error) {
	if strings.EqualFold(from, to) {
		return text, true, nil
	}
	source, ok1 := findCharset(from)
	target, ok2 := findCharset(to)
	if !ok1 || !ok2 {
		return text, false, &CharsetError{To: to, From: from}
	}
	out, complete = convert(text, source, target)
	return out, complete, nil
}

// convert goes through text a few characters at a time, so that it knows where the first one is that cannot be converted.
func convert(text []byte, source, target charset) ([]byte, bool) {
	out := make([]byte, 0, len(text)+len(text)/2)
	var decoder transform.Transformer = encoding.Nop.NewDecoder()
	if source.encoding != nil {
		decoder = source.encoding.NewDecoder()
	}
	var encoder transform.Transformer
	if target.encoding != nil {
		encoder = target.encoding.NewEncoder()
	}
	var chunk [utf8.UTFMax]byte
	for len(text) > 0 {
		n, used := 0, 0
		if source.encoding == nil {
			n, used = decodeUTF8(chunk[:], text, source.ascii)
		} else {
			var err error
			n, used, err = decoder.Transform(chunk[:], text, true)
			if err != nil && err != transform.ErrShortDst || used == 0 && n == 0 {
				return append(out, text...), false
			}
		}
		if used == 0 || source.encoding != nil && bytes.ContainsRune(chunk[:n], utf8.RuneError) {
			return append(out, text...), false
		}
		var ok bool
		if out, ok = encode(out, chunk[:n], encoder, target.ascii); !ok {
			return append(out, text...), false
		}
		text = text[used:]
	}
	if encoder != nil { // back to the initial shift state
		out, _ = encode(out, nil, encoder, false)
	}
	return out, true
}

// decodeUTF8 copies one character of UTF-8, or of ASCII, and reports 0 for an invalid one.
func decodeUTF8(dst, text []byte, ascii bool) (n, used int) {
	if text[0] < utf8.RuneSelf {
		dst[0] = text[0]
		return 1, 1
	}
	r, size := utf8.DecodeRune(text)
	if ascii || r == utf8.RuneError && size == 1 {
		return 0, 0
	}
	copy(dst, text[:size])
	return size, size
}

// encode appends characters given in UTF-8 to out in the target character set; false when one has no counterpart.
func encode(out, characters []byte, encoder transform.Transformer, ascii bool) ([]byte, bool) {
	if encoder == nil {
		for _, c := range characters {
			if ascii && c >= utf8.RuneSelf {
				return out, false
			}
		}
		return append(out, characters...), true
	}
	var dst [64]byte
	for {
		n, used, err := encoder.Transform(dst[:], characters, len(characters) == 0)
		if err != nil || used == 0 && len(characters) > 0 {
			return out, false
		}
		out = append(out, dst[:n]...)
		if characters = characters[used:]; len(characters) == 0 {
			return out, true
		}
	}
}
