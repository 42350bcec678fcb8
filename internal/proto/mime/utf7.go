package mime

import (
	"encoding/base64"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/transform"
)

// utf7 is UTF-7 (RFC 2152), which old messages still use. It decodes only: nothing should be written in it.
type utf7 struct{}

// NewDecoder returns a decoder. It works on whole texts: Transform must get all of it at once the first time.
func (utf7) NewDecoder() *encoding.Decoder {
	return &encoding.Decoder{Transformer: &utf7Decoder{}}
}

// NewEncoder returns an encoder that accepts nothing.
func (utf7) NewEncoder() *encoding.Encoder {
	return &encoding.Encoder{Transformer: refuse{}}
}

type refuse struct{ transform.NopResetter }

// Transform refuses every text.
func (refuse) Transform(_, _ []byte, _ bool) (int, int, error) {
	return 0, 0, encoding.ErrInvalidUTF8
}

// utf7Decoder keeps what a base64 run decodes to while the caller's buffer is too small for it.
type utf7Decoder struct{ pending []rune }

// Reset forgets what is pending.
func (d *utf7Decoder) Reset() { d.pending = nil }

// Transform decodes: direct characters as they are, "+-" as "+", and "+...-" as UTF-16 in base64 without padding.
func (d *utf7Decoder) Transform(dst, src []byte, _ bool) (n, used int, err error) {
	for used < len(src) {
		r, size := rune(src[used]), 1
		switch {
		case r >= utf8.RuneSelf:
			r = utf8.RuneError
		case r == '+':
			run := utf7Run(src[used:])
			if len(d.pending) == 0 {
				d.pending = decodeUTF7(run)
			}
			r = d.pending[0]
			if size = len(run); len(d.pending) > 1 {
				size = 0
			}
		}
		if n+utf8.RuneLen(r) > len(dst) {
			return n, used, transform.ErrShortDst
		}
		n += utf8.EncodeRune(dst[n:], r)
		used += size
		if len(d.pending) > 0 {
			d.pending = d.pending[1:]
		}
	}
	return n, used, nil
}

// utf7Run returns the part of src that is one base64 run: from "+" to the "-" that ends it, or to the last base64 digit.
func utf7Run(src []byte) []byte {
	i := 1
	for i < len(src) && isBase64(src[i]) {
		i++
	}
	if i < len(src) && src[i] == '-' {
		i++
	}
	return src[:i]
}

func isBase64(c byte) bool {
	return c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '+' || c == '/'
}

// decodeUTF7 decodes a run; one that is malformed is the replacement character.
func decodeUTF7(run []byte) []rune {
	digits := run[1:]
	if n := len(digits); n > 0 && digits[n-1] == '-' {
		digits = digits[:n-1]
		if n == 1 {
			return []rune{'+'}
		}
	}
	b := make([]byte, base64.RawStdEncoding.DecodedLen(len(digits)))
	n, err := base64.RawStdEncoding.Decode(b, digits)
	if err != nil || n < 2 {
		return []rune{utf8.RuneError}
	}
	units := make([]uint16, n/2)
	for i := range units {
		units[i] = uint16(b[2*i])<<8 | uint16(b[2*i+1])
	}
	return utf16.Decode(units)
}
