package mail

import "strings"

// maxReferences is how many identifiers are kept in front of the message's own: the first and the last ones. maxReferencesLine
// bounds the line (RFC 5322 section 2.1.1).
const (
	maxReferences     = 12
	maxReferencesLine = 998 - len("References: ")
)

// References builds the References: value of an answer to the message (RFC 5322 section 3.6.4): what the message refers to, and the
// message itself. It is "" when there is nothing to refer to.
func References(m *Message) string {
	ids := identifiers(m.firstValue("References"))
	if len(ids) == 0 {
		ids = identifiers(m.firstValue("In-Reply-To"))
	}
	if n := len(ids); n > maxReferences {
		ids = append(ids[:1:1], ids[n-maxReferences+1:]...)
	}
	if own := identifiers(m.firstValue("Message-ID")); len(own) > 0 {
		ids = append(ids, own[0])
	}
	length := len(ids) - 1
	for _, id := range ids {
		length += len(id)
	}
	for length > maxReferencesLine && len(ids) > 2 {
		length -= len(ids[1]) + 1
		ids = append(ids[:1:1], ids[2:]...)
	}
	return strings.Join(ids, " ")
}

// firstValue is the value of the first header line of the name.
func (m *Message) firstValue(name string) string {
	for _, h := range m.Headers {
		if h.Type != '*' && h.Is(name) {
			return h.Value()
		}
	}
	return ""
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
