package config

import (
	"time"

	"exigo/internal/option"
)

// MainDaemon holds main options (spec 14). The daemon and the queue: listening, load, limits.
type MainDaemon struct {
	CheckLogInodes               int
	CheckLogSpace                option.KSize
	CheckSpoolInodes             int
	CheckSpoolSpace              option.KSize
	DaemonSMTPPorts              []string
	DaemonStartupRetries         int
	DaemonStartupSleep           time.Duration
	DeliverQueueLoadMax          *option.Fixed
	ExtraLocalInterfaces         []string
	LocalInterfaces              []string
	NotifierSocket               option.Expanded
	PIDFilePath                  option.Expanded
	QueueDomains                 option.DomainList
	QueueFastRamp                bool
	QueueOnly                    bool
	QueueOnlyFile                string
	QueueOnlyLoad                *option.Fixed
	QueueOnlyLoadLatch           bool
	QueueOnlyOverride            bool
	QueueRunInOrder              bool
	QueueRunMax                  option.ExpandedInt
	QueueSMTPDomains             option.DomainList
	RemoteMaxParallel            int
	SMTPAcceptKeepAlive          bool
	SMTPAcceptMax                int
	SMTPAcceptMaxPerConnection   option.ExpandedInt
	SMTPAcceptMaxPerHost         option.Expanded
	SMTPAcceptQueue              int
	SMTPAcceptQueuePerConnection int
	SMTPAcceptReserve            int
	SMTPBacklogMonitor           int
	SMTPConnectBacklog           int
	SMTPLoadReserve              *option.Fixed
	SMTPReserveHosts             option.HostList
	TCPNoDelay                   bool
	TLSEarlyBannerHosts          option.HostList
}

