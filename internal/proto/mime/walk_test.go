package mime

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"exigo/internal/proto/header"
)

func TestParameters(t *testing.T) {
	for _, row := range []struct{ in, want string }{
		{"text/plain", "text/plain"},
		{" Text/HTML ; Charset = \"UTF-8\" (comment; x=y); format=flowed", "text/html charset=UTF-8 format=flowed"},
		// RFC 2231 sections 3, 4 and 4.1
		{"message/external-body; access-type=URL;\n URL*0=\"ftp://\";\n URL*1=\"cs.utk.edu/pub/moore/bulk-mailer/bulk-mailer.tar\"",
			"message/external-body access-type=URL url=ftp://cs.utk.edu/pub/moore/bulk-mailer/bulk-mailer.tar"},
		{"application/x-stuff; title*=us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A", "application/x-stuff title=This is ***fun***[us-ascii'en-us]"},
		{"application/x-stuff; title*0*=us-ascii'en'This%20is%20even%20more%20; title*1*=%2A%2A%2Afun%2A%2A%2A%20; title*2=\"isn't it!\"",
			"application/x-stuff title=This is even more ***fun*** isn't it![us-ascii'en]"},
		{"a/b; x*1=2; y=1; x*0=1", "a/b y=1 x=12"}, {"a/b; f=plain; f*=utf-8''%C3%A9", "a/b f=é[utf-8']"}, {"a/b; f*=utf-8''%C3%A9; f=plain", "a/b f=é[utf-8']"},
		{"a/b; x=1; x=2", "a/b x=1"}, {"a/b; x*z=1", "a/b x*z=1"}, {"a/b; x*=plain%41", "a/b x=plainA"}, {"a/b; x=\"a\\\"b;c\"; y=d", "a/b x=a\"b;c y=d"},
		{"a/b;;; x=y;", "a/b x=y"}, {"a/b; x; y=1", "a/b y=1"}, {"a/b; name=a b.txt", "a/b name=a b.txt"}, {"a/b; x=\"open", "a/b x=open"}, {"", ""}, {";=", ""},
		{"a/b; x=\"a\n b\"", "a/b x=a b"}, {"a/b; x*=%4", "a/b x=%4"}, {"(c) a/b (d(e)\\)); x=y", "a/b x=y"},
	} {
		value, parameters := ParseParameters(row.in)
		got := value
		for _, p := range parameters {
			got += " " + p.Name + "=" + p.Value
			if p.Charset != "" {
				got += "[" + p.Charset + "'" + p.Language + "]"
			}
		}
		if got != row.want {
			t.Errorf("%q:\n got %q\nwant %q", row.in, got, row.want)
		}
	}
}

// walk describes a message: a line for each part, with its place, type and body.
func walk(message string, limits Limits) (string, error) {
	var out strings.Builder
	w := NewWalker(strings.NewReader(message), limits)
	for {
		p, err := w.Next()
		if err == io.EOF {
			return out.String(), nil
		}
		if err != nil {
			return out.String(), err
		}
		body, err := io.ReadAll(w)
		fmt.Fprintf(&out, "%d.%d.%d %s cover=%v %q\n", p.Index, p.Depth, p.Sibling, p.Type, p.CoverLetter(), body)
		if err != nil {
			return out.String(), err
		}
	}
}

