package config

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"exigo/internal/option"
	"exigo/internal/outside"
)

// fakeUsers has root (0), mail (8) and exim (93), each with a group of the same name and number.
type fakeUsers struct{}

func (fakeUsers) name(id int) string { return map[int]string{0: "root", 8: "mail", 93: "exim"}[id] }

func (f fakeUsers) ByName(name string) (outside.User, bool, error) {
	for _, id := range []int{0, 8, 93} {
		if f.name(id) == name {
			return outside.User{Name: name, UID: id, GID: id}, true, nil
		}
	}
	return outside.User{}, false, nil
}
func (f fakeUsers) ByUID(id int) (outside.User, bool, error) { return f.ByName(f.name(id)) }
func (f fakeUsers) GroupByName(name string) (outside.Group, bool, error) {
	u, ok, err := f.ByName(name)
	return outside.Group{Name: name, GID: u.GID}, ok, err
}
func (f fakeUsers) GroupByGID(id int) (outside.Group, bool, error) { return f.GroupByName(f.name(id)) }
func (f fakeUsers) GroupsOf(u outside.User) ([]int, error)         { return []int{u.GID}, nil }

func world() *outside.World {
	return &outside.World{
		Users: fakeUsers{}, Hostname: func() string { return "host.test.ex" }, Version: "4.99", Caller: outside.Caller{UID: 1000, GID: 1000, Effective: 1000},
		Environment: func(string) (string, bool) { return "", false },
	}
}

type generic struct {
	Domains   option.DomainList
	Condition option.Expanded
	Variables option.StringList
	Add       option.Expanded
	More      option.ExpandedBool
	User      option.UserID
	Group     option.GroupID
	Verify    bool
}

type private struct {
	Data    option.Expanded
	Mode    option.Octal
	Timeout time.Duration
	Most    option.Size
	Items   []string
}

type room struct {
	Level int
	Limit option.ExpandedInt
}

func genericTable(scope option.Scope) option.Set {
	return option.Table[generic]{Scope: scope, Rows: []option.Row[generic]{
		{Name: "domains", Field: func(g *generic) any { return &g.Domains }},
		{Name: "condition", Repeat: option.JoinList, Field: func(g *generic) any { return &g.Condition }},
		{Name: "set", Repeat: option.JoinList, Field: func(g *generic) any { return &g.Variables }},
		{Name: "headers_add", Repeat: option.JoinNewline, Field: func(g *generic) any { return &g.Add }},
		{Name: "more", Default: "true", Field: func(g *generic) any { return &g.More }},
		{Name: "user", Field: func(g *generic) any { return &g.User }},
		{Name: "group", Field: func(g *generic) any { return &g.Group }},
		{Name: "verify", Field: func(g *generic) any { return &g.Verify }},
	}}
}

func registry() *Registry {
	options := option.Table[private]{Rows: []option.Row[private]{
		{Name: "data", Field: func(p *private) any { return &p.Data }},
		{Name: "mode", Default: "0600", Field: func(p *private) any { return &p.Mode }},
		{Name: "timeout", Default: "1h", Field: func(p *private) any { return &p.Timeout }},
		{Name: "most", Default: "20K", Field: func(p *private) any { return &p.Most }},
		{Name: "items", Default: "a:b", Field: func(p *private) any { return &p.Items }},
	}}
	rooms := option.Table[room]{Scope: ScopeMain, Rows: []option.Row[room]{
		{Name: "room_level", Default: "7", Field: func(r *room) any { return &r.Level }},
		{Name: "room_limit", Field: func(r *room) any { return &r.Limit }},
	}}
	r := &Registry{
		Sets:   []option.Set{MainOptions(), rooms, genericTable(ScopeRouters), genericTable(ScopeTransports), genericTable(ScopeAuthenticators)},
		Macros: []Macro{{Name: "_HAVE_TLS", Value: "y"}, {Name: "_HAVE_TLS_OCSP", Value: "z"}},
		Words:  func() MacroWords { return MacroWords{LogSelectors: []string{"pid", "subject"}} },
	}
	for k := Router; k < kinds; k++ {
		r.Drivers = append(r.Drivers, Driver{Kind: k, Name: "redirect", Options: []option.Set{options}, Check: func(i *Instance) error {
			if option.Of[private](i.Options).Data == "bad" {
				return errors.New("bad data")
			}
			return nil
		}}, Driver{Kind: k, Name: "accept"})
	}
	return r
}

