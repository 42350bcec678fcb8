package tlspolicy

import (
	"crypto/tls"
	"strconv"
	"strings"

	"exigo/internal/expand"
)

func itoa(n int) string { return strconv.Itoa(n) }

// suite is a cipher suite of TLS 1.0 to 1.2 that crypto/tls has, with OpenSSL's names for it and its properties.
type suite struct {
	id    uint16
	name  string
	bits  int
	words string // properties, with spaces around each
}

// suites in OpenSSL's order of preference.
func suites() []suite {
	return []suite{
		{tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, "ECDHE-ECDSA-AES256-GCM-SHA384", 256, " ECDHE aECDSA AES256 AESGCM AEAD SHA384 TLSv1.2 HIGH DEFAULT "},
		{tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, "ECDHE-RSA-AES256-GCM-SHA384", 256, " ECDHE aRSA AES256 AESGCM AEAD SHA384 TLSv1.2 HIGH DEFAULT "},
		{tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, "ECDHE-ECDSA-CHACHA20-POLY1305", 256, " ECDHE aECDSA CHACHA20 AEAD SHA256 TLSv1.2 HIGH DEFAULT "},
		{tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, "ECDHE-RSA-CHACHA20-POLY1305", 256, " ECDHE aRSA CHACHA20 AEAD SHA256 TLSv1.2 HIGH DEFAULT "},
		{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, "ECDHE-ECDSA-AES128-GCM-SHA256", 128, " ECDHE aECDSA AES128 AESGCM AEAD SHA256 TLSv1.2 HIGH DEFAULT "},
		{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, "ECDHE-RSA-AES128-GCM-SHA256", 128, " ECDHE aRSA AES128 AESGCM AEAD SHA256 TLSv1.2 HIGH DEFAULT "},
		{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256, "ECDHE-ECDSA-AES128-SHA256", 128, " ECDHE aECDSA AES128 mac256 TLSv1.2 HIGH DEFAULT "},
		{tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256, "ECDHE-RSA-AES128-SHA256", 128, " ECDHE aRSA AES128 mac256 TLSv1.2 HIGH DEFAULT "},
		{tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA, "ECDHE-ECDSA-AES256-SHA", 256, " ECDHE aECDSA AES256 SHA1 TLSv1.0 HIGH DEFAULT "},
		{tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA, "ECDHE-RSA-AES256-SHA", 256, " ECDHE aRSA AES256 SHA1 TLSv1.0 HIGH DEFAULT "},
		{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, "ECDHE-ECDSA-AES128-SHA", 128, " ECDHE aECDSA AES128 SHA1 TLSv1.0 HIGH DEFAULT "},
		{tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, "ECDHE-RSA-AES128-SHA", 128, " ECDHE aRSA AES128 SHA1 TLSv1.0 HIGH DEFAULT "},
		{tls.TLS_RSA_WITH_AES_256_GCM_SHA384, "AES256-GCM-SHA384", 256, " kRSA aRSA AES256 AESGCM AEAD SHA384 TLSv1.2 HIGH DEFAULT "},
		{tls.TLS_RSA_WITH_AES_128_GCM_SHA256, "AES128-GCM-SHA256", 128, " kRSA aRSA AES128 AESGCM AEAD SHA256 TLSv1.2 HIGH DEFAULT "},
		{tls.TLS_RSA_WITH_AES_128_CBC_SHA256, "AES128-SHA256", 128, " kRSA aRSA AES128 mac256 TLSv1.2 HIGH DEFAULT "},
		{tls.TLS_RSA_WITH_AES_256_CBC_SHA, "AES256-SHA", 256, " kRSA aRSA AES256 SHA1 SSLv3 HIGH DEFAULT "},
		{tls.TLS_RSA_WITH_AES_128_CBC_SHA, "AES128-SHA", 128, " kRSA aRSA AES128 SHA1 SSLv3 HIGH DEFAULT "},
		{tls.TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA, "ECDHE-RSA-DES-CBC3-SHA", 112, " ECDHE aRSA 3DES SHA1 TLSv1.0 MEDIUM COMPLEMENTOFDEFAULT "},
		{tls.TLS_RSA_WITH_3DES_EDE_CBC_SHA, "DES-CBC3-SHA", 112, " kRSA aRSA 3DES SHA1 SSLv3 MEDIUM COMPLEMENTOFDEFAULT "},
		{tls.TLS_ECDHE_ECDSA_WITH_RC4_128_SHA, "ECDHE-ECDSA-RC4-SHA", 128, " ECDHE aECDSA RC4 SHA1 TLSv1.0 MEDIUM COMPLEMENTOFDEFAULT "},
		{tls.TLS_ECDHE_RSA_WITH_RC4_128_SHA, "ECDHE-RSA-RC4-SHA", 128, " ECDHE aRSA RC4 SHA1 TLSv1.0 MEDIUM COMPLEMENTOFDEFAULT "},
		{tls.TLS_RSA_WITH_RC4_128_SHA, "RC4-SHA", 128, " kRSA aRSA RC4 SHA1 SSLv3 MEDIUM COMPLEMENTOFDEFAULT "},
	}
}

