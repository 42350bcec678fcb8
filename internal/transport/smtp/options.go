// Package smtp is the transport that delivers over TCP by SMTP or LMTP (spec chapter 30, 49.1 and 49.2).
//
// Trust: replies are untrusted (see smtpclient); host names and addresses come from DNS and may be anybody's.
package smtp

import (
	"strings"
	"time"

	"exigo/internal/config"
	"exigo/internal/expand"
	"exigo/internal/option"
	"exigo/internal/smtpclient"
	"exigo/internal/transport"
)

// Settings are the private options of the transport. Callouts and rooms read them as well.
type Settings struct {
	AddressRetryIncludeSender, AllowLocalhost                                    bool
	AuthenticatedSender                                                          option.Expanded
	AuthenticatedSenderForce                                                     bool
	CommandTimeout, ConnectTimeout, DataTimeout, FinalTimeout                    time.Duration
	ConnectionMaxMessages                                                        int
	DelayAfterCutoff, DNSQualifySingle, DNSSearchParents                         bool
	DNSSECRequestDomains, DNSSECRequireDomains                                   option.DomainList
	DSCP                                                                         option.Expanded
	FallbackHosts                                                                option.Expanded
	GetHostByName, GnuTLSCompat                                                  bool
	HeloData                                                                     option.Expanded
	HostNameExtract                                                              option.Expanded
	Hosts                                                                        option.Expanded
	AvoidESMTP, AvoidPipelining, AvoidTLS, NoPassTLS, NoProxyTLS, VerifyAvoidTLS option.HostList
	RequireALPN, RequireAuth, RequireTLS, TryAuth, TryChunking, TryFastOpen      option.HostList
	HostsMaxTry, HostsMaxTryHardLimit                                            int
	HostsOverride                                                                bool
	HostsRandomize                                                               option.ExpandedBool
	Interface                                                                    option.Expanded
	Keepalive, LMTPIgnoreQuota                                                   bool
	MaxRcpt                                                                      option.ExpandedInt
	MessageLineLengthLimit                                                       int
	MultiDomain, RetryIncludeIPAddress                                           option.ExpandedBool
	Port                                                                         option.Expanded
	Protocol                                                                     string
	SerializeHosts                                                               option.HostList
	SizeAddition                                                                 int
	TLSALPN, TLSCertificate, TLSCRL, TLSPrivateKey, TLSRequireCiphers, TLSSNI    option.Expanded
	TLSVerifyCertificates                                                        option.Expanded
	TLSDHMinBits                                                                 int
	TLSTempfailTryClear                                                          bool
	TLSTryVerifyHosts, TLSVerifyCertHostnames, TLSVerifyHosts                    option.HostList
	UTF8Downconvert                                                              option.ExpandedInt
}

