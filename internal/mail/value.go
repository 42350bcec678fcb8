// Package mail holds the nouns of mail transfer: session, message, recipient, address, header, host and verdict,
// and the typed bags in which features keep state of their own beside them. It knows no configuration and does nothing.
//
// Trust: carries untrusted data; whatever came from outside is marked in Value.Tainted by those who put it here.
package mail

import "reflect"

// Value is a string of the expansion language with its taint (spec 11.1). Taint is part of the value: it is
// true for everything that an outsider could have chosen.
type Value struct {
	S       string
	Tainted bool
	// Quoted names the lookup type whose quoting operator made this text ("" for none), so that a query
	// built of it may be run.
	Quoted string
}

// Clean makes an untainted value.
func Clean(s string) Value { return Value{S: s} }

// Taint makes a tainted value.
func Taint(s string) Value { return Value{S: s, Tainted: true} }

// Bag holds state of features: one value a type. The zero Bag is ready. A Bag belongs to its noun and is
// used by one goroutine at a time, as the noun is.
type Bag struct{ m map[reflect.Type]any }

// State returns the T of the bag, made on first use. T is an unexported struct of the feature that owns it.
func State[T any](b *Bag) *T {
	key := reflect.TypeFor[T]()
	if v, ok := b.m[key]; ok {
		return v.(*T)
	}
	if b.m == nil {
		b.m = make(map[reflect.Type]any)
	}
	v := new(T)
	b.m[key] = v
	return v
}

// Peek returns the T of the bag, or nil when State was never called for it.
func Peek[T any](b *Bag) *T {
	v, _ := b.m[reflect.TypeFor[T]()].(*T)
	return v
}

// Verdict is the result of one authentication method in the words of RFC 8601: what
// Authentication-Results carries. Features append verdicts to Message.Verdicts and read those of others.
type Verdict struct {
	Method string // "spf", "dkim", "dmarc", "arc", "auth", "iprev"
	Result string // "pass", "fail", "none", ...
	Reason string
	// Properties are "ptype.property=value" triples in order.
	Properties []Property
	Comment    string
}

// Property is one ptype.name=value of a Verdict.
type Property struct{ Type, Name, Value string }