// cipherName is OpenSSL's name of a suite, and its strength in bits.
func cipherName(id uint16) (string, int) {
	switch id {
	case tls.TLS_AES_256_GCM_SHA384, tls.TLS_CHACHA20_POLY1305_SHA256:
		return tls.CipherSuiteName(id), 256
	case tls.TLS_AES_128_GCM_SHA256:
		return tls.CipherSuiteName(id), 128
	}
	for _, s := range suites() {
		if s.id == id {
			return s.name, s.bits
		}
	}
	return tls.CipherSuiteName(id), 0
}

// keyword tests a word of a cipher string against a suite.
func (s *suite) keyword(word string) bool {
	has := func(w string) bool { return strings.Contains(s.words, " "+w+" ") }
	switch word {
	case s.name, "ALL":
		return true
	case "COMPLEMENTOFALL", "eNULL", "NULL", "aNULL", "ADH", "AECDH", "EXP", "EXPORT", "EXPORT40", "EXPORT56", "LOW", "DH", "DHE", "EDH", "kDHE", "kEDH",
		"kDH", "aDSS", "DSS", "PSK", "kPSK", "aPSK", "SRP", "kSRP", "aSRP", "MD5", "DES", "RC2", "IDEA", "SEED", "CAMELLIA", "CAMELLIA128",
		"CAMELLIA256", "ARIA", "AESCCM", "AESCCM8", "GOST", "kGOST", "aGOST", "GOST94", "GOST89MAC", "ECDHEPSK", "DHEPSK", "RSAPSK", "kDHd", "kDHr", "SSLv2":
		return false
	case "ECDHE", "EECDH", "kECDHE", "kEECDH", "ECDH", "kECDH":
		return has("ECDHE")
	case "RSA":
		return has("kRSA") || has("aRSA")
	case "ECDSA":
		return has("aECDSA")
	case "AES":
		return has("AES128") || has("AES256")
	case "SHA":
		return has("SHA1")
	case "SHA256":
		return has("mac256")
	case "SHA384":
		return false
	case "TLSv1":
		return has("TLSv1.0")
	case "FIPS":
		return has("HIGH") && !has("CHACHA20")
	}
	return has(word)
}

// CipherSuites are the suites that a cipher string of OpenSSL chooses of those up to TLS 1.2, in its order.
func CipherSuites(text string) []uint16 { return cipherList(text) }

// known says whether a word of a cipher string means anything: OpenSSL skips words it does not know.
func cipherList(text string) []uint16 {
	all := suites()
	killed := make([]bool, len(all))
	var list []int
	in := func(i int) int {
		for k, x := range list {
			if x == i {
				return k
			}
		}
		return -1
	}
	for _, item := range strings.FieldsFunc(text, func(r rune) bool { return r == ':' || r == ',' || r == ' ' || r == ';' || r == '\n' }) {
		if strings.HasPrefix(item, "@") {
			continue // @STRENGTH, @SECLEVEL: order and strength are crypto/tls's own
		}
		op := byte(0)
		if c := item[0]; c == '!' || c == '-' || c == '+' {
			op, item = c, item[1:]
		}
		item = strings.ReplaceAll(item, "_", "-")
		parts := strings.Split(item, "+")
		for i := range all {
			if !allParts(&all[i], parts) {
				continue
			}
			at := in(i)
			switch op {
			case '!':
				killed[i] = true
				fallthrough
			case '-':
				if at >= 0 {
					list = append(list[:at], list[at+1:]...)
				}
			case '+':
				if at >= 0 {
					list = append(append(list[:at], list[at+1:]...), i)
				}
			default:
				if at < 0 && !killed[i] {
					list = append(list, i)
				}
			}
		}
	}
	ids := make([]uint16, len(list))
	for k, i := range list {
		ids[k] = all[i].id
	}
	return ids
}

