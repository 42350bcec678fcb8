package route

import (
	"errors"
	"strings"
)

// Command runs a program through the services.
func (r *Run) Command(c Command) ([]byte, error) {
	if r.Engine.services.Command == nil {
		return nil, errors.New("running programs is not possible here")
	}
	return r.Engine.services.Command(r.Ctx, c)
}

// CommandWords splits a command into words before they are expanded (spec 29.3): words end at white space outside quotes;
// single quotes keep all characters, double quotes undo backslash escapes.
func CommandWords(command string) ([]string, error) {
	var words []string
	for text := strings.TrimLeft(command, " \t\n"); text != ""; text = strings.TrimLeft(text, " \t\n") {
		switch text[0] {
		case '\'':
			end := strings.IndexByte(text[1:], '\'')
			if end < 0 {
				return nil, errors.New("unmatched quote in command")
			}
			words, text = append(words, text[1:end+1]), text[end+2:]
		case '"':
			var b strings.Builder
			i := 1
			for ; i < len(text) && text[i] != '"'; i++ {
				if text[i] == '\\' && i+1 < len(text) {
					i++
					if text[i] == 'n' {
						b.WriteByte('\n')
						continue
					}
				}
				b.WriteByte(text[i])
			}
			if i >= len(text) {
				return nil, errors.New("unmatched quote in command")
			}
			words, text = append(words, b.String()), text[i+1:]
		default:
			n := wordEnd(text)
			words, text = append(words, text[:n]), text[n:]
		}
	}
	return words, nil
}

// wordEnd is the end of an unquoted word; white space inside ${...} does not end it.
func wordEnd(text string) int {
	depth := 0
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '$' && i+1 < len(text) && text[i+1] == '{', c == '{' && depth > 0:
			depth++
			if c == '$' {
				i++
			}
		case c == '}' && depth > 0:
			depth--
		case depth == 0 && (c == ' ' || c == '\t' || c == '\n'):
			return i
		}
	}
	return len(text)
}
