package mail

import (
	"net/netip"
	"time"
)

// Address is an address on its way: a recipient being verified, tested or delivered, or a child that
// redirection made of one. Routers fill it; transports read it and leave the outcome.
type Address struct {
	// Address is the whole address as it is routed now; Unique decides about duplicates (with file and pipe
	// children it names their parent).
	Address, Unique string
	// LocalPart and Domain are the parts the current router sees: LocalPart without the affixes that the router removed,
	// Domain in lower case.
	LocalPart, Domain string
	// CasefulLocalPart is the local part as given.
	CasefulLocalPart string
	// Prefix, PrefixV, Suffix, SuffixV are $local_part_prefix(_v) and $local_part_suffix(_v).
	Prefix, PrefixV, Suffix, SuffixV string
	// LocalPartData, DomainData are what the router's lists yielded; AddressData the address_data option.
	LocalPartData, DomainData, AddressData Value
	HostData                               Value
	// Vars are the r_ variables that routers set.
	Vars map[string]Value

	// Parent is the address this one was made from, nil for an original recipient; Children counts those
	// that are not finished. Original is the envelope recipient's index, -1 for none.
	Parent   *Address
	Children int
	Original int
	// OneTime: child of a one_time redirect.
	OneTime       bool
	OneTimeParent string

	// Kind tells ordinary addresses from pipe, file and autoreply children of redirection.
	Kind Kind
	// Expand says that the pipe or file text needs expansion.
	AllowExpand bool
	Reply       *Reply // for KindReply

	// Router and Transport are instance names; "" until set. StartRouter is where routing begins again (pass_router).
	Router, Transport, StartRouter string
	// Hosts for remote transports, in order of trial; HostsRandomized when the order was made at random.
	Hosts []Host
	// HostsRandomized says that Hosts is in an order made at random.
	HostsRandomized bool
	FallbackHosts   []Host
	HostsFromRouter bool
	// UID, GID and the home and current directory for a local delivery. The Set flags tell 0 from unset.
	UID, GID                        int
	UIDSet, GIDSet                  bool
	InitGroups                      bool
	HomeDirectory, CurrentDirectory string

	// ErrorsTo replaces the sender for this address ("" = sender; "<>" = the empty sender).
	ErrorsTo    string
	ErrorsToSet bool
	// ReturnPath, if ReturnPathSet, is the envelope sender of the copies that are delivered; our own reports still go to the sender, or to
	// ErrorsTo.
	ReturnPath    string
	ReturnPathSet bool
	// ExtraHeaders are headers to add (complete, with newline); RemoveHeaders names and patterns to remove.
	ExtraHeaders  []string
	RemoveHeaders []string

	// DSN data inherited from the recipient.
	Notify   Notify
	ORCPT    string
	DSNDone  bool // the success DSN went out or was passed on
	DSNAware DSNAware
	// DSNLastHop says that requests of RFC 3461 go no further, as if the next hop knew nothing of them (dsn_lasthop).
	DSNLastHop bool

	// Pipes: environment, extra; Local_part for batch.
	SelfHostname string
	// VerifyData: search results for -bv; callout.
	Mode VerifyMode

	// IgnoreError: a failure of the address is logged, but nobody is told.
	IgnoreError bool
	// HideChild keeps the address out of error texts; its top ancestor is named instead (hide_child_in_errmsg).
	HideChild bool
	// RetrySkipped: nothing was tried, as the retry time has not come; such a deferral is logged by selector only.
	RetrySkipped bool

	// HostSkipped: a host was not tried, as its retry time has not come; the address does not time out meanwhile.
	HostSkipped bool
	// Duplicates are addresses that lead to the same delivery and so share this one's fate.
	Duplicates []*Address

	Outcome Outcome
	Bag     Bag
}

// Kind of an address.
type Kind int

// Kinds of addresses.
const (
	KindNormal Kind = iota
	KindFile        // Address is an absolute path
	KindPipe        // Address is "|command"
	KindReply       // an autoreply made by a filter
)

