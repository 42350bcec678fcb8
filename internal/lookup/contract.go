// Package lookup is the contract of lookup types (spec chapter 9) and what all of them share: the table of
// drivers, caching of results within a message, partial and default matching, and quoting. Each lookup type
// is a package below this one.
//
// Trust: keys and queries may be untrusted; the files and servers belong to the administrator, their contents may not.
package lookup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"exigo/internal/mail"
	"exigo/internal/option"
	"exigo/internal/outside"
)

// Kind tells the two ways a lookup type is written in the configuration.
type Kind int

// The kinds of lookup types.
const (
	// SingleKey types search a file (or a thing named like one) for a key: ${lookup{key}type{file}}.
	SingleKey Kind = 1 << iota
	// Query types are given one query string: ${lookup type{query}}.
	Query
	// AbsoluteFile marks a single-key type whose file must be an absolute path.
	AbsoluteFile
	// NoPartial: partial matching and the defaults * and *@ are refused for this type.
	NoPartial
)

// ErrDefer marks a temporary failure: the caller defers. Wrap it with %w and give the reason first.
var ErrDefer = errors.New("lookup deferred")

// Defer makes an error that wraps ErrDefer and whose text is Exim's.
func Defer(text string) error { return fmt.Errorf("%s: %w", text, ErrDefer) }

// OpenError is the error of a file that cannot be opened: "failed to open FILE for PURPOSE: No such file or directory". A refused
// permission says whose it was.
func OpenError(file, purpose string, err error) error { return OpenErrorAs(file, "for "+purpose, err) }

// OpenErrorAs is OpenError where another phrase stands behind the name: "as a db (v4.1+) file".
func OpenErrorAs(file, phrase string, err error) error {
	if errors.Is(err, syscall.EACCES) {
		return fmt.Errorf("failed to open %s %s: %s (euid=%d egid=%d)", file, phrase, SystemText(err), os.Geteuid(), os.Getegid())
	}
	return fmt.Errorf("failed to open %s %s: %s", file, phrase, SystemText(err))
}

// SystemText is the system's text of an error, as strerror(3) words it, without operation and path.
func SystemText(err error) string {
	var e syscall.Errno
	if errors.As(err, &e) {
		text := e.Error()
		return strings.ToUpper(text[:1]) + text[1:]
	}
	return err.Error()
}

// Request is one search.
type Request struct {
	World *outside.World
	// File is the file name of a single-key search ("" for queries; for query types with a "file=" option, that).
	File string
	// FileTainted says that an outsider may have chosen File: Search refuses it.
	FileTainted bool
	// Key is the key, or the whole query. KeyTainted says that an outsider may have had a hand in it.
	Key        string
	KeyTainted bool
	// Options are what stood after a comma in the type: "lsearch,ret=full" gives ["ret=full"].
	Options []string
	// Settings finds the type's main-section settings, an *S made by its option.Table (nil: none registered). See SettingsOf.
	Settings func(t any) any
	// Message is the message at hand, or nil.
	Message *mail.Message
	// Asking, if set, is called when the driver is about to be asked: not when the cache has the answer.
	Asking func()
	// Warn, if set, says that a tainted part of the query may be used after all, once it was told (allow_insecure_tainted_data).
	Warn func(line string)
	// Scope is the *expand.Scope of the search, for types that expand or match what they find in their file (wildlsearch);
	// nil where there is none.
	Scope any
}

// Untrusted tells whether a tainted part of the query must not be used; line is the refusal.
func (r *Request) Untrusted(line string) bool {
	if r.Warn != nil {
		r.Warn(line)
	}
	return r.Warn == nil
}

// SettingsOf returns the settings of the type at work, or fallback where there are none.
func SettingsOf[S any](r *Request, fallback *S) *S {
	if r.Settings != nil {
		if s, ok := r.Settings(fallback).(*S); ok && s != nil {
			return s
		}
	}
	return fallback
}

// Result of a search that found something.
type Result struct {
	Data string
	// Tainted says that an outsider may have chosen Data, as where it is the key itself. Data is untainted when the file or server
	// is the administrator's, which is the rule.
	Tainted bool
	// NoCache asks that the result not be kept; Life, if positive, bounds how long it is.
	NoCache bool
	Life    time.Duration
	// Authenticated is $lookup_dnssec_authenticated after a DNS lookup: "yes", "no" or "".
	Authenticated string
}

// Driver is one lookup type.
type Driver struct {
	Name string
	Kind Kind
	Doc  string
	// Find searches. found is false with a nil error when the key is not there. An error that wraps ErrDefer is
	// temporary; any other error fails the expansion with its text.
	Find func(ctx context.Context, r *Request) (result Result, found bool, err error)
	// Quick says that Find takes no longer than looking into a Cache would: results are not kept there.
	Quick bool
	// Quote makes text safe inside a query (${quote_NAME:...}), with the option after the name; nil: no such operator.
	Quote func(text, option string) (string, bool)
	// Check examines ownership and mode of the file before use; nil where there is none.
	Check func(path string) error
	// Settings are the tables of the type's options in the main section.
	Settings []option.Set
	// Version is what -bV prints for the library behind, "" for none.
	Version string
	// Conceal returns the query as it may be shown in logs, errors and debugging, without the passwords that stand in it; nil: as it is.
	Conceal func(query string) string
	// Absent marks a type of Exim's that this program knows by name only: it may quote, and its options are read, but a search is refused.
	Absent bool
}

// Shown is the query as it may be shown: see Conceal.
func (d *Driver) Shown(query string) string {
	if d.Conceal == nil {
		return query
	}
	return d.Conceal(query)
}
