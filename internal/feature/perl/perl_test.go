package perl

import (
	"context"
	"reflect"
	"strings"
	"testing"

	configuration "exigo/internal/config"
	"exigo/internal/expand"
	"exigo/internal/expand/builtin"
	"exigo/internal/feature"
	"exigo/internal/option"
	"exigo/internal/outside"
)

type config option.Bag

func (c config) NamedList(byte, string) (string, bool) { return "", false }
func (c config) MainOptions() option.Bag               { return option.Bag(c) }

const code = `$x = 5; sub foo { return "foo(@_)" . $x++ } sub und { undef } sub bad { die "oh no\n" } sub bad2 { die "line" }
sub ex { Exim::expand_string($_[0]) } sub lst { my @a = (1, 2, 3); @a } sub nest { Exim::expand_string('<${perl{foo}{n}}>') } sub lg { Exim::log_write("logged"); 1 }
sub wrn { warn "careful\n"; 1 } sub euro { "\x{20ac}" } sub zero { "a\0b" } sub dbg { Exim::debug_write("seen"); 2 } sub gone { exit 1 } sub wait { sleep 600 }
sub tainted { eval { kill 0, $ENV{PATH} . "0" } ; ${^TAINT} }`

func scope(t *testing.T, s settings) (*expand.Scope, *[]string) {
	t.Helper()
	if _, err := interpreter(); err != nil {
		t.Skip("needs perl")
	}
	var log []string
	words := builtin.Words()
	words.Items = append(words.Items, Feature().Items...)
	hooks := expand.Hooks{Log: func(_, line string) { log = append(log, line) }}
	engine, err := expand.New(outside.Real(), words, hooks)
	if err != nil {
		t.Fatal(err)
	}
	sc := engine.NewScope(context.Background(), config{reflect.TypeFor[settings](): &s}, nil, nil)
	sc.Debug = func(format string, args ...any) {
		if format == "%s" {
			log = append(log, args[0].(string))
		}
	}
	return sc, &log
}

func TestCalls(t *testing.T) {
	s, log := scope(t, settings{startup: code})
	for _, c := range [][2]string{
		{"${perl{foo}{a}{b c}}", "foo(a b c)5"}, {"${perl{foo}}", "foo()6"}, {"${perl{lst}}", "3"}, {"${perl{nest}}", "<foo(n)7>"},
		{`${perl{ex}{\$\{lc:ABC\}}}`, "abc"}, {"${perl{euro}}", "\u20ac"}, {"${perl{zero}}", "a"}, {"${perl{lg}}${perl{wrn}}${perl{dbg}}", "112"},
		{"${perl{tainted}}", "0"}, {"${perl{main::foo}{" + strings.Repeat("x", 100000) + "}}", "foo(" + strings.Repeat("x", 100000) + ")8"},
		{"${perl{und}}", `!Perl subroutine "und" returned undef to force failure`}, {"${perl{bad}}", "!oh no\n"}, {"${perl{bad2}}", "!line at (eval 2) line 1.\n"},
		{`${perl{ex}{\$nosuch}}`, "!syntax error in Exim::expand_string argument: unknown variable name \"nosuch\" at (eval 2) line 2.\n"},
		{`${perl{ex}{\${if eq{a\}{b\}{c\}fail\}}}`, `!Perl subroutine "ex" returned undef to force failure`},
		{"${perl{nosub}}", "!Undefined subroutine &main::nosub called.\n"}, {"${perl{gone}}", "!the Perl interpreter ended: EOF"}, {"${perl{foo}}", "foo()5"},
	} {
		v, err := s.Engine.Expand(s, c[0])
		got := v.S
		if err != nil {
			got = "!" + err.Error()
		}
		if got != c[1] {
			t.Errorf("%.60s gives %.200q, want %.200q", c[0], got, c[1])
		}
	}
	if got := strings.Join(*log, "|"); !strings.Contains(got, "logged|careful|") || !strings.Contains(got, "|seen") {
		t.Errorf("logged: %.500q", got)
	}
}

func TestTaintModeAndTrouble(t *testing.T) {
	s, _ := scope(t, settings{startup: code, taint: true})
	if v, err := s.Engine.Expand(s, "${perl{tainted}}${perl{foo}{x}}"); err != nil || v.S != "1foo(x)5" {
		t.Errorf("with taint mode: %q, %v", v.S, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.Ctx = ctx
	cancel()
	if _, err := s.Engine.Expand(s, "${perl{wait}}"); !expand.IsTemporary(err) {
		t.Errorf("a call that was given up: %v", err)
	}
	s, _ = scope(t, settings{startup: "sub {"})
	if _, err := s.Engine.Expand(s, "${perl{foo}}"); err == nil || !strings.HasPrefix(err.Error(), "error in perl_startup code: ") {
		t.Errorf("malformed code: %v", err)
	}
	s.SetExtra("forbid_perl", expand.Value{S: "1"})
	if _, err := s.Engine.Expand(s, "${perl{foo}}"); err == nil || err.Error() != "Perl calls are not permitted" {
		t.Errorf("forbidden: %v", err)
	}
}

// TestStart: the interpreter starts early when the option or the command line says so, and anew after SIGHUP, as its code may be in a file.
func TestStart(t *testing.T) {
	scope(t, settings{})
	for _, c := range []struct {
		s     settings
		perl  string
		early bool
	}{
		{settings{startup: code}, "", false}, {settings{startup: code}, "s", true}, {settings{startup: code, atStart: true}, "", true},
		{settings{startup: code, atStart: true}, "d", false}, {settings{atStart: true}, "s", false},
	} {
		k := &keeper{}
		begin := func() {
			t.Helper()
			if err := k.begin(context.Background(), feature.Beginning{Config: &configuration.Config{Main: option.Bag{reflect.TypeFor[settings](): &c.s}}, Perl: c.perl}); err != nil {
				t.Fatal(err)
			}
		}
		begin()
		first := k.p
		if (first != nil) != c.early {
			t.Errorf("%v -p%s: started: %v", c.s.atStart, c.perl, first != nil)
		}
		begin()
		if k.p == first && c.early || c.early && !first.dead() {
			t.Errorf("%v -p%s: not started anew", c.s.atStart, c.perl)
		}
		k.end()
	}
	bad := feature.Beginning{Config: &configuration.Config{Main: option.Bag{reflect.TypeFor[settings](): &settings{startup: "sub {"}}}, Perl: "s"}
	if err := (&keeper{}).begin(context.Background(), bad); err == nil || !strings.HasPrefix(err.Error(), "error in perl_startup code: ") {
		t.Errorf("malformed code: %v", err)
	}
}
