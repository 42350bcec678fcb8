package eventlog

import (
	"fmt"
	"strconv"
	"strings"
)

// Selector is one switch of log_selector: the index of its row in the table.
type Selector uint8

// The selectors, in the order of the table in the specification (53.15), later additions in between.
const (
	EightBitMIME Selector = iota
	ACLWarnSkipped
	AddressRewrite
	AllParents
	Arguments
	ConnectionID
	ConnectionReject
	DelayDelivery
	DeliverTime
	DeliverySize
	DKIM
	DKIMVerbose
	DMARC
	DMARCVerbose
	DNSListDefer
	DNSSEC
	ETRN
	HostLookupFailed
	IdentTimeout
	IncomingInterface
	IncomingPort
	LostIncomingConnection
	Millisec
	MsgID
	MsgIDCreated
	OutgoingInterface
	OutgoingPort
	PID
	Pipelining
	ProtocolDetail
	Proxy
	QueueRun
	QueueTime
	QueueTimeExclusive
	QueueTimeOverall
	ReceiveTime
	ReceivedRecipients
	ReceivedSender
	RejectedHeader
	RetryDefer
	ReturnPathOnDelivery
	SenderOnDelivery
	SenderVerifyFail
	SizeReject
	SkipDelivery
	SMTPConfirmation
	SMTPConnection
	SMTPIncompleteTransaction
	SMTPMailauth
	SMTPNoMail
	SMTPProtocolError
	SMTPSyntaxError
	SPF
	SPFVerbose
	Subject
	TLSCertificateVerified
	TLSCipher
	TLSOnConnect
	TLSPeerDN
	TLSResumption
	TLSSNI
	UnknownInList
	selectorCount
)

// SelectorRow declares one selector.
type SelectorRow struct {
	// Name as it stands in log_selector, without sign.
	Name string
	// Default says whether it is on unless switched off.
	Default bool
	// Doc is one phrase for the reference.
	Doc string
}

// SelectorRows returns the table, indexed by Selector.
func SelectorRows() [selectorCount]SelectorRow {
	return [selectorCount]SelectorRow{
		EightBitMIME:              {"8bitmime", false, "received 8BITMIME status"},
		ACLWarnSkipped:            {"acl_warn_skipped", true, "skipped warn statement in ACL"},
		AddressRewrite:            {"address_rewrite", false, "address rewriting"},
		AllParents:                {"all_parents", false, "all parents in => lines"},
		Arguments:                 {"arguments", false, "command line arguments"},
		ConnectionID:              {"connection_id", false, "identifier of the connection, Ci="},
		ConnectionReject:          {"connection_reject", true, "connection rejections"},
		DelayDelivery:             {"delay_delivery", true, "immediate delivery delayed"},
		DeliverTime:               {"deliver_time", false, "time taken to attempt delivery"},
		DeliverySize:              {"delivery_size", false, "add S=nnn to => lines"},
		DKIM:                      {"dkim", true, "DKIM verified domain on <= lines"},
		DKIMVerbose:               {"dkim_verbose", false, "separate full DKIM verification result line, per signature"},
		DMARC:                     {"dmarc", false, "DMARC result on <= lines"},
		DMARCVerbose:              {"dmarc_verbose", false, "DMARC result on <= lines, and why failure reports were not sent"},
		DNSListDefer:              {"dnslist_defer", true, "defers of DNS list (aka RBL) lookups"},
		DNSSEC:                    {"dnssec", false, "DNSSEC secured lookups"},
		ETRN:                      {"etrn", true, "ETRN commands"},
		HostLookupFailed:          {"host_lookup_failed", true, "failed lookups of host names and addresses"},
		IdentTimeout:              {"ident_timeout", false, "timeout for ident connection"},
		IncomingInterface:         {"incoming_interface", false, "local interface on <= and => lines"},
		IncomingPort:              {"incoming_port", false, "remote port on <= lines"},
		LostIncomingConnection:    {"lost_incoming_connection", true, "lost connections, timeouts included"},
		Millisec:                  {"millisec", false, "millisecond timestamps and RT, QT, DT, D times"},
		MsgID:                     {"msg_id", true, "Message-ID: value on <= lines"},
		MsgIDCreated:              {"msg_id_created", false, "Message-ID: value on <= lines when one had to be added"},
		OutgoingInterface:         {"outgoing_interface", true, "local interface on => lines, with incoming_interface"},
		OutgoingPort:              {"outgoing_port", false, "remote port on => lines"},
		PID:                       {"pid", false, "process id"},
		Pipelining:                {"pipelining", false, "PIPELINING use, on <= and => lines"},
		ProtocolDetail:            {"protocol_detail", false, "details of the TCP and TLS protocols' use by a peer"},
		Proxy:                     {"proxy", false, "proxy address on <= and => lines"},
		QueueRun:                  {"queue_run", true, "start and end of queue runs"},
		QueueTime:                 {"queue_time", false, "time on queue for one recipient"},
		QueueTimeExclusive:        {"queue_time_exclusive", false, "exclude receive time from QT times"},
		QueueTimeOverall:          {"queue_time_overall", false, "time on queue for whole message"},
		ReceiveTime:               {"receive_time", false, "time taken to receive message"},
		ReceivedRecipients:        {"received_recipients", false, "recipients on <= lines"},
		ReceivedSender:            {"received_sender", false, "sender on <= lines"},
		RejectedHeader:            {"rejected_header", true, "header contents on reject log"},
		RetryDefer:                {"retry_defer", true, "\"retry time not reached\""},
		ReturnPathOnDelivery:      {"return_path_on_delivery", false, "return path on => and ** lines"},
		SenderOnDelivery:          {"sender_on_delivery", false, "sender on => lines"},
		SenderVerifyFail:          {"sender_verify_fail", true, "sender verification failures"},
		SizeReject:                {"size_reject", true, "rejection because too big"},
		SkipDelivery:              {"skip_delivery", true, "delivery skipped in a queue run"},
		SMTPConfirmation:          {"smtp_confirmation", true, "SMTP confirmation on => lines"},
		SMTPConnection:            {"smtp_connection", false, "incoming SMTP connections"},
		SMTPIncompleteTransaction: {"smtp_incomplete_transaction", false, "incomplete SMTP transactions"},
		SMTPMailauth:              {"smtp_mailauth", false, "AUTH argument to MAIL commands"},
		SMTPNoMail:                {"smtp_no_mail", false, "session with no MAIL commands"},
		SMTPProtocolError:         {"smtp_protocol_error", false, "SMTP protocol errors"},
		SMTPSyntaxError:           {"smtp_syntax_error", false, "SMTP syntax errors"},
		SPF:                       {"spf", false, "SPF result on <= lines"},
		SPFVerbose:                {"spf_verbose", false, "SPF result on <= lines"},
		Subject:                   {"subject", false, "contents of Subject: on <= lines"},
		TLSCertificateVerified:    {"tls_certificate_verified", true, "certificate verification status"},
		TLSCipher:                 {"tls_cipher", true, "TLS cipher suite on <= and => lines"},
		TLSOnConnect:              {"tls_on_connect", false, "mark TLS-on-connect use"},
		TLSPeerDN:                 {"tls_peerdn", false, "TLS peer DN on <= and => lines"},
		TLSResumption:             {"tls_resumption", false, "append * to cipher field"},
		TLSSNI:                    {"tls_sni", false, "TLS SNI on <= lines"},
		UnknownInList:             {"unknown_in_list", false, "DNS lookup failed in list match"},
	}
}

