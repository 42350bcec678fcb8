package arch

import (
	"slices"
	"strconv"
	"strings"
	"testing"
)

// layers lists the packages from the bottom to the top. A package may import those of lower layers and of its own layer (the compiler
// refuses cycles), never of a higher one. A name that ends in /* stands for all packages below; a longer name goes before a shorter one.
func layers() [][]string {
	return [][]string{
		{"option", "wire", "coprocess"},
		{"proto/*", "regex"},
		{"mail", "outside"},
		{"lookup", "lookup/linefile", "expand/syntax"},
		{"expand", "expand/*"},
		{"list"},
		{"config"},
		{"spool", "hints", "eventlog"},
		{"acl", "route", "transport", "route/hostfind", "auth", "filter", "filter/*", "rewrite", "retry", "tlspolicy", "bounce"},
		{"smtpserver", "smtpclient", "submit", "control", "deliver", "queue", "steward", "helper", "monitor", "scan"},
		{"feature"},
		{"feature/*", "lookup/*", "route/*", "transport/*", "auth/*", "acl/*", "scan/*"},
		{"catalog"},
		{"cli", "cli/*"},
		{"cmd/*"},
		{"testkit", "arch", "test/*"},
	}
}

// isRoom tells whether the package is in the layer whose packages never import one another.
func isRoom(name string) bool { return layerOf(name) == layerOf("feature/x") }

// layerOf returns the index of a package's layer, -1 if the table does not know it.
func layerOf(name string) int {
	best, index := -1, -1
	for i, names := range layers() {
		for _, n := range names {
			prefix, wild := strings.CutSuffix(n, "*")
			if (n == name || wild && strings.HasPrefix(name, prefix)) && len(n) > best {
				best, index = len(n), i
			}
		}
	}
	return index
}

// short is a package's path as the table has it: without module and internal/.
func short(path string) string {
	return strings.TrimPrefix(strings.TrimPrefix(strings.TrimPrefix(path, module+"/"), "internal/"), "/")
}

func TestImportsGoDown(t *testing.T) {
	files := tree(t)
	for _, f := range files {
		from := short(f.dir)
		if layerOf(from) < 0 {
			t.Errorf("%s: package %s is in no layer: add it to the table", f.path, from)
			continue
		}
		for _, spec := range f.file.Imports {
			path, _ := strconv.Unquote(spec.Path.Value)
			if !strings.HasPrefix(path, module+"/") {
				continue
			}
			to := short(path)
			switch {
			case to == "testkit" && !f.test && from != "testkit" && !strings.HasSuffix(from, "test"): // fixtures such as transporttest are for tests
				t.Errorf("%s imports %s: only tests may", f.path, to)
			case f.test || from == "testkit" || strings.HasSuffix(from, "test"):
			case layerOf(to) > layerOf(from):
				t.Errorf("%s: %s imports %s, which is higher", f.path, from, to)
			case isRoom(from) && isRoom(to) && from != to && !strings.HasPrefix(to, from+"/"):
				t.Errorf("%s: room %s imports room %s", f.path, from, to)
			}
		}
	}
}

// Standards are about no Exim: the language and its engines are not to be found in them.
func TestStandardsStandAlone(t *testing.T) {
	for _, f := range tree(t) {
		from := short(f.dir)
		if !strings.HasPrefix(from, "proto/") || f.test {
			continue
		}
		for _, spec := range f.file.Imports {
			path, _ := strconv.Unquote(spec.Path.Value)
			if strings.HasPrefix(path, module+"/") && !strings.HasPrefix(short(path), "proto/") {
				t.Errorf("%s: standard %s imports %s", f.path, from, short(path))
			}
		}
	}
}

func TestNoEmptyNames(t *testing.T) {
	refused := []string{"util", "utils", "common", "misc", "core", "framework", "manager", "helpers"}
	_, dirs := packages(tree(t))
	for _, d := range dirs {
		if base := d[strings.LastIndexByte(d, '/')+1:]; slices.Contains(refused, base) {
			t.Errorf("package %s: the name says nothing", d)
		}
	}
}
