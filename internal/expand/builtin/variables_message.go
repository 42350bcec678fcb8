package builtin

import (
	"io"
	"os"
	"strconv"
	"strings"

	"exigo/internal/expand"
	"exigo/internal/mail"
	"exigo/internal/proto/address"
)

// fromMessage makes a variable of the message; without one it is unset.
func fromMessage(name, unset, doc string, get func(*mail.Message) (expand.Value, error)) expand.Variable {
	return expand.Variable{Name: name, Doc: doc, Get: func(s *expand.Scope) (expand.Value, error) {
		if s.Message == nil {
			return expand.Value{S: unset}, nil
		}
		return get(s.Message)
	}}
}

// messageVariables tell of the message at hand.
func messageVariables() []expand.Variable {
	id := func(m *mail.Message) (expand.Value, error) { return text(m.ID) }
	return []expand.Variable{
		fromMessage("message_exim_id", "", "The message's id.", id),
		fromMessage("message_id", "", "An old name of message_exim_id.", id),
		fromMessage("body_linecount", "0", "Lines of the body.", func(m *mail.Message) (expand.Value, error) { return integer(m.BodyLines) }),
		fromMessage("body_zerocount", "0", "Binary zeros in the body.", func(m *mail.Message) (expand.Value, error) { return integer(m.BodyZeros) }),
		fromMessage("max_received_linelength", "0", "The longest line received.", func(m *mail.Message) (expand.Value, error) { return integer(m.MaxReceivedLine) }),
		fromMessage("message_body_size", "0", "Bytes of the body.", func(m *mail.Message) (expand.Value, error) { return integer(m.BodySize) }),
		fromMessage("message_linecount", "0", "Lines of the message.", func(m *mail.Message) (expand.Value, error) { return integer(m.Lines) }),
		fromMessage("message_size", "0", "Bytes of the message.", func(m *mail.Message) (expand.Value, error) { return integer(m.Size) }),
		fromMessage("message_smtputf8", "no", "Whether the message needs SMTPUTF8.", func(m *mail.Message) (expand.Value, error) { return yesNo(m.SMTPUTF8) }),
		fromMessage("originator_uid", "0", "The user that submitted the message.", func(m *mail.Message) (expand.Value, error) { return integer(m.OriginatorUID) }),
		fromMessage("originator_gid", "0", "The group that submitted the message.", func(m *mail.Message) (expand.Value, error) { return integer(m.OriginatorGID) }),
		fromMessage("queue_name", "", "The queue the message is in.", func(m *mail.Message) (expand.Value, error) { return text(m.Queue) }),
		fromMessage("received_protocol", "", "How the message came.", func(m *mail.Message) (expand.Value, error) { return text(m.Protocol) }),
		fromMessage("received_time", "0", "When the message came, in seconds since 1970.", func(m *mail.Message) (expand.Value, error) {
			if m.Received.IsZero() {
				return text("0")
			}
			return integer(m.Received.Unix())
		}),
		fromMessage("received_count", "0", "The number of Received: fields.", func(m *mail.Message) (expand.Value, error) {
			n := 0
			for _, h := range m.Headers {
				if h.Type == 'P' {
					n++
				}
			}
			return integer(n)
		}),
		fromMessage("recipients_count", "0", "The number of envelope recipients.", func(m *mail.Message) (expand.Value, error) { return integer(len(m.Recipients)) }),
		fromMessage("sender_address", "", "The envelope sender.", func(m *mail.Message) (expand.Value, error) { return outsiders(m.Sender) }),
		fromMessage("sender_address_domain", "", "The envelope sender's domain.", func(m *mail.Message) (expand.Value, error) {
			_, domain := address.Split(m.Sender)
			return outsiders(domain)
		}),
		fromMessage("sender_address_local_part", "", "The envelope sender's local part.", func(m *mail.Message) (expand.Value, error) {
			local, _ := address.Split(m.Sender)
			return outsiders(address.UnquoteLocalPart(local))
		}),
		{Name: "message_age", Doc: "Seconds since the message came.", Get: func(s *expand.Scope) (expand.Value, error) {
			if s.Message == nil || s.Message.Received.IsZero() {
				return text("0")
			}
			return integer(int64(now(s).Sub(s.Message.Received).Seconds()))
		}},
		{Name: "message_headers", Doc: "All header fields, decoded.", Get: func(s *expand.Scope) (expand.Value, error) { return s.AllHeaders(false), nil }},
		{Name: "message_headers_raw", Doc: "All header fields.", Get: func(s *expand.Scope) (expand.Value, error) { return s.AllHeaders(true), nil }},
		{Name: "message_body", Doc: "The beginning of the body.", Get: func(s *expand.Scope) (expand.Value, error) { return bodyPart(s, false) }},
		{Name: "message_body_end", Doc: "The end of the body.", Get: func(s *expand.Scope) (expand.Value, error) { return bodyPart(s, true) }},
		{Name: "recipients", Doc: "The envelope recipients, where they may be seen.", Get: func(s *expand.Scope) (expand.Value, error) { return recipients(s, ", ") }},
		{Name: "recipients_list", Doc: "The envelope recipients as a list, where they may be seen.", Get: func(s *expand.Scope) (expand.Value, error) { return recipients(s, ":") }},
		{Name: "reply_address", Doc: "The content of Reply-To:, or of From:.", Get: replyAddress},
	}
}

