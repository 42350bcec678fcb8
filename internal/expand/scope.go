package expand

import (
	"context"
	"os"
	"time"

	"exigo/internal/outside"
	"exigo/internal/regex"
)

// Settings are the main options that the language itself and lists obey. The Config of a Scope offers them by a method
// LanguageSettings() *expand.Settings; without one the specification's defaults hold.
type Settings struct {
	PrimaryHostname  string
	QualifyDomain    string
	QualifyRecipient string // qualify_domain where it is not set
	SpoolDirectory   string
	LogDirectory     string // the directory of the log files, for $log_space
	ConfigFile       string
	EximPath         string
	EximUID, EximGID int
	LocalhostNumber  string
	InitialDirectory string
	// BounceReturnSizeLimit, in bytes.
	BounceReturnSizeLimit int64
	// Location is the zone of the option timezone, nil for the system's.
	Location *time.Location
	// LogIncomingPort: log_selector has incoming_port.
	LogIncomingPort  bool
	HeadersCharset   string // headers_charset
	PrintTopbitchars bool   // print_topbitchars
	// CheckRFC2047Length: encoded words that are too long are not decoded.
	CheckRFC2047Length  bool
	MessageBodyVisible  int
	MessageBodyNewlines bool
	// StrictACLVars: an acl_ variable that was never set is an error.
	StrictACLVars bool
	// AllowInsecureTaintedData: tainted values may be used where they are dangerous, with a warning (allow_insecure_tainted_data).
	AllowInsecureTaintedData bool
	AllowUTF8Domains         bool
	AllowDomainLiterals      bool
	// HostsTreatAsLocal is the domain list hosts_treat_as_local, LocalInterfaces the addresses that are ours for
	// routing (local_interfaces, extra_local_interfaces), as a list; empty: all of the machine's.
	HostsTreatAsLocal, LocalInterfaces string
	HostLookupOrder                    string // host_lookup_order
	DNSAgainMeansNonexist              string // domain list
	DNSIPv4Lookup                      string // domain list
	DisableIPv6                        bool
}

// defaultSettings are the defaults of chapter 14.
var defaultSettings = Settings{
	HeadersCharset: "ISO-8859-1", CheckRFC2047Length: true, MessageBodyVisible: 500, HostLookupOrder: "bydns:byaddr",
	BounceReturnSizeLimit: 100 << 10, LocalhostNumber: "0",
}

// Settings returns the main options that concern the language; never nil. They must not be changed.
func (s *Scope) Settings() *Settings {
	if c, ok := s.Config.(interface{ LanguageSettings() *Settings }); ok {
		if settings := c.LanguageSettings(); settings != nil {
			return settings
		}
	}
	return &defaultSettings
}

// resolver is the resolver that wants to know of the scope's look-ups, nil for none.
func (s *Scope) resolver() outside.Resolver {
	if s.Engine.Hooks.Resolver == nil {
		return nil
	}
	return s.Engine.Hooks.Resolver(s)
}

// DNS is the resolver for look-ups within the scope.
func (s *Scope) DNS() outside.Resolver {
	if r := s.resolver(); r != nil {
		return r
	}
	return s.Engine.World.DNS
}

// World is the engine's world with the scope's resolver, for those who only want a world.
func (s *Scope) World() *outside.World {
	r := s.resolver()
	if r == nil {
		return s.Engine.World
	}
	w := *s.Engine.World
	w.DNS = r
	return &w
}

// ExtraValue returns the variable of the moment of this name.
func (s *Scope) ExtraValue(name string) Value { return s.Extra[name] }

// SetExtra sets a variable of the moment and returns a function that brings the old value back.
func (s *Scope) SetExtra(name string, v Value) (restore func()) {
	old, had := s.Extra[name]
	if s.Extra == nil {
		s.Extra = map[string]Value{}
	}
	s.Extra[name] = v
	return func() {
		if had {
			s.Extra[name] = old
		} else {
			delete(s.Extra, name)
		}
	}
}

// Derive makes a scope for an evaluation within this one that must not disturb $1, $value and $item: it shares nouns and caches.
func (s *Scope) Derive() *Scope {
	s.caches()
	d := *s
	d.stack, d.text = nil, nil
	d.Numbers = append([]Value(nil), s.Numbers...)
	if s.Extra != nil {
		d.Extra = make(map[string]Value, len(s.Extra))
		for k, v := range s.Extra {
			d.Extra[k] = v
		}
	}
	return &d
}

// SetNumbers sets $0, $1 ... to captured texts; they are tainted if the subject is.
func (s *Scope) SetNumbers(captures []string, tainted bool) {
	numbers := make([]Value, len(captures))
	for i, c := range captures {
		numbers[i] = Value{S: c, Tainted: tainted}
	}
	s.Numbers = numbers
}

// Match tests subject against a regular expression and, if it matches, sets $0 and above. A wrong expression is an error
// with Exim's message; reaching a limit is a temporary one, which is also logged.
func (s *Scope) Match(pattern string, subject Value, options regex.Options) (bool, error) {
	if err := s.Spend(Costly + len(subject.S)>>pieceBits); err != nil {
		return false, err
	}
	re, err := s.Engine.Regex.Compile(pattern, options)
	if err != nil {
		return false, &Error{Text: err.Error()}
	}
	var space [24]int
	pairs, err := re.MatchIndex(space[:0], subject.S, 0, false)
	if err != nil {
		s.Panic("%s", err)
		return false, &Error{Text: err.Error(), Temporary: true}
	}
	if pairs == nil {
		return false, nil
	}
	numbers := make([]Value, len(pairs)/2)
	for i := range numbers {
		if from, to := pairs[2*i], pairs[2*i+1]; from >= 0 && from <= to {
			numbers[i] = Value{S: subject.S[from:to], Tainted: subject.Tainted}
		}
	}
	s.Numbers = numbers
	return true, nil
}

// ReadFile reads a file for the language, through the hook if there is one.
func (s *Scope) ReadFile(ctx context.Context, path string) ([]byte, error) {
	if s.Engine.Hooks.ReadFile != nil {
		return s.Engine.Hooks.ReadFile(ctx, path)
	}
	return os.ReadFile(path)
}
