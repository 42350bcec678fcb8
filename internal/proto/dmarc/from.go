package dmarc

import (
	"slices"
	"strings"

	"exigo/internal/proto/address"
)

// maxFrom bounds the length of a From: field that is read.
const maxFrom = 64 * 1024

// Authors returns the domains in the From: field, in A-labels and lower case, each once. bodies are the bodies of all From: fields; problem says
// why there is no domain to go by: no field or several (RFC 5322 section 3.6 has exactly one), no address, an address without domain.
func Authors(bodies []string) (domains []string, problem string) {
	switch {
	case len(bodies) == 0:
		return nil, "no From: header field"
	case len(bodies) > 1:
		return nil, "several From: header fields"
	case len(bodies[0]) > maxFrom:
		return nil, "the From: header field is too long"
	}
	list := address.NewList(strings.NewReplacer("\r", "", "\n", "").Replace(bodies[0]), address.Options{AllowNull: true, AllowLiterals: true, StripTrailingDot: true, AllowUTF8: true})
	for {
		item, ok := list.Next()
		if !ok {
			break
		}
		if item.Err == nil && item.Mailbox.Address == "" && strings.TrimSpace(item.Text) == "" {
			continue
		}
		if item.Err != nil || item.Mailbox.Domain == 0 {
			return nil, "an address in the From: header field has no domain"
		}
		d := Domain(item.Mailbox.DomainPart())
		switch {
		case d == "":
			return nil, "an address in the From: header field has no valid domain"
		case slices.Contains(domains, d):
		case len(domains) == maxAuthors:
			return nil, "too many domains in the From: header field"
		default:
			domains = append(domains, d)
		}
	}
	if len(domains) == 0 {
		return nil, "no address in the From: header field"
	}
	return domains, ""
}

// Domain returns the name in A-labels (RFC 5890) and lower case, without final dot; "" when it is no domain name: an address literal, or malformed.
func Domain(name string) string {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if !address.IsASCII(name) {
		ascii, err := address.DomainToASCII(name)
		if err != nil {
			return ""
		}
		name = ascii
	}
	if name == "" || len(name) > 253 {
		return ""
	}
	for _, label := range strings.Split(name, ".") {
		if label == "" || len(label) > 63 {
			return ""
		}
	}
	for i := 0; i < len(name); i++ {
		c := name[i]
		if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.') {
			return ""
		}
	}
	return name
}
