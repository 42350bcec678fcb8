package spool

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"exigo/internal/mail"
)

// Read reads a message's -H file without a lock, as listings do. Another process may be changing the message's state.
func (s *Spool) Read(id, queue string) (*mail.Message, error) {
	dir, err := s.find(id, queue)
	if err != nil {
		return nil, err
	}
	return s.read(dir, id, queue)
}

func (s *Spool) read(dir, id, queue string) (*mail.Message, error) {
	data, err := readBounded(dir + "/" + id + "-H")
	if errors.Is(err, os.ErrNotExist) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	m, err := s.Parse(id, string(data))
	if err != nil {
		return nil, err
	}
	m.Queue = queue
	m.DataPath, m.DataOffset = dir+"/"+id+"-D", dataOffset(id)
	if st, err := os.Stat(m.DataPath); err == nil {
		m.BodySize = max(st.Size()-m.DataOffset, 0)
		m.Size += m.BodySize
	}
	return m, nil
}

// Parse reads the text of a -H file. Size of the message is that of the headers. The error is a *FormatError.
func (s *Spool) Parse(id, text string) (*mail.Message, error) {
	p := &parser{rest: text}
	m := &mail.Message{ID: id, Session: &mail.Session{}, SenderSet: true}
	for _, step := range []func(*mail.Message){p.envelope, func(m *mail.Message) { s.parseFields(p, m) }, p.tree, p.recipients, p.headers} {
		step(m)
		if p.err != nil {
			return nil, &FormatError{ID: id, Size: int64(len(text)), Detail: p.err.Error()}
		}
	}
	m.RawSender = m.Sender
	m.Session.SMTP = m.Session.HELO != ""
	m.Session.Local = !m.Session.Host.IsValid()
	return m, nil
}

// parser reads a -H file from the front.
type parser struct {
	rest string
	err  error
}

func (p *parser) fail(format string, args ...any) {
	if p.err == nil {
		p.err = fmt.Errorf(format, args...)
	}
}

// line takes the next line without its end.
func (p *parser) line() string {
	line, rest, ok := strings.Cut(p.rest, "\n")
	if !ok {
		p.fail("file ends in the middle of a line")
		p.rest = ""
		return ""
	}
	p.rest = rest
	return line
}

// envelope reads the file's own name, the originator, the sender and the times.
func (p *parser) envelope(m *mail.Message) {
	if name := p.line(); name != m.ID+"-H" {
		p.fail("first line is %q", name)
	}
	words := strings.Fields(p.line())
	if len(words) < 3 {
		p.fail("originator line")
		return
	}
	n := len(words)
	var err1, err2 error
	m.OriginatorUID, err1 = strconv.Atoi(words[n-2])
	m.OriginatorGID, err2 = strconv.Atoi(words[n-1])
	m.OriginatorLogin = strings.Join(words[:n-2], " ")
	m.Session.Login, m.Session.CallerUID, m.Session.CallerGID = m.OriginatorLogin, m.OriginatorUID, m.OriginatorGID
	sender := p.line()
	if len(sender) < 2 || sender[0] != '<' || sender[len(sender)-1] != '>' {
		p.fail("sender line")
		return
	}
	m.Sender = sender[1 : len(sender)-1]
	seconds, warnings, _ := strings.Cut(p.line(), " ")
	sec, err3 := strconv.ParseInt(seconds, 10, 64)
	var err4 error
	m.Warnings, err4 = strconv.Atoi(warnings)
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		p.fail("%v", err)
	}
	m.Received = time.Unix(sec, 0)
}

