package eventlog

import (
	"net/netip"
	"strconv"
	"strings"
	"time"

	"exigo/internal/mail"
)

// Format builds the text of log lines: which optional fields appear, and fields of rooms.
type Format struct {
	Selectors Set
	// Tags are rooms' fields, in the order of the catalog.
	Tags []Tag
	// TopBit is print_topbitchars.
	TopBit bool
	// Ports are ports of hosts that are shown even without outgoing_port (log_ports).
	Ports []string
}

// Tag is a field that a room adds to reception or delivery lines.
type Tag struct {
	// Name is the field's identifier ("DKIM", "PRX").
	Name string
	Doc  string
	// Place says where in the line it stands.
	Place Place
	// Received returns the field as it stands on a <= line ("DKIM=example.org"), "" for none. May be nil.
	Received func(m *mail.Message, on Set) string
	// Delivered returns the field for a delivery line. May be nil.
	Delivered func(m *mail.Message, a *mail.Address, on Set) string
}

// Place is where rooms' fields stand in a line.
type Place int

// Places in a line.
const (
	// AfterHost: on delivery lines after the host's address and interface, on reception lines after encryption and authentication (PRX).
	AfterHost Place = iota
	// AfterTLS: after PRDR, L and K.
	AfterTLS
	// BeforeID: on delivery lines before C=, on reception lines after the size (DKIM, DMARC, SPF).
	BeforeID
	// AfterRecipient: on delivery lines after the addresses and F= (SRS).
	AfterRecipient
)

// Line builds one line; its fields are appended in order. Values are made printable by Add and Quoted.
type Line struct {
	b      []byte
	topBit bool
}

// NewLine starts a line with the text as it is.
func (f Format) NewLine(start string) *Line {
	return &Line{b: append(make([]byte, 0, 256), start...), topBit: f.TopBit}
}

// Word appends a space and the text, control characters escaped.
func (l *Line) Word(text string) *Line {
	l.b = appendPrintable(append(l.b, ' '), text, true, false)
	return l
}

// Field appends " name=value".
func (l *Line) Field(name, value string) *Line {
	l.b = append(append(append(l.b, ' '), name...), '=')
	l.b = appendPrintable(l.b, value, true, false)
	return l
}

// Quoted appends ` name="value"`, quotes and backslashes in value escaped, and then what is not printable, with or without topBit.
func (l *Line) Quoted(name, value string, topBit bool) *Line {
	l.b = append(append(append(l.b, ' '), name...), '=', '"')
	l.b = appendPrintable(l.b, escapeQuotes(value), topBit, false)
	l.b = append(l.b, '"')
	return l
}

// Raw appends text that the caller made printable.
func (l *Line) Raw(text string) *Line {
	l.b = append(l.b, text...)
	return l
}

// String returns the line.
func (l *Line) String() string { return string(l.b) }

