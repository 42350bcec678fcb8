package appendfile

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"exigo/internal/mail"
	"exigo/internal/transport"
	"exigo/internal/transport/transporttest"
)

const header = "Received: by host.test\nMessage-Id: <m1@s.test>\nFrom: Some One <sender@s.test>\nSubject: hello\n"

// deliver makes a delivery; DIR in options and wanted texts is a fresh directory.
type delivered struct {
	*transporttest.Fixture
	dir string
}

func fixture(t *testing.T, options ...string) *delivered {
	t.Helper()
	dir := t.TempDir()
	for i := range options {
		options[i] = strings.ReplaceAll(options[i], "DIR", dir)
	}
	return &delivered{transporttest.New(t, Driver(), options...), dir}
}

func (d *delivered) read(name string) string {
	d.T.Helper()
	data, err := os.ReadFile(filepath.Join(d.dir, name))
	if err != nil {
		d.T.Fatal(err)
	}
	return string(data)
}

func (d *delivered) list(name string) []string {
	d.T.Helper()
	entries, err := os.ReadDir(filepath.Join(d.dir, name))
	if err != nil {
		d.T.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func (d *delivered) must(want mail.Result) mail.Outcome {
	d.T.Helper()
	o := d.Deliver(d.T.(*testing.T).Context())
	if o.Result != want {
		d.T.Fatalf("result %d: %+v", o.Result, o)
	}
	return o
}

func TestMailbox(t *testing.T) {
	d := fixture(t, "file", "DIR/sub/box")
	d.must(mail.Delivered)
	one := "From sender@s.test Tue Mar 02 09:44:33 1999\n" + header + "\n>From the body\n.dot\nlast line\n\n"
	if got := d.read("sub/box"); got != one {
		t.Errorf("got\n%s\nwant\n%s", got, one)
	}
	d.Again()
	d.must(mail.Delivered)
	if got := d.read("sub/box"); got != one+one {
		t.Errorf("second message:\n%s", got)
	}
	if names := d.list("sub"); len(names) != 1 {
		t.Errorf("files left: %q", names)
	}
	info, _ := os.Stat(d.dir + "/sub/box")
	dir, _ := os.Stat(d.dir + "/sub")
	if info.Mode() != 0o600 || dir.Mode().Perm() != 0o700 {
		t.Errorf("modes %v %v", info.Mode(), dir.Mode())
	}
}

func TestFormats(t *testing.T) {
	for _, c := range []struct {
		name    string
		options []string
		want    string
	}{
		{"crlf and own texts", []string{"use_crlf", "yes", "message_prefix", "<$local_part_data>", "message_suffix", "", "check_string", "", "body_only", "yes"},
			"<userx>From the body\r\n.dot\r\nlast line\r\n"},
		{"bsmtp", []string{"use_bsmtp", "yes", "message_prefix", "HELO x\n", "headers_only", "yes"},
			"HELO x\nMAIL FROM:<sender@s.test>\nRCPT TO:<userx@test.ex>\nDATA\n" + header + "\n.\n"},
		{"bsmtp dots", []string{"use_bsmtp", "yes", "body_only", "yes"}, "MAIL FROM:<sender@s.test>\nRCPT TO:<userx@test.ex>\nDATA\nFrom the body\n..dot\nlast line\n.\n"},
		{"filter", []string{"transport_filter", "/bin/sed s/body/BODY/", "body_only", "yes", "message_prefix", "", "message_suffix", ""}, ">From the BODY\n.dot\nlast line\n"},
		{"null device", []string{"file", "/dev/null"}, ""},
	} {
		d := fixture(t, append([]string{"file", "DIR/box"}, c.options...)...)
		o := d.must(mail.Delivered)
		if c.want == "" {
			continue
		}
		if got := d.read("box"); got != c.want || o.Size != int64(len(c.want)) {
			t.Errorf("%s: %q (%d)\nwant %q", c.name, got, o.Size, c.want)
		}
	}
}

func TestRefusals(t *testing.T) {
	own := func(dir string) { os.WriteFile(dir+"/box", nil, 0o600) }
	for _, c := range []struct {
		name    string
		options []string
		set     func(dir string)
		errno   int
		text    string
	}{
		{name: "symbolic link", set: func(dir string) { os.Symlink("/nowhere", dir+"/box") }, errno: mail.ErrnoNotRegular, text: "mailbox DIR/box is not a regular file"},
		{name: "hard link", set: func(dir string) { own(dir); os.Link(dir+"/box", dir+"/other") }, errno: mail.ErrnoNotRegular, text: "mailbox DIR/box has too many links (2)"},
		{name: "pipe", set: func(dir string) { syscall.Mkfifo(dir+"/box", 0o600) }, errno: mail.ErrnoNotRegular, text: "mailbox DIR/box is not a regular file"},
		{name: "pipe nobody reads", options: []string{"allow_fifo", "yes"}, set: func(dir string) { syscall.Mkfifo(dir+"/box", 0o600) }, errno: int(syscall.ENXIO),
			text: "while opening named pipe DIR/box (could mean no process is reading it)"},
		{name: "narrow mode", options: []string{"mode", "0666"}, set: own, errno: mail.ErrnoBadMode, text: "mailbox DIR/box has the wrong mode 600 (666 expected)"},
		{name: "must exist", options: []string{"file_must_exist", "yes"}, errno: int(syscall.ENOENT), text: "mailbox DIR/box does not exist, but file_must_exist is set"},
		{name: "outside home", options: []string{"create_file", "inhome", "home_directory", "/home/x"}, errno: mail.ErrnoBadCreate,
			text: "mailbox DIR/box does not exist, but creation outside the home directory is not permitted"},
		{name: "no directory", options: []string{"file", "DIR/a/b", "no_lock", ""}, errno: int(syscall.ENOENT), text: "while creating mailbox DIR/a/b"},
		{name: "relative", options: []string{"file", "box"}, errno: mail.ErrnoNotAbsolute, text: `appendfile: file or directory name "box" is not absolute`},
		{name: "locked", options: []string{"lock_retries", "1"}, set: func(dir string) { os.WriteFile(dir+"/box.lock", nil, 0o600); touch(dir + "/box.lock") }, errno: mail.ErrnoLockFailed,
			text: "failed to lock mailbox DIR/box (lock file)"},
		{name: "quota", options: []string{"quota", "10"}, errno: mail.ErrnoQuota, text: "mailbox is full (MTA-imposed quota exceeded while writing to DIR/box)"},
	} {
		var options []string
		for i := 0; i+1 < len(c.options); i += 2 {
			if c.options[i] == "no_lock" {
				options = append(options, "use_lockfile", "no", "create_directory", "no")
			} else {
				options = append(options, c.options[i], c.options[i+1])
			}
		}
		d := fixture(t, append([]string{"file", "DIR/box"}, options...)...)
		if c.set != nil {
			c.set(d.dir)
		}
		o := d.must(mail.Deferred)
		if want := strings.ReplaceAll(c.text, "DIR", d.dir); o.Message != want || o.Errno != c.errno {
			t.Errorf("%s: %d %q\nwant %d %q", c.name, o.Errno, o.Message, c.errno, want)
		}
	}
}

// touch sets a file's time to the fake clock's.
func touch(name string) {
	at := time.Date(1999, 3, 2, 9, 44, 0, 0, time.UTC)
	os.Chtimes(name, at, at)
}

func TestOwner(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root: files of other owners")
	}
	d := fixture(t, "file", "DIR/box", "check_group", "yes")
	own := d.dir + "/box"
	os.WriteFile(own, nil, 0o600)
	os.Chown(own, 2, 0)
	if o := d.must(mail.Deferred); o.Message != "mailbox "+own+" has wrong uid (2 != 0)" || o.Errno != mail.ErrnoBadUGID {
		t.Errorf("%+v", o)
	}
	os.Chown(own, 0, 2)
	d.Again()
	if o := d.must(mail.Deferred); o.Message != "mailbox "+own+" has wrong gid (2 != 0)" {
		t.Errorf("%+v", o)
	}
	os.Remove(own)
	os.Symlink("/tmp/nothing", own)
	os.Lchown(own, 2, 2)
	d.Again()
	if o := d.must(mail.Deferred); o.Message != "mailbox "+own+" (symlink) has wrong uid (2 != 0)" {
		t.Errorf("%+v", o)
	}
}

func TestTaint(t *testing.T) {
	d := fixture(t, "file", "DIR/$local_part")
	o := d.must(mail.Panicked)
	if want := "Tainted '" + d.dir + "/userx' (file or directory name for t1 transport) not permitted"; o.Message != want || o.Errno != -1 {
		t.Errorf("%d %q", o.Errno, o.Message)
	}
	fixture(t, "file", "DIR/$local_part", "create_file", "DIR").must(mail.Delivered)
	d = fixture(t, "file", "${if eq{a}{b}")
	if o := d.must(mail.Panicked); !strings.HasPrefix(o.Message, `Expansion of "${if eq{a}{b}" (file or directory name for t1 transport) failed: `) {
		t.Errorf("%q", o.Message)
	}
}

func TestSymlinkAllowed(t *testing.T) {
	d := fixture(t, "file", "DIR/box", "allow_symlink", "yes", "message_prefix", "", "body_only", "yes")
	os.Symlink(d.dir+"/real", d.dir+"/box")
	d.must(mail.Delivered)
	if got := d.read("real"); !strings.HasPrefix(got, ">From the body") {
		t.Errorf("%q", got)
	}
}

func TestModeIsNarrowed(t *testing.T) {
	d := fixture(t, "file", "DIR/box")
	os.WriteFile(d.dir+"/box", nil, 0o666)
	os.Chmod(d.dir+"/box", 0o666)
	d.must(mail.Delivered)
	if info, _ := os.Stat(d.dir + "/box"); info.Mode() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
}

// A file that another open file description has locked is waited for lock_retries times, lock_interval apart.
func TestFcntlLock(t *testing.T) {
	d := fixture(t, "file", "DIR/box", "use_lockfile", "no", "lock_retries", "3", "lock_interval", "5s")
	f, err := os.Create(d.dir + "/box")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	f.Chmod(0o600)
	whole := unix.Flock_t{Type: unix.F_WRLCK}
	if err := unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &whole); err != nil {
		t.Fatal(err)
	}
	done := make(chan mail.Outcome, 1)
	go func() { done <- d.Deliver(context.Background()) }()
	for range 3 {
		if err := d.World.Clock.WaitForSleepers(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		d.World.Clock.Advance(5 * time.Second)
	}
	if o := <-done; o.Message != "failed to lock mailbox "+d.dir+"/box (fcntl/flock)" || o.Errno != mail.ErrnoLockFailed {
		t.Errorf("%+v", o)
	}
	d.Again()
	go func() { done <- d.Deliver(context.Background()) }()
	if err := d.World.Clock.WaitForSleepers(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	f.Close()
	d.World.Clock.Advance(5 * time.Second)
	if o := <-done; o.Result != mail.Delivered {
		t.Errorf("%+v", o)
	}
}

func TestStaleLockFile(t *testing.T) {
	d := fixture(t, "file", "DIR/box", "lock_retries", "2")
	old := d.World.Clock.Now().Add(-time.Hour)
	os.WriteFile(d.dir+"/box.lock", nil, 0o600)
	os.Chtimes(d.dir+"/box.lock", old, old)
	d.must(mail.Delivered)
	if names := d.list("."); len(names) != 1 {
		t.Errorf("left: %q", names)
	}
}

func TestFileFormat(t *testing.T) {
	d := fixture(t, "file", "DIR/box", "file_format", "From : t1 : MAIL : t2 : none : t3", "headers_add", "X-T: one")
	d.Instance("t2", "file", d.dir+"/box", "use_bsmtp", "yes", "headers_add", "X-T: two", "body_only", "no")
	d.must(mail.Delivered) // an empty mailbox fits any transport
	os.WriteFile(d.dir+"/box", []byte("MAIL FROM:<>\n"), 0o600)
	d.Again()
	d.must(mail.Delivered)
	if got := d.read("box"); !strings.Contains(got, "X-T: two") || d.Run.Transport.Name != "t2" || d.Run.Addresses[0].Transport != "t2" {
		t.Errorf("%s %q", d.Run.Transport.Name, got)
	}
	d.Run.Transport = d.Transports["t1"]
	for start, want := range map[string]string{"none": "t3 transport (for none format) not found", "other": "mailbox file format unrecognized"} {
		os.WriteFile(d.dir+"/box", []byte(start), 0o600)
		d.Again()
		if o := d.must(mail.Deferred); o.Message != want {
			t.Errorf("%q", o.Message)
		}
	}
}

func TestWriteFailureRestores(t *testing.T) {
	d := fixture(t, "file", "DIR/box", "transport_filter", "/bin/sh -c \"cat; exit 1\"")
	os.WriteFile(d.dir+"/box", []byte("From old\n"), 0o600)
	if o := d.must(mail.Deferred); o.Errno != mail.ErrnoFilterFail || o.Message != "transport filter process failed (1)" {
		t.Errorf("%+v", o)
	}
	if got := d.read("box"); got != "From old\n" {
		t.Errorf("%q", got)
	}
}

func TestQuotaWarning(t *testing.T) {
	d := fixture(t, "file", "DIR/box", "quota", "10K", "quota_warn_threshold", "1%")
	d.Main.ErrorsReplyTo = "x@y"
	d.must(mail.Delivered)
	if len(d.Sent) != 1 {
		t.Fatalf("%d messages", len(d.Sent))
	}
	s := d.Sent[0]
	if want := "Reply-To: x@y\nAuto-Submitted: auto-replied\nFrom: Mail Delivery System <Mailer-Daemon@q.test>\nTo: userx@test.ex\nSubject: Your mailbox\n"; s.Header != want {
		t.Errorf("header %q", s.Header)
	}
	d.Again()
	d.must(mail.Delivered)
	if len(d.Sent) != 1 {
		t.Error("warned twice")
	}
}

// TestQuotaOnly asks whether a mailbox has room; nothing is made or changed.
func TestQuotaOnly(t *testing.T) {
	for _, c := range []struct {
		name    string
		options []string
		files   []string
		size    int64
		full    bool
	}{
		{"no file", []string{"file", "DIR/box", "quota", "100"}, nil, 10, false},
		{"room", []string{"file", "DIR/box", "quota", "100"}, []string{"box"}, 40, false},
		{"full", []string{"file", "DIR/box", "quota", "100"}, []string{"box"}, 60, true},
		{"message does not count", []string{"file", "DIR/box", "quota", "100", "quota_is_inclusive", "no"}, []string{"box"}, 60, false},
		{"size is told", []string{"file", "DIR/box", "quota", "100", "mailbox_size", "101"}, []string{"box"}, 0, true},
		{"no quota", []string{"file", "DIR/box"}, []string{"box"}, 1 << 40, false},
		{"directory", []string{"directory", "DIR/in", "quota", "1000", "quota_filecount", "2"}, []string{"in/a", "in/b"}, 0, true},
		{"directory with room", []string{"directory", "DIR/in", "quota", "1000", "quota_filecount", "3"}, []string{"in/a", "in/b"}, 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := fixture(t, c.options...)
			os.Mkdir(d.dir+"/in", 0o700)
			for _, f := range c.files {
				os.WriteFile(d.dir+"/"+f, make([]byte, 50), 0o600)
			}
			d.Run.QuotaOnly, d.Run.Message.Size = true, c.size
			want := mail.Delivered
			if c.full {
				want = mail.Deferred
			}
			if o := d.must(want); c.full && o.Errno != mail.ErrnoQuota {
				t.Errorf("%+v", o)
			}
			if got := len(d.list(".")); len(c.files) == 0 && got != 1 {
				t.Errorf("%d entries", got)
			}
		})
	}
}

func TestQuantity(t *testing.T) {
	for _, c := range []struct {
		in   string
		want int64
		ok   bool
	}{{"", 0, true}, {"10", 10, true}, {"1.5K", 1536, true}, {"2M", 2 << 20, true}, {"75%", 750, true}, {"1G", 1 << 30, true}, {"abc", 0, false}, {"1..2", 0, false}, {"20F", 0, false}, {"1e9", 0, false}} {
		if got, ok := quantity(c.in, 1000); ok != c.ok || ok && got != c.want {
			t.Errorf("%q: %d %v", c.in, got, ok)
		}
	}
	d := fixture(t, "file", "DIR/box", "quota", "${if eq{1}{1}{20F}{}}")
	if o := d.must(mail.Panicked); o.Message != `Malformed value "20F" (expansion of "${if eq{1}{1}{20F}{}}") in t1 transport` {
		t.Errorf("%q", o.Message)
	}
}

func TestTables(t *testing.T) {
	options.New()
	for _, d := range options.Describe() {
		if d.Doc == "" {
			t.Errorf("%s is not documented", d.Name)
		}
	}
	var _ *transport.Driver = Driver()
}
