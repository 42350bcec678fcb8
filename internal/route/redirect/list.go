package redirect

import (
	"errors"
	"strings"

	"exigo/internal/proto/address"
)

// kind tells the items of a redirection list apart.
type kind int

const (
	mailbox   kind = iota // an address, possibly without a domain
	localOnly             // an address without a domain that had a leading backslash: the incoming domain is to be used
	pipe
	file
	blackhole
	failure  // :fail:, text follows
	deferral // :defer:
)

// item is one element of a redirection list.
type item struct {
	kind kind
	text string
}

// syntaxError is a malformed address; other errors of a list are mistakes that cannot be skipped.
type syntaxError struct{ item, reason string }

func (e *syntaxError) Error() string { return e.reason + " in \"" + e.item + "\"" }

// parser reads a redirection list (spec 22.4 to 22.6).
type parser struct {
	options address.Options
	// allow* and forbid* are the options of the router.
	allowDefer, allowFail, forbidBlackhole bool
	// include returns the text of a file; its error ends the parse.
	include func(path string) (string, error)
	// skip collects malformed addresses instead of ending the parse.
	skip    bool
	skipped []*syntaxError
	items   []item
	depth   int
}

// The limits of one list with all that it includes.
const (
	maxItems = 100000
	maxDepth = 10
)

// parse reads text and appends to the items. It stops at :fail: and :defer:, which end every list.
func (p *parser) parse(text string) (ended bool, err error) {
	for {
		text = skipBetween(text)
		if text == "" {
			return false, nil
		}
		if word, rest, ok := special(text); ok {
			end := strings.IndexByte(rest, '\n')
			if end < 0 {
				end = len(rest)
			}
			message := strings.TrimSpace(rest[:end])
			switch word {
			case ":fail:", ":defer:":
				return true, p.forced(word, message, text[:len(word)+end])
			}
		}
		line := text
		if i := strings.IndexByte(text, '\n'); i >= 0 {
			line = text[:i] // a newline ends an item even within quotes
		}
		end := address.FindEnd(line, true)
		raw := strings.TrimRight(text[:end], " \t\r\n")
		text = text[end:]
		if len(p.items) >= maxItems {
			return false, errors.New("too many items")
		}
		if ended, err = p.item(raw); ended || err != nil {
			return ended, err
		}
	}
}

// skipBetween moves over white space, separators and comments.
func skipBetween(text string) string {
	for {
		text = strings.TrimLeft(text, " \t\r\n,")
		if !strings.HasPrefix(text, "#") {
			return text
		}
		i := strings.IndexByte(text, '\n')
		if i < 0 {
			return ""
		}
		text = text[i:]
	}
}

// special finds the special word at the start of a text.
func special(text string) (word, rest string, ok bool) {
	if !strings.HasPrefix(text, ":") {
		return "", "", false
	}
	for _, word = range []string{":fail:", ":defer:", ":unknown:", ":blackhole:", ":include:"} {
		if rest, ok = strings.CutPrefix(text, word); ok {
			return word, rest, true
		}
	}
	return "", "", false
}

// forced handles :fail: and :defer:.
func (p *parser) forced(word, message, whole string) error {
	k := failure
	allowed := p.allowFail
	if word == ":defer:" {
		k, allowed = deferral, p.allowDefer
	}
	if !allowed {
		return errors.New("\"" + strings.TrimSpace(whole) + "\" is not permitted")
	}
	p.items = append(p.items, item{k, message})
	return nil
}

// item reads one element without the separators around it.
func (p *parser) item(raw string) (ended bool, err error) {
	text := raw
	if len(text) > 1 && text[0] == '"' && text[len(text)-1] == '"' {
		text = text[1 : len(text)-1]
	}
	if word, rest, ok := special(text); ok {
		rest = strings.TrimSpace(rest)
		switch word {
		case ":include:":
			return p.included(rest)
		case ":blackhole:":
			if p.forbidBlackhole {
				return false, errors.New("\":blackhole:\" is not permitted")
			}
			p.items = append(p.items, item{blackhole, ""})
			return false, nil
		case ":unknown:":
			return false, nil
		default:
			return true, p.forced(word, rest, text)
		}
	}
	if strings.HasPrefix(text, "|") || strings.HasPrefix(text, "/") {
		if m, err := address.Extract(text, p.options); err != nil || m.Domain == 0 {
			k := pipe
			if text[0] == '/' {
				k = file
			}
			p.items = append(p.items, item{k, text})
			return false, nil
		}
	}
	return false, p.address(raw, text)
}

// address reads an element that must be an address.
func (p *parser) address(raw, text string) error {
	if strings.Trim(text, " \t\n") == "" || onlyComments(text) {
		return nil
	}
	if strings.HasPrefix(text, "\\") {
		if m, err := address.Extract(strings.TrimLeft(text[1:], " \t"), p.options); err == nil && m.Domain == 0 && m.Address != "" {
			p.items = append(p.items, item{localOnly, m.Address})
			return nil
		}
	}
	m, err := address.Extract(text, p.options)
	if err != nil {
		e := &syntaxError{item: raw, reason: err.Error()}
		if !p.skip {
			return e
		}
		p.skipped = append(p.skipped, e)
		return nil
	}
	p.items = append(p.items, item{mailbox, m.Address})
	return nil
}

// onlyComments tells whether a text holds nothing but RFC 5322 comments.
func onlyComments(text string) bool {
	depth := 0
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && depth > 0:
			i++
		case c == '(':
			depth++
		case c == ')' && depth > 0:
			depth--
		case depth == 0 && c != ' ' && c != '\t' && c != '\n':
			return false
		}
	}
	return depth == 0
}

// included reads a file in the place of an item.
func (p *parser) included(path string) (ended bool, err error) {
	if path == "" {
		return false, errors.New("file name missing after :include:")
	}
	if p.depth >= maxDepth {
		return false, errors.New("included files are nested too deeply")
	}
	text, err := p.include(path)
	if err != nil {
		return false, err
	}
	p.depth++
	ended, err = p.parse(text)
	p.depth--
	return ended, err
}
