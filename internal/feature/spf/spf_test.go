package spf

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"exigo/internal/acl"
	"exigo/internal/config"
	"exigo/internal/expand"
	"exigo/internal/expand/builtin"
	"exigo/internal/mail"
	"exigo/internal/testkit"
)

const zone = `
pass.example.    TXT "v=spf1 ip4:192.0.2.1 -all"
fail.example.    TXT "v=spf1 ip4:192.0.2.9 -all"
explain.example. TXT "v=spf1 ip4:192.0.2.9 -all exp=why.explain.example"
why.explain.example. TXT "%{c} may not use %{d}%_(%{s}), says %{r}"
soft.example.    TXT "v=spf1 ip4:192.0.2.9 ~all"
neutral.example. TXT "v=spf1 ip4:192.0.2.9 ?all"
default.example. TXT "v=spf1 ip4:192.0.2.9"
syntax.example.  TXT "v=spf1 foo:bar -all"
two.example.     TXT "v=spf1 -all"
two.example.     TXT "v=spf1 +all"
temp.example.    TXT "v=spf1 a:broken.example -all"
mx.example.      TXT "v=spf1 mx:norec.example -all"
norec.example.   A   192.0.2.1
norec.example.   MX  5 nothing.norec.example.
norec.example.   MX  3 norec.example.
helo.example.    TXT "v=spf1 -all"
include.example. TXT "v=spf1 include:norec.example -all"
`

// bench runs conditions of the room.
type bench struct {
	world   *testkit.Fake
	program *acl.Program
	scope   *expand.Scope
}

