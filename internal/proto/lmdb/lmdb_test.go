package lmdb

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// fixture is an environment made by mdb_load 0.9.24: 120 keys and 4 names in the main database, the databases names, dups
// (MDB_DUPSORT), fixed (MDB_DUPFIXED) and reverse (MDB_REVERSEKEY).
func fixture(t testing.TB) []byte {
	f, err := os.Open("testdata/small.mdb.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestGet(t *testing.T) {
	e, err := NewEnvironment(bytes.NewReader(fixture(t)))
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name, key, want string // want "-": not there
	}{
		{"", "key000", "value 0 value 0 value 0 "},
		{"", "key119", "value 119 value 119 value 119 "},
		{"", "key057", strings.Repeat("value 57 ", 900)},
		{"", "key", "-"}, {"", "key0000", "-"}, {"", "a", "-"}, {"", "zzz", "-"}, {"", "", "-"},
		{"", "names", ""},
		{"names", "root", "postmaster"}, {"names", "abuse", "hostmaster"}, {"names", "news", "-"},
		{"dups", "a", "1"}, {"dups", "b", "only"}, {"dups", "many", "0000"},
		{"fixed", "a", "11"}, {"fixed", "b", "33"},
		{"reverse", "abc", "1"}, {"reverse", "zza", "3"}, {"reverse", "bbb", "2"}, {"reverse", "bbc", "-"},
	} {
		v, found, err := e.Get(row.name, []byte(row.key))
		if err != nil {
			t.Errorf("%s %s: %v", row.name, row.key, err)
			continue
		}
		if !found && row.want != "-" || found && string(v) != row.want {
			t.Errorf("%s %s: got %v %.40q, want %.40q", row.name, row.key, found, v, row.want)
		}
	}
	for _, name := range []string{"none", "key000"} {
		if _, _, err := e.Get(name, []byte("x")); !errors.Is(err, ErrNoDatabase) {
			t.Errorf("database %s: %v", name, err)
		}
	}
	n, last := 0, ""
	if err := e.All("", func(k, v []byte) bool {
		n++
		if string(k) <= last {
			t.Errorf("%s after %s", k, last)
		}
		last = string(k)
		return true
	}); err != nil || n != 124 {
		t.Errorf("All: %d keys, %v", n, err)
	}
}

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	for _, path := range []string{filepath.Join(dir, "data.mdb"), filepath.Join(dir, "file")} {
		if err := os.WriteFile(path, fixture(t), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{dir, filepath.Join(dir, "file")} {
		e, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if v, ok, err := e.Get("names", []byte("root")); string(v) != "postmaster" || !ok || err != nil {
			t.Errorf("%s: %q %v %v", path, v, ok, err)
		}
		e.Close()
	}
	if _, err := Open(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
}

// build makes an environment of one leaf page with entries that must be given in order, in transaction number txn.
func build(pageSize int, txn uint64, rows ...string) []byte {
	b := make([]byte, 3*pageSize)
	le := binary.LittleEndian
	for i := range uint64(2) {
		m := b[int(i)*pageSize:]
		le.PutUint16(m[10:], 0x08)
		le.PutUint32(m[16:], magic)
		le.PutUint32(m[20:], version)
		le.PutUint32(m[40:], uint32(pageSize))
		le.PutUint64(m[128:], 2)
		le.PutUint64(m[136:], 2)
		le.PutUint64(m[144:], txn-1+i)
	}
	leaf(b[2*pageSize:3*pageSize], 2, rows...)
	return b
}

func leaf(p []byte, number uint64, rows ...string) {
	le := binary.LittleEndian
	le.PutUint64(p, number)
	le.PutUint16(p[10:], pageLeaf)
	upper := len(p)
	for i := 0; i < len(rows); i += 2 {
		key, value := rows[i], rows[i+1]
		upper -= 8 + len(key) + len(value)
		n := p[upper:]
		le.PutUint16(n, uint16(len(value)))
		le.PutUint16(n[6:], uint16(len(key)))
		copy(n[8:], key+value)
		le.PutUint16(p[pageHeader+i:], uint16(upper))
	}
	le.PutUint16(p[12:], uint16(pageHeader+len(rows)))
	le.PutUint16(p[14:], uint16(upper))
}

func TestPageSizes(t *testing.T) {
	for size := 512; size <= 65536; size *= 2 {
		e, err := NewEnvironment(bytes.NewReader(build(size, 7, "a", "1", "b", "2")))
		if err != nil {
			t.Errorf("%d: %v", size, err)
			continue
		}
		if v, ok, err := e.Get("", []byte("b")); string(v) != "2" || !ok || err != nil {
			t.Errorf("%d: %q %v %v", size, v, ok, err)
		}
	}
}

// changing is an environment whose content is replaced at given reads.
type changing struct {
	now   []byte
	reads int
	at    map[int][]byte
}

func (c *changing) ReadAt(b []byte, at int64) (int, error) {
	c.reads++
	if next := c.at[c.reads]; next != nil {
		c.now = next
	}
	return bytes.NewReader(c.now).ReadAt(b, at)
}

func TestWriter(t *testing.T) {
	overtaken := build(4096, 9, "a", "new")
	leaf(overtaken[2*4096:], 2, "x", "wrong") // a page in use again
	c := &changing{now: build(4096, 7, "a", "old"), at: map[int][]byte{}}
	e, err := NewEnvironment(c)
	if err != nil {
		t.Fatal(err)
	}
	// Reads of a Get: both metas, the leaf, both metas.
	c.at[c.reads+3], c.at[c.reads+6] = overtaken, build(4096, 9, "a", "new")
	if v, ok, err := e.Get("", []byte("a")); string(v) != "new" || !ok || err != nil {
		t.Errorf("overtaken: %q %v %v", v, ok, err)
	}
	c.at[c.reads+3] = build(4096, 10, "a", "next")
	if v, _, err := e.Get("", []byte("a")); string(v) != "next" || err != nil {
		t.Errorf("one transaction later: %q %v", v, err)
	}
	for i := range 200 {
		c.at[c.reads+i] = build(4096, uint64(20+i), "a", "x")
	}
	if _, _, err := e.Get("", []byte("a")); err != ErrBusy {
		t.Errorf("endless changes: %v", err)
	}
}

func TestCorrupt(t *testing.T) {
	le := binary.LittleEndian
	for name, damage := range map[string]func(b []byte) []byte{
		"empty":         func(b []byte) []byte { return nil },
		"magic":         func(b []byte) []byte { b[16]++; return b },
		"version":       func(b []byte) []byte { b[20] = 2; return b },
		"page size":     func(b []byte) []byte { le.PutUint32(b[40:], 5000); return b },
		"cut":           func(b []byte) []byte { return b[:2*4096+100] },
		"root":          func(b []byte) []byte { le.PutUint64(b[4096+128:], 1<<62); return b },
		"page number":   func(b []byte) []byte { b[2*4096]++; return b },
		"lower":         func(b []byte) []byte { le.PutUint16(b[2*4096+12:], 5000); return b },
		"flags":         func(b []byte) []byte { le.PutUint16(b[2*4096+10:], 0); return b },
		"entry":         func(b []byte) []byte { le.PutUint16(b[2*4096+16:], 4095); return b },
		"value length":  func(b []byte) []byte { le.PutUint16(b[3*4096-10:], 9); return b },
		"key length":    func(b []byte) []byte { le.PutUint16(b[3*4096-4:], 9); return b },
		"big":           func(b []byte) []byte { b[3*4096-6] = nodeBig; return b },
		"its own child": func(b []byte) []byte { b[2*4096+10] = pageBranch; le.PutUint16(b[3*4096-10:], 2); return b },
	} {
		e, err := NewEnvironment(bytes.NewReader(damage(build(4096, 7, "a", "1"))))
		if err == nil {
			_, _, err = e.Get("", []byte("a"))
			if err == nil {
				err = e.All("", func(_, _ []byte) bool { return true })
			}
		}
		if !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestMdbLoad(t *testing.T) {
	tool, err := exec.LookPath("mdb_load")
	if err != nil {
		t.Skip("mdb_load is not installed")
	}
	var dump strings.Builder
	dump.WriteString("VERSION=3\nformat=print\ntype=btree\nmapsize=104857600\nHEADER=END\n")
	value := func(i int) string { return strings.Repeat(fmt.Sprintf("v%d.", i), 1+i%97*(i%13)) }
	const n = 20000
	for i := range n {
		fmt.Fprintf(&dump, " k%07d\n %s\n", i*7919%n, value(i*7919%n))
	}
	dump.WriteString("DATA=END\n")
	path := filepath.Join(t.TempDir(), "big.mdb")
	cmd := exec.Command(tool, "-n", path)
	cmd.Stdin = strings.NewReader(dump.String())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	e, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	for i := range n {
		if v, ok, err := e.Get("", fmt.Appendf(nil, "k%07d", i)); !ok || err != nil || string(v) != value(i) {
			t.Fatalf("key %d: %v %v", i, ok, err)
		}
	}
	i := 0
	if err := e.All("", func(k, v []byte) bool {
		if string(k) != fmt.Sprintf("k%07d", i) || string(v) != value(i) {
			t.Fatalf("All: %s at %d", k, i)
		}
		i++
		return true
	}); err != nil || i != n {
		t.Errorf("All: %d, %v", i, err)
	}
}

func FuzzEnvironment(f *testing.F) {
	f.Add(build(512, 7, "a", "1", "b", "2"), []byte("a"))
	f.Add(fixture(f)[:16384], []byte("key001"))
	f.Fuzz(func(t *testing.T, b, key []byte) {
		e, err := NewEnvironment(bytes.NewReader(b))
		if err != nil {
			return
		}
		e.Get("", key)
		e.Get("names", key)
		e.All("", func(_, _ []byte) bool { return true })
	})
}
