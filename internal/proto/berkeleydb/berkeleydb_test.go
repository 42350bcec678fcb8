package berkeleydb

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"strings"
	"testing"
)

// TestFiles reads databases that Perl's DB_File made with libdb 5.3, pages of 512 bytes: hash.db has keys and values with a zero byte
// behind, btree.db has three levels, swapped.db the other byte order.
func TestFiles(t *testing.T) {
	for _, c := range []struct {
		name string
		keys int
		end  string
	}{{"hash.db", 60, "\x00"}, {"btree.db", 150, ""}, {"swapped.db", 10, ""}} {
		db, err := Open("testdata/" + c.name)
		if err != nil {
			t.Fatal(c.name, err)
		}
		want := map[string]string{"big" + c.end: strings.Repeat("x", 2000), strings.Repeat("k", 700) + c.end: "long key", "u\x00v\x00w": "joined"}
		for i := range c.keys {
			want[fmt.Sprintf("key%d%s", i+1, c.end)] = fmt.Sprintf("value %d%s", i+1, c.end)
		}
		for range 2 { // with the hash function, then without
			for key, value := range want {
				if got, found, err := db.Get([]byte(key)); err != nil || !found || string(got) != value {
					t.Errorf("%s: %.20q gives %.40q, %v, %v", c.name, key, got, found, err)
				}
			}
			for _, key := range []string{"", "key", "key0", "zzz", "a", "key1x"} {
				if got, found, err := db.Get([]byte(key)); err != nil || found {
					t.Errorf("%s: %q gives %q, %v", c.name, key, got, err)
				}
			}
			pairs := map[string]string{}
			if err := db.Each(func(key, value func() ([]byte, error)) (bool, error) {
				k, err := key()
				if err != nil {
					return false, err
				}
				v, err := value()
				pairs[string(k)] = string(v)
				return true, err
			}); err != nil || !maps.Equal(pairs, want) {
				t.Errorf("%s: %d pairs of %d, %v", c.name, len(pairs), len(want), err)
			}
			if db.hash && db.function == nil && c.name == "hash.db" {
				break
			}
			db.function = nil
		}
		db.Close()
	}
	db, err := Open("testdata/duplicates.db")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if got, found, err := db.Get([]byte("a")); string(got) != "1" || !found || err != nil {
		t.Errorf("duplicates: %q, %v, %v", got, found, err)
	}
}

func TestNoDatabase(t *testing.T) {
	for name, content := range map[string]string{"empty": "", "short": "x", "text": strings.Repeat("no database\n", 400)} {
		if _, err := New(strings.NewReader(content), int64(len(content))); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Open("testdata/none"); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	if _, err := Open("testdata"); err == nil {
		t.Error("a directory is a database")
	}
}

func FuzzGet(f *testing.F) {
	for _, name := range []string{"hash.db", "btree.db", "swapped.db", "duplicates.db"} {
		data, err := os.ReadFile("testdata/" + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, "key7")
		f.Add(data[:len(data)/2], "big")
	}
	f.Fuzz(func(t *testing.T, data []byte, key string) {
		db, err := New(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return
		}
		_, _, _ = db.Get([]byte(key))
		db.function = nil
		_, _, _ = db.Get([]byte(key))
		_ = db.Each(func(_, value func() ([]byte, error)) (bool, error) { _, err := value(); return true, err })
	})
}
