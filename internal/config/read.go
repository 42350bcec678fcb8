package config

import (
	"errors"
	"fmt"
	"strings"
	"sync"

	"exigo/internal/option"
)

// Error implements error: what Exim prints, from "Exim configuration error" on.
func (e *Error) Error() string {
	switch {
	case e.Bare:
		return e.Text
	case e.For != "":
		return fmt.Sprintf("Exim configuration error for %s:\n  %s", e.For, e.Text)
	case e.Line == 0:
		return fmt.Sprintf("Exim configuration error:\n  %s", e.Text)
	}
	return fmt.Sprintf("Exim configuration error in line %d of %s:\n  %s", e.Line, e.File, e.Text)
}

// reader is one reading of a configuration.
type reader struct {
	source
	request  *Request
	cfg      *Config
	sections map[string]bool
	words    *words
	settled  bool // the paths of the main section are expanded
}

// Read reads a configuration. Mistakes are *Error; the first one ends the reading, as in Exim.
func Read(request Request) (*Config, error) {
	path, first, err := find(&request)
	if err != nil {
		return nil, err
	}
	w, err := newWords(request.Registry)
	if err != nil {
		return nil, err
	}
	r := &reader{request: &request, words: w, sections: map[string]bool{}}
	predefined := sync.OnceValue(func() []Macro { return builtinMacros(request.Registry) })
	r.macros = newMacroTable(predefined, request.Macros)
	r.macros.used = request.MacroUsed
	r.load = func(name string, mustExist bool) (*openFile, error) {
		if name == path && len(r.stack) == 0 {
			return first, nil
		}
		return r.included(name, mustExist)
	}
	r.cfg = &Config{Path: path, Main: option.Bag{}, registry: request.Registry, words: w, world: request.World, predefined: predefined,
		index: map[listKey]int{}, set: map[string]setting{}, hidden: map[hideKey]bool{}}
	for _, set := range w.sets[ScopeMain] {
		r.cfg.Main.Add(set)
	}
	if err := r.open(path, true); err != nil {
		return nil, r.partial(err)
	}
	next, err := r.main()
	if err == nil {
		err = r.settle()
	}
	for err == nil && next != "" && !request.MainOnly {
		next, err = r.section(next)
	}
	if err != nil {
		return nil, r.partial(err)
	}
	r.cfg.Macros, r.cfg.source = r.macros.defined, r.record
	return r.cfg, nil
}

// partial gives an error what was read before it.
func (r *reader) partial(err error) error {
	var e *Error
	if errors.As(err, &e) && !r.settled {
		m := option.Of[Main](r.cfg.Main)
		_ = r.settleUser(m) // as far as possible
		_ = r.settlePaths(m)
	}
	if e != nil {
		e.Partial = r.cfg
	}
	return err
}

// line returns the next logical line. begin is the name of a section that the line begins.
func (r *reader) line() (line, begin string, ok bool, err error) {
	line, ok, err = r.next()
	if ok && len(line) >= 6 && strings.EqualFold(line[:6], "begin ") {
		return "", strings.TrimLeft(line[6:], spaces), true, nil
	}
	return line, "", ok, err
}

// main reads the main section and returns the name of the section that follows, "" at the end of the file.
func (r *reader) main() (next string, err error) {
	for {
		line, begin, ok, err := r.line()
		if err != nil || !ok || begin != "" {
			return begin, err
		}
		switch {
		case line[0] >= 'A' && line[0] <= 'Z' && definitionHead(line) == 0 && !isOptionLine(line):
			err = r.fail("malformed macro definition")
		case line[0] >= 'A' && line[0] <= 'Z':
			err = r.macros.define(line, r.fail)
		default:
			err = r.mainLine(line)
		}
		if err != nil {
			return "", err
		}
	}
}

// isOptionLine is never true for lines that begin with a capital: they are macro definitions.
func isOptionLine(line string) bool { return line[0] >= 'a' && line[0] <= 'z' }

// mainLine obeys a named list or an option of the main section.
func (r *reader) mainLine(line string) error {
	plain, hide := cutWord(line, "hide")
	for _, l := range listKinds {
		if rest, ok := strings.CutPrefix(plain, l.word); ok {
			return r.namedList(l, rest, hide)
		}
	}
	return r.setting(line, settingTarget{
		options: r.words.options[ScopeMain], bag: r.cfg.Main, set: r.cfg.set, scope: ScopeMain,
		unknown: func(name string) string { return fmt.Sprintf("main option \"%s\" unknown", name) },
	})
}

