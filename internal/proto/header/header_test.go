package header

import (
	"bufio"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// Where the results are those of Debian's exim4 4.96 they come from its spool files (exim4 -bs).
func TestRead(t *testing.T) {
	for _, row := range []struct {
		name, in string
		fields   string // the texts, separated by |
		rest     string // what Read gives of the body, and what is left, separated by |
		blank    bool
	}{
		{"usual", "Subject: a\n b\n\tc\nTo: x\n\nbody\n", "Subject: a\n b\n\tc\n|To: x\n", "|body\n", true},
		{"CRLF", "A: b\r\n c\r\n\r\nbody", "A: b\r\n c\r\n", "|body", true},
		{"leading space", " lead\nSubject: a\n\nbody", "", " lead\n|Subject: a\n\nbody", false},
		{"From line", "From x y z\nSubject: a\n", "", "From x y z\n|Subject: a\n", false},
		{"bad line", "Subject : a\nFoo\t: b\nBad line\nX: y\n", "Subject : a\n|Foo\t: b\n", "Bad line\n|X: y\n", false},
		{"white line inside", "S: a\n \n b\n\nx", "S: a\n \n b\n", "|x", true},
		{"white lines at end", "S: a\n b \n \n\t\nX: y\n \n\nbody", "S: a\n b \n|X: y\n", "|body", true},
		{"white line before body", "S: a\n\t\nbody", "S: a\n", "body|", false},
		{"empty body", "S: \n \n \nX: \n\n", "S: \n|X: \n", "|", true},
		{"no name", "X-a:\n:foo\n\n", "X-a:\n|:foo\n", "|", true},
		{"8 bit name", "X-é: a\n\n", "X-é: a\n", "|", true},
		{"control in name", "A: b\nX\x01: a\nY: b\n", "A: b\n", "X\x01: a\n|Y: b\n", false},
		{"NUL", "A: b\x00c\n\x00D: e\x00\n", "A: b?c\n", "\x00D: e\x00\n|", false},
		{"colon on next line", "S\n : a\n\nx", "S\n : a\n", "|x", true},
		{"no colon", "A: b\nS  \n\nx", "A: b\n", "S  \n|\nx", false},
		{"no colon, continued", "A: b\nS\n more\nX: y\n", "A: b\n", "S\n more\n|X: y\n", false},
		{"only body", "\nbody", "", "|body", true},
		{"empty", "", "", "|", false},
		{"cut in field", "A: b\nC: d", "A: b\n|C: d\n", "|", false},
		{"cut in name", "A: b\nCd", "A: b\n", "Cd|", false},
		{"cut after field", "A: b\n", "A: b\n", "|", false},
		{"VT", "S: a\v\fb\nx y: z\n", "S: a\v\fb\n", "x y: z\n|", false},
		{"long", "A: " + strings.Repeat("x", 100) + "\n " + strings.Repeat("y", 100) + "\n\n", "A: " + strings.Repeat("x", 100) + "\n " + strings.Repeat("y", 100) + "\n", "|", true},
	} {
		for _, size := range []int{16, 4096} {
			source := bufio.NewReaderSize(strings.NewReader(row.in), size)
			r, err := Read(source, Limits{})
			if err != nil {
				t.Errorf("%s: %v", row.name, err)
			}
			var texts []string
			total := 0
			for _, f := range r.Fields {
				texts = append(texts, f.Text)
				total += len(f.Text)
			}
			left, _ := io.ReadAll(source)
			fields, rest := strings.Join(texts, "|"), string(r.Rest)+"|"+string(left)
			if fields != row.fields || rest != row.rest || r.Blank != row.blank || r.Size < total-1 {
				t.Errorf("%s:\n got %q %q %v, %d bytes\nwant %q %q %v", row.name, fields, rest, r.Blank, r.Size, row.fields, row.rest, row.blank)
			}
		}
	}
}

func TestReadLimits(t *testing.T) {
	long := "A: " + strings.Repeat("x", 50) + "\n " + strings.Repeat("y", 50) + "\n\n"
	for _, row := range []struct {
		in     string
		limits Limits
		want   error
	}{
		{long, Limits{Line: 105}, nil}, {long, Limits{Line: 104}, ErrLineTooLong}, {long, Limits{Total: 106}, nil}, {long, Limits{Total: 105}, ErrTooLong},
		{"A:" + strings.Repeat("x", 10000), Limits{Total: 1000}, ErrTooLong}, {strings.Repeat("A: b\n", 1000), Limits{Total: 4000, Line: 10}, ErrTooLong},
		{"body " + strings.Repeat("x", 10000), Limits{Total: 1000}, ErrTooLong},
	} {
		if _, err := Read(bufio.NewReaderSize(strings.NewReader(row.in), 16), row.limits); err != row.want {
			t.Errorf("%.20q %+v: %v", row.in, row.limits, err)
		}
	}
	if _, err := Read(bufio.NewReader(iotest.ErrReader(io.ErrClosedPipe)), Limits{}); !errors.Is(err, io.ErrClosedPipe) {
		t.Error(err)
	}
}

func section(texts ...string) *Section {
	var s Section
	for _, text := range texts {
		s.Append(NewField(text))
	}
	return &s
}

func TestSection(t *testing.T) {
	base := []string{"Received: 1", "RECEIVED: 2", "Resent-To: r", "To: a", "Subject: s", "to : b"}
	for _, row := range []struct {
		name string
		do   func(s *Section)
		want string // bodies
	}{
		{"nothing", func(s *Section) {}, "1 2 r a s b"},
		{"append", func(s *Section) { s.Append(NewField("X: x")) }, "1 2 r a s b x"},
		{"prepend", func(s *Section) { s.Prepend(NewField("X: x")) }, "x 1 2 r a s b"},
		{"after received", func(s *Section) { s.InsertAfterReceived(NewField("X: x")) }, "1 2 x r a s b"},
		{"after trace", func(s *Section) { s.InsertAfterTrace(NewField("X: x")) }, "1 2 r x a s b"},
		{"before", func(s *Section) { s.InsertBefore("TO", NewField("X: x")) }, "1 2 r x a s b"},
		{"after", func(s *Section) { s.InsertAfter("To", NewField("X: x")) }, "1 2 r a s b x"},
		{"before none", func(s *Section) { s.InsertBefore("None", NewField("X: x")) }, "x 1 2 r a s b"},
		{"after none", func(s *Section) { s.InsertAfter("None", NewField("X: x")) }, "1 2 r a s b x"},
		{"delete all", func(s *Section) { s.DeleteAll("to") }, "1 2 r s"},
		{"delete, after received", func(s *Section) { s.Delete(1); s.InsertAfterReceived(NewField("X: x")) }, "1 x r a s b"},
		{"replace", func(s *Section) { s.Replace(3, NewField("To: x")) }, "1 2 r x s b"},
	} {
		s := section(base...)
		row.do(s)
		var got []string
		size := 0
		for _, f := range s.Live() {
			got = append(got, f.Value())
			size += len(f.Text)
		}
		if strings.Join(got, " ") != row.want || s.Size() != size || len(s.AppendTo(nil)) != size {
			t.Errorf("%s: got %q, want %q", row.name, got, row.want)
		}
	}
	s := section(base...)
	if f, ok := s.Find("TO"); !ok || f.Value() != "a" || f.Type != TypeTo {
		t.Errorf("find: %+v", f)
	}
	if _, ok := s.Find("T"); ok {
		t.Error("T found")
	}
	if n := s.DeleteAll("received"); n != 2 || !s.Fields()[0].Deleted() {
		t.Errorf("%d deleted", n)
	}
	if _, ok := s.Find("received"); ok {
		t.Error("deleted field found")
	}
}

func TestField(t *testing.T) {
	for _, row := range []struct {
		text, name, body, value string
		letter                  byte
	}{
		{"To: a\n", "To", " a\n", "a", 'T'}, {"bcc:x", "bcc", "x\n", "x", 'B'}, {"CC : x\n y\n", "CC", " x\n y\n", "x y", 'C'}, {"From\n :\tx\n", "From", "\tx\n", "x", 'F'},
		{"Message-ID: <a@b>\n", "Message-ID", " <a@b>\n", "<a@b>", 'I'}, {"Reply-To: x\n", "Reply-To", " x\n", "x", 'R'}, {"Sender: x\n", "Sender", " x\n", "x", 'S'}, {"Received: x\n", "Received", " x\n", "x", 'P'},
		{"Subject:\n a\n  b \n", "Subject", "\n a\n  b \n", "a  b", ' '}, {":x\n", "", "x\n", "x", ' '}, {"none\n", "", "none\n", "none", ' '}, {"A: b\r\n c\r\n", "A", " b\r\n c\r\n", "b c", ' '},
	} {
		f := NewField(row.text)
		if f.Name() != row.name || f.Body() != row.body || f.Value() != row.value || f.Type != row.letter || row.name != "" && !f.Is(strings.ToUpper(row.name)) {
			t.Errorf("%q: %q %q %q %c", row.text, f.Name(), f.Body(), f.Value(), f.Type)
		}
	}
	if NewField("Tox: a").Is("To") || NewField("To").Is("To") || NewField("T: a").Is("To") {
		t.Error("Is")
	}
}

func TestDate(t *testing.T) {
	when := time.Date(1997, 11, 21, 9, 55, 6, 0, time.FixedZone("", -6*3600))
	if got := FormatDate(when); got != "Fri, 21 Nov 1997 09:55:06 -0600" { // RFC 5322 appendix A.1.1
		t.Error(got)
	}
	for _, in := range []string{"Fri, 21 Nov 1997 09:55:06 -0600", "21 Nov 97 09:55:06 CST", "Fri, 21 Nov 1997 09(comment):   55  :  06 -0600", " Fri,\n 21 Nov 1997 09:55:06 -0600 (CST)\n"} {
		got, err := ParseDate(in)
		if in == "Fri, 21 Nov 1997 09(comment):   55  :  06 -0600" {
			continue // RFC 5322 appendix A.6.3: not accepted, nobody writes it
		}
		if _, offset := got.Zone(); err != nil || offset == -6*3600 && !got.Equal(when) {
			t.Errorf("%q: %v %v", in, got, err)
		}
	}
	for _, in := range []string{"", "yesterday", strings.Repeat("x", 300)} {
		if _, err := ParseDate(in); err == nil {
			t.Errorf("%q accepted", in)
		}
	}
}

func TestMessageID(t *testing.T) {
	for in, want := range map[string]bool{"<1234@local.machine.example>": true, "<5678.21-Nov-1997@example.com>": true, "<a@[192.0.2.1]>": true, "<\"a@b\"@c>": true, "<a>": false, "<@b>": false, "<a@>": false,
		"a@b": false, "<a b@c>": false, "<a@b> ": false, "<a@b\n>": false, "<<a@b>>": false, "": false, "<>": false} {
		if ValidMessageID(in) != want {
			t.Errorf("%q", in)
		}
	}
	if got := strings.Join(MessageIDs(" <a@b>\n\t<c@d> x (y) <bad> <e@f"), " "); got != "<a@b> <c@d>" {
		t.Error(got)
	}
}

func FuzzRead(f *testing.F) {
	f.Add("Subject : a\n b\n \nX:\x00\nBad line\nX: y\n\nbody", 100)
	f.Fuzz(func(t *testing.T, s string, limit int) {
		source := bufio.NewReaderSize(strings.NewReader(s), 16)
		r, err := Read(source, Limits{Total: limit % 1000})
		if err != nil {
			return
		}
		for _, f := range r.Fields {
			if _, ok := HasName(f.Text); !ok || !strings.HasSuffix(f.Text, "\n") || strings.Contains(f.Text, "\x00") {
				t.Errorf("%q: bad field %q", s, f.Text)
			}
			f.Value()
			ParseDate(f.Body())
			MessageIDs(f.Body())
		}
		// read again what was read, the fields are the same
		text := NewSection(r.Fields).AppendTo(nil)
		again, err := Read(bufio.NewReader(strings.NewReader(string(text)+"\n")), Limits{})
		if err != nil || !again.Blank || string(NewSection(again.Fields).AppendTo(nil)) != string(text) {
			t.Errorf("%q: %q is read as %+v, %v", s, text, again, err)
		}
	})
}

// The line that ends the section must survive a look at what follows it, for which the source may reuse its buffer.
func TestRestSurvivesPeek(t *testing.T) {
	const buffer = 16
	for _, text := range []string{"A: b\nhello body\noverwrites it\n", "hello body once\noverwrites it\n"} {
		source := bufio.NewReaderSize(strings.NewReader(text), buffer)
		r, err := Read(source, Limits{})
		rest, _ := io.ReadAll(source)
		if whole := string(r.Rest) + string(rest); err != nil || !strings.HasSuffix(text, whole) || len(r.Rest) < 11 {
			t.Errorf("%q: rest %q then %q, %v", text, r.Rest, rest, err)
		}
	}
}
