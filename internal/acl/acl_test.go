package acl

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"exigo/internal/config"
	"exigo/internal/expand"
	"exigo/internal/expand/builtin"
	"exigo/internal/hints"
	"exigo/internal/list"
	"exigo/internal/mail"
	"exigo/internal/option"
	"exigo/internal/outside"
	"exigo/internal/testkit"
)

// bench is what a test of ACLs needs.
type bench struct {
	world   *testkit.Fake
	engine  *expand.Engine
	config  *config.Config
	program *Program
	scope   *expand.Scope
	log     []string
	delays  []time.Duration
	// verified answers VerifyAddress.
	verified map[string]Verified
	options  VerifyOptions
}

func newBench(t testing.TB, text string) *bench {
	t.Helper()
	b := &bench{world: testkit.NewWorld(t), verified: map[string]Verified{}}
	words := builtin.Words()
	words.Variables = append(words.Variables, Variables()...)
	var err error
	b.engine, err = expand.New(b.world.World, words, expand.Hooks{ACL: func(s *expand.Scope, name string, a []expand.Value) (bool, expand.Value, error) {
		return b.program.Nested(s, name, a)
	}})
	if err != nil {
		t.Fatal(err)
	}
	b.config = &config.Config{Main: option.Bag{}}
	b.config.Main.Add(config.MainOptions())
	if err = b.compile(text); err != nil {
		t.Fatal(err)
	}
	session := &mail.Session{Host: netip.MustParseAddr("1.2.3.4"), HELO: "a.b"}
	m := &mail.Message{Session: session, Sender: "a@b.c", SenderSet: true}
	b.scope = b.engine.NewScope(context.Background(), b.config, session, m)
	b.scope.Recipient = &mail.Recipient{Address: "X@y.z"}
	return b
}

// compile reads ACLs: "name:" lines begin them.
func (b *bench) compile(text string) (err error) {
	for _, l := range logicalLines(text, "conf", 1) {
		if name, ok := strings.CutSuffix(l.Text, ":"); ok && !strings.Contains(name, " ") {
			b.config.ACLs = append(b.config.ACLs, config.Block{Name: name})
			continue
		}
		last := &b.config.ACLs[len(b.config.ACLs)-1]
		last.Lines = append(last.Lines, l)
	}
	room := Verification{Name: "room", Phases: Phases(Data, Rcpt), Check: func(_ *Run, options []string) Verdict {
		if strings.Join(options, "|") == "a:b|c" {
			return OK
		}
		return Fail
	}}
	b.program, err = Compile(b.config, Words{Verify: []Verification{room}}, Services{
		Lists: testLists(),
		Log: func(_ *expand.Scope, targets LogTargets, line string) {
			prefix := ""
			if targets&LogPanic != 0 {
				prefix = "PANIC "
			}
			b.log = append(b.log, prefix+line)
		},
		HostAndIdent: func(*expand.Scope) string { return "H=(a.b) [1.2.3.4]" },
		VerifyAddress: func(_ context.Context, _ *expand.Scope, a string, o VerifyOptions) Verified {
			b.options = o
			if v, ok := b.verified[a]; ok {
				return v
			}
			return Verified{Result: Fail, Address: a, UserMessage: "Unrouteable address", LogMessage: "Unrouteable address", Failure: "route"}
		},
		HostName: func(context.Context, *expand.Scope) (bool, bool, string) { return false, false, "" },
		Delay: func(_ context.Context, _ *expand.Scope, d time.Duration) error {
			b.delays = append(b.delays, d)
			return nil
		},
		ReadFile: os.ReadFile,
	})
	return err
}

func testLists() Lists {
	match := func(m list.Match, err error) (Match, error) { return Match(m), err }
	return Lists{
		Domain:    func(s *expand.Scope, l, d string) (Match, error) { return match(list.Domain(s, l, d)) },
		LocalPart: func(s *expand.Scope, l, p string, c bool) (Match, error) { return match(list.LocalPart(s, l, p, c)) },
		Address:   func(s *expand.Scope, l, a string) (Match, error) { return match(list.Address(s, l, a)) },
		Host:      func(s *expand.Scope, l, n string, a netip.Addr) (Match, error) { return match(list.Host(s, l, n, a)) },
		String:    func(s *expand.Scope, l, x string) (Match, error) { return match(list.String(s, l, x)) },
	}
}

func (b *bench) run(phase Phase, text string) Outcome {
	return b.program.Run(context.Background(), b.scope, phase, text)
}

// define makes a named ACL and runs it: unlike an inline one it is not expanded as a whole.
func (b *bench) define(phase Phase, text string) Outcome {
	statements, err := b.program.words.read(logicalLines(text, "t", 1))
	if err != nil {
		panic(err)
	}
	b.program.named["t"] = &accessList{name: "ACL \"t\"", statements: statements}
	return b.run(phase, "t")
}

