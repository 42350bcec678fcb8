package tlspolicy

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"time"

	"exigo/internal/eventlog"
	"exigo/internal/mail"
)

// Roots are the authorities that a peer's certificate may come from, and what they have revoked.
type Roots struct {
	// Pool is nil for the system's authorities alone.
	Pool *x509.CertPool
	// Certificates are those of the file itself; a peer's own certificate among them is good without an issuer.
	Certificates []*x509.Certificate

	announced   *x509.CertPool // sent to clients as acceptable; nil for directories and the system's
	revocations []*x509.RevocationList
}

// roots loads tls_verify_certificates: "system", a file, or a directory. "" is nil: nothing can be verified.
func (p *Policy) roots(text string) (*Roots, error) {
	switch text {
	case "":
		return nil, nil
	case "system", "system,cache":
		if p.SystemRoots == "" {
			pool, err := x509.SystemCertPool()
			if err != nil {
				return nil, failf("(tls_verify_certificates): %s", err)
			}
			return &Roots{Pool: pool}, nil
		}
		text = p.SystemRoots
	}
	info, err := os.Stat(text)
	if err != nil {
		return nil, failf("failed to stat %s for certificates: %s", text, statText(err))
	}
	files := []string{text}
	if info.IsDir() {
		if files, err = directory(text); err != nil {
			return nil, failf("failed to read %s for certificates: %s", text, statText(err))
		}
	}
	r := &Roots{Pool: x509.NewCertPool()}
	for _, file := range files {
		value, err := p.files.load(file, parseCertificates)
		if err != nil {
			if info.IsDir() {
				continue
			}
			return nil, failf("(SSL_CTX_load_verify_locations): error:%s", opensslText(err))
		}
		for _, cert := range value.([]*x509.Certificate) {
			r.Pool.AddCert(cert)
			r.Certificates = append(r.Certificates, cert)
		}
	}
	if !info.IsDir() {
		r.announced = r.Pool
	}
	return r, nil
}

func statText(err error) string {
	var path *os.PathError
	if errors.As(err, &path) {
		return path.Err.Error()
	}
	return err.Error()
}

// directory lists the files of a directory, in order.
func directory(path string) ([]string, error) {
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	var files []string
	for _, e := range entries {
		if !e.IsDir() {
			files = append(files, filepath.Join(path, e.Name()))
		}
	}
	sort.Strings(files)
	return files, nil
}

// parseCertificates reads the certificates of a PEM file; those that crypto/x509 cannot read are left away.
func parseCertificates(data []byte) (any, error) {
	var out []*x509.Certificate
	for _, raw := range pemBlocks(data, "CERTIFICATE") {
		if cert, err := x509.ParseCertificate(raw); err == nil {
			out = append(out, cert)
		}
	}
	return out, nil
}

// revocations loads tls_crl, a file or a directory.
func (p *Policy) revocations(h *Handshake, option string) error {
	text, err := p.expand(h.scope, "tls_crl", option)
	if err != nil || text == "" || h.Roots == nil {
		return err
	}
	info, err := os.Stat(text)
	if err != nil {
		return failf("failed to stat %s for certificates revocation lists", text)
	}
	files := []string{text}
	if info.IsDir() {
		if files, err = directory(text); err != nil {
			return failf("failed to read %s for certificates revocation lists", text)
		}
	}
	for _, file := range files {
		value, err := p.files.load(file, func(data []byte) (any, error) {
			var lists []*x509.RevocationList
			for _, raw := range pemBlocks(data, "X509 CRL") {
				list, err := x509.ParseRevocationList(raw)
				if err != nil {
					return nil, err
				}
				lists = append(lists, list)
			}
			return lists, nil
		})
		if err != nil {
			return failf("(X509_load_crl_file): %s", err)
		}
		h.Roots.revocations = append(h.Roots.revocations, value.([]*x509.RevocationList)...)
	}
	return nil
}