// recipients gives the recipients where a caller set Extra "recipients_visible": system filter, DATA ACLs.
func recipients(s *expand.Scope, separator string) (expand.Value, error) {
	if s.Message == nil || s.Extra["recipients_visible"].S == "" {
		return expand.Value{}, nil
	}
	var out []byte
	for i, r := range s.Message.Recipients {
		if separator == ":" {
			out = expand.AppendElement(out, i == 0, ':', r.Address)
			continue
		}
		if i > 0 {
			out = append(out, separator...)
		}
		out = append(out, r.Address...)
	}
	return outsiders(string(out))
}

func replyAddress(s *expand.Scope) (expand.Value, error) {
	for _, name := range []string{"reply-to", "from"} {
		v, _, err := s.Header('r', name)
		if v.S = trim(v.S); v.S != "" || err != nil {
			return v, err
		}
	}
	return expand.Value{}, nil
}

// bodyPart reads the beginning or the end of the body, newlines as spaces unless an option says otherwise.
func bodyPart(s *expand.Scope, end bool) (expand.Value, error) {
	if s.Message == nil || s.Message.DataPath == "" {
		return expand.Value{}, nil
	}
	f, err := os.Open(s.Message.DataPath)
	if err != nil {
		return expand.Value{}, nil
	}
	defer f.Close()
	visible := int64(s.Settings().MessageBodyVisible)
	start := s.Message.DataOffset
	info, err := f.Stat()
	if err != nil {
		return expand.Value{}, nil
	}
	if length := info.Size() - start; end && length > visible {
		start += length - visible
	}
	data := make([]byte, max(0, min(visible, info.Size()-start)))
	n, err := f.ReadAt(data, start)
	if err != nil && err != io.EOF {
		return expand.Value{}, nil
	}
	body := strings.ReplaceAll(string(data[:n]), "\x00", " ")
	if !s.Settings().MessageBodyNewlines {
		body = strings.ReplaceAll(body, "\n", " ")
	}
	return outsiders(body)
}

// recipientPart gives the local part or domain of the RCPT command's argument.
func recipientPart(s *expand.Scope, domain bool) (expand.Value, error) {
	if s.Recipient == nil {
		return expand.Value{}, nil
	}
	local, name := address.Split(s.Recipient.Address)
	if domain {
		return outsiders(lower(name))
	}
	return outsiders(address.UnquoteLocalPart(local))
}

// fromAddress makes a variable of the address being routed or delivered. What a caller set in Extra goes before it.
func fromAddress(name, unset, doc string, get func(*mail.Address) (expand.Value, error)) expand.Variable {
	return expand.Variable{Name: name, Doc: doc, Get: func(s *expand.Scope) (expand.Value, error) {
		v, ok := s.Extra[name]
		switch {
		case ok && (v.S != "" || unset == ""):
			return v, nil
		case ok || s.Address == nil:
			return expand.Value{S: unset}, nil
		}
		return get(s.Address)
	}}
}

