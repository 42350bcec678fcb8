package berkeleydb

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// TestWriteHash writes databases of several sizes and reads them: pages that overflow, keys and values with pages of their own, more
// buckets than fit one page.
func TestWriteHash(t *testing.T) {
	for _, count := range []int{0, 1, 7, 3000, 40000} {
		pairs := []Pair{{[]byte{}, []byte("empty key")}, {[]byte("empty value"), nil}, {[]byte("zero\x00"), []byte("\x00\x00")}}
		for _, size := range []int{1023, 1024, 1025, 4069, 4070, 4071, 8140, 100_000} {
			long := bytes.Repeat([]byte("x"), size)
			pairs = append(pairs, Pair{long, long}, Pair{fmt.Appendf(nil, "value of %d", size), long})
		}
		for i := range count {
			pairs = append(pairs, Pair{fmt.Appendf(nil, "key%d", i), fmt.Appendf(nil, "value %d", i*i)})
		}
		path := filepath.Join(t.TempDir(), "db")
		file, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := WriteHash(file, pairs); err != nil {
			t.Fatal(err)
		}
		file.Close()
		db, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range pairs {
			if value, found, err := db.Get(p.Key); err != nil || !found || !bytes.Equal(value, p.Value) {
				t.Fatalf("%d: %.20q gives %.20q, %v, %v", count, p.Key, value, found, err)
			}
		}
		if _, found, err := db.Get([]byte("none")); found || err != nil {
			t.Error(found, err)
		}
		n := 0
		if err := db.Each(func(_, _ func() ([]byte, error)) (bool, error) { n++; return true, nil }); err != nil || n != len(pairs) {
			t.Errorf("%d pairs of %d, %v", n, len(pairs), err)
		}
		db.Close()
	}
	if err := WriteHash(nil, []Pair{{Value: make([]byte, maxValue+1)}}); err == nil {
		t.Error("a value longer than what is read is written")
	}
}