// verifyConnection verifies the peer's certificate as the options want; it is tls.Config's hook.
func (h *Handshake) verifyConnection(state tls.ConnectionState) error {
	if h.Verify != nil {
		return h.Verify(h, state)
	}
	h.verified = false
	if len(state.PeerCertificates) == 0 {
		if h.Required && h.Server {
			return errors.New("peer did not return a certificate")
		}
		return nil
	}
	err := h.check(state.PeerCertificates)
	if err == nil {
		err = h.raiseEvents(state.PeerCertificates)
	}
	if err != nil {
		h.logFailure(err, state.PeerCertificates)
		var denied *deniedError
		if h.Required || errors.As(err, &denied) { // a veto counts, whether verification is required or tried
			h.showFailure(err, state.PeerCertificates)
			return err
		}
		if err != errNames { // verification goes on where nothing depends on it
			if err := h.checkNames(state.PeerCertificates[0]); err != nil {
				h.logFailure(err, state.PeerCertificates)
			}
		}
		return nil
	}
	h.verified = true
	return nil
}

// showFailure leaves the server's certificate that was found wanting in the scope, for events about the failure.
func (h *Handshake) showFailure(err error, chain []*x509.Certificate) {
	if h.event == nil || h.Server {
		return
	}
	depth := 0
	var failed *chainError
	if errors.As(err, &failed) {
		depth = min(max(failed.depth, 0), len(chain)-1)
	}
	h.scope.Outgoing = &mail.TLS{Peer: chain[depth]}
}

// raiseEvents raises tls:cert for each certificate, the topmost first; the certificate is the peer's meanwhile.
func (h *Handshake) raiseEvents(chain []*x509.Certificate) error {
	if h.event == nil {
		return nil
	}
	if h.chain != nil {
		chain = h.Roots.extend(h.chain)
	}
	peer := &mail.TLS{}
	slot := &h.scope.Outgoing
	if h.Server && h.scope.Session != nil {
		slot = &h.scope.Session.TLS
	}
	if *slot != nil {
		*peer = **slot
	}
	old := *slot
	*slot = peer
	defer func() { *slot = old }()
	for depth := len(chain) - 1; depth >= 0; depth-- {
		peer.Peer = chain[depth]
		if reason := h.event(h.scope, "tls:cert", itoa(depth)); reason != "" {
			return &deniedError{depth, reason}
		}
	}
	return nil
}

// extend follows a verified chain beyond an issuer that is trusted itself, up to a root.
func (r *Roots) extend(chain []*x509.Certificate) []*x509.Certificate {
	chain = slices.Clone(chain)
	for top := chain[len(chain)-1]; !selfSigned(top) && len(chain) <= len(r.Certificates)+1; top = chain[len(chain)-1] {
		i := slices.IndexFunc(r.Certificates, func(c *x509.Certificate) bool {
			return bytes.Equal(c.RawSubject, top.RawIssuer) && top.CheckSignatureFrom(c) == nil
		})
		if i < 0 {
			break
		}
		chain = append(chain, r.Certificates[i])
	}
	return chain
}

// deniedError is the refusal of a certificate by event_action.
type deniedError struct {
	depth  int
	reason string
}

func (e *deniedError) Error() string { return e.reason }

// chainError is a failure of verification: at which certificate, and why, in OpenSSL's words.
type chainError struct {
	depth  int
	reason string
}

func (e *chainError) Error() string { return e.reason }

// VerifyChain verifies certificates of the peer against the roots and names of the handshake.
func (h *Handshake) VerifyChain(chain []*x509.Certificate) error { return h.check(chain) }

// check verifies a chain: issuers and dates first, then the name.
func (h *Handshake) check(chain []*x509.Certificate) error {
	if h.Roots == nil {
		return &chainError{len(chain) - 1, "unable to get local issuer certificate"}
	}
	if err := h.checkIssuers(chain, h.policy.World.Clock.Now()); err != nil {
		return err
	}
	return h.checkNames(chain[0])
}

// checkNames looks for one of the wanted names in the certificate.
func (h *Handshake) checkNames(leaf *x509.Certificate) error {
	if len(h.Names) == 0 {
		return nil
	}
	for _, name := range h.Names {
		if leaf.VerifyHostname(name) == nil || commonNameMatches(leaf, name) {
			return nil
		}
	}
	return errNames
}

var errNames = errors.New("certificate name mismatch")

