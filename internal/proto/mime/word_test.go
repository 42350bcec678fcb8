package mime

import (
	"errors"
	"strings"
	"testing"
)

// The results are those of Debian's exim4 4.96, ${rfc2047:...}.
func TestEncodeWords(t *testing.T) {
	for _, row := range []struct{ in, want string }{
		{"", ""}, {"abc", "abc"}, {"a b", "a b"}, {"~!#$%&'*+-/^`{|}", "~!#$%&'*+-/^`{|}"},
		{"é", "=?UTF-8?Q?=C3=A9?="}, {"a_b", "=?UTF-8?Q?a=5Fb?="}, {"a?b", "=?UTF-8?Q?a=3Fb?="}, {"a=b", "=?UTF-8?Q?a=3Db?="},
		{"tab\tx", "=?UTF-8?Q?tab=09x?="}, {"Jürgen Müller", "=?UTF-8?Q?J=C3=BCrgen_M=C3=BCller?="},
		{"é and some longer text that must surely be divided into several encoded words, right?",
			"=?UTF-8?Q?=C3=A9_and_some_longer_text_that_must_surely_be_divided_into_several?= =?UTF-8?Q?_encoded_words=2C_right=3F?="},
		{strings.Repeat("€", 17), "=?UTF-8?Q?=E2=82=AC=E2=82=AC=E2=82=AC=E2=82=AC=E2=82=AC=E2=82=AC=E2=82=AC=E2=82=AC?= " +
			"=?UTF-8?Q?=E2=82=AC=E2=82=AC=E2=82=AC=E2=82=AC=E2=82=AC=E2=82=AC=E2=82?= =?UTF-8?Q?=AC=E2=82=AC=E2=82=AC?="},
		{strings.Repeat("x\xe5", 20), "=?UTF-8?Q?" + strings.Repeat("x=E5", 17) + "x?= =?UTF-8?Q?=E5x=E5x=E5?="},
		{"a" + strings.Repeat("_", 25), "=?UTF-8?Q?a" + strings.Repeat("=5F", 24) + "?= =?UTF-8?Q?=5F?="},
		{"aa" + strings.Repeat("_", 25), "=?UTF-8?Q?aa" + strings.Repeat("=5F", 22) + "?= =?UTF-8?Q?=5F=5F=5F?="},
	} {
		if got := EncodeWords(row.in, "UTF-8"); got != row.want {
			t.Errorf("%q:\n got %s\nwant %s", row.in, got, row.want)
		}
	}
}

