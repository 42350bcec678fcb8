package brightmail

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"exigo/internal/acl"
	"exigo/internal/config"
	"exigo/internal/expand"
	"exigo/internal/expand/builtin"
	"exigo/internal/feature/brightmail/bmiclient"
	"exigo/internal/lookup/lookuptest"
	"exigo/internal/mail"
	"exigo/internal/option"
	"exigo/internal/route"
	"exigo/internal/route/accept"
	"exigo/internal/testkit"
)

// fakeVersion makes this test's program stand in for exigo-bmi.
const fakeVersion = "fake-library"

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == fakeVersion {
		if err := bmiclient.Serve(os.Stdin, os.Stdout, fakeLibrary()); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// fakeLibrary judges by the recipient: his local part is the verdict. A body is reason for a warning.
func fakeLibrary() bmiclient.Library {
	read := func(text string) (*bmiclient.Verdict, error) {
		kind, rest, _ := strings.Cut(text, ";")
		v := &bmiclient.Verdict{Default: kind == "default", Nowhere: kind == "none", Tracker: "T" + kind, Recipients: strings.Split(rest, ",")}
		if kind == "alternate" {
			v.Location = "X-Where: a\r\n\nX-There: \x00b\n"
		}
		if kind == "damaged" {
			return nil, &bmiclient.Failure{Location: 8, Type: 3, Text: "no\nverdict"}
		}
		return v, nil
	}
	return bmiclient.Library{Read: read,
		Scan: func(m *bmiclient.Message, body io.Reader) (verdicts, warnings []string, err error) {
			text, err := io.ReadAll(body)
			switch {
			case err != nil:
				return nil, nil, err
			case strings.Contains(string(text), "EXIT"):
				os.Exit(3)
			case strings.Contains(string(text), "FAIL"):
				return nil, nil, &bmiclient.Failure{Location: 2, Type: 1, Text: "failed."}
			case len(text) > 0:
				warnings = append(warnings, fmt.Sprintf("%s|%s|%s|%q|%q|%s", m.ConfigFile, m.Client, m.Sender, m.Recipients, m.Header, text))
			}
			for _, r := range m.Recipients {
				kind, _, _ := strings.Cut(r.Address, "@")
				verdicts = append(verdicts, map[string]string{"colon": "a:b", "empty": "", "lines": "default\r\n;" + r.Address}[kind])
				if verdicts[len(verdicts)-1] == "" && kind != "empty" {
					verdicts[len(verdicts)-1] = kind + ";" + strings.ToUpper(r.Address)
				}
			}
			return verdicts, warnings, nil
		},
		Fired: func(text string, rule int) (bool, error) {
			if rule < 0 {
				return false, errors.New("no such rule")
			}
			return rule == 5, nil
		}}
}

const routers = `begin acl
rcpt:
  accept bmi_optin = ${if eq{$local_part}{x}{strict:one}{}}
         control = bmi_run
begin routers
plain:
  driver = accept
default:
  driver = accept
  bmi_deliver_default
alternate:
  driver = accept
  bmi_deliver_alternate
nowhere:
  driver = accept
  bmi_dont_deliver
rules:
  driver = accept
  bmi_rule = 4 : : 5
symbols:
  driver = accept
  bmi_rule = BULK:VIRUS
negative:
  driver = accept
  bmi_rule = -1
`

// bench runs the room without the rest of the program.
type bench struct {
	*testing.T
	scope    *expand.Scope
	program  *acl.Program
	room     func(*expand.Scope, *mail.Message, string) bool
	wanted   func(*route.Run) bool
	routers  map[string]*config.Instance
	panicked []string
}

func newBench(t *testing.T, settings string) *bench {
	t.Helper()
	b := &bench{T: t, routers: map[string]*config.Instance{}}
	world := *testkit.NewWorld(t).World
	network := lookuptest.Network()
	world.Dial, world.DNS = network.Dial, network.DNS
	f := Feature()
	words := builtin.Words()
	words.Variables = append(append(words.Variables, acl.Variables()...), f.Variables...)
	engine, err := expand.New(&world, words, expand.Hooks{Panic: func(_, line string) { b.panicked = append(b.panicked, line) }})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "configure")
	if err := os.WriteFile(path, []byte("primary_hostname = mx.example\nexim_user = root\n"+settings+"\n"+routers), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Read(config.Request{Path: path, World: &world, SkipChecks: true, Registry: &config.Registry{
		Sets: append(f.Options, config.MainOptions(), route.GenericOptions()), Drivers: []config.Driver{{Kind: config.Router, Name: accept.Driver().Name}}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range c.Routers {
		b.routers[i.Name] = i
	}
	if b.program, err = acl.Compile(c, acl.Words{Conditions: f.Conditions, Controls: f.Controls}, acl.Services{}); err != nil {
		t.Fatal(err)
	}
	b.scope = engine.NewScope(context.Background(), c, &mail.Session{Host: netip.MustParseAddr("192.0.2.1"), HELO: "helo.example"}, nil)
	b.wanted = f.Routing[0].Wanted
	b.room = func(s *expand.Scope, m *mail.Message, body string) bool {
		return f.Reception[0].Accepted(context.Background(), s, m, io.NewSectionReader(strings.NewReader(body), 0, int64(len(body))))
	}
	return b
}

// message takes a message to recipients through the RCPT ACL.
func (b *bench) message(recipients ...string) *mail.Message {
	b.Helper()
	m := &mail.Message{ID: "id", Session: b.scope.Session, Sender: "s@a.example", SenderSet: true,
		Headers: []mail.Header{mail.NewHeader("Subject: x\n"), {Type: '*', Text: "Bcc: y\n"}}}
	b.scope.Message, b.panicked = m, nil
	for _, address := range recipients {
		r := mail.Recipient{Address: address, Parent: -1}
		local, domain, _ := strings.Cut(address, "@")
		b.scope.Recipient, b.scope.Address = &r, &mail.Address{Address: address, LocalPart: local, Domain: domain, Original: -1}
		if o := b.program.Run(context.Background(), b.scope, acl.Rcpt, "rcpt"); o.Verdict != acl.OK {
			b.Fatalf("%+v", o)
		}
		m.Recipients = append(m.Recipients, r)
	}
	b.scope.Recipient, b.scope.Address = nil, nil
	return m
}

// spooled is the message as it is read back from the spool.
func (b *bench) spooled(m *mail.Message) *mail.Message {
	b.Helper()
	fresh := &mail.Message{ID: m.ID, Session: m.Session, Recipients: m.Recipients}
	field := Feature().Fields[0]
	if value, present := field.Write(m); present {
		if err := field.Read(fresh, value); err != nil {
			b.Error(err)
		}
	}
	b.scope.Message = fresh
	return fresh
}

// seen is what routers and variables say for a recipient: the initials of the routers that are not skipped, then the variables.
func (b *bench) seen(m *mail.Message, index int) string {
	b.Helper()
	b.scope.Address = &mail.Address{Address: "child@elsewhere.example", Original: index, Parent: &mail.Address{Address: m.Recipients[index].Address, Original: index}}
	text := ""
	for _, name := range []string{"plain", "default", "alternate", "nowhere", "rules", "symbols"} {
		if b.wanted(&route.Run{Ctx: context.Background(), Scope: b.scope, Address: b.scope.Address, Router: &route.Router{Instance: b.routers[name]}}) {
			text += name[:1]
		}
	}
	v, err := b.scope.Engine.Expand(b.scope, "|$bmi_deliver|$bmi_alt_location|$bmi_base64_tracker_verdict|$bmi_base64_verdict")
	if err != nil {
		b.Error(err)
	}
	return text + v.S
}

func TestLibrary(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	b := newBench(t, "bmi_command = "+self+"\nbmi_api_version = "+fakeVersion+"\nbmi_library = libc.so:libbmi.so\nbmi_config_file = /etc/bmi")
	m := b.message("default@d.example", "Alternate@d.example", "none@d.example", "colon@d.example", "empty@d.example", "lines@d.example", "damaged@d.example", "x@d.example")
	m.Recipients[1].Address = "alternate@d.example" // compared without regard to case
	if b.room(b.scope, m, "") {
		t.Error("cutthrough was not asked for")
	}
	want := []string{"bmi error: a verdict that cannot be kept", "bmi error: a verdict that cannot be kept"}
	if !reflect.DeepEqual(b.panicked, want) {
		t.Errorf("panic log: %q", b.panicked)
	}
	m = b.spooled(m)
	const none = "pd|1|||"
	for i, want := range []string{"pdr|1||Tdefault|default;DEFAULT@D.EXAMPLE", "par|1|X-Where: a\nX-There: b|Talternate|alternate;ALTERNATE@D.EXAMPLE",
		"pnr|0||Tnone|none;NONE@D.EXAMPLE", none, none, "pdr|1||Tdefault|default;lines@d.example", none, "par|1||Tx|x;X@D.EXAMPLE"} {
		if got := b.seen(m, i); got != want {
			t.Errorf("%s: %q, want %q", m.Recipients[i].Address, got, want)
		}
	}
	b.scope.Address.Mode = mail.ForVerifyRecipient
	if v, _ := b.scope.Engine.Expand(b.scope, "$bmi_base64_verdict"); v.S != "" {
		t.Errorf("verification has a verdict: %q", v.S)
	}
	if v, err := b.scope.Engine.Expand(&expand.Scope{Engine: b.scope.Engine, Config: b.scope.Config, Ctx: context.Background()}, "<$bmi_alt_location> $bmi_deliver"); err != nil || v.S != "<> 1" {
		t.Errorf("without a message: %q %v", v.S, err)
	}
	want = append(want, "bmi error [loc 8 type 3]: no verdict", "bmi error: bmi_rule must be a list of numbers: BULK", "bmi error: bmi_rule must be a list of numbers: VIRUS")
	if got := b.panicked; len(got) < len(want) || !reflect.DeepEqual(got[:len(want)], want) {
		t.Errorf("panic log: %q", got)
	}
}

// TestLibraryRequest: what the library is told, and what becomes of its failures.
func TestLibraryRequest(t *testing.T) {
	self, _ := os.Executable()
	b := newBench(t, "bmi_command = "+self+"\nbmi_api_version = "+fakeVersion+"\nbmi_config_file = /etc/bmi")
	b.room(b.scope, b.message("x@d.example", "y@d.example"), "body")
	want := `/etc/bmi|192.0.2.1|s@a.example|[{"x@d.example" "strict:one"} {"y@d.example" ""}]|["Subject: x\n"]|body`
	if len(b.panicked) != 1 || b.panicked[0] != want {
		t.Errorf("%q", b.panicked)
	}
	b.scope.Session.Host = netip.Addr{}
	for body, want := range map[string]string{"FAIL": "bmi error [loc 2 type 1]: failed.", "EXIT": "bmi error: brightmail.test: EOF"} {
		m := b.message("default@d.example")
		b.room(b.scope, m, body)
		if len(b.panicked) != 1 || b.panicked[0] != want || len(mail.State[state](&m.Bag).verdicts) != 0 {
			t.Errorf("%s: %q", body, b.panicked)
		}
		if got := b.seen(m, 0); got != "pd|1|||" {
			t.Errorf("%s: %s", body, got)
		}
	}
	for recipient, spool := range map[string]bool{"default@d.example": false, "none@d.example": true, "alternate@d.example": true} {
		m := b.message(recipient)
		m.Controls.Cutthrough = true
		if b.room(b.scope, m, "") != spool {
			t.Errorf("cutthrough to %s: %v", recipient, !spool)
		}
	}
	m := b.message("none@d.example")
	mail.State[state](&m.Bag).run = false
	if b.room(b.scope, m, "FAIL"); len(b.panicked) != 0 || b.seen(m, 0) != "pd|1|||" {
		t.Errorf("without control = bmi_run: %q", b.panicked)
	}
	b = newBench(t, "bmi_command = /nonexistent")
	m = b.message("none@d.example")
	if b.room(b.scope, m, ""); len(b.panicked) != 1 || b.panicked[0] != "bmi error: cannot run /nonexistent: no such file or directory" {
		t.Errorf("%q", b.panicked)
	}
	if o := b.program.Run(context.Background(), b.scope, acl.HELO, "rcpt"); o.Verdict != acl.Error {
		t.Errorf("in the HELO ACL: %+v", o)
	}
}

func encoded(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

func TestService(t *testing.T) {
	type call struct{ settings, recipients, from, ip, helo, id, body string }
	var calls []call
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		h := r.Header
		calls = append(calls, call{h.Get("Settings-ID"), strings.Join(h["Rcpt"], " "), h.Get("From"), h.Get("IP"), h.Get("Helo"), h.Get("Queue-Id"), string(body)})
		action := map[string]string{"": "add header", "strict": "reject"}[h.Get("Settings-ID")]
		fmt.Fprintf(w, `{"is_skipped":false,"score":7.5,"required_score":15,"action":%q,"symbols":{"BULK":{"score":7.5},"A":{"score":0}},"message-id":"x"}`, action)
	}))
	defer s.Close()
	b := newBench(t, "bmi_service = "+strings.Replace(s.URL, "127.0.0.1", "localhost", 1)+"/checkv2")
	m := b.message("a@d.example", "x@d.example", "B@d.example")
	m.Sender, b.scope.Session.HELO = "", "a\r\nX: b"
	b.room(b.scope, m, "line\n")
	message := "Subject: x\n\nline\n"
	if want := []call{{"", "<a@d.example> <B@d.example>", "<>", "192.0.2.1", "a  X: b", "id", message}, {"strict", "<x@d.example>", "<>", "192.0.2.1", "a  X: b", "id", message}}; !reflect.DeepEqual(calls, want) {
		t.Errorf("%q", calls)
	}
	m = b.spooled(m)
	tracker := encoded("A,BULK")
	marked := "pas|1|X-Spam: Yes|" + tracker + "|" + encoded(`{"action":"add header","score":7.5,"required":15,"symbols":["A","BULK"]}`)
	refused := "pns|0||" + tracker + "|" + encoded(`{"action":"reject","score":7.5,"required":15,"symbols":["A","BULK"]}`)
	for i, want := range []string{marked, refused, marked} {
		if got := b.seen(m, i); got != want {
			t.Errorf("%s: %s\nwant %s", m.Recipients[i].Address, got, want)
		}
	}
	if len(b.panicked) != 0 {
		t.Errorf("%q", b.panicked)
	}
	// Another engine now: the verdicts are still read.
	other := newBench(t, "bmi_command = /nonexistent")
	other.scope.Message = m
	other.spooled(m)
	if got := other.seen(m, 1); got != refused {
		t.Errorf("%s", got)
	}
}

func TestServiceProblems(t *testing.T) {
	var answer func(w http.ResponseWriter)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body); answer(w) }))
	defer s.Close()
	say := func(text string) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) { io.WriteString(w, text) }
	}
	for want, f := range map[string]func(http.ResponseWriter){
		"it answers 500 Internal Server Error":                       func(w http.ResponseWriter) { w.WriteHeader(500) },
		"it answers 302 Found":                                       func(w http.ResponseWriter) { w.Header().Set("Location", "/"); w.WriteHeader(302) },
		"the answer is not understood: unexpected end of JSON input": say(""),
		"the answer has no action":                                   say("{}"),
		"it says: no mail":                                           say(`{"error":"no\nmail"}`),
		"the answer is too long":                                     say(strings.Repeat(" ", maxAnswer+1)),
	} {
		answer = f
		b := newBench(t, "bmi_service = "+s.URL)
		m := b.message("a@d.example")
		if b.room(b.scope, m, ""); len(b.panicked) != 1 || b.panicked[0] != "bmi error: "+s.URL+": "+want {
			t.Errorf("%s: %q", want, b.panicked)
		}
	}
	b := newBench(t, "bmi_service = http://us:secret@nosuch.example/x")
	if b.room(b.scope, b.message("a@d.example"), ""); len(b.panicked) != 1 || b.panicked[0] != "bmi error: http://us:xxxxx@nosuch.example/x: Name or service not known" {
		t.Errorf("%q", b.panicked)
	}
	for _, address := range []string{"/checkv2", "ftp://a.example/", "http://", "http://%zz"} {
		b := newBench(t, "bmi_service = "+address)
		if b.room(b.scope, b.message("a@d.example"), ""); len(b.panicked) != 1 || b.panicked[0] != "bmi error: bmi_service is no http URL: "+address {
			t.Errorf("%q", b.panicked)
		}
	}
	for action, want := range map[string]outcome{"no action": deliverDefault, "greylist": deliverDefault, "soft reject": deliverDefault, "own": deliverDefault,
		"add header": deliverAlternate, "rewrite subject": deliverAlternate, "quarantine": deliverAlternate, "reject": dontDeliver, "discard": dontDeliver} {
		v, err := (&service{}).read(context.Background(), servicePrefix+(&serviceVerdict{Action: action}).encode())
		if err != nil || v.outcome != want {
			t.Errorf("%s: %+v, %v", action, v, err)
		}
	}
	for _, text := range []string{servicePrefix, servicePrefix + "!", servicePrefix + encoded("[]")} {
		if v, err := (&service{}).read(context.Background(), text); err == nil {
			t.Errorf("%s: %+v", text, v)
		}
	}
	told := http.Header{}
	envelope(told, &mail.Message{Session: &mail.Session{}}, "", make([]string, 1))
	many := make([]string, 5000)
	for i := range many {
		many[i] = "somebody@d.example"
	}
	envelope(told, &mail.Message{Session: &mail.Session{}}, "", many)
	if n := len(told["Rcpt"]); n < 100 || n > 1000 {
		t.Errorf("%d recipients were told", n)
	}
}

