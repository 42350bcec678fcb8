package tlspolicy

import (
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"slices"
	"strings"

	"exigo/internal/config"
	"exigo/internal/expand"
	"exigo/internal/mail"
	"exigo/internal/option"
)

// Server makes the TLS configuration for an incoming connection from the main options, expanded for the scope's session. An error
// is an *Error.
func (p *Policy) Server(s *expand.Scope) (*Handshake, error) {
	main := option.Of[config.Main](s.Config.MainOptions())
	h := &Handshake{Server: true, policy: p, scope: s, log: p.logger(s), event: p.Event}
	if err := p.serverConfig(h, main); err != nil {
		return nil, err
	}
	h.Config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) { return p.hello(h, main, hello) }
	return h, nil
}

// serverConfig fills the configuration.
func (p *Policy) serverConfig(h *Handshake, main *config.Main) error {
	s := h.scope
	c := &tls.Config{SessionTicketsDisabled: true, MinVersion: tls.VersionTLS12, Time: p.World.Clock.Now}
	h.Config = c
	if err := versions(c, main.OpenSSLOptions); err != nil {
		return err
	}
	if err := p.dhParam(s, string(main.TLSDHParam)); err != nil {
		return err
	}
	if err := p.curves(s, c, string(main.TLSECCurve)); err != nil {
		return err
	}
	if err := p.ciphers(s, c, string(main.TLSRequireCiphers)); err != nil {
		return err
	}
	if err := p.serverCertificates(h, main); err != nil {
		return err
	}
	if err := p.clientCertificates(h, main); err != nil {
		return err
	}
	for i := range p.Adjust {
		if f := p.Adjust[i].Server; f != nil {
			if err := f(s, h); err != nil {
				return err
			}
		}
	}
	return nil
}

// serverCertificates loads what tls_certificate and tls_privatekey name, or makes a certificate.
func (p *Policy) serverCertificates(h *Handshake, main *config.Main) error {
	files, err := p.list(h.scope, "tls_certificate", string(main.TLSCertificate))
	if err != nil {
		return err
	}
	var certificates []*tls.Certificate
	if len(files) == 0 {
		cert, err := p.self.get(p.World, main.PrimaryHostname)
		if err != nil {
			return failf("(selfsigned cert generation): %s", err)
		}
		certificates = append(certificates, cert)
	} else {
		keys, err := p.list(h.scope, "tls_privatekey", string(main.TLSPrivateKey))
		if err != nil {
			return err
		}
		if certificates, err = p.files.pairs(files, keys); err != nil {
			return err
		}
	}
	h.Config.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		h.ours = h.Roots.complete(choose(certificates, h.Config.CipherSuites, hello))
		return h.ours, nil
	}
	return nil
}

// complete adds the issuers that are known for the sake of verification to a certificate whose file has none, as OpenSSL does.
func (r *Roots) complete(cert *tls.Certificate) *tls.Certificate {
	if r == nil || len(r.Certificates) == 0 || len(cert.Certificate) != 1 || cert.Leaf == nil {
		return cert
	}
	whole := *cert
	whole.Certificate = nil
	for _, c := range r.extend([]*x509.Certificate{cert.Leaf}) {
		whole.Certificate = append(whole.Certificate, c.Raw)
	}
	return &whole
}

// choose picks the certificate for a client: the first that suits it, or if the ciphers are limited to some, the first that suits
// the first of them that the client knows.
func choose(certificates []*tls.Certificate, ciphers []uint16, hello *tls.ClientHelloInfo) *tls.Certificate {
	suits := func(cert *tls.Certificate) bool { return hello.SupportsCertificate(cert) == nil }
	for _, id := range ciphers {
		if len(certificates) == 1 || !slices.Contains(hello.CipherSuites, id) {
			continue
		}
		ecdsa := strings.Contains(tls.CipherSuiteName(id), "_ECDSA_")
		for _, cert := range certificates {
			if _, isRSA := cert.PrivateKey.(*rsa.PrivateKey); isRSA != ecdsa && suits(cert) {
				return cert
			}
		}
	}
	if i := slices.IndexFunc(certificates, suits); i >= 0 {
		return certificates[i]
	}
	return certificates[0]
}

