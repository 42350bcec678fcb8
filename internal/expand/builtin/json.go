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
	field = trim(field)
	if len(field) < 2 || field[0] != '"' || field[len(field)-1] != '"' {
		return "", false, expand.Fail("missing '\"' wrapping string result for extract jsons")
	}
	return field[1 : len(field)-1], true, nil
}

// unwrap takes the brackets off a JSON object or array.
func unwrap(text, open, shut, what, word string) (string, error) {
	text = trim(text)
	if !strings.HasPrefix(text, open) {
		return "", expand.Fail("missing '%s' wrapping %s for extract %s", open, what, word)
	}
	if len(text) < 2 || !strings.HasSuffix(text, shut) {
		return "", expand.Fail("missing '%s' wrapping %s for extract %s", shut, what, word)
	}
	return strings.TrimLeft(text[1:len(text)-1], space), nil
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

// jsonArray splits a JSON array into the texts of its elements.
func jsonArray(text, word string) ([]string, error) {
	inside, err := unwrap(text, "[", "]", "array", word)
	if err != nil {
		return nil, err
	}
	var items []string
	inside = strings.TrimRight(inside, space)
	for inside != "" {
		end := jsonEnd(inside)
		items = append(items, strings.TrimLeft(inside[:end], space))
		if end == len(inside) {
			break
		}
		inside = inside[end+1:]
	}
	return items, nil
}

func jsonMember(key, text, word string) (string, bool, error) {
	inside, err := unwrap(text, "{", "}", "object", word)
	if err != nil {
		return "", false, err
	}
	for inside != "" {
		end := jsonEnd(inside)
		member := strings.TrimLeft(inside[:end], space)
		switch name, rest, ok := jsonName(member); {
		case !ok && name != "":
			return "", false, expand.Fail("missing object value-separator for extract %s", word)
		case ok && name == key:
			return rest, true, nil
		}
		if end == len(inside) {
			break
		}
		inside = inside[end+1:]
	}
	return "", false, nil
}

// jsonName splits `"name" : value`. ok is false if it is not of this form; the name is then not empty if only the colon is missing.
func jsonName(member string) (name, value string, ok bool) {
	if !strings.HasPrefix(member, `"`) {
		return "", "", false
	}
	end := 1
	for end < len(member) && member[end] != '"' {
		if member[end] == '\\' {
			end++
		}
		end++
	}
	if end >= len(member) {
		return "", "", false
	}
	value, ok = strings.CutPrefix(strings.TrimLeft(member[end+1:], space), ":")
	return member[1:end], strings.TrimLeft(value, space), ok
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
