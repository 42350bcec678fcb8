package config

import (
	"fmt"
	"strings"
)

// fileMark is the line by which -bP config tells where the following lines stand.
func fileMark(line int, file string) string { return fmt.Sprintf("# %d \"%s\"", line, file) }

// config prints the configuration as it was read: comments gone, lines joined, macros replaced, white space reduced.
func (p *printer) config() {
	p.WriteString("# Exim Configuration (" + p.version() + ")\n")
	section := ""
	for _, l := range p.c.source {
		text := l.text
		if strings.HasPrefix(text, "#") {
			p.WriteString(text + "\n")
			continue
		}
		text = reduce(text)
		if !p.admin && (l.hidden || definitionHead(text) > 0) {
			before, _, _ := strings.Cut(text, "=")
			text = before + "= " + notDisplayable
		}
		if len(text) > 6 && strings.EqualFold(text[:6], "begin ") {
			section = strings.ToLower(strings.TrimSuffix(strings.TrimSpace(text[6:]), "s"))
			p.layout("\n", "", text)
			continue
		}
		_, _, starts := instanceName(text)
		switch {
		case section == "":
			p.layout("", "", text)
		case section == "retry" || section == "rewrite":
			p.layout("", "  ", text)
		case starts:
			p.layout("\n", "  ", text)
		default:
			p.layout("", "    ", text)
		}
	}
}

// version is the program's version in the heading; the conformance world has X.
func (p *printer) version() string {
	if p.c.world.Quirks.On {
		return "X"
	}
	return p.c.world.Version
}

func (p *printer) layout(before, indent, text string) {
	if p.noNames {
		before, indent = "", ""
	}
	p.WriteString(before + indent + text + "\n")
}

// reduce replaces each run of white space outside quotes by one space.
func reduce(s string) string {
	var b strings.Builder
	quoted, space := false, false
	for i := 0; i < len(s); i++ {
		c := s[i]
		if !quoted && strings.IndexByte(spaces, c) >= 0 {
			space = true
			continue
		}
		if space {
			b.WriteByte(' ')
			space = false
		}
		switch {
		case c == '"':
			quoted = !quoted
		case c == '\\' && quoted && i+1 < len(s):
			b.WriteByte(c)
			i++
			c = s[i]
		}
		b.WriteByte(c)
	}
	return b.String()
}
