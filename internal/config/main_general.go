package config

import (
	"time"

	"exigo/internal/option"
)

// MainGeneral holds main options (spec 14). Options of the whole program: paths, identity, privileges.
type MainGeneral struct {
	AddEnvironment                []string
	AdminGroups                   option.GroupList
	AllowInsecureTaintedData      bool
	BICommand                     string
	CommandlineChecksRequireAdmin bool
	DebugStore                    bool
	DeliverDropPrivilege          bool
	DisableIPv6                   bool
	DisableFsync                  bool
	EximGroup                     option.GroupID
	EximPath                      string
	EximUser                      option.UserID
	EximVersion                   string
	FindUserRetries               int
	GecosName                     option.Expanded
	GecosPattern                  string
	KeepEnvironment               []string
	KeepMalformed                 time.Duration
	LocalhostNumber               option.Expanded
	// LocalhostID is localhost_number, expanded when the file is read; -1 where it is not set.
	LocalhostID            int
	MaxUsernameLength      int
	MUAWrapper             bool
	NeverUsers             option.UserList
	PanicCoreDump          bool
	PrimaryHostname        string
	ProdRequiresAdmin      bool
	QueueListRequiresAdmin bool
	ShortMessageIDs        bool
	SplitSpoolDirectory    bool
	SpoolDirectory         option.Expanded
	SpoolWireFormat        bool
	Timezone               string
	TrustedGroups          option.GroupList
	TrustedUsers           option.UserList
	UnknownLogin           option.Expanded
	UnknownUsername        option.Expanded
	UUCPFromPattern        string
	UUCPFromSender         option.Expanded
}

