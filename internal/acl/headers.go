package acl

import (
	"strings"

	"exigo/internal/mail"
)

// Position says where an added header line goes (spec 44.24).
type Position int

// The positions of added header lines.
const (
	AtEnd Position = iota
	AtStart
	AfterReceived
	AtStartRFC
)

var positions = []struct {
	prefix   string
	position Position
}{
	{":after_received:", AfterReceived},
	{":at_start_rfc:", AtStartRFC},
	{":at_start:", AtStart},
	{":at_end:", AtEnd},
}

// AddedHeader is a header line that an ACL asked for.
type AddedHeader struct {
	Position Position
	// Text is complete, with a newline at its end.
	Text string
}

// Pending is what ACLs asked to be changed in the header lines of the message at hand. Reception takes it over after
// the message was read, and again after the ACLs that follow, and empties it.
type Pending struct {
	Added []AddedHeader
	// Removed are the names in remove_header modifiers, as lists.
	Removed []string
}

// PendingHeaders returns the pending changes of a message. It is never nil.
func PendingHeaders(m *mail.Message) *Pending { return mail.State[Pending](&m.Bag) }

// Clear forgets all changes.
func (p *Pending) Clear() { p.Added, p.Removed = nil, nil }

// pending returns the pending changes of the message at hand; without a message they go nowhere.
func (r *Run) pending() *Pending {
	if r.Scope.Message == nil {
		return &Pending{}
	}
	return PendingHeaders(r.Scope.Message)
}

// Add takes text as that of an add_header modifier (spec 44.24): it splits it into header lines and appends those that are not there yet.
func (p *Pending) Add(text string) {
	text = strings.Trim(text, "\n")
	if text == "" {
		return
	}
	for _, line := range splitHeaders(text) {
		position := AtEnd
		for _, x := range positions {
			if strings.HasPrefix(line, x.prefix) {
				line, position = line[len(x.prefix):], x.position
				break
			}
		}
		line = strings.TrimLeft(line, " \t\n")
		if !startsWithName(line) {
			line = "X-ACL-Warn: " + line
		}
		p.append(AddedHeader{position, clean(line) + "\n"})
	}
}

func (p *Pending) append(h AddedHeader) {
	for _, old := range p.Added {
		if old == h {
			return
		}
	}
	p.Added = append(p.Added, h)
}

// splitHeaders splits at newlines that no space or tab follows.
func splitHeaders(text string) []string {
	var out []string
	start := 0
	for i := 0; i < len(text); i++ {
		if text[i] == '\n' && i+1 < len(text) && text[i+1] != ' ' && text[i+1] != '\t' {
			out = append(out, text[start:i])
			start = i + 1
		}
	}
	return append(out, text[start:])
}

// startsWithName tells whether a line begins with a header field's name and a colon (RFC 5322 section 2.2).
func startsWithName(line string) bool {
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == ':':
			return i > 0
		case c <= ' ' || c >= 0x7f:
			return false
		}
	}
	return false
}

// clean takes carriage returns and NULs out, which must not travel into header lines.
func clean(line string) string {
	if !strings.ContainsAny(line, "\r\x00") {
		return line
	}
	return strings.NewReplacer("\r", "", "\x00", "").Replace(line)
}

// checkAddHeader is the add_header modifier.
func checkAddHeader(r *Run, argument mail.Value) Verdict {
	r.pending().Add(argument.S)
	return OK
}

// checkRemoveHeader is the remove_header modifier: its argument is a list that is expanded item by item when the header
// lines are removed.
func checkRemoveHeader(r *Run, argument mail.Value) Verdict {
	p := r.pending()
	p.Removed = append(p.Removed, argument.S)
	return OK
}

// Matches tells whether a header line is one that the names in Removed mean. Names are compared without regard to case.
func (p *Pending) Matches(h mail.Header, names []string) bool {
	for _, name := range names {
		if h.Is(strings.TrimSpace(name)) {
			return true
		}
	}
	return false
}

// Apply makes the pending changes to the header lines of a message and forgets them. names splits a list of header names of
// remove_header (it is expanded already). Removed lines become type '*', as those replaced do, so that the reject log
// can show them; the added lines are returned too.
func (p *Pending) Apply(m *mail.Message, split func(list string) []string) (added []mail.Header) {
	for _, list := range p.Removed {
		names := split(list)
		for i := range m.Headers {
			if m.Headers[i].Type != '*' && p.Matches(m.Headers[i], names) {
				m.Headers[i].Type = '*'
			}
		}
	}
	for _, a := range p.Added {
		h := mail.NewHeader(a.Text)
		added = append(added, h)
		m.Headers = insert(m.Headers, a.Position, h)
	}
	p.Clear()
	return added
}

// insert puts a header line where its position says.
func insert(headers []mail.Header, position Position, h mail.Header) []mail.Header {
	at := len(headers)
	switch position {
	case AtStart:
		at = 0
	case AfterReceived:
		at = afterReceived(headers)
	case AtStartRFC:
		at = beforeOthers(headers)
	}
	headers = append(headers, mail.Header{})
	copy(headers[at+1:], headers[at:])
	headers[at] = h
	return headers
}

// afterReceived is the index after the first block of Received: lines.
func afterReceived(headers []mail.Header) int {
	return skip(headers, func(h mail.Header) bool { return h.Type == '*' || h.Is("Received") })
}

// beforeOthers is the index of the first line from the first Received: line on that is neither Received: nor
// Resent-something:.
func beforeOthers(headers []mail.Header) int {
	return skip(headers, func(h mail.Header) bool {
		return h.Type == '*' || h.Is("Received") || len(h.Text) > 7 && strings.EqualFold(h.Text[:7], "Resent-")
	})
}

// skip returns the index after the lines of the kind that begin with the first Received: line; 0 when there is none.
func skip(headers []mail.Header, kind func(mail.Header) bool) int {
	for i, h := range headers {
		if h.Type == '*' || !h.Is("Received") {
			continue
		}
		for i < len(headers) && kind(headers[i]) {
			i++
		}
		return i
	}
	return 0
}
