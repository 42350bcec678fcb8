package expand_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"exigo/internal/expand"
	"exigo/internal/expand/builtin"
	"exigo/internal/lookup"
	"exigo/internal/mail"
	"exigo/internal/outside"
)

type clock struct{}

func (clock) Now() time.Time                                   { return time.Unix(1000000, 0).UTC() }
func (clock) Sleep(ctx context.Context, _ time.Duration) error { return ctx.Err() }
func (clock) After(time.Duration) <-chan time.Time             { return nil }

// zone is a DNS: "name type" to data separated by commas, "!" for a temporary failure.
type zone map[string]string

func (z zone) Lookup(_ context.Context, q outside.Question) (a outside.Answer, err error) {
	text, ok := z[fmt.Sprintf("%s %d", q.Name, q.Type)]
	switch {
	case text == "!":
		return a, outside.ErrTryAgain
	case !ok:
		return a, outside.ErrNoData
	}
	for _, item := range strings.Split(text, ",") {
		a.Records = append(a.Records, outside.Record{Data: item})
	}
	return a, nil
}

// language is the built-in language with a word that notes what it is given, and a lookup type of each kind.
func language(t testing.TB, notes *[]string, panics *[]string, hooks expand.Hooks) *expand.Engine {
	t.Helper()
	w := builtin.Words()
	w.Operators = append(w.Operators, expand.Operator{Name: "note", Apply: func(_ *expand.Scope, argument string, v expand.Value) (expand.Value, error) {
		*notes = append(*notes, argument+v.S)
		return v, nil
	}})
	w.Items = append(w.Items, expand.Item{Name: "odd", Min: 1, Max: 1, YesNo: true, Eval: func(_ *expand.Scope, args []expand.Value) (expand.Value, error) {
		if len(args[0].S)%2 == 0 {
			return expand.Value{}, expand.ErrNoMatch
		}
		return expand.Value{S: "<" + args[0].S + ">"}, nil
	}})
	w.Lookups = []*lookup.Driver{
		{Name: "file", Kind: lookup.SingleKey, Find: func(_ context.Context, r *lookup.Request) (lookup.Result, bool, error) {
			*notes = append(*notes, "search "+r.Key)
			return lookup.Result{Data: "found " + r.Key}, r.Key == "*.b.c" || r.Key == "k", nil
		}},
		{Name: "sql", Kind: lookup.Query, Quote: func(text, _ string) (string, bool) { return "'" + text + "'", true }, Find: func(_ context.Context, r *lookup.Request) (lookup.Result, bool, error) {
			if r.Key == "sick" {
				return lookup.Result{}, false, fmt.Errorf("server is down: %w", lookup.ErrDefer)
			}
			return lookup.Result{Data: r.Key}, true, nil
		}},
	}
	if panics != nil {
		hooks.Panic = func(_, line string) { *panics = append(*panics, line) }
	}
	e, err := expand.New(&outside.World{Clock: clock{}, DNS: zone{"1.0.0.10.in-addr.arpa 12": "a.example,b.example", "a.example 1": "10.0.0.1", "2.0.0.10.in-addr.arpa 12": "!"}}, w, hooks)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestEffects(t *testing.T) {
	for text, want := range map[string]string{ // the notes, then the result or the error
		`${note:a}${note:b}$nosuch${note:c}`:                       "a b | unknown variable name \"nosuch\"",
		`${if eq{1}{1}{${note:y}}{${note:n}}}`:                     "y | y",
		`${if or{{eq{${note:1}}{1}}{eq{${note:2}}{1}}}{y}{n}}`:     "1 | y",
		`${if and{{eq{${note:1}}{2}}{eq{${note:2}}{1}}}{y}{n}}`:    "1 | n",
		`${if eq{1}{2}{${note:a}$nosuch}{n}}`:                      " | unknown variable name \"nosuch\"",
		`${if eq{1}{1}{${note:a}$nosuch}{n}}`:                      "a | unknown variable name \"nosuch\"",
		`${if eq{1}{1}{${note:a}}{${lc:x}`:                         "a | missing } at end of string",
		`${sg{${note:a}}{b}}${note:c}`:                             "a | Not enough arguments for 'sg' (min is 3)",
		`${lookup{${note:k}}file{/f}{$value:$1}{no}}$value`:        "k search k | found k:",
		`${lookup{x.a.b.c}partial-file{/f}{$value,$1,$2}{no}}$1`:   "search x.a.b.c search *.x.a.b.c search *.a.b.c search *.b.c | found *.b.c,x.a,b.c",
		`${lookup partial-file*{/f}}`:                              " | missing {key} for single-key \"partial-file*\" lookup",
		`${lookup{k}sql,a=b{q}}`:                                   " | a single key was given for lookup type \"sql,a=b\", which is not a single-key lookup type",
		`${lookup{k}file{/f}}${lookup{k}file{/f}}`:                 "search k | found kfound k",
		`${lookup{k}file,cache=no_rd{/f}}${lookup{k}file{/f}}`:     "search k | found kfound k",
		`${lookup sql{sick}{y}{n}}`:                                " | lookup of \"sick\" gave DEFER: \"server is down\"",
		`${odd{abc}{[$value]}{no}}${odd{ab}{y}{no}}${odd{x}}`:      " | [<abc>]no<x>",
		`${odd{ab}{y}fail}`:                                        " | \"odd\" failed and \"fail\" requested",
		`${map{a:b}{${map{1:2}{$item}}$item}}$item`:                " | 1::2a:1::2b",
		`${if match{abc}{(b)}{$1${if match{x}{(x)}{$1}}$1}}$1`:     " | bxb",
		`${reduce{a:b}{}{$value${if inlist{b}{$item}{<$value>}}}}`: " | <b>",
		`${note_arg:x}`: "argx | x",
	} {
		var notes []string
		s := language(t, &notes, nil, expand.Hooks{}).NewScope(context.Background(), nil, nil, nil)
		v, err := s.Engine.Expand(s, text)
		got := v.S
		if err != nil {
			got = err.Error()
		}
		if got = strings.Join(notes, " ") + " | " + got; got != want {
			t.Errorf("%s\n got  %s\n want %s", text, got, want)
		}
	}
}

func TestTaint(t *testing.T) {
	var notes, panics []string
	e := language(t, &notes, &panics, expand.Hooks{})
	m := &mail.Message{Session: &mail.Session{}, Headers: []mail.Header{mail.NewHeader("Subject: /etc/passwd\n"), mail.NewHeader("X: a b\n")}}
	for text, want := range map[string]bool{
		"$h_subject:": true, "x$h_subject:": true, "$h_nosuch:": false, "${lc:$h_x:}": true, "${strlen:$h_x:}": false, "${md5:$h_x:}": false,
		"${sg{$h_x:}{a}{b}}": true, "${sg{abc}{b}{$h_x:}}": true, "${extract{1}{ }{$h_x:}}": true, "${map{$h_x:}{y}}": false, "${map{$h_x:}{$item}}": true,
		"${filter{a:$h_x:}{eq{1}{1}}}": true, "${if match{$h_x:}{(a)}{$1}}": true, "${if eq{$h_x:}{a b}{yes}}": false, "${if inlist{$h_x:}{q:a b}{$value}}": false,
		"${lookup{k}file{/f}}": false, "${length_3:$h_x:}": true, "${base64:$h_x:}": true, "${tr{$h_x:}{a}{b}}": true, "${listextract{1}{a:$h_x:}}": true,
		"${sort{a:$h_x:}{lt}{$item}}": true, "${reduce{$h_x:}{}{a}}": false, "${domain:$h_x:}": true, "${quote_sql:$h_x:}": true,
	} {
		v, err := e.Expand(e.NewScope(context.Background(), nil, nil, m), text)
		if err != nil || v.Tainted != want {
			t.Errorf("%s: tainted is %v (%v)", text, v.Tainted, err)
		}
	}
	for text, want := range map[string]string{
		"${expand:$h_x:}":                   `internal expansion of "a b" failed: attempt to expand tainted string 'a b'`,
		"${lookup{k}file{$h_subject:}}":     "NULL",
		"${run{$h_subject: x}}":             "couldn't create child process: Operation not permitted",
		"${run,preexpand{/bin/echo $h_x:}}": "couldn't create child process: Operation not permitted",
	} {
		if _, err := e.Expand(e.NewScope(context.Background(), nil, nil, m), text); err == nil || err.Error() != want {
			t.Errorf("%s: %v", text, err)
		}
	}
	panics = nil
	for _, text := range []string{"${lookup sql{q ${quote_sql:$h_x:}}}", "${lookup sql{q clean}}", "${lookup sql{q $h_x:}}", "${lookup sql{${quote_sql:$h_x:} $h_x:}}"} {
		if _, err := e.Expand(e.NewScope(context.Background(), nil, nil, m), text); err != nil {
			t.Error(text, err)
		}
	}
	if got := strings.Join(panics, "|"); got != "tainted search query is not properly quoted: q a b|tainted search query is not properly quoted: 'a b' a b" {
		t.Error(got)
	}
}

func TestHeaders(t *testing.T) {
	var m mail.Message
	for _, text := range []string{
		"To: x@y.z,\n  u@v.w\n", "Cc: cc1@x\n", "CC:  cc2@x \n", "X-Multi: one: two \n", "X-Multi:  three\n", "x-multi:\n", "X-Enc: =?utf-8?Q?caf=C3=A9?= =?iso-8859-1?Q?=E9?= z =?bad\n",
	} {
		m.Headers = append(m.Headers, mail.NewHeader(text))
	}
	m.Headers = append(m.Headers, mail.Header{Type: '*', Text: "X-Multi: deleted\n"})
	m.Session = &mail.Session{}
	var notes []string
	e := language(t, &notes, nil, expand.Hooks{})
	for text, want := range map[string]string{
		"$h_to:": "x@y.z,\n  u@v.w", "$rh_to:": " x@y.z,\n  u@v.w\n", "$lh_to:": " x@y.z,\n  u@v.w", "$h_cc:": "cc1@x,\ncc2@x", "$rh_cc:": " cc1@x\n  cc2@x \n",
		"$lh_cc:": " cc1@x:  cc2@x ", "$h_x-multi:": "one: two\nthree", "$lh_x-multi:": " one:: two :  three:", "$h_x-enc:": "caf\xe9\xe9 z =?bad",
		"$bh_x-enc:": "café\xe9 z =?bad", "$rh_x-enc:": " =?utf-8?Q?caf=C3=A9?= =?iso-8859-1?Q?=E9?= z =?bad\n", "$h_x-none:y": "y",
		"${if def:h_x-multi:{y}{n}}${if def:h_x-none:{y}{n}}": "yn", "$reply_address": "",
	} {
		v, err := e.Expand(e.NewScope(context.Background(), nil, nil, &m), text)
		if err != nil || v.S != want {
			t.Errorf("%s: %q (%v), want %q", text, v.S, err, want)
		}
	}
}

func TestHooksAndLimits(t *testing.T) {
	var notes []string
	hooks := expand.Hooks{ACL: func(s *expand.Scope, name string, args []expand.Value) (bool, expand.Value, error) {
		switch name {
		case "defer":
			return false, expand.Value{}, expand.Force("acl deferred")
		case "deeper":
			_, err := s.Engine.Expand(s, "${acl{deeper}}")
			return true, expand.Value{}, err
		}
		return name == "yes", expand.Value{S: fmt.Sprint(name, len(args))}, nil
	}}
	e := language(t, &notes, nil, hooks)
	s := e.NewScope(context.Background(), nil, nil, nil)
	for text, want := range map[string]string{
		"${acl{yes}{a}{b}}": "yes2", "${if acl{{no}{a}}{y$value}{n$value}}": "nno1", "${acl{defer}}": "acl deferred", "${acl{deeper}}": "expansions are nested too deeply",
	} {
		v, err := e.Expand(s, text)
		if got := v.S; err == nil && got != want || err != nil && err.Error() != want {
			t.Errorf("%s: %q %v", text, got, err)
		}
	}
	if _, err := e.Expand(s, "${acl{defer}}"); !errors.Is(err, expand.ErrForced) {
		t.Error("the failure is not forced")
	}
	big := "${map{" + strings.Repeat("a:", 300) + "}{${map{" + strings.Repeat("a:", 300) + "}{" + strings.Repeat("x", 1000) + "}}}}"
	if _, err := e.Expand(s, big); err == nil || err.Error() != "the result of the expansion is too large inside \"map\" item" {
		t.Errorf("a huge result gives %v", err)
	}
	if _, err := e.Expand(s, "${lookup sql{sick}}"); !expand.IsTemporary(err) || errors.Is(err, expand.ErrForced) {
		t.Error("a deferred lookup is not temporary")
	}
	for text, want := range map[string]string{"plain": "plain", "${lc:A}": "a", "${lc:A}-$value-${uc:b}": "a--B", "a${nosuch:b}": `unknown expansion operator "nosuch"`} {
		out, err := e.AppendExpand([]byte("> "), s, text)
		if got := strings.TrimPrefix(string(out), "> "); err == nil && got != want || err != nil && err.Error() != want {
			t.Errorf("behind a prompt %s gives %q, %v", text, out, err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := e.Expand(e.NewScope(ctx, nil, nil, nil), "${map{a:b}{$item}}"); !expand.IsTemporary(err) {
		t.Error("a cancelled context does not end a loop:", err)
	}
	if _, err := expand.New(e.World, expand.Words{Operators: []expand.Operator{{Name: "x"}, {Name: "x"}}}, expand.Hooks{}); err == nil {
		t.Error("a word declared twice is accepted")
	}
}

func TestValues(t *testing.T) {
	var notes []string
	e := language(t, &notes, nil, expand.Hooks{})
	s := e.NewScope(context.Background(), nil, nil, nil)
	for text, want := range map[string]string{"yes": "true", "FALSE": "false", "${lc:No}": "false", "maybe": `"maybe" is not a valid value for a boolean`, "$no": `unknown variable name "no"`} {
		b, err := e.ExpandBool(s, text)
		if got := fmt.Sprint(b); err == nil && got != want || err != nil && err.Error() != want {
			t.Errorf("bool %s: %s %v", text, got, err)
		}
	}
	for text, want := range map[string]string{"10K": "10240", " -3": "-3", "": "0", "x": `integer expected but "x" found`, "1x": `invalid integer "1x"`, "9223372036854775808": `absolute value of integer "9223372036854775808" is too large (overflow)`} {
		n, err := e.ExpandInt(s, text)
		if got := fmt.Sprint(n); err == nil && got != want || err != nil && err.Error() != want {
			t.Errorf("integer %q: %s %v", text, got, err)
		}
	}
	for text, want := range map[string]bool{"": false, " 0 ": false, "00": true, "No": false, "false": false, "x": true} {
		if got, err := e.ExpandCondition(s, text); got != want || err != nil {
			t.Errorf("condition %q: %v %v", text, got, err)
		}
	}
	if m := e.Mistake("${if eq{a}{b}{$nosuch}}"); m != `unknown variable name "nosuch"` {
		t.Error(m)
	}
}

func TestHostName(t *testing.T) {
	var notes []string
	e := language(t, &notes, nil, expand.Hooks{})
	for address, want := range map[string]string{"10.0.0.1": "a.example 0 0", "10.0.0.2": " 0 1", "10.0.0.3": " 1 0"} {
		c := &mail.Session{Host: netip.MustParseAddr(address)}
		v, err := e.Expand(e.NewScope(context.Background(), nil, c, nil), "$sender_host_name $host_lookup_failed $host_lookup_deferred")
		if err != nil || v.S != want {
			t.Errorf("%s: %q %v", address, v.S, err)
		}
	}
}

func TestVariables(t *testing.T) {
	var notes []string
	e := language(t, &notes, nil, expand.Hooks{})
	c := &mail.Session{
		Host: netip.MustParseAddr("::ffff:192.0.2.9"), Port: 4444, HELO: "foo.bar", HostName: "xx.yy", Ident: "id", Vars: map[string]mail.Value{"0": mail.Clean("c0"), "_a": mail.Clean("ca")},
		TLS: &mail.TLS{Version: "TLS1.3", Cipher: "TLS1.3:X:256", Bits: 256, Verified: true},
	}
	m := &mail.Message{Session: c, ID: "id-1", Sender: `"a b"@Dom.Example`, Recipients: []mail.Recipient{{Address: "r1@x"}, {Address: "r:2@x"}}, Received: time.Unix(999940, 0), Vars: map[string]mail.Value{"0": mail.Clean("m0")}}
	parent := &mail.Address{LocalPart: "orig", Domain: "Parent.Example"}
	s := e.NewScope(context.Background(), nil, c, m)
	s.Address = &mail.Address{LocalPart: "lp", Domain: "dom", Prefix: "pre-", Parent: parent, Vars: map[string]mail.Value{"x": mail.Clean("rx")}, UIDSet: true, UID: 7}
	s.Extra["recipients_visible"] = mail.Clean("1")
	for text, want := range map[string]string{
		"$sender_fullhost": "xx.yy (foo.bar) [192.0.2.9]", "$sender_rcvhost": "xx.yy\n\t([192.0.2.9] helo=foo.bar ident=id)", "$sender_host_address $sender_host_port": "192.0.2.9 4444",
		"$acl_c0$acl_c_a$acl_m0$acl_m9": "c0cam0", "$r_x$r_y": "rx", "$tls_in_cipher $tls_cipher $tls_bits $tls_out_bits $tls_certificate_verified": "TLS1.3:X:256 TLS1.3:X:256 256 0 1",
		"$sender_address_local_part|$sender_address_domain": "a b|Dom.Example", "$recipients": "r1@x, r:2@x", "$recipients_list": "r1@x:r::2@x", "$message_age": "60",
		"$local_part@$domain $local_part_prefix$parent_local_part@$parent_domain $original_domain": "lp@dom pre-orig@parent.example parent.example", "$local_user_uid $local_user_gid": "7 4294967295",
		"$tod_log $tod_zulu $tod_epoch": "1970-01-12 13:46:40 19700112134640Z 1000000", "$return_path": `"a b"@Dom.Example`, "$received_time": "999940",
	} {
		if v, err := e.Expand(s, text); err != nil || v.S != want {
			t.Errorf("%s: %q (%v), want %q", text, v.S, err, want)
		}
	}
	s.Address = nil
	s.Recipient = &mail.Recipient{Address: `"x y"@Some.Where`}
	if v, err := e.Expand(s, "$local_part@$domain"); err != nil || v != mail.Taint("x y@some.where") {
		t.Error(v, err)
	}
}
