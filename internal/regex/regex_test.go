package regex

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestMatch(t *testing.T) {
	for _, test := range []struct {
		pattern string
		options Options
		subject string
		want    string // captures joined by "|", "-" for no match
	}{
		{`b`, 0, "abc", "b"},
		{`B`, 0, "abc", "-"},
		{`B`, Caseless, "abc", "b"},
		{`^a\.b$`, 0, "a.b\n", "a.b"},
		{`^a\.b$`, 0, "a.b\n\n", "-"},
		{`^a\.b$`, 0, "axb", "-"},
		{``, 0, "", ""},
		{`$`, 0, "a\n", ""},
		{`x*`, 0, "", ""},
		{`^(a)(x)?(c)`, 0, "acd", "ac|a||c"},
		{`(a)|(b)`, 0, "a", "a|a"}, // groups after the last that took part do not exist
		{`(?i)É`, 0, "É", "É"},
		{`^(?:a|b){2,3}$`, 0, "aba", "aba"},
		{`(?<y>\d{4})-(?<m>\d\d)`, 0, "on 2024-05-06", "2024-05|2024|05"},
		{`(.)\1`, 0, "abccd", "cc|c"},
		{`(?<=@)\w+(?=\.)`, 0, "a@bc.d", "bc"},
		{`\N*`, 0, "ab\nc", "ab"},
		{`(*UTF)^.$`, 0, "é", "é"},
		{`(*UTF)^.$`, 0, "\xff", "-"},
		{`^.$`, 0, "é", "-"},
		{"a\x00b", 0, "xa\x00b", "a\x00b"},
		{`^\x00`, 0, "\x00", "\x00"},
		{strings.Repeat("(a)", 30), 0, strings.Repeat("a", 30), strings.Repeat("a", 30) + strings.Repeat("|a", 30)},
	} {
		re, err := Compile(test.pattern, test.options)
		if err != nil {
			t.Errorf("%q: %v", test.pattern, err)
			continue
		}
		captures, ok, err := re.Match(test.subject)
		got := strings.Join(captures, "|")
		if !ok {
			got = "-"
		}
		if err != nil || got != test.want {
			t.Errorf("%q on %q: got %q, %v; want %q", test.pattern, test.subject, got, err, test.want)
		}
		if hit, err := re.Test(test.subject); hit != ok || err != nil {
			t.Errorf("%q on %q: Test says %v %v", test.pattern, test.subject, hit, err)
		}
	}
}

func TestSyntaxErrors(t *testing.T) {
	for pattern, want := range map[string]string{
		`(`:     `regular expression error in "(": missing closing parenthesis at offset 1`,
		`b[`:    `regular expression error in "b[": missing terminating ] for character class at offset 2`,
		`*`:     `regular expression error in "*": quantifier does not follow a repeatable item at offset 0`,
		`a(?P<`: `regular expression error in "a(?P<": subpattern name expected at offset 5`,
		`abc\`:  `regular expression error in "abc\": \ at end of pattern at offset 4`,
	} {
		_, err := Compile(pattern, 0)
		var syntax *SyntaxError
		if !errors.As(err, &syntax) || err.Error() != want {
			t.Errorf("%q: got %v", pattern, err)
		}
	}
}

func TestLimit(t *testing.T) {
	for _, pattern := range []string{`^(a+)+(b|c)$`, `^((a|a)*)*$`} {
		re, err := Compile(pattern, 0)
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = re.Match(strings.Repeat("a", 40) + "!")
		if !IsLimit(err) {
			t.Errorf("%s: got %v, want a limit", pattern, err)
		}
		if _, ok, err := re.Match("aac"); err != nil || ok != (pattern[2] == 'a') {
			t.Errorf("%s: unusable after the limit: %v %v", pattern, ok, err)
		}
	}
	re, _ := Compile(`^(?:.|\n)*?x$`, 0) // needs memory for each character
	if _, _, err := re.Match(strings.Repeat("\n", 4<<20)); err != nil && !IsLimit(err) {
		t.Error(err)
	}
}

