package regex

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// agree fails the test if PCRE2 finds something else than the simple matcher, and reports whether the pattern was simple.
func agree(t *testing.T, pattern, subject string, options Options, start int) bool {
	t.Helper()
	s, ok := parseSimple(pattern, options)
	if !ok {
		return false
	}
	slow := &Regexp{pattern: pattern, options: options, pool: &pool{}}
	if _, err := slow.compiled(); err != nil {
		t.Fatalf("%q is taken for simple but is wrong: %v", pattern, err)
	}
	want, err := slow.MatchIndex(nil, subject, start, false)
	if err != nil {
		return true
	}
	var m search
	found, decided := s.find(&m, subject, start)
	var got []int
	if found {
		got = m.pairs[:2*s.groups+2]
	}
	if decided && fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("%q on %q from %d (options %d): %v, PCRE2 says %v", pattern, subject, start, options, got, want)
	}
	return true
}

// TestSimpleAgrees compares the two matchers on patterns made at random.
func TestSimpleAgrees(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	pick := func(list ...string) string { return list[r.IntN(len(list))] }
	atoms := []string{"a", "b", "A", "@", ".", `\.`, `\d`, `\W`, `\s`, "[ab]", "[^a]", "[a-c.]", `[\w.-]`, "[^@]", "[-a]", `[\]x]`, "[^A-Z]", "-", "_", "\n", "]"}
	simple := 0
	for range 30_000 {
		var p, s strings.Builder
		p.WriteString(pick("", "", "^"))
		open := 0
		for range 1 + r.IntN(5) {
			if r.IntN(4) == 0 {
				p.WriteString("(")
				open++
			}
			p.WriteString(pick(atoms...) + pick("", "", "", "*", "+", "?", "*?", "+?", "??", "{2}", "{1,2}", "{0,3}?", "{1,}"))
			if open > 0 && r.IntN(2) == 0 {
				p.WriteString(")")
				open--
			}
		}
		p.WriteString(strings.Repeat(")", open) + pick("", "", "$"))
		for range r.IntN(9) {
			s.WriteString(pick("a", "b", "c", "A", "B", "@", ".", "-", "_", " ", "1", "\n", "\xe9", "]"))
		}
		if agree(t, p.String(), s.String(), Options(r.IntN(2)), r.IntN(s.Len()+1)) {
			simple++
		}
	}
	if simple < 20_000 {
		t.Errorf("only %d patterns are simple", simple)
	}
	for _, pattern := range []string{"a|b", "(a)*", "(?:a)", "^*", "a**", "a++", "[[:alpha:]]", "[]a]", "a{,3}", "a{2", `\b`, `\1`, "(", ")", "[", "()", "$a", `[a-\d]`, "[b-a]"} {
		if _, ok := parseSimple(pattern, 0); ok {
			t.Errorf("%q is taken for simple", pattern)
		}
	}
}

// TestSimpleGivesUp: where many possibilities must be tried PCRE2 decides.
func TestSimpleGivesUp(t *testing.T) {
	re, err := Compile(`^.*.*.*.*.*x$`, 0)
	if err != nil {
		t.Fatal(err)
	}
	var m search
	if _, decided := re.simple.find(&m, strings.Repeat("a", 200), 0); decided {
		t.Error("millions of steps were taken")
	}
	if _, ok, err := re.Match(strings.Repeat("a", 200)); ok || err != nil && !IsLimit(err) {
		t.Errorf("%v, %v", ok, err)
	}
}

func FuzzSimple(f *testing.F) {
	for _, seed := range []string{`^([a-z]+)([0-9]+)@(.*)$`, `[.]`, `^.*[@%!/|]`, `a{2,}?b`, `(a?)(b*)`, `[^\w-]+`} {
		f.Add(seed, "user12@example.test\n", uint8(0), uint8(0))
		f.Add(seed, "Aab/b", uint8(1), uint8(1))
	}
	f.Fuzz(func(t *testing.T, pattern, subject string, options, start uint8) {
		if int(start) <= len(subject) {
			agree(t, pattern, subject, Options(options)&Caseless, int(start))
		}
	})
}
