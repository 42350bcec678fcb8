package cdb

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func make1(t testing.TB, rows ...string) string {
	path := filepath.Join(t.TempDir(), "test.cdb")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w, err := NewWriter(f)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(rows); i += 2 {
		if err := w.Add([]byte(rows[i]), []byte(rows[i+1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func get(t *testing.T, r *Reader, key string) string {
	v, ok, err := r.Get([]byte(key))
	if err != nil {
		t.Errorf("%q: %v", key, err)
	}
	if !ok {
		return "-"
	}
	return string(v)
}

func TestRoundTrip(t *testing.T) {
	var rows []string
	for i := range 3000 {
		rows = append(rows, fmt.Sprint("key", i), strings.Repeat(fmt.Sprint(i), i%50))
	}
	rows = append(rows, "", "empty key", "twice", "1", "twice", "2", "zero\x00", "\x00")
	r, err := Open(make1(t, rows...))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for i := 0; i < len(rows); i += 2 {
		want := rows[i+1]
		if rows[i] == "twice" {
			want = "1"
		}
		if got := get(t, r, rows[i]); got != want {
			t.Errorf("%q: %q", rows[i], got)
		}
	}
	for _, key := range []string{"key", "key3000", "KEY1", "zero"} {
		if got := get(t, r, key); got != "-" {
			t.Errorf("%q: %q", key, got)
		}
	}
	var both []string
	if err := r.Each([]byte("twice"), func(v []byte) bool { both = append(both, string(v)); return true }); err != nil || strings.Join(both, "") != "12" {
		t.Errorf("twice: %v %v", both, err)
	}
	i := 0
	if err := r.All(func(k, v []byte) bool {
		if string(k) != rows[i] || string(v) != rows[i+1] {
			t.Errorf("record %d: %q %q", i/2, k, v)
		}
		i += 2
		return true
	}); err != nil || i != len(rows) {
		t.Errorf("All: %d %v", i, err)
	}
}

// The file a writer makes is the one cdb(1) makes, to the byte; and what cdb(1) reads from it.
func TestTool(t *testing.T) {
	tool, err := exec.LookPath("cdb")
	if err != nil {
		t.Skip("cdb is not installed")
	}
	rows := []string{"one", "1", "two", "22", "one", "again", "", "", "long", strings.Repeat("x", 70000)}
	var in strings.Builder
	for i := 0; i < len(rows); i += 2 {
		fmt.Fprintf(&in, "+%d,%d:%s->%s\n", len(rows[i]), len(rows[i+1]), rows[i], rows[i+1])
	}
	in.WriteString("\n")
	theirs := filepath.Join(t.TempDir(), "theirs.cdb")
	cmd := exec.Command(tool, "-c", theirs)
	cmd.Stdin = strings.NewReader(in.String())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	a, err1 := os.ReadFile(theirs)
	b, err2 := os.ReadFile(make1(t, rows...))
	if err1 != nil || err2 != nil || !bytes.Equal(a, b) {
		t.Errorf("files differ: %d and %d bytes, %v %v", len(a), len(b), err1, err2)
	}
}

func TestCorrupt(t *testing.T) {
	good, err := os.ReadFile(make1(t, "a", "1"))
	if err != nil {
		t.Fatal(err)
	}
	row := int(hash([]byte("a"))%tables) * 8
	table := int(binary.LittleEndian.Uint32(good[row:]))
	le := binary.LittleEndian
	for name, damage := range map[string]func(b []byte) []byte{
		"short":        func(b []byte) []byte { return b[:100] },
		"table offset": func(b []byte) []byte { le.PutUint32(b[row:], 1<<31); return b },
		"table length": func(b []byte) []byte { le.PutUint32(b[row+4:], 1<<31); return b },
		"record":       func(b []byte) []byte { le.PutUint32(b[table+4:], 1<<31); le.PutUint32(b[table+12:], 1<<31); return b },
		"key length":   func(b []byte) []byte { le.PutUint32(b[headerSize:], 1<<31); return b },
		"value length": func(b []byte) []byte { le.PutUint32(b[headerSize+4:], 1<<31); return b },
	} {
		b := damage(bytes.Clone(good))
		if name == "record" { // whichever of the two slots is used
			h := hash([]byte("a"))
			le.PutUint32(b[table:], h)
			le.PutUint32(b[table+8:], h)
		}
		r, err := NewReader(bytes.NewReader(b), int64(len(b)))
		if err == nil {
			_, _, err = r.Get([]byte("a"))
		}
		if !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
	r, err := NewReader(bytes.NewReader(good[:headerSize+4]), int64(len(good)))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := r.Get([]byte("a")); !errors.Is(err, ErrCorrupt) {
		t.Errorf("file cut while open: %v", err)
	}
}

func FuzzReader(f *testing.F) {
	b, err := os.ReadFile(make1(f, "a", "1", "b", "2"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b, []byte("a"))
	f.Fuzz(func(t *testing.T, b, key []byte) {
		r, err := NewReader(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		r.Get(key)
		r.All(func(_, _ []byte) bool { return true })
	})
}
