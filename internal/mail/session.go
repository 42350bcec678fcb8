package mail

import (
	"crypto/x509"
	"net/netip"
	"time"
)

// Session is where a message comes from: an SMTP connection, or a local submission. A message read back from
// the spool has a Session rebuilt from its -H file, so that the variables of the sender's side have one source.
type Session struct {
	// Started is when the connection was accepted or the process started.
	Started time.Time
	// ConnectionID is the unique id of the connection ($connection_id).
	ConnectionID string

	// Host is the client's address; invalid for local submission without -oMa. Port is its port, 0 if unknown.
	Host netip.Addr
	Port int
	// HostName is the verified name of the client ($sender_host_name), "" when not (yet) known.
	HostName string
	// HostAliases are other names of it.
	HostAliases []string
	// NameLookup says how far the reverse lookup came.
	NameLookup NameLookup
	// NameSecure says that reverse and forward lookup were DNSSEC-secured ($sender_host_dnssec).
	NameSecure bool
	// Unknown is set for a session whose host is unknown (-bs without address): "unknown host".
	Interface     netip.Addr // the local address the client connected to ($received_ip_address)
	InterfacePort int
	// Ident is the RFC 1413 answer, or the login name of a local submitter ($sender_ident).
	Ident string

	// HELO is the argument of HELO or EHLO ($sender_helo_name). ESMTP says it was EHLO.
	HELO         string
	ESMTP        bool
	HELOVerified bool
	HELOTried    bool // verification was attempted

	// TLS is nil in clear text.
	TLS *TLS
	// Authenticator is the name of the authenticator that succeeded ($sender_host_authenticated), AuthID its
	// $authenticated_id; FailedID is $authenticated_fail_id; AuthSender is MAIL's AUTH= ($authenticated_sender).
	Authenticator, AuthID, FailedID, AuthSender string
	// PublicName is the mechanism's public name, as logged and announced.
	AuthPublicName string

	// Local says that the submitter is on this machine (no TCP): -bm, -bs, -bS, or the submission socket.
	Local bool
	// Batch is -bS, SMTP -bs or TCP, Interactive neither.
	SMTP, Batch bool
	// CallerUID and CallerGID are the local submitter's ($caller_uid, $caller_gid).
	CallerUID, CallerGID int
	// Login is the local submitter's login name.
	Login string
	// Trusted is set for trusted callers, Admin for administrators.
	Trusted, Admin bool

	// Command, Argument and History are $smtp_command, $smtp_command_argument and $smtp_command_history.
	Command, Argument string
	History           []string
	// NotQuitReason is $smtp_notquit_reason.
	NotQuitReason string
	// CountInACL: numbers shown as variables.
	Messages, Recipients int // accepted messages of this session; RCPT commands of the current message
	RcptDefer, RcptFail  int // $rcpt_defer_count, $rcpt_fail_count
	RcptCount            int // $rcpt_count: all RCPT commands of the current message
	Load                 int // load average in thousandths when the session began

	// Vars are the acl_c variables; the key is the name after "acl_c" ("0", "_mine").
	Vars map[string]Value
	// Bag is for features' state of this connection.
	Bag Bag
}

// NameLookup is the state of the reverse lookup of the client's name.
type NameLookup int

// States of the reverse lookup.
const (
	NameNotTried NameLookup = iota
	NameFound
	NameFailed   // $host_lookup_failed = 1
	NameDeferred // $host_lookup_deferred = 1
)

// TLS says what was negotiated on a connection, in either direction.
type TLS struct {
	Version string // "TLS1.3"
	// Cipher in log form: "TLS1.3:TLS_AES_256_GCM_SHA384:256"; CipherStd is the IANA name.
	Cipher, CipherStd string
	Bits              int
	// Peer is the peer's certificate, nil if none; PeerDN its subject as RFC 4514; Verified whether it verified.
	Peer, Ours *x509.Certificate
	PeerDN     string
	Verified   bool
	SNI, ALPN  string
	OCSP       int // $tls_in_ocsp / $tls_out_ocsp value
	Resumption int // $tls_in_resumption bits
	DANE       string
	// OnConnect says TLS began without STARTTLS.
	OnConnect bool
	// Exporter returns keying material for channel bindings (RFC 5929, 9266); nil when unknown.
	Binding func(label string) []byte
}
