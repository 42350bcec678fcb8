package smtp

import (
	"context"
	"errors"
	"net"
	"slices"
	"strconv"
	"strings"

	"exigo/internal/expand"
	"exigo/internal/list"
	"exigo/internal/mail"
	"exigo/internal/option"
	"exigo/internal/route/hostfind"
	"exigo/internal/transport"
)

// service knows the ports of the names that administrators write; others are the system's business.
func service(name string) int {
	switch name {
	case "", "smtp":
		return 25
	case "lmtp":
		return 24
	case "smtps", "submissions", "ssmtp":
		return 465
	case "submission":
		return 587
	}
	return 0
}

// port works out the default port (option port).
func (s *Settings) port(r *transport.Run) (int, error) {
	text := string(s.Port)
	if text == "" {
		return service(s.Protocol), nil
	}
	v, err := r.Must(text, "\"port\" option")
	if err != nil {
		return 0, err
	}
	name := strings.TrimSpace(v.S)
	if name != "" && name[0] >= '0' && name[0] <= '9' {
		n, err := strconv.Atoi(name)
		if err != nil || n < 1 || n > 65535 {
			return 0, transport.Panic(mail.ErrnoUnknown, "malformed port number \"%s\" for %s transport", name, r.Transport.Name)
		}
		return n, nil
	}
	if n := service(name); n != 0 {
		return n, nil
	}
	n, err := net.LookupPort("tcp", name)
	if err != nil {
		return 0, transport.Panic(mail.ErrnoUnknown, "TCP port \"%s\" is not defined for %s transport", name, r.Transport.Name)
	}
	return n, nil
}

// hosts is the list of hosts to try, for others.
func hosts(r *transport.Run) ([]mail.Host, error) {
	return (&delivery{run: r, settings: Of(r.Transport.Instance), services: servicesOf(r)}).candidates()
}

// candidates is the list of hosts to try, names from the transport's options still without addresses.
func (d *delivery) candidates() ([]mail.Host, error) {
	a := d.run.Addresses[0]
	s := d.settings
	hosts := slices.Clone(a.Hosts)
	own := false
	if s.Hosts != "" && (len(hosts) == 0 || s.HostsOverride) {
		var err error
		if hosts, err = d.expandHosts(string(s.Hosts)); err != nil {
			return nil, err
		}
		own = true
	}
	if len(hosts) == 0 {
		return nil, transport.Panic(mail.ErrnoUnknown, "%s transport called with no hosts set", d.run.Transport.Name)
	}
	return d.ordered(hosts, own)
}

// ordered puts hosts in the order of trial: at random where hosts_randomize says so. own says that they are the transport's.
func (d *delivery) ordered(hosts []mail.Host, own bool) ([]mail.Host, error) {
	random, err := d.boolean(d.settings.HostsRandomize, "hosts_randomize")
	if err != nil {
		return nil, err
	}
	switch {
	case !random || len(hosts) == 0:
	case own:
		d.shuffle(hosts, 1000)
	case hosts[0].MX == noMX:
		d.shuffle(hosts, 100)
	}
	return slices.DeleteFunc(hosts, func(h mail.Host) bool { return h.Name == "+" }), nil
}

func (d *delivery) boolean(b option.ExpandedBool, name string) (bool, error) {
	if b.Text == "" {
		return b.Value, nil
	}
	yes, err := d.run.Scope.Engine.ExpandBool(d.run.Scope, string(b.Text))
	if err != nil {
		return false, transport.Defer(mail.ErrnoExpandFail, "failed to expand \"%s\" in %s transport: %v", name, d.run.Transport.Name, err)
	}
	return yes, nil
}