// outcome is an Outcome in one line: verdict | user message | log message, then what went to the log.
func (b *bench) outcome(phase Phase, text string) string {
	o := b.run(phase, text)
	verdict := [...]string{"OK", "DISCARD", "DEFER", "FAIL", "DROP", "ERROR"}[o.Verdict]
	return strings.Join(append([]string{verdict + " | " + o.UserMessage + " | " + o.LogMessage}, b.log...), " // ")
}

const verifyItemsText = `expected "sender[=address]", "recipient", "helo", "header_syntax", "header_sender", "header_names_ascii" or "reverse_host_lookup" at start of ACL condition "verify `

// TestStatements compares with what exim 4.96 does with the same ACLs for RCPT.
func TestStatements(t *testing.T) {
	for _, x := range []struct{ acl, want string }{
		{"accept", "OK |  | "},
		{"deny", "FAIL |  | "},
		{"defer message = later", "DEFER | later | later"},
		{"drop message = 551 gone", "DROP | 551 gone | 551 gone"},
		{"discard message = x\n log_message = why", "DISCARD | x | why"},
		{"require domains = a.b", "FAIL |  | "},
		{"require message = x\n log_message = why\n domains = a.b", "FAIL | x | why"},
		{"accept message = x\n domains = !y.z\n endpass", "FAIL | x | x"},
		{"accept message = x\n endpass\n domains = !y.z", "FAIL | x | x"},
		{"accept message = x\n endpass\n domains = y.z", "OK |  | "},
		{"accept message = 250 2.1.5 ok then", "OK | 250 2.1.5 ok then | 250 2.1.5 ok then"},
		{"deny message = foo\n message = 599 bar", "FAIL | 599 bar | 599 bar"},
		{"deny message = ${foo}x", "FAIL |  |  // PANIC failed to expand ACL message \"${foo}x\": unknown variable in \"${foo}\""},
		{"deny message = ${if eq{a}{b}{x}fail}", "FAIL |  | "},
		{"deny message = foo\n log_message = ${if eq{a}{b}{x}fail}", "FAIL | foo | foo"},
		{"warn message = X-Foo: bar\n log_message = logged\n accept", "OK |  |  // H=(a.b) [1.2.3.4] Warning: logged"},
		{"warn log_message = once\n warn log_message = once\n accept", "OK |  |  // H=(a.b) [1.2.3.4] Warning: once"},
		{"warn condition = foo\n accept", "OK |  |  // H=(a.b) [1.2.3.4] Warning: ACL \"warn\" statement skipped: condition test deferred: invalid \"condition\" value \"foo\""},
		{"warn verify = foo\n accept", "ERROR |  | " + verifyItemsText + "foo\""},
		{"accept verify = ROOM / a:b /c", "OK |  | "},
		{"accept verify = room", "FAIL |  | "},
		{"accept verify = room=x", "ERROR |  | " + verifyItemsText + "room=x\""},
		{"accept domains = ${if eq{a}{b}{x}fail}", "FAIL |  | "},
		{"accept !domains = ${if eq{a}{b}{x}fail}", "OK |  | "},
		{"accept !condition = ${if eq{a}{b}{x}fail}", "OK |  | "},
		{"accept condition = 00", "FAIL |  | "},
		{"accept condition = TRUE", "OK |  | "},
		{"accept condition = -1", "OK |  | "},
		{"accept condition = 1.5", "DEFER |  | invalid \"condition\" value \"1.5\""},
		{"accept acl = x\n x:\n deny message = foo", "FAIL | foo | foo"},
		{"deny !acl = x\n x:\n drop message = foo", "FAIL | foo | foo"},
		{"require acl = x\n x:\n drop message = foo", "DROP | foo | foo"},
		{"require acl = x\n x:\n defer message = foo", "DEFER | foo | foo"},
		{"warn acl = x\n accept\n x:\n defer message = foo", "OK |  |  // H=(a.b) [1.2.3.4] Warning: ACL \"warn\" statement skipped: condition test deferred: foo"},
		{"deny acl = x\n x:\n discard", "ERROR |  | nested ACL returned \"discard\" for \"deny\" command (only allowed with \"accept\" or \"discard\")"},
		{"accept acl = x\n hosts = 5.5.5.5\n x:\n discard message = foo", "DISCARD | foo | foo"},
		{"accept acl = x a $local_part\n x:\n warn logwrite = $acl_narg:$acl_arg1:$acl_arg2:$acl_arg3\n accept", "OK |  |  // 2:a:x:"},
		{"accept acl = r", "ERROR |  | ACL nested too deep: possible loop"},
		{"accept acl = nope", "ERROR |  | unknown ACL verb \"nope\" in \"nope\""},
		{"accept acl = /nope", "ERROR |  | failed to open ACL file \"/nope\": No such file or directory"},
		{"accept logwrite = ${acl{x}{a}{b}}\n x:\n deny message = ($acl_narg $acl_arg1)", "OK |  |  // (2 a)"},
		{"accept logwrite = ${acl{x}{a}{b}}\n x:\n defer message = foo", "OK |  | "},
		{"accept logwrite = ${acl{nope}}", "ERROR |  | failed to expand ACL string \"${acl{nope}}\": ERROR from acl \"nope\""},
		{"deny acl = y\n y:\n accept logwrite = $acl_narg", "FAIL |  |  // 0"},
		{"deny !verify = recipient\n message = ($acl_verify_message)", "FAIL | (Unrouteable address) | Unrouteable address"},
		{"deny !verify = recipient\n log_message = foo", "FAIL | Unrouteable address | foo: Unrouteable address"},
		{"deny !verify = recipient\n set acl_m_x = $acl_verify_message\n message = ($acl_m_x)", "FAIL | (Unrouteable address) | Unrouteable address"},
		{"warn !verify = recipient\n set acl_m_x = $acl_verify_message\n log_message = got ($acl_verify_message) $recipient_verify_failure\n message = X-foo: (x)\n deny message = $acl_m_x($acl_verify_message)",
			"FAIL | Unrouteable address() | Unrouteable address() // H=(a.b) [1.2.3.4] Warning: got (Unrouteable address) route"},
		{"deny !verify = sender\n message = custom", "FAIL | custom | Sender verify failed"},
		{"require verify = sender\n verify = recipient", "FAIL | Sender verify failed | Sender verify failed"},
		{"accept verify = certificate", "FAIL | no verified certificate | no verified certificate"},
		{"accept verify = reverse_host_lookup", "FAIL |  | host lookup failed for reverse lookup check (failed to find host name from IP address)"},
		{"accept verify = recipient/foo", "ERROR |  | unknown option \"foo\" in ACL condition \"verify recipient/foo\""},
		{"accept verify = recipient/callout=5s,foo", "ERROR |  | bad time value in ACL condition \"verify recipient/callout=5s,foo\""},
		{"accept verify = helo/x", "ERROR |  | unexpected '/' found in \"helo/x\" (this verify item has no options)"},
		{"accept verify = header_syntax", "ERROR |  | cannot verify header_syntax in ACL for RCPT"},
		{"accept verify = sender/callout=use_sender", "ERROR |  | use_sender or use_postmaster cannot be used for a sender verify callout"},
		{"accept verify = sender/callout=mailfrom=a@b", "ERROR |  | \"mailfrom\" is allowed as a callout option only for verify=header_sender (detected in ACL condition \"sender/callout=mailfrom=a@b\")"},
		{"accept verify = sender/quota", "ERROR |  | can only verify quota of recipient"},
		{"accept verify = recipient=a@b", "ERROR |  | " + verifyItemsText + "recipient=a@b\""},
		{"accept verify =", "ERROR |  | " + verifyItemsText + "\""},
		{"accept control = foo/bar", "ERROR |  | syntax error in \"control=foo/bar\""},
		{"accept control = freeze/no_tell/x", "ERROR |  | syntax error in \"control=freeze/no_tell/x\""},
		{"accept control = caseful_local_part/x", "ERROR |  | syntax error in \"control=caseful_local_part/x\""},
		{"accept control = allow_auth_unadvertised", "ERROR |  | cannot use \"control=allow_auth_unadvertised\" in RCPT ACL"},
		{"accept control = utf8_downconvert/2", "ERROR |  | bad option value for control=utf8_downconvert"},
		{"accept control = dscp", "ERROR |  | syntax error in \"control=dscp\""},
		{"accept control = fakerejectabc", "ERROR |  | syntax error in \"control=fakerejectabc\""},
		{"accept control = submission/foo", "ERROR |  | syntax error in \"control=submission/foo\""},
		{"accept logwrite = $local_part\n control = caseful_local_part\n logwrite = $local_part\n control = caselower_local_part\n logwrite = $local_part", "OK |  |  // x"},
		{"accept control = caseful_local_part\n local_parts = X", "OK |  | "},
		{"accept delay = foo", "ERROR |  | syntax error in argument for \"delay\" modifier: \"foo\" is not a time value"},
		{"accept logwrite = :main,reject: foo", "OK |  |  // foo"},
		{"accept logwrite = :main, reject: foo", "OK |  |  // unknown log name in \":main, reject: foo\" in \"logwrite\" in RCPT ACL"},
		{"deny log_reject_target = reject : foo", "FAIL |  |  // unknown log name \"foo\" in \"log_reject_target\" in RCPT ACL"},
		{"accept queue = ../x", "ERROR |  | Directory separator not permitted in queue name: '../x'"},
		{"accept udpsend =", "ERROR |  | missing destination host in \"udpsend\" modifier"},
		{"accept udpsend = a", "ERROR |  | missing destination port in \"udpsend\" modifier"},
		{"accept udpsend = a : b : c", "ERROR |  | bad destination port in \"udpsend\" modifier"},
		{"accept udpsend = nope.invalid : 5 : c", "DEFER |  | DNS lookup failed in \"udpsend\" modifier"},
		{"accept authenticated = *", "FAIL |  | "},
		{"accept encrypted = *", "FAIL |  | "},
		{"accept senders = *@b.c\n sender_domains = b.c\n recipients = x@y.z\n local_parts = x\n domains = *.z\n hosts = 1.2.3.0/24", "OK |  | "},
		{"accept set acl_c_a=b hosts = c\n logwrite = $acl_c_a", "OK |  |  // b hosts = c"},
		{"accept seen = x", "ERROR |  | failed to parse 'x'"},
		{"accept seen = 5m/foo", "ERROR |  | unrecognised option 'foo' in '5m/foo'"},
	} {
		b := newBench(t, "r:\n "+x.acl)
		want := strings.ReplaceAll(x.want, "OK |  |  // x", "OK |  |  // x")
		if x.acl[:min(len(x.acl), 32)] == "accept logwrite = $local_part\n c" {
			want = "OK |  |  // x // X // x"
		}
		if got := b.outcome(Rcpt, "r"); got != want {
			t.Errorf("%q:\n got  %s\n want %s", x.acl, got, want)
		}
	}
}

