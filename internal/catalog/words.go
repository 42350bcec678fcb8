package catalog

import (
	"slices"
	"strings"

	"exigo/internal/acl"
	"exigo/internal/auth"
	"exigo/internal/config"
	"exigo/internal/eventlog"
	"exigo/internal/expand"
	"exigo/internal/expand/builtin"
	"exigo/internal/list"
	"exigo/internal/lookup"
	"exigo/internal/option"
	"exigo/internal/route"
	"exigo/internal/tlspolicy"
	"exigo/internal/transport"
)

// words merges all words of the expansion language.
func (c Catalog) words() expand.Words {
	w := builtin.Words()
	w.LazyConditions = slices.Concat(w.LazyConditions, list.Words().LazyConditions)
	variables, lookups := [][]expand.Variable{w.Variables, acl.Variables()}, [][]*lookup.Driver{w.Lookups, c.Lookups}
	for _, f := range c.Features {
		variables, lookups = append(variables, f.Variables), append(lookups, f.Lookups)
		w.Items = append(w.Items, f.Items...)
		w.Operators = append(w.Operators, f.Operators...)
		w.Conditions = append(w.Conditions, f.Tests...)
	}
	w.Variables, w.Lookups = slices.Concat(variables...), slices.Concat(lookups...)
	return w
}

// routing lists what rooms do in routers.
func (c Catalog) routing() (list []route.Extension) {
	for _, f := range c.Features {
		list = append(list, f.Routing...)
	}
	return list
}

// aclWords merges what rooms add to ACLs.
func (c Catalog) aclWords() acl.Words {
	var w acl.Words
	for _, f := range c.Features {
		w.Conditions = append(w.Conditions, f.Conditions...)
		w.Controls = append(w.Controls, f.Controls...)
		w.Verify = append(w.Verify, f.Verify...)
		w.Settings = append(w.Settings, f.Settings...)
	}
	return w
}

// Registry is what the configuration reader must know.
func (c Catalog) Registry() *config.Registry {
	generic := auth.GenericOptions()
	r := &config.Registry{Sets: []option.Set{config.MainOptions(), route.GenericOptions(), transport.Options, generic}}
	for _, f := range c.Features {
		r.Sets = append(r.Sets, f.Options...)
		if f.Support != "" {
			r.Macros = append(r.Macros, config.Macro{Name: "_HAVE_" + strings.ToUpper(f.Support), Value: "y", Builtin: true})
		}
		for _, m := range f.Macros {
			name, value, given := strings.Cut(m, "=")
			if !given {
				value = "y"
			}
			r.Macros = append(r.Macros, config.Macro{Name: name, Value: value, Builtin: true})
		}
	}
	for _, d := range c.Lookups {
		r.Sets = append(r.Sets, d.Settings...)
	}
	lookups := [][]*lookup.Driver{c.Lookups}
	for _, f := range c.Features {
		lookups = append(lookups, f.Lookups)
	}
	for _, d := range slices.Concat(lookups...) {
		if !d.Absent {
			r.Macros = append(r.Macros, config.Macro{Name: "_HAVE_LOOKUP_" + strings.ToUpper(d.Name), Value: "y", Builtin: true})
		}
	}
	for _, name := range tlspolicy.OptionNames() {
		r.Macros = append(r.Macros, config.Macro{Name: "_OPT_OPENSSL_" + strings.ToUpper(name) + "_X", Value: "y", Builtin: true})
	}
	for _, name := range append(slices.Clone(supported), "TLS") { // Exim names the library and TLS itself
		r.Macros = append(r.Macros, config.Macro{Name: "_HAVE_" + strings.TrimSuffix(strings.ToUpper(name), "()"), Value: "y", Builtin: true})
	}
	for _, name := range settled {
		r.Macros = append(r.Macros, config.Macro{Name: name, Value: "y", Builtin: true})
	}
	for _, d := range c.Routers {
		r.Drivers = append(r.Drivers, config.Driver{Kind: config.Router, Name: d.Name, Options: sets(d.Options), Shown: d.ShownDefault})
	}
	for _, d := range c.Transports {
		r.Drivers = append(r.Drivers, config.Driver{Kind: config.Transport, Name: d.Name, Options: sets(d.Options), Check: d.Check, Shown: d.ShownDefault})
	}
	for _, d := range c.Authenticators {
		r.Drivers = append(r.Drivers, d.Row())
	}
	r.Words = c.macroWords
	return r
}

// macroWords lists the words of the language and of ACLs, for macros.
func (c Catalog) macroWords() (r config.MacroWords) {
	for _, row := range eventlog.SelectorRows() {
		r.LogSelectors = append(r.LogSelectors, row.Name)
	}
	r.LogSelectors = append(r.LogSelectors, "all")
	w := c.words()
	for _, v := range w.Variables {
		if !v.Prefix {
			r.Variables = append(r.Variables, v.Name)
		}
	}
	for _, o := range w.Operators {
		r.Operators = append(r.Operators, o.Name)
	}
	for _, row := range append(acl.Conditions(), c.aclWords().Conditions...) {
		switch {
		case row.Placeholder:
		case row.Modifier:
			r.Modifiers = append(r.Modifiers, row.Name)
		default:
			r.Conditions = append(r.Conditions, row.Name)
		}
	}
	return r
}

func sets(s option.Set) []option.Set {
	if s == nil {
		return nil
	}
	return []option.Set{s}
}

// supported are the words of "Support for:" that belong to no room.
var supported = []string{"crypteq", "iconv()", "IPv6", "OpenSSL", "move_frozen_messages", "DNSSEC", "I18N", "ESMTP_Limits"}

// settled are predefined macros that depend on how Exim was built (spec 6.9), and not on what there is here.
var settled = []string{"_CRYPTO_HASH_SHA3", "_HAVE_TRANSPORT_APPEND_MAILDIR", "_HAVE_TRANSPORT_APPEND_MAILSTORE"}

// Support lists the words of -bV's "Support for:" line.
func (c Catalog) Support() []string {
	words := slices.Clone(supported)
	for _, f := range c.Features {
		if f.Support != "" {
			words = append(words, f.Support)
		}
	}
	return words
}
