package config

import (
	"time"

	"exigo/internal/option"
)

// MainLogging holds main options (spec 14). Logging, frozen messages, debugging.
type MainLogging struct {
	AutoThaw             time.Duration
	FreezeTell           string
	HostsConnectionNoLog option.HostList
	LogFilePath          option.StringList
	LogPorts             []string
	LogSelector          string
	LogTimezone          bool
	MessageLogs          bool
	MoveFrozenMessages   bool
	PreserveMessageLogs  bool
	PrintTopBitChars     bool
	ProcessLogPath       string
	SlowLookupLog        int
	SyslogDuplication    bool
	SyslogFacility       string
	SyslogPID            bool
	SyslogProcessName    string
	SyslogTimestamp      bool
	TimeoutFrozenAfter   time.Duration
	WriteRejectLog       bool
}

func mainLoggingRows() []option.Row[Main] {
	return []option.Row[Main]{
		{Name: "auto_thaw", Field: func(m *Main) any { return &m.AutoThaw }, Doc: "After this time a queue run tries frozen messages again."},
		{Name: "freeze_tell", Field: func(m *Main) any { return &m.FreezeTell }, Doc: "Addresses that are told when a message is frozen."},
		{Name: "hosts_connection_nolog", Field: func(m *Main) any { return &m.HostsConnectionNoLog }, Doc: "Hosts whose connections are not logged."},
		{Name: "log_file_path", Field: func(m *Main) any { return &m.LogFilePath }, Doc: "Where logs go: paths with %s, and the word syslog."},
		{Name: "log_ports", Field: func(m *Main) any { return &m.LogPorts }, Doc: "Destination ports that are logged even without the selector outgoing_port."},
		{Name: "log_selector", Field: func(m *Main) any { return &m.LogSelector }, Doc: "What is logged beyond, or below, the default."},
		{Name: "log_timezone", Field: func(m *Main) any { return &m.LogTimezone }, Doc: "Adds the offset from UTC to time stamps of the log."},
		{Name: "message_logs", Default: "true", Field: func(m *Main) any { return &m.MessageLogs }, Doc: "Keeps a log file beside each message."},
		{Name: "move_frozen_messages", Field: func(m *Main) any { return &m.MoveFrozenMessages }, Doc: "Moves frozen messages to subdirectories of the spool."},
		{Name: "preserve_message_logs", Field: func(m *Main) any { return &m.PreserveMessageLogs }, Doc: "Moves the log of a finished message to msglog.OLD."},
		{Name: "print_topbitchars", Field: func(m *Main) any { return &m.PrintTopBitChars }, Doc: "Characters above 127 count as printing."},
		{Name: "process_log_path", Field: func(m *Main) any { return &m.ProcessLogPath }, Doc: "File to which SIGUSR1 makes a process write what it does."},
		{Name: "slow_lookup_log", Field: func(m *Main) any { return &m.SlowLookupLog }, Doc: "DNS look-ups that take longer than this many milliseconds are logged."},
		{Name: "syslog_duplication", Default: "true", Field: func(m *Main) any { return &m.SyslogDuplication }, Doc: "A reject line that is also a main line is sent to syslog twice."},
		{Name: "syslog_facility", Field: func(m *Main) any { return &m.SyslogFacility }, Doc: "Facility of syslog lines."},
		{Name: "syslog_pid", Default: "true", Field: func(m *Main) any { return &m.SyslogPID }, Doc: "Syslog lines carry the process number."},
		{Name: "syslog_processname", Default: "exim", Field: func(m *Main) any { return &m.SyslogProcessName }, Doc: "Program name of syslog lines."},
		{Name: "syslog_timestamp", Default: "true", Field: func(m *Main) any { return &m.SyslogTimestamp }, Doc: "Syslog lines carry Exim's time stamp."},
		{Name: "timeout_frozen_after", Field: func(m *Main) any { return &m.TimeoutFrozenAfter }, Doc: "Frozen messages older than this are cancelled."},
		{Name: "write_rejectlog", Default: "true", Field: func(m *Main) any { return &m.WriteRejectLog }, Doc: "Rejections are also written to the reject log."},
	}
}
