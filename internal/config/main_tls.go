package config

import (
	"exigo/internal/option"
)

// MainTLS holds main options (spec 14). TLS for clients.
type MainTLS struct {
	GnuTLSAutoPKCS11      bool
	GnuTLSCompatMode      bool
	HostsRequireALPN      option.HostList
	OpenSSLOptions        string
	TLSAdvertiseHosts     option.HostList
	TLSALPN               option.StringList
	TLSCertificate        option.Expanded
	TLSCRL                option.Expanded
	TLSDHMaxBits          int
	TLSDHParam            option.Expanded
	TLSECCurve            option.Expanded
	TLSOnConnectPorts     []string
	TLSPrivateKey         option.Expanded
	TLSRememberEsmtp      bool
	TLSRequireCiphers     option.Expanded
	TLSTryVerifyHosts     option.HostList
	TLSVerifyCertificates option.Expanded
	TLSVerifyHosts        option.HostList
}

func mainTLSRows() []option.Row[Main] {
	return []option.Row[Main]{
		{Name: "gnutls_allow_auto_pkcs11", Field: func(m *Main) any { return &m.GnuTLSAutoPKCS11 }, Doc: "Would let GnuTLS load modules of PKCS 11."},
		{Name: "gnutls_compat_mode", Field: func(m *Main) any { return &m.GnuTLSCompatMode }, Doc: "Would make GnuTLS tolerate more."},
		{Name: "hosts_require_alpn", Field: func(m *Main) any { return &m.HostsRequireALPN }, Doc: "Hosts that must name a protocol of tls_alpn."},
		{Name: "openssl_options", Field: func(m *Main) any { return &m.OpenSSLOptions }, Doc: "OpenSSL's option names, each with + or -."},
		{Name: "tls_advertise_hosts", Default: "*", Field: func(m *Main) any { return &m.TLSAdvertiseHosts }, Doc: "Hosts that are offered STARTTLS."},
		{Name: "tls_alpn", Default: "smtp:esmtp", Field: func(m *Main) any { return &m.TLSALPN }, Doc: "Protocol names accepted from the client."},
		{Name: "tls_certificate", Field: func(m *Main) any { return &m.TLSCertificate }, Doc: "File with certificate chain, or a list of files."},
		{Name: "tls_crl", Field: func(m *Main) any { return &m.TLSCRL }, Doc: "File or directory of certificate revocation lists."},
		{Name: "tls_dh_max_bits", Default: "2236", Field: func(m *Main) any { return &m.TLSDHMaxBits }, Doc: "Largest Diffie-Hellman prime that is used."},
		{Name: "tls_dhparam", Field: func(m *Main) any { return &m.TLSDHParam }, Doc: "Diffie-Hellman parameters."},
		{Name: "tls_eccurve", Default: "auto", Field: func(m *Main) any { return &m.TLSECCurve }, Doc: "Elliptic curves for key agreement."},
		{Name: "tls_on_connect_ports", Field: func(m *Main) any { return &m.TLSOnConnectPorts }, Doc: "Ports on which TLS begins with the connection."},
		{Name: "tls_privatekey", Field: func(m *Main) any { return &m.TLSPrivateKey }, Doc: "File with the private key, or a list of files."},
		{Name: "tls_remember_esmtp", Field: func(m *Main) any { return &m.TLSRememberEsmtp }, Doc: "Keeps the EHLO of before STARTTLS."},
		{Name: "tls_require_ciphers", Field: func(m *Main) any { return &m.TLSRequireCiphers }, Doc: "Ciphers that may be used."},
		{Name: "tls_try_verify_hosts", Field: func(m *Main) any { return &m.TLSTryVerifyHosts }, Doc: "Hosts that are asked for a certificate."},
		{Name: "tls_verify_certificates", Default: "system", Field: func(m *Main) any { return &m.TLSVerifyCertificates }, Doc: "Certificates against which clients' are verified."},
		{Name: "tls_verify_hosts", Field: func(m *Main) any { return &m.TLSVerifyHosts }, Doc: "Hosts that must give a certificate that verifies."},
	}
}
