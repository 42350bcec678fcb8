// Package manualroute is the router whose routes the administrator writes down (spec chapter 20).
//
// Trust: the rules are the administrator's; route_data may hold parts of the address, which stay tainted.
package manualroute

import (
	"errors"
	"strings"

	"exigo/internal/config"
	"exigo/internal/expand"
	"exigo/internal/list"
	"exigo/internal/mail"
	"exigo/internal/option"
	"exigo/internal/route"
	"exigo/internal/route/hostfind"
)

type settings struct {
	hostAllIgnored        string
	hostFindFailed        string
	hostsRandomize        bool
	routeData             option.Expanded
	routeList             option.Expanded
	sameDomainCopyRouting bool
}

var options = option.Table[settings]{Scope: "router manualroute", Rows: []option.Row[settings]{
	{Name: "host_all_ignored", Default: "defer", Field: func(c *settings) any { return &c.hostAllIgnored }, Doc: "What to do when no host of a list is left: decline, defer, fail, freeze or pass."},
	{Name: "host_find_failed", Default: "freeze", Field: func(c *settings) any { return &c.hostFindFailed }, Doc: "What to do when a host does not exist: decline, defer, fail, freeze, ignore or pass."},
	{Name: "hosts_randomize", Field: func(c *settings) any { return &c.hostsRandomize }, Doc: "Put the hosts of a rule into random order."},
	{Name: "route_data", Field: func(c *settings) any { return &c.routeData }, Doc: "Expands to the hosts and options of a rule."},
	{Name: "route_list", Field: func(c *settings) any { return &c.routeList }, Doc: "Rules, separated by semicolons: domain pattern, hosts, options."},
	{Name: "same_domain_copy_routing", Field: func(c *settings) any { return &c.sameDomainCopyRouting }, Doc: "Route further addresses of the same domain in the message alike."},
}}

// Driver returns the manualroute router.
func Driver() *route.Driver {
	return &route.Driver{
		Name: "manualroute", Doc: "Routes by rules that give hosts for domains.",
		Options: options, Check: check, Run: run, Transport: route.TransportOptional,
		CopyRouting: func(i *route.Instance) bool { return route.Settings[settings](i).sameDomainCopyRouting },
	}
}

func check(i *route.Instance) error {
	c := route.Settings[settings](i)
	if (c.routeList == "") == (c.routeData == "") {
		return errors.New("route_list or route_data (but not both) must be specified")
	}
	if !known(c.hostFindFailed, true) {
		return errors.New("unrecognized setting for host_find_failed option")
	}
	if !known(c.hostAllIgnored, false) {
		return errors.New("unrecognized setting for host_all_ignored option")
	}
	return nil
}

// known tells whether a word is one of those of host_find_failed.
func known(word string, ignore bool) bool {
	switch route.HostFailure(word) {
	case route.OnFailDecline, route.OnFailDefer, route.OnFailFail, route.OnFailFreeze, route.OnFailPass:
		return true
	case route.OnFailIgnore:
		return ignore
	}
	return false
}

// rule is the part of a routing rule behind the domain pattern, before expansion.
type rule struct {
	hosts mail.Value
	words []string
}

func run(r *route.Run) route.Outcome {
	c := route.Settings[settings](r.Router.Instance)
	s := r.Scope
	savedValue, savedNumbers := s.Value, s.Numbers
	defer func() { s.Value, s.Numbers = savedValue, savedNumbers }()
	rule, outcome := findRule(r, c)
	if outcome != route.Accepted {
		return outcome
	}
	how := route.HostLookup{FindFailed: route.HostFailure(c.hostFindFailed), AllIgnored: route.HostFailure(c.hostAllIgnored)}
	v, err := s.Engine.ExpandValue(s, rule.hosts)
	if err != nil {
		if errors.Is(err, expand.ErrForced) {
			return route.Decline
		}
		return r.Postpone(mail.ErrnoExpandFail, "%s router: failed to expand \"%s\": %s", r.Router.Name, rule.hosts.S, err)
	}
	hosts := strings.TrimSpace(v.S)
	transport, randomize, outcome := readWords(r, c, rule.words, &how)
	if outcome != route.Accepted {
		return outcome
	}
	if transport.Name == "" {
		var ok bool
		if transport, ok, outcome = r.Transport(string(r.Router.Generic.Transport), "transport"); !ok {
			return outcome
		}
	}
	verifying := r.Mode == mail.ForVerifyRecipient || r.Mode == mail.ForVerifySender
	if transport.Name != "" || hosts != "" { // without a transport, hosts are for a callout
		if outcome := setHosts(r, transport, hosts, randomize, how); outcome != route.Accepted {
			return outcome
		}
	}
	if transport.Name == "" && !verifying {
		r.Log("Error in %s router: no transport defined", r.Router.Name)
		return r.Postpone(0, "error in router: transport missing")
	}
	return deliver(r, transport)
}

