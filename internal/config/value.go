package config

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"exigo/internal/option"
)

// setValue reads the text after an option's name into its field, with Exim's wording of what is wrong. name is the name as
// typed, negated says that it began with no_ or not_. text is the value as a string option would have it, for those who keep it.
func setValue(field any, name, rest string, negated bool) (text string, err error) {
	switch f := field.(type) {
	case *bool:
		v, _, err := readBool(name, rest, negated, false)
		*f = v
		return strconv.FormatBool(v), err
	case **bool:
		v, _, err := readBool(name, rest, negated, false)
		*f = &v
		return strconv.FormatBool(v), err
	case *option.ExpandedBool:
		v, expansion, err := readBool(name, rest, negated, true)
		*f = option.ExpandedBool{Value: v, Text: option.Expanded(expansion)}
		return expansion, err
	}
	if negated {
		return "", fmt.Errorf("negation prefix applied to a non-boolean option")
	}
	if rest == "" {
		return "", fmt.Errorf("unexpected end of line (data missing) after %s", name)
	}
	rest, ok := strings.CutPrefix(rest, "=")
	if !ok {
		return "", fmt.Errorf("missing \"=\" after %s", name)
	}
	rest = strings.TrimLeft(rest, spaces)
	if done, err := setNumber(field, name, rest); done {
		return rest, err
	}
	if text, err = readString(name, rest); err != nil {
		return "", err
	}
	return text, setText(field, name, text)
}

// readBool reads what follows the name of a boolean option. With expanded set, text with a dollar is an expansion.
func readBool(name, rest string, negated, expanded bool) (value bool, expansion string, err error) {
	if rest == "" {
		return !negated, "", nil
	}
	after, ok := strings.CutPrefix(rest, "=")
	if !ok || negated {
		return false, "", fmt.Errorf("extra characters follow boolean option %s", name)
	}
	after = strings.TrimLeft(after, spaces)
	if expanded && strings.Contains(after, "$") {
		text, err := readString(name, after)
		return false, text, err
	}
	if after == "" {
		return true, "", nil
	}
	word := ""
	if isLetter(after[0]) {
		word = takeName(after)
	}
	value, err = option.ParseBool(word)
	if err != nil {
		return false, "", fmt.Errorf("\"%s\" is not a valid value for the \"%s\" option", word, name)
	}
	if strings.TrimLeft(after[len(word):], spaces) != "" {
		return false, "", fmt.Errorf("extra characters follow \"%s\" for boolean option %s", word, name)
	}
	return value, "", nil
}

// setNumber reads the value of a numeric option; done is false for all others.
func setNumber(field any, name, text string) (done bool, err error) {
	switch f := field.(type) {
	case *int:
		var v int64
		if v, err = readInteger(name, text, 31); err == nil {
			*f = int(v)
		}
	case *option.Size:
		var v int64
		if v, err = readInteger(name, text, 63); err == nil {
			*f = option.Size(v)
		}
	case *option.KSize:
		var v int64
		if v, err = readKilobytes(name, text); err == nil {
			*f = option.KSize(v << 10)
		}
	case *option.Octal:
		return true, readOctal(f, name, text)
	case *option.Fixed:
		return true, readFixed(f, name, text)
	case **option.Fixed:
		v := new(option.Fixed)
		if err = readFixed(v, name, text); err == nil {
			*f = v
		}
	case *time.Duration:
		v, ok := option.ParseTime(text)
		if !ok {
			return true, fmt.Errorf("invalid time value for %s", name)
		}
		*f = v
	default:
		return false, nil
	}
	return true, err
}

// readInteger reads a number of at most bits bits (without sign) with the suffixes K, M and G.
func readInteger(name, text string, bits int) (int64, error) {
	digits, value, overflow := leadingInteger(text)
	if digits == 0 {
		return 0, fmt.Errorf("integer expected for %s", name)
	}
	shift := 0
	end := digits
	if end < len(text) {
		if s := strings.IndexByte("kmgt", text[end]|0x20); s >= 0 && isLetter(text[end]) {
			shift = 10 * (s + 1)
			end++
		}
	}
	limit := int64(1)<<max(bits-shift, 0) - 1
	if overflow || value > limit || value < -limit {
		return 0, fmt.Errorf("absolute value of integer \"%s\" is too large (overflow)", text)
	}
	if strings.TrimLeft(text[end:], spaces) != "" {
		return 0, fmt.Errorf("extra characters follow integer value for %s", name)
	}
	return value << shift, nil
}