func TestWalker(t *testing.T) {
	for _, row := range []struct{ name, in, want string }{
		{"plain", "Subject: x\n\nbody\nmore\n", "0.0.0  cover=true \"body\\nmore\\n\"\n"},
		{"empty", "", "0.0.0  cover=true \"\"\n"},
		{"no newline at end", "A: b\n\nx", "0.0.0  cover=true \"x\"\n"},
		{"multipart", "Content-Type: multipart/mixed; boundary=b\n\npreamble\n--b\nContent-Type: text/plain\n\none\n\n--b\n\ntwo\n--b--\nepilogue\n--b\n",
			"0.0.0 multipart/mixed cover=true \"preamble\"\n1.1.0 text/plain cover=true \"one\\n\"\n2.1.1  cover=false \"two\"\n"},
		{"CRLF", "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b  \r\n\r\none\r\n--b--\r\n",
			"0.0.0 multipart/mixed cover=true \"\"\n1.1.0  cover=true \"one\"\n"},
		{"nested", "Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: multipart/alternative; boundary=ab\n\n--ab\nContent-Type: text/plain\n\n1\n" +
			"--ab\nContent-Type: text/html\n\n2\n--ab--\n\n--a\nContent-Type: image/png\n\n3\n--a--\n",
			"0.0.0 multipart/mixed cover=true \"\"\n1.1.0 multipart/alternative cover=true \"\"\n2.2.0 text/plain cover=true \"1\"\n" +
				"3.2.1 text/html cover=true \"2\"\n4.1.1 image/png cover=false \"3\"\n"},
		{"inner not closed", "Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\n1\n--a\n\n2\n--a--\n",
			"0.0.0 multipart/mixed cover=true \"\"\n1.1.0 multipart/mixed cover=true \"\"\n2.2.0  cover=true \"1\"\n3.1.1  cover=false \"2\"\n"},
		{"not closed", "Content-Type: multipart/mixed; boundary=a\n\n--a\n\n1\n", "0.0.0 multipart/mixed cover=true \"\"\n1.1.0  cover=true \"1\\n\"\n"},
		{"boundary in header", "Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: text/plain\n--a\n\n2\n--a--\n",
			"0.0.0 multipart/mixed cover=true \"\"\n1.1.0 text/plain cover=true \"\"\n2.1.1  cover=false \"2\"\n"},
		{"part without header", "Content-Type: multipart/mixed; boundary=a\n\n--a\nno header\n--a--\n",
			"0.0.0 multipart/mixed cover=true \"\"\n1.1.0  cover=true \"no header\\n\"\n"},
		{"no boundary", "Content-Type: multipart/mixed\n\n--a\nx\n", "0.0.0 multipart/mixed cover=true \"--a\\nx\\n\"\n"},
		{"looks like one", "Content-Type: multipart/mixed; boundary=a\n\n--ab\n--a-\n --a\n--a\n\nx--a\n--a--", "0.0.0 multipart/mixed cover=true \"--ab\\n--a-\\n --a\"\n1.1.0  cover=true \"x--a\"\n"},
		{"long line", "Content-Type: multipart/mixed; boundary=a\n\n--a\n\n" + strings.Repeat("x", 8192) + "--a\n--a--\n",
			"0.0.0 multipart/mixed cover=true \"\"\n1.1.0  cover=true \"" + strings.Repeat("x", 8192) + "--a\"\n"},
		{"message", "Content-Type: message/rfc822\n\nSubject: inner\n\nbody\n", "0.0.0 message/rfc822 cover=true \"Subject: inner\\n\\nbody\\n\"\n"},
	} {
		got, err := walk(row.in, Limits{})
		if got != row.want || err != nil {
			t.Errorf("%s: %v\n got %s\nwant %s", row.name, err, got, row.want)
		}
	}
}

func TestWalkerLimits(t *testing.T) {
	var deep strings.Builder
	for i := range 60 {
		fmt.Fprintf(&deep, "Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n", i, i)
	}
	many := "Content-Type: multipart/mixed; boundary=a\n\n" + strings.Repeat("--a\n\n", 20)
	for _, row := range []struct {
		in     string
		limits Limits
		want   error
	}{
		{deep.String(), Limits{}, ErrTooDeep}, {many, Limits{Parts: 10}, ErrTooManyParts}, {many, Limits{}, nil},
		{"A: " + strings.Repeat("x", 100) + "\n\n", Limits{Header: 50}, header.ErrTooLong},
	} {
		if _, err := walk(row.in, row.limits); !errors.Is(err, row.want) {
			t.Errorf("got %v, want %v", err, row.want)
		}
	}
	// Next skips what was not read.
	w := NewWalker(strings.NewReader(many), Limits{})
	for n := 0; ; n++ {
		if _, err := w.Next(); err == io.EOF {
			if n != 21 {
				t.Errorf("%d parts", n)
			}
			break
		}
	}
}

