package expand

import (
	"context"
	"errors"

	"exigo/internal/expand/syntax"
	"exigo/internal/lookup"
	"exigo/internal/mail"
	"exigo/internal/option"
	"exigo/internal/outside"
	"exigo/internal/regex"
)

// Value is a string with its taint.
type Value = mail.Value

// ErrForced is the error of an expansion that failed on purpose: the word "fail" in place of a branch.
// Callers test it with errors.Is; what it means is theirs to say (skip the item, decline, omit the header ...).
var ErrForced = errors.New("forced failure")

// Error is a failed expansion. Text is Exim's wording, without "failed to expand ...".
type Error struct {
	Text string
	// Temporary is set when a lookup or DNS deferred: the caller defers instead of failing.
	Temporary bool
	// Forced is set for a failure on purpose; errors.Is(err, ErrForced) asks for it.
	Forced bool
}

// Error implements error.
func (e *Error) Error() string { return e.Text }

// Is makes errors.Is(err, ErrForced) true for forced failures.
func (e *Error) Is(target error) bool { return target == ErrForced && e.Forced }

// IsTemporary tells whether the expansion failed for a reason that may go away.
func IsTemporary(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Temporary || errors.Is(err, lookup.ErrDefer)
}

// Configuration is what the language asks of the configuration in force; config.Config implements it.
type Configuration interface {
	// NamedList returns the text of a named list; kind is 'd', 'h', 'a' or 'l'.
	NamedList(kind byte, name string) (text string, ok bool)
	// MainOptions is the bag of the main section's settings.
	MainOptions() option.Bag
}

// Scope is where an expansion happens: which nouns its variables read. A Scope is used by one goroutine. Fields may be
// nil where there is no such noun; variables are then empty as documented.
type Scope struct {
	Engine  *Engine
	Config  Configuration
	Session *mail.Session
	Message *mail.Message
	// Address is the address being verified, routed or delivered.
	Address *mail.Address
	// Host is the host an outgoing connection is to ($host, $host_address), Outgoing its TLS, set by transports.
	Host     *mail.Host
	Outgoing *mail.TLS
	// Recipient is the argument of the current RCPT command ($local_part, $domain in ACLs when Address is nil).
	Recipient *mail.Recipient

	// Numbers are $0 to $9 and above; Value is $value, Item $item, Key $key.
	Numbers []Value
	Value   Value
	Item    Value
	Key     Value
	// ACLArguments are $acl_arg1.. ; their number is $acl_narg.
	ACLArguments []Value
	// Extra are variables of the moment set by callers: "dnslist_domain", "sender_rate", "event_name", "router_name",
	// "transport_name", "self_hostname", "bounce_recipient", "tod..."; a row of Variables may read them with Scope.Extra.
	Extra map[string]Value
	// Bag is for features' state of this evaluation.
	Bag mail.Bag
	// Debug, if set, is told the steps of the evaluation (-d+expand).
	Debug func(format string, args ...any)
	// Ctx ends what the evaluation waits for. Never nil in use; New sets it.
	Ctx context.Context

	depth int
	// budget is what the evaluation has taken.
	budget budget
	// nesting is how deep Debug is in texts within texts.
	nesting int
	stack   []Value     // arguments of the words that are being evaluated
	text    []byte      // of the texts that are being put together; that of the innermost is on top
	cache   *scopeCache // results of lookups and named lists
}

// Engine holds the words of the language and the world they act in. It is immutable once made (its caches lock themselves).
type Engine struct {
	World   *outside.World
	Lookups map[string]*lookup.Driver
	Hooks   Hooks
	// Regex keeps compiled regular expressions.
	Regex *regex.Cache
	words words
	trees trees
}

// Hooks are functions of higher layers which words of the language need. The catalog fills them; a nil hook makes its word
// fail with a clear error.
type Hooks struct {
	// ACL runs a named ACL for ${acl{}} and the acl condition. accepted is true for accept; forced failure is false with nil error; text is what
	// "message" left (${acl} yields it); an error wraps ErrDefer semantics (Temporary) or is a mistake.
	ACL func(s *Scope, name string, arguments []Value) (accepted bool, text Value, err error)
	// RunAs reads a file as the user who owns a home directory; nil: read as ourselves.
	ReadFile func(ctx context.Context, path string) ([]byte, error)
	// Log writes a line to the main log; Panic to main and panic log. id is that of the message at hand, or "".
	Log, Panic func(id, line string)
	// Resolver returns the resolver for look-ups in a scope, one that tells of failures; nil, or a nil result: the world's.
	Resolver func(s *Scope) outside.Resolver
	// LogSelected writes a line to the main log if log_selector has the selector.
	LogSelected func(selector, id, line string)
	// Advise tells somebody who tests the configuration what could be done better; nil: nobody looks.
	Advise func(text string)
}

// Variable is one $name.
type Variable struct {
	Name string
	Doc  string
	// Get returns the value in the scope; unset variables are the zero Value. It runs when the variable is used.
	Get func(s *Scope) (Value, error)
	// Prefix: the row answers all names that begin with Name ("acl_c", "acl_m", "r_", "auth"); Get finds the whole name in
	// Scope.VariableName.
	Prefix   bool
	GetNamed func(s *Scope, name string) (v Value, known bool, err error)
	// Fits, for a Prefix row, tells which names are well formed; nil: all.
	Fits     func(name string) bool
	Examples []Example
}

// Item is one ${name{arg}{arg}} whose arguments are all expanded before it runs. Items with lazy branches
// (if, lookup, extract ...) belong to the builtin package, which has a richer row.
type Item struct {
	Name     string
	Doc      string
	Min, Max int // number of arguments
	// Eval must not keep args.
	Eval func(s *Scope, args []Value) (Value, error)
	// YesNo: the item may be followed by {string1}{string2}; Eval's empty result with ErrNoMatch takes the second.
	YesNo    bool
	Examples []Example
}

// ErrNoMatch is what an Item with YesNo returns to take its second branch.
var ErrNoMatch = errors.New("no match")

// Operator is one ${name:subject} or ${name_argument:subject}.
type Operator struct {
	Name string
	Doc  string
	// Underscore says that the operator takes an argument after an underscore.
	Underscore bool
	Apply      func(s *Scope, argument string, subject Value) (Value, error)
	// ApplyTo, if set, is used instead: it sees the whole node, for operators that treat a certificate variable specially.
	ApplyTo  func(s *Scope, o *syntax.Operator, subject Value) (Value, error)
	Examples []Example
}

// Condition is one test of ${if name {arg}...}. With Min = Max = 1 and Bare set the argument has no braces (def:, exists-like forms are builtin's).
type Condition struct {
	Name     string
	Doc      string
	Min, Max int
	// Wrapped: the arguments stand inside one pair of outer braces, as in {name {{a}{b}}} (inbound_srs and crypteq do not).
	Wrapped bool
	// Counted: the complaint about a missing argument is that there are too few, not which one is missing.
	Counted bool
	// Early, if set, looks at the value of an argument as soon as it is known, before the next one is read.
	Early    func(n int, argument Value) error
	Test     func(s *Scope, args []Value) (bool, error)
	Examples []Example
}

// Example is documentation and a test: In expanded in an empty scope gives Out, or fails with the text Err.
type Example struct{ In, Out, Err string }

// Words is everything that a catalog gives to an engine.
type Words struct {
	Variables  []Variable
	Items      []Item
	Operators  []Operator
	Conditions []Condition
	Lookups    []*lookup.Driver
	// LazyItems and LazyConditions evaluate their parts themselves.
	LazyItems      []LazyItem
	LazyConditions []LazyCondition
}
