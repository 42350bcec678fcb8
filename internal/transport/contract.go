// Package transport is the contract of transports (spec chapters 23 to 25) and what all of them share: the
// generic options, the header block of one delivery, and writing a message to a file, a pipe or a connection
// without ever holding its body in memory. Each driver is a package below this one.
//
// Trust: headers, bodies and addresses are untrusted; options are the administrator's; expansions of them may be tainted.
package transport

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"exigo/internal/config"
	"exigo/internal/expand"
	"exigo/internal/mail"
	"exigo/internal/option"
	"exigo/internal/outside"
	"exigo/internal/wire"
)

// Driver is one kind of transport: a row of the catalog.
type Driver struct {
	// Name is the word after "driver ="; Doc one sentence for the reference.
	Name, Doc string
	// Options are the private options, scope "transport NAME".
	Options option.Set
	// Check examines an instance when the configuration is read; its error, worded as Exim words it, is printed as a
	// configuration error of the instance. nil: nothing to check.
	Check func(inst *config.Instance) error
	// Local is set for transports that run as the recipient's user, Remote for those that run in the engine. Exactly one is set.
	Local *Local
	// Remote delivers run's addresses and leaves an Outcome in each. An error is a mistake in the transport's setup;
	// it then holds for every address that has no outcome yet.
	Remote func(ctx context.Context, r *Run) error
	// Hosts returns the hosts that a remote transport would try for the run's addresses, in order: the address's or those of its own
	// options, perhaps without IP addresses yet. For those who only want to remember what a message waits for.
	Hosts func(r *Run) ([]mail.Host, error)
	// Batch returns the batch_max and batch_id of an instance; nil for drivers that never batch.
	Batch func(inst *config.Instance) (most int, id option.Expanded)
	// Shown gives the value that -bP shows for a private option that is not set and whose default depends on others (config.Driver); nil: none has.
	Shown func(inst *config.Instance, name string) any
	// Limits says which addresses may share a run of a remote transport.
	Limits func(t *Transport, s *expand.Scope) Limits
}

// Local is a transport in two halves: everything that needs the configuration or the expansion language is
// done by the engine, everything that touches the user's files or programs by the helper, as the user.
type Local struct {
	// Prepare makes the job: a struct of plain values, as package wire carries them. An *Error gives the outcome of all addresses.
	Prepare func(r *Run) (job any, err error)
	// Execute does the job and returns one outcome for each address.
	Execute func(ctx context.Context, e *Execution) []mail.Outcome
	// Answer is run in the engine when Execute asks something that only the engine can tell (an expansion that
	// depends on the file just written, a message to submit). nil: the transport never asks.
	Answer func(r *Run, question string, arguments map[string]string) (string, error)
	// Quota says that the driver knows Run.QuotaOnly; no other is ever asked.
	Quota bool
	// Identity lets the driver choose user or group when the transport's own options do not (pipe_as_creator). nil: no say.
	Identity func(r *Run) (uid, gid int, uidSet, gidSet bool)
}

// Transport is one configured instance.
type Transport struct {
	Name     string
	Driver   *Driver
	Instance *config.Instance
	Generic  *Generic
	// Raise tells of the events of this transport; nil: nobody listens. The top sets it.
	Raise expand.Raise

	texts []string
}

// Body is the spooled body of a message: Size bytes from Offset of the open -D file, lines ending in LF.
type Body struct {
	File *os.File
	// Text, if not empty, is the body itself; File is nil then.
	Text         []byte
	Offset, Size int64
	// Lines is the number of lines (for SIZE=); LongestLine is the length of the longest of them, 0 if unknown.
	Lines, LongestLine int
}

// Run is one delivery in the engine: a transport, a message, and the addresses it is to serve at once.
type Run struct {
	Transport *Transport
	Message   *mail.Message
	Body      Body
	// Addresses are served together; there is at least one. The transport sets Outcome of each.
	Addresses []*mail.Address
	// Scope is for this run's expansions. Its Address is a copy of the first address, in which the parts that
	// several addresses do not share are cleared.
	Scope *expand.Scope
	// Sender is the envelope sender for these addresses: the message's, or errors_to. ReturnPath is what Begin made of
	// it by the return_path option.
	Sender, ReturnPath string
	// Home and Current are the directories for a local transport, Identity the user (set by Begin).
	Home, Current string
	Identity      Identity
	// Force says that hosts are tried although their retry time has not come (-M, -qf).
	Force bool
	// Continue says that the message waited for a host to which a connection is open now.
	Continue bool
	// DontDeliver says that a remote transport goes no further than to choose the host (-N).
	DontDeliver bool
	// AllOrNone says that a remote transport sends one copy to all addresses or, when one of them is refused, none (mua_wrapper).
	AllOrNone bool
	// More says that another run to the same hosts follows for further addresses of the message.
	More bool
	// QuotaOnly asks a local transport whether the mailbox would take a message of Message.Size, and to deliver nothing: the outcome is
	// Delivered, or Deferred with mail.ErrnoQuota (verify = recipient/quota).
	QuotaOnly bool
	// Shadow says that this is the run of a shadow transport.
	Shadow bool
	// NoRetry says that Begin's error is no reason to wait for the destination: no retry hint is kept (a wrong message_size_limit).
	NoRetry  bool
	Services *Services

	header []byte
	heard  *heard
}

