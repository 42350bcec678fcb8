package outside

import (
	"bufio"
	"io"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"
)

// hostsTable is the machine's own table of hosts, /etc/hosts (hosts(5)). It is read again when the file has changed.
type hostsTable struct {
	path    string
	mutex   sync.Mutex
	changed time.Time
	size    int64
	names   map[string][]netip.Addr
}

const maxHostsTable = 4 << 20

// HostAddresses returns the addresses of a name in /etc/hosts, in the order of the file, none if it is not there. It is for names that are to be
// found as the system finds them; the DNS is asked by Lookup.
func (r *realResolver) HostAddresses(name string) []netip.Addr { return r.hosts.addresses(name) }

func (h *hostsTable) addresses(name string) []netip.Addr {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	info, err := os.Stat(h.path)
	if err != nil {
		return nil
	}
	if h.names == nil || !info.ModTime().Equal(h.changed) || info.Size() != h.size {
		f, err := os.Open(h.path)
		if err != nil {
			return nil
		}
		defer f.Close()
		h.names = parseHosts(io.LimitReader(f, maxHostsTable))
		h.changed, h.size = info.ModTime(), info.Size()
	}
	return h.names[strings.ToLower(strings.TrimSuffix(name, "."))]
}

// parseHosts reads lines of an address and names; # begins a comment. What is malformed is skipped.
func parseHosts(text io.Reader) map[string][]netip.Addr {
	names := map[string][]netip.Addr{}
	for lines := bufio.NewScanner(text); lines.Scan(); {
		line, _, _ := strings.Cut(lines.Text(), "#")
		words := strings.Fields(line)
		if len(words) < 2 {
			continue
		}
		address, err := netip.ParseAddr(words[0])
		if err != nil {
			continue
		}
		for _, name := range words[1:] {
			name = strings.ToLower(strings.TrimSuffix(name, "."))
			names[name] = append(names[name], address)
		}
	}
	return names
}
