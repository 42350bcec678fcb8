package builtin

import (
	"fmt"
	"strconv"
	"strings"
	"syscall"
	"time"

	"exigo/internal/expand"
)

// text makes an untainted value.
func text(s string) (expand.Value, error) { return expand.Value{S: s}, nil }

// outsiders makes a value that an outsider may have chosen.
func outsiders(s string) (expand.Value, error) { return expand.Value{S: s, Tainted: s != ""}, nil }

func integer[N int | int64 | uint32](n N) (expand.Value, error) {
	return expand.Value{S: strconv.FormatInt(int64(n), 10)}, nil
}

func flag(b bool) (expand.Value, error) {
	if b {
		return expand.Value{S: "1"}, nil
	}
	return expand.Value{S: "0"}, nil
}

func yesNo(b bool) (expand.Value, error) {
	if b {
		return expand.Value{S: "yes"}, nil
	}
	return expand.Value{S: "no"}, nil
}

// moment is a variable that whoever it concerns sets in Scope.Extra for as long as it holds.
func moment(name, unset, doc string) expand.Variable {
	return expand.Variable{Name: name, Doc: doc, Get: func(s *expand.Scope) (expand.Value, error) {
		if v := s.Extra[name]; v.S != "" {
			return v, nil
		}
		return expand.Value{S: unset}, nil
	}}
}

// momentVariables are the variables of the language itself and those that exist for a moment only.
func momentVariables() []expand.Variable {
	rows := []expand.Variable{
		{Name: "value", Doc: "The result of a lookup, an extraction or a command, or reduce's result so far.",
			Get: func(s *expand.Scope) (expand.Value, error) { return s.Value, nil }},
		{Name: "item", Doc: "The item at hand in map, filter, reduce, sort, forall and forany.",
			Get: func(s *expand.Scope) (expand.Value, error) { return s.Item, nil }},
		{Name: "key", Doc: "The key at hand in an lsearch of expanded keys.",
			Get: func(s *expand.Scope) (expand.Value, error) { return s.Key, nil }},
		{Name: "acl_c", Prefix: true, Fits: fitsACL, GetNamed: aclVariable, Doc: "A variable of the connection, set by ACLs."},
		{Name: "acl_m", Prefix: true, Fits: fitsACL, GetNamed: aclVariable, Doc: "A variable of the message, set by ACLs."},
		{Name: "r_", Prefix: true, GetNamed: routerVariable, Doc: "A variable of the address, set by routers."},
		moment("address_file", "", "The file that an address was redirected to."),
		moment("address_pipe", "", "The command that an address was redirected to."),
		moment("bounce_recipient", "", "The recipient of the bounce being made."),
		moment("callout_address", "", "The address that a callout connected to."),
		moment("inode", "0", "The inode of a file being delivered."),
		moment("ldap_dn", "", "The distinguished name of the last LDAP result."),
		moment("local_scan_data", "", "Text of local_scan()."),
		moment("lookup_dnssec_authenticated", "", "Whether the last DNS result was authenticated."),
		moment("mailstore_basename", "", "The base name of a mailstore delivery."),
		moment("prvscheck_address", "", "The address that prvscheck found."),
		moment("prvscheck_keynum", "", "The key number that prvscheck found."),
		moment("prvscheck_result", "", "1 if prvscheck found the signature good."),
		moment("received_for", "", "The recipient, while the Received: header is made."),
		moment("recipient_data", "", "What a list of recipients yielded."),
		moment("runrc", "0", "The exit code of the last run."),
		moment("self_hostname", "", "The host that turned out to be local."),
		moment("sender_data", "", "What a list of senders yielded."),
		moment("sending_ip_address", "", "The local address of the outgoing connection."),
		moment("sending_port", "-1", "The local port of the outgoing connection."),
		moment("smtp_count_at_connection_start", "0", "The number of SMTP connections when this one began."),
		moment("thisaddress", "", "The address at hand in foranyaddress."),
		moment("verify_mode", "", "S or R while an address is being verified."),
		moment("warn_message_delay", "", "How long the message was delayed."),
		moment("warn_message_recipients", "", "The recipients of a delay warning."),
		moment("queue_size", "", "The number of messages on the queue."),
	}
	for n := 1; n <= 4; n++ {
		rows = append(rows, moment("auth"+strconv.Itoa(n), "", "An item of data of the authenticator at hand."))
	}
	for n := 0; n <= 9; n++ {
		for _, name := range []string{"n", "sn"} {
			rows = append(rows, expand.Variable{Name: name + strconv.Itoa(n), Doc: "A counter of filter files, there only while one runs.", GetNamed: counter})
		}
	}
	return rows
}

