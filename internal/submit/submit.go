// Package submit takes messages in: it reads one from any source (an SMTP session, a program's standard input, ourselves), repairs
// and completes its header (spec chapter 48), runs the ACLs for it, and puts it into the spool. The sendmail command line, its
// Unix socket and the drop directory are ways to get here.
//
// Trust: messages and their envelopes come from anybody; limits bound what is kept in memory, bodies never are. Command-line facts
// that come over the socket are believed only as far as the kernel's word about the peer goes.
package submit

import (
	"context"
	"io"
	"time"

	"exigo/internal/acl"
	"exigo/internal/config"
	"exigo/internal/eventlog"
	"exigo/internal/expand"
	"exigo/internal/mail"
	"exigo/internal/outside"
	"exigo/internal/proto/header"
	"exigo/internal/rewrite"
	"exigo/internal/spool"
)

// Services are what reception needs of the rest of the program. Those without a remark are always set.
type Services struct {
	World    *outside.World
	Engine   *expand.Engine
	Config   *config.Config
	Main     *config.Main
	Spool    *spool.Spool
	Log      *eventlog.Log
	Format   eventlog.Format
	Rewriter *rewrite.Rewriter
	// RunACL runs the ACL that a main option names; text is the option's value, never "".
	RunACL func(ctx context.Context, s *expand.Scope, phase acl.Phase, text string) acl.Outcome
	// MatchAddress and MatchHost test lists.
	MatchAddress func(s *expand.Scope, list, address string) (bool, error)
	MatchHost    func(s *expand.Scope, list, name string, s2 *mail.Session) (bool, error)
	// Arrived takes over a message that is in the spool: it is locked, and to be delivered, or to be left on the queue. nil: the lock is
	// released.
	Arrived func(ctx context.Context, m *mail.Message, l *spool.Locked, d Delivery)
	// Rooms see every message that comes in, in the order of the catalog.
	Rooms []Room
	// SpoolSpace and LogSpace return the free bytes and inodes of the file systems of spool and logs, -1 where unknown. Without SpoolSpace
	// the system is asked, without LogSpace the logs are not looked at.
	SpoolSpace, LogSpace func() (bytes, inodes int64)
	// NoDelivery, if set, tells whether messages are marked in the spool so that no delivery of them is real (-N).
	NoDelivery func() bool
	// Onward begins to pass a message on that an SMTP session brings, when its header is complete; it returns nil when the message is only
	// spooled. May be nil.
	Onward func(ctx context.Context, s *expand.Scope, m *mail.Message) Onward
	// FreezeTell tells freeze_tell that a message was frozen by an ACL; may be nil.
	FreezeTell func(ctx context.Context, m *mail.Message)
}

// Room is what a feature does with a message on its way in. All functions may be nil.
type Room struct {
	Name string
	// Body returns a writer that is given the body as it arrives (LF line ends), or nil. The header section is complete, but for
	// what ACLs add. Close is called at the end of the body.
	Body func(ctx context.Context, s *expand.Scope, m *mail.Message) io.WriteCloser
	// Check runs after the body was read, before the ACL for DATA or non-SMTP messages. A verdict other than OK refuses the
	// message, or with Discard throws it away.
	Check func(ctx context.Context, s *expand.Scope, m *mail.Message, body *io.SectionReader) (acl.Phase, acl.Outcome)
	// Accepted runs when every ACL has accepted a message for delivery, before it is kept: what it leaves in the message travels in the
	// spool. It may take its time, as the client waits, but cannot refuse. spool says that the message must be routed from the spool even
	// if it was being passed on as it came in (cutthrough delivery).
	Accepted func(ctx context.Context, s *expand.Scope, m *mail.Message, body *io.SectionReader) (spool bool)
	// Inherit gives a message that we make because of another what it takes over from that.
	Inherit func(m, parent *mail.Message)
	// Reply words the reply, with its code, for a message that was accepted; reply is what it would be.
	Reply func(m *mail.Message, reply string) string
	// Ended is told what became of a message, once its reception has ended, whatever the end, and before anybody delivers it. The scope is
	// that of its ACLs.
	Ended func(s *expand.Scope, m *mail.Message, result *Result)
}

