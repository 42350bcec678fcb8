package dmarc

import (
	"errors"
	"fmt"
	"strings"
)

// discovery is a record and where it was found.
type discovery struct {
	domain string
	record *Record
}

// walk is the result of a tree walk: the records found on the way up, and an error that ended it.
type walk struct {
	found []discovery
	err   error
}

// maxWalks bounds the tree walks for one message: for the author's domains and for signers' domains below theirs.
const maxWalks = 25

// query asks for the record of one domain; nil when there is none, or several (RFC 9989 section 4.10).
func (e *evaluation) query(domain string) (*Record, error) {
	if len(domain) > 253-len("_dmarc.") {
		return nil, nil
	}
	texts, err := e.r.TXT(e.ctx, "_dmarc."+domain)
	if errors.Is(err, ErrNoRecord) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("DNS error for _dmarc.%s: %w", domain, err)
	}
	var text string
	n := 0
	for _, t := range texts {
		if IsRecord(t) {
			text = t
			n++
		}
	}
	if n != 1 {
		return nil, nil
	}
	r, err := Parse(text)
	if err != nil && !errors.Is(err, ErrPolicy) {
		return nil, nil
	}
	return r, nil
}

// usable leaves out a record without policy: for such a domain there is no DMARC.
func usable(d discovery) discovery {
	if d.record != nil && d.record.Policy == NoPolicy {
		return discovery{}
	}
	return d
}

// discover finds the record for an author's domain: its own, or that of the organizational domain, or by the tree walk that of the public suffix.
func (e *evaluation) discover(domain string) (discovery, error) {
	if e.q.Suffixes == nil {
		return e.discoverByWalk(domain)
	}
	r, err := e.query(domain)
	if err != nil || r != nil {
		return usable(discovery{domain, r}), err
	}
	organization := e.q.Suffixes.Organizational(domain)
	if organization == domain {
		return discovery{}, nil
	}
	r, err = e.query(organization)
	return usable(discovery{organization, r}), err
}

// discoverByWalk is RFC 9989 section 4.10.1.
func (e *evaluation) discoverByWalk(domain string) (discovery, error) {
	w := e.walk(domain)
	if w.err != nil && (len(w.found) == 0 || w.found[0].domain != domain) {
		return discovery{}, w.err
	}
	organization := organizationOf(domain, w.found)
	suffix := discovery{}
	for _, f := range w.found {
		if f.domain == domain {
			return usable(f), nil
		}
		if f.domain == organization {
			return usable(f), nil
		}
		if f.record.Suffix == 'y' {
			suffix = f
		}
	}
	return usable(suffix), nil
}

// organization is the organizational domain by whichever way is in use.
func (e *evaluation) organization(domain string) (string, error) {
	if e.q.Suffixes != nil {
		return e.q.Suffixes.Organizational(domain), nil
	}
	w := e.walk(domain)
	return organizationOf(domain, w.found), w.err
}

// maxLabels: a walk asks for the name, and then from so many labels on upwards.
const maxLabels = 7

// walk walks up the tree from a domain (RFC 9989 section 4.10): at most eight questions.
func (e *evaluation) walk(domain string) walk {
	if w, ok := e.walks[domain]; ok {
		return w
	}
	if len(e.walks) >= maxWalks {
		return walk{err: errors.New("too many tree walks")}
	}
	var w walk
	for name := domain; name != ""; name = parent(name) {
		r, err := e.query(name)
		if err != nil {
			w.err = err
			break
		}
		if r != nil {
			w.found = append(w.found, discovery{name, r})
			if r.Suffix != 'u' {
				break
			}
		}
	}
	e.walks[domain] = w
	return w
}

// parent is the next name of a walk, "" at the end.
func parent(name string) string {
	for n := strings.Count(name, ".") + 1; ; n-- {
		dot := strings.IndexByte(name, '.')
		if dot < 0 {
			return ""
		}
		name = name[dot+1:]
		if n-1 <= maxLabels {
			return name
		}
	}
}

// organizationOf chooses the organizational domain among what a walk from domain found (RFC 9989 section 4.10.2).
func organizationOf(domain string, found []discovery) string {
	organization := domain
	for _, f := range found { // from the longest name to the shortest
		switch {
		case f.record.Suffix == 'n':
			return f.domain
		case f.record.Suffix == 'y' && f.domain != domain:
			rest := strings.TrimSuffix(domain, "."+f.domain)
			return rest[strings.LastIndexByte(rest, '.')+1:] + "." + f.domain
		default:
			organization = f.domain
		}
	}
	return organization
}
