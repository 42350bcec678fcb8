// Package option declares configuration options: tables of typed rows that stand beside the code that
// obeys them. The configuration reader, -bP, the predefined macros and the reference read the same rows.
//
// Trust: parses text of the administrator's configuration.
package option

import (
	"fmt"
	"reflect"
	"slices"
	"time"
)

// The Go type of the field a row points to is the option's type:
//
//	bool            "boolean": name, no_name, not_name, name = yes/no/true/false
//	*bool           boolean that can be unset
//	int             "integer": decimal, 0x, 0 octal; K, M and G suffixes
//	Size            integer that is printed with K, M or G
//	KSize           disk space, given and printed in units of 1024 bytes or with K, M and G
//	Octal           "octal integer"
//	Fixed           "fixed-point": up to three digits after the point, held in thousandths
//	time.Duration   "time": 1w2d3h4m5s
//	Times           a colon-separated list of times
//	string          "string", not expanded
//	Expanded        "string*", expanded when used
//	[]string        "string list", split when read
//	DomainList, HostList, AddressList, LocalPartList, StringList   lists, expanded and matched when used
//	ExpandedBool    "boolean*": a fixed value or an expansion that yields yes or no
//	ExpandedInt     "integer*"
//	ExpandedTime    "time*": a fixed time or an expansion that yields one
//	UserID, GroupID names or numbers of users and groups, or an expansion
//	UserList, GroupList  lists of users and groups, expanded once and resolved when read
//	*Fixed          fixed-point that can be unset
type (
	Size          int64
	KSize         int64 // in bytes, always a multiple of 1024
	Octal         uint32
	Fixed         int
	Times         []time.Duration
	Expanded      string
	DomainList    string
	HostList      string
	AddressList   string
	LocalPartList string
	StringList    string // expanded to a list of strings when used
	ExpandedInt   string
	UserID        string
	GroupID       string
)

// ExpandedBool is a boolean that may be an expansion. Text is empty when the value is fixed.
type ExpandedBool struct {
	Value bool
	Text  Expanded
}

// ExpandedTime is a time that may be an expansion. Text is empty when the value is fixed.
type ExpandedTime struct {
	Value time.Duration
	Text  Expanded
}

// UserList is a list of users: the text as given and, once the configuration is read, the ids.
type UserList struct {
	Text string
	IDs  []int
}

// GroupList is a list of groups: the text as given and, once the configuration is read, the ids.
type GroupList struct {
	Text string
	IDs  []int
}

// Has tells whether the id is in the list.
func (l UserList) Has(uid int) bool { return slices.Contains(l.IDs, uid) }

// HasAny tells whether one of the ids is in the list.
func (l GroupList) HasAny(gids ...int) bool {
	return slices.ContainsFunc(gids, func(g int) bool { return slices.Contains(l.IDs, g) })
}

// Row declares one option of the settings type S.
type Row[S any] struct {
	// Name as administrators write it.
	Name string
	// Default in the text form an administrator would write; "" is unset (zero).
	Default string
	// Field returns a pointer to the field that holds the value. Its type is the option's type.
	Field func(*S) any
	// Multiple options may be given several times; their values are joined by the separator or as
	// header lines. Rows that say nothing refuse a second setting.
	Repeat Repeat
	// AliasOf names the option of which this row is an older name; the other columns are then empty.
	AliasOf string
	// Secure options are shown by -bP to administrators only, as if preceded by "hide".
	Secure bool
	// Doc is one sentence for the reference.
	Doc string
}

// Repeat says what a second setting of an option does.
type Repeat int

// What a second setting of the same option does.
const (
	// Once: an error, as Exim words it.
	Once Repeat = iota
	// JoinColon: appended with a colon (headers_remove).
	JoinColon
	// JoinNewline: appended with a newline (headers_add).
	JoinNewline
	// JoinList: appended to a string list with a semicolon (set of routers); an expanded string (condition of
	// routers) becomes an expansion that holds when all settings hold.
	JoinList
)

// Scope says where an option may stand: "main"; "routers", "transports", "authenticators" for the generic
// options of all drivers of the kind; or the kind and driver as "router redirect", "transport smtp", "auth plaintext".
type Scope string

// Table is the list of options of one settings type in one scope.
type Table[S any] struct {
	Scope Scope
	Rows  []Row[S]
}

// Set is a Table without its type parameter: what the configuration reader works with.
type Set interface {
	// At returns the scope the options stand in.
	At() Scope
	// Describe returns the rows without their field functions, in table order.
	Describe() []Description
	// New returns a pointer to a fresh settings value with all defaults set.
	New() any
	// Field returns the pointer to the named option's field in settings (which New made).
	Field(settings any, name string) (field any, ok bool)
	// Type is the settings type, under which Bag keeps the value.
	Type() reflect.Type
}

// Description is what there is to say about a row.
type Description struct {
	Name, Type, Default, AliasOf, Doc string
	Repeat                            Repeat
	Secure                            bool
}

// At implements Set.
func (t Table[S]) At() Scope { return t.Scope }

// Type implements Set.
func (t Table[S]) Type() reflect.Type { return reflect.TypeFor[S]() }

// Describe implements Set.
func (t Table[S]) Describe() []Description {
	var zero S
	out := make([]Description, 0, len(t.Rows))
	for _, r := range t.Rows {
		d := Description{Name: r.Name, Default: r.Default, AliasOf: r.AliasOf, Doc: r.Doc, Repeat: r.Repeat, Secure: r.Secure}
		if r.Field != nil {
			d.Type = TypeName(r.Field(&zero))
		}
		out = append(out, d)
	}
	return out
}

// New implements Set. A default that does not parse is a programmer's mistake and panics; a whole-table
// test of every table calls New.
func (t Table[S]) New() any {
	s := new(S)
	for _, r := range t.Rows {
		if r.Default == "" || r.Field == nil {
			continue
		}
		if err := Parse(r.Field(s), r.Default); err != nil {
			panic(fmt.Sprintf("option %s %s: default %q: %v", t.Scope, r.Name, r.Default, err))
		}
	}
	return s
}

// Field implements Set.
func (t Table[S]) Field(settings any, name string) (any, bool) {
	s, ok := settings.(*S)
	if !ok {
		return nil, false
	}
	for _, r := range t.Rows {
		if r.Name != name {
			continue
		}
		if r.AliasOf != "" {
			return t.Field(settings, r.AliasOf)
		}
		return r.Field(s), true
	}
	return nil, false
}

// Bag holds the settings of several tables, one value a settings type. Options of rooms and of the engine
// itself live side by side in it: the main section is one Bag, every driver instance is another.
type Bag map[reflect.Type]any

// Add makes the settings of a set with its defaults, unless they are there, and returns them.
func (b Bag) Add(s Set) any {
	if v, ok := b[s.Type()]; ok {
		return v
	}
	v := s.New()
	b[s.Type()] = v
	return v
}

// Of returns the settings of type S in the bag. Where the bag has none (the room is not in the catalog) it
// returns zero settings.
func Of[S any](b Bag) *S {
	if v, ok := b[reflect.TypeFor[S]()].(*S); ok {
		return v
	}
	return new(S)
}