// Delivery is what is to become of a message now.
type Delivery int

// What is done with a message that arrived.
const (
	// Deliver: at once, in the background.
	Deliver Delivery = iota
	// DeliverForeground: before the reception returns (-odi).
	DeliverForeground
	// Queue: a queue run will find it.
	Queue
	// RouteOnly: route it, and leave remote deliveries to a queue run (-odqs, control = queue/first_pass_route).
	RouteOnly
)

// Source is where the data of a message comes from, with LF line ends. *smtp.DataReader and *LocalReader are Sources.
type Source interface {
	header.Source
	io.WriterTo
	// EndHeader says that what is read from here on is body.
	EndHeader()
}

// Input is a message about to be received. Its envelope (but for -t) is in Message.
type Input struct {
	Message *mail.Message
	Scope   *expand.Scope
	Source  Source
	// SizeLimit is message_size_limit, 0 for none; -1 asks that the option be expanded.
	SizeLimit int64
	// Delivery is what command line and options ask for; ACLs can ask for less. QueueReason is logged when it is Queue.
	Delivery    Delivery
	QueueReason string
	// Background says that Deliver was asked for in so many words (-odb), which overrides queue_only.
	Background bool
	// Chunked: by BDAT. Pipelining is the log field. PRDR: the extension is in use.
	Chunked, PRDR bool
	Pipelining    string
	// Discarded says that an earlier ACL ("MAIL ACL", "RCPT ACL") threw recipients away.
	Discarded string
	// Alive is asked last, before the message is kept; nil: true.
	Alive func() bool

	// Extract takes the recipients from the header (-t); Arguments are those on the command line then.
	Extract   bool
	Arguments []string
	// FromLine says that the message may begin with "From " (UUCP); TrustFromLine that the sender is taken from it.
	FromLine, TrustFromLine bool
	// FullName is -F; OwnAddress the address of the submitting user.
	FullName, OwnAddress string
	// Reference is the id of the message that caused this one (-oMm, bounces).
	Reference string
	// Generated: made by ourselves. It is received like any other local message of a trusted user.
	Generated bool
	// Probe: only to look at; no ACL is run, no Received: line added, nothing logged or handed on.
	Probe bool
}

// Result is what became of a message.
type Result struct {
	// ID is the message's id as far as it got one.
	ID string
	// Accepted is set when the message is in the spool, or discarded on purpose.
	Accepted bool
	// Reply is the SMTP reply, lines separated by \n, each with its code. "" when Refused says what to reply.
	Reply string
	// Refused is the outcome of the ACL that refused the message, in phase Phase; reply and log line are the caller's.
	Refused *acl.Outcome
	Phase   acl.Phase
	// Failure says what was wrong with a message that is neither accepted nor refused by an ACL.
	Failure *Failure
	// ReadError ended the reading before the end of the message; InHeader says it came in the header section.
	ReadError error
	InHeader  bool
	// Ignored are bad addresses that -t found beside good ones.
	Ignored []BadAddress
}

// FailureKind is what was wrong with a message.
type FailureKind int

// Kinds of failures.
const (
	TooBig FailureKind = iota
	HeaderTooLong
	HeaderLineTooLong
	NoRecipients
	AllSuppressed
	BadRecipients
	TooManyRecipients
	SpoolFailure
)

// Failure is a mistake in a message.
type Failure struct {
	Kind FailureKind
	// Limit is the limit that was exceeded.
	Limit int64
	// Addresses are the recipients that could not be read.
	Addresses []BadAddress
	// Err is the error of the spool.
	Err error
}

// BadAddress is an address that could not be read, and why.
type BadAddress struct{ Text, Reason string }

// Receiver takes messages in. It is safe for concurrent use.
type Receiver struct{ s Services }

// New makes a Receiver.
func New(s Services) *Receiver { return &Receiver{s: s} }

func (r *Receiver) now() time.Time { return r.s.World.Clock.Now() }

// connectionID makes a $connection_id for a local submission: digits, of the time and of a process.
func (r *Receiver) connectionID() string { return itoa(int(r.now().UnixMicro())) + itoa(r.s.World.PID) }
