// Package ipliteral is the router for domain literals such as [192.0.2.1] (spec chapter 18).
//
// Trust: the address comes from the sender of the mail; where it may lead is limited by ignore_target_hosts and self.
package ipliteral

import (
	"net/netip"
	"strings"

	"exigo/internal/config"
	"exigo/internal/mail"
	"exigo/internal/option"
	"exigo/internal/route"
	"exigo/internal/route/hostfind"
)

// Driver returns the ipliteral router.
func Driver() *route.Driver {
	return &route.Driver{
		Name: "ipliteral", Doc: "Routes addresses whose domain is an IP address in brackets to that address.",
		Run: run, Transport: route.TransportRequired,
	}
}

func run(r *route.Run) route.Outcome {
	a := r.Address
	literal, ok := parse(a.Domain)
	if !ok || literal.Is6() && option.Of[config.Main](r.Scope.Config.MainOptions()).DisableIPv6 {
		return route.Decline
	}
	ignored, err := r.Ignored(literal)
	if err != nil {
		return r.Postpone(mail.ErrnoListDefer, "%s", err)
	}
	if ignored {
		a.Outcome.Message = "IP literal host explicitly ignored"
		return route.Decline
	}
	hosts := []mail.Host{{Name: a.Domain, Address: literal, MX: -1}}
	_, result, _, err := hostfind.CutAtLocal(r.Scope, hosts)
	if err != nil {
		return r.Postpone(mail.ErrnoListDefer, "%s", err)
	}
	if result == hostfind.Local {
		if ok, outcome := r.Self(hosts[0]); !ok {
			return outcome
		}
	}
	a.Hosts, a.HostsFromRouter = hosts, true
	if ok, outcome := r.Prepare(); !ok {
		return outcome
	}
	t, ok, outcome := r.Transport(string(r.Router.Generic.Transport), "transport")
	if !ok {
		return outcome
	}
	return r.Deliver(t)
}

// parse reads a domain literal (RFC 5321 section 4.1.3): [1.2.3.4], [ipv4:1.2.3.4] or [ipv6:2001:db8::1].
func parse(domain string) (netip.Addr, bool) {
	text, ok := strings.CutPrefix(domain, "[")
	if !ok {
		return netip.Addr{}, false
	}
	if text, ok = strings.CutSuffix(text, "]"); !ok {
		return netip.Addr{}, false
	}
	if len(text) > 5 && (strings.EqualFold(text[:5], "ipv6:") || strings.EqualFold(text[:5], "ipv4:")) {
		text = text[5:]
	}
	addr, err := netip.ParseAddr(text)
	return addr, err == nil
}
