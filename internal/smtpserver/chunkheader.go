package smtpserver

import (
	"bytes"

	"exigo/internal/mail"
)

// maxWatched bounds how much of a header section is kept for the log.
const maxWatched = 8 << 10

// headerWatch follows the header section of a message in chunks as it arrives. Line ends in it must be CRLF, and where no empty
// line ends it, one is put in, which counts in the message's size.
type headerWatch struct {
	over     bool // the body has begun
	inserted bool // it begins without an empty line
	bareLF   bool // a line of the header section ended with LF alone
	line     int  // length of the current line
	colon    bool // the current line has a colon after a name
	notName  bool // the current line cannot be a field's first
	last     byte
	text     []byte
}

// see looks at bytes of the message; it reports whether they may go on.
func (w *headerWatch) see(p []byte) bool {
	for _, c := range p {
		if w.over || w.bareLF {
			break
		}
		w.byte(c)
	}
	return !w.bareLF
}

func (w *headerWatch) byte(c byte) {
	if len(w.text) < maxWatched {
		w.text = append(w.text, c)
	}
	last := w.last
	w.last = c
	switch {
	case c == '\n' && last != '\r':
		w.bareLF = w.line > 0
		w.over = w.line == 0
	case c == '\n' && w.line <= 1: // nothing but the CR
		w.over = true
	case c == '\n':
		w.over = !w.colon
		w.inserted = w.over
		w.line, w.colon, w.notName = 0, false, false
		return
	case w.line == 0 && (c == ' ' || c == '\t'):
		w.colon = true // a continuation
	case c == ':' && !w.colon && !w.notName && w.line > 0:
		w.colon = true
	case c <= ' ' || c >= 0x7f:
		w.notName = w.notName || c != ' ' && c != '\t'
	}
	w.line++
}

// headers are the fields seen so far, for the reject log.
func (w *headerWatch) headers() []mail.Header {
	var out []mail.Header
	for _, line := range bytes.SplitAfter(w.text, []byte{'\n'}) {
		if text := string(bytes.TrimRight(line, "\r\n")); text != "" {
			out = append(out, mail.Header{Type: ' ', Text: text + "\n"})
		}
	}
	return out
}
