package option

import (
	"reflect"
	"slices"
	"testing"
	"time"
)

type settings struct {
	Bool    bool
	Tri     *bool
	Int     int
	Size    Size
	KSize   KSize
	Octal   Octal
	Fixed   Fixed
	Load    *Fixed
	Time    time.Duration
	Times   Times
	Text    string
	Exp     Expanded
	Items   []string
	XBool   ExpandedBool
	XTime   ExpandedTime
	Users   UserList
	Hosts   HostList
	Unknown struct{}
}

func table() Table[settings] {
	return Table[settings]{Scope: "main", Rows: []Row[settings]{
		{Name: "bool", Default: "true", Field: func(s *settings) any { return &s.Bool }, Doc: "A."},
		{Name: "tri", Field: func(s *settings) any { return &s.Tri }},
		{Name: "int", Default: "0x10", Field: func(s *settings) any { return &s.Int }},
		{Name: "old_int", AliasOf: "int"},
		{Name: "size", Default: "10M", Field: func(s *settings) any { return &s.Size }},
		{Name: "ksize", Default: "10", Field: func(s *settings) any { return &s.KSize }},
		{Name: "octal", Default: "0644", Field: func(s *settings) any { return &s.Octal }},
		{Name: "fixed", Default: "1.5", Field: func(s *settings) any { return &s.Fixed }},
		{Name: "load", Field: func(s *settings) any { return &s.Load }},
		{Name: "time", Default: "1h30m", Field: func(s *settings) any { return &s.Time }},
		{Name: "times", Default: "1h:2d", Field: func(s *settings) any { return &s.Times }},
		{Name: "text", Field: func(s *settings) any { return &s.Text }},
		{Name: "exp", Default: "a\tb", Field: func(s *settings) any { return &s.Exp }},
		{Name: "items", Default: "a : b::c", Field: func(s *settings) any { return &s.Items }},
		{Name: "xbool", Default: "$x", Field: func(s *settings) any { return &s.XBool }},
		{Name: "xtime", Default: "5m", Field: func(s *settings) any { return &s.XTime }},
		{Name: "users", Field: func(s *settings) any { return &s.Users }},
		{Name: "hosts", Default: "*", Field: func(s *settings) any { return &s.Hosts }},
	}}
}

func TestTable(t *testing.T) {
	set := Set(table())
	bag := Bag{}
	s := bag.Add(set).(*settings)
	if bag.Add(set) != any(s) || Of[settings](bag) != s || Of[int](bag) == nil || set.Type() != reflect.TypeFor[settings]() {
		t.Fatal("bag")
	}
	want := map[string]string{"bool": "bool", "tri": "no_tri", "int": "int = 16", "old_int": "old_int = 16", "size": "size = 10M", "ksize": "ksize = 10K", "octal": "octal = 0644",
		"fixed": "fixed = 1.5", "load": "load =", "time": "time = 1h30m", "times": "times = 1h:2d", "text": "text = ", "exp": `exp = a\tb`, "items": "", "xbool": "xbool = $x",
		"xtime": "xtime = 5m", "users": "", "hosts": "hosts = *"}
	for _, d := range set.Describe() {
		field, ok := set.Field(s, d.Name)
		if !ok {
			t.Fatalf("%s has no field", d.Name)
		}
		if line, _ := Format(d.Name, field); line != want[d.Name] {
			t.Errorf("%s prints %q, want %q", d.Name, line, want[d.Name])
		}
		if d.AliasOf == "" && d.Type == "" {
			t.Errorf("%s has no type", d.Name)
		}
	}
	if !slices.Equal(s.Items, []string{"a", "b:c"}) {
		t.Errorf("items %q", s.Items)
	}
	if _, ok := set.Field(s, "none"); ok {
		t.Error("unknown option has a field")
	}
	if Parse(&s.Unknown, "x") == nil {
		t.Error("unknown type passes")
	}
}

func TestParse(t *testing.T) {
	var s settings
	for _, c := range []struct {
		field     any
		text, out string // out "" is an error
	}{
		{&s.Bool, "YES", "x"}, {&s.Bool, "maybe", ""}, {&s.Int, "010", "x = 8"}, {&s.Int, "-5", "x = -5"}, {&s.Int, "1_0", ""}, {&s.Int, "0b1", ""}, {&s.Int, "9e", ""},
		{&s.Size, "1T", "x = 1048576M"}, {&s.Size, "99999999999T", ""}, {&s.Size, "1023", "x = 1023"}, {&s.Size, "1025K", "x = 1025K"},
		{&s.KSize, "1048576", "x = 1G"}, {&s.KSize, "0", "x = 0"}, {&s.KSize, "3M", "x = 3M"}, {&s.KSize, "m", ""},
		{&s.Octal, "0", "x = 0"}, {&s.Octal, "8", ""}, {&s.Fixed, "2.25", "x = 2.25"}, {&s.Fixed, "2.0001", ""}, {&s.Load, "0", "x = 0.0"},
		{&s.Time, "1w1d1h1m1s", "x = 1w1d1h1m1s"}, {&s.Time, "0s", "x = 0s"}, {&s.Time, "90", ""}, {&s.Time, "1x", ""}, {&s.Time, "", ""}, {&s.Time, "99999999w", ""},
		{&s.Times, "1h : 2h", "x = 1h:2h"}, {&s.Times, "1h:2", ""}, {&s.XBool, "no", "no_x"}, {&s.XBool, "a", ""}, {&s.XTime, "$x", "x = $x"}, {&s.XTime, "7", ""},
		{&s.Text, "a\\\x01\xff\n", `x = a\\001\377\n`},
	} {
		err := Parse(c.field, c.text)
		line, _ := Format("x", c.field)
		if (err == nil) != (c.out != "") || err == nil && line != c.out {
			t.Errorf("%T %q: %q, %v; want %q", c.field, c.text, line, err, c.out)
		}
	}
}

// Spec 6.20 to 6.22.
func TestSplitList(t *testing.T) {
	for text, want := range map[string][]string{
		"127.0.0.1 : ::::1": {"127.0.0.1", "::1"}, "127.0.0.1::::1": {"127.0.0.1::1"}, "<; 127.0.0.1 ; ::1": {"127.0.0.1", "::1"},
		"user@domain :": {"user@domain"}, "user1@domain : : user2@domain": {"user1@domain", "", "user2@domain"}, "user1@domain :: user2": {"user1@domain : user2"}, ":": {""}, "": nil,
		"<\n a \n\n b": {"a", "", "b"}, "<a b": {"<a b"}, "<+ a + b ++ c": {"a", "b + c"},
	} {
		if got := SplitList(text); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestIDs(t *testing.T) {
	if u := (UserList{IDs: []int{0, 8}}); !u.Has(8) || u.Has(1) {
		t.Error("users")
	}
	if g := (GroupList{IDs: []int{0, 8}}); !g.HasAny(1, 8) || g.HasAny(1) || g.HasAny() {
		t.Error("groups")
	}
}

func FuzzParse(f *testing.F) {
	f.Add("1w2d")
	f.Add("<; a;;b")
	f.Fuzz(func(t *testing.T, text string) {
		s := table().New().(*settings)
		set := table()
		for _, d := range set.Describe() {
			field, _ := set.Field(s, d.Name)
			if Parse(field, text) == nil {
				Format(d.Name, field)
			}
		}
	})
}
