package route

import (
	"strings"

	"exigo/internal/config"
	"exigo/internal/expand"
	"exigo/internal/list"
	"exigo/internal/mail"
	"exigo/internal/option"
)

// Split fills CasefulLocalPart, LocalPart and Domain from Address: the local part without its quoting, LocalPart in
// lower case as routers see it by default, the domain in lower case.
func Split(a *mail.Address) {
	at := strings.LastIndexByte(a.Address, '@')
	local := a.Address
	a.Domain = ""
	if at >= 0 {
		local, a.Domain = a.Address[:at], lower(a.Address[at+1:])
	}
	a.CasefulLocalPart = unquote(local)
	a.LocalPart = lower(a.CasefulLocalPart)
}

// unquote takes the quotes and backslashes of RFC 5321 quoting out of a local part.
func unquote(local string) string {
	if strings.IndexByte(local, '"') < 0 && strings.IndexByte(local, '\\') < 0 {
		return local
	}
	out := make([]byte, 0, len(local))
	for i := 0; i < len(local); i++ {
		switch local[i] {
		case '"':
			continue
		case '\\':
			if i+1 < len(local) {
				i++
			}
		}
		out = append(out, local[i])
	}
	return string(out)
}

// PercentHack gives the address that "user%domain2@domain" stands for when domain is in percent_hack_domains, or "". The scope is for
// the list. An error means that the list could not be tested now.
func PercentHack(s *expand.Scope, a *mail.Address) (string, error) {
	domains := string(option.Of[config.Main](s.Config.MainOptions()).PercentHackDomains)
	if domains == "" {
		return "", nil
	}
	local, domain, hacked := a.CasefulLocalPart, a.Domain, ""
	for strings.IndexByte(local, '%') >= 0 {
		m, err := list.Domain(s, domains, domain)
		if err != nil || !m.Matched {
			return hacked, err
		}
		i := strings.LastIndexByte(local, '%')
		local, domain = local[:i], local[i+1:]
		hacked = local + "@" + domain
		domain = lower(domain)
	}
	return hacked, nil
}

// UniqueOf is the form of an ordinary address that decides about duplicates: the local part as it is, the domain in
// lower case.
func UniqueOf(address string) string {
	at := strings.LastIndexByte(address, '@')
	if at < 0 {
		return address
	}
	domain := lower(address[at:])
	if domain == address[at:] {
		return address
	}
	return address[:at] + domain
}

// Homonym tells whether an address has an ancestor of the same name, so that its name alone does not say which of
// them was delivered. Its Unique has a prefix of three characters that counts them.
func Homonym(a *mail.Address) bool {
	return a.Kind == mail.KindNormal && len(a.Unique) == len(a.Address)+3 && a.Unique[0] == '\\' && a.Unique[2] == '\\'
}

// newChild makes an address whose parent is the given one, with what children inherit.
func newChild(parent *mail.Address, address string) *mail.Address {
	c := &mail.Address{
		Address: address, Unique: UniqueOf(address), Parent: parent, Original: parent.Original,
		OneTime: parent.OneTime, OneTimeParent: parent.OneTimeParent,
		AddressData: parent.AddressData, Vars: parent.Vars, ErrorsTo: parent.ErrorsTo, ErrorsToSet: parent.ErrorsToSet,
		ReturnPath: parent.ReturnPath, ReturnPathSet: parent.ReturnPathSet,
		ExtraHeaders: parent.ExtraHeaders, RemoveHeaders: parent.RemoveHeaders, IgnoreError: parent.IgnoreError,
		HideChild: parent.HideChild, SelfHostname: parent.SelfHostname,
		Notify: parent.Notify, ORCPT: parent.ORCPT, DSNAware: parent.DSNAware, Mode: parent.Mode,
	}
	for p := parent; p != nil; p = p.Parent {
		if p.Kind == mail.KindNormal && strings.EqualFold(p.Address, address) {
			depth := byte('0')
			if Homonym(p) {
				depth = p.Unique[1] + 1
			}
			c.Unique = `\` + string(rune(depth)) + `\` + c.Unique
			break
		}
	}
	return c
}

// newDelivery makes a pipe, file or reply child.
func newDelivery(parent *mail.Address, text string, kind mail.Kind) *mail.Address {
	c := newChild(parent, text)
	c.Kind = kind
	unique := parent.Unique
	if Homonym(parent) {
		unique = unique[3:]
	}
	c.Unique = text + ":" + unique
	c.LocalPart, c.CasefulLocalPart, c.Domain = parent.LocalPart, parent.CasefulLocalPart, parent.Domain
	c.Prefix, c.PrefixV, c.Suffix, c.SuffixV = parent.Prefix, parent.PrefixV, parent.Suffix, parent.SuffixV
	c.LocalPartData, c.DomainData = parent.LocalPartData, parent.DomainData
	return c
}

// lower maps ASCII letters to lower case and leaves all other bytes alone, so that offsets stay.
func lower(text string) string {
	for i := 0; i < len(text); i++ {
		if c := text[i]; c >= 'A' && c <= 'Z' {
			b := []byte(text)
			for ; i < len(b); i++ {
				if b[i] >= 'A' && b[i] <= 'Z' {
					b[i] += 'a' - 'A'
				}
			}
			return string(b)
		}
	}
	return text
}
