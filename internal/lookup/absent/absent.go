// Package absent knows the names of Exim's lookup types that this program does not have: those of services that are hardly run any more (NIS, NIS+, Whoson)
// and of databases whose client libraries cannot be had (Oracle, InterBase). Configurations with their options and quoting can be read;
// a search is refused by name.
//
// Trust: quotes what may come from anybody; asks nobody.
package absent

import (
	"strings"

	"exigo/internal/lookup"
	"exigo/internal/option"
)

// settings are the options of the main section.
type settings struct{ oracle, ibase string }

// Drivers returns the types.
func Drivers() []*lookup.Driver {
	oracle := strings.NewReplacer("\n", `\n`, "\t", `\t`, "\r", `\r`, "\b", `\b`, "'", `\'`, `"`, `\"`, `\`, `\\`)
	nisplus := strings.NewReplacer(`"`, `""`)
	quote := func(r *strings.Replacer) func(text, option string) (string, bool) {
		return func(text, option string) (string, bool) { return r.Replace(text), option == "" }
	}
	list := []*lookup.Driver{
		{Name: "ibase", Kind: lookup.Query}, {Name: "nis", Kind: lookup.SingleKey}, {Name: "nis0", Kind: lookup.SingleKey},
		{Name: "nisplus", Kind: lookup.Query, Quote: quote(nisplus)}, {Name: "oracle", Kind: lookup.Query, Quote: quote(oracle)}, {Name: "whoson", Kind: lookup.Query},
	}
	for _, d := range list {
		d.Absent, d.Conceal, d.Doc = true, lookup.ConcealQuery, "Not available: a search is refused."
	}
	list[0].Settings = []option.Set{option.Table[settings]{Scope: "main", Rows: []option.Row[settings]{
		{Name: "ibase_servers", Field: func(s *settings) any { return &s.ibase }, Doc: "Read, but of no use: there are no ibase lookups."},
		{Name: "oracle_servers", Field: func(s *settings) any { return &s.oracle }, Doc: "Read, but of no use: there are no oracle lookups."},
	}}}
	return list
}
