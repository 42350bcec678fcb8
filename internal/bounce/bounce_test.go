package bounce

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	netmail "net/mail"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"exigo/internal/config"
	"exigo/internal/expand"
	"exigo/internal/expand/builtin"
	"exigo/internal/mail"
	"exigo/internal/option"
	"exigo/internal/proto/dsn"
	"exigo/internal/testkit"
)

// desk is a Writer whose reports are kept.
type desk struct {
	Writer
	config *config.Config
	panics []string
	to     []string
	text   string
	refuse error
}

func newDesk(t testing.TB, options string) *desk {
	t.Helper()
	world := testkit.NewWorld(t)
	d := &desk{}
	engine, err := expand.New(world.World, builtin.Words(), expand.Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "conf")
	if err := os.WriteFile(path, []byte("primary_hostname = h.ex\nqualify_domain = q.ex\nexim_user = exim\n"+options), 0o644); err != nil {
		t.Fatal(err)
	}
	if d.config, err = config.Read(config.Request{Path: path, World: world.World, SkipChecks: true, Registry: &config.Registry{Sets: []option.Set{config.MainOptions()}}}); err != nil {
		t.Fatal(err)
	}
	d.Writer = Writer{World: world.World, Main: option.Of[config.Main](d.config.Main), Engine: engine,
		Panic: func(id, line string) { d.panics = append(d.panics, id+" "+line) },
		Submit: func(_ context.Context, to []string, _ *mail.Message, text io.Reader) error {
			b, err := io.ReadAll(text)
			d.to, d.text = to, string(b)
			if err == nil {
				err = d.refuse
			}
			return err
		}}
	return d
}

const returned = "line one\nline two\n"

func (d *desk) report(to string, addrs ...*mail.Address) Report {
	m := &mail.Message{ID: "10HmaX-000000005vi-0000", Sender: "s@x", Session: &mail.Session{}, Size: 100, MaxReceivedLine: 50,
		Headers: []mail.Header{mail.NewHeader("Subject: the\n  subject\n"), {Type: '*', Text: "Gone: yes\n"}, mail.NewHeader("Date: Tue, 2 Mar 1999 09:44:33 +0000\n"), mail.NewHeader("Message-Id: <m@x>\n")}}
	return Report{Message: m, Body: strings.NewReader(returned), BodySize: int64(len(returned)), To: to, Addresses: addrs,
		Scope: d.Engine.NewScope(context.Background(), d.config, nil, m)}
}

// parts reads a report back: its header, and the type and content of each part.
func (d *desk) parts(t *testing.T) (netmail.Header, []string, []string) {
	t.Helper()
	m, err := netmail.ReadMessage(strings.NewReader(d.text))
	if err != nil {
		t.Fatalf("%v\n%s", err, d.text)
	}
	_, boundary, _ := strings.Cut(m.Header.Get("Content-Type"), "boundary=")
	r := multipart.NewReader(m.Body, boundary)
	var kinds, texts []string
	for {
		p, err := r.NextPart()
		if err == io.EOF {
			return m.Header, kinds, texts
		}
		if err != nil {
			t.Fatalf("%v\n%s", err, d.text)
		}
		text, _ := io.ReadAll(p)
		kinds, texts = append(kinds, p.Header.Get("Content-Type")), append(texts, string(text))
	}
}

// status is the delivery status of the report in short: the fields of the message, and those of each recipient.
func status(t *testing.T, text string) string {
	t.Helper()
	r, err := dsn.Parse(text)
	if err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	var b strings.Builder
	for _, g := range append([]dsn.Group{r.Message}, r.Recipients...) {
		for i, f := range g {
			if i > 0 {
				b.WriteString(", ")
			}
			fmt.Fprintf(&b, "%s=%s %s", f.Name, f.Type, f.Value)
		}
		b.WriteString("\n")
	}
	return b.String()
}

func address(a string, o mail.Outcome) *mail.Address {
	o.Result = mail.Failed
	return &mail.Address{Address: a, Outcome: o}
}

func child(parent *mail.Address, kind mail.Kind, a string, o mail.Outcome) *mail.Address {
	return &mail.Address{Address: a, Kind: kind, Parent: parent, Outcome: o}
}

