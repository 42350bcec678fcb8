package eventlog_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"exigo/internal/eventlog"
	"exigo/internal/mail"
	"exigo/internal/testkit"

	"github.com/google/go-cmp/cmp"
)

func TestParseSet(t *testing.T) {
	def := eventlog.DefaultSet()
	for _, c := range []struct {
		text string
		want eventlog.Set
		err  string
	}{
		{"", def, ""},
		{"+subject-dkim", def.With(eventlog.Subject) &^ (1 << eventlog.DKIM), ""},
		{"  +all -pid\t", eventlog.Set(1<<62-1) &^ (1 << eventlog.PID), ""},
		{"-all +queue_run", eventlog.Set(0).With(eventlog.QueueRun), ""},
		{"= 3", 3, ""},
		{"+sender_on_delivery +foo", 0, "unknown log_selector setting: +foo"},
		{"-", 0, "unknown log_selector setting: -"},
		{"+All +pid", 0, "unknown log_selector setting: +All"},
		{"+subject , +pid", 0, `malformed log_selector setting: + or - expected but found ", +pid"`},
		{"0x7", 0, `malformed log_selector setting: + or - expected but found "0x7"`},
		{"=foo", 0, "malformed numeric log_selector setting: =foo"},
	} {
		got, err := eventlog.ParseSet(c.text)
		if (err == nil) != (c.err == "") || err != nil && err.Error() != c.err || err == nil && got&(1<<62-1) != c.want&(1<<62-1) {
			t.Errorf("%q: %x %v, want %x", c.text, got, err, c.want)
		}
	}
	seen := make(map[string]bool)
	for i, r := range eventlog.SelectorRows() {
		if r.Name == "" || r.Doc == "" || seen[r.Name] {
			t.Errorf("row %d: %+v", i, r)
		}
		seen[r.Name] = true
	}
}

// settings are those of a log in a directory of the test's.
func settings(t *testing.T) (eventlog.Settings, string) {
	dir := t.TempDir()
	return eventlog.Settings{SpoolDirectory: dir, Path: dir + "/log/%slog", Selectors: eventlog.DefaultSet(), WriteReject: true, UID: -1, GID: -1}, dir
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return string(b)
}

func TestStreams(t *testing.T) {
	w := testkit.NewWorld(t)
	s, dir := settings(t)
	var stderr bytes.Buffer
	s.Stderr = &stderr
	l := eventlog.Open(w.World, s)
	m := &mail.Message{Sender: "s@x", SenderSet: true, Headers: []mail.Header{mail.NewHeader("Subject: a\x01\n\tb\nforged\n"), {Type: 'P', Text: "Received: x\n"}}}
	for _, a := range strings.Split("1 2 3 4 5 6 7", " ") {
		m.Recipients = append(m.Recipients, mail.Recipient{Address: "r" + a + "@y"})
	}
	l.Mainf("", "plain %d\r\n2026-01-01 00:00:00 forged\x00", 1)
	l.Rejectf("ID", m, "refused: é")
	l.Panicf("", "help")
	l.Write(eventlog.Entry{To: eventlog.Main, Text: "Warning:\n Suggested\nforged", Continued: true})
	for name, want := range map[string]string{
		"mainlog": "1999-03-02 09:44:33 plain 1\\r\\n2026-01-01 00:00:00 forged\\000\n1999-03-02 09:44:33 ID refused: é\n1999-03-02 09:44:33 help\n" +
			"1999-03-02 09:44:33 Warning:\n Suggested\\nforged\n",
		"rejectlog": "1999-03-02 09:44:33 ID refused: é\nEnvelope-from: <s@x>\nEnvelope-to: <r1@y>\n    <r2@y>\n    <r3@y>\n    <r4@y>\n    <r5@y>\n    ...\n" +
			"  Subject: a\\001\n\tb\\nforged\nP Received: x\n",
		"paniclog": "1999-03-02 09:44:33 help\n",
	} {
		path := filepath.Join(dir, "log", name)
		if d := cmp.Diff(want, read(t, path)); d != "" {
			t.Errorf("%s: %s", name, d)
		}
		if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o640 {
			t.Errorf("%s: %v %v", name, st, err)
		}
	}
	if stderr.String() != "1999-03-02 09:44:33 help\n" {
		t.Errorf("stderr %q", stderr.String())
	}
}

func TestStamps(t *testing.T) {
	w := testkit.NewWorld(t)
	w.Clock.Advance(45 * time.Millisecond)
	s, dir := settings(t)
	s.Selectors = s.Selectors.With(eventlog.Millisec, eventlog.PID)
	s.Timezone, s.Location = true, time.FixedZone("", 3600)
	l := eventlog.Open(w.World, s)
	l.Mainf("ID", "x")
	if got := l.Stamp(testkit.Epoch()); got != "1999-03-02 10:44:33.000 +0100 " {
		t.Errorf("stamp %q", got)
	}
	if got := read(t, dir+"/log/mainlog"); got != "1999-03-02 10:44:33.045 +0100 [1234] ID x\n" {
		t.Error(got)
	}
}

