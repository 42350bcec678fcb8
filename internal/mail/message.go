package mail

import (
	"strings"
	"time"
)

// Message is one message, being received or being delivered.
type Message struct {
	// ID is the message id ("" until it has one): 23 characters, or 16 of old spools and short_message_ids.
	ID string
	// Sender is the envelope sender, "" for a bounce; RawSender as the client gave it before rewriting.
	Sender, RawSender string
	// SenderSet is false while no MAIL command was accepted: $sender_address is empty.
	SenderSet  bool
	Recipients []Recipient
	// NonRecipients are addresses already delivered, or duplicates not to be delivered to, as the -H file lists them.
	NonRecipients []string

	Headers []Header
	// AsArrived are the header fields as the message came, before anything was removed, repaired, rewritten or added: what signatures cover. Set
	// during reception only.
	AsArrived []Header
	// Received is when reception began ($received_time); Completed how long it took ($message receive time).
	Received  time.Time
	Completed time.Duration
	// Protocol is $received_protocol: "smtp", "esmtp", "esmtps", "local", ...
	Protocol string
	// Session is where it came from; never nil.
	Session *Session

	// Originator: the local user that submitted it, or exim's own.
	OriginatorUID, OriginatorGID int
	OriginatorLogin              string
	SenderLocal                  bool // submitted by a local user as himself ("-local")
	// SetUntrustedSender: -f used by an untrusted caller ("-localerror" etc. have their own fields below).
	LocalError                                        bool      // a locally generated error message ("-localerror")
	UserNullEnv                                       bool      // sender was <> although user is local ("-user_null_sender")
	Frozen                                            time.Time // zero when not frozen
	ManualThaw                                        bool
	DeliverFirst                                      bool // first delivery attempt
	AllowUnqualifiedSender, AllowUnqualifiedRecipient bool
	Warnings                                          int    // delay warnings already sent (-warning_count)
	Queue                                             string // named queue, "" for the default
	SMTPUTF8                                          bool
	UTF8Downgrade                                     int // 1 yes, 0 no, -1 if needed
	BodyType                                          int // 0 none, 7, 8 (BODY=)
	// DSN: ENVID (xtext as received) and RET ("", "FULL", "HDRS").
	EnvID, Ret string

	// Size is $message_size (whole message with headers, as received); BodySize, BodyLines, BodyZeros the body's.
	Size, BodySize int64
	// Lines is $message_linecount: during reception the lines received, the empty one after the header section included; later see CountLines.
	Lines, BodyLines int
	BodyZeros        int
	MaxReceivedLine  int
	// DataPath is the -D file, DataOffset where the body begins in it. "" before it is written.
	DataPath   string
	DataOffset int64

	// Arrival is the log line of its reception ("<= ...") without the envelope, "" when the message was read from the spool.
	Arrival string
	// Vars are the acl_m variables; the key is the name after "acl_m".
	Vars map[string]Value
	// Controls are the effects of ACL controls on this message.
	Controls Controls
	Verdicts []Verdict
	Bag      Bag
}

// CountLines sets Lines to what it is after reception: the lines of the header section and of the body, without the empty one between them.
func (m *Message) CountLines() {
	m.Lines = m.BodyLines
	for _, h := range m.Headers {
		if h.Type != '*' {
			m.Lines += strings.Count(h.Text, "\n")
		}
	}
}

// Controls is what ACLs (and command line) decided about the message at hand.
type Controls struct {
	Freeze                bool
	FreezeTell            string
	NoFreezeTell          bool
	QueueOnly             bool // control = queue / queue_only
	QueueRouted           bool // control = queue/first_pass_route
	Submission            bool
	SubmissionName        string
	SubmissionDomain      string
	SenderRetain          bool
	SuppressLocalFixups   bool
	NoCalloutFlush        bool
	NoDelayFlush          bool
	NoEnforceSync         bool
	NoMultilineReply      bool
	NoPipelining          bool
	CaseFulLocalPart      bool
	Fakedefer, Fakereject string
	Cutthrough            bool
	CutthroughDefer       string
	DKIMDisable           bool
	DMARCDisable          bool
	DMARCForensic         bool // failure reports may be sent
	DSCP                  string
	NoMboxUnspool         bool
	UTF8Downgrade         string
	AllowAuthUnadvertised bool
	ErrorsTo              string
	// Discarded says that the message is to be accepted and thrown away.
	Discarded bool
}

// Recipient is one envelope recipient.
type Recipient struct {
	Address string
	// Given is the address as it was given, where it was completed or rewritten since. It does not travel in the spool.
	Given string
	// ErrorsTo replaces the sender for errors of this recipient ("" = sender).
	ErrorsTo string
	// Parent is the index of the one-time parent, -1 for none.
	Parent int
	// Notify holds RFC 3461 NOTIFY: bits below; 0 = not given. ORCPT is as received (type;xtext).
	Notify Notify
	ORCPT  string
	// ACLText collects: rcpt properties.
	Bag Bag
}

// Notify is the set of RFC 3461 NOTIFY keywords.
type Notify uint8

// NOTIFY keywords.
const (
	NotifySuccess Notify = 1 << iota
	NotifyFailure
	NotifyDelay
	NotifyNever
)

// Header is one header field: Text is the whole field as stored, name, colon, folding, final newline, with bare
// LF line ends. Type is the letter of the -H file (spec chapter "Format of spool files"): ' ' other, 'B' Bcc, 'C' Cc, 'F' From,
// 'I' Message-id, 'P' Received, 'R' Reply-To, 'S' Sender, 'T' To, '*' deleted or replaced.
type Header struct {
	Type byte
	Text string
}

// Name returns the field's name as written.
func (h Header) Name() string {
	i := strings.IndexByte(h.Text, ':')
	if i < 0 {
		return ""
	}
	return strings.TrimRight(h.Text[:i], " \t")
}

// Is tells whether the field has the name, without regard to case.
func (h Header) Is(name string) bool {
	return len(h.Text) > len(name) && strings.EqualFold(h.Text[:len(name)], name) && strings.HasPrefix(strings.TrimLeft(h.Text[len(name):], " \t"), ":")
}

// Value returns what follows the colon, folding and final newline included.
func (h Header) Value() string {
	i := strings.IndexByte(h.Text, ':')
	return h.Text[i+1:]
}

// TypeFor returns the type letter of a field name.
func TypeFor(name string) byte {
	switch strings.ToLower(name) {
	case "bcc":
		return 'B'
	case "cc":
		return 'C'
	case "from":
		return 'F'
	case "message-id":
		return 'I'
	case "received":
		return 'P'
	case "reply-to":
		return 'R'
	case "sender":
		return 'S'
	case "to":
		return 'T'
	}
	return ' '
}

// NewHeader makes a header of a complete text ("Name: value\n"), with its type letter.
func NewHeader(text string) Header {
	h := Header{Type: ' ', Text: text}
	h.Type = TypeFor(h.Name())
	return h
}
