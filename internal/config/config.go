// Package config reads Exim's configuration file (spec chapter 6): comments, continuation, macros, includes, conditions and sections. The
// result is an immutable Config. What the options are it learns from option tables; ACLs, retry and rewriting rules stay lines for
// the packages that compile them. Print writes what -bP shows.
//
// Trust: the administrator's file; -C and -D may come from any caller, and Read refuses what ownership and mode do not allow.
package config

import (
	"sync"

	"reflect"

	"exigo/internal/expand"
	"exigo/internal/option"
	"exigo/internal/outside"
)

// Scopes of option tables that all drivers of a kind share. Private options stand in PrivateScope's.
const (
	ScopeMain           option.Scope = "main"
	ScopeRouters        option.Scope = "routers"
	ScopeTransports     option.Scope = "transports"
	ScopeAuthenticators option.Scope = "authenticators"
)

// Kind is one of the three kinds of drivers that the file defines instances of.
type Kind int

// The kinds of drivers.
const (
	Router Kind = iota
	Transport
	Authenticator
	kinds
)

// String returns "router", "transport" or "authenticator".
func (k Kind) String() string { return [...]string{"router", "transport", "authenticator"}[k] }

// GenericScope is the scope of the options that all drivers of the kind share.
func (k Kind) GenericScope() option.Scope {
	return [...]option.Scope{ScopeRouters, ScopeTransports, ScopeAuthenticators}[k]
}

// PrivateScope is the scope of the driver's own options: "router redirect".
func (k Kind) PrivateScope(driver string) option.Scope {
	return option.Scope(k.String() + " " + driver)
}

// Config is a configuration that was read without error. It is immutable.
type Config struct {
	// Path is the file that was read (the first of the search path that exists).
	Path string
	// Main holds the settings of the main section: option.Of[Main](c.Main) and those of the rooms.
	Main option.Bag
	// ACLs, in file order, as raw lines; acl.Compile reads them.
	ACLs []Block
	// Routers, Transports and Authenticators in file order.
	Routers, Transports, Authenticators []*Instance
	// Retry and Rewrite are raw lines, continuations joined and macros replaced.
	Retry, Rewrite []Line
	// Macros are those of -D and of the file, in the order of their definition; AllMacros has the predefined ones too.
	Macros []Macro
	// Lists are the named lists in file order.
	Lists []NamedList

	language         sync.Once
	languageSettings *expand.Settings

	index    map[listKey]int
	set      map[string]setting // main options given in the file, by name
	hidden   map[hideKey]bool
	registry *Registry
	words    *words
	source   []sourceLine
	world    *outside.World
	// predefined gives the predefined macros.
	predefined func() []Macro
}

// Line is one logical line with its place in the file.
type Line struct {
	Text string
	File string
	Line int
}

// Block is an ACL: its name and its lines.
type Block struct {
	Name  string
	Lines []Line
	File  string
	Line  int
}

// Instance is one router, transport or authenticator.
type Instance struct {
	Name, Driver string
	Kind         Kind
	// Options holds the generic settings of the kind, the driver's own and those of rooms.
	Options option.Bag
	// Set holds the names of the options that the file sets (names of rows, not their aliases).
	Set map[string]bool
	// File and Line are where the instance begins.
	File string
	Line int

	driver *Driver
	raw    map[string]setting
}

// NamedList is a domainlist, hostlist, addresslist or localpartlist.
type NamedList struct {
	// Kind is 'd', 'h', 'a' or 'l'.
	Kind byte
	Name string
	Text string
	// Hide says that only administrators see it.
	Hide bool
	// NoCache is set for domainlist_cache's opposite; see spec 10.7 ("_cache" asks that results be kept).
	Cache bool
}

// Macro is a defined macro. CommandLine marks those of -D, Builtin the predefined ones.
type Macro struct {
	Name, Value          string
	CommandLine, Builtin bool
}

// Driver is what the reader must know of a driver.
type Driver struct {
	Kind Kind
	Name string
	// Options are the driver's private tables.
	Options []option.Set
	// Check is run when an instance is complete; its error's text is worded as Exim words it and is
	// printed with the instance's name. May be nil.
	Check func(*Instance) error
	// Shown gives the value that -bP shows for an option that is not set and whose default depends on other settings or on
	// the driver (retry_use_local_part, log_as_local, verify_sender, check_string): a bool or a string, or nil for options that it knows
	// nothing of. May be nil.
	Shown func(i *Instance, name string) any
}

