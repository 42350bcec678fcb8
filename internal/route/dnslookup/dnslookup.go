// Package dnslookup is the router that finds the hosts for a domain in the DNS (spec chapter 17).
//
// Trust: domains come from senders; DNS answers are untrusted.
package dnslookup

import (
	"errors"
	"strings"

	"exigo/internal/expand"
	"exigo/internal/list"
	"exigo/internal/mail"
	"exigo/internal/option"
	"exigo/internal/route"
	"exigo/internal/route/hostfind"
)

type settings struct {
	checkSecondaryMX      bool
	checkSRV              option.Expanded
	failDeferDomains      option.DomainList
	ipv4Only              option.Expanded
	ipv4Prefer            option.Expanded
	mxDomains             option.DomainList
	mxFailDomains         option.DomainList
	qualifySingle         bool
	rewriteHeaders        bool
	sameDomainCopyRouting bool
	searchParents         bool
	srvFailDomains        option.DomainList
	widenDomains          []string
}

var options = option.Table[settings]{Scope: "router dnslookup", Rows: []option.Row[settings]{
	{Name: "check_secondary_mx", Field: func(c *settings) any { return &c.checkSecondaryMX }, Doc: "Decline unless this machine is one of the MX hosts, but not the first."},
	{Name: "check_srv", Field: func(c *settings) any { return &c.checkSRV }, Doc: "The service name of SRV records to look for first."},
	{Name: "fail_defer_domains", Field: func(c *settings) any { return &c.failDeferDomains }, Doc: "Domains that are deferred rather than declined when nothing is found."},
	{Name: "ipv4_only", Field: func(c *settings) any { return &c.ipv4Only }, Doc: "Use A records only, when the expansion is true."},
	{Name: "ipv4_prefer", Field: func(c *settings) any { return &c.ipv4Prefer }, Doc: "Sort A records before AAAA records, when the expansion is true."},
	{Name: "mx_domains", Field: func(c *settings) any { return &c.mxDomains }, Doc: "Domains that must have an MX or SRV record."},
	{Name: "mx_fail_domains", Field: func(c *settings) any { return &c.mxFailDomains }, Doc: "Domains for which an error in the MX lookup counts as no record."},
	{Name: "qualify_single", Default: "true", Field: func(c *settings) any { return &c.qualifySingle }, Doc: "Let the resolver complete names of one component."},
	{Name: "rewrite_headers", Default: "true", Field: func(c *settings) any { return &c.rewriteHeaders }, Doc: "Replace an abbreviated domain in the message's header lines."},
	{Name: "same_domain_copy_routing", Field: func(c *settings) any { return &c.sameDomainCopyRouting }, Doc: "Route further addresses of the same domain in the message alike."},
	{Name: "search_parents", Field: func(c *settings) any { return &c.searchParents }, Doc: "Let the resolver search parent domains."},
	{Name: "srv_fail_domains", Field: func(c *settings) any { return &c.srvFailDomains }, Doc: "Domains for which an error in the SRV lookup counts as no record."},
	{Name: "widen_domains", Field: func(c *settings) any { return &c.widenDomains }, Doc: "Endings to try when the domain is not found."},
}}

// Driver returns the dnslookup router.
func Driver() *route.Driver {
	return &route.Driver{
		Name: "dnslookup", Doc: "Finds the hosts for a domain by SRV, MX and address records.",
		Options: options, Run: run, Transport: route.TransportRequired,
		CopyRouting: func(i *route.Instance) bool { return route.Settings[settings](i).sameDomainCopyRouting },
	}
}

func run(r *route.Run) route.Outcome {
	c := route.Settings[settings](r.Router.Instance)
	q, ok, outcome := request(r, c)
	if !ok {
		return outcome
	}
	answer, outcome := find(r, c, q)
	if outcome != route.Accepted {
		return outcome
	}
	if c.checkSecondaryMX && answer.Result != hostfind.Local && !answer.Removed {
		return route.Decline
	}
	a := r.Address
	if answer.FullName != "" && !strings.EqualFold(answer.FullName, a.Domain) {
		return r.Reroute(answer.FullName, c.rewriteHeaders)
	}
	if answer.Result == hostfind.Local {
		if ok, outcome := r.Self(answer.Hosts[0]); !ok {
			return outcome
		}
	}
	if at := strings.LastIndexByte(a.Address, '@'); at >= 0 && answer.FullName != strings.ToLower(answer.FullName) {
		a.Address = a.Address[:at+1] + answer.FullName // the DNS insists on capitals
	}
	a.Hosts, a.HostsFromRouter = answer.Hosts, true
	if ok, outcome := r.Prepare(); !ok {
		return outcome
	}
	t, ok, outcome := r.Transport(string(r.Router.Generic.Transport), "transport")
	if !ok {
		return outcome
	}
	return r.Deliver(t)
}

