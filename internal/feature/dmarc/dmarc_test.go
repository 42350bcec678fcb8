package dmarc

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"exigo/internal/acl"
	"exigo/internal/config"
	"exigo/internal/expand"
	"exigo/internal/expand/builtin"
	"exigo/internal/mail"
	"exigo/internal/proto/dmarc"
	"exigo/internal/submit"
	"exigo/internal/testkit"
)

const zone = `
_dmarc.reject.example. TXT "v=DMARC1; p=reject; ruf=mailto:r@reject.example,mailto:x@elsewhere.example; rua=mailto:a@reject.example"
_dmarc.sample.example. TXT "v=DMARC1; p=reject; pct=0"
_dmarc.all.example.    TXT "v=DMARC1; p=none; fo=1; ruf=mailto:r@all.example"
_dmarc.d.example.      TXT "v=DMARC1; p=none; fo=d; ruf=mailto:r@d.example"
_dmarc.s.example.      TXT "v=DMARC1; p=none; fo=s; ruf=mailto:r@s.example"
_dmarc.org.example.    TXT "v=DMARC1; p=reject; sp=quarantine"
other.example.         TXT "v=spf1 -all"
_dmarc.gov.example.    TXT "v=DMARC1; p=quarantine; psd=y"
`

// bench runs conditions of the room.
type bench struct {
	world   *testkit.Fake
	program *acl.Program
	scope   *expand.Scope
	reports []acl.Report
	spf     mail.Verdict
}

