package route

import (
	"errors"
	"strconv"
	"strings"

	"exigo/internal/expand"
	"exigo/internal/mail"
	"exigo/internal/option"
	"exigo/internal/route/hostfind"
)

// call runs the router, and shows it.
func (r *Run) call() Outcome {
	if r.Engine.tracing() {
		r.Engine.trace("calling %s router", r.Router.Name)
	}
	return r.drive()
}

// drive lets extensions act, then the driver.
func (r *Run) drive() Outcome {
	for _, x := range r.Engine.services.Extensions {
		if x.Before == nil || !x.fits(r) {
			continue
		}
		if outcome, ok := x.Before(r); !ok {
			return outcome
		}
	}
	return r.Router.Driver.Run(r)
}

// fits tells whether the extension is about the router.
func (x *Extension) fits(r *Run) bool { return x.Driver == "" || x.Driver == r.Router.Driver.Name }

// Child adds a new address that the router made of the current one; it inherits what children inherit.
func (r *Run) Child(address string) *mail.Address {
	c := newChild(r.Address, address)
	if r.Router.redirect != nil {
		c.StartRouter = r.Router.redirect.Name
	}
	r.children = append(r.children, c)
	return c
}

// Delivery adds a pipe, file or reply that the router made of the current address; the caller sets its Transport.
func (r *Run) Delivery(text string, kind mail.Kind) *mail.Address {
	c := newDelivery(r.Address, text, kind)
	c.Router = r.Router.Name
	r.children = append(r.children, c)
	return c
}

// Reroute replaces the address by one with another domain.
func (r *Run) Reroute(domain string, rewriteHeaders bool) Outcome {
	a := r.Address
	if rewriteHeaders && r.Engine.services.RewriteHeaders != nil && a.Mode == mail.ForDelivery {
		r.Engine.services.RewriteHeaders(r.Scope, a.Domain, domain)
	}
	local := a.Address
	if at := strings.LastIndexByte(local, '@'); at >= 0 {
		local = local[:at]
	}
	r.children = append(r.children, newChild(a, local+"@"+domain))
	return Rerouted
}

// Prepare expands errors_to, headers_add and headers_remove, and sets them in the address, which hands them on to
// children that are made later. ok is false when the router is to return the outcome.
func (r *Run) Prepare() (ok bool, outcome Outcome) {
	if v := r.errorsTo(); v != proceed {
		return false, Defer
	}
	if v := r.headers(); v != proceed {
		return false, Defer
	}
	return true, Accepted
}

// errorsTo sets the address's errors address if errors_to gives one that verifies.
func (r *Run) errorsTo() verdict {
	if !r.Router.Set["errors_to"] {
		return proceed
	}
	text := string(r.Router.Generic.ErrorsTo)
	v, err := r.expand(text)
	if err != nil {
		if errors.Is(err, expand.ErrForced) {
			return proceed
		}
		return r.postpone(mail.ErrnoUnknown, "%s router failed to expand \"%s\": %s", r.Router.Name, text, err)
	}
	a := r.Address
	if v.S == "" {
		a.ErrorsTo, a.ErrorsToSet, a.IgnoreError = "", true, true
		return proceed
	}
	if a.Mode != mail.ForDelivery {
		a.ErrorsTo, a.ErrorsToSet = v.S, true
	} else if address, ok := r.Engine.errorsAddress(r.Ctx, r.Scope, v.S); ok {
		a.ErrorsTo, a.ErrorsToSet = address, true
	}
	return proceed
}

// headers adds headers_add and headers_remove to the address's.
func (r *Run) headers() verdict {
	g, a := r.Router.Generic, r.Address
	for _, item := range splitNewline(string(g.HeadersAdd)) {
		v, err := r.expand(item)
		if err != nil {
			if errors.Is(err, expand.ErrForced) {
				continue
			}
			return r.postpone(mail.ErrnoUnknown, "%s router failed to expand add_headers item \"%s\": %s", r.Router.Name, item, err)
		}
		if text := strings.TrimRight(v.S, "\n"); text != "" {
			a.ExtraHeaders = append(a.ExtraHeaders[:len(a.ExtraHeaders):len(a.ExtraHeaders)], text+"\n")
		}
	}
	for _, item := range option.SplitList(string(g.HeadersRemove)) {
		v, err := r.expand(item)
		if err != nil {
			if errors.Is(err, expand.ErrForced) {
				continue
			}
			return r.postpone(mail.ErrnoUnknown, "%s router failed to expand remove_headers item \"%s\": %s", r.Router.Name, item, err)
		}
		if v.S != "" {
			a.RemoveHeaders = append(a.RemoveHeaders[:len(a.RemoveHeaders):len(a.RemoveHeaders)], v.S)
		}
	}
	return proceed
}

