package hints_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"exigo/internal/hints"
	"exigo/internal/testkit"

	"github.com/google/go-cmp/cmp"
)

func open(t testing.TB) (*hints.DB, *testkit.Clock, string) {
	t.Helper()
	dir := t.TempDir()
	clock := testkit.NewClock(testkit.Epoch())
	db := hints.New(hints.Options{SpoolDirectory: dir, Clock: clock, UID: -1, GID: -1})
	t.Cleanup(func() { db.Close() })
	return db, clock, dir
}

func TestTable(t *testing.T) {
	db, clock, dir := open(t)
	table := hints.RetryTable()
	if _, err := os.Stat(filepath.Join(dir, "db")); err == nil {
		t.Error("opened before the first use")
	}
	if _, _, found, err := table.Get(db, "x"); found || err != nil {
		t.Fatal(found, err)
	}
	want := hints.Retry{First: 1, Last: 2, Next: 3, Expired: true, Errno: 111, MoreErrno: 77, Text: "it's \"refused\"\n"}
	for _, key := range []string{"T:a", "T:b'; DROP TABLE hints", "R:a", "T:a:more"} {
		if err := table.Put(db, key, want); err != nil {
			t.Fatal(err)
		}
		clock.Advance(time.Second)
	}
	got, stamp, found, err := table.Get(db, "T:b'; DROP TABLE hints")
	if !found || err != nil || got != want || !stamp.Equal(testkit.Epoch().Add(time.Second)) {
		t.Errorf("%+v %v %v %v", got, stamp, found, err)
	}
	var keys []string
	table.Each(db, "T:", func(key string, _ time.Time, r hints.Retry) bool { keys = append(keys, key); return true })
	if d := cmp.Diff([]string{"T:a", "T:a:more", "T:b'; DROP TABLE hints"}, keys); d != "" {
		t.Error(d)
	}
	if _, _, found, _ := hints.WaitTable("T").Get(db, "T:a"); found {
		t.Error("tables are not apart")
	}
	for _, action := range []hints.Action{hints.Keep, hints.Write, hints.Remove} {
		err := table.Update(db, "T:a", func(r hints.Retry, _ time.Time, found bool) (hints.Retry, hints.Action) {
			if !found {
				t.Error("not found")
			}
			r.Errno++
			return r, action
		})
		if err != nil {
			t.Error(err)
		}
		r, _, found, _ := table.Get(db, "T:a")
		if found != (action != hints.Remove) || found && r.Errno != 111+int(action) {
			t.Errorf("action %d: %+v %v", action, r, found)
		}
	}
	if err := table.Delete(db, "no such key"); err != nil {
		t.Error(err)
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
	if _, _, found, err := table.Get(db, "R:a"); !found || err != nil {
		t.Errorf("after Close: %v %v", found, err)
	}
	if names, err := db.Names(); err != nil || cmp.Diff([]string{"retry"}, names) != "" {
		t.Errorf("%v %v", names, err)
	}
	var none *hints.DB
	if _, _, found, err := table.Get(none, "x"); found || err != nil || table.Put(none, "x", want) != nil || table.Delete(none, "x") != nil || none.Close() != nil {
		t.Error("a nil DB does something")
	}
}

// Two processes (here: two DBs of one file would be one process opening it twice, so goroutines on one) count without losing.
func TestConcurrentUpdates(t *testing.T) {
	db, _, _ := open(t)
	table := hints.MiscTable()
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 25 {
				err := table.Update(db, "count", func(r hints.Misc, _ time.Time, _ bool) (hints.Misc, hints.Action) {
					r.Count++
					return r, hints.Write
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	if r, _, _, _ := table.Get(db, "count"); r.Count != 200 {
		t.Errorf("counted %d", r.Count)
	}
}

func TestDamagedFileIsDiscarded(t *testing.T) {
	db, _, dir := open(t)
	if err := os.Mkdir(filepath.Join(dir, "db"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "db", "seen.sqlite"), bytes.Repeat([]byte("rubbish"), 1000), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := hints.SeenTable().Put(db, "x", hints.Seen{}); err != nil {
		t.Error(err)
	}
	if _, _, found, err := hints.SeenTable().Get(db, "x"); !found || err != nil {
		t.Error(found, err)
	}
}

// Administrators remove databases while a daemon has them open.
func TestRemovedFileIsForgotten(t *testing.T) {
	db, _, dir := open(t)
	table := hints.SeenTable()
	if _, _, found, err := table.Get(db, "x"); found || err != nil {
		t.Error(found, err)
	}
	if err := table.Delete(db, "x"); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "db")); err == nil {
		t.Error("reading made a file")
	}
	for range 2 {
		if err := table.Put(db, "x", hints.Seen{}); err != nil {
			t.Error(err)
		}
		files, _ := filepath.Glob(filepath.Join(dir, "db", "seen*"))
		for _, f := range files {
			os.Remove(f)
		}
		if _, _, found, err := table.Get(db, "x"); found || err != nil || len(files) == 0 {
			t.Error(found, err, files)
		}
	}
}

func TestUnusableDirectory(t *testing.T) {
	clock := testkit.NewClock(testkit.Epoch())
	file := filepath.Join(t.TempDir(), "file")
	os.WriteFile(file, nil, 0o600)
	db := hints.New(hints.Options{SpoolDirectory: file, Clock: clock, UID: -1})
	if _, _, _, err := hints.SeenTable().Get(db, "x"); err == nil || !strings.Contains(err.Error(), "failed to open hints database") {
		t.Error(err)
	}
}

func TestDump(t *testing.T) {
	db, _, _ := open(t)
	const first = 920367873
	hints.RetryTable().Put(db, "T:mail.ref.example:192.168.242.242", hints.Retry{First: first, Last: first + 60, Next: first + 120, Expired: true, Errno: 146, MoreErrno: 77, Text: "Connection refused"})
	hints.RetryTable().Put(db, "R:x\ny", hints.Retry{Errno: -1, Text: "not\nnow"})
	hints.WaitTable("smtp").Put(db, "host", hints.Wait{IDs: []string{"a", "b"}})
	hints.CalloutTable().Put(db, "a@b", hints.Callout{Result: hints.Rejected})
	hints.CalloutTable().Put(db, "test.ex", hints.Callout{Domain: true, Result: hints.Accepted, Random: hints.Accepted, RandomStamp: first})
	hints.SeenTable().Put(db, "127.0.0.1", hints.Seen{})
	hints.MiscTable().Put(db, "127.0.0.1:25.EHLO", hints.Misc{EHLO: &hints.EHLO{Clear: 0x160}})
	hints.RatelimitTable().Put(db, "1h/per_mail/x", hints.Ratelimit{Stamp: first*1e6 + 123456, Rate: 1.5})
	for name, want := range map[string]string{
		"retry": "  R:x\\ny -1 0 not\\nnow\n01-Jan-1970 00:00:00  01-Jan-1970 00:00:00  01-Jan-1970 00:00:00 \n" +
			"  T:mail.ref.example:192.168.242.242 146 77 Connection refused\n02-Mar-1999 09:44:33  02-Mar-1999 09:45:33  02-Mar-1999 09:46:33 *\n",
		"wait-smtp": "host a b\n",
		"callout":   "02-Mar-1999 09:44:33 a@b callout=reject\n02-Mar-1999 09:44:33 test.ex callout=accept postmaster=unknown random=accept (02-Mar-1999 09:44:33)\n",
		"seen":      "127.0.0.1\t02-Mar-1999 09:44:33\n",
		"misc":      "02-Mar-1999 09:44:33 127.0.0.1:25.EHLO\nhelo/ehlo 127.0.0.1:25 clr 0160/0000 cry 0000/0000 lim 00000/00000/00000\n",
		"ratelimit": "02-Mar-1999 09:44:33.123456 rate:      1.500 key: 1h/per_mail/x\n",
		"tls":       "",
	} {
		var b bytes.Buffer
		if err := hints.Dump(&b, db, name, hints.Shower{Location: time.UTC}); err != nil {
			t.Error(err)
		}
		if d := cmp.Diff(want, b.String()); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
	var b bytes.Buffer
	if hints.Dump(&b, db, "seen", hints.Shower{KeysOnly: true}); b.String() != "  127.0.0.1\n" {
		t.Errorf("%q", b.String())
	}
	if err := hints.Dump(&b, db, "nonsense", hints.Shower{}); err == nil {
		t.Error("unknown name")
	}
}

func TestTidy(t *testing.T) {
	db, clock, _ := open(t)
	const gone, here = "10HmaX-000000005vi-0000", "10HmaY-0005vi-00"
	hints.RetryTable().Put(db, "T:old", hints.Retry{})
	clock.Advance(time.Hour)
	hints.RetryTable().Put(db, "T:new", hints.Retry{})
	hints.RetryTable().Put(db, "T:h:1.2.3.4:"+gone, hints.Retry{})
	hints.RetryTable().Put(db, "T:h:1.2.3.4:"+here, hints.Retry{})
	hints.WaitTable("smtp").Put(db, "all", hints.Wait{IDs: []string{gone}})
	hints.WaitTable("smtp").Put(db, "some", hints.Wait{IDs: []string{gone, here}})
	hints.WaitTable("smtp").Put(db, "none", hints.Wait{IDs: []string{here}})
	var b bytes.Buffer
	for _, name := range []string{"retry", "wait-smtp"} {
		if err := hints.Tidy(&b, db, name, testkit.Epoch().Add(time.Minute), func(id string) bool { return id == here }); err != nil {
			t.Error(err)
		}
	}
	want := "deleted T:h:1.2.3.4:" + gone + " (no message)\ndeleted T:old (too old)\n" +
		"removed message id " + gone + " from record all\ndeleted all (empty)\nremoved message id " + gone + " from record some\n"
	if d := cmp.Diff(want, b.String()); d != "" {
		t.Error(d)
	}
	if r, _, found, _ := hints.WaitTable("smtp").Get(db, "some"); !found || cmp.Diff([]string{here}, r.IDs) != "" {
		t.Errorf("%+v", r)
	}
}

func BenchmarkGetNothing(b *testing.B) {
	db, _, _ := open(b)
	table := hints.RetryTable()
	b.ReportAllocs()
	for b.Loop() {
		table.Get(db, "T:host:192.0.2.1")
	}
}

func BenchmarkPut(b *testing.B) {
	db, _, _ := open(b)
	table := hints.RetryTable()
	n := 0
	for b.Loop() {
		n++
		table.Put(db, fmt.Sprint("T:host:", n%1000), hints.Retry{Errno: n, Text: "Connection refused"})
	}
}

func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir()
	for b.Loop() {
		db := hints.New(hints.Options{SpoolDirectory: dir, Clock: testkit.NewClock(testkit.Epoch()), UID: -1})
		hints.RetryTable().Get(db, "x")
		db.Close()
	}
}
