package spool

import (
	"errors"
	"strings"
	"testing"
	"time"

	"exigo/internal/mail"

	"github.com/google/go-cmp/cmp"
)

// The examples of the specification's chapter on spool files, and files of old versions.
func TestParse(t *testing.T) {
	s := Open(t.TempDir(), Options{LocalhostNumber: -1, UID: -1})
	const id = "14y9EI-00026G-00"
	head := id + "-H\nuser name 10 20\n<bb@hobbit.fict.example>\n989573339 1\n"
	tail := "\n021P Received: by x\n\tby y\n015* X-rewrote: b@c\n008F From: a\n"
	m, err := s.Parse(id, head+"-acl 3 4\na\nbc\n-acl 12 1\nx\n--aclm _foo 0\n\n-host_address 192.168.1.2.1234\n-interface_address ::1.25\n-unknown thing\n"+
		"--unknown_flag\n-local\nYY darcy@austen.fict.example\nNN alice@wonderland.fict.example\nNN editor@thesaurus.ref.example\n"+
		"4\neditor@thesaurus.ref.example\none@two errors@to 9,0#1\nthree@four  0,-1#1\nodd#1@x\n"+tail)
	if err != nil {
		t.Fatal(err, errors.Unwrap(err), err.(*FormatError).Detail)
	}
	if m.OriginatorLogin != "user name" || m.OriginatorUID != 10 || m.Sender != "bb@hobbit.fict.example" || m.Warnings != 1 || !m.Received.Equal(time.Unix(989573339, 0)) {
		t.Errorf("%+v", m)
	}
	if m.Session.Vars["3"].S != "a\nbc" || m.Vars["2"].S != "x" || !m.Vars["_foo"].Tainted {
		t.Errorf("variables %v %v", m.Session.Vars, m.Vars)
	}
	if m.Session.Host.String() != "192.168.1.2" || m.Session.Port != 1234 || m.Session.Interface.String() != "::1" || m.Session.InterfacePort != 25 {
		t.Errorf("addresses %v %d %v %d", m.Session.Host, m.Session.Port, m.Session.Interface, m.Session.InterfacePort)
	}
	if d := cmp.Diff([]string{"darcy@austen.fict.example", "alice@wonderland.fict.example", "editor@thesaurus.ref.example"}, m.NonRecipients); d != "" {
		t.Error(d)
	}
	want := []mail.Recipient{{Address: "editor@thesaurus.ref.example", Parent: -1}, {Address: "one@two", ErrorsTo: "errors@to"}, {Address: "three@four", Parent: -1}, {Address: "odd#1@x", Parent: -1}}
	if d := cmp.Diff(want, m.Recipients, cmp.AllowUnexported(mail.Bag{})); d != "" {
		t.Error(d)
	}
	if len(m.Headers) != 3 || m.Headers[1].Type != '*' || m.Headers[2].Text != "From: a\n" || m.Size != 21+8+1 {
		t.Errorf("%+v %d", m.Headers, m.Size)
	}
	text, err := s.appendHeader(nil, id, m)
	if err != nil || !strings.Contains(string(text), "\n-unknown thing\n--unknown_flag\nYY ") {
		t.Errorf("unknown lines are lost: %s %v", text, err)
	}
}