// Set is a set of selectors, one bit each.
type Set uint64

// With returns the set with the selectors added.
func (s Set) With(selectors ...Selector) Set {
	for _, sel := range selectors {
		s |= 1 << sel
	}
	return s
}

// Has tells whether the selector is on.
func (s Set) Has(sel Selector) bool { return s>>sel&1 != 0 }

// DefaultSet returns the selectors that are on when log_selector is unset.
func DefaultSet() Set {
	var s Set
	for i, r := range SelectorRows() {
		if r.Default {
			s = s.With(Selector(i))
		}
	}
	return s
}

// ParseSet reads a value of log_selector (spec 53.15): names with + or - before them, or "=" and a number
// that replaces the lowest 32 bits. Errors are in Exim's words, without "Exim configuration error".
func ParseSet(text string) (Set, error) {
	set, rows := DefaultSet(), SelectorRows()
	rest := trimSpace(text)
	if strings.HasPrefix(rest, "=") {
		number := trimSpace(rest[1:])
		v, err := strconv.ParseUint(number, 0, 64)
		if err != nil {
			return 0, fmt.Errorf("malformed numeric log_selector setting: %s", text)
		}
		return Set(v), nil
	}
	for rest = trimSpace(rest); rest != ""; rest = trimSpace(rest) {
		if rest[0] != '+' && rest[0] != '-' {
			return 0, fmt.Errorf("malformed log_selector setting: + or - expected but found \"%s\"", rest)
		}
		end := 1
		for end < len(rest) && isWord(rest[end]) {
			end++
		}
		bits, ok := lookupSelector(rows[:], rest[1:end])
		if !ok {
			return 0, fmt.Errorf("unknown log_selector setting: %s", rest[:end])
		}
		if rest[0] == '+' {
			set |= bits
		} else {
			set &^= bits
		}
		rest = rest[end:]
	}
	return set, nil
}

func lookupSelector(rows []SelectorRow, name string) (Set, bool) {
	if name == "all" {
		return 1<<selectorCount - 1, true
	}
	for i, r := range rows {
		if r.Name == name {
			return 1 << i, true
		}
	}
	return 0, false
}

func isWord(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_'
}

func trimSpace(s string) string { return strings.TrimLeft(s, " \t\n\r\f\v") }
