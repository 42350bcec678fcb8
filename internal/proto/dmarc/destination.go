package dmarc

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// Destinations returns those of the destinations that may be sent reports about a domain's mail: mailboxes of the same organization, and
// others whose domain says so by a record at DOMAIN._report._dmarc.THEIRS (RFC 9990 section 4, RFC 7489 section 7.1). That record may
// name another mailbox of that domain. domain is where the policy record was found; failure tells ruf= from rua=. Only mailto: is supported.
// suffixes nil stands for the tree walk. The error tells of destinations that could not be checked for now.
func Destinations(ctx context.Context, r Resolver, suffixes *Suffixes, domain string, list []URI, failure bool) (allowed []URI, err error) {
	e := evaluation{ctx: ctx, r: r, q: Query{Suffixes: suffixes}, walks: make(map[string]walk)}
	own, err := e.organization(domain)
	if err != nil {
		return nil, err
	}
	var problems []error
	for _, u := range list {
		mailbox := u.Mailbox()
		if mailbox == "" {
			continue
		}
		host := Domain(mailbox[strings.LastIndexByte(mailbox, '@')+1:])
		if host == domain {
			allowed = append(allowed, u)
			continue
		}
		theirs, err := e.organization(host)
		if err == nil && theirs == own {
			allowed = append(allowed, u)
			continue
		}
		more, err := e.consent(domain, host, u, failure)
		if err != nil {
			problems = append(problems, err)
		}
		allowed = append(allowed, more...)
	}
	return allowed, errors.Join(problems...)
}

// consent asks the destination's domain.
func (e *evaluation) consent(domain, host string, u URI, failure bool) ([]URI, error) {
	name := domain + "._report._dmarc." + host
	if len(name) > 253 {
		return nil, nil
	}
	texts, err := e.r.TXT(e.ctx, name)
	if errors.Is(err, ErrNoRecord) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("DNS error for %s: %w", name, err)
	}
	for _, text := range texts {
		if !IsRecord(text) {
			continue
		}
		r, err := Parse(text)
		if err != nil && !errors.Is(err, ErrPolicy) {
			continue
		}
		other := r.Aggregate
		if failure {
			other = r.Failure
		}
		return override(u, host, other), nil
	}
	return nil, nil
}

// override replaces the destination by those of the record at the destination's domain, which must stay in that domain.
func override(u URI, host string, other []URI) (list []URI) {
	for _, o := range other {
		mailbox := o.Mailbox()
		if mailbox != "" && Domain(mailbox[strings.LastIndexByte(mailbox, '@')+1:]) == host {
			list = append(list, o)
		}
	}
	if len(list) == 0 {
		return []URI{u}
	}
	return list
}
