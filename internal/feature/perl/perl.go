// Package perl is the room of ${perl{...}}: subroutines of the administrator's Perl code (spec chapter 12). The interpreter is a process of
// its own, /usr/bin/perl, /usr/local/bin/perl or what PATH names, started when it is first needed and kept; calls go to it one after another.
//
// Trust: the code is the administrator's; arguments and results may be anybody's and pass through pipes as counted strings. What the code
// does with them is its own affair: perl_taintmode makes Perl watch it.
package perl

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"exigo/internal/expand"
	"exigo/internal/feature"
	"exigo/internal/mail"
	"exigo/internal/option"
)

// settings are the options of the main section.
type settings struct {
	startup string
	atStart bool
	taint   bool
}

// maxArguments is how many a subroutine may have.
const maxArguments = 8

// Feature is the room.
func Feature() *feature.Feature {
	k := &keeper{}
	return &feature.Feature{
		Name: "perl", Support: "Perl", Doc: "Perl subroutines in expansions.", Start: k.begin,
		Options: []option.Set{option.Table[settings]{Scope: "main", Rows: []option.Row[settings]{
			{Name: "perl_startup", Field: func(s *settings) any { return &s.startup }, Doc: "Perl code that defines the subroutines."},
			{Name: "perl_at_start", Field: func(s *settings) any { return &s.atStart }, Doc: "Start the interpreter when the program starts, not when it is first needed."},
			{Name: "perl_taintmode", Field: func(s *settings) any { return &s.taint }, Doc: "Start Perl with its taint mode."},
		}}},
		Items: []expand.Item{{
			Name: "perl", Doc: "Calls a Perl subroutine with arguments.", Min: 1, Max: 1 + maxArguments, Eval: k.eval,
			Examples: []expand.Example{{In: `${perl{foo}}`, Err: "A setting of perl_startup is needed when using the Perl interpreter"}},
		}},
	}
}

// begin ends an interpreter that was started for an earlier reading of the configuration, since the code it runs may have changed in its
// file, and starts one if the configuration or the command line wants that.
func (k *keeper) begin(ctx context.Context, b feature.Beginning) error {
	o := *option.Of[settings](b.Config.MainOptions())
	early := (o.atStart || b.Perl == "s") && b.Perl != "d" && strings.TrimSpace(o.startup) != ""
	if !early && !k.running.Load() {
		return nil
	}
	release, err := k.claim(ctx)
	if err != nil {
		return err
	}
	k.end()
	release()
	if early {
		if _, release, err = k.take(ctx, o); err == nil {
			release()
		}
	}
	return err
}

// inCall is the state of a scope while a subroutine runs for it: calls within the call go to the same interpreter.
type inCall struct{ p *process }

func (k *keeper) eval(s *expand.Scope, args []expand.Value) (expand.Value, error) {
	if s.Extra["forbid_perl"].S != "" {
		return expand.Value{}, expand.Fail("Perl calls are not permitted")
	}
	var o settings
	if s.Config != nil {
		o = *option.Of[settings](s.Config.MainOptions())
	}
	if strings.TrimSpace(o.startup) == "" {
		return expand.Value{}, expand.Fail("A setting of perl_startup is needed when using the Perl interpreter")
	}
	state := mail.State[inCall](&s.Bag)
	p := state.p
	if p == nil {
		var release func()
		var err error
		if p, release, err = k.take(s.Ctx, o); err != nil {
			return expand.Value{}, err
		}
		defer release()
		state.p = p
		defer func() { state.p = nil }()
	}
	texts := make([]string, len(args))
	for i, a := range args {
		texts[i] = a.S
	}
	stop := context.AfterFunc(s.Ctx, p.kill)
	defer stop()
	result, err := p.call(texts, services(s))
	return expand.Value{S: result}, err
}

// services are what Perl code may ask of the program.
func services(s *expand.Scope) func(request byte, text string) (answer byte, result string) {
	return func(request byte, text string) (byte, string) {
		switch request {
		case askExpand:
			v, err := s.Engine.Expand(s, text)
			switch {
			case errors.Is(err, expand.ErrForced):
				return answerUndefined, ""
			case err != nil:
				return answerDied, fmt.Sprintf("syntax error in Exim::expand_string argument: %s", err)
			}
			return answerResult, v.S
		case askLog:
			s.Log("%s", strings.TrimRight(text, "\n"))
		case askDebug:
			if s.Debug != nil {
				s.Debug("%s", text)
			}
		}
		return answerResult, ""
	}
}