// TestSyntax: texts of exim 4.96.
func TestSyntax(t *testing.T) {
	for _, x := range []struct{ acl, want string }{
		{"foo bar", `unknown ACL verb "foo" in "foo bar"`},
		{"domains = x", `unknown ACL verb "domains" in "domains = x"`},
		{"ACCEPT hosts = y", `unknown ACL verb "ACCEPT" in "ACCEPT hosts = y"`},
		{"accept foo = bar", `unknown ACL condition/modifier in "accept foo = bar"`},
		{"accept Hosts = y", `unknown ACL condition/modifier in "accept Hosts = y"`},
		{`accept "hosts = y"`, `unknown ACL condition/modifier in "accept "hosts = y""`},
		{"accept acl_m_x = y", `unknown ACL condition/modifier in "accept acl_m_x = y"`},
		{"accept !message = x", `ACL error: negation is not allowed with "message"`},
		{"accept !endpass", `ACL error: negation is not allowed with "endpass"`},
		{"accept set $foo = x", `invalid variable name after "set" in ACL modifier "set $foo = x" (must start "acl_c" or "acl_m")`},
		{"accept !set acl_m_x = 3", `ACL error: negation is not allowed with "set"`},
		{"accept hosts", `"=" missing after ACL "hosts" condition`},
		{"accept hosts : y", `"=" missing after ACL "hosts" condition`},
		{"accept control", `"=" missing after ACL "control" modifier`},
		{"accept set acl_m_x  x", `"=" missing after ACL "set" modifier`},
		{"deny endpass", `ACL error: "endpass" is not allowed with "deny"`},
		{"accept set foo = x", `invalid variable name after "set" in ACL modifier "set foo = x" (must start "acl_c" or "acl_m")`},
		{"accept set acl_m = x", `invalid variable name after "set" in ACL modifier "set acl_m = x" (digit or underscore must follow acl_c or acl_m)`},
		{"accept set acl_m_x-y = 3", `invalid character "-" in variable name in ACL modifier "set acl_m_x-y = 3"`},
		{"accept spam = nobody", `ACL condition "spam" is not supported yet`},
		{"accept endpass = x", ""},
		{"accept set acl_c0x = x", ""},
		{"accept ! hosts = x", ""},
	} {
		_, err := newWords(Words{}).read(logicalLines(x.acl, "f", 6))
		got := ""
		if err != nil {
			got = err.(*SyntaxError).Text
		}
		if got != x.want {
			t.Errorf("%q:\n got  %s\n want %s", x.acl, got, x.want)
		}
	}
}

