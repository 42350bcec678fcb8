package config

import (
	"time"

	"exigo/internal/option"
)

// MainMessage holds main options (spec 14). Messages on reception: headers, addresses, limits.
type MainMessage struct {
	AllowDomainLiterals             bool
	AllowMXToIP                     bool
	AllowUTF8Domains                bool
	CheckRFC2047Length              bool
	DeliveryDateRemove              bool
	DropCR                          bool
	EnvelopeToRemove                bool
	ExtractAddressesRemoveArguments bool
	HeaderLineMaxSize               int
	HeaderMaxSize                   int
	HeadersCharset                  string
	LocalFromCheck                  bool
	LocalFromPrefix                 string
	LocalFromSuffix                 string
	LocalSenderRetain               bool
	MessageBodyNewlines             bool
	MessageBodyVisible              int
	MessageIDHeaderDomain           option.Expanded
	MessageIDHeaderText             option.Expanded
	MessageSizeLimit                option.Expanded
	PercentHackDomains              option.DomainList
	QualifyDomain                   string
	QualifyRecipient                string
	ReceiveTimeout                  time.Duration
	ReceivedHeaderText              option.Expanded
	ReceivedHeadersMax              int
	RecipientsMax                   option.ExpandedInt
	RecipientsMaxReject             bool
	ReturnPathRemove                bool
	StripExcessAngleBrackets        bool
	StripTrailingDot                bool
	UntrustedSetSender              option.AddressList
}

func mainMessageRows() []option.Row[Main] {
	return []option.Row[Main]{
		{Name: "allow_domain_literals", Field: func(m *Main) any { return &m.AllowDomainLiterals }, Doc: "Recognises [10.1.2.3] as a domain."},
		{Name: "allow_mx_to_ip", Field: func(m *Main) any { return &m.AllowMXToIP }, Doc: "An MX record may point to an IP address."},
		{Name: "allow_utf8_domains", Field: func(m *Main) any { return &m.AllowUTF8Domains }, Doc: "Domains may hold UTF-8."},
		{Name: "check_rfc2047_length", Default: "true", Field: func(m *Main) any { return &m.CheckRFC2047Length }, Doc: "Encoded words longer than 75 characters are not decoded."},
		{Name: "delivery_date_remove", Default: "true", Field: func(m *Main) any { return &m.DeliveryDateRemove }, Doc: "Removes Delivery-date: from incoming messages."},
		{Name: "drop_cr", Field: func(m *Main) any { return &m.DropCR }, Doc: "Kept for old configurations; has no effect."},
		{Name: "envelope_to_remove", Default: "true", Field: func(m *Main) any { return &m.EnvelopeToRemove }, Doc: "Removes Envelope-to: from incoming messages."},
		{Name: "extract_addresses_remove_arguments", Default: "true", Field: func(m *Main) any { return &m.ExtractAddressesRemoveArguments }, Doc: "With -t, addresses on the command line are removed from the recipients."},
		{Name: "header_line_maxsize", Field: func(m *Main) any { return &m.HeaderLineMaxSize }, Doc: "Longest header line accepted; 0 is no limit."},
		{Name: "header_maxsize", Default: "1M", Field: func(m *Main) any { return &m.HeaderMaxSize }, Doc: "Largest header accepted."},
		{Name: "headers_charset", Default: "UTF-8", Field: func(m *Main) any { return &m.HeadersCharset }, Doc: "Character set into which encoded words are decoded."},
		{Name: "local_from_check", Default: "true", Field: func(m *Main) any { return &m.LocalFromCheck }, Doc: "Adds Sender: when From: of a local message is not its submitter."},
		{Name: "local_from_prefix", Field: func(m *Main) any { return &m.LocalFromPrefix }, Doc: "What may stand before the login name in that check."},
		{Name: "local_from_suffix", Field: func(m *Main) any { return &m.LocalFromSuffix }, Doc: "What may stand after it."},
		{Name: "local_sender_retain", Field: func(m *Main) any { return &m.LocalSenderRetain }, Doc: "Keeps Sender: of local messages."},
		{Name: "message_body_newlines", Field: func(m *Main) any { return &m.MessageBodyNewlines }, Doc: "Keeps newlines in $message_body."},
		{Name: "message_body_visible", Default: "500", Field: func(m *Main) any { return &m.MessageBodyVisible }, Doc: "How many characters $message_body holds."},
		{Name: "message_id_header_domain", Field: func(m *Main) any { return &m.MessageIDHeaderDomain }, Doc: "Domain of Message-ID: headers that Exim makes."},
		{Name: "message_id_header_text", Field: func(m *Main) any { return &m.MessageIDHeaderText }, Doc: "Text that goes into them."},
		{Name: "message_size_limit", Default: "50M", Field: func(m *Main) any { return &m.MessageSizeLimit }, Doc: "Largest message."},
		{Name: "percent_hack_domains", Field: func(m *Main) any { return &m.PercentHackDomains }, Doc: "Domains in which user%domain2@domain is rewritten to user@domain2."},
		{Name: "qualify_domain", Field: func(m *Main) any { return &m.QualifyDomain }, Doc: "Domain added to senders, and to recipients unless qualify_recipient is set."},
		{Name: "qualify_recipient", Field: func(m *Main) any { return &m.QualifyRecipient }, Doc: "Domain added to recipients."},
		{Name: "receive_timeout", Field: func(m *Main) any { return &m.ReceiveTimeout }, Doc: "Time allowed for reading a local message; 0 is no limit."},
		{Name: "received_header_text", Default: `Received: ${if def:sender_rcvhost {from $sender_rcvhost\n\t}{${if def:sender_ident {from ${quote_local_part:$sender_ident} }}${if def:sender_helo_name {(helo=$sender_helo_name)\n\t}}}}by $primary_hostname ${if def:received_protocol {with $received_protocol }}${if def:tls_in_ver        { ($tls_in_ver)}}${if def:tls_in_cipher_std { tls $tls_in_cipher_std\n\t}}(Exim $version_number)\n\t${if def:sender_address {(envelope-from <$sender_address>)\n\t}}id $message_exim_id${if def:received_for {\n\tfor $received_for}}`, Field: func(m *Main) any { return &m.ReceivedHeaderText }, Doc: "Text of the Received: header."},
		{Name: "received_headers_max", Default: "30", Field: func(m *Main) any { return &m.ReceivedHeadersMax }, Doc: "Received: headers after which a message counts as looping."},
		{Name: "recipients_max", Default: "50000", Field: func(m *Main) any { return &m.RecipientsMax }, Doc: "Most recipients of a message."},
		{Name: "recipients_max_reject", Field: func(m *Main) any { return &m.RecipientsMaxReject }, Doc: "A message with too many recipients is refused as a whole."},
		{Name: "return_path_remove", Default: "true", Field: func(m *Main) any { return &m.ReturnPathRemove }, Doc: "Removes Return-path: from incoming messages."},
		{Name: "strip_excess_angle_brackets", Field: func(m *Main) any { return &m.StripExcessAngleBrackets }, Doc: "Reads <<user@domain>> as <user@domain>."},
		{Name: "strip_trailing_dot", Field: func(m *Main) any { return &m.StripTrailingDot }, Doc: "Drops a dot at the end of a domain."},
		{Name: "untrusted_set_sender", Field: func(m *Main) any { return &m.UntrustedSetSender }, Doc: "Senders that untrusted callers may set."},
	}
}