func allParts(s *suite, parts []string) bool {
	for _, p := range parts {
		if !s.keyword(p) {
			return false
		}
	}
	return true
}

// ciphers obeys tls_require_ciphers: OpenSSL's cipher string, or a priority string of GnuTLS.
func (p *Policy) ciphers(s *expand.Scope, c *tls.Config, text string) error {
	text, err := p.expand(s, "tls_require_ciphers", text)
	if err != nil {
		return err
	}
	if text = strings.TrimSpace(text); text == "" {
		text = "DEFAULT"
	}
	if isPriority(text) {
		c.CipherSuites = priority(text, c)
	} else {
		c.CipherSuites = cipherList(text)
	}
	if len(c.CipherSuites) == 0 && !isTLS13(text) {
		return failf("(SSL_CTX_set_cipher_list): error:0A0000B9:SSL routines::no cipher match")
	}
	return nil
}

// isTLS13 tells whether a string names suites of TLS 1.3, which are always on.
func isTLS13(text string) bool {
	return strings.Contains(text, "TLS_AES_") || strings.Contains(text, "TLS_CHACHA20_")
}

// isPriority tells a priority string of GnuTLS from a cipher string of OpenSSL.
func isPriority(text string) bool {
	first, _, _ := strings.Cut(text, ":")
	switch strings.TrimLeft(first, "+-!") {
	case "NORMAL", "PERFORMANCE", "SECURE", "SECURE128", "SECURE192", "SECURE256", "PFS", "SUITEB128", "SUITEB192", "LEGACY", "NONE":
		return true
	}
	return strings.Contains(text, "VERS-") || strings.Contains(text, "%")
}

// priority reads a priority string of GnuTLS as far as crypto/tls can follow: versions, ciphers, key exchange and MACs may be
// added and removed.
func priority(text string, c *tls.Config) []uint16 {
	items := strings.Split(text, ":")
	off := map[string]bool{}
	strength := 0
	versions := map[uint16]bool{tls.VersionTLS12: true, tls.VersionTLS13: true}
	for _, item := range items {
		item = strings.TrimSpace(item)
		remove := strings.HasPrefix(item, "-") || strings.HasPrefix(item, "!")
		word := strings.ToUpper(strings.TrimLeft(item, "+-!"))
		switch {
		case word == "NONE":
			versions = map[uint16]bool{}
		case word == "SECURE192" || word == "SECURE256" || word == "SUITEB192":
			strength = 256
		case strings.HasPrefix(word, "VERS-"):
			for _, v := range priorityVersions(word[len("VERS-"):]) {
				versions[v] = !remove
			}
		default:
			off[word] = remove
		}
	}
	setVersions(c, versions)
	var ids []uint16
	for _, s := range suites() {
		if strings.Contains(s.words, " DEFAULT ") && s.bits >= strength && !removedByPriority(&s, off) {
			ids = append(ids, s.id)
		}
	}
	return ids
}

func priorityVersions(word string) []uint16 {
	switch word {
	case "TLS1.0":
		return []uint16{tls.VersionTLS10}
	case "TLS1.1":
		return []uint16{tls.VersionTLS11}
	case "TLS1.2":
		return []uint16{tls.VersionTLS12}
	case "TLS1.3":
		return []uint16{tls.VersionTLS13}
	case "ALL", "TLS-ALL":
		return []uint16{tls.VersionTLS10, tls.VersionTLS11, tls.VersionTLS12, tls.VersionTLS13}
	}
	return nil
}

// removedByPriority tells whether a suite uses something that a priority string removes.
func removedByPriority(s *suite, off map[string]bool) bool {
	uses := map[string]bool{
		"AES-256-GCM": strings.Contains(s.name, "AES256-GCM"), "AES-128-GCM": strings.Contains(s.name, "AES128-GCM"),
		"AES-256-CBC": s.keyword("AES256") && !s.keyword("AESGCM"), "AES-128-CBC": s.keyword("AES128") && !s.keyword("AESGCM"),
		"CHACHA20-POLY1305": s.keyword("CHACHA20"), "3DES-CBC": s.keyword("3DES"), "SHA1": s.keyword("SHA1"), "SHA256": s.keyword("SHA256"),
		"AEAD": s.keyword("AEAD"), "RSA": s.keyword("kRSA"), "ECDHE-RSA": s.keyword("ECDHE") && s.keyword("aRSA"), "ECDHE-ECDSA": s.keyword("aECDSA"),
	}
	for word, used := range uses {
		if used && off[word] {
			return true
		}
	}
	return false
}
