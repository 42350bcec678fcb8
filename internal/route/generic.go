package route

import "exigo/internal/option"

// Generic holds the options that all routers have (spec chapter 15).
type Generic struct {
	AddressData        option.Expanded
	AddressTest        bool
	CannotRouteMessage option.Expanded
	CasefulLocalPart   bool
	CheckLocalUser     bool
	Condition          option.Expanded
	DebugPrint         option.Expanded
	DisableLogging     bool
	DNSSECRequest      option.DomainList
	DNSSECRequire      option.DomainList
	Domains            option.DomainList
	DSNLasthop         bool
	ErrorsTo           option.Expanded
	Expn               bool
	FailVerify         bool
	FailVerifyRcpt     bool
	FailVerifySender   bool
	FallbackHosts      option.Expanded
	Group              option.GroupID
	HeadersAdd         option.Expanded
	HeadersRemove      option.Expanded
	IgnoreTargetHosts  option.HostList
	InitGroups         bool
	Prefix             []string
	PrefixOptional     bool
	Suffix             []string
	SuffixOptional     bool
	LocalParts         option.LocalPartList
	LogAsLocal         *bool
	More               option.ExpandedBool
	PassOnTimeout      bool
	PassRouter         string
	RedirectRouter     string
	RequireFiles       option.StringList
	RetryUseLocalPart  *bool
	HomeDirectory      option.Expanded
	Self               string
	Senders            option.AddressList
	SetVariables       option.StringList
	TranslateIPAddress option.Expanded
	Transport          option.Expanded
	TransportCurrent   option.Expanded
	TransportHome      option.Expanded
	Unseen             option.ExpandedBool
	User               option.UserID
	Verify             *bool
	VerifyOnly         bool
	VerifyRecipient    *bool
	VerifySender       *bool
}

type genericRow = option.Row[Generic]

// GenericOptions is the table of the generic options, for the catalog and the configuration reader.
func GenericOptions() option.Set {
	return option.Table[Generic]{Scope: "routers", Rows: append(genericRowsAtoL(), genericRowsLtoV()...)}
}

func genericRowsAtoL() []genericRow {
	return []genericRow{
		{Name: "address_data", Field: func(g *Generic) any { return &g.AddressData }, Doc: "Text that is kept with the address as $address_data; set just before the router runs."},
		{Name: "address_test", Default: "true", Field: func(g *Generic) any { return &g.AddressTest }, Doc: "Use the router when addresses are tested with -bt."},
		{Name: "cannot_route_message", Field: func(g *Generic) any { return &g.CannotRouteMessage }, Doc: "The error text when no router handles the address and this one was the last considered."},
		{Name: "caseful_local_part", Field: func(g *Generic) any { return &g.CasefulLocalPart }, Doc: "Respect the case of the local part."},
		{Name: "check_local_user", Field: func(g *Generic) any { return &g.CheckLocalUser }, Doc: "Skip the router unless the local part is an account of the machine."},
		{Name: "condition", Repeat: option.JoinList, Field: func(g *Generic) any { return &g.Condition }, Doc: "Skip the router when the expansion is empty, 0, no, false or forced to fail; all settings must hold."},
		{Name: "debug_print", Field: func(g *Generic) any { return &g.DebugPrint }, Doc: "Text for the debugging output and -bt."},
		{Name: "disable_logging", Field: func(g *Generic) any { return &g.DisableLogging }, Doc: "Log neither routing errors nor deliveries of addresses of this router."},
		{Name: "dnssec_request_domains", Default: "*", Field: func(g *Generic) any { return &g.DNSSECRequest }, Doc: "Domains whose DNS queries ask for DNSSEC."},
		{Name: "dnssec_require_domains", Field: func(g *Generic) any { return &g.DNSSECRequire }, Doc: "Domains whose DNS answers are ignored unless they are secured by DNSSEC."},
		{Name: "domains", Field: func(g *Generic) any { return &g.Domains }, Doc: "Skip the router unless the domain matches; the lookup's data is in $domain_data."},
		{Name: "dsn_lasthop", Field: func(g *Generic) any { return &g.DSNLasthop }, Doc: "Do not pass DSN requests on, but answer them here."},
		{Name: "errors_to", Field: func(g *Generic) any { return &g.ErrorsTo }, Doc: "The address for errors of what this router accepts, if it verifies."},
		{Name: "expn", Default: "true", Field: func(g *Generic) any { return &g.Expn }, Doc: "Use the router for the EXPN command."},
		{Name: "fail_verify", Field: func(g *Generic) any { return &g.FailVerify }, Doc: "Set fail_verify_sender and fail_verify_recipient."},
		{Name: "fail_verify_recipient", Field: func(g *Generic) any { return &g.FailVerifyRcpt }, Doc: "A recipient that this router accepts fails to verify."},
		{Name: "fail_verify_sender", Field: func(g *Generic) any { return &g.FailVerifySender }, Doc: "A sender that this router accepts fails to verify."},
		{Name: "fallback_hosts", Field: func(g *Generic) any { return &g.FallbackHosts }, Doc: "Hosts to try when delivery to the others fails."},
		{Name: "group", Field: func(g *Generic) any { return &g.Group }, Doc: "The group of local deliveries, and of reading a redirection file."},
		{Name: "headers_add", Repeat: option.JoinNewline, Field: func(g *Generic) any { return &g.HeadersAdd }, Doc: "Header lines to add when the address is delivered."},
		{Name: "headers_remove", Repeat: option.JoinColon, Field: func(g *Generic) any { return &g.HeadersRemove }, Doc: "Names of header lines to leave out when the address is delivered."},
		{Name: "ignore_target_hosts", Field: func(g *Generic) any { return &g.IgnoreTargetHosts }, Doc: "Addresses of hosts that are treated as if they did not exist."},
		{Name: "initgroups", Field: func(g *Generic) any { return &g.InitGroups }, Doc: "Give local deliveries all groups of the user."},
		{Name: "local_part_prefix", Field: func(g *Generic) any { return &g.Prefix }, Doc: "Skip the router unless the local part begins with one of these, which is then removed."},
		{Name: "local_part_prefix_optional", Field: func(g *Generic) any { return &g.PrefixOptional }, Doc: "Do not skip the router when there is no prefix."},
		{Name: "local_part_suffix", Field: func(g *Generic) any { return &g.Suffix }, Doc: "Skip the router unless the local part ends with one of these, which is then removed."},
		{Name: "local_part_suffix_optional", Field: func(g *Generic) any { return &g.SuffixOptional }, Doc: "Do not skip the router when there is no suffix."},
		{Name: "local_parts", Field: func(g *Generic) any { return &g.LocalParts }, Doc: "Skip the router unless the local part matches; the lookup's data is in $local_part_data."},
	}
}

