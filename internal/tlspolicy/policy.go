// Package tlspolicy makes TLS configurations of Exim's options (spec chapter 43), for the server's and the client's side, and says
// what was negotiated in Exim's words.
//
// crypto/tls decides about some things by itself: it has no finite-field Diffie-Hellman, so tls_dhparam and tls_dh_max_bits are read
// and have no effect, and the cipher suites of TLS 1.3 cannot be chosen (nor can they with Exim, spec 43.4).
//
// Trust: options and files are the administrator's; certificates of peers and the names they ask for are anybody's.
package tlspolicy

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"

	"exigo/internal/expand"
	"exigo/internal/mail"
	"exigo/internal/option"
	"exigo/internal/outside"
)

// Policy holds what stays between connections: files that were read, the certificate made on the fly. It is safe for concurrent
// use; its exported fields are set before that.
type Policy struct {
	World *outside.World
	// Expand expands options; the engine's Expand.
	Expand func(s *expand.Scope, text string) (mail.Value, error)
	// MatchHost tests the peer (the scope's session, or its host for outgoing connections) against a host list.
	MatchHost func(s *expand.Scope, list string) (bool, error)
	// Log writes a line to the main log, with the id of the message that is delivered, "" for none; nil: nothing is logged.
	Log func(id, line string)
	// Panic writes a line to the main and the panic log; nil: Log serves.
	Panic func(line string)
	// Event raises the event tls:cert of the main configuration for a certificate of a client: data is its depth in the chain. A result
	// that is not empty refuses the certificate. May be nil.
	Event func(s *expand.Scope, name, data string) string
	// Adjust are the rooms' hooks.
	Adjust []Adjust
	// SystemRoots is the file or directory of the system's certificate authorities; "" for what crypto/x509 finds.
	SystemRoots string

	files fileCache
	self  ownCertificate
}

// Adjust lets a room change TLS configurations (OCSP stapling, resumption, DANE). Nil functions are skipped.
type Adjust struct {
	// Name of the room.
	Name string
	// Server changes a server's configuration. When SNI makes the options be expanded anew, it runs again.
	Server func(s *expand.Scope, h *Handshake) error
	// Client changes a client's configuration.
	Client func(s *expand.Scope, h *Handshake) error
	// Finished runs after a handshake; it may complete t, and an error ends the connection.
	Finished func(s *expand.Scope, h *Handshake, state tls.ConnectionState, t *mail.TLS) error
}

// Handshake is one connection's TLS: the configuration to use and, afterwards, what came of it.
type Handshake struct {
	Config *tls.Config
	// Server says which side we are.
	Server bool
	// Required says that the peer's certificate must verify, Wanted that it is verified, with no consequence.
	Required, Wanted bool
	// Roots are the authorities for the peer's certificate; nil for the system's.
	Roots *Roots
	// Names are the names of which the server's certificate must carry one; none: not checked.
	Names []string
	// Verify replaces the verification of the peer's certificate when it is set (DANE).
	Verify func(h *Handshake, state tls.ConnectionState) error

	policy   *Policy
	scope    *expand.Scope
	log      func(line string)
	event    func(s *expand.Scope, name, data string) string
	verified bool
	chain    []*x509.Certificate // as it verified; nil when the peer's own certificate is trusted as such
	ours     *tls.Certificate
	sni      string
}

// SetVerified records that the peer's certificate is good, whatever the usual rules say.
func (h *Handshake) SetVerified() { h.verified = true }

// Raise raises an event of the delivery that the connection is for (client side); it returns the listener's result.
func (h *Handshake) Raise(name, data string) (result string) {
	if h.event == nil {
		return ""
	}
	return h.event(h.scope, name, data)
}

// Ours returns our certificate as it was sent, nil when there was none.
func (h *Handshake) Ours() *tls.Certificate { return h.ours }

// Error is a failure to set TLS up or to negotiate, worded as Exim with OpenSSL words it: "(SSL_CTX_use_PrivateKey_file file=...): error:...".
type Error struct{ Text string }

// Error implements error.
func (e *Error) Error() string { return e.Text }

// failf makes an Error.
func failf(format string, args ...any) error { return &Error{Text: fmt.Sprintf(format, args...)} }

// expand expands an option. Unset, empty and forced to fail are all "".
func (p *Policy) expand(s *expand.Scope, name string, text string) (string, error) {
	if text == "" || strings.IndexByte(text, '$') < 0 && strings.IndexByte(text, '\\') < 0 {
		return text, nil
	}
	v, err := p.Expand(s, text)
	switch {
	case err == nil:
		return v.S, nil
	case errors.Is(err, expand.ErrForced):
		return "", nil
	}
	return "", failf("expansion of %s failed: %s", name, err)
}

// list expands an option that is a list of file names or words.
func (p *Policy) list(s *expand.Scope, name, text string) ([]string, error) {
	expanded, err := p.expand(s, name, text)
	if err != nil {
		return nil, err
	}
	return option.SplitList(expanded), nil
}

// matches tests the peer; a failing list counts as no match.
func (p *Policy) matches(s *expand.Scope, list string) bool {
	switch {
	case list == "":
		return false
	case list == "*":
		return true
	case p.MatchHost == nil:
		return false
	}
	ok, err := p.MatchHost(s, list)
	return err == nil && ok
}
