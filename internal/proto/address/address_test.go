package address

import (
	"bufio"
	"errors"
	"net/netip"
	"os"
	"strings"
	"testing"
)

// TestOracle compares with what Debian's exim4 4.96 answers to MAIL FROM:<the text>: testdata/extract.txt has lines of options (L
// literals, D trailing dot, E excess angle brackets, U UTF-8), text, and the address or, after "!", the error.
func TestOracle(t *testing.T) {
	f, err := os.Open("testdata/extract.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		columns := strings.Split(lines.Text(), "\t")
		if len(columns) != 3 {
			t.Fatalf("bad line %q", lines.Text())
		}
		options := Options{AllowNull: true, AllowLiterals: strings.Contains(columns[0], "L"), StripTrailingDot: strings.Contains(columns[0], "D"),
			StripExcessAngles: strings.Contains(columns[0], "E"), AllowUTF8: strings.Contains(columns[0], "U")}
		m, err := Extract(columns[1], options)
		got := m.Address
		if err != nil {
			got = "!" + err.Error()
		}
		if got != columns[2] {
			t.Errorf("%s %q:\n got %s\nwant %s", columns[0], columns[1], got, columns[2])
		}
	}
}

func TestExtract(t *testing.T) {
	group := Options{AllowGroup: true, AllowLiterals: true}
	for _, row := range []struct {
		options Options
		in      string
		want    string // address with | before the domain, or the error
		span    string // the bytes Start to End
	}{
		{Options{}, "Foo (c) <@a,@b:x(c)@y.rw (d)> (z)", "x@|y.rw", "@a,@b:x(c)@y.rw (d)"},
		{Options{}, "Foo (c) < x @ y.rw >", "x@|y.rw", " x @ y.rw"},
		{Options{}, "(dd) q@z.rw (ee)", "q@|z.rw", "q@z.rw"},
		{Options{}, "x (c) @ (d) y.rw (e) ", "x@|y.rw", "x (c) @ (d) y.rw"},
		{Options{}, "x . y @ z . rw", "x.y@|z.rw", "x . y @ z . rw"},
		{Options{}, "@a:x@y.rw ", "x@|y.rw", "@a:x@y.rw"},
		{Options{}, "<x (c)>", "x", "x (c)"}, {Options{}, "(c) w (d)", "w", "w"}, {Options{}, "\"a b\" ", "\"a b\"", "\"a b\""},
		{Options{AllowNull: true}, "Foo <>", "", ""}, {Options{}, "<>", errLocalPart, ""},
		{Options{StripTrailingDot: true}, "x@y. (c)", "x@|y", "x@y."},
		{group, "g: x@y;", "x@|y", "x@y"}, {group, "g h : Foo <x@[1.2.3.4]> ; ignored", "x@|[1.2.3.4]", "x@[1.2.3.4]"}, {group, "g:;", errEmpty, ""},
		{group, "g: h: x@y", errLocalPart + errExpectedWord, ""}, {group, "x@y; z", "malformed address: ; z may not follow x@y", ""},
		{Options{}, "g: x@y;", errLocalPart + errExpectedWord, ""}, {Options{}, "x@y, z@w", "malformed address: , z@w may not follow x@y", ""},
		{Options{}, "x@y\x00z", "x@|y", "x@y"}, {Options{}, "", errEmpty, ""}, {Options{}, " (c) ", errEmpty, ""},
		{Options{}, strings.Repeat("a", 254) + "@b", strings.Repeat("a", 254) + "@|b", strings.Repeat("a", 254) + "@b"},
		{Options{}, strings.Repeat("a", 255) + "@b", "address is ridiculously long: " + strings.Repeat("a", 64) + "...", ""},
		{Options{AllowUTF8: true}, "å <x@å.ä>", "x@|å.ä", "x@å.ä"}, {Options{AllowUTF8: true}, "x@\xe5", errInvalidUTF8, ""},
		{Options{AllowUTF8: true}, "x@\xc0\x80", errInvalidUTF8, ""}, {Options{}, "x@å", errDomain, ""},
	} {
		m, err := Extract(row.in, row.options)
		got, span := m.Address, ""
		if m.Domain > 0 {
			got = m.Address[:m.Domain] + "|" + m.DomainPart()
		}
		var e *SyntaxError
		if errors.As(err, &e) {
			got = e.Text
		} else {
			span = row.in[m.Start:m.End]
		}
		if got != row.want || span != row.span {
			t.Errorf("%q: got %q from %q, want %q from %q", row.in, got, span, row.want, row.span)
		}
	}
	m, _ := Extract(`"a@b"@c`, Options{})
	if m.LocalPart() != `"a@b"` || m.DomainPart() != "c" {
		t.Errorf("parts: %q %q", m.LocalPart(), m.DomainPart())
	}
}

