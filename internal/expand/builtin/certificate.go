package builtin

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"time"

	"exigo/internal/expand"
	"exigo/internal/expand/syntax"
)

// certificateOf gives the certificate that a variable stands for, nil if it is none or has none.
func certificateOf(s *expand.Scope, name string) *x509.Certificate {
	t := s.Outgoing
	if strings.HasPrefix(name, "tls_in_") || t == nil && (name == "tls_ourcert" || name == "tls_peercert") {
		if t = nil; s.Session != nil {
			t = s.Session.TLS
		}
	}
	if t == nil {
		return nil
	}
	switch name {
	case "tls_in_peercert", "tls_out_peercert", "tls_peercert":
		return t.Peer
	case "tls_in_ourcert", "tls_out_ourcert", "tls_ourcert":
		return t.Ours
	}
	return nil
}

func isCertificateVariable(name string) bool {
	return strings.HasPrefix(name, "tls_") && (strings.HasSuffix(name, "_peercert") || strings.HasSuffix(name, "_ourcert"))
}

func evalCertExtract(s *expand.Scope, it *syntax.Item) (expand.Value, error) {
	field, err := s.Text(it.Args[0])
	if err != nil {
		return expand.Value{}, err
	}
	parts := it.Args[1].Parts
	var v *syntax.Variable
	if len(parts) == 1 {
		v, _ = parts[0].(*syntax.Variable)
	}
	switch {
	case v == nil:
		return expand.Value{}, expand.Fail("second argument of \"certextract\" must be a certificate variable")
	case strings.HasPrefix(v.Name, "acl_"):
		return expand.Value{}, expand.Fail("no variable named \"%s\"", v.Name)
	case !isCertificateVariable(v.Name):
		return expand.Value{}, expand.Fail("\"%s\" is not a certificate", v.Name)
	}
	c := certificateOf(s, v.Name)
	if c == nil {
		return s.Branches(it, false, expand.Value{})
	}
	text, ok, err := certificateField(s, c, trim(field.S))
	if err != nil {
		return expand.Value{}, err
	}
	return s.Branches(it, ok, expand.Value{S: text, Tainted: true})
}

// certificateField gives a field with its modifiers: name[,modifier...]. The forms are those of an Exim with OpenSSL.
func certificateField(s *expand.Scope, c *x509.Certificate, field string) (string, bool, error) {
	name, rest, _ := strings.Cut(field, ",")
	separator, modifier, given := "\n", "", false
	for _, m := range strings.Split(rest, ",") {
		if m = trim(m); strings.HasPrefix(m, ">") && len(m) > 1 {
			separator, given = m[1:2], true
		} else if m != "" {
			modifier = m
		}
	}
	if strings.HasSuffix(rest, ",>,") {
		separator = ","
	}
	switch trim(name) {
	case "version":
		return strconv.Itoa(c.Version - 1), true, nil // as it stands in the certificate
	case "serial_number":
		return hex.EncodeToString(c.SerialNumber.Bytes()), true, nil
	case "subject":
		return distinguishedName(c.Subject, modifier, separator, given)
	case "issuer":
		return distinguishedName(c.Issuer, modifier, separator, given)
	case "notbefore":
		return certificateTime(s, c.NotBefore, modifier), true, nil
	case "notafter":
		return certificateTime(s, c.NotAfter, modifier), true, nil
	case "sig_algorithm", "signature_algorithm":
		return signatureAlgorithm(c.SignatureAlgorithm), true, nil
	case "signature":
		return colonHex(c.Signature), true, nil
	case "subj_altname":
		return listField(alternativeNames(c, modifier), separator)
	case "ocsp_uri":
		return listField(c.OCSPServer, separator)
	case "crl_uri":
		return listField(c.CRLDistributionPoints, separator)
	}
	return "", false, expand.Fail("bad field selector \"%s\" for certextract", field)
}

// certificateTime is a time in the zone of the option timezone, as seconds ("int"), or as it stands in the certificate ("raw").
func certificateTime(s *expand.Scope, t time.Time, modifier string) string {
	switch {
	case modifier == "int":
		return strconv.FormatInt(t.Unix(), 10)
	case modifier == "raw":
		return t.UTC().Format("Jan _2 15:04:05 2006 GMT")
	}
	return t.In(now(s).Location()).Format("Jan _2 15:04:05 2006 -0700")
}

// signatureAlgorithm is OpenSSL's name.
func signatureAlgorithm(a x509.SignatureAlgorithm) string {
	switch a {
	case x509.MD5WithRSA, x509.SHA1WithRSA, x509.SHA256WithRSA, x509.SHA384WithRSA, x509.SHA512WithRSA:
		hash, _, _ := strings.Cut(a.String(), "-")
		return strings.ToLower(hash) + "WithRSAEncryption"
	case x509.ECDSAWithSHA1, x509.ECDSAWithSHA256, x509.ECDSAWithSHA384, x509.ECDSAWithSHA512:
		_, hash, _ := strings.Cut(a.String(), "-")
		return "ecdsa-with-" + hash
	case x509.SHA256WithRSAPSS, x509.SHA384WithRSAPSS, x509.SHA512WithRSAPSS:
		return "rsassaPss"
	case x509.PureEd25519:
		return "ED25519"
	}
	return a.String()
}

// colonHex writes bytes as OpenSSL shows them: "0a:ff".
func colonHex(data []byte) string {
	var b strings.Builder
	for i, c := range data {
		if i > 0 {
			b.WriteByte(':')
		}
		b.WriteString(hex.EncodeToString([]byte{c}))
	}
	return b.String()
}

// distinguishedName gives the whole name, as a list with another separator if one is given, or the elements of one type.
func distinguishedName(n pkix.Name, modifier, separator string, given bool) (string, bool, error) {
	if modifier == "" {
		whole := n.String()
		if given && whole != "" {
			return listField(splitName(whole), separator)
		}
		return whole, whole != "", nil
	}
	kinds := map[string]string{"CN": "2.5.4.3", "O": "2.5.4.10", "OU": "2.5.4.11", "DC": "0.9.2342.19200300.100.1.25", "C": "2.5.4.6", "L": "2.5.4.7", "ST": "2.5.4.8"}
	var list []string
	for _, e := range n.Names {
		if text, ok := e.Value.(string); ok && e.Type.String() == kinds[strings.ToUpper(modifier)] {
			list = append(list, text)
		}
	}
	return listField(list, separator)
}

// splitName takes a name of RFC 4514 apart at its commas.
func splitName(name string) (parts []string) {
	for start, i := 0, 0; i <= len(name); i++ {
		switch {
		case i == len(name) || name[i] == ',':
			parts = append(parts, name[start:i])
			start = i + 1
		case name[i] == '\\' && i+1 < len(name):
			i++ // the next one is no separator
		}
	}
	return parts
}

func alternativeNames(c *x509.Certificate, modifier string) (list []string) {
	add := func(tag, word string, names []string) {
		for _, n := range names {
			switch {
			case modifier == "":
				list = append(list, tag+"="+n)
			case modifier == word:
				list = append(list, n)
			}
		}
	}
	add("DNS", "dns", c.DNSNames)
	var uris []string
	for _, u := range c.URIs {
		uris = append(uris, u.String())
	}
	add("URI", "uri", uris)
	add("MAIL", "mail", c.EmailAddresses)
	slices.Reverse(list) // Exim takes them from the end
	return list
}

func listField(items []string, separator string) (string, bool, error) {
	var out []byte
	for i, item := range items {
		out = expand.AppendElement(out, i == 0, separator[0], item)
	}
	return string(out), len(items) > 0, nil
}
