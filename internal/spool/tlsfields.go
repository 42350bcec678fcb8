package spool

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strconv"
	"strings"

	"exigo/internal/mail"
)

// tlsFields are the lines about the encryption of the session that the message came by.
func tlsFields() []Field {
	return []Field{
		{Name: "tls_certificate_verified", Doc: "the client's certificate was verified",
			Write: func(m *mail.Message) (string, bool) { return "", m.Session.TLS != nil && m.Session.TLS.Verified },
			Read:  func(m *mail.Message, _ string) error { session(m).Verified = true; return nil }},
		onTLS("tls_cipher", "cipher suite", false, func(t *mail.TLS) *string { return &t.Cipher }),
		onTLS("tls_ver", "protocol version", false, func(t *mail.TLS) *string { return &t.Version }),
		certificate("tls_peercert", "the client's certificate", func(t *mail.TLS) **x509.Certificate { return &t.Peer }),
		onTLS("tls_peerdn", "subject of the client's certificate", true, func(t *mail.TLS) *string { return &t.PeerDN }),
		onTLS("tls_sni", "server name the client asked for", true, func(t *mail.TLS) *string { return &t.SNI }),
		certificate("tls_ourcert", "our certificate", func(t *mail.TLS) **x509.Certificate { return &t.Ours }),
		{Name: "tls_ocsp", Doc: "OCSP state",
			Write: func(m *mail.Message) (string, bool) {
				return tlsNumber(m, func(t *mail.TLS) int { return t.OCSP }, "%d")
			},
			Read: func(m *mail.Message, v string) (err error) {
				session(m).OCSP, err = strconv.Atoi(v)
				return err
			}},
		{Name: "tls_resumption", Doc: "session resumption bits, as a letter from A on",
			Write: func(m *mail.Message) (string, bool) {
				return tlsNumber(m, func(t *mail.TLS) int { return t.Resumption }, "")
			},
			Read: readResumption},
	}
}

func tlsNumber(m *mail.Message, get func(t *mail.TLS) int, format string) (string, bool) {
	t := m.Session.TLS
	if t == nil {
		return "", false
	}
	n := get(t)
	if format == "" {
		return string(rune('A' + n&31)), n != 0
	}
	return fmt.Sprintf(format, n), n != 0
}

// readResumption reads a letter; real Exim writes "A", for nothing, into every file.
func readResumption(m *mail.Message, v string) error {
	if len(v) == 1 && v[0] > 'A' {
		session(m).Resumption = int(v[0] - 'A')
	}
	return nil
}

// certificate makes a field that is a certificate: PEM with the line ends written as \n, in one line.
func certificate(name, doc string, at func(t *mail.TLS) **x509.Certificate) Field {
	return Field{Name: name, Doc: doc, Tainted: true,
		Write: func(m *mail.Message) (string, bool) {
			if m.Session.TLS == nil || *at(m.Session.TLS) == nil {
				return "", false
			}
			block := &pem.Block{Type: "CERTIFICATE", Bytes: (*at(m.Session.TLS)).Raw}
			return strings.ReplaceAll(string(pem.EncodeToMemory(block)), "\n", `\n`), true
		},
		Read: func(m *mail.Message, v string) error {
			block, _ := pem.Decode([]byte(strings.ReplaceAll(v, `\n`, "\n")))
			if block == nil {
				return fmt.Errorf("bad certificate in -%s", name)
			}
			c, err := x509.ParseCertificate(block.Bytes)
			if err == nil { // one that Go cannot read is no reason to lose the message
				*at(session(m)) = c
			}
			return nil
		}}
}
