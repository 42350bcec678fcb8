package config

import (
	"time"

	"exigo/internal/option"
)

// MainSMTP holds main options (spec 14). Incoming SMTP.
type MainSMTP struct {
	Accept8BITMIME            bool
	AuthAdvertiseHosts        option.HostList
	ChunkingAdvertiseHosts    option.HostList
	DSNAdvertiseHosts         option.HostList
	HostsRequireHELO          option.HostList
	HostsXCLIENT              option.HostList
	IgnoreFromLineHosts       option.HostList
	IgnoreFromLineLocal       bool
	LimitsAdvertiseHosts      option.HostList
	PipeliningAdvertiseHosts  option.HostList
	RecipientUnqualifiedHosts option.HostList
	RFC1413Hosts              option.HostList
	RFC1413QueryTimeout       time.Duration
	SenderUnqualifiedHosts    option.HostList
	SMTPAcceptMaxNonMail      int
	SMTPAcceptMaxNonMailHosts option.HostList
	SMTPActiveHostname        option.Expanded
	SMTPBanner                option.Expanded
	SMTPCheckSpoolSpace       bool
	SMTPEnforceSync           bool
	SMTPETRNCommand           option.Expanded
	SMTPETRNSerialize         bool
	SMTPMaxSynProtErrors      int
	SMTPMaxUnknownCommands    int
	SMTPRateLimitHosts        option.HostList
	SMTPRateLimitMail         string
	SMTPRateLimitRcpt         string
	SMTPReceiveTimeout        option.ExpandedTime
	SMTPReturnErrorDetails    bool
	SMTPUTF8AdvertiseHosts    option.HostList
	WellKnownAdvertiseHosts   option.HostList
}

func mainSMTPRows() []option.Row[Main] {
	return []option.Row[Main]{
		{Name: "accept_8bitmime", Default: "true", Field: func(m *Main) any { return &m.Accept8BITMIME }, Doc: "Offers 8BITMIME."},
		{Name: "auth_advertise_hosts", Default: "*", Field: func(m *Main) any { return &m.AuthAdvertiseHosts }, Doc: "Hosts that are offered AUTH."},
		{Name: "chunking_advertise_hosts", Default: "*", Field: func(m *Main) any { return &m.ChunkingAdvertiseHosts }, Doc: "Hosts that are offered CHUNKING."},
		{Name: "dsn_advertise_hosts", Field: func(m *Main) any { return &m.DSNAdvertiseHosts }, Doc: "Hosts that are offered DSN."},
		{Name: "hosts_require_helo", Default: "*", Field: func(m *Main) any { return &m.HostsRequireHELO }, Doc: "Hosts that must give HELO or EHLO before MAIL."},
		{Name: "hosts_xclient", Field: func(m *Main) any { return &m.HostsXCLIENT }, Doc: "Hosts that may use XCLIENT."},
		{Name: "ignore_fromline_hosts", Field: func(m *Main) any { return &m.IgnoreFromLineHosts }, Doc: `Hosts whose messages may begin with a "From " line.`},
		{Name: "ignore_fromline_local", Field: func(m *Main) any { return &m.IgnoreFromLineLocal }, Doc: `Local SMTP messages may begin with a "From " line.`},
		{Name: "limits_advertise_hosts", Default: "*", Field: func(m *Main) any { return &m.LimitsAdvertiseHosts }, Doc: "Hosts that are offered LIMITS."},
		{Name: "pipelining_advertise_hosts", Default: "*", Field: func(m *Main) any { return &m.PipeliningAdvertiseHosts }, Doc: "Hosts that are offered PIPELINING."},
		{Name: "recipient_unqualified_hosts", Field: func(m *Main) any { return &m.RecipientUnqualifiedHosts }, Doc: "Hosts that may give recipients without domain."},
		{Name: "rfc1413_hosts", Default: "@[]", Field: func(m *Main) any { return &m.RFC1413Hosts }, Doc: "Hosts that are asked for the caller's identity."},
		{Name: "rfc1413_query_timeout", Field: func(m *Main) any { return &m.RFC1413QueryTimeout }, Doc: "Time allowed to such a query; 0 asks none."},
		{Name: "sender_unqualified_hosts", Field: func(m *Main) any { return &m.SenderUnqualifiedHosts }, Doc: "Hosts that may give senders without domain."},
		{Name: "smtp_accept_max_nonmail", Default: "10", Field: func(m *Main) any { return &m.SMTPAcceptMaxNonMail }, Doc: "Commands other than of mail transactions that a client may give."},
		{Name: "smtp_accept_max_nonmail_hosts", Default: "*", Field: func(m *Main) any { return &m.SMTPAcceptMaxNonMailHosts }, Doc: "Hosts to which that limit applies."},
		{Name: "smtp_active_hostname", Field: func(m *Main) any { return &m.SMTPActiveHostname }, Doc: "Name shown to the client in place of primary_hostname."},
		{Name: "smtp_banner", Default: "$smtp_active_hostname ESMTP Exim $version_number $tod_full", Field: func(m *Main) any { return &m.SMTPBanner }, Doc: "Text of the first reply."},
		{Name: "smtp_check_spool_space", Default: "true", Field: func(m *Main) any { return &m.SMTPCheckSpoolSpace }, Doc: "Checks the space before a message of the size in MAIL."},
		{Name: "smtp_enforce_sync", Default: "true", Field: func(m *Main) any { return &m.SMTPEnforceSync }, Doc: "Refuses clients that send before they may."},
		{Name: "smtp_etrn_command", Field: func(m *Main) any { return &m.SMTPETRNCommand }, Doc: "Command that ETRN runs in place of a delivery."},
		{Name: "smtp_etrn_serialize", Default: "true", Field: func(m *Main) any { return &m.SMTPETRNSerialize }, Doc: "ETRN commands with one argument run one at a time."},
		{Name: "smtp_max_synprot_errors", Default: "3", Field: func(m *Main) any { return &m.SMTPMaxSynProtErrors }, Doc: "Syntax and protocol errors after which the connection is dropped."},
		{Name: "smtp_max_unknown_commands", Default: "3", Field: func(m *Main) any { return &m.SMTPMaxUnknownCommands }, Doc: "Unknown commands after which the connection is dropped."},
		{Name: "smtp_ratelimit_hosts", Field: func(m *Main) any { return &m.SMTPRateLimitHosts }, Doc: "Hosts whose MAIL and RCPT commands are slowed."},
		{Name: "smtp_ratelimit_mail", Field: func(m *Main) any { return &m.SMTPRateLimitMail }, Doc: "How MAIL is slowed: threshold, initial delay, factor, maximum."},
		{Name: "smtp_ratelimit_rcpt", Field: func(m *Main) any { return &m.SMTPRateLimitRcpt }, Doc: "How RCPT is slowed."},
		{Name: "smtp_receive_timeout", Default: "5m", Field: func(m *Main) any { return &m.SMTPReceiveTimeout }, Doc: "Time allowed to a client for a command or line."},
		{Name: "smtp_return_error_details", Field: func(m *Main) any { return &m.SMTPReturnErrorDetails }, Doc: "Replies say in detail why an address was refused."},
		{Name: "smtputf8_advertise_hosts", Default: "*", Field: func(m *Main) any { return &m.SMTPUTF8AdvertiseHosts }, Doc: "Hosts that are offered SMTPUTF8."},
		{Name: "wellknown_advertise_hosts", Field: func(m *Main) any { return &m.WellKnownAdvertiseHosts }, Doc: "Hosts that are offered WELLKNOWN."},
	}
}
