package bounce

import (
	"fmt"
	"strings"

	"exigo/internal/list"
	"exigo/internal/mail"
	"exigo/internal/option"
	parse "exigo/internal/proto/address"
)

// copies are the addresses that errors_copy gives for the reader of a bounce (spec 14.23): those of the first item whose pattern
// matches him.
func (w *Writer) copies(r Report) []string {
	for _, item := range option.SplitList(w.Main.ErrorsCopy) {
		pattern, addresses := cutPattern(item)
		if addresses == "" {
			w.Panic(r.Message.ID, fmt.Sprintf("missing addresses after \"%s\" in errors_copy", pattern))
			return nil
		}
		s := r.Scope.Derive()
		s.Address = &mail.Address{Address: r.To, LocalPart: r.To}
		if at := strings.LastIndexByte(r.To, '@'); at >= 0 {
			s.Address.LocalPart, s.Address.Domain = r.To[:at], r.To[at+1:]
		}
		m, err := list.Address(s, "<\x01 "+pattern, r.To)
		if err == nil && !m.Matched {
			continue
		}
		text := mail.Value{}
		if err == nil {
			text, err = w.Engine.Expand(s, addresses)
		}
		if err != nil {
			w.Panic(r.Message.ID, fmt.Sprintf("failed to expand \"%s\" in errors_copy: %v", item, err))
			return nil
		}
		return w.addresses(r, text.S)
	}
	return nil
}

// cutPattern takes the pattern off an item of errors_copy: what stands before the first white space, or a quoted string.
func cutPattern(item string) (pattern, rest string) {
	if !strings.HasPrefix(item, `"`) {
		if i := strings.IndexAny(item, " \t\n"); i >= 0 {
			return item[:i], strings.TrimSpace(item[i:])
		}
		return item, ""
	}
	var b strings.Builder
	for i := 1; i < len(item); i++ {
		switch {
		case item[i] == '"':
			return b.String(), strings.TrimSpace(item[i+1:])
		case item[i] == '\\' && i+1 < len(item):
			i++
		}
		b.WriteByte(item[i])
	}
	return b.String(), ""
}

// addresses are the complete addresses of a list with commas; others are complained of.
func (w *Writer) addresses(r Report, text string) []string {
	var out []string
	items := parse.NewList(text, parse.Options{AllowLiterals: w.Main.AllowDomainLiterals, AllowUTF8: w.Main.AllowUTF8Domains})
	for {
		item, ok := items.Next()
		switch {
		case !ok:
			return out
		case item.Err != nil:
			w.Panic(r.Message.ID, fmt.Sprintf("malformed address in errors_copy: %v", item.Err))
		case item.Mailbox.Domain == 0:
			out = append(out, item.Mailbox.Address+"@"+w.Main.QualifyDomain)
		default:
			out = append(out, item.Mailbox.Address)
		}
	}
}
