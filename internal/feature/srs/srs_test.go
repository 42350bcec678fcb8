package srs

import (
	"context"
	"strings"
	"testing"
	"time"

	"exigo/internal/expand"
	"exigo/internal/expand/builtin"
	"exigo/internal/testkit"
)

// scope makes a scope on the day of the trial with exim 4.96.
func scope(t *testing.T) (*expand.Scope, *testkit.Fake) {
	t.Helper()
	world := testkit.NewWorld(t)
	world.Clock.Advance(time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC).Sub(testkit.Epoch()))
	f := Feature()
	words := builtin.Words()
	words.Variables = append(words.Variables, f.Variables...)
	words.Items = append(words.Items, f.Items...)
	words.Conditions = append(words.Conditions, f.Tests...)
	engine, err := expand.New(world.World, words, expand.Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	return engine.NewScope(context.Background(), nil, nil, nil), world
}

func TestWords(t *testing.T) {
	for _, x := range []struct{ in, want string }{
		{"${srs_encode {s3cret}{user@orig.example}{fwd.example}}", "SRS0=def6=jl=orig.example=user@fwd.example"},
		{`${srs_encode {s3cret}{"quoted user"@orig.example}{fwd.example}}`, `"SRS0=21e1=jl=orig.example=quoted user"@fwd.example`},
		{"${srs_encode {s3cret}{}{fwd.example}}", ""},
		{"${srs_encode {s3cret}{nodomain}{fwd.example}}", "SRS0=42da=jl==nodomain@fwd.example"},
		{"${srs_encode {s3cret}{<u@x.example>}{fwd.example}}", "SRS0=2e44=jl=x.example=u@fwd.example"},
		{"${srs_encode {s3cret}{SRS0=abcd=ab=x.example=u@y.example}{fwd.example}}", "SRS0=80bc=jl=y.example=SRS0=abcd=ab=x.example=u@fwd.example"},
		{"${srs_encode {s3cret}{a@b@c}{fwd.example}}", "ERROR malformed address: @c may not follow a@b"},
		{"${srs_encode {s3cret}{bad address@x}{fwd.example}}", `ERROR missing or malformed local part (expected word or "<")`},
		{"${if inbound_srs {SRS0=def6=jl=orig.example=user}{s3cret}{yes}{no}} $srs_recipient", "yes user@orig.example"},
		{"${if inbound_srs {srs0=def6=jl=orig.example=user}{s3cret}{yes}{no}} $srs_recipient", "yes user@orig.example"},
		{"${if inbound_srs {SRS0=def6=jl=orig.example=user}{other}{yes}{no}}", "no"},
		{"${if inbound_srs {SRS0=0000=aa=orig.example=user}{s3cret}{yes}{no}}", "no"},
		{"${if inbound_srs {SRS0=0000=aa=orig.example=user}{}{yes}{no}} $srs_recipient", "yes user@orig.example"},
		{"${if inbound_srs {user}{s3cret}{yes}{no}} <$srs_recipient>", "no <>"},
		{"${if inbound_srs {user}{}{yes}{no}} <$srs_recipient>", "no <>"},
		{"${if inbound_srs {SRS0=x}{}{yes}{no}} <$srs_recipient>", "no <>"},
		{"<$srs_recipient>", "<>"},
	} {
		s, _ := scope(t)
		v, err := s.Engine.Expand(s, x.in)
		got := v.S
		if err != nil {
			got = "ERROR " + err.Error()
		}
		if got != x.want {
			t.Errorf("%s: %s, want %s", x.in, got, x.want)
		}
	}
}

// TestLife: an address is good for ten days; what is decoded is not to be trusted with file names and the like.
func TestLife(t *testing.T) {
	s, world := scope(t)
	const text = "${if inbound_srs {SRS0=def6=jl=orig.example=user}{s3cret}{yes}{no}}"
	for day, want := range []string{"yes", "yes", "yes", "yes", "yes", "yes", "yes", "yes", "yes", "yes", "yes", "no", "no"} {
		if v, err := s.Engine.Expand(s, text); err != nil || v.S != want {
			t.Errorf("day %d: %q %v", day, v.S, err)
		}
		world.Clock.Advance(24 * time.Hour)
	}
	for _, text := range []string{"$srs_recipient", "${srs_encode {s}{$srs_recipient}{x.example}}"} {
		if v, err := s.Engine.Expand(s, text); err != nil || !v.Tainted || !strings.Contains(v.S, "user") {
			t.Errorf("%s: %+v %v", text, v, err)
		}
	}
}
