package autoreply

import (
	"strings"

	"exigo/internal/mail"
	"exigo/internal/proto/address"
)

// header builds the header of the reply.
func header(m *mail.Message, p *reply) string {
	var b strings.Builder
	for _, f := range []struct{ name, value string }{
		{"From", p.from}, {"Reply-To", p.replyTo}, {"To", p.to}, {"Cc", p.cc}, {"Bcc", p.bcc}, {"Subject", p.subject},
	} {
		if f.value != "" {
			b.WriteString(f.name + ": " + f.value + "\n")
		}
	}
	id := strings.TrimSpace(value(m, "Message-ID"))
	if id != "" {
		b.WriteString("In-Reply-To: " + id + "\n")
	}
	if refs := references(m, id); refs != "" {
		b.WriteString("References: " + refs + "\n")
	}
	b.WriteString("Auto-Submitted: auto-replied\n")
	if p.headers != "" {
		b.WriteString(strings.TrimRight(p.headers, "\n") + "\n")
	}
	return b.String()
}

// value is the value of the first header line of the name.
func value(m *mail.Message, name string) string {
	for _, h := range m.Headers {
		if h.Type != '*' && h.Is(name) {
			return h.Value()
		}
	}
	return ""
}

// maxReferences is how many identifiers are kept in front of the message's own: the first and the last ones.
const maxReferences = 12

// references builds the References: value (RFC 5322 section 3.6.4): what the message refers to, and the message itself.
func references(m *mail.Message, id string) string {
	ids := identifiers(value(m, "References"))
	if len(ids) == 0 {
		ids = identifiers(value(m, "In-Reply-To"))
	}
	if len(ids) > maxReferences {
		ids = append(ids[:1:1], ids[len(ids)-maxReferences+1:]...)
	}
	if id != "" {
		ids = append(ids, id)
	}
	return strings.Join(ids, " ")
}

// identifiers finds message identifiers, bounded in number and length.
func identifiers(text string) []string {
	var out []string
	for len(out) < 1000 {
		start := strings.IndexByte(text, '<')
		if start < 0 {
			return out
		}
		end := strings.IndexByte(text[start:], '>')
		if end < 0 {
			return out
		}
		if one := text[start : start+end+1]; !strings.ContainsAny(one, " \t\n") && len(one) < 998 {
			out = append(out, one)
		}
		text = text[start+end+1:]
	}
	return out
}

// splitAddresses splits a header value at the commas between addresses.
func splitAddresses(text string) []string {
	var out []string
	for text != "" {
		end := address.FindEnd(text, false)
		if one := strings.TrimSpace(text[:end]); one != "" {
			out = append(out, one)
		}
		text = text[min(end+1, len(text)):]
	}
	return out
}