// Registry is everything that a configuration may name. The catalog makes it.
type Registry struct {
	// Sets are the tables of the main section and of the generic options of each kind, and further tables of rooms
	// in any scope ("transport smtp" adds to the smtp transport's options).
	Sets []option.Set
	// Drivers of all kinds.
	Drivers []Driver
	// Macros are predefined macros beyond those that the reader computes from the options and drivers (_OPT_, _DRIVER_).
	Macros []Macro
	// Words, if set, gives the words that further predefined macros are made of. It is asked when a line may name one of them.
	Words func() MacroWords
}

// MacroWords are the words that predefined macros are made of: _LOG_ of LogSelectors, _EXP_VAR_ and _EXP_OP_ of Variables and Operators,
// _ACL_COND_ and _ACL_MOD_ of Conditions and Modifiers.
type MacroWords struct{ LogSelectors, Variables, Operators, Conditions, Modifiers []string }

// Request says what to read.
type Request struct {
	// Path is the file, or a colon-separated list of which the first that exists is read.
	Path string
	// Alternate says that Path came from -C.
	Alternate bool
	// Macros are the -D definitions.
	Macros []Macro
	// MacroUsed is told of each macro, not a predefined one, that is replaced in a line; nil: nobody is.
	MacroUsed func(name, value string)
	Registry  *Registry
	World     *outside.World
	// Expand expands the options that are settled when the file is read (spool_directory, log_file_path, never_users ...) over
	// the configuration as it stands. Nil: they are taken as they are.
	Expand func(c *Config, text string) (string, error)
	// Users are tried in order as the default of exim_user; nil stands for exim, Debian-exim and exigo.
	Users []string
	// HostsFile is where the full name of a machine whose name has no dot is looked for, before the DNS; "" is /etc/hosts.
	HostsFile string
	// SkipChecks leaves out ownership and mode (-C of a caller without privilege).
	SkipChecks bool
	// MainOnly reads the main section and stops.
	MainOnly bool
}

// Error is a mistake in the configuration. Error() is what Exim prints, without time stamp.
type Error struct {
	// File and Line are the place; Line 0 means that there is none.
	File string
	Line int
	// For names what is wrong in place of file and line: "r1 router".
	For  string
	Text string
	// Bare errors are printed without "Exim configuration error".
	Bare bool
	// Partial is what was read before the mistake, for those who log it: log_file_path and spool_directory, expanded if that
	// can be done. It is nil when no file could be opened.
	Partial *Config
}

type listKey struct {
	kind byte
	name string
}

type hideKey struct {
	scope option.Scope
	name  string
}

// setting is the text of an option as the file gives it.
type setting struct {
	text  string
	line  Line
	alias bool // given by an older name; the option's own name may follow
}

type sourceLine struct {
	text   string
	hidden bool
}

// NamedList implements expand.Configuration: the text of a list of kind 'd', 'h', 'a' or 'l'.
func (c *Config) NamedList(kind byte, name string) (string, bool) {
	i, ok := c.index[listKey{kind, name}]
	if !ok {
		return "", false
	}
	return c.Lists[i].Text, true
}

// MainOptions implements expand.Configuration.
func (c *Config) MainOptions() option.Bag { return c.Main }

// Of returns the configuration of a scope, or an empty one where the scope has none.
func Of(s *expand.Scope) *Config {
	if c, ok := s.Config.(*Config); ok {
		return c
	}
	return &Config{Main: option.Bag{}}
}

// Instances returns the instances of a kind in file order.
func (c *Config) Instances(k Kind) []*Instance {
	switch k {
	case Router:
		return c.Routers
	case Transport:
		return c.Transports
	}
	return c.Authenticators
}

// Find returns the instance with the name, or nil.
func (c *Config) Find(k Kind, name string) *Instance {
	for _, i := range c.Instances(k) {
		if i.Name == name {
			return i
		}
	}
	return nil
}

// ACL returns the named ACL.
func (c *Config) ACL(name string) (Block, bool) {
	for _, b := range c.ACLs {
		if b.Name == name {
			return b, true
		}
	}
	return Block{}, false
}

// IsSet tells whether the file sets the main option.
func (c *Config) IsSet(name string) bool {
	_, ok := c.set[name]
	return ok
}

// SettingsFor finds the main-section settings of a type: t is a nil *S, the result the *S of S's table, or nil where the
// catalog has no such table. Packages below this one are given it as a function.
func (c *Config) SettingsFor(t any) any {
	if p := reflect.TypeOf(t); p != nil && p.Kind() == reflect.Pointer {
		return c.Main[p.Elem()]
	}
	return nil
}