// splitNewline splits a list whose separator is a newline unless it says otherwise.
func splitNewline(text string) []string {
	if strings.TrimSpace(text) == "" {
		return nil
	}
	if strings.HasPrefix(strings.TrimLeft(text, " \t\n"), "<") {
		return option.SplitList(text)
	}
	return option.SplitList("<\n" + text)
}

// Transport expands the router's transport option (or another one that names a transport) and finds the transport. name is ""
// when the option is unset. ok is false when the router is to return the outcome.
func (r *Run) Transport(text, optionName string) (t TransportInfo, ok bool, outcome Outcome) {
	if text == "" {
		return TransportInfo{}, true, Accepted
	}
	v, err := r.expand(text)
	if err != nil {
		return t, false, r.Postpone(mail.ErrnoBadTransport, "failed to expand %s \"%s\" in %s router: %s", optionName, text, r.Router.Name, err)
	}
	if r.Scope.Untrusted(v, "attempt to use tainted value '%s' from '%s' for %s", v.S, text, optionName) {
		r.Panic("attempt to use tainted value '%s' from '%s' for %s", v.S, text, optionName)
		return t, false, r.Postpone(mail.ErrnoExpandFail, "internal configuration error")
	}
	return r.FindTransport(v.S)
}

// FindTransport finds a transport by its name.
func (r *Run) FindTransport(name string) (t TransportInfo, ok bool, outcome Outcome) {
	if r.Engine.services.Transport != nil {
		if t, found := r.Engine.services.Transport(name); found {
			return t, true, Accepted
		}
	}
	return t, false, r.Postpone(mail.ErrnoBadTransport, "transport \"%s\" not found in %s router", name, r.Router.Name)
}

// IsTransport tells whether the configuration has a transport of that name.
func (r *Run) IsTransport(name string) bool {
	if r.Engine.services.Transport == nil {
		return false
	}
	_, found := r.Engine.services.Transport(name)
	return found
}

// Deliver assigns the address to a transport (none, in routers for verification only), with the router's user, group
// and directories.
func (r *Run) Deliver(t TransportInfo) Outcome {
	a := r.Address
	a.Transport, a.DSNLastHop = t.Name, r.Router.Generic.DSNLasthop
	r.assigned, r.local = true, t.Local || t.Name == ""
	if ok, outcome := r.Equip(a); !ok {
		a.Transport = ""
		return outcome
	}
	if !t.Local {
		ok, outcome := r.translate(a)
		if ok {
			ok, outcome = r.fallBack(a)
		}
		if !ok {
			a.Transport = ""
			return outcome
		}
	}
	return Accepted
}

// fallBack gives an address the router's fallback hosts.
func (r *Run) fallBack(a *mail.Address) (ok bool, outcome Outcome) {
	text := string(r.Router.Generic.FallbackHosts)
	if text == "" {
		return true, Accepted
	}
	v, err := r.expand(text)
	switch {
	case errors.Is(err, expand.ErrForced):
		return true, Accepted
	case err != nil:
		return false, r.Postpone(mail.ErrnoExpandFail, "failed to expand fallback_hosts \"%s\" for %s router: %s", text, r.Router.Name, err)
	}
	for _, item := range option.SplitList(v.S) {
		name, port := hostfind.Item(item)
		a.FallbackHosts = append(a.FallbackHosts, mail.Host{Name: name, Port: port, MX: -1})
	}
	return true, Accepted
}

