package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"exigo/internal/option"
)

const sections = `MAC = abc   def
hide freeze_tell = "a  b\
   \tc"
hide domainlist xx=MAC:b
.include DIR/inc

begin acl

a1:
  accept  hosts =  a
          message =   foo \
             bar
Accepted: ignored
  deny
begin ROUTER
rr:
   driver  =  redirect
   condition = a
   condition = b
   condition = ${if eq {a}{b}}
   set = r_a = b
   set = r_b = c
   headers_add = a: b
   headers_add = c: d
   more = ${if eq{a}{b}}
   hide data=x
   mode = 2770
   items = x : y
MM=zz
r2 :
   driver = accept
   domains = MM
   user = 8
   no_more
begin retry
*   *   F,2h,15m
begin rewrite
*@a   b@c   F
begin transports
Tr:
 driver = redirect
 user = $local_part
`

func TestSections(t *testing.T) {
	c, dir, err := read(t, sections, nil, "inc", "dns_retry = 3\n")
	if err != nil {
		t.Fatal(err)
	}
	a, ok := c.ACL("a1")
	if !ok || len(a.Lines) != 2 || a.Lines[1] != (Line{Text: "message =   foo bar", File: dir + "/c", Line: 12}) {
		t.Errorf("ACL a1: %+v", a)
	}
	if a, ok := c.ACL("Accepted"); !ok || len(a.Lines) != 1 {
		t.Errorf("ACL Accepted: %+v", a)
	}
	if len(c.Retry) != 1 || c.Retry[0].Text != "*   *   F,2h,15m" || len(c.Rewrite) != 1 {
		t.Errorf("retry %v, rewrite %v", c.Retry, c.Rewrite)
	}
	r := c.Find(Router, "rr")
	if r == nil || r.Driver != "redirect" || !r.Set["set"] || r.Set["domains"] || r.At("mode").Line != 27 || r.Line != 16 {
		t.Fatalf("router rr: %+v", r)
	}
	if p := option.Of[private](r.Options); p.Data != "x" || p.Mode != 0o2770 || p.Timeout != time.Hour || !slices.Equal(p.Items, []string{"x", "y"}) {
		t.Errorf("private options: %+v", p)
	}
	want := "condition = ${if and{{bool_lax{${if and{{bool_lax{a}}{bool_lax{b}}}}}}{bool_lax{${if eq {a}{b}}}}}}\ndomains = \ndriver = redirect\ngroup = \n" +
		"headers_add = a: b\\nc: d\nmore = ${if eq{a}{b}}\nset = r_a = b;r_b = c\nuser = \ndata = x\nitems = x : y\nmode = 02770\nmost = 20K\ntimeout = 1h"
	if got := show(t, c, "router", "rr"); got != want {
		t.Errorf("router rr:\n got %s\nwant %s", got, want)
	}
	for words, want := range map[string]string{
		"router_list": "rr\nr2", "transport_list": "Tr", "authenticator_list": "", "router nope": "router nope not found",
		"routers":    "\nrr router:\n" + want + "\n\nr2 router:\ncondition = \ndomains = zz\ndriver = accept\ngroup = mail\nheaders_add = \nno_more\nset = \nuser = mail",
		"transports": "\nTr transport:\ncondition = \ndomains = \ndriver = redirect\ngroup = \nheaders_add = \nmore\nset = \nuser = $local_part\ndata = \nitems = a:b\nmode = 0600\nmost = 20K\ntimeout = 1h",
		"local_scan": "local_scan() options are not supported", "+xx": "domainlist xx = abc   def:b",
	} {
		if got := show(t, c, strings.Fields(words)...); got != want {
			t.Errorf("%s:\n got %q\nwant %q", words, got, want)
		}
	}
}

func TestHidden(t *testing.T) {
	c := mustRead(t, sections, "inc", "")
	var b strings.Builder
	if err := Print(&b, c, []string{"freeze_tell", "+xx", "smtp_banner"}, false, false); err != nil {
		t.Fatal(err)
	}
	want := "freeze_tell = <value not displayable>\ndomainlist xx = <value not displayable>\nsmtp_banner = $smtp_active_hostname ESMTP Exim $version_number $tod_full\n"
	if b.String() != want {
		t.Errorf("got %q", b.String())
	}
	b.Reset()
	if err := Print(&b, c, []string{"router", "rr", "router", "r2"}, false, true); err != nil || !strings.Contains(b.String(), "\n<value not displayable>\n") {
		t.Errorf("%v: %q", err, b.String())
	}
	b.Reset()
	Print(&b, c, []string{"tcp_nodelay", "never_users", "queue_only_load", "dns_retry", "foo", "+xx"}, true, true)
	if want := "tcp_nodelay\n\nqueue_only_load =\n0\nfoo is not a known option\nabc   def:b\n"; b.String() != want {
		t.Errorf("without names: %q", b.String())
	}
}

