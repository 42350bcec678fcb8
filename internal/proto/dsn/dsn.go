// Package dsn writes and reads delivery status notifications: the message/delivery-status part of RFC 3464, its typed values,
// and the parameters of RFC 3461 that ask for notifications.
//
// Trust: diagnostic texts come from remote servers, reports from anybody; control characters never get through, sizes are
// bounded.
package dsn

import (
	"errors"
	"strings"

	"exigo/internal/proto/smtp"
)

// ContentType is the type of the part this package writes (RFC 3464 section 2.1); for a message with UTF-8 addresses it is
// ContentTypeGlobal (RFC 6533 section 4).
const (
	ContentType       = "message/delivery-status"
	ContentTypeGlobal = "message/global-delivery-status"
)

// Field is one field of a group. Values are plain text; with a Type (RFC 3464 section 2.1.2: "dns", "rfc822", "smtp", "utf-8",
// ...) it is written before the value.
type Field struct {
	Name string
	// Type is the type in front of the value, "" for fields that have none.
	Type string
	// Tight leaves out the space between "type;" and value.
	Tight bool
	Value string
}

// Group is a block of fields: those about the message, or those about one recipient.
type Group []Field

// Get returns the value of the first field of that name, without regard to case, and whether there is one.
func (g Group) Get(name string) (Field, bool) {
	for _, f := range g {
		if strings.EqualFold(f.Name, name) {
			return f, true
		}
	}
	return Field{}, false
}

// Report is the content of a delivery status.
type Report struct {
	// Message has the per-message fields (RFC 3464 section 2.2): Original-Envelope-Id, Reporting-MTA, Arrival-Date ...
	Message Group
	// Recipients has the per-recipient fields (section 2.3): Original-Recipient, Final-Recipient, Action, Status ...
	Recipients []Group
}

// AppendTo appends the report in LF lines: the groups, each followed by an empty line. A group without fields is left out.
func (r Report) AppendTo(dst []byte) []byte {
	dst = appendGroup(dst, r.Message)
	for _, g := range r.Recipients {
		dst = appendGroup(dst, g)
	}
	return dst
}

func appendGroup(dst []byte, g Group) []byte {
	if len(g) == 0 {
		return dst
	}
	for _, f := range g {
		dst = f.AppendTo(dst)
	}
	return append(dst, '\n')
}

// AppendTo appends the field as one line; a value with newlines is folded over several.
func (f Field) AppendTo(dst []byte) []byte {
	dst = append(append(dst, f.Name...), ": "...)
	if f.Type != "" {
		dst = append(append(dst, f.Type...), ';')
		if !f.Tight {
			dst = append(dst, ' ')
		}
	}
	return append(append(dst, SafeText(f.Value)...), '\n')
}

// SafeText makes a text fit for the value of a field: newlines become folding, so that no line of it can pass for a field or
// end the group; other control characters become question marks. White space at the end is removed.
func SafeText(s string) string {
	s = strings.TrimRight(s, " \t\r\n")
	clean := true
	for i := 0; i < len(s) && clean; i++ {
		clean = s[i] >= ' ' && s[i] != 0x7f
	}
	if clean {
		return s
	}
	b := make([]byte, 0, len(s)+8)
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\r' && i+1 < len(s) && s[i+1] == '\n':
		case c == '\n' || c == '\r':
			if n := len(b); n >= 2 && b[n-1] == ' ' && b[n-2] == '\n' {
				continue // an empty line would end the group
			}
			b = append(b, '\n', ' ')
		case c == '\t':
			b = append(b, c)
		case c < ' ' || c == 0x7f:
			b = append(b, '?')
		default:
			b = append(b, c)
		}
	}
	return string(b)
}

// Limits of Parse.
const (
	maxRecipients = 1000
	maxFields     = 100
)

// ErrTooLarge says that a report has too many groups or fields.
var ErrTooLarge = errors.New("delivery status too large")

// ErrMalformed says that a text is no delivery status.
var ErrMalformed = errors.New("malformed delivery status")

