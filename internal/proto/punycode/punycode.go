// Package punycode is RFC 3492: a string of Unicode characters as one of ASCII letters, digits and hyphens. There is no division into
// labels and no prefix here.
//
// Trust: reads anybody's text; results are bounded by a small multiple of the argument.
package punycode

import "unicode/utf8"

// The parameters of RFC 3492 section 5.
const (
	base, tMin, tMax, skew, damp = 36, 1, 26, 38, 700
	initialBias, initialN        = 72, 128
	maxLength                    = 4096 // of what is converted; the algorithms are quadratic
)

const digits = "abcdefghijklmnopqrstuvwxyz0123456789"

func adapt(delta, count int, first bool) int {
	if first {
		delta /= damp
	} else {
		delta /= 2
	}
	delta += delta / count
	k := 0
	for ; delta > (base-tMin)*tMax/2; k += base {
		delta /= base - tMin
	}
	return k + (base-tMin+1)*delta/(delta+skew)
}

func threshold(k, bias int) int { return max(tMin, min(tMax, k-bias)) }

// Encode encodes valid UTF-8 (section 6.3). ok is false if it is too long.
func Encode(text string) (encoded string, ok bool) {
	if len(text) > maxLength {
		return "", false
	}
	var out []byte
	runes := []rune(text)
	for _, r := range runes {
		if r < initialN {
			out = append(out, byte(r))
		}
	}
	done := len(out)
	basic := done
	if basic > 0 {
		out = append(out, '-')
	}
	n, delta, bias := rune(initialN), 0, initialBias
	for done < len(runes) {
		next := rune(utf8.MaxRune)
		for _, r := range runes {
			if r >= n && r < next {
				next = r
			}
		}
		delta += int(next-n) * (done + 1)
		n = next
		for _, r := range runes {
			if r < n {
				delta++
			}
			if r != n {
				continue
			}
			q := delta
			for k := base; ; k += base {
				t := threshold(k, bias)
				if q < t {
					break
				}
				out = append(out, digits[t+(q-t)%(base-t)])
				q = (q - t) / (base - t)
			}
			out = append(out, digits[q])
			bias = adapt(delta, done+1, done == basic)
			delta = 0
			done++
		}
		delta++
		n++
	}
	return string(out), true
}

// Decode decodes (section 6.2). ok is false for what is not punycode or too long.
func Decode(encoded string) (text string, ok bool) {
	if len(encoded) > maxLength {
		return "", false
	}
	var out []rune
	at := 0
	for i := len(encoded) - 1; i > 0; i-- {
		if encoded[i] == '-' {
			out, at = []rune(encoded[:i]), i+1
			break
		}
	}
	for _, r := range out {
		if r >= initialN {
			return "", false
		}
	}
	n, i, bias := initialN, 0, initialBias
	for at < len(encoded) {
		before, weight := i, 1
		for k := base; ; k += base {
			if at == len(encoded) {
				return "", false
			}
			digit := digitOf(encoded[at])
			at++
			if digit < 0 || digit > (1<<31-1-i)/weight {
				return "", false
			}
			i += digit * weight
			t := threshold(k, bias)
			if digit < t {
				break
			}
			if weight > (1<<31-1)/(base-t) {
				return "", false
			}
			weight *= base - t
		}
		bias = adapt(i-before, len(out)+1, before == 0)
		n += i / (len(out) + 1)
		i %= len(out) + 1
		if !utf8.ValidRune(rune(n)) || n > utf8.MaxRune {
			return "", false
		}
		out = append(out, 0)
		copy(out[i+1:], out[i:])
		out[i] = rune(n)
		i++
	}
	return string(out), true
}

func digitOf(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c-'0') + 26
	case c|0x20 >= 'a' && c|0x20 <= 'z':
		return int(c | 0x20 - 'a')
	}
	return -1
}
