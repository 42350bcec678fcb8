package spool

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"exigo/internal/mail"
)

// Field is one line "-name value" of a -H file. A line without value is a flag.
type Field struct {
	// Name as it stands after the hyphen.
	Name string
	Doc  string
	// Tainted marks the value as an outsider's: it is written after two hyphens.
	Tainted bool
	// Ours, if set, tells that in this message the value of a tainted field is our own after all.
	Ours func(m *mail.Message, value string) bool
	// Write returns the value and whether the line is present.
	Write func(m *mail.Message) (value string, present bool)
	// Read takes the value from the file, "" for a flag. An error makes the file a damaged one.
	Read func(m *mail.Message, value string) error
}

// State is what the -H file says that has no place in mail.Message: see StateOf.
type State struct {
	// ActiveHostname is -active_hostname, "" when equal to the primary host name.
	ActiveHostname string
	// NoDelivery is -N: no delivery of this message is to be real.
	NoDelivery bool
	// SetUntrusted is -sender_set_untrusted: the envelope sender was set by an untrusted local caller.
	SetUntrusted bool
	// LocalScan is -local_scan, the data of local_scan().
	LocalScan string
	// WireFormat is -spool_file_wireformat: the -D file has CRLF line ends.
	WireFormat bool
	// lines are options that this program does not know; they are written back as they were.
	lines []string
}

// StateOf returns the message's further state, made on first use.
func StateOf(m *mail.Message) *State { return mail.State[State](&m.Bag) }

// builtinFields is the table of lines in the order in which they are written.
func builtinFields() []Field {
	var out []Field
	out = append(out, originFields()...)
	out = append(out, bodyFields()...)
	out = append(out, stateFields()...)
	return append(out, tlsFields()...)
}

// text makes a field that is a string of the message or session.
func text(name, doc string, tainted bool, at func(m *mail.Message) *string) Field {
	return Field{Name: name, Doc: doc, Tainted: tainted,
		Write: func(m *mail.Message) (string, bool) { v := *at(m); return v, v != "" },
		Read:  func(m *mail.Message, v string) error { *at(m) = v; return nil }}
}

// login makes a field that holds an outsider's word, but the login name of the submitter (alone or in his address) in a local message.
func login(name, doc string, at func(m *mail.Message) *string) Field {
	f := text(name, doc, true, at)
	f.Ours = func(m *mail.Message, value string) bool {
		user, _, _ := strings.Cut(value, "@")
		return !m.Session.Host.IsValid() && m.OriginatorLogin != "" && strings.Trim(user, `"`) == m.OriginatorLogin
	}
	return f
}

// flag makes a field that is there or not.
func flag(name, doc string, at func(m *mail.Message) *bool) Field {
	return Field{Name: name, Doc: doc,
		Write: func(m *mail.Message) (string, bool) { return "", *at(m) },
		Read:  func(m *mail.Message, _ string) error { *at(m) = true; return nil }}
}

// number makes a field that is a number; zero is not written unless always is set.
func number(name, doc string, always bool, at func(m *mail.Message) *int) Field {
	return Field{Name: name, Doc: doc,
		Write: func(m *mail.Message) (string, bool) { v := *at(m); return strconv.Itoa(v), v != 0 || always },
		Read: func(m *mail.Message, v string) error {
			n, err := strconv.Atoi(strings.TrimSpace(v))
			*at(m) = n
			return err
		}}
}

// endpoint makes a field that is an address and a port: "[1.2.3.4]:25", or "1.2.3.4.25" as Exim wrote up to 4.94.
func endpoint(name, doc string, at func(m *mail.Message) (*netip.Addr, *int)) Field {
	return Field{Name: name, Doc: doc, Tainted: true,
		Write: func(m *mail.Message) (string, bool) {
			a, port := at(m)
			if !a.IsValid() {
				return "", false
			}
			return "[" + a.Unmap().String() + "]:" + strconv.Itoa(*port), true
		},
		Read: func(m *mail.Message, v string) error {
			a, port := at(m)
			var err error
			*a, *port, err = parseEndpoint(v)
			return err
		}}
}

