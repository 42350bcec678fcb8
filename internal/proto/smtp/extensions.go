package smtp

import "strings"

// Extensions is what a server announced in its reply to EHLO (RFC 5321 section 4.1.1.1).
type Extensions struct {
	// Domain is the first word of the first line, Greeting the rest of that line.
	Domain, Greeting string
	rows             []extension
}

type extension struct{ keyword, argument string }

// ParseExtensions reads the reply to EHLO. Lines that begin with no keyword are ignored, and so are repeated keywords after the first,
// but the arguments of repeated AUTH lines are joined. The old form "AUTH=PLAIN" is read as "AUTH PLAIN".
func ParseExtensions(reply Reply) Extensions {
	var e Extensions
	for i, line := range reply.Lines {
		line = strings.TrimSpace(line)
		if i == 0 {
			e.Domain, e.Greeting, _ = strings.Cut(line, " ")
			continue
		}
		if len(line) > 5 && strings.EqualFold(line[:5], "AUTH=") {
			line = "AUTH " + line[5:]
		}
		keyword, argument, _ := strings.Cut(line, " ")
		if keyword != "" {
			e.add(upper(keyword), strings.TrimSpace(argument))
		}
	}
	return e
}

func (e *Extensions) add(keyword, argument string) {
	for i, row := range e.rows {
		if row.keyword == keyword {
			if keyword == "AUTH" {
				e.rows[i].argument = strings.TrimSpace(row.argument + " " + argument)
			}
			return
		}
	}
	e.rows = append(e.rows, extension{keyword, argument})
}

// Has reports whether the keyword (in upper case) was announced.
func (e Extensions) Has(keyword string) bool {
	_, ok := e.Argument(keyword)
	return ok
}

// Argument returns what followed the keyword (in upper case) on its line, and whether the keyword was announced.
func (e Extensions) Argument(keyword string) (string, bool) {
	for _, row := range e.rows {
		if row.keyword == keyword {
			return row.argument, true
		}
	}
	return "", false
}

// Lists reports whether word is among the words of the keyword's argument, without regard to case: Lists("AUTH", "PLAIN").
func (e Extensions) Lists(keyword, word string) bool {
	argument, _ := e.Argument(keyword)
	for _, w := range strings.Fields(argument) {
		if strings.EqualFold(w, word) {
			return true
		}
	}
	return false
}

// Keywords returns the announced keywords in order.
func (e Extensions) Keywords() []string {
	names := make([]string, len(e.rows))
	for i, row := range e.rows {
		names[i] = row.keyword
	}
	return names
}

// SizeLimit returns the number after SIZE (RFC 1870 section 4), 0 when there is none or it says nothing.
func (e Extensions) SizeLimit() int64 {
	argument, _ := e.Argument("SIZE")
	n, err := ParseSize(argument)
	if err != nil {
		return 0
	}
	return n
}
