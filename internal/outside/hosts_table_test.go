package outside

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestHostsTable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hosts")
	h := &hostsTable{path: path}
	write := func(text string, when time.Time) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, when, when); err != nil {
			t.Fatal(err)
		}
	}
	if got := h.addresses("a"); got != nil {
		t.Error(got)
	}
	write("127.0.0.1\tlocalhost\n# 192.0.2.9 a\n192.0.2.1 A.example. a # b\n2001:db8::1 a\nrubbish c\n192.0.2.3\n", time.Unix(1000, 0))
	for name, want := range map[string]string{"a.example": "[192.0.2.1]", "A.": "[192.0.2.1 2001:db8::1]", "b": "[]", "c": "[]", "localhost": "[127.0.0.1]", "": "[]"} {
		if got := fmt.Sprint(h.addresses(name)); got != want {
			t.Errorf("%s: %s", name, got)
		}
	}
	write("192.0.2.2 a\n", time.Unix(2000, 0))
	if got := fmt.Sprint(h.addresses("a")); got != "[192.0.2.2]" {
		t.Error(got)
	}
}

func FuzzHostsTable(f *testing.F) {
	f.Add("192.0.2.1 a b # c\n::1 x.\n")
	f.Fuzz(func(t *testing.T, text string) { parseHosts(strings.NewReader(text)) })
}