func TestFailure(t *testing.T) {
	d := newDesk(t, "errors_reply_to = help@q.ex\n")
	r := d.report("s@x", address("a@b", mail.Outcome{Message: "Unrouteable address"}))
	r.Message.EnvID = "e+3Dx"
	r.Addresses[0].ORCPT = "rfc822;a@orig"
	if err := d.Failure(context.Background(), r); err != nil {
		t.Fatal(err)
	}
	h, kinds, texts := d.parts(t)
	for name, want := range map[string]string{"X-Failed-Recipients": "a@b", "Auto-Submitted": "auto-replied", "From": "Mail Delivery System <Mailer-Daemon@q.ex>", "To": "s@x", "Reply-To": "help@q.ex",
		"References": "<m@x>", "Mime-Version": "1.0", "Subject": "Mail delivery failed: returning message to sender"} {
		if got := h.Get(name); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
	if got := h.Get("Content-Type"); !strings.HasPrefix(got, "multipart/report; report-type=delivery-status; boundary=920367873-eximdsn-") {
		t.Error(got)
	}
	if got := strings.Join(kinds, " "); got != "text/plain; charset=us-ascii message/delivery-status message/rfc822" {
		t.Fatal(got)
	}
	want := "This message was created automatically by mail delivery software.\n\nA message that you sent could not be delivered to one or more of its\n" +
		"recipients. This is a permanent error. The following address(es) failed:\n\n  a@b\n    Unrouteable address\n"
	if texts[0] != want {
		t.Errorf("%q", texts[0])
	}
	if got := status(t, texts[1]); got != "Reporting-MTA=dns h.ex, Original-Envelope-Id= e+3Dx\nOriginal-Recipient=rfc822 a@orig, Action= failed, Final-Recipient=rfc822 a@b, Status= 5.0.0\n" {
		t.Error(got)
	}
	if want := "Return-path: <s@x>\nSubject: the\n  subject\nDate: Tue, 2 Mar 1999 09:44:33 +0000\nMessage-Id: <m@x>\n\n" + returned; texts[2] != want {
		t.Errorf("%q", texts[2])
	}
	if len(d.to) != 1 || d.to[0] != "s@x" || d.panics != nil {
		t.Error(d.to, d.panics)
	}
	// To somebody else than the sender.
	r.To = "owner@list"
	d.Failure(context.Background(), r)
	if h, _, texts = d.parts(t); h.Get("Subject") != "Mail delivery failed" || !strings.Contains(texts[0], "A message sent by\n\n  <s@x>\n\ncould not be delivered to one or more of its recipients. The following\naddress(es) failed:\n") {
		t.Error(d.text)
	}
	d.refuse = errors.New("no room")
	if err := d.Failure(context.Background(), r); err != d.refuse {
		t.Error(err)
	}
}

// TestAddresses: how failed addresses are described, and what the status says of them.
func TestAddresses(t *testing.T) {
	top := address("top@x", mail.Outcome{})
	middle := child(top, mail.KindNormal, "mid@x", mail.Outcome{})
	host := &mail.Host{Name: "mx.y", Address: netip.MustParseAddr("10.0.0.1")}
	reply := "SMTP error from remote mail server after RCPT TO:<u@y>: 550-no\\n550 such user"
	hide := child(top, mail.KindNormal, "secret@y", mail.Outcome{Message: "no"})
	hide.HideChild = true
	hidePipe := child(top, mail.KindPipe, "|/bin/secret", mail.Outcome{Message: "the secret pipe broke"})
	hidePipe.HideChild = true
	for name, row := range map[string]struct {
		a                       *mail.Address
		failed, text, recipient string
	}{
		"child":      {child(top, mail.KindNormal, "c@y", mail.Outcome{Message: "no"}), "c@y", "  c@y\n    (generated from top@x)\n    no\n", "Final-Recipient=rfc822 c@y, Status= 5.0.0"},
		"grandchild": {child(middle, mail.KindNormal, "c@y", mail.Outcome{Message: "no"}), "c@y", "  c@y\n    (ultimately generated from top@x)\n    no\n", "Final-Recipient=rfc822 c@y, Status= 5.0.0"},
		"same":       {child(top, mail.KindNormal, "TOP@x", mail.Outcome{Message: "no"}), "TOP@x", "  TOP@x\n    no\n", "Final-Recipient=rfc822 TOP@x, Status= 5.0.0"},
		"hidden":     {hide, "", "  an undisclosed address\n    (generated from top@x)\n    no\n", "Final-Recipient=rfc822 top@x, Status= 5.0.0"},
		"hiddenPipe": {hidePipe, "", "  an undisclosed address\n    (generated from top@x)\n", "Final-Recipient=rfc822 top@x, Status= 5.0.0"},
		"pipe":       {child(middle, mail.KindPipe, "|/bin/x", mail.Outcome{Message: "Child process of t transport returned 127"}), "mid@x", "  pipe to |/bin/x\n    generated by mid@x\n    Child process of t transport returned 127\n", "Final-Recipient=rfc822 top@x, Status= 5.0.0"},
		"file":       {child(top, mail.KindFile, "/a/b", mail.Outcome{Errno: int(syscall.EACCES)}), "top@x", "  save to /a/b\n    generated by top@x\n    Permission denied\n", "Final-Recipient=rfc822 top@x, Status= 5.0.0"},
		"reply":      {child(top, mail.KindReply, ">r@y", mail.Outcome{Message: "no"}), "top@x", "  autoreply to r@y\n    generated by top@x\n    no\n", "Final-Recipient=rfc822 top@x, Status= 5.0.0"},
		"host": {address("u@y", mail.Outcome{Message: reply, Host: host, Diagnosis: "550-no\n550 such user", Status: "5.1.1"}), "u@y",
			"  u@y\n  host mx.y [10.0.0.1]\n    SMTP error from remote mail server after RCPT TO:<u@y>:\n    550-no\n    550 such user\n",
			"Final-Recipient=rfc822 u@y, Status= 5.1.1, Remote-MTA=dns mx.y, X-Room= added, Diagnostic-Code=smtp 550-no 550 such user"},
		"searched": {address("u@y", mail.Outcome{Message: "LMTP error from remote mail server after end of data: 552 big: very", Host: host}), "u@y",
			"  u@y\n  host mx.y [10.0.0.1]\n    LMTP error from remote mail server after end of data:\n    552 big: very\n",
			"Final-Recipient=rfc822 u@y, Status= 5.0.0, Remote-MTA=dns mx.y, X-Room= added, Diagnostic-Code=smtp 552 big: very"},
		"user message": {address("u@y", mail.Outcome{Message: "for the log", UserMessage: "for people"}), "u@y", "  u@y\n    for people\n", "Final-Recipient=rfc822 u@y, Status= 5.0.0"},
		"controls":     {address("u\r\nBcc: z@y", mail.Outcome{Message: "a\x00b\r\nAction: delivered"}), "u  Bcc: z@y", "  u  Bcc: z@y\n    a?b?\n    Action: delivered\n", "Final-Recipient=rfc822 u  Bcc: z@y, Status= 5.0.0"},
		"silent":       {address("u@y", mail.Outcome{}), "u@y", "  u@y\n", "Final-Recipient=rfc822 u@y, Status= 5.0.0"},
		"long": {address("u@y", mail.Outcome{Message: "short: stays. " + strings.Repeat("x", 40) + ": broken: not yet"}), "u@y", "  u@y\n    short: stays. " + strings.Repeat("x", 40) + ":\n    broken: not yet\n",
			"Final-Recipient=rfc822 u@y, Status= 5.0.0"},
	} {
		d := newDesk(t, "")
		d.Fields = []Field{{Name: "X-Room", Value: func(a *mail.Address) string {
			if a.Outcome.Host == nil {
				return ""
			}
			return "added"
		}}}
		if err := d.Failure(context.Background(), d.report("s@x", row.a)); err != nil {
			t.Fatal(err)
		}
		h, _, texts := d.parts(t)
		if got := h.Get("X-Failed-Recipients"); got != row.failed {
			t.Errorf("%s: X-Failed-Recipients: %q", name, got)
		}
		if _, got, _ := strings.Cut(texts[0], "failed:\n\n"); got != row.text {
			t.Errorf("%s: %q", name, got)
		}
		if _, got, _ := strings.Cut(status(t, texts[1]), "\n"); got != "Action= failed, "+row.recipient+"\n" {
			t.Errorf("%s: %q", name, got)
		}
		if strings.Contains(d.text, "secret") {
			t.Errorf("%s: told: %s", name, d.text)
		}
	}
}

// TestReturned: how much of the message goes back.
func TestReturned(t *testing.T) {
	for _, row := range []struct {
		options, ret string
		utf8         bool
		kind         string
		body, note   bool
	}{
		{"", "", false, "message/rfc822", true, false}, {"", "FULL", false, "message/rfc822", true, false}, {"", "HDRS", false, "text/rfc822-headers", false, false},
		{"", "", true, "message/global", true, false}, {"", "HDRS", true, "message/global-headers", false, false},
		{"bounce_return_size_limit = 99\n", "", false, "text/rfc822-headers", false, true}, {"bounce_return_size_limit = 100\n", "", false, "message/rfc822", true, false}, {"bounce_return_size_limit = 0\n", "", false, "message/rfc822", true, false},
		{"bounce_return_linesize_limit = 49\n", "", false, "text/rfc822-headers", false, true}, {"bounce_return_linesize_limit = 50\n", "", false, "message/rfc822", true, false},
		{"bounce_return_body = false\n", "", false, "text/rfc822-headers", false, false}, {"bounce_return_message = false\n", "", false, "", false, false},
	} {
		d := newDesk(t, row.options)
		r := d.report("s@x", address("a@b", mail.Outcome{Message: "no"}))
		r.Message.Ret, r.Message.SMTPUTF8 = row.ret, row.utf8
		if err := d.Failure(context.Background(), r); err != nil {
			t.Fatal(err)
		}
		_, kinds, texts := d.parts(t)
		kind, text := "", ""
		if len(kinds) > 2 {
			kind, text = kinds[2], texts[2]
		}
		if kind != row.kind || strings.Contains(text, returned) != row.body || strings.Contains(text, "X-Exim-DSN-Information: Due to administrative limits only headers are returned\n") != row.note {
			t.Errorf("%+v: %q %q", row, kind, text)
		}
		if row.utf8 && (kinds[0] != "text/plain; charset=utf-8" || kinds[1] != "message/global-delivery-status" || !strings.Contains(texts[1], "Final-Recipient: utf-8;a@b\n")) {
			t.Error(kinds, texts[1])
		}
	}
}

// TestOutput: what commands wrote stands between text and status.
func TestOutput(t *testing.T) {
	dir := t.TempDir()
	d := newDesk(t, "")
	top := address("top@x", mail.Outcome{})
	var addrs []*mail.Address
	for i, text := range []string{"first\n", strings.Repeat("y", maxOutput+5), "missing"} {
		path := filepath.Join(dir, fmt.Sprint(i))
		if text != "missing" {
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		addrs = append(addrs, child(top, mail.KindPipe, fmt.Sprint("|", i), mail.Outcome{Message: "not shown", LogOnly: true, ReturnFile: path}))
	}
	if err := d.Failure(context.Background(), d.report("s@x", addrs...)); err != nil {
		t.Fatal(err)
	}
	_, kinds, texts := d.parts(t)
	want := "  pipe to |0\n    generated by top@x\n\nThe following text was generated during the delivery attempts:\n" +
		"\n------ pipe to |2\n       generated by top@x ------\n\n\n\n------ pipe to |1\n       generated by top@x ------\n\n" + strings.Repeat("y", maxOutput) +
		"\n\n------ pipe to |0\n       generated by top@x ------\n\nfirst\n"
	if !strings.HasSuffix(strings.TrimSuffix(texts[0], "\n")+"\n", want) || strings.Contains(d.text, "not shown") || len(kinds) != 3 {
		t.Errorf("%d %.600q", len(texts[0]), texts[0])
	}
	addrs[0].Outcome.UserMessage = "local delivery failed"
	one := d.report("s@x", addrs[0])
	d.Failure(context.Background(), one)
	if !strings.Contains(d.text, "by top@x\n    local delivery failed\n\nThe following text was generated during the delivery attempt:\n") {
		t.Error(d.text)
	}
}

func TestWarning(t *testing.T) {
	d := newDesk(t, "delay_warning = 1h:2h:24h\n")
	host := &mail.Host{Name: "mx.y", Address: netip.MustParseAddr("10.0.0.1")}
	r := d.report("s@x", address("a@b", mail.Outcome{Message: "SMTP timeout", Host: host}), address("c@b", mail.Outcome{}))
	r.Waited = 90 * time.Minute
	if err := d.Warning(context.Background(), r); err != nil {
		t.Fatal(err)
	}
	h, kinds, texts := d.parts(t)
	if h.Get("Subject") != "Warning: message 10HmaX-000000005vi-0000 delayed 60 minutes" || h.Get("X-Failed-Recipients") != "" || kinds[2] != "text/rfc822-headers" {
		t.Error(h, kinds)
	}
	want := "This message was created automatically by mail delivery software.\nA message that you sent has not yet been delivered to one or more of its\nrecipients after more than 60 minutes on the queue on h.ex.\n\n" +
		"The message identifier is:     10HmaX-000000005vi-0000\nThe subject of the message is: the subject\nThe date of the message is:    Tue, 2 Mar 1999 09:44:33 +0000\n" +
		"\nThe addresses to which the message has not yet been delivered are:\n\n  c@b\n  a@b\n  host mx.y [10.0.0.1]\n    Delay reason: SMTP timeout\n\n" + strings.TrimSuffix(warningEnd, "\n") + "\n"
	if texts[0] != want {
		t.Errorf("%q\n%q", texts[0], want)
	}
	if got := status(t, texts[1]); got != "Reporting-MTA=dns h.ex\nAction= delayed, Final-Recipient=rfc822 a@b, Status= 4.0.0, Remote-MTA=dns mx.y\nAction= delayed, Final-Recipient=rfc822 c@b, Status= 4.0.0\n" {
		t.Error(got)
	}
	r.To, r.Addresses = "o@l", r.Addresses[:1]
	d.Warning(context.Background(), r)
	if _, _, texts = d.parts(t); !strings.Contains(texts[0], "A message sent by\n\n  <s@x>\n\nhas not yet been delivered to one or more of its\n") || !strings.Contains(texts[0], "\nThe address to which the message has not yet been delivered is:\n") {
		t.Error(texts[0])
	}
	for waited, want := range map[time.Duration]string{time.Hour: "60 minutes", 119 * time.Minute: "60 minutes", 2 * time.Hour: "2 hours", 23 * time.Hour: "2 hours", 50 * time.Hour: "24 hours"} {
		if got := delayText(waited, d.Main); got != want {
			t.Errorf("%s: %s", waited, got)
		}
	}
}

func TestSuccess(t *testing.T) {
	d := newDesk(t, "")
	local, relayed, other := address("a@b", mail.Outcome{}), address("c@d", mail.Outcome{Host: &mail.Host{Name: "mx.d"}}), address("e@f", mail.Outcome{Host: &mail.Host{Name: "mx.f"}})
	relayed.DSNAware = mail.DSNNo
	if err := d.Success(context.Background(), d.report("s@x", local, relayed, other)); err != nil {
		t.Fatal(err)
	}
	h, _, texts := d.parts(t)
	if h.Get("Auto-Submitted") != "auto-generated" || h.Get("Subject") != "Delivery Status Notification" {
		t.Error(h)
	}
	want := "This message was created automatically by mail delivery software.\n ----- The following addresses had successful delivery notifications -----\n" +
		"<a@b> (delivered)\n\n<c@d> (relayed to non-DSN-aware mailer)\n\n<e@f> (relayed via non DSN router)\n"
	if texts[0] != want {
		t.Errorf("%q", texts[0])
	}
	if got := status(t, texts[1]); got != "Reporting-MTA=dns h.ex\nAction= delivered, Final-Recipient=rfc822 a@b, Status= 2.0.0\nAction= relayed, Final-Recipient=rfc822 c@d, Status= 2.0.0, Remote-MTA=dns mx.d\n"+
		"Action= relayed, Final-Recipient=rfc822 e@f, Status= 2.0.0, Remote-MTA=dns mx.f\n" {
		t.Error(got)
	}
}

func TestFrozen(t *testing.T) {
	d := newDesk(t, "freeze_tell = postmaster@q.ex\n")
	report := d.report("", address("a@b", mail.Outcome{Message: "no\nway"}), address("c@d", mail.Outcome{}))
	report.Frozen = " (delivery error message)"
	d.TellFrozen(context.Background(), report)
	want := "Auto-Submitted: auto-replied\nFrom: Mail Delivery System <Mailer-Daemon@q.ex>\nTo: postmaster@q.ex\nReferences: <m@x>\nSubject: Message frozen\n\n" +
		"Message 10HmaX-000000005vi-0000 has been frozen (delivery error message).\n" +
		"The sender is <s@x>.\n\nThe following address(es) have yet to be delivered:\n  a@b: no way\n  c@d\n"
	if d.text != want || d.to[0] != "postmaster@q.ex" {
		t.Errorf("%q", d.text)
	}
	d.refuse = errors.New("full")
	d.TellFrozen(context.Background(), d.report("", address("a@b", mail.Outcome{Message: "no"})))
	if len(d.panics) != 1 || d.panics[0] != "10HmaX-000000005vi-0000 failed to tell postmaster@q.ex about the frozen message: full" {
		t.Error(d.panics)
	}
	quiet := newDesk(t, "")
	quiet.TellFrozen(context.Background(), quiet.report("", address("a@b", mail.Outcome{Message: "no"})))
	if quiet.text != "" {
		t.Error(quiet.text)
	}
}

// TestTemplates: message files of spec 50, and what is wrong with them.
func TestTemplates(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	// The example of spec 50.1, shortened.
	bounce := file("bounce", "Subject: Mail delivery failed ${if eq{$sender_address}{$bounce_recipient}{: returning message to sender}}\n****\nThis came from $sender_address to $bounce_recipient.\n****\nThe commands said:\n****\n")
	warn := file("warn", "Subject: slow by $warn_message_delay\n****\nStill here: $warn_message_recipients\n****\nPatience.\n")
	bad := file("bad", "Subject: ok\n****\n${bad:x}\n")
	for _, row := range []struct {
		options   string
		warning   bool
		want      []string // parts of the report
		complaint string
	}{
		{"bounce_message_file = " + bounce + "\n", false, []string{"Subject: Mail delivery failed : returning message to sender\n", "\n\nThis came from s@x to s@x.\n\n  a@b\n"}, ""},
		{"delay_warning = 1h\nwarn_message_file = " + warn + "\n", true, []string{"Subject: slow by 60 minutes\n", "\n\nStill here: s@x\n\n  a@b\n", "\n\nPatience.\n\n--"}, ""},
		{"bounce_message_file = " + dir + "/none\n", false, []string{"Subject: Mail delivery failed: ret", "A message that you sent could not"}, "Failed to open " + dir + "/none for error message texts: No such file or directory"},
		{"delay_warning = 1h\nwarn_message_file = " + dir + "/none\n", true, []string{"Subject: Warning: message"}, "Failed to open " + dir + "/none for warning message texts: No such file or directory"},
		{"bounce_message_file = relative\n", false, []string{"A message that you sent could not"}, "bounce_message_file is not absolute after expansion: 'relative'\n"},
		{"bounce_message_file = /x/$sender_address\n", false, []string{"A message that you sent could not"}, "bounce_message_file is not untainted after expansion: '/x/s@x'\n"},
		{"bounce_message_file = ${if eq{1}{2}{x}}\n", false, []string{"A message that you sent could not"}, "Failed to expand bounce_message_file: '${if eq{1}{2}{x}}'\n"},
		{"bounce_message_file = ${bad:x}\n", false, []string{"A message that you sent could not"}, "Failed to expand bounce_message_file: '${bad:x}'\n"},
		{"bounce_message_file = " + bad + "\n", false, []string{"Subject: ok\n", "A message that you sent could not"}, `Failed to expand bounce message text: unknown expansion operator "bad"`},
		{"bounce_message_text = Call the desk.\n", false, []string{"software.\nCall the desk.\n\nA message that you sent"}, ""},
		{"dsn_from = Desk <desk@$primary_hostname>\n", false, []string{"\nFrom: Desk <desk@h.ex>\n"}, ""},
		{"dsn_from = ${bad:x}\n", false, []string{"\nFrom: Mail Delivery System <Mailer-Daemon@q.ex>\n"}, `Failed to expand dsn_from (using default): unknown expansion operator "bad"`},
	} {
		d := newDesk(t, row.options)
		r := d.report("s@x", address("a@b", mail.Outcome{Message: "no"}))
		r.Waited = time.Hour
		send := d.Failure
		if row.warning {
			send = d.Warning
		}
		if err := send(context.Background(), r); err != nil {
			t.Fatal(err)
		}
		d.parts(t)
		for _, want := range row.want {
			if !strings.Contains(d.text, want) {
				t.Errorf("%s: no %q in\n%s", row.options, want, d.text)
			}
		}
		if got := strings.TrimPrefix(strings.Join(d.panics, "|"), r.Message.ID+" "); got != row.complaint {
			t.Errorf("%s: %s", row.options, got)
		}
	}
	// The third item stands before what commands wrote.
	d := newDesk(t, "bounce_message_file = "+bounce+"\n")
	d.Failure(context.Background(), d.report("s@x", child(address("t@x", mail.Outcome{}), mail.KindPipe, "|x", mail.Outcome{ReturnFile: file("out", "text\n")})))
	if !strings.Contains(d.text, "\n\nThe commands said:\n\n------ pipe to |x\n") {
		t.Error(d.text)
	}
}
