// Package proxyprotocol is the room of the PROXY protocol for incoming connections (spec 59.1): a load balancer that is configured as one
// says whom it connects for.
//
// Trust: what hosts of hosts_proxy say is believed: it becomes the client's address. Nobody else is asked. A header that is malformed or late
// leaves a connection on which every command but QUIT is refused.
package proxyprotocol

import (
	"errors"
	"io"
	"net/netip"
	"strconv"
	"time"

	"exigo/internal/eventlog"
	"exigo/internal/expand"
	"exigo/internal/feature"
	"exigo/internal/mail"
	"exigo/internal/option"
	"exigo/internal/proto/proxyhdr"
	"exigo/internal/smtpserver"
)

// settings are the room's options in the main section.
type settings struct {
	hosts   option.HostList
	timeout time.Duration
}

// state of a session.
type state struct {
	// session says that the client is a proxy; the addresses are set once it said whom it connects for: local is its own end of its
	// connection to us, external its end of the client's connection to it.
	session         bool
	local, external netip.AddrPort
}

// Feature is the room.
func Feature() *feature.Feature {
	return &feature.Feature{
		Name: "proxyprotocol", Support: "PROXY", Doc: "The PROXY protocol, versions 1 and 2, for incoming connections.",
		Options: []option.Set{option.Table[settings]{Scope: "main", Rows: []option.Row[settings]{
			{Name: "hosts_proxy", Field: func(s *settings) any { return &s.hosts }, Doc: "Hosts that are proxies: they must begin with a PROXY header."},
			{Name: "proxy_required_hosts", AliasOf: "hosts_proxy"},
			{Name: "proxy_protocol_timeout", Default: "3s", Field: func(s *settings) any { return &s.timeout }, Doc: "How long to wait for the PROXY header."},
		}}},
		Variables: variables(),
		Accept:    []smtpserver.Accept{{Name: "proxyprotocol", Doc: "Reads the header that proxies send.", Begin: begin}},
		Tags:      []eventlog.Tag{{Name: "PRX", Doc: "the proxy's address (log selector proxy)", Place: eventlog.AfterHost, Received: tag}},
	}
}

// variables are today's and, with the same meaning, those of the first version.
func variables() []expand.Variable {
	var out []expand.Variable
	add := func(doc string, get func(*state) string, names ...string) {
		for _, name := range names {
			out = append(out, expand.Variable{Name: name, Doc: doc, Get: func(s *expand.Scope) (expand.Value, error) {
				st := new(state)
				if s.Session != nil {
					if own := mail.Peek[state](&s.Session.Bag); own != nil {
						st = own
					}
				}
				return mail.Clean(get(st)), nil
			}})
		}
	}
	add("Whether the connection came from a proxy: yes or no.", func(s *state) string {
		if s.session {
			return "yes"
		}
		return "no"
	}, "proxy_session")
	add("The proxy's address on its connection to us.", func(s *state) string { return addressText(s.local) }, "proxy_local_address", "proxy_host_address")
	add("The proxy's port on its connection to us.", func(s *state) string { return strconv.Itoa(int(s.local.Port())) }, "proxy_local_port", "proxy_host_port")
	add("The proxy's address that the client connected to.", func(s *state) string { return addressText(s.external) },
		"proxy_external_address", "proxy_target_address")
	add("The proxy's port that the client connected to.", func(s *state) string { return strconv.Itoa(int(s.external.Port())) },
		"proxy_external_port", "proxy_target_port")
	return out
}

func addressText(a netip.AddrPort) string {
	if !a.IsValid() {
		return ""
	}
	return eventlog.Address(a.Addr())
}

func tag(m *mail.Message, on eventlog.Set) string {
	s := mail.Peek[state](&m.Session.Bag)
	if s == nil || !s.local.IsValid() || !on.Has(eventlog.Proxy) {
		return ""
	}
	return "PRX=" + eventlog.Address(s.local.Addr())
}

// begin reads a proxy's header and puts the real client in the place of the proxy.
func begin(s *smtpserver.Session, client smtpserver.Client) *smtpserver.Refusal {
	o := option.Of[settings](s.Config().Main)
	if o.hosts == "" || !s.Matches(string(o.hosts)) {
		return nil
	}
	n := s.Noun()
	st := mail.State[state](&n.Bag)
	st.session = true
	client.SetReadDeadline(time.Now().Add(o.timeout))
	defer client.SetReadDeadline(time.Time{})
	in := &header{Reader: client}
	h, err := proxyhdr.Read(in)
	if err != nil {
		in.finish()
		return &smtpserver.Refusal{Code: 503, Text: "Command refused, required Proxy negotiation failed"}
	}
	if h.Local {
		return nil
	}
	st.local, st.external = netip.AddrPortFrom(n.Host, uint16(n.Port)), h.Destination
	n.Host, n.Port = h.Source.Addr().Unmap(), int(h.Source.Port())
	n.HostName, n.HostAliases, n.NameLookup, n.NameSecure = "", nil, mail.NameNotTried, false
	s.Scope().Forget()
	return nil
}

// header reads what should be a header. A command line in its place, which may be shorter than any header, is read to its end and no further, as no
// answer to it can come but to the next one.
type header struct {
	io.Reader
	n     int
	first byte
	ended bool // a line end was read
}

var errNoHeader = errors.New("no PROXY header")

// maxLine is how much of a line that is no header is read.
const maxLine = 1024

// Read implements io.Reader.
func (h *header) Read(p []byte) (int, error) {
	if h.ended && h.first != '\r' && h.n < 12 {
		return 0, errNoHeader
	}
	n, err := h.Reader.Read(p)
	if n > 0 && h.n == 0 {
		h.first = p[0]
	}
	if n > 0 {
		h.ended = p[n-1] == '\n'
	}
	h.n += n
	return n, err
}

// finish reads the rest of a line that is no header.
func (h *header) finish() {
	var b [1]byte
	for h.n > 0 && h.n < maxLine && !h.ended && h.first != '\r' {
		if n, err := h.Read(b[:]); n == 0 || err != nil {
			return
		}
	}
}
