package dkim

import (
	"strconv"

	"exigo/internal/expand"
	"exigo/internal/mail"
	"exigo/internal/proto/dkim"
)

// noLimit is what variables say where the signature sets no limit.
const noLimit = "9999999999999"

// state is what is known of a message's signatures.
type state struct {
	verifier *dkim.Verifier
	// problem, "EXCESS_SIGS" or "LONG_LINE", is why nothing is verified.
	problem string
	results []*judged
	// signers and verifySigners are lists: those who signed, and those for whom the ACL runs.
	signers, verifySigners string
	// signer is the one at hand, current his signature (nil for none), status and reason its result.
	signer, status, reason string
	current                *judged
	// keyLength is that of the last signature whose key was needed.
	keyLength int
	// domain is that of the last good signature that was reported.
	domain string
}

// judged is a result and what the ACL made of it.
type judged struct {
	*dkim.Result
	// replaced says that the ACL set status and reason.
	replaced       bool
	status, reason string
}

// signed is what a delivery's signatures are: "domain:selector" for each, in the bag of an address.
type signed struct{ by string }

// stateOf returns the state of the scope's message, nil when nothing was verified.
func stateOf(s *expand.Scope) *state {
	if s.Message == nil {
		return nil
	}
	return mail.Peek[state](&s.Message.Bag)
}

func ofState(name, doc string, get func(*state) expand.Value) expand.Variable {
	return expand.Variable{Name: name, Doc: doc, Get: func(s *expand.Scope) (expand.Value, error) {
		if st := stateOf(s); st != nil {
			return get(st), nil
		}
		return expand.Value{}, nil
	}}
}

// ofSignature makes a variable about the signature at hand; none is its value when there is none.
func ofSignature(name, doc, none string, get func(*dkim.Result) string) expand.Variable {
	return expand.Variable{Name: name, Doc: doc, Get: func(s *expand.Scope) (expand.Value, error) {
		if st := stateOf(s); st != nil && st.current != nil {
			return mail.Taint(get(st.current.Result)), nil
		}
		return mail.Clean(none), nil
	}}
}

// ofKey makes a variable about the key of the signature at hand.
func ofKey(name, doc, none string, get func(*dkim.Key) string) expand.Variable {
	return ofSignature(name, doc, none, func(r *dkim.Result) string {
		if r.Key == nil {
			return none
		}
		return get(r.Key)
	})
}

// signing makes a variable that has another meaning while a message is signed.
func signing(name, doc string, get func(*dkim.Result) string) expand.Variable {
	v := ofSignature(name, doc, "", get)
	verifying := v.Get
	v.Get = func(s *expand.Scope) (expand.Value, error) {
		if v, ok := s.Extra[name]; ok {
			return v, nil
		}
		return verifying(s)
	}
	return v
}

func keyLength(s *expand.Scope) (expand.Value, error) {
	if st := stateOf(s); st != nil {
		return mail.Clean(strconv.Itoa(st.keyLength)), nil
	}
	return mail.Clean("0"), nil
}

func number(n int64, none string) string {
	if n < 0 {
		return none
	}
	return strconv.FormatInt(n, 10)
}

func flag(b bool) string {
	if b {
		return "1"
	}
	return "0"
}
