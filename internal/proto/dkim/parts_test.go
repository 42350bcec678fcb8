package dkim

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"reflect"
	"strings"
	"testing"
)

func canonicalBody(c Canonicalization, onlyLF bool, pieces ...string) string {
	var b strings.Builder
	body := NewBody(c, onlyLF)
	body.Hash(&recorder{b: &b}, -1)
	for _, p := range pieces {
		body.Write([]byte(p))
	}
	body.Close()
	return b.String()
}

// recorder is a hash that keeps what is hashed.
type recorder struct{ b *strings.Builder }

func (r *recorder) Write(p []byte) (int, error) { return r.b.Write(p) }
func (r *recorder) Sum([]byte) []byte           { return []byte(r.b.String()) }
func (r *recorder) Reset()                      {}
func (r *recorder) Size() int                   { return 0 }
func (r *recorder) BlockSize() int              { return 1 }

func TestCanonicalization(t *testing.T) {
	// RFC 6376 section 3.4.5
	for _, x := range []struct {
		c           Canonicalization
		field, want string
	}{
		{Relaxed, "A: X\r\n", "a:X\r\n"},
		{Relaxed, "B : Y\t\r\n\tZ  \r\n", "b:Y Z\r\n"},
		{Relaxed, "B : Y\t\n\tZ  \n", "b:Y Z\r\n"},
		{Relaxed, "C:\n", "c:\r\n"},
		{Relaxed, "C: \n \n", "c:\r\n"},
		{Relaxed, "c:a\rb\n", "c:a\rb\r\n"},
		{Simple, "B : Y\t\n\tZ  \n", "B : Y\t\r\n\tZ  \r\n"},
		{Simple, "B : Y\t\r\n\tZ  \r\n", "B : Y\t\r\n\tZ  \r\n"},
		{Simple, "B: x", "B: x\r\n"},
	} {
		if got := string(x.c.AppendHeader(nil, x.field)); got != x.want {
			t.Errorf("%v %q: %q", x.c, x.field, got)
		}
	}
	for _, x := range []struct {
		c          Canonicalization
		body, want string
	}{
		{Relaxed, " C \r\nD \t E\r\n\r\n\r\n", " C\r\nD E\r\n"},
		{Simple, " C \r\nD \t E\r\n\r\n\r\n", " C \r\nD \t E\r\n"},
		{Relaxed, "", ""},
		{Simple, "", "\r\n"},
		{Relaxed, "\r\n \r\n\t\r\n", ""},
		{Simple, "\r\n\r\n", "\r\n"},
		{Simple, " \r\n\r\n", " \r\n"},
		{Relaxed, "x", "x\r\n"},
		{Simple, "x", "x\r\n"},
		{Simple, "\r\n\r\nx\r\n", "\r\n\r\nx\r\n"},
		{Relaxed, " \r\n\t\r\n  x  y \r\n", "\r\n\r\n x y\r\n"},
		{Simple, "a\rb\r\r\nc\r", "a\rb\r\r\nc\r\r\n"},
		{Relaxed, "a\r b\r\r\n", "a\r b\r\r\n"},
	} {
		for _, lf := range []string{"\r\n", "\n"} {
			body := strings.ReplaceAll(x.body, "\r\n", lf)
			for cut := range len(body) + 1 {
				if lf == "\n" {
					if got := canonicalBody(x.c, true, body[:cut], body[cut:]); got != x.want {
						t.Errorf("%v %q cut at %d: %q", x.c, body, cut, got)
					}
				} else if got := canonicalBody(x.c, false, body[:cut], body[cut:]); got != x.want {
					t.Errorf("%v %q cut at %d: %q", x.c, body, cut, got)
				}
			}
		}
	}
	// the empty body: RFC 6376 sections 3.4.3 and 3.4.4
	for c, want := range map[Canonicalization]string{Simple: "frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY=", Relaxed: "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="} {
		b := NewBody(c, false)
		h := b.Hash(sha256.New(), -1)
		b.Close()
		if got := base64.StdEncoding.EncodeToString(h.Sum()); got != want {
			t.Errorf("%v: %s", c, got)
		}
	}
	body := NewBody(Simple, true)
	some, all, none, more := body.Hash(&recorder{new(strings.Builder)}, 4), body.Hash(&recorder{new(strings.Builder)}, -1), body.Hash(&recorder{new(strings.Builder)}, 0), body.Hash(&recorder{new(strings.Builder)}, 100)
	body.Write([]byte("ab\ncd\n"))
	body.Close()
	if string(some.Sum()) != "ab\r\n" || string(all.Sum()) != "ab\r\ncd\r\n" || len(none.Sum()) != 0 || more.Length() != 8 {
		t.Errorf("%q %q %q %d", some.Sum(), all.Sum(), none.Sum(), more.Length())
	}
	for text, want := range map[string]string{"relaxed": "relaxed/simple true", "simple/relaxed": "simple/relaxed true", "relaxed / relaxed": "relaxed/relaxed true",
		"Relaxed/SIMPLE": "relaxed/simple true", "nowsp": "", "simple/": "", "simple/simple/simple": ""} {
		h, b, ok := ParseCanonicalization(text)
		if ok != (want != "") || ok && h.String()+"/"+b.String()+" true" != want {
			t.Errorf("%s: %v %v %v", text, h, b, ok)
		}
	}
}

