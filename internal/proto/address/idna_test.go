package address

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"exigo/internal/proto/punycode"
)

// The results are those of Debian's exim4 4.96 with libidn2, ${utf8_domain_to_alabel:...} and its like.
func TestIDNA(t *testing.T) {
	for _, row := range [][4]string{ // in, domain to ASCII, local part to ASCII
		{"å.ex", "xn--5ca.ex", "xn--.ex-tla"}, {"ÅÄ.EX", "xn--4cab.ex", "xn--.EX-1hae"}, {"abc.EX", "abc.EX", "abc.EX"}, {"faß.de", "xn--fa-hia.de", "xn--fa.de-mqa"}, {"a_b.ex", "a_b.ex", "a_b.ex"},
		{"☃.net", "!string contains a disallowed character", "xn--.net-4g3b"}, {"a..b", "a..b", "a..b"}, {"å.", "xn--5ca.", "xn--.-1fa"}, {"-å", "!string start/ends with forbidden hyphen", "xn----2fa"},
		{"日本。jp", "xn--wgv71a.jp", "xn--jp-q13az21vzlb"}, {"", "", ""}, {"xn--a", "xn--a", "xn--a"}, {"ß", "xn--zca", "xn--zca"}, {"ς.gr", "xn--3xa.gr", "xn--.gr-lzc"}, {"Ⅷ.ex", "viii.ex", "xn--.ex-wr1a"},
		{"ab--å", "!string contains forbidden two hyphens pattern", "xn--ab---toa"}, {"\xff", "!string encoding error", "!string encoding error"},
	} {
		for i, f := range []func(string) (string, error){DomainToASCII, LocalPartToASCII} {
			got, err := f(row[0])
			if err != nil {
				got = "!" + err.Error()
			}
			if got != row[i+1] {
				t.Errorf("%q: got %q, want %q", row[0], got, row[i+1])
			}
		}
	}
	for in, want := range map[string]string{"xn--4ca.ex": "ä.ex", "å.ex": "å.ex", "ex": "ex", "XN--4CA.ex": "ä.ex", "xn--\x80.ex": "xn--\x80.ex", "": ""} {
		if got := DomainToUnicode(in); got != want {
			t.Errorf("to unicode %q: %q", in, got)
		}
	}
	if _, err := LocalPartToUnicode("abc"); err != ErrPrefix {
		t.Error(err)
	}
	if _, err := LocalPartToUnicode("xn--99999999"); err != ErrPunycode {
		t.Error(err)
	}
}

// RFC 3492 section 7.1.
func TestPunycode(t *testing.T) {
	for _, row := range [][2]string{
		{"ليهمابتكلموشعربي؟", "egbpdaj6bu4bxfgehfvwxn"}, {"他们为什么不说中文", "ihqwcrb4cv8a8dqg056pqjye"}, {"Pročprostěnemluvíčesky", "Proprostnemluvesky-uyb24dma41a"},
		{"3年B組金八先生", "3B-ww4c5e180e575a65lsy2b"}, {"パフィーdeルンバ", "de-jg4avhby1noc0d"}, {"-> $1.00 <-", "-> $1.00 <--"}, {"そのスピードで", "d9juau41awczczp"},
	} {
		if got, ok := punycode.Encode(row[0]); got != row[1] || !ok {
			t.Errorf("encode %q: %q", row[0], got)
		}
		if got, ok := punycode.Decode(row[1]); got != row[0] || !ok {
			t.Errorf("decode %q: %q", row[1], got)
		}
	}
}

func FuzzPunycode(f *testing.F) {
	f.Add("3B-ww4c5e180e575a65lsy2b", "å.ex")
	f.Fuzz(func(t *testing.T, encoded, domain string) {
		if s, ok := punycode.Decode(encoded); ok && len(encoded) < 500 {
			again, ok := punycode.Encode(s)
			if back, ok2 := punycode.Decode(again); !ok || !ok2 || back != s {
				t.Errorf("%q: %q, %q", encoded, s, again)
			}
		}
		DomainToASCII(domain)
		DomainToUnicode(domain)
	})
}

// TestIdnaSuite runs the Unicode consortium's IdnaTest.txt where EXIGO_SUITES names the folder with test data. Rows whose source or
// result a mail domain cannot be (errors, empty labels, ASCII) are left out.
func TestIdnaSuite(t *testing.T) {
	dir := os.Getenv("EXIGO_SUITES")
	if dir == "" {
		t.Skip("EXIGO_SUITES is not set")
	}
	b, err := os.ReadFile(filepath.Join(dir, "idna", "IdnaTest.txt"))
	if err != nil {
		t.Skip(err)
	}
	escape := regexp.MustCompile(`\\u([0-9A-Fa-f]{4})|\\x\{([0-9A-Fa-f]+)\}`)
	run, bad := 0, 0
	for _, line := range strings.Split(string(b), "\n") {
		line, _, _ = strings.Cut(line, "#")
		columns := strings.Split(line, ";")
		if len(columns) < 4 {
			continue
		}
		for i := range columns {
			columns[i] = escape.ReplaceAllStringFunc(strings.TrimSpace(columns[i]), func(m string) string {
				n, _ := strconv.ParseInt(strings.Trim(m, `\ux{}`), 16, 32)
				return string(rune(n))
			})
		}
		source, want := columns[1], columns[3]
		if want == "" {
			want = columns[2]
		}
		if want == "" {
			want = source
		}
		excluded := len(columns) > 4 && columns[4] != ""
		if columns[0] == "T" || IsASCII(source) || strings.HasPrefix(want, "[") || !IsASCII(want) || want == "" {
			continue
		}
		run++
		got, err := DomainToASCII(source)
		if excluded != (err != nil) || err == nil && got != want {
			if bad++; bad < 20 {
				t.Logf("%q: got %q, %v, want %q, excluded %v", source, got, err, want, excluded)
			}
		}
	}
	t.Logf("%d of %d rows right", run-bad, run)
	if run == 0 || bad*100 > run {
		t.Errorf("%d of %d rows wrong", bad, run)
	}
}
