package syntax

import "strings"

// item reads the rest of an item whose name is read.
func (p *parser) item(it *Item) Node {
	switch it.Shape.Form {
	case FormIf:
		it.Test = p.condition()
		p.branches(it)
	case FormLookup:
		p.lookup(it)
	case FormExtract:
		p.extract(it)
	case FormRun:
		p.run(it)
	case FormFilter, FormMap:
		p.each(it)
	case FormSort:
		p.sort(it)
	case FormNamedArgs:
		p.namedArgs(it)
	case FormSocket:
		p.socket(it)
	default:
		p.args(it)
	}
	it.Bad = p.bad
	return it
}

// arg reads one {argument}, if the next thing is one.
func (p *parser) arg() *Text {
	if p.bad != nil || !p.accept('{') {
		return nil
	}
	return p.parseText(true, true)
}

// readArgs reads {arg}{arg}... into list.
func (p *parser) readArgs(name string, limit int) (list []*Text) {
	for {
		p.skipSpace()
		if p.peek() != '{' {
			return list
		}
		if len(list) == limit {
			p.fail("Too many arguments for '%s' (max is %d)", name, limit)
			return list
		}
		list = append(list, p.arg())
		if p.bad != nil {
			return list
		}
	}
}

// args reads the arguments of FormArgs and the closing brace.
func (p *parser) args(it *Item) {
	for len(it.Args) < it.Shape.Max {
		p.skipSpace()
		if p.peek() != '{' {
			break
		}
		it.Args = append(it.Args, p.arg())
		if p.bad != nil {
			return
		}
	}
	p.skipSpace()
	switch {
	case len(it.Args) < it.Shape.Min:
		p.fail("Not enough arguments for '%s' (min is %d)", it.Name, it.Shape.Min-it.Shape.Before)
	case it.Shape.YesNo:
		p.branches(it)
	case p.peek() == '{':
		p.fail("Too many arguments for '%s' (max is %d)", it.Name, it.Shape.Max-it.Shape.Before)
	case p.peek() != '}':
		p.fail("missing '}' after '%s'", it.Name)
	default:
		p.at++
	}
}

// namedArgs reads the arguments of FormNamedArgs and the branches.
func (p *parser) namedArgs(it *Item) {
	for i := range it.Shape.Min {
		t := p.arg()
		if t == nil {
			if what := it.Shape.ArgNames[i]; what != "" {
				p.fail("missing '{' for %s of %s", what, it.Name)
			} else {
				p.fail("")
			}
			return
		}
		it.Args = append(it.Args, t)
		if p.bad != nil {
			return
		}
	}
	p.branches(it)
}

// yesNoProblem is the message about brackets that do not fit after a condition.
func (p *parser) yesNoProblem(what string) {
	p.fail("curly-bracket problem in conditional yes/no parsing: %s\n remaining string is '%s'", what, p.rest())
}

// branches reads {yes}{no} or {yes}fail or nothing, and the closing brace of the item.
func (p *parser) branches(it *Item) {
	if p.bad != nil {
		return
	}
	it.Whole = true
	if p.accept('}') {
		return
	}
	if p.peek() != '{' {
		p.yesNoProblem("'yes' part did not start with '{'")
		return
	}
	if it.Yes = p.arg(); p.bad != nil {
		return
	}
	p.skipSpace()
	switch p.peek() {
	case '{':
		if it.No = p.arg(); p.bad != nil {
			return
		}
	case '}':
	default:
		start := p.at
		if p.name("") != "fail" {
			p.at = start
			p.fail("syntax error in \"%s\" item - \"fail\" expected", it.Name)
			return
		}
		it.Fail = true
	}
	if !p.accept('}') {
		p.yesNoProblem("did not close with '}'")
	}
}

// lookup reads [{key}] type {file or query} and branches. What the type is worth is the evaluator's to say, but if Words
// knows it to be wrong, the argument is not read.
func (p *parser) lookup(it *Item) {
	if it.Key = p.arg(); p.bad != nil {
		return
	}
	p.skipSpace()
	if !isAlpha(p.peek()) {
		p.fail("missing lookup type")
		return
	}
	start := p.at
	for p.more() && !isSpace(p.peek()) && p.peek() != '{' {
		p.at++
	}
	it.Option = p.text[start:p.at]
	if checker, ok := p.words.(LookupChecker); ok {
		if problem := checker.LookupProblem(it.Option, it.Key != nil); problem != "" {
			p.fail("%s", problem)
			return
		}
	}
	t := p.arg()
	if t == nil {
		p.fail("missing '{' for lookup file-or-query arg")
		return
	}
	if it.Args = append(it.Args, t); p.bad == nil {
		p.branches(it)
	}
}

// LookupChecker is a Words that knows lookup types.
type LookupChecker interface {
	// LookupProblem returns what is wrong with the type (as written: "partial-lsearch*,ret=key"), "" if nothing is.
	LookupProblem(text string, haveKey bool) string
}