var options = option.Table[Settings]{Scope: "transport smtp", Rows: []option.Row[Settings]{
	{Name: "address_retry_include_sender", Default: "true", Field: func(s *Settings) any { return &s.AddressRetryIncludeSender }, Doc: "A recipient that was deferred is delayed for the same sender only."},
	{Name: "allow_localhost", Field: func(s *Settings) any { return &s.AllowLocalhost }, Doc: "The local host is as good as others."},
	{Name: "authenticated_sender", Field: func(s *Settings) any { return &s.AuthenticatedSender }, Doc: "Value of AUTH= on MAIL."},
	{Name: "authenticated_sender_force", Field: func(s *Settings) any { return &s.AuthenticatedSenderForce }, Doc: "AUTH= is sent even when we have not authenticated."},
	{Name: "command_timeout", Default: "5m", Field: func(s *Settings) any { return &s.CommandTimeout }, Doc: "Longest wait for a reply to a command, and for the banner."},
	{Name: "connect_timeout", Default: "5m", Field: func(s *Settings) any { return &s.ConnectTimeout }, Doc: "Longest wait for a connection; zero leaves it to the system."},
	{Name: "connection_max_messages", Default: "500", Field: func(s *Settings) any { return &s.ConnectionMaxMessages }, Doc: "Largest number of messages on one connection; zero is any."},
	{Name: "data_timeout", Default: "5m", Field: func(s *Settings) any { return &s.DataTimeout }, Doc: "Longest wait while sending a block of the message."},
	{Name: "delay_after_cutoff", Default: "true", Field: func(s *Settings) any { return &s.DelayAfterCutoff }, Doc: "Hosts past their last retry cutoff are not tried before their next retry time, even for new messages."},
	{Name: "dns_qualify_single", Default: "true", Field: func(s *Settings) any { return &s.DNSQualifySingle }, Doc: "Names without a dot are completed with the default domain."},
	{Name: "dns_search_parents", Field: func(s *Settings) any { return &s.DNSSearchParents }, Doc: "Names are searched for in parent domains."},
	{Name: "dnssec_request_domains", Default: "*", Field: func(s *Settings) any { return &s.DNSSECRequestDomains }, Doc: "Domains for which DNSSEC is asked for."},
	{Name: "dnssec_require_domains", Field: func(s *Settings) any { return &s.DNSSECRequireDomains }, Doc: "Domains for which DNSSEC is insisted on."},
	{Name: "dscp", Field: func(s *Settings) any { return &s.DSCP }, Doc: "Traffic class of the packets."},
	{Name: "fallback_hosts", Field: func(s *Settings) any { return &s.FallbackHosts }, Doc: "Hosts that are tried when all others failed temporarily."},
	{Name: "final_timeout", Default: "10m", Field: func(s *Settings) any { return &s.FinalTimeout }, Doc: "Longest wait for the reply to the end of a message."},
	{Name: "gethostbyname", Field: func(s *Settings) any { return &s.GetHostByName }, Doc: "Host names are looked up by the system's function rather than in the DNS."},
	{Name: "gnutls_compat_mode", Field: func(s *Settings) any { return &s.GnuTLSCompat }, Doc: "Accepted and ignored: it concerns another TLS library."},
	{Name: "helo_data", Default: "$primary_hostname", Field: func(s *Settings) any { return &s.HeloData }, Doc: "Argument of EHLO, HELO and LHLO."},
	{Name: "host_name_extract", Default: `${if and {{match{$host}{.outlook.com\$}} {match{$item}{\N^250-([\w.]+)\s\N}}} {$1}}`, Field: func(s *Settings) any { return &s.HostNameExtract }, Doc: "Accepted, without effect: outgoing connections do not resume TLS sessions."},
	{Name: "hosts", Field: func(s *Settings) any { return &s.Hosts }, Doc: "Hosts for addresses that bring none."},
	{Name: "hosts_avoid_esmtp", Field: func(s *Settings) any { return &s.AvoidESMTP }, Doc: "Hosts that are greeted with HELO."},
	{Name: "hosts_avoid_pipelining", Field: func(s *Settings) any { return &s.AvoidPipelining }, Doc: "Hosts with which PIPELINING is not used."},
	{Name: "hosts_avoid_tls", Field: func(s *Settings) any { return &s.AvoidTLS }, Doc: "Hosts with which TLS is not used."},
	{Name: "hosts_max_try", Default: "5", Field: func(s *Settings) any { return &s.HostsMaxTry }, Doc: "Largest number of addresses of hosts tried, those past their cutoff not counted."},
	{Name: "hosts_max_try_hardlimit", Default: "50", Field: func(s *Settings) any { return &s.HostsMaxTryHardLimit }, Doc: "Largest number of addresses of hosts tried."},
	{Name: "hosts_nopass_tls", Field: func(s *Settings) any { return &s.NoPassTLS }, Doc: "Hosts with which a TLS connection serves one message only."},
	{Name: "hosts_noproxy_tls", Default: "*", Field: func(s *Settings) any { return &s.NoProxyTLS }, Doc: "Accepted: connections are never passed between processes."},
	{Name: "hosts_override", Field: func(s *Settings) any { return &s.HostsOverride }, Doc: "The option hosts replaces hosts that addresses bring."},
	{Name: "hosts_randomize", Field: func(s *Settings) any { return &s.HostsRandomize }, Doc: "The order of hosts is random, unless they come from MX records."},
	{Name: "hosts_require_alpn", Field: func(s *Settings) any { return &s.RequireALPN }, Doc: "Hosts with which ALPN must be agreed on."},
	{Name: "hosts_require_auth", Field: func(s *Settings) any { return &s.RequireAuth }, Doc: "Hosts to which we must authenticate."},
	{Name: "hosts_require_tls", Field: func(s *Settings) any { return &s.RequireTLS }, Doc: "Hosts that get nothing in clear."},
	{Name: "hosts_try_auth", Field: func(s *Settings) any { return &s.TryAuth }, Doc: "Hosts to which we try to authenticate."},
	{Name: "hosts_try_chunking", Default: "*", Field: func(s *Settings) any { return &s.TryChunking }, Doc: "Hosts to which BDAT is used if they offer CHUNKING."},
	{Name: "hosts_try_fastopen", Default: "*", Field: func(s *Settings) any { return &s.TryFastOpen }, Doc: "Hosts for TCP Fast Open; accepted, without effect."},
	{Name: "hosts_verify_avoid_tls", Field: func(s *Settings) any { return &s.VerifyAvoidTLS }, Doc: "Hosts with which callouts do not use TLS."},
	{Name: "interface", Field: func(s *Settings) any { return &s.Interface }, Doc: "Local addresses to connect from; the first of the right family is used."},
	{Name: "keepalive", Default: "true", Field: func(s *Settings) any { return &s.Keepalive }, Doc: "The system probes idle connections."},
	{Name: "lmtp_ignore_quota", Field: func(s *Settings) any { return &s.LMTPIgnoreQuota }, Doc: "IGNOREQUOTA is added to RCPT if an LMTP server offers it."},
	{Name: "max_rcpt", Default: "100", Field: func(s *Settings) any { return &s.MaxRcpt }, Doc: "Largest number of recipients of one copy; zero is any."},
	{Name: "message_linelength_limit", Default: "998", Field: func(s *Settings) any { return &s.MessageLineLengthLimit }, Doc: "Messages with longer lines are failed; zero or less is no limit."},
	{Name: "multi_domain", Default: "true", Field: func(s *Settings) any { return &s.MultiDomain }, Doc: "One copy may have recipients in several domains."},
	{Name: "port", Field: func(s *Settings) any { return &s.Port }, Doc: "Port or service to connect to; that of the protocol if unset."},
	{Name: "protocol", Default: "smtp", Field: func(s *Settings) any { return &s.Protocol }, Doc: "smtp, lmtp, or smtps or submissions for TLS from the start."},
	{Name: "retry_include_ip_address", Default: "true", Field: func(s *Settings) any { return &s.RetryIncludeIPAddress }, Doc: "Retry data is kept per address of a host rather than per name."},
	{Name: "serialize_hosts", Field: func(s *Settings) any { return &s.SerializeHosts }, Doc: "Hosts that get one connection at a time."},
	{Name: "size_addition", Default: "1024", Field: func(s *Settings) any { return &s.SizeAddition }, Doc: "Added to the size announced by SIZE=; negative: no SIZE=."},
	{Name: "tls_alpn", Field: func(s *Settings) any { return &s.TLSALPN }, Doc: "Protocol name offered by ALPN."},
	{Name: "tls_certificate", Field: func(s *Settings) any { return &s.TLSCertificate }, Doc: "File of the client certificate."},
	{Name: "tls_crl", Field: func(s *Settings) any { return &s.TLSCRL }, Doc: "File or directory of revocation lists."},
	{Name: "tls_dh_min_bits", Default: "1024", Field: func(s *Settings) any { return &s.TLSDHMinBits }, Doc: "Accepted and ignored: finite-field Diffie-Hellman is not used."},
	{Name: "tls_privatekey", Field: func(s *Settings) any { return &s.TLSPrivateKey }, Doc: "File of the client certificate's key."},
	{Name: "tls_require_ciphers", Field: func(s *Settings) any { return &s.TLSRequireCiphers }, Doc: "Cipher suites that may be used."},
	{Name: "tls_sni", Field: func(s *Settings) any { return &s.TLSSNI }, Doc: "Server name sent in the handshake."},
	{Name: "tls_tempfail_tryclear", Default: "true", Field: func(s *Settings) any { return &s.TLSTempfailTryClear }, Doc: "When TLS fails, the message goes in clear if TLS is not required."},
	{Name: "tls_try_verify_hosts", Default: "*", Field: func(s *Settings) any { return &s.TLSTryVerifyHosts }, Doc: "Hosts whose certificates are verified without consequence."},
	{Name: "tls_verify_cert_hostnames", Default: "*", Field: func(s *Settings) any { return &s.TLSVerifyCertHostnames }, Doc: "Hosts whose certificates must carry their name to verify."},
	{Name: "tls_verify_certificates", Default: "system", Field: func(s *Settings) any { return &s.TLSVerifyCertificates }, Doc: "Authorities of server certificates."},
	{Name: "tls_verify_hosts", Field: func(s *Settings) any { return &s.TLSVerifyHosts }, Doc: "Hosts whose certificates must verify."},
	{Name: "utf8_downconvert", Default: "-1", Field: func(s *Settings) any { return &s.UTF8Downconvert }, Doc: "Whether UTF-8 addresses are converted for servers without SMTPUTF8: 1 yes, 0 no, -1 if needed."},
}}