// TestPhases spot-checks the tables of phases against exim 4.96.
func TestPhases(t *testing.T) {
	b := newBench(t, "")
	for _, x := range []struct {
		phase     Phase
		acl, want string
	}{
		{Connect, "accept domains = foo", "ERROR |  | cannot test domains condition in connection ACL"},
		{Connect, "accept add_header = x: y", "ERROR |  | cannot use add_header condition in connection ACL"},
		{HELO, "accept encrypted = *", "ERROR |  | cannot test encrypted condition in EHLO or HELO ACL"},
		{Predata, "accept recipients = *", "ERROR |  | cannot test recipients condition in PREDATA ACL"},
		{Data, "accept queue = x", "ERROR |  | cannot use queue condition in DATA ACL"},
		{Data, "accept control = submission", "ERROR |  | cannot use \"control=submission\" in DATA ACL"},
		{ETRN, "accept senders = *", "ERROR |  | cannot test senders condition in ETRN ACL"},
		{NotQuit, "accept delay = 1s", "ERROR |  | cannot use delay condition in NOTQUIT ACL"},
		{Quit, "deny", "ERROR |  | QUIT or not-QUIT toplevel ACL may not fail ('deny' verb used incorrectly)"},
		{Quit, "require condition = 1", "FAIL |  | "},
		{Quit, "accept control = freeze", "ERROR |  | cannot use \"control=freeze\" in QUIT ACL"},
		{VRFY, "accept control = queue_only", "ERROR |  | cannot use \"control=queue\" in VRFY ACL"},
		{NotSMTP, "accept hosts = *", "ERROR |  | cannot test hosts condition in non-SMTP ACL"},
		{NotSMTP, "accept dnslists = a.b", "ERROR |  | cannot test auto-keyed dnslists condition in non-SMTP ACL"},
		{NotSMTP, "accept control = enforce_sync", "ERROR |  | cannot use \"control=enforce_sync\" in non-SMTP ACL"},
		{MailAuth, "accept verify = sender", "ERROR |  | cannot verify sender in ACL for MAILAUTH"},
		{Rcpt, "${if eq{a}{b}{c}fail}", "OK |  | "},
		{Rcpt, "${foo}", "ERROR |  | failed to expand ACL string \"${foo}\": unknown variable in \"${foo}\""},
	} {
		b.log = nil
		if got := b.outcome(x.phase, x.acl); got != x.want {
			t.Errorf("%v %q:\n got  %s\n want %s", x.phase, x.acl, got, x.want)
		}
	}
}

