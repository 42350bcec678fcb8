package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"
)

const module = "exigo"

// source is one parsed file.
type source struct {
	path  string // relative to the root of the module
	dir   string // its package's directory
	test  bool
	file  *ast.File
	fset  *token.FileSet
	lines int
}

// tree parses all Go files of the module.
func tree(t *testing.T) []source {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	var out []source
	fset := token.NewFileSet()
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() && path != root && (strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") || name == "testdata") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(name, ".go") {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		f, err := parser.ParseFile(fset, path, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		relative, _ := filepath.Rel(root, path)
		out = append(out, source{path: filepath.ToSlash(relative), dir: filepath.ToSlash(filepath.Dir(relative)),
			test: strings.HasSuffix(name, "_test.go"), file: f, fset: fset, lines: strings.Count(string(text), "\n")})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out) < 50 {
		t.Fatalf("only %d files found under %s", len(out), root)
	}
	return out
}

// packages returns the files by directory, tests left out, and the sorted directories.
func packages(files []source) (map[string][]source, []string) {
	byDir := make(map[string][]source)
	for _, f := range files {
		if !f.test {
			byDir[f.dir] = append(byDir[f.dir], f)
		}
	}
	var dirs []string
	for d := range byDir {
		dirs = append(dirs, d)
	}
	sort.Strings(dirs)
	return byDir, dirs
}