// Reply is what a filter's mail, vacation or notify command asks for.
type Reply struct {
	From, ReplyTo, To, Cc, Bcc, Subject, Headers, Text, File, LogFile, OnceFile, Once string
	OnceRepeat                                                                        time.Duration
	ReturnMessage, ExpandFile                                                         bool
}

// VerifyMode says why an address is routed.
type VerifyMode int

// Reasons for routing.
const (
	ForDelivery VerifyMode = iota
	ForVerifyRecipient
	ForVerifySender
	ForExpn
	ForTesting // -bt
)

// DSNAware says what the next hop knows of DSN.
type DSNAware int

// DSN knowledge of the next hop.
const (
	DSNUnknown DSNAware = iota
	DSNYes
	DSNNo
)

// Host is a machine to deliver to.
type Host struct {
	Name string
	// Address is invalid until looked up. Port 0 is the transport's own.
	Address netip.Addr
	Port    int
	// MX is the preference, -1 for none; Sort orders hosts of one preference.
	MX, Sort int
	Secure   bool // DNSSEC
	CertName string
	// Usability and Why are filled from the retry hints.
	Status HostStatus
	Why    HostWhy
	// FirstAddress ... retry keys
	LastTry, NextTry time.Time
	Expired          bool
}

// HostStatus says whether a host may be tried now.
type HostStatus int

// Host states.
const (
	HostUnknown HostStatus = iota
	HostUsable
	HostUnusable
	HostUnusableExpired
)

// HostWhy is the reason of a status.
type HostWhy int

// Reasons for host states.
const (
	WhyUnknown HostWhy = iota
	WhyRetry
	WhyDeferred
	WhyFailed
	WhyIgnored
)

// Result is what became of an address.
type Result int

// Results of a delivery or verification.
const (
	Pending Result = iota
	Delivered
	Deferred
	Failed
	// Forced failure (:fail:) and Unrouteable are Failed with their texts.
	Discarded // :blackhole:
	Panicked  // deferred, and the panic log says why
)

// Outcome is the end of one attempt for one address. Three texts have three readers.
type Outcome struct {
	Result Result
	// Message goes to the log and the bounce: "SMTP error from remote mail server after ...".
	Message string
	// UserMessage, if set, goes to the sender instead of Message.
	UserMessage string
	// LogOnly says that Message is for the log, not for the sender.
	LogOnly bool
	// Diagnosis is the remote server's reply for X-Exim-Diagnostic and DSN's Diagnostic-Code.
	Diagnosis string
	// Status is the enhanced status code (RFC 3463) for a DSN, "" for the general one of the result.
	Status string
	// Errno and MoreErrno are Exim's numbers as they stand in logs and retry data ("defer (-44)").
	Errno, MoreErrno int
	// Special: freeze, ...
	Freeze bool
	// Host that took or refused it; Confirmation is the final reply (C="..."); TLS what protected it.
	Host                         *Host
	LocalAddress                 netip.Addr
	LocalPort                    int
	Confirmation                 string
	TLS                          *TLS
	AuthName, AuthID, AuthSender string
	// Steps are the letters of protocol_detail (PS=).
	Steps                                      string
	PRDR, Chunking, Pipelining, EarlyPipe, TFO bool
	// ReusedConnection is how many messages the connection carried before ("*" in H=...*).
	Reused bool
	// HideChild / quota...
	DeliveryTime time.Duration
	// Shadow is the shadow transport that ran, ShadowError what went wrong in it.
	Shadow, ShadowError string
	// Further marks the second and later addresses of one delivery ("->"), Cutthrough one made while the message came in (">>").
	Further, Cutthrough bool
	// Size is that of the copy that was written, 0 if unknown; ReturnPath the sender it carried, nil for the message's.
	Size       int64
	ReturnPath *string
	// FreezeText stands behind "Frozen" in the log.
	FreezeText string
	ReturnFile string // path of a file with output of a pipe to return or log
	RetryKeys  []RetryUpdate
}

// RetryUpdate is a change to the retry hints that an attempt asks for.
type RetryUpdate struct {
	Key       string // "T:host:ip:port", "R:domain", "T:local@domain"
	Delete    bool
	IsHost    bool
	Message   string
	Errno     int
	MoreErrno int
	Host      string // name for matching host rules
}
