package address

import (
	"strings"
	"unicode/utf8"
)

// Parameters of Punycode (RFC 3492 section 5).
const (
	punyBase        = 36
	punyTMin        = 1
	punyTMax        = 26
	punySkew        = 38
	punyDamp        = 700
	punyInitialBias = 72
	punyInitialN    = 0x80
	punyMaxInt      = 1<<31 - 1
	punyMaxLength   = 1000 // the work grows with the square of the length
)

// punycodeAdapt is the bias adaptation of RFC 3492 section 6.1.
func punycodeAdapt(delta, points int32, first bool) int32 {
	if first {
		delta /= punyDamp
	} else {
		delta /= 2
	}
	delta += delta / points
	k := int32(0)
	for delta > (punyBase-punyTMin)*punyTMax/2 {
		delta /= punyBase - punyTMin
		k += punyBase
	}
	return k + (punyBase-punyTMin+1)*delta/(delta+punySkew)
}

func punycodeThreshold(k, bias int32) int32 { return min(max(k-bias, punyTMin), punyTMax) }

// punycodeEncode encodes a string (RFC 3492 section 6.3); false when it is too long.
func punycodeEncode(s string) (string, bool) {
	const digits = "abcdefghijklmnopqrstuvwxyz0123456789"
	runes := []rune(s)
	if len(runes) > punyMaxLength {
		return "", false
	}
	var out strings.Builder
	for _, r := range runes {
		if r < punyInitialN {
			out.WriteByte(byte(r))
		}
	}
	basic := int32(out.Len())
	handled := basic
	if basic > 0 {
		out.WriteByte('-')
	}
	n, delta, bias := rune(punyInitialN), int32(0), int32(punyInitialBias)
	for int(handled) < len(runes) {
		next := rune(punyMaxInt)
		for _, r := range runes {
			if r >= n && r < next {
				next = r
			}
		}
		if next-n > (punyMaxInt-delta)/(handled+1) {
			return "", false
		}
		delta += (next - n) * (handled + 1)
		n = next
		for _, r := range runes {
			if r < n {
				delta++
			}
			if r != n {
				continue
			}
			q := delta
			for k := int32(punyBase); ; k += punyBase {
				t := punycodeThreshold(k, bias)
				if q < t {
					break
				}
				out.WriteByte(digits[t+(q-t)%(punyBase-t)])
				q = (q - t) / (punyBase - t)
			}
			out.WriteByte(digits[q])
			bias = punycodeAdapt(delta, handled+1, handled == basic)
			delta = 0
			handled++
		}
		delta++
		n++
	}
	return out.String(), true
}

// punycodeDecode decodes a string (RFC 3492 section 6.2); false when it is malformed.
func punycodeDecode(s string) (string, bool) {
	if len(s) > punyMaxLength || !IsASCII(s) {
		return "", false
	}
	var out []rune
	if i := strings.LastIndexByte(s, '-'); i >= 0 {
		out, s = []rune(s[:i]), s[i+1:]
	}
	n, i, bias := rune(punyInitialN), int32(0), int32(punyInitialBias)
	for pos := 0; pos < len(s); {
		before, weight := i, int32(1)
		for k := int32(punyBase); ; k += punyBase {
			if pos == len(s) {
				return "", false
			}
			digit, ok := punycodeDigit(s[pos])
			pos++
			if !ok || digit > (punyMaxInt-i)/weight {
				return "", false
			}
			i += digit * weight
			t := punycodeThreshold(k, bias)
			if digit < t {
				break
			}
			if weight > punyMaxInt/(punyBase-t) {
				return "", false
			}
			weight *= punyBase - t
		}
		length := int32(len(out) + 1)
		bias = punycodeAdapt(i-before, length, before == 0)
		if i/length > utf8.MaxRune-n {
			return "", false
		}
		n += i / length
		i %= length
		if !utf8.ValidRune(n) {
			return "", false
		}
		out = append(out, 0)
		copy(out[i+1:], out[i:])
		out[i] = n
		i++
	}
	return string(out), true
}

func punycodeDigit(c byte) (int32, bool) {
	switch {
	case c >= 'a' && c <= 'z':
		return int32(c - 'a'), true
	case c >= 'A' && c <= 'Z':
		return int32(c - 'A'), true
	case c >= '0' && c <= '9':
		return int32(c-'0') + 26, true
	}
	return 0, false
}