// addressVariables tell of the address at hand and where it goes.
func addressVariables() []expand.Variable {
	return []expand.Variable{
		{Name: "domain", Doc: "The domain of the address at hand, in small letters.", Get: func(s *expand.Scope) (expand.Value, error) {
			if v, ok := s.Extra["domain"]; ok {
				return v, nil
			}
			if s.Address == nil {
				return recipientPart(s, true)
			}
			return outsiders(s.Address.Domain)
		}},
		{Name: "local_part", Doc: "The local part of the address at hand, without affixes and quotes.", Get: func(s *expand.Scope) (expand.Value, error) {
			if v, ok := s.Extra["local_part"]; ok {
				return v, nil
			}
			if s.Address == nil {
				return recipientPart(s, false)
			}
			return outsiders(s.Address.LocalPart)
		}},
		fromAddress("domain_data", "", "What a list of domains yielded.", func(a *mail.Address) (expand.Value, error) { return a.DomainData, nil }),
		fromAddress("local_part_data", "", "What a list of local parts yielded.", func(a *mail.Address) (expand.Value, error) { return a.LocalPartData, nil }),
		fromAddress("address_data", "", "What a router set with address_data.", func(a *mail.Address) (expand.Value, error) { return a.AddressData, nil }),
		fromAddress("local_part_prefix", "", "The prefix that was taken off.", func(a *mail.Address) (expand.Value, error) { return affix(a.Prefix, a.PrefixV) }),
		fromAddress("local_part_prefix_v", "", "What the wildcard of the prefix matched.", func(a *mail.Address) (expand.Value, error) { return outsiders(a.PrefixV) }),
		fromAddress("local_part_suffix", "", "The suffix that was taken off.", func(a *mail.Address) (expand.Value, error) { return affix(a.Suffix, a.SuffixV) }),
		fromAddress("local_part_suffix_v", "", "What the wildcard of the suffix matched.", func(a *mail.Address) (expand.Value, error) { return outsiders(a.SuffixV) }),
		fromAddress("original_domain", "", "The domain before any redirection.", func(a *mail.Address) (expand.Value, error) { return outsiders(lower(top(a).Domain)) }),
		fromAddress("original_local_part", "", "The full local part before any redirection.", func(a *mail.Address) (expand.Value, error) { return outsiders(fullLocalPart(top(a))) }),
		fromAddress("parent_domain", "", "The domain of the address that this one was made from.", func(a *mail.Address) (expand.Value, error) {
			if a.Parent == nil {
				return expand.Value{}, nil
			}
			return outsiders(lower(a.Parent.Domain))
		}),
		fromAddress("parent_local_part", "", "The local part of the address that this one was made from.", func(a *mail.Address) (expand.Value, error) {
			if a.Parent == nil {
				return expand.Value{}, nil
			}
			return outsiders(fullLocalPart(a.Parent))
		}),
		fromAddress("home", "", "The home directory.", func(a *mail.Address) (expand.Value, error) { return text(a.HomeDirectory) }),
		fromAddress("router_name", "", "The router at work.", func(a *mail.Address) (expand.Value, error) { return text(a.Router) }),
		fromAddress("transport_name", "", "The transport at work.", func(a *mail.Address) (expand.Value, error) { return text(a.Transport) }),
		fromAddress("local_user_uid", "4294967295", "The user that check_local_user found.", func(a *mail.Address) (expand.Value, error) { return userNumber(a.UID, a.UIDSet) }),
		fromAddress("local_user_gid", "4294967295", "The group that check_local_user found.", func(a *mail.Address) (expand.Value, error) { return userNumber(a.GID, a.GIDSet) }),
		{Name: "return_path", Doc: "The sender that the message is sent on with.", Get: func(s *expand.Scope) (expand.Value, error) {
			switch v, ok := s.Extra["return_path"]; {
			case ok:
				return v, nil
			case s.Address != nil && s.Address.ErrorsToSet:
				return outsiders(strings.Trim(s.Address.ErrorsTo, "<>"))
			case s.Message != nil:
				return outsiders(s.Message.Sender)
			}
			return expand.Value{}, nil
		}},
		{Name: "host", Doc: "The host that the message goes to.", Get: func(s *expand.Scope) (expand.Value, error) {
			if h := targetHost(s); h != nil {
				return outsiders(h.Name)
			}
			return s.Extra["host"], nil
		}},
		{Name: "host_address", Doc: "Its address.", Get: func(s *expand.Scope) (expand.Value, error) {
			if h := targetHost(s); h != nil {
				return addressText(h.Address)
			}
			return s.Extra["host_address"], nil
		}},
		{Name: "host_port", Doc: "Its port.", Get: func(s *expand.Scope) (expand.Value, error) {
			if h := targetHost(s); h != nil {
				return integer(h.Port)
			}
			if v, ok := s.Extra["host_port"]; ok {
				return v, nil
			}
			return text("0")
		}},
	}
}

// affix is tainted if a wildcard matched a part of it.
func affix(whole, variable string) (expand.Value, error) {
	return expand.Value{S: whole, Tainted: variable != ""}, nil
}

func userNumber(n int, set bool) (expand.Value, error) {
	if !set {
		return text("4294967295")
	}
	return text(strconv.Itoa(n))
}

// top is the address that all redirection began with.
func top(a *mail.Address) *mail.Address {
	for a.Parent != nil {
		a = a.Parent
	}
	return a
}

func fullLocalPart(a *mail.Address) string { return a.Prefix + a.LocalPart + a.Suffix }

// targetHost is the host of the connection, or the first that a router found.
func targetHost(s *expand.Scope) *mail.Host {
	if s.Host != nil {
		return s.Host
	}
	if s.Address != nil && len(s.Address.Hosts) > 0 {
		return &s.Address.Hosts[0]
	}
	return nil
}