// deliver hands the address to the transport.
func deliver(r *route.Run, t route.TransportInfo) route.Outcome {
	if ok, outcome := r.Prepare(); !ok {
		return outcome
	}
	return r.Deliver(t)
}

// setHosts gives the address its hosts: for a local transport the list as one text, otherwise their addresses.
func setHosts(r *route.Run, t route.TransportInfo, hosts string, randomize bool, how route.HostLookup) route.Outcome {
	if t.Local {
		if hosts != "" {
			r.Address.Hosts = []mail.Host{{Name: hosts, MX: -1}}
		}
		return route.Accepted
	}
	if hosts == "" {
		text := "error in " + r.Router.Name + " router: no host(s) specified for domain " + r.Address.Domain
		r.Log("%s", text)
		return r.Postpone(0, "%s", text)
	}
	items := option.SplitList(hosts)
	if randomize {
		items = r.Randomize(items)
	}
	if ok, outcome := r.LookupHosts(items, how); !ok {
		return outcome
	}
	if randomize {
		for i := range r.Address.Hosts {
			if r.Address.Hosts[i].MX < 0 {
				r.Address.Hosts[i].MX = route.RandomOrder
			}
		}
	}
	return route.Accepted
}

// findRule finds the rule for the domain, in route_data or the first match of route_list.
func findRule(r *route.Run, c *settings) (rule, route.Outcome) {
	s := r.Scope
	if text := string(c.routeData); text != "" {
		v, err := s.Engine.Expand(s, text)
		switch {
		case errors.Is(err, expand.ErrForced):
			return rule{}, route.Decline
		case err != nil:
			return rule{}, r.Postpone(mail.ErrnoExpandFail, "failed to expand \"%s\": %s", text, err)
		}
		hosts, rest := word(v.S)
		if hosts == "" {
			return rule{}, route.Decline
		}
		return rule{mail.Value{S: hosts, Tainted: v.Tainted}, strings.Fields(rest)}, route.Accepted
	}
	for _, item := range splitRules(string(c.routeList)) {
		pattern, rest := word(item)
		if pattern == "" {
			continue
		}
		single := pattern
		if strings.Contains(pattern, ":") {
			single = "<\x01" + pattern // the pattern is one item, whatever it holds
		}
		m, err := list.Domain(s, single, r.Address.Domain)
		if err != nil {
			if errors.Is(err, expand.ErrForced) {
				continue
			}
			return rule{}, r.Postpone(mail.ErrnoListDefer, "lookup defer in route_list")
		}
		if m.Matched {
			s.Value = m.Data
			if len(s.Numbers) == 0 {
				s.Numbers = []mail.Value{mail.Taint(r.Address.Domain)}
			}
			hosts, words := word(rest)
			return rule{mail.Clean(hosts), strings.Fields(words)}, route.Accepted
		}
	}
	return rule{}, route.Decline
}

// splitRules splits route_list at its separator, a semicolon unless it says otherwise.
func splitRules(text string) []string {
	if !strings.HasPrefix(strings.TrimLeft(text, " \t\n"), "<") {
		text = "<;" + text
	}
	return option.SplitList(text)
}

// word takes the first word off a text: one in double quotes, whose escapes are undone, or one that ends at white space.
func word(text string) (first, rest string) {
	text = strings.TrimLeft(text, " \t\n")
	if !strings.HasPrefix(text, "\"") {
		if i := strings.IndexAny(text, " \t\n"); i >= 0 {
			return text[:i], text[i:]
		}
		return text, ""
	}
	var b strings.Builder
	i := 1
	for ; i < len(text) && text[i] != '"'; i++ {
		if text[i] == '\\' && i+1 < len(text) {
			c, n := config.Unescape(text[i+1:])
			b.WriteByte(c)
			i += n
			continue
		}
		b.WriteByte(text[i])
	}
	return b.String(), text[min(i+1, len(text)):]
}

// readWords reads the options of a rule: one of them may be the name of a transport.
func readWords(r *route.Run, c *settings, words []string, how *route.HostLookup) (t route.TransportInfo, randomize bool, outcome route.Outcome) {
	randomize = c.hostsRandomize
	for _, w := range words {
		switch w {
		case "randomize":
			randomize = true
		case "no_randomize":
			randomize = false
		case "byname":
			how.Method = hostfind.ByName
		case "bydns":
			how.Method = hostfind.ByDNS
		case "ipv4_only":
			how.IPv4Only = true
		case "ipv4_prefer":
			how.IPv4Prefer = true
		default:
			if !r.IsTransport(w) {
				r.Log("Error in %s router: unknown routing option or transport name \"%s\"", r.Router.Name, w)
				return t, false, r.Postpone(0, "error in router: unknown routing option or transport name \"%s\"", w)
			}
			t, _, _ = r.FindTransport(w)
		}
	}
	return t, randomize, route.Accepted
}