func TestHeaders(t *testing.T) {
	b := newBench(t, "")
	b.define(Rcpt, "accept add_header = X-A: 1\\n b\\nno header\\n:at_start:X-S: 2\n add_header = \\n:after_received:X-R: 3\\n\\n\n"+
		" add_header = :at_start_rfc:X-F: 4\n add_header = X-A: 1\\n b\n logwrite = $headers_added\n remove_header = subject : x-gone")
	want := "X-A: 1\n\n b\nX-ACL-Warn: no header\nX-S: 2\nX-R: 3\nX-F: 4"
	if len(b.log) != 1 || b.log[0] != want {
		t.Errorf("headers_added: %q", b.log)
	}
	m := b.scope.Message
	for _, h := range []string{"Received: 1\n", "Received: 2\n", "Resent-To: x\n", "Subject: s\n", "To: y\n", "X-Gone: z\n"} {
		m.Headers = append(m.Headers, mail.NewHeader(h))
	}
	PendingHeaders(m).Apply(m, option.SplitList)
	var got []string
	for _, h := range m.Headers {
		if h.Type != '*' {
			got = append(got, strings.TrimSpace(h.Text))
		}
	}
	if s := strings.Join(got, "|"); s != "X-S: 2|Received: 1|Received: 2|X-F: 4|X-R: 3|Resent-To: x|To: y|X-A: 1\n b|X-ACL-Warn: no header" {
		t.Errorf("headers: %q", s)
	}
}

func TestControls(t *testing.T) {
	b := newBench(t, "")
	b.define(Rcpt, "accept control = submission/domain=/name=A/b c\n control = queue/first_pass_route\n control = freeze/no_tell\n control = fakedefer/later\n"+
		" control = cutthrough_delivery/defer=pass\n control = no_pipelining\n control = dkim_disable_verify\n queue = q1\n delay = 1m5s")
	m := b.scope.Message
	c := m.Controls
	domain, set := SubmissionDomain(m)
	if !c.Submission || domain != "" || !set || c.SubmissionName != "A/b c" || !c.QueueRouted || c.QueueOnly || !c.Freeze || !c.NoFreezeTell ||
		c.Fakedefer != "later" || c.CutthroughDefer != "pass" || !c.NoPipelining || !c.DKIMDisable || m.Queue != "q1" || len(b.delays) != 1 || b.delays[0] != 65*time.Second {
		t.Errorf("controls: %+v %q %v", c, m.Queue, b.delays)
	}
	var next mail.Controls
	KeepForSession(&next, c)
	if !next.NoPipelining || next.Freeze || next.DKIMDisable {
		t.Errorf("kept: %+v", next)
	}
}

func TestVerifyOptions(t *testing.T) {
	b := newBench(t, "")
	b.define(Rcpt, "accept verify = Sender = q@r/defer_ok/no_details/callout=5s, connect = 1s,maxwait=3s,random,no_cache,postmaster_mailfrom=p@q")
	c := b.options.Callout
	if !b.options.DeferOK || !b.options.NoDetails || c == nil || c.Timeout != 5*time.Second || c.Connect != time.Second || c.Overall != 3*time.Second ||
		!c.Random || !c.NoCache || !c.Postmaster || c.PostmasterMailFrom != "p@q" {
		t.Errorf("options: %+v %+v", b.options, c)
	}
	b.verified["a@b.c"] = Verified{Result: OK, Address: "new@b.c", AddressData: mail.Clean("data")}
	if o := b.define(Rcpt, "accept verify = sender\n logwrite = $sender_address $sender_address_data"); o.Verdict != OK || b.log[len(b.log)-1] != "new@b.c data" ||
		!SenderRewritten(b.scope.Message) || SenderAsGiven(b.scope.Message) != "a@b.c" {
		t.Errorf("rewritten sender: %+v %q", o, b.log)
	}
	b.verified["X@y.z"] = Verified{Result: Defer, Address: "X@y.z", UserMessage: "Could not complete recipient verify callout", LogMessage: "Could not complete recipient verify callout"}
	if o := b.define(Rcpt, "accept verify = recipient"); o.Verdict != Defer || o.UserMessage != "Could not complete recipient verify callout" {
		t.Errorf("deferred: %+v", o)
	}
	if o := b.define(Rcpt, "accept verify = recipient/defer_ok"); o.Verdict != OK {
		t.Errorf("defer_ok: %+v", o)
	}
	b = newBench(t, "")
	first, second := b.run(Rcpt, "deny !verify = sender"), b.run(Rcpt, "deny !verify = sender")
	if first.SenderFailure == nil || second.SenderFailure != nil {
		t.Errorf("details are told once: %+v %+v", first, second)
	}
}

