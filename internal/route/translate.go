package route

import (
	"errors"

	"exigo/internal/expand"
	"exigo/internal/mail"
	"exigo/internal/route/hostfind"
)

// translate obeys translate_ip_address (spec 15): each address of a host that the router found may be replaced, by another
// address or by those of a host. ok is false when the router is to return the outcome.
func (r *Run) translate(a *mail.Address) (ok bool, outcome Outcome) {
	text := string(r.Router.Generic.TranslateIPAddress)
	if text == "" {
		return true, Accepted
	}
	saved := r.Scope.Host
	defer func() { r.Scope.Host = saved }()
	hosts := make([]mail.Host, 0, len(a.Hosts))
	for _, h := range a.Hosts {
		if !h.Address.IsValid() {
			hosts = append(hosts, h)
			continue
		}
		r.Scope.Host = &h
		v, err := r.expand(text)
		if errors.Is(err, expand.ErrForced) {
			hosts = append(hosts, h)
			continue
		}
		if err != nil {
			return false, r.Postpone(mail.ErrnoExpandFail, "%s router: failed to expand \"%s\": %s", r.Router.Name, text, err)
		}
		found, err := hostfind.Lookup(r.Ctx, r.Scope, hostfind.Request{Name: v.S, Port: h.Port}, hostfind.ByName)
		if err != nil {
			return false, r.Postpone(mail.ErrnoListDefer, "%s", err)
		}
		if len(found.Hosts) == 0 {
			return false, r.Postpone(mail.ErrnoUnknownHost, "lookup of host \"%s\" failed in %s router (translate_ip_address)", v.S, r.Router.Name)
		}
		for _, n := range found.Hosts {
			named := h
			named.Address, named.Secure = n.Address, false
			hosts = append(hosts, named)
		}
	}
	a.Hosts = hosts
	return true, Accepted
}