// Driver is the transport.
func Driver() *transport.Driver {
	return &transport.Driver{Name: "smtp", Doc: "Delivers to other hosts by SMTP or LMTP.", Options: options, Check: check, Remote: remote, Limits: limits, Hosts: hosts, Shown: shown}
}

// shown gives the default of port, which follows the protocol.
func shown(inst *config.Instance, name string) any {
	switch name {
	case "port":
		return Of(inst).Protocol
	case "protocol": // Exim has no default of that name
		return ""
	}
	return nil
}

// Of returns the options of an instance of the transport.
func Of(inst *config.Instance) *Settings { return option.Of[Settings](inst.Options) }

// check examines an instance when the configuration is read.
func check(inst *config.Instance) error {
	s := Of(inst)
	s.Protocol = strings.ToLower(s.Protocol)
	switch s.Protocol {
	case "", "smtp", "lmtp", "smtps", "submissions":
	default:
		return transport.Mistake("protocol \"%s\" of %s transport is none of smtp, lmtp, smtps and submissions", s.Protocol, inst.Name)
	}
	if s.CommandTimeout <= 0 || s.DataTimeout <= 0 || s.FinalTimeout <= 0 {
		return transport.Mistake("command, data, or final timeout value is zero for %s transport", inst.Name)
	}
	if s.HostsOverride && s.Hosts == "" {
		s.HostsOverride = false
	}
	return nil
}

// limits expands max_rcpt and multi_domain for an address.
func limits(t *transport.Transport, sc *expand.Scope) transport.Limits {
	s := Of(t.Instance)
	l := transport.Limits{MaxRecipients: 100, MultiDomain: s.MultiDomain.Value}
	if n, err := sc.Engine.ExpandInt(sc, string(s.MaxRcpt)); err == nil && n >= 0 {
		l.MaxRecipients = int(n)
	}
	if text := string(s.MultiDomain.Text); text != "" {
		yes, err := sc.Engine.ExpandBool(sc, text)
		l.MultiDomain = err == nil && yes
	}
	return l
}

// timeouts for smtpclient.
func (s *Settings) timeouts() smtpclient.Timeouts {
	return smtpclient.Timeouts{Connect: s.ConnectTimeout, Command: s.CommandTimeout, Data: s.DataTimeout, Final: s.FinalTimeout}
}