// counter is known only where a filter set it.
func counter(s *expand.Scope, name string) (expand.Value, bool, error) {
	v, ok := s.Extra[name]
	return v, ok, nil
}

// fitsACL checks the sixth character of a user-defined ACL variable.
func fitsACL(name string) bool {
	return len(name) == 5 || name[5] == '_' || name[5] >= '0' && name[5] <= '9'
}

func aclVariable(s *expand.Scope, name string) (expand.Value, bool, error) {
	var vars map[string]expand.Value
	if name[4] == 'c' && s.Session != nil {
		vars = s.Session.Vars
	} else if name[4] == 'm' && s.Message != nil {
		vars = s.Message.Vars
	}
	v, ok := vars[name[5:]]
	if !ok && s.Settings().StrictACLVars {
		return v, true, expand.Fail("unknown variable name \"%s\" (strict_acl_vars is set)", name)
	}
	return v, true, nil
}

func routerVariable(s *expand.Scope, name string) (expand.Value, bool, error) {
	if s.Address == nil {
		return s.Extra[name], true, nil
	}
	return s.Address.Vars[strings.TrimPrefix(name, "r_")], true, nil
}

// now is the time of the world, in local time unless the option timezone says otherwise.
func now(s *expand.Scope) time.Time {
	t := s.Engine.World.Clock.Now()
	if zone := s.Settings().Location; zone != nil {
		t = t.In(zone)
	}
	return t
}

// timeVariables tell the time.
func timeVariables() (rows []expand.Variable) {
	for _, row := range []struct{ name, layout, doc string }{
		{"tod_bsdinbox", "Mon Jan 02 15:04:05 2006", "The time as BSD mailboxes want it."},
		{"tod_full", "Mon, 02 Jan 2006 15:04:05 -0700", "The time as header fields want it."},
		{"tod_log", "2006-01-02 15:04:05", "The time as log files have it."},
		{"tod_logfile", "20060102", "The date as names of log files have it."},
		{"tod_zone", "-0700", "The time zone's offset."},
	} {
		rows = append(rows, expand.Variable{Name: row.name, Doc: row.doc, Get: func(s *expand.Scope) (expand.Value, error) {
			return text(now(s).Format(row.layout))
		}})
	}
	return append(rows,
		expand.Variable{Name: "tod_zulu", Doc: "The time in UTC, ISO 8601.", Get: func(s *expand.Scope) (expand.Value, error) {
			return text(now(s).UTC().Format("20060102150405Z"))
		}},
		expand.Variable{Name: "tod_epoch", Doc: "The time in seconds since 1970.", Get: func(s *expand.Scope) (expand.Value, error) {
			return integer(now(s).Unix())
		}},
		expand.Variable{Name: "tod_epoch_l", Doc: "The time in microseconds since 1970.", Get: func(s *expand.Scope) (expand.Value, error) {
			return integer(now(s).UnixMicro())
		}},
	)
}

