package redirect

import (
	"errors"
	"strings"
	"testing"
)

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"a@b, c", "\"|/bin/x y, z\"", ":fail: no", "x, :include:/a", "#c\n\\a", "/a/b/", ":blackhole:", "<a@b> (c)", "\"a", "::", ":defer:\nx",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p := &parser{allowFail: true, allowDefer: true, skip: true, include: func(path string) (string, error) {
			if strings.ContainsAny(path, "\n") {
				t.Errorf("path with a newline: %q", path)
			}
			return "", errors.New("none")
		}}
		if _, err := p.parse(text); err != nil && err.Error() == "" {
			t.Error("error without text")
		}
		for _, i := range p.items {
			if strings.ContainsAny(i.text, "\n") {
				t.Errorf("item with a newline: %q of %q", i.text, text)
			}
		}
	})
}

func TestIncludeDepth(t *testing.T) {
	n := 0
	p := &parser{include: func(string) (string, error) { n++; return ":include:/again", nil }}
	if _, err := p.parse(":include:/again"); err == nil || err.Error() != "included files are nested too deeply" {
		t.Error(err)
	}
	if n != maxDepth {
		t.Error(n)
	}
}

func TestWithoutCode(t *testing.T) {
	for in, want := range map[string]string{
		"550 no": "no", "550 5.1.1 no": "no", "550": "550", "55x no": "55x no", "550 5.1 no": "5.1 no", "plain": "plain", "550 5.1.1": "5.1.1",
	} {
		if got := withoutCode(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestFilterKind(t *testing.T) {
	for in, want := range map[string]string{
		"#Exim filter\nx": "exim", "# exim  FILTER": "exim", "#   Sieve filter": "sieve", "#Eximfilter": "", "Exim filter": "", "\n# Exim filter": "exim", "#": "",
	} {
		if got := filterKind(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