// The results are those of Debian's exim4 4.96, ${addresses:...}.
func TestList(t *testing.T) {
	for _, row := range []struct{ in, want string }{
		{"a@b;c@d", ""}, {"a@b, c@d; e@f", "a@b"}, {"g: a@b, c@d; e@f", "a@b+c@d"}, {"g: a@b, c@d;, e@f", "a@b+c@d+e@f"}, {"g: a@b, c@d", "a@b+c@d"},
		{"g:;", ""}, {"g:;, a@b", "a@b"}, {"g: <a@b>, h: c@d;, e@f", "a@b+e@f"}, {`"x, y" <a@b>, c@d`, "a@b+c@d"}, {"(x, y) a@b, c@d", "a@b+c@d"},
		{"<@a,@b:c@d>, e@f", "c@d+e@f"}, {"@a,@b:c@d, e@f", "c@d+e@f"}, {"@a,@b.c,d@e, e@f", ""}, {`"x, a@b, c@d`, ""}, {"(x a@b, c@d", ""},
		{"a@b, <c@d, e@f>, g@h", "a@b+g@h"}, {"a@b, <c@d, e@f, <g@h>", "a@b"}, {"a@[1,2], d@e", "d@e"}, {"g: a@[1;2], d@e", "a@[1;2]+d@e"},
		{` g h: a@b ;,"i": c@d; `, "a@b+c@d"}, {"g: h: a@b;, c@d", "c@d"}, {"g: ,,a@b,; , c@d", "a@b+c@d"}, {"g: a@b; x@y, c@d", "a@b+c@d"},
		{"g(c): a@b;(d), c@d", "a@b+c@d"}, {"g <a@b>: c@d; , e@f", "e@f"}, {"a:b@c", "b@c"}, {"a@b:c@d, e@f", "e@f"}, {"g:a@b;,c@d;,e@f", "a@b+e@f"},
		{":a@b,c@d", "a@b+c@d"}, {`g: "a;b"@c, d@e`, `"a;b"@c+d@e`}, {"g: (a;b)x@c, d@e", "x@c+d@e"}, {`a\,b@c, d@e`, `a\,b@c+d@e`}, {"a@b,,,c@d", "a@b+c@d"}, {"", ""}, {" , ,", ""},
	} {
		var got []string
		list := NewList(row.in, Options{AllowLiterals: true})
		for item, ok := list.Next(); ok; item, ok = list.Next() {
			if row.in[item.Offset:item.Offset+len(item.Text)] != item.Text {
				t.Errorf("%q: item %q is not at %d", row.in, item.Text, item.Offset)
			}
			if item.Err == nil {
				got = append(got, item.Mailbox.Address)
			}
		}
		if strings.Join(got, "+") != row.want {
			t.Errorf("%q: got %q, want %q", row.in, got, row.want)
		}
	}
	// Items that are no addresses come with an error; the ends of empty groups are no items.
	for in, want := range map[string]int{"g:;": 0, "g: ; , x": 1, "a b@c, d": 2, "undisclosed-recipients:;": 0, "(c)": 1, "g: a; , ; x": 2, "<>": 1} {
		n := 0
		list := NewList(in, Options{})
		for _, ok := list.Next(); ok; _, ok = list.Next() {
			n++
		}
		if n != want {
			t.Errorf("%q: %d items, want %d", in, n, want)
		}
	}
	if n := FindEnd("a\nb,c", true); n != 1 {
		t.Errorf("newline: %d", n)
	}
	if n := FindEnd("(a\n)\"\n\",c", true); n != 7 {
		t.Errorf("newline in comment: %d", n)
	}
}