// extract reads [word] {key} [{separators}] {subject} and branches. Whether there is a list of separators depends on the
// value of the key. If the key is fixed the arguments are sorted out here; if not, all that look like arguments are put
// into Args, with what follows each in Rest.
func (p *parser) extract(it *Item) {
	p.skipSpace()
	for _, word := range [...]string{"jsons", "json"} {
		if rest, ok := strings.CutPrefix(p.rest(), word); ok && (rest == "" || !isAlnum(rest[0])) {
			it.Option = word
			p.at += len(word)
			break
		}
	}
	missing := func(n string) { p.fail("missing '{' for arg %s of extract", n) }
	key := p.arg()
	if key == nil {
		missing("1")
		return
	}
	if it.Args = append(it.Args, key); p.bad != nil {
		return
	}
	wanted, known := 2, it.Option != ""
	if literal, ok := key.Literal(); ok && !known && strings.TrimFunc(literal, isSpaceRune) != "" {
		known = true
		if IsFieldNumber(literal) {
			wanted = 3
		}
	}
	for n := 2; n <= wanted; n++ {
		t := p.arg()
		if t == nil {
			missing(string(rune('0' + n)))
			return
		}
		if it.Args = append(it.Args, t); p.bad != nil {
			return
		}
	}
	if known {
		p.branches(it)
		return
	}
	p.extractOpen(it)
}

// extractOpen reads what may follow the second argument of an extract whose key is not known before evaluation.
func (p *parser) extractOpen(it *Item) {
	it.Rest = append(it.Rest, "", p.rest())
	for len(it.Args) < 5 {
		p.skipSpace()
		if p.peek() != '{' {
			break
		}
		it.Args = append(it.Args, p.arg())
		if p.bad != nil {
			return
		}
		it.Rest = append(it.Rest, p.rest())
	}
	p.skipSpace()
	n := len(it.Args)
	if n == 2 && p.peek() != '}' {
		p.yesNoProblem("'yes' part did not start with '{'")
		return
	}
	if (n == 3 || n == 4) && isAlpha(p.peek()) {
		start := p.at
		if p.name("") != "fail" {
			p.at = start
			p.fail("syntax error in \"extract\" item - \"fail\" expected")
			return
		}
		it.Fail = true
	}
	if !p.accept('}') {
		p.yesNoProblem("did not close with '}'")
	}
}

// IsFieldNumber tells whether the key of an extract is a number: digits with an optional minus, space around them ignored.
func IsFieldNumber(key string) bool {
	key = strings.TrimFunc(key, isSpaceRune)
	key = strings.TrimPrefix(key, "-")
	for i := range len(key) {
		if !isDigit(key[i]) {
			return false
		}
	}
	return true
}

func isSpaceRune(r rune) bool { return r < 0x80 && isSpace(byte(r)) }

// run reads [,option...] {command} and branches. The command is kept as it is, its words are expanded one by one, unless
// the option preexpand asks for the whole.
func (p *parser) run(it *Item) {
	for p.peek() == ',' {
		p.at++
		option := p.name("")
		if option != "preexpand" {
			p.fail("bad option '%s' for run", option)
			return
		}
		it.Option = option
	}
	p.skipSpace()
	if p.peek() != '{' {
		p.fail("missing '{' for command arg of run")
		return
	}
	p.at++
	it.Args = append(it.Args, p.parseText(true, true))
	if p.bad != nil {
		p.bad = nil
		p.fail("missing '}' closing command arg of run") // Exim only looks for the end here
		return
	}
	p.branches(it)
}

// each reads filter, map and reduce.
func (p *parser) each(it *Item) {
	steps := []string{"first", "second", "last"}
	if it.Shape.Min < 3 {
		steps = []string{"first", "last"}
	}
	for i, step := range steps {
		p.skipSpace()
		if p.peek() != '{' {
			p.fail("missing '{' for %s arg of %s", step, it.Name)
			return
		}
		if i == len(steps)-1 {
			p.at++
			p.eachBody(it)
			return
		}
		if it.Args = append(it.Args, p.arg()); p.bad != nil {
			return
		}
	}
}

// eachBody reads the last argument of filter, map and reduce, and the closing brace.
func (p *parser) eachBody(it *Item) {
	if it.Shape.Form == FormFilter {
		it.Test = p.member(it.Inside())
		if p.bad == nil && !p.accept('}') {
			p.fail("missing } at end of condition or expression inside \"%s\"; could be an unquoted } in the content", it.Name)
		}
	} else {
		it.Args = append(it.Args, p.parseText(true, true))
		if p.bad != nil {
			p.bad = &Bad{p.bad.Text + it.Inside()}
		}
	}
	if p.bad == nil && !p.accept('}') {
		p.fail("missing } at end of \"%s\"", it.Name)
	}
}

// sort reads {list}{comparator}{text}.
func (p *parser) sort(it *Item) {
	for _, what := range []string{"list", "comparator", "extractor"} {
		if p.bad != nil || !p.accept('{') {
			p.fail("missing '{' for %s arg of sort", what)
			return
		}
		t := p.parseText(true, what != "comparator")
		if it.Args = append(it.Args, t); p.bad != nil {
			return
		}
	}
	if !p.accept('}') {
		p.fail("missing } at end of \"sort\"")
	}
}

// socket reads the arguments of readsocket.
func (p *parser) socket(it *Item) {
	for len(it.Args) < it.Shape.Max {
		p.skipSpace()
		if p.peek() != '{' {
			break
		}
		it.Args = append(it.Args, p.arg())
		if p.bad != nil {
			return
		}
	}
	if len(it.Args) < it.Shape.Min {
		p.fail("Not enough arguments for '%s' (min is %d)", it.Name, it.Shape.Min)
		return
	}
	it.Whole = true
	if !p.accept('}') {
		p.fail("missing '}' closing %s", it.Name)
	}
}
