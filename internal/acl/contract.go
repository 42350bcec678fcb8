// Package acl reads and runs access control lists (spec chapter 44): the statements of the "begin acl" section, inline
// ACLs, and ACLs in files. Conditions, modifiers and controls are rows; what reaches outside the package (routing,
// callouts, hints, logs, the client's connection) comes in through Services.
//
// Trust: the text of ACLs is the administrator's; what the conditions test is chosen by clients, and expansions of
// it are tainted. Messages for the client may hold anything the administrator lets into them, but no line ends
// other than those that make a reply of several lines.
package acl

import (
	"context"
	"net/netip"
	"time"

	"exigo/internal/expand"
	"exigo/internal/hints"
	"exigo/internal/mail"
)

// Phase is the occasion an ACL runs on. Each has an option of the main section that names the ACL.
type Phase int

// The phases, in the order of a session. Rcpt, Predata, MIME, DKIM, Data and NotSMTP and NotSMTPStart deal with a message.
const (
	Connect Phase = iota
	HELO
	StartTLS
	Auth
	MailAuth
	Mail
	Rcpt
	Predata
	MIME
	DKIM
	PRDR
	Data
	NotSMTPStart
	NotSMTP
	NotSMTPMIME
	ETRN
	EXPN
	VRFY
	Quit
	NotQuit
	// Expansion is ${acl{...}} and the acl condition of the expansion language.
	Expansion
	phaseCount
)

// phaseWords holds, for each phase, the word of Exim's messages ("cannot test X condition in Y ACL") and the option.
var phaseWords = [phaseCount]struct{ word, option string }{
	Connect:      {"connection", "acl_smtp_connect"},
	HELO:         {"EHLO or HELO", "acl_smtp_helo"},
	StartTLS:     {"STARTTLS", "acl_smtp_starttls"},
	Auth:         {"AUTH", "acl_smtp_auth"},
	MailAuth:     {"MAILAUTH", "acl_smtp_mailauth"},
	Mail:         {"MAIL", "acl_smtp_mail"},
	Rcpt:         {"RCPT", "acl_smtp_rcpt"},
	Predata:      {"PREDATA", "acl_smtp_predata"},
	MIME:         {"MIME", "acl_smtp_mime"},
	DKIM:         {"DKIM", "acl_smtp_dkim"},
	PRDR:         {"PRDR", "acl_smtp_data_prdr"},
	Data:         {"DATA", "acl_smtp_data"},
	NotSMTPStart: {"non-SMTP-start", "acl_not_smtp_start"},
	NotSMTP:      {"non-SMTP", "acl_not_smtp"},
	NotSMTPMIME:  {"MIME", "acl_not_smtp_mime"},
	ETRN:         {"ETRN", "acl_smtp_etrn"},
	EXPN:         {"EXPN", "acl_smtp_expn"},
	VRFY:         {"VRFY", "acl_smtp_vrfy"},
	Quit:         {"QUIT", "acl_smtp_quit"},
	NotQuit:      {"NOTQUIT", "acl_smtp_notquit"},
	Expansion:    {"expansion", ""},
}

// String returns the word of Exim's messages: "RCPT", "connection", "non-SMTP" ...
func (p Phase) String() string { return phaseWords[p].word }

// Option returns the name of the main option that names the phase's ACL.
func (p Phase) Option() string { return phaseWords[p].option }

// PhaseSet is a set of phases.
type PhaseSet uint32

// Phases makes a set.
func Phases(p ...Phase) PhaseSet {
	var s PhaseSet
	for _, x := range p {
		s |= 1 << x
	}
	return s
}

// Has tells whether p is in the set.
func (s PhaseSet) Has(p Phase) bool { return s&(1<<p) != 0 }

// AllPhases is the set of all phases.
const AllPhases PhaseSet = 1<<phaseCount - 1

// Verdict is how an ACL ended.
type Verdict int

// The verdicts (spec 44.13).
const (
	OK       Verdict = iota // accept
	Discard                 // accept and throw away
	Defer                   // 4xx
	Fail                    // 5xx
	FailDrop                // 5xx, then the connection is closed
	Error                   // a mistake in the ACL: 4xx, LogMessage says what
)

// Outcome is the verdict and the texts that go with it.
type Outcome struct {
	Verdict Verdict
	// UserMessage is for the client ("" = the default text). It may begin with a reply code ("550 5.1.1 text", see
	// SplitCode) and may have several lines, separated by \n.
	UserMessage string
	// LogMessage goes into the log line after "rejected ...: " ("" = none).
	LogMessage string
	// LogTargets are the logs for the line about a rejection (log_reject_target).
	LogTargets LogTargets
	// SenderFailure is set when the rejection comes from a failed verification of a sender, whose details the
	// client is told in lines before the last one (spec 44.50). nil otherwise, and with no_details.
	SenderFailure *Verified
	// SenderFailureTold says that log and client have had SenderFailure before; only the reason of a deferral is told each time.
	SenderFailureTold bool
}

// LogTargets is a set of logs.
type LogTargets uint8

// The logs.
const (
	LogMain LogTargets = 1 << iota
	LogReject
	LogPanic
)

