package route

import (
	"slices"
	"testing"

	"exigo/internal/mail"
	"exigo/internal/option"
)

func TestTables(t *testing.T) {
	set := GenericOptions()
	g := set.New().(*Generic)
	if !g.AddressTest || !g.Expn || !g.More.Value || g.Self != "freeze" || g.DNSSECRequest != "*" {
		t.Errorf("%+v", g)
	}
	names := map[string]bool{}
	for _, d := range set.Describe() {
		if names[d.Name] || d.Doc == "" || d.Type == "" {
			t.Errorf("row %+v", d)
		}
		names[d.Name] = true
	}
	if len(option.SplitList(";")) != 1 {
		t.Error("lists")
	}
}

func TestSplit(t *testing.T) {
	for in, want := range map[string][3]string{
		"User@Dom.Ain":          {"User", "user", "dom.ain"},
		`"a b"@x`:               {"a b", "a b", "x"},
		`a\@b@c`:                {"a@b", "a@b", "c"},
		`"a\"@b"@C`:             {`a"@b`, `a"@b`, "c"},
		"\xc3\x84x@\xc3\x84.ex": {"\xc3\x84x", "\xc3\x84x", "\xc3\x84.ex"},
		"local":                 {"local", "local", ""},
	} {
		a := &mail.Address{Address: in}
		Split(a)
		if got := [3]string{a.CasefulLocalPart, a.LocalPart, a.Domain}; got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestUnique(t *testing.T) {
	a := &mail.Address{Address: "x@y", Unique: "x@y"}
	b := newChild(a, "z@y")
	c := newChild(b, "X@Y")
	d := newChild(c, "x@y")
	file := newDelivery(d, "/f", mail.KindFile)
	for _, test := range []struct{ got, want string }{
		{b.Unique, "z@y"}, {c.Unique, `\0\X@y`}, {d.Unique, `\1\x@y`}, {file.Unique, "/f:x@y"},
	} {
		if test.got != test.want {
			t.Errorf("%s, want %s", test.got, test.want)
		}
	}
	if Homonym(b) || !Homonym(c) || Homonym(file) {
		t.Error("homonyms")
	}
}

func TestCommandWords(t *testing.T) {
	for in, want := range map[string][]string{
		"/bin/x a b":                {"/bin/x", "a", "b"},
		`/bin/x 'a b' "c \"d\"\n"`:  {"/bin/x", "a b", "c \"d\"\n"},
		"/bin/x ${if eq{a}{b c}} d": {"/bin/x", "${if eq{a}{b c}}", "d"},
		"":                          nil,
	} {
		if got, err := CommandWords(in); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %q %v", in, got, err)
		}
	}
	if _, err := CommandWords("a 'b"); err == nil {
		t.Error("unmatched quote")
	}
}

func FuzzCommandWords(f *testing.F) {
	f.Add(`a "b\`)
	f.Fuzz(func(t *testing.T, text string) { CommandWords(text) })
}

func TestParseSelf(t *testing.T) {
	for in, want := range map[string]selfAction{
		"freeze": {kind: selfFreeze}, "reroute: x.y": {kind: selfReroute, domain: "x.y"}, "reroute: rewrite: x.y": {kind: selfReroute, rewrite: true, domain: "x.y"},
	} {
		if got, err := parseSelf(in); err != nil || got != want {
			t.Errorf("%s: %+v %v", in, got, err)
		}
	}
	if _, err := parseSelf("zz"); err == nil {
		t.Error("zz")
	}
}
