package builtin

import (
	"strconv"
	"strings"

	"exigo/internal/expand"
)

// extractJSON gives the member key of the object, or the element of the (one-based) number of the array that text is.
// With unquote the result must be a string and loses its quotes.
func extractJSON(key string, number bool, text string, unquote bool) (string, bool, error) {
	const word = "json" // messages say so for jsons, too
	var field string
	var ok bool
	var err error
	if number {
		n, _ := strconv.Atoi(key)
		field, ok, err = jsonElement(n, text, word)
	} else {
		field, ok, err = jsonMember(key, text, word)
	}
	if err != nil || !ok || !unquote {
		return field, ok, err
	}
	end := stringEnd(trim(field))
	if end < 0 {
		return "", false, expand.Fail("missing '\"' wrapping string result for extract jsons")
	}
	return trim(field)[1:end], true, nil
}

// stringEnd returns where the quote stands that ends the string in quotes with which text begins, -1 if text does not begin with one.
func stringEnd(text string) int {
	if text == "" || text[0] != '"' {
		return -1
	}
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return -1
}

// unwrap takes the brackets off a JSON object or array, and what stands behind it.
func unwrap(text string, open, shut byte, what, word string) (string, error) {
	text = strings.TrimLeft(text, space)
	if text == "" || text[0] != open {
		return "", expand.Fail("missing '%c' wrapping %s for extract %s", open, what, word)
	}
	depth, quotes := 0, true
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '"':
			if quotes {
				end := stringEnd(text[i:])
				quotes = end > 0 // without an end there is no other behind it
				i += max(end, 0)
			}
		case open:
			depth++
		case shut:
			if depth--; depth == 0 {
				return strings.TrimLeft(text[1:i], space), nil
			}
		}
	}
	return "", expand.Fail("missing '%c' wrapping %s for extract %s", shut, what, word)
}

func jsonElement(n int, text, word string) (string, bool, error) {
	items, err := jsonArray(text, word)
	if err == nil && n <= 0 {
		err = expand.Fail("first argument of \"extract\" must be greater than zero")
	}
	if err != nil || n > len(items) {
		return "", false, err
	}
	return items[n-1], true, nil
}

// jsonArray splits a JSON array into the texts of its elements. Nothing between two commas is the end, as in Exim.
func jsonArray(text, word string) ([]string, error) {
	inside, err := unwrap(text, '[', ']', "array", word)
	if err != nil {
		return nil, err
	}
	var items []string
	inside = strings.TrimRight(inside, space)
	for inside != "" {
		end := jsonEnd(inside)
		item := trim(inside[:end])
		if item == "" {
			break
		}
		if items = append(items, item); end == len(inside) {
			break
		}
		inside = inside[end+1:]
	}
	return items, nil
}

func jsonMember(key, text, word string) (string, bool, error) {
	inside, err := unwrap(text, '{', '}', "object", word)
	if err != nil {
		return "", false, err
	}
	for inside != "" {
		end := jsonEnd(inside)
		member := strings.TrimLeft(inside[:end], space)
		if member == "" {
			break
		}
		quote := stringEnd(member)
		if quote < 0 {
			return "", false, expand.Fail("missing '\"' wrapping string key for extract %s", word)
		}
		if member[1:quote] == key {
			value, ok := strings.CutPrefix(strings.TrimLeft(member[quote+1:], space), ":")
			if !ok {
				return "", false, expand.Fail("missing object value-separator for extract %s", word)
			}
			return strings.TrimLeft(value, space), true, nil
		}
		if end == len(inside) {
			break
		}
		inside = inside[end+1:]
	}
	return "", false, nil
}

// jsonEnd returns where the first element of a list of them ends: the comma that is neither in a string nor in brackets, or the end.
func jsonEnd(text string) int {
	depth, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			depth--
		case c == ',' && depth == 0:
			return i
		}
	}
	return len(text)
}
