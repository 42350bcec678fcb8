package route

import (
	"errors"
	"net/netip"
	"strings"

	"exigo/internal/expand"
	"exigo/internal/list"
	"exigo/internal/mail"
	"exigo/internal/route/hostfind"
)

// RandomOrder is the MX of hosts without an MX record whose order was made at random: two lists of such hosts
// count as the same if they hold the same hosts, and the order is not to be changed again.
const RandomOrder = -2

// HostFailure says what to do about a host that does not exist (host_find_failed, host_all_ignored of manualroute).
type HostFailure string

// The words of host_find_failed.
const (
	OnFailDecline HostFailure = "decline"
	OnFailDefer   HostFailure = "defer"
	OnFailFail    HostFailure = "fail"
	OnFailFreeze  HostFailure = "freeze"
	OnFailIgnore  HostFailure = "ignore"
	OnFailPass    HostFailure = "pass"
)

// HostLookup is how the hosts of a list are looked up.
type HostLookup struct {
	Method               hostfind.Method
	IPv4Only, IPv4Prefer bool
	// FindFailed is for a host that does not exist, AllIgnored for a list of which nothing is left.
	FindFailed, AllIgnored HostFailure
}

// Randomize puts the items of a host list into random order, separately in each of the groups that "+" items divide the
// list into. Items keep their text; "+" items are dropped.
func (r *Run) Randomize(items []string) []string {
	type keyed struct {
		key  int
		item string
	}
	var list []keyed
	group := 0
	for _, item := range items {
		if item == "+" {
			group++
			continue
		}
		k := keyed{group*1000 + r.Scope.Engine.World.Random.Intn(1000), item}
		i := len(list)
		for i > 0 && k.key < list[i-1].key {
			i--
		}
		list = append(list, keyed{})
		copy(list[i+1:], list[i:])
		list[i] = k
	}
	out := make([]string, len(list))
	for i, k := range list {
		out[i] = k.item
	}
	return out
}

// Request is a search for hosts with the generic options of the router.
func (r *Run) Request(name string, port int) hostfind.Request {
	g := r.Router.Generic
	return hostfind.Request{
		Name: name, Port: port, IgnoreHosts: string(g.IgnoreTargetHosts),
		DNSSECRequest: string(g.DNSSECRequest), DNSSECRequire: string(g.DNSSECRequire),
	}
}

// LookupHosts finds the addresses of a list of host items (spec 20.5, 20.6) and sets them in the address. ok is false when the
// router is to return the outcome.
func (r *Run) LookupHosts(items []string, how HostLookup) (ok bool, outcome Outcome) {
	var hosts []mail.Host
	send := false // self = send was obeyed for the first host: others may be this machine as well
	for _, item := range items {
		if item == "+" || item == "" {
			continue
		}
		name, port := hostfind.Item(item)
		answer, failedName, err := r.lookupItem(name, port, how)
		if err != nil {
			return false, r.Postpone(mail.ErrnoListDefer, "%s", err)
		}
		switch answer.Result {
		case hostfind.Again:
			if r.Router.Generic.PassOnTimeout {
				return false, Pass
			}
			return false, r.Postpone(mail.ErrnoDNSDefer, "host lookup for %s did not complete (DNS timeout?)", failedName)
		case hostfind.Insecure:
			if r.Router.Generic.PassOnTimeout {
				return false, Pass
			}
			return false, r.Postpone(mail.ErrnoDNSDefer, "host lookup for %s done insecurely", failedName)
		case hostfind.NotFound, hostfind.Ignored:
			if how.FindFailed == OnFailIgnore {
				continue
			}
			return false, r.hostFailure(how.FindFailed, mail.ErrnoUnknownHost, "lookup of host \""+failedName+"\" failed in "+r.Router.Name+" router")
		case hostfind.Local:
			if send {
				break
			}
			if len(hosts) > 0 {
				r.Address.Hosts, r.Address.HostsFromRouter = hosts, true
				return true, Accepted
			}
			if ok, outcome := r.self(answer.Hosts[0]); !ok {
				return false, outcome
			}
			send = true
		}
		if answer.Result == hostfind.Found || answer.Result == hostfind.Local {
			hosts = append(hosts, answer.Hosts...)
		}
	}
	if len(hosts) == 0 {
		text := "lookup failed for all hosts in " + r.Router.Name + " router: host_find_failed=" + string(how.FindFailed) + " host_all_ignored=" + string(how.AllIgnored)
		return false, r.hostFailure(how.AllIgnored, mail.ErrnoUnknownHost, text)
	}
	r.Address.Hosts, r.Address.HostsFromRouter = hosts, true
	return true, Accepted
}

