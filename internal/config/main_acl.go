package config

import (
	"time"

	"exigo/internal/option"
)

// MainACL holds main options (spec 14). Access control lists and policy.
type MainACL struct {
	ACLNotSMTP                  option.Expanded
	ACLNotSMTPMIME              option.Expanded
	ACLNotSMTPStart             option.Expanded
	ACLSMTPAuth                 option.Expanded
	ACLSMTPConnect              option.Expanded
	ACLSMTPData                 option.Expanded
	ACLSMTPDataPRDR             option.Expanded
	ACLSMTPDKIM                 option.Expanded
	ACLSMTPETRN                 option.Expanded
	ACLSMTPEXPN                 option.Expanded
	ACLSMTPHELO                 option.Expanded
	ACLSMTPMail                 option.Expanded
	ACLSMTPMailAuth             option.Expanded
	ACLSMTPMIME                 option.Expanded
	ACLSMTPNotQuit              option.Expanded
	ACLSMTPPredata              option.Expanded
	ACLSMTPQuit                 option.Expanded
	ACLSMTPRcpt                 option.Expanded
	ACLSMTPSTARTTLS             option.Expanded
	ACLSMTPVRFY                 option.Expanded
	ACLSMTPWellKnown            option.Expanded
	AVScanner                   string
	CalloutDomainNegativeExpire time.Duration
	CalloutDomainPositiveExpire time.Duration
	CalloutNegativeExpire       time.Duration
	CalloutPositiveExpire       time.Duration
	CalloutRandomLocalPart      option.Expanded
	DKIMVerifyHashes            []string
	DKIMVerifyKeyTypes          []string
	DKIMVerifyMinKeySizes       string
	DKIMVerifyMinimal           bool
	DKIMVerifySigners           option.Expanded
	EventAction                 option.Expanded
	HELOAcceptJunkHosts         option.HostList
	HELOAllowChars              string
	HELOLookupDomains           option.DomainList
	HELOTryVerifyHosts          option.HostList
	HELOVerifyHosts             option.HostList
	HostLookup                  option.HostList
	HostLookupOrder             []string
	HostRejectConnection        option.HostList
	LocalScanTimeout            time.Duration
	LocalScanPath               string
	SpamdAddress                string
	StrictACLVars               bool
}

