// Package address reads and writes mail addresses as RFC 5321 and RFC 5322 define them, with the tolerances a mail transfer
// agent needs for what is really found in envelopes, header fields and alias files: display names, comments, route
// addresses, quoted words, groups, domain literals and dots where the standards want none.
//
// Error texts are an interface: they appear in SMTP replies, logs and bounces.
//
// Trust: every text comes from SMTP clients, message headers or users' alias files; nothing about it is believed.
package address

// MaxLength is the longest address Extract accepts, in bytes (RFC 5321 section 4.5.3.1.3 counts 256 for a path).
const MaxLength = 256

// Options says what Extract accepts beyond a plain address. The zero value is the strictest form.
type Options struct {
	// AllowNull accepts an empty address, "<>", as the null sender (RFC 5321 section 4.5.5).
	AllowNull bool
	// AllowLiterals accepts domain literals such as [192.0.2.1] (RFC 5321 section 4.1.3).
	AllowLiterals bool
	// StripTrailingDot accepts and removes one dot at the end of a domain.
	StripTrailingDot bool
	// StripExcessAngles accepts surplus pairs of angle brackets, as in "<<x@y>>".
	StripExcessAngles bool
	// AllowUTF8 accepts UTF-8 in domains (RFC 6531 section 3.3). Local parts may hold any byte above 127 in any case.
	AllowUTF8 bool
	// AllowGroup accepts "name:" before an address, the start of a group (RFC 5322 section 3.4).
	AllowGroup bool
	// InGroup says that a group started in an earlier item of the list, so that ";" may end it here. What stands between
	// that semicolon and the next comma is ignored.
	InGroup bool
}

// Mailbox is one address taken out of a text.
type Mailbox struct {
	// Address is the address without comments, white space and source route; empty for the null address.
	Address string
	// Domain is the offset in Address of the domain's first byte, 0 when the address has no domain.
	Domain int
	// Start and End are offsets in the text of what a rewritten address replaces: the address with the comments and the
	// source route that stand inside it, and between angle brackets also the comments around it; without brackets, display
	// name and white space after it.
	Start, End int
	// InGroup says that a group is open after this address: Options.InGroup for the next one of the list.
	InGroup bool
}

// LocalPart returns the part of the address before the last @, quotes included.
func (m Mailbox) LocalPart() string {
	if m.Domain == 0 {
		return m.Address
	}
	return m.Address[:m.Domain-1]
}

// DomainPart returns the domain as it was written, or "" when the address has none.
func (m Mailbox) DomainPart() string {
	if m.Domain == 0 {
		return ""
	}
	return m.Address[m.Domain:]
}

// SyntaxError is the reason an address could not be read; its text may be shown to a client.
type SyntaxError struct {
	// Text is the message.
	Text string
	// End is the offset in the text up to which it had been read.
	End int
}

// Error returns the message.
func (e *SyntaxError) Error() string { return e.Text }

// Extract takes the one address out of text, which may have a display name, comments, angle brackets and a source route
// around it (RFC 5322 section 3.4, RFC 5321 section 4.1.2). The whole of text must be that one address. The error is
// always a *SyntaxError.
func Extract(text string, options Options) (Mailbox, error) {
	var buffer [128]byte
	p := parser{text: text, options: options, out: buffer[:0]}
	m, err := p.mailbox()
	if err != nil {
		err.End = p.pos
		return Mailbox{InGroup: p.options.InGroup}, err
	}
	m.InGroup = p.options.InGroup
	return m, nil
}