func newBench(t *testing.T, text string) *bench {
	t.Helper()
	b := &bench{world: testkit.NewWorld(t)}
	b.world.Zones.Add(zone).Fail("broken.example", errors.New("SERVFAIL"))
	f := Feature()
	words := builtin.Words()
	words.Variables = append(append(words.Variables, acl.Variables()...), f.Variables...)
	words.Lookups = append(words.Lookups, f.Lookups...)
	engine, err := expand.New(b.world.World, words, expand.Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "configure")
	if err := os.WriteFile(path, []byte("primary_hostname = mx.receiver.example\nexim_user = root\n"+text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Read(config.Request{Path: path, World: b.world.World, SkipChecks: true,
		Registry: &config.Registry{Sets: append(f.Options, config.MainOptions())}})
	if err != nil {
		t.Fatal(err)
	}
	b.program, err = acl.Compile(c, acl.Words{Conditions: f.Conditions}, acl.Services{})
	if err != nil {
		t.Fatal(err)
	}
	session := &mail.Session{HELO: "helo.example"}
	b.scope = engine.NewScope(context.Background(), c, session, &mail.Message{Session: session, SenderSet: true})
	return b
}

// begin begins a message.
func (b *bench) begin(ip, helo, sender string) {
	b.scope.Session.Host, _ = netip.ParseAddr(ip)
	b.scope.Session.HELO = helo
	b.scope.Message = &mail.Message{Session: b.scope.Session, Sender: sender, SenderSet: true}
}

func (b *bench) run(t *testing.T, phase acl.Phase, condition string) acl.Outcome {
	t.Helper()
	return b.program.Run(context.Background(), b.scope, phase, "accept "+condition)
}

func (b *bench) expand(t *testing.T, text string) string {
	t.Helper()
	v, err := b.scope.Engine.Expand(b.scope, text)
	if err != nil {
		t.Errorf("%s: %v", text, err)
	}
	return v.S
}

const all = "pass:fail:softfail:none:neutral:permerror:temperror"

// TestTexts compares with what exim 4.96 (libspf2) says about the same policies.
func TestTexts(t *testing.T) {
	b := newBench(t, "")
	for _, x := range []struct{ condition, ip, sender, result, guessed, comment, reply string }{
		{"spf", "192.0.2.1", "user@pass.example", "pass", "no", "domain of pass.example designates 192.0.2.1 as permitted sender", ""},
		{"spf", "192.0.2.1", "user@fail.example", "fail", "no", "domain of fail.example does not designate 192.0.2.1 as permitted sender",
			"Please see http://www.open-spf.org/Why : Reason: mechanism"},
		{"spf", "2001:db8::5", "user@pass.example", "fail", "no", "domain of pass.example does not designate 2001:db8::5 as permitted sender",
			"Please see http://www.open-spf.org/Why : Reason: mechanism"},
		{"spf", "192.0.2.1", "user@explain.example", "fail", "no", "domain of explain.example does not designate 192.0.2.1 as permitted sender",
			"192.0.2.1 may not use explain.example (user@explain.example), says mx.receiver.example : Reason: mechanism"},
		{"spf", "192.0.2.1", "user@soft.example", "softfail", "no", "transitioning domain of soft.example does not designate 192.0.2.1 as permitted sender",
			"Please see http://www.open-spf.org/Why : Reason: mechanism"},
		{"spf", "192.0.2.1", "user@neutral.example", "neutral", "no", "192.0.2.1 is neither permitted nor denied by domain of neutral.example",
			"Please see http://www.open-spf.org/Why : Reason: mechanism"},
		{"spf", "192.0.2.1", "user@default.example", "neutral", "no", "192.0.2.1 is neither permitted nor denied by domain of default.example",
			"Please see http://www.open-spf.org/Why : Reason: default"},
		{"spf", "192.0.2.1", "user@two.example", "permerror", "no", "error in processing during lookup of domain of two.example: Multiple SPF or TXT records for domain.", ""},
		{"spf", "192.0.2.1", "user@include.example", "permerror", "no",
			"error in processing during lookup of domain of include.example: Could not find a valid SPF record", ""},
		{"spf", "192.0.2.1", "user@syntax.example", "permerror", "no", `error in processing during lookup of domain of syntax.example: unknown mechanism "foo:bar"`, ""},
		{"spf", "192.0.2.1", "user@temp.example", "temperror", "no", "encountered temporary error during SPF processing of domain of temp.example", ""},
		{"spf", "192.0.2.1", "user@broken.example", "temperror", "no", "encountered temporary error during SPF processing of domain of broken.example", ""},
		{"spf", "192.0.2.1", "user@norec.example", "none", "no", "domain of norec.example does not provide an SPF record", ""},
		{"spf", "192.0.2.1", "user@mx.example", "pass", "no", "domain of mx.example designates 192.0.2.1 as permitted sender", ""},
		{"spf", "127.0.0.2", "user@fail.example", "pass", "no", "localhost is always allowed.", ""},
		{"spf", "::1", "user@fail.example", "pass", "no", "localhost is always allowed.", ""},
		{"spf", "", "user@fail.example", "none", "no", "domain of fail.example does not provide an SPF record", ""},
		{"spf_guess", "", "user@fail.example", "none", "no", "domain of fail.example does not provide an SPF record", ""},
		{"spf_guess", "192.0.2.1", "user@pass.example", "pass", "no", "domain of pass.example designates 192.0.2.1 as permitted sender", ""},
		{"spf_guess", "192.0.2.77", "user@norec.example", "pass", "yes", "domain of norec.example designates 192.0.2.77 as permitted sender", ""},
		{"spf_guess", "192.0.3.1", "user@nx.example", "neutral", "yes", "192.0.3.1 is neither permitted nor denied by domain of nx.example",
			"Please see http://www.open-spf.org/Why : Reason: mechanism"},
	} {
		b.begin(x.ip, "helo.example", x.sender)
		if o := b.run(t, acl.Mail, x.condition+" = "+all); o.Verdict != acl.OK {
			t.Errorf("%s for %s: %+v", x.condition, x.sender, o)
		}
		got := b.expand(t, "$spf_result|$spf_result_guessed|$spf_header_comment|$spf_smtp_comment|$spf_received")
		comment := "mx.receiver.example: " + x.comment
		want := x.result + "|" + x.guessed + "|" + comment + "|" + x.reply + "|Received-SPF: " + x.result + " (" + comment + ") client-ip=" + x.ip +
			"; envelope-from=" + x.sender + "; helo=helo.example;"
		if got != want {
			t.Errorf("%s for %s:\n got %s\nwant %s", x.condition, x.sender, got, want)
		}
	}
}

func TestMatches(t *testing.T) {
	for _, x := range []struct {
		list   string
		result string
		want   bool
	}{
		{"pass", "pass", true}, {"pass", "fail", false}, {"!pass", "fail", true}, {"!pass", "pass", false}, {"! pass", "pass", false},
		{"!pass : pass", "pass", true}, {"fail : softfail", "softfail", true}, {"<; fail ; none", "none", true}, {"", "pass", false},
		{"err_perm", "permerror", true}, {"err_temp", "temperror", true}, {"err_temp", "permerror", false}, {"!err_perm", "permerror", false},
		{"PASS", "pass", false}, {"*", "none", true}, {"!*", "none", false}, {"invalid", "permerror", false}, {"fai", "fail", false},
	} {
		if got := matches(x.list, deprecated(x.result)); got != x.want {
			t.Errorf("spf = %s with %s: %v", x.list, x.result, got)
		}
	}
}

func TestConditions(t *testing.T) {
	b := newBench(t, "")
	if got := b.expand(t, "<$spf_result> $spf_result_guessed <$spf_received>"); got != "<> no <>" {
		t.Errorf("before a check: %s", got)
	}
	for _, x := range []struct {
		phase acl.Phase
		want  string
	}{
		{acl.Mail, ""}, {acl.Rcpt, ""}, {acl.Predata, ""}, {acl.MIME, ""}, {acl.PRDR, ""}, {acl.Data, ""},
		{acl.HELO, "cannot test spf condition in EHLO or HELO ACL"}, {acl.NotSMTP, "cannot test spf condition in non-SMTP ACL"},
	} {
		b.begin("192.0.2.1", "h", "a@pass.example")
		o := b.run(t, x.phase, "spf = ${if def:sender_address{pass}}")
		if o.LogMessage != x.want || x.want == "" && o.Verdict != acl.OK {
			t.Errorf("%s: %+v", x.phase, o)
		}
	}
	// one check a message, whatever asks, and again when the sender is another
	b.begin("192.0.2.1", "h", "a@pass.example")
	before := len(b.world.Zones.Asked())
	b.run(t, acl.Mail, "spf = pass\n spf_guess = pass\n !spf = fail")
	if n := len(b.world.Zones.Asked()) - before; n != 1 {
		t.Errorf("%d questions", n)
	}
	b.scope.Message.Sender = "a@fail.example"
	if o := b.run(t, acl.Rcpt, "spf = fail"); o.Verdict != acl.OK {
		t.Error("another sender: the old result")
	}
	// after a guess, spf is not satisfied by it
	b.begin("192.0.2.1", "h", "a@norec.example")
	if o := b.run(t, acl.Rcpt, "spf_guess = pass\n spf = none\n spf_guess = pass"); o.Verdict != acl.OK {
		t.Errorf("guess, spf, guess: %+v", o)
	}
}

func TestGuessOption(t *testing.T) {
	for text, want := range map[string]string{
		"spf_guess = v=spf1 a/16 mx/16 ptr ?all": "pass", // the seed's example
		"spf_guess = v=spf1 -all":                "fail",
		"spf_guess = nonsense":                   "permerror",
		"":                                       "neutral",
	} {
		b := newBench(t, text)
		b.begin("192.0.3.1", "h", "u@norec.example")
		b.run(t, acl.Rcpt, "spf_guess = "+all)
		if got := b.expand(t, "$spf_result $spf_result_guessed"); got != want+" yes" {
			t.Errorf("%s: %s", text, got)
		}
	}
}

func TestVerdicts(t *testing.T) {
	b := newBench(t, "")
	for _, x := range []struct{ helo, sender, condition, want string }{
		{"helo.example", "u@pass.example", "spf", "Authentication-Results: h;\n\tspf=pass smtp.mailfrom=pass.example;\n\tdkim=none"},
		{"helo.example", "", "spf", "Authentication-Results: h;\n\tspf=fail smtp.helo=helo.example;\n\tdkim=none"},
		{"a b;c", "", "spf", "Authentication-Results: h;\n\tspf=none smtp.helo=\"a b;c\";\n\tdkim=none"},
		{"helo.example", "u@norec.example", "spf_guess", "Authentication-Results: h;\n\tspf=pass (best guess record for domain) smtp.mailfrom=norec.example;\n\tdkim=none"},
	} {
		b.begin("192.0.2.1", x.helo, x.sender)
		b.scope.Message.Verdicts = []mail.Verdict{{Method: "dkim", Result: "none"}}
		b.run(t, acl.Data, x.condition+" = pass\n"+x.condition+" = fail")
		b.run(t, acl.Data, x.condition+" = fail")
		if got := b.expand(t, "${authresults{h}}"); got != x.want {
			t.Errorf("%s %s:\n got %q\nwant %q", x.helo, x.sender, got, x.want)
		}
	}
	// nothing that a client says breaks the header
	b.begin("192.0.2.1", "x)\r\n(y\\", "")
	b.run(t, acl.Mail, "spf = none")
	if got := b.expand(t, "$spf_received"); strings.ContainsAny(got, "\r\n") || !strings.Contains(got, `domain of x\)??\(y\\ does`) ||
		!strings.Contains(got, `envelope-from="postmaster@x)??(y\\"; helo="x)??(y\\";`) {
		t.Errorf("%q", got)
	}
}

func TestTemplate(t *testing.T) {
	var b *bench
	for template, want := range map[string]string{
		"see%_http://${primary_hostname}/?%{S}&%{i}&%{h}&%{D}&%{R}&%{C}&%{L}&%{O}&%{V}&%{P}": "see http://mx.receiver.example/?us%2Ber%40fail.example" +
			"&192.0.2.1&helo.example&fail.example&mx.receiver.example&192.0.2.1&us%2Ber&fail.example&in-addr&unknown : Reason: mechanism",
		"%{x}":        "Please see http://www.open-spf.org/Why : Reason: mechanism",
		"${if bad{}}": "Please see http://www.open-spf.org/Why : Reason: mechanism",
	} {
		b = newBench(t, "spf_smtp_comment_template = "+template)
		b.begin("192.0.2.1", "helo.example", "us+er@fail.example")
		b.run(t, acl.Mail, "spf = fail")
		if got := b.expand(t, "$spf_smtp_comment"); got != want {
			t.Errorf("%s: %q", template, got)
		}
	}
	v, _ := b.scope.Engine.Expand(b.scope, "$spf_smtp_comment")
	r, _ := b.scope.Engine.Expand(b.scope, "$spf_result")
	if !v.Tainted || r.Tainted {
		t.Errorf("taint: %v %v", v.Tainted, r.Tainted)
	}
}

func TestLookup(t *testing.T) {
	b := newBench(t, "")
	for _, x := range []struct{ key, file, want string }{
		{"username@pass.example", "192.0.2.1", "pass"},
		{"user@pass.example", "2001:db8::1", "fail"},
		{"user@fail.example", "127.0.0.1", "pass"},
		{"user@fail.example", "192.0.2.1", "fail"},
		{"user@two.example", "192.0.2.1", "permerror"},
		{"user@temp.example", "192.0.2.1", "temperror"},
		{"user@nx.example", "192.0.2.1", "none"},
		{"nodomain", "192.0.2.1", "none"},
		{"user@nx.example", "bad", "missing"},
		{"user@nx.example", "", "missing"},
		{"", "192.0.2.1", "missing"},
	} {
		text := "${lookup {" + x.key + "} spf {" + x.file + "}{$value}{missing}}"
		if got := b.expand(t, text); got != x.want {
			t.Errorf("%s: %q", text, got)
		}
	}
}