// lookupItem finds the hosts of one item; failedName is the name to blame if there are none.
func (r *Run) lookupItem(name string, port int, how HostLookup) (a hostfind.Answer, failedName string, err error) {
	q := r.Request(name, port)
	q.IPv4Only, q.IPv4Prefer = how.IPv4Only, how.IPv4Prefer
	if n := len(name) - 3; n > 0 && strings.EqualFold(name[n:], "/mx") {
		q.Name, q.MX = name[:n], true
		a, err = hostfind.Find(r.Ctx, r.Scope, q)
		if err == nil && a.Result == hostfind.Found && !hostfind.Usable(a.Hosts) {
			q.Name = a.Hosts[0].Name
			a.Result = hostfind.NotFound
			if hostfind.Deferred(a.Hosts) {
				a.Result = hostfind.Again
			} else if a.Insecure {
				a.Result = hostfind.Insecure
			}
		}
		return a, q.Name, err
	}
	a, err = hostfind.Lookup(r.Ctx, r.Scope, q, how.Method)
	return a, name, err
}

// hostFailure gives the outcome that a word of host_find_failed stands for.
func (r *Run) hostFailure(what HostFailure, errno int, text string) Outcome {
	switch what {
	case OnFailPass:
		return Pass
	case OnFailDecline:
		return Decline
	}
	r.Postpone(errno, "%s", text)
	switch what {
	case OnFailFail:
		return Fail
	case OnFailFreeze:
		r.Address.Outcome.Freeze = true
	}
	return Defer
}

// Self does what the self option says when the first host is this machine. ok is true when the address is to be delivered
// nevertheless.
func (r *Run) Self(h mail.Host) (ok bool, outcome Outcome) { return r.self(h) }

func (r *Run) self(h mail.Host) (ok bool, outcome Outcome) {
	a, action := r.Address, r.Router.self
	text := "remote host address is the local host"
	if h.MX >= 0 {
		text = "lowest numbered MX record points to local host"
	}
	switch action.kind {
	case selfSend:
		return true, Accepted
	case selfPass:
		a.Outcome.Message, a.SelfHostname = text, h.Name
		r.Scope.Extra["self_hostname"] = mail.Clean(h.Name)
		return false, Pass
	case selfFail:
		return false, r.Refuse("%s", text)
	case selfReroute:
		return false, r.Reroute(action.domain, action.rewrite)
	case selfFreeze:
		r.Log("%s: %s (while routing <%s>)", text, a.Domain, a.Address)
		a.Outcome.Freeze = true
	}
	return false, r.Postpone(0, "%s", text)
}

// Ignored tells whether an address is in ignore_target_hosts.
func (r *Run) Ignored(addr netip.Addr) (bool, error) {
	text := string(r.Router.Generic.IgnoreTargetHosts)
	if text == "" {
		return false, nil
	}
	saved := r.Scope.Host
	r.Scope.Host = &mail.Host{Name: addr.String(), Address: addr, MX: -1}
	defer func() { r.Scope.Host = saved }()
	m, err := list.Host(r.Scope, text, "", addr)
	return m.Matched, err
}

// Truth expands an option that is true unless it is unset, empty, 0, no, false or forced to fail. A mistake is logged and
// counts as false, a temporary failure defers: then ok is false.
func (r *Run) Truth(text string) (value, ok bool, outcome Outcome) {
	if text == "" {
		return false, true, Accepted
	}
	v, err := r.expand(text)
	switch {
	case err == nil:
		return expand.LaxBool(v.S), true, Accepted
	case expand.IsTemporary(err):
		return false, false, r.Postpone(mail.ErrnoExpandFail, "condition check lookup defer")
	case !errors.Is(err, expand.ErrForced):
		r.Panic("failed to expand condition \"%s\" for %s router: %s", text, r.Router.Name, err)
	}
	return false, true, Accepted
}