func TestTags(t *testing.T) {
	for _, x := range []struct {
		text string
		want Tags
		err  error
	}{
		{"", Tags{}, nil},
		{"a=1; b = x y ;\r\n\tc=", Tags{{"a", "1"}, {"b", "x y"}, {"c", ""}}, nil},
		{"a=b=c;", Tags{{"a", "b=c"}}, nil},
		{"a=1;;b=2", Tags{{"a", "1"}}, ErrTagSyntax},
		{"a=1;a=2", Tags{{"a", "1"}}, ErrTagDuplicate},
		{"a=1;A=2", Tags{{"a", "1"}, {"A", "2"}}, nil},
		{"a", Tags{}, ErrTagSyntax},
		{"1a=2", Tags{}, ErrTagSyntax},
		{"a_1=2", Tags{{"a_1", "2"}}, nil},
		{"=2", Tags{}, ErrTagSyntax},
	} {
		got, err := ParseTags(x.text)
		if !errors.Is(err, x.err) || !reflect.DeepEqual(got, x.want) {
			t.Errorf("%q: %v %v", x.text, got, err)
		}
	}
	for field, want := range map[string]string{
		"DKIM-Signature: v=1; b=abc\n def; bh=x\n":  "DKIM-Signature: v=1; b=; bh=x\n",
		"DKIM-Signature: v=1; bh=x; b = abc\n\td\n": "DKIM-Signature: v=1; bh=x; b =\n",
		"DKIM-Signature: b=abc\r\n":                 "DKIM-Signature: b=\r\n",
		"DKIM-Signature: b=":                        "DKIM-Signature: b=",
		"DKIM-Signature: bh=b=1; xb=2\n":            "DKIM-Signature: bh=b=1; xb=2\n",
		"b=x":                                       "b=x",
	} {
		if got := WithoutSignature(field); got != want {
			t.Errorf("%q: %q", field, got)
		}
	}
}

func TestPick(t *testing.T) {
	s := NewSection([]string{"A: 1\n", "b : 2\n", "a: 3\n", "A: 4\n", "nonsense\n"})
	for names, want := range map[string]string{
		"a:b":       "A: 4\nb : 2\n",
		"A:a:a:a:a": "A: 4\na: 3\nA: 1\n",
		"x:b:b":     "b : 2\n",
		"":          "",
	} {
		if got := strings.Join(s.Pick(strings.Split(names, ":")), ""); got != want {
			t.Errorf("%s: %q", names, got)
		}
	}
	if s.Count("A") != 3 || s.Count("b") != 1 || s.Count("c") != 0 {
		t.Error(s.Count("A"), s.Count("b"), s.Count("c"))
	}
}
