// Package srs is the room of the Sender Rewriting Scheme. In the language (spec 58.5) there are the item ${srs_encode...} and the condition
// inbound_srs. In the redirect router there is the option srs, with what libsrs_alt has: SRS0 and SRS1, several secrets, and a database.
//
// Trust: local parts are what SMTP clients send; only a right hash makes $srs_recipient anything.
package srs

import (
	"errors"

	"exigo/internal/eventlog"
	"exigo/internal/expand"
	"exigo/internal/feature"
	"exigo/internal/mail"
	"exigo/internal/proto/srs"
	"exigo/internal/route"
)

// state is what the last inbound_srs of a scope found, or the option srs of the router at work.
type state struct {
	recipient, originalRecipient, originalSender expand.Value
	// address and key are what goes to the database, or comes from it.
	address, key expand.Value
	status       string
}

// variable is a row for a part of the state.
func variable(name, doc string, get func(st *state) expand.Value) expand.Variable {
	return expand.Variable{Name: name, Doc: doc, Get: func(s *expand.Scope) (expand.Value, error) { return get(mail.State[state](&s.Bag)), nil }}
}

// Feature is the room.
func Feature() *feature.Feature {
	return &feature.Feature{
		Name: "srs", Support: "SRS", Macros: []string{"_HAVE_NATIVE_SRS"},
		Doc:     "Sender Rewriting Scheme: signed return paths for forwarded mail.",
		Options: optionSets(),
		Routing: []route.Extension{{Driver: "redirect", Before: before}},
		Tags:    []eventlog.Tag{{Name: "SRS", Doc: "the sender that took the place of the original one", Place: eventlog.AfterRecipient, Delivered: tag}},
		Variables: []expand.Variable{
			variable("srs_db_address", "The address to be kept by srs_dbinsert, or that srs_dbselect found.", func(st *state) expand.Value { return st.address }),
			variable("srs_db_key", "The key for the database.", func(st *state) expand.Value { return st.key }),
			variable("srs_orig_recipient", "The recipient that a router with srs = reverse decoded.", func(st *state) expand.Value { return st.originalRecipient }),
			variable("srs_orig_sender", "The sender that a router with srs = forward rewrote.", func(st *state) expand.Value { return st.originalSender }),
			variable("srs_recipient", "The original return path that inbound_srs, or a router with srs = reverse, decoded.", func(st *state) expand.Value { return st.recipient }),
			variable("srs_status", "How the option srs of the router came out: OK, NOTSRS, BADHASH, BADTIMESTAMP or DBERROR.",
				func(st *state) expand.Value { return mail.Clean(st.status) }),
		},
		Items: []expand.Item{{
			Name: "srs_encode", Min: 3, Max: 3, Doc: "Rewrites the return path, signed with the secret, into the original domain.", Eval: encode,
			Examples: []expand.Example{{In: "${srs_encode {secret}{}{fwd.example}}", Out: ""}},
		}},
		Tests: []expand.Condition{{
			Name: "inbound_srs", Min: 2, Max: 2, Counted: true, Test: inbound,
			Doc: "True when the local part was made by srs_encode with the secret and is not too old; an empty secret checks the form alone.",
			Examples: []expand.Example{{In: "${if inbound_srs {user}{secret}{yes}{no}}", Out: "no"},
				{In: "${if inbound_srs {user}}", Err: "too few arguments or bracketing error for inbound_srs"}},
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
