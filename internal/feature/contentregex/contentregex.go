// Package contentregex is the room of the ACL conditions regex and mime_regex (spec 45.5): regular expressions against the lines of a message
// or MIME part, or against the start of a decoded part.
//
// Trust: messages are outsiders'; no more than a line, or 32K, of one is held in memory, and what is captured is tainted. The expressions
// are the administrator's.
package contentregex

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"unsafe"

	"exigo/internal/acl"
	"exigo/internal/expand"
	"exigo/internal/feature"
	"exigo/internal/mail"
	"exigo/internal/regex"
	"exigo/internal/scan"
	"exigo/internal/submit"
)

const (
	// maxLine is how much of a line is looked at at once; what follows counts as another line.
	maxLine = 32766
	// maxDecoded is how much of a decoded part mime_regex looks at.
	maxDecoded = 32767
	// variables is the number of $regexN.
	variables = 9
)

// Feature is the room.
func Feature() *feature.Feature {
	data := acl.Phases(acl.PRDR, acl.Data, acl.NotSMTP)
	mime := acl.Phases(acl.MIME, acl.NotSMTPMIME)
	f := &feature.Feature{
		Name: "contentregex", Doc: "Regular expressions against the content of messages.",
		Conditions: []acl.Condition{
			{Name: "mime_regex", Phases: mime, Expand: true, Check: checkDecoded,
				Doc: "Tests the first 32K of the decoded MIME part against a list of regular expressions."},
			{Name: "regex", Phases: data | mime, Expand: true, Check: checkLines,
				Doc: "Tests each line of the message, or of the MIME part as it came, against a list of regular expressions."},
		},
		Variables: []expand.Variable{{Name: "regex_match_string", Doc: "The regular expression that matched in the last regex or mime_regex condition.",
			Get: get(func(st *state) mail.Value { return st.pattern })}},
		Reception: []submit.Room{scan.Room()},
	}
	for n := range variables {
		f.Variables = append(f.Variables, expand.Variable{Name: "regex" + strconv.Itoa(n+1),
			Doc: "Text that parentheses number " + strconv.Itoa(n+1) + " of the expression in $regex_match_string captured.",
			Get: get(func(st *state) mail.Value {
				if n < len(st.captures) {
					return mail.Taint(st.captures[n])
				}
				return mail.Value{}
			})})
	}
	return f
}

// state is what the last condition found.
type state struct {
	pattern  mail.Value
	captures []string // $regex1 and on
}

func get(value func(st *state) mail.Value) func(s *expand.Scope) (mail.Value, error) {
	return func(s *expand.Scope) (mail.Value, error) {
		if s.Message != nil {
			if st := mail.Peek[state](&s.Message.Bag); st != nil {
				return value(st), nil
			}
		}
		return mail.Value{}, nil
	}
}

// compile makes the expressions of a list. Those that are wrong are logged and left out.
func compile(r *acl.Run, list string) (out []*regex.Regexp) {
	items := expand.NewElements(list)
	for {
		item, ok := items.Next()
		if !ok {
			return out
		}
		if item == "" {
			continue
		}
		re, err := r.Scope.Engine.Regex.Compile(item, 0)
		var wrong *regex.SyntaxError
		switch {
		case errors.As(err, &wrong):
			scan.Log(r, acl.LogMain, fmt.Sprintf("regex acl condition warning - error in regex '%s': %s at offset %d, skipped.", item, wrong.Message, wrong.Offset))
		case err != nil:
			scan.Log(r, acl.LogMain, fmt.Sprintf("regex acl condition warning - error in regex '%s': %s, skipped.", item, err))
		default:
			out = append(out, re)
		}
	}
}

// match tests a text against the expressions in their order and keeps what the first one that matches found. The error is that of a match
// which was given up.
func (st *state) match(list []*regex.Regexp, text string, tainted bool) (bool, error) {
	for _, re := range list {
		captures, ok, err := re.Match(text)
		if err != nil {
			return false, err
		}
		if !ok {
			continue
		}
		st.pattern = mail.Value{S: re.Pattern(), Tainted: tainted}
		st.captures = nil
		for _, c := range captures[1:min(len(captures), variables+1)] {
			st.captures = append(st.captures, string([]byte(c))) // text is a buffer's
		}
		return true, nil
	}
	return false, nil
}

// begin forgets what an earlier condition found.
func begin(r *acl.Run, argument mail.Value) (st *state, list []*regex.Regexp) {
	if r.Scope.Message == nil {
		return nil, nil
	}
	st = mail.State[state](&r.Scope.Message.Bag)
	*st = state{}
	return st, compile(r, argument.S)
}

// checkLines is the condition regex.
func checkLines(r *acl.Run, argument mail.Value) acl.Verdict {
	st, list := begin(r, argument)
	if len(list) == 0 {
		return acl.Fail
	}
	var source io.Reader
	if part := scan.PartOf(r.Scope.Message); part != nil && (r.Phase == acl.MIME || r.Phase == acl.NotSMTPMIME) {
		source = part.Raw()
	} else {
		c, ok := scan.Of(r, "regex")
		if !ok {
			return r.Deferred("")
		}
		source = c.Reader()
	}
	found, err := st.lines(list, source, argument.Tainted)
	switch {
	case err != nil:
		return r.Deferred("regex acl condition: " + err.Error())
	case found:
		return acl.OK
	}
	return acl.Fail
}

// lines matches line by line.
func (st *state) lines(list []*regex.Regexp, source io.Reader, tainted bool) (bool, error) {
	in := bufio.NewReaderSize(source, maxLine)
	for {
		line, err := in.ReadSlice('\n')
		if err != nil && err != bufio.ErrBufferFull && err != io.EOF {
			return false, err
		}
		if len(line) > 0 {
			if line[len(line)-1] == '\n' {
				line = line[:len(line)-1]
			}
			// The string lives until the buffer is read into again; match copies what it keeps.
			if found, failed := st.match(list, unsafe.String(unsafe.SliceData(line), len(line)), tainted); found || failed != nil {
				return found, failed
			}
		}
		if err == io.EOF {
			return false, nil
		}
	}
}

// checkDecoded is the condition mime_regex.
func checkDecoded(r *acl.Run, argument mail.Value) acl.Verdict {
	st, list := begin(r, argument)
	part := scan.PartOf(r.Scope.Message)
	if len(list) == 0 || part == nil {
		return acl.Fail
	}
	name, err := part.Decoded()
	if err != nil {
		return r.Deferred("mime_regex acl condition: " + err.Error())
	}
	text, err := start(name)
	if err != nil {
		scan.Log(r, acl.LogMain|acl.LogPanic, "mime_regex acl condition warning - can't open '"+name+"' for reading: "+scan.Reason(err))
		return r.Deferred("")
	}
	found, err := st.match(list, text, argument.Tainted)
	switch {
	case err != nil:
		return r.Deferred("mime_regex acl condition: " + err.Error())
	case found:
		return acl.OK
	}
	return acl.Fail
}

// start reads the first 32K of a file.
func start(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxDecoded))
	return string(data), err
}
