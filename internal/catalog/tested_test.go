package catalog

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestOptionsAreTested: each option of routers and transports is set by a test or a script, or stands in docs/differences.md among those that have no
// effect. It finds the option that came without a test; whether the test is a good one it cannot say.
func TestOptionsAreTested(t *testing.T) {
	root := filepath.Join("..", "..")
	words := map[string]bool{}
	word := regexp.MustCompile(`[a-z][a-z0-9_]+`)
	read := func(path string) string {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	for _, directory := range []string{"internal", "test"} {
		err := filepath.WalkDir(filepath.Join(root, directory), func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() && (strings.HasSuffix(path, "_test.go") || strings.HasSuffix(path, ".txtar")) {
				for _, w := range word.FindAllString(read(path), -1) {
					words[w] = true
					words[strings.TrimPrefix(w, "no_")] = true
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	ineffective := read(filepath.Join(root, "docs", "differences.md"))
	for _, set := range Default().Registry().Sets {
		scope := string(set.At())
		if !strings.HasPrefix(scope, "router") && !strings.HasPrefix(scope, "transport") {
			continue
		}
		for _, d := range set.Describe() {
			if !words[d.Name] && !strings.Contains(ineffective, "`"+d.Name+"`") {
				t.Errorf("%s: no test sets %q, and docs/differences.md does not say that it has no effect", scope, d.Name)
			}
		}
	}
}
