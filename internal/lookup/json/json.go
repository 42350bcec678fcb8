// Package json is the lookup type json: an element of a structure in a text file (spec 9.3).
//
// Trust: the files belong to the administrator; keys looked up may be anybody's.
package json

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"exigo/internal/expand"
	"exigo/internal/lookup"
)

// Driver returns the lookup type.
func Driver() *lookup.Driver {
	files := &lookup.Parsed[json.RawMessage]{}
	return &lookup.Driver{Name: "json", Kind: lookup.SingleKey | lookup.AbsoluteFile, Doc: "Takes an element out of a JSON file; the key is a list of names and numbers.",
		Find: func(_ context.Context, r *lookup.Request) (lookup.Result, bool, error) {
			text, err := files.Open(r.File, "json search", r.World.Clock.Now(), parse)
			var wrong *json.SyntaxError
			if errors.As(err, &wrong) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
				err = lookup.Defer(fmt.Sprintf("json error on open: %s: %s", r.File, err))
			}
			if err != nil || r.Key == "" {
				return lookup.Result{}, false, err
			}
			data, found := find(text, r.Key)
			return lookup.Result{Data: data}, found, nil
		}}
}

// parse reads one value and makes sure that it is well formed.
func parse(data io.Reader) (value json.RawMessage, err error) {
	return value, json.NewDecoder(data).Decode(&value)
}

// find follows the selectors of the key.
func find(text json.RawMessage, key string) (string, bool) {
	_, selectors := expand.SplitList(key)
	for _, s := range selectors {
		var ok bool
		if text, ok = step(text, s); !ok {
			return "", false
		}
	}
	var single string
	if json.Unmarshal(text, &single) == nil && bytes.HasPrefix(text, []byte(`"`)) {
		return single, true
	}
	return compact(text), true
}

// step gives the element of an array or the member of an object. A selector of digits wants an array.
func step(text json.RawMessage, selector string) (json.RawMessage, bool) {
	if number, err := strconv.Atoi(selector); err == nil && strings.Trim(selector, "0123456789") == "" {
		var array []json.RawMessage
		if json.Unmarshal(text, &array) != nil || number >= len(array) {
			return nil, false
		}
		return array[number], true
	}
	var object map[string]json.RawMessage
	if json.Unmarshal(text, &object) != nil {
		return nil, false
	}
	value, ok := object[selector]
	return value, ok
}

// compact writes a value with a space after each comma and colon, and what need not be escaped not escaped.
func compact(text json.RawMessage) string {
	in := json.NewDecoder(bytes.NewReader(text))
	in.UseNumber()
	var out []byte
	type level struct {
		object bool
		count  int
	}
	var levels []level
	for {
		token, err := in.Token()
		if err != nil {
			return string(out)
		}
		closing, isDelim := token.(json.Delim)
		if isDelim && (closing == ']' || closing == '}') {
			out, levels = append(out, byte(closing)), levels[:len(levels)-1]
			continue
		}
		if n := len(levels); n > 0 {
			l := &levels[n-1]
			switch {
			case l.object && l.count%2 == 1:
				out = append(out, ": "...)
			case l.count > 0:
				out = append(out, ", "...)
			}
			l.count++
		}
		switch v := token.(type) {
		case json.Delim:
			out, levels = append(out, byte(v)), append(levels, level{object: v == '{'})
		case string:
			out = quote(out, v)
		case nil:
			out = append(out, "null"...)
		default:
			out = fmt.Append(out, v)
		}
	}
}

// quote writes a string.
func quote(out []byte, text string) []byte {
	out = append(out, '"')
	for _, r := range text {
		if at := strings.IndexRune("\"\\\b\f\n\r\t", r); at >= 0 {
			out = append(out, '\\', `"\bfnrt`[at])
		} else if r < ' ' {
			out = fmt.Appendf(out, "\\u%04x", r)
		} else {
			out = utf8.AppendRune(out, r)
		}
	}
	return append(out, '"')
}