// machineVariables tell of the machine, the process and the configuration.
func machineVariables() []expand.Variable {
	setting := func(name, doc string, get func(*expand.Settings) string) expand.Variable {
		return expand.Variable{Name: name, Doc: doc, Get: func(s *expand.Scope) (expand.Value, error) { return text(get(s.Settings())) }}
	}
	version := func(s *expand.Scope) (expand.Value, error) { return text(s.Engine.World.Version) }
	limit := func(c *expand.Settings) string { return strconv.FormatInt(c.BounceReturnSizeLimit, 10) }
	rows := []expand.Variable{
		setting("primary_hostname", "The name of this host.", func(c *expand.Settings) string { return c.PrimaryHostname }),
		setting("qualify_domain", "The domain that unqualified senders get.", func(c *expand.Settings) string { return c.QualifyDomain }),
		setting("qualify_recipient", "The domain that unqualified recipients get.", func(c *expand.Settings) string { return c.QualifyRecipient }),
		setting("spool_directory", "The spool directory.", func(c *expand.Settings) string { return c.SpoolDirectory }),
		setting("config_file", "The configuration file.", func(c *expand.Settings) string { return c.ConfigFile }),
		setting("config_dir", "The directory of the configuration file.", func(c *expand.Settings) string {
			if at := strings.LastIndexByte(c.ConfigFile, '/'); at >= 0 {
				return c.ConfigFile[:at]
			}
			return "."
		}),
		setting("exim_path", "The path of this program.", func(c *expand.Settings) string { return c.EximPath }),
		setting("exim_uid", "The number of the exim user.", func(c *expand.Settings) string { return strconv.Itoa(c.EximUID) }),
		setting("exim_gid", "The number of the exim group.", func(c *expand.Settings) string { return strconv.Itoa(c.EximGID) }),
		setting("localhost_number", "The number of this host in its cluster.", func(c *expand.Settings) string { return c.LocalhostNumber }),
		setting("bounce_return_size_limit", "How much of a message bounces return.", limit),
		setting("return_size_limit", "An old name of bounce_return_size_limit.", limit),
		setting("initial_cwd", "The directory the process was started in.", func(c *expand.Settings) string { return c.InitialDirectory }),
		{Name: "exim_version", Doc: "The version.", Get: version},
		{Name: "version_number", Doc: "The version.", Get: version},
		{Name: "compile_number", Doc: "How often this binary was compiled; it does not count.", Get: func(s *expand.Scope) (expand.Value, error) { return text("1") }},
		{Name: "pid", Doc: "The number of this process.", Get: func(s *expand.Scope) (expand.Value, error) { return integer(s.Engine.World.PID) }},
		{Name: "load_average", Doc: "The load average in thousandths.", Get: func(s *expand.Scope) (expand.Value, error) {
			n, ok := s.Engine.World.LoadAverage()
			if !ok {
				n = -1
			}
			return integer(n)
		}},
	}
	for _, row := range []struct {
		name, doc string
		path      func(*expand.Settings) string
		inodes    bool
	}{
		{"spool_space", "Free kilobytes on the spool's partition.", func(c *expand.Settings) string { return c.SpoolDirectory }, false},
		{"spool_inodes", "Free inodes on the spool's partition.", func(c *expand.Settings) string { return c.SpoolDirectory }, true},
		{"log_space", "Free kilobytes on the logs' partition.", func(c *expand.Settings) string { return c.LogDirectory }, false},
		{"log_inodes", "Free inodes on the logs' partition.", func(c *expand.Settings) string { return c.LogDirectory }, true},
	} {
		rows = append(rows, expand.Variable{Name: row.name, Doc: row.doc, Get: func(s *expand.Scope) (expand.Value, error) {
			return freeSpace(row.path(s.Settings()), row.inodes)
		}})
	}
	return rows
}

// freeSpace asks the file system for what is free to everybody, -1 if it cannot say.
func freeSpace(path string, inodes bool) (expand.Value, error) {
	var st syscall.Statfs_t
	if path == "" {
		return text("-1")
	}
	if err := syscall.Statfs(path, &st); err != nil {
		return expand.Value{}, expand.Fail("cannot accept message: failed to stat %s directory %s: %s", "spool", path, reason(err))
	}
	switch {
	case inodes && st.Files == 0:
		return text("-1")
	case inodes:
		return text(fmt.Sprint(st.Ffree))
	}
	return text(fmt.Sprint(st.Bavail * uint64(st.Frsize) / 1024))
}