func genericRowsLtoV() []genericRow {
	return []genericRow{
		{Name: "log_as_local", Field: func(g *Generic) any { return &g.LogAsLocal }, Doc: "Log deliveries in the style of local ones; the default is true for accept only."},
		{Name: "more", Default: "true", Field: func(g *Generic) any { return &g.More }, Doc: "Go on with the next router when this one declines."},
		{Name: "pass_on_timeout", Field: func(g *Generic) any { return &g.PassOnTimeout }, Doc: "Pass the address to the next router when a host lookup times out."},
		{Name: "pass_router", Field: func(g *Generic) any { return &g.PassRouter }, Doc: "The router below this one to go on with when this one passes."},
		{Name: "redirect_router", Field: func(g *Generic) any { return &g.RedirectRouter }, Doc: "The router at which children of this one begin."},
		{Name: "require_files", Field: func(g *Generic) any { return &g.RequireFiles }, Doc: "Skip the router unless these files exist (or, after !, do not)."},
		{Name: "retry_use_local_part", Field: func(g *Generic) any { return &g.RetryUseLocalPart }, Doc: "Keep retry hints of routing by whole address instead of by domain."},
		{Name: "router_home_directory", Field: func(g *Generic) any { return &g.HomeDirectory }, Doc: "The value of $home while the router runs."},
		{Name: "self", Default: "freeze", Field: func(g *Generic) any { return &g.Self }, Doc: "What to do when the first host is this machine: freeze, defer, fail, pass, send, reroute: domain, reroute: rewrite: domain."},
		{Name: "senders", Field: func(g *Generic) any { return &g.Senders }, Doc: "Skip the router unless the message's sender matches."},
		{Name: "set", Repeat: option.JoinList, Field: func(g *Generic) any { return &g.SetVariables }, Doc: "Variables r_NAME that are set before the router runs."},
		{Name: "translate_ip_address", Field: func(g *Generic) any { return &g.TranslateIPAddress }, Doc: "Expanded for each address of a host, to replace it."},
		{Name: "transport", Field: func(g *Generic) any { return &g.Transport }, Doc: "The transport for addresses that the router accepts."},
		{Name: "transport_current_directory", Field: func(g *Generic) any { return &g.TransportCurrent }, Doc: "The current directory of local deliveries."},
		{Name: "transport_home_directory", Field: func(g *Generic) any { return &g.TransportHome }, Doc: "The home directory of local deliveries."},
		{Name: "unseen", Field: func(g *Generic) any { return &g.Unseen }, Doc: "Pass a copy of an accepted address to the next router."},
		{Name: "user", Field: func(g *Generic) any { return &g.User }, Doc: "The user of local deliveries, and of reading a redirection file."},
		{Name: "verify", Field: func(g *Generic) any { return &g.Verify }, Doc: "Set verify_sender and verify_recipient."},
		{Name: "verify_only", Field: func(g *Generic) any { return &g.VerifyOnly }, Doc: "Use the router for verification only."},
		{Name: "verify_recipient", Field: func(g *Generic) any { return &g.VerifyRecipient }, Doc: "Use the router when recipients are verified; true unless set."},
		{Name: "verify_sender", Field: func(g *Generic) any { return &g.VerifySender }, Doc: "Use the router when senders are verified; true unless set."},
	}
}
