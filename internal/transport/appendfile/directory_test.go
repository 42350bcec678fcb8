package appendfile

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"exigo/internal/helper"
	"exigo/internal/mail"
	"exigo/internal/transport"
	"exigo/internal/transport/transporttest"
)

func TestMaildir(t *testing.T) {
	d := fixture(t, "directory", "DIR/md", "maildir_format", "yes", "maildir_tag", ",S=$message_size")
	d.must(mail.Delivered)
	names := d.list("md/new")
	want := regexp.MustCompile(`^920367873\.M0P\d+\.host\.test,S=123$`)
	if len(names) != 1 || !want.MatchString(names[0]) || len(d.list("md/tmp")) != 0 || len(d.list("md/cur")) != 0 {
		t.Fatalf("new %q tmp %q", names, d.list("md/tmp"))
	}
	if got := d.read("md/new/" + names[0]); got != header+"\nFrom the body\n.dot\nlast line\n" || len(got) != 123 {
		t.Errorf("%d %q", len(got), got)
	}
	// The same microsecond again: the name must be another one.
	d.Again()
	d.must(mail.Delivered)
	if names := d.list("md/new"); len(names) != 2 {
		t.Errorf("%q", names)
	}
}

// Deliveries of one process at the same time, all with the same clock, lose nothing.
func TestMaildirConcurrently(t *testing.T) {
	dir := t.TempDir()
	const n = 40
	var wg sync.WaitGroup
	for range n {
		f := transporttest.New(t, Driver(), "directory", dir+"/md", "maildir_format", "yes", "maildir_retries", "100")
		if err := f.Run.Begin(); err != nil {
			t.Fatal(err)
		}
		wg.Add(1)
		go func() {
			defer wg.Done()
			err := helper.NewLocal([]*transport.Driver{f.Driver}, f.World.World).Deliver(t.Context(), f.Run)
			if f.Run.Settle(err); f.Run.Addresses[0].Outcome.Result != mail.Delivered {
				t.Errorf("%+v", f.Run.Addresses[0].Outcome)
			}
		}()
	}
	wg.Wait()
	names, _ := filepath.Glob(dir + "/md/new/*")
	if left, _ := filepath.Glob(dir + "/md/tmp/*"); len(names) != n || len(left) != 0 {
		t.Errorf("%d messages, %d in tmp", len(names), len(left))
	}
}

func TestMaildirRefusals(t *testing.T) {
	for _, c := range []struct {
		name    string
		options []string
		set     func(dir string)
		text    string
		errno   int
	}{
		{name: "quota", options: []string{"quota", "10"}, text: `^mailbox is full \(MTA-imposed quota exceeded while writing to tmp/920367873\.M0P\d+\.host\.test\)$`, errno: mail.ErrnoQuota},
		{name: "filecount", options: []string{"quota", "1M", "quota_filecount", "1"}, set: func(dir string) { os.MkdirAll(dir+"/md/new", 0o700); os.WriteFile(dir+"/md/new/x", nil, 0o600) },
			text: `^mailbox is full \(MTA-imposed filecount quota exceeded while writing to tmp/`, errno: mail.ErrnoQuota},
		{name: "no directory", options: []string{"create_directory", "no"}, text: `^stat\(\) error for DIR/md: No such file or directory$`, errno: 2},
		{name: "a file", set: func(dir string) { os.WriteFile(dir+"/md", nil, 0o600) }, text: `^DIR/md is not a directory$`, errno: mail.ErrnoNotDirectory},
		{name: "outside", options: []string{"create_file", "DIR/home"}, text: `^tried to create file in DIR/md, but file creation outside the home directory is not permitted$`, errno: mail.ErrnoBadCreate},
		{name: "dots", options: []string{"create_file", "DIR/home", "directory", "DIR/home/../md"},
			text: `^tried to create file in DIR/home/../md, but file creation outside the home directory is not permitted$`, errno: mail.ErrnoBadCreate},
		{name: "through a link", options: []string{"create_file", "DIR/home", "directory", "DIR/home/link/md"}, set: func(dir string) {
			os.MkdirAll(dir+"/home", 0o700)
			os.Mkdir(dir+"/else", 0o700)
			os.Symlink(dir+"/else", dir+"/home/link")
		}, text: `^tried to create file in DIR/home/link/md, but file creation outside the home directory is not permitted$`, errno: mail.ErrnoBadCreate},
	} {
		d := fixture(t, append([]string{"directory", "DIR/md", "maildir_format", "yes"}, c.options...)...)
		if c.set != nil {
			c.set(d.dir)
		}
		o := d.must(mail.Deferred)
		if want := regexp.MustCompile(strings.ReplaceAll(c.text, "DIR", regexp.QuoteMeta(d.dir))); !want.MatchString(o.Message) || o.Errno != c.errno {
			t.Errorf("%s: %d %q", c.name, o.Errno, o.Message)
		}
		if left, _ := filepath.Glob(d.dir + "/md/tmp/*"); len(left) != 0 {
			t.Errorf("%s: left %q", c.name, left)
		}
	}
}

func TestMaildirSize(t *testing.T) {
	d := fixture(t, "directory", "DIR/md", "maildir_format", "yes", "maildir_use_size_file", "yes", "quota", "300", "quota_filecount", "5/no_check")
	d.must(mail.Delivered)
	if got := d.read("md/maildirsize"); got != "300S,5C\n0 0\n123 1\n" {
		t.Errorf("%q", got)
	}
	d.Again()
	d.must(mail.Delivered)
	if got := d.read("md/maildirsize"); got != "300S,5C\n0 0\n123 1\n123 1\n" {
		t.Errorf("%q", got)
	}
	d.Again()
	d.must(mail.Deferred) // over quota: counted anew
	if got := d.read("md/maildirsize"); got != "300S,5C\n246 2\n" {
		t.Errorf("%q", got)
	}
	for _, name := range d.list("md/new")[:1] {
		os.Remove(d.dir + "/md/new/" + name)
	}
	os.Remove(d.dir + "/md/maildirsize")
	d.Again()
	d.must(mail.Delivered)
	if got := d.read("md/maildirsize"); got != "300S,5C\n123 1\n123 1\n" {
		t.Errorf("%q", got)
	}
}