func TestDecodeWords(t *testing.T) {
	for _, row := range []struct{ in, want string }{
		// RFC 2047 section 8
		{"=?US-ASCII?Q?Keith_Moore?= <moore@cs.utk.edu>", "Keith Moore <moore@cs.utk.edu>"},
		{"=?ISO-8859-1?Q?Keld_J=F8rn_Simonsen?= <keld@dkuug.dk>", "Keld Jørn Simonsen <keld@dkuug.dk>"},
		{"=?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?=\n =?ISO-8859-2?B?dSB1bmRlcnN0YW5kIHRoZSBleGFtcGxlLg==?=",
			"If you can read this you understand the example."},
		{"(=?ISO-8859-1?Q?a?=)", "(a)"}, {"(=?ISO-8859-1?Q?a?= b)", "(a b)"}, {"(=?ISO-8859-1?Q?a?=  =?ISO-8859-1?Q?b?=)", "(ab)"},
		{"(=?ISO-8859-1?Q?a_b?=)", "(a b)"}, {"(=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=)", "(a b)"},
		// as Debian's exim4 4.96 has it, ${rfc2047d:...}
		{"=?utf-8?q?a?= x =?utf-8?q?b?=", "a x b"}, {"=?utf-8?q?a?= \t =?utf-8?q?b?= ", "ab "}, {"=?utf-8?q?a?= =?utf-8?x?b?=", "a =?utf-8?x?b?="},
		{"=?utf-8?q?a?==?utf-8?q?b?=", "ab"}, {"x=?utf-8?q?a?=y", "xay"}, {"=?utf-8?q?a b?=", "=?utf-8?q?a b?="},
		{"=?utf-8?x?a?=", "=?utf-8?x?a?="}, {"=?utf-8?qq?a?=", "=?utf-8?qq?a?="}, {"=?utf-8?q?=00?=", "?"}, {"=?utf-8?q??=", ""},
		{"=?utf-8?q?=ZZ?=", "=?utf-8?q?=ZZ?="}, {"=?utf-8?q?a=3?=", "=?utf-8?q?a=3?="}, {"=?utf-8?q?=3d=3D?=", "=="}, {"=?utf-8?q?a?b?=", "a?b"},
		{"=?utf-8?b?!!!?=", "=?utf-8?b?!!!?="}, {"=?utf-8?b?YQ?=", "=?utf-8?b?YQ?="}, {"=?utf-8?b?YWI=?=", "ab"}, {"=?utf-8?b??=", ""},
		{"=?=?utf-8?q?a?=", "=?a"}, {"=??q?a?=", "a"}, {"=?utf-8?q?(a)é?=", "(a)é"}, {"=?utf-8?q?=C3?= =?utf-8?q?=A9?=", "é"},
		{"=?utf-8?q?" + strings.Repeat("a", 63) + "?=", strings.Repeat("a", 63)},
		{"=?utf-8?q?" + strings.Repeat("a", 64) + "?=", "=?utf-8?q?" + strings.Repeat("a", 64) + "?="},
		{"=?us-ascii?q?=E9?=", "\xe9"}, {"=?utf-8?q?=FF?=", "\xff"}, {"=?windows-1252?q?=80?=", "€"}, {"=?cp1252?q?=80?=", "€"},
		{"=?koi8-r?q?=C1?=", "а"}, {"=?gb2312?b?1tDOxA==?=", "中文"}, {"=?big5?b?pKSk5Q==?=", "中文"}, {"=?euc-kr?b?x9GxuQ==?=", "한국"},
		{"=?shift_jis?b?k/qWew==?=", "日本"}, {"=?iso-2022-jp?B?GyRCRnxLXBsoQg==?=", "日本"}, {"=?utf-7?q?+AOk-?=", "é"}, {"=?utf-7?q?1+-1=3D+2D3eAA-x?=", "1+1=\U0001F600x"},
		{"=?utf-16?q?=FE=FF=00=41?=", "A"}, {"=?utf8?q?=C3=A9?=", "é"}, {"=?latin1?q?=E9?=", "é"}, {"=?cp437?q?=82?=", "é"}, {"=?macintosh?q?=8E?=", "é"},
		{"=?", "=?"}, {"=?a", "=?a"}, {"=?a?", "=?a?"}, {"=?a?q", "=?a?q"}, {"=?a?q?", "=?a?q?"}, {"=?a?q?x", "=?a?q?x"}, {"", ""},
	} {
		got, err := DecodeWords(row.in, WordOptions{Charset: "UTF-8", CheckLength: true, Zero: '?'})
		if got != row.want || err != nil {
			t.Errorf("%q: got %q, %v, want %q", row.in, got, err, row.want)
		}
	}
	got, err := DecodeWords("=?xx?q?a=FC?= b =?utf-8?q?c?=", WordOptions{Charset: "UTF-8"})
	var unknown *CharsetError
	if !errors.As(err, &unknown) || got != "a\xfc b c" ||
		err.Error() != `iconv_open("UTF-8", "xx") failed: Invalid argument (maybe unsupported conversion)` {
		t.Errorf("unknown charset: %q, %v", got, err)
	}
	if got, err := DecodeWords("=?xx?q?"+strings.Repeat("a", 99)+"=00?=", WordOptions{}); got != strings.Repeat("a", 99)+"\x00" || err != nil {
		t.Errorf("no options: %q, %v", got, err)
	}
}

func TestConvert(t *testing.T) {
	for _, row := range []struct {
		in, from, to, want string
		complete           bool
	}{
		{"é", "utf-8", "iso-8859-1", "\xe9", true}, {"\xe9", "ISO-8859-1", "", "é", true}, {"€", "utf-8", "iso-8859-15", "\xa4", true},
		{"é€é", "utf-8", "iso-8859-1", "\xe9€é", false}, {"é", "utf-8", "us-ascii", "é", false}, {"a\xffé", "utf-8", "iso-8859-1", "a\xffé", false},
		{"日本", "utf-8", "iso-2022-jp", "\x1b$BF|K\\\x1b(B", true}, {"a", "utf-8", "utf-7", "a", false}, {"\xe9", "iso-8859-1", "utf-8", "é", true},
		{"\x81", "windows-1252", "utf-8", "\x81", false}, {"", "utf-8", "latin1", "", true}, {"+!-", "utf-7", "utf-8", "+!-", false}, {"é", "utf-7", "utf-8", "é", false},
	} {
		got, complete, err := Convert([]byte(row.in), row.from, row.to)
		if string(got) != row.want || complete != row.complete || err != nil {
			t.Errorf("%q from %s to %s: %q %v %v", row.in, row.from, row.to, got, complete, err)
		}
	}
	if KnownCharset("unknown-8bit") || !KnownCharset("ISO-8859-7") {
		t.Error("KnownCharset")
	}
}

func FuzzDecodeWords(f *testing.F) {
	f.Add("=?utf-8?q?a_b?= =?iso-2022-jp?B?GyRCRnxLXBsoQg==?= x =?utf-7?q?+AOk-?=")
	f.Fuzz(func(t *testing.T, s string) {
		DecodeWords(s, WordOptions{Charset: "UTF-8", CheckLength: true})
		if e := EncodeWords(s, "UTF-8"); len(s) < 1000 {
			if d, err := DecodeWords(e, WordOptions{}); !strings.HasPrefix(e, "=?UTF-8?Q?") || err == nil && d == s {
				return
			}
			t.Errorf("%q: does not survive %q", s, e)
		}
	})
}
