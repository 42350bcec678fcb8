package smtp

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"

	"exigo/internal/proto/header"
)

func TestParseCommand(t *testing.T) {
	for _, row := range [][3]string{
		{"EHLO client.example\r\n", "EHLO", "client.example"}, {"ehlo  x ", "EHLO", "x"}, {"QUIT\r\n", "QUIT", ""}, {"MAIL FROM:<a@b>", "MAIL", "FROM:<a@b>"},
		{"mail\tfrom: <a@b> ", "MAIL", "from: <a@b>"}, {"", "", ""}, {" noop", "NOOP", ""}, {"AUTH PLAIN =", "AUTH", "PLAIN ="}, {"a:b", "A", ":b"},
	} {
		if c := ParseCommand(row[0]); c.Verb != row[1] || c.Argument != row[2] {
			t.Errorf("%q: %+v", row[0], c)
		}
	}
	for _, row := range []struct {
		argument, keyword, rest string
		ok                      bool
	}{{"FROM:<a@b>", "FROM", "<a@b>", true}, {"from : <a@b>", "FROM", "<a@b>", true}, {"FROM <a@b>", "FROM", "FROM <a@b>", false}, {"FROMAGE:x", "FROM", "FROMAGE:x", false}, {"TO:", "TO", "", true}, {"", "TO", "", false}} {
		if rest, ok := CutKeyword(row.argument, row.keyword); rest != row.rest || ok != row.ok {
			t.Errorf("%q: %q %v", row.argument, rest, ok)
		}
	}
}

func names(parameters []Parameter) string {
	var b strings.Builder
	for _, p := range parameters {
		b.WriteString(" " + p.Name)
		if p.HasValue {
			b.WriteString("=" + p.Value)
		}
	}
	return b.String()
}

func TestSplitPath(t *testing.T) {
	for _, row := range []struct{ in, want string }{
		// RFC 1870 section 6, RFC 3461 section 10, RFC 6531, RFC 8689
		{"<ned@thor.innosoft.com> SIZE=500000", "<ned@thor.innosoft.com> SIZE=500000"},
		{"<Alice@Pure-Heart.ORG> RET=HDRS ENVID=QQ314159", "<Alice@Pure-Heart.ORG> RET=HDRS ENVID=QQ314159"},
		{"<Bob@Big-Bucks.COM> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;Bob@Big-Bucks.COM", "<Bob@Big-Bucks.COM> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;Bob@Big-Bucks.COM"},
		{"<å@ä.ex> smtputf8 body=8bitmime", "<å@ä.ex> SMTPUTF8 BODY=8bitmime"}, {"<a@b> REQUIRETLS  AUTH=<>", "<a@b> REQUIRETLS AUTH=<>"},
		{"<>", "<>"}, {`<"a> b"@c> PRDR`, `<"a> b"@c> PRDR`}, {`<"a\"> b"@c>`, `<"a\"> b"@c>`}, {`<a\>@b>`, `<a\>@b>`}, {"<a@b> X-Y= Z", "<a@b> X-Y= Z"},
		{"a@b", "!path"}, {"", "!path"}, {"<a@b", "!path"}, {"<a@b>SIZE=1", "!path"}, {"<a@b> =1", "!parameter"}, {"<a@b> -X", "!parameter"}, {"<a@b> <c>", "!parameter"}, {"<a@b> X=\x01", "!parameter"},
	} {
		path, parameters, err := SplitPath(row.in)
		got := path + names(parameters)
		if err != nil {
			got = map[error]string{ErrPath: "!path", ErrParameter: "!parameter"}[err]
		}
		if got != row.want {
			t.Errorf("%q: got %q, want %q", row.in, got, row.want)
		}
	}
	for _, row := range []struct{ in, want string }{
		{"<a@b> SIZE=10", "<a@b>| SIZE=10"}, {"Foo Bar <a@b>  size=10 ", "Foo Bar <a@b>| SIZE=10"}, {"<a@b>", "<a@b>|"}, {"<> x", "<>| X"}, {"a", "a|"}, {"", "|"}, {"<a@b> <c@d>", "<a@b> <c@d>|"},
	} {
		rest, p, ok := CutParameter(row.in)
		got := rest + "|"
		if ok {
			got += names([]Parameter{p})
		}
		if got != row.want {
			t.Errorf("%q: got %q, want %q", row.in, got, row.want)
		}
	}
}

