package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"exigo/internal/testkit"
)

// TestDBMBuild: what exim_dbmbuild makes of its input, shown by exim_dumpdb -L.
func TestDBMBuild(t *testing.T) {
	world := testkit.NewWorld(t).World
	long := func(n int) string { return strings.Repeat("x", n) + "\n" }
	for _, c := range []struct {
		options, input, out, errs, pairs string
		status                           int
	}{
		{"", "abc: 1\n#no\nK:\n  two\n# no\n\tthree  \n\"a \\\"b:\" : c\nd", "4 entries written\n", "", "a \"b:\tc|abc\t1|d\t|k\ttwo three", 0},
		{"", "", "0 entries written\n", "", "", 0},
		{"", "  lead\na:b", "Unexpected continuation line ignored\n  lead\n\n1 entry written\n", "", "a\tb", 0},
		{"", "d:1\nd:2\nD:3", "1 entry written\n2 duplicate keys \n", "** Duplicate key \"d\"\n** Duplicate key \"d\"\n", "d\t1", 1},
		{"-noduperr -nowarn -lastdup", "d:1\nD:2", "1 entry written\n1 duplicate key \n", "", "d\t2", 0},
		{"-nolc -nozero", "d:1\nD:2", "2 entries written\n", "", "D\t2|d\t1", 0},
		{"", "a:b\n" + long(19998) + " " + long(19997), "2 entries written\n", "", "-", 0},
		{"", "a:b\n" + long(19999), "Overlong line read: max permitted length is 19999\ndbmbuild abandoned\n", "", "", 2},
		{"", "a" + strings.Repeat(" "+long(19900), 6), "Continued set of lines is too long: max permitted length is 99999\ndbmbuild abandoned\n", "", "", 2},
		{"-x", "", "usage: exim_dbmbuild [-nolc] [-nozero] [-lastdup] [-noduperr] [-nowarn] <source file> <dbm base name>\n", "", "", 1},
	} {
		dir := t.TempDir()
		source, target := filepath.Join(dir, "in"), filepath.Join(dir, "out")
		if err := os.WriteFile(source, []byte(c.input), 0o600); err != nil {
			t.Fatal(err)
		}
		var out, errs, pairs bytes.Buffer
		status, _ := runUtility("exim_dbmbuild", append(strings.Fields(c.options), source, target), world, &out, &errs)
		if status != c.status || out.String() != c.out || errs.String() != c.errs {
			t.Errorf("%s %.40q: %d %q %q", c.options, c.input, status, out.String(), errs.String())
		}
		dumped, _ := runUtility("exim_dumpdb", []string{"-L", target}, world, &pairs, &errs)
		lines := strings.Split(strings.TrimSuffix(pairs.String(), "\n"), "\n")
		if got := strings.Join(sorted(lines), "|"); got != c.pairs && c.pairs != "-" {
			t.Errorf("%s %.40q: %q", c.options, c.input, got)
		}
		if names, err := os.ReadDir(dir); err != nil || (len(names) == 2) != (dumped == 0) || len(names) > 2 {
			t.Errorf("%s %.40q: files %v, %v", c.options, c.input, names, err)
		}
	}
	for words, want := range map[string]string{
		"/x /x":         "exim_dbmbuild: input and output filenames are the same\n",
		"/nonexist /x":  "exim_dbmbuild: unable to open /nonexist: No such file or directory\n",
		"- /nonexist/x": "exim_dbmbuild: unable to create /nonexist/x.dbmbuild_temp: No such file or directory\n",
	} {
		var out bytes.Buffer
		if status, _ := runUtility("exim_dbmbuild", strings.Fields(words), world, &out, &out); status != 1 || out.String() != want {
			t.Errorf("%s: %d %q", words, status, out.String())
		}
	}
}

func sorted(lines []string) []string {
	slices.Sort(lines)
	return lines
}