// Equip gives an address that is to be delivered the user, the group and the directories of the router.
func (r *Run) Equip(a *mail.Address) (ok bool, outcome Outcome) {
	id, ok, outcome := r.Identity()
	if !ok {
		return false, outcome
	}
	a.UID, a.GID, a.UIDSet, a.GIDSet, a.InitGroups = id.UID, id.GID, id.UIDSet, id.GIDSet, id.InitGroups
	g := r.Router.Generic
	home := r.home
	if r.LocalUser != nil {
		home = r.LocalUser.Home
	}
	if a.Mode != mail.ForDelivery {
		a.HomeDirectory = home
		return true, Accepted
	}
	for _, d := range []struct {
		text string
		set  *string
		name string
	}{{string(g.TransportHome), &home, "transport_home_directory"}, {string(g.TransportCurrent), &a.CurrentDirectory, "transport_current_directory"}} {
		if d.text == "" {
			continue
		}
		v, err := r.expand(d.text)
		if err != nil {
			return false, r.Postpone(mail.ErrnoExpandFail, "%s \"%s\" failed to expand: %s", d.name, d.text, err)
		}
		*d.set = v.S
	}
	a.HomeDirectory = home
	return true, Accepted
}

// Identity returns the user and group that the options user, group and initgroups or check_local_user give.
func (r *Run) Identity() (id Identity, ok bool, outcome Outcome) {
	g := r.Router.Generic
	users := r.Scope.Engine.World.Users
	id.InitGroups = g.InitGroups
	if r.LocalUser != nil {
		id.UID, id.GID, id.UIDSet, id.GIDSet = r.LocalUser.UID, r.LocalUser.GID, true, true
	}
	if text := string(g.User); text != "" {
		name, ok, outcome := r.account("user", text)
		if !ok {
			return id, false, outcome
		}
		id.GIDSet = false
		if n, err := strconv.Atoi(name); err == nil {
			id.UID, id.UIDSet = n, true
		} else {
			u, found, err := users.ByName(name)
			if err != nil || !found {
				return id, false, r.noAccount("user", name, text)
			}
			id.UID, id.GID, id.UIDSet, id.GIDSet = u.UID, u.GID, true, true
		}
	}
	if text := string(g.Group); text != "" {
		name, ok, outcome := r.account("group", text)
		if !ok {
			return id, false, outcome
		}
		if n, err := strconv.Atoi(name); err == nil {
			id.GID, id.GIDSet = n, true
		} else {
			gr, found, err := users.GroupByName(name)
			if err != nil || !found {
				return id, false, r.noAccount("group", name, text)
			}
			id.GID, id.GIDSet = gr.GID, true
		}
	}
	if id.UIDSet && !id.GIDSet {
		return id, false, r.Postpone(mail.ErrnoBadUGID, "user set without group for %s router", r.Router.Name)
	}
	return id, true, Accepted
}

// account expands a user or group option.
func (r *Run) account(kind, text string) (name string, ok bool, outcome Outcome) {
	v, err := r.expand(text)
	if err != nil {
		outcome = r.Postpone(mail.ErrnoExpandFail, "Failed to expand %s string \"%s\" for the %s router: %s", kind, text, r.Router.Name, err)
		r.Panic("%s", r.Address.Outcome.Message)
		return "", false, outcome
	}
	return strings.TrimSpace(v.S), true, Accepted
}

func (r *Run) noAccount(kind, name, text string) Outcome {
	outcome := r.Postpone(mail.ErrnoExpandFail, "Failed to find %s \"%s\" from expanded string \"%s\" for the %s router", kind, name, text, r.Router.Name)
	r.Panic("%s", r.Address.Outcome.Message)
	return outcome
}

// DropChildren forgets the children made so far.
func (r *Run) DropChildren() { r.children = nil }

// Rewrite applies the global rewriting rules to a new recipient. What goes wrong is logged and leaves the address as it is.
func (r *Run) Rewrite(address string) string {
	f := r.Engine.services.RewriteAddress
	if f == nil {
		return address
	}
	out, err := f(r.Scope, address, false)
	if err != nil || out == "" {
		return address
	}
	return out
}

// Report sends the message of syntax_errors_to, in deliveries only.
func (r *Run) Report(to, text string) {
	if r.Engine.services.Report != nil && r.Mode == mail.ForDelivery {
		r.Engine.services.Report(r.Scope, to, text)
	}
}
