// Package feature is the contract of a room: everything that a feature can add to the program is a field of Feature. The
// catalog lists the rooms; no room knows another.
//
// Trust: declarations only; what rooms do with untrusted data is said in their own packages.
package feature

import (
	"context"

	"exigo/internal/acl"
	"exigo/internal/bounce"
	"exigo/internal/config"
	"exigo/internal/eventlog"
	"exigo/internal/expand"
	"exigo/internal/lookup"
	"exigo/internal/option"
	"exigo/internal/route"
	"exigo/internal/smtpclient"
	"exigo/internal/smtpserver"
	"exigo/internal/spool"
	"exigo/internal/submit"
	"exigo/internal/tlspolicy"
	"exigo/internal/transport"
)

// Feature is everything a room can add. A field here is a touch point; there are no others.
type Feature struct {
	// Name is the folder's; Doc one sentence for the reference.
	Name, Doc string
	// Support is the word for the "Support for:" line of -bV, "" for none.
	Support string
	// Scanners are words for the "Malware:" line of -bV: types of virus scanners.
	Scanners []string
	// Needs names features whose results this one reads.
	Needs []string
	// Macros are names to predefine beside _HAVE_SUPPORT and those of the options, "NAME=value" or without a value of their own.
	Macros []string

	// Start runs when the program begins work that may expand strings or handle messages, and in the daemon again after SIGHUP: root has
	// been given up by then, if it is going to be. An error ends a program that begins; a daemon that goes on logs it. May be nil.
	Start func(ctx context.Context, b Beginning) error

	// Options adds settings to any scope of the configuration.
	Options []option.Set
	// Variables, Items, Operators and Tests are words of the expansion language.
	Variables []expand.Variable
	Items     []expand.Item
	Operators []expand.Operator
	Tests     []expand.Condition
	Lookups   []*lookup.Driver
	// Conditions and Controls are words of ACLs, Verify what the condition verify can verify, Settings what the modifier set can set.
	Conditions []acl.Condition
	Controls   []acl.Control
	Verify     []acl.Verification
	Settings   []acl.Setting
	// Extensions is what a client is offered, Outgoing what is asked of a server.
	Extensions []*smtpserver.Extension
	Outgoing   []*smtpclient.Extension
	// Signers put lines on top of the messages that the smtp transport sends (DKIM, then ARC).
	Signers []*transport.Signer
	// Accept wraps a fresh connection, before the banner.
	Accept []smtpserver.Accept
	// Reception sees every message on its way in: body, and a check before the last ACL.
	Reception []submit.Room
	// Verdicts are the methods of authentication whose results this feature puts into Message.Verdicts when it is asked.
	Verdicts []Verifier
	// Routing acts in routers of a kind.
	Routing []route.Extension
	// TLS adjusts what is negotiated.
	TLS []tlspolicy.Adjust
	// Fields is what travels in the spool.
	Fields []spool.Field
	// Tags are fields of log lines.
	Tags []eventlog.Tag
	// Events makes the listener for the events of a transport, of the main program when t is nil; it returns nil where nobody listens, and then
	// nothing is ever computed for one. panicLog takes a line for main and panic log.
	Events func(cfg *config.Config, t *transport.Transport, panicLog func(s *expand.Scope, line string)) expand.Raise
	// Bounce are per-recipient fields of delivery reports.
	Bounce []bounce.Field
}

// Beginning is the moment at which a configuration is put to work.
type Beginning struct {
	Config *config.Config
	// Perl is what the command line says about the interpreter (spec 5.3): "s" after -ps, "d" after -pd, else "".
	Perl string
}

// Verifier makes verdicts of one method. So a room can read the verdict of another one without knowing it: acl.Services.EnsureVerdict.
type Verifier struct {
	// Method is the word of RFC 8601 ("spf").
	Method string
	// Ensure makes the verdict for the scope's session and message, if that was not done; it stands in Message.Verdicts then. It may
	// take as long as the method's limits allow.
	Ensure func(ctx context.Context, s *expand.Scope)
}