// read reads a configuration text. Files named in it as DIR/x are in the test's directory, made of files.
func read(t testing.TB, text string, change func(*Request), files ...string) (*Config, string, error) {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(strings.ReplaceAll(text, "DIR", dir)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("c", text)
	for i := 0; i+1 < len(files); i += 2 {
		write(files[i], files[i+1])
	}
	r := Request{Path: dir + "/none:" + dir + "/c", World: world(), Registry: registry()}
	if change != nil {
		change(&r)
	}
	c, err := Read(r)
	return c, dir, err
}

func mustRead(t testing.TB, text string, files ...string) *Config {
	t.Helper()
	c, _, err := read(t, text, nil, files...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// show is what -bP prints for words.
func show(t testing.TB, c *Config, words ...string) string {
	t.Helper()
	var b strings.Builder
	if err := Print(&b, c, words, true, false); err != nil && err != ErrNotShown {
		t.Fatal(err)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// Each line of the configuration is separated by ~. The errors are those of Exim 4.96 for the same text.
func TestErrors(t *testing.T) {
	for _, c := range [][2]string{
		{"foo = bar", `1: main option "foo" unknown`},
		{"accept_8bitmime = maybe", `1: "maybe" is not a valid value for the "accept_8bitmime" option`},
		{"no_accept_8bitmime = true", "1: extra characters follow boolean option no_accept_8bitmime"},
		{"accept_8bitmime foo", "1: extra characters follow boolean option accept_8bitmime"},
		{"queue_only = yes no", `1: extra characters follow "yes" for boolean option queue_only`},
		{"queue_only = yesno", `1: "yesno" is not a valid value for the "queue_only" option`},
		{"not_queue_only~no_queue_only", `2: "no_queue_only" option set for the second time`},
		{"no_smtp_banner", "1: negation prefix applied to a non-boolean option"},
		{"no_foo", `1: main option "no_foo" unknown`},
		{"smtp_accept_max = abc", "1: integer expected for smtp_accept_max"},
		{"smtp_accept_max = 12x", "1: extra characters follow integer value for smtp_accept_max"},
		{"smtp_accept_max = 08", "1: extra characters follow integer value for smtp_accept_max"},
		{"smtp_accept_max = 12KK", "1: extra characters follow integer value for smtp_accept_max"},
		{"smtp_accept_max = 99999999999999", `1: absolute value of integer "99999999999999" is too large (overflow)`},
		{"smtp_accept_max = 9G", `1: absolute value of integer "9G" is too large (overflow)`},
		{"smtp_accept_max = 12T", `1: absolute value of integer "12T" is too large (overflow)`},
		{"check_spool_space = 4000Z", `1: absolute value of integer "4000Z" is too large (overflow)`},
		{"check_spool_space = 40MK", "1: extra characters follow integer value for check_spool_space"},
		{"smtp_accept_max", "1: unexpected end of line (data missing) after smtp_accept_max"},
		{"smtp_accept_max 12", `1: missing "=" after smtp_accept_max`},
		{`qualify_domain = "foo`, "1: missing quote at end of string value for qualify_domain"},
		{`qualify_domain = "foo" bar`, "1: extra characters follow string value for qualify_domain"},
		{"qualify_domain = a~qualify_domain = b", `2: "qualify_domain" option set for the second time`},
		{"auto_thaw = 5", "1: invalid time value for auto_thaw"},
		{"auto_thaw = 5m junk", "1: invalid time value for auto_thaw"},
		{"auto_thaw = 100000000w", "1: invalid time value for auto_thaw"},
		{"delay_warning = 1h:2x", "1: invalid time value for delay_warning"},
		{"delay_warning = 1h:2h:3h:4h:5h:6h:7h:8h:9h:10h:11h", "1: too many time values for delay_warning"},
		{"queue_only_load = .5", "1: fixed-point number expected for queue_only_load"},
		{"queue_only_load = -1", `1: integer "-1" is too large (overflow)`},
		{"queue_only_load = 1.5x", "1: extra characters follow fixed-point value for queue_only_load"},
		{"exim_user = nosuch", "1: user nosuch was not found"},
		{"exim_group = nosuch", "1: group nosuch was not found"},
		{"never_users = root:nosuch", "1: user nosuch was not found"},
		{"trusted_groups = nosuch", "1: group nosuch was not found"},
		{"Foo bar", "1: malformed macro definition"},
		{"FOO=a~FOO=b", `macro "FOO" is already defined (use "==" if you want to redefine it)`},
		{"FOO=a~XFOO=b", `"XFOO" cannot be defined as a macro because previously defined macro "FOO" is a substring`},
		{"X_HAVE_TLS = a", `"X_HAVE_TLS" cannot be defined as a macro because previously defined macro "_HAVE_TLS" is a substring`},
		{"FOO==a", `can't redefine an undefined macro "FOO"`},
		{strings.Repeat("A", 64) + " = 1", "1: macro name too long (maximum is 63 characters)"},
		{".include /nonexist", "1: failed to open included configuration file /nonexist"},
		{".include_if_exists rel", `1: .include specifies a non-absolute path "rel"`},
		{".includex /foo", "1: option setting expected: .includex /foo"},
		{".foo bar", "1: option setting expected: .foo bar"},
		{"1x = a", "1: option setting expected: 1x = a"},
		{".ifdef A", "1: Unexpected end of configuration file: .endif missing"},
		{".endif", "1: .endif without matching .ifdef"},
		{".else", "1: .else without matching .ifdef"},
		{".elifdef A", "1: .elifdef without matching .ifdef"},
		{".ifdefX~.endif", "2: .endif without matching .ifdef"},
		{".ifdef XX~.elifdef YY~.elifndef ZZ~foo~.else~.endif", `4: main option "foo" unknown`},
		{"\ufeff# BOM", "1: found unexpected BOM (Byte Order Mark)"},
		{"begin foo", `1: "foo" is not a known configuration section name`},
		{"begin routers x", `1: "routers x" is not a known configuration section name`},
		{"begin routers~begin routers", `2: "routers" section is repeated in the configuration file`},
		{"begin", `1: main option "begin" unknown`},
		{"begin local_scan", "1: local_scan() options not supported: (LOCAL_SCAN_HAS_OPTIONS not defined in Local/Makefile)"},
		{"begin routers~driver = accept", "2: router name missing"},
		{"begin routers~x: y", "2: extra characters follow driver name x"},
		{"begin routers~1x:~ driver = accept", "2: router name missing"},
		{"begin routers~x:", `no driver defined for router "x"`},
		{"begin transports~t:~A=b~ driver = accept", `no driver defined for transport "t"`},
		{"begin transports~t:~ driver = accept~A=b~ domains = x", "5: transport name missing"},
		{"begin routers~x:~ driver = foo", `3: router x: cannot find router driver "foo"`},
		{"begin routers~x:~ driver = accept~x:~ driver = accept", `there are two routers called "x"`},
		{"begin routers~x:~ foo = bar", `3: option "foo" unknown ("driver" must be specified before any private options)`},
		{"begin routers~x:~ driver = accept~ foo = bar", `4: option "foo" unknown`},
		{"begin routers~x:~ driver = accept~ domains = a~ domains = b", `5: "domains" option set for the second time`},
		{"begin routers~x:~ driver = redirect~ driver = accept", `4: "driver" option set for the second time`},
		{"begin routers~x:~ driver = redirect~ mode = 888", "4: octal integer expected for mode"},
		{"begin routers~x:~ driver = redirect~ mode = 0x1f", "4: extra characters follow octal integer value for mode"},
		{"begin routers~x:~ driver = redirect~ mode = 7777777777777777", `4: absolute value of integer "7777777777777777" is too large (overflow)`},
		{"begin routers~x:~ driver = accept~ more = foo", `4: "foo" is not a valid value for the "more" option`},
		{"begin routers~x:~ driver = accept~ user = nosuch", "4: user nosuch was not found"},
		{"begin routers~x:~ driver = redirect~ data = bad", "x router: bad data"},
		{"begin routers~x:~ driver = accept~ hide", "4: unexpected end of line (data missing) after "},
		{"begin routers~x:~ driver = accept~ = x", "4: option setting expected: = x"},
		{"begin routers~" + strings.Repeat("a", 65) + ":", `2: exim item name too long (>64), unable to use "` + strings.Repeat("a", 63) + `" (truncated)`},
		{"begin acl~accept", "2: missing or malformed ACL name"},
		{"begin acl~x:~x:", `3: there are two ACLs called "x"`},
		{"domainlist", "1: unrecognized configuration line"},
		{"domainlistx = 1", "1: unrecognized configuration line"},
		{"domainlist x y = a", `1: missing '=' after "x"`},
		{"domainlist x = a~domainlist x = b", `2: duplicate name "x" for a named domain list`},
		{"localpartlist x = a~localpartlist x = b", `2: duplicate name "x" for a named local part list`},
		{`hostlist y = "a`, "1: missing quote at end of string value for y"},
		{`domainlist x = "a" : b`, "1: extra characters follow string value for x"},
		{"hide foo = a", `1: main option "foo" unknown`},
		{"hide A=b", `1: main option "A" unknown`},
		{"system_filter = /x", `1: option "system_filter" is not supported yet`},
		{"hide local_scan_path = x", `1: option "local_scan_path" is not supported yet`},
		{"perl_startup = foo", `1: option "perl_startup" is not supported yet`},
		{"no_perl_at_start", `1: option "no_perl_at_start" is not supported yet`},
		{"localhost_number = 17", "localhost_number is greater than the maximum allowed value (16)"},
		{"localhost_number = x", "localhost_number value is not a number: x"},
		{"smtp_ratelimit_mail = foo", "bare: malformed ratelimit data: foo"},
		{"log_file_path = foo", `bare: log_file_path "foo" does not contain "%s"`},
		{"log_file_path = /foo/%s/%s", `bare: log_file_path "/foo/%s/%s" contains unexpected "%" character`},
		{"uucp_from_pattern = (", "bare: regular expression error: missing closing parenthesis at offset 1 while compiling ("},
	} {
		_, dir, err := read(t, strings.ReplaceAll(c[0], "~", "\n"), nil)
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("%q: error is %v", c[0], err)
			continue
		}
		got := e.Text
		switch {
		case e.Bare:
			got = "bare: " + got
		case e.For != "":
			got = e.For + ": " + got
		case e.Line > 0:
			got = fmt.Sprintf("%d: %s", e.Line, got)
			if e.File != dir+"/c" {
				t.Errorf("%q: error is in %s", c[0], e.File)
			}
		}
		if got != c[1] {
			t.Errorf("%q:\n got %s\nwant %s", c[0], got, c[1])
		}
	}
}

func TestErrorText(t *testing.T) {
	for _, c := range []struct {
		e    Error
		want string
	}{
		{Error{File: "/c", Line: 3, Text: "x"}, "Exim configuration error in line 3 of /c:\n  x"},
		{Error{Text: "x"}, "Exim configuration error:\n  x"},
		{Error{For: "r router", Text: "x"}, "Exim configuration error for r router:\n  x"},
		{Error{Text: "x", Bare: true}, "x"},
	} {
		if got := c.e.Error(); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

// Settings of the main section and how -bP shows them; the output is Exim's.
func TestMainSettings(t *testing.T) {
	for _, c := range []struct{ text, words, want string }{
		{"accept_8bitmime =", "accept_8bitmime", "accept_8bitmime"},
		{"no_tcp_nodelay", "tcp_nodelay", "no_tcp_nodelay"},
		{"smtp_accept_max = 12K~check_log_space = 12K~return_size_limit = 12K", "smtp_accept_max check_log_space bounce_return_size_limit return_size_limit",
			"smtp_accept_max = 12288~check_log_space = 12K~bounce_return_size_limit = 12K~return_size_limit = 12K"},
		{"smtp_accept_max = 0x10~check_log_space = 1048576~return_size_limit = 010", "smtp_accept_max check_log_space return_size_limit",
			"smtp_accept_max = 16~check_log_space = 1G~return_size_limit = 8"},
		{"check_log_space = 0~check_spool_space = 4000G", "check_log_space check_spool_space", "check_log_space = 0~check_spool_space = 4000G"},
		{"return_size_limit = 12K~bounce_return_size_limit = 10K", "bounce_return_size_limit", "bounce_return_size_limit = 10K"},
		{"daemon_smtp_port = 25~daemon_smtp_ports = 26", "daemon_smtp_ports", "daemon_smtp_ports = 26"},
		{"queue_only_load = 1.2345", "queue_only_load smtp_load_reserve", "queue_only_load = 1.234~smtp_load_reserve ="},
		{"queue_only_load = 12", "queue_only_load", "queue_only_load = 12.0"},
		{"auto_thaw = 1h60m", "auto_thaw keep_malformed ignore_bounce_errors_after", "auto_thaw = 2h~keep_malformed = 4d~ignore_bounce_errors_after = 10w"},
		{"delay_warning = 1h:2h", "delay_warning", "delay_warning = 1h:2h"},
		{"delay_warning =", "delay_warning", "delay_warning = "},
		{`smtp_banner = "a\tb\"c\x41\101z\nq"`, "smtp_banner", `smtp_banner = a\tb"cAAz\nq`},
		{`smtp_banner = "  a  "`, "smtp_banner", "smtp_banner =   a  "},
		{`smtp_banner = a\nb"c"`, "smtp_banner", `smtp_banner = a\nb"c"`},
		{`smtp_banner = "ab \"`, "smtp_banner", `smtp_banner = ab "`},
		{`qualify_domain = "a\nb\\c\x01\xff"`, "qualify_domain qualify_recipient", `qualify_domain = a\nb\c\001\377~qualify_recipient = a\nb\c\001\377`},
		{"trusted_users = 8:root : 12345~trusted_groups = 93", "trusted_users trusted_groups never_users", "trusted_users = mail:root:12345~trusted_groups = exim~never_users ="},
		{"exim_user = 8", "exim_user exim_group", "exim_user = mail~exim_group = mail"},
		{"smtp_receive_timeout = ${eval:1+2}s~queue_run_max = $a", "smtp_receive_timeout queue_run_max", "smtp_receive_timeout = ${eval:1+2}s~queue_run_max = $a"},
		{"add_environment = A=1 : B=2~log_selector = \"+all  \"", "add_environment keep_environment log_selector", "add_environment = A=1 : B=2~keep_environment = ~log_selector = +all  "},
		{"qualify_domain = a \\~  # no \\~ .ifdef X~ foo~ .endif~ b", "qualify_domain", "qualify_domain = a b"},
		{"qualify_domain = a\\~~acl_smtp_rcpt = b", "qualify_domain acl_smtp_rcpt", "qualify_domain = a~acl_smtp_rcpt = b"},
		{"hold_domains = \"a\\x65b :\\~                c.d\"", "hold_domains", "hold_domains = aeb :c.d"},
		{"", "exim_user exim_version primary_hostname qualify_domain qualify_recipient", "exim_user = exim~exim_version = 4.99~primary_hostname = host.test.ex~qualify_domain = host.test.ex~qualify_recipient = host.test.ex"},
		{"spool_directory = /s", "process_log_path log_file_path", "process_log_path = /s/exim-process.info~log_file_path = /s/log/%slog"},
		{"spool_directory = /var/spool/exim4", "log_file_path", "log_file_path = /var/log/exim4/%slog"},
		{"room_level = 8", "room_level room_limit", "room_level = 8~room_limit = "},
		{"domainlist a = x : y~hostlist_cache a = \"h\\n\"", "+a +b", "domainlist a = x : y~hostlist a = h\n~no address, domain, host, or local part list called \"b\" exists"},
		{"", "foo", "foo is not a known option"},
	} {
		cfg := mustRead(t, strings.ReplaceAll(c.text, "~", "\n"))
		if got := show(t, cfg, strings.Fields(c.words)...); got != strings.ReplaceAll(c.want, "~", "\n") {
			t.Errorf("%q:\n got %q\nwant %q", c.text, got, c.want)
		}
	}
}

func TestMacros(t *testing.T) {
	text := strings.ReplaceAll("ABCD_XYZ = abcdxyz~ABCD=abcd + ABCD_XYZ~EMPTY=~EMPTY~hosts_treat_as_local = ABCD_XYZ and ABCD~ABCD == 1234~ABCD_XYZ == ABCD_XYZ plus\\~ extra~"+
		"hold_domains = ABCD_XYZ + ABCD~COMMAND = file~queue_domains = COMMAND~.ifdef NONE COMMAND~qualify_domain = _HAVE_TLS_OCSP_HAVE_TLSX_HAVE_TLS_O~.endif~"+
		".ifndef COMMAND~foo~.elifndef COMMAND NONE~foo~.elifdef ABCD~qualify_recipient = ABCD~.else~foo~.endif ignored", "~", "\n")
	c, _, err := read(t, text, func(r *Request) { r.Macros = []Macro{{Name: "COMMAND", Value: "line"}} })
	if err != nil {
		t.Fatal(err)
	}
	want := "hosts_treat_as_local = abcdxyz and abcd + abcdxyz\nhold_domains = abcdxyz plusextra + 1234\nqueue_domains = line\nqualify_domain = zyXy_O\nqualify_recipient = 1234\n" +
		"COMMAND=line\nmacro NONE not found"
	if got := show(t, c, "hosts_treat_as_local", "hold_domains", "queue_domains", "qualify_domain", "qualify_recipient", "macro", "COMMAND", "macro", "NONE"); got != want {
		t.Errorf("got %q\nwant %q", got, want)
	}
	list := "\n" + show(t, c, "macro_list") + "\n"
	for _, name := range []string{"_LOG_SUBJECT", "_OPT_MAIN_ACL_SMTP_RCPT", "_OPT_MAIN_ROOM_LEVEL", "_OPT_ROUTERS_MORE", "_OPT_TRANSPORTS_DOMAINS", "_OPT_AUTHENTICATORS_USER",
		"_OPT_ROUTER_REDIRECT_DATA", "_OPT_TRANSPORT_REDIRECT_MODE", "_DRIVER_ROUTER_ACCEPT", "_DRIVER_AUTHENTICATOR_REDIRECT", "ABCD_XYZ"} {
		if !strings.Contains(list, "\n"+name+"\n") {
			t.Errorf("macro %s is missing", name)
		}
	}
	var b strings.Builder
	if err := Print(&b, c, []string{"macros"}, false, false); err != ErrPermission || b.Len() > 0 {
		t.Errorf("macros without privilege: %v, %q", err, b.String())
	}
}

func TestParseMacro(t *testing.T) {
	for _, c := range []struct {
		in, name, value string
		bad             bool
	}{
		{"ABC", "ABC", "", false}, {"ABC=", "ABC", "", false}, {" ABC = some thing", "ABC", "some thing", false}, {"X==", "X", "=", false},
		{"abc=1", "", "", true}, {"", "", "", true}, {"_X=1", "", "", true}, {"X Y", "", "", true},
	} {
		m, err := ParseMacro(c.in)
		if (err != nil) != c.bad || m.Name != c.name || m.Value != c.value {
			t.Errorf("%q: %+v, %v", c.in, m, err)
		}
	}
}

func TestIncludes(t *testing.T) {
	c, dir, err := read(t, ".include DIR/a\n.include \"b\"\n.include_if_exists DIR/none\nhold_domains = x \\\n .include a2\n  z\n.ifdef NO\n.include /none\n.endif\n", nil,
		"a", "# a\ndns_retry = 3\n", "b", "queue_only\n  .include DIR/a3\n", "a2", "y \\\n", "a3", "dns_retrans = 5s")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := show(t, c, "dns_retry", "queue_only", "hold_domains", "dns_retrans", "config_file"), "dns_retry = 3\nqueue_only\nhold_domains = x y z\ndns_retrans = 5s\n"+dir+"/c"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	_, dir, err = read(t, "queue_only\n.include DIR/a\n", nil, "a", "\nfoo\n")
	if want := "Exim configuration error in line 2 of " + dir + "/a:\n  main option \"foo\" unknown"; err == nil || err.Error() != want {
		t.Errorf("error in an included file: %v", err)
	}
	if _, _, err = read(t, ".include DIR/c\n", nil); err == nil || !strings.Contains(err.Error(), "too many nested included files") {
		t.Errorf("a file that includes itself: %v", err)
	}
	if _, err := Read(Request{Path: "/none/x : /none/y", World: world(), Registry: registry()}); err == nil || err.Error() != "non-existent configuration file(s): /none/x : /none/y" {
		t.Errorf("no file: %v", err)
	}
}

type aDNS struct{ outside.Resolver }

func (aDNS) Lookup(context.Context, outside.Question) (outside.Answer, error) {
	return outside.Answer{Canonical: "Box.dns.ex"}, nil
}

func TestHostname(t *testing.T) {
	for hosts, want := range map[string]string{"127.0.0.1 localhost\n127.0.1.1 box.hosts.ex box # x": "box.hosts.ex", "127.0.1.1 localhost BOX": "localhost", "::1 other": "box.dns.ex"} {
		c, _, err := read(t, "", func(r *Request) {
			r.World.Hostname, r.World.DNS = func() string { return "box" }, aDNS{}
			r.HostsFile = filepath.Join(filepath.Dir(strings.Split(r.Path, ":")[1]), "hosts")
		}, "hosts", hosts)
		if err != nil || option.Of[Main](c.Main).PrimaryHostname != want {
			t.Errorf("%q: %v, %v", hosts, option.Of[Main](c.Main).PrimaryHostname, err)
		}
	}
}

func TestPartial(t *testing.T) {
	_, _, err := read(t, "spool_directory = /s\nfoo", nil)
	var e *Error
	if !errors.As(err, &e) || e.Partial == nil || option.Of[Main](e.Partial.Main).LogFilePath != "/s/log/%slog" {
		t.Errorf("%+v", e)
	}
}

func TestOwner(t *testing.T) {
	for _, c := range []struct {
		uid, gid, mode uint32
		want           bool
	}{{0, 0, 0o644, true}, {0, 0, 0o664, true}, {0, 8, 0o664, false}, {0, 8, 0o644, true}, {0, 0, 0o646, false}, {8, 0, 0o644, false}} {
		if got := safe(c.uid, c.gid, c.mode); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
	_, dir, err := read(t, "", func(r *Request) {
		r.World.Caller.Effective = 0
		for _, p := range strings.Split(r.Path, ":") {
			os.Chmod(p, 0o666)
		}
	})
	if want := "Exim configuration file " + dir + "/c has the wrong owner, group, or mode"; err == nil || err.Error() != want {
		t.Errorf("writable file: %v", err)
	}
}
