package tlspolicy

import (
	"crypto/tls"

	"exigo/internal/expand"
)

// ClientOptions are the smtp transport's TLS options, as text.
type ClientOptions struct {
	Certificate, PrivateKey, RequireCiphers, VerifyCertificates, CRL, SNI, ALPN string
	// VerifyHosts, TryVerifyHosts and VerifyCertHostnames are host lists. Without a setting of the first two, VerifySet tells
	// whether tls_verify_certificates alone was set.
	VerifyHosts, TryVerifyHosts, VerifyCertHostnames string
	// RequireALPNHosts is hosts_require_alpn.
	RequireALPNHosts string
	// OpenSSLOptions and ECCurve are the main options of these names.
	OpenSSLOptions, ECCurve string
	// HostName is the name whose certificate is wanted: the head of the CNAME chain to the host's address.
	HostName string
	// Log replaces the policy's: lines about a delivery carry the message's id. Event raises the transport's events. Both may be nil.
	Log   func(line string)
	Event func(s *expand.Scope, name, data string) string
}

// Client makes the TLS configuration for an outgoing connection to the scope's host. An error is an *Error.
func (p *Policy) Client(s *expand.Scope, o ClientOptions) (*Handshake, error) {
	c := &tls.Config{SessionTicketsDisabled: true, Time: p.World.Clock.Now, InsecureSkipVerify: true}
	h := &Handshake{Config: c, policy: p, scope: s, log: o.Log, event: o.Event}
	if h.log == nil {
		h.log = p.logger(s)
	}
	if err := versions(c, o.OpenSSLOptions); err != nil {
		return nil, err
	}
	if o.ECCurve != "" {
		if err := p.curves(s, c, o.ECCurve); err != nil {
			return nil, err
		}
	}
	if err := p.ciphers(s, c, o.RequireCiphers); err != nil {
		return nil, err
	}
	if err := p.clientOwn(h, o); err != nil {
		return nil, err
	}
	sni, err := p.expand(s, "tls_sni", o.SNI)
	if err != nil {
		return nil, err
	}
	c.ServerName = sni
	if c.NextProtos, err = p.list(s, "tls_alpn", o.ALPN); err != nil {
		return nil, err
	}
	if err := p.serverVerification(h, o); err != nil {
		return nil, err
	}
	for i := range p.Adjust {
		if f := p.Adjust[i].Client; f != nil {
			if err := f(s, h); err != nil {
				return nil, err
			}
		}
	}
	return h, nil
}

// clientOwn loads the certificate that the server is given when it asks.
func (p *Policy) clientOwn(h *Handshake, o ClientOptions) error {
	certificate, err := p.expand(h.scope, "tls_certificate", o.Certificate)
	if err != nil || certificate == "" {
		return err
	}
	key, err := p.expand(h.scope, "tls_privatekey", o.PrivateKey)
	if err != nil {
		return err
	}
	if key == "" {
		key = certificate
	}
	pair, err := p.files.pair(certificate, key)
	if err != nil {
		return err
	}
	h.Config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		h.ours = pair
		return pair, nil
	}
	return nil
}

// serverVerification obeys tls_verify_hosts, tls_try_verify_hosts and tls_verify_cert_hostnames.
func (p *Policy) serverVerification(h *Handshake, o ClientOptions) error {
	text, err := p.expand(h.scope, "tls_verify_certificates", o.VerifyCertificates)
	if err != nil {
		return err
	}
	switch {
	case p.matches(h.scope, o.VerifyHosts):
		h.Required = true
	case o.VerifyHosts == "" && o.TryVerifyHosts == "":
		h.Required = text != ""
	case p.matches(h.scope, o.TryVerifyHosts):
		h.Wanted = true
	}
	if !h.Required && !h.Wanted {
		return nil
	}
	if h.Roots, err = p.roots(text); err != nil {
		return err
	}
	if err := p.revocations(h, o.CRL); err != nil {
		return err
	}
	if o.HostName != "" && p.matches(h.scope, o.VerifyCertHostnames) {
		h.Names = []string{o.HostName}
	}
	h.Config.VerifyConnection = h.verifyConnection
	return nil
}
