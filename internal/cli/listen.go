package cli

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"exigo/internal/config"
	"exigo/internal/option"
)

// endpoint is one address and port to listen on (spec chapter 13).
type endpoint struct {
	address netip.Addr
	port    int
	// tls says that sessions on the port begin with TLS.
	tls bool
}

func (e endpoint) String() string { return netip.AddrPortFrom(e.address, uint16(e.port)).String() }

// ports replaces option settings by what -oX gives: items with a dot or colon are interfaces, the others ports.
func listeningLists(m *config.Main, override string) (interfaces, ports []string) {
	interfaces, ports = m.LocalInterfaces, m.DaemonSMTPPorts
	var newInterfaces, newPorts []string
	for _, item := range option.SplitList(override) {
		if strings.ContainsAny(item, ".:") {
			newInterfaces = append(newInterfaces, item)
		} else {
			newPorts = append(newPorts, item)
		}
	}
	if len(newInterfaces) > 0 {
		interfaces = newInterfaces
	}
	if len(newPorts) > 0 {
		ports = newPorts
	}
	if len(interfaces) == 0 {
		interfaces = []string{"::0", "0.0.0.0"}
	}
	if len(ports) == 0 {
		ports = []string{"smtp"}
	}
	return interfaces, ports
}

// endpoints works out where the daemon listens.
func endpoints(m *config.Main, override string, onConnect bool) ([]endpoint, error) {
	interfaces, portNames := listeningLists(m, override)
	var ports []int
	for _, name := range portNames {
		n, err := portNumber(name)
		if err != nil {
			return nil, err
		}
		ports = append(ports, n)
	}
	tlsPorts := map[int]bool{}
	for _, name := range m.TLSOnConnectPorts {
		if n, err := portNumber(name); err == nil {
			tlsPorts[n] = true
		}
	}
	var out []endpoint
	for _, item := range interfaces {
		addr, port, err := interfaceItem(item)
		if err != nil {
			return nil, err
		}
		if m.DisableIPv6 && addr.Is6() {
			continue
		}
		use := ports
		if port > 0 {
			use = []int{port}
		}
		for _, p := range use {
			out = append(out, endpoint{addr, p, onConnect || tlsPorts[p]})
		}
	}
	return out, nil
}

// portNumber reads a port's number or service name.
func portNumber(name string) (int, error) {
	if n, err := strconv.Atoi(name); err == nil && n > 0 && n < 65536 {
		return n, nil
	}
	n, err := net.LookupPort("tcp", name)
	if err != nil {
		return 0, fmt.Errorf("TCP port \"%s\" not found", name)
	}
	return n, nil
}

// interfaceItem reads an item of local_interfaces: an address, "address.port" or "[address]:port".
func interfaceItem(item string) (addr netip.Addr, port int, err error) {
	text := item
	if inner, ok := strings.CutPrefix(text, "["); ok {
		var rest string
		text, rest, ok = strings.Cut(inner, "]")
		if p, has := strings.CutPrefix(rest, ":"); ok && has {
			if port, err = strconv.Atoi(p); err != nil {
				return addr, 0, fmt.Errorf("invalid IP address in local_interfaces: \"%s\"", item)
			}
		}
	}
	if addr, err = parseAddress(text); err == nil {
		return addr, port, nil
	}
	dot := strings.LastIndexByte(text, '.')
	if dot > 0 {
		if port, err = strconv.Atoi(text[dot+1:]); err == nil {
			if addr, err = parseAddress(text[:dot]); err == nil {
				return addr, port, nil
			}
		}
	}
	return addr, 0, fmt.Errorf("invalid IP address in local_interfaces: \"%s\"", item)
}

func parseAddress(text string) (netip.Addr, error) {
	if text == "::0" {
		text = "::"
	}
	return netip.ParseAddr(text)
}

// setBacklog sets how many connections may wait to be accepted (smtp_connect_backlog).
func setBacklog(l net.Listener, n int) {
	socket, ok := l.(syscall.Conn)
	if !ok || n <= 0 {
		return
	}
	if raw, err := socket.SyscallConn(); err == nil {
		raw.Control(func(fd uintptr) { unix.Listen(int(fd), n) }) // what cannot be set stays as it is
	}
}

// backlog serves smtp_backlog_monitor: it returns a function that tells how many connections wait on the socket, nil when that cannot
// be known.
func backlog(l net.Listener) func() int {
	socket, ok := l.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return nil
	}
	return func() (waiting int) {
		raw.Control(func(fd uintptr) {
			if info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
				waiting = int(info.Unacked) // for a socket that listens: the length of the queue
			}
		})
		return waiting
	}
}

// tuneConnection takes back what the language's library has set on a client's connection and the configuration does not want.
func tuneConnection(c net.Conn, m *config.Main) {
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return
	}
	if !m.SMTPAcceptKeepAlive {
		tcp.SetKeepAlive(false)
	}
	if !m.TCPNoDelay {
		tcp.SetNoDelay(false)
	}
}

// listeningText says where the daemon listens, for the log: "port 25 (IPv6 and IPv4) and for SMTPS on port 465 ..." or addresses.
func listeningText(all []endpoint) string {
	var parts []string
	for _, tls := range []bool{false, true} {
		var some []endpoint
		for _, e := range all {
			if e.tls == tls {
				some = append(some, e)
			}
		}
		if len(some) == 0 {
			continue
		}
		protocol := "for SMTP on"
		if tls {
			protocol = "for SMTPS on"
		}
		parts = append(parts, protocol+placesText(some))
	}
	return "listening " + strings.Join(parts, " and ")
}

// placesText lists ports that are open on all interfaces as ports, everything else by address.
func placesText(all []endpoint) string {
	var b strings.Builder
	type families struct{ v4, v6 bool }
	wild := map[int]*families{}
	var wildPorts []int
	byAddress := map[netip.Addr][]int{}
	var addresses []netip.Addr
	for _, e := range all {
		if e.address.IsUnspecified() {
			f := wild[e.port]
			if f == nil {
				f = &families{}
				wild[e.port] = f
				wildPorts = append(wildPorts, e.port)
			}
			f.v4 = f.v4 || e.address.Is4()
			f.v6 = f.v6 || e.address.Is6()
			continue
		}
		if byAddress[e.address] == nil {
			addresses = append(addresses, e.address)
		}
		byAddress[e.address] = append(byAddress[e.address], e.port)
	}
	for _, p := range wildPorts {
		f := wild[p]
		kind := " (IPv6 and IPv4)"
		if !f.v6 {
			kind = " (IPv4)"
		} else if !f.v4 {
			kind = " (IPv6)"
		}
		fmt.Fprintf(&b, " port %d%s", p, kind)
	}
	for _, a := range addresses {
		ports := byAddress[a]
		if len(ports) == 1 {
			fmt.Fprintf(&b, " [%s]:%d", a, ports[0])
			continue
		}
		var list []string
		for _, p := range ports {
			list = append(list, strconv.Itoa(p))
		}
		fmt.Fprintf(&b, " [%s]:{%s}", a, strings.Join(list, ","))
	}
	return b.String()
}
