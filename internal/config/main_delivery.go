package config

import (
	"time"

	"exigo/internal/option"
)

// MainDelivery holds main options (spec 14). Routing and delivery, system filter, lookups.
type MainDelivery struct {
	DNSAgainMeansNonExist          option.DomainList
	DNSCheckNamesPattern           string
	DNSCNAMELoops                  int
	DNSCSASearchLimit              int
	DNSCSAUseReverse               bool
	DNSDNSSECOK                    int
	DNSIPv4Lookup                  option.DomainList
	DNSRetrans                     time.Duration
	DNSRetry                       int
	DNSTrustAA                     option.DomainList
	DNSUseEDNS0                    int
	HoldDomains                    option.DomainList
	HostsTreatAsLocal              option.DomainList
	LookupOpenMax                  int
	RemoteSortDomains              option.DomainList
	RetryDataExpire                time.Duration
	RetryIntervalMax               time.Duration
	SystemFilter                   option.Expanded
	SystemFilterDirectoryTransport option.Expanded
	SystemFilterFileTransport      option.Expanded
	SystemFilterGroup              option.GroupID
	SystemFilterPipeTransport      option.Expanded
	SystemFilterReplyTransport     option.Expanded
	SystemFilterUser               option.UserID
}

func mainDeliveryRows() []option.Row[Main] {
	return []option.Row[Main]{
		{Name: "dns_again_means_nonexist", Field: func(m *Main) any { return &m.DNSAgainMeansNonExist }, Doc: "Domains for which a temporary DNS failure means that they do not exist."},
		{Name: "dns_check_names_pattern", Default: `(?i)^(?>(?(1)\.|())[^\W](?>[a-z0-9/_-]*[^\W])?)+(\.?)$`, Field: func(m *Main) any { return &m.DNSCheckNamesPattern }, Doc: "Names that do not match are not asked of the DNS."},
		{Name: "dns_cname_loops", Default: "1", Field: func(m *Main) any { return &m.DNSCNAMELoops }, Doc: "CNAME records that are followed although the resolver should have done so."},
		{Name: "dns_csa_search_limit", Default: "5", Field: func(m *Main) any { return &m.DNSCSASearchLimit }, Doc: "How many parents of a name are searched for CSA records."},
		{Name: "dns_csa_use_reverse", Default: "true", Field: func(m *Main) any { return &m.DNSCSAUseReverse }, Doc: "CSA looks in the reverse DNS for address literals."},
		{Name: "dns_dnssec_ok", Default: "-1", Field: func(m *Main) any { return &m.DNSDNSSECOK }, Doc: "1 asks for DNSSEC, 0 does not, -1 leaves it to the resolver."},
		{Name: "dns_ipv4_lookup", Field: func(m *Main) any { return &m.DNSIPv4Lookup }, Doc: "Domains for which no AAAA records are asked for."},
		{Name: "dns_retrans", Field: func(m *Main) any { return &m.DNSRetrans }, Doc: "Time after which the resolver repeats a query; 0 is its own default."},
		{Name: "dns_retry", Field: func(m *Main) any { return &m.DNSRetry }, Doc: "How often it repeats it; 0 is its own default."},
		{Name: "dns_trust_aa", Field: func(m *Main) any { return &m.DNSTrustAA }, Doc: "Domains whose authoritative answers count as secured by DNSSEC."},
		{Name: "dns_use_edns0", Default: "-1", Field: func(m *Main) any { return &m.DNSUseEDNS0 }, Doc: "1 uses EDNS0, 0 does not, -1 leaves it to the resolver."},
		{Name: "hold_domains", Field: func(m *Main) any { return &m.HoldDomains }, Doc: "Domains that are not delivered to, except when forced."},
		{Name: "hosts_treat_as_local", Field: func(m *Main) any { return &m.HostsTreatAsLocal }, Doc: "Host names that count as this host in MX lists."},
		{Name: "lookup_open_max", Default: "25", Field: func(m *Main) any { return &m.LookupOpenMax }, Doc: "How many lookup files are kept open."},
		{Name: "remote_sort_domains", Field: func(m *Main) any { return &m.RemoteSortDomains }, Doc: "Order of remote deliveries."},
		{Name: "retry_data_expire", Default: "7d", Field: func(m *Main) any { return &m.RetryDataExpire }, Doc: "Retry data older than this is ignored."},
		{Name: "retry_interval_max", Default: "24h", Field: func(m *Main) any { return &m.RetryIntervalMax }, Doc: "Longest interval between retries."},
		{Name: "system_filter", Field: func(m *Main) any { return &m.SystemFilter }, Doc: "File of the system filter."},
		{Name: "system_filter_directory_transport", Field: func(m *Main) any { return &m.SystemFilterDirectoryTransport }, Doc: "Transport for directories that the system filter saves to."},
		{Name: "system_filter_file_transport", Field: func(m *Main) any { return &m.SystemFilterFileTransport }, Doc: "Transport for files that the system filter saves to."},
		{Name: "system_filter_group", Field: func(m *Main) any { return &m.SystemFilterGroup }, Doc: "Group the system filter runs as."},
		{Name: "system_filter_pipe_transport", Field: func(m *Main) any { return &m.SystemFilterPipeTransport }, Doc: "Transport for pipes of the system filter."},
		{Name: "system_filter_reply_transport", Field: func(m *Main) any { return &m.SystemFilterReplyTransport }, Doc: "Transport for messages that the system filter sends."},
		{Name: "system_filter_user", Field: func(m *Main) any { return &m.SystemFilterUser }, Doc: "User the system filter runs as."},
	}
}