func TestPrintConfig(t *testing.T) {
	c, dir, err := read(t, sections, nil, "inc", "dns_retry   = 3\n")
	if err != nil {
		t.Fatal(err)
	}
	want := `# Exim Configuration (4.99)
# 1 "DIR/c"
MAC = abc def
hide freeze_tell = "a  b\tc"
hide domainlist xx=abc def:b
# 5 "DIR/c"
# 1 "DIR/inc"
dns_retry = 3
# 5 "DIR/c"

begin acl

  a1:
    accept hosts = a
    message = foo bar

  Accepted: ignored
    deny

begin ROUTER

  rr:
    driver = redirect
`
	got := strings.ReplaceAll(show(t, c, "config"), dir, "DIR")
	if !strings.HasPrefix(got, want) || !strings.Contains(got, "    hide data=x\n") || !strings.Contains(got, "\nbegin retry\n  * * F,2h,15m\n\nbegin rewrite\n") {
		t.Errorf("got %s", got)
	}
	var b strings.Builder
	Print(&b, c, []string{"config"}, false, true)
	got = b.String()
	for _, line := range []string{"\nMAC = <value not displayable>\nhide freeze_tell = <value not displayable>\n", "\nhide data= <value not displayable>\n", "\nbegin retry\n* * F,2h,15m\n"} {
		if !strings.Contains(got, line) {
			t.Errorf("%q is not in %s", line, got)
		}
	}
}

func TestEnvironment(t *testing.T) {
	t.Setenv("A_KEPT", "1")
	t.Setenv("B_LOST", "2")
	c := mustRead(t, "keep_environment = !B_NO : ^A_K : B_NO\nadd_environment = C=a::b : A_KEPT=9")
	c.world.Environment = os.LookupEnv
	if got := c.Environment(); !slices.Equal(got, []string{"C=a:b", "A_KEPT=9"}) {
		t.Errorf("%q", got)
	}
	if c.PurgeWarning() != "" || mustRead(t, "").PurgeWarning() == "" {
		t.Error("warning")
	}
	for list, want := range map[string]bool{"*": true, "*NAME": true, "NAME": true, "!NAME:*": false, "!OTHER": true, "OTHER": false, "^NA": true, "": false} {
		if got := keeps(option.SplitList(list), "NAME"); got != want {
			t.Errorf("%q: %v", list, got)
		}
	}
}

func TestExpandedAtRead(t *testing.T) {
	c, _, err := read(t, "spool_directory = /s/$x\nlog_file_path = /l/$x/%slog:syslog\nlocalhost_number = $n\nnever_users = $u", func(r *Request) {
		r.Expand = func(_ *Config, text string) (string, error) {
			return strings.NewReplacer("$x", "X", "$n", " 3", "$u", "root : 8").Replace(text), nil
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	m := option.Of[Main](c.Main)
	if m.SpoolDirectory != "/s/X" || m.LogFilePath != "/l/X/%slog:syslog" || m.LocalhostID != 3 || !slices.Equal(m.NeverUsers.IDs, []int{0, 8}) {
		t.Errorf("%+v", m)
	}
	if c.SettingsFor((*room)(nil)).(*room).Level != 7 || c.SettingsFor((*private)(nil)) != nil || !c.IsSet("never_users") || c.IsSet("add_environment") {
		t.Error("settings")
	}
}

// Every option has one row, a sentence, a default that parses, and a type that -bP can show.
func TestMainTable(t *testing.T) {
	rows := MainOptions().Describe()
	seen := map[string]bool{}
	for _, r := range rows {
		if seen[r.Name] {
			t.Errorf("%s stands twice", r.Name)
		}
		seen[r.Name] = true
		if r.AliasOf == "" && (!strings.HasSuffix(r.Doc, ".") || strings.Contains(r.Type, "*config")) {
			t.Errorf("%s: type %s, doc %q", r.Name, r.Type, r.Doc)
		}
	}
	MainOptions().New()
	if _, err := newWords(&Registry{Sets: []option.Set{MainOptions(), MainOptions()}}); err == nil {
		t.Error("options declared twice pass")
	}
}

// Configurations that must load unedited, where the machine has them.
func TestPackagedConfigurations(t *testing.T) {
	for _, path := range []string{"/usr/share/doc/exim4-base/examples/example.conf", "/var/lib/exim4/config.autogenerated"} {
		if _, err := os.Stat(path); err != nil {
			t.Logf("%s is not here", path)
			continue
		}
		w := world()
		_, err := Read(Request{Path: path, World: w, Registry: registry(), MainOnly: true})
		if err != nil && !strings.Contains(err.Error(), "is not supported yet") {
			t.Error(err)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(sections)
	f.Add("A=b\\\n.ifdef A\n\"a\\\n.endif\n.include x\nbegin acl\n:x")
	path := filepath.Join(f.TempDir(), "c")
	r := registry()
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, ".include") {
			return
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := Read(Request{Path: path, World: world(), Registry: r})
		if err == nil {
			Print(&strings.Builder{}, c, []string{"all", "routers", "config"}, true, false)
		}
	})
}

// TestColonList: repeated lists come together whatever their separators are.
func TestColonList(t *testing.T) {
	for text, want := range map[string]string{
		"A:": "A", " A : B": "A:B", "<; C ; D": "C:D", "<; C;;x ; a:b ;": "C;x:a::b", "A::b:c": "A::b:c", "": "", "<;": "",
	} {
		if got := colonList(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
