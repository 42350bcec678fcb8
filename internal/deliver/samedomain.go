package deliver

import (
	"slices"
	"strings"

	"exigo/internal/mail"
	"exigo/internal/route"
)

// copyRouting gives an address the routing of an earlier one in the same domain, if the router of that has
// same_domain_copy_routing (spec 17, 20). It tells whether there was one.
func (a *attempt) copyRouting(addr *mail.Address) bool {
	first := a.sameDomain[domainOf(addr)]
	if first == nil || addr.StartRouter != first.StartRouter {
		return false
	}
	route.Split(addr)
	addr.Router, addr.Transport = first.Router, first.Transport
	addr.Hosts, addr.HostsFromRouter, addr.HostsRandomized = slices.Clone(first.Hosts), first.HostsFromRouter, first.HostsRandomized
	addr.FallbackHosts = first.FallbackHosts
	addr.UID, addr.GID, addr.UIDSet, addr.GIDSet, addr.InitGroups = first.UID, first.GID, first.UIDSet, first.GIDSet, first.InitGroups
	addr.ErrorsTo, addr.ErrorsToSet = first.ErrorsTo, first.ErrorsToSet
	addr.DomainData, addr.HostData, addr.AddressData, addr.Vars = first.DomainData, first.HostData, first.AddressData, first.Vars
	return true
}

// maySetExample keeps an address as the one whose routing others of the domain copy. asGiven is the address as it came to the
// routers: one that a router changed is no example, nor is one with header changes or an unseen delivery.
func (a *attempt) maySetExample(addr *mail.Address, r route.Routed, asGiven string) {
	rt, ok := a.d.Routes.Router(addr.Router)
	if !ok || rt.Driver.CopyRouting == nil || !rt.Driver.CopyRouting(rt.Instance) {
		return
	}
	if r.Outcome != route.Accepted || r.Local || len(r.Children) > 0 || len(addr.ExtraHeaders)+len(addr.RemoveHeaders) > 0 ||
		!strings.EqualFold(addr.Address, asGiven) || addr.Prefix != "" || addr.Suffix != "" {
		return
	}
	if a.sameDomain == nil {
		a.sameDomain = make(map[string]*mail.Address)
	}
	a.sameDomain[addr.Domain] = addr
}