// leadingInteger reads as strtol with base 0 does: sign, 0x hexadecimal, 0 octal, decimal. n is how much it used.
func leadingInteger(s string) (n int, value int64, overflow bool) {
	i := 0
	if i < len(s) && (s[i] == '-' || s[i] == '+') {
		i++
	}
	base := 10
	switch {
	case len(s) > i+2 && s[i] == '0' && s[i+1]|0x20 == 'x' && strings.IndexByte("0123456789abcdefABCDEF", s[i+2]) >= 0:
		base = 16
		i += 2
	case len(s) > i && s[i] == '0':
		base = 8
	}
	start := i
	for i < len(s) && strings.IndexByte("0123456789abcdef"[:base], lower(s[i])) >= 0 {
		i++
	}
	if i == start {
		return 0, 0, false
	}
	value, err := strconv.ParseInt(s[start:i], base, 64)
	if s[0] == '-' {
		value = -value
	}
	return i, value, err != nil
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// readKilobytes reads an amount of disk space, in units of 1024 unless K, M, G, T, P, E or Z says otherwise; the result
// is in units of 1024.
func readKilobytes(name, text string) (int64, error) {
	digits, value, overflow := leadingInteger(text)
	if digits == 0 {
		return 0, fmt.Errorf("integer expected for %s", name)
	}
	factor := int64(1)
	end := digits
	if end < len(text) {
		if i := strings.IndexByte("kmgtpez", lower(text[end])); i >= 0 {
			factor <<= 10 * i
			end++
		}
	}
	if overflow || value > (1<<53)/factor || value < -(1<<53)/factor {
		return 0, fmt.Errorf("absolute value of integer \"%s\" is too large (overflow)", text)
	}
	if strings.TrimLeft(text[end:], spaces) != "" {
		return 0, fmt.Errorf("extra characters follow integer value for %s", name)
	}
	return value * factor, nil
}

func readOctal(f *option.Octal, name, text string) error {
	end := 0
	for end < len(text) && text[end] >= '0' && text[end] <= '7' {
		end++
	}
	if end == 0 {
		return fmt.Errorf("octal integer expected for %s", name)
	}
	v, err := strconv.ParseUint(text[:end], 8, 31)
	if err != nil {
		return fmt.Errorf("absolute value of integer \"%s\" is too large (overflow)", text)
	}
	if strings.TrimLeft(text[end:], spaces) != "" {
		return fmt.Errorf("extra characters follow octal integer value for %s", name)
	}
	*f = option.Octal(v)
	return nil
}

// readFixed reads a number with digits after the point, of which three count.
func readFixed(f *option.Fixed, name, text string) error {
	digits, value, overflow := leadingInteger(text)
	if digits == 0 {
		return fmt.Errorf("fixed-point number expected for %s", name)
	}
	if overflow || value < 0 || value > 1<<31/1000 {
		return fmt.Errorf("integer \"%s\" is too large (overflow)", text)
	}
	rest := text[digits:]
	thousandths := 0
	if after, ok := strings.CutPrefix(rest, "."); ok {
		rest = after
		unit := 100
		for rest != "" && rest[0] >= '0' && rest[0] <= '9' {
			thousandths += int(rest[0]-'0') * unit
			unit /= 10
			rest = rest[1:]
		}
	}
	if strings.TrimLeft(rest, spaces) != "" {
		return fmt.Errorf("extra characters follow fixed-point value for %s", name)
	}
	*f = option.Fixed(int(value)*1000 + thousandths)
	return nil
}

// maxTimes is the longest list of times that Exim takes.
const maxTimes = 10

// setText sets a field from an unquoted string.
func setText(field any, name, text string) error {
	switch f := field.(type) {
	case *option.Times:
		return setTimes(f, name, text)
	case *option.ExpandedTime:
		if err := option.Parse(f, text); err != nil {
			return fmt.Errorf("invalid time value for %s", name)
		}
		return nil
	}
	return option.Parse(field, text)
}

func setTimes(f *option.Times, name, text string) error {
	*f = nil
	if text == "" {
		return nil
	}
	for _, item := range strings.Split(text, ":") {
		v, ok := option.ParseTime(strings.Trim(item, spaces))
		switch {
		case len(*f) >= maxTimes:
			return fmt.Errorf("too many time values for %s", name)
		case !ok:
			return fmt.Errorf("invalid time value for %s", name)
		}
		*f = append(*f, v)
	}
	return nil
}

// readString reads a string value (spec 6.17): as it stands, or with double quotes and escapes.
func readString(name, text string) (string, error) {
	if !strings.HasPrefix(text, "\"") {
		return text, nil
	}
	var b strings.Builder
	i := 1
	for i < len(text) && text[i] != '"' {
		c := text[i]
		i++
		if c == '\\' && i < len(text) {
			var n int
			c, n = Unescape(text[i:])
			i += n
		}
		b.WriteByte(c)
	}
	if i >= len(text) {
		// Exim looks at the last character only: an escaped quote at the end is taken for the missing one.
		if text[len(text)-1] == '"' && len(text) > 1 {
			return b.String(), nil
		}
		return "", fmt.Errorf("missing quote at end of string value for %s", name)
	}
	if strings.TrimLeft(text[i+1:], spaces) != "" {
		return "", fmt.Errorf("extra characters follow string value for %s", name)
	}
	return b.String(), nil
}

// Unescape reads what stands after a backslash in a quoted string (spec 6.17) and says how much of s it used; s is not empty.
func Unescape(s string) (c byte, n int) {
	switch s[0] {
	case 'n':
		return '\n', 1
	case 'r':
		return '\r', 1
	case 't':
		return '\t', 1
	case 'b':
		return '\b', 1
	case 'f':
		return '\f', 1
	case 'v':
		return '\v', 1
	case 'x':
		n = 1
		for n < len(s) && n < 3 && strings.IndexByte("0123456789abcdef", lower(s[n])) >= 0 {
			n++
		}
		v, _ := strconv.ParseUint(s[1:n], 16, 8)
		return byte(v), n
	}
	for n < len(s) && n < 3 && s[n] >= '0' && s[n] <= '7' {
		n++
	}
	if n == 0 {
		return s[0], 1
	}
	v, _ := strconv.ParseUint(s[:n], 8, 16)
	return byte(v), n
}
