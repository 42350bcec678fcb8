package smtp

import (
	"strings"

	"exigo/internal/mail"
	"exigo/internal/proto/address"
	"exigo/internal/transport"
)

// unsupported is the text when a server cannot take an internationalized message (RFC 6531 section 3.2).
const unsupported = "utf8 support required but not offered for forwarding"

// international decides how an internationalized message goes to the server: with SMTPUTF8, its addresses in ASCII, or not at all
// (spec 60.1, utf8_downconvert). It sets t.utf8 and t.ascii.
func (t *transaction) international(addrs []*mail.Address) error {
	d, m := t.d, t.d.run.Message
	if !m.SMTPUTF8 {
		return nil
	}
	mode := m.UTF8Downgrade
	if text := string(d.settings.UTF8Downconvert); text != "" {
		n, err := d.run.Scope.Engine.ExpandInt(d.run.Scope, text)
		if err != nil || n < -1 || n > 1 {
			return transport.Defer(mail.ErrnoExpandFail, "utf8_downconvert of %s transport is none of 1, 0 and -1: \"%s\"", d.run.Transport.Name, text)
		}
		mode = int(n)
	}
	offered := t.c.Extensions.Has("SMTPUTF8")
	switch {
	case mode == 1, mode == -1 && !offered:
		t.ascii = true
		for _, a := range append([]string{d.run.ReturnPath}, recipients(d.run, addrs)...) {
			if _, err := toASCII(a); err != nil {
				return t.noWay("failed to convert address to a-label form: " + err.Error())
			}
		}
	case offered:
		t.utf8 = true
	case !asciiEnvelope(d.run, addrs):
		return t.noWay(unsupported)
	}
	return nil
}

// noWay fails the message for the host and says so in the log.
func (t *transaction) noWay(text string) error {
	te := transport.Fail("%s", text)
	t.decorate(&te.Outcome)
	if t.d.run.Services.Log != nil {
		t.d.run.Services.Log("H=" + t.d.label(t.h) + ": " + text)
	}
	return te
}

func recipients(r *transport.Run, addrs []*mail.Address) []string {
	out := make([]string, len(addrs))
	for i, a := range addrs {
		out[i] = r.Recipient(a)
	}
	return out
}

func asciiEnvelope(r *transport.Run, addrs []*mail.Address) bool {
	if !address.IsASCII(r.ReturnPath) {
		return false
	}
	for _, a := range recipients(r, addrs) {
		if !address.IsASCII(a) {
			return false
		}
	}
	return true
}

// toASCII converts both parts of an address to A-label form.
func toASCII(a string) (string, error) {
	at := strings.LastIndexByte(a, '@')
	if at < 0 || address.IsASCII(a) {
		return a, nil
	}
	local, err := address.LocalPartToASCII(a[:at])
	if err != nil {
		return "", err
	}
	domain, err := address.DomainToASCII(a[at+1:])
	return local + "@" + domain, err
}

// envelopeAddress is an address as it stands in MAIL or RCPT.
func (t *transaction) envelopeAddress(a string) string {
	if t.ascii {
		if converted, err := toASCII(a); err == nil {
			a = converted
		}
	}
	return wire(a)
}
