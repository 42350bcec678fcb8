package list

import (
	"net/netip"

	"exigo/internal/expand"
	"exigo/internal/expand/syntax"
	"exigo/internal/mail"
)

// Words returns the conditions that match lists, for expand.New.
func Words() expand.Words {
	row := func(name, doc string, check func(s *expand.Scope, subject mail.Value, list string) (Match, error), examples ...expand.Example) expand.LazyCondition {
		return expand.LazyCondition{
			Name: name, Doc: doc, Examples: examples, Shape: syntax.Shape{Form: syntax.FormList, Min: 2, Max: 2},
			Test: func(s *expand.Scope, c *syntax.Condition) (bool, error) {
				args, err := s.Texts(c.Args)
				if err != nil {
					return false, err
				}
				m, err := check(s, args[0], args[1].S)
				if err != nil {
					return false, completion(args[1].S, err)
				}
				if m.Matched {
					s.Value = m.Data
				}
				return m.Matched, nil
			},
		}
	}
	return expand.Words{LazyConditions: []expand.LazyCondition{
		row("match_domain", "True if a domain is in a domain list.", func(s *expand.Scope, subject mail.Value, list string) (Match, error) {
			sc := domainScan(s, subject.S, true)
			return sc.run(list, false)
		}, expand.Example{In: `${if match_domain{a.b.c}{x.y.z:a.b.c:p.q.r}{yes}{no}}`, Out: "yes"}),
		row("match_address", "True if an address is in an address list.", func(s *expand.Scope, subject mail.Value, list string) (Match, error) {
			sc := addressScan(s, subject.S)
			return sc.run(list, false)
		}, expand.Example{In: `${if match_address{A@b.c}{*.c}{yes}{no}}`, Out: "yes"}),
		row("match_local_part", "True if a local part is in a local part list.", func(s *expand.Scope, subject mail.Value, list string) (Match, error) {
			sc := scan{s: s, kind: localParts, subject: subject.S}
			return sc.run(list, false)
		}, expand.Example{In: `${if match_local_part {bill} {alice : bill : charlotte : dave} {$value}}`, Out: "bill"}),
		row("match_ip", "True if an IP address is in a host list of addresses.", matchIP,
			expand.Example{In: `${if match_ip{1.2.3.4}{1.2.3.4:5.6.7.8}{y}{n}}`, Out: "y"},
			expand.Example{In: `${if match_ip{1.2.3.x}{1.2.3.0/24}{y}{n}}`, Err: `"1.2.3.x" is not an IP address`}),
	}}
}

func matchIP(s *expand.Scope, subject mail.Value, list string) (Match, error) {
	var a netip.Addr
	if subject.S != "" {
		var ok bool
		if a, ok = expand.ParseAddress(subject.S); !ok {
			return Match{}, expand.Fail("\"%s\" is not an IP address", subject.S)
		}
	}
	sc := hostScan(s, "", a, true)
	return sc.run(list, true) // Exim expands this list, alone of its kind
}

// completion is the message about a list that could not be checked. A mistake keeps its own.
func completion(list string, err error) error {
	if !expand.IsTemporary(err) {
		return err
	}
	text := err.Error()
	if text == "" {
		text = "NULL"
	}
	return expand.Defer("unable to complete match against \"%s\": %s", list, text)
}
