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
	"sync"
	"unicode/utf8"

	"exigo/internal/expand"
	"exigo/internal/lookup"
)

// Driver returns the lookup type.
func Driver() *lookup.Driver {
	files := &lookup.Parsed[*node]{}
	return &lookup.Driver{Name: "json", Kind: lookup.SingleKey | lookup.AbsoluteFile, Doc: "Takes an element out of a JSON file; the key is a list of names and numbers.",
		Find: func(_ context.Context, r *lookup.Request) (lookup.Result, bool, error) {
			top, err := files.Open(r.File, "json search", r.World.Clock.Now(), parse)
			var wrong *json.SyntaxError
			if errors.As(err, &wrong) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
				err = lookup.Defer(fmt.Sprintf("json error on open: %s: %s", r.File, err))
			}
			if err != nil || r.Key == "" {
				return lookup.Result{}, false, err
			}
			data, found := find(top, r.Key)
			return lookup.Result{Data: data}, found, nil
		}}
}

// parse reads one value and makes sure that it is well formed.
func parse(data io.Reader) (*node, error) {
	top := &node{}
	return top, json.NewDecoder(data).Decode(&top.text)
}

// node is a value of a file. What is in it is taken apart when something in it is looked for, once.
type node struct {
	text   json.RawMessage
	once   sync.Once
	items  []node
	object map[string]*node
}

func (n *node) open() {
	n.once.Do(func() {
		var items []json.RawMessage
		if json.Unmarshal(n.text, &items) == nil {
			n.items = make([]node, len(items))
			for i, text := range items {
				n.items[i].text = text
			}
			return
		}
		var members map[string]json.RawMessage
		if json.Unmarshal(n.text, &members) == nil {
			n.object = make(map[string]*node, len(members))
			for name, text := range members {
				n.object[name] = &node{text: text}
			}
		}
	})
}

// find follows the selectors of the key.
func find(value *node, key string) (string, bool) {
	_, selectors := expand.SplitList(key)
	for _, s := range selectors {
		if value = value.step(s); value == nil {
			return "", false
		}
	}
	text := value.text
	var single string
	if json.Unmarshal(text, &single) == nil && bytes.HasPrefix(text, []byte(`"`)) {
		return single, true
	}
	return compact(text), true
}

// step gives the element of an array or the member of an object, nil if there is none. A selector of digits wants an array.
func (n *node) step(selector string) *node {
	n.open()
	if number, err := strconv.Atoi(selector); err == nil && strings.Trim(selector, "0123456789") == "" {
		if number >= len(n.items) {
			return nil
		}
		return &n.items[number]
	}
	return n.object[selector]
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