func newBench(t *testing.T, text string) *bench {
	t.Helper()
	b := &bench{world: testkit.NewWorld(t)}
	b.world.Zones.Add(zone).Fail("_dmarc.temp.example", errors.New("SERVFAIL"))
	f := Feature()
	words := builtin.Words()
	words.Variables = append(append(words.Variables, acl.Variables()...), f.Variables...)
	engine, err := expand.New(b.world.World, words, expand.Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "configure")
	if err := os.WriteFile(path, []byte("primary_hostname = mx.receiver.example\nexim_user = root\n"+text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Read(config.Request{Path: path, World: b.world.World, SkipChecks: true, Registry: &config.Registry{Sets: append(f.Options, config.MainOptions())}})
	if err != nil {
		t.Fatal(err)
	}
	b.program, err = acl.Compile(c, acl.Words{Conditions: f.Conditions, Controls: f.Controls}, acl.Services{
		EnsureVerdict: func(_ context.Context, s *expand.Scope, method string) {
			if method == "spf" && b.spf.Method != "" {
				s.Message.Verdicts = append(s.Message.Verdicts, b.spf)
			}
		},
		SendReport: func(_ context.Context, _ *expand.Scope, r acl.Report) error {
			b.reports = append(b.reports, r)
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	session := &mail.Session{}
	b.scope = engine.NewScope(context.Background(), c, session, &mail.Message{Session: session})
	return b
}

// begin begins a message of an author; spf and dkim are "result domain".
func (b *bench) begin(from, spf, dkim string) *mail.Message {
	b.reports, b.spf = nil, mail.Verdict{}
	b.scope.Session = &mail.Session{Host: netip.MustParseAddr("192.0.2.1"), HELO: "helo.example"}
	m := &mail.Message{Session: b.scope.Session, ID: "1abcde-000000000Xy-0001", Sender: "u@sender.example", SenderSet: true, Headers: []mail.Header{mail.NewHeader("From: " + from + "\n"), mail.NewHeader("Subject: x\n")}}
	if result, domain, ok := strings.Cut(spf, " "); ok {
		b.spf = mail.Verdict{Method: "spf", Result: result, Properties: []mail.Property{{Type: "smtp", Name: "mailfrom", Value: domain}}}
	}
	if result, domain, ok := strings.Cut(dkim, " "); ok {
		m.Verdicts = append(m.Verdicts, mail.Verdict{Method: "dkim", Result: result, Properties: []mail.Property{{Type: "header", Name: "d", Value: domain}, {Type: "header", Name: "s", Value: "sel"}}})
	}
	b.scope.Message = m
	return m
}

func (b *bench) run(phase acl.Phase, text string) acl.Outcome {
	return b.program.Run(context.Background(), b.scope, phase, "accept "+text)
}

// end ends the reception of the message.
func (b *bench) end(accepted bool, verdict acl.Verdict) {
	b.scope.Message.Recipients = []mail.Recipient{{Address: "u@receiver.example"}}
	ended(b.scope, b.scope.Message, &submit.Result{Accepted: accepted, Refused: &acl.Outcome{Verdict: verdict}})
}

func (b *bench) expand(t *testing.T, text string) string {
	t.Helper()
	v, err := b.scope.Engine.Expand(b.scope, text)
	if err != nil {
		t.Errorf("%s: %v", text, err)
	}
	return v.S
}

func TestStatus(t *testing.T) {
	list := filepath.Join(t.TempDir(), "suffixes")
	if err := os.WriteFile(list, []byte("example\norg.example\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct{ options, from, spf, dkim, want string }{
		{"", "a@reject.example", "pass reject.example", "", "accept|Accept|reject.example|reject|yes|no|pass"},
		{"", "a@reject.example", "pass other.example", "pass mail.reject.example", "accept|Accept|reject.example|reject|no|yes|pass"},
		{"", "a@reject.example", "pass other.example", "fail reject.example", "reject|Reject|reject.example|reject|no|no|fail"},
		{"", "a@reject.example", "", "", "reject|Reject|reject.example|reject|no|no|fail"},
		{"", "a@reject.example", "temperror reject.example", "", "temperror|Temporary error|reject.example|reject|no|no|temperror"},
		{"", "a@temp.example", "", "", "temperror|Temporary error|temp.example||no|no|temperror"},
		{"", "a@sample.example", "", "", "quarantine|Quarantine|sample.example|reject|no|no|fail"},
		{"", "a@all.example", "", "", "none|None, Accept|all.example|none|no|no|none"},
		{"", "a@missing.example", "", "", "norecord|No policy record|missing.example||no|no|none"},
		{"", "a", "", "", "nofrom|No From: domain found|||no|no|permerror"},
		{"", "a@sub.org.example", "", "", "quarantine|Quarantine|org.example|quarantine|no|no|fail"},
		{"dmarc_tld_file = " + list, "a@sub.org.example", "", "", "norecord|No policy record|sub.org.example||no|no|none"},
		{"dmarc_tree_walk", "a@b.sub.gov.example", "pass sub.gov.example", "", "accept|Accept|gov.example|quarantine|yes|no|pass"},
		{"dmarc_tld_file =", "a@reject.example", "", "", "off|Verification is off|||||"},
		{"dmarc_tld_file =\ndmarc_tree_walk", "a@reject.example", "", "", "reject|Reject|reject.example|reject|no|no|fail"},
		{"dmarc_tld_file = /nonexistent/list", "a@reject.example", "", "", "temperror|Temporary error|||no|no|temperror"},
	} {
		b := newBench(t, x.options)
		m := b.begin(x.from, x.spf, x.dkim)
		word, _, _ := strings.Cut(x.want, "|")
		if o := b.run(acl.Data, "dmarc_status = !"+word+" : "+word); o.Verdict != acl.OK {
			t.Errorf("%s: %+v", x.from, o)
		}
		got := b.expand(t, "$dmarc_status|$dmarc_status_text|$dmarc_used_domain|$dmarc_domain_policy|$dmarc_alignment_spf|$dmarc_alignment_dkim|")
		for _, v := range m.Verdicts {
			if v.Method == "dmarc" {
				got += v.Result
			}
		}
		if got != x.want {
			t.Errorf("%s %s:\n got %s\nwant %s", x.options, x.from, got, x.want)
		}
		asked := len(b.world.Zones.Asked())
		b.run(acl.Data, "dmarc_status = *\n dmarc_status = !nonsense")
		if len(b.world.Zones.Asked()) != asked {
			t.Error("asked again")
		}
	}
}

func TestOff(t *testing.T) {
	b := newBench(t, "")
	for name, change := range map[string]func(m *mail.Message){
		"control": func(*mail.Message) { b.scope.Message.Controls.DMARCDisable = true }, "local": func(*mail.Message) { b.scope.Session.Host = netip.Addr{} },
		"authenticated": func(*mail.Message) { b.scope.Session.Authenticator = "plain" },
	} {
		change(b.begin("a@reject.example", "", ""))
		if o := b.run(acl.Data, "dmarc_status = off"); o.Verdict != acl.OK || len(b.world.Zones.Asked()) > 0 {
			t.Errorf("%s: %+v", name, o)
		}
	}
	// a best guess is no SPF
	b.begin("a@reject.example", "pass reject.example", "")
	b.spf.Comment = "best guess record for domain"
	if o := b.run(acl.Data, "dmarc_status = reject"); o.Verdict != acl.OK {
		t.Errorf("guess: %+v", o)
	}
	for phase, want := range map[acl.Phase]string{acl.Rcpt: "cannot test dmarc_status condition in RCPT ACL", acl.MIME: "cannot test dmarc_status condition in MIME ACL"} {
		if o := b.run(phase, "dmarc_status = off"); o.LogMessage != want {
			t.Errorf("%s: %+v", phase, o)
		}
	}
	if o := b.run(acl.Data, "control = dmarc_enable_forensic"); o.LogMessage != `cannot use "control=dmarc_enable_forensic" in DATA ACL` {
		t.Errorf("%+v", o)
	}
}

func TestFailureReports(t *testing.T) {
	b := newBench(t, "dmarc_forensic_sender = Forensics <dmarc@$primary_hostname>")
	for _, x := range []struct{ from, spf, dkim, to, kind string }{
		{"a@reject.example", "fail other.example", "fail other.example", "r@reject.example", "dmarc"},
		{"a@reject.example", "pass reject.example", "fail reject.example", "", ""},
		{"a@all.example", "pass all.example", "", "r@all.example", "dmarc"},
		{"a@all.example", "pass all.example", "pass all.example", "", ""},
		{"a@d.example", "", "fail other.example", "r@d.example", "signature"},
		{"a@d.example", "fail d.example", "", "", ""},
		{"a@s.example", "softfail other.example", "", "r@s.example", "spf"},
		{"a@sample.example", "", "", "", ""},
		{"a@missing.example", "", "", "", ""},
	} {
		b.begin(x.from, x.spf, x.dkim)
		b.run(acl.Rcpt, "control = dmarc_forensic_enable")
		b.run(acl.Data, "dmarc_status = *")
		to, kind := "", ""
		for _, r := range b.reports {
			if strings.HasSuffix(x.spf, "l other.example") != strings.Contains(r.Text, "\nSPF-DNS: txt : other.example :\n\t\"v=spf1 -all\"\n") {
				t.Errorf("%s: %s", x.from, r.Text)
			}
			to += strings.Join(r.Recipients, " ")
			_, kind, _ = strings.Cut(r.Text, "\nAuth-Failure: ")
			kind, _, _ = strings.Cut(kind, "\n")
			if r.Sender != "dmarc@mx.receiver.example" || !strings.HasPrefix(r.Text, "From: Forensics <dmarc@mx.receiver.example>\n") || !strings.Contains(r.Text, "\nSubject: x\n") {
				t.Errorf("%s: %+v", x.from, r)
			}
		}
		if to != x.to || kind != x.kind {
			t.Errorf("%+v: to %q about %q", x, to, kind)
		}
	}
	// not without the control, and not about reports
	b.begin("a@reject.example", "", "")
	b.run(acl.Data, "dmarc_status = *")
	m := b.begin("a@reject.example", "", "")
	m.Headers = append(m.Headers, mail.NewHeader("Content-Type: Multipart/Report; report-type=feedback-report\n"))
	m.Controls.DMARCForensic = true
	b.run(acl.Data, "dmarc_status = *")
	if len(b.reports) > 0 {
		t.Errorf("%+v", b.reports)
	}
	// without dmarc_forensic_sender, or with one that is no address
	for _, text := range []string{"", "dmarc_forensic_sender = ${if bad", "dmarc_forensic_sender = no address at all"} {
		b := newBench(t, text)
		b.begin("a@reject.example", "", "").Controls.DMARCForensic = true
		b.run(acl.Data, "dmarc_status = *")
		if len(b.reports) != 1 || b.reports[0].Sender != "" || !strings.HasPrefix(b.reports[0].Text, "From: Mail Delivery System <Mailer-Daemon@mx.receiver.example>\n") {
			t.Errorf("%s: %+v", text, b.reports)
		}
	}
}

func TestLimiter(t *testing.T) {
	var l limiter
	now := testkit.Epoch()
	count := func(domain string, at time.Time) (n int) {
		for range 2 * reportsInAll {
			if l.allow(domain, at) {
				n++
			}
		}
		return n
	}
	if n := count("a", now); n != reportsForDomain {
		t.Errorf("%d for one domain", n)
	}
	total := reportsForDomain
	for i := range 100 {
		total += count(strings.Repeat("x", i+1), now)
	}
	if total != reportsInAll || count("a", now) != 0 || count("a", now.Add(time.Hour)) != reportsForDomain {
		t.Errorf("%d in all", total)
	}
}

func TestHistory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history")
	b := newBench(t, "dmarc_history_file = "+path)
	m := b.begin("a@reject.example", "fail sender.example", "pass reject.example")
	m.Verdicts = append(m.Verdicts, mail.Verdict{Method: "dkim", Result: "none"}, mail.Verdict{Method: "arc", Result: "pass"})
	m.Headers = append(m.Headers, mail.NewHeader("ARC-Seal: i=1; a=rsa-sha256; d=List.example;\n\ts=arc; b=xx\n"))
	b.run(acl.Data, "dmarc_status = accept")
	b.end(true, acl.OK)
	b.begin("a@temp.example", "", "")
	b.run(acl.Data, "dmarc_status = temperror")
	b.end(false, acl.Fail)
	b.begin("a@missing.example", "", "").Sender = ""
	b.run(acl.Data, "dmarc_status = norecord")
	b.end(true, acl.OK)
	b.begin("a@reject.example", "", "")
	b.end(true, acl.OK) // nobody asked
	b.run(acl.Data, "dmarc_status = reject")
	b.end(false, acl.Defer) // it comes again
	b.end(true, acl.OK)
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var got []Entry
	if err := ReadHistory(file, func(e *Entry) error { got = append(got, *e); return nil }); err != nil {
		t.Fatal(err)
	}
	common := Entry{Job: "1abcde-000000000Xy-0001", Reporter: "mx.receiver.example", Received: 920367873, Client: netip.MustParseAddr("192.0.2.1"), Percent: 100}
	one, two := common, common
	one.From, one.MailFrom, one.PolicyDomain, one.SPF, one.Status, one.Policy, one.DKIMAligned, one.ARC = "reject.example", "sender.example", "reject.example", "fail", "accept", dmarc.Reject, true, "pass"
	one.Signatures, one.Aggregate = []Signature{{"reject.example", "sel", "pass"}}, []string{"mailto:a@reject.example"}
	two.From, two.PolicyDomain, two.SPF, two.Status = "missing.example", "missing.example", "none", "norecord"
	one.Seals = []seal{{1, "list.example", "arc"}}
	three := common
	three.From, three.MailFrom, three.PolicyDomain, three.SPF, three.Status, three.Policy, three.Overruled = "reject.example", "sender.example", "reject.example", "none", "reject", dmarc.Reject, true
	three.Aggregate = one.Aggregate
	if want := []Entry{one, two, three}; !reflect.DeepEqual(got, want) {
		t.Errorf("\n got %+v\nwant %+v", got, want)
	}
	data, _ := os.ReadFile(path)
	for _, line := range []string{"spf 7\n", "dkim reject.example sel 0\n", `arc_policy 0 json:[{"i":1,"d":"list.example","s":"arc"}]` + "\n", "arc_policy 1 json:[ ]\n", "mfrom \n", "rua -\n", "pct 100\n", "action 2\n"} {
		if !strings.Contains(string(data), line) {
			t.Errorf("%q is missing in\n%s", line, data)
		}
	}
}

func FuzzHistory(f *testing.F) {
	f.Add("job 1\nreceived 1\nipaddr 192.0.2.1\nfrom a.b\npdomain a.b\np 114\nrua mailto:x@y\npolicy 16\ndkim a b 0\n")
	f.Fuzz(func(t *testing.T, text string) {
		reports, err := Reports(strings.NewReader(text), Period{Receiver: "x.example", Organization: "X", Email: "d@x.example"})
		if err != nil {
			return
		}
		for _, r := range reports {
			if len(r.Feedback.Records) == 0 || len(r.Destinations) == 0 {
				t.Errorf("%+v", r)
			}
			var b strings.Builder
			if err := r.Feedback.WriteXML(&b); err != nil {
				t.Error(err)
			} else if _, err := dmarc.ReadFeedback(strings.NewReader(b.String())); err != nil {
				t.Errorf("%v\n%s", err, b.String())
			} else if fault := validate(b.String()); fault != "" {
				t.Errorf("%s\n%s", fault, b.String())
			}
		}
	})
}
