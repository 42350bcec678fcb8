package autoreply

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"exigo/internal/mail"
	"exigo/internal/transport"
	"exigo/internal/transport/transporttest"
)

func TestReply(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	os.WriteFile(file, []byte("file $local_part_data\nline 2 ${if eq{a}{b}\n"), 0o600)
	for _, c := range []struct {
		name    string
		options []string
		change  func(f *transporttest.Fixture)
		header  string
		text    string
	}{
		{name: "small", options: []string{"to", "$sender_address", "text", "hi"}, header: "To: sender@s.test\nIn-Reply-To: <m1@s.test>\nReferences: <m1@s.test>\nAuto-Submitted: auto-replied\n", text: "hi\n"},
		{name: "all", options: []string{"from", "me@here", "reply_to", "r@r", "to", "$sender_address", "cc", "c@c", "bcc", "b@b", "subject", "Re: $h_subject:", "headers", "X-A: b\nX-C: d", "file", file},
			header: "From: me@here\nReply-To: r@r\nTo: sender@s.test\nCc: c@c\nBcc: b@b\nSubject: Re: hello\nIn-Reply-To: <m1@s.test>\nReferences: <m1@s.test>\nAuto-Submitted: auto-replied\nX-A: b\nX-C: d\n",
			text:   "file $local_part_data\nline 2 ${if eq{a}{b}\n"},
		{name: "expanded file after text", options: []string{"to", "a@b", "text", "text", "file", file, "file_expand", "yes"},
			header: "To: a@b\nIn-Reply-To: <m1@s.test>\nReferences: <m1@s.test>\nAuto-Submitted: auto-replied\n", text: "text\nfile userx\nline 2 ${if eq{a}{b}\n"},
		{name: "never_mail", options: []string{"to", "\"x, y\" <a@b.c>, Z <z@never.test>", "cc", "z@never.test", "never_mail", "*@never.test", "text", "x"},
			header: "To: \"x, y\" <a@b.c>\nIn-Reply-To: <m1@s.test>\nReferences: <m1@s.test>\nAuto-Submitted: auto-replied\n", text: "x\n"},
		{name: "returned", options: []string{"to", "a@b", "return_message", "yes", "body_only", "yes"},
			header: "To: a@b\nIn-Reply-To: <m1@s.test>\nReferences: <m1@s.test>\nAuto-Submitted: auto-replied\n",
			text:   "\n------ This is a copy of the body of the message, without the headers.\n\n"},
		{name: "a filter's", options: []string{"to", "unused"}, change: func(f *transporttest.Fixture) {
			f.Run.Addresses[0].Kind, f.Run.Addresses[0].Reply = mail.KindReply, &mail.Reply{To: "x@y", Subject: "s", Text: "t\n"}
		}, header: "To: x@y\nSubject: s\nIn-Reply-To: <m1@s.test>\nReferences: <m1@s.test>\nAuto-Submitted: auto-replied\n", text: "t\n"},
	} {
		f := transporttest.New(t, Driver(), c.options...)
		if c.change != nil {
			c.change(f)
		}
		if o := f.Deliver(t.Context()); o.Result != mail.Delivered || len(f.Sent) != 1 {
			t.Errorf("%s: %+v, %d sent", c.name, o, len(f.Sent))
			continue
		}
		if s := f.Sent[0]; s.Header != c.header || s.Text != c.text || s.Sender != "" {
			t.Errorf("%s: %q\n%q", c.name, s.Header, s.Text)
		}
		if c.name == "returned" {
			var b bytes.Buffer
			f.Sent[0].Original.WriteTo(context.Background(), &b, transport.WriteOptions{})
			if b.String() != "From the body\n.dot\nlast line\n" {
				t.Errorf("original %q", b.String())
			}
		}
	}
}

