package mime

import (
	"sort"
	"strconv"
	"strings"
)

// maxParameters bounds the parameters, and pieces of parameters, of one field.
const maxParameters = 200

// Parameter is a parameter of a structured field such as Content-Type.
type Parameter struct {
	// Name is in lower case, without the "*" marks of RFC 2231.
	Name string
	// Value is the value without quotes, pieces joined and escapes decoded (RFC 2231 sections 3 and 4).
	Value string
	// Charset and Language are those of RFC 2231 section 4, "" when not given.
	Charset, Language string
}

// Parameters is a list of parameters in the order of the field.
type Parameters []Parameter

// Get returns the value of the first parameter of that name (in lower case), or "".
func (p Parameters) Get(name string) string {
	parameter, _ := p.Find(name)
	return parameter.Value
}

// Find returns the first parameter of that name (in lower case).
func (p Parameters) Find(name string) (Parameter, bool) {
	for _, parameter := range p {
		if parameter.Name == name {
			return parameter, true
		}
	}
	return Parameter{}, false
}

// piece is a parameter as it stands in the field.
type piece struct {
	name, value string
	number      int  // of "name*number", -1 for none
	extended    bool // "*" at the end of the name
	order       int
}

// ParseParameters divides the body of a field such as Content-Type or Content-Disposition into its value, in lower case, and its
// parameters. It reads what messages have: unquoted values with special characters, comments, stray semicolons. A parameter with
// malformed RFC 2231 marks keeps its text.
func ParseParameters(body string) (value string, parameters Parameters) {
	s := scanner{text: body}
	value = strings.ToLower(s.token(";"))
	var pieces []piece
	for s.next() && len(pieces) < maxParameters {
		name := strings.ToLower(s.token("=;"))
		if !s.at('=') {
			continue
		}
		s.pos++
		p := piece{name: name, number: -1, order: len(pieces)}
		p.value = s.value()
		p.split()
		if p.name != "" {
			pieces = append(pieces, p)
		}
	}
	return value, join(pieces)
}

// split takes the RFC 2231 marks off the name: "name*", "name*0", "name*0*".
func (p *piece) split() {
	name, ok := strings.CutSuffix(p.name, "*")
	p.extended = ok
	if base, digits, ok := strings.Cut(name, "*"); ok {
		n, err := strconv.Atoi(digits)
		if err != nil || n < 0 || n >= maxParameters {
			p.extended = false
			return
		}
		name, p.number = base, n
	}
	p.name = name
}

// join makes parameters of pieces. Where a plain and an extended form of a name are given, the extended one counts.
func join(pieces []piece) Parameters {
	sort.SliceStable(pieces, func(i, j int) bool { return pieces[i].number < pieces[j].number })
	var out Parameters
	var order []int
	for _, p := range pieces {
		i := 0
		for i < len(out) && out[i].Name != p.name {
			i++
		}
		fresh := i == len(out)
		if fresh {
			out = append(out, Parameter{Name: p.name})
			order = append(order, p.order)
		} else if p.number < 0 && (!p.extended || out[i].Charset != "") {
			continue // a repeated parameter: the first counts
		}
		if p.number <= 0 && p.extended {
			out[i] = Parameter{Name: p.name}
			if parts := strings.SplitN(p.value, "'", 3); len(parts) == 3 {
				out[i].Charset, out[i].Language, p.value = parts[0], parts[1], parts[2]
			}
		} else if p.number == 0 && !fresh {
			out[i] = Parameter{Name: p.name}
		}
		if p.extended {
			p.value = unescape(p.value)
		}
		out[i].Value += p.value
	}
	sort.Sort(&byOrder{out, order})
	return out
}

// byOrder brings parameters back into the order of the field.
type byOrder struct {
	parameters Parameters
	order      []int
}

// Len, Less and Swap are for package sort.
func (b *byOrder) Len() int           { return len(b.order) }
func (b *byOrder) Less(i, j int) bool { return b.order[i] < b.order[j] }
func (b *byOrder) Swap(i, j int) {
	b.order[i], b.order[j] = b.order[j], b.order[i]
	b.parameters[i], b.parameters[j] = b.parameters[j], b.parameters[i]
}

// unescape decodes "%41"; malformed escapes stay.
func unescape(s string) string {
	if strings.IndexByte(s, '%') < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) && hexValue(s[i+1]) >= 0 && hexValue(s[i+2]) >= 0 {
			b = append(b, byte(hexValue(s[i+1])<<4|hexValue(s[i+2])))
			i += 2
			continue
		}
		b = append(b, s[i])
	}
	return string(b)
}

// scanner reads a structured field.
type scanner struct {
	text string
	pos  int
}

func (s *scanner) at(c byte) bool { return s.pos < len(s.text) && s.text[s.pos] == c }

// next moves past the next semicolon that is not in a comment and reports whether there was one.
func (s *scanner) next() bool {
	s.token(";")
	if !s.at(';') {
		return false
	}
	s.pos++
	return true
}

// token reads up to one of the characters in stop, without comments and white space around it.
func (s *scanner) token(stop string) string {
	var b []byte
	for s.pos < len(s.text) {
		c := s.text[s.pos]
		if strings.IndexByte(stop, c) >= 0 {
			break
		}
		if c == '(' {
			s.comment()
			continue
		}
		b = append(b, c)
		s.pos++
	}
	return strings.Trim(string(b), " \t\r\n")
}

// comment moves past a comment, which may nest.
func (s *scanner) comment() {
	depth := 0
	for s.pos < len(s.text) {
		c := s.text[s.pos]
		s.pos++
		switch c {
		case '\\':
			s.pos = min(s.pos+1, len(s.text))
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return
			}
		}
	}
}

// value reads the value of a parameter: a quoted string or what stands before the next semicolon.
func (s *scanner) value() string {
	for s.pos < len(s.text) && strings.IndexByte(" \t\r\n", s.text[s.pos]) >= 0 {
		s.pos++
	}
	if !s.at('"') {
		return s.token(";")
	}
	s.pos++
	var b []byte
	for s.pos < len(s.text) && s.text[s.pos] != '"' {
		c := s.text[s.pos]
		if c == '\\' && s.pos+1 < len(s.text) {
			s.pos++
			c = s.text[s.pos]
		}
		if c != '\n' && c != '\r' { // folding
			b = append(b, c)
		}
		s.pos++
	}
	s.pos = min(s.pos+1, len(s.text))
	return string(b)
}