func TestPart(t *testing.T) {
	w := NewWalker(strings.NewReader("Content-Type: Text/Plain; name==?utf-8?q?a=C3=A9?=\nContent-Disposition: Attachment;\n filename*=iso-8859-1''%E9.txt\n"+
		"Content-Transfer-Encoding: BASE64\n\n"), Limits{})
	p, err := w.Next()
	if err != nil || p.Type != "text/plain" || p.Disposition != "attachment" || p.Encoding != "base64" || p.Filename("utf-8") != "é.txt" || len(p.Header) != 3 {
		t.Errorf("%+v %v", p, err)
	}
	p.DispositionParameters = nil
	if got := p.Filename("utf-8"); got != "aé" {
		t.Errorf("name: %q", got)
	}
}

func TestDecoder(t *testing.T) {
	long := bytes.Repeat([]byte("0123456789abcde"), 5000)
	for _, row := range []struct {
		encoding, in, want string
		malformed          int
	}{
		{"7bit", "a\nb", "a\nb", 0}, {"", "x", "x", 0}, {"Base64", "YWJj\r\nZGU=\r\n", "abcde", 0}, {"base64", "YQ==YWI=", "aab", 0}, {"base64", "Y-WJj!", "abc", 2}, {"base64", "YWJjZ", "abc", 1},
		{"base64", "YWJjZG", "abcd", 1}, {"base64", base64.StdEncoding.EncodeToString(long), string(long), 0},
		{"quoted-printable", "a=20b=\n c=3D\nd  \n", "a b c=\nd\n", 0}, {"quoted-printable", "a=\r\nb\r\n", "ab\r\n", 0}, {"quoted-printable", "=zz=4", "=zz=4", 2}, {"quoted-printable", "=c3=a9", "é", 0},
		{"quoted-printable", strings.Repeat("x", 4095) + "=41" + strings.Repeat("y", 4093) + "=", strings.Repeat("x", 4095) + "A" + strings.Repeat("y", 4093), 0},
		{"quoted-printable", strings.Repeat("x", 4094) + "=41" + "\n", strings.Repeat("x", 4094) + "A\n", 0},
	} {
		d := NewDecoder(row.encoding, strings.NewReader(row.in))
		got, err := io.ReadAll(d)
		if string(got) != row.want || err != nil || d.Malformed != row.malformed {
			t.Errorf("%s %.40q: got %.60q, %v, %d malformed", row.encoding, row.in, got, err, d.Malformed)
		}
	}
}

func FuzzWalker(f *testing.F) {
	f.Add("Content-Type: multipart/mixed; boundary=b\n\npreamble\n--b\nContent-Type: text/plain\n\none\n\n--b\n\ntwo\n--b--\nepilogue\n")
	f.Add("Content-Type: a; b*0*=c'd'e; b*1=\"x\"\n\n")
	f.Fuzz(func(t *testing.T, s string) {
		w := NewWalker(strings.NewReader(s), Limits{Depth: 5, Parts: 100})
		for {
			p, err := w.Next()
			if err != nil {
				return
			}
			p.Filename("utf-8")
			if _, err := io.Copy(io.Discard, NewDecoder("quoted-printable", w)); err != nil {
				return
			}
		}
	})
}

func FuzzDecoder(f *testing.F) {
	f.Add("YWJj", "a=41=\nb")
	f.Fuzz(func(t *testing.T, a, b string) {
		io.Copy(io.Discard, NewDecoder("base64", strings.NewReader(a)))
		io.Copy(io.Discard, NewDecoder("quoted-printable", strings.NewReader(b)))
	})
}