// request makes the question of the options.
func request(r *route.Run, c *settings) (q hostfind.Request, ok bool, outcome route.Outcome) {
	q = r.Request(r.Address.Domain, 0)
	q.MX, q.Addresses = true, true
	q.Qualify, q.Search = c.qualifySingle, c.searchParents
	q.SRVFail, q.MXFail, q.MXDomains = string(c.srvFailDomains), string(c.mxFailDomains), string(c.mxDomains)
	if text := string(c.checkSRV); text != "" {
		v, err := r.Scope.Engine.Expand(r.Scope, text)
		switch {
		case err == nil:
			q.Service = v.S
		case !errors.Is(err, expand.ErrForced):
			return q, false, r.Postpone(mail.ErrnoExpandFail, "%s router: failed to expand \"%s\": %s", r.Router.Name, text, err)
		}
	}
	if q.IPv4Only, ok, outcome = r.Truth(string(c.ipv4Only)); !ok {
		return q, false, outcome
	}
	q.IPv4Prefer, ok, outcome = r.Truth(string(c.ipv4Prefer))
	return q, ok, outcome
}

// find looks the domain up, and with each of the endings of widen_domains until one is found.
func find(r *route.Run, c *settings, q hostfind.Request) (hostfind.Answer, route.Outcome) {
	names := []string{q.Name}
	if r.Mode != mail.ForVerifySender || !c.rewriteHeaders {
		for _, ending := range c.widenDomains {
			names = append(names, q.Name+"."+strings.TrimPrefix(ending, "."))
		}
	}
	a := r.Address
	for _, name := range names {
		q.Name = name
		answer, err := hostfind.Find(r.Ctx, r.Scope, q)
		if errors.Is(err, hostfind.ErrMXDomains) {
			return answer, r.Postpone(0, "%s", hostfind.ErrMXDomains)
		}
		if err != nil {
			return answer, r.Postpone(mail.ErrnoListDefer, "%s", err)
		}
		switch answer.Result {
		case hostfind.Local:
			return answer, route.Accepted
		case hostfind.Found:
			if hostfind.Usable(answer.Hosts) {
				return answer, route.Accepted
			}
			if hostfind.Deferred(answer.Hosts) {
				return answer, again(r, "host lookup did not complete")
			}
			if answer.Insecure {
				return answer, again(r, "host lookup done insecurely")
			}
			a.Outcome.Message = "all relevant MX records point to non-existent hosts"
			a.Outcome.UserMessage = a.Outcome.Message // for the sender, too
			if answer.AddressMX {
				a.Outcome.Message += " or (invalidly) to IP addresses"
				a.Outcome.UserMessage = "It appears that the DNS operator for " + a.Domain +
					"\nhas installed an invalid MX record with an IP address\ninstead of a domain name on the right hand side."
			}
		case hostfind.Again:
			return answer, again(r, "host lookup did not complete")
		case hostfind.Insecure:
			return answer, again(r, "host lookup done insecurely")
		case hostfind.NotFound:
			if answer.NoService {
				a.Outcome.Message = "an MX or SRV record indicated no SMTP service"
				a.Outcome.UserMessage = a.Outcome.Message
			}
		}
	}
	if domains := string(c.failDeferDomains); domains != "" {
		m, err := list.Domain(r.Scope, domains, a.Domain)
		if err != nil {
			return hostfind.Answer{}, r.Postpone(0, "lookup defer for fail_defer_domains option")
		}
		if m.Matched {
			return hostfind.Answer{}, r.Postpone(mail.ErrnoDNSDefer, "missing MX, or all MXs point to missing A records, and defer requested")
		}
	}
	return hostfind.Answer{}, route.Decline
}

// again is the outcome when the DNS could not tell.
func again(r *route.Run, text string) route.Outcome {
	if r.Router.Generic.PassOnTimeout {
		return route.Pass
	}
	return r.Postpone(0, "%s", text)
}