func mainACLRows() []option.Row[Main] {
	return []option.Row[Main]{
		{Name: "acl_not_smtp", Field: func(m *Main) any { return &m.ACLNotSMTP }, Doc: "ACL for messages that did not come by SMTP."},
		{Name: "acl_not_smtp_mime", Field: func(m *Main) any { return &m.ACLNotSMTPMIME }, Doc: "ACL for the MIME parts of such messages."},
		{Name: "acl_not_smtp_start", Field: func(m *Main) any { return &m.ACLNotSMTPStart }, Doc: "ACL before such a message is read."},
		{Name: "acl_smtp_auth", Field: func(m *Main) any { return &m.ACLSMTPAuth }, Doc: "ACL for AUTH."},
		{Name: "acl_smtp_connect", Field: func(m *Main) any { return &m.ACLSMTPConnect }, Doc: "ACL when a client connects."},
		{Name: "acl_smtp_data", Field: func(m *Main) any { return &m.ACLSMTPData }, Doc: "ACL after the message was read."},
		{Name: "acl_smtp_data_prdr", Default: "accept", Field: func(m *Main) any { return &m.ACLSMTPDataPRDR }, Doc: "ACL after the message was read, for each recipient when PRDR is in use."},
		{Name: "acl_data_smtp_prdr", AliasOf: "acl_smtp_data_prdr"},
		{Name: "acl_smtp_dkim", Field: func(m *Main) any { return &m.ACLSMTPDKIM }, Doc: "ACL for each signer of a message."},
		{Name: "acl_smtp_etrn", Field: func(m *Main) any { return &m.ACLSMTPETRN }, Doc: "ACL for ETRN."},
		{Name: "acl_smtp_expn", Field: func(m *Main) any { return &m.ACLSMTPEXPN }, Doc: "ACL for EXPN."},
		{Name: "acl_smtp_helo", Field: func(m *Main) any { return &m.ACLSMTPHELO }, Doc: "ACL for HELO and EHLO."},
		{Name: "acl_smtp_mail", Field: func(m *Main) any { return &m.ACLSMTPMail }, Doc: "ACL for MAIL."},
		{Name: "acl_smtp_mailauth", Field: func(m *Main) any { return &m.ACLSMTPMailAuth }, Doc: "ACL for the AUTH parameter of MAIL."},
		{Name: "acl_smtp_mime", Field: func(m *Main) any { return &m.ACLSMTPMIME }, Doc: "ACL for each MIME part."},
		{Name: "acl_smtp_notquit", Field: func(m *Main) any { return &m.ACLSMTPNotQuit }, Doc: "ACL when a session ends without QUIT."},
		{Name: "acl_smtp_predata", Field: func(m *Main) any { return &m.ACLSMTPPredata }, Doc: "ACL for DATA, before the message is read."},
		{Name: "acl_smtp_quit", Field: func(m *Main) any { return &m.ACLSMTPQuit }, Doc: "ACL for QUIT."},
		{Name: "acl_smtp_rcpt", Field: func(m *Main) any { return &m.ACLSMTPRcpt }, Doc: "ACL for RCPT."},
		{Name: "acl_smtp_starttls", Field: func(m *Main) any { return &m.ACLSMTPSTARTTLS }, Doc: "ACL for STARTTLS."},
		{Name: "acl_smtp_vrfy", Field: func(m *Main) any { return &m.ACLSMTPVRFY }, Doc: "ACL for VRFY."},
		{Name: "acl_smtp_wellknown", Field: func(m *Main) any { return &m.ACLSMTPWellKnown }, Doc: "ACL for WELLKNOWN."},
		{Name: "av_scanner", Default: "sophie:/var/run/sophie", Field: func(m *Main) any { return &m.AVScanner }, Doc: "Virus scanner: type and where to find it; expanded if it begins with a dollar."},
		{Name: "callout_domain_negative_expire", Default: "3h", Field: func(m *Main) any { return &m.CalloutDomainNegativeExpire }, Doc: "How long a domain that failed a callout is remembered."},
		{Name: "callout_domain_positive_expire", Default: "7d", Field: func(m *Main) any { return &m.CalloutDomainPositiveExpire }, Doc: "How long a domain that passed a callout is remembered."},
		{Name: "callout_negative_expire", Default: "2h", Field: func(m *Main) any { return &m.CalloutNegativeExpire }, Doc: "How long an address that failed a callout is remembered."},
		{Name: "callout_positive_expire", Default: "24h", Field: func(m *Main) any { return &m.CalloutPositiveExpire }, Doc: "How long an address that passed a callout is remembered."},
		{Name: "callout_random_local_part", Default: "$primary_hostname-$tod_epoch-testing", Field: func(m *Main) any { return &m.CalloutRandomLocalPart }, Doc: "Local part for random callouts."},
		{Name: "dkim_verify_hashes", Default: "sha256:sha512", Field: func(m *Main) any { return &m.DKIMVerifyHashes }, Doc: "Hashes accepted in DKIM signatures."},
		{Name: "dkim_verify_keytypes", Default: "ed25519:rsa", Field: func(m *Main) any { return &m.DKIMVerifyKeyTypes }, Doc: "Key types accepted in DKIM signatures."},
		{Name: "dkim_verify_min_keysizes", Default: "rsa=1024 ed25519=250", Field: func(m *Main) any { return &m.DKIMVerifyMinKeySizes }, Doc: "Smallest keys accepted in DKIM signatures."},
		{Name: "dkim_verify_minimal", Field: func(m *Main) any { return &m.DKIMVerifyMinimal }, Doc: "Verification stops at the first good signature."},
		{Name: "dkim_verify_signers", Default: "$dkim_signers", Field: func(m *Main) any { return &m.DKIMVerifySigners }, Doc: "Domains or identities for which the DKIM ACL runs."},
		{Name: "event_action", Field: func(m *Main) any { return &m.EventAction }, Doc: "Expanded for each event; see the events chapter."},
		{Name: "helo_accept_junk_hosts", Field: func(m *Main) any { return &m.HELOAcceptJunkHosts }, Doc: "Hosts that may give malformed HELO names."},
		{Name: "helo_allow_chars", Field: func(m *Main) any { return &m.HELOAllowChars }, Doc: "Further characters allowed in HELO names."},
		{Name: "helo_lookup_domains", Default: "@ : @[]", Field: func(m *Main) any { return &m.HELOLookupDomains }, Doc: "HELO names that make the client's name be looked up."},
		{Name: "helo_try_verify_hosts", Field: func(m *Main) any { return &m.HELOTryVerifyHosts }, Doc: "Hosts whose HELO name is verified, without consequence."},
		{Name: "helo_verify_hosts", Field: func(m *Main) any { return &m.HELOVerifyHosts }, Doc: "Hosts whose HELO name must verify."},
		{Name: "host_lookup", Field: func(m *Main) any { return &m.HostLookup }, Doc: "Hosts whose names are looked up when they connect."},
		{Name: "host_lookup_order", Default: "bydns:byaddr", Field: func(m *Main) any { return &m.HostLookupOrder }, Doc: "Ways to look up a host's name."},
		{Name: "host_reject_connection", Field: func(m *Main) any { return &m.HostRejectConnection }, Doc: "Hosts whose connections are refused outright."},
		{Name: "local_scan_timeout", Default: "5m", Field: func(m *Main) any { return &m.LocalScanTimeout }, Doc: "Time allowed to local_scan()."},
		{Name: "local_scan_path", Field: func(m *Main) any { return &m.LocalScanPath }, Doc: "Shared object with local_scan()."},
		{Name: "spamd_address", Default: "127.0.0.1 783", Field: func(m *Main) any { return &m.SpamdAddress }, Doc: "Where SpamAssassin, or rspamd, listens; expanded if it begins with a dollar."},
		{Name: "strict_acl_vars", Field: func(m *Main) any { return &m.StrictACLVars }, Doc: "Use of an unset ACL variable is an error."},
	}
}
