package list

import (
	"errors"
	"net/netip"
	"strings"
	"syscall"

	"exigo/internal/expand"
	"exigo/internal/lookup"
	"exigo/internal/mail"
	"exigo/internal/regex"
)

// lower makes ASCII letters small.
func lower(text string) string {
	for i := range len(text) {
		if text[i] >= 'A' && text[i] <= 'Z' {
			return strings.Map(func(r rune) rune {
				if r >= 'A' && r <= 'Z' {
					r += 'a' - 'A'
				}
				return r
			}, text)
		}
	}
	return text
}

func systemText(err error) string {
	var number syscall.Errno
	if !errors.As(err, &number) || number.Error() == "" {
		return err.Error()
	}
	text := number.Error()
	return strings.ToUpper(text[:1]) + text[1:]
}

// testString tests an item of a list of domains, local parts or strings (spec 10.9, 10.22).
func (sc *scan) testString(item string) (verdict, mail.Value, string, error) {
	if sc.kind == domains && strings.HasPrefix(item, "@") {
		if v, data, ok, err := sc.localHost(item); ok || err != nil {
			return v, data, "", err
		}
	}
	v, data, err := sc.pattern(item, sc.subject, sc.caseful, true)
	return v, data, "", err
}

// pattern tests a subject against a regular expression, a wildcard, a lookup or a text. With numbers $0 and above are set.
func (sc *scan) pattern(item, subject string, caseful, numbers bool) (verdict, mail.Value, error) {
	folded := subject
	if !caseful {
		folded = lower(subject)
	}
	switch {
	case strings.HasPrefix(item, "^"):
		captures, ok, err := sc.match(item, subject, caseful)
		if err != nil || !ok {
			return no, mail.Value{}, err
		}
		if numbers {
			captures[0] = subject
			sc.s.SetNumbers(captures, true)
		}
		return yes, mail.Value{S: item}, nil
	case strings.HasPrefix(item, "*"):
		end := item[1:]
		if !caseful {
			end = lower(end)
		}
		if !strings.HasSuffix(folded, end) {
			return no, mail.Value{}, nil
		}
		if numbers {
			sc.s.SetNumbers([]string{folded, folded[:len(folded)-len(end)]}, true)
		}
		return yes, mail.Value{S: item}, nil
	case strings.IndexByte(item, ';') >= 0:
		return sc.lookup(item, folded, numbers)
	}
	if item != folded && (caseful || lower(item) != folded) {
		return no, mail.Value{}, nil
	}
	if numbers {
		sc.s.SetNumbers([]string{folded}, true)
	}
	return yes, mail.Value{S: item}, nil
}

// match matches a regular expression without setting anything.
func (sc *scan) match(pattern, subject string, caseful bool) ([]string, bool, error) {
	options := regex.Caseless
	if caseful {
		options = 0
	}
	re, err := sc.s.Engine.Regex.Compile(pattern, options)
	if err != nil {
		var syntax *regex.SyntaxError
		if errors.As(err, &syntax) {
			return nil, false, sc.fail("regular expression error: %s at offset %d while compiling %s", syntax.Message, syntax.Offset, pattern)
		}
		return nil, false, sc.fail("%s", err)
	}
	captures, ok, err := re.Match(subject)
	if err != nil {
		return nil, false, sc.fail("%s", err)
	}
	return captures, ok, nil
}

// lookup runs an item type;file with the subject as key, or type;query.
func (sc *scan) lookup(item, subject string, numbers bool) (verdict, mail.Value, error) {
	name, argument, _ := strings.Cut(item, ";")
	t, err := sc.s.Engine.LookupType(name)
	if err != nil {
		return no, mail.Value{}, sc.fail("%s", err)
	}
	found, ok, err := sc.find(t, argument, subject)
	if err != nil || !ok {
		return no, mail.Value{}, err
	}
	if numbers {
		captures := []string{subject}
		if found.Captured {
			captures = append(captures, found.Wild, found.Fixed)
		}
		sc.s.SetNumbers(captures, true)
	}
	return yes, found.Data, nil
}

// find runs a lookup whose argument is a file for the key, or a query.
func (sc *scan) find(t lookup.Type, argument, key string) (expand.Found, bool, error) {
	if err := sc.s.Spend(expand.Costly); err != nil {
		return expand.Found{}, false, err
	}
	argument = strings.TrimLeft(argument, space)
	file, query := mail.Value{S: argument, Tainted: sc.tainted}, mail.Value{S: key}
	if t.Driver.Kind&lookup.SingleKey == 0 {
		file, query = mail.Value{}, mail.Value{S: argument, Tainted: sc.tainted, Quoted: sc.quoted}
		sc.noCache = true
	}
	found, ok, err := sc.s.Lookup(t, file, query)
	if err != nil {
		return found, false, sc.lookupError(query.S, err)
	}
	return found, ok, nil
}

// lookupError takes off what the language says around a lookup's reason; any failure of a lookup defers the list.
func (sc *scan) lookupError(key string, err error) error {
	if expand.IsTemporary(err) {
		text := strings.TrimPrefix(err.Error(), "lookup of \""+key+"\" gave DEFER: ")
		if inner, ok := strings.CutPrefix(text, `"`); ok {
			text = strings.TrimSuffix(inner, `"`)
		}
		return &expand.Error{Text: text, Temporary: true}
	}
	sc.s.Panic("%s", err)
	return &expand.Error{Text: err.Error(), Temporary: true}
}

// localHost tests the items of domain lists that mean this host. ok is false if the item is none of them.
func (sc *scan) localHost(item string) (v verdict, data mail.Value, ok bool, err error) {
	switch {
	case item == "@":
		name := sc.s.Settings().PrimaryHostname
		if sc.subject != lower(name) {
			return no, data, true, nil
		}
		sc.s.SetNumbers([]string{sc.subject}, true)
		return yes, mail.Value{S: name}, true, nil
	case item == "@[]":
		text, found := strings.CutPrefix(sc.subject, "[")
		text = strings.TrimSuffix(text, "]")
		a, parseErr := netip.ParseAddr(text)
		if !found || parseErr != nil || !isLocal(sc.s, a) {
			return no, data, true, nil
		}
		sc.s.SetNumbers([]string{sc.subject}, true)
		return yes, mail.Value{S: item}, true, nil
	case strings.HasPrefix(item, "@mx_"):
		name, rest, _ := strings.Cut(item, "/")
		ignore, ignores := strings.CutPrefix(rest, "ignore=")
		if name != "@mx_any" && name != "@mx_primary" && name != "@mx_secondary" || rest != "" && !ignores {
			return no, data, false, nil
		}
		primary, secondary, err := sc.exchangers(strings.TrimLeft(ignore, space))
		if err != nil {
			return no, data, true, err
		}
		matched := name == "@mx_any" && (primary || secondary) || name == "@mx_primary" && primary || name == "@mx_secondary" && !primary && secondary
		return toVerdict(matched), mail.Value{S: item}, true, nil
	}
	return no, data, false, nil
}
