package eventlog

import (
	"strings"

	"exigo/internal/mail"
)

// Printable makes control characters visible as Exim does: \n \r \b \v \f, other ones and, unless topBit
// (print_topbitchars) is set, bytes above 127 as a backslash and three octal digits. Tabs and backslashes stay.
func Printable(text string, topBit bool) string {
	for i := 0; i < len(text); i++ {
		if !isPrint(text[i], topBit) {
			return string(appendPrintable(make([]byte, 0, len(text)+16), text, topBit, false))
		}
	}
	return text
}

func isPrint(c byte, topBit bool) bool {
	return c >= ' ' && c < 0x7f || c == '\t' || c >= 0x80 && topBit
}

// appendPrintable appends text with control characters escaped. With continued, a line end is let through that a space or
// tab follows, or nothing: nobody can take such a line for an entry of its own.
func appendPrintable(b []byte, text string, topBit, continued bool) []byte {
	for i := 0; i < len(text); i++ {
		c := text[i]
		if isPrint(c, topBit) ||
			continued && c == '\n' && (i+1 == len(text) || text[i+1] == ' ' || text[i+1] == '\t') {
			b = append(b, c)
			continue
		}
		b = append(b, '\\')
		if k := strings.IndexByte("\n\r\b\v\f", c); k >= 0 {
			b = append(b, "nrbvf"[k])
		} else {
			b = append(b, '0'+c>>6, '0'+c>>3&7, '0'+c&7)
		}
	}
	return b
}

// maxRejected bounds one reject log entry; Exim's buffer has 8192 bytes and keeps some in reserve.
const maxRejected = 8092

// appendRejected appends what the reject log says of a refused message: envelope and headers.
func appendRejected(b []byte, m *mail.Message, topBit bool) []byte {
	if len(m.Recipients) > 0 || m.SenderSet {
		b = append(b, "Envelope-from: <"...)
		b = appendPrintable(b, m.Sender, topBit, false)
		b = append(b, ">\n"...)
	}
	if len(m.Recipients) > 0 {
		b = append(b, "Envelope-to: <"...)
		b = appendPrintable(b, m.Recipients[0].Address, topBit, false)
		b = append(b, ">\n"...)
		for i, r := range m.Recipients[1:] {
			if i == 4 {
				b = append(b, "    ...\n"...)
				break
			}
			b = append(b, "    <"...)
			b = appendPrintable(b, r.Address, topBit, false)
			b = append(b, ">\n"...)
		}
	}
	for _, h := range m.Headers {
		b = append(b, h.Type, ' ')
		for line := range strings.SplitAfterSeq(strings.TrimSuffix(h.Text, "\n"), "\n") {
			whole := len(b)
			if n := len(b); b[n-1] == '\n' && line != "" && line[0] != ' ' && line[0] != '\t' {
				b = append(b[:n-1], `\n`...) // no header line has such a fold: it must not look like an entry of its own
			}
			b = appendPrintable(b, line, true, true)
			if len(b) >= maxRejected {
				return append(b[:whole], "*** truncated ***\n"...)
			}
		}
		b = append(b, '\n')
	}
	return b
}
