package rewrite

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"exigo/internal/config"
	"exigo/internal/expand"
	"exigo/internal/expand/builtin"
	"exigo/internal/list"
	"exigo/internal/mail"
	"exigo/internal/option"
	"exigo/internal/testkit"
)

func newRewriter(t testing.TB, rules string, log *[]string) (*Rewriter, *expand.Scope) {
	t.Helper()
	world := testkit.NewWorld(t)
	e, err := expand.New(world.World, builtin.Words(), expand.Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	var lines []config.Line
	for i, l := range strings.Split(rules, "\n") {
		lines = append(lines, config.Line{Text: strings.TrimSpace(l), File: "f", Line: i + 1})
	}
	compiled, err := Compile(lines)
	if err != nil {
		t.Fatal(err)
	}
	keep := func(_ *expand.Scope, text string) {
		if log != nil {
			*log = append(*log, text)
		}
	}
	w := &Rewriter{Rules: compiled, Settings: Settings{QualifyDomain: "test.ex", HeadersCharset: "ISO-8859-1"}, Hooks: Hooks{
		Match: func(s *expand.Scope, l, a string) (bool, error) {
			m, err := list.AddressPattern(s, l, a)
			return m.Matched, err
		},
		Log: keep, Panic: keep, LogRewrites: func(*expand.Scope) bool { return true },
	}}
	c := &config.Config{Main: option.Bag{}}
	c.Main.Add(config.MainOptions())
	return w, e.NewScope(context.Background(), c, &mail.Session{}, &mail.Message{Session: &mail.Session{}, Sender: "s@s"})
}

// table gives every place its result: the first line is sender: to reply-to:, then env-from and env-to.
func table(header, from, to string) string {
	var b strings.Builder
	for p := Sender; p <= ReplyTo; p <<= 1 {
		fmt.Fprintf(&b, "%8s: %s\n", placeNames[p], header)
	}
	return b.String() + "env-from: " + from + "\n  env-to: " + to + "\n"
}

const rules0331 = `^x@y           p@q                  S
\N^a@b         p@q                  S
2047@x.y       "A` + "\xc4\xc5\xc6" + `Z <2047@x.y>"   w
unq1@x.y       "a phrase <unq1>"    w
unq2@x.y       "a phrase <unq2>"    wQ
unq3@x.y       unq3                 wQ
4@x.y          "a 4. phrase <4@22> (a comment A` + "\xc4\xc5\xc6" + `Z)"   w
abc@abc        was-$local_part@abc
*@a.domain     $1@b.domain
*@*.one.two    $1@one.two
*pqr@^qu(.*)   1=$1@zz$2
\N^(.*)%(.*)@(re)\.ex$\N  $2.$1@$3.new
loop@x         x$local_part@x  R
*@x            *
no@never       "${if eq{a}{b}{x}fail}"
bad@never      ${foo}`

// TestBRW: output of exim -brw.
func TestBRW(t *testing.T) {
	for _, x := range []struct{ address, want, log string }{
		{"x@y", "    SMTP: p@q\n" + table("x@y", "x@y", "x@y"), `"x@y" from smtp sender rewritten as "p@q" by rule 1`},
		{"a@b", "    SMTP: p@q\n" + table("a@b", "a@b", "a@b"), ""},
		{"2047@x.y", table("=?ISO-8859-1?Q?A=C4=C5=C6Z?= <2047@x.y>", "2047@x.y", "2047@x.y"), "\"2047@x.y\" from sender: rewritten as \"A\xc4\xc5\xc6Z <2047@x.y>\" by rule 3"},
		{"unq1@x.y", table("unq1@x.y", "unq1@x.y", "unq1@x.y"), `Rewrite of unq1@x.y yielded unqualified address "a phrase <unq1>"`},
		{"unq2@x.y", table("a phrase <unq2@test.ex>", "unq2@test.ex", "unq2@test.ex"), `"unq2@x.y" from sender: rewritten as "a phrase <unq2@test.ex>" by rule 5`},
		{"unq3@x.y", table("unq3@test.ex", "unq3@test.ex", "unq3@test.ex"), ""},
		{"4@x.y", table(`"a 4. phrase" <4@22> =?ISO-8859-1?Q?=28a_comment_A=C4=C5=C6Z=29?=`, "4@22", "4@22"), ""},
		{"abc@abc", table("was-abc@abc", "was-abc@abc", "was-abc@abc"), ""},
		{"ABC@abc", table("ABC@abc", "ABC@abc", "ABC@abc"), ""},
		{"Joe <User@a.domain>", table("Joe <User@b.domain>", "User@b.domain", "User@b.domain"), ""},
		{`"abc@xyz"@X.one.two`, table(`"abc@xyz"@one.two`, `"abc@xyz"@one.two`, `"abc@xyz"@one.two`), ""},
		{"loop@x", table("xloop@x", "xloop@x", "xloop@x"), ""},
		{"no@never", table("no@never", "no@never", "no@never"), ""},
		{"bad@never", table("bad@never", "bad@never", "bad@never"), `Expansion of ${foo} failed while rewriting: unknown variable in "${foo}"`},
		{"a%b@re.ex", table("b.a@re.new", "b.a@re.new", "b.a@re.new"), ""},
		{"foo", table("foo@test.ex", "foo@test.ex", "foo@test.ex"), ""},
	} {
		var log []string
		w, s := newRewriter(t, rules0331, &log)
		got, err := w.Test(s, x.address)
		if err != nil || got != x.want {
			t.Errorf("%s: %v\n%s", x.address, err, got)
		}
		if x.log != "" && (len(log) == 0 || log[0] != x.log) {
			t.Errorf("%s: log %q", x.address, log)
		}
	}
	w, s := newRewriter(t, "*@a x$1@a R\n^(.*)!(.*)$ \"$2@$1\" S", nil)
	if got := w.Address(s, "foo@a", false); got != "xxxxxxxxxxxfoo@a" {
		t.Error(got)
	}
	for in, want := range map[string]string{"@@": "Syntax error in @@\nDomain missing or malformed\n", "": "Syntax error in @test.ex\nNo local part\n",
		"foo@a, bar@a": "Syntax error in foo@a, bar@a\nMalformed address: , bar@a may not follow foo@a\n"} {
		if _, err := w.Test(s, in); err == nil || err.Error() != want {
			t.Errorf("%q: %v", in, err)
		}
	}
	w, s = newRewriter(t, "", nil)
	if got, _ := w.Test(s, "a@b"); got != "No rewrite rules are defined\n" {
		t.Error(got)
	}
}

func TestSMTP(t *testing.T) {
	w, s := newRewriter(t, `^\N(.*)!(.*)$\N  "\$2@\$1"  S`+"\n^postmaster@my <> S\nx@y <> F", nil)
	for in, want := range map[string]string{"a!b": "b@a", "postmaster@my": "<>", "other": "other"} {
		if got := w.SMTP(s, in, true); got != want {
			t.Errorf("%s: %q", in, got)
		}
	}
	if got := w.Address(s, "x@y", true); got != "" {
		t.Errorf("null sender: %q", got)
	}
}

// TestCompileErrors: texts of exim 4.96.
func TestCompileErrors(t *testing.T) {
	for in, want := range map[string]string{
		"*@a b z":                         "unknown rewrite flag character 'z' (could be missing quotes round replacement item)",
		"*@a b@c S":                       "rewrite rule has the S flag but is not a regular expression",
		"*@a":                             "missing rewrite replacement string",
		`"*@a b@c`:                        "missing rewrite replacement string",
		"*@a ${if eq{a}{b}{x}fail}":       "unknown rewrite flag character 'e' (could be missing quotes round replacement item)",
		`"*@*"b@c`:                        "",
		"x@a b@c E F T b c f h r s tqQRw": "",
	} {
		_, err := Compile([]config.Line{{Text: in, File: "f", Line: 3}})
		got := ""
		if err != nil {
			got = err.(*config.Error).Text
		}
		if got != want {
			t.Errorf("%q: %q", in, got)
		}
	}
	if _, err := CompileList("*@a b@c E"); err == nil {
		t.Error("E in headers_rewrite")
	}
	if r, err := CompileList("a@b c@d f : *@*::x y@z"); err != nil || r.Len() != 2 || r.Any(allEnvelope) {
		t.Error(err)
	}
}

// TestHeader: lines as exim 4.96 writes them.
func TestHeader(t *testing.T) {
	const rules = "*@rw.ex $1@rewritten.example.com\n*@w.ex \"A phrase <$1@rewritten.example.com>\" hw"
	a50 := strings.Repeat("a", 50)
	for _, x := range []struct{ in, want string }{
		{"To: aaaaa, bbbbb, ccccc, ddddd, eeeee", "To: aaaaa@h.ex, bbbbb@h.ex, ccccc@h.ex, ddddd@h.ex, \n\teeeee@h.ex"},
		{"To: aaaaaaaaaa, bbbbbbbbbbbbbbbbb, cccccccccccccccc, dddddddddddddddd, eeeeeeeeeeeeee,\n ffffffffffffffff, gggggggggggg",
			"To: aaaaaaaaaa@h.ex, bbbbbbbbbbbbbbbbb@h.ex, \n\tcccccccccccccccc@h.ex, dddddddddddddddd@h.ex, \n\teeeeeeeeeeeeee@h.ex,\n ffffffffffffffff@h.ex, \n\tgggggggggggg@h.ex"},
		{"Cc: x@rw.ex, Foo <y@rw.ex> (c), z@w.ex, Joe (x) <q@w.ex> (k), bad@@foo, grp: a, b@rw.ex;",
			"Cc: x@rewritten.example.com, Foo <y@rewritten.example.com> (c), A phrase <z@rewritten.example.com>, A phrase <q@rewritten.example.com>, \n\tbad@@foo, grp: a@h.ex, b@rewritten.example.com;"},
		{"To: x@w.ex, y@w.ex, z@w.ex, v@w.ex", "To: A phrase <x@rewritten.example.com>, A phrase <y@rewritten.example.com>, A phrase <z@rewritten.example.com>, A phrase <v@rewritten.example.com>"},
		{"To: " + a50 + ",\n b, c", "To: " + a50 + "@h.ex,\n b@h.ex, \n\tc@h.ex"},
		{"To: " + a50 + ",  b, c", "To: " + a50 + "@h.ex,  \n\tb@h.ex, c@h.ex"},
		{"To: " + a50 + ", ", "To: " + a50 + "@h.ex, "},
		{"To:   x@w.ex  ", "To:   A phrase <x@rewritten.example.com>"},
		{"To: a@foo,   x@w.ex  , b@foo", "To: a@foo,   A phrase <x@rewritten.example.com>, \n\tb@foo"},
		{"To: x (c) @ rw . ex, <@foo:y@rw.ex>", "To: x@rewritten.example.com, <y@rewritten.example.com>"},
		{"Resent-From: x", "Resent-From: x@h.ex"},
		{"Subject: x", "Subject: x"},
	} {
		w, s := newRewriter(t, rules, nil)
		w.Settings.QualifyDomain = "h.ex"
		h, _ := w.Header(s, mail.NewHeader(x.in+"\n"), HeaderOptions{QualifySender: true, QualifyRecipient: true})
		if got := strings.TrimSuffix(h.Text, "\n"); got != x.want {
			t.Errorf("%q\n got  %q\n want %q", x.in, got, x.want)
		}
	}
	w, s := newRewriter(t, "", nil)
	got := w.Headers(s, []mail.Header{mail.NewHeader("To: a@old.ex, b\n"), mail.NewHeader("Subject: old.ex\n")}, HeaderOptions{OldDomain: "OLD.ex", NewDomain: "new.ex"})
	if len(got) != 3 || got[0].Type != '*' || got[1].Text != "To: a@new.ex, b\n" || got[1].Type != 'T' {
		t.Errorf("%+v", got)
	}
}

func TestPhrase(t *testing.T) {
	for in, want := range map[string]string{
		"A. N. Other": `"A. N. Other"`, `Joe "X" Bloggs`: `Joe "X" Bloggs`, "J\xc3\xb6e": "=?UTF-8?Q?J=C3=B6e?=", "a (b) c": "a (b) c", "a@b": `"a@b"`,
		"Foo, Bar": `"Foo, Bar"`, `O\x`: `"O\x"`, "Joe <x>": `"Joe <x>"`, "O'Brien": "O'Brien", `a "b c`: `a "b c"`, "a (b": "a (b)", `A "B. C" D.`: `A "B. C" "D."`,
		`a\"b`: `"a\"b"`, "(Joe) Bloggs": "(Joe) Bloggs", `"Quoted. Name"`: `"Quoted. Name"`, "": "",
	} {
		if got := Phrase(in, "UTF-8", false); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func FuzzHeader(f *testing.F) {
	for _, s := range []string{"To: a, b@rw.ex", "From: \"x\" <y@w.ex> (c)", "Cc: g: a, b;, c", "Bcc: <@a,@b:c@d>"} {
		f.Add(s)
	}
	w, s := newRewriter(f, "*@rw.ex $1@x\n*@w.ex \"A <$1@y>\" w", nil)
	f.Fuzz(func(t *testing.T, text string) {
		h, changed := w.Header(s, mail.NewHeader(text+"\n"), HeaderOptions{QualifySender: true, QualifyRecipient: true})
		if !changed && h.Text != text+"\n" {
			t.Errorf("%q became %q", text, h.Text)
		}
		if strings.Count(h.Text, "\n") > strings.Count(text, "\n")+1+strings.Count(h.Text, "\n\t") {
			t.Errorf("new lines: %q", h.Text)
		}
	})
}

func FuzzRule(f *testing.F) {
	f.Add(`"*@a" "b@c" Qw`)
	f.Add(`^x\N "a\x41\n" S`)
	f.Fuzz(func(t *testing.T, text string) { ParseRule(text, true) })
}