// Identity is the user that a local delivery runs as.
type Identity struct {
	UID, GID int
	// Groups are the supplementary groups; empty unless initgroups is set.
	Groups []int
}

// Submission is a message that the program sends of its own accord.
type Submission struct {
	// Sender is the envelope sender; it is always "" for automatic replies.
	Sender string
	// Recipients are the envelope's; none means that they are taken from To:, Cc: and Bcc: (as with -t).
	Recipients []string
	// Header is the header block, complete with final newline of its last line, LF line ends. Text follows after an empty line.
	Header, Text string
	// Original, if set, is copied behind Text: the message that is being answered.
	Original *Message
	// Parent is the message that caused this one.
	Parent *mail.Message
	// As is the user it counts as submitted by; the zero Identity is root.
	As Identity
}

// ErrNoRecipients is what Submit returns for a message without recipients.
var ErrNoRecipients = errors.New("no recipients")

// Services are what transports ask of higher layers. A nil function makes the option that needs it fail with a clear error.
type Services struct {
	World *outside.World
	// Identity is the program's own user: exim_user and exim_group.
	Identity Identity
	// Log writes a line about the message to the main log; Panic to main and panic log.
	Log, Panic func(line string)
	// Submit receives a message from ourselves and returns its id.
	Submit func(ctx context.Context, s Submission) (id string, err error)
	// Find returns the transport of the name, nil when there is none.
	Find func(name string) *Transport
	// Rewrite applies rewriting rules (the text of headers_rewrite) to a header; it returns it unchanged when no rule fits.
	Rewrite func(s *expand.Scope, rules string, h mail.Header) (mail.Header, error)
	// KeepOutput puts text that a command wrote into a file for bounce messages, and returns its path.
	KeepOutput func(messageID string, text []byte) (path string, err error)
	// Remote are the services of remote transports; each driver that needs more has its own type in it.
	Remote any
}

// Execution is one delivery in the helper.
type Execution struct {
	// Job is what Prepare made; Decode reads it.
	Job []byte
	// Transport is the instance's name, for texts.
	Transport string
	// MessageID, Sender (the return path) and Recipients are the envelope. Recipients are the addresses in the form for RCPT.
	MessageID, Sender string
	Recipients        []string
	// Local parts and domains of the recipients are the job's business.
	Message  *Message
	Home     string
	Current  string
	Identity Identity
	World    *outside.World
	// Ask puts a question to the driver's Answer in the engine.
	Ask func(question string, arguments map[string]string) (string, error)
	// SwitchTo, set by Execute, asks that the named transport do the delivery instead (file_format); SwitchWhy is the format found.
	SwitchTo, SwitchWhy string
	// Output, set by Execute, is text that a command wrote and that is to be returned to the sender.
	Output []byte
	// PanicLog takes a line for main and panic log, Log for the main log; both are handed to the engine.
	PanicLog, Log func(line string)
}

// Decode reads the job into v.
func (e *Execution) Decode(v any) error { return wire.Decode(e.Job, v) }

// Pack makes of what Prepare returned the Job of an Execution.
func Pack(job any) ([]byte, error) { return wire.Append(nil, job) }

// All returns the same outcome for every address of the execution.
func (e *Execution) All(o mail.Outcome) []mail.Outcome {
	out := make([]mail.Outcome, len(e.Recipients))
	for i := range out {
		out[i] = o
	}
	return out
}

// Error is the outcome of a whole run as an error.
type Error struct{ Outcome mail.Outcome }

// Error implements error with the text for the log.
func (e *Error) Error() string { return e.Outcome.Message }

// Defer makes a temporary outcome with one of the mail.Errno numbers or an errno.
func Defer(errno int, format string, args ...any) *Error {
	return &Error{mail.Outcome{Result: mail.Deferred, Errno: errno, Message: fmt.Sprintf(format, args...)}}
}

// Fail makes a permanent outcome.
func Fail(format string, args ...any) *Error {
	return &Error{mail.Outcome{Result: mail.Failed, Message: fmt.Sprintf(format, args...)}}
}

// Panic makes the outcome of a mistake in the configuration: the address is deferred, the panic log says why.
func Panic(errno int, format string, args ...any) *Error {
	return &Error{mail.Outcome{Result: mail.Panicked, Errno: errno, Message: fmt.Sprintf(format, args...)}}
}

// Set gives every address of the run the outcome.
func (r *Run) Set(o mail.Outcome) {
	for _, a := range r.Addresses {
		keep := a.Outcome.RetryKeys
		a.Outcome = o
		a.Outcome.RetryKeys = append(keep, o.RetryKeys...)
	}
}

// Now is the world's time, UTC or local as the clock has it.
func (r *Run) Now() time.Time { return r.Services.World.Clock.Now() }

// ShownDefault is what -bP shows for an option of the driver's instance that is not set and has no fixed default (config.Driver).
func (d *Driver) ShownDefault(inst *config.Instance, name string) any {
	if name == "retry_use_local_part" {
		return d.Local != nil
	}
	if d.Shown != nil {
		return d.Shown(inst, name)
	}
	return nil
}