func mainDaemonRows() []option.Row[Main] {
	return []option.Row[Main]{
		{Name: "check_log_inodes", Default: "100", Field: func(m *Main) any { return &m.CheckLogInodes }, Doc: "Refuses messages while the log's partition has fewer inodes free."},
		{Name: "check_log_space", Default: "10M", Field: func(m *Main) any { return &m.CheckLogSpace }, Doc: "Refuses messages while the log's partition has less space free."},
		{Name: "check_spool_inodes", Default: "100", Field: func(m *Main) any { return &m.CheckSpoolInodes }, Doc: "Refuses messages while the spool's partition has fewer inodes free."},
		{Name: "check_spool_space", Default: "10M", Field: func(m *Main) any { return &m.CheckSpoolSpace }, Doc: "Refuses messages while the spool's partition has less space free."},
		{Name: "daemon_smtp_ports", Default: "smtp", Field: func(m *Main) any { return &m.DaemonSMTPPorts }, Doc: "Ports the daemon listens on."},
		{Name: "daemon_smtp_port", AliasOf: "daemon_smtp_ports"},
		{Name: "daemon_startup_retries", Default: "9", Field: func(m *Main) any { return &m.DaemonStartupRetries }, Doc: "How often the daemon tries again to bind a port."},
		{Name: "daemon_startup_sleep", Default: "30s", Field: func(m *Main) any { return &m.DaemonStartupSleep }, Doc: "Time between such tries."},
		{Name: "deliver_queue_load_max", Field: func(m *Main) any { return &m.DeliverQueueLoadMax }, Doc: "Above this load queue runs stop."},
		{Name: "extra_local_interfaces", Field: func(m *Main) any { return &m.ExtraLocalInterfaces }, Doc: "Addresses that count as local although nothing listens there."},
		{Name: "local_interfaces", Default: "<; ::0 ; 0.0.0.0", Field: func(m *Main) any { return &m.LocalInterfaces }, Doc: "Addresses, with ports where they differ, to listen on."},
		{Name: "notifier_socket", Default: "$spool_directory/exim_daemon_notify", Field: func(m *Main) any { return &m.NotifierSocket }, Doc: "Socket by which other processes reach the daemon."},
		{Name: "pid_file_path", Field: func(m *Main) any { return &m.PIDFilePath }, Doc: "File for the daemon's process number."},
		{Name: "queue_domains", Field: func(m *Main) any { return &m.QueueDomains }, Doc: "Domains whose deliveries wait for a queue run."},
		{Name: "queue_fast_ramp", Field: func(m *Main) any { return &m.QueueFastRamp }, Doc: "A two-stage queue run begins second-stage deliveries during the first."},
		{Name: "queue_only", Field: func(m *Main) any { return &m.QueueOnly }, Doc: "Messages wait for a queue run."},
		{Name: "queue_only_file", Field: func(m *Main) any { return &m.QueueOnlyFile }, Doc: "Messages wait while one of these files exists."},
		{Name: "queue_only_load", Field: func(m *Main) any { return &m.QueueOnlyLoad }, Doc: "Messages wait while the load is above this."},
		{Name: "queue_only_load_latch", Default: "true", Field: func(m *Main) any { return &m.QueueOnlyLoadLatch }, Doc: "Once queue_only_load has acted it lasts for the connection."},
		{Name: "queue_only_override", Default: "true", Field: func(m *Main) any { return &m.QueueOnlyOverride }, Doc: "Options such as -odi override the queueing options."},
		{Name: "queue_run_in_order", Field: func(m *Main) any { return &m.QueueRunInOrder }, Doc: "Queue runs take the oldest message first."},
		{Name: "queue_run_max", Default: "5", Field: func(m *Main) any { return &m.QueueRunMax }, Doc: "How many queue runs the daemon keeps going at once."},
		{Name: "queue_smtp_domains", Field: func(m *Main) any { return &m.QueueSMTPDomains }, Doc: "Domains to which SMTP deliveries wait for a queue run."},
		{Name: "remote_max_parallel", Default: "2", Field: func(m *Main) any { return &m.RemoteMaxParallel }, Doc: "Remote deliveries of one message at a time."},
		{Name: "smtp_accept_keepalive", Default: "true", Field: func(m *Main) any { return &m.SMTPAcceptKeepAlive }, Doc: "Sets SO_KEEPALIVE on connections from clients."},
		{Name: "smtp_accept_max", Default: "20", Field: func(m *Main) any { return &m.SMTPAcceptMax }, Doc: "Clients served at once."},
		{Name: "smtp_accept_max_per_connection", Default: "1000", Field: func(m *Main) any { return &m.SMTPAcceptMaxPerConnection }, Doc: "Messages taken on one connection."},
		{Name: "smtp_accept_max_per_host", Field: func(m *Main) any { return &m.SMTPAcceptMaxPerHost }, Doc: "Connections one host may have."},
		{Name: "smtp_accept_queue", Field: func(m *Main) any { return &m.SMTPAcceptQueue }, Doc: "With more connections than this, messages wait for a queue run."},
		{Name: "smtp_accept_queue_per_connection", Default: "10", Field: func(m *Main) any { return &m.SMTPAcceptQueuePerConnection }, Doc: "Further messages of one connection wait for a queue run."},
		{Name: "smtp_accept_reserve", Field: func(m *Main) any { return &m.SMTPAcceptReserve }, Doc: "So many of smtp_accept_max are kept for smtp_reserve_hosts."},
		{Name: "smtp_backlog_monitor", Field: func(m *Main) any { return &m.SMTPBacklogMonitor }, Doc: "Logs when the listen queue is longer than this."},
		{Name: "smtp_connect_backlog", Default: "20", Field: func(m *Main) any { return &m.SMTPConnectBacklog }, Doc: "Length of the queue of connections not yet accepted."},
		{Name: "smtp_load_reserve", Field: func(m *Main) any { return &m.SMTPLoadReserve }, Doc: "Above this load only smtp_reserve_hosts are served."},
		{Name: "smtp_reserve_hosts", Field: func(m *Main) any { return &m.SMTPReserveHosts }, Doc: "Hosts for which connections are reserved."},
		{Name: "tcp_nodelay", Default: "true", Field: func(m *Main) any { return &m.TCPNoDelay }, Doc: "Sets TCP_NODELAY on connections from clients."},
		{Name: "tls_early_banner_hosts", Field: func(m *Main) any { return &m.TLSEarlyBannerHosts }, Doc: "Hosts that get the banner with the last data of the TLS handshake."},
	}
}
