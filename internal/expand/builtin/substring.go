package builtin

import (
	"strconv"
	"strings"

	"exigo/internal/expand"
)

// cut is length and substr, also as operators: the numbers are the first arguments.
func cut(name string, subject expand.Value, numbers ...string) (expand.Value, error) {
	first, second := 0, -1
	var err error
	if name == "length" {
		second, err = number(name, numbers[0], false)
	} else if first, err = number(name, numbers[0], true); err == nil && len(numbers) > 1 {
		second, err = number(name, numbers[1], false)
	}
	if err != nil {
		return expand.Value{}, err
	}
	subject.S = substring(subject.S, first, second)
	return subject, nil
}

// substring gives length bytes from the offset start; a negative start counts from the end. Without a length (-1) it gives what
// follows the offset or, if that is negative, what stands before it.
func substring(text string, start, length int) string {
	if start < 0 {
		if length < 0 {
			return text[:max(0, len(text)+start)]
		}
		if start += len(text); start < 0 {
			length = max(0, length+start)
			start = 0
		}
	}
	start = min(start, len(text))
	if length < 0 || length > len(text)-start {
		length = len(text) - start
	}
	return text[start : start+length]
}

// number reads an argument of length, substr, hash or nhash. The empty string is 0.
func number(name, text string, signed bool) (int, error) {
	if text == "" {
		return 0, nil
	}
	digits := strings.TrimLeft(text, space)
	if len(digits) > 1 && (digits[0] == '-' || digits[0] == '+') {
		digits = digits[1:]
	}
	bad := digits == "" || strings.Trim(digits, "0123456789") != ""
	long, _ := strconv.ParseInt(strings.TrimLeft(text, space), 10, 64) // beyond the largest number: the largest number
	n := int(int32(long))                                              // Exim keeps the low 32 bits
	if signed && bad {
		return 0, expand.Fail("\"%s\" is not a number (in \"%s\" expansion)", text, name)
	}
	if !signed && (bad || n < 0) {
		return 0, expand.Fail("\"%s\" is not a positive number (in \"%s\" expansion)", text, name)
	}
	return n, nil
}

// underscoreNumbers splits the argument of length_3 or substr_1_2 and checks it.
func underscoreNumbers(name, argument string, limit int, signed bool) ([]string, error) {
	parts := strings.Split(argument, "_")
	for i, p := range parts {
		if i == 0 && signed {
			p = strings.TrimPrefix(p, "-")
		}
		if strings.Trim(p, "0123456789") != "" || len(parts) > limit || i < len(parts)-1 && p == "" || i > 0 && p == "" {
			return nil, expand.Fail("non-digit after underscore in \"%s_%s\"", name, argument)
		}
		if parts[i] == "-" {
			parts[i] = "0"
		}
		if len(p) > 9 { // Exim keeps the low 32 bits, which is not what it does to the item's arguments
			n := int32(0)
			for _, digit := range []byte(p) {
				n = n*10 + int32(digit-'0')
			}
			parts[i] = strings.TrimSuffix(parts[i], p) + strconv.Itoa(int(max(n, 0)))
		}
	}
	return parts, nil
}

// smallNumber reads up to four digits.
func smallNumber(text string) (n int, ok bool) {
	if text == "" || len(text) > 4 {
		return 0, false
	}
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' {
			return 0, false
		}
		n = n*10 + int(text[i]-'0')
	}
	return n, true
}
