package tlspolicy

import (
	"crypto/tls"
	"slices"
	"strings"

	"exigo/internal/expand"
	"exigo/internal/option"
)

// versions obeys openssl_options as far as it names versions and tickets; the rest are workarounds for OpenSSL and its peers that
// crypto/tls does without. TLS 1.0 and 1.1 must be asked for ("-no_tlsv1"), as with today's OpenSSL.
func versions(c *tls.Config, options string) error {
	on := map[uint16]bool{tls.VersionTLS12: true, tls.VersionTLS13: true}
	for _, item := range strings.FieldsFunc(options, func(r rune) bool { return r == ' ' || r == '\t' || r == '\n' || r == ':' }) {
		if len(item) < 2 || item[0] != '+' && item[0] != '-' {
			return failf("malformed openssl_options setting: +/- expected but found \"%s\"", item)
		}
		add := item[0] == '+'
		switch strings.ToLower(item[1:]) {
		case "no_tlsv1":
			on[tls.VersionTLS10] = !add
		case "no_tlsv1_1":
			on[tls.VersionTLS11] = !add
		case "no_tlsv1_2":
			on[tls.VersionTLS12] = !add
		case "no_tlsv1_3":
			on[tls.VersionTLS13] = !add
		default:
			if !knownSSLOption(strings.ToLower(item[1:])) {
				return failf("openssl_options parse error: openssl_option unrecognised: [%s]", item)
			}
		}
	}
	if !on[tls.VersionTLS10] && !on[tls.VersionTLS11] && !on[tls.VersionTLS12] && !on[tls.VersionTLS13] {
		return failf("openssl_options leaves no version of TLS")
	}
	setVersions(c, on)
	return nil
}

// CheckOptions examines a value of openssl_options when the configuration is read.
func CheckOptions(options string) error { return versions(&tls.Config{}, options) }

// setVersions sets the lowest and the highest version that are on.
func setVersions(c *tls.Config, on map[uint16]bool) {
	c.MinVersion, c.MaxVersion = 0, 0
	for v := uint16(tls.VersionTLS10); v <= tls.VersionTLS13; v++ {
		if on[v] {
			if c.MinVersion == 0 {
				c.MinVersion = v
			}
			c.MaxVersion = v
		}
	}
	if c.MinVersion == 0 {
		c.MinVersion, c.MaxVersion = tls.VersionTLS12, tls.VersionTLS13
	}
}

// OptionNames are the names that openssl_options knows (those of OpenSSL without SSL_OP_, in lower case). The predefined macros
// _OPT_OPENSSL_..._X are made of them.
func OptionNames() []string {
	return strings.Fields("all allow_no_dhe_kex allow_unsafe_legacy_renegotiation cipher_server_preference cookie_exchange cryptopro_tlsext_bug " +
		"dont_insert_empty_fragments enable_middlebox_compat ephemeral_rsa legacy_server_connect microsoft_big_sslv3_buffer microsoft_sess_id_bug " +
		"msie_sslv2_rsa_padding netscape_challenge_bug netscape_reuse_cipher_change_bug no_anti_replay no_compression no_encrypt_then_mac " +
		"no_extended_master_secret no_query_mtu no_renegotiation no_session_resumption_on_renegotiation no_sslv2 no_sslv3 no_ticket no_tlsv1 " +
		"no_tlsv1_1 no_tlsv1_2 no_tlsv1_3 prioritize_chacha safari_ecdhe_ecdsa_bug single_dh_use single_ecdh_use ssleay_080_client_dh_bug " +
		"sslref2_reuse_cert_type_bug tls_block_padding_bug tls_d5_bug tls_rollback_bug tlsext_padding")
}

// knownSSLOption tells whether OpenSSL has the option.
func knownSSLOption(name string) bool { return slices.Contains(OptionNames(), name) }

// curves obeys tls_eccurve.
func (p *Policy) curves(s *expand.Scope, c *tls.Config, text string) error {
	text, err := p.expand(s, "tls_eccurve", text)
	if err != nil {
		return err
	}
	if strings.EqualFold(text, "auto") {
		return nil
	}
	for _, name := range option.SplitList(text) {
		switch strings.ToLower(name) {
		case "auto":
			return nil
		case "prime256v1", "secp256r1", "p-256":
			c.CurvePreferences = append(c.CurvePreferences, tls.CurveP256)
		case "secp384r1", "p-384":
			c.CurvePreferences = append(c.CurvePreferences, tls.CurveP384)
		case "secp521r1", "p-521":
			c.CurvePreferences = append(c.CurvePreferences, tls.CurveP521)
		case "x25519":
			c.CurvePreferences = append(c.CurvePreferences, tls.X25519)
		case "x25519mlkem768":
			c.CurvePreferences = append(c.CurvePreferences, tls.X25519MLKEM768)
		default:
			return failf("Unknown curve name in tls_eccurve '%s'", name)
		}
	}
	return nil
}
