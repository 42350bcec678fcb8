package config

import (
	"path/filepath"
	"strings"
)

// maxFileSize bounds a configuration file; larger ones are refused rather than read.
const maxFileSize = 64 << 20

// maxIncludes bounds the depth of included files, so that a file that includes itself is found out.
const maxIncludes = 100

// openFile is a file being read, line by line.
type openFile struct {
	name  string
	lines []string
	next  int // index of the next line, which is also the number of the last one read
}

// branch is one .ifdef: whether its present branch is read, whether one was before, and whether anything around it is.
type branch struct{ active, done, outer bool }

// source delivers the logical lines of a file and those it includes: macros replaced, conditions obeyed, comments and blank
// lines dropped, continuations joined (spec 6.2 to 6.10).
type source struct {
	load     func(name string, mustExist bool) (*openFile, error)
	macros   macroTable
	stack    []*openFile
	branches []branch
	record   []sourceLine
	at       Line // place of the line read last
}

// fail makes an error at the line read last.
func (s *source) fail(text string) error { return &Error{File: s.at.File, Line: s.at.Line, Text: text} }

// open begins to read a file.
func (s *source) open(name string, mustExist bool) error {
	f, err := s.load(name, mustExist)
	if err != nil || f == nil {
		return err
	}
	if len(s.stack) >= maxIncludes {
		return s.fail("too many nested included files (" + name + ")")
	}
	if len(f.lines) > 0 && strings.HasPrefix(f.lines[0], "\ufeff") {
		return &Error{File: name, Line: 1, Text: "found unexpected BOM (Byte Order Mark)"}
	}
	if len(s.stack) > 0 {
		s.mark(s.stack[len(s.stack)-1])
	}
	s.stack = append(s.stack, f)
	s.record = append(s.record, sourceLine{text: fileMark(1, f.name)})
	return nil
}

func (s *source) mark(f *openFile) {
	s.record = append(s.record, sourceLine{text: fileMark(f.next, f.name)})
}

// physical returns the next line of the innermost file, without its newline.
func (s *source) physical() (string, bool) {
	for len(s.stack) > 0 {
		f := s.stack[len(s.stack)-1]
		if f.next < len(f.lines) {
			line := f.lines[f.next]
			f.next++
			s.at.File, s.at.Line = f.name, f.next
			return line, true
		}
		s.stack = s.stack[:len(s.stack)-1]
		if len(s.stack) > 0 {
			outer := s.stack[len(s.stack)-1]
			s.at.File, s.at.Line = outer.name, outer.next
			s.mark(outer)
		}
	}
	return "", false
}

// next returns the next logical line. ok is false at the end.
func (s *source) next() (line string, ok bool, err error) {
	var b strings.Builder
	continued := false
	for {
		text, more := s.physical()
		if !more {
			if len(s.branches) > 0 {
				s.branches = nil
				return "", false, s.fail("Unexpected end of configuration file: .endif missing")
			}
			return strings.TrimRight(b.String(), spaces), b.Len() > 0, nil
		}
		text, use, err := s.prepare(text, continued)
		if err != nil {
			return "", false, err
		}
		if !use {
			continue
		}
		if text == "" {
			if continued {
				break
			}
			continue
		}
		if strings.HasSuffix(text, "\\") {
			b.WriteString(text[:len(text)-1])
			continued = true
			continue
		}
		b.WriteString(text)
		break
	}
	line = strings.TrimRight(b.String(), spaces)
	if line == "" {
		return s.next()
	}
	s.record = append(s.record, sourceLine{text: line, hidden: strings.HasPrefix(line, "hide ")})
	return line, true, nil
}

const spaces = " \t\r\v\f\n"

// prepare handles what happens at the level of physical lines: macros, conditions, includes, comments. use is false
// for lines that are thereby done with.
func (s *source) prepare(text string, continued bool) (line string, use bool, err error) {
	text = strings.Trim(text, spaces)
	text, replaced := s.macros.expand(text, continued)
	if strings.HasPrefix(text, ".") {
		done, err := s.conditional(text, replaced)
		if done || err != nil {
			return "", false, err
		}
		if !s.reading() {
			return "", false, nil
		}
		if done, err = s.include(text); done || err != nil {
			return "", false, err
		}
	}
	if !s.reading() || strings.HasPrefix(text, "#") {
		return "", false, nil
	}
	return strings.Trim(text, spaces), true, nil
}

func (s *source) reading() bool {
	return len(s.branches) == 0 || s.branches[len(s.branches)-1].active
}

// conditional obeys .ifdef and its like (spec 6.10). A directive's name followed by other letters is ignored, as in Exim.
func (s *source) conditional(text string, replaced bool) (done bool, err error) {
	for _, d := range [...]string{"ifdef", "ifndef", "elifdef", "elifndef", "else", "endif"} {
		rest, ok := strings.CutPrefix(text[1:], d)
		if !ok {
			continue
		}
		if rest != "" && !strings.Contains(spaces, rest[:1]) {
			return true, nil
		}
		return true, s.directive(d, replaced)
	}
	return false, nil
}

func (s *source) directive(name string, replaced bool) error {
	if name == "ifdef" || name == "ifndef" {
		outer := s.reading()
		hit := replaced == (name == "ifdef")
		s.branches = append(s.branches, branch{active: outer && hit, done: hit, outer: outer})
		return nil
	}
	if len(s.branches) == 0 {
		return s.fail("." + name + " without matching .ifdef")
	}
	b := &s.branches[len(s.branches)-1]
	hit := true
	switch name {
	case "endif":
		s.branches = s.branches[:len(s.branches)-1]
		return nil
	case "elifdef":
		hit = replaced
	case "elifndef":
		hit = !replaced
	}
	b.active = b.outer && !b.done && hit
	b.done = b.done || hit
	return nil
}

// include obeys .include and .include_if_exists (spec 6.3).
func (s *source) include(text string) (done bool, err error) {
	name, ok := strings.CutPrefix(text, ".include")
	if !ok {
		return false, nil
	}
	name, optional := strings.CutPrefix(name, "_if_exists")
	if name != "" && !strings.Contains(spaces, name[:1]) {
		return false, nil
	}
	name = strings.Trim(name, spaces)
	if len(name) > 1 && name[0] == '"' && name[len(name)-1] == '"' {
		name = name[1 : len(name)-1]
	}
	if !strings.HasPrefix(name, "/") {
		if optional {
			return true, s.fail(".include specifies a non-absolute path \"" + name + "\"")
		}
		name = filepath.Dir(s.at.File) + "/" + name
	}
	return true, s.open(name, !optional)
}
