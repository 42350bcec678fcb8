package smtp

import "errors"

// ErrXtext says that a text is not valid xtext.
var ErrXtext = errors.New("malformed xtext")

const hexDigits = "0123456789ABCDEF"

// EncodeXtext encodes s as xtext (RFC 3461 section 4): bytes outside "!" to "~", and "+" and "=", become "+" and two upper-case
// hexadecimal digits.
func EncodeXtext(s string) string {
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if c := s[i]; c > ' ' && c < 0x7f && c != '+' && c != '=' {
			b = append(b, c)
		} else {
			b = append(b, '+', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return string(b)
}

// DecodeXtext reverses EncodeXtext. Lower-case digits are accepted as well. The error is ErrXtext: for a byte that must not stand
// there, a "+" without two digits, and for an encoded NUL.
func DecodeXtext(s string) (string, error) {
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c <= ' ' || c >= 0x7f || c == '=' {
			return "", ErrXtext
		}
		if c == '+' {
			if i+2 >= len(s) {
				return "", ErrXtext
			}
			h, l := hexValue(s[i+1]), hexValue(s[i+2])
			if h < 0 || l < 0 || h == 0 && l == 0 {
				return "", ErrXtext
			}
			c = byte(h<<4 | l)
			i += 2
		}
		b = append(b, c)
	}
	return string(b), nil
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
