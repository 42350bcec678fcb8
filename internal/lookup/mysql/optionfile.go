package mysql

import (
	"bufio"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// readOptions reads the option files of MySQL's client programs ("Using Option Files" in its manual): what stands in the groups for all clients
// and in the group of the given name; what comes later takes precedence. Files that are not there are skipped. Names have hyphens.
func readOptions(files []string, group string) map[string]string {
	r := optionReader{groups: []string{"client", "client-server", "client-mariadb", group}, options: map[string]string{}}
	for _, f := range files {
		r.file(f, 0)
	}
	return r.options
}

type optionReader struct {
	groups  []string
	options map[string]string
}

// Bounds of files that include others, and of a file.
const (
	maxIncluded   = 8
	maxOptionFile = 1 << 20
)

func (r *optionReader) file(path string, depth int) {
	f, err := os.Open(path)
	if err != nil || depth > maxIncluded {
		return
	}
	defer f.Close()
	r.read(io.LimitReader(f, maxOptionFile), func(directive, name string) {
		switch directive {
		case "!include":
			r.file(name, depth+1)
		case "!includedir":
			found, _ := filepath.Glob(filepath.Join(name, "*.cnf"))
			for _, included := range found {
				r.file(included, depth+1)
			}
		}
	})
}

// read reads one file; include is told of its directives.
func (r *optionReader) read(text io.Reader, include func(directive, name string)) {
	wanted := false
	for lines := bufio.NewScanner(text); lines.Scan(); {
		line := strings.TrimSpace(lines.Text())
		switch {
		case line == "" || line[0] == '#' || line[0] == ';':
		case line[0] == '!':
			directive, name, _ := strings.Cut(line, " ")
			include(directive, strings.TrimSpace(name))
		case line[0] == '[':
			name, _, _ := strings.Cut(line[1:], "]")
			wanted = slices.Contains(r.groups, strings.TrimSpace(name))
		case wanted:
			name, value, given := strings.Cut(line, "=")
			if !given {
				value = "1"
			}
			r.options[strings.ReplaceAll(strings.TrimSpace(name), "_", "-")] = unquote(value)
		}
	}
}

// unquote takes off a comment, quotes, and the escapes that the manual names.
func unquote(value string) string {
	value = strings.TrimSpace(value)
	if len(value) > 1 && (value[0] == '\'' || value[0] == '"') {
		if end := strings.LastIndexByte(value, value[0]); end > 0 {
			value = value[1:end]
		}
	} else if at := strings.Index(value, " #"); at >= 0 {
		value = strings.TrimSpace(value[:at])
	}
	return optionEscapes.Replace(value)
}

var optionEscapes = strings.NewReplacer(`\\`, `\`, `\b`, "\b", `\t`, "\t", `\n`, "\n", `\r`, "\r", `\s`, " ")

// enabled tells whether an option that is on or off is on.
func enabled(options map[string]string, name string) bool {
	switch strings.ToLower(options[name]) {
	case "1", "on", "true":
		return true
	}
	return false
}