func TestNumbers(t *testing.T) {
	for in, want := range map[string]int64{"0": 0, "500000": 500000, "9223372036854775807": 1<<63 - 1, "9223372036854775808": -1, "": -1, "-1": -1, "+1": -1, "1k": -1, "000000000000000000001": -1} {
		n, err := ParseSize(in)
		if err != nil {
			n = -1
		}
		if n != want {
			t.Errorf("size %q: %d", in, n)
		}
	}
	for in, want := range map[string]string{"1000": "1000 false", "86 LAST": "86 true", "0 last": "0 true", "": "!", "LAST": "!", "1 2": "!", "1 LAST x": "!", "-1": "!", "99999999999999999999": "!"} {
		n, last, err := ParseChunk(in)
		got := fmt.Sprint(n, " ", last)
		if err != nil {
			got = "!"
		}
		if got != want {
			t.Errorf("chunk %q: %s", in, got)
		}
	}
}

func TestXtext(t *testing.T) {
	for _, row := range [][2]string{{"", ""}, {"rfc822;Bob@Big-Bucks.COM", "rfc822;Bob@Big-Bucks.COM"}, {"a+b=c d", "a+2Bb+3Dc+20d"}, {"e=mc2@example.com", "e+3Dmc2@example.com"}, {"å\n", "+C3+A5+0A"}} {
		if got := EncodeXtext(row[0]); got != row[1] {
			t.Errorf("encode %q: %q", row[0], got)
		}
		if got, err := DecodeXtext(row[1]); got != row[0] || err != nil {
			t.Errorf("decode %q: %q %v", row[1], got, err)
		}
	}
	if got, err := DecodeXtext("+3d"); got != "=" || err != nil {
		t.Errorf("lower case: %q %v", got, err)
	}
	for _, bad := range []string{"a b", "a=b", "+", "+2", "+2x", "+00", "å", "\n"} {
		if _, err := DecodeXtext(bad); err != ErrXtext {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestReply(t *testing.T) {
	for _, row := range []struct {
		reply Reply
		want  string
	}{
		{NewReply(250, "", "OK"), "250 OK\r\n"}, {NewReply(250, "2.1.0", "one\ntwo\n"), "250-2.1.0 one\r\n250 2.1.0 two\r\n"}, {Reply{Code: 354}, "354 \r\n"},
		{NewReply(550, "", "a\r\nb\x00\tc\x7f"), "550-a?\r\n550 b?\tc?\r\n"}, {NewReply(421, "4.3.2", ""), "421 4.3.2 \r\n"},
	} {
		if got := string(row.reply.AppendTo(nil)); got != row.want {
			t.Errorf("got %q, want %q", got, row.want)
		}
	}
	r := NewReply(550, "5.7.1", "a\nb")
	if r.String() != "550 5.7.1 a b" || !r.Permanent() || r.Temporary() || r.Positive() || !NewReply(451, "", "").Temporary() || !NewReply(354, "", "").Positive() {
		t.Errorf("%v", r)
	}
	for _, row := range []struct {
		code           int
		in, code2, out string
	}{{550, "5.7.1 no", "5.7.1", "no"}, {550, "5.7.1", "5.7.1", ""}, {0, "4.10.123  x", "4.10.123", "x"}, {550, "4.7.1 no", "", "4.7.1 no"}, {250, "3.0.0 x", "", "3.0.0 x"}, {550, "5.7 x", "", "5.7 x"},
		{550, "5.1234.1 x", "", "5.1234.1 x"}, {550, "5.7.1x", "", "5.7.1x"}, {550, "5..1 x", "", "5..1 x"}, {0, "", "", ""}} {
		if e, rest := CutEnhanced(row.code, row.in); e != row.code2 || rest != row.out {
			t.Errorf("%d %q: %q %q", row.code, row.in, e, rest)
		}
	}
}

func TestReadReply(t *testing.T) {
	for _, row := range []struct {
		in, want string
		err      error
	}{
		{"250 OK\r\n", "250 OK", nil}, {"250-a\r\n250-b\n250 c\r\n", "250 a b c", nil}, {"220\r\n", "220 ", nil}, {"354 \n", "354 ", nil},
		{"", "000 ", io.EOF}, {"250 x", "000 ", io.ErrUnexpectedEOF}, {"250-x\r\n", "250 x", io.ErrUnexpectedEOF}, {"hello\r\n", "000 hello", ErrReplySyntax}, {"250-a\r\n251 b\r\n", "250 a 251 b", ErrReplySyntax},
		{"25\r\n", "000 25", ErrReplySyntax}, {"250x\r\n", "000 250x", ErrReplySyntax}, {"250 " + strings.Repeat("x", 5000) + "\r\n", "000 250 " + strings.Repeat("x", 4089), ErrReplyTooLong},
		{strings.Repeat("250-x\r\n", 200) + "250 x\r\n", "250" + strings.Repeat(" x", 128), ErrReplyTooLong}, {"250 " + strings.Repeat("x", 4089) + "\r\n", "250 " + strings.Repeat("x", 4089), nil},
	} {
		r, err := ReadReply(bufio.NewReaderSize(strings.NewReader(row.in), 16), ReplyLimits{})
		if r.String() != row.want || err != row.err {
			t.Errorf("%.40q: %.60s, %v", row.in, r, err)
		}
	}
}

func TestReadCommandLine(t *testing.T) {
	long := strings.Repeat("x", 50)
	for _, size := range []int{16, 4096} {
		r := bufio.NewReaderSize(strings.NewReader("QUIT\r\nLF\n"+long+"\r\n"+long[:20]+"\r\n"+long[:21]+"\r\n"+long[:22]+"\n\r\n"+"rest"), size)
		var got []string
		for {
			line, err := ReadCommandLine(r, 20)
			got = append(got, fmt.Sprintf("%s %v", line, err))
			if err != nil && err != ErrLineTooLong {
				break
			}
		}
		want := []string{"QUIT <nil>", "LF <nil>", long[:20] + " line too long", long[:20] + " <nil>", long[:20] + " line too long", long[:20] + " line too long", " <nil>", "rest unexpected EOF"}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("buffer %d:\n got %q\nwant %q", size, got, want)
		}
	}
	if _, err := ReadCommandLine(bufio.NewReader(strings.NewReader("")), 20); err != io.EOF {
		t.Error(err)
	}
	if _, err := ReadCommandLine(bufio.NewReader(iotest.TimeoutReader(iotest.OneByteReader(strings.NewReader("abc")))), 20); err != iotest.ErrTimeout {
		t.Error(err)
	}
}

func TestExtensions(t *testing.T) {
	// RFC 1869, RFC 4954 and what old servers say
	reply, err := ReadReply(bufio.NewReader(strings.NewReader("250-mx.example greets client\r\n250-SIZE 52428800\r\n250-8bitmime\r\n250-AUTH PLAIN LOGIN\r\n250-AUTH=CRAM-MD5\r\n250-SIZE 1\r\n250-\r\n250 DSN \r\n")), ReplyLimits{})
	if err != nil {
		t.Fatal(err)
	}
	e := ParseExtensions(reply)
	if e.Domain != "mx.example" || e.Greeting != "greets client" || strings.Join(e.Keywords(), " ") != "SIZE 8BITMIME AUTH DSN" || e.SizeLimit() != 52428800 ||
		!e.Has("8BITMIME") || e.Has("PIPELINING") || !e.Lists("AUTH", "plain") || !e.Lists("AUTH", "CRAM-MD5") || e.Lists("AUTH", "GSSAPI") {
		t.Errorf("%+v", e)
	}
	if e := ParseExtensions(Reply{}); e.Domain != "" || e.Has("SIZE") || e.SizeLimit() != 0 {
		t.Errorf("empty: %+v", e)
	}
}

// The results of repair and first are those of Debian's exim4 4.96 (the spool files of exim4 -bs).
func TestData(t *testing.T) {
	for _, row := range []struct {
		ends   LineEnds
		in     string // the end of the message is added
		header string // fields joined
		body   string
		cr, lf int64
	}{
		{LineEndsFirst, "S: a\r\n b\r\n\tc\r\n\r\nbody\r\n", "S: a\n b\n\tc\n", "body\n", 0, 0},
		{LineEndsFirst, "S: a\nT: b\n\nbody\n", "S: a\nT: b\n", "body\n", 0, 4},
		{LineEndsFirst, "S: a\n\nbody\n.", "S: a\n", "body\n", 0, 3}, // dot, then CRLF: the end
		{LineEndsFirst, "S: a\n\nbody\r.\rQUIT\n..foo\nx\ry\n", "S: a\n", "body\n.\nQUIT\n.foo\nx\ny\n", 3, 5},
		{LineEndsFirst, "S: a\r\n\r\nbody\r\n.\nQUIT\r\n", "S: a\n", "body\n QUIT\n", 0, 1},
		{LineEndsFirst, "S: a\r\n\r\nbody\n.\r\nQUIT\r\n", "S: a\n", "body .\nQUIT\n", 0, 1},
		{LineEndsFirst, "S: a\r\n\r\nbody\r.\r\nQUIT\r\n", "S: a\n", "body\n.\nQUIT\n", 1, 0},
		{LineEndsFirst, "S: a\r\n\r\nbody\r\n.\r\r\nQUIT\r\n", "S: a\n", "body\n\n\nQUIT\n", 1, 0},
		{LineEndsFirst, "body\r\nfoo\n.\nx\r\n", "", "body\nfoo . x\n", 0, 2},
		{LineEndsFirst, "body\nfoo\n", "", "body\nfoo\n", 0, 2},
		{LineEndsFirst, "S: a\r\n\r\nx\r\n\rfoo\r\n\n\nx\n\r\n", "S: a\n", "x\n\nfoo\n  x \n", 1, 3},
		{LineEndsFirst, "X: a\rY: b\r\n\r\nbody\r\n", "X: a\n Y: b\n", "body\n", 1, 0},
		{LineEndsFirst, "X: a\r\nT: b\nU: c\r\n V: d\r\n\r\nbo\ndy\r\n", "X: a\nT: b\n U: c\n V: d\n", "bo dy\n", 0, 2},
		{LineEndsFirst, "S: a\r\n..b: c\r\n.d: e\r\n\r\n..x\r\n.y\r\n...z\r\n", "S: a\n.b: c\nd: e\n", ".x\ny\n..z\n", 0, 0},
		{LineEndsFirst, "S: a\r\n\rT: b\r\n\r\nx\r\n", "S: a\n", "\n T: b\n\nx\n", 1, 0},
		{LineEndsFirst, "S: a\r\n:Y:z\r\n. a\r\n", "S: a\n:Y:z\n", " a\n", 0, 0},
		{LineEndsFirst, "X: s\r\n\n\xe5\r\n", "X: s\n", " \xe5\n", 0, 1},
		{LineEndsFirst, "X: s\r\n\x00Y:z\r\nX: \x00\r\n", "X: s\n", "\x00Y:z\nX: \x00\n", 0, 0},
		{LineEndsFirst, "X: a\x00b\r\n\r\nbo\x00dy\r\n", "X: a?b\n", "bo\x00dy\n", 0, 0},
		{LineEndsFirst, "S: a\r\n \r\n b\r\n \r\nX: y\r\n\t\r\nbody\r\n", "S: a\n \n b\nX: y\n", "body\n", 0, 0},
		{LineEndsFirst, "", "", "", 0, 0}, {LineEndsFirst, "X: y\r\n", "X: y\n", "", 0, 0},
		{LineEndsRepair, "S: a\n\nbody\n.\nQUIT\r\n", "S: a\n \n body\n .\n QUIT\n", "", 0, 4},
		{LineEndsKeep, "S: a\nT: b\r\n\r\nbo\rdy\n.\n\r\r\n", "S: a\nT: b\n", "bo\rdy\n.\n\r\n", 2, 3},
	} {
		for _, size := range []int{16, 4096} {
			source := bufio.NewReaderSize(strings.NewReader(row.in+".\r\nNEXT"), size)
			if strings.HasSuffix(row.in, ".") {
				source = bufio.NewReaderSize(strings.NewReader(row.in+"\r\nNEXT"), size)
			}
			d := NewDataReader(source, DataOptions{LineEnds: row.ends, Dots: true})
			result, err := header.Read(d, header.Limits{})
			if err != nil {
				t.Errorf("%q: %v", row.in, err)
				continue
			}
			d.EndHeader()
			rest, err := io.ReadAll(d)
			head := string(header.NewSection(result.Fields).AppendTo(nil))
			if body := string(result.Rest) + string(rest); head != row.header || body != row.body || err != nil || d.BareCR != row.cr || row.lf != d.BareLF {
				t.Errorf("policy %d, %q:\n got %q %q, %d CR, %d LF, %v\nwant %q %q", row.ends, row.in, head, body, d.BareCR, d.BareLF, err, row.header, row.body)
			}
			if left, _ := io.ReadAll(source); string(left) != "NEXT" {
				t.Errorf("%q: %q left", row.in, left)
			}
		}
	}
}

func TestDataEnds(t *testing.T) {
	read := func(in string, options DataOptions) (string, *DataReader, error) {
		d := NewDataReader(bufio.NewReader(strings.NewReader(in)), options)
		d.EndHeader()
		var b bytes.Buffer
		_, err := d.WriteTo(&b)
		return b.String(), d, err
	}
	if got, d, err := read("a\r\nb", DataOptions{Dots: true}); got != "a\nb" || err != io.ErrUnexpectedEOF || d.Octets != 4 {
		t.Errorf("cut: %q %v", got, err)
	}
	if got, _, err := read(".a\r\n.\r\nb\r", DataOptions{}); got != ".a\n.\nb\n" || err != nil {
		t.Errorf("chunk: %q %v", got, err)
	}
	if _, d, _ := read(strings.Repeat("x", 999)+"\r\n.\r\n", DataOptions{Dots: true}); !d.Overlong {
		t.Error("overlong line not seen")
	}
	if _, d, _ := read(strings.Repeat(strings.Repeat("x", 998)+"\r\n", 3)+".\r\n", DataOptions{Dots: true}); d.Overlong {
		t.Error("998 bytes are not too long")
	}
	d := NewDataReader(bufio.NewReader(strings.NewReader(strings.Repeat("x\r\n", 1000)+".\r\n")), DataOptions{Dots: true})
	if done, err := d.Drain(100); done || err != nil {
		t.Error("drained too much")
	}
	if done, err := d.Drain(1 << 20); !done || err != nil {
		t.Errorf("not drained: %v", err)
	}
}

func TestDotWriter(t *testing.T) {
	for _, row := range [][3]string{ // in, as DATA, as BDAT
		{"", ".\r\n", ""}, {"a", "a\r\n.\r\n", "a\r\n"}, {"a\n", "a\r\n.\r\n", "a\r\n"}, {".\n", "..\r\n.\r\n", ".\r\n"}, {"a\n.b\n..c\n", "a\r\n..b\r\n...c\r\n.\r\n", "a\r\n.b\r\n..c\r\n"},
		{"a\r\nb\r\n", "a\r\nb\r\n.\r\n", "a\r\nb\r\n"}, {"\n\n", "\r\n\r\n.\r\n", "\r\n\r\n"}, {"a\r", "a\r\n.\r\n", "a\r\n"}, {"\r\n.", "\r\n..\r\n.\r\n", "\r\n.\r\n"},
	} {
		for _, step := range []int{1, 2, 100} {
			var dots, plain bytes.Buffer
			a, b := NewDotWriter(bufio.NewWriter(&dots)), NewCRLFWriter(bufio.NewWriter(&plain))
			for in := row[0]; in != ""; {
				n := min(step, len(in))
				if m, err := a.Write([]byte(in[:n])); m != n || err != nil {
					t.Errorf("%q: wrote %d, %v", in, m, err)
				}
				b.Write([]byte(in[:n]))
				in = in[n:]
			}
			if err := a.Close(); err != nil || b.Close() != nil {
				t.Error(err)
			}
			if dots.String() != row[1] || plain.String() != row[2] {
				t.Errorf("%q by %d: %q %q", row[0], step, dots.String(), plain.String())
			}
		}
	}
}

func FuzzCommand(f *testing.F) {
	f.Add("MAIL FROM:<a@b> SIZE=1 X", "250-x\r\n250 y\r\n", "a+2Bb")
	f.Fuzz(func(t *testing.T, command, reply, xtext string) {
		c := ParseCommand(command)
		rest, _ := CutKeyword(c.Argument, "FROM")
		SplitPath(rest)
		for {
			var ok bool
			if rest, _, ok = CutParameter(rest); !ok {
				break
			}
		}
		ParseChunk(c.Argument)
		if r, err := ReadReply(bufio.NewReader(strings.NewReader(reply)), ReplyLimits{Lines: 5}); err == nil {
			ParseExtensions(r)
			if _, rest := CutEnhanced(r.Code, r.Lines[0]); len(rest) > len(r.Lines[0]) {
				t.Errorf("CutEnhanced made %q longer", r.Lines[0])
			}
		}
		if s, err := DecodeXtext(xtext); err == nil {
			if again, err := DecodeXtext(EncodeXtext(s)); again != s || err != nil {
				t.Errorf("xtext %q: %q %v", s, again, err)
			}
		}
		if i := bytes.IndexAny(NewReply(250, "", command).AppendTo(nil), "\x00"); i >= 0 {
			t.Error("NUL in reply")
		}
	})
}

// What a DotWriter writes a DataReader reads back, with nothing left over.
func FuzzData(f *testing.F) {
	f.Add([]byte("X: y\n\n.\n..\nbody\r\n.\rz"), false)
	f.Fuzz(func(t *testing.T, b []byte, keep bool) {
		var wire bytes.Buffer
		w := NewDotWriter(bufio.NewWriter(&wire))
		w.Write(b)
		w.Close()
		source := bufio.NewReaderSize(strings.NewReader(wire.String()+"NEXT"), 16)
		options := DataOptions{Dots: true, LineEnds: LineEndsRepair}
		if keep {
			options.LineEnds = LineEndsKeep
		}
		d := NewDataReader(source, options)
		d.EndHeader()
		got, err := io.ReadAll(d)
		left, _ := io.ReadAll(source)
		if err != nil || string(left) != "NEXT" || d.BareLF != 0 {
			t.Fatalf("%q: %v, %q left, %d LF", b, err, left, d.BareLF)
		}
		want := strings.ReplaceAll(string(b), "\r\n", "\n")
		if want != "" && !strings.HasSuffix(want, "\n") {
			want = strings.TrimSuffix(want, "\r") + "\n"
		}
		if keep && string(got) != want {
			t.Fatalf("%q: got %q, want %q", b, got, want)
		}
		// raw client data of any form must be read to the end
		d = NewDataReader(bufio.NewReaderSize(bytes.NewReader(b), 16), DataOptions{Dots: true, LineEnds: LineEndsFirst})
		if result, err := header.Read(d, header.Limits{Total: 1 << 16}); err == nil && result.Size > len(b)*3 {
			t.Errorf("%q: %d bytes of header", b, result.Size)
		}
	})
}

func BenchmarkDataReader(b *testing.B) {
	message := strings.Repeat("a line of text as it is common in messages, some seventy bytes long\r\n", 1000) + ".\r\n"
	b.SetBytes(int64(len(message)))
	b.ReportAllocs()
	r := strings.NewReader("")
	source := bufio.NewReaderSize(r, 8192)
	for range b.N {
		r.Reset(message)
		source.Reset(r)
		d := NewDataReader(source, DataOptions{Dots: true})
		d.EndHeader()
		if _, err := d.WriteTo(io.Discard); err != nil {
			b.Fatal(err)
		}
	}
}
