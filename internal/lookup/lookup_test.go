package lookup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"exigo/internal/outside"
)

// Errors are those of Exim 4.96.
func TestParseType(t *testing.T) {
	drivers := map[string]*Driver{"lsearch": {Name: "lsearch", Kind: SingleKey}, "dnsdb": {Name: "dnsdb", Kind: Query}}
	for text, want := range map[string]string{
		"lsearch": "-1  0 []", "lsearch*": "-1  1 []", "lsearch*@": "-1  2 []", "lsearch*foo": "-1  1 []", "lsearch**": "-1  1 []",
		"partial-lsearch": "2 *. 0 []", "partial3-lsearch*": "3 *. 1 []", "partial0(.)lsearch*@,ret=key,a=b": "0 . 2 [ret=key a=b]", "partial1()lsearch": "1  0 []",
		"partial99-lsearch": "99 *. 0 []", "dnsdb,cache=no": "-1  0 [cache=no]",
		"foo": `unknown lookup type "foo"`, "net-lsearch": `unknown lookup type "net-lsearch"`, "": `unknown lookup type ""`,
		"partial-dnsdb": `"partial" is not permitted for lookup type "dnsdb"`, "partial-dnsdb*,a=b": `"partial" is not permitted for lookup type "dnsdb*,a=b"`, "dnsdb*": `defaults using "*" or "*@" are not permitted for lookup type "dnsdb*"`,
		"partial+lsearch": `format error in lookup type "partial+lsearch"`, "partiallsearch": `format error in lookup type "partiallsearch"`,
		"partial(.lsearch": `format error in lookup type "partial(.lsearch"`, "partial(*.a)lsearch": `format error in lookup type "partial(*.a)lsearch"`,
	} {
		typ, err := ParseType(drivers, text)
		got := fmt.Sprintf("%d %s %d %v", typ.Partial, typ.Affix, typ.Default, typ.Options)
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

type handClock struct{ now time.Time }

func (c *handClock) Now() time.Time                             { return c.now }
func (c *handClock) Sleep(context.Context, time.Duration) error { return nil }
func (c *handClock) After(time.Duration) <-chan time.Time       { return nil }

func TestCache(t *testing.T) {
	clock := &handClock{time.Unix(1000, 0)}
	calls := 0
	result := Result{Data: "x"}
	d := &Driver{Name: "d", Kind: Query, Find: func(context.Context, *Request) (Result, bool, error) {
		calls++
		if result.Data == "" {
			return Result{}, false, nil
		}
		if result.Data == "defer" {
			return Result{}, false, Defer("later")
		}
		return result, true, nil
	}}
	cache := &Cache{}
	r := &Request{World: &outside.World{Clock: clock}, Key: "k"}
	search := func(want int, options ...string) {
		t.Helper()
		Search(context.Background(), cache, Type{Driver: d, Partial: -1, Options: options}, r)
		if calls != want {
			t.Errorf("%d calls, want %d", calls, want)
		}
		calls = 0
	}
	search(1)
	search(0)
	search(1, "cache=no_rd")
	search(1, "a=b")
	search(0, "a=b", "ret=key")
	result.Data = ""
	search(1, "cache=no_rd")
	search(0)
	search(1, "cache=no")
	cache.Clear()
	result = Result{Data: "x", Life: 5 * time.Second}
	search(1)
	clock.now = clock.now.Add(4 * time.Second)
	search(0)
	clock.now = clock.now.Add(time.Second)
	search(1)
	r.Key, result = "never", Result{Data: "x", NoCache: true}
	search(1)
	search(1)
	r.Key, result = "defer", Result{Data: "defer"}
	search(1)
	search(1)
	if _, _, err := Search(context.Background(), nil, Type{Driver: d}, r); !errors.Is(err, ErrDefer) {
		t.Errorf("error %v", err)
	}
	(*Cache)(nil).Clear()
	result.Data = "x"
	for i := range maxCached + 10 {
		r.Key = fmt.Sprint(i)
		Search(context.Background(), cache, Type{Driver: d}, r)
	}
	if len(cache.results) > maxCached {
		t.Errorf("%d results are kept", len(cache.results))
	}
	result.Data = strings.Repeat("x", maxCachedBytes/4)
	for i := range 9 {
		r.Key = fmt.Sprint("large", i)
		Search(context.Background(), cache, Type{Driver: d}, r)
	}
	if len(cache.results) > 4 || cache.bytes > maxCachedBytes {
		t.Errorf("%d large results are kept, %d bytes", len(cache.results), cache.bytes)
	}
	calls, result.Data = 0, strings.Repeat("x", maxCachedBytes)
	search(0)
	r.Key = "too large"
	search(1)
	search(1)
}

// A file that changes is read again; one that does not is not.
func TestLineFiles(t *testing.T) {
	path := t.TempDir() + "/f"
	now := time.Now().Add(time.Hour)
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := NewLineFiles()
	get := func(key string) string {
		t.Helper()
		now = now.Add(trusted)
		f, err := c.Open(path, now)
		if err != nil {
			return err.Error()
		}
		e, ok := f.Find(key)
		if !ok {
			return "-"
		}
		return e.Data()
	}
	write("a: 1\n")
	first, _ := c.Open(path, now)
	if again, _ := c.Open(path, now); again != first {
		t.Error("an unchanged file is read again")
	}
	write("a: two\n")
	if again, _ := c.Open(path, now.Add(trusted-1)); again != first {
		t.Error("a file that was just looked at is looked at again")
	}
	if got := get("a"); got != "two" {
		t.Errorf("after a change: %q", got)
	}
	write("a: " + strings.Repeat("x", indexFrom) + "\nb: 1\n\"B\": 2\n")
	if f, _ := c.Open(path, now.Add(trusted)); f.index == nil || get("b") != "1" || get("c") != "-" {
		t.Error("index")
	}
	now = time.Now()
	write("a: young\n")
	first, _ = c.Open(path, now.Add(trusted))
	if again, _ := c.Open(path, now.Add(2*trusted)); again == first {
		t.Error("the time stamp of a file that was just written is trusted")
	}
	os.Remove(path)
	if got := get("a"); got != "failed to open "+path+" for linear search: No such file or directory" {
		t.Errorf("a removed file: %q", got)
	}
	if c.order.Len() != 0 || c.size != 0 {
		t.Errorf("%d files and %d bytes are left", c.order.Len(), c.size)
	}
	for i := range maxFiles + 5 {
		c.put(&kept{path: fmt.Sprint(i), size: maxKept / 4})
	}
	if c.size > maxKept || c.order.Len() != len(c.files) {
		t.Errorf("%d bytes in %d files are kept", c.size, c.order.Len())
	}
}

// Index and linear search find the same.
func FuzzLineFile(f *testing.F) {
	f.Add("a: 1\n b\n# c\n\n d\n\"x\\n\\x41\": y\nA: 2", "a")
	f.Add("\"a\\", "a\\")
	f.Fuzz(func(t *testing.T, text, key string) {
		plain := &LineFile{text: text}
		indexed := &LineFile{text: text, index: makeIndex(text)}
		try := func(key string) {
			e, ok := plain.Find(key)
			x, found := indexed.Find(key)
			if ok != found || e.Full() != x.Full() || e.Data() != x.Data() {
				t.Fatalf("key %q: %q %v, with an index %q %v", key, e.Full(), ok, x.Full(), found)
			}
		}
		try(key)
		plain.Each(func(e LineEntry) bool {
			try(e.Key)
			return true
		})
	})
}

func BenchmarkFind(b *testing.B) {
	var text strings.Builder
	for i := range 100000 {
		fmt.Fprintf(&text, "key%d@example.com: data of %d\n", i, i)
	}
	path := b.TempDir() + "/f"
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		b.Fatal(err)
	}
	c, now := NewLineFiles(), time.Now().Add(time.Hour)
	b.ReportAllocs()
	for b.Loop() {
		f, err := c.Open(path, now)
		if err != nil {
			b.Fatal(err)
		}
		if e, ok := f.Find("KEY77777@example.com"); !ok || e.Data() == "" {
			b.Fatal("not found")
		}
	}
}
