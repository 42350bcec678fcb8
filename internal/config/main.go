package config

import "exigo/internal/option"

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
		rows = append(rows, group...)
	}
	return option.Table[Main]{Scope: ScopeMain, Rows: rows}
}