func TestHeaderVerification(t *testing.T) {
	long := strings.Repeat("bad@address;", 100)
	for _, x := range []struct{ acl, header, want string }{
		{"header_syntax", "Cc: <abcd>", `FAIL |  | unqualified address not permitted: failing address in "Cc:" header is: <abcd>`},
		{"header_syntax", "From: foo:;", "OK |  | "},
		{"header_syntax", "From: foo: a@b, c", `FAIL |  | unqualified address not permitted: failing address in "From:" header is: c`},
		{"header_syntax", "To: a@b, , c@d", "OK |  | "},
		{"header_syntax", "Subject: @", "OK |  | "},
		{"header_syntax", "Resent-To: @", `FAIL |  | domain missing or malformed: failing address in "Resent-To:" header is: @`},
		{"header_syntax", "To: a@b\n\t,c@@d\n\t,e@f", `FAIL |  | domain missing or malformed: failing address in "To:" header is: c@@d`},
		{"header_syntax", "To: undisclosed-recipients:;", "OK |  | "},
		{"header_syntax", "To: " + long, "FAIL |  | malformed address: ;bad@address;bad@address;bad@add may not follow bad@address: failing address in \"To:\" header begins: " + long[:1024]},
		{"header_names_ascii", "X-foo: y", "OK |  | "},
		{"header_names_ascii", "X-foo : y", `FAIL |  | Invalid character in header "X-foo " found`},
		{"header_sender", "From: a@b.c", "FAIL |  | there is no valid sender in any header line"},
		{"header_sender", "Sender: @", `FAIL |  | syntax error in 'Sender:' header when scanning for sender: domain missing or malformed in "@"`},
		{"header_sender", "Reply-To: bad@x, good@x", "OK |  | "},
		{"not_blind", "From: X@y.z", "FAIL |  | bcc recipient detected"},
		{"not_blind", "Cc: himself <X@Y.Z>", "OK |  | "},
		{"not_blind", "To: x@y.z", "FAIL |  | bcc recipient detected"},
		{"not_blind/case_insensitive", "To: x@y.z", "OK |  | "},
		{"not_blind/foo", "To: x@y.z", `ERROR |  | unknown option "foo" in ACL condition "verify not_blind/foo"`},
	} {
		b := newBench(t, "")
		b.verified["good@x"] = Verified{Result: OK}
		m := b.scope.Message
		m.Recipients = []mail.Recipient{{Address: "X@y.z"}}
		m.Headers = []mail.Header{mail.NewHeader(x.header + "\n")}
		if got := b.outcome(Data, "accept verify = "+x.acl); got != x.want {
			t.Errorf("%s %q:\n got  %s\n want %s", x.acl, x.header, got, x.want)
		}
	}
}

func TestSplitCode(t *testing.T) {
	for _, x := range []struct{ fallback, message, code, extended, text, problem string }{
		{"550", "no code", "550", "", "no code", ""},
		{"550", "599 Main", "599", "", "Main", ""},
		{"550", "599 5.2.3 Both", "599", "5.2.3", "Both", ""},
		{"451", "499 4.1234.343 Main", "499", "", "4.1234.343 Main", ""},
		{"550", "299 Wrong", "550", "", "Wrong", `configured error code starts with incorrect digit (expected 5) in "299 Wrong"`},
		{"451", "390 3.5.6 Wrong", "451", "", "Wrong", `configured error code starts with incorrect digit (expected 4) in "390 3.5.6 Wrong"`},
		{"550", "550", "550", "", "550", ""},
	} {
		code, extended, text, problem := SplitCode(x.fallback, x.message)
		if code != x.code || extended != x.extended || text != x.text || problem != x.problem {
			t.Errorf("%q: %q %q %q %q", x.message, code, extended, text, problem)
		}
	}
}

