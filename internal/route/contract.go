// Package route decides where an address goes (spec chapters 3.8 to 3.12, 15 and 44.45): it offers the address to the
// configured routers in order, each of which may assign it to a transport, make new addresses of it, fail it, defer it,
// or leave it to the next one. The same engine verifies addresses and answers -bt and -bv. Each router driver is a package
// below this one.
//
// Trust: addresses come from clients and from users' forward files and stay tainted; the configuration is the
// administrator's; DNS answers are untrusted.
package route

import (
	"context"
	"io/fs"
	"time"

	"exigo/internal/config"
	"exigo/internal/expand"
	"exigo/internal/mail"
	"exigo/internal/option"
)

// Outcome is what a router made of an address (spec 3.10).
type Outcome int

// The outcomes of one router.
const (
	// Accepted: the address was assigned to a transport (Run.Deliver) or replaced by children (Run.Child).
	Accepted Outcome = iota
	// Pass: go on with the next router or pass_router, whatever "more" says.
	Pass
	// Decline: go on with the next router unless "more" is false.
	Decline
	// Fail: bounce; Address.Outcome holds the text.
	Fail
	// Defer: try again later; Address.Outcome holds the text, and Freeze.
	Defer
	// Error: a mistake in the configuration; as Defer, and the panic log says why.
	Error
	// Rerouted: one child with a changed domain takes the address's place.
	Rerouted
	// Discard: the address is done with, without any delivery (:blackhole:, /dev/null by a filter's seen finish).
	Discard
)

// Driver is one kind of router.
type Driver struct {
	Name string
	Doc  string
	// Options are the driver's private options, at scope "router NAME"; nil when there are none.
	Options option.Set
	// Check examines one instance when the configuration is read; its error is a configuration error
	// without the leading "NAME router:". nil when there is nothing to check.
	Check func(i *Instance) error
	// Run handles one address whose preconditions hold.
	Run func(r *Run) Outcome
	// Transport says whether the generic transport option must, may or must not be set.
	Transport TransportUse
	// LogAsLocal is the default of log_as_local.
	LogAsLocal bool
	// Once tells whether the router must not handle an address with any ancestor that it has handled (no_repeat_use);
	// nil: it may, unless the ancestor has the same name.
	Once func(i *Instance) bool
	// Shown gives the value that -bP shows for a private option that is not set and whose default depends on others (config.Driver); nil: none has.
	Shown func(i *Instance, name string) any
	// CopyRouting tells whether other addresses of the same domain may be given the same routing (same_domain_copy_routing).
	CopyRouting func(i *Instance) bool
}

// TransportUse says whether a kind of router needs the transport option.
type TransportUse int

// Uses of the transport option. Required is waived by verify_only.
const (
	TransportRequired TransportUse = iota
	TransportOptional
	TransportForbidden
)

// Instance is one router as the configuration names it.
type Instance = config.Instance

// Router is a compiled Instance.
type Router struct {
	*Instance
	// Generic are the options of spec chapter 15.
	Generic *Generic
	Driver  *Driver
	// Index is the place in the configuration, from 0.
	Index int
	// RetryByAddress says that retry hints for routing are kept by whole address, not by domain (retry_use_local_part).
	RetryByAddress bool

	pass, redirect *Router
	self           selfAction
}

// Settings returns a router's settings of type S, the generic or the driver's own.
func Settings[S any](i *Instance) *S { return option.Of[S](i.Options) }

// Run is one router at work on one address.
type Run struct {
	Ctx     context.Context
	Scope   *expand.Scope
	Router  *Router
	Address *mail.Address
	Engine  *Engine
	// Mode says why the address is routed.
	Mode mail.VerifyMode
	// LocalUser is set after check_local_user: the account.
	LocalUser *LocalUser

	children        []*mail.Address
	assigned, local bool
	home            string // $home
	before          properties
}

// LocalUser is what check_local_user found.
type LocalUser struct {
	Name     string
	UID, GID int
	Home     string
}

// Identity is the user and group that files are read and commands are run as. The flags tell 0 from unset.
type Identity struct {
	UID, GID       int
	UIDSet, GIDSet bool
	// InitGroups adds the user's supplementary groups.
	InitGroups bool
}

// Services are what the engine needs from higher layers and from root. The top fills them; a nil function makes
// what needs it defer with a clear error.
type Services struct {
	// ReadFile reads a file as the identity, for at most limit bytes; info is of the open file. Errors are those of package os
	// (fs.ErrNotExist, syscall.EACCES, syscall.ENOTDIR ...). An unset identity reads as the program itself.
	ReadFile func(ctx context.Context, id Identity, path string, limit int64) (data []byte, info fs.FileInfo, err error)
	// Stat examines a path as the identity.
	Stat func(ctx context.Context, id Identity, path string) (fs.FileInfo, error)
	// Command runs a program for queryprogram and returns its standard output, of at most limit bytes.
	Command func(ctx context.Context, c Command) (output []byte, err error)
	// RewriteAddress applies the global rewriting rules for envelope recipients (or senders) to an address; it returns
	// the address as it was when no rule matches.
	RewriteAddress func(s *expand.Scope, address string, sender bool) (string, error)
	// RewriteHeaders replaces a domain in the message's address headers (self = reroute: rewrite:, widened domains).
	RewriteHeaders func(s *expand.Scope, oldDomain, newDomain string)
	// Log writes a line to the main log, Panic to the main and panic log; they add time and message id.
	Log, Panic func(s *expand.Scope, line string)
	// Report sends the message of syntax_errors_to: text is its body, to a list of addresses. nil: none is sent.
	Report func(s *expand.Scope, to, text string)
	// Debug gets the output of debug_print in -bt and with -d; nil: none.
	Debug func(line string)
	// Trace gets the steps of routing (-d+route), a line each, without its end; nil: none.
	Trace func(line string)
	// Transport tells about a transport of the configuration.
	Transport func(name string) (TransportInfo, bool)
	// Callout runs callouts; nil: verification with callout defers.
	Callout func(ctx context.Context, s *expand.Scope, c Callout) CalloutResult
	// Extensions are what features do in routers.
	Extensions []Extension
	// Quota checks the mailbox's quota for verify = recipient/quota: ok false gives the text of the failure.
	Quota func(ctx context.Context, s *expand.Scope, a *mail.Address, o VerifyOptions) (ok bool, temporary bool, text string)
}

