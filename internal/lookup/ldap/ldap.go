// Package ldap is the lookup types ldap, ldapdn and ldapm, and the condition ldapauth (spec 9.14 to 9.19, chapter 11).
//
// Trust: servers and their lists belong to the administrator; what stands in queries may be anybody's, quoted by ${quote_ldap:...} and
// ${quote_ldap_dn:...}. What a directory holds may be anybody's too.
package ldap

import (
	"context"
	"errors"
	"strings"

	"exigo/internal/config"
	"exigo/internal/expand"
	"exigo/internal/feature"
	"exigo/internal/lookup"
	"exigo/internal/option"
)

// settings are the options of the main section.
type settings struct {
	servers                          string
	caDir, caFile, certFile, certKey string
	ciphers, requireCert             string
	startTLS                         bool
	version                          int
}

func options() option.Set {
	return option.Table[settings]{Scope: "main", Rows: []option.Row[settings]{
		{Name: "ldap_ca_cert_dir", Field: func(s *settings) any { return &s.caDir }, Doc: "A directory of certificates that those of LDAP servers are verified with."},
		{Name: "ldap_ca_cert_file", Field: func(s *settings) any { return &s.caFile }, Doc: "A file of certificates that those of LDAP servers are verified with."},
		{Name: "ldap_cert_file", Field: func(s *settings) any { return &s.certFile }, Doc: "The certificate to show to LDAP servers."},
		{Name: "ldap_cert_key", Field: func(s *settings) any { return &s.certKey }, Doc: "The private key of ldap_cert_file."},
		{Name: "ldap_cipher_suite", Field: func(s *settings) any { return &s.ciphers }, Doc: "The cipher suites for TLS with LDAP servers, in OpenSSL's notation."},
		{Name: "ldap_default_servers", Field: func(s *settings) any { return &s.servers },
			Doc: "The servers of LDAP lookups that name none, tried in turn: host::port, or the path of a socket."},
		{Name: "ldap_require_cert", Field: func(s *settings) any { return &s.requireCert },
			Doc: "Whether the certificate of an LDAP server is verified: hard, demand and try, or not: allow and never. Unset is demand."},
		{Name: "ldap_start_tls", Field: func(s *settings) any { return &s.startTLS }, Doc: "Uses TLS on the ordinary port of LDAP servers."},
		{Name: "ldap_version", Default: "-1", Field: func(s *settings) any { return &s.version }, Doc: "The version of LDAP; only 3 (and -1, the default) is there."},
	}}
}

// Feature returns the room.
func Feature() *feature.Feature {
	c := &client{}
	f := &feature.Feature{Name: "ldap", Doc: "Lookups in LDAP directories, and passwords checked by them.", Options: []option.Set{options()}}
	for _, t := range []struct {
		name, doc string
		kind      kind
	}{
		{"ldap", "Finds attributes of one entry of an LDAP directory.", oneEntry}, {"ldapdn", "Finds the name of one entry of an LDAP directory.", nameOnly},
		{"ldapm", "Finds attributes of entries of an LDAP directory.", manyEntries},
	} {
		f.Lookups = append(f.Lookups, &lookup.Driver{
			Name: t.name, Kind: lookup.Query, Doc: t.doc, Quote: quote, Conceal: conceal,
			Find: func(ctx context.Context, r *lookup.Request) (lookup.Result, bool, error) {
				return c.find(ctx, r, t.kind)
			},
		})
	}
	f.Tests = []expand.Condition{{
		Name: "ldapauth", Doc: "True if an LDAP server takes the user and the password of the query, and the password is not empty.", Min: 1, Max: 1,
		Test: func(s *expand.Scope, arguments []expand.Value) (bool, error) {
			yes, err := c.authenticate(s.Ctx, s.Engine.World, option.Of[settings](config.Of(s).Main), arguments[0].S)
			if err != nil {
				return false, expand.Defer("%s", err)
			}
			return yes, nil
		},
		Examples: []expand.Example{
			{In: `${if ldapauth{user="uid=x" pass="" ldap:///}{y}{n}}`, Out: "n"},
			{In: `${if ldapauth{pass=x ldap:///}{y}{n}}`, Err: "ldapauth lookups must specify the username and password"},
		},
	}}
	return f
}

// find runs a search.
func (c *client) find(ctx context.Context, r *lookup.Request, k kind) (lookup.Result, bool, error) {
	main := lookup.SettingsOf(r, &settings{version: -1})
	q, err := parse(r.Key)
	if err != nil {
		return lookup.Result{}, false, lookup.Defer(err.Error())
	}
	f := found{kind: k, single: len(q.url.attributes) == 1}
	err = c.each(ctx, r.World, main, q, func(p place) error { return c.search(ctx, r.World, main, p, q, &f) })
	if scope, ok := r.Scope.(*expand.Scope); ok && f.entries > 0 {
		scope.SetExtra("ldap_dn", expand.Value{S: f.name})
	}
	if err != nil {
		return lookup.Result{}, false, lookup.Defer(err.Error())
	}
	return f.result()
}

// kind is a lookup type.
type kind int

const (
	oneEntry kind = iota
	nameOnly
	manyEntries
)

// serious marks an error that no other server would be without.
type serious struct{ error }

// quote makes text safe in a filter, or, with the option dn, in a distinguished name; then in a URL.
func quote(text, option string) (string, bool) {
	switch option {
	case "":
		text = filterEscapes.Replace(text)
	case "dn":
		text = quoteName(text)
	default:
		return "", false
	}
	var b strings.Builder
	for i := range len(text) {
		c := text[i]
		if c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z' || strings.IndexByte("!$'-._()*+", c) >= 0 {
			b.WriteByte(c)
		} else {
			b.WriteString("%" + hexDigits[c>>4:c>>4+1] + hexDigits[c&15:c&15+1])
		}
	}
	return b.String(), true
}

const hexDigits = "0123456789ABCDEF"

// filterEscapes are those of RFC 4515, section 3.
var filterEscapes = strings.NewReplacer("*", `\2A`, "(", `\28`, ")", `\29`, `\`, `\5C`)

// quoteName escapes the value of a distinguished name (RFC 4514, section 2.4). Exim escapes all spaces and # at the beginning.
func quoteName(text string) string {
	start, end := len(text)-len(strings.TrimLeft(text, " #")), len(strings.TrimRight(text, " "))
	var b strings.Builder
	for i := range len(text) {
		if i < start || i >= end || strings.IndexByte(`,+"\<>;`, text[i]) >= 0 {
			b.WriteByte('\\')
		}
		b.WriteByte(text[i])
	}
	return b.String()
}

// isSerious tells whether the search ends at this error.
func isSerious(err error) bool {
	var s serious
	return errors.As(err, &s)
}