// checkIssuers verifies dates, issuers and revocation.
func (h *Handshake) checkIssuers(chain []*x509.Certificate, now time.Time) error {
	leaf := chain[0]
	intermediates := x509.NewCertPool()
	for _, cert := range chain[1:] {
		intermediates.AddCert(cert)
	}
	trusted := false
	for _, cert := range h.Roots.Certificates {
		if cert.Equal(leaf) {
			trusted = true
		}
	}
	if trusted {
		if now.Before(leaf.NotBefore) || now.After(leaf.NotAfter) {
			return &chainError{0, "certificate has expired"}
		}
		return h.revoked([]*x509.Certificate{leaf})
	}
	chains, err := leaf.Verify(x509.VerifyOptions{Roots: h.Roots.Pool, Intermediates: intermediates, CurrentTime: now,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	if err != nil {
		return verifyText(err, chain)
	}
	h.chain = chains[0]
	return h.revoked(chains[0])
}

// revoked tests a chain against the revocation lists. There must be a list of each issuer when there are any lists.
func (h *Handshake) revoked(chain []*x509.Certificate) error {
	if len(h.Roots.revocations) == 0 {
		return nil
	}
	for i, cert := range chain {
		if i+1 >= len(chain) && len(chain) > 1 {
			break
		}
		issuer := chain[min(i+1, len(chain)-1)]
		found := false
		for _, list := range h.Roots.revocations {
			if string(list.RawIssuer) != string(issuer.RawSubject) || list.CheckSignatureFrom(issuer) != nil {
				continue
			}
			found = true
			for _, entry := range list.RevokedCertificateEntries {
				if entry.SerialNumber.Cmp(cert.SerialNumber) == 0 {
					return &chainError{i, "certificate revoked"}
				}
			}
		}
		if !found {
			return &chainError{i, "unable to get certificate CRL"}
		}
	}
	return nil
}

// verifyText words failures of verification as OpenSSL does.
func verifyText(err error, chain []*x509.Certificate) error {
	var unknown x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	top := len(chain) - 1
	switch {
	case errors.As(err, &unknown) && selfSigned(chain[0]):
		return &chainError{0, "self-signed certificate"}
	case errors.As(err, &unknown) && selfSigned(chain[top]):
		return &chainError{top, "self-signed certificate in certificate chain"}
	case errors.As(err, &unknown):
		return &chainError{top, "unable to get local issuer certificate"}
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		for i, cert := range chain {
			if cert.Equal(invalid.Cert) {
				return &chainError{i, "certificate has expired"}
			}
		}
		return &chainError{top, "certificate has expired"}
	}
	return &chainError{0, err.Error()}
}

// selfSigned tells whether a certificate names itself as issuer.
func selfSigned(cert *x509.Certificate) bool {
	return string(cert.RawSubject) == string(cert.RawIssuer)
}

// commonNameMatches looks at the common name of certificates without alternative names, as Exim does.
func commonNameMatches(leaf *x509.Certificate, name string) bool {
	if len(leaf.DNSNames) > 0 || leaf.Subject.CommonName == "" {
		return false
	}
	return (&x509.Certificate{DNSNames: []string{leaf.Subject.CommonName}}).VerifyHostname(name) == nil
}

// logFailure writes lines about a certificate that does not verify.
func (h *Handshake) logFailure(err error, chain []*x509.Certificate) {
	if h.log == nil {
		return
	}
	who := ""
	if h.Server && h.scope.Session != nil && h.scope.Session.Host.IsValid() {
		who = "[" + eventlog.Address(h.scope.Session.Host) + "] "
	} else if h.scope.Host != nil && h.scope.Host.Address.IsValid() {
		who = "[" + eventlog.Address(h.scope.Host.Address) + "] "
	}
	var denied *deniedError
	var failed *chainError
	switch {
	case errors.Is(err, errNames):
		h.log(who + "SSL verify error: certificate name mismatch: DN=\"" + SlashName(chain[0].RawSubject) + "\" H=\"" + h.Names[0] + "\"")
	case errors.As(err, &denied):
		h.log(who + "SSL verify denied by event-action: depth=" + itoa(denied.depth) + ": " + denied.reason)
	case errors.As(err, &failed):
		h.log(who + verifyLine(failed.depth, failed.reason, chain))
		if !h.Required && len(chain) == 1 && failed.reason == "unable to get local issuer certificate" {
			h.log(who + verifyLine(0, "unable to verify the first certificate", chain))
		}
	default:
		h.log(who + verifyLine(0, err.Error(), chain))
	}
}

func verifyLine(depth int, reason string, chain []*x509.Certificate) string {
	cert := chain[min(depth, len(chain)-1)]
	return "SSL verify error: depth=" + itoa(depth) + " error=" + reason + " cert=" + SlashName(cert.RawSubject)
}