// Extension is what a feature does in all routers of a kind; its options are at scope "router DRIVER", or, where Driver is "" and all
// routers are meant, at "routers". Both functions may be nil.
type Extension struct {
	Driver string
	// Wanted is a precondition, the last one to be tested: false skips the router.
	Wanted func(r *Run) bool
	// Before acts when the router's preconditions hold, before its driver runs; what it sets in the address (Address.ReturnPath) is taken
	// back if the router declines. ok false ends the router's work with the outcome.
	Before func(r *Run) (outcome Outcome, ok bool)
}

// Command is a program to run for routing.
type Command struct {
	Identity  Identity
	Arguments []string
	// Environment are NAME=value pairs, Directory the working directory.
	Environment []string
	Directory   string
	// Timeout is 0 for none; Limit is the greatest length of the output.
	Timeout time.Duration
	Limit   int
}

// TransportInfo is what routing needs to know about a transport.
type TransportInfo struct {
	Name string
	// Local is set for all drivers but smtp.
	Local bool
	// SMTP is set for the driver that callouts can use.
	SMTP bool
	// OverridesHosts says that the transport's own hosts are used in any case (hosts_override).
	OverridesHosts bool
}

// VerifyOptions say how an address is verified.
type VerifyOptions struct {
	// Sender verifies as a sender, otherwise as a recipient.
	Sender bool
	// Expn is set for the EXPN command: routing as with -bt, with the routers' expn option.
	Expn bool
	// SuccessOnRedirect ends with success when the address is redirected.
	SuccessOnRedirect bool
	// Unqualified permits an address without a domain, which is then qualified.
	Unqualified bool
	// Callout is nil when none is wanted.
	Callout *CalloutOptions
	// Quota asks for the mailbox's quota; the durations are the lives of cache records.
	Quota                        bool
	QuotaPositive, QuotaNegative time.Duration
}

// CalloutOptions are the parameters of spec 44.47.
type CalloutOptions struct {
	// Timeout is for each command, Connect for the connection, Overall for all hosts together.
	Timeout, Connect, Overall time.Duration
	DeferOK, NoCache, Random  bool
	UseSender, UsePostmaster  bool
	Hold, FullPostmaster      bool
	Postmaster                bool
	PostmasterMailFrom        string
	MailFrom                  string
	HeaderSender              bool
}

// Callout is one address to be tried at its hosts.
type Callout struct {
	Options CalloutOptions
	Sender  bool
	Address *mail.Address
	Hosts   []mail.Host
	// Transport is the transport's name, "" for a router that is for verification only.
	Transport string
}

// CalloutResult is how a callout ended.
type CalloutResult struct {
	// Result is mail.Delivered (good), mail.Failed or mail.Deferred.
	Result mail.Result
	// UserMessage is for the client, Message for the log.
	UserMessage, Message string
	// Failure is "mail", "recipient", "postmaster", or "random" with a good result.
	Failure string
	// Reply is the server's reply that put the callout off, its code before the first of its lines (separated by \n); "" when it was something else.
	Reply string
}

// Verified is the result of a verification.
type Verified struct {
	// Result is mail.Delivered (verified), mail.Failed or mail.Deferred.
	Result mail.Result
	// Address is the address after rewriting and qualification; Final the last one that was routed (a single child).
	Address string
	Final   *mail.Address
	// UserMessage is for the client, Message for the log.
	UserMessage, Message string
	// Failure is "qualify", "route", "mail", "recipient", "postmaster", "quota"; or "random" after a success.
	Failure string
	// Reply is the reply of a callout's server, as in CalloutResult.
	Reply string
	// AddressData, DomainData and LocalPartData are those of the final address.
	AddressData, DomainData, LocalPartData mail.Value
}

// Routed is what became of one address that Engine.Route handled.
type Routed struct {
	// Outcome is Accepted, Fail, Defer, Error, Discard or Rerouted. For Fail, Defer and Error the address's Outcome has the texts.
	Outcome Outcome
	// Address is the address that was routed. Its Transport is set if it is to be delivered as it is.
	Address *mail.Address
	// Children are new addresses to route, in order; the caller counts them: each one's Parent.Children++. With "unseen", the first of
	// them is the clone that goes on with the next router, and the address itself has become a child of a copy of itself: clone and
	// address have one parent, whose Children counts the address already.
	// Children of Kind file, pipe and reply are not routed again: their Transport is set; those that are forbidden come with
	// Outcome.Result Failed.
	Children []*mail.Address
	// Assigned says that the router gave the address to its transport (or, in a router for verification only, to none).
	// Local tells whether it is a local one.
	Assigned, Local bool
}
