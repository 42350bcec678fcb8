package dmarc

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSuffixes(t *testing.T) {
	s, err := ReadSuffixes(strings.NewReader("// comment\ncom\nuk.com\n\njp\n*.kobe.jp\n!city.kobe.jp trailing words\n中国\n公司.cn\ncn\n*.ck\n!www.ck\nblogspot.com\n*\n"))
	if err != nil {
		t.Fatal(err)
	}
	for domain, want := range map[string]string{
		"example.com": "example.com", "a.b.example.com": "example.com", "com": "com", "a.uk.com": "a.uk.com", "b.a.uk.com": "a.uk.com", "uk.com": "uk.com",
		"kobe.jp": "kobe.jp", "c.kobe.jp": "c.kobe.jp", "b.c.kobe.jp": "b.c.kobe.jp", "a.b.c.kobe.jp": "b.c.kobe.jp", "city.kobe.jp": "city.kobe.jp", "www.city.kobe.jp": "city.kobe.jp",
		"x.unlisted": "x.unlisted", "y.x.unlisted": "x.unlisted", "unlisted": "unlisted", "www.ck": "www.ck", "www.www.ck": "www.ck", "b.test.ck": "b.test.ck",
		"xn--85x722f.cn": "xn--85x722f.cn", "x.a.xn--55qx5d.cn": "a.xn--55qx5d.cn", "www.shishi.xn--fiqs8s": "shishi.xn--fiqs8s",
	} {
		if got := s.Organizational(domain); got != want {
			t.Errorf("%s: %s, want %s", domain, got, want)
		}
	}
	if got := BuiltIn().Organizational("a.b.example.co.uk"); got != "example.co.uk" {
		t.Errorf("built in: %s", got)
	}
	if _, err := ReadSuffixes(strings.NewReader(strings.Repeat("x", 5000))); err == nil {
		t.Error("no limit on lines")
	}
}

// TestSuffixSuite plays the test cases of publicsuffix.org against its list. A public suffix has no registered domain; it is its own organization here.
func TestSuffixSuite(t *testing.T) {
	dir := os.Getenv("EXIGO_SUITES")
	if dir == "" {
		t.Skip("EXIGO_SUITES does not name the folder of other people's test data")
	}
	list, err := os.Open(filepath.Join(dir, "psl/public_suffix_list.dat"))
	if err != nil {
		t.Skip(err)
	}
	defer list.Close()
	s, err := ReadSuffixes(list)
	if err != nil {
		t.Fatal(err)
	}
	tests, err := os.ReadFile(filepath.Join(dir, "psl/tests.txt"))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, line := range strings.Split(string(tests), "\n") {
		words := strings.Fields(line)
		if len(words) != 2 || strings.HasPrefix(line, "//") {
			continue
		}
		n++
		domain := Domain(words[0])
		if domain == "" || strings.HasPrefix(words[0], ".") || words[0] == "null" {
			continue // no domain names
		}
		want := Domain(words[1])
		if words[1] == "null" {
			want = domain
		}
		if got := s.Organizational(domain); got != want {
			t.Errorf("%s: %s, want %s", words[0], got, words[1])
		}
	}
	t.Logf("%d cases", n)
}
