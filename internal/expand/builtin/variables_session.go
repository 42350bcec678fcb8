package builtin

import (
	"net/netip"
	"strconv"
	"strings"

	"exigo/internal/expand"
	"exigo/internal/mail"
)

// fromSession makes a variable of the session; without one it is unset.
func fromSession(name, unset, doc string, get func(*mail.Session) (expand.Value, error)) expand.Variable {
	return expand.Variable{Name: name, Doc: doc, Get: func(s *expand.Scope) (expand.Value, error) {
		if s.Session == nil {
			return expand.Value{S: unset}, nil
		}
		return get(s.Session)
	}}
}

func addressText(a netip.Addr) (expand.Value, error) {
	if !a.IsValid() {
		return expand.Value{}, nil
	}
	return expand.Value{S: a.Unmap().String()}, nil
}

// portText writes a port, unset if it is 0.
func portText(port int, unset string) (expand.Value, error) {
	if port == 0 {
		return expand.Value{S: unset}, nil
	}
	return integer(port)
}

// authenticatedID is tainted unless it is the login name of a local user who submitted the message.
func authenticatedID(s *expand.Scope) (expand.Value, error) {
	c := s.Session
	if c == nil {
		return expand.Value{}, nil
	}
	if c.Authenticator == "" && (c.AuthID == c.Login || s.Message != nil && c.AuthID == s.Message.OriginatorLogin) {
		return text(c.AuthID)
	}
	return outsiders(c.AuthID)
}

// sessionVariables tell where the message comes from.
func sessionVariables() []expand.Variable {
	rows := []expand.Variable{
		fromSession("authenticated_id", "", "Who the client is, as the authenticator says.", nil),
		fromSession("authenticated_fail_id", "", "Who the client failed to be.", func(c *mail.Session) (expand.Value, error) { return outsiders(c.FailedID) }),
		fromSession("authenticated_sender", "", "The AUTH= parameter of MAIL.", func(c *mail.Session) (expand.Value, error) { return outsiders(c.AuthSender) }),
		fromSession("authentication_failed", "0", "1 if an AUTH command failed.", func(c *mail.Session) (expand.Value, error) { return flag(c.FailedID != "") }),
		fromSession("caller_uid", "0", "The user that called.", func(c *mail.Session) (expand.Value, error) { return integer(c.CallerUID) }),
		fromSession("caller_gid", "0", "The group that called.", func(c *mail.Session) (expand.Value, error) { return integer(c.CallerGID) }),
		fromSession("connection_id", "", "The connection's unique id.", func(c *mail.Session) (expand.Value, error) { return text(c.ConnectionID) }),
		fromSession("rcpt_count", "0", "RCPT commands of this message.", func(c *mail.Session) (expand.Value, error) { return integer(c.RcptCount) }),
		fromSession("rcpt_defer_count", "0", "RCPT commands that were deferred.", func(c *mail.Session) (expand.Value, error) { return integer(c.RcptDefer) }),
		fromSession("rcpt_fail_count", "0", "RCPT commands that were refused.", func(c *mail.Session) (expand.Value, error) { return integer(c.RcptFail) }),
		fromSession("sender_fullhost", "", "Name, HELO and address of the client.", nil),
		fromSession("sender_rcvhost", "", "The client as Received: fields have it.", nil),
		fromSession("sender_helo_name", "", "The argument of HELO or EHLO.", func(c *mail.Session) (expand.Value, error) { return outsiders(c.HELO) }),
		fromSession("sender_helo_verified", "no", "Whether HELO was verified.", func(c *mail.Session) (expand.Value, error) { return yesNo(c.HELOVerified) }),
		fromSession("sender_helo_dnssec", "no", "Whether HELO was verified by authenticated data.", func(c *mail.Session) (expand.Value, error) { return yesNo(c.HELOVerified && c.NameSecure) }),
		fromSession("sender_host_address", "", "The client's address.", func(c *mail.Session) (expand.Value, error) { return addressText(c.Host) }),
		fromSession("sender_host_port", "0", "The client's port.", func(c *mail.Session) (expand.Value, error) { return integer(c.Port) }),
		fromSession("sender_host_authenticated", "", "The authenticator that succeeded.", func(c *mail.Session) (expand.Value, error) { return text(c.Authenticator) }),
		fromSession("sender_host_dnssec", "no", "Whether the host name was found by authenticated data.", func(c *mail.Session) (expand.Value, error) { return yesNo(c.NameSecure) }),
		fromSession("host_lookup_failed", "0", "1 if the client's name is not to be found.", func(c *mail.Session) (expand.Value, error) { return flag(c.NameLookup == mail.NameFailed) }),
		fromSession("host_lookup_deferred", "0", "1 if the search for the client's name could not be completed.", func(c *mail.Session) (expand.Value, error) { return flag(c.NameLookup == mail.NameDeferred) }),
		fromSession("sender_ident", "", "The RFC 1413 answer, or the login of the caller.", func(c *mail.Session) (expand.Value, error) { return outsiders(c.Ident) }),
		fromSession("smtp_command", "", "The SMTP command at hand.", func(c *mail.Session) (expand.Value, error) { return outsiders(c.Command) }),
		fromSession("smtp_command_argument", "", "Its argument.", func(c *mail.Session) (expand.Value, error) { return outsiders(c.Argument) }),
		fromSession("smtp_command_history", "", "The last commands.", func(c *mail.Session) (expand.Value, error) { return outsiders(strings.Join(c.History, ",")) }),
		fromSession("smtp_notquit_reason", "", "Why the session ends without QUIT.", func(c *mail.Session) (expand.Value, error) { return text(c.NotQuitReason) }),
	}
	for i := range rows {
		switch rows[i].Name {
		case "authenticated_id":
			rows[i].Get = authenticatedID
		case "sender_fullhost":
			rows[i].Get = func(s *expand.Scope) (expand.Value, error) { return hostText(s, fullHost) }
		case "sender_rcvhost":
			rows[i].Get = func(s *expand.Scope) (expand.Value, error) { return hostText(s, receivedHost) }
		}
	}
	for _, prefix := range []string{"received", "interface"} {
		name := prefix + "_ip_address"
		if prefix == "interface" {
			name = "interface_address"
		}
		rows = append(rows,
			fromSession(name, "", "Our address that the client connected to.", func(c *mail.Session) (expand.Value, error) { return addressText(c.Interface) }),
			fromSession(prefix+"_port", "-1", "Our port that the client connected to.", func(c *mail.Session) (expand.Value, error) { return portText(c.InterfacePort, "-1") }),
		)
	}
	return append(rows,
		expand.Variable{Name: "sender_host_name", Doc: "The client's verified name; it is looked up when this is used.", Get: senderHostName},
		expand.Variable{Name: "smtp_active_hostname", Doc: "The name we go by in this session.", Get: func(s *expand.Scope) (expand.Value, error) {
			if v, ok := s.Extra["smtp_active_hostname"]; ok {
				return v, nil
			}
			return text(s.Settings().PrimaryHostname)
		}},
	)
}