func escapeQuotes(s string) string {
	if !strings.ContainsAny(s, `"\`) {
		return s
	}
	return strings.NewReplacer(`"`, `\"`, `\`, `\\`).Replace(s)
}

// tags appends the rooms' fields of a place.
func (f Format) tags(l *Line, p Place, get func(t *Tag) string) {
	for i := range f.Tags {
		if t := &f.Tags[i]; t.Place == p {
			if text := get(t); text != "" {
				l.Word(text)
			}
		}
	}
}

// HostAndIdent identifies the sender's side as rejections and receptions do (spec 53.6):
// "H=name (helo) [1.2.3.4]:port I=[5.6.7.8]:25 U=ident", or "U=login" for a local submission; without leading space. Port and
// interface follow the selectors.
func (f Format) HostAndIdent(s *mail.Session) string {
	if s == nil {
		return ""
	}
	ident := Printable(s.Ident, f.TopBit)
	if !s.Host.IsValid() {
		if ident == "" {
			ident = s.Login
		}
		return "U=" + ident
	}
	text := "H=" + f.FullHost(s)
	if s.Ident != "" {
		text += " U=" + ident
	}
	return text
}

// FullHost is $sender_fullhost with the interface if selected: "name (helo) [1.2.3.4]:port I=[5.6.7.8]:25".
func (f Format) FullHost(s *mail.Session) string {
	var b strings.Builder
	helo := Printable(s.HELO, f.TopBit)
	switch {
	case s.HostName != "" && (helo == "" || strings.EqualFold(s.HostName, helo) || isLiteral(s, helo)):
		b.WriteString(Printable(s.HostName, f.TopBit) + " ")
	case s.HostName != "":
		b.WriteString(Printable(s.HostName, f.TopBit) + " (" + helo + ") ")
	case helo != "":
		b.WriteString("(" + helo + ") ")
	}
	b.WriteString("[" + Address(s.Host) + "]")
	if f.Selectors.Has(IncomingPort) && s.Port != 0 {
		b.WriteString(":" + strconv.Itoa(s.Port))
	}
	if f.Selectors.Has(IncomingInterface) && s.Interface.IsValid() {
		b.WriteString(" I=[" + Address(s.Interface) + "]:" + strconv.Itoa(s.InterfacePort))
	}
	return b.String()
}

// isLiteral tells whether the HELO name is just the client's own address in brackets, which is not repeated beside its name.
func isLiteral(s *mail.Session, helo string) bool {
	text, ok := strings.CutPrefix(helo, "[")
	if !ok {
		return false
	}
	if len(text) > 5 && strings.EqualFold(text[:5], "IPv6:") {
		text = text[5:]
	}
	text, port, ok := strings.Cut(text, "]")
	a, err := netip.ParseAddr(text)
	return ok && err == nil && a.Unmap() == s.Host.Unmap() && (port == "" || port == ":"+strconv.Itoa(s.Port))
}

// Address writes an IP address as Exim does: IPv4-mapped addresses as IPv4.
func Address(a netip.Addr) string { return a.Unmap().WithZone("").String() }

// Duration writes a time taken: "3m45s", or "0.204s" with the millisec selector when it is short.
func (f Format) Duration(d time.Duration) string {
	if d < 0 {
		d = 0
	}
	if f.Selectors.Has(Millisec) && d < time.Minute {
		ms := int(d / time.Millisecond)
		return strconv.Itoa(ms/1000) + "." + string([]byte{byte('0' + ms/100%10), byte('0' + ms/10%10), byte('0' + ms%10)}) + "s"
	}
	return formatTime(d)
}

// authField is "name:id:sender", id and sender if there are any.
func (f Format) authField(name, id, sender string) string {
	if id != "" {
		name += ":" + id
	}
	if f.Selectors.Has(SMTPMailauth) && sender != "" {
		if id == "" {
			name += ":"
		}
		name += ":" + sender
	}
	return name
}

// tls appends X=, CV=, DN= and SNI= for a connection's encryption. server is true for incoming connections.
func (f Format) tls(l *Line, t *mail.TLS, server bool) {
	if t == nil {
		return
	}
	if f.Selectors.Has(TLSCipher) && t.Cipher != "" {
		cipher := t.Cipher
		if f.Selectors.Has(TLSResumption) && t.Resumption&resumptionUsed != 0 {
			cipher += "*"
		}
		l.Field("X", cipher)
	}
	if f.Selectors.Has(TLSCertificateVerified) && t.Cipher != "" {
		switch {
		case t.Verified && t.DANE == "yes":
			l.Field("CV", "dane")
		case t.Verified:
			l.Field("CV", "yes")
		case !server: // clients are seldom asked for a certificate
			l.Field("CV", "no")
		}
	}
	if f.Selectors.Has(TLSPeerDN) && t.PeerDN != "" {
		l.Quoted("DN", t.PeerDN, true)
	}
	if server && f.Selectors.Has(TLSSNI) && t.SNI != "" {
		l.Field("SNI", t.SNI)
	}
}

// resumptionUsed is the bit of $tls_in_resumption that says the session resumed an earlier one.
const resumptionUsed = 1 << 4
