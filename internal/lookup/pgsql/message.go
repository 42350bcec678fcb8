package pgsql

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgproto3"
)

// errorText writes an error as libpq does: severity and message, the place in the query, details.
func errorText(e *pgproto3.ErrorResponse, query string) string {
	var b strings.Builder
	b.WriteString(e.Severity + ":  " + e.Message + "\n")
	switch {
	case e.Position > 0:
		b.WriteString(excerpt(query, int(e.Position)))
	case e.InternalPosition > 0:
		b.WriteString(excerpt(e.InternalQuery, int(e.InternalPosition)))
	}
	for _, part := range []struct{ name, text string }{{"DETAIL", e.Detail}, {"HINT", e.Hint}, {"QUERY", e.InternalQuery}, {"CONTEXT", e.Where}} {
		if part.text != "" && (part.name != "QUERY" || e.InternalPosition == 0) {
			b.WriteString(part.name + ":  " + part.text + "\n")
		}
	}
	return b.String()
}

// What is shown of a long line, and how much of it behind the place at least.
const (
	excerptWidth = 60
	excerptRight = 10
)

// excerpt is the line of the query with the character at position (from 1), and a mark below it.
func excerpt(query string, position int) string {
	text := []rune(query)
	at := position - 1
	if at < 0 || at > len(text) || !utf8.ValidString(query) {
		return ""
	}
	line, start, end := 1, 0, len(text)
	for i, r := range text[:at] {
		if r == '\n' || r == '\r' && (i+1 >= len(text) || text[i+1] != '\n') {
			line, start = line+1, i+1
		}
	}
	for i := at; i < end; i++ {
		if text[i] == '\n' || text[i] == '\r' {
			end = i
		}
	}
	shown := text[start:end]
	column := min(at-start, len(shown))
	before, after := "", ""
	if len(shown) > excerptWidth {
		if column+excerptRight <= excerptWidth { // the place is near enough to the beginning
			shown, after = shown[:excerptWidth], "..."
		} else {
			right := len(shown)
			if len(shown)-column > excerptRight {
				right, after = column+excerptRight, "..."
			}
			left := right - excerptWidth
			shown, before, column = shown[left:right], "...", column-left
		}
	}
	head := "LINE " + strconv.Itoa(line) + ": " + before
	return head + strings.ReplaceAll(string(shown), "\t", " ") + after + "\n" + strings.Repeat(" ", len(head)+column) + "^\n"
}