func mainGeneralRows() []option.Row[Main] {
	return []option.Row[Main]{
		{Name: "add_environment", Field: func(m *Main) any { return &m.AddEnvironment }, Doc: "Environment variables to set, as NAME=value items."},
		{Name: "admin_groups", Field: func(m *Main) any { return &m.AdminGroups }, Doc: "Groups whose members are administrators."},
		{Name: "allow_insecure_tainted_data", Field: func(m *Main) any { return &m.AllowInsecureTaintedData }, Doc: "Tainted data may be used where it is dangerous, with a warning in the log. Not for long: it lets outsiders name files and commands."},
		{Name: "bi_command", Field: func(m *Main) any { return &m.BICommand }, Doc: "Command that -bi runs."},
		{Name: "commandline_checks_require_admin", Field: func(m *Main) any { return &m.CommandlineChecksRequireAdmin }, Doc: "Only administrators may use -be, -bt, -bv and their like."},
		{Name: "debug_store", Field: func(m *Main) any { return &m.DebugStore }, Doc: "Does extra checks of memory management; there is nothing to check here."},
		{Name: "deliver_drop_privilege", Field: func(m *Main) any { return &m.DeliverDropPrivilege }, Doc: "Delivery runs as the Exim user throughout."},
		{Name: "disable_ipv6", Field: func(m *Main) any { return &m.DisableIPv6 }, Doc: "No AAAA lookups, no IPv6 listeners or connections."},
		{Name: "disable_fsync", Field: func(m *Main) any { return &m.DisableFsync }, Doc: "Does not force files to the disk; messages may be lost in a crash."},
		{Name: "exim_group", Field: func(m *Main) any { return &m.EximGroup }, Doc: "Group Exim runs as when it has given up root."},
		{Name: "exim_path", Default: "/usr/sbin/exim4", Field: func(m *Main) any { return &m.EximPath }, Doc: "Path by which the program runs itself."},
		{Name: "exim_user", Field: func(m *Main) any { return &m.EximUser }, Doc: "User Exim runs as when it has given up root."},
		{Name: "exim_version", Field: func(m *Main) any { return &m.EximVersion }, Doc: "Version shown in banner, Received: and log."},
		{Name: "finduser_retries", Field: func(m *Main) any { return &m.FindUserRetries }, Doc: "How often a look-up in the password file that finds nothing is repeated, a second apart."},
		{Name: "gecos_name", Field: func(m *Main) any { return &m.GecosName }, Doc: "Name made of the GECOS field that gecos_pattern matched."},
		{Name: "gecos_pattern", Field: func(m *Main) any { return &m.GecosPattern }, Doc: "Regular expression for the GECOS field of the calling user."},
		{Name: "keep_environment", Field: func(m *Main) any { return &m.KeepEnvironment }, Doc: "Environment variables that are kept; * keeps all."},
		{Name: "keep_malformed", Default: "4d", Field: func(m *Main) any { return &m.KeepMalformed }, Doc: "How long malformed spool files are kept."},
		{Name: "localhost_number", Field: func(m *Main) any { return &m.LocalhostNumber }, Doc: "Number that makes message ids of hosts in a cluster unique."},
		{Name: "max_username_length", Field: func(m *Main) any { return &m.MaxUsernameLength }, Doc: "User names are looked up with at most this many characters; 0 is no limit."},
		{Name: "mua_wrapper", Field: func(m *Main) any { return &m.MUAWrapper }, Doc: "Acts as the sending half of a mail user agent: one synchronous delivery, no queue."},
		{Name: "never_users", Field: func(m *Main) any { return &m.NeverUsers }, Doc: "Users as whom no delivery is ever run."},
		{Name: "panic_coredump", Field: func(m *Main) any { return &m.PanicCoreDump }, Doc: "Leaves a core file after a panic."},
		{Name: "primary_hostname", Field: func(m *Main) any { return &m.PrimaryHostname }, Doc: "Canonical name of this host; the name of the machine unless set."},
		{Name: "prod_requires_admin", Default: "true", Field: func(m *Main) any { return &m.ProdRequiresAdmin }, Doc: "Only administrators may start queue runs and deliveries."},
		{Name: "queue_list_requires_admin", Default: "true", Field: func(m *Main) any { return &m.QueueListRequiresAdmin }, Doc: "Users who are not administrators see only their own messages on the queue."},
		{Name: "short_message_ids", Field: func(m *Main) any { return &m.ShortMessageIDs },
			Doc: "Gives messages ids of 16 characters as Exim did up to 4.96, for daemons and tools of that time that share spool or logs."},
		{Name: "split_spool_directory", Field: func(m *Main) any { return &m.SplitSpoolDirectory }, Doc: "Messages are kept in 62 subdirectories of input and msglog."},
		{Name: "spool_directory", Default: "/var/spool/exim", Field: func(m *Main) any { return &m.SpoolDirectory }, Doc: "Directory of spool, hints and other state."},
		{Name: "spool_wireformat", Field: func(m *Main) any { return &m.SpoolWireFormat }, Doc: "Data files in the spool may keep the line ends of the wire; as the files are read by several programs, they never do."},
		{Name: "timezone", Field: func(m *Main) any { return &m.Timezone }, Doc: "Time zone that replaces TZ of the environment."},
		{Name: "trusted_groups", Field: func(m *Main) any { return &m.TrustedGroups }, Doc: "Groups whose members may set sender and origin of messages."},
		{Name: "trusted_users", Field: func(m *Main) any { return &m.TrustedUsers }, Doc: "Users who may set sender and origin of messages."},
		{Name: "unknown_login", Field: func(m *Main) any { return &m.UnknownLogin }, Doc: "Login name of a caller who is not in the password file."},
		{Name: "unknown_username", Field: func(m *Main) any { return &m.UnknownUsername }, Doc: "Full name of such a caller."},
		{Name: "uucp_from_pattern", Default: `^From\s+(\S+)\s+(?:[a-zA-Z]{3},?\s+)?(?:[a-zA-Z]{3}\s+\d?\d|\d?\d\s+[a-zA-Z]{3}\s+\d\d(?:\d\d)?)\s+\d\d?:\d\d?`, Field: func(m *Main) any { return &m.UUCPFromPattern }, Doc: `Recognises the "From " line of UUCP and mailboxes.`},
		{Name: "uucp_from_sender", Default: "$1", Field: func(m *Main) any { return &m.UUCPFromSender }, Doc: "Sender address made of what uucp_from_pattern matched."},
	}
}
