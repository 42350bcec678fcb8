package tlspolicy

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"strings"

	"exigo/internal/mail"
)

// Finish says what a handshake has come to, in the nouns' words, and lets the rooms have their say.
func (h *Handshake) Finish(state tls.ConnectionState) (*mail.TLS, error) {
	t := &mail.TLS{Version: versionName(state.Version), Verified: h.verified, SNI: state.ServerName, ALPN: state.NegotiatedProtocol}
	name, bits := cipherName(state.CipherSuite)
	t.Bits = bits
	t.Cipher = t.Version + ":" + name + ":" + itoa(bits)
	t.CipherStd = tls.CipherSuiteName(state.CipherSuite)
	if len(state.PeerCertificates) > 0 {
		t.Peer = state.PeerCertificates[0]
		t.PeerDN = SlashName(t.Peer.RawSubject)
	}
	if h.ours != nil {
		t.Ours = h.ours.Leaf
	}
	t.Binding = h.bindings(state)
	for i := range h.policy.Adjust {
		if f := h.policy.Adjust[i].Finished; f != nil {
			if err := f(h.scope, h, state, t); err != nil {
				return nil, err
			}
		}
	}
	return t, nil
}

// bindings returns the channel bindings of RFC 5929 and RFC 9266 by their names.
func (h *Handshake) bindings(state tls.ConnectionState) func(string) []byte {
	leaf := func() *x509.Certificate {
		if h.Server {
			if h.ours != nil {
				return h.ours.Leaf
			}
			return nil
		}
		if len(state.PeerCertificates) > 0 {
			return state.PeerCertificates[0]
		}
		return nil
	}
	return func(label string) []byte {
		switch label {
		case "tls-exporter":
			if b, err := state.ExportKeyingMaterial("EXPORTER-Channel-Binding", nil, 32); err == nil {
				return b
			}
		case "tls-unique":
			return state.TLSUnique
		case "tls-server-end-point":
			if cert := leaf(); cert != nil {
				return endPoint(cert)
			}
		}
		return nil
	}
}

// endPoint is the hash of a certificate that RFC 5929 section 4.1 wants: with its signature's algorithm, at least SHA-256.
func endPoint(cert *x509.Certificate) []byte {
	hash := crypto.SHA256
	switch cert.SignatureAlgorithm {
	case x509.SHA384WithRSA, x509.ECDSAWithSHA384, x509.SHA384WithRSAPSS:
		hash = crypto.SHA384
	case x509.SHA512WithRSA, x509.ECDSAWithSHA512, x509.SHA512WithRSAPSS:
		hash = crypto.SHA512
	}
	h := hash.New()
	h.Write(cert.Raw)
	return h.Sum(nil)
}

func versionName(v uint16) string {
	switch v {
	case tls.VersionTLS10:
		return "TLS1"
	case tls.VersionTLS11:
		return "TLS1.1"
	case tls.VersionTLS12:
		return "TLS1.2"
	case tls.VersionTLS13:
		return "TLS1.3"
	}
	return "TLS?"
}

// attributeNames are the short names of attributes in distinguished names, as OpenSSL writes them.
func attributeName(id asn1.ObjectIdentifier) string {
	switch id.String() {
	case "2.5.4.3":
		return "CN"
	case "2.5.4.4":
		return "SN"
	case "2.5.4.5":
		return "serialNumber"
	case "2.5.4.6":
		return "C"
	case "2.5.4.7":
		return "L"
	case "2.5.4.8":
		return "ST"
	case "2.5.4.9":
		return "street"
	case "2.5.4.10":
		return "O"
	case "2.5.4.11":
		return "OU"
	case "2.5.4.12":
		return "title"
	case "2.5.4.42":
		return "GN"
	case "1.2.840.113549.1.9.1":
		return "emailAddress"
	case "0.9.2342.19200300.100.1.25":
		return "DC"
	case "0.9.2342.19200300.100.1.1":
		return "UID"
	}
	return id.String()
}

// SlashName writes a distinguished name as OpenSSL's one-line form does: "/C=UK/O=Org/CN=name". Bytes that are not printable are
// written as \xHH. raw is the DER of the name; "" when it cannot be read.
func SlashName(raw []byte) string {
	var sequence pkix.RDNSequence
	if _, err := asn1.Unmarshal(raw, &sequence); err != nil {
		return ""
	}
	var b strings.Builder
	for _, set := range sequence {
		for _, attribute := range set {
			b.WriteString("/" + attributeName(attribute.Type) + "=")
			text, _ := attribute.Value.(string)
			for i := 0; i < len(text); i++ {
				if c := text[i]; c < ' ' || c > '~' {
					const digits = "0123456789ABCDEF"
					b.WriteString(`\x` + string([]byte{digits[c>>4], digits[c&15]}))
				} else {
					b.WriteByte(c)
				}
			}
		}
	}
	return b.String()
}