func parseEndpoint(v string) (netip.Addr, int, error) {
	host, port := v, "0"
	if strings.HasPrefix(v, "[") {
		end := strings.LastIndexByte(v, ']')
		if end < 0 {
			return netip.Addr{}, 0, fmt.Errorf("bad address %q", v)
		}
		host = v[1:end]
		if rest := v[end+1:]; strings.HasPrefix(rest, ":") {
			port = rest[1:]
		}
	} else if a, err := netip.ParseAddr(v); err == nil {
		return a, 0, nil
	} else if dot := strings.LastIndexByte(v, '.'); dot > 0 {
		host, port = v[:dot], v[dot+1:]
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Addr{}, 0, err
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return a, int(n), err
}

func originFields() []Field {
	return []Field{
		{Name: "received_time_usec", Doc: "fraction of the second in which reception began",
			Write: func(m *mail.Message) (string, bool) {
				return fmt.Sprintf(".%06d", m.Received.Nanosecond()/1000), true
			},
			Read: readReceivedFraction},
		{Name: "received_time_complete", Doc: "when reception ended",
			Write: func(m *mail.Message) (string, bool) {
				t := m.Received.Add(m.Completed)
				return fmt.Sprintf("%d.%06d", t.Unix(), t.Nanosecond()/1000), true
			},
			Read: func(m *mail.Message, v string) error {
				t, err := parseUnix(v)
				m.Completed = max(t.Sub(m.Received), 0)
				return err
			}},
		text("helo_name", "argument of HELO or EHLO", true, func(m *mail.Message) *string { return &m.Session.HELO }),
		endpoint("host_address", "the client's address and port", func(m *mail.Message) (*netip.Addr, *int) {
			return &m.Session.Host, &m.Session.Port
		}),
		{Name: "host_name", Doc: "the client's verified name", Tainted: true,
			Write: func(m *mail.Message) (string, bool) { return m.Session.HostName, m.Session.HostName != "" },
			Read: func(m *mail.Message, v string) error {
				m.Session.HostName, m.Session.NameLookup = v, mail.NameFound
				return nil
			}},
		lookupState("host_lookup_deferred", "reverse lookup of the client deferred", mail.NameDeferred),
		lookupState("host_lookup_failed", "reverse lookup of the client failed", mail.NameFailed),
		text("host_auth", "authenticator that succeeded", false, func(m *mail.Message) *string { return &m.Session.Authenticator }),
		text("host_auth_pubname", "its public name", false, func(m *mail.Message) *string { return &m.Session.AuthPublicName }),
		endpoint("interface_address", "local address and port of the connection", func(m *mail.Message) (*netip.Addr, *int) {
			return &m.Session.Interface, &m.Session.InterfacePort
		}),
		text("active_hostname", "$smtp_active_hostname where it differs", true, func(m *mail.Message) *string { return &StateOf(m).ActiveHostname }),
		login("ident", "RFC 1413 answer or login name", func(m *mail.Message) *string { return &m.Session.Ident }),
		text("received_protocol", "$received_protocol", false, func(m *mail.Message) *string { return &m.Protocol }),
	}
}

func lookupState(name, doc string, state mail.NameLookup) Field {
	return Field{Name: name, Doc: doc,
		Write: func(m *mail.Message) (string, bool) { return "", m.Session.NameLookup == state },
		Read:  func(m *mail.Message, _ string) error { m.Session.NameLookup = state; return nil }}
}

func readReceivedFraction(m *mail.Message, v string) error {
	digits, ok := strings.CutPrefix(v, ".")
	n, err := strconv.ParseUint(digits, 10, 32)
	if !ok || err != nil || len(digits) != 6 {
		return fmt.Errorf("bad fraction %q", v)
	}
	m.Received = m.Received.Truncate(time.Second).Add(time.Duration(n) * time.Microsecond)
	return nil
}

// parseUnix reads seconds with an optional fraction of six digits.
func parseUnix(v string) (time.Time, error) {
	whole, fraction, _ := strings.Cut(v, ".")
	sec, err := strconv.ParseInt(whole, 10, 64)
	if err != nil {
		return time.Time{}, err
	}
	var us int64
	if fraction != "" {
		if us, err = strconv.ParseInt((fraction + "000000")[:6], 10, 64); err != nil {
			return time.Time{}, err
		}
	}
	return time.Unix(sec, us*1000), nil
}

func bodyFields() []Field {
	return []Field{
		text("local_scan", "$local_scan_data", true, func(m *mail.Message) *string { return &StateOf(m).LocalScan }),
		{Name: "body_linecount", Doc: "lines of the body",
			Write: func(m *mail.Message) (string, bool) { return strconv.Itoa(m.BodyLines), !StateOf(m).WireFormat },
			Read: func(m *mail.Message, v string) (err error) {
				m.BodyLines, err = strconv.Atoi(v)
				return err
			}},
		number("max_received_linelength", "longest line received", true, func(m *mail.Message) *int { return &m.MaxReceivedLine }),
		number("body_zerocount", "NUL bytes of the body", false, func(m *mail.Message) *int { return &m.BodyZeros }),
		flag("spool_file_wireformat", "the data has CRLF line ends", func(m *mail.Message) *bool { return &StateOf(m).WireFormat }),
		login("auth_id", "$authenticated_id", func(m *mail.Message) *string { return &m.Session.AuthID }),
		login("auth_sender", "$authenticated_sender", func(m *mail.Message) *string { return &m.Session.AuthSender }),
	}
}

func stateFields() []Field {
	return []Field{
		flag("allow_unqualified_recipient", "unqualified recipients may stand in headers", func(m *mail.Message) *bool { return &m.AllowUnqualifiedRecipient }),
		flag("allow_unqualified_sender", "unqualified senders may stand in headers", func(m *mail.Message) *bool { return &m.AllowUnqualifiedSender }),
		flag("deliver_firsttime", "no delivery was tried yet", func(m *mail.Message) *bool { return &m.DeliverFirst }),
		{Name: "frozen", Doc: "when the message was frozen",
			Write: func(m *mail.Message) (string, bool) { return itoa(m.Frozen.Unix()), !m.Frozen.IsZero() },
			Read: func(m *mail.Message, v string) (err error) {
				m.Frozen, err = parseUnix(v)
				return err
			}},
		flag("N", "deliveries are not to be real", func(m *mail.Message) *bool { return &StateOf(m).NoDelivery }),
		flag("local", "from a local sender", func(m *mail.Message) *bool { return &m.SenderLocal }),
		flag("localerror", "a locally made bounce", func(m *mail.Message) *bool { return &m.LocalError }),
		flag("manual_thaw", "thawed by hand", func(m *mail.Message) *bool { return &m.ManualThaw }),
		flag("sender_set_untrusted", "sender set by an untrusted caller", func(m *mail.Message) *bool { return &StateOf(m).SetUntrusted }),
		{Name: "dsn_envid", Doc: "RFC 3461 ENVID", Tainted: true,
			Write: func(m *mail.Message) (string, bool) { return m.EnvID, m.EnvID != "" },
			Read:  func(m *mail.Message, v string) error { m.EnvID = v; return nil }},
		{Name: "dsn_ret", Doc: "RFC 3461 RET: 1 full, 2 headers", Write: writeRet, Read: readRet},
		flag("smtputf8", "internationalised mail", func(m *mail.Message) *bool { return &m.SMTPUTF8 }),
		{Name: "utf8_downcvt", Doc: "convert addresses to ASCII",
			Write: func(m *mail.Message) (string, bool) { return "", m.UTF8Downgrade == 1 },
			Read:  func(m *mail.Message, _ string) error { m.UTF8Downgrade = 1; return nil }},
		{Name: "utf8_optdowncvt", Doc: "convert addresses to ASCII if needed",
			Write: func(m *mail.Message) (string, bool) { return "", m.UTF8Downgrade == -1 },
			Read:  func(m *mail.Message, _ string) error { m.UTF8Downgrade = -1; return nil }},
	}
}

func writeRet(m *mail.Message) (string, bool) {
	switch m.Ret {
	case "FULL":
		return "1", true
	case "HDRS":
		return "2", true
	}
	return "", false
}

func readRet(m *mail.Message, v string) error {
	switch v {
	case "1":
		m.Ret = "FULL"
	case "2":
		m.Ret = "HDRS"
	}
	return nil
}

// session returns the message's TLS state, made if there is none.
func session(m *mail.Message) *mail.TLS {
	if m.Session.TLS == nil {
		m.Session.TLS = new(mail.TLS)
	}
	return m.Session.TLS
}

// onTLS makes a text field of the TLS state.
func onTLS(name, doc string, tainted bool, at func(t *mail.TLS) *string) Field {
	return Field{Name: name, Doc: doc, Tainted: tainted,
		Write: func(m *mail.Message) (string, bool) {
			if m.Session.TLS == nil {
				return "", false
			}
			v := *at(m.Session.TLS)
			return v, v != ""
		},
		Read: func(m *mail.Message, v string) error { *at(session(m)) = v; return nil }}
}