// VerifyOptions is what stood after "verify = sender" and its like.
type VerifyOptions struct {
	// Sender is set for senders and addresses of header lines, clear for recipients. HeaderSender is set for the latter.
	Sender, HeaderSender bool
	// SuccessOnRedirect, DeferOK, NoDetails as in spec 44.45.
	SuccessOnRedirect, DeferOK, NoDetails bool
	// Quota asks for a check of the mailbox's quota; QuotaPositive and QuotaNegative are the lives of cache records.
	Quota                        bool
	QuotaPositive, QuotaNegative time.Duration
	// Callout is nil when none was asked for.
	Callout *Callout
}

// Callout is the set of parameters of spec 44.47.
type Callout struct {
	// Timeout is for each command, Connect for the connection, Overall for all hosts together. All are set.
	Timeout, Connect, Overall time.Duration
	DeferOK, NoCache, Random  bool
	UseSender, UsePostmaster  bool
	Hold, FullPostmaster      bool
	// Postmaster asks for a check of postmaster with PostmasterMailFrom as sender.
	Postmaster         bool
	PostmasterMailFrom string
	// MailFrom is the sender for header_sender verification.
	MailFrom string
}

// Verified is the result of an address verification.
type Verified struct {
	// Result is OK, Fail or Defer.
	Result Verdict
	// Address is the address after rewriting; "" when a sender was rewritten to the null one.
	Address string
	// UserMessage is for the client, LogMessage for the log (the router's or the callout's text).
	UserMessage, LogMessage string
	// Failure is $sender_verify_failure or $recipient_verify_failure: "qualify", "route", "mail", "recipient",
	// "postmaster", "quota"; or "random" after a success.
	Failure string
	// AddressData is $address_data after routing.
	AddressData mail.Value
	// DomainData, LocalPartData are set by a successful recipient callout and by router lists.
	DomainData, LocalPartData mail.Value
	// NoDetails repeats the option.
	NoDetails bool
}

// Match is what a list said.
type Match struct {
	Matched bool
	// Data is what the matching item yielded: $domain_data, $local_part_data, $host_data.
	Data mail.Value
}

// Lists are the functions of package list. An error is temporary (expand.IsTemporary) or a mistake; a forced failure in a list is no
// error: nothing matches.
type Lists struct {
	Domain    func(s *expand.Scope, list, domain string) (Match, error)
	LocalPart func(s *expand.Scope, list, localPart string, caseful bool) (Match, error)
	Address   func(s *expand.Scope, list, address string) (Match, error)
	Host      func(s *expand.Scope, list, name string, address netip.Addr) (Match, error)
	String    func(s *expand.Scope, list, subject string) (Match, error)
}

// Services are the functions through which ACLs reach the rest of the program. The top fills them; a condition that
// needs a nil one fails with an error that names it.
type Services struct {
	// Lists is always filled.
	Lists Lists
	// VerifyAddress routes (and calls out for) an address.
	VerifyAddress func(ctx context.Context, s *expand.Scope, address string, o VerifyOptions) Verified
	// PercentHack gives what a recipient stands for by percent_hack_domains, or ""; nil: there are no such domains.
	PercentHack func(s *expand.Scope, a *mail.Address) (string, error)
	// VerifyHELO verifies the HELO name, once a session; it sets Session.HELOVerified.
	VerifyHELO func(ctx context.Context, s *expand.Scope) (verified bool, err error)
	// HostName looks the client's name up and verifies it (sets Session.HostName and NameLookup); temporary is set when DNS deferred.
	HostName func(ctx context.Context, s *expand.Scope) (found, temporary bool, logMessage string)
	// Log writes a line to the logs; it adds time and message id.
	Log func(s *expand.Scope, targets LogTargets, line string)
	// HostAndIdent is the "H=... U=..." text for lines about the session, as log_selector wants it.
	HostAndIdent func(s *expand.Scope) string
	// LogsSkipped tells whether the log selector acl_warn_skipped is set; nil: it is.
	LogsSkipped func(s *expand.Scope) bool
	// Delay waits, after flushing the client's output where there is one. With -bh it does not wait.
	Delay func(ctx context.Context, s *expand.Scope, d time.Duration) error
	// Flush sends pending output to the client before a callout.
	Flush func(s *expand.Scope)
	// Hints is the hints database for the ratelimit and seen conditions. nil: there are no records, and none are kept.
	Hints *hints.DB
	// Debug obeys control = debug with its options; nil: the control does nothing.
	Debug func(s *expand.Scope, options []string)
	// SetDSCP sets the DSCP value (0-63) of the client's connection.
	SetDSCP func(s *expand.Scope, value int) error
	// ReadFile reads an ACL file.
	ReadFile func(path string) ([]byte, error)
	// EnsureVerdict sees to it that the message has a verdict of the method ("spf"), asking the feature that makes them if there is
	// none yet; it is in Message.Verdicts then, unless no feature makes such. nil: none does.
	EnsureVerdict func(ctx context.Context, s *expand.Scope, method string)
	// Queued tells whether a message of the named queue ("" is the default one) has an undelivered recipient that is wanted; nil: there is no queue.
	Queued func(ctx context.Context, queue string, wanted func(address string) bool) (bool, error)
	// SendReport submits a message of our own that the message at hand gives cause for; nil: none can be sent.
	SendReport func(ctx context.Context, s *expand.Scope, r Report) error
}

// Report is a message that a condition sends, as a mail system does: about the message at hand, to somebody who asked for it.
type Report struct {
	// Sender is the envelope sender, "" for none; Recipients are the envelope's.
	Sender     string
	Recipients []string
	// Text is header, empty line and body with LF line ends; without Date: and Message-ID:.
	Text string
}
