// Package arc is the Authenticated Received Chain (RFC 8617): it validates the chain of a message and seals a message with a further set.
// Canonicalisation, key records and raw signatures are proto/dkim's; a body is hashed as it streams by and never kept.
//
// Header fields are complete texts with name, colon, folding and final line end; LF and CRLF do equally as line ends.
//
// Trust: chains are the words of whoever sent the message. The number of sets, of signatures that are checked, and of keys that are asked for is
// bounded by MaxSets, sizes of keys and records by proto/dkim; the time is the context's.
package arc

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"exigo/internal/proto/dkim"
)

// MaxSets is how long a chain may be (RFC 8617 section 4.2.1).
const MaxSets = 50

// Result is the status of a chain (RFC 8617 section 4.4).
type Result string

// The results. TempError says that a key could not be had at this time, so that nothing is known.
const (
	None      Result = "none"
	Pass      Result = "pass"
	Fail      Result = "fail"
	TempError Result = "temperror"
)

// The names of the three fields of a set (section 4.1), in the order in which seals cover them.
const (
	ResultsField   = "ARC-Authentication-Results"
	SignatureField = "ARC-Message-Signature"
	SealField      = "ARC-Seal"
)

var fieldNames = [...]string{ResultsField, SignatureField, SealField}

// kind is an index of fieldNames.
type kind int

const (
	results kind = iota
	signature
	seal
)

// short is what reasons call the fields.
func (k kind) short() string { return [...]string{"AAR", "AMS", "AS"}[k] }

// fieldKind tells which of the three fields it is.
func fieldKind(field string) (kind, bool) {
	if len(field) < len(SealField) || field[0]|0x20 != 'a' {
		return 0, false
	}
	for k, name := range fieldNames {
		if len(field) > len(name) && strings.EqualFold(field[:len(name)], name) && strings.HasPrefix(strings.TrimLeft(field[len(name):], " \t"), ":") {
			return kind(k), true
		}
	}
	return 0, false
}

// HasChain tells whether there is a field of a set.
func HasChain(fields []string) bool {
	return slices.ContainsFunc(fields, func(f string) bool { _, ok := fieldKind(f); return ok })
}

// set is the three fields of an instance, "" where missing, and the tags of two of them.
type set struct {
	fields [3]string
	tags   [3]dkim.Tags
}

// tag returns a tag's value, "" for none.
func (s *set) tag(k kind, name string) string {
	v, _ := s.tags[k].Get(name)
	return v
}

// Chain is the sets of a message.
type Chain struct {
	// sets[i] is instance i+1.
	sets []*set
	// fault is what is wrong with the form of the chain, "" when it is right.
	fault string
}

// NewChain finds the sets among the fields of a message.
func NewChain(fields []string) *Chain {
	c := &Chain{}
	for _, f := range fields {
		k, ok := fieldKind(f)
		if !ok {
			continue
		}
		instance, tags, ok := read(k, f)
		if !ok {
			c.blame(k.short() + " malformed")
			continue
		}
		for len(c.sets) < instance {
			c.sets = append(c.sets, &set{})
		}
		s := c.sets[instance-1]
		if s.fields[k] != "" {
			c.blame(fmt.Sprintf("i=%d (duplicate %s)", instance, k.short()))
			continue
		}
		s.fields[k], s.tags[k] = f, tags
	}
	for i, s := range c.sets {
		for k, f := range s.fields {
			if f == "" {
				c.blame(fmt.Sprintf("i=%d (missing %s)", i+1, kind(k).short()))
			}
		}
	}
	return c
}

// blame notes the first fault.
func (c *Chain) blame(fault string) {
	if c.fault == "" {
		c.fault = fault
	}
}

// Len is the highest instance number.
func (c *Chain) Len() int { return len(c.sets) }

// Empty tells whether there is no field of a chain at all.
func (c *Chain) Empty() bool { return len(c.sets) == 0 && c.fault == "" }

// Status is the cv= of the newest seal, "" where there is none.
func (c *Chain) Status() Result {
	if len(c.sets) == 0 {
		return ""
	}
	return Result(strings.ToLower(c.sets[len(c.sets)-1].tag(seal, "cv")))
}

// Domains are the domains that sealed, oldest first, "" where one cannot be told.
func (c *Chain) Domains() []string {
	list := make([]string, len(c.sets))
	for i, s := range c.sets {
		list[i] = s.tag(seal, "d")
	}
	return list
}

// read takes the instance number of a field, and the tags of those that have tags. It is false for fields that cannot be in a chain.
func read(k kind, field string) (instance int, tags dkim.Tags, ok bool) {
	_, value, _ := strings.Cut(field, ":")
	var text string
	if k == results {
		text, _, ok = strings.Cut(value, ";")
		name, number, eq := strings.Cut(text, "=")
		if ok = ok && eq && strings.EqualFold(dkim.RemoveSpace(name), "i"); !ok {
			return 0, nil, false
		}
		text = number
	} else {
		var err error
		if tags, err = dkim.ParseTags(value); err != nil {
			return 0, nil, false
		}
		text, _ = tags.Get("i")
	}
	instance, ok = number(strings.Trim(text, " \t\r\n"))
	return instance, tags, ok
}

// number reads an instance number: one or two digits, 1 to 50.
func number(s string) (int, bool) {
	if len(s) < 1 || len(s) > 2 || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n, _ := strconv.Atoi(s)
	return n, n >= 1 && n <= MaxSets
}

// base64Tag reads the value of b= or bh=.
func base64Tag(s string) ([]byte, bool) {
	data, err := base64.StdEncoding.DecodeString(dkim.RemoveSpace(s))
	return data, err == nil && len(data) > 0
}
