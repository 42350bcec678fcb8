// Package authres reads and writes the payload of Authentication-Results header fields (RFC 8601), and of ARC-Authentication-Results, which
// has the same form behind its instance number (RFC 8617 section 4.1.1).
//
// Trust: fields that are read come from anybody; a result means something only when the field is known to be one's own. Their size, the number of
// results and the nesting of comments are bounded. What is written may have untrusted values; none of them can end a line, a comment or a quoted
// string.
package authres

import (
	"strings"
)

// FieldName is the name of the field.
const FieldName = "Authentication-Results"

// Header is the payload of a field.
type Header struct {
	// ID is the authserv-id: who authenticated; Version the version as written, "" for none, which is 1.
	ID, Version string
	// Results are in order; none where the field says "none", or nothing.
	Results []Result
}

// Result is the outcome of one method.
type Result struct {
	// Method is "spf", "dkim" and so on, Version its version as written ("" mostly), Result "pass", "fail", "none" and so on. Method is "" for
	// properties that stand alone (some put smtp.remote-ip so).
	Method, Version, Result string
	// Comment is what stands in parentheses behind the result. Several comments are joined with ")(", as they stand on the wire.
	Comment string
	// Reason is the text of reason=, without quotes.
	Reason string
	// Properties are in order.
	Properties []Property
	// Break writes the properties on a line of their own.
	Break bool
}

// Property is ptype.property=value, as header.d=example.org. Type is "" where there is none. Value is the plain value, without quotes.
type Property struct{ Type, Name, Value string }

// Property returns the value of a property, and whether there is one.
func (r *Result) Property(kind, name string) (string, bool) {
	for _, p := range r.Properties {
		if strings.EqualFold(p.Type, kind) && strings.EqualFold(p.Name, name) {
			return p.Value, true
		}
	}
	return "", false
}

// Field returns the whole field, without line end, each result on a line of its own. Without results only the authserv-id is said.
func (h *Header) Field() string { return FieldName + ": " + h.Payload() }

// Payload returns what stands behind the field's name.
func (h *Header) Payload() string {
	var b strings.Builder
	b.WriteString(clean(h.ID))
	if h.Version != "" {
		b.WriteString(" " + clean(h.Version))
	}
	for i := range h.Results {
		b.WriteString(";\n\t")
		h.Results[i].write(&b)
	}
	return b.String()
}

func (r *Result) write(b *strings.Builder) {
	space := ""
	if r.Method != "" {
		space = " "
		b.WriteString(clean(r.Method))
		if r.Version != "" {
			b.WriteString("/" + clean(r.Version))
		}
		b.WriteString("=" + clean(r.Result))
	}
	if r.Comment != "" {
		b.WriteString(space + "(" + comment(r.Comment) + ")")
	}
	if r.Break {
		b.WriteString("\n\t\t")
	}
	reason := ""
	if r.Reason != "" {
		reason = " reason=" + Quote(r.Reason)
	}
	if r.Method != "" {
		b.WriteString(reason)
		reason = ""
	}
	for _, p := range r.Properties {
		b.WriteString(space)
		space = " "
		if p.Type != "" {
			b.WriteString(clean(p.Type) + ".")
		}
		b.WriteString(clean(p.Name) + "=" + Value(p.Value))
	}
	b.WriteString(reason) // where there is no method
}

// clean keeps control characters out of words that are written as they are.
func clean(s string) string {
	for i := 0; i < len(s); i++ {
		if control(s[i]) {
			return strings.Map(func(r rune) rune {
				if r < ' ' || r == 0x7f {
					return '?'
				}
				return r
			}, s)
		}
	}
	return s
}

func control(c byte) bool { return c < ' ' && c != '\t' || c == 0x7f }

// comment makes text stand in a comment (RFC 5322 section 3.2.2). One whose parentheses match, as those of several comments joined do, stays as it
// is; else they are escaped.
func comment(s string) string {
	s = clean(s)
	depth, plain := 1, true
	for i := 0; i < len(s) && plain; i++ {
		switch s[i] {
		case '(':
			depth++
		case ')':
			depth--
			plain = depth > 0 || i+1 < len(s) && s[i+1] == '('
		case '\\':
			i++
			plain = i < len(s)
		}
	}
	if plain && depth == 1 {
		return s
	}
	return commentEscapes.Replace(s)
}

var (
	commentEscapes = strings.NewReplacer("(", `\(`, ")", `\)`, `\`, `\\`)
	quoteEscapes   = strings.NewReplacer(`"`, `\"`, `\`, `\\`)
)

// Quote returns text as a quoted string; control characters become question marks.
func Quote(s string) string {
	return `"` + quoteEscapes.Replace(strings.ReplaceAll(clean(s), "\t", " ")) + `"`
}

// Value returns the text of a property's value: as it is where nothing in it is special to readers of the field (RFC 8601 section 2.2: addresses and
// domain names need no quotes), else as a quoted string.
func Value(s string) string {
	if s == "" {
		return `""`
	}
	for i := 0; i < len(s); i++ {
		if !plainByte(s[i]) {
			return Quote(s)
		}
	}
	return s
}

// plainByte tells whether a value with the character needs no quotes: those of RFC 2045's token, and "@" of addresses. So IPv6 addresses are quoted:
// there are readers that obey the grammar.
func plainByte(c byte) bool {
	return c > ' ' && c != 0x7f && strings.IndexByte(`()<>,;:\"/[]?=`, c) < 0
}