func TestQuoting(t *testing.T) {
	for in, want := range map[string]string{ // as ${quote_local_part:...}
		"a": "a", "a b": `"a b"`, "a.b": "a.b", ".a": `".a"`, "a.": `"a."`, "a..b": "a..b", `a"b`: `"a\"b"`, `a\b`: `"a\\b"`, "å": `"å"`, "a@b": `"a@b"`, "": `""`,
		"a/b": "a/b", "(a)": `"(a)"`, "a%b!c": "a%b!c", "a\nb": `"a\nb"`, "a\tb": "\"a\tb\"",
	} {
		if got := QuoteLocalPart(in); got != want {
			t.Errorf("local part %q: %s", in, got)
		}
	}
	for in, want := range map[string]string{ // as RCPT gives $local_part
		"a": "a", `"a"."b"`: "a.b", `"a\\b"`: `a\b`, `ab\\\"c`: `ab\"c`, `"å"`: "å", `"a\b"."c"."@"`: "ab.c.@", `a\`: `a`,
	} {
		if got := UnquoteLocalPart(in); got != want {
			t.Errorf("unquote %q: %s", in, got)
		}
	}
	for in, want := range map[string]string{ // as -F gives the From: field, but for the last ones, which -F leaves malformed
		"Foo Bar": "Foo Bar", "a.b": `"a.b"`, `x\y`: `"x\y"`, "a, b": `"a, b"`, "a (b)": "a (b)", "a (b) c.": `"a (b) c."`, "é": "=?UTF-8?Q?=C3=A9?=", `é "x"`: "=?UTF-8?Q?=C3=A9_=22x=22?=",
		`"quoted" name`: `"quoted" name`, "a@b": `"a@b"`, "it's": "it's", "a) b": `"a) b"`, "=?utf-8?q?x?=": "=?utf-8?q?x?=", "a\nb": "=?UTF-8?Q?a=0Ab?=", "a\tb": "a\tb", `a "b.c"`: `a "b.c"`,
		"a (x.y) b.c": `"a (x.y) b.c"`, `a\"b`: `"a\"b"`, `a (b\)c)`: `a (b\)c)`, "x_.y": `"x_.y"`, `O"Neil`: `"O\"Neil"`, "a (b": `"a (b"`, `x\`: `"x\\"`, `"b.c" d.e`: `"\"b.c\" d.e"`, `"`: `"\""`, "": `""`,
	} {
		if got := QuotePhrase(in, "UTF-8"); got != want {
			t.Errorf("phrase %q: %s", in, got)
		}
	}
}

func TestParts(t *testing.T) {
	for _, row := range [][3]string{{"a@b", "a", "b"}, {`"a@b"@c`, `"a@b"`, "c"}, {"a", "a", ""}, {"", "", ""}, {"a@", "a", ""}} {
		if l, d := Split(row[0]); l != row[1] || d != row[2] {
			t.Errorf("split %q: %q %q", row[0], l, d)
		}
	}
	for in, want := range map[string]string{"A@B.Ex": "A@b.ex", "A": "A", "A@b": "A@b", `"A@B"@C`: `"A@B"@c`, "x@Å": "x@Å"} {
		if got := FoldDomain(in); got != want {
			t.Errorf("fold %q: %q", in, got)
		}
	}
	for in, want := range map[string]string{"[192.0.2.1]": "192.0.2.1", "[IPv6:2001:db8::1]": "2001:db8::1", "[ipv6:::1]": "::1", "[::1]": "::1", "[1.2.3.400]": "", "[IPv6:1.2.3.4]": "",
		"[]": "", "1.2.3.4": "", "[fe80::1%eth0]": "", "[foo]": "", "[": "", "[IPv6:]": ""} {
		a, ok := ParseLiteral(in)
		if ok != (want != "") || ok && a != netip.MustParseAddr(want) {
			t.Errorf("literal %q: %v %v", in, a, ok)
		}
	}
	for in, want := range map[string]bool{"a": true, "a.b": true, "a-.b": true, "a--b": true, "1.2": true, "": false, ".": false, "a.": false, ".a": false, "a..b": false, "-a": false, "a_b": false, "å": false, "a b": false} {
		if ValidDomain(in, false) != want {
			t.Errorf("domain %q", in)
		}
	}
	if !ValidDomain("å.b", true) || ValidDomain("\xff", true) {
		t.Error("UTF-8 domain")
	}
}

func FuzzExtract(f *testing.F) {
	for _, s := range []string{"Foo (c) <@a,@b:x(c)@y.rw (d)> (z)", `"a b"."c"@d`, "g: a@b, c@d;, e@f", "x@[1.2.3.4]", `a\,b@c`} {
		f.Add(s, byte(255))
	}
	f.Fuzz(func(t *testing.T, s string, bits byte) {
		options := Options{AllowNull: bits&1 != 0, AllowLiterals: bits&2 != 0, StripTrailingDot: bits&4 != 0, StripExcessAngles: bits&8 != 0, AllowUTF8: bits&16 != 0, AllowGroup: bits&32 != 0}
		m, err := Extract(s, options)
		if err == nil {
			if m.Start > m.End || m.End > len(s) || m.Domain > len(m.Address) {
				t.Errorf("%q: %+v", s, m)
			}
			options.AllowLiterals = true
			again, err := Extract(m.Address, options)
			if m.Address != "" && (err != nil || again.Address != m.Address) {
				t.Errorf("%q: %q is read as %q, %v", s, m.Address, again.Address, err)
			}
		}
		list := NewList(s, options)
		for _, ok := list.Next(); ok; _, ok = list.Next() {
		}
		if p := QuotePhrase(s, "UTF-8"); len(s) < 100 && !strings.Contains(p, "=?") {
			if m, err := Extract(p+" <x@y>", Options{}); err != nil || m.Address != "x@y" {
				t.Errorf("phrase %q: %q: %v", s, p, err)
			}
		}
	})
}

func BenchmarkExtract(b *testing.B) {
	b.ReportAllocs()
	for range b.N {
		if _, err := Extract("<user.name@example.com>", Options{}); err != nil {
			b.Fatal(err)
		}
	}
}