// TestOriginal: the way back from an address to the recipient that was scanned.
func TestOriginal(t *testing.T) {
	m := &mail.Message{Recipients: []mail.Recipient{{Address: "a@x", Parent: -1}, {Address: "b@x", Parent: 0}, {Address: "c@x", Parent: 1}, {Address: "d@x", Parent: 4}, {Address: "e@x", Parent: 3}, {Address: "f@x", Parent: 99}}}
	top := &mail.Address{Address: "top@x", Original: -1}
	for _, c := range []struct {
		a    mail.Address
		want string
	}{
		{mail.Address{Original: 0}, "a@x"}, {mail.Address{Original: 1}, "a@x"}, {mail.Address{Original: 2}, "a@x"}, {mail.Address{Original: 5}, "f@x"},
		{mail.Address{Original: -1, Parent: &mail.Address{Parent: top}}, "top@x"}, {mail.Address{Original: 77, Address: "self@x"}, "self@x"},
	} {
		if got := original(m, &c.a); got != c.want {
			t.Errorf("%+v: %s", c.a, got)
		}
	}
	original(m, &mail.Address{Original: 3}) // a circle ends
	var zero routerSettings
	if !reflect.DeepEqual(option.Of[routerSettings](option.Bag{}), &zero) {
		t.Error("settings of a router without the room")
	}
}

// FuzzAnswer: what a service answers becomes a verdict that travels and can be read, or an error.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte(`{"action":"add header","score":6.5,"required_score":15,"symbols":{"A":{"score":1,"options":["x"]}}}`))
	f.Add([]byte(`{"action":"\u0000:\n","symbols":null,"score":1e308}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := parseAnswer(data)
		if err != nil {
			return
		}
		v.Recipients = []string{"a@b"}
		text := servicePrefix + v.encode()
		if !travels(text) {
			t.Fatalf("%q", text)
		}
		read, err := (&service{}).read(context.Background(), text)
		if err != nil || len(read.recipients) != 1 || !travels(read.text) {
			t.Fatalf("%q: %+v, %v", text, read, err)
		}
	})
}