func senderHostName(s *expand.Scope) (expand.Value, error) {
	if s.Session == nil {
		return expand.Value{}, nil
	}
	if s.Session.HostName == "" {
		s.FindHostName()
	}
	return outsiders(s.Session.HostName)
}

func hostText(s *expand.Scope, write func(c *mail.Session, port bool) string) (expand.Value, error) {
	if s.Session == nil || !s.Session.Host.IsValid() {
		return expand.Value{}, nil
	}
	return outsiders(write(s.Session, s.Settings().LogIncomingPort))
}

// fullHost writes name (helo) [address]:port. What was said in HELO is left out if it is the name or the address.
func fullHost(c *mail.Session, port bool) string {
	var b strings.Builder
	address := "[" + c.Host.Unmap().String() + "]"
	if c.HostName != "" {
		b.WriteString(c.HostName + " ")
	}
	if c.HELO != "" && (c.HostName == "" || !strings.EqualFold(c.HELO, c.HostName) && !ownLiteral(c)) {
		b.WriteString("(" + c.HELO + ") ")
	}
	b.WriteString(address)
	if port && c.Port != 0 {
		b.WriteString(":" + strconv.Itoa(c.Port))
	}
	return b.String()
}

// ownLiteral tells whether what was said in HELO is the client's address in brackets.
func ownLiteral(c *mail.Session) bool {
	text, ok := strings.CutPrefix(c.HELO, "[")
	text, closed := strings.CutSuffix(text, "]")
	if len(text) > 5 && strings.EqualFold(text[:5], "IPv6:") {
		text = text[5:]
	}
	a, err := netip.ParseAddr(text)
	return ok && closed && err == nil && a.Unmap() == c.Host.Unmap()
}

// receivedHost writes name ([address]:port helo=... ident=...) or [address] (port=... helo=... ident=...). If there is a name and three
// things in the parentheses, they go on a line of their own.
func receivedHost(c *mail.Session, port bool) string {
	address := "[" + c.Host.Unmap().String() + "]"
	head := address
	var items []string
	if c.HostName != "" {
		head = c.HostName
		if port && c.Port != 0 {
			address += ":" + strconv.Itoa(c.Port)
		}
		items = append(items, address)
	} else if port && c.Port != 0 {
		items = append(items, "port="+strconv.Itoa(c.Port))
	}
	if c.HELO != "" && !ownLiteral(c) && !strings.EqualFold(c.HELO, c.HostName) {
		items = append(items, "helo="+c.HELO)
	}
	if c.Ident != "" {
		items = append(items, "ident="+c.Ident)
	}
	if len(items) == 0 {
		return head
	}
	gap := " ("
	if len(items) > 2 && c.HostName != "" {
		gap = "\n\t("
	}
	return head + gap + strings.Join(items, " ") + ")"
}
