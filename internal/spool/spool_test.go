package spool

import (
	"errors"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"exigo/internal/mail"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func example(id string) *mail.Message {
	return &mail.Message{
		ID: id, Sender: "s@x.example", RawSender: "s@x.example", SenderSet: true,
		Recipients: []mail.Recipient{
			{Address: "r@y.example", Parent: -1, ORCPT: "rfc822;q@y", Notify: mail.NotifySuccess | mail.NotifyDelay},
			{Address: "two@y.example", Parent: -1},
			{Address: "child@y.example", ErrorsTo: "owner list@y.example", Parent: 1},
			{Address: `"odd 3,1#x"@y.example`, Parent: -1},
		},
		NonRecipients:   []string{"a@b", "two@y.example", "zz@y"},
		Headers:         []mail.Header{mail.NewHeader("Received: x\n\tby y\n"), mail.NewHeader("To: r@y.example\n"), {Type: '*', Text: "To: old\n"}},
		Received:        time.Unix(1795328902, 903908000),
		Completed:       873 * time.Microsecond,
		Protocol:        "esmtpa",
		OriginatorLogin: "root", OriginatorUID: 0, OriginatorGID: 8,
		Warnings: 2, Lines: 6, BodyLines: 3, MaxReceivedLine: 23, DeliverFirst: true, EnvID: "abc", Ret: "HDRS",
		Frozen: time.Unix(1795329148, 0), SMTPUTF8: true, UTF8Downgrade: -1,
		Vars: map[string]mail.Value{"_x": mail.Clean("a\nb"), "5": mail.Taint("my.helo"), "q": {S: "z", Tainted: true, Quoted: "mysql"}},
		Session: &mail.Session{
			Host: netip.MustParseAddr("1.2.3.4"), Port: 5678, Interface: netip.MustParseAddr("2001:db8::1"), InterfacePort: 25,
			HostName: "host.name", NameLookup: mail.NameFound, HELO: "my.helo", Ident: "theident", SMTP: true,
			Authenticator: "plain", AuthPublicName: "PLAIN", AuthID: "user", AuthSender: "foo@bar", Login: "root", CallerGID: 8,
			Vars: map[string]mail.Value{"0": mail.Taint("1.2.3.4")},
			TLS:  &mail.TLS{Cipher: "TLS1.3:X:256", Version: "TLS1.3", SNI: "sni", Verified: true, PeerDN: "CN=x", Resumption: 9},
		},
	}
}

func TestRoundTrip(t *testing.T) {
	for _, split := range []bool{false, true} {
		for _, queue := range []string{"", "later"} {
			dir := t.TempDir()
			s := Open(dir, Options{Split: split, LocalhostNumber: -1, UID: -1})
			now := time.Unix(1795328902, 0)
			id := s.NewID(now, 4242)
			if got := Time(id); !IsID(id) || !got.Equal(now) {
				t.Fatalf("id %s: time %v", id, got)
			}
			in, err := s.Create(id, queue)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.Create(id, queue); !errors.Is(err, os.ErrExist) {
				t.Errorf("second Create: %v", err)
			}
			body := strings.Repeat("line of text\n", 10000)
			io.WriteString(in, body)
			if list, _ := s.List(queue); len(list) != 0 {
				t.Errorf("uncommitted message is listed: %v", list)
			}
			want := example(id)
			l, err := in.Commit(want)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.Lock(id, queue); !errors.Is(err, ErrLocked) {
				t.Errorf("lock of a locked message: %v", err)
			}
			l.Close()
			if list, err := s.List(queue); err != nil || len(list) != 1 || list[0].ID != id {
				t.Errorf("list: %v %v", list, err)
			}
			if l, err = s.Lock(id, queue); err != nil {
				t.Fatal(err)
			}
			if err := l.Journal(true, "done@x", "evil\nline"); err != nil {
				t.Error(err)
			}
			got, err := l.Read()
			if err != nil {
				t.Fatal(err)
			}
			want.Queue, want.BodySize, want.Size = queue, int64(len(body)), int64(len(body)+len("Received: x\n\tby y\nTo: r@y.example\n")+1)
			want.NonRecipients = append(want.NonRecipients, "done@x", `evil\nline`)
			opts := []cmp.Option{cmpopts.IgnoreTypes(mail.Bag{}), cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
				cmpopts.SortSlices(func(a, b string) bool { return a < b })}
			if d := cmp.Diff(want, got, opts...); d != "" {
				t.Errorf("split %v queue %q: %s", split, queue, d)
			}
			r, _ := l.Body()
			if text, _ := io.ReadAll(r); string(text) != body {
				t.Errorf("body has %d bytes", len(text))
			}
			if err := l.WriteHeader(got); err != nil {
				t.Error(err)
			}
			if done, _ := l.ReadJournal(); len(done) != 0 {
				t.Errorf("journal left: %q", done)
			}
			s.AppendLog(id, queue, "a line\n")
			if err := l.Remove(false); err != nil {
				t.Error(err)
			}
			filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
				if info.Mode().IsRegular() {
					t.Errorf("left: %s", path)
				}
				return nil
			})
		}
	}
}
