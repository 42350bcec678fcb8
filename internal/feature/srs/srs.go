// Package srs is the room of the Sender Rewriting Scheme in the language (spec 58.5): the item ${srs_encode...}, the condition inbound_srs
// and the variable $srs_recipient.
//
// Trust: local parts are what SMTP clients send; only a right hash makes $srs_recipient anything.
package srs

import (
	"errors"

	"exigo/internal/expand"
	"exigo/internal/feature"
	"exigo/internal/mail"
	"exigo/internal/proto/srs"
)

// state is what the last inbound_srs of a scope found.
type state struct{ recipient expand.Value }

// Feature is the room.
func Feature() *feature.Feature {
	return &feature.Feature{
		Name: "srs", Support: "SRS", Macros: []string{"_HAVE_NATIVE_SRS"},
		Doc: "Sender Rewriting Scheme: signed return paths for forwarded mail.",
		Variables: []expand.Variable{{
			Name: "srs_recipient", Doc: "The original return path that inbound_srs decoded.",
			Get: func(s *expand.Scope) (expand.Value, error) { return mail.State[state](&s.Bag).recipient, nil },
		}},
		Items: []expand.Item{{
			Name: "srs_encode", Min: 3, Max: 3, Doc: "Rewrites the return path, signed with the secret, into the original domain.", Eval: encode,
			Examples: []expand.Example{{In: "${srs_encode {secret}{}{fwd.example}}", Out: ""}},
		}},
		Tests: []expand.Condition{{
			Name: "inbound_srs", Min: 2, Max: 2, Test: inbound,
			Doc:      "True when the local part was made by srs_encode with the secret and is not too old; an empty secret checks the form alone.",
			Examples: []expand.Example{{In: "${if inbound_srs {user}{secret}{yes}{no}}", Out: "no"}},
		}},
	}
}

// encode is ${srs_encode {secret}{return path}{original domain}}.
func encode(s *expand.Scope, args []expand.Value) (expand.Value, error) {
	text, err := srs.Encode(args[0].S, args[1].S, args[2].S, s.Engine.World.Clock.Now())
	if err != nil {
		return expand.Value{}, &expand.Error{Text: err.Error()}
	}
	return expand.Value{S: text, Tainted: args[1].Tainted || args[2].Tainted}, nil
}

// inbound is inbound_srs {local part}{secret}. What it decodes stays tainted: the client chose it, even if we signed it once.
func inbound(s *expand.Scope, args []expand.Value) (bool, error) {
	original, err := srs.Decode(args[1].S, args[0].S, s.Engine.World.Clock.Now())
	if errors.Is(err, srs.ErrForm) {
		return false, nil
	}
	mail.State[state](&s.Bag).recipient = mail.Taint(original)
	return err == nil, nil
}
