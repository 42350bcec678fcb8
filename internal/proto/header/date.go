package header

import (
	"errors"
	"net/mail"
	"strings"
	"time"
)

// DateLayout is the layout of FormatDate for time.Format (RFC 5322 section 3.3).
const DateLayout = "Mon, 02 Jan 2006 15:04:05 -0700"

// FormatDate formats a time for a Date: or Received: field, in the time's own zone.
func FormatDate(t time.Time) string { return t.Format(DateLayout) }

// ParseDate reads the date of a field's body: RFC 5322 with its obsolete forms, comments ignored.
func ParseDate(s string) (time.Time, error) {
	s = strings.TrimSpace(Unfold(s))
	if len(s) > 200 {
		return time.Time{}, errors.New("date too long")
	}
	return mail.ParseDate(s)
}

// ValidMessageID reports whether s is a message identifier with its angle brackets: "<" id-left "@" id-right ">" without
// white space or control characters (RFC 5322 section 3.6.4, tolerant of what is in use).
func ValidMessageID(s string) bool {
	if len(s) < 5 || s[0] != '<' || s[len(s)-1] != '>' {
		return false
	}
	s = s[1 : len(s)-1]
	at := strings.LastIndexByte(s, '@')
	if at <= 0 || at == len(s)-1 {
		return false
	}
	for i := 0; i < len(s); i++ {
		if c := s[i]; c <= ' ' || c == 0x7f || c == '<' || c == '>' {
			return false
		}
	}
	return true
}

// MessageIDs returns the message identifiers, brackets included, in the body of a References: or In-Reply-To: field, in
// order; what is no identifier is skipped.
func MessageIDs(body string) []string {
	var ids []string
	for {
		i := strings.IndexByte(body, '<')
		if i < 0 {
			return ids
		}
		body = body[i:]
		j := strings.IndexByte(body, '>')
		if j < 0 {
			return ids
		}
		if id := body[:j+1]; ValidMessageID(id) {
			ids = append(ids, id)
		}
		body = body[j+1:]
	}
}