func TestRenamedAndDated(t *testing.T) {
	w := testkit.NewWorld(t)
	s, dir := settings(t)
	l := eventlog.Open(w.World, s)
	l.Mainf("", "one")
	if err := os.Rename(dir+"/log/mainlog", dir+"/log/old"); err != nil {
		t.Fatal(err)
	}
	l.Mainf("", "two")
	if got := read(t, dir+"/log/mainlog"); !strings.HasSuffix(got, " two\n") || strings.Contains(got, "one") {
		t.Errorf("after the renaming: %q", got)
	}
	for _, c := range []struct{ pattern, main, panic string }{
		{"/log/%slog-%D", "/log/mainlog-19990302", "/log/paniclog"},
		{"/l/exim-%s-%D.log", "/l/exim-main-19990302.log", "/l/exim-panic.log"},
		{"/log/%D-%slog", "/log/19990302-mainlog", "/log/paniclog"},
		{"/l/%s.%M", "/l/main.199903", "/l/panic"},
	} {
		s.Path = dir + c.pattern
		l.Configure(s)
		l.Panicf("", "x")
		for _, p := range []string{c.main, c.panic} {
			if !strings.HasSuffix(read(t, dir+p), " x\n") {
				t.Errorf("%s: nothing in %s", c.pattern, p)
			}
		}
	}
	w.Clock.Advance(24 * time.Hour)
	s.Path = dir + "/log/%slog-%D"
	l.Configure(s)
	l.Mainf("", "next day")
	if read(t, dir+"/log/mainlog-19990303") == "" {
		t.Error("no new file at midnight")
	}
}

func TestUnwritable(t *testing.T) {
	w := testkit.NewWorld(t)
	w.Quirks.SyslogToStderr = false
	s, dir := settings(t)
	if err := os.MkdirAll(dir+"/log/mainlog", 0o700); err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	fatal := 0
	s.Stderr, s.Fatal = &stderr, func() { fatal++ }
	l := eventlog.Open(w.World, s)
	l.Mainf("", "Start")
	const stamp = "1999-03-02 09:44:33 "
	if got := read(t, dir+"/log/paniclog"); !strings.HasPrefix(got, stamp+"Start\n"+stamp+"Cannot open main log file \""+dir+"/log/mainlog\": Is a directory: euid=") {
		t.Errorf("panic log: %q", got)
	}
	if fatal != 1 || !strings.HasPrefix(stderr.String(), stamp+"Cannot open main log file") {
		t.Errorf("%d %q", fatal, stderr.String())
	}
	stderr.Reset()
	s.Path = dir + "/log/mainlog/\x00/%s"
	l.Configure(s)
	l.Mainf("", "Start")
	lines := strings.Split(stderr.String(), "\n")
	if len(lines) != 5 || lines[1] != stamp+"Start" || lines[3] != "exim: could not open panic log - aborting: see message(s) above" {
		t.Errorf("%q", lines)
	}
}

func TestPathList(t *testing.T) {
	w := testkit.NewWorld(t)
	s, dir := settings(t)
	s.Path = "syslog : " + dir + "/a/%s: " + dir + "/b/%s"
	eventlog.Open(w.World, s)
	if got := read(t, dir+"/a/panic"); !strings.Contains(got, "More than one path given in log_file_path: using "+dir+"/a/%s") {
		t.Errorf("%q", got)
	}
	s.Path = ":syslog"
	eventlog.Open(w.World, s).Mainf("", "x")
	if read(t, dir+"/log/mainlog") == "" {
		t.Error("an empty item is not the default path")
	}
}

func TestDivert(t *testing.T) {
	w := testkit.NewWorld(t)
	s, dir := settings(t)
	var got string
	s.Divert = func(to eventlog.Stream, id, text string) { got = id + "|" + text }
	eventlog.Open(w.World, s).Mainf("ID", "a\nb")
	if got != `ID|a\nb` || read(t, dir+"/log/mainlog") != "" {
		t.Errorf("%q", got)
	}
}

func BenchmarkMain(b *testing.B) {
	w := testkit.NewWorld(b)
	l := eventlog.Open(w.World, eventlog.Settings{Path: b.TempDir() + "/%s", Selectors: eventlog.DefaultSet(), UID: -1})
	b.ReportAllocs()
	for b.Loop() {
		l.Write(eventlog.Entry{To: eventlog.Main, ID: "1rABCD-000000012ab-XYZ0", Text: "=> local <local@test.example> R=loc T=t"})
	}
}
