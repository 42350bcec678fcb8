package dkim

import (
	"errors"
	"strings"
)

// Tag is one tag=value of a tag list. Value has no white space at its ends; what is inside (folding too) is kept.
type Tag struct{ Name, Value string }

// Tags is a tag list in order, names unique.
type Tags []Tag

// The ways in which a tag list can be wrong.
var (
	ErrTagSyntax    = errors.New("malformed tag list")
	ErrTagDuplicate = errors.New("duplicate tag")
	ErrTooManyTags  = errors.New("too many tags")
)

// maxTags is more than anybody uses.
const maxTags = 100

// ParseTags reads a tag list (RFC 6376 section 3.2): "a=x; b=y;". Names are compared with regard to case. An empty text is an empty list.
// On an error the tags before the mistake are returned with it.
func ParseTags(text string) (Tags, error) {
	tags := make(Tags, 0, min(strings.Count(text, ";")+1, maxTags))
	for {
		one, rest, more := strings.Cut(text, ";")
		one = trim(one)
		if one == "" {
			// Only behind the last semicolon may there be nothing.
			if more {
				return tags, ErrTagSyntax
			}
			return tags, nil
		}
		name, value, ok := strings.Cut(one, "=")
		name = trim(name)
		if !ok || !tagName(name) {
			return tags, ErrTagSyntax
		}
		if _, dup := tags.Get(name); dup {
			return tags, ErrTagDuplicate
		}
		if len(tags) == maxTags {
			return tags, ErrTooManyTags
		}
		tags = append(tags, Tag{name, trim(value)})
		if !more {
			return tags, nil
		}
		text = rest
	}
}

// Get finds a tag.
func (t Tags) Get(name string) (value string, ok bool) {
	for i := range t {
		if t[i].Name == name {
			return t[i].Value, true
		}
	}
	return "", false
}

// tagName: ALPHA *(ALPHA / DIGIT / "_").
func tagName(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i] | 0x20
		switch {
		case c >= 'a' && c <= 'z':
		case i > 0 && (s[i] >= '0' && s[i] <= '9' || s[i] == '_'):
		default:
			return false
		}
	}
	return s != ""
}

const space = " \t\r\n"

func trim(s string) string { return strings.Trim(s, space) }

// RemoveSpace removes all white space and line ends, as is to be done with base64 and lists before they are read.
func RemoveSpace(s string) string {
	if !strings.ContainsAny(s, space) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	for i := 0; i < len(s); i++ {
		if strings.IndexByte(space, s[i]) < 0 {
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

// splitColon splits a colon-separated list, white space removed.
func splitColon(s string) []string { return strings.Split(RemoveSpace(s), ":") }

// WithoutSignature returns a field, such as DKIM-Signature or ARC-Seal, with the value of its b= tag removed, white space around it
// included (RFC 6376 section 3.5): what the signature covers. A field without b= is returned as it is.
func WithoutSignature(field string) string {
	colon := strings.IndexByte(field, ':')
	if colon < 0 {
		return field
	}
	at := colon + 1
	for at < len(field) {
		end := strings.IndexByte(field[at:], ';')
		if end < 0 {
			end = len(field)
			// the line end of the field itself stays
			for end > at && (field[end-1] == '\n' || field[end-1] == '\r') {
				end--
			}
		} else {
			end += at
		}
		name, _, ok := strings.Cut(field[at:end], "=")
		if ok && trim(name) == "b" {
			return field[:at+len(name)+1] + field[end:]
		}
		at = end + 1
	}
	return field
}