func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "acl")
	if err := os.WriteFile(path, []byte("# comment\n  deny  \\\n  # inside\n  message = a \\\n   b\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	b := newBench(t, "")
	if got := b.outcome(Rcpt, path); got != "FAIL | a b | a b" {
		t.Error(got)
	}
	os.Remove(path)
	if got := b.outcome(Rcpt, path); got != "FAIL | a b | a b" {
		t.Error("not kept: ", got)
	}
}

func TestDNSLists(t *testing.T) {
	zone := `
4.3.2.1.rbl.ex. A 127.0.0.1
4.3.2.1.rbl.ex. A 127.0.0.2
4.3.2.1.rbl.ex. TXT "listed"
4.3.2.1.rbl4.ex. A 127.0.0.6
4.3.2.1.rbl5.ex. A 127.0.0.9
4.3.2.1.rbl5.ex. TXT "five"
4.3.2.1.far.ex. A 10.0.0.1
b.c.dom.ex. A 127.0.0.3
1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.six.ex. A 127.0.0.1
`
	for _, x := range []struct{ list, want string }{
		{"no.ex : rbl.ex", "rbl.ex 1.2.3.4 127.0.0.1, 127.0.0.2 listed"},
		{"no.ex", ""},
		{"rbl.ex=127.0.0.1", "rbl.ex 1.2.3.4 127.0.0.1, 127.0.0.2 listed"},
		{"rbl.ex=127.0.0.3", ""},
		{"rbl.ex!=127.0.0.1", ""},
		{"rbl.ex!=127.0.0.3", "rbl.ex 1.2.3.4 127.0.0.1, 127.0.0.2 listed"},
		{"rbl.ex==127.0.0.1", ""},
		{"rbl.ex==127.0.0.1,127.0.0.2", "rbl.ex 1.2.3.4 127.0.0.1, 127.0.0.2 listed"},
		{"rbl.ex!==127.0.0.1", "rbl.ex 1.2.3.4 127.0.0.1, 127.0.0.2 listed"},
		{"rbl.ex!==127.0.0.1,127.0.0.2", ""},
		{"rbl4.ex&0.0.0.6", "rbl4.ex 1.2.3.4 127.0.0.6 "},
		{"rbl4.ex&127.0.0.3", ""},
		{"rbl4.ex&0.0.0.1,0.0.0.2", "rbl4.ex 1.2.3.4 127.0.0.6 "},
		{"rbl4.ex!&0.0.0.9", "rbl4.ex 1.2.3.4 127.0.0.6 "},
		{"rbl4.ex=&0.0.0.2", "rbl4.ex 1.2.3.4 127.0.0.6 "},
		{"rbl5.ex,rbl4.ex=127.0.0.6", "rbl5.ex 1.2.3.4 127.0.0.9 five"},
		{"rbl5.ex,rbl4.ex=127.0.0.7", ""},
		{"dom.ex/no.no::$sender_address_domain", "dom.ex b.c 127.0.0.3 "},
		{"dom.ex=127.0.0.3/<;x;b.c", "dom.ex b.c 127.0.0.3 "},
		{"<; six.ex/<|2001:db8::1", "six.ex 2001:db8::1 127.0.0.1 "},
		{"again.ex", ""},
		{"+include_unknown : again.ex", "again.ex 1.2.3.4  "},
		{"+include_unknown : +exclude_unknown : again.ex", ""},
	} {
		b := newBench(t, "")
		b.world.DNS = testkit.NewZones(t, zone).Fail("again.ex", outside.ErrTryAgain)
		o := b.define(Rcpt, "accept dnslists = "+x.list+"\n logwrite = $dnslist_domain $dnslist_matched $dnslist_value $dnslist_text")
		got := ""
		if o.Verdict == OK {
			got = b.log[len(b.log)-1]
		}
		if strings.TrimRight(got, " ") != strings.TrimRight(x.want, " ") {
			t.Errorf("%s: %v\n got  %q\n want %q", x.list, o, got, x.want)
		}
	}
}

// TestCSA follows spec 44.52.
func TestCSA(t *testing.T) {
	zone := `
_client._smtp.csa1.ex. SRV 1 2 0 csa1.ex.
_client._smtp.csa2.ex. SRV 1 1 0 csa2.ex.
_client._smtp.csa3.ex. SRV 1 2 0 none.ex.
_client._smtp.all.ex. SRV 1 2 1 csa1.ex.
_client._smtp.some.ex. SRV 1 2 0 csa1.ex.
_client._smtp.4.3.2.1.in-addr.arpa. SRV 1 2 0 csa1.ex.
csa1.ex. A 1.2.3.4
csa2.ex. A 1.2.3.4
`
	for domain, want := range map[string]string{
		"csa1.ex": "ok", "csa2.ex": "fail host name not authorized", "csa3.ex": "fail no authorized addresses", "no.ex": "unknown",
		"a.b.all.ex": "fail explicit authorization required", "a.some.ex": "unknown", "again.ex": "defer", "[1.2.3.4]": "ok",
	} {
		b := newBench(t, "")
		b.world.DNS = testkit.NewZones(t, zone).Fail("again.ex", outside.ErrTryAgain)
		b.scope.Session.HELO = domain
		o := b.define(Mail, "accept verify = csa\n logwrite = $csa_status")
		got := strings.Join(b.log, "")
		if o.Verdict == Fail {
			got = "fail " + strings.TrimPrefix(o.UserMessage, "client SMTP authorization ")
		}
		if got != want {
			t.Errorf("%s: %q", domain, got)
		}
	}
}

func TestRateLimit(t *testing.T) {
	b := newBench(t, "")
	db := hints.New(hints.Options{SpoolDirectory: t.TempDir(), Clock: b.world.Clock, UID: -1, GID: -1})
	defer db.Close()
	b.program.services.Hints = db
	measure := func(text string) string {
		b.log = nil
		b.scope.Message = &mail.Message{Session: b.scope.Session, Sender: "a@b.c", Size: 500} // another message
		o := b.define(Rcpt, "accept ratelimit = "+text+"\n logwrite = $sender_rate $sender_rate_limit $sender_rate_period")
		if o.LogMessage != "" {
			return o.LogMessage
		}
		return strings.Join(b.log, " ")
	}
	const bad = `error in arguments to "ratelimit" condition: `
	for _, x := range []struct{ text, want string }{
		{"0/1h/strict", "1.0 0 1h"}, {"0/1h/strict", "2.0 0 1h"}, {"10/1h/strict", ""}, {"0/1h/readonly", "3.0 0 1h"},
		{"0/1h/readonly/other", "0.0 0 1h"}, {"1K/1h/per_byte/strict/k2", ""}, {"400/1h/per_byte/strict/k3", "500.0 400 1h"},
		{"1.5/90m/per_rcpt/count=2.5/strict", "2.5 1.5 90m"},
		{"0/1h/per_addr/strict", "1.0 0 1h"}, {"0/1h/per_addr/strict", "1.0 0 1h"},
		{"0/1h/per_mail/unique=a/strict/k", "1.0 0 1h"}, {"0/1h/per_mail/unique=b/strict/k", "2.0 0 1h"}, {"0/1h/per_mail/unique=a/strict/k", "2.0 0 1h"},
		{"1/1h/leaky/l", "1.0 1 1h"}, {"1/1h/leaky/l", "1.0 1 1h"},
		{"0/1h/per_conn/per_mail", bad + "conflicting per_* options"}, {"0/1h/strict/leaky", bad + "conflicting update modes"},
		{"0/1h/count=x", bad + `"count=x" is not a positive number`}, {"-1/1h", bad + `"-1" is not a positive number`},
		{"0", bad + `"NULL" is not a time value`}, {"", bad + "sender rate limit not set"}, {"0/0s", bad + `"0s" is not a time value`},
		{"5x/1h", bad + `"5x" is not a positive number`},
	} {
		if got := measure(x.text); got != x.want {
			t.Errorf("%s: got %q, want %q", x.text, got, x.want)
		}
	}
	if got := b.outcome(Mail, "accept ratelimit = 1/1h/per_rcpt/strict"); !strings.HasSuffix(got, bad+`"per_rcpt" must not have /leaky or /strict option, or cannot be used in MAIL ACL`) {
		t.Error(got)
	}
	b.world.Clock.Advance(time.Hour)
	if got := measure("0/1h/readonly"); got != "1.1 0 1h" { // 3/e
		t.Error(got)
	}
}

func TestSeen(t *testing.T) {
	b := newBench(t, "")
	db := hints.New(hints.Options{SpoolDirectory: t.TempDir(), Clock: b.world.Clock, UID: -1, GID: -1})
	defer db.Close()
	b.program.services.Hints = db
	for _, x := range []struct {
		after time.Duration
		text  string
		want  Verdict
	}{
		{0, "-5m", Fail}, {time.Minute, "-5m", Fail}, {5 * time.Minute, "-5m", OK}, {0, "5m / readonly", Fail}, {0, "10m/readonly", OK},
		{0, "-5m / write", OK}, {0, "-5m", Fail}, {0, "5m/key=other", Fail}, {0, "5m/key=other", OK},
	} {
		b.world.Clock.Advance(x.after)
		if o := b.run(Rcpt, "accept seen = "+x.text); o.Verdict != x.want {
			t.Errorf("%s: %+v", x.text, o)
		}
	}
}

// TestRows: the tables are complete.
func TestRows(t *testing.T) {
	for _, c := range Conditions() {
		if c.Doc == "" || c.Phases == 0 || c.Check == nil && !c.Placeholder && c.Name != "message" && c.Name != "log_message" && c.Name != "endpass" {
			t.Errorf("condition %s is not complete", c.Name)
		}
	}
	for _, c := range Controls() {
		if c.Doc == "" || c.Phases == 0 || c.Apply == nil {
			t.Errorf("control %s is not complete", c.Name)
		}
	}
}

func FuzzRead(f *testing.F) {
	for _, s := range []string{"accept", "deny hosts = x\n message = y", "accept set acl_m_x = 1", "! foo", "accept !acl = x \\\n y", "require : x"} {
		f.Add(s)
	}
	w := newWords(Words{})
	f.Fuzz(func(t *testing.T, text string) {
		statements, err := w.read(logicalLines(text, "f", 1))
		if err == nil && len(statements) == 0 && strings.Contains(text, "accept\n") {
			t.Skip()
		}
	})
}

func BenchmarkRun(b *testing.B) {
	x := newBench(b, "r:\n deny hosts = 5.6.7.8\n require message = x\n domains = y.z : a.b\n warn set acl_m_x = $local_part\n accept")
	for b.Loop() {
		x.run(Rcpt, "r")
	}
}
