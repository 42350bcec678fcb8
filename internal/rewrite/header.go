package rewrite

import (
	"strings"

	"exigo/internal/expand"
	"exigo/internal/mail"
	"exigo/internal/proto/address"
)

// HeaderOptions say what is done to addresses in header lines besides the rules.
type HeaderOptions struct {
	// QualifySender and QualifyRecipient complete addresses without domain, in lines of senders (From:, Sender:, Reply-To:) and of
	// recipients (To:, Cc:, Bcc:).
	QualifySender, QualifyRecipient bool
	// OldDomain, if set, is replaced by NewDomain: routing found the full name of a domain (spec 48.21).
	OldDomain, NewDomain string
	// Check reads the addresses even if there is nothing to do with them: what cannot be read is logged.
	Check bool
}

// foldAfter is the length from which a rewritten line is folded after the address.
const foldAfter = 38

// PlaceOf returns the place of addresses in a header line, 0 for lines that hold none. Resent- lines are like those without.
func PlaceOf(h mail.Header) Place {
	switch h.Type {
	case '*':
		return 0
	case 'F':
		return From
	case 'T':
		return To
	case 'C':
		return Cc
	case 'B':
		return Bcc
	case 'S':
		return Sender
	case 'R':
		return ReplyTo
	}
	name := h.Name()
	if len(name) > 7 && strings.EqualFold(name[:7], "resent-") {
		name = name[7:]
	}
	for p := Sender; p <= ReplyTo; p <<= 1 {
		if strings.EqualFold(placeNames[p], name) {
			return p
		}
	}
	return 0
}

// Header rewrites and qualifies the addresses of one header line; changed is false when it stays as it is.
func (w *Rewriter) Header(s *expand.Scope, h mail.Header, o HeaderOptions) (out mail.Header, changed bool) {
	place := PlaceOf(h)
	if place == 0 {
		return h, false
	}
	sender := place&(Sender|From|ReplyTo) != 0
	qualify := sender && o.QualifySender || !sender && o.QualifyRecipient
	rules := w.Rules.Any(place)
	if !rules && !qualify && o.OldDomain == "" && !o.Check {
		return h, false
	}
	e := editor{text: h.Text, pos: strings.IndexByte(h.Text, ':') + 1}
	read := w.Settings.Address
	read.AllowNull = true
	items := address.NewList(strings.TrimSuffix(h.Text[e.pos:], "\n"), read)
	base := e.pos
	for {
		item, ok := items.Next()
		if !ok {
			break
		}
		if item.Err != nil {
			w.Hooks.Log(s, "qualify/rewrite: "+item.Err.Error())
			continue
		}
		m := item.Mailbox
		c := current{text: m.Address, working: m.Address, end: len(m.Address)}
		if m.Address == "" || m.Domain == 0 && !qualify {
			continue
		}
		if m.Domain == 0 {
			full := w.qualify(m.Address, !sender)
			c = current{text: full, working: full, end: len(full), changed: true}
		} else if o.OldDomain != "" && strings.EqualFold(m.DomainPart(), o.OldDomain) {
			full := m.LocalPart() + "@" + o.NewDomain
			c = current{text: full, working: full, end: len(full), changed: true}
		}
		if rules {
			before := c.changed
			c = w.apply(s, c.working, place)
			c.changed = c.changed || before
		}
		if !c.changed {
			continue
		}
		start := base + item.Offset
		if c.whole {
			e.replace(start, start+len(strings.TrimRight(item.Text, " \t\r\n")), c.text, true)
			e.pos = start + len(item.Text)
			if strings.HasSuffix(item.Text, "\n") {
				e.pos--
			}
		} else {
			e.replace(start+routeStart(item.Text, m.Start), start+m.End, c.text, false)
		}
		e.fold(start + len(item.Text))
	}
	if !e.changed {
		return h, false
	}
	e.out = append(e.out, e.text[e.pos:]...)
	return mail.Header{Type: h.Type, Text: string(e.out)}, true
}

// Headers rewrites all header lines of a message. The lines that were changed stay, marked as deleted, before the new ones.
func (w *Rewriter) Headers(s *expand.Scope, headers []mail.Header, o HeaderOptions) []mail.Header {
	for i := 0; i < len(headers); i++ {
		changed, ok := w.Header(s, headers[i], o)
		if !ok {
			continue
		}
		headers[i].Type = '*'
		headers = append(headers, mail.Header{})
		copy(headers[i+2:], headers[i+1:])
		headers[i+1] = changed
		i++
	}
	return headers
}

// editor makes the new text of a header line out of the old one.
type editor struct {
	text    string
	pos     int // what stands before is in out
	out     []byte
	changed bool
	line    int // where the line begins that was folded last
	folded  int // where in out the last fold ends, 0 for none
}

// replace puts new text in the place of text[start:end].
func (e *editor) replace(start, end int, text string, whole bool) {
	if len(e.out) == 0 {
		e.out = append(e.out, e.text[:e.pos]...)
	}
	e.out = append(e.out, e.text[e.pos:start]...)
	if whole && e.folded > 0 && e.folded == len(e.out) {
		e.out = e.out[:len(e.out)-2] // a whole address starts right after the comma
	}
	e.out = append(e.out, text...)
	e.pos = end
	e.changed = true
}

// fold breaks a line that has become long after the item that ends at end and the comma behind it.
func (e *editor) fold(end int) {
	if len(e.out)-e.line <= foldAfter || end >= len(e.text) || e.text[end] != ',' {
		return
	}
	next := end + 1
	for next < len(e.text) && (e.text[next] == ' ' || e.text[next] == '\t') {
		next++
	}
	if next >= len(e.text) || e.text[next] == '\n' {
		return
	}
	e.out = append(e.out, e.text[e.pos:next]...)
	e.line = len(e.out) + 1
	e.out = append(e.out, "\n\t"...)
	e.folded = len(e.out)
	e.pos = next
}
