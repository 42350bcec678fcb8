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
	if refs := mail.References(m); refs != "" {
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
