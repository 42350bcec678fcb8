package syntax

import "strings"

// member reads a condition that is part of another word. A mistake in it is then said to be inside of that.
func (p *parser) member(where string) *Condition {
	c := p.condition()
	if p.bad != nil {
		p.bad = &Bad{p.bad.Text + where}
	}
	return c
}

// condition reads one condition.
func (p *parser) condition() *Condition {
	c := p.conditions.next()
	c.Args = c.few[:0]
	if p.depth++; p.depth > maxDepth {
		p.fail("expansion is nested too deeply")
	} else {
		p.readCondition(c)
	}
	p.depth--
	c.Bad = p.bad
	return c
}

func (p *parser) readCondition(c *Condition) {
	p.skipSpace()
	for p.peek() == '!' && p.more() {
		c.Negate = !c.Negate
		p.at++
		p.skipSpace()
	}
	c.Name = p.conditionName()
	if c.Name == "" {
		found := p.rest()
		p.fail("condition name expected, but found \"%s\"", found[:min(16, len(found))])
		return
	}
	var ok bool
	if c.Row, c.Shape, ok = p.words.Condition(c.Name); !ok {
		p.fail("unknown condition \"%s\"", c.Name)
		return
	}
	p.conditionArgs(c)
}

// conditionName reads letters, digits and underscores, or one of the symbols = == < <= > >=.
func (p *parser) conditionName() string {
	start := p.at
	if c := p.peek(); c == '=' || c == '<' || c == '>' {
		p.at++
		if p.peek() == '=' {
			p.at++
		}
		return p.text[start:p.at]
	}
	return p.name("")
}

func (p *parser) conditionArgs(c *Condition) {
	switch c.Shape.Form {
	case FormBare:
	case FormDef:
		p.def(c)
	case FormGroup:
		p.group(c)
	case FormForEach:
		p.forEach(c)
	case FormWrapped:
		p.wrapped(c)
	case FormArguments:
		if c.Args = p.readArgs(c.Name, c.Shape.Max); p.bad == nil && len(c.Args) < c.Shape.Min {
			p.fail("too few arguments or bracketing error for %s", c.Name)
		}
	default:
		p.pair(c)
	}
}

// pair reads one or two arguments.
func (p *parser) pair(c *Condition) {
	for i := range c.Shape.Max {
		if !p.accept('{') {
			switch {
			case c.Shape.Form == FormCounted:
				p.fail("too few arguments or bracketing error for %s", c.Name)
			case i == 0:
				p.fail("missing { after \"%s\"", c.Name)
			case i >= c.Shape.Min:
			default:
				p.fail("missing 2nd string in {} after \"%s\"", c.Name)
			}
			return
		}
		c.Args = append(c.Args, p.parseText(true, i == 0 || c.Shape.Form != FormList))
		if p.bad != nil {
			return
		}
	}
}

// wrapped reads {{arg}{arg}...}.
func (p *parser) wrapped(c *Condition) {
	if !p.accept('{') {
		p.fail("missing { after \"%s\"", c.Name)
		return
	}
	c.Args = p.readArgs(c.Name, c.Shape.Max)
	if p.bad == nil && (len(c.Args) < c.Shape.Min || !p.accept('}')) {
		p.fail("too few arguments or bracketing error for %s", c.Name)
	}
}

// def reads :name, where name is a variable or h_name: .
func (p *parser) def(c *Condition) {
	if p.peek() != ':' {
		p.fail("\":\" expected after \"def\"")
		return
	}
	p.at++
	start := p.at
	name := p.name("")
	if name == "" {
		p.fail("variable name omitted after \"def:\"")
		return
	}
	if kind := headerKind(name); kind != 0 {
		p.at = start
		c.Header = p.header(kind)
		return
	}
	row, note := p.words.Variable(name)
	if row == nil {
		p.fail("unknown variable \"%s\" after \"def:\"%s", name, note)
		return
	}
	c.Variable = p.variable(name, row)
}

// group reads the members of and and or.
func (p *parser) group(c *Condition) {
	if !p.accept('{') {
		p.fail("missing { after \"%s\"", c.Name)
		return
	}
	for !p.accept('}') {
		if p.peek() != '{' || !p.more() {
			p.fail("each subcondition inside an \"%s{...}\" condition must be in its own {}", c.Name)
			return
		}
		p.at++
		c.Sub = append(c.Sub, p.member(c.Inside()))
		if p.bad != nil {
			return
		}
		if !p.accept('}') {
			p.fail("missing } at end of condition inside \"%s\" group", c.Name)
			return
		}
	}
}

// forEach reads {list}{condition}.
func (p *parser) forEach(c *Condition) {
	list := p.arg()
	if list == nil {
		p.fail("missing { after \"%s\"", c.Name)
		return
	}
	c.Args = append(c.Args, list)
	if p.bad != nil {
		return
	}
	if !p.accept('{') {
		p.fail("missing { after \"%s\"", c.Name)
		return
	}
	c.Sub = append(c.Sub, p.member(c.Inside()))
	if p.bad == nil && !p.accept('}') {
		p.fail("missing } at end of condition inside \"%s\"", c.Name)
	}
}

// UnknownACLVariable gives the note for names that look like a user-defined ACL variable but are none.
func UnknownACLVariable(name string) string {
	switch {
	case !strings.HasPrefix(name, "acl_"):
		return ""
	case len(name) < 5 || name[4] != 'c' && name[4] != 'm':
		return " (user-defined ACL variables must start acl_c or acl_m)"
	}
	return " (6th character of a user-defined ACL variable must be a digit or underscore)"
}