// Parse reads a message/delivery-status part, with LF or CRLF line ends. Typed values are divided; comments are kept in the
// value. Lines that are no fields are skipped. ErrMalformed comes if there is no group of fields at all.
func Parse(text string) (Report, error) {
	var groups []Group
	var group Group
	for text != "" {
		var line string
		line, text, _ = strings.Cut(text, "\n")
		line = strings.TrimSuffix(line, "\r")
		switch {
		case strings.TrimSpace(line) == "":
			if len(group) > 0 {
				groups = append(groups, group)
				group = nil
			}
		case line[0] == ' ' || line[0] == '\t':
			if n := len(group); n > 0 && group[n-1].Value == "" {
				group[n-1].Value = strings.TrimSpace(line)
			} else if n > 0 {
				group[n-1].Value += " " + strings.TrimSpace(line)
			}
		default:
			if f, ok := parseField(line); ok {
				group = append(group, f)
			}
		}
		if len(group) > maxFields || len(groups) > maxRecipients {
			return Report{}, ErrTooLarge
		}
	}
	if len(group) > 0 {
		groups = append(groups, group)
	}
	if len(groups) == 0 {
		return Report{}, ErrMalformed
	}
	return Report{Message: groups[0], Recipients: groups[1:]}, nil
}

// typedFields are the fields whose values have a type (RFC 3464 sections 2.2 and 2.3).
const typedFields = " reporting-mta dsn-gateway received-from-mta original-recipient final-recipient remote-mta diagnostic-code "

func parseField(line string) (Field, bool) {
	name, value, ok := strings.Cut(line, ":")
	name = strings.TrimRight(name, " \t")
	if !ok || name == "" || strings.ContainsAny(name, " \t") {
		return Field{}, false
	}
	f := Field{Name: name, Value: strings.TrimSpace(value)}
	if strings.Contains(typedFields, " "+strings.ToLower(name)+" ") {
		if kind, rest, ok := strings.Cut(f.Value, ";"); ok {
			f.Type, f.Value = strings.TrimSpace(kind), strings.TrimSpace(rest)
		}
	}
	return f, true
}

// Notify is what NOTIFY= asks for (RFC 3461 section 4.1). 0 means that it was not given.
type Notify uint8

// The keywords of NOTIFY.
const (
	NotifySuccess Notify = 1 << iota
	NotifyFailure
	NotifyDelay
	NotifyNever
)

// ErrParameter says that the value of a DSN parameter is malformed.
var ErrParameter = errors.New("malformed DSN parameter")

// ParseNotify reads the value of NOTIFY: NEVER alone, or a list of SUCCESS, FAILURE and DELAY.
func ParseNotify(value string) (Notify, error) {
	var n Notify
	for _, word := range strings.Split(value, ",") {
		switch strings.ToUpper(word) {
		case "SUCCESS":
			n |= NotifySuccess
		case "FAILURE":
			n |= NotifyFailure
		case "DELAY":
			n |= NotifyDelay
		case "NEVER":
			n |= NotifyNever
		default:
			return 0, ErrParameter
		}
	}
	if n&NotifyNever != 0 && n != NotifyNever {
		return 0, ErrParameter
	}
	return n, nil
}

// String returns the value for NOTIFY=, keywords in the order NEVER, SUCCESS, FAILURE, DELAY.
func (n Notify) String() string {
	var words []string
	for _, row := range [...]struct {
		bit  Notify
		word string
	}{{NotifyNever, "NEVER"}, {NotifySuccess, "SUCCESS"}, {NotifyFailure, "FAILURE"}, {NotifyDelay, "DELAY"}} {
		if n&row.bit != 0 {
			words = append(words, row.word)
		}
	}
	return strings.Join(words, ",")
}

// ParseOriginalRecipient reads the value of ORCPT: a type, ";", and an address in xtext, which is returned decoded (RFC 3461
// section 4.2). For the type utf-8 the escapes of RFC 6533 section 3 are left in place.
func ParseOriginalRecipient(value string) (kind, address string, err error) {
	kind, text, ok := strings.Cut(value, ";")
	if !ok || kind == "" || text == "" || len(value) > 500 {
		return "", "", ErrParameter
	}
	if strings.EqualFold(kind, "utf-8") {
		return kind, text, nil
	}
	address, err = smtp.DecodeXtext(text)
	if err != nil || strings.ContainsFunc(address, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return "", "", ErrParameter
	}
	return kind, address, nil
}
