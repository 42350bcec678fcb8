package spool

import (
	"fmt"
	"sort"
	"strconv"
	"strings"

	"exigo/internal/mail"
)

// appendHeader appends the text of a -H file. What would break its lines is refused: a line end or NUL in an address.
func (s *Spool) appendHeader(b []byte, id string, m *mail.Message) ([]byte, error) {
	b = append(b, id...)
	b = append(b, "-H\n"...)
	login := m.OriginatorLogin
	if login == "" {
		login = strconv.Itoa(m.OriginatorUID)
	}
	b = fmt.Appendf(b, "%s %d %d\n", oneLine(login), m.OriginatorUID, m.OriginatorGID)
	if broken(m.Sender) {
		return nil, fmt.Errorf("spool: line end in sender address of %s", id)
	}
	b = append(append(append(b, '<'), m.Sender...), ">\n"...)
	b = fmt.Appendf(b, "%d %d\n", m.Received.Unix(), m.Warnings)
	for i := range s.fields {
		f := &s.fields[i]
		if value, present := f.Write(m); present {
			b = appendField(b, f.Name, value, f.Tainted && (f.Ours == nil || !f.Ours(m, value)))
		}
	}
	b = appendVariables(b, "aclc", m.Session.Vars)
	b = appendVariables(b, "aclm", m.Vars)
	if st := mail.Peek[State](&m.Bag); st != nil {
		for _, line := range st.lines {
			b = append(append(b, line...), '\n')
		}
	}
	b, err := appendTree(b, m.NonRecipients)
	if err != nil {
		return nil, err
	}
	if b, err = appendRecipients(b, m.Recipients); err != nil {
		return nil, err
	}
	b = append(b, '\n')
	for _, h := range m.Headers {
		b = appendMailHeader(b, h)
	}
	return b, nil
}

func broken(s string) bool { return strings.ContainsAny(s, "\n\x00") }

func appendField(b []byte, name, value string, tainted bool) []byte {
	b = append(b, '-')
	if tainted {
		b = append(b, '-')
	}
	b = append(b, name...)
	if value != "" {
		b = append(append(b, ' '), oneLine(value)...)
	}
	return append(b, '\n')
}

// appendVariables appends ACL variables in the order of their names: "-aclm _x 5", then the value, which may have lines.
func appendVariables(b []byte, name string, vars map[string]mail.Value) []byte {
	if len(vars) == 0 {
		return b
	}
	keys := make([]string, 0, len(vars))
	for k := range vars {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	for _, k := range keys {
		v := vars[k]
		b = append(b, '-')
		if v.Tainted {
			b = append(b, '-')
		}
		if v.Quoted != "" {
			b = append(append(append(b, '('), v.Quoted...), ')')
		}
		b = fmt.Appendf(b, "%s %s %d\n", name, oneLine(k), len(v.S))
		b = append(append(b, v.S...), '\n')
	}
	return b
}

// The bits of a recipient line's flags.
const (
	flagErrorsTo = 1 // errors_to and the parent stand in the line
	flagDSN      = 2 // ORCPT and NOTIFY stand in the line
)

// The bits of NOTIFY in a recipient line.
const (
	notifyNever   = 0x02
	notifySuccess = 0x04
	notifyFailure = 0x08
	notifyDelay   = 0x10
)

func notifyBits(n mail.Notify) int {
	bits := 0
	for _, p := range notifyPairs() {
		if n&p.noun != 0 {
			bits |= p.file
		}
	}
	return bits
}

type notifyPair struct {
	noun mail.Notify
	file int
}

func notifyPairs() [4]notifyPair {
	return [4]notifyPair{{mail.NotifyNever, notifyNever}, {mail.NotifySuccess, notifySuccess},
		{mail.NotifyFailure, notifyFailure}, {mail.NotifyDelay, notifyDelay}}
}

// appendRecipients appends the count and the envelope recipients. With DSN data, an errors_to or a one-time parent a line is
// "address orcpt length,notify errors_to length,parent#3".
func appendRecipients(b []byte, list []mail.Recipient) ([]byte, error) {
	b = append(strconv.AppendInt(b, int64(len(list)), 10), '\n')
	for i := range list {
		r := &list[i]
		if broken(r.Address) || broken(r.ErrorsTo) || broken(r.ORCPT) {
			return nil, fmt.Errorf("spool: line end in recipient %q", r.Address)
		}
		b = append(b, r.Address...)
		if r.ORCPT != "" || r.Notify != 0 || r.ErrorsTo != "" || r.Parent >= 0 {
			b = fmt.Appendf(b, " %s %d,%d %s %d,%d#%d", r.ORCPT, len(r.ORCPT), notifyBits(r.Notify),
				r.ErrorsTo, len(r.ErrorsTo), max(r.Parent, -1), flagErrorsTo|flagDSN)
		}
		b = append(b, '\n')
	}
	return b, nil
}

// appendMailHeader appends one header with its length and type: "023  Subject: x".
func appendMailHeader(b []byte, h mail.Header) []byte {
	text := h.Text
	if !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	n := len(text)
	if n < 100 {
		b = append(b, '0')
	}
	if n < 10 {
		b = append(b, '0')
	}
	b = strconv.AppendInt(b, int64(n), 10)
	kind := h.Type
	if kind == 0 {
		kind = ' '
	}
	return append(append(b, kind, ' '), text...)
}

// appendTree appends the non-recipients as a balanced binary tree: each line says whether a left and a right branch follow.
// Duplicates are written once.
func appendTree(b []byte, list []string) ([]byte, error) {
	if len(list) == 0 {
		return append(b, "XX\n"...), nil
	}
	sorted := append([]string(nil), list...)
	sort.Strings(sorted)
	unique := sorted[:0]
	for i, a := range sorted {
		if broken(a) {
			return nil, fmt.Errorf("spool: line end in address %q", a)
		}
		if i == 0 || a != unique[len(unique)-1] {
			unique = append(unique, a)
		}
	}
	return appendNode(b, unique), nil
}

// appendNode's depth is the logarithm of the list's length.
func appendNode(b []byte, list []string) []byte {
	middle := (len(list) - 1) / 2
	left, right := list[:middle], list[middle+1:]
	letters := [2]byte{'N', 'Y'}
	b = append(b, letters[min(len(left), 1)], letters[min(len(right), 1)], ' ')
	b = append(append(b, list[middle]...), '\n')
	if len(left) > 0 {
		b = appendNode(b, left)
	}
	if len(right) > 0 {
		b = appendNode(b, right)
	}
	return b
}
