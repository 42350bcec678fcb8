package smtpserver

import (
	"context"
	"net/netip"

	"exigo/internal/acl"
	"exigo/internal/auth"
	"exigo/internal/config"
	"exigo/internal/eventlog"
	"exigo/internal/expand"
	"exigo/internal/mail"
	"exigo/internal/outside"
	"exigo/internal/proto/smtp"
	"exigo/internal/tlspolicy"
)

// Services are what a session needs of the rest of the program. The top fills them. World, Engine, Config, Log and Receive
// are always set; with another one nil the server does without: its feature is not offered or the command is refused.
type Services struct {
	World  *outside.World
	Engine *expand.Engine
	Config *config.Config
	Log    *eventlog.Log
	// Format words the identification of hosts in log lines.
	Format eventlog.Format

	// RunACL runs the ACL that an acl_smtp_ option names; text is the option's value, never "".
	RunACL func(ctx context.Context, s *expand.Scope, phase acl.Phase, text string) (acl.Outcome, error)
	// MatchHost, MatchDomain and MatchAddress test lists. An error is temporary (expand.IsTemporary) or a mistake.
	MatchHost    func(s *expand.Scope, list, name string, address netip.Addr) (bool, error)
	MatchDomain  func(s *expand.Scope, list, domain string) (bool, error)
	MatchAddress func(s *expand.Scope, list, address string) (bool, error)

	// Receive reads the message's data, runs the ACLs for it, and puts it into the spool.
	Receive func(ctx context.Context, r *Reception) Received

	// HostName finds and verifies the client's name (it sets Session.HostName and NameLookup). reason is for the log when it
	// failed: "", or "no host name found for IP address 192.0.2.1".
	HostName func(ctx context.Context, s *expand.Scope) (found, temporary bool, reason string)
	// VerifyHELO verifies the HELO name; it sets Session.HELOVerified and HELOTried.
	VerifyHELO func(ctx context.Context, s *expand.Scope) (verified bool, err error)
	// RewriteSMTP applies the rules with flag S to the text of an address as the client gave it; sender tells MAIL from RCPT.
	RewriteSMTP func(s *expand.Scope, address string, sender bool) string

	// Verify verifies an address for VRFY; List finds what an address expands to for EXPN: text of one reply with its code.
	Verify func(ctx context.Context, s *expand.Scope, address string) acl.Verified
	List   func(ctx context.Context, s *expand.Scope, address string) (reply string)

	// StartQueueRun starts deliveries of the messages whose addresses contain the text, as exim -R does; queue is the named
	// queue that the ETRN ACL set, or "". done is called once when it is over.
	StartQueueRun func(text, queue string, done func()) error
	// RunQueue makes a queue run and returns when it is over.
	RunQueue func(ctx context.Context, r QueueRun)
	// StartCommand runs the command of smtp_etrn_command, arguments already expanded.
	StartCommand func(argv []string, done func()) error
	// ETRNLock takes the lock of smtp_etrn_serialize on a key: busy when another run holds it.
	ETRNLock func(key string) (busy bool, release func())

	// SpoolSpace and LogSpace return the free bytes and inodes of the file systems, -1 where unknown.
	SpoolSpace, LogSpace func() (bytes, inodes int64)

	// Authenticators are the configured ones, in file order.
	Authenticators []*auth.Authenticator
	// TLS makes TLS configurations; nil: no TLS.
	TLS *tlspolicy.Policy
	// Extensions are the rooms' EHLO keywords, parameters and commands, in the order of the catalog.
	Extensions []*Extension
	// Accept is what the rooms do with fresh connections.
	Accept []Accept
	// Event raises an event ("smtp:fail:syntax", "auth:fail", "tls:fail:connect"...) and returns what event_action expands to; may be
	// nil. The result of auth:fail takes the place of the line in the log.
	Event func(ctx context.Context, s *expand.Scope, name, data string) string
	// BatchError makes the bounce for an error in batch SMTP input (-bS), if any is wanted; may be nil.
	BatchError func(text string)
	// Onward is the door to cutthrough delivery; nil: there is none.
	Onward *Onward
	// Accepted is called when Session.Messages grows, for process titles and the like; may be nil.
	Accepted func(s *mail.Session)
}

// QueueRun is a queue run that a session waits for.
type QueueRun struct {
	// Kind ("ODMR") and Words ("-qq") describe it in the log; Queue is a named queue, or "".
	Kind, Words, Queue string
	// Only says for which recipients; Begin prepares each message before it is tried. Messages are tried one after another.
	Only  func(address string) bool
	Begin func(m *mail.Message)
	// Over ends the run before the next message when it says so.
	Over func() bool
}

// Onward is what a session does for the delivery of a message while it comes in: connections onward belong to the message, from the RCPT
// command that opened one to the end of the transaction.
type Onward struct {
	// Recipient is called when the ACL accepted a recipient, before it is one of the message's: it opens the connection if the ACL
	// asked for cutthrough delivery and none is open. An outcome other than OK refuses the recipient.
	Recipient func(ctx context.Context, s *expand.Scope, r *mail.Recipient) acl.Outcome
	// Settle is called after each RCPT: a connection that does not have exactly the message's recipients is ended.
	Settle func(m *mail.Message)
	// Drop ends the message's connection, if there is one.
	Drop func(m *mail.Message)
}

// Reception is a message about to be read.
type Reception struct {
	Session *mail.Session
	Message *mail.Message
	Scope   *expand.Scope
	// Data gives the message with LF line ends and without dots.
	Data *smtp.DataReader
	// Chunked says that it comes by BDAT.
	Chunked bool
	// QueueOnly: more messages in this connection than smtp_accept_queue_per_connection, more connections than
	// smtp_accept_queue, or a load above queue_only_load.
	QueueOnly bool
	// QueueReason says why, for the log ("" = none).
	QueueReason string
	// SizeLimit is message_size_limit, 0 for none.
	SizeLimit int64
	// Pipelining is the log field of selector pipelining: "" when PIPELINING was not offered, "L" when it was used, "L-" when not.
	Pipelining string
	// Discarded names the ACL that threw recipients away ("MAIL ACL", "RCPT ACL"), "" for none.
	Discarded string
	// Alive tells whether the client is still there and has not sent before its time: the last question before the
	// message is kept. When it says false the message must be thrown away (spec: "SMTP connection lost after final dot").
	Alive func() bool
}

// Received is what became of a message.
type Received struct {
	// ID is the message's id as far as it got one.
	ID string
	// Accepted is set when the message is in the spool (or discarded on purpose).
	Accepted bool
	// Reply is the reply with its code, lines separated by \n ("250 OK id=..."); each line has the code: "250-a\n250 b".
	// "" sends none.
	Reply string
	// Refused is the outcome of the ACL that refused the message, of phase Phase; the session words reply and log line.
	Refused *acl.Outcome
	Phase   acl.Phase
	// ReadError is the error of Data that ended the reception before the end of the message.
	ReadError error
	// InHeader says that a ReadError came before the end of the header section.
	InHeader bool
	// Close ends the session after the reply.
	Close bool
}