func TestMaildirFolder(t *testing.T) {
	d := fixture(t, "directory", "DIR/md/.folder", "maildir_format", "yes", "maildirfolder_create_regex", `/\.[^/]+$`, "quota", "1000", "maildir_use_size_file", "yes",
		"maildir_quota_directory_regex", `^(?:cur|new|\.(?!Trash).*)$`)
	d.must(mail.Delivered)
	if _, err := os.Stat(d.dir + "/md/.folder/maildirfolder"); err != nil {
		t.Error(err)
	}
	if got := d.read("md/maildirsize"); !strings.HasPrefix(got, "1000S,0C\n") {
		t.Errorf("%q", got)
	}
	e := fixture(t, "directory", "DIR/md/.Trash", "maildir_format", "yes", "maildirfolder_create_regex", `/\.[^/]+$`, "quota", "10", "maildir_use_size_file", "yes",
		"maildir_quota_directory_regex", `^(?:cur|new|\.(?!Trash).*)$`)
	e.must(mail.Delivered) // the folder does not count
}

func TestSizeFromName(t *testing.T) {
	d := fixture(t, "directory", "DIR/md", "maildir_format", "yes", "quota", "1000", "quota_size_regex", `,S=(\d+)`)
	os.MkdirAll(d.dir+"/md/cur", 0o700)
	os.WriteFile(d.dir+"/md/cur/x,S=950:2,S", nil, 0o600)
	d.must(mail.Deferred)
	d = fixture(t, "directory", "DIR/md", "maildir_format", "yes", "quota", "1000", "mailbox_size", "10")
	d.must(mail.Delivered)
}

func TestMailstore(t *testing.T) {
	d := fixture(t, "directory", "DIR/ms", "mailstore_format", "yes", "mailstore_prefix", "pre $mailstore_basename", "mailstore_suffix", "suf\n", "message_prefix", "never seen")
	d.must(mail.Delivered)
	names := d.list("ms")
	if len(names) != 2 || !strings.HasSuffix(names[0], ".env") || !strings.HasSuffix(names[1], ".msg") || !strings.HasPrefix(names[0], "10HmaX-000000005vi-0000-") {
		t.Fatalf("%q", names)
	}
	base := strings.TrimSuffix(names[0], ".env")
	if got := d.read("ms/" + names[0]); got != "pre "+d.dir+"/ms/"+base+"\nsender@s.test\nuserx@test.ex\nsuf\n" {
		t.Errorf("%q", got)
	}
	if got := d.read("ms/" + names[1]); got != header+"\nFrom the body\n.dot\nlast line\n" {
		t.Errorf("%q", got)
	}
}

func TestSingleFiles(t *testing.T) {
	d := fixture(t, "directory", "DIR/dd")
	d.must(mail.Delivered)
	d.Again()
	d.must(mail.Delivered)
	names := d.list("dd")
	if len(names) != 2 || !regexp.MustCompile(`^q10HmbJ-\d+$|^q[0-9A-Za-z]{6}-\d+$`).MatchString(names[0]) {
		t.Errorf("%q", names)
	}
	d = fixture(t, "directory", "DIR/dd", "directory_file", "a/$inode")
	if o := d.must(mail.Deferred); !strings.HasPrefix(o.Message, "while renaming "+d.dir+"/dd/temp.") || len(d.list("dd")) != 0 {
		t.Errorf("%q", o.Message)
	}
	d = fixture(t, "directory", "DIR/dd", "directory_file", "../x")
	d.must(mail.Panicked)
}

// A redirection to a path that ends in a slash, or to any path with maildir_format, is a delivery to a directory.
func TestRedirected(t *testing.T) {
	for _, c := range []struct {
		path, made string
		options    []string
	}{{"/f", "f", nil}, {"/f/", "f/q*", nil}, {"/f", "f/new/*", []string{"maildir_format", "yes"}}, {"/f", "x-f", []string{"file", "DIR/x-${sg{$address_file}{.*/}{}}"}}} {
		d := fixture(t, c.options...)
		a := d.Run.Addresses[0]
		a.Kind, a.Address = mail.KindFile, d.dir+c.path
		d.must(mail.Delivered)
		if found, _ := filepath.Glob(d.dir + "/" + c.made); len(found) != 1 {
			t.Errorf("%s %q: %q", c.path, c.options, d.list("."))
		}
	}
	d := fixture(t)
	a := d.Run.Addresses[0]
	a.Kind, a.Address = mail.KindFile, "bfolder"
	if o := d.must(mail.Deferred); o.Message != `appendfile: file or directory name "bfolder" is not absolute` {
		t.Errorf("%q", o.Message)
	}
}

func BenchmarkMaildir(b *testing.B) {
	dir := b.TempDir()
	f := transporttest.New(b, Driver(), "directory", dir+"/md", "maildir_format", "yes", "maildir_retries", "1000000")
	f.Run.Begin()
	c := helper.NewLocal([]*transport.Driver{f.Driver}, f.World.World)
	b.ReportAllocs()
	for b.Loop() {
		f.World.Clock.Advance(1000)
		if err := c.Deliver(b.Context(), f.Run); err != nil {
			b.Fatal(err)
		}
	}
}
