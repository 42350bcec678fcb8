// Package psl is the lookup types psl and regdom: the public suffix of a domain, and the domain below it that somebody registered. The file
// is a list of public suffixes (https://publicsuffix.org/list/).
//
// Trust: the files belong to the administrator; domains looked up may be anybody's.
package psl

import (
	"context"

	"exigo/internal/lookup"
	"exigo/internal/proto/dmarc"
)

// Drivers returns the lookup types.
func Drivers() []*lookup.Driver {
	files := &lookup.Parsed[*dmarc.Suffixes]{}
	row := func(name, doc string, part func(suffixes *dmarc.Suffixes, domain string) string) *lookup.Driver {
		return &lookup.Driver{Name: name, Kind: lookup.SingleKey | lookup.AbsoluteFile, Doc: doc,
			Find: func(_ context.Context, r *lookup.Request) (lookup.Result, bool, error) {
				suffixes, err := files.Open(r.File, "public suffix lookup", r.World.Clock.Now(), dmarc.ReadSuffixes)
				if err != nil {
					return lookup.Result{}, false, err
				}
				domain := dmarc.Domain(r.Key)
				if domain == "" {
					return lookup.Result{}, false, nil
				}
				data := part(suffixes, domain)
				return lookup.Result{Data: data}, data != "", nil
			}}
	}
	return []*lookup.Driver{
		row("psl", "Gives the public suffix of a domain.", (*dmarc.Suffixes).Suffix),
		row("regdom", "Gives the registered domain: the public suffix and one label more; nothing for a public suffix.",
			func(suffixes *dmarc.Suffixes, domain string) string {
				if suffixes.Suffix(domain) == domain {
					return ""
				}
				return suffixes.Organizational(domain)
			}),
	}
}