func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		name    string
		options []string
		result  mail.Result
		errno   int
		text    string
	}{
		{"no file", []string{"to", "a@b", "file", "/no/file"}, mail.Deferred, 2, "Failed to open file /no/file when sending message from t1 transport: No such file or directory"},
		{"optional file", []string{"to", "a@b", "file", "/no/file", "file_optional", "yes"}, mail.Delivered, 0, ""},
		{"control character", []string{"to", "a@b", "subject", "a\nb"}, mail.Failed, 0, `Expansion of "a\nb" in t1 transport contains non-printing character 10`},
		{"bad expansion", []string{"to", "a@b", "text", "${if eq{a}{b}"}, mail.Failed, 0,
			`Expansion of "${if eq{a}{b}" failed in t1 transport: `},
		{"tainted once", []string{"to", "a@b", "once", "/tmp/$local_part"}, mail.Deferred, 13, "Tainted '/tmp/userx' (once file for t1 transport) not permitted"},
		{"bad time", []string{"to", "a@b", "once", "/tmp/x", "once_repeat", "${lc:XX}"}, mail.Failed, 0, `Invalid time value "xx" for "once_repeat" in t1 transport`},
		{"everybody is on never_mail", []string{"to", "a@b", "never_mail", "*@b"}, mail.Delivered, 0, ""},
	} {
		f := transporttest.New(t, Driver(), c.options...)
		o := f.Deliver(t.Context())
		if o.Result != c.result || o.Errno != c.errno || !strings.HasPrefix(o.Message, c.text) || c.text == "" && o.Message != "" {
			t.Errorf("%s: %+v", c.name, o)
		}
	}
	f := transporttest.New(t, Driver(), "to", "a@b", "text", "x")
	f.Run.Services.Submit = func(context.Context, transport.Submission) (string, error) { return "", fmt.Errorf("1") }
	if o := f.Deliver(t.Context()); o.Message != "Failed to send message from t1 transport (1)" {
		t.Errorf("%+v", o)
	}
	f.Run.Services.Submit = func(context.Context, transport.Submission) (string, error) { return "", transport.ErrNoRecipients }
	f.Again()
	if o := f.Deliver(t.Context()); o.Result != mail.Delivered {
		t.Errorf("%+v", o)
	}
}

func TestOnce(t *testing.T) {
	dir := t.TempDir()
	f := transporttest.New(t, Driver(), "to", "$sender_address", "text", "x", "once", dir+"/once", "once_repeat", "1h", "log", dir+"/log", "once_file_size", "60")
	send := func(sender string, want int) {
		t.Helper()
		f.Run.Message.Sender = sender
		f.Again()
		if o := f.Deliver(t.Context()); o.Result != mail.Delivered || len(f.Sent) != want {
			t.Errorf("%s: %+v, %d sent", sender, o, len(f.Sent))
		}
	}
	send("a@test", 1)
	send("a@test", 1)
	send("b@test", 2)
	f.World.Clock.Advance(2 * time.Hour)
	send("a@test", 3)
	send("c@test", 4)
	send("dddddddddd@test", 5) // b is dropped
	send("a@test", 5)
	send("b@test", 6)
	if info, err := os.Stat(dir + "/once"); err != nil || info.Size() > 60 || info.Mode() != 0o600 {
		t.Errorf("%v %v", info, err)
	}
	data, _ := os.ReadFile(dir + "/log")
	if want := "1999-03-02 09:44:33\n  To: a@test\n1999-03-02 09:44:33\n  previously sent to a@test\n"; !strings.HasPrefix(string(data), want) {
		t.Errorf("%q", data)
	}
}

func TestOnceForeignFile(t *testing.T) {
	dir := t.TempDir()
	os.WriteFile(dir+"/once", []byte("\x00\x00\x00\x00 a database of another program"), 0o600)
	f := transporttest.New(t, Driver(), "to", "$sender_address", "text", "x", "once", dir+"/once")
	f.Deliver(t.Context())
	f.Again()
	f.Deliver(t.Context())
	if len(f.Sent) != 1 {
		t.Errorf("%d sent", len(f.Sent))
	}
	if data, _ := os.ReadFile(dir + "/once"); !strings.Contains(string(data), "another program") {
		t.Errorf("%q", data)
	}
}

func FuzzOnce(f *testing.F) {
	f.Add([]byte("\x01\x00\x00\x00\x00\x00\x00\x00a@b\x00"), "a@b", int64(20))
	f.Fuzz(func(t *testing.T, data []byte, address string, limit int64) {
		if strings.ContainsRune(address, 0) || address == "" {
			return
		}
		file, err := os.Create(filepath.Join(t.TempDir(), "f"))
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		o := &onceFile{f: file, data: append([]byte(nil), data...), limit: limit}
		if !o.valid() {
			return
		}
		if err := o.remember(address, time.Unix(1000, 0)); err != nil {
			t.Fatal(err)
		}
		if then, sent := o.find(address); !o.valid() || !sent || then.Unix() != 1000 {
			t.Errorf("%q after remembering %q", o.data, address)
		}
	})
}