// expandHosts expands the option hosts or fallback_hosts.
func (d *delivery) expandHosts(text string) ([]mail.Host, error) {
	v, err := d.run.Scope.Engine.Expand(d.run.Scope, text)
	if err != nil {
		why := err.Error()
		if errors.Is(err, expand.ErrForced) {
			why = "forced failure"
		}
		make := transport.Panic
		if expand.IsTemporary(err) {
			make = transport.Defer
		}
		return nil, make(mail.ErrnoExpandFail, "failed to expand list of hosts \"%s\" in %s transport: %s", text, d.run.Transport.Name, why)
	}
	if d.run.Scope.Untrusted(v, "attempt to use tainted host list '%s' from '%s' in transport '%s'", v.S, text, d.run.Transport.Name) {
		return nil, transport.Panic(mail.ErrnoExpandFail, "attempt to use tainted host list '%s' from '%s' in transport '%s'", v.S, text, d.run.Transport.Name)
	}
	var hosts []mail.Host
	for _, item := range transport.SplitList(v.S, ':') {
		name, port := hostfind.Item(item)
		hosts = append(hosts, mail.Host{Name: name, Port: port, MX: -1})
	}
	if len(hosts) == 0 {
		return nil, transport.Panic(mail.ErrnoUnknown, "%s transport: host list is empty: \"%s\"", d.run.Transport.Name, v.S)
	}
	return hosts, nil
}

// noMX is the MX of a host without MX record whose order nobody has made random yet.
const noMX = -1

// shuffle puts the hosts of each group (items "+" divide them) in the order of random numbers below a limit. Few numbers may repeat;
// then the order stays.
func (d *delivery) shuffle(hosts []mail.Host, limit int) {
	random := d.run.Services.World.Random
	group := 0
	for i := range hosts {
		if hosts[i].Name == "+" {
			group++
			hosts[i].Sort = group*limit - 1
			continue
		}
		hosts[i].Sort = group*limit + random.Intn(limit)
	}
	slices.SortStableFunc(hosts, func(a, b mail.Host) int { return a.Sort - b.Sort })
}

// resolve finds the addresses of a host of the transport's own list. Without a usable one it returns the outcome to remember.
func (d *delivery) resolve(ctx context.Context, h mail.Host) ([]mail.Host, *transport.Error) {
	s, sc := d.settings, d.run.Scope
	request := hostfind.Request{Name: h.Name, Port: h.Port, Addresses: true, Qualify: s.DNSQualifySingle, Search: s.DNSSearchParents,
		DNSSECRequest: string(s.DNSSECRequestDomains), DNSSECRequire: string(s.DNSSECRequireDomains)}
	var found hostfind.Answer
	var err error
	if s.GetHostByName {
		found, err = hostfind.Lookup(ctx, sc, request, hostfind.ByName)
	} else {
		found, err = hostfind.Find(ctx, sc, request)
	}
	switch {
	case err != nil:
		return nil, transport.Defer(mail.ErrnoExpandFail, "%v", err)
	case found.Result == hostfind.Local && !s.AllowLocalhost:
		return nil, transport.Defer(mail.ErrnoUnknown, "%s transport found host %s to be local", d.run.Transport.Name, h.Name)
	case found.Result == hostfind.Found || found.Result == hostfind.Local:
		return withMX(found.Hosts, h), nil
	case found.Result == hostfind.Again:
		return nil, transport.Defer(mail.ErrnoDNSDefer, "host lookup for %s did not complete", h.Name)
	case found.Result == hostfind.Insecure:
		return nil, transport.Defer(mail.ErrnoDNSDefer, "host lookup for %s done insecurely", h.Name)
	}
	return nil, transport.Defer(mail.ErrnoUnknownHost, "failed to lookup IP address for %s", h.Name)
}

func withMX(hosts []mail.Host, like mail.Host) []mail.Host {
	for i := range hosts {
		hosts[i].MX, hosts[i].Sort = like.MX, like.Sort
		if hosts[i].Port == 0 {
			hosts[i].Port = like.Port
		}
	}
	return hosts
}

// in tells whether the host is in a host list option. A failure to find out is temporary.
func (d *delivery) in(l option.HostList, h *mail.Host, name string) (bool, error) {
	return matchHost(d.run, l, h, name)
}

func matchHost(r *transport.Run, l option.HostList, h *mail.Host, name string) (bool, error) {
	switch l {
	case "", ":":
		return false, nil
	case "*":
		return true, nil
	}
	m, err := list.Host(r.Scope, string(l), h.Name, h.Address)
	if err != nil {
		return false, transport.Defer(mail.ErrnoListDefer, "failed to check host list \"%s\" of %s transport: %v", name, r.Transport.Name, err)
	}
	return m.Matched, nil
}
