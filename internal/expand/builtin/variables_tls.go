package builtin

import (
	"encoding/pem"
	"strconv"

	"crypto/x509"

	"exigo/internal/expand"
	"exigo/internal/mail"
)

// tlsVariables tell of the protection of the incoming and the outgoing connection. The old names without a direction are the
// outgoing one's while there is one.
func tlsVariables() (rows []expand.Variable) {
	for _, row := range []struct {
		name, unset, doc string
		get              func(*mail.TLS) (expand.Value, error)
		old              bool
	}{
		{"bits", "0", "The strength of the cipher.", func(t *mail.TLS) (expand.Value, error) { return integer(t.Bits) }, true},
		{"certificate_verified", "0", "1 if the peer's certificate was verified.", func(t *mail.TLS) (expand.Value, error) { return flag(t.Verified) }, true},
		{"cipher", "", "The cipher suite.", func(t *mail.TLS) (expand.Value, error) { return text(t.Cipher) }, true},
		{"cipher_std", "", "The cipher suite's name in the standards.", func(t *mail.TLS) (expand.Value, error) { return text(t.CipherStd) }, false},
		{"ocsp", "0", "What became of OCSP.", func(t *mail.TLS) (expand.Value, error) { return integer(t.OCSP) }, false},
		{"ourcert", "", "The certificate that we showed.", func(t *mail.TLS) (expand.Value, error) { return certificateText(t.Ours) }, false},
		{"peercert", "", "The certificate that the peer showed.", func(t *mail.TLS) (expand.Value, error) { return certificateText(t.Peer) }, false},
		{"peerdn", "", "The distinguished name in the peer's certificate.", func(t *mail.TLS) (expand.Value, error) { return outsiders(t.PeerDN) }, true},
		{"resumption", "0", "Whether the session was resumed.", func(t *mail.TLS) (expand.Value, error) { return integer(t.Resumption) }, false},
		{"sni", "", "The server name indication.", func(t *mail.TLS) (expand.Value, error) { return outsiders(t.SNI) }, true},
		{"ver", "", "The protocol version.", func(t *mail.TLS) (expand.Value, error) { return text(t.Version) }, false},
	} {
		make := func(name string, side func(*expand.Scope) *mail.TLS) expand.Variable {
			return expand.Variable{Name: name, Doc: row.doc, Get: func(s *expand.Scope) (expand.Value, error) {
				if t := side(s); t != nil {
					return row.get(t)
				}
				return expand.Value{S: row.unset}, nil
			}}
		}
		rows = append(rows, make("tls_in_"+row.name, incomingTLS), make("tls_out_"+row.name, outgoingTLS))
		if row.old {
			rows = append(rows, make("tls_"+row.name, func(s *expand.Scope) *mail.TLS {
				if s.Outgoing != nil {
					return s.Outgoing
				}
				return incomingTLS(s)
			}))
		}
	}
	return append(rows,
		expand.Variable{Name: "tls_out_dane", Doc: "Whether DANE protects the outgoing connection.", Get: func(s *expand.Scope) (expand.Value, error) {
			if s.Outgoing != nil && s.Outgoing.DANE != "" {
				return text(s.Outgoing.DANE)
			}
			return text("no")
		}},
		expand.Variable{Name: "tls_out_tlsa_usage", Doc: "The usages of the TLSA records found, as bits.", Get: func(s *expand.Scope) (expand.Value, error) {
			if v, ok := s.Extra["tls_out_tlsa_usage"]; ok {
				return v, nil
			}
			return text(strconv.Itoa(0))
		}},
	)
}

func incomingTLS(s *expand.Scope) *mail.TLS {
	if s.Session == nil {
		return nil
	}
	return s.Session.TLS
}

func outgoingTLS(s *expand.Scope) *mail.TLS { return s.Outgoing }

// certificateText is what a certificate variable is as a string; words that want a certificate do not use it.
func certificateText(c *x509.Certificate) (expand.Value, error) {
	if c == nil {
		return expand.Value{}, nil
	}
	return outsiders(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})))
}