func TestParseDamaged(t *testing.T) {
	s := Open(t.TempDir(), Options{LocalhostNumber: -1, UID: -1})
	const id = "14y9EI-00026G-00"
	good, err := s.appendHeader(nil, id, example(id))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Parse(id, string(good)); err != nil {
		t.Fatal(err)
	}
	broken := map[string]string{"empty": "", "other id": strings.Replace(string(good), id, "24y9EI-00026G-00", 1)}
	for i := range good {
		if i < len(good)-len("037P Received: x\n\tby y\n016T To: r@y.example\n008* To: old\n") {
			broken["cut at "+itoa(int64(i))] = string(good[:i])
		}
	}
	for what, replace := range map[string][2]string{
		"originator": {"root 0 8", "root"}, "number": {"root 0 8", "root x 8"}, "sender": {"<s@x.example>", "s@x.example"}, "time": {"1795328902 2", "never 2"},
		"count": {"\n4\nr@y", "\n5\nr@y"}, "count 2": {"\n4\nr@y", "\n3\nr@y"}, "count 3": {"\n4\nr@y", "\n999999999\nr@y"}, "count 4": {"\n4\nr@y", "\n-1\nr@y"},
		"variable": {"-aclm _x 3", "-aclm _x 99999999999"}, "variable 2": {"-aclm _x 3", "-aclm _x 2"}, "tree": {"YY two", "YX two"}, "header": {"016T To", "015T To"},
		"header 2": {"016T To", "999999T To"}, "line count": {"-body_linecount 3", "-body_linecount x"}, "address": {"[1.2.3.4]:5678", "[1.2.3]:5678"},
	} {
		text := strings.Replace(string(good), replace[0], replace[1], 1)
		if text == string(good) {
			t.Errorf("%s: %q is not in\n%s", what, replace[0], good)
		}
		broken[what] = text
	}
	for what, text := range broken {
		_, err := s.Parse(id, text)
		var f *FormatError
		if !errors.As(err, &f) || f.Error() != "Format error in spool file "+id+"-H: size="+itoa(int64(len(text))) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, m := range []func(m *mail.Message){
		func(m *mail.Message) { m.Sender = "a\nb" }, func(m *mail.Message) { m.Recipients[0].Address = "a\n-b" },
		func(m *mail.Message) { m.NonRecipients[0] = "x\x00" }, func(m *mail.Message) { m.Recipients[0].ORCPT = "\n" },
	} {
		bad := example(id)
		m(bad)
		if _, err := s.appendHeader(nil, id, bad); err == nil {
			t.Errorf("written: %+v", bad)
		}
	}
}

// A room's field travels; a program without the room keeps its line.
func TestRoomsField(t *testing.T) {
	type mine struct{ value string }
	room := Field{Name: "requiretls", Tainted: true,
		Write: func(m *mail.Message) (string, bool) { v := mail.State[mine](&m.Bag).value; return v, v != "" },
		Read:  func(m *mail.Message, v string) error { mail.State[mine](&m.Bag).value = v; return nil }}
	with := Open(t.TempDir(), Options{LocalhostNumber: -1, UID: -1, Fields: []Field{room}})
	without := Open(t.TempDir(), Options{LocalhostNumber: -1, UID: -1})
	const id = "14y9EI-00026G-00"
	m := example(id)
	mail.State[mine](&m.Bag).value = "yes\nno"
	for _, step := range []struct{ write, read *Spool }{{with, without}, {without, with}, {with, with}} {
		text, err := step.write.appendHeader(nil, id, m)
		if err != nil || strings.Count(string(text), "\n--requiretls yes\\nno\n") != 1 {
			t.Errorf("%s %v", text, err)
		}
		if m, err = step.read.Parse(id, string(text)); err != nil {
			t.Fatal(err)
		}
	}
	if v := mail.State[mine](&m.Bag).value; v != `yes\nno` {
		t.Errorf("value %q", v)
	}
}

func TestIDs(t *testing.T) {
	for _, short := range []bool{false, true} {
		for _, host := range []int{-1, 0, 16} {
			newIDs(t, Options{LocalhostNumber: host, ShortIDs: short, UID: -1})
		}
	}
	for id, want := range map[string]int64{"10HmaX-0005vi-00": 920371185, "10HmaX-000000005vi-0000": 920371185} {
		if got := Time(id).Unix(); got != want {
			t.Errorf("%s: %d", id, got)
		}
	}
	for _, id := range []string{"", "10HmaX-0005vi-0", "10HmaX-0005vi-0!", "10HmaX/0005vi-00", "10HmaX-000000005vi-00000", "../../etc/passwd"} {
		if IsID(id) {
			t.Errorf("%q is an id", id)
		}
	}
}

// newIDs makes many ids at one instant: all differ, and the second stays what it was or grows.
func newIDs(t *testing.T, o Options) {
	t.Helper()
	s := Open(t.TempDir(), o)
	now := time.UnixMicro(1795328902999999)
	seen := make(map[string]bool)
	last := ""
	length := idLength
	if o.ShortIDs {
		length = oldIDLength
	}
	for range 20000 {
		id := s.NewID(now, 1<<22)
		if len(id) != length || !IsID(id) || seen[id] || Time(id).Unix() < now.Unix() || id[:7] < last {
			t.Fatalf("id %s after %s", id, last)
		}
		seen[id] = true
		last = id[:7]
	}
}

func FuzzParse(f *testing.F) {
	const id = "14y9EI-00026G-00"
	s := Open(f.TempDir(), Options{LocalhostNumber: -1, UID: -1})
	good, err := s.appendHeader(nil, id, example(id))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(good))
	f.Fuzz(func(t *testing.T, text string) {
		m, err := s.Parse(id, text)
		if err != nil {
			return
		}
		again, err := s.appendHeader(nil, id, m)
		if err != nil {
			return // an address with a NUL
		}
		if _, err := s.Parse(id, string(again)); err != nil {
			t.Errorf("what was written cannot be read: %v\n%s", err.(*FormatError).Detail, again)
		}
	})
}

func BenchmarkReceive(b *testing.B) {
	s := Open(b.TempDir(), Options{LocalhostNumber: -1, UID: -1, NoSync: true})
	body := []byte(strings.Repeat("a line of forty characters, more or less\n", 100))
	b.ReportAllocs()
	for b.Loop() {
		id := s.NewID(time.Now(), 1)
		in, err := s.Create(id, "")
		if err != nil {
			b.Fatal(err)
		}
		in.Write(body)
		l, err := in.Commit(example(id))
		if err != nil {
			b.Fatal(err)
		}
		if err := l.Remove(false); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRead(b *testing.B) {
	const id = "14y9EI-00026G-00"
	s := Open(b.TempDir(), Options{LocalhostNumber: -1, UID: -1})
	good, _ := s.appendHeader(nil, id, example(id))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Parse(id, string(good)); err != nil {
			b.Fatal(err)
		}
	}
}