// clientCertificates obeys tls_verify_hosts and tls_try_verify_hosts.
func (p *Policy) clientCertificates(h *Handshake, main *config.Main) error {
	h.Required = p.matches(h.scope, string(main.TLSVerifyHosts))
	h.Wanted = !h.Required && p.matches(h.scope, string(main.TLSTryVerifyHosts))
	if !h.Required && !h.Wanted {
		return nil
	}
	text, err := p.expand(h.scope, "tls_verify_certificates", string(main.TLSVerifyCertificates))
	if err != nil {
		return err
	}
	if h.Roots, err = p.roots(text); err != nil {
		return err
	}
	if err := p.revocations(h, string(main.TLSCRL)); err != nil {
		return err
	}
	h.Config.ClientAuth = tls.RequestClientCert
	if h.Required {
		h.Config.ClientAuth = tls.RequireAnyClientCert
	}
	if h.Roots != nil {
		h.Config.ClientCAs = h.Roots.announced
	}
	h.Config.VerifyConnection = h.verifyConnection
	return nil
}

// hello looks at what the client asks for, before the handshake goes on: the protocol (tls_alpn) and the server's name.
func (p *Policy) hello(h *Handshake, main *config.Main, hello *tls.ClientHelloInfo) (*tls.Config, error) {
	if err := p.alpn(h, main, hello); err != nil {
		return nil, err
	}
	h.sni = hello.ServerName
	if hello.ServerName == "" || !strings.Contains(string(main.TLSCertificate), "tls_in_sni") && !strings.Contains(string(main.TLSCertificate), "tls_sni") {
		return h.Config, nil
	}
	session := h.scope.Session
	if session.TLS == nil {
		session.TLS = &mail.TLS{}
	}
	session.TLS.SNI = hello.ServerName
	for _, o := range [...]struct{ name, text string }{{"tls_certificate", string(main.TLSCertificate)}, {"tls_privatekey", string(main.TLSPrivateKey)}} {
		if o.text == "" {
			continue
		}
		if _, err := p.Expand(h.scope, o.text); err != nil { // here a forced failure is one too
			p.panicked("expansion of " + o.name + " failed")
			return nil, err
		}
	}
	again := &Handshake{Server: true, policy: p, scope: h.scope, log: h.log, event: h.event}
	if err := p.serverConfig(again, main); err != nil {
		p.panicked(err.Error())
		return nil, err
	}
	protocols := h.Config.NextProtos
	again.Config.NextProtos = protocols
	again.Config.VerifyConnection = nil
	h.Required, h.Wanted, h.Roots = again.Required, again.Wanted, again.Roots
	if h.Required || h.Wanted {
		again.Config.VerifyConnection = h.verifyConnection
	}
	choose := again.Config.GetCertificate
	again.Config.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		cert, err := choose(hello)
		h.ours = cert
		return cert, err
	}
	return again.Config, nil
}

// alpn declines clients that want another protocol: more than one name, or one that tls_alpn does not list.
func (p *Policy) alpn(h *Handshake, main *config.Main, hello *tls.ClientHelloInfo) error {
	h.Config.NextProtos = nil
	if len(hello.SupportedProtos) == 0 {
		if p.matches(h.scope, string(main.HostsRequireALPN)) {
			return errors.New("TLS ALPN required but not negotiated")
		}
		return nil
	}
	allowed, err := p.list(h.scope, "tls_alpn", string(main.TLSALPN))
	if err != nil || len(allowed) == 0 {
		return err
	}
	if len(hello.SupportedProtos) > 1 {
		return errors.New("TLS ALPN: more than one protocol offered")
	}
	h.Config.NextProtos = allowed
	return nil
}

// panicked writes a line to the main and the panic log.
func (p *Policy) panicked(line string) {
	switch {
	case p.Panic != nil:
		p.Panic(line)
	case p.Log != nil:
		p.Log("", line)
	}
}

// logger writes lines about the scope's connection, with the message's id where there is one.
func (p *Policy) logger(s *expand.Scope) func(string) {
	if p.Log == nil {
		return nil
	}
	return func(line string) {
		id := ""
		if s.Message != nil {
			id = s.Message.ID
		}
		p.Log(id, line)
	}
}