func TestMatchIndexGoesOn(t *testing.T) {
	re, _ := Compile(`x*`, 0)
	var got []string
	subject, start, notEmpty := "axxb", 0, false
	for {
		pairs, err := re.MatchIndex(nil, subject, start, notEmpty)
		if err != nil {
			t.Fatal(err)
		}
		if pairs == nil {
			if !notEmpty || start >= len(subject) {
				break
			}
			start, notEmpty = start+1, false
			continue
		}
		got = append(got, fmt.Sprint(pairs))
		start, notEmpty = pairs[1], pairs[0] == pairs[1]
	}
	if s := strings.Join(got, ""); s != "[0 0][1 3][3 3][4 4]" {
		t.Error(s)
	}
}

func TestCache(t *testing.T) {
	c := NewCache(2)
	a1, _ := c.Compile("a(b)", 0)
	a2, _ := c.Compile("a(b)", 0)
	caseless, _ := c.Compile("a(b)", Caseless)
	if a1 != a2 || a1 == caseless {
		t.Error("cache mixes patterns up")
	}
	c.Compile("a(b)", 0)
	c.Compile("c+", 0) // drops the caseless one
	if again, _ := c.Compile("a(b)", 0); again != a1 {
		t.Error("the most recently used pattern was dropped")
	}
	if again, _ := c.Compile("a(b)", Caseless); again == caseless {
		t.Error("the cache grows")
	}
	if _, err := c.Compile("(", 0); err == nil {
		t.Error("no error")
	}
}

func TestConcurrent(t *testing.T) {
	c := NewCache(3)
	done := make(chan error)
	for g := range 8 {
		go func() {
			for i := range 300 {
				re, err := c.Compile(fmt.Sprintf(`^(\w+)-%d$`, i%7), 0)
				if err == nil {
					var ok bool
					var captures []string
					captures, ok, err = re.Match(fmt.Sprintf("ab%d-%d", g, i%7))
					if !ok || captures[1] != fmt.Sprint("ab", g) {
						err = fmt.Errorf("got %q", captures)
					}
				}
				if err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for range 8 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// FuzzPlain compares the short way with PCRE2.
func FuzzPlain(f *testing.F) {
	for _, seed := range []string{`^ab\.c$`, `a$`, `$`, `^`, ``, `a\_b`, `x-y]`, `^a^`, `ab\@c`, "a#b c", `A`} {
		f.Add(seed, "xaB.c\n", uint8(0), uint8(1))
		f.Add(seed, "ab.c", uint8(1), uint8(0))
	}
	f.Fuzz(func(t *testing.T, pattern, subject string, options, start uint8) {
		o := Options(options) & Caseless
		if int(start) > len(subject) {
			return
		}
		p, ok := parsePlain(pattern, o)
		if !ok {
			return
		}
		c, err := compileCode(pattern, o)
		if err != nil {
			t.Fatalf("%q is taken for plain but is wrong: %v", pattern, err)
		}
		slow := &Regexp{pattern: pattern, options: o, code: c, pool: &pool{}}
		fast := &Regexp{pattern: pattern, options: o, plain: p}
		for _, here := range []bool{false, true} {
			want, err := slow.MatchIndex(nil, subject, int(start), here)
			got, _ := fast.MatchIndex(nil, subject, int(start), here)
			if err == nil && fmt.Sprint(got) != fmt.Sprint(want) {
				t.Fatalf("%q on %q from %d (%v): %v, PCRE2 says %v", pattern, subject, start, here, got, want)
			}
		}
	})
}

func BenchmarkMatch(b *testing.B) {
	re, _ := Compile(`^([a-z]+)@(.*)\.example$`, 0)
	b.ReportAllocs()
	for b.Loop() {
		re.Match("postmaster@mail.example")
	}
}

func BenchmarkPlain(b *testing.B) {
	re, _ := Compile(`^postmaster@`, Caseless)
	b.ReportAllocs()
	for b.Loop() {
		re.Test("Postmaster@mail.example")
	}
}