// parseFields reads the lines that begin with a hyphen.
func (s *Spool) parseFields(p *parser, m *mail.Message) {
	for strings.HasPrefix(p.rest, "-") && p.err == nil {
		line := p.line()
		if p.err != nil {
			return
		}
		name, value, _ := strings.Cut(line[1:], " ")
		name, tainted := strings.CutPrefix(name, "-")
		quoted := ""
		if strings.HasPrefix(name, "(") {
			if end := strings.IndexByte(name, ')'); end > 0 {
				quoted, name = name[1:end], name[end+1:]
			}
		}
		switch name {
		case "aclc", "aclm", "acl":
			p.variable(m, name, value, mail.Value{Tainted: tainted, Quoted: quoted})
			continue
		}
		f := s.byName[name]
		if f == nil {
			st := StateOf(m)
			st.lines = append(st.lines, line)
			continue
		}
		if err := f.Read(m, value); err != nil {
			p.fail("-%s: %v", name, err)
		}
	}
}

// variable reads an ACL variable: "-aclm name length" and that many bytes. "-acl number length" is the form before Exim 4.61.
func (p *parser) variable(m *mail.Message, kind, value string, v mail.Value) {
	space := strings.LastIndexByte(value, ' ')
	if space < 0 {
		p.fail("variable without length")
		return
	}
	name := value[:space]
	n, err := strconv.Atoi(value[space+1:])
	if err != nil || n < 0 || n >= len(p.rest) || p.rest[n] != '\n' {
		p.fail("length of variable %s", name)
		return
	}
	v.S = strings.Clone(p.rest[:n])
	p.rest = p.rest[n+1:]
	if kind == "acl" {
		number, err := strconv.Atoi(name)
		if err != nil || number < 0 || number > 19 {
			p.fail("number of variable %s", name)
			return
		}
		kind, name = "aclc", strconv.Itoa(number%10)
		if number >= 10 {
			kind = "aclm"
		}
	}
	vars := &m.Vars
	if kind == "aclc" {
		vars = &m.Session.Vars
	}
	if *vars == nil {
		*vars = make(map[string]mail.Value)
	}
	(*vars)[name] = v
}

// tree reads the non-recipients. A tree's shape is checked by counting the branches that are still to come.
func (p *parser) tree(m *mail.Message) {
	if strings.HasPrefix(p.rest, "XX\n") {
		p.rest = p.rest[3:]
		return
	}
	for open := 1; open > 0 && p.err == nil; open-- {
		line := p.line()
		if len(line) < 4 || !isYN(line[0]) || !isYN(line[1]) || line[2] != ' ' {
			p.fail("line of the non-recipients tree")
			return
		}
		for _, c := range line[:2] {
			if c == 'Y' {
				open++
			}
		}
		m.NonRecipients = append(m.NonRecipients, line[3:])
	}
}

func isYN(c byte) bool { return c == 'Y' || c == 'N' }

// recipients reads the count and that many lines, up to the empty line.
func (p *parser) recipients(m *mail.Message) {
	n, err := strconv.Atoi(p.line())
	if err != nil || n < 0 || n > len(p.rest) {
		p.fail("number of recipients")
		return
	}
	m.Recipients = make([]mail.Recipient, 0, n)
	for range n {
		r, err := parseRecipient(p.line())
		if err != nil {
			p.fail("%v", err)
		}
		if p.err != nil {
			return
		}
		m.Recipients = append(m.Recipients, r)
	}
	if p.line() != "" {
		p.fail("no empty line after the recipients")
	}
}

// headers reads the rest: number, type letter, space and text of each header.
func (p *parser) headers(m *mail.Message) {
	for p.rest != "" {
		i := 0
		for i < len(p.rest) && i < 10 && p.rest[i] >= '0' && p.rest[i] <= '9' {
			i++
		}
		n, err := strconv.Atoi(p.rest[:i])
		if err != nil || i+2+n > len(p.rest) || n == 0 || p.rest[i+1] != ' ' {
			p.fail("header at %.40q", p.rest)
			return
		}
		h := mail.Header{Type: p.rest[i], Text: p.rest[i+2 : i+2+n]}
		if !strings.HasSuffix(h.Text, "\n") {
			p.fail("header at %.40q", p.rest)
			return
		}
		p.rest = p.rest[i+2+n:]
		m.Headers = append(m.Headers, h)
		if h.Type != '*' {
			m.Size += int64(n)
		}
	}
	m.Size++ // the empty line after the headers
	m.CountLines()
}