// cutWord removes a leading word and the white space after it.
func cutWord(line, word string) (rest string, ok bool) {
	rest, ok = strings.CutPrefix(line, word)
	if !ok || rest != "" && !strings.Contains(spaces, rest[:1]) {
		return line, false
	}
	return strings.TrimLeft(rest, spaces), true
}

var listKinds = [...]struct {
	word string
	kind byte
	name string
}{{"domainlist", 'd', "domain list"}, {"hostlist", 'h', "host list"}, {"addresslist", 'a', "address list"}, {"localpartlist", 'l', "local part list"}}

// namedList obeys "domainlist NAME = list" and its like (spec 10.5).
func (r *reader) namedList(l struct {
	word string
	kind byte
	name string
}, rest string, hide bool) error {
	rest, cache := strings.CutPrefix(rest, "_cache")
	if rest == "" || !strings.Contains(spaces, rest[:1]) {
		return r.fail("unrecognized configuration line")
	}
	rest = strings.TrimLeft(rest, spaces)
	name := takeName(rest)
	rest, ok := strings.CutPrefix(strings.TrimLeft(rest[len(name):], spaces), "=")
	if !ok {
		return r.fail(fmt.Sprintf("missing '=' after \"%s\"", name))
	}
	key := listKey{l.kind, name}
	if _, there := r.cfg.index[key]; there {
		return r.fail(fmt.Sprintf("duplicate name \"%s\" for a named %s", name, l.name))
	}
	text, err := readString(name, strings.TrimLeft(rest, spaces))
	if err != nil {
		return r.fail(err.Error())
	}
	r.cfg.index[key] = len(r.cfg.Lists)
	r.cfg.Lists = append(r.cfg.Lists, NamedList{Kind: l.kind, Name: name, Text: text, Hide: hide, Cache: cache})
	return nil
}

// sectionNames are the sections; each may be written with or without a final s.
var sectionNames = [...]string{"acl", "authenticator", "local_scan", "retry", "rewrite", "router", "transport"}

// section reads the section with the name and returns the name of the next one, "" at the end of the file.
func (r *reader) section(given string) (next string, err error) {
	name := ""
	for _, n := range sectionNames {
		if low := strings.ToLower(given); low == n || low == n+"s" {
			name = n
		}
	}
	if name == "" {
		return "", r.fail(fmt.Sprintf("\"%s\" is not a known configuration section name", given))
	}
	if r.sections[name] {
		return "", r.fail(fmt.Sprintf("\"%s\" section is repeated in the configuration file", given))
	}
	r.sections[name] = true
	switch name {
	case "acl":
		return r.acls()
	case "retry":
		return r.rawLines(&r.cfg.Retry)
	case "rewrite":
		return r.rawLines(&r.cfg.Rewrite)
	case "router":
		return r.instances(Router, &r.cfg.Routers)
	case "transport":
		return r.instances(Transport, &r.cfg.Transports)
	case "authenticator":
		return r.instances(Authenticator, &r.cfg.Authenticators)
	}
	return "", r.fail("local_scan() options not supported: (LOCAL_SCAN_HAS_OPTIONS not defined in Local/Makefile)")
}

// rawLines collects the lines of a section.
func (r *reader) rawLines(to *[]Line) (next string, err error) {
	for {
		line, begin, ok, err := r.line()
		if err != nil || !ok || begin != "" {
			return begin, err
		}
		*to = append(*to, Line{Text: line, File: r.at.File, Line: r.at.Line})
	}
}

// acls collects the ACLs. A line that is a name and a colon begins one; macros may be defined between.
func (r *reader) acls() (next string, err error) {
	var block *Block
	for {
		line, begin, ok, err := r.line()
		if err != nil || !ok || begin != "" {
			return begin, err
		}
		at := Line{Text: line, File: r.at.File, Line: r.at.Line}
		if definitionHead(line) > 0 {
			if err := r.macros.define(line, r.fail); err != nil {
				return "", err
			}
			block = nil
			continue
		}
		name := ""
		if isLetter(line[0]) {
			name = takeName(line)
		}
		if name != "" && strings.HasPrefix(strings.TrimLeft(line[len(name):], spaces), ":") {
			if _, there := r.cfg.ACL(name); there {
				return "", r.fail(fmt.Sprintf("there are two ACLs called \"%s\"", name))
			}
			r.cfg.ACLs = append(r.cfg.ACLs, Block{Name: name, File: at.File, Line: at.Line})
			block = &r.cfg.ACLs[len(r.cfg.ACLs)-1]
			continue
		}
		if block == nil {
			return "", r.fail("missing or malformed ACL name")
		}
		block.Lines = append(block.Lines, at)
	}
}
