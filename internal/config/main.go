package config

import (
	"slices"

	"exigo/internal/option"
)

// Main is the settings of the main section that belong to no room. Lists and expanded strings keep their
// text; what is fixed at read time (users, groups, paths, names of this host) is settled by Read.
type Main struct {
	MainGeneral
	MainLogging
	MainDaemon
	MainACL
	MainSMTP
	MainTLS
	MainMessage
	MainDelivery
	MainBounce
}

// MainOptions returns the table of the main options.
func MainOptions() option.Set {
	var rows []option.Row[Main]
	for _, group := range [][]option.Row[Main]{
		mainGeneralRows(), mainLoggingRows(), mainDaemonRows(), mainACLRows(), mainSMTPRows(), mainTLSRows(),
		mainMessageRows(), mainDeliveryRows(), mainBounceRows(),
	} {
		for _, row := range group {
			if !slices.Contains(notYet, row.Name) {
				rows = append(rows, row)
			}
		}
	}
	return option.Table[Main]{Scope: ScopeMain, Rows: rows}
}

// notYet names options whose features do not exist yet: the reader refuses them by name rather than ignore them in silence. Whoever
// builds one takes its name off this list.
var notYet = []string{
	"acl_smtp_wellknown",
	"hosts_xclient", "local_scan_path", "local_scan_timeout",
	"system_filter", "system_filter_directory_transport", "system_filter_file_transport", "system_filter_group",
	"system_filter_pipe_transport", "system_filter_reply_transport", "system_filter_user", "tls_early_banner_hosts",
	"wellknown_advertise_hosts",
}
