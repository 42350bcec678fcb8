package tlspolicy

import (
	"encoding/pem"
	"strings"

	"exigo/internal/expand"
)

// dhParam examines tls_dhparam as Exim does, so that mistakes in it are found. crypto/tls has no Diffie-Hellman but that on
// elliptic curves, so the parameters themselves are not used.
func (p *Policy) dhParam(s *expand.Scope, text string) error {
	text, err := p.expand(s, "tls_dhparam", text)
	if err != nil {
		return err
	}
	switch text {
	case "", "none", "historic", "default",
		"ffdhe2048", "ffdhe3072", "ffdhe4096", "ffdhe6144", "ffdhe8192", "exim.dev.20160529.1", "exim.dev.20160529.2", "exim.dev.20160529.3",
		"ike2", "ike5", "ike14", "ike15", "ike16", "ike17", "ike18":
		return nil
	case "ike1", "ike22": // RFC 8247: MUST NOT
		p.panicked("WARNING: deprecated Diffie-Hellman parameter '" + text + "' used")
		return nil
	case "ike23", "ike24": // RFC 8247: SHOULD NOT
		if p.Log != nil {
			p.Log("", "WARNING: deprecated Diffie-Hellman parameter '"+text+"' used")
		}
		return nil
	}
	if !strings.HasPrefix(text, "/") {
		return failf("(No standard prime named): %s", text)
	}
	_, err = p.files.load(text, func(data []byte) (any, error) {
		for {
			block, rest := pem.Decode(data)
			if block == nil {
				return nil, errNoStart
			}
			if strings.HasSuffix(block.Type, "DH PARAMETERS") {
				return true, nil
			}
			data = rest
		}
	})
	if err != nil {
		return failf("(could not read dhparams file %s): %s", text, statText(err))
	}
	return nil
}
