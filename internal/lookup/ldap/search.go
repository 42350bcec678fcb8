package ldap

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	ber "github.com/go-asn1-ber/asn1-ber"
	ldapv3 "github.com/go-ldap/ldap/v3"

	"exigo/internal/lookup"
	"exigo/internal/outside"
)

// found collects what is found (spec 9.19).
type found struct {
	kind kind
	// single says that one attribute was asked for: its values stand alone.
	single  bool
	entries int
	name    string // of the last entry
	data    []byte
	// followed is how many referrals were.
	followed int
}

// add adds an entry.
func (f *found) add(e *ldapv3.Entry) {
	f.entries++
	f.name = e.DN
	if f.kind == nameOnly {
		f.data = append(f.data[:0], e.DN...)
		return
	}
	if len(f.data) > 0 {
		f.data = append(f.data, '\n')
	}
	first := true
	for _, a := range e.Attributes {
		if len(a.Values) == 0 || slices.ContainsFunc(a.Values, func(v string) bool { return strings.IndexByte(v, 0) >= 0 }) {
			continue // binary data, which OpenLDAP gives as no string either
		}
		if !f.single {
			if !first {
				f.data = append(f.data, ' ')
			}
			f.data = append(f.data, a.Name+`="`...)
			first = true // of the values between these quotes
		}
		for _, v := range a.Values {
			if !first {
				f.data = append(f.data, ',')
			}
			first = false
			v = strings.ReplaceAll(v, ",", ",,")
			if !f.single {
				v = valueEscapes.Replace(v)
			}
			f.data = append(f.data, v...)
		}
		if !f.single {
			f.data = append(f.data, '"')
		}
	}
}

var valueEscapes = strings.NewReplacer(`"`, `\"`, `\`, `\\`, "\n", `\n`)

// result is what the lookup gives: nothing, if there are no entries, or none that has an attribute.
func (f *found) result() (lookup.Result, bool, error) {
	return lookup.Result{Data: string(f.data)}, len(f.data) > 0, nil
}

// search asks one server. Its errors are those of this server, unless they are serious.
func (c *client) search(ctx context.Context, w *outside.World, main *settings, p place, q query, f *found) error {
	filter := cmp.Or(q.url.filter, "()")          // what was no quoting of URLs is nothing, and that is no filter
	if strings.IndexByte("(&|!", filter[0]) < 0 { // a comparison may stand without parentheses
		filter = "(" + filter + ")"
	}
	request := ldapv3.NewSearchRequest(q.url.base, q.url.scope, q.dereference, q.size, q.time, false, filter, q.url.attributes, nil)
	collected := found{kind: f.kind, single: f.single}
	err := c.run(ctx, w, main, p, q, request, &collected, 0)
	if err != nil && !isSerious(err) {
		return err
	}
	*f = collected
	if err == nil && f.kind != manyEntries && f.entries > 1 {
		err = serious{fmt.Errorf("LDAP search: more than one entry (%d) was returned (filter not specific enough?)", f.entries)}
	}
	return err
}

// maxReferrals is how far referrals are followed, as OpenLDAP does; maxFollowed is how many, those that lead to further ones together.
const (
	maxReferrals = 5
	maxFollowed  = 50
)

// run sends the request to one server, and to those that it refers to.
func (c *client) run(ctx context.Context, w *outside.World, main *settings, p place, q query, request *ldapv3.SearchRequest, f *found, depth int) error {
	if _, err := ldapv3.CompileFilter(request.Filter); err != nil {
		return serious{errors.New("ldap_search failed: -7, Bad search filter")}
	}
	var result *ldapv3.SearchResult
	for {
		conn, reused, err := c.get(ctx, w, main, p, q)
		if err != nil {
			return err
		}
		err = conn.during(ctx, q.limit(lookup.QueryTimeout), func() (err error) { result, err = conn.Search(request); return err })
		code, text, known := codeOf(err)
		if err == nil || known {
			c.idle.Keep(poolKey(main, p, q), conn, w.Clock.Now())
		} else {
			conn.Close()
		}
		switch {
		case err == nil, code == ldapv3.LDAPResultSizeLimitExceeded, code == ldapv3.LDAPResultNoSuchObject, code == ldapv3.LDAPResultInvalidDNSyntax:
		case code == ldapv3.LDAPResultReferral && q.follow && depth < maxReferrals:
			return c.refer(ctx, w, main, q, referralsOf(err), request, f, depth)
		case reused && !known && ctx.Err() == nil && conn.raw.left.Load() >= 0 && !conn.raw.late.Load():
			continue // the connection had died
		case conn.raw.left.Load() < 0:
			return errors.New("LDAP search failed: " + errTooLarge.Error())
		default:
			if !known && ctx.Err() != nil {
				text = lookup.Reason(ctx.Err())
			}
			return fmt.Errorf("LDAP search failed - error %d: %s", code, text)
		}
		break
	}
	if result == nil {
		return nil
	}
	for _, e := range result.Entries {
		if f.add(e); len(f.data) > maxResult { // of several servers
			return serious{errors.New("LDAP search failed: " + errTooLarge.Error())}
		}
	}
	if q.follow && depth < maxReferrals {
		for _, r := range result.Referrals { // what cannot be reached is left out
			if err := c.refer(ctx, w, main, q, []string{r}, request, f, depth); isSerious(err) || ctx.Err() != nil {
				return err
			}
		}
	}
	return nil
}

// refer asks the first server of a referral that answers (RFC 4511, section 4.1.10), as nobody.
func (c *client) refer(ctx context.Context, w *outside.World, main *settings, q query, urls []string, request *ldapv3.SearchRequest, f *found, depth int) error {
	err := errors.New("LDAP search failed - error 10: Referral")
	for _, text := range urls {
		u, bad := parseURL(text)
		if bad != nil || u.host == "" || u.scheme != "ldap" && u.scheme != "ldaps" || strings.HasPrefix(u.host, "/") {
			continue
		}
		if f.followed++; f.followed > maxFollowed {
			return serious{errors.New("LDAP search failed: too many referrals")}
		}
		next := *request
		if u.base != "" {
			next.BaseDN = u.base
		}
		if u.scopeGiven {
			next.Scope = u.scope
		}
		anonymous := q
		anonymous.user, anonymous.password = "", ""
		if err = c.run(ctx, w, main, placeOf(u.scheme, u.host, u.port), anonymous, &next, f, depth+1); err == nil || isSerious(err) {
			return err
		}
	}
	return err
}

// referralsOf are the URLs of a referral in place of a result.
func referralsOf(err error) (urls []string) {
	var e *ldapv3.Error
	if !errors.As(err, &e) || e.Packet == nil || len(e.Packet.Children) < 2 {
		return nil
	}
	for _, part := range e.Packet.Children[1].Children {
		if part.ClassType == ber.ClassContext && part.Tag == 3 {
			for _, u := range part.Children {
				if text, ok := u.Value.(string); ok {
					urls = append(urls, text)
				}
			}
		}
	}
	return urls
}
